// SPDX-License-Identifier: Apache-2.0
// arrays.hpp: arrays made of numbers and of others, axes by name, statistics and random
// numbers, as in mica/ops/arrange.h, einsum.h, statistics.h and random.h.
#ifndef MICA_CPP_ARRAYS_HPP
#define MICA_CPP_ARRAYS_HPP
#include "mica/cpp/values.hpp"

namespace mica {

// ---- axes by name ---------------------------------------------------------------------------------------

inline value einsum(const char *equation, const std::vector<value> &x,
                    mica_dtype dtype = MICA_DTYPE_NONE) {
  std::vector<mica_value> in = detail::plain(x);
  mica_einsum_args args{};
  args.struct_size = sizeof args;
  args.equation = equation, args.x = in.data(), args.count = in.size(), args.dtype = dtype;
  return mica_einsum_with(&args);
}

// rearrange(x, "(h w) c -> h w c", rearrange_options().with_size("h", 4)); names live until the call.
struct rearrange_options : mica_rearrange_args {
  rearrange_options() : mica_rearrange_args{} {}
  rearrange_options &with_size(const char *name, std::int64_t size) {
    for (mica_named_size &entry : sizes)
      if (!entry.name) return entry = {name, size}, *this;
    return *this;
  }
  rearrange_options &with_reduce(mica_rearrange_kind kind) { return reduce = kind, *this; }
};
inline value rearrange(value x, const char *pattern, const rearrange_options &options = {}) {
  mica_rearrange_args args = detail::arguments_of<mica_rearrange_args>(options);
  args.x = x, args.pattern = pattern;
  return mica_rearrange_with(&args);
}

// ---- arrays ---------------------------------------------------------------------------------------------

inline value zeros(mica_graph *graph, type of) { return mica_zeros(graph, of); }
inline value ones(mica_graph *graph, type of) { return mica_ones(graph, of); }
inline value eye(mica_graph *graph, mica_dtype dtype, std::int64_t rows, std::int64_t columns,
                 std::int64_t offset = 0) {
  return mica_eye(graph, dtype, rows, columns, offset);
}
inline value arange(mica_graph *graph, mica_dtype dtype, double start, double stop,
                    double step = 1) {
  return mica_arange(graph, dtype, start, stop, step);
}
inline value linspace(mica_graph *graph, mica_dtype dtype, double start, double stop,
                      std::int64_t count) {
  return mica_linspace(graph, dtype, start, stop, count);
}
inline std::vector<value> meshgrid(const std::vector<value> &x, bool xy = false) {
  std::vector<mica_value> out(x.size());
  mica_meshgrid(detail::plain(x).data(), x.size(), xy, out.data());
  return detail::made<std::vector<value>>(out);
}
inline value move_axis(value x, std::int32_t from, std::int32_t to) {
  return mica_move_axis(x, from, to);
}
inline std::vector<value> unstack(value x, std::int32_t axis = 0) {
  std::vector<mica_value> out(static_cast<std::size_t>(x.dim(axis)));
  mica_unstack(x, axis, out.size(), out.data());
  return detail::made<std::vector<value>>(out);
}
inline std::vector<value> split_sizes(value x, std::int32_t axis,
                                      const std::vector<std::int64_t> &sizes) {
  std::vector<mica_value> out(sizes.size());
  mica_split_sizes(x, axis, sizes.data(), sizes.size(), out.data());
  return detail::made<std::vector<value>>(out);
}
inline value roll(value x, std::int64_t shift, std::int32_t axis) {
  return mica_roll(x, shift, axis);
}
inline value tile(value x, shape times) { return mica_tile(x, times); }
inline value repeat(value x, std::int64_t times, std::int32_t axis) {
  return mica_repeat(x, times, axis);
}
inline value diagonal(value x, std::int64_t offset = 0, std::int32_t a = -2, std::int32_t b = -1) {
  return mica_diagonal(x, offset, a, b);
}
inline value diag_embed(value x, std::int64_t offset = 0) { return mica_diag_embed(x, offset); }
inline value diag(value x, std::int64_t offset = 0) { return mica_diag(x, offset); }
inline value tril(value x, std::int64_t offset = 0) { return mica_tril(x, offset); }
inline value triu(value x, std::int64_t offset = 0) { return mica_triu(x, offset); }
inline value tri(mica_graph *graph, mica_dtype dtype, std::int64_t rows, std::int64_t columns,
                 std::int64_t offset = 0) {
  return mica_tri(graph, dtype, rows, columns, offset);
}
inline value indices(mica_graph *graph, mica_dtype dtype, shape sizes) {
  return mica_indices(graph, dtype, sizes);
}
inline value shift(value x, std::int64_t by, std::int32_t axis = 0, value filling = {}) {
  return mica_shift(x, filling, by, axis);
}
inline value put_along_axis(value x, value indices, value updates, std::int32_t axis) {
  return mica_put_along_axis(x, indices, updates, axis);
}
inline value add_along_axis(value x, value indices, value updates, std::int32_t axis) {
  return mica_add_along_axis(x, indices, updates, axis);
}

// ---- statistics -----------------------------------------------------------------------------------------

// Over axes: all of them, {0, 1}, or keep({-1}).
#define MICA_HPP_OVER(name) \
  inline value name(value x, axes over = all()) { return mica_##name(x, over); }
MICA_HPP_OVER(any)
MICA_HPP_OVER(count_nonzero)
MICA_HPP_OVER(ptp)
MICA_HPP_OVER(nansum)
MICA_HPP_OVER(nanprod)
MICA_HPP_OVER(nanmean)
MICA_HPP_OVER(nanmax)
MICA_HPP_OVER(nanmin)
#undef MICA_HPP_OVER
// all() without a value means every axis.
inline value all(value x, axes over = all()) { return mica_all(x, over); }
#define MICA_HPP_SPREAD(name)                                      \
  inline value name(value x, axes over = all(), double ddof = 0) { \
    return mica_##name(x, over, ddof);                             \
  }
MICA_HPP_SPREAD(variance)
MICA_HPP_SPREAD(nanvariance)
MICA_HPP_SPREAD(nanstd)
#undef MICA_HPP_SPREAD
// Not `std`: inside of the namespace that would hide the standard library's.
inline value standard_deviation(value x, axes over = all(), double ddof = 0) {
  return mica_std(x, over, ddof);
}
inline value nonzero(value x, std::int64_t size, std::int64_t filling = -1) {
  return mica_nonzero(x, size, filling);
}
inline value skewness(value x, axes over = all()) { return mica_skewness(x, over); }
inline value kurtosis(value x, axes over = all()) { return mica_kurtosis(x, over); }
#define MICA_HPP_MASKED(name)                                          \
  inline value masked_##name(value x, value mask, axes over = all()) { \
    return mica_masked_##name(x, mask, over);                          \
  }
MICA_HPP_MASKED(sum)
MICA_HPP_MASKED(prod)
MICA_HPP_MASKED(mean)
MICA_HPP_MASKED(max)
MICA_HPP_MASKED(min)
#undef MICA_HPP_MASKED
inline value masked_softmax(value x, value mask, std::int32_t axis = -1) {
  return mica_masked_softmax(x, mask, axis);
}
inline value masked_log_softmax(value x, value mask, std::int32_t axis = -1) {
  return mica_masked_log_softmax(x, mask, axis);
}
inline value l2_normalize(value x, axes over = axes{-1}, double epsilon = 0) {
  return mica_l2_normalize(x, over, epsilon);
}
inline value cosine_similarity(value x, value y, std::int32_t axis = -1) {
  return mica_cosine_similarity(x, y, axis);
}
inline value cross_cosine_similarity(value x, value y) {
  return mica_cross_cosine_similarity(x, y);
}
inline value diff(value x, std::int64_t n = 1, std::int32_t axis = -1) {
  return mica_diff(x, n, axis);
}
inline value average(value x, value weights, axes over = all()) {
  return mica_average(x, weights, over);
}
inline value covariance(value x, double ddof = 1) { return mica_covariance(x, ddof); }
inline value corrcoef(value x) { return mica_corrcoef(x); }
inline value norm(value x, double p = 2, axes over = all()) { return mica_norm(x, p, over); }
inline value outer(value x, value y) { return mica_outer(x, y); }
inline value kron(value x, value y) { return mica_kron(x, y); }
inline value cross(value x, value y, std::int32_t axis = -1) { return mica_cross(x, y, axis); }
inline value convolve(value x, value y, mica_padding padding = MICA_DEFAULT_PADDING) {
  return mica_convolve(x, y, padding);
}
inline value trapezoid(value y, value x, std::int32_t axis = -1) {
  return mica_trapezoid(y, x, 1, axis);
}
inline value trapezoid(value y, double spacing = 1, std::int32_t axis = -1) {
  return mica_trapezoid(y, mica_value{}, spacing, axis);
}
inline value interp(value x, value xs, value ys) { return mica_interp(x, xs, ys); }

// ---- random numbers, as in mica/ops/random.h ------------------------------------------------------------

inline value random_split(value key, std::int64_t count) { return mica_random_split(key, count); }
inline value random_integers(value key, type of, std::int64_t low, std::int64_t high) {
  return mica_random_integers(key, of, low, high);
}
inline value random_bernoulli(value key, value p, shape sizes) {
  return mica_random_bernoulli_each(key, p, sizes);
}
inline value random_rademacher(value key, type of) { return mica_random_rademacher(key, of); }
inline value random_categorical(value key, value logits) {
  return mica_random_categorical(key, logits);
}
inline value random_poisson(value key, value rate, shape sizes) {
  return mica_random_poisson(key, rate, sizes);
}
inline value random_permutation(value key, std::int64_t n) {
  return mica_random_permutation(key, n);
}
inline value random_shuffle(value key, value x, std::int32_t axis = 0) {
  return mica_random_shuffle(key, x, axis);
}
inline value random_choice(value key, std::int64_t n, std::int64_t count, bool replace = true) {
  return mica_random_choice(key, n, count, replace);
}
inline value random_choice_by(value key, value logits, std::int64_t count) {
  return mica_random_choice_by(key, logits, count);
}
inline value random_uniform(value key, type of, double low, double high) {
  return mica_random_uniform_range(key, of, low, high);
}
inline value random_truncated_normal(value key, type of, double low = -2, double high = 2) {
  return mica_random_truncated_normal(key, of, low, high);
}
inline value random_exponential(value key, type of) { return mica_random_exponential(key, of); }
inline value random_gumbel(value key, type of) { return mica_random_gumbel(key, of); }
inline value random_laplace(value key, type of) { return mica_random_laplace(key, of); }
inline value random_logistic(value key, type of) { return mica_random_logistic(key, of); }
inline value random_cauchy(value key, type of) { return mica_random_cauchy(key, of); }
inline value random_orthogonal(value key, type of, double gain = 1) {
  return mica_random_orthogonal(key, of, gain);
}
inline value random_gamma(value key, value a, shape sizes) {
  return mica_random_gamma(key, a, sizes);
}
inline value random_log_gamma(value key, value a, shape sizes) {
  return mica_random_log_gamma(key, a, sizes);
}
inline value random_beta(value key, value a, value b, shape sizes) {
  return mica_random_beta(key, a, b, sizes);
}
inline value random_dirichlet(value key, value a, shape sizes) {
  return mica_random_dirichlet(key, a, sizes);
}

}  // namespace mica
#endif
