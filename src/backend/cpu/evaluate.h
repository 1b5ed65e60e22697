/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate.h: computing constant values when a program is compiled. See evaluate.c. */
#ifndef MICA_BACKEND_CPU_EVALUATE_H
#define MICA_BACKEND_CPU_EVALUATE_H
#include "backend/cpu/plan_internal.h"

/* Rebuilds `from` in the empty graph `to` with values that depend on constants alone as constants of
 * *out_bytes; where there is nothing to compute (or it fails) *out_bytes is 0 and `to` stays empty. */
mica_status mica_cpu_evaluate(mica_cpu_device *engine, const mica_graph *from, mica_graph *to,
                              size_t *out_bytes, mica_error *error);

/* compile.c: a program without evaluation. */
mica_status mica_cpu_compile_plain(mica_cpu_device *engine, const mica_graph *graph,
                                   void **out_program, mica_error *error);

#endif
