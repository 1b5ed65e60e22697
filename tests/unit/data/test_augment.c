/* SPDX-License-Identifier: Apache-2.0 */
/* Augmentations: each stage against what it should do to a small picture; the same for the same position; statistics of
 * what is drawn. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "mica/data.h"

static mica_batch picture_of(mica_dtype dtype, int64_t height, int64_t width, int64_t channels,
                             const double *values) {
  mica_batch batch = {.count = 2};
  batch.tensor[0] = mica_tensor_from_doubles(dtype, MICA_DIMS(height, width, channels), values);
  batch.tensor[1] = mica_tensor_scalar(MICA_I32, 7);
  return batch;
}

static bool augment(mica_augment_options o, int64_t index, mica_batch *in, double *out,
                    mica_shape *shape) {
  mica_batch made = {0};
  mica_error error = {0};
  o.struct_size = sizeof o;
  if (!CHECK_OK_ERROR(mica_augment(&o, (mica_map_position){1, index}, in, &made, &error), &error))
    return false;
  *shape = mica_tensor_type(made.tensor[0]).shape;
  CHECK(made.count == 2 && made.tensor[1] == in->tensor[1]);
  CHECK(mica_tensor_type(made.tensor[0]).dtype == mica_tensor_type(in->tensor[0]).dtype);
  CHECK_OK(mica_tensor_read_doubles(made.tensor[0], out, mica_shape_count(*shape), NULL));
  mica_batch_clear(&made);
  return true;
}

static double values[300], out[4000], again[4000];
static mica_shape shape;

TEST(geometry) {
  for (int i = 0; i < 300; i++) values[i] = i % 256;
  mica_batch in = picture_of(MICA_U8, 6, 5, 3, values);
  CHECK(augment((mica_augment_options){0}, 0, &in, out, &shape));
  CHECK_EQ_BYTES(out, values, 90 * sizeof(double));
  CHECK(augment((mica_augment_options){.flip_horizontal = 1}, 0, &in, out, &shape));
  for (int y = 0; y < 6; y++)
    for (int x = 0; x < 5; x++)
      for (int k = 0; k < 3; k++)
        CHECK_NEAR(out[(y * 5 + x) * 3 + k], values[(y * 5 + 4 - x) * 3 + k], 0);
  CHECK(augment((mica_augment_options){.flip_vertical = 1, .flip_horizontal = 1}, 0, &in, out,
                &shape));
  for (int i = 0; i < 30; i++) CHECK_NEAR(out[i * 3], values[(29 - i) * 3], 0);
  CHECK(augment((mica_augment_options){.crop = {4, 3}, .crop_center = true}, 0, &in, out, &shape));
  CHECK(mica_shape_equal(shape, MICA_DIMS(4, 3, 3)));
  CHECK_NEAR(out[0], values[(1 * 5 + 1) * 3], 0);
  CHECK(augment((mica_augment_options){.pad = 2}, 0, &in, out, &shape));
  CHECK(mica_shape_equal(shape, MICA_DIMS(10, 9, 3)));
  CHECK(out[0] == 0 && out[(2 * 9 + 2) * 3 + 1] == values[1]);
  /* every place of a crop is drawn, and is a window of the padded picture */
  int seen[5][5] = {{0}}, flips = 0;
  for (int index = 0; index < 500; index++) {
    CHECK(augment((mica_augment_options){.pad = 2, .crop = {6, 5}, .seed = 3}, index, &in, out,
                  &shape));
    int top = -1, left = -1;
    for (int y = 0; y < 5 && top < 0; y++)
      for (int x = 0; x < 5 && top < 0; x++) { /* the middle pixel tells */
        int from_y = 3 + y - 2, from_x = 2 + x - 2;
        if (from_y >= 0 && from_y < 6 && from_x >= 0 && from_x < 5 &&
            out[(3 * 5 + 2) * 3] == values[(from_y * 5 + from_x) * 3])
          top = y, left = x;
      }
    if (CHECK(top >= 0)) seen[top][left]++;
    CHECK(augment((mica_augment_options){.flip_horizontal = 0.25, .seed = 3}, index, &in, again,
                  &shape));
    flips += again[0] != values[0];
  }
  for (int y = 0; y < 5; y++)
    for (int x = 0; x < 5; x++) CHECK(seen[y][x] > 3); /* 20 on average */
  CHECK(flips > 90 && flips < 160);                    /* 125, standard deviation 9.7 */
  mica_batch_clear(&in);
}

TEST(rotation) {
  /* the middle stays; a rotation keeps the sum of a spot well inside */
  memset(values, 0, sizeof values);
  for (int y = 4; y < 7; y++)
    for (int x = 3; x < 6; x++) values[y * 11 + x] = 10;
  values[5 * 11 + 5] = 50;
  mica_batch in = picture_of(MICA_F32, 11, 11, 1, values);
  bool moved = false;
  for (int index = 0; index < 20; index++) {
    double before = 0, after = 0;
    CHECK(augment((mica_augment_options){.rotate = 90, .seed = 1}, index, &in, out, &shape));
    CHECK_NEAR(out[5 * 11 + 5], 50, 1e-4);
    for (int i = 0; i < 121; i++) before += values[i], after += out[i];
    CHECK(fabs(after - before) < 0.2 * before);
    moved |= fabs(out[4 * 11 + 3] - 10) > 1;
  }
  CHECK(moved);
  mica_batch_clear(&in);
}

TEST(colors) {
  for (int i = 0; i < 90; i++) values[i] = 20 + (i * 37) % 200;
  mica_batch in = picture_of(MICA_U8, 6, 5, 3, values),
             real = picture_of(MICA_F32, 6, 5, 3, values);
  double mean = 0;
  for (int i = 0; i < 90; i++) mean += values[i] / 90;
  for (int index = 0; index < 30; index++) {
    CHECK(augment((mica_augment_options){.brightness = 0.5}, index, &real, out, &shape));
    double factor = out[0] / values[0];
    CHECK(factor >= 0.5 && factor <= 1.5);
    for (int i = 0; i < 90; i++) CHECK_NEAR(out[i], values[i] * factor, 1e-3);
    CHECK(augment((mica_augment_options){.contrast = 0.5}, index, &real, out, &shape));
    factor = (out[0] - mean) / (values[0] - mean);
    for (int i = 0; i < 90; i++) CHECK_NEAR(out[i], mean + (values[i] - mean) * factor, 1e-3);
    /* saturation and hue leave the brightness of each pixel */
    CHECK(
        augment((mica_augment_options){.saturation = 0.9, .hue = 0.5}, index, &real, out, &shape));
    for (int i = 0; i < 30; i++)
      CHECK_NEAR(0.299 * out[3 * i] + 0.587 * out[3 * i + 1] + 0.114 * out[3 * i + 2],
                 0.299 * values[3 * i] + 0.587 * values[3 * i + 1] + 0.114 * values[3 * i + 2],
                 0.2);
    CHECK(augment(
        (mica_augment_options){
            .brightness = 0.9, .contrast = 0.9, .saturation = 0.9, .hue = 0.5, .seed = 4},
        index, &in, out, &shape));
    CHECK(augment(
        (mica_augment_options){
            .brightness = 0.9, .contrast = 0.9, .saturation = 0.9, .hue = 0.5, .seed = 4},
        index, &in, again, &shape));
    CHECK_EQ_BYTES(out, again, 90 * sizeof(double));
    for (int i = 0; i < 90; i++) CHECK(out[i] >= 0 && out[i] <= 255);
    CHECK(augment((mica_augment_options){.cutout = 3}, index, &in, out, &shape));
    int zeros = 0;
    for (int i = 0; i < 90; i++) zeros += out[i] == 0;
    CHECK(zeros >= 4 * 3 && zeros <= 9 * 3);
  }
  mica_batch_clear(&in), mica_batch_clear(&real);
}

TEST(mixing) {
  const double x[] = {0, 0, 1, 1, 2, 2}, y[] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  mica_batch in = {.count = 2};
  in.tensor[0] = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(3, 2), x);
  in.tensor[1] = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(3, 3), y);
  static const double alphas[] = {0.2, 1, 4};
  for (int a = 0; a < 3; a++) {
    mica_mixup_options o = {
        .struct_size = sizeof o, .images = 0, .labels = 1, .alpha = alphas[a], .seed = 2};
    double sum = 0, square = 0;
    enum { DRAWS = 2000 };
    for (int index = 0; index < DRAWS; index++) {
      mica_batch made = {0};
      double labels[9], images[6];
      mica_error error = {0};
      if (!CHECK_OK_ERROR(mica_mixup(&o, (mica_map_position){0, index}, &in, &made, &error),
                          &error))
        return;
      CHECK_OK(mica_tensor_read_doubles(made.tensor[0], images, 6, NULL));
      CHECK_OK(mica_tensor_read_doubles(made.tensor[1], labels, 9, NULL));
      double l = labels[0];
      CHECK_NEAR(labels[2], 1 - l, 1e-6); /* row 0 is mixed with the last */
      CHECK_NEAR(images[2], l, 1e-6);
      CHECK_NEAR(images[0], 2 * (1 - l), 1e-6);
      sum += l, square += l * l;
      mica_batch_clear(&made);
    }
    /* Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)) */
    double variance = 1 / (4 * (2 * alphas[a] + 1));
    CHECK_NEAR(sum / DRAWS, 0.5, 5 * sqrt(variance / DRAWS));
    CHECK_NEAR(square / DRAWS - 0.25, variance, 0.03);
  }
  mica_batch_clear(&in);
}

TEST(misuse) {
  for (int i = 0; i < 300; i++) values[i] = i % 256;
  mica_batch in = picture_of(MICA_U8, 6, 5, 1, values), out_batch = {0};
  const struct {
    mica_augment_options o;
    const char *message;
  } rows[] = {{{.key = 1}, "expected u8 or f32"}, {{.key = 2}, "no tensor"},
              {{.crop = {7, 5}}, "does not fit"}, {{.crop = {3, 0}}, "does not fit"},
              {{.hue = 0.1}, "need 3 channels"},  {{.pad = -1}, "does not fit"}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    mica_error error = {0};
    mica_augment_options o = rows[i].o;
    CHECK_STATUS(mica_augment(&o, (mica_map_position){0, 0}, &in, &out_batch, &error),
                 MICA_INVALID);
    CHECK_STR_CONTAINS(error.message, rows[i].message);
  }
  mica_mixup_options o = {.struct_size = sizeof o, .images = 0, .labels = 1, .alpha = 1};
  CHECK_STATUS(mica_mixup(&o, (mica_map_position){0, 0}, &in, &out_batch, &(mica_error){0}),
               MICA_INVALID);
  CHECK_STATUS(mica_mixup(NULL, (mica_map_position){0, 0}, &in, &out_batch, &(mica_error){0}),
               MICA_INVALID);
  mica_batch_clear(&in);
}

TEST_MAIN(TEST_CASE(geometry), TEST_CASE(rotation), TEST_CASE(colors), TEST_CASE(mixing),
          TEST_CASE(misuse))
