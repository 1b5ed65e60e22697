/* SPDX-License-Identifier: Apache-2.0 */
/* experts.c: a mixture of experts. Rows are dealt to places of their experts, [experts, capacity, width], by a running count, so
 * that each expert works on its own rows only. */
#include <inttypes.h>
#include <math.h>

#include "mica/nn/networks.h"
#include "nn/layers/layer.h"

typedef struct {
  int64_t rows, width, experts, chosen, hidden, capacity;
  mica_value place; /* i32 [chosen rows]: expert capacity + position; beyond all: no room */
  mica_value gate;  /* [chosen rows], 0 where there is no room */
} nn_dealing;

/* Scores [rows, experts] -> who goes where, first choices in front of second ones. */
static void deal_rows(nn_dealing *d, mica_value probability) {
  mica_value best, expert;
  mica_top_k(probability, d->chosen, 1, false, &best, &expert);
  best = mica_div(best, mica_reduce_sum(best, MICA_KEEP(1)));
  int64_t all = d->rows * d->chosen;
  mica_value id =
      mica_reshape(mica_swap_axes(mica_convert(expert, MICA_I32), 0, 1), MICA_DIMS(all));
  mica_value gate = mica_reshape(mica_swap_axes(best, 0, 1), MICA_DIMS(all));
  mica_value hot = mica_one_hot(id, d->experts, MICA_I32);
  mica_value before = mica_cumulative(hot, .axis = 0, .exclusive = true);
  mica_value position = mica_reduce_sum(mica_mul(before, hot), MICA_AXES(1));
  mica_value room = mica_less(position, (double)d->capacity);
  mica_value place = mica_add(mica_mul(id, (double)d->capacity), position);
  d->place = mica_select(room, place, mica_full_like(place, (double)(d->experts * d->capacity)));
  d->gate = mica_select(room, gate, mica_zeros_like(gate));
}

/* experts sum(share of first choices, mean probability). */
static mica_value balance_loss(const nn_dealing *d, mica_value probability) {
  mica_value first =
      mica_one_hot(mica_arg_max(probability, 1), d->experts, mica_dtype_of(probability));
  mica_value share = mica_reduce_mean(first, MICA_AXES(0));
  mica_value mean = mica_reduce_mean(probability, MICA_AXES(0));
  return mica_mul(mica_reduce_sum(mica_mul(share, mean), MICA_ALL), (double)d->experts);
}

static mica_value expert_layer(mica_scope *scope, mica_value x, const char *name, const char *bias,
                               const nn_dealing *d, int64_t in, int64_t out) {
  mica_initializer he = mica_init_he_normal();
  he.a *= (double)d->experts;
  mica_nn_kernel_options options = {.otherwise = he};
  mica_dtype dtype = mica_dtype_of(x);
  mica_value kernel = mica_nn_kernel(scope, name, dtype, MICA_DIMS(d->experts, in, out), &options);
  mica_value b = mica_nn_parameter(scope, bias, dtype, MICA_DIMS(d->experts, 1, out),
                                   (mica_initializer){0}, mica_init_zeros());
  return mica_add(mica_matmul(x, kernel), b);
}

mica_value mica_nn_experts_with(const mica_nn_experts_args *given) {
  MICA_NN_ARGS(mica_nn_experts_args, a, given);
  mica_scope *scope = a.scope;
  if (!mica_nn_enter(scope, a.x, "experts")) return (mica_value){0};
  mica_shape shape = mica_shape_of(a.x);
  nn_dealing d = {.experts = a.experts, .chosen = a.chosen == 0 ? 2 : a.chosen};
  d.width = shape.rank > 0 ? shape.dim[shape.rank - 1] : 0;
  double capacity = a.capacity == 0 ? 1.25 : a.capacity;
  if (shape.rank < 1 || a.experts < 1 || d.chosen < 1 || d.chosen > a.experts || !(capacity > 0) ||
      d.width < 1 || mica_nn_activation_is_gated(a.activation))
    return mica_nn_leave(
        scope, mica_fail(mica_scope_graph(scope), MICA_INVALID,
                         "experts \"%s\": expected x [..., width], experts (%" PRId64
                         ") of which some (%" PRId64 ") are chosen, a capacity above 0, and no "
                         "gated activation",
                         mica_scope_path(scope), a.experts, d.chosen));
  d.rows = mica_shape_count(shape) / d.width;
  d.hidden = a.hidden == 0 ? 4 * d.width : a.hidden;
  double room = ceil(capacity * (double)(d.rows * d.chosen) / (double)d.experts);
  d.capacity = room < (double)d.rows ? (int64_t)room : d.rows;
  if (d.capacity < 1) d.capacity = 1;
  mica_value x = mica_reshape(a.x, MICA_DIMS(d.rows, d.width));
  mica_nn_kernel_options options = {.otherwise = mica_init_glorot_uniform()};
  mica_value router =
      mica_nn_kernel(scope, "router", mica_dtype_of(x), MICA_DIMS(d.width, d.experts), &options);
  mica_value probability = mica_softmax(mica_widen(mica_matmul(x, router)), 1);
  deal_rows(&d, probability);
  double balance = a.balance == 0 ? 0.01 : a.balance;
  if (balance > 0 && mica_scope_is_training(scope))
    mica_scope_add_loss(scope, mica_mul(balance_loss(&d, probability), balance));
  /* Each row `chosen` times over, put where it belongs. */
  mica_value repeated = mica_tile(x, MICA_DIMS(d.chosen, 1));
  mica_type dealt = {mica_dtype_of(x), MICA_DIMS(d.experts * d.capacity, d.width)};
  mica_value hand = mica_scatter_add(mica_zeros(x.graph, dealt), d.place, repeated);
  hand = mica_reshape(hand, MICA_DIMS(d.experts, d.capacity, d.width));
  mica_value y = expert_layer(scope, hand, "up", "up_bias", &d, d.width, d.hidden);
  y = mica_nn_activate(y, a.activation == MICA_NN_IDENTITY ? MICA_NN_GELU : a.activation);
  y = expert_layer(scope, y, "down", "down_bias", &d, d.hidden, d.width);
  y = mica_take(mica_reshape(y, dealt.shape), d.place, 0);
  y = mica_mul(y, mica_expand_dims(mica_convert(d.gate, mica_dtype_of(y)), 1));
  y = mica_reduce_sum(mica_reshape(y, MICA_DIMS(d.chosen, d.rows, d.width)), MICA_AXES(0));
  return mica_nn_leave(scope, mica_reshape(y, shape));
}
