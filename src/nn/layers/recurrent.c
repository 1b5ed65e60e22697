/* SPDX-License-Identifier: Apache-2.0 */
/* recurrent.c: RNN, GRU and LSTM as scans over time. */
#include <inttypes.h>
#include <stdio.h>

#include "mica/nn/recurrent.h"
#include "nn/layers/layer.h"

typedef enum { NN_RNN, NN_GRU, NN_LSTM } nn_cell;

typedef struct {
  const mica_nn_recurrent_args *args;
  nn_cell cell;
  int64_t batch, time, gates;
  mica_dtype dtype;
  bool backward; /* this direction */
  mica_value recurrent, extra,
      peephole; /* [units, gates units]; GRU: bias of n; LSTM: [3, units] */
} nn_recurrence;

static mica_value direction_parameter(const nn_recurrence *r, const char *name, mica_shape shape,
                                      mica_initializer given, mica_initializer otherwise) {
  char full[64];
  snprintf(full, sizeof full, "%s%s", name,
           r->backward && r->args->bidirectional ? "_backward" : "");
  return mica_nn_parameter(r->args->scope, full, r->dtype, shape, given, otherwise);
}

/* x W + b for all times: [time, batch, gates units]. */
static mica_value project_times(nn_recurrence *r) {
  const mica_nn_recurrent_args *a = r->args;
  int64_t in = mica_dim_of(a->x, -1), units = a->units, all = r->gates * units;
  mica_value kernel = direction_parameter(r, "kernel", MICA_DIMS(in, all), a->kernel_initializer,
                                          mica_init_glorot_uniform());
  r->recurrent = direction_parameter(r, "recurrent", MICA_DIMS(units, all),
                                     a->recurrent_initializer, mica_init_orthogonal(1));
  mica_value bias =
      direction_parameter(r, "bias", MICA_DIMS(all), (mica_initializer){0}, mica_init_zeros());
  if (r->cell == NN_GRU)
    r->extra = direction_parameter(r, "recurrent_bias", MICA_DIMS(units), (mica_initializer){0},
                                   mica_init_zeros());
  if (r->cell == NN_LSTM && a->peephole)
    r->peephole = direction_parameter(r, "peephole", MICA_DIMS(3, units), (mica_initializer){0},
                                      mica_init_zeros());
  mica_value x = mica_add(mica_matmul(a->x, kernel), bias);
  if (r->cell == NN_LSTM && a->forget_bias != 0) {
    double shift[4] = {0, a->forget_bias, 0, 0};
    mica_tensor *gates = mica_tensor_from_doubles(r->dtype, MICA_DIMS(4), shift);
    mica_value row = mica_repeat(mica_constant(x.graph, gates), units, 0);
    mica_tensor_release(gates);
    x = mica_add(x, row);
  }
  return mica_swap_axes(x, 0, 1);
}

/* ---- one time: x [batch, gates units], h and c [batch, units] --------------------------------------- */

static void rnn_cell(const nn_recurrence *r, mica_value x, mica_value *h) {
  mica_value sum = mica_add(x, mica_matmul(*h, r->recurrent));
  *h = r->args->relu ? mica_relu(sum) : mica_tanh(sum);
}

static void gru_cell(const nn_recurrence *r, mica_value x, mica_value *h) {
  mica_value from_x[3], from_h[3];
  mica_split(x, 1, 3, from_x);
  mica_split(mica_matmul(*h, r->recurrent), 1, 3, from_h);
  mica_value reset = mica_logistic(mica_add(from_x[0], from_h[0]));
  mica_value update = mica_logistic(mica_add(from_x[1], from_h[1]));
  mica_value kept = mica_mul(reset, mica_add(from_h[2], r->extra));
  mica_value fresh = mica_tanh(mica_add(from_x[2], kept));
  *h = mica_add(fresh, mica_mul(update, mica_sub(*h, fresh)));
}

static mica_value peep(const nn_recurrence *r, mica_value sum, mica_value c, int64_t row) {
  if (r->peephole.graph == NULL) return sum;
  mica_value weights = mica_slice_axis(r->peephole, 0, row, row + 1, 1);
  return mica_add(sum, mica_mul(c, weights));
}

static void lstm_cell(const nn_recurrence *r, mica_value x, mica_value *h, mica_value *c) {
  mica_value gate[4];
  mica_split(mica_add(x, mica_matmul(*h, r->recurrent)), 1, 4, gate);
  mica_value in = mica_logistic(peep(r, gate[0], *c, 0));
  mica_value forget = mica_logistic(peep(r, gate[1], *c, 1));
  *c = mica_add(mica_mul(forget, *c), mica_mul(in, mica_tanh(gate[2])));
  mica_value out = mica_logistic(peep(r, gate[3], *c, 2));
  *h = mica_mul(out, mica_tanh(*c));
}

/* ---- over time ---------------------------------------------------------------------------------------- */

/* Half of a bidirectional first state, or the whole, or zeros. */
static mica_value first_state(const nn_recurrence *r, mica_value given) {
  int64_t units = r->args->units;
  mica_type type = {r->dtype, MICA_DIMS(r->batch, units)};
  if (given.graph == NULL) return mica_zeros(mica_scope_graph(r->args->scope), type);
  if (r->args->bidirectional)
    given = mica_slice_axis(given, 1, r->backward ? units : 0, r->backward ? 2 * units : units, 1);
  return mica_convert(given, r->dtype);
}

/* States [batch, time, units] and the last ones. */
static mica_value run_direction(nn_recurrence *r, mica_value *h_final, mica_value *c_final) {
  const mica_nn_recurrent_args *a = r->args;
  mica_graph *graph = mica_scope_graph(a->scope);
  mica_value x = project_times(r);
  bool ragged = a->lengths.graph != NULL;
  mica_value carry[2] = {first_state(r, a->initial), first_state(r, a->initial_cell)};
  size_t carries = r->cell == NN_LSTM ? 2 : 1;
  mica_value items[2] = {x, mica_iota(graph, (mica_type){MICA_I32, MICA_DIMS(r->time)}, 0)};
  mica_region loop =
      mica_scan_begin_count(graph, carry, carries, items, ragged ? 2 : 1, r->time, r->backward);
  mica_value h = mica_argument(loop, 0), c = carries == 2 ? mica_argument(loop, 1) : h;
  mica_value now = mica_argument(loop, carries), next[2] = {h, c};
  if (r->cell == NN_RNN)
    rnn_cell(r, now, &next[0]);
  else if (r->cell == NN_GRU)
    gru_cell(r, now, &next[0]);
  else
    lstm_cell(r, now, &next[0], &next[1]);
  mica_value emit = next[0];
  if (ragged) {
    mica_value going =
        mica_greater(mica_convert(a->lengths, MICA_I32), mica_argument(loop, carries + 1));
    going = mica_broadcast_to(mica_expand_dims(going, 1), mica_shape_of(h));
    emit = mica_select(going, next[0], mica_zeros_like(h));
    next[0] = mica_select(going, next[0], h);
    next[1] = mica_select(going, next[1], c);
  }
  mica_value final[2] = {{0}}, states = {0};
  mica_scan_end(loop, next, &emit, 1, final, &states);
  *h_final = final[0];
  *c_final = final[1];
  return mica_swap_axes(states, 0, 1);
}

static mica_value recurrent_layer(const mica_nn_recurrent_args *given, nn_cell cell,
                                  const char *name) {
  MICA_NN_COPY_ARGS(mica_nn_recurrent_args, args, given);
  mica_scope *scope = args.scope;
  if (!mica_nn_enter(scope, args.x, name)) return (mica_value){0};
  if (mica_rank_of(args.x) != 3 || args.units < 1 || !mica_dtype_is_float(mica_dtype_of(args.x)) ||
      (args.reverse && args.bidirectional))
    return mica_nn_leave(
        scope, mica_fail(mica_scope_graph(scope), MICA_INVALID,
                         "%s \"%s\": expected floats [batch, time, in], units above 0 (%" PRId64
                         "), and not reverse and bidirectional at once",
                         name, mica_scope_path(scope), args.units));
  nn_recurrence r = {.args = &args,
                     .cell = cell,
                     .batch = mica_dim_of(args.x, 0),
                     .time = mica_dim_of(args.x, 1),
                     .gates = cell == NN_RNN   ? 1
                              : cell == NN_GRU ? 3
                                               : 4,
                     .dtype = mica_dtype_of(args.x),
                     .backward = args.reverse};
  mica_value h[2], c[2], y[2];
  y[0] = run_direction(&r, &h[0], &c[0]);
  if (args.bidirectional) {
    r.backward = true;
    y[1] = run_direction(&r, &h[1], &c[1]);
    y[0] = mica_concatenate(y, 2, 2);
    h[0] = mica_concatenate(h, 2, 1);
    if (cell == NN_LSTM) c[0] = mica_concatenate(c, 2, 1);
  }
  if (args.final != NULL) *args.final = h[0];
  if (args.final_cell != NULL && cell == NN_LSTM) *args.final_cell = c[0];
  return mica_nn_leave(scope, y[0]);
}

mica_value mica_nn_rnn_with(const mica_nn_recurrent_args *args) {
  MICA_BUILDER_ENTRY(mica_scope_graph(args == NULL ? NULL : args->scope));
  return recurrent_layer(args, NN_RNN, "rnn");
}
mica_value mica_nn_gru_with(const mica_nn_recurrent_args *args) {
  MICA_BUILDER_ENTRY(mica_scope_graph(args == NULL ? NULL : args->scope));
  return recurrent_layer(args, NN_GRU, "gru");
}
mica_value mica_nn_lstm_with(const mica_nn_recurrent_args *args) {
  MICA_BUILDER_ENTRY(mica_scope_graph(args == NULL ? NULL : args->scope));
  return recurrent_layer(args, NN_LSTM, "lstm");
}
