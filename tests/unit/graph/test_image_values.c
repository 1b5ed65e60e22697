/* SPDX-License-Identifier: Apache-2.0 */
/* Images and signals against PyTorch, numpy and scipy: tests/golden/image.npz, made by image.py. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "mica/mica.h"

static mica_npz *golden;
static mica_device *device;

static mica_value given(mica_graph *g, const char *name) {
  mica_tensor *tensor = mica_npz_find(golden, name);
  if (!tensor) CHECK_FAIL("no array %s", name);
  return mica_constant(g, tensor);
}

/* The expression, built in graph g, gives the golden array. */
static void check_value(mica_graph *g, mica_value value, const char *name, int line) {
  mica_tensor *wanted = mica_npz_find(golden, name), *got = NULL;
  mica_executable *executable = NULL;
  mica_error error = {0};
  mica_closeness closeness;
  mica_graph_set_outputs(g, &value, 1);
  if (!wanted || mica_compile(device, g, 0, &executable, &error) ||
      mica_executable_run(executable, NULL, 0, &got, 1, &error)) {
    CHECK_FAIL("line %d, %s: %s", line, name, wanted ? error.message : "no such array");
  } else if (!mica_type_equal(mica_tensor_type(got), mica_tensor_type(wanted))) {
    char a[128], b[128];
    mica_type_format(mica_tensor_type(got), a, sizeof a);
    mica_type_format(mica_tensor_type(wanted), b, sizeof b);
    CHECK_FAIL("line %d, %s: %s, expected %s", line, name, a, b);
  } else if (mica_tensor_compare(got, wanted, 1e-12, 1e-12, &closeness, &error) ||
             !closeness.close) {
    char text[256] = "";
    mica_closeness_format(&closeness, mica_tensor_type(wanted).shape, text, sizeof text);
    CHECK_FAIL("line %d, %s: %s %s", line, name, text, error.message);
  }
  mica_tensor_release(got);
  mica_executable_release(executable);
  mica_graph_destroy(g);
}
#define CHECK_VALUE(name, expression)               \
  do {                                              \
    mica_graph *g = mica_graph_create(NULL);        \
    check_value(g, (expression), (name), __LINE__); \
  } while (0)
#define X1 given(g, "x1")
#define X2 given(g, "x2")
#define X3 given(g, "x3")

TEST(resize) {
  static const char *const tags[] = {"14x5", "4x16"};
  static const char *const names[] = {"linear", "cubic"};
  for (int i = 0; i < 2; i++) {
    mica_shape size = i ? MICA_DIMS(4, 16) : MICA_DIMS(14, 5);
    char name[64];
    snprintf(name, sizeof name, "nearest_%s", tags[i]);
    CHECK_VALUE(name, mica_resize(X2, size));
    snprintf(name, sizeof name, "nearest_asymmetric_%s", tags[i]);
    CHECK_VALUE(name, mica_resize(X2, size, .asymmetric = true));
    snprintf(name, sizeof name, "area_%s", tags[i]);
    CHECK_VALUE(name, mica_resize(X2, size, .method = MICA_RESIZE_AREA));
    for (int k = 0; k < 2; k++) {
      mica_resize_method method = k ? MICA_RESIZE_CUBIC : MICA_RESIZE_LINEAR;
      snprintf(name, sizeof name, "%s_%s", names[k], tags[i]);
      CHECK_VALUE(name, mica_resize(X2, size, .method = method));
      snprintf(name, sizeof name, "%s_corners_%s", names[k], tags[i]);
      CHECK_VALUE(name, mica_resize(X2, size, .method = method, .align_corners = true));
      snprintf(name, sizeof name, "%s_antialias_%s", names[k], tags[i]);
      CHECK_VALUE(name, mica_resize(X2, size, .method = method, .antialias = true));
    }
  }
  CHECK_VALUE("linear_asymmetric",
              mica_resize(X1, MICA_DIMS(9), .method = MICA_RESIZE_LINEAR, .asymmetric = true));
  CHECK_VALUE("linear_1", mica_resize(X1, MICA_DIMS(31), .method = MICA_RESIZE_LINEAR));
  CHECK_VALUE("linear_3", mica_resize(X3, MICA_DIMS(3, 9, 4), .method = MICA_RESIZE_LINEAR,
                                      .align_corners = true));
}

TEST(grid_sample) {
  static const char *const methods[] = {"bilinear", "nearest"};
  static const char *const outsides[] = {"zeros", "border", "reflection"};
  for (int m = 0; m < 2; m++)
    for (int o = 0; o < 3; o++)
      for (int c = 0; c < 2; c++) {
        char name[64];
        snprintf(name, sizeof name, "sample_%s_%s_%d", methods[m], outsides[o], c);
        CHECK_VALUE(name, mica_grid_sample(X2, given(g, "grid2"), .method = (mica_sample_method)m,
                                           .outside = (mica_outside)o, .align_corners = c == 1));
      }
  CHECK_VALUE("sample_3", mica_grid_sample(X3, given(g, "grid3")));
  CHECK_VALUE("affine_2", mica_affine_grid(given(g, "theta2"), MICA_DIMS(4, 5), false));
  CHECK_VALUE("affine_3", mica_affine_grid(given(g, "theta3"), MICA_DIMS(3, 4, 5), true));
}

TEST(pools) {
  CHECK_VALUE("max_2",
              mica_max_pool(X2, .window = {3, 2}, .stride = {2, 2}, .padding = MICA_EXPLICIT,
                            .low = {1, 1}, .high = {1, 1}, .dilation = {2, 1}, .ceil_mode = true));
  CHECK_VALUE(
      "mean_count_2",
      mica_mean_pool(X2, .window = {3, 2}, .stride = {2, 3}, .padding = MICA_EXPLICIT,
                     .low = {1, 1}, .high = {1, 1}, .ceil_mode = true, .count_padding = true));
  CHECK_VALUE("mean_real_2",
              mica_mean_pool(X2, .window = {3, 2}, .stride = {2, 3}, .padding = MICA_EXPLICIT,
                             .low = {1, 1}, .high = {1, 1}, .ceil_mode = true));
  CHECK_VALUE("mean_3", mica_mean_pool(X3, .stride = {1, 1, 1}));
  CHECK_VALUE("lp_2", mica_lp_pool(X2, .window = {2, 3}, .stride = {2, 2}, .power = 3));
  CHECK_VALUE("adaptive_mean_2", mica_adaptive_mean_pool(X2, MICA_DIMS(4, 3)));
  CHECK_VALUE("adaptive_max_2", mica_adaptive_max_pool(X2, MICA_DIMS(4, 3)));
  CHECK_VALUE("adaptive_max_3", mica_adaptive_max_pool(X3, MICA_DIMS(3, 5, 4)));
}

TEST(patches_and_borders) {
  CHECK_VALUE("unfold_2", mica_unfold(X2, .window = {3, 2}, .stride = {2, 3}, .dilation = {1, 2},
                                      .low = {1, 0}, .high = {1, 0}));
  CHECK_VALUE("fold_2",
              mica_fold(given(g, "unfold_2"), MICA_DIMS(9, 7), .window = {3, 2}, .stride = {2, 3},
                        .dilation = {1, 2}, .low = {1, 0}, .high = {1, 0}));
  CHECK_VALUE("shuffle", mica_pixel_shuffle(given(g, "shuffle_in"), 2));
  CHECK_VALUE("shuffle_in", mica_pixel_unshuffle(given(g, "shuffle"), 2));
  static const char *const modes[] = {"pad_reflect", "pad_symmetric", "pad_edge", "pad_wrap"};
  for (int i = 0; i < 4; i++)
    CHECK_VALUE(modes[i], mica_pad_with_mode(X2, (int64_t[]){0, 2, 9, 3}, (int64_t[]){0, 11, 0, 1},
                                             (mica_pad_mode)i));
  CHECK_VALUE("conv_transpose",
              mica_conv_transpose(X2, given(g, "kernel"), .stride = {2, 3}, .dilation = {2, 1},
                                  .padding = MICA_EXPLICIT, .low = {1, 1}, .high = {1, 1},
                                  .output_padding = {1, 2}));
}

TEST(signals) {
#define WINDOW(name, n) mica_##name##_window(g, MICA_F64, n, true)
  CHECK_VALUE("stft_reflect",
              mica_stft(given(g, "wave"), .length = 16, .window = WINDOW(hann, 16)));
  CHECK_VALUE("stft_zeros", mica_stft(given(g, "wave"), .length = 15, .hop = 5,
                                      .window = WINDOW(hamming, 15), .border = MICA_STFT_ZEROS));
  CHECK_VALUE("stft_inside", mica_stft(given(g, "wave"), .length = 12, .hop = 6,
                                       .window = WINDOW(blackman, 12), .border = MICA_STFT_INSIDE));
  CHECK_VALUE("istft_reflect", mica_istft(given(g, "stft_reflect"), .length = 16,
                                          .window = WINDOW(hann, 16), .samples = 60));
  CHECK_VALUE("istft_zeros", mica_istft(given(g, "stft_zeros"), .length = 15, .hop = 5,
                                        .window = WINDOW(hamming, 15), .border = MICA_STFT_ZEROS));
#define BOTH(name)                                                            \
  CHECK_VALUE(#name "_periodic", mica_##name##_window(g, MICA_F64, 9, true)); \
  CHECK_VALUE(#name "_symmetric", mica_##name##_window(g, MICA_F64, 9, false))
  BOTH(hann);
  BOTH(hamming);
  BOTH(blackman);
  BOTH(bartlett);
  static const char *const modes[] = {"convolve_full", "convolve_same", "convolve_valid"};
  for (int i = 0; i < 3; i++)
    CHECK_VALUE(modes[i],
                mica_fft_convolve(given(g, "wave"), given(g, "short"), (mica_convolve_mode)i));
}

TEST(against_the_peers) {
  mica_error error = {0};
  device = mica_device_open(&(mica_device_options){.struct_size = sizeof(mica_device_options),
                                                   .backend = "cpu",
                                                   .threads = check_threads(2)},
                            &error);
  if (!device ||
      mica_npz_load(check_source_path("tests/golden/image.npz"), &golden, &error) != MICA_OK)
    CHECK_FAIL("%s", error.message);
  else {
    static void (*const tests[])(void) = {test_resize, test_grid_sample, test_pools,
                                          test_patches_and_borders, test_signals};
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) tests[i]();
  }
  mica_npz_destroy(golden);
  mica_device_release(device);
}

TEST_MAIN(TEST_CASE(against_the_peers))
