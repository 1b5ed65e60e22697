// SPDX-License-Identifier: Apache-2.0
// values.hpp: values of a graph, maths on them by operators and by names without a prefix, options by name,
// derivatives. Blocks are in blocks.hpp.
#ifndef MICA_CPP_VALUES_HPP
#define MICA_CPP_VALUES_HPP
#include <array>

#include "mica/cpp/base.hpp"

namespace mica {

// ---- values ---------------------------------------------------------------------------------------------

// One result of one operator in a graph; a plain handle, to and from mica_value.
class value {
 public:
  value() = default;
  value(mica_value from) : plain_(from) {}
  operator mica_value() const { return plain_; }
  mica_graph *graph() const { return plain_.graph; }
  bool valid() const { return mica_is_valid(plain_); }
  mica::type type() const { return mica_type_of(plain_); }
  mica::shape shape() const { return mica_shape_of(plain_); }
  mica_dtype dtype() const { return mica_dtype_of(plain_); }
  std::int32_t rank() const { return mica_rank_of(plain_); }
  std::int64_t dim(std::int32_t axis) const { return mica_dim_of(plain_, axis); }

 private:
  mica_value plain_{};
};

namespace detail {

// How blocks take and give values: one value, an array of them, or a vector.
template <class S>
struct bundle;
template <>
struct bundle<value> {
  static std::vector<mica_value> plain(const value &from) { return {from}; }
  static value made(const mica_value *from, std::size_t) { return *from; }
};
template <std::size_t N>
struct bundle<std::array<value, N>> {
  static std::vector<mica_value> plain(const std::array<value, N> &from) {
    return {from.begin(), from.end()};
  }
  static std::array<value, N> made(const mica_value *from, std::size_t) {
    std::array<value, N> out;
    for (std::size_t i = 0; i < N; i++) out[i] = from[i];
    return out;
  }
};
template <>
struct bundle<std::vector<value>> {
  static std::vector<mica_value> plain(const std::vector<value> &from) {
    return {from.begin(), from.end()};
  }
  static std::vector<value> made(const mica_value *from, std::size_t count) {
    return {from, from + count};
  }
};

template <class S>
std::vector<mica_value> plain(const S &from) {
  return bundle<S>::plain(from);
}
template <class S>
S made(const std::vector<mica_value> &from, std::size_t first = 0) {
  return bundle<S>::made(from.data() + first, from.size() - first);
}
// `count` arguments of the open block from `first` on.
template <class S>
S arguments(mica_region block, std::size_t first, std::size_t count) {
  std::vector<mica_value> in(count);
  for (std::size_t i = 0; i < count; i++) in[i] = mica_argument(block, first + i);
  return made<S>(in);
}
inline mica_graph *graph_of(const std::vector<mica_value> &in) {
  for (mica_value one : in)
    if (one.graph) return one.graph;
  return nullptr;
}
inline mica_value number(value like, double n) {
  return mica_scalar(like.graph(), like.dtype(), n);
}

}  // namespace detail

// x + y, x + 1, 1 + x, and so on; broadcast as in numpy. Comparisons give values, not bool.
/* clang-format off */
#define MICA_HPP_OPERATOR_LIST(X) \
  X(+, add)                       \
  X(-, sub)                       \
  X(*, mul)                       \
  X(/, div)                       \
  X(<, less) X(<=, less_equal) X(>, greater) X(>=, greater_equal) X(==, equal) X(!=, not_equal)
/* clang-format on */
#define MICA_HPP_OPERATOR(symbol, name)                                                  \
  inline value operator symbol(value x, value y) { return mica_##name(x, y); }           \
  inline value operator symbol(value x, double y) { return mica_##name##_number(x, y); } \
  inline value operator symbol(double x, value y) { return mica_##name(detail::number(y, x), y); }
MICA_HPP_OPERATOR_LIST(MICA_HPP_OPERATOR)
#undef MICA_HPP_OPERATOR
#undef MICA_HPP_OPERATOR_LIST
inline value operator-(value x) { return mica_neg(x); }
inline value operator!(value x) { return mica_not(x); }
inline value operator&(value x, value y) { return mica_and(x, y); }
inline value operator|(value x, value y) { return mica_or(x, y); }
inline value operator^(value x, value y) { return mica_xor(x, y); }
inline value &operator+=(value &x, value y) { return x = x + y; }
inline value &operator-=(value &x, value y) { return x = x - y; }
inline value &operator*=(value &x, value y) { return x = x * y; }
inline value &operator/=(value &x, value y) { return x = x / y; }

// One operand, as in mica/ops/elementwise.h and composite.h.
/* clang-format off */
#define MICA_HPP_UNARY_LIST(X)                                                                 \
  X(abs)                                                                                       \
  X(sign)                                                                                      \
  X(exp)                                                                                       \
  X(expm1)                                                                                     \
  X(log)                                                                                       \
  X(log1p)                                                                                     \
  X(tanh)                                                                                      \
  X(logistic)                                                                                  \
  X(erf)                                                                                       \
  X(sqrt)                                                                                      \
  X(rsqrt)                                                                                     \
  X(sin)                                                                                       \
  X(cos)                                                                                       \
  X(floor)                                                                                     \
  X(ceil) X(round) X(cbrt) X(exp2) X(log2) X(log10) X(tan) X(asin) X(acos) X(atan) X(sinc)     \
  X(sinh) X(cosh) X(asinh) X(acosh) X(atanh) X(softplus) X(logit) X(trunc) X(round_half_away)  \
  X(is_inf) X(erfc) X(erf_inv) X(lgamma) X(digamma) X(bessel_i0) X(bessel_i1) X(bessel_i0e)    \
  X(bessel_i1e) X(popcount) X(count_leading_zeros) X(sign_bit) X(real) X(imag) X(conj) X(angle) \
  X(is_finite) X(is_nan) X(square) X(reciprocal) X(relu) X(gelu) X(gelu_tanh) \
      X(silu) X(stop_gradient) X(zeros_like) X(ones_like)
/* clang-format on */
#define MICA_HPP_UNARY(name) \
  inline value name(value x) { return mica_##name(x); }
MICA_HPP_UNARY_LIST(MICA_HPP_UNARY)
#undef MICA_HPP_UNARY
#undef MICA_HPP_UNARY_LIST
// Two operands, or a number as the second one.
/* clang-format off */
#define MICA_HPP_BINARY_LIST(X)                                                                    \
  X(rem) X(pow) X(max) X(min) X(mod) X(floor_divide) X(shift_left) X(shift_right_logical)          \
  X(shift_right_arithmetic)
/* clang-format on */
#define MICA_HPP_BINARY(name)                                       \
  inline value name(value x, value y) { return mica_##name(x, y); } \
  inline value name(value x, double y) { return mica_##name##_number(x, y); }
MICA_HPP_BINARY_LIST(MICA_HPP_BINARY)
#undef MICA_HPP_BINARY
#undef MICA_HPP_BINARY_LIST
// Over axes: all of them, {0, 1}, or keep({-1}).
/* clang-format off */
#define MICA_HPP_AXES_LIST(X) \
  X(reduce_sum)               \
  X(reduce_mean)              \
  X(reduce_max)               \
  X(reduce_min)               \
  X(reduce_prod) X(reduce_and) X(reduce_or) X(reduce_xor) X(logsumexp) X(squeeze) X(transpose) X(reverse)
/* clang-format on */
#define MICA_HPP_AXES(name) \
  inline value name(value x, axes over = all()) { return mica_##name(x, over); }
MICA_HPP_AXES_LIST(MICA_HPP_AXES)
#undef MICA_HPP_AXES
#undef MICA_HPP_AXES_LIST
inline value atan2(value y, value x) { return mica_atan2(y, x); }
inline value hypot(value x, value y) { return mica_hypot(x, y); }
inline value logaddexp(value x, value y) { return mica_logaddexp(x, y); }
inline value xlogy(value x, value y) { return mica_xlogy(x, y); }
inline value xlog1py(value x, value y) { return mica_xlog1py(x, y); }
inline value copysign(value x, value y) { return mica_copysign(x, y); }
inline value total_order(value x) { return mica_total_order(x); }
inline value nextafter(value x, value y) { return mica_nextafter(x, y); }
inline value igamma(value a, value x) { return mica_igamma(a, x); }
inline value igammac(value a, value x) { return mica_igammac(a, x); }
inline value betainc(value a, value b, value x) { return mica_betainc(a, b, x); }
inline value polygamma(std::int32_t order, value x) { return mica_polygamma(order, x); }
inline value polynomial(value x, const std::vector<double> &coefficients) {
  return mica_polynomial(x, coefficients.data(), coefficients.size());
}
inline value clamp(value x, value low, value high) { return mica_clamp(x, low, high); }
inline value clamp(value x, double low, double high) { return mica_clamp_numbers(x, low, high); }
inline value complex(value x, value y) { return mica_complex(x, y); }
inline value bitcast(value x, mica_dtype dtype) { return mica_bitcast(x, dtype); }
inline value reduce_precision(value x, std::int32_t exponent_bits, std::int32_t mantissa_bits) {
  return mica_reduce_precision(x, exponent_bits, mantissa_bits);
}
inline std::vector<value> barrier(const std::vector<value> &x) {
  std::vector<mica_value> in = detail::plain(x), out(x.size());
  mica_barrier(in.data(), in.size(), out.data());
  return detail::made<std::vector<value>>(out);
}
inline value matmul(value x, value y, mica_dtype dtype = MICA_DTYPE_NONE) {
  return mica_matmul_typed(x, y, dtype);
}
inline value cholesky(value x, bool upper = false) { return mica_cholesky(x, upper); }
struct triangular_solve_options {
  bool upper = false, transpose = false, unit_diagonal = false, right = false;
};
inline value triangular_solve(value a, value b, triangular_solve_options options = {}) {
  mica_triangular_solve_args args{};
  args.struct_size = sizeof(args);
  args.a = a, args.b = b;
  args.upper = options.upper, args.transpose = options.transpose;
  args.unit_diagonal = options.unit_diagonal, args.right = options.right;
  return mica_triangular_solve_with(&args);
}
inline value solve(value a, value b) { return mica_solve(a, b); }
inline value inverse(value x) { return mica_inverse(x); }
inline value det(value x) { return mica_det(x); }
struct qr_result {
  value q, r;
};
inline qr_result qr(value x, bool full = false) {
  mica_value q, r;
  mica_qr(x, full, &q, &r);
  return {q, r};
}
struct eigh_result {
  value values, vectors;
};
inline eigh_result eigh(value x) {
  mica_value values, vectors;
  mica_eigh(x, &values, &vectors);
  return {values, vectors};
}
inline value eigvalsh(value x) { return mica_eigvalsh(x); }
struct svd_result {
  value u, values, vt;
};
inline svd_result svd(value x, bool full = false) {
  mica_value u, values, vt;
  mica_svd(x, full, &u, &values, &vt);
  return {u, values, vt};
}
inline value svdvals(value x) { return mica_svdvals(x); }
inline value pinv(value x, double rcond = -1) { return mica_pinv(x, rcond); }
inline value lstsq(value a, value b, double rcond = -1) { return mica_lstsq(a, b, rcond); }
inline value matrix_rank(value x, double rcond = -1) { return mica_matrix_rank(x, rcond); }
inline value matrix_trace(value x) { return mica_matrix_trace(x); }
inline value matrix_norm(value x, mica_matrix_norm_kind kind = MICA_NORM_FROBENIUS) {
  return mica_matrix_norm(x, kind);
}
inline value condition_number(value x, mica_matrix_norm_kind kind = MICA_NORM_SPECTRAL) {
  return mica_condition_number(x, kind);
}
inline value matrix_power(value x, std::int64_t exponent) { return mica_matrix_power(x, exponent); }
inline value matrix_exp(value x) { return mica_matrix_exp(x); }
struct slogdet_result {
  value sign, log;
};
inline slogdet_result slogdet(value x) {
  mica_value sign, log;
  mica_slogdet(x, &sign, &log);
  return {sign, log};
}
inline value convert(value x, mica_dtype dtype) { return mica_convert(x, dtype); }
inline value select(value condition, value x, value y) { return mica_select(condition, x, y); }
inline value full_like(value x, double number) { return mica_full_like(x, number); }
inline value mark(value x, const char *label) { return mica_mark(x, label); }
inline value arg_max(value x, std::int32_t axis) { return mica_arg_max(x, axis); }
inline value arg_min(value x, std::int32_t axis) { return mica_arg_min(x, axis); }
inline value softmax(value x, std::int32_t axis = -1) { return mica_softmax(x, axis); }
inline value log_softmax(value x, std::int32_t axis = -1) { return mica_log_softmax(x, axis); }
// Training's mean and variance with it.
struct batch_norm_result {
  value y, mean, variance;
};
inline batch_norm_result batch_norm_training(value x, value scale = {}, value bias = {},
                                             std::int32_t axis = -1, double epsilon = 1e-5) {
  mica_value mean, variance;
  mica_value y = mica_batch_norm_training(x, scale, bias, axis, epsilon, &mean, &variance);
  return {y, mean, variance};
}
inline value batch_norm_inference(value x, value scale, value bias, value mean, value variance,
                                  std::int32_t axis = -1, double epsilon = 1e-5) {
  return mica_batch_norm_inference(x, scale, bias, mean, variance, axis, epsilon);
}
inline value layer_norm(value x, value scale = {}, value bias = {}, double epsilon = 1e-5) {
  return mica_layer_norm(x, scale, bias, epsilon);
}
inline value softmax_cross_entropy(value logits, value labels) {
  return mica_softmax_cross_entropy(logits, labels);
}
inline value one_hot(value indices, std::int64_t depth, mica_dtype dtype) {
  return mica_one_hot(indices, depth, dtype);
}
inline value broadcast_to(value x, shape to) { return mica_broadcast_to(x, to); }
inline value reshape(value x, shape to) { return mica_reshape(x, to); }
inline value flatten(value x, std::int32_t axis = 0) { return mica_flatten(x, axis); }
inline value expand_dims(value x, std::int32_t axis) { return mica_expand_dims(x, axis); }
inline value swap_axes(value x, std::int32_t a, std::int32_t b) { return mica_swap_axes(x, a, b); }
inline value slice(value x, const char *ranges) { return mica_slice(x, ranges); }
inline value index_axis(value x, value index, std::int32_t axis = 0) {
  return mica_index_axis(x, index, axis);
}
inline value update_axis(value x, value update, value index, std::int32_t axis = 0) {
  return mica_update_axis(x, update, index, axis);
}
inline value take(value x, value indices, std::int32_t axis = 0) {
  return mica_take(x, indices, axis);
}
inline value take_along_axis(value x, value indices, std::int32_t axis) {
  return mica_take_along_axis(x, indices, axis);
}
inline value scatter_add(value x, value indices, value updates) {
  return mica_scatter_add(x, indices, updates);
}
inline value scatter_set(value x, value indices, value updates) {
  return mica_scatter_set(x, indices, updates);
}
inline value concatenate(const std::vector<value> &x, std::int32_t axis = 0) {
  return mica_concatenate(detail::plain(x).data(), x.size(), axis);
}
inline value stack(const std::vector<value> &x, std::int32_t axis = 0) {
  return mica_stack(detail::plain(x).data(), x.size(), axis);
}
inline std::vector<value> split(value x, std::int32_t axis, std::size_t count) {
  std::vector<mica_value> out(count);
  mica_split(x, axis, count, out.data());
  return detail::made<std::vector<value>>(out);
}
inline value random_bits(value key, shape sizes) { return mica_random_bits(key, sizes); }
inline value random_uniform(value key, type of) { return mica_random_uniform(key, of); }
inline value random_normal(value key, type of) { return mica_random_normal(key, of); }
inline value random_bernoulli(value key, double p, shape sizes) {
  return mica_random_bernoulli(key, p, sizes);
}
inline value random_fold(value key, value number) { return mica_random_fold(key, number); }

// ---- operators with options: conv(x, kernel, conv_options().with_stride(2, 2).with_groups(4)) -------------

namespace detail {
template <class T, std::size_t N, class... Numbers>
void fill(T (&list)[N], Numbers... numbers) {
  static_assert(sizeof...(Numbers) <= N, "more numbers than there can be axes");
  std::size_t i = 0;
  ((list[i++] = static_cast<T>(numbers)), ...);
}
template <class Args>
Args arguments_of(const Args &options) {
  Args args = options;
  args.struct_size = sizeof args;
  return args;
}
}  // namespace detail

// Numbers are by spatial axis, as in mica_conv_args.
struct conv_options : mica_conv_args {
  conv_options() : mica_conv_args{} {}
  template <class... N>
  conv_options &with_stride(N... n) {
    return detail::fill(stride, n...), *this;
  }
  template <class... N>
  conv_options &with_dilation(N... n) {
    return detail::fill(dilation, n...), *this;
  }
  template <class... N>
  conv_options &with_input_dilation(N... n) {
    return detail::fill(input_dilation, n...), *this;
  }
  template <class... N>
  conv_options &with_low(N... n) {
    return padding = MICA_EXPLICIT, detail::fill(low, n...), *this;
  }
  template <class... N>
  conv_options &with_high(N... n) {
    return padding = MICA_EXPLICIT, detail::fill(high, n...), *this;
  }
  conv_options &with_padding(mica_padding kind) { return padding = kind, *this; }
  conv_options &with_groups(std::int32_t count) { return groups = count, *this; }
};
inline value conv(value x, value kernel, const conv_options &options = {}) {
  mica_conv_args args = detail::arguments_of<mica_conv_args>(options);
  args.x = x, args.kernel = kernel;
  return mica_conv_with(&args);
}

// Window and stride by spatial axis; without them 2 by 2.
struct pool_options : mica_pool_args {
  pool_options() : mica_pool_args{} {}
  template <class... N>
  pool_options &with_window(N... n) {
    return detail::fill(window, n...), *this;
  }
  template <class... N>
  pool_options &with_stride(N... n) {
    return detail::fill(stride, n...), *this;
  }
  template <class... N>
  pool_options &with_dilation(N... n) {
    return detail::fill(dilation, n...), *this;
  }
  template <class... N>
  pool_options &with_low(N... n) {
    return padding = MICA_EXPLICIT, detail::fill(low, n...), *this;
  }
  template <class... N>
  pool_options &with_high(N... n) {
    return padding = MICA_EXPLICIT, detail::fill(high, n...), *this;
  }
  pool_options &with_ceil_mode(bool wanted = true) { return ceil_mode = wanted, *this; }
  pool_options &with_count_padding(bool wanted = true) { return count_padding = wanted, *this; }
  pool_options &with_power(double number) { return power = number, *this; }
  pool_options &with_padding(mica_padding kind) { return padding = kind, *this; }
};
inline value max_pool(value x, const pool_options &options = {}) {
  mica_pool_args args = detail::arguments_of<mica_pool_args>(options);
  args.x = x;
  return mica_max_pool_with(&args);
}
inline value mean_pool(value x, const pool_options &options = {}) {
  mica_pool_args args = detail::arguments_of<mica_pool_args>(options);
  args.x = x;
  return mica_mean_pool_with(&args);
}

// Mask, causality and scale of mica_attention_args.
struct attention_options : mica_attention_args {
  attention_options() : mica_attention_args{} {}
  attention_options &with_mask(value m) { return mask = m, *this; }
  attention_options &with_causal(bool wanted = true) { return causal = wanted, *this; }
  attention_options &with_scale(double number) { return scale = number, *this; }
};
inline value attention(value q, value k, value v, const attention_options &options = {}) {
  mica_attention_args args = detail::arguments_of<mica_attention_args>(options);
  args.q = q, args.k = k, args.v = v;
  return mica_attention_with(&args);
}

// Axes of mica_dot_general_args.
struct dot_options : mica_dot_general_args {
  dot_options() : mica_dot_general_args{} {}
  dot_options &with_batch(axes of_x, axes of_y) { return x_batch = of_x, y_batch = of_y, *this; }
  dot_options &with_contract(axes of_x, axes of_y) {
    return x_contract = of_x, y_contract = of_y, *this;
  }
  dot_options &with_dtype(mica_dtype of_result) { return dtype = of_result, *this; }
};
inline value dot_general(value x, value y, const dot_options &options) {
  mica_dot_general_args args = detail::arguments_of<mica_dot_general_args>(options);
  args.x = x, args.y = y;
  return mica_dot_general_with(&args);
}

// ---- derivatives: one value, or an array, a vector or {a, b} of them -------------------------------------

// d loss / d x, of x's types.
template <class S>
S gradients(value loss, const S &x) {
  std::vector<mica_value> in = detail::plain(x), out(in.size());
  mica_gradients(loss, in.data(), in.size(), out.data());
  return detail::made<S>(out);
}
template <std::size_t N>
std::array<value, N> gradients(value loss, const value (&x)[N]) {
  std::array<value, N> list;
  for (std::size_t i = 0; i < N; i++) list[i] = x[i];
  return gradients(loss, list);
}
// (d y / d x)^T cotangent, of x's types.
template <class Y, class X>
X vjp(const Y &y, const Y &cotangent, const X &x) {
  std::vector<mica_value> from = detail::plain(y), given = detail::plain(cotangent),
                          in = detail::plain(x), out(in.size());
  mica_vjp(from.data(), given.data(), from.size(), in.data(), in.size(), out.data());
  return detail::made<X>(out);
}
// (d y / d x) tangent, of y's types.
template <class Y, class X>
Y jvp(const Y &y, const X &x, const X &tangent) {
  std::vector<mica_value> from = detail::plain(y), in = detail::plain(x),
                          given = detail::plain(tangent), out(from.size());
  mica_jvp(from.data(), from.size(), in.data(), given.data(), in.size(), out.data());
  return detail::made<Y>(out);
}
inline value jacobian(value y, value x) { return mica_jacobian(y, x); }
inline value jacobian_forward(value y, value x) { return mica_jacobian_forward(y, x); }
inline value hessian(value loss, value x) { return mica_hessian(loss, x); }

}  // namespace mica
#endif
