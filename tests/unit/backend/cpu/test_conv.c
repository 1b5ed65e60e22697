/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions and both gradients of every row of kernels against their definition in f64: a sum over
 * outputs, taps and channels with a divisibility check for the dilated input. One loop serves all
 * three, so a gradient that disagrees with the forward direction cannot pass.
 *
 * Tolerance: as for products, 4 eps (terms + 4) times the sum of magnitudes. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/kernels/conv.h"
#include "backend/cpu/kernels/kernels.h"
#include "check.h"

static void run_scrambled(void *self, int64_t count, void (*task)(void *, int64_t, int32_t),
                          void *context) {
  const int32_t threads = *(const int32_t *)self;
  for (int64_t i = 0; i < count; i++) {
    task(context, count - 1 - i, (int32_t)((i * 7 + 3) % threads));
  }
}

static uint64_t random_state = 7;
static uint64_t random_bits(void) {
  random_state += 0x9E3779B97F4A7C15u;
  uint64_t z = random_state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}
static int64_t random_between(int64_t low, int64_t high) {
  return low + (int64_t)(random_bits() % (uint64_t)(high - low + 1));
}
static float *random_floats(int64_t count) {
  float *values = malloc((size_t)(count + 1) * sizeof(float));
  for (int64_t i = 0; i < count; i++)
    values[i] = (float)((double)(random_bits() >> 11) * 0x1p-52 - 1);
  return values;
}

static int64_t volume(const int64_t *sizes) { return sizes[0] * sizes[1] * sizes[2]; }
static int64_t x_count(const mica_conv *c) {
  return c->batch * volume(c->input) * c->input_channels;
}
static int64_t y_count(const mica_conv *c) {
  return c->batch * volume(c->output) * c->output_channels;
}
static int64_t w_count(const mica_conv *c) {
  return volume(c->kernel) * (c->input_channels / c->groups) * c->output_channels;
}

typedef enum { FORWARD, BACKWARD_DATA, BACKWARD_FILTER } direction;

/* Adds what `to` gets from the other two, and the magnitudes and numbers of terms. */
static void reference(const mica_conv *c, direction way, const float *x, const float *w,
                      const float *y, double *to, double *magnitude, double *terms) {
  const int64_t inputs = c->input_channels / c->groups, outputs = c->output_channels / c->groups;
  for (int64_t n = 0; n < c->batch; n++) {
    for (int64_t o = 0; o < volume(c->output); o++) {
      const int64_t at[3] = {o / c->output[2] / c->output[1], o / c->output[2] % c->output[1],
                             o % c->output[2]};
      for (int64_t t = 0; t < volume(c->kernel); t++) {
        const int64_t tap[3] = {t / c->kernel[2] / c->kernel[1], t / c->kernel[2] % c->kernel[1],
                                t % c->kernel[2]};
        int64_t i = 0;
        bool inside = true;
        for (int32_t axis = 0; axis < 3; axis++) {
          const int64_t position =
              at[axis] * c->stride[axis] - c->padding[axis] + tap[axis] * c->window_dilation[axis];
          if (position < 0 || position % c->base_dilation[axis] != 0 ||
              position / c->base_dilation[axis] >= c->input[axis]) {
            inside = false;
            break;
          }
          i = i * c->input[axis] + position / c->base_dilation[axis];
        }
        if (!inside) continue;
        for (int64_t oc = 0; oc < c->output_channels; oc++) {
          for (int64_t ic = 0; ic < inputs; ic++) {
            const int64_t xi =
                (n * volume(c->input) + i) * c->input_channels + oc / outputs * inputs + ic;
            const int64_t yi = (n * volume(c->output) + o) * c->output_channels + oc;
            const int64_t wi = (t * inputs + ic) * c->output_channels + oc;
            const int64_t target = way == FORWARD ? yi : way == BACKWARD_DATA ? xi : wi;
            const double product = (way == BACKWARD_DATA ? 1.0 : (double)x[xi]) *
                                   (way == BACKWARD_FILTER ? 1.0 : (double)w[wi]) *
                                   (way == FORWARD ? 1.0 : (double)y[yi]);
            to[target] += product;
            magnitude[target] += fabs(product);
            terms[target] += 1;
          }
        }
      }
    }
  }
}

typedef struct {
  int64_t columns;
  unsigned char *seen;
} epilogue_check;

/* c = 2 c + row + 3 column. */
static void epilogue_scale(void *context, int64_t row, int64_t column, int64_t rows,
                           int64_t columns, void *c, int64_t c_row) {
  const epilogue_check *check = context;
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < columns; j++) {
      float *at = (float *)c + i * c_row + j;
      *at = 2 * *at + (float)(row + i + 3 * (column + j));
      check->seen[(row + i) * check->columns + column + j]++;
    }
  }
}

static void describe(const char *row, const mica_conv *c, direction way, const char *what) {
  CHECK_FAIL(
      "%s: direction %d, %s: batch %lld, groups %lld, channels %lld -> %lld, input %lld %lld %lld, "
      "kernel %lld %lld %lld, output %lld %lld %lld, stride %lld %lld %lld, base %lld %lld %lld, "
      "window %lld %lld %lld, padding %lld %lld %lld",
      row, way, what, (long long)c->batch, (long long)c->groups, (long long)c->input_channels,
      (long long)c->output_channels, (long long)c->input[0], (long long)c->input[1],
      (long long)c->input[2], (long long)c->kernel[0], (long long)c->kernel[1],
      (long long)c->kernel[2], (long long)c->output[0], (long long)c->output[1],
      (long long)c->output[2], (long long)c->stride[0], (long long)c->stride[1],
      (long long)c->stride[2], (long long)c->base_dilation[0], (long long)c->base_dilation[1],
      (long long)c->base_dilation[2], (long long)c->window_dilation[0],
      (long long)c->window_dilation[1], (long long)c->window_dilation[2], (long long)c->padding[0],
      (long long)c->padding[1], (long long)c->padding[2]);
}

static void check_direction(const mica_cpu_kernels *kernels, const mica_conv *c, direction way,
                            bool accumulate, bool bias_wanted, bool relu, bool epilogue) {
  float *x = random_floats(x_count(c)), *w = random_floats(w_count(c));
  float *y = random_floats(y_count(c));
  float *target = way == FORWARD ? y : way == BACKWARD_DATA ? x : w;
  const int64_t count = way == FORWARD         ? y_count(c)
                        : way == BACKWARD_DATA ? x_count(c)
                                               : w_count(c);
  const int64_t columns = way == BACKWARD_DATA ? c->input_channels : c->output_channels;
  float *before = malloc((size_t)(count + 1) * sizeof(float));
  float *first = malloc((size_t)(count + 1) * sizeof(float));
  float *bias = random_floats(columns);
  unsigned char *seen = calloc(1, (size_t)count + 1);
  memcpy(before, target, (size_t)count * sizeof(float));
  epilogue_check check = {columns, seen};
  mica_gemm_finish finish = {.bias = bias_wanted ? bias : NULL, .relu = relu};
  if (epilogue) finish.epilogue = epilogue_scale, finish.context = &check;

  for (int32_t threads = 1; threads <= 4; threads++) {
    mica_parallel parallel = {run_scrambled, &threads, threads};
    const mica_conv transposed = mica_conv_transposed(c);
    const size_t bytes =
        way == BACKWARD_FILTER
            ? mica_conv_filter_scratch_size(kernels, c, threads)
            : mica_conv_forward_scratch_size(kernels, way == FORWARD ? c : &transposed, threads);
    const size_t guarded = (bytes + 127) & ~(size_t)63;
    unsigned char *scratch = aligned_alloc(64, guarded);
    memset(scratch, 0xFF, guarded); /* NaN: nothing may be read before it is written */
    memcpy(target, before, (size_t)count * sizeof(float));
    memset(seen, 0, (size_t)count + 1);
    mica_conv kept = *c;
    void *packed = NULL;
    /* With weights packed beforehand in every second run: the bits are the same. */
    if (way == FORWARD && threads % 2 == 0) {
      const size_t size = mica_conv_packed_size(kernels, c);
      if (size > 0) {
        packed = aligned_alloc(64, (size + 63) & ~(size_t)63);
        mica_conv_pack(kernels, c, w, &parallel, packed);
      }
      kept.weights.packed = packed;
    }
    if (way == FORWARD) {
      mica_conv_forward(kernels, &kept, x, w, y, accumulate, &finish, &parallel, scratch);
    } else if (way == BACKWARD_DATA) {
      mica_conv_backward_data(kernels, c, y, w, x, accumulate, &finish, &parallel, scratch);
    } else {
      mica_conv_backward_filter(kernels, c, x, y, w, accumulate, &parallel, scratch);
    }
    for (size_t i = bytes; i < guarded; i++) {
      if (scratch[i] != 0xFF) {
        describe(kernels->name, c, way, "wrote past its scratch");
        break;
      }
    }
    free(scratch);
    free(packed);
    if (threads == 1) memcpy(first, target, (size_t)count * sizeof(float));
    if (memcmp(first, target, (size_t)count * sizeof(float)) != 0) {
      describe(kernels->name, c, way, "bits depend on the number of threads");
    }
  }

  double *sum = calloc((size_t)count + 1, sizeof *sum);
  double *magnitude = calloc((size_t)count + 1, sizeof *magnitude);
  double *terms = calloc((size_t)count + 1, sizeof *terms);
  reference(c, way, x, w, y, sum, magnitude, terms);
  int64_t wrong = 0;
  for (int64_t i = 0; i < count; i++) {
    double expected = sum[i], add = 0;
    if (accumulate) expected += (double)before[i];
    if (way != BACKWARD_FILTER) {
      if (bias_wanted) expected += (double)bias[i % columns];
      if (relu && expected < 0) expected = 0;
      if (epilogue) {
        add = (double)(i / columns + 3 * (i % columns));
        expected = 2 * expected + add;
        if (seen[i] != 1) wrong++;
      }
    }
    const double tolerance = 4 * (double)FLT_EPSILON * ((terms[i] + 4) * (magnitude[i] + 2) + add);
    if (!(fabs((double)target[i] - expected) <= tolerance)) wrong++;
  }
  if (wrong > 0) describe(kernels->name, c, way, "wrong values");
  free(sum);
  free(magnitude);
  free(terms);
  free(x);
  free(w);
  free(y);
  free(before);
  free(first);
  free(bias);
  free(seen);
}

/* All directions and rows of kernels; the finish varies with random bits. */
static void check_conv(mica_conv c) {
  mica_conv_dense_weights(&c);
  const mica_cpu_kernels *kernels;
  for (int32_t row = 0; (kernels = mica_cpu_kernels_at(row)) != NULL; row++) {
    for (direction way = FORWARD; way <= BACKWARD_FILTER; way++) {
      const uint64_t bits = random_bits();
      check_direction(kernels, &c, way, bits & 1, bits & 2, bits & 4, bits & 8);
    }
  }
}

/* Fills in what is zero: sizes and strides of 1, the output's size from `high` padding. */
static mica_conv with_defaults(mica_conv c, const int64_t *high) {
  if (c.groups == 0) c.groups = 1;
  for (int32_t i = 0; i < 3; i++) {
    if (c.stride[i] == 0) c.stride[i] = 1;
    if (c.base_dilation[i] == 0) c.base_dilation[i] = 1;
    if (c.window_dilation[i] == 0) c.window_dilation[i] = 1;
    const int64_t dilated = c.input[i] > 0 ? (c.input[i] - 1) * c.base_dilation[i] + 1 : 0;
    const int64_t window = (c.kernel[i] - 1) * c.window_dilation[i] + 1;
    const int64_t room = dilated + c.padding[i] + high[i] - window;
    c.output[i] = room < 0 ? 0 : room / c.stride[i] + 1;
  }
  return c;
}

static void check_2d(int64_t batch, int64_t height, int64_t width, int64_t inputs, int64_t outputs,
                     int64_t window, int64_t stride, int64_t padding, int64_t groups) {
  const int64_t high[3] = {0, padding, padding};
  check_conv(with_defaults((mica_conv){.batch = batch,
                                       .groups = groups,
                                       .input_channels = inputs,
                                       .output_channels = outputs,
                                       .input = {1, height, width},
                                       .kernel = {1, window, window},
                                       .stride = {1, stride, stride},
                                       .padding = {0, padding, padding}},
                           high));
}

TEST(common_layers) {
  check_2d(3, 28, 28, 1, 32, 3, 1, 1, 1); /* one input channel */
  check_2d(2, 14, 14, 32, 64, 3, 1, 1, 1);
  check_2d(2, 20, 31, 3, 24, 7, 2, 3, 1); /* a stem */
  check_2d(2, 9, 9, 48, 80, 1, 1, 0, 1);  /* a product */
  check_2d(2, 9, 9, 48, 80, 1, 2, 0, 1);
  check_2d(4, 4, 4, 96, 100, 3, 1, 1, 1); /* narrow: gathered */
  check_2d(5, 1, 1, 40, 33, 1, 1, 0, 1);
  check_2d(2, 7, 7, 70, 300, 3, 2, 1, 1);
  check_2d(1, 12, 40, 16, 16, 5, 1, 2, 1);
  check_2d(2, 6, 6, 24, 36, 3, 1, 1, 3); /* groups */
  check_2d(2, 6, 17, 8, 8, 3, 1, 1, 4);
  check_2d(1, 3, 3, 200, 520, 3, 1, 1, 1); /* many blocks of k and of columns */
}

TEST(depthwise) {
  check_2d(2, 10, 11, 32, 32, 3, 1, 1, 32);
  check_2d(1, 10, 11, 33, 33, 3, 2, 1, 33);
  check_2d(2, 5, 5, 7, 7, 5, 1, 2, 7);
  check_2d(1, 2, 2, 20, 20, 7, 1, 3, 20); /* window larger than the image */
  check_2d(1, 8, 9, 16, 16, 2, 3, 0, 16);
  check_2d(1, 6, 6, 5, 10, 3, 1, 1, 5); /* two outputs a channel: by groups */
}

TEST(empty) {
  check_2d(0, 5, 5, 3, 4, 3, 1, 1, 1);
  check_2d(2, 2, 2, 3, 4, 3, 1, 0, 1); /* no outputs */
  check_2d(2, 0, 4, 3, 4, 3, 1, 2, 1); /* padding alone */
  check_2d(2, 4, 4, 0, 4, 3, 1, 1, 1); /* no terms */
  check_2d(2, 4, 4, 6, 6, 3, 1, 1, 6);
}

TEST(many_pixels) {
  check_2d(1, 1, 1500, 5, 6, 1, 1, 0, 1); /* long rows: blocks of columns */
  const int64_t high[3] = {0, 0, 2};
  check_conv(with_defaults((mica_conv){.batch = 2,
                                       .input_channels = 9,
                                       .output_channels = 11,
                                       .input = {1, 1, 900},
                                       .kernel = {1, 1, 5},
                                       .padding = {0, 0, 2}},
                           high));
  check_2d(40, 5, 6, 4, 8, 3, 1, 1, 1);
}

/* Every attribute on every axis at once, one to three dimensions. */
TEST(random_attributes) {
  for (int32_t i = 0; i < 250; i++) {
    const int64_t rank = random_between(1, 3);
    mica_conv c = {.batch = random_between(1, 3), .input = {1, 1, 1}, .kernel = {1, 1, 1}};
    int64_t high[3] = {0, 0, 0};
    c.groups = random_between(0, 3) == 0 ? random_between(2, 5) : 1;
    if (random_between(0, 5) == 0 && c.groups > 1) {
      c.groups = random_between(2, 40);
      c.input_channels = c.output_channels = c.groups;
    } else {
      c.input_channels = c.groups * random_between(1, random_between(0, 2) == 0 ? 40 : 6);
      c.output_channels = c.groups * random_between(1, random_between(0, 2) == 0 ? 70 : 9);
    }
    for (int64_t axis = 3 - rank; axis < 3; axis++) {
      c.input[axis] = random_between(1, rank == 3 ? 6 : 17);
      c.kernel[axis] = random_between(1, rank == 3 ? 3 : 5);
      c.stride[axis] = random_between(1, 3);
      c.base_dilation[axis] = random_between(0, 1) ? 1 : random_between(1, 4);
      c.window_dilation[axis] = random_between(0, 1) ? 1 : random_between(1, 3);
      c.padding[axis] = random_between(-2, 4);
      high[axis] = random_between(-2, 4);
    }
    check_conv(with_defaults(c, high));
  }
}

TEST_MAIN(TEST_CASE(common_layers), TEST_CASE(depthwise), TEST_CASE(empty), TEST_CASE(many_pixels),
          TEST_CASE(random_attributes))
