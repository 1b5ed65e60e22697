// SPDX-License-Identifier: Apache-2.0
// signal.hpp: Fourier transforms, signals and images, as in mica/ops/fft.h and image.h; pools of reduce.h are in
// values.hpp but for those that are named here.
#ifndef MICA_CPP_SIGNAL_HPP
#define MICA_CPP_SIGNAL_HPP
#include "mica/cpp/values.hpp"

namespace mica {

// ---- Fourier transforms ---------------------------------------------------------------------------------

struct fft_options : mica_fft_args {
  fft_options() : mica_fft_args{} {}
  fft_options &with_axes(mica::axes over) { return axes = over, *this; }
  template <class... N>
  fft_options &with_length(N... n) {
    return detail::fill(length, n...), *this;
  }
  fft_options &with_norm(mica_fft_norm kind) { return norm = kind, *this; }
};
#define MICA_HPP_FFT(name)                                             \
  inline value name(value x, const fft_options &options = {}) {        \
    mica_fft_args args = detail::arguments_of<mica_fft_args>(options); \
    args.x = x;                                                        \
    return mica_##name##_with(&args);                                  \
  }
MICA_HPP_FFT(fft)
MICA_HPP_FFT(ifft)
MICA_HPP_FFT(rfft)
MICA_HPP_FFT(irfft)
#undef MICA_HPP_FFT
inline value fftshift(value x, axes over = all()) { return mica_fftshift(x, over); }
inline value ifftshift(value x, axes over = all()) { return mica_ifftshift(x, over); }

// ---- signals --------------------------------------------------------------------------------------------

inline value frame(value x, std::int64_t length, std::int64_t hop) {
  return mica_frame(x, length, hop);
}
inline value overlap_add(value x, std::int64_t hop) { return mica_overlap_add(x, hop); }
struct stft_options : mica_stft_args {
  stft_options() : mica_stft_args{} {}
  stft_options &with_hop(std::int64_t samples_apart) { return hop = samples_apart, *this; }
  stft_options &with_window(value w) { return window = w, *this; }
  stft_options &with_border(mica_stft_border kind) { return border = kind, *this; }
  stft_options &with_samples(std::int64_t count) { return samples = count, *this; }
};
inline value stft(value x, std::int64_t length, const stft_options &options = {}) {
  mica_stft_args args = detail::arguments_of<mica_stft_args>(options);
  args.x = x, args.length = length;
  return mica_stft_with(&args);
}
inline value istft(value x, std::int64_t length, const stft_options &options = {}) {
  mica_stft_args args = detail::arguments_of<mica_stft_args>(options);
  args.x = x, args.length = length;
  return mica_istft_with(&args);
}
inline value fft_convolve(value x, value y, mica_convolve_mode mode = MICA_CONVOLVE_FULL) {
  return mica_fft_convolve(x, y, mode);
}

// ---- images ---------------------------------------------------------------------------------------------

struct resize_options : mica_resize_args {
  resize_options() : mica_resize_args{} {}
  resize_options &with_method(mica_resize_method kind) { return method = kind, *this; }
  resize_options &with_antialias(bool wanted = true) { return antialias = wanted, *this; }
  resize_options &with_align_corners(bool wanted = true) { return align_corners = wanted, *this; }
};
inline value resize(value x, shape sizes, const resize_options &options = {}) {
  mica_resize_args args = detail::arguments_of<mica_resize_args>(options);
  args.x = x, args.sizes = sizes;
  return mica_resize_with(&args);
}
struct grid_sample_options : mica_grid_sample_args {
  grid_sample_options() : mica_grid_sample_args{} {}
  grid_sample_options &with_method(mica_sample_method kind) { return method = kind, *this; }
  grid_sample_options &with_outside(mica_outside kind) { return outside = kind, *this; }
  grid_sample_options &with_align_corners(bool wanted = true) {
    return align_corners = wanted, *this;
  }
};
inline value grid_sample(value x, value grid, const grid_sample_options &options = {}) {
  mica_grid_sample_args args = detail::arguments_of<mica_grid_sample_args>(options);
  args.x = x, args.grid = grid;
  return mica_grid_sample_with(&args);
}
inline value affine_grid(value theta, shape sizes, bool align_corners = false) {
  return mica_affine_grid(theta, sizes, align_corners);
}

#define MICA_HPP_POOL(name)                                              \
  inline value name(value x, const pool_options &options = {}) {         \
    mica_pool_args args = detail::arguments_of<mica_pool_args>(options); \
    args.x = x;                                                          \
    return mica_##name##_with(&args);                                    \
  }
MICA_HPP_POOL(min_pool)
MICA_HPP_POOL(sum_pool)
MICA_HPP_POOL(lp_pool)
#undef MICA_HPP_POOL
inline value adaptive_mean_pool(value x, shape sizes) { return mica_adaptive_mean_pool(x, sizes); }
inline value adaptive_max_pool(value x, shape sizes) { return mica_adaptive_max_pool(x, sizes); }
inline value global_mean_pool(value x) { return mica_global_mean_pool(x); }
inline value global_max_pool(value x) { return mica_global_max_pool(x); }

// Numbers are by spatial axis.
struct unfold_options : mica_unfold_args {
  unfold_options() : mica_unfold_args{} {}
  template <class... N>
  unfold_options &with_window(N... n) {
    return detail::fill(window, n...), *this;
  }
  template <class... N>
  unfold_options &with_stride(N... n) {
    return detail::fill(stride, n...), *this;
  }
  template <class... N>
  unfold_options &with_dilation(N... n) {
    return detail::fill(dilation, n...), *this;
  }
  template <class... N>
  unfold_options &with_low(N... n) {
    return detail::fill(low, n...), *this;
  }
  template <class... N>
  unfold_options &with_high(N... n) {
    return detail::fill(high, n...), *this;
  }
};
inline value unfold(value x, const unfold_options &options) {
  mica_unfold_args args = detail::arguments_of<mica_unfold_args>(options);
  args.x = x;
  return mica_unfold_with(&args);
}
inline value fold(value x, shape sizes, const unfold_options &options) {
  mica_unfold_args args = detail::arguments_of<mica_unfold_args>(options);
  args.x = x, args.sizes = sizes;
  return mica_fold_with(&args);
}
inline value pixel_shuffle(value x, std::int32_t r) { return mica_pixel_shuffle(x, r); }
inline value pixel_unshuffle(value x, std::int32_t r) { return mica_pixel_unshuffle(x, r); }

struct conv_transpose_options : mica_conv_transpose_args {
  conv_transpose_options() : mica_conv_transpose_args{} {}
  template <class... N>
  conv_transpose_options &with_stride(N... n) {
    return detail::fill(stride, n...), *this;
  }
  template <class... N>
  conv_transpose_options &with_dilation(N... n) {
    return detail::fill(dilation, n...), *this;
  }
  template <class... N>
  conv_transpose_options &with_low(N... n) {
    return padding = MICA_EXPLICIT, detail::fill(low, n...), *this;
  }
  template <class... N>
  conv_transpose_options &with_high(N... n) {
    return padding = MICA_EXPLICIT, detail::fill(high, n...), *this;
  }
  template <class... N>
  conv_transpose_options &with_output_padding(N... n) {
    return detail::fill(output_padding, n...), *this;
  }
  conv_transpose_options &with_padding(mica_padding kind) { return padding = kind, *this; }
  conv_transpose_options &with_groups(std::int32_t count) { return groups = count, *this; }
};
inline value conv_transpose(value x, value kernel, const conv_transpose_options &options = {}) {
  mica_conv_transpose_args args = detail::arguments_of<mica_conv_transpose_args>(options);
  args.x = x, args.kernel = kernel;
  return mica_conv_transpose_with(&args);
}
inline value depthwise_conv(value x, value kernel, const conv_options &options = {}) {
  mica_conv_args args = detail::arguments_of<mica_conv_args>(options);
  args.x = x, args.kernel = kernel;
  return mica_depthwise_conv_with(&args);
}
inline value separable_conv(value x, value kernel, value pointwise,
                            const conv_options &options = {}) {
  mica_conv_args args = detail::arguments_of<mica_conv_args>(options);
  args.x = x, args.kernel = kernel;
  return mica_separable_conv_with(&args, pointwise);
}

}  // namespace mica
#endif
