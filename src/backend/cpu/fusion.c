/* SPDX-License-Identifier: Apache-2.0 */
/* fusion.c: which nodes run together. Nodes are looked at from the last to the first, so that all users of
 * a value have their groups when its turn comes:
 *
 * - read by members of one group only, in ways that a tile program can follow: it joins, without memory;
 * - read by that group and by others: it joins as a stored member, unless the group waits for one of the
 *   others (Adam's moments and the parameter; the gradient of a bias and what it sums);
 * - otherwise it begins a group of its own.
 *
 * A reduction that its group's full members read again ("rows": softmax, layer_norm) joins when the
 * innermost axis is reduced and a row fits the cache. */
#include "backend/cpu/fusion_internal.h"
#include "backend/cpu/products_internal.h"

#include <string.h>

enum {
  GROUP_MEMBERS = 128,
  GROUP_LOADS = 40,
  ROW_ELEMENTS = 1 << 16, /* of a row that is read more than once */
  WALK_LIMIT = 4000,      /* nodes looked at before giving up */
  LOOK_AHEAD = 24,
  BLOCK_MEMBERS = 16,
  BLOCK_ARRAYS = 5
};

/* ---- what a tile program can compute ---------------------------------------------------------- */

static const uint8_t plain_operators[MICA_OP_COUNT] = {
    [MICA_OP_NEG] = MICA_TILE_NEG,
    [MICA_OP_ABS] = MICA_TILE_ABS,
    [MICA_OP_SIGN] = MICA_TILE_SIGN,
    [MICA_OP_EXP] = MICA_TILE_EXP,
    [MICA_OP_EXPM1] = MICA_TILE_EXPM1,
    [MICA_OP_LOG] = MICA_TILE_LOG,
    [MICA_OP_LOG1P] = MICA_TILE_LOG1P,
    [MICA_OP_TANH] = MICA_TILE_TANH,
    [MICA_OP_LOGISTIC] = MICA_TILE_LOGISTIC,
    [MICA_OP_ERF] = MICA_TILE_ERF,
    [MICA_OP_SQRT] = MICA_TILE_SQRT,
    [MICA_OP_RSQRT] = MICA_TILE_RSQRT,
    [MICA_OP_SIN] = MICA_TILE_SIN,
    [MICA_OP_COS] = MICA_TILE_COS,
    [MICA_OP_FLOOR] = MICA_TILE_FLOOR,
    [MICA_OP_CEIL] = MICA_TILE_CEIL,
    [MICA_OP_ROUND] = MICA_TILE_ROUND,
    [MICA_OP_NOT] = MICA_TILE_NOT,
    [MICA_OP_IS_FINITE] = MICA_TILE_IS_FINITE,
    [MICA_OP_CONVERT] = MICA_TILE_CONVERT,
    [MICA_OP_RELU] = MICA_TILE_RELU,
    [MICA_OP_TAN] = MICA_TILE_TAN,
    [MICA_OP_ASIN] = MICA_TILE_ASIN,
    [MICA_OP_ACOS] = MICA_TILE_ACOS,
    [MICA_OP_ATAN] = MICA_TILE_ATAN,
    [MICA_OP_SINH] = MICA_TILE_SINH,
    [MICA_OP_COSH] = MICA_TILE_COSH,
    [MICA_OP_ASINH] = MICA_TILE_ASINH,
    [MICA_OP_ACOSH] = MICA_TILE_ACOSH,
    [MICA_OP_ATANH] = MICA_TILE_ATANH,
    [MICA_OP_EXP2] = MICA_TILE_EXP2,
    [MICA_OP_LOG2] = MICA_TILE_LOG2,
    [MICA_OP_LOG10] = MICA_TILE_LOG10,
    [MICA_OP_CBRT] = MICA_TILE_CBRT,
    [MICA_OP_SOFTPLUS] = MICA_TILE_SOFTPLUS,
    [MICA_OP_ERFC] = MICA_TILE_ERFC,
    [MICA_OP_ERF_INV] = MICA_TILE_ERF_INV,
    [MICA_OP_LGAMMA] = MICA_TILE_LGAMMA,
    [MICA_OP_DIGAMMA] = MICA_TILE_DIGAMMA,
    [MICA_OP_BESSEL_I0E] = MICA_TILE_BESSEL_I0E,
    [MICA_OP_BESSEL_I1E] = MICA_TILE_BESSEL_I1E,
    [MICA_OP_POPCOUNT] = MICA_TILE_POPCOUNT,
    [MICA_OP_COUNT_LEADING_ZEROS] = MICA_TILE_COUNT_LEADING_ZEROS,
    [MICA_OP_ATAN2] = MICA_TILE_ATAN2,
    [MICA_OP_HYPOT] = MICA_TILE_HYPOT,
    [MICA_OP_COPYSIGN] = MICA_TILE_COPYSIGN,
    [MICA_OP_NEXTAFTER] = MICA_TILE_NEXTAFTER,
    [MICA_OP_IGAMMA] = MICA_TILE_IGAMMA,
    [MICA_OP_IGAMMAC] = MICA_TILE_IGAMMAC,
    [MICA_OP_IGAMMA_SLOPE] = MICA_TILE_IGAMMA_SLOPE,
    [MICA_OP_SHIFT_LEFT] = MICA_TILE_SHIFT_LEFT,
    [MICA_OP_SHIFT_RIGHT_LOGICAL] = MICA_TILE_SHIFT_RIGHT_LOGICAL,
    [MICA_OP_SHIFT_RIGHT_ARITHMETIC] = MICA_TILE_SHIFT_RIGHT_ARITHMETIC,
    [MICA_OP_BETAINC] = MICA_TILE_BETAINC,
    [MICA_OP_BITCAST] = MICA_TILE_BITCAST,
    [MICA_OP_ADD] = MICA_TILE_ADD,
    [MICA_OP_SUB] = MICA_TILE_SUB,
    [MICA_OP_MUL] = MICA_TILE_MUL,
    [MICA_OP_DIV] = MICA_TILE_DIV,
    [MICA_OP_REM] = MICA_TILE_REM,
    [MICA_OP_POW] = MICA_TILE_POW,
    [MICA_OP_MAX] = MICA_TILE_MAX,
    [MICA_OP_MIN] = MICA_TILE_MIN,
    [MICA_OP_AND] = MICA_TILE_AND,
    [MICA_OP_OR] = MICA_TILE_OR,
    [MICA_OP_XOR] = MICA_TILE_XOR,
    [MICA_OP_SELECT] = MICA_TILE_SELECT,
    [MICA_OP_IOTA] = MICA_TILE_INDEX,
};

static const uint8_t compare_operators[] = {
    [MICA_COMPARE_EQ] = MICA_TILE_EQ, [MICA_COMPARE_NE] = MICA_TILE_NE,
    [MICA_COMPARE_LT] = MICA_TILE_LT, [MICA_COMPARE_LE] = MICA_TILE_LE,
    [MICA_COMPARE_GT] = MICA_TILE_GT, [MICA_COMPARE_GE] = MICA_TILE_GE,
};

static const uint8_t reduce_operators[] = {
    [MICA_REDUCE_SUM] = MICA_TILE_REDUCE_SUM, [MICA_REDUCE_PROD] = MICA_TILE_REDUCE_PROD,
    [MICA_REDUCE_MAX] = MICA_TILE_REDUCE_MAX, [MICA_REDUCE_MIN] = MICA_TILE_REDUCE_MIN,
    [MICA_REDUCE_AND] = MICA_TILE_REDUCE_AND, [MICA_REDUCE_OR] = MICA_TILE_REDUCE_OR,
};

bool mica_fusion_operator(const mica_plan *plan, uint32_t id, mica_tile_op *out_op) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  mica_op op = (mica_op)node->op;
  if (mica_shape_count(node->type.shape) == 0) return false;
  if (op == MICA_OP_COMPARE) {
    *out_op = (mica_tile_op)compare_operators[((const mica_compare_attr *)node->attr)->kind];
  } else if (op == MICA_OP_REDUCE) {
    *out_op = (mica_tile_op)reduce_operators[((const mica_reduce_attr *)node->attr)->kind];
    int64_t before = mica_shape_count(mica_plan_type(plan, operands[0]).shape);
    if (before == mica_shape_count(node->type.shape))
      return false; /* over axes of size 1, or over nothing */
    if (before == 0) return false;
  } else if (op == MICA_OP_GELU) {
    *out_op = ((const mica_gelu_attr *)node->attr)->tanh ? MICA_TILE_GELU_TANH : MICA_TILE_GELU;
  } else if (plain_operators[op] != 0) {
    *out_op = (mica_tile_op)plain_operators[op];
  } else {
    return false;
  }
  uint32_t source = op == MICA_OP_SELECT ? 1 : 0;
  mica_dtype from =
      node->operand_count > source ? mica_plan_type(plan, operands[source]).dtype : MICA_DTYPE_NONE;
  return mica_tile_supports(*out_op, node->type.dtype, from);
}

/* ---- users ------------------------------------------------------------------------------------ */

static void count_user(mica_fusion *fusion, uint32_t value, uint32_t user, bool fill) {
  if (fill)
    fusion->users[--fusion->user_first[value + 1]] = user;
  else
    fusion->user_first[value + 1]++;
}

/* Each value's readers; those that are results of something have user 0. */
static void visit_users(const mica_plan *plan, mica_fusion *fusion, bool fill) {
  const mica_graph *graph = plan->graph;
  for (uint32_t id = 1; id < graph->count; id++) {
    if (graph->nodes[id].op == MICA_OP_RESULT) continue;
    const uint32_t *operands = mica_node_operands(graph, &graph->nodes[id]);
    for (uint32_t i = 0; i < graph->nodes[id].operand_count; i++)
      count_user(fusion, operands[i], id, fill);
  }
  for (uint32_t r = 1; r < graph->region_count; r++)
    for (uint32_t i = 0; i < graph->regions[r].result_count; i++)
      count_user(fusion, graph->regions[r].results[i], 0, fill);
  for (uint32_t i = 0; i < graph->output_count; i++) count_user(fusion, graph->outputs[i], 0, fill);
  for (uint32_t i = 0; i < graph->variable_count; i++)
    if (graph->variables[i].assign != 0) count_user(fusion, graph->variables[i].assign, 0, fill);
}

/* user_first[v] .. user_first[v + 1] in users, by counting sort. */
static bool find_users(mica_plan *plan, mica_fusion *fusion) {
  uint32_t count = plan->graph->count;
  fusion->user_first =
      mica_arena_allocate_zeroed(&plan->arena, (size_t)count + 2, sizeof(uint32_t));
  if (fusion->user_first == NULL) return false;
  visit_users(plan, fusion, false);
  for (uint32_t id = 0; id <= count; id++) fusion->user_first[id + 1] += fusion->user_first[id];
  uint32_t total = fusion->user_first[count];
  fusion->users = mica_arena_allocate(&plan->arena, ((size_t)total + 1) * sizeof(uint32_t));
  fusion->waiting = mica_arena_allocate(&plan->arena, (WALK_LIMIT + 1) * sizeof(uint32_t));
  if (fusion->users == NULL || fusion->waiting == NULL) return false;
  visit_users(plan, fusion, true);
  /* Filling counted each end down to its begin: user_first[v + 1] now begins v. */
  for (uint32_t id = 0; id < count; id++) fusion->user_first[id] = fusion->user_first[id + 1];
  fusion->user_first[count] = total;
  return true;
}

/* ---- how a value is read ---------------------------------------------------------------------- */

enum { USES_LIMIT = 64, USE_GROUPS = 4 };

/* The readers of a value behind operators that only change its view. */
typedef struct {
  uint32_t consumer[USES_LIMIT], operand[USES_LIMIT]; /* the member and the id that it names */
  uint32_t count;
  bool outside;                /* somebody needs it in memory */
  uint32_t groups[USE_GROUPS]; /* that read it */
  uint32_t group_count;
} value_uses;

static void add_use(const mica_fusion *fusion, uint32_t consumer, uint32_t operand,
                    value_uses *uses) {
  uint32_t group = consumer == 0 ? MICA_PLAN_NONE : fusion->group[consumer];
  if (group == MICA_PLAN_NONE || uses->count == USES_LIMIT) {
    uses->outside = true;
    return;
  }
  uses->consumer[uses->count] = consumer;
  uses->operand[uses->count++] = operand;
  for (uint32_t i = 0; i < uses->group_count; i++)
    if (uses->groups[i] == group) return;
  if (uses->group_count == USE_GROUPS)
    uses->outside = true;
  else
    uses->groups[uses->group_count++] = group;
}

static void find_uses(const mica_plan *plan, uint32_t id, value_uses *uses) {
  const mica_fusion *fusion = plan->fusion;
  uint32_t waiting[USES_LIMIT], count = 1;
  waiting[0] = id;
  uses->count = uses->group_count = 0;
  uses->outside = false;
  while (count > 0) {
    uint32_t value = waiting[--count];
    for (uint32_t i = fusion->user_first[value]; i < fusion->user_first[value + 1]; i++) {
      uint32_t user = fusion->users[i];
      if (user == 0 || !mica_op_is_view((mica_op)plan->graph->nodes[user].op))
        add_use(fusion, user, value, uses);
      else if (count < USES_LIMIT)
        waiting[count++] = user;
      else
        uses->outside = true;
    }
  }
}

/* ---- joining ---------------------------------------------------------------------------------- */

static void space_of_shape(mica_fusion_space *space, mica_shape shape) {
  *space = (mica_fusion_space){0};
  for (int32_t axis = 0; axis < shape.rank; axis++)
    if (shape.dim[axis] != 1) space->size[space->rank++] = shape.dim[axis];
}

static bool same_axes(const mica_fusion_space *space, const bool reduced[MICA_MAX_RANK]) {
  return memcmp(space->reduced, reduced, (size_t)space->rank * sizeof(bool)) == 0;
}

/* A reduction that `id` is computed from, element by element, without another reduction in between. */
static uint32_t reduction_behind(const mica_plan *plan, uint32_t id) {
  uint32_t waiting[LOOK_AHEAD], count = 1, looked = 0;
  int64_t elements = mica_shape_count(mica_plan_type(plan, id).shape);
  waiting[0] = id;
  while (count > 0 && looked++ < LOOK_AHEAD) {
    mica_view view;
    uint32_t at = mica_plan_trace(plan, waiting[--count], &view);
    mica_tile_op op;
    if (mica_shape_count(mica_plan_type(plan, at).shape) != elements) continue;
    if (!mica_fusion_operator(plan, at, &op)) continue;
    const mica_node *node = mica_node_at(plan->graph, at);
    if (node->op == MICA_OP_REDUCE) return at;
    const uint32_t *operands = mica_node_operands(plan->graph, node);
    for (uint32_t i = 0; i < node->operand_count && count < LOOK_AHEAD; i++)
      waiting[count++] = operands[i];
  }
  return 0;
}

/* The space refined by what the reduction `id` reduces, and its reduced axes. */
static bool reduction_space(const mica_plan *plan, uint32_t id, mica_fusion_space *space,
                            bool reduced[MICA_MAX_RANK]) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const mica_reduce_attr *attr = node->attr;
  mica_shape shape = mica_plan_type(plan, mica_node_operands(plan->graph, node)[0]).shape;
  return mica_space_refine(space, shape, false) &&
         mica_space_reduced_axes(space, shape, &attr->axes, reduced);
}

/* Whether the rows along the reduced axes lie together and stay in the cache. */
static bool has_short_rows(const mica_fusion_space *space, const bool reduced[MICA_MAX_RANK]) {
  int64_t row = 1;
  for (int32_t axis = 0; axis < space->rank; axis++) row *= reduced[axis] ? space->size[axis] : 1;
  return space->rank > 0 && reduced[space->rank - 1] && row <= ROW_ELEMENTS;
}

/* How a value may be a member of a group. */
typedef struct {
  mica_fusion_space space;
  bool reduces;
  mica_fusion_role role;
  bool turns; /* the group's full members become reduced: it only works on the reduction's result */
} membership;

/* How consumer `c` of the group reads the view of `id`: full, reduced, or not as a member (none). */
static mica_fusion_role role_of_use(const mica_plan *plan, uint32_t id, uint32_t consumer,
                                    uint32_t operand, const mica_fusion_space *space,
                                    const bool reduced[MICA_MAX_RANK]) {
  mica_view view;
  if (mica_plan_trace(plan, operand, &view) != id) return MICA_ROLE_NONE;
  mica_shape shape = mica_plan_type(plan, operand).shape;
  bool over_all = plan->graph->nodes[consumer].op == MICA_OP_REDUCE ||
                  plan->fusion->role[consumer] == MICA_ROLE_FULL;
  bool same = view.offset == 0 && mica_view_is_dense(&view, shape) &&
              mica_shape_count(shape) == mica_shape_count(mica_plan_type(plan, id).shape);
  if (same) return over_all ? MICA_ROLE_FULL : MICA_ROLE_REDUCED;
  return over_all && mica_space_repeats(space, reduced, &view, shape) ? MICA_ROLE_REDUCED
                                                                      : MICA_ROLE_NONE;
}

/* Whether `id` can be a member of the group, from all its uses there. */
static bool find_membership(const mica_plan *plan, uint32_t id, uint32_t index,
                            const value_uses *uses, membership *out) {
  const mica_fusion *fusion = plan->fusion;
  const mica_fusion_group *group = &fusion->groups[index];
  const mica_node *node = mica_node_at(plan->graph, id);
  bool reduced[MICA_MAX_RANK] = {0};
  if (group->count >= GROUP_MEMBERS || group->loads + node->operand_count > GROUP_LOADS)
    return false;
  *out = (membership){.space = group->space, .reduces = group->reduces};
  memcpy(reduced, group->space.reduced, sizeof(reduced));
  uint32_t reduction = node->op == MICA_OP_REDUCE ? id : 0;
  bool repeated = false;
  mica_fusion_role role = MICA_ROLE_NONE;
  for (uint32_t i = 0; i < uses->count; i++) {
    if (fusion->group[uses->consumer[i]] != index) continue;
    mica_fusion_role here =
        role_of_use(plan, id, uses->consumer[i], uses->operand[i], &out->space, reduced);
    if (here != MICA_ROLE_FULL) {
      /* It must come from a reduction whose axes are the group's, or become them. */
      mica_fusion_space space = out->space;
      if (reduction == 0) reduction = reduction_behind(plan, id);
      if (reduction == 0 || !reduction_space(plan, reduction, &space, reduced)) return false;
      if (group->reduces && !same_axes(&space, reduced)) return false;
      out->space = space;
      here = role_of_use(plan, id, uses->consumer[i], uses->operand[i], &space, reduced);
      if (here == MICA_ROLE_NONE) return false;
      bool over_all = plan->graph->nodes[uses->consumer[i]].op == MICA_OP_REDUCE ||
                      fusion->role[uses->consumer[i]] == MICA_ROLE_FULL;
      repeated |= over_all && here == MICA_ROLE_REDUCED;
    }
    if (role != MICA_ROLE_NONE && role != here) return false;
    role = here;
  }
  if (role == MICA_ROLE_NONE) return false;
  if (role == MICA_ROLE_FULL) {
    if (node->op != MICA_OP_REDUCE) {
      out->role = role;
      return mica_space_refine(&out->space, node->type.shape, false);
    }
    /* The group works on what the reduction gives: its space becomes the reduction's. */
    if (group->reduces || group->host != 0) return false;
    mica_fusion_space space;
    space_of_shape(&space, mica_plan_type(plan, mica_node_operands(plan->graph, node)[0]).shape);
    if (!reduction_space(plan, id, &space, reduced)) return false;
    memcpy(space.reduced, reduced, sizeof(space.reduced));
    if (!mica_space_refine(&space, mica_space_shape(&group->space, false), true)) return false;
    *out = (membership){space, true, MICA_ROLE_REDUCED, true};
    return true;
  }
  if (repeated && !has_short_rows(&out->space, reduced)) return false;
  memcpy(out->space.reduced, reduced, sizeof(reduced));
  out->reduces = true;
  out->role = role;
  return node->op == MICA_OP_REDUCE || mica_space_refine(&out->space, node->type.shape, true);
}

static void add_member(mica_plan *plan, uint32_t id, uint32_t index, const membership *as,
                       bool stored) {
  mica_fusion *fusion = plan->fusion;
  mica_fusion_group *group = &fusion->groups[index];
  if (as->turns)
    for (uint32_t member = group->first; member != 0; member = fusion->next[member])
      fusion->role[member] = MICA_ROLE_REDUCED;
  group->space = as->space;
  group->reduces = as->reduces;
  group->loads += plan->graph->nodes[id].operand_count;
  if (group->count > 0 && group->loads > 0) group->loads--;
  if (group->count == 0) group->last = id;
  fusion->next[id] = group->first;
  group->first = id;
  group->count++;
  fusion->group[id] = index;
  fusion->role[id] = (uint8_t)as->role;
  fusion->stored[id] = stored;
}

/* ---- cycles ----------------------------------------------------------------------------------- */

typedef struct {
  uint32_t *waiting;
  uint32_t count, looked;
} dependency_walk;

static void walk_axis_to(const mica_plan *plan, dependency_walk *walk, uint32_t id) {
  mica_fusion *fusion = plan->fusion;
  if (fusion->mark[id] == fusion->walk || walk->looked >= WALK_LIMIT) return;
  fusion->mark[id] = fusion->walk;
  walk->waiting[walk->count++] = id;
  walk->looked++;
}

static void walk_operands(const mica_plan *plan, dependency_walk *walk, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  for (uint32_t i = 0; i < node->operand_count; i++) walk_axis_to(plan, walk, operands[i]);
}

/* Whether the group reads, through nodes outside of it, what is computed from `id`. Steps of a group run
 * together, so that a walk that meets a member follows all of them. */
static bool group_waits_for(mica_plan *plan, uint32_t index, uint32_t id) {
  mica_fusion *fusion = plan->fusion;
  const mica_graph *graph = plan->graph;
  dependency_walk walk = {.waiting = fusion->waiting};
  fusion->walk++;
  for (uint32_t member = fusion->groups[index].first; member != 0; member = fusion->next[member])
    fusion->mark[member] = fusion->walk;
  fusion->mark[id] = fusion->walk; /* being read by members is no reason to wait */
  for (uint32_t member = fusion->groups[index].first; member != 0; member = fusion->next[member])
    walk_operands(plan, &walk, member);
  while (walk.count > 0 && walk.looked < WALK_LIMIT) {
    uint32_t at = walk.waiting[--walk.count];
    if (graph->nodes[at].op == MICA_OP_RESULT) {
      uint32_t result;
      uint32_t owner = mica_owner_of_result(graph, at, &result);
      if (owner == id) return true; /* by another result */
      walk_axis_to(plan, &walk, owner);
      continue;
    }
    uint32_t other = fusion->group[at],
             last = other == MICA_PLAN_NONE ? at : fusion->groups[other].last;
    if (last < id) continue;
    uint32_t first = other == MICA_PLAN_NONE ? at : fusion->groups[other].first;
    for (uint32_t member = first; member != 0;
         member = other == MICA_PLAN_NONE ? 0 : fusion->next[member]) {
      const mica_node *node = mica_node_at(graph, member);
      const uint32_t *operands = mica_node_operands(graph, node);
      for (uint32_t i = 0; i < node->operand_count; i++) {
        if (operands[i] == id || fusion->group[operands[i]] == index) return true;
        walk_axis_to(plan, &walk, operands[i]);
      }
    }
  }
  return walk.looked >= WALK_LIMIT;
}

/* ---- the pass --------------------------------------------------------------------------------- */

void mica_fusion_begin(mica_plan *plan, uint32_t id) {
  mica_fusion *fusion = plan->fusion;
  const mica_node *node = mica_node_at(plan->graph, id);
  if (!mica_grow(&plan->allocator, &fusion->groups, &fusion->group_capacity,
                 (size_t)fusion->group_count + 1, sizeof(*fusion->groups))) {
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
    return;
  }
  membership as = {.role = MICA_ROLE_FULL};
  space_of_shape(&as.space, node->type.shape);
  if (node->op == MICA_OP_REDUCE) {
    bool reduced[MICA_MAX_RANK] = {0};
    space_of_shape(&as.space, mica_plan_type(plan, mica_node_operands(plan->graph, node)[0]).shape);
    if (!reduction_space(plan, id, &as.space, reduced)) return;
    memcpy(as.space.reduced, reduced, sizeof(reduced));
    as.reduces = true;
    as.role = MICA_ROLE_REDUCED;
  }
  fusion->groups[fusion->group_count] = (mica_fusion_group){0};
  add_member(plan, id, fusion->group_count++, &as, true);
}

static void place_node(mica_plan *plan, uint32_t id) {
  mica_tile_op op;
  if (!mica_fusion_operator(plan, id, &op)) return;
  value_uses uses;
  membership as;
  find_uses(plan, id, &uses);
  if (plan->fuse && !uses.outside && uses.group_count == 1 && !mica_fusion_generates(plan, id) &&
      find_membership(plan, id, uses.groups[0], &uses, &as)) {
    add_member(plan, id, uses.groups[0], &as, false);
    return;
  }
  /* Whoever counts can do so anywhere. */
  if (mica_fusion_generates(plan, id) && !uses.outside && plan->fuse) return;
  if (!uses.outside && uses.count == 0) return; /* nobody reads it */
  for (uint32_t i = 0; i < uses.group_count && plan->fuse && !mica_fusion_generates(plan, id); i++)
    if (find_membership(plan, id, uses.groups[i], &uses, &as) && !as.turns &&
        !group_waits_for(plan, uses.groups[i], id)) {
      add_member(plan, id, uses.groups[i], &as, true);
      return;
    }
  mica_fusion_begin(plan, id);
}

/* Whether a group is small enough to run on blocks: with many arrays, rows of a block are too short for
 * the memory system, and a pass of its own is as fast. */
static bool suits_blocks(const mica_plan *plan, const mica_fusion_group *group, int64_t elements) {
  uint32_t arrays = 0;
  if (group->count > BLOCK_MEMBERS) return false;
  for (uint32_t id = group->first; id != 0; id = plan->fusion->next[id]) {
    const mica_node *node = mica_node_at(plan->graph, id);
    const uint32_t *operands = mica_node_operands(plan->graph, node);
    arrays += plan->fusion->stored[id];
    for (uint32_t i = 0; i < node->operand_count; i++) {
      mica_view view;
      uint32_t source = mica_plan_trace(plan, operands[i], &view);
      arrays += plan->fusion->group[source] == MICA_PLAN_NONE &&
                mica_shape_count(mica_plan_type(plan, source).shape) >= elements;
    }
  }
  return arrays <= BLOCK_ARRAYS;
}

/* A product that a group reads element by element: the group works on its blocks before they leave the
 * cache. When others read the product too, they wait for the group. */
static void find_host(mica_plan *plan, uint32_t id) {
  mica_fusion *fusion = plan->fusion;
  value_uses uses;
  mica_fusion_space none = {0};
  bool reduced[MICA_MAX_RANK] = {0};
  if (!mica_product_fits(plan, id)) return;
  find_uses(plan, id, &uses);
  for (uint32_t g = 0; g < uses.group_count; g++) {
    mica_fusion_group *group = &fusion->groups[uses.groups[g]];
    bool fits = !group->reduces && group->host == 0;
    for (uint32_t i = 0; i < uses.count && fits; i++)
      if (fusion->group[uses.consumer[i]] == uses.groups[g])
        fits = role_of_use(plan, id, uses.consumer[i], uses.operand[i], &none, reduced) ==
               MICA_ROLE_FULL;
    bool keeps = uses.outside || uses.group_count > 1;
    fits = fits && suits_blocks(plan, group, mica_shape_count(mica_plan_type(plan, id).shape));
    bool may_wait = keeps || mica_node_at(plan->graph, id)->result_count > 1;
    if (!fits || (may_wait && group_waits_for(plan, uses.groups[g], id))) continue;
    group->host = id;
    group->keeps_host = keeps;
    fusion->hosted[id] = uses.groups[g];
    return;
  }
}

void mica_plan_fuse(mica_plan *plan) {
  if (!mica_plan_good(plan)) return;
  size_t count = (size_t)plan->graph->count + 1;
  mica_fusion *fusion = mica_arena_allocate_zeroed(&plan->arena, 1, sizeof(*fusion));
  if (fusion != NULL) {
    fusion->group = mica_arena_allocate(&plan->arena, count * sizeof(uint32_t));
    fusion->role = mica_arena_allocate_zeroed(&plan->arena, count, sizeof(uint8_t));
    fusion->stored = mica_arena_allocate_zeroed(&plan->arena, count, sizeof(bool));
    fusion->hosted = mica_arena_allocate(&plan->arena, count * sizeof(uint32_t));
    fusion->next = mica_arena_allocate_zeroed(&plan->arena, count, sizeof(uint32_t));
    fusion->mark = mica_arena_allocate_zeroed(&plan->arena, count, sizeof(uint32_t));
  }
  if (fusion == NULL || fusion->group == NULL || fusion->role == NULL || fusion->stored == NULL ||
      fusion->hosted == NULL || fusion->next == NULL || fusion->mark == NULL ||
      !find_users(plan, fusion)) {
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
    return;
  }
  plan->fusion = fusion;
  for (size_t i = 0; i < count; i++) fusion->group[i] = fusion->hosted[i] = MICA_PLAN_NONE;
  for (uint32_t id = plan->graph->count; id-- > 1 && mica_plan_good(plan);)
    if (plan->graph->nodes[id].op != MICA_OP_RESULT) place_node(plan, id);
  for (uint32_t id = 1; id < plan->graph->count && plan->fuse && mica_plan_good(plan); id++)
    find_host(plan, id);
}
