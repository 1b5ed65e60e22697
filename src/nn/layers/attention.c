/* SPDX-License-Identifier: Apache-2.0 */
/* attention.c: multi-head attention. Where nothing but masks and a scale is asked for, the operator attention does the work;
 * biases, caps and dropout need the scores themselves. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "mica/nn/attention.h"
#include "mica/nn/layers.h"
#include "nn/layers/layer.h"

typedef struct {
  mica_nn_attention_args a;
  mica_graph *graph;
  mica_dtype dtype;
  int64_t batch, queries, keys, groups; /* groups: heads that share one key */
  mica_value query_positions;           /* i32 [tq] */
  mica_value key_positions;             /* i32 [tk]; below 0: nothing there */
} nn_attention;

static bool resolve_attention(nn_attention *w) {
  mica_nn_attention_args *a = &w->a;
  mica_shape x = mica_shape_of(a->x);
  bool cross = a->memory.graph != NULL;
  if (a->kv_heads == 0) a->kv_heads = a->heads;
  if (a->head_size == 0 && a->heads > 0) a->head_size = mica_dim_of(a->x, -1) / a->heads;
  if (a->out == 0) a->out = mica_dim_of(a->x, -1);
  w->graph = mica_scope_graph(a->scope);
  w->dtype = mica_dtype_of(a->x);
  bool right = x.rank == 3 && a->heads > 0 && a->kv_heads > 0 && a->heads % a->kv_heads == 0 &&
               a->head_size > 0 && a->out > 0 && mica_dtype_is_float(w->dtype) && a->window >= 0 &&
               a->soft_cap >= 0 && a->cache >= 0 && a->dropout >= 0 && a->dropout < 1 &&
               (!cross || (mica_rank_of(a->memory) == 3 && a->cache == 0)) && a->sinks >= 0 &&
               (a->cache == 0 || x.dim[1] <= a->cache - a->sinks);
  if (!right) {
    mica_fail(w->graph, MICA_INVALID,
              "attention \"%s\": expected floats [batch, time, width], heads (%" PRId64
              ") that kv_heads (%" PRId64
              ") divide, no cache with a memory, and at most as many times as the "
              "cache has beside sinks",
              mica_scope_path(a->scope), a->heads, a->kv_heads);
    return false;
  }
  w->batch = x.dim[0];
  w->queries = x.dim[1];
  w->keys = cross ? mica_dim_of(a->memory, 1) : x.dim[1];
  w->groups = a->heads / a->kv_heads;
  mica_value first = a->position.graph == NULL ? mica_scalar(w->graph, MICA_I32, 0)
                                               : mica_convert(a->position, MICA_I32);
  mica_value counted = mica_iota(w->graph, (mica_type){MICA_I32, MICA_DIMS(w->queries)}, 0);
  w->query_positions = mica_add(counted, first);
  w->key_positions = cross ? mica_iota(w->graph, (mica_type){MICA_I32, MICA_DIMS(w->keys)}, 0)
                           : w->query_positions;
  return true;
}

/* x kernel + bias as [batch, time, heads, head_size]. */
static mica_value project(const nn_attention *w, mica_value x, const char *name, int64_t heads) {
  mica_nn_kernel_options options = {.given = w->a.initializer,
                                    .otherwise = mica_init_glorot_uniform()};
  mica_shape shape = MICA_DIMS(mica_dim_of(x, -1), heads * w->a.head_size);
  mica_value y = mica_matmul(x, mica_nn_kernel(w->a.scope, name, w->dtype, shape, &options));
  char bias[32];
  snprintf(bias, sizeof bias, "%s_bias", name);
  y = mica_nn_add_bias(w->a.scope, y, bias, w->a.no_bias, (mica_initializer){0});
  return mica_reshape(y, MICA_DIMS(mica_dim_of(x, 0), mica_dim_of(x, 1), heads, w->a.head_size));
}

static mica_value head_norm(const nn_attention *w, mica_value x, const char *name) {
  if (!w->a.qk_norm) return x;
  mica_value wide = mica_widen(x);
  mica_value square = mica_reduce_mean(mica_square(wide), MICA_KEEP(-1));
  wide = mica_mul(wide, mica_rsqrt(mica_add(square, 1e-6)));
  mica_value scale =
      mica_nn_parameter(w->a.scope, name, mica_dtype_of(wide), MICA_DIMS(w->a.head_size),
                        (mica_initializer){0}, mica_init_ones());
  return mica_convert(mica_mul(wide, scale), mica_dtype_of(x));
}

/* ---- the cache ------------------------------------------------------------------------------------ */

/* Slots of sinks hold their positions for good; slot s behind them the newest position that is s modulo the size of the rest. A
 * single time is written where it belongs; several are put together with what stays. Gives the whole of it. */
static mica_value through_cache(const nn_attention *w, const char *name, mica_value now) {
  int64_t size = w->a.cache;
  mica_type type = {w->dtype, MICA_DIMS(w->batch, size, w->a.kv_heads, w->a.head_size)};
  mica_value cache = mica_scope_state(w->a.scope, name, type, mica_init_zeros());
  mica_value first = mica_slice(w->query_positions, "0");
  if (w->queries == 1) {
    mica_value zero = mica_scalar(w->graph, MICA_I32, 0), slot = mica_rem(first, (double)size);
    if (w->a.sinks > 0) {
      double sinks = (double)w->a.sinks;
      slot = mica_add(mica_mod(mica_sub(first, sinks), (double)size - sinks), sinks);
      slot = mica_select(mica_less(first, sinks), first, slot);
    }
    mica_value start[4] = {zero, slot, zero, zero};
    cache = mica_dynamic_update_slice(cache, now, start);
  } else {
    mica_value place =
        mica_sub(w->key_positions, first); /* among the new ones; below 0: an old one */
    mica_value fresh = mica_take(now, place, 1);
    mica_value is_new = mica_reshape(mica_greater_equal(place, 0), MICA_DIMS(size, 1, 1));
    cache = mica_select(mica_broadcast_to(is_new, type.shape), fresh, cache);
  }
  mica_scope_assign(w->a.scope, name, cache);
  return cache;
}

/* From here on keys are those of the cache. */
static void cache_positions(nn_attention *w) {
  int64_t size = w->a.cache;
  mica_value slot = mica_iota(w->graph, (mica_type){MICA_I32, MICA_DIMS(size)}, 0);
  mica_value last = mica_slice(w->query_positions, "-1");
  double sinks = (double)w->a.sinks;
  mica_value behind = mica_sub(last, sinks), place = mica_sub(slot, sinks);
  mica_value newest = mica_sub(behind, mica_mod(mica_sub(behind, place), (double)size - sinks));
  w->key_positions = newest;
  if (w->a.sinks > 0) {
    mica_value none = mica_full_like(newest, -1);
    newest = mica_select(mica_less(newest, 0), none, mica_add(newest, sinks));
    mica_value kept = mica_select(
        mica_less_equal(slot, mica_broadcast_to(last, mica_shape_of(slot))), slot, none);
    w->key_positions = mica_select(mica_less(place, 0), kept, newest);
  }
  w->keys = size;
}

/* ---- what may be seen -------------------------------------------------------------------------------- */

static mica_value see_both(mica_value x, mica_value y) {
  return x.graph == NULL ? y : y.graph == NULL ? x : mica_and(x, y);
}

/* bool, broadcast to [batch, heads, tq, tk]; {0}: everything. `plain_causal`: causality is somebody else's business. */
static mica_value visible(const nn_attention *w, bool plain_causal) {
  mica_value seen = w->a.mask;
  if (w->a.key_mask.graph != NULL)
    seen = see_both(seen, mica_expand_dims(mica_expand_dims(w->a.key_mask, 1), 1));
  mica_value query = mica_expand_dims(w->query_positions, 1), key = w->key_positions;
  if ((w->a.causal || w->a.cache > 0) && !plain_causal)
    seen = see_both(seen, mica_less_equal(key, query));
  if (w->a.window > 0) {
    mica_value near = mica_greater(key, mica_sub(query, (double)w->a.window));
    if (w->a.sinks > 0) near = mica_or(near, mica_less(key, (double)w->a.sinks));
    seen = see_both(seen, near);
  }
  if (w->a.cache > 0) seen = see_both(seen, mica_greater_equal(key, 0));
  return seen;
}

/* -slope distance: [heads, tq, tk]. */
static mica_value alibi_bias(const nn_attention *w) {
  mica_dtype dtype = mica_nn_master_dtype(w->dtype);
  mica_value head = mica_iota(w->graph, (mica_type){dtype, MICA_DIMS(w->a.heads, 1, 1)}, 0);
  mica_value slope = mica_exp2(mica_mul(mica_add(head, 1), -8.0 / (double)w->a.heads));
  mica_value distance =
      mica_abs(mica_sub(mica_expand_dims(w->query_positions, 1), w->key_positions));
  return mica_neg(mica_mul(slope, mica_convert(distance, dtype)));
}

/* ---- scores --------------------------------------------------------------------------------------------- */

/* q [batch, heads, tq, d], k and v [batch, heads, tk, d]. */
static mica_value attend_by_scores(const nn_attention *w, mica_value q, mica_value k, mica_value v,
                                   double scale) {
  mica_value score = mica_widen(mica_matmul(q, mica_swap_axes(k, 2, 3)));
  mica_dtype dtype = mica_dtype_of(score);
  score = mica_mul(score, scale);
  if (w->a.soft_cap > 0) score = mica_mul(mica_tanh(mica_div(score, w->a.soft_cap)), w->a.soft_cap);
  if (w->a.bias.graph != NULL) score = mica_add(score, mica_convert(w->a.bias, dtype));
  if (w->a.alibi) score = mica_add(score, mica_convert(alibi_bias(w), dtype));
  mica_value seen = visible(w, false);
  if (seen.graph != NULL)
    score = mica_select(mica_broadcast_to(seen, mica_shape_of(score)), score,
                        mica_full_like(score, -1e30));
  mica_value weights = mica_convert(mica_softmax(score, -1), mica_dtype_of(v));
  if (w->a.weights != NULL) *w->a.weights = weights;
  if (w->a.dropout > 0) weights = mica_nn_dropout_within(w->a.scope, weights, w->a.dropout);
  return mica_matmul(weights, v);
}

/* [batch, time, kv_heads, d] -> [batch, heads, time, d]. */
static mica_value spread_heads(const nn_attention *w, mica_value x) {
  x = mica_swap_axes(x, 1, 2);
  return w->groups == 1 ? x : mica_repeat(x, w->groups, 1);
}

mica_value mica_nn_attention_with(const mica_nn_attention_args *given) {
  MICA_NN_ARGS(mica_nn_attention_args, args, given);
  nn_attention w = {.a = args};
  mica_scope *scope = args.scope;
  if (args.weights != NULL) *args.weights = (mica_value){.graph = args.x.graph};
  if (!mica_nn_enter(scope, args.x, "attention")) return (mica_value){0};
  if (!resolve_attention(&w)) return mica_nn_leave(scope, (mica_value){0});
  mica_value source = args.memory.graph != NULL ? args.memory : args.x;
  mica_value q = project(&w, args.x, "query", w.a.heads);
  mica_value k = project(&w, source, "key", w.a.kv_heads);
  mica_value v = project(&w, source, "value", w.a.kv_heads);
  q = head_norm(&w, q, "query_norm");
  k = head_norm(&w, k, "key_norm");
  if (w.a.rope.use) {
    q = mica_nn_rope(q, w.query_positions, w.a.rope);
    k = mica_nn_rope(k, w.key_positions, w.a.rope);
  }
  if (w.a.cache > 0) {
    cache_positions(&w);
    k = through_cache(&w, "cache_key", k);
    v = through_cache(&w, "cache_value", v);
  }
  double scale = w.a.scale == 0 ? 1 / sqrt((double)w.a.head_size) : w.a.scale;
  q = mica_swap_axes(q, 1, 2);
  k = spread_heads(&w, k);
  v = spread_heads(&w, v);
  bool dropout = w.a.dropout > 0 && mica_scope_is_training(scope);
  mica_value y;
  if (w.a.bias.graph != NULL || w.a.alibi || w.a.soft_cap > 0 || dropout || w.a.weights != NULL) {
    y = attend_by_scores(&w, q, k, v, scale);
  } else {
    bool causal = w.a.causal && w.a.cache == 0 && args.memory.graph == NULL;
    y = mica_attention(q, k, v, .mask = visible(&w, causal), .causal = causal, .scale = scale);
  }
  y = mica_reshape(mica_swap_axes(y, 1, 2),
                   MICA_DIMS(w.batch, w.queries, w.a.heads * w.a.head_size));
  mica_nn_kernel_options options = {.given = w.a.initializer,
                                    .otherwise = mica_init_glorot_uniform()};
  mica_value kernel = mica_nn_kernel(scope, "out", w.dtype,
                                     MICA_DIMS(w.a.heads * w.a.head_size, w.a.out), &options);
  y = mica_nn_add_bias(scope, mica_matmul(y, kernel), "out_bias", w.a.no_bias,
                       (mica_initializer){0});
  return mica_nn_leave(scope, y);
}
