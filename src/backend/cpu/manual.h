/* SPDX-License-Identifier: Apache-2.0 */
/* manual.h: manual regions and the collectives in them (manual.c). */
#ifndef MICA_BACKEND_CPU_MANUAL_H
#define MICA_BACKEND_CPU_MANUAL_H
#include "backend/cpu/plan_internal.h"

/* A lowering, as those of plan_internal.h. */
bool mica_plan_devices(mica_plan *plan, uint32_t id);
/* Whether the engine runs a manual region on engines of its own; else it is expanded. */
bool mica_manual_fits(const mica_graph *graph, uint32_t id);
/* Bytes in front of a device's parts in its scratch memory. */
size_t mica_manual_header(uint32_t in_count, uint32_t out_count);

/* execute.c: a context of a program that stops and goes on. Take, begin, run (from context->next) as often
 * as it takes, end. */
mica_cpu_context *mica_cpu_context_take(mica_cpu_program *program);
mica_status mica_cpu_context_begin(const mica_cpu_program *program, mica_cpu_context *context,
                                   const mica_call *call, mica_error *error);
mica_status mica_cpu_context_run(mica_cpu_context *context);
void mica_cpu_context_end(mica_cpu_program *program, mica_cpu_context *context);

/* compile.c: a part of a program as one of its own. */
mica_status mica_cpu_compile_block(mica_cpu_device *engine, const mica_graph *graph,
                                   void **out_program, mica_error *error);

#endif
