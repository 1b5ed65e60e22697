// SPDX-License-Identifier: Apache-2.0
// train_metrics.hpp: metrics (mica/train/metrics.h):
//
//   mica::metric f = mica::metric::f(mica::metric_options().with_classes(10));
//   std::vector<mica::value> state = f.begin(graph);
//   state = f.update(state, prediction, target);
//   mica::value score = f.result(state);
#ifndef MICA_CPP_TRAIN_METRICS_HPP
#define MICA_CPP_TRAIN_METRICS_HPP
#include "mica/cpp/values.hpp"

namespace mica {

struct metric_options : mica_metric_options {
  metric_options() : mica_metric_options{} { struct_size = sizeof(mica_metric_options); }
#define MICA_HPP_OPTION(type, name) \
  metric_options &with_##name(type given) { return name = given, *this; }
  MICA_HPP_OPTION(std::int64_t, classes)
  MICA_HPP_OPTION(std::int64_t, k)
  MICA_HPP_OPTION(std::int64_t, bins)
  MICA_HPP_OPTION(std::int64_t, window)
  MICA_HPP_OPTION(double, threshold)
  MICA_HPP_OPTION(double, beta)
  MICA_HPP_OPTION(double, decay)
  MICA_HPP_OPTION(bool, logits)
  MICA_HPP_OPTION(bool, multilabel)
  MICA_HPP_OPTION(mica_average_kind, average)
#undef MICA_HPP_OPTION
};

namespace detail {
inline mica_metric_args metric_args(value prediction, value target, value weights, value mask) {
  mica_metric_args args{};
  args.struct_size = sizeof args;
  args.prediction = prediction, args.target = target;
  args.weights = weights, args.mask = mask;
  return args;
}
}  // namespace detail

struct metric : mica_metric_definition {
  metric(mica_metric_definition made) : mica_metric_definition(made) {}
#define MICA_HPP_METRIC(name)                              \
  static metric name(const metric_options &options = {}) { \
    return mica_metric_##name##_with(&options);            \
  }
  MICA_HPP_METRIC(mean)
  MICA_HPP_METRIC(moving_mean)
  MICA_HPP_METRIC(median)
  MICA_HPP_METRIC(absolute_error)
  MICA_HPP_METRIC(squared_error)
  MICA_HPP_METRIC(root_squared_error)
  MICA_HPP_METRIC(r2)
  MICA_HPP_METRIC(binary_accuracy)
  MICA_HPP_METRIC(accuracy)
  MICA_HPP_METRIC(top_k_accuracy)
  MICA_HPP_METRIC(perplexity)
  MICA_HPP_METRIC(precision)
  MICA_HPP_METRIC(recall)
  MICA_HPP_METRIC(f)
  MICA_HPP_METRIC(confusion)
  MICA_HPP_METRIC(roc_auc)
  MICA_HPP_METRIC(average_precision)
#undef MICA_HPP_METRIC

  std::vector<value> begin(mica_graph *graph) const {
    std::vector<mica_value> state(MICA_METRIC_MOST_STATES);
    mica_metric_begin(this, graph, state.data());
    return detail::made<std::vector<value>>(state);
  }
  std::vector<value> update(const std::vector<value> &state, value prediction, value target = {},
                            value weights = {}, value mask = {}) const {
    std::vector<mica_value> s = detail::plain(state);
    s.resize(MICA_METRIC_MOST_STATES);
    mica_metric_args args = detail::metric_args(prediction, target, weights, mask);
    mica_metric_update_with(this, &args, s.data(), s.data());
    return detail::made<std::vector<value>>(s);
  }
  value result(const std::vector<value> &state) const {
    std::vector<mica_value> s = detail::plain(state);
    s.resize(MICA_METRIC_MOST_STATES);
    return mica_metric_result(this, s.data());
  }
  // Of one batch.
  value once(value prediction, value target = {}, value weights = {}, value mask = {}) const {
    mica_metric_args args = detail::metric_args(prediction, target, weights, mask);
    return mica_metric_once_with(this, &args);
  }
};

// Exact areas of all scores at once.
inline value roc_auc(value scores, value target, value weights = {}, value mask = {}) {
  mica_metric_args args = detail::metric_args(scores, target, weights, mask);
  return mica_roc_auc_with(&args);
}
inline value average_precision(value scores, value target, value weights = {}, value mask = {}) {
  mica_metric_args args = detail::metric_args(scores, target, weights, mask);
  return mica_average_precision_with(&args);
}

}  // namespace mica
#endif
