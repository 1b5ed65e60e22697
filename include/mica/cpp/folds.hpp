// SPDX-License-Identifier: Apache-2.0
// folds.hpp: reductions, scans and sorts whose operator is a lambda of single elements. Values are one value, an
// array or a vector of them; a lambda joins two bundles of elements into one.
#ifndef MICA_CPP_FOLDS_HPP
#define MICA_CPP_FOLDS_HPP
#include "mica/cpp/blocks.hpp"

namespace mica {

// init joined with all elements along the axes, in their order: join(left, right), associative.
template <class S, class Join>
S reduce(const S &x, const S &init, Join &&join, axes over = all()) {
  std::vector<mica_value> in = detail::plain(x), start = detail::plain(init), out(in.size());
  start.resize(in.size(), mica_value{});
  mica_region fold = mica_reduce_begin(in.data(), start.data(), in.size(), over);
  std::vector<mica_value> joined = detail::plain(S(join(
      detail::arguments<S>(fold, 0, in.size()), detail::arguments<S>(fold, in.size(), in.size()))));
  joined.resize(in.size(), mica_value{});
  mica_reduce_end(fold, joined.data(), out.data());
  return detail::made<S>(out);
}

// Running folds along an axis: join(left, right) of slices without it, associative.
template <class S, class Join>
S associative_scan(const S &x, Join &&join, std::int32_t axis = 0, bool backwards = false) {
  std::vector<mica_value> in = detail::plain(x), out(in.size());
  mica_region fold = mica_associative_scan_begin(in.data(), in.size(), axis, backwards);
  std::vector<mica_value> joined = detail::plain(S(join(
      detail::arguments<S>(fold, 0, in.size()), detail::arguments<S>(fold, in.size(), in.size()))));
  joined.resize(in.size(), mica_value{});
  mica_associative_scan_end(fold, joined.data(), out.data());
  return detail::made<S>(out);
}

// In order by precedes(a, b), a strict weak order of two elements of one value.
template <class Precedes>
value sort_by(value x, Precedes &&precedes, std::int32_t axis = -1) {
  mica_value in = x, out{};
  mica_region block = mica_sort_begin(&in, 1, axis);
  value result = precedes(value(mica_argument(block, 0)), value(mica_argument(block, 1)));
  mica_sort_end(block, result, &out);
  return out;
}

}  // namespace mica
#endif
