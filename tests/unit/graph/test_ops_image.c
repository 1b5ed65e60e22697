/* SPDX-License-Identifier: Apache-2.0 */
/* Images and signals: types and messages. */
#include "unit/graph/ops_testing.h"

#define C64(...) input(g, MICA_C64, MICA_DIMS(__VA_ARGS__))

TEST(pools) {
  CHECK_TYPE(mica_max_pool(F32(1, 5, 5, 2)), "f32[1, 2, 2, 2]");
  CHECK_TYPE(mica_max_pool(F32(1, 5, 5, 2), .ceil_mode = true), "f32[1, 3, 3, 2]");
  CHECK_TYPE(mica_sum_pool(I32(1, 5, 2), .window = {3}, .stride = {1}), "i32[1, 3, 2]");
  CHECK_TYPE(mica_lp_pool(input(g, MICA_F16, MICA_DIMS(1, 4, 2))), "f16[1, 2, 2]");
  CHECK_TYPE(mica_adaptive_max_pool(F32(2, 5, 7, 3), MICA_DIMS(2, 9)), "f32[2, 2, 9, 3]");
  CHECK_TYPE(mica_adaptive_max_pool(F32(2, 5, 7, 3, 4, 1, 2, 3), MICA_DIMS(2, 9, 1, 2, 1, 3)),
             "f32[2, 2, 9, 1, 2, 1, 3, 3]");
  CHECK_TYPE(mica_adaptive_mean_pool(F32(2, 5, 7, 3, 4, 1, 2, 3), MICA_DIMS(2, 9, 1, 2, 1, 3)),
             "f32[2, 2, 9, 1, 2, 1, 3, 3]");
  CHECK_TYPE(mica_global_mean_pool(F32(2, 5, 7, 3)), "f32[2, 3]");
  CHECK_FAILS(mica_min_pool(F32(2, 3)), "min_pool(f32[2, 3])", "rank 2 does not fit");
  CHECK_FAILS(mica_sum_pool(F32(1, 5, 1), .window = {-2}), "window is -2 along spatial axis 0");
  CHECK_FAILS(mica_sum_pool(F32(1, 5, 1), .dilation = {-2}), "dilation is -2");
  CHECK_FAILS(mica_max_pool(F32(1, 5, 1), .low = {1}), "low is 1", "MICA_EXPLICIT");
  CHECK_FAILS(mica_max_pool(F32(1, 5, 1), .low = {-1}, .padding = MICA_EXPLICIT), "low is -1");
  CHECK_FAILS(mica_max_pool(F32(1, 5, 1), .window = {2, 2}), "entry for spatial axis 1");
  CHECK_FAILS(mica_max_pool(F32(1, 5, 1), .padding = (mica_padding)9), "padding 9 is unknown");
  CHECK_FAILS(mica_lp_pool(I32(1, 5, 1)), "lp_pool(i32[1, 5, 1])", "dtype i32");
  CHECK_FAILS(mica_lp_pool(F32(1, 5, 1), .power = -1), "power -1");
  CHECK_FAILS(mica_adaptive_mean_pool(I32(1, 5, 1), MICA_DIMS(2)), "dtype i32");
  CHECK_FAILS(mica_conv(F32(1, 2, 5), F32(2, 3), .channels_first = true),
              "kernel [out, in / groups");
  CHECK_FAILS(mica_depthwise_conv(F32(1, 5, 2), F32(3, 2, 1), .channels_first = true),
              "channels last");
  CHECK_FAILS(mica_max_pool(F32(2, 5), .channels_first = true), "max_pool(f32[2, 5])");
  CHECK_FAILS(mica_resize(F32(1, 5, 2), MICA_DIMS(3), .asymmetric = true, .align_corners = true),
              "exclude each other");
  CHECK_FAILS(mica_adaptive_max_pool(F32(1, 5, 1), MICA_DIMS(0)), "sizes [0]: expected one");
  CHECK_FAILS(mica_adaptive_max_pool(F32(1, 5, 1), MICA_DIMS(2, 2)), "sizes [2, 2]");
  CHECK_FAILS(mica_global_max_pool(F32(5)), "global_max_pool(f32[5])");
}

TEST(sizes_and_sampling) {
  CHECK_TYPE(mica_resize(I32(1, 5, 5, 2), MICA_DIMS(3, 8)), "i32[1, 3, 8, 2]");
  CHECK_TYPE(mica_resize(input(g, MICA_BF16, MICA_DIMS(1, 5, 2)), MICA_DIMS(9),
                         .method = MICA_RESIZE_CUBIC),
             "bf16[1, 9, 2]");
  CHECK_TYPE(mica_grid_sample(F32(2, 5, 5, 3), F32(2, 4, 1, 2)), "f32[2, 4, 1, 3]");
  CHECK_TYPE(mica_affine_grid(F32(2, 2, 3), MICA_DIMS(4, 5), true), "f32[2, 4, 5, 2]");
  CHECK_FAILS(mica_resize(F32(1, 5, 2), MICA_DIMS(3, 3)), "resize(f32[1, 5, 2])", "sizes [3, 3]");
  CHECK_FAILS(mica_resize(I32(1, 5, 2), MICA_DIMS(3), .method = MICA_RESIZE_LINEAR), "dtype i32",
              "nearest");
  CHECK_FAILS(mica_resize(F32(1, 5, 2), MICA_DIMS(3), .method = (mica_resize_method)8), "method 8");
  CHECK_FAILS(mica_resize(F32(1, 5, 2), MICA_DIMS(3), .method = MICA_RESIZE_LINEAR,
                          .antialias = true, .align_corners = true),
              "exclude each other");
  CHECK_FAILS(mica_grid_sample(F32(2, 5, 5, 3), F32(2, 4, 1, 3)), "expected x [batch, h, w");
  CHECK_FAILS(mica_grid_sample(F32(2, 5, 5, 3), F32(1, 4, 1, 2)), "expected x [batch, h, w");
  CHECK_FAILS(mica_grid_sample(I32(2, 5, 5, 3), F32(2, 4, 1, 2)), "one float dtype");
  CHECK_FAILS(mica_grid_sample(F32(2, 0, 5, 3), F32(2, 4, 1, 2)), "is empty");
  CHECK_FAILS(mica_grid_sample(F32(2, 5, 5, 3), F32(2, 4, 1, 2), .outside = (mica_outside)5),
              "outside is unknown");
  CHECK_FAILS(mica_affine_grid(F32(2, 3, 3), MICA_DIMS(4, 5), true), "affine_grid(f32[2, 3, 3])");
}

TEST(patches_and_borders) {
  CHECK_TYPE(mica_unfold(F32(1, 5, 6, 2), .window = {2, 3}), "f32[1, 4, 4, 12]");
  CHECK_TYPE(mica_fold(F32(1, 4, 4, 12), MICA_DIMS(5, 6), .window = {2, 3}), "f32[1, 5, 6, 2]");
  CHECK_TYPE(mica_pixel_shuffle(F32(1, 2, 2, 8), 2), "f32[1, 4, 4, 2]");
  CHECK_TYPE(mica_pixel_unshuffle(F32(1, 4, 2, 1), 2), "f32[1, 2, 1, 4]");
  CHECK_TYPE(mica_pad_with_mode(F32(3), (int64_t[]){8}, NULL, MICA_PAD_WRAP), "f32[11]");
  CHECK_FAILS(mica_unfold(F32(1, 5, 2)), "unfold(f32[1, 5, 2])", "spatial axis 0: expected window");
  CHECK_FAILS(mica_unfold(F32(1, 5, 2), .window = {2, 2}), "x has no such spatial axis");
  CHECK_FAILS(mica_fold(F32(1, 4, 12), MICA_DIMS(6), .window = {2}), "expected [5] places");
  CHECK_FAILS(mica_fold(F32(1, 5, 11), MICA_DIMS(6), .window = {2}), "multiple of 2 channels");
  CHECK_FAILS(mica_pixel_shuffle(F32(1, 2, 2, 6), 2), "pixel_shuffle(f32[1, 2, 2, 6])", "r 2");
  CHECK_FAILS(mica_pixel_unshuffle(F32(1, 3, 2, 6), 2), "divisor of each spatial size");
  CHECK_FAILS(mica_pad_with_mode(F32(0), (int64_t[]){1}, NULL, MICA_PAD_EDGE), "not empty");
  CHECK_FAILS(mica_pad_with_mode(F32(3), (int64_t[]){-1}, NULL, MICA_PAD_EDGE), "padding -1");
  CHECK_FAILS(mica_pad_with_mode(F32(3), NULL, NULL, (mica_pad_mode)4), "mode 4 is unknown");
}

TEST(convolutions) {
  CHECK_TYPE(mica_conv_transpose(F32(1, 4, 5, 2), F32(3, 3, 6, 2), .stride = {2, 2}),
             "f32[1, 8, 10, 6]");
  CHECK_TYPE(mica_conv_transpose(F32(1, 4, 2), F32(3, 6, 2), .padding = MICA_VALID, .stride = {2},
                                 .output_padding = {1}),
             "f32[1, 10, 6]");
  CHECK_TYPE(mica_depthwise_conv(F32(1, 4, 5, 3), F32(3, 3, 3, 2)), "f32[1, 4, 5, 6]");
  CHECK_TYPE(mica_separable_conv(F32(6, 7), F32(1, 4, 5, 3), F32(3, 3, 3, 2)), "f32[1, 4, 5, 7]");
  CHECK_FAILS(mica_conv_transpose(F32(1, 4, 2), F32(3, 2, 6)), "conv_transpose(f32[1, 4, 2]",
              "expected x [batch, spatial..., in]");
  CHECK_FAILS(mica_conv_transpose(F32(1, 4, 2), F32(3, 6, 2), .low = {1}), "MICA_EXPLICIT only");
  CHECK_FAILS(
      mica_conv_transpose(F32(1, 4, 2), F32(3, 6, 2), .padding = MICA_VALID, .output_padding = {1}),
      "below the stride");
  CHECK_FAILS(mica_conv_transpose(F32(1, 1, 2), F32(1, 6, 2), .padding = MICA_EXPLICIT, .low = {2}),
              "cuts all of it");
  CHECK_FAILS(mica_conv_transpose(F32(1, 4, 2), F32(3, 6, 2), .stride = {1, 1}),
              "that x does not have");
  CHECK_FAILS(mica_depthwise_conv(F32(1, 4, 3), F32(3, 1, 6)), "depthwise_conv(f32[1, 4, 3]");
  CHECK_FAILS(mica_separable_conv(F32(6), F32(1, 4, 3), F32(3, 3, 2)), "expected pointwise");
}

TEST(signals) {
  CHECK_TYPE(mica_frame(F32(2, 10), 4, 2), "f32[2, 4, 4]");
  CHECK_TYPE(mica_overlap_add(F32(2, 4, 4), 2), "f32[2, 10]");
  CHECK_TYPE(mica_stft(F32(2, 20), .length = 8), "c64[2, 11, 5]");
  CHECK_TYPE(mica_istft(C64(2, 11, 5), .length = 8), "f32[2, 20]");
  CHECK_TYPE(mica_fft_convolve(F32(3, 1, 9), F32(2, 4), MICA_CONVOLVE_SAME), "f32[3, 2, 9]");
  CHECK_TYPE(mica_hann_window(g, MICA_F16, 1, false), "f16[1]");
  CHECK_FAILS(mica_frame(F32(3), 4, 1), "frame(f32[3])", "n >= length");
  CHECK_FAILS(mica_frame(F32(3), 2, 0), "hop 0");
  CHECK_FAILS(mica_overlap_add(F32(3), 1), "overlap_add(f32[3])");
  CHECK_FAILS(mica_stft(F32(4), .length = 8), "above length / 2 = 4");
  CHECK_FAILS(mica_stft(F32(40)), "length of at least 1");
  CHECK_FAILS(mica_stft(I32(40), .length = 8), "stft(i32[40])", "expected f32 or f64");
  CHECK_FAILS(mica_stft(F32(40), .length = 8, .window = F32(7)), "expected a window [length]");
  CHECK_FAILS(mica_stft(F32(40), .length = 8, .border = (mica_stft_border)4), "border is unknown");
  CHECK_FAILS(mica_istft(C64(3, 5), .length = 10), "frames, 6]", "for the length 10");
  CHECK_FAILS(mica_istft(C64(3, 5), .length = 8, .samples = 99), "samples 99");
  CHECK_FAILS(mica_fft_convolve(F32(3), C64(3), MICA_CONVOLVE_FULL), "expected one dtype");
  CHECK_FAILS(mica_fft_convolve(F32(3), F32(4), MICA_CONVOLVE_VALID), "y is longer");
  CHECK_FAILS(mica_fft_convolve(F32(3), SCALAR(F32), MICA_CONVOLVE_FULL), "not empty");
  CHECK_FAILS(mica_hamming_window(g, MICA_I32, 3, true), "hamming_window", "dtype i32");
}

TEST_MAIN(TEST_CASE(pools), TEST_CASE(sizes_and_sampling), TEST_CASE(patches_and_borders),
          TEST_CASE(convolutions), TEST_CASE(signals))
