// SPDX-License-Identifier: Apache-2.0
// sorting.hpp: order, running folds, segments and quantiles by names without a prefix.
#ifndef MICA_CPP_SORTING_HPP
#define MICA_CPP_SORTING_HPP
#include "mica/cpp/values.hpp"

namespace mica {

inline value sort(value x, std::int32_t axis = -1, bool descending = false) {
  return mica_sort(x, axis, descending);
}
inline value arg_sort(value x, std::int32_t axis = -1, bool descending = false) {
  return mica_arg_sort(x, axis, descending);
}
// In order by the first `keys` of the values, one after the other.
inline std::vector<value> sort_together(const std::vector<value> &in, std::size_t keys = 1,
                                        std::int32_t axis = -1, bool descending = false) {
  std::vector<mica_value> out(in.size());
  mica_sort_together(detail::plain(in).data(), in.size(), keys, axis, descending, out.data());
  return detail::made<std::vector<value>>(out);
}
struct top_k_result {
  value values, places;
};
inline top_k_result top_k(value x, std::int64_t k, std::int32_t axis = -1, bool smallest = false) {
  mica_value values, places;
  mica_top_k(x, k, axis, smallest, &values, &places);
  return {values, places};
}
inline value search_sorted(value sorted, value values, bool right = false) {
  return mica_search_sorted(sorted, values, right);
}
struct unique_result {
  value values, places, inverse, counts;
};
inline unique_result unique(value x, std::int64_t size, value filling = {}) {
  mica_unique_result r = mica_unique(x, size, filling);
  return {r.values, r.places, r.inverse, r.counts};
}
inline value bincount(value x, std::int64_t length, value weights = {}) {
  return mica_bincount(x, weights, length);
}
inline value histogram(value x, value edges, value weights = {}) {
  return mica_histogram(x, edges, weights);
}
inline value top_k_mask(value x, std::int64_t k, std::int32_t axis = -1, bool smallest = false) {
  return mica_top_k_mask(x, k, axis, smallest);
}
inline value segment_softmax(value x, value ids, std::int64_t segments) {
  return mica_segment_softmax(x, ids, segments);
}
inline value segment_reduce(value x, value ids, std::int64_t segments,
                            mica_segment_kind kind = MICA_SEGMENT_SUM) {
  return mica_segment_reduce(x, ids, segments, kind);
}
inline value quantile(value x, value q, axes over = all(),
                      mica_quantile_method method = MICA_QUANTILE_LINEAR, bool ignore_nan = false) {
  mica_quantile_args args{};
  args.struct_size = sizeof args;
  args.x = x;
  args.q = q;
  args.axes = over;
  args.method = method;
  args.ignore_nan = ignore_nan;
  return mica_quantile_with(&args);
}
inline value median(value x, axes over = all()) { return mica_median(x, over); }
inline value cumulative(value x, mica_cumulative_kind kind, std::int32_t axis, bool reverse = false,
                        bool exclusive = false) {
  mica_cumulative_args args{};
  args.struct_size = sizeof args;
  args.x = x;
  args.kind = kind;
  args.axis = axis;
  args.reverse = reverse;
  args.exclusive = exclusive;
  return mica_cumulative_with(&args);
}
inline value cumulative_sum(value x, std::int32_t axis) { return mica_cumulative_sum(x, axis); }
inline value cumulative_prod(value x, std::int32_t axis) { return mica_cumulative_prod(x, axis); }
inline value cumulative_max(value x, std::int32_t axis) { return mica_cumulative_max(x, axis); }
inline value cumulative_min(value x, std::int32_t axis) { return mica_cumulative_min(x, axis); }
inline value cumulative_logsumexp(value x, std::int32_t axis) {
  return mica_cumulative_logsumexp(x, axis);
}
inline value linear_recurrence(value a, value b, std::int32_t axis, bool reverse = false) {
  return mica_linear_recurrence(a, b, axis, reverse);
}

}  // namespace mica
#endif
