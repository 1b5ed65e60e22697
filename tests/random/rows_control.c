/* SPDX-License-Identifier: Apache-2.0 */
/* rows_control.c: blocks and barriers, operators of the host's, derivatives of values made so far. */
#include <math.h>
#include <string.h>

#include "random/generator.h"

enum { STATES = 3 };

/* ---- frames: what a block sees and what it leaves ------------------------------------------------- */

typedef struct {
  size_t count, base;
} frame;
static frame enter(generator *g) {
  g->depth++;
  return (frame){g->count, g->base};
}
/* Values of a block are gone after it; those in front of it stay used. */
static void leave(generator *g, frame f) {
  g->depth--;
  g->count = f.count;
  g->base = f.base;
}
static void body(generator *g) { random_statements(g, 1 + random_draw(g, 4)); }

/* A result: the newest value of the block, or any in sight. */
static pool_entry result_of(generator *g, frame f) {
  if (g->count > f.count && random_draw(g, 4)) {
    pool_entry *x = &g->pool[g->count - 1 - random_draw(g, 2) % (g->count - f.count)];
    x->used = true;
    return *x;
  }
  return random_pick(g, ANY_DTYPE);
}
static pool_entry result_typed(generator *g, frame f, mica_type type) {
  pool_entry x = result_of(g, f);
  x.value = random_as(g, x.value, type.dtype);
  if (mica_dtype_of(x.value) != type.dtype) return random_pick_typed(g, type);
  x = random_mild(g, x);
  x.value = random_fit(g, x.value, type.shape);
  return x;
}
static size_t pick_operands(generator *g, mica_value *in, double *bound, size_t least,
                            size_t most) {
  size_t count = least + random_draw(g, (uint32_t)(most - least + 1));
  for (size_t i = 0; i < count; i++) {
    pool_entry x = random_mild(g, random_pick(g, ANY_DTYPE));
    in[i] = x.value;
    bound[i] = x.bound;
  }
  return count;
}

/* ---- loops ------------------------------------------------------------------------------------------ */

static bool make_while(generator *g) {
  mica_value state[STATES] = {mica_scalar(g->graph, MICA_I32, 0)}, final[STATES] = {{0}};
  double bound[STATES];
  size_t count = 1 + pick_operands(g, state + 1, bound + 1, 1, STATES - 1);
  mica_type type[STATES];
  for (size_t i = 0; i < count; i++) type[i] = mica_type_of(state[i]);
  mica_value rounds = mica_scalar(g->graph, MICA_I32, random_draw(g, 4));
  if (random_draw(g, 2)) {
    pool_entry most = random_pick(g, ANY_INTEGER | DTYPE_BIT(MICA_BOOL));
    most.value = random_fit(g, random_as(g, most.value, MICA_I32), MICA_SCALAR);
    rounds = mica_abs(mica_rem(most.value, 4));
  }
  bool unbounded = g->plan->modes == FORWARD_ONLY && !g->closed_gradient && random_draw(g, 2);
  mica_region loop = mica_while_begin(g->graph, state, count, unbounded ? 0 : 4);
  frame f = enter(g);
  for (size_t i = 1; i < count; i++) random_push(g, mica_argument(loop, i), 8);
  mica_value go = mica_less(mica_argument(loop, 0), rounds);
  if (random_chance(g, 30)) {
    random_statements(g, 1);
    mica_value more = random_fit(g, random_pick_as(g, MICA_BOOL).value, MICA_SCALAR);
    go = mica_and(go, more);
  }
  mica_while_body(loop, go);
  leave(g, f);
  f = enter(g);
  mica_value next[STATES] = {mica_add(mica_argument(loop, 0), 1)};
  for (size_t i = 1; i < count; i++) random_push(g, mica_argument(loop, i), 8);
  body(g);
  for (size_t i = 1; i < count; i++) next[i] = result_typed(g, f, type[i]).value;
  mica_while_end(loop, next, final);
  leave(g, f);
  for (size_t i = 0; i < count; i++) random_push(g, final[i], 8);
  return true;
}

static bool make_scan(generator *g) {
  mica_value carry[STATES], items[STATES], emit[STATES], last[STATES] = {{0}}, all[STATES] = {{0}};
  double bound[STATES], emit_bound[STATES];
  mica_type type[STATES];
  int64_t length = random_chance(g, 5) && !g->plan->smooth ? 0 : random_between(g, 1, 4);
  size_t carries = pick_operands(g, carry, bound, 0, 2);
  for (size_t i = 0; i < carries; i++) type[i] = mica_type_of(carry[i]);
  size_t item_count = random_draw(g, 3);
  for (size_t i = 0; i < item_count; i++) {
    pool_entry x = random_mild(g, random_pick_ranked(g, ANY_DTYPE, 1, 3));
    mica_shape shape = mica_shape_of(x.value);
    shape.dim[0] = length;
    if (!random_has_room(g, shape)) return false;
    items[i] = random_fit(g, x.value, shape);
    bound[i] = x.bound;
  }
  mica_region scan =
      mica_scan_begin_count(g->graph, carry, carries, items, item_count, length, random_draw(g, 2));
  frame f = enter(g);
  for (size_t i = 0; i < carries + item_count; i++) random_push(g, mica_argument(scan, i), 8);
  body(g);
  mica_value next[STATES];
  for (size_t i = 0; i < carries; i++) next[i] = result_typed(g, f, type[i]).value;
  size_t emits = random_draw(g, 3);
  if (!carries && !emits) emits = 1;
  for (size_t i = 0; i < emits; i++) {
    pool_entry x = result_of(g, f);
    mica_shape shape = mica_shape_of(x.value);
    if (!random_has_room(g, shape) || shape.rank > 4)
      x = random_pick_typed(g, (mica_type){g->plan->base, MICA_DIMS(2)});
    emit[i] = x.value, emit_bound[i] = x.bound;
  }
  mica_scan_end(scan, next, emit, emits, last, all);
  leave(g, f);
  for (size_t i = 0; i < carries; i++) random_push(g, last[i], 8);
  for (size_t i = 0; i < emits; i++) random_push(g, all[i], emit_bound[i]);
  return true;
}

/* ---- choices ------------------------------------------------------------------------------------------ */

/* One block's results of the types of the first one's. */
static size_t branch(generator *g, bool first, mica_type *type, size_t count, mica_value *out,
                     double *bound) {
  frame f = enter(g);
  body(g);
  if (first) count = 1 + random_draw(g, 2);
  for (size_t i = 0; i < count; i++) {
    pool_entry x = first ? result_of(g, f) : result_typed(g, f, type[i]);
    if (first) type[i] = mica_type_of(x.value);
    bound[i] = first ? x.bound : fmax(bound[i], x.bound);
    out[i] = x.value;
  }
  leave(g, f);
  return count;
}
static bool make_if(generator *g) {
  mica_value c = random_fit(g, random_pick_as(g, MICA_BOOL).value, MICA_SCALAR);
  mica_value result[STATES], out[STATES] = {{0}};
  mica_type type[STATES];
  double bound[STATES];
  mica_region choice = mica_if_begin(c);
  size_t count = branch(g, true, type, 0, result, bound);
  mica_if_else(choice, result, count);
  branch(g, false, type, count, result, bound);
  mica_if_end(choice, result, count, out);
  for (size_t i = 0; i < count; i++) random_push(g, out[i], bound[i]);
  return true;
}
static bool make_switch(generator *g) {
  uint32_t cases = 1 + random_draw(g, 3);
  mica_value index = random_index(g, MICA_SCALAR, cases), result[STATES], out[STATES] = {{0}};
  mica_type type[STATES];
  double bound[STATES];
  mica_region choice = mica_switch_begin(index);
  size_t count = branch(g, true, type, 0, result, bound);
  for (uint32_t i = 1; i < cases; i++) {
    mica_switch_next(choice, result, count);
    branch(g, false, type, count, result, bound);
  }
  mica_switch_end(choice, result, count, out);
  for (size_t i = 0; i < count; i++) random_push(g, out[i], bound[i]);
  return true;
}

/* ---- blocks that run once -------------------------------------------------------------------------- */

static bool block_of(generator *g, bool again) {
  mica_value in[STATES], result[STATES], out[STATES] = {{0}};
  double bound[STATES], result_bound[STATES];
  size_t count = pick_operands(g, in, bound, 0, 2);
  mica_region block =
      again ? mica_recompute_begin(g->graph, in, count) : mica_call_begin(g->graph, in, count);
  frame f = enter(g);
  for (size_t i = 0; i < count; i++) random_push(g, mica_argument(block, i), bound[i]);
  body(g);
  size_t results = 1 + random_draw(g, 2);
  for (size_t i = 0; i < results; i++) {
    pool_entry x = result_of(g, f);
    result[i] = x.value, result_bound[i] = x.bound;
  }
  if (again)
    mica_recompute_end(block, result, results, out);
  else
    mica_call_end(block, result, results, out);
  leave(g, f);
  for (size_t i = 0; i < results; i++) random_push(g, out[i], result_bound[i]);
  return true;
}
static bool make_call(generator *g) { return block_of(g, false); }
static bool make_recompute(generator *g) { return block_of(g, true); }

/* The gradient that the block would have anyway: the block once more, from the same words, and its vjp. It
 * sees its arguments only, since what it captured would get no gradient. */
static bool make_custom_gradient(generator *g) {
  if (g->plan->modes != REVERSE_ONLY || g->closed_gradient) return false;
  mica_value in[2], again[2], result, gradient[2] = {{0}}, out = {0};
  size_t count = 1 + random_draw(g, 2), at = 0;
  double bound[2], result_bound = 0;
  for (size_t i = 0; i < count; i++) {
    pool_entry x = random_mild(g, random_pick(g, ANY_FLOAT));
    in[i] = x.value, bound[i] = x.bound;
  }
  mica_region block = mica_custom_gradient_begin(g->graph, in, count);
  g->closed_gradient = true;
  int derivatives = g->derivatives, made = g->made;
  g->derivatives = 9; /* none inside */
  for (int pass = 0; pass < 2; pass++) {
    frame f = enter(g);
    if (pass == 0)
      at = g->at;
    else
      g->at = at, g->made = made;
    g->base = g->count;
    for (size_t i = 0; i < count; i++) random_push(g, again[i] = mica_argument(block, i), bound[i]);
    body(g);
    pool_entry x = random_mild(g, random_pick(g, ANY_FLOAT));
    result = x.value, result_bound = x.bound;
    leave(g, f);
    if (pass == 0) {
      mica_custom_gradient_backward(block, &result, 1);
    } else {
      mica_value cotangent = mica_argument(block, count);
      mica_vjp(&result, &cotangent, 1, again, count, gradient);
    }
  }
  g->closed_gradient = false;
  g->derivatives = derivatives;
  mica_custom_gradient_end(block, gradient, &out, 1);
  random_push(g, out, result_bound);
  return true;
}

static bool make_vmap(generator *g) {
  if (g->batch > 8) return false;
  pool_entry x = random_pick_ranked(g, ANY_DTYPE, 1, 3);
  mica_value in[STATES] = {x.value}, result[STATES], out[STATES] = {{0}};
  int32_t axis[STATES] = {(int32_t)random_draw(g, (uint32_t)mica_rank_of(x.value))};
  int64_t size = mica_dim_of(x.value, axis[0]), kept = g->batch;
  if (size == 0 || size > 12) return false;
  double bound[STATES] = {x.bound}, result_bound[STATES];
  size_t count = 1 + pick_operands(g, in + 1, bound + 1, 0, 2);
  for (size_t i = 1; i < count; i++) {
    axis[i] = -1;
    for (int32_t a = 0; a < mica_rank_of(in[i]); a++)
      if (mica_dim_of(in[i], a) == size) axis[i] = a;
  }
  mica_region each = mica_vmap_begin(g->graph, in, axis, count);
  frame f = enter(g);
  g->batch *= size;
  g->vmaps++;
  for (size_t i = 0; i < count; i++) random_push(g, mica_argument(each, i), bound[i]);
  body(g);
  size_t results = 1 + random_draw(g, 2);
  for (size_t i = 0; i < results; i++) {
    pool_entry y = result_of(g, f);
    mica_shape shape = mica_shape_of(y.value);
    if (!random_has_room(g, shape) || shape.rank > 4)
      y = random_pick_typed(g, (mica_type){g->plan->base, MICA_DIMS(2)});
    result[i] = y.value, result_bound[i] = y.bound;
  }
  g->batch = kept;
  g->vmaps--;
  mica_vmap_end(each, result, results, out);
  leave(g, f);
  for (size_t i = 0; i < results; i++) random_push(g, out[i], result_bound[i]);
  return true;
}

static bool make_barrier(generator *g) {
  mica_value in[STATES], out[STATES] = {{0}};
  double bound[STATES];
  size_t count = pick_operands(g, in, bound, 1, STATES);
  mica_emit_results(g->graph, MICA_OP_BARRIER, in, count, NULL, out, count);
  for (size_t i = 0; i < count; i++) random_push(g, out[i], bound[i]);
  return true;
}

/* ---- the host's ---------------------------------------------------------------------------------------- */

static bool make_custom(generator *g) {
  pool_entry x = random_mild(g, random_pick(g, WIDE_FLOAT));
  mica_value in[2] = {x.value, random_pick_typed(g, mica_type_of(x.value)).value}, out[2] = {{0}};
  mica_custom(random_custom(random_draw(g, 2)), in, 2, random_draw(g, 2) ? "three" : NULL, out, 2);
  random_push(g, out[0], 512);
  random_push(g, out[1], 32);
  return true;
}
/* Its results have no derivative: in smooth programs nobody uses them. */
static bool make_custom_effect(generator *g) {
  pool_entry x = random_mild(g, random_pick(g, WIDE_FLOAT));
  mica_value in[2] = {x.value, random_pick_typed(g, mica_type_of(x.value)).value}, out[2] = {{0}};
  mica_custom(random_custom(2), in, 2, NULL, out, 2);
  if (g->plan->smooth) return true;
  random_push(g, out[0], 512);
  random_push(g, out[1], 32);
  return true;
}
static bool make_assert(generator *g) {
  mica_value x = random_pick_as(g, MICA_BOOL).value;
  random_push(g, mica_assert(mica_or(x, mica_not(x)), "either"), 0);
  return true;
}

/* ---- derivatives ------------------------------------------------------------------------------------------ */

static bool backward_allowed(const generator *g) { return g->plan->modes != FORWARD_ONLY; }
static bool forward_allowed(const generator *g) { return g->plan->modes != REVERSE_ONLY; }

/* Floats in sight, not so many that the cotangents outgrow the program. */
static size_t pick_floats(generator *g, mica_value *out, size_t most) {
  size_t count = 1 + random_draw(g, (uint32_t)most);
  for (size_t i = 0; i < count; i++) out[i] = random_pick(g, ANY_FLOAT).value;
  return count;
}
static mica_value scalar_of(generator *g) {
  pool_entry y = random_mild(g, random_pick(g, ANY_FLOAT));
  mica_value x = random_draw(g, 2) ? mica_sin(y.value) : y.value;
  return mica_reduce_sum(x, MICA_ALL);
}
static bool make_gradients(generator *g) {
  if (!backward_allowed(g)) return false;
  mica_value x[2], out[2] = {{0}}, loss = scalar_of(g);
  size_t count = pick_floats(g, x, 2);
  g->derivatives++;
  mica_gradients(loss, x, count, out);
  for (size_t i = 0; i < count; i++) random_push(g, out[i], (double)INFINITY);
  return true;
}
static bool make_vjp(generator *g) {
  if (!backward_allowed(g)) return false;
  mica_value y[2], cotangent[2], x[2], out[2] = {{0}};
  size_t y_count = pick_floats(g, y, 2), x_count = pick_floats(g, x, 2);
  for (size_t i = 0; i < y_count; i++)
    cotangent[i] = random_pick_typed(g, mica_type_of(y[i])).value;
  g->derivatives++;
  mica_vjp(y, cotangent, y_count, x, x_count, out);
  for (size_t i = 0; i < x_count; i++) random_push(g, out[i], (double)INFINITY);
  return true;
}
static bool make_jvp(generator *g) {
  if (!forward_allowed(g)) return false;
  mica_value y[2], tangent[2], x[2], out[2] = {{0}};
  size_t y_count = pick_floats(g, y, 2), x_count = pick_floats(g, x, 2);
  for (size_t i = 0; i < x_count; i++) tangent[i] = random_pick_typed(g, mica_type_of(x[i])).value;
  g->derivatives++;
  mica_jvp(y, y_count, x, tangent, x_count, out);
  for (size_t i = 0; i < y_count; i++) random_push(g, out[i], (double)INFINITY);
  return true;
}
/* Full matrices of small values. */
static bool jacobian(generator *g, bool forward) {
  mica_value x = random_pick(g, ANY_FLOAT).value;
  mica_value y = random_fit(g, random_mild(g, random_pick(g, ANY_FLOAT)).value, MICA_DIMS(2));
  if (mica_shape_count(mica_shape_of(x)) > 12 || g->batch > 4 || mica_rank_of(x) > 3) return false;
  g->derivatives++;
  random_push(g, forward ? mica_jacobian_forward(y, x) : mica_jacobian(y, x), (double)INFINITY);
  return true;
}
static bool make_jacobian(generator *g) { return backward_allowed(g) && jacobian(g, false); }
static bool make_jacobian_forward(generator *g) { return forward_allowed(g) && jacobian(g, true); }
static bool make_hessian(generator *g) {
  if (!backward_allowed(g) || !forward_allowed(g) || g->derivatives) return false;
  mica_value x = random_pick(g, ANY_FLOAT).value, loss = scalar_of(g);
  if (mica_shape_count(mica_shape_of(x)) > 9 || g->batch > 1 || mica_rank_of(x) > 3) return false;
  g->derivatives += 2;
  random_push(g, mica_hessian(loss, x), (double)INFINITY);
  return true;
}

const random_row random_control_rows[] = {
    {"while", make_while, ROW_REGION, 4},
    {"if", make_if, ROW_REGION, 3},
    {"switch", make_switch, ROW_REGION, 3},
    {"scan", make_scan, ROW_REGION, 5},
    {"call", make_call, ROW_REGION, 3},
    {"recompute", make_recompute, ROW_REGION, 3},
    {"custom_gradient", make_custom_gradient, ROW_REGION, 6},
    {"vmap", make_vmap, ROW_REGION, 8},
    {"barrier", make_barrier, 0, 0},
    {"custom", make_custom, 0, 0},
    {"custom_effect", make_custom_effect, 0, 0},
    {"assert", make_assert, 0, 0},
    {"gradients", make_gradients, ROW_DERIVATIVE, 6},
    {"vjp", make_vjp, ROW_DERIVATIVE, 2},
    {"jvp", make_jvp, ROW_DERIVATIVE, 6},
    {"jacobian", make_jacobian, ROW_DERIVATIVE, 2},
    {"jacobian_forward", make_jacobian_forward, ROW_DERIVATIVE, 2},
    {"hessian", make_hessian, ROW_DERIVATIVE, 2},
    {NULL, NULL, 0, 0}};
