/* SPDX-License-Identifier: Apache-2.0 */
/* Whole programs as a user writes them, on every backend, each checked against plain loops, closed forms or
 * finite differences. The same in C++ is tests/cpp/test_programs.cc. */
#include <math.h>
#include <stdlib.h>

#include "check.h"
#include "mica/mica.h"

/* ---- the programs ------------------------------------------------------------------------------ */

/* The shortest one: y = sum(tanh(x)^2) and dy/dx, x [n]. */
static void small(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph, (void)user;
  out[0] = mica_reduce_sum(mica_square(mica_tanh(in[0])), MICA_ALL);
  mica_gradients(out[0], in, 1, &out[1]);
}

static mica_status run_small(const char *backend, float gradient[3], mica_error *error) {
  mica_device_options options = {.struct_size = sizeof(options), .backend = backend};
  mica_device *device = mica_device_open(&options, error);
  mica_jit *f = mica_jit_create(device, small, .inputs = 1, .outputs = 2);
  mica_tensor *x = mica_tensor_from(MICA_F32, MICA_DIMS(3), (float[]){.1f, -.4f, .7f}), *y[2] = {0};
  mica_status status = mica_jit_call(f, &x, 1, y, 2, error);
  if (status == MICA_OK) status = mica_tensor_read(y[1], gradient, 3 * sizeof(float), error);
  mica_tensor_release(y[0]), mica_tensor_release(y[1]), mica_tensor_release(x);
  mica_jit_destroy(f);
  mica_device_release(device);
  return status;
}

/* One SGD step of a linear model whose parameters are variables. in: x [n, inputs], target [n, 1]. */
typedef struct {
  mica_variable *w, *b;
} linear;
static void step(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  linear *model = user;
  mica_value p[2] = {mica_variable_read(graph, model->w), mica_variable_read(graph, model->b)},
             d[2];
  mica_value miss = mica_sub(mica_add(mica_matmul(in[0], p[0]), p[1]), in[1]);
  out[0] = mica_reduce_mean(mica_square(miss), MICA_ALL);
  mica_gradients(out[0], p, 2, d);
  mica_variable_assign(model->w, mica_sub(p[0], mica_mul(d[0], 0.1)));
  mica_variable_assign(model->b, mica_sub(p[1], mica_mul(d[1], 0.1)));
}

/* while: Newton's square root of x []; x is captured. */
static mica_value newton_sqrt(mica_value x) {
  mica_region loop = mica_while_begin(x.graph, &x, 1, 50);
  mica_value y = mica_argument(loop, 0), root;
  mica_while_body(loop, mica_greater(mica_abs(mica_sub(mica_square(y), x)), 1e-6));
  y = mica_mul(mica_add(y, mica_div(x, y)), 0.5);
  mica_while_end(loop, &y, &root);
  return root;
}

/* scan: a recurrent net over xs [time, batch, in] -> [time, batch, hidden]. */
static mica_value recurrent(mica_value h0, mica_value xs, mica_value w, mica_value u) {
  mica_region scan = mica_scan_begin(&h0, 1, &xs, 1);
  mica_value h = mica_tanh(
      mica_add(mica_matmul(mica_argument(scan, 0), w), mica_matmul(mica_argument(scan, 1), u)));
  mica_value last, all;
  mica_scan_end(scan, &h, &h, 1, &last, &all);
  return all;
}

/* vmap: the squared norm of the gradient of each example, w shared -> [batch]. */
static mica_value gradient_norms(mica_value images, mica_value labels, mica_value w) {
  mica_region each = mica_vmap_begin(w.graph, (mica_value[]){images, labels}, (int32_t[]){0, 0}, 2);
  mica_value g, norms;
  mica_value logits = mica_matmul(mica_argument(each, 0), w);
  mica_gradients(mica_softmax_cross_entropy(logits, mica_argument(each, 1)), &w, 1, &g);
  g = mica_reduce_sum(mica_square(g), MICA_ALL);
  mica_vmap_end(each, &g, 1, &norms);
  return norms;
}

static mica_value named_options(mica_value x, mica_value kernel) {
  return mica_conv(mica_conv(x, kernel), kernel, .stride = {2, 2}, .groups = 4);
}

/* ---- the tests ---------------------------------------------------------------------------------- */

/* "reference" and the backend under test: $MICA_TEST_BACKEND, else "cpu". */
static const char *backend_name(int which) {
  const char *tested = getenv("MICA_TEST_BACKEND");
  return which == 0 ? "reference" : tested && *tested ? tested : "cpu";
}
static void on_every_backend(void (*check)(mica_device *device)) {
  for (int which = 0; which < 2; which++) {
    mica_error error = {0};
    mica_device_options options = {.struct_size = sizeof(options), .backend = backend_name(which)};
    mica_device *device = mica_device_open(&options, &error);
    if (device)
      check(device);
    else
      CHECK_FAIL("%s: %s", options.backend, error.message);
    mica_device_release(device);
  }
}

/* Wavy numbers in [-1, 1] that repeat nowhere. */
static void fill(double *values, int64_t count, double seed) {
  for (int64_t i = 0; i < count; i++) values[i] = sin(seed + 1.7 * (double)(i + 1));
}

TEST(runs_small) {
  for (int which = 0; which < 2; which++) {
    float x[3] = {.1f, -.4f, .7f}, gradient[3] = {0};
    mica_error error = {0};
    CHECK_OK_ERROR(run_small(backend_name(which), gradient, &error), &error);
    for (int i = 0; i < 3; i++) {
      double t = tanh((double)x[i]);
      CHECK_NEAR(gradient[i], 2 * t * (1 - t * t), 1e-6);
    }
  }
}

/* Ten steps on fixed data against the same in plain loops. */
enum { ROWS = 7, COLUMNS = 3 };
static double plain_step(const double *x, const double *target, double *w, double *b) {
  double loss = 0, dw[COLUMNS] = {0}, db = 0;
  for (int n = 0; n < ROWS; n++) {
    double miss = *b - target[n];
    for (int k = 0; k < COLUMNS; k++) miss += x[n * COLUMNS + k] * w[k];
    loss += miss * miss / (double)ROWS;
    for (int k = 0; k < COLUMNS; k++) dw[k] += 2 * miss * x[n * COLUMNS + k] / (double)ROWS;
    db += 2 * miss / (double)ROWS;
  }
  for (int k = 0; k < COLUMNS; k++) w[k] -= 0.1 * dw[k];
  *b -= 0.1 * db;
  return loss;
}

static void check_steps(mica_device *device) {
  double x[ROWS * COLUMNS], target[ROWS], w[COLUMNS], b = 0.25, found[COLUMNS], first = 0, last = 0;
  fill(x, ROWS * COLUMNS, 0.2);
  fill(target, ROWS, 2.5);
  fill(w, COLUMNS, 4);
  mica_tensor *start_w = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(COLUMNS, 1), w);
  mica_tensor *start_b = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(1), &b);
  linear model = {mica_variable_create("w", start_w), mica_variable_create("b", start_b)};
  mica_tensor *in[2] = {mica_tensor_from_doubles(MICA_F32, MICA_DIMS(ROWS, COLUMNS), x),
                        mica_tensor_from_doubles(MICA_F32, MICA_DIMS(ROWS, 1), target)};
  mica_jit *jit = mica_jit_create(device, step, .inputs = 2, .outputs = 1, .user = &model);
  mica_tensor *loss = NULL; /* the second call overwrites it */
  for (int i = 0; i < 10; i++) {
    mica_error error = {0};
    CHECK_OK_ERROR(mica_jit_call(jit, in, 2, &loss, 1, &error), &error);
    double wanted = plain_step(x, target, w, &b);
    CHECK_OK(mica_tensor_read_doubles(loss, &last, 1, NULL));
    CHECK_NEAR_RELATIVE(last, wanted, 1e-5);
    if (i == 0) first = last;
  }
  CHECK(last < 0.5 * first);
  CHECK_EQ_INT(mica_jit_cache_count(jit), 1);
  mica_tensor *end_w = mica_variable_snapshot(model.w), *end_b = mica_variable_snapshot(model.b);
  CHECK_OK(mica_tensor_read_doubles(end_w, found, COLUMNS, NULL));
  for (int k = 0; k < COLUMNS; k++) CHECK_NEAR(found[k], w[k], 1e-5);
  CHECK_OK(mica_tensor_read_doubles(end_b, found, 1, NULL));
  CHECK_NEAR(found[0], b, 1e-5);
  mica_tensor_release(end_w), mica_tensor_release(end_b), mica_tensor_release(loss);
  mica_tensor_release(in[0]), mica_tensor_release(in[1]);
  mica_tensor_release(start_w), mica_tensor_release(start_b);
  mica_jit_destroy(jit);
  mica_variable_release(model.w), mica_variable_release(model.b);
}
TEST(trains_a_linear_model) { on_every_backend(check_steps); }

/* out: the root, its derivative by reverse and by forward mode, and its second derivative. */
static void build_root(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph, (void)user;
  out[0] = newton_sqrt(in[0]);
  mica_gradients(out[0], in, 1, &out[1]);
  mica_value one = mica_ones_like(in[0]);
  mica_jvp(out, 1, in, &one, 1, &out[2]);
  mica_gradients(out[1], in, 1, &out[3]);
}

static void check_root(mica_device *device) {
  static const double numbers[] = {0.25, 0.9, 2, 10, 12345};
  mica_jit *jit = mica_jit_create(device, build_root, .inputs = 1, .outputs = 4);
  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
    mica_tensor *x = mica_tensor_scalar(MICA_F64, numbers[i]), *out[4] = {0};
    double root = sqrt(numbers[i]), found[4] = {0};
    mica_error error = {0};
    CHECK_OK_ERROR(mica_jit_call(jit, &x, 1, out, 4, &error), &error);
    for (int k = 0; k < 4; k++) CHECK_OK(mica_tensor_read_doubles(out[k], &found[k], 1, NULL));
    CHECK_NEAR_RELATIVE(found[0], root, 1e-6);
    CHECK_NEAR_RELATIVE(found[1], 1 / (2 * root), 1e-6);
    CHECK_NEAR_RELATIVE(found[2], 1 / (2 * root), 1e-6);
    CHECK_NEAR_RELATIVE(found[3], -1 / (4 * root * numbers[i]), 1e-3);
    for (int k = 0; k < 4; k++) mica_tensor_release(out[k]);
    mica_tensor_release(x);
  }
  CHECK_EQ_INT(mica_jit_cache_count(jit), 1);
  mica_jit_destroy(jit);
}
TEST(takes_square_roots) { on_every_backend(check_root); }

/* h0 [2, 4], xs [5, 2, 3], w [4, 4], u [3, 4]; out: sum of squares, then its gradients by all of them. */
enum { TIME = 5, BATCH = 2, HIDDEN = 4, INPUT = 3, NET_INPUTS = 4 };
static const int64_t net_sizes[NET_INPUTS] = {BATCH * HIDDEN, TIME *BATCH *INPUT, HIDDEN *HIDDEN,
                                              INPUT *HIDDEN};

static void build_net(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph, (void)user;
  out[0] = mica_reduce_sum(mica_square(recurrent(in[0], in[1], in[2], in[3])), MICA_ALL);
  mica_gradients(out[0], in, NET_INPUTS, out + 1);
}

static double plain_net(double *const *in) {
  double h[BATCH * HIDDEN], sum = 0;
  for (int i = 0; i < BATCH * HIDDEN; i++) h[i] = in[0][i];
  for (int t = 0; t < TIME; t++) {
    double next[BATCH * HIDDEN] = {0};
    for (int b = 0; b < BATCH; b++)
      for (int j = 0; j < HIDDEN; j++) {
        double total = 0;
        for (int k = 0; k < HIDDEN; k++) total += h[b * HIDDEN + k] * in[2][k * HIDDEN + j];
        for (int k = 0; k < INPUT; k++)
          total += in[1][(t * BATCH + b) * INPUT + k] * in[3][k * HIDDEN + j];
        next[b * HIDDEN + j] = tanh(total);
        sum += next[b * HIDDEN + j] * next[b * HIDDEN + j];
      }
    for (int i = 0; i < BATCH * HIDDEN; i++) h[i] = next[i];
  }
  return sum;
}

static void check_net(mica_device *device) {
  mica_shape shapes[NET_INPUTS] = {MICA_DIMS(BATCH, HIDDEN), MICA_DIMS(TIME, BATCH, INPUT),
                                   MICA_DIMS(HIDDEN, HIDDEN), MICA_DIMS(INPUT, HIDDEN)};
  double values[NET_INPUTS][32], *in[NET_INPUTS], found[32] = {0};
  mica_tensor *tensors[NET_INPUTS], *out[1 + NET_INPUTS] = {0};
  for (int i = 0; i < NET_INPUTS; i++) {
    in[i] = values[i];
    fill(values[i], net_sizes[i], i);
    tensors[i] = mica_tensor_from_doubles(MICA_F64, shapes[i], values[i]);
  }
  mica_jit *jit =
      mica_jit_create(device, build_net, .inputs = NET_INPUTS, .outputs = 1 + NET_INPUTS);
  mica_error error = {0};
  CHECK_OK_ERROR(mica_jit_call(jit, tensors, NET_INPUTS, out, 1 + NET_INPUTS, &error), &error);
  CHECK_OK(mica_tensor_read_doubles(out[0], found, 1, NULL));
  CHECK_NEAR_RELATIVE(found[0], plain_net(in), 1e-12);
  for (int i = 0; i < NET_INPUTS; i++) {
    CHECK_OK(mica_tensor_read_doubles(out[1 + i], found, net_sizes[i], NULL));
    for (int64_t k = 0; k < net_sizes[i]; k++) {
      double h = 0x1p-10, kept = in[i][k], slope = 0;
      static const double weight[4] = {1. / 12, -8. / 12, 8. / 12, -1. / 12};
      static const int at[4] = {-2, -1, 1, 2};
      for (int s = 0; s < 4; s++) {
        in[i][k] = kept + at[s] * h;
        slope += weight[s] * plain_net(in) / h;
      }
      in[i][k] = kept;
      CHECK_NEAR(found[k], slope, 1e-8);
    }
  }
  for (int i = 0; i < NET_INPUTS; i++) mica_tensor_release(tensors[i]);
  for (int i = 0; i <= NET_INPUTS; i++) mica_tensor_release(out[i]);
  mica_jit_destroy(jit);
}
TEST(differentiates_a_recurrent_net) { on_every_backend(check_net); }

/* images [6, 5], labels [6], w [5, 3]. */
enum { EXAMPLES = 6, PIXELS = 5, CLASSES = 3 };
static void build_norms(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph, (void)user;
  out[0] = gradient_norms(in[0], in[1], in[2]);
}
/* One example after the other: images [1, 5], labels [1]. */
static void build_norm(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph, (void)user;
  mica_value g;
  mica_value logits = mica_matmul(in[0], in[2]);
  mica_value loss = mica_reduce_sum(mica_softmax_cross_entropy(logits, in[1]), MICA_ALL);
  mica_gradients(loss, &in[2], 1, &g);
  out[0] = mica_reduce_sum(mica_square(g), MICA_ALL);
}

/* d loss / d w = image (softmax - one hot)', so its norm is the product of both norms. */
static double plain_norm(const double *image, int32_t label, const double *w) {
  double logits[CLASSES] = {0}, total = 0, size = 0, miss = 0;
  for (int k = 0; k < PIXELS; k++) size += image[k] * image[k];
  for (int c = 0; c < CLASSES; c++) {
    for (int k = 0; k < PIXELS; k++) logits[c] += image[k] * w[k * CLASSES + c];
    total += exp(logits[c]);
  }
  for (int c = 0; c < CLASSES; c++) miss += pow(exp(logits[c]) / total - (c == label), 2);
  return size * miss;
}

static void check_norms(mica_device *device) {
  double images[EXAMPLES * PIXELS], w[PIXELS * CLASSES], norms[EXAMPLES] = {0}, one = 0;
  int32_t labels[EXAMPLES] = {2, 0, 1, 1, 2, 0};
  fill(images, EXAMPLES * PIXELS, 1);
  fill(w, PIXELS * CLASSES, 3);
  mica_tensor *in[3] = {mica_tensor_from_doubles(MICA_F64, MICA_DIMS(EXAMPLES, PIXELS), images),
                        mica_tensor_from(MICA_I32, MICA_DIMS(EXAMPLES), labels),
                        mica_tensor_from_doubles(MICA_F64, MICA_DIMS(PIXELS, CLASSES), w)};
  mica_tensor *out = NULL;
  mica_error error = {0};
  CHECK_OK_ERROR(mica_call_once(device, build_norms, NULL, in, 3, &out, 1, &error), &error);
  CHECK_OK(mica_tensor_read_doubles(out, norms, EXAMPLES, NULL));
  mica_jit *single = mica_jit_create(device, build_norm, .inputs = 3, .outputs = 1);
  for (int e = 0; e < EXAMPLES; e++) {
    mica_tensor *row[3] = {
        mica_tensor_from_doubles(MICA_F64, MICA_DIMS(1, PIXELS), images + e * PIXELS),
        mica_tensor_from(MICA_I32, MICA_DIMS(1), labels + e), in[2]};
    mica_tensor *norm = NULL;
    CHECK_OK_ERROR(mica_jit_call(single, row, 3, &norm, 1, &error), &error);
    CHECK_OK(mica_tensor_read_doubles(norm, &one, 1, NULL));
    CHECK_NEAR_RELATIVE(norms[e], one, 1e-12);
    CHECK_NEAR_RELATIVE(norms[e], plain_norm(images + e * PIXELS, labels[e], w), 1e-12);
    mica_tensor_release(row[0]), mica_tensor_release(row[1]), mica_tensor_release(norm);
  }
  CHECK_EQ_INT(mica_jit_cache_count(single), 1);
  mica_jit_destroy(single);
  for (int i = 0; i < 3; i++) mica_tensor_release(in[i]);
  mica_tensor_release(out);
}
TEST(takes_gradient_norms_of_each_example) { on_every_backend(check_norms); }

/* x [1, 6, 5, 2], kernel [3, 3, 2, 8] -> [1, 6, 5, 8] -> [1, 3, 3, 8]. */
static void build_options(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph, (void)user;
  out[0] = named_options(in[0], in[1]);
}

enum { KERNEL_IN = 2, KERNEL_OUT = 8 };
/* A 3x3 convolution with `same` padding: the odd cell is added behind. */
static void plain_conv(const double *x, int height, int width, int channels, const double *kernel,
                       int stride, int groups, double *y) {
  int rows = (height + stride - 1) / stride, columns = (width + stride - 1) / stride;
  int top = ((rows - 1) * stride + 3 - height) / 2, left = ((columns - 1) * stride + 3 - width) / 2;
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < columns; c++)
      for (int o = 0; o < KERNEL_OUT; o++) {
        double sum = 0;
        for (int i = 0; i < 9 * KERNEL_IN; i++) {
          int row = r * stride - top + i / (3 * KERNEL_IN),
              column = c * stride - left + i / KERNEL_IN % 3;
          int channel = o / (KERNEL_OUT / groups) * KERNEL_IN + i % KERNEL_IN;
          if (row >= 0 && row < height && column >= 0 && column < width)
            sum += x[(row * width + column) * channels + channel] * kernel[i * KERNEL_OUT + o];
        }
        y[(r * columns + c) * KERNEL_OUT + o] = sum;
      }
}

static void check_options(mica_device *device) {
  double x[6 * 5 * 2], kernel[3 * 3 * 2 * 8], middle[6 * 5 * 8], wanted[3 * 3 * 8],
      found[3 * 3 * 8];
  fill(x, 60, 0.7);
  fill(kernel, 144, 5);
  mica_tensor *in[2] = {mica_tensor_from_doubles(MICA_F64, MICA_DIMS(1, 6, 5, 2), x),
                        mica_tensor_from_doubles(MICA_F64, MICA_DIMS(3, 3, 2, 8), kernel)};
  mica_tensor *out = NULL;
  mica_error error = {0};
  CHECK_OK_ERROR(mica_call_once(device, build_options, NULL, in, 2, &out, 1, &error), &error);
  plain_conv(x, 6, 5, 2, kernel, 1, 1, middle);
  plain_conv(middle, 6, 5, 8, kernel, 2, 4, wanted);
  if (CHECK(mica_shape_equal(mica_tensor_type(out).shape, MICA_DIMS(1, 3, 3, 8)))) {
    CHECK_OK(mica_tensor_read_doubles(out, found, 72, NULL));
    for (int i = 0; i < 72; i++) CHECK_NEAR(found[i], wanted[i], 1e-12);
  }
  mica_tensor_release(in[0]), mica_tensor_release(in[1]), mica_tensor_release(out);
}
TEST(convolves_with_named_options) { on_every_backend(check_options); }

TEST_MAIN(TEST_CASE(runs_small), TEST_CASE(trains_a_linear_model), TEST_CASE(takes_square_roots),
          TEST_CASE(differentiates_a_recurrent_net),
          TEST_CASE(takes_gradient_norms_of_each_example), TEST_CASE(convolves_with_named_options))
