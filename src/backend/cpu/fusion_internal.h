/* SPDX-License-Identifier: Apache-2.0 */
/* fusion_internal.h: groups of operators that run as one tile program.
 *
 * A group has one iteration space. Its members are nodes that run over the whole space (full) or, when
 * the group reduces, over the axes that are left (reduced). A member's elements lie densely along the
 * axes of its role, so that a member reads another one only through operators that change nothing but
 * the shape, or by repeating a reduced one along the reduced axes. Everything else that a member reads is
 * a load, by whatever strides. Stored members get memory; the others exist in registers only. */
#ifndef MICA_BACKEND_CPU_FUSION_INTERNAL_H
#define MICA_BACKEND_CPU_FUSION_INTERNAL_H
#include "backend/cpu/plan_internal.h"
#include "backend/cpu/tile.h"

typedef enum { MICA_ROLE_NONE, MICA_ROLE_FULL, MICA_ROLE_REDUCED } mica_fusion_role;

typedef struct {
  int32_t rank;
  int64_t size[MICA_MAX_RANK]; /* axes that no member joins; none of size 1 */
  bool reduced[MICA_MAX_RANK];
} mica_fusion_space;

typedef struct {
  mica_fusion_space space;
  bool reduces;   /* some member is a reduction, over the space's reduced axes */
  uint32_t first; /* members, by increasing id: fusion->next */
  uint32_t count, last;
  uint32_t loads;  /* about how many arrays are read */
  uint32_t host;   /* a product or convolution whose result the group finishes in cache; 0: none */
  bool keeps_host; /* others read the host's own result too */
} mica_fusion_group;

typedef struct mica_fusion {
  uint32_t *group;      /* [graph->count] of a member; MICA_PLAN_NONE */
  uint8_t *role;        /* [graph->count] mica_fusion_role of a member */
  bool *stored;         /* [graph->count] a member with memory */
  uint32_t *hosted;     /* [graph->count] the group that a host belongs to; MICA_PLAN_NONE */
  uint32_t *next;       /* [graph->count] the group's next member; 0 ends */
  uint32_t *user_first; /* [graph->count + 1] in `users` */
  uint32_t *users;      /* nodes that read a value; 0 for the results of a region or the graph */
  mica_fusion_group *groups;
  uint32_t group_count, group_capacity;
  uint32_t *mark; /* [graph->count] visited in walk `walk` */
  uint32_t walk;
  uint32_t *waiting; /* of a walk */
} mica_fusion;

/* ---- space.c ------------------------------------------------------------------------------------------- */

/* Cuts the space's axes (all, or those not reduced) so that each axis of `shape` is a run of them; false
 * when there is no such cut, the space then as it was. */
bool mica_space_refine(mica_fusion_space *space, mica_shape shape, bool kept_only);
/* The same sizes as a shape, all or kept axes. */
mica_shape mica_space_shape(const mica_fusion_space *space, bool kept_only);
/* Sets which axes of the space a reduction over `axes` of `shape` reduces; the space is refined by `shape`. */
bool mica_space_reduced_axes(const mica_fusion_space *space, mica_shape shape,
                             const mica_ints *axes, bool reduced[MICA_MAX_RANK]);
/* Whether a view of `shape`, which refines to the space, repeats along the reduced axes and is dense
 * along the others. */
bool mica_space_repeats(const mica_fusion_space *space, const bool reduced[MICA_MAX_RANK],
                        const mica_view *view, mica_shape shape);

/* The value that `id` is a view of, and the view on its dense elements (or those of a copy, where a reshape
 * needs one: then the reshape is the source). */
uint32_t mica_plan_trace(const mica_plan *plan, uint32_t id, mica_view *out_view);

/* ---- fusion.c ---------------------------------------------------------------------------------------------- */

/* A new group of one stored member. */
void mica_fusion_begin(mica_plan *plan, uint32_t id);
/* The VM's operator for a node that it can compute; false for anything else. */
bool mica_fusion_operator(const mica_plan *plan, uint32_t id, mica_tile_op *out_op);
static inline bool mica_fusion_is_virtual(const mica_fusion *fusion, uint32_t id) {
  return fusion->group[id] != MICA_PLAN_NONE && !fusion->stored[id];
}
/* Whether a value comes from no memory: a counter, which groups make as they go. */
static inline bool mica_fusion_generates(const mica_plan *plan, uint32_t id) {
  return plan->graph->nodes[id].op == MICA_OP_IOTA;
}

/* ---- step_finish.c ------------------------------------------------------------------------------------------- */

/* The group's host with all of the group done on each block while it is in cache; false when that cannot be,
 * nothing is appended then. */
bool mica_plan_finish_group(mica_plan *plan, uint32_t group);

/* ---- step_tile.c ----------------------------------------------------------------------------------------------- */

void mica_plan_group(mica_plan *plan, uint32_t group);
/* A program for mica_tile_run_block over [rows, columns], and what its buffers are. */
typedef struct {
  mica_tile_program *program;
  uint32_t count; /* buffers: loads, then stores */
  uint32_t loads;
  uint32_t value[MICA_TILE_MAX_ACCESSES];          /* ids */
  mica_view place[MICA_TILE_MAX_ACCESSES];         /* of the loads */
  mica_tile_access access[MICA_TILE_MAX_ACCESSES]; /* strides along the program's axes */
} mica_block_program;
/* Says of the last step, for store number `store` at `storage`, which loads' places it may take. */
void mica_plan_meet_loads(mica_plan *plan, const mica_block_program *block, uint32_t store,
                          uint32_t storage);
bool mica_plan_block(mica_plan *plan, uint32_t group, int64_t rows, int64_t columns,
                     mica_block_program *out);
/* Appends a step that converts `from`, a view of `shape` of one dtype, into dense memory of another; the
 * step belongs to node `id`. False when the VM lacks the conversion. */
bool mica_plan_convert(mica_plan *plan, uint32_t id, mica_shape shape, mica_dtype from_dtype,
                       mica_view from, mica_dtype to_dtype, uint32_t to_storage);
/* step_convert.c: the same for a value's dense memory, whatever its dtype; false when the plan failed. And
 * the lowering of conversions that the VM lacks. */
bool mica_plan_widened(mica_plan *plan, uint32_t id, uint32_t operand, mica_dtype dtype,
                       mica_view *out);
bool mica_plan_conversion(mica_plan *plan, uint32_t id);
const char *mica_group_label(mica_plan *plan, uint32_t group);

#endif
