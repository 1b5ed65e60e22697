// SPDX-License-Identifier: Apache-2.0
// quantize.hpp: arrays of 8 and 4 bits, as in mica/ops/quantize.h.
#ifndef MICA_CPP_QUANTIZE_HPP
#define MICA_CPP_QUANTIZE_HPP
#include "mica/cpp/values.hpp"

namespace mica {

struct quantized {
  value values, scale, zero_point;
  operator mica_quantized() const { return {values, scale, zero_point}; }
  static quantized of(mica_quantized q) { return {q.values, q.scale, q.zero_point}; }
};

// quantize(w, quantize_options().with_dtype(MICA_I4).with_channels({1}).with_block(0, 32))
struct quantize_options : mica_quantize_args {
  quantize_options() : mica_quantize_args{} {}
  quantize_options &with_dtype(mica_dtype of_values) { return dtype = of_values, *this; }
  quantize_options &with_asymmetric(bool wanted = true) { return asymmetric = wanted, *this; }
  quantize_options &with_channels(axes of_scales) { return channels = of_scales, *this; }
  quantize_options &with_block(std::int32_t axis, std::int64_t elements) {
    return block_axis = axis, block = elements, *this;
  }
  quantize_options &with_scale(value s, value zero = {}) {
    return scale = s, zero_point = zero, *this;
  }
};
inline quantized quantize(value x, const quantize_options &options = {}) {
  mica_quantize_args args = detail::arguments_of<mica_quantize_args>(options);
  args.x = x;
  return quantized::of(mica_quantize_with(&args));
}
inline value fake_quantize(value x, const quantize_options &options = {}) {
  mica_quantize_args args = detail::arguments_of<mica_quantize_args>(options);
  args.x = x;
  return mica_fake_quantize_with(&args);
}
inline value dequantize(const quantized &x, mica_dtype dtype = MICA_DTYPE_NONE) {
  return mica_dequantize(x, dtype);
}

inline value quantized_dense(value x, const quantized &weights, value bias = {},
                             bool dynamic = false) {
  mica_quantized_dense_args args{};
  args.struct_size = sizeof args;
  args.x = x, args.weights = weights, args.bias = bias, args.dynamic = dynamic;
  return mica_quantized_dense_with(&args);
}
inline value quantized_dot(const quantized &x, const quantized &y,
                           mica_dtype dtype = MICA_DTYPE_NONE) {
  return mica_quantized_dot(x, y, dtype);
}

}  // namespace mica
#endif
