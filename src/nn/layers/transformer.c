/* SPDX-License-Identifier: Apache-2.0 */
/* transformer.c: blocks of attention and feed-forward, with residual paths. */
#include "mica/nn/attention.h"
#include "mica/nn/layers.h"
#include "mica/nn/norm.h"
#include "nn/layers/layer.h"

static mica_value block_norm(const mica_nn_transformer_args *t, mica_value x, const char *name) {
  return mica_nn_norm_by_name(mica_scope_in(t->scope, name), x, t->norm);
}

/* The branch's end: noise, the residual sum, and the norm of the old order. */
static mica_value add_branch(const mica_nn_transformer_args *t, mica_value x, mica_value y,
                             const char *norm) {
  y = mica_nn_dropout(t->scope, y, t->dropout);
  y = mica_nn_drop_path(t->scope, y, t->drop_path);
  x = mica_add(x, y);
  return t->post_norm ? block_norm(t, x, norm) : x;
}

static mica_value attend_branch(const mica_nn_transformer_args *t, mica_value x, const char *scope,
                                const char *norm, mica_value memory) {
  mica_nn_attention_args a = t->attention;
  a.struct_size = sizeof a;
  a.scope = mica_scope_in(t->scope, scope);
  a.x = t->post_norm ? x : block_norm(t, x, norm);
  a.memory = memory;
  a.no_bias = a.no_bias || t->no_bias;
  if (memory.graph != NULL) { /* everything there may be seen */
    a.causal = a.alibi = a.rope.use = false;
    a.window = a.cache = 0;
    a.mask = a.bias = (mica_value){0};
  } else {
    a.key_mask = t->attention.memory.graph != NULL ? (mica_value){0} : a.key_mask;
  }
  return add_branch(t, x, mica_nn_attention_with(&a), norm);
}

static mica_value feed_forward(const mica_nn_transformer_args *t, mica_value x) {
  mica_value y = t->post_norm ? x : block_norm(t, x, "norm2");
  int64_t width = mica_dim_of(x, -1), hidden = t->hidden == 0 ? 4 * width : t->hidden;
  mica_nn_activation activation = t->activation == MICA_NN_IDENTITY ? MICA_NN_GELU : t->activation;
  int64_t units = mica_nn_activation_is_gated(activation) ? 2 * hidden : hidden;
  y = mica_nn_dense(mica_scope_in(t->scope, "up"), y, .units = units, .no_bias = t->no_bias);
  y = mica_nn_activate(y, activation);
  y = mica_nn_dense(mica_scope_in(t->scope, "down"), y, .units = width, .no_bias = t->no_bias);
  return add_branch(t, x, y, "norm2");
}

static mica_value whole_block(const mica_nn_transformer_args *t, mica_value x) {
  x = attend_branch(t, x, "attention", "norm1", (mica_value){0});
  if (t->attention.memory.graph != NULL)
    x = attend_branch(t, x, "cross", "norm3", t->attention.memory);
  return feed_forward(t, x);
}

mica_value mica_nn_transformer_block_with(const mica_nn_transformer_args *given) {
  MICA_NN_ARGS(mica_nn_transformer_args, args, given);
  if (args.norm == NULL) args.norm = "layer";
  if (args.scope == NULL)
    return mica_fail(args.x.graph, MICA_INVALID, "transformer_block: the scope is NULL");
  if (mica_rank_of(args.x) != 3)
    return mica_fail(mica_scope_graph(args.scope), MICA_INVALID,
                     "transformer_block \"%s\": expected x [batch, time, width], not rank %d",
                     mica_scope_path(args.scope), (int)mica_rank_of(args.x));
  mica_scope_part part = mica_nn_part_begin(args.scope, args.recompute);
  return mica_scope_part_end(part, whole_block(&args, args.x));
}
