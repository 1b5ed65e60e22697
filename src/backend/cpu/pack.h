/* SPDX-License-Identifier: Apache-2.0 */
/* pack.h: weights in the order in which the kernels read them, kept from call to call. See pack.c. */
#ifndef MICA_BACKEND_CPU_PACK_H
#define MICA_BACKEND_CPU_PACK_H
#include "backend/cpu/plan_internal.h"

/* What a step keeps of one of its operands: part of the program. */
typedef struct mica_cpu_pack mica_cpu_pack;
/* One packed version, held by the pack and by the steps that read it now. */
typedef struct mica_cpu_packed mica_cpu_packed;

/* For an operand at `view` whose packed form takes `size` bytes; NULL: not kept (not a constant nor a
 * variable that the program leaves alone, too large, or the device keeps none). */
mica_cpu_pack *mica_plan_pack(mica_plan *plan, const mica_view *view, size_t size);

/* The packed form of the values that the call sees, to be given back; NULL: there is none (yet), the step
 * reads the operand itself. When the same version is met again, `fill` writes it. `pack` may be NULL. */
typedef void mica_cpu_pack_fill(void *user, const mica_parallel *parallel, void *packed);
mica_cpu_packed *mica_cpu_pack_take(mica_cpu_pack *pack, const mica_cpu_context *context,
                                    const mica_parallel *parallel, mica_cpu_pack_fill *fill,
                                    void *user);
const void *mica_cpu_packed_data(const mica_cpu_packed *packed);
void mica_cpu_pack_give(mica_cpu_packed *packed); /* NULL is fine */

size_t mica_cpu_pack_bytes(const mica_cpu_program *program); /* that the program's packs hold */

#endif
