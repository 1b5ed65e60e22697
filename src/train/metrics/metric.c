/* SPDX-License-Identifier: Apache-2.0 */
/* metric.c: options, states and batches of metrics. */
#include <inttypes.h>
#include <math.h>

#include "train/metrics/metrics.h"

/* ---- options ------------------------------------------------------------------------------------------- */

/* What an option is called when it is not taken, and its range. Texts, since a mistake is kept as a pointer. */
static const struct {
  const char *foreign, *wrong;
  double least, most;
} metric_options[MICA_METRIC_PLACES] = {
    {"classes is not an option of this metric", "classes has to be at least 2", 2, 1e9},
    {"k is not an option of this metric", "k has to be at least 1", 1, 1e9},
    {"bins is not an option of this metric", "bins has to be at least 1", 1, 1e9},
    {"window is not an option of this metric", "window has to be at least 1", 1, 1e9},
    {"threshold is not an option of this metric", "threshold has to be a number", -1e300, 1e300},
    {"beta is not an option of this metric", "beta has to be above 0", 1e-100, 1e100},
    {"decay is not an option of this metric", "decay has to be in 0 .. 1", 1e-100, 0.9999999999},
    {"logits is not an option of this metric", "", 0, 1},
    {"multilabel is not an option of this metric", "", 0, 1},
    {"average is not an option of this metric", "average has to be a mica_average_kind", 0,
     MICA_AVERAGE_NONE},
    {"", "", 0, 0},
};

mica_metric_definition mica_metric_make(const mica_metric_rule *rule,
                                        const mica_metric_standard *standard,
                                        const mica_metric_options *options) {
  mica_metric_options o;
  mica_metric_definition m = {.rule = rule};
  if (!mica_copy_args(&o, sizeof o, options)) m.mistake = "there are no options";
  const double given[MICA_METRIC_PLACES] = {(double)o.classes,
                                            (double)o.k,
                                            (double)o.bins,
                                            (double)o.window,
                                            o.threshold,
                                            o.beta,
                                            o.decay,
                                            o.logits,
                                            o.multilabel,
                                            (double)o.average,
                                            0};
  for (int i = 0; i < MICA_METRIC_PLACES; i++) {
    m.number[i] = given[i] == 0 ? standard->number[i] : given[i];
    if (given[i] == 0 || m.mistake) continue;
    if (!(standard->takes >> i & 1))
      m.mistake = metric_options[i].foreign;
    else if (!(given[i] >= metric_options[i].least && given[i] <= metric_options[i].most))
      m.mistake = metric_options[i].wrong;
  }
  return m;
}

/* ---- states -------------------------------------------------------------------------------------------- */

static const char *metric_mistake(const mica_metric_definition *metric) {
  if (!metric || !metric->rule) return "there is no metric";
  return metric->mistake;
}
static const char *metric_name(const mica_metric_definition *metric) {
  return metric && metric->rule ? metric->rule->name : "metric";
}

size_t mica_metric_state(const mica_metric_definition *metric, mica_metric_slot *out,
                         mica_error *error) {
  const char *mistake = metric_mistake(metric);
  if (!mistake) return metric->rule->state(metric, out);
  mica_error_set(error, MICA_INVALID, "%s: %s", metric_name(metric), mistake);
  return 0;
}

void mica_metric_begin(const mica_metric_definition *metric, mica_graph *graph,
                       mica_value *out_state) {
  MICA_ENTRY(graph);
  mica_metric_slot slots[MICA_METRIC_MOST_STATES];
  const char *mistake = metric_mistake(metric);
  if (mistake) mica_fail_operator(graph, metric_name(metric), NULL, 0, "%s", mistake);
  size_t count = mistake ? 0 : metric->rule->state(metric, slots);
  for (size_t i = 0; i < MICA_METRIC_MOST_STATES; i++)
    out_state[i] =
        i < count ? mica_full(graph, slots[i].type, slots[i].initial) : mica_no_value(graph);
}

/* Whether `state` is one of the metric's; the graph fails otherwise. *count: of how many values. */
static bool state_fits(const mica_metric_definition *metric, mica_value beside,
                       const mica_value *state, size_t *count) {
  const char *name = metric_name(metric), *mistake = metric_mistake(metric);
  mica_metric_slot slots[MICA_METRIC_MOST_STATES];
  mica_graph *graph = beside.graph ? beside.graph : state[0].graph;
  if (mistake) {
    mica_fail_operator(graph, name, NULL, 0, "%s", mistake);
    return false;
  }
  *count = metric->rule->state(metric, slots);
  if (!mica_operands_usable(name, state, *count)) {
    mica_fail_operator(graph, name, state, *count, "expected a state of %zu values", *count);
    return false;
  }
  for (size_t i = 0; i < *count; i++)
    if (!mica_type_equal(mica_type_of(state[i]), slots[i].type)) {
      mica_fail_operator(graph, name, &state[i], 1,
                         "state %s: expected the type that mica_metric_state gives", slots[i].name);
      return false;
    }
  return true;
}

void mica_metric_update_with(const mica_metric_definition *metric, const mica_metric_args *args,
                             const mica_value *state, mica_value *out_state) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  mica_metric_args a;
  mica_value next[MICA_METRIC_MOST_STATES] = {{0}};
  size_t count = 0;
  if (!mica_copy_args(&a, sizeof a, args)) return;
  if (state_fits(metric, a.prediction, state, &count)) {
    for (size_t i = 0; i < count; i++) next[i] = state[i];
    metric->rule->update(metric, &a, next);
  }
  bool well = a.prediction.graph && a.prediction.graph->status == MICA_OK;
  for (size_t i = 0; i < count; i++)
    out_state[i] = well ? next[i] : mica_no_value(a.prediction.graph);
}

mica_value mica_metric_result(const mica_metric_definition *metric, const mica_value *state) {
  MICA_ENTRY(state[0].graph);
  size_t count;
  if (!state_fits(metric, (mica_value){0}, state, &count)) return mica_no_value(state[0].graph);
  return metric->rule->result(metric, state);
}

mica_value mica_metric_once_with(const mica_metric_definition *metric,
                                 const mica_metric_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  mica_value state[MICA_METRIC_MOST_STATES] = {{0}};
  if (!args || !args->prediction.graph) return (mica_value){0};
  mica_metric_begin(metric, args->prediction.graph, state);
  mica_metric_update_with(metric, args, state, state);
  return mica_metric_result(metric, state);
}

/* ---- batches ------------------------------------------------------------------------------------------- */

bool mica_metric_batch_begin(mica_metric_batch *batch, const mica_metric_definition *metric,
                             const mica_metric_args *args, mica_loss_target target,
                             int32_t dropped) {
  mica_loss_args given = {.struct_size = sizeof given,
                          .prediction = args->prediction,
                          .target = args->target,
                          .weights = args->weights,
                          .mask = args->mask};
  mica_loss_call *call = &batch->call;
  if (!mica_loss_begin(call, metric->rule->name, &given, 0, target, dropped)) return false;
  mica_shape shape = call->elements;
  mica_value w = mica_scalar(call->graph, MICA_F64, 1);
  if (given.weights.graph)
    w = mica_convert(mica_leading_axes(call->name, "weights", given.weights, shape), MICA_F64);
  if (given.mask.graph) {
    mica_value m = mica_leading_axes(call->name, "mask", given.mask, shape);
    w = mica_select(m, w, mica_scalar(call->graph, MICA_F64, 0));
  }
  batch->w = mica_broadcast_if_needed(w, shape);
  return call->graph->status == MICA_OK;
}

mica_value mica_weighted_sum(const mica_metric_batch *batch, mica_value x) {
  return mica_reduce_sum(mica_mul(batch->w, mica_convert(x, MICA_F64)), MICA_ALL);
}

mica_value mica_share(mica_value x, mica_value y, double otherwise) {
  mica_value some = mica_not_equal(y, 0);
  mica_value safe = mica_select(some, y, mica_ones_like(y));
  return mica_select(some, mica_div(x, safe), mica_full_like(y, otherwise));
}

static const mica_type metric_number = {MICA_F64, {0}};
size_t mica_mean_state(const mica_metric_definition *metric, mica_metric_slot *out) {
  (void)metric;
  out[0] = (mica_metric_slot){.name = "total", .type = metric_number};
  out[1] = (mica_metric_slot){.name = "weight", .type = metric_number};
  return 2;
}
void mica_mean_add(const mica_metric_batch *batch, mica_value elements, mica_value *state) {
  state[0] = mica_add(state[0], mica_weighted_sum(batch, elements));
  state[1] = mica_add(state[1], mica_reduce_sum(batch->w, MICA_ALL));
}
mica_value mica_mean_result(const mica_metric_definition *metric, const mica_value *state) {
  (void)metric;
  return mica_share(state[0], state[1], NAN);
}

mica_value mica_called_positive(const mica_metric_batch *batch,
                                const mica_metric_definition *metric) {
  double threshold = mica_metric_option(metric, MICA_METRIC_THRESHOLD);
  if (threshold == 0 && mica_metric_option(metric, MICA_METRIC_LOGITS) == 0) threshold = 0.5;
  return mica_greater(batch->call.x, threshold);
}
mica_value mica_is_positive(const mica_metric_batch *batch) {
  return mica_greater(batch->call.t, 0.5);
}
