/* SPDX-License-Identifier: Apache-2.0 */
/* fashion_mnist.c: trains a convolutional network on Fashion-MNIST (Xiao et al. 2017, arXiv
 * 1708.07747) and
 * reports how well it does. `./dev demo` runs it.
 *
 * fashion_mnist [--seed N] [--epochs N] [--data DIR] [--plot FILE] [--threads N] [--quiet] [--limit
 * N] [--log DIR]
 *
 * --log writes DIR/metrics.jsonl, DIR/plot.html, which an open browser follows while it trains,
 * DIR/model.html, the model's picture, and an event file for TensorBoard.
 *
 * Two convolutions (32 and 64 channels), a dense layer of 128 with dropout, Adam (Kingma and Ba
 * 2015) under a
 * one-cycle schedule (Smith 2018). Every choice is made beforehand; the test images only measure.
 * */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mica/mica.h"
#include "mica/ui.h"

enum { BATCH = 128, CLASSES = 10, SIDE = 28, TEST_BATCH = 500, PARAMETERS = 8 };

static const char *const class_names[CLASSES] = {"T-shirt", "trouser", "pullover", "dress", "coat",
                                                 "sandal",  "shirt",   "sneaker",  "bag",   "boot"};

/* ---- the model: parameters, their Adam moments, and the graph that uses them ----------------- */

typedef struct {
  mica_variable *value, *first, *second;
} parameter;

typedef struct {
  parameter p[PARAMETERS];
  uint64_t seed;
} network;

typedef struct {
  const char *name;
  mica_shape shape;
  int64_t fan_in; /* 0: a bias, which starts at zero */
} parameter_info;
static const parameter_info layout[PARAMETERS] = {
    {"conv1/kernel", {4, {3, 3, 1, 32}}, 9},        {"conv1/bias", {1, {32}}, 0},
    {"conv2/kernel", {4, {3, 3, 32, 64}}, 288},     {"conv2/bias", {1, {64}}, 0},
    {"dense/kernel", {2, {7 * 7 * 64, 128}}, 3136}, {"dense/bias", {1, {128}}, 0},
    {"logits/kernel", {2, {128, CLASSES}}, 128},    {"logits/bias", {1, {CLASSES}}, 0},
};

/* images u8 [batch, 28, 28, 1], p[8] -> logits f32 [batch, 10]; a dropout key of {0} means
 * evaluation. */
static mica_value forward(mica_value images, const mica_value p[PARAMETERS],
                          mica_value dropout_key) {
  mica_graph *graph = images.graph;
  mica_value x = mica_mul(mica_convert(images, MICA_F32), 1.0 / 255);
  mica_scope_push(graph, "conv1");
  x = mica_max_pool(mica_relu(mica_add(mica_conv(x, p[0]), p[1])), .window = {2, 2});
  mica_scope_pop(graph, "conv1");
  mica_scope_push(graph, "conv2");
  x = mica_max_pool(mica_relu(mica_add(mica_conv(x, p[2]), p[3])), .window = {2, 2});
  mica_scope_pop(graph, "conv2");
  mica_scope_push(graph, "dense");
  x = mica_relu(mica_add(mica_matmul(mica_flatten(x, 1), p[4]), p[5]));
  if (dropout_key.id) {
    mica_value kept = mica_random_bernoulli(dropout_key, 0.7, mica_shape_of(x));
    x = mica_select(kept, mica_div(x, 0.7), mica_zeros_like(x));
  }
  mica_scope_pop(graph, "dense");
  mica_scope_push(graph, "logits");
  x = mica_add(mica_matmul(x, p[6]), p[7]);
  mica_scope_pop(graph, "logits");
  return x;
}

/* One step. in: images u8 [batch, 28, 28, 1], labels i32 [batch], learning rate f32 [], step i32 []
 * (from 1).
 * out: mean loss f32 [], right answers i32 []. */
static void training_step(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  const network *net = user;
  mica_value p[PARAMETERS], gradient[PARAMETERS];
  for (int i = 0; i < PARAMETERS; i++) p[i] = mica_variable_read(graph, net->p[i].value);
  mica_value key = mica_random_fold(mica_random_key(graph, net->seed), in[3]);
  mica_value logits = forward(in[0], p, key);
  out[0] = mica_reduce_mean(mica_softmax_cross_entropy(logits, in[1]), MICA_ALL);
  out[1] = mica_reduce_sum(mica_convert(mica_equal(mica_arg_max(logits, -1), in[1]), MICA_I32),
                           MICA_ALL);
  mica_gradients(out[0], p, PARAMETERS, gradient);

  mica_scope_push(graph, "adam");
  const double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  mica_value step = mica_convert(in[3], MICA_F32);
  mica_value correct1 = mica_sub(mica_ones_like(step), mica_exp(mica_mul(step, log(beta1))));
  mica_value correct2 = mica_sub(mica_ones_like(step), mica_exp(mica_mul(step, log(beta2))));
  mica_value rate = mica_div(in[2], correct1), scale = mica_rsqrt(correct2);
  for (int i = 0; i < PARAMETERS; i++) {
    mica_value g = gradient[i];
    mica_value m = mica_add(mica_mul(mica_variable_read(graph, net->p[i].first), beta1),
                            mica_mul(g, 1 - beta1));
    mica_value v = mica_add(mica_mul(mica_variable_read(graph, net->p[i].second), beta2),
                            mica_mul(mica_mul(g, g), 1 - beta2));
    mica_value change =
        mica_div(mica_mul(m, rate), mica_add(mica_mul(mica_sqrt(v), scale), epsilon));
    mica_variable_assign(net->p[i].value, mica_sub(p[i], change));
    mica_variable_assign(net->p[i].first, m);
    mica_variable_assign(net->p[i].second, v);
  }
  mica_scope_pop(graph, "adam");
}

/* images u8 [batch, 28, 28, 1] -> the most likely classes i32 [batch]. */
static void prediction(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  const network *net = user;
  mica_value p[PARAMETERS];
  for (int i = 0; i < PARAMETERS; i++) p[i] = mica_variable_read(graph, net->p[i].value);
  out[0] = mica_arg_max(forward(in[0], p, (mica_value){0}), -1);
}

/* He's normal initialization for weights (He et al. 2015), as a function of seed and parameter
 * only. */
static mica_tensor *initial_values(const parameter_info *info, uint64_t seed, uint32_t number) {
  int64_t count = mica_shape_count(info->shape);
  float *values = malloc((size_t)count * sizeof *values);
  if (!values) return NULL;
  double scale = info->fan_in ? sqrt(2.0 / (double)info->fan_in) : 0;
  for (int64_t i = 0; i < count; i++) {
    uint32_t words[4], counter[4] = {(uint32_t)i, number, 0x1417u, 0},
                       key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    mica_philox(counter, key, words);
    double u = ((double)words[0] + 0.5) / 4294967296.0, v = (double)words[1] / 4294967296.0;
    values[i] = (float)(scale * sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
  }
  mica_tensor *tensor = mica_tensor_from(MICA_F32, info->shape, values);
  free(values);
  return tensor;
}

static bool create_network(network *net, uint64_t seed) {
  net->seed = seed;
  bool made = true;
  for (int i = 0; i < PARAMETERS; i++) {
    mica_tensor *start = initial_values(&layout[i], seed, (uint32_t)i);
    mica_tensor *first = mica_tensor_from(MICA_F32, layout[i].shape, NULL),
                *second = mica_tensor_from(MICA_F32, layout[i].shape, NULL);
    char name[64];
    net->p[i].value = mica_variable_create(layout[i].name, start);
    snprintf(name, sizeof name, "%s/adam_first", layout[i].name);
    net->p[i].first = mica_variable_create(name, first);
    snprintf(name, sizeof name, "%s/adam_second", layout[i].name);
    net->p[i].second = mica_variable_create(name, second);
    made = made && net->p[i].value && net->p[i].first && net->p[i].second;
    mica_tensor_release(start), mica_tensor_release(first), mica_tensor_release(second);
  }
  return made;
}

static void release_network(network *net) {
  for (int i = 0; i < PARAMETERS; i++)
    mica_variable_release(net->p[i].value), mica_variable_release(net->p[i].first),
        mica_variable_release(net->p[i].second);
}

/* ---- the data -------------------------------------------------------------------------------- */

typedef struct {
  mica_tensor *images, *labels; /* u8 [n, 28, 28, 1], i32 [n] */
  int64_t count;
} data_set;

/* Where the files may lie: --data, $MICA_FASHION_MNIST, Debian's package, what `./dev demo`
 * downloads. */
static bool find_data(const char *given, char *folder, size_t size) {
  const char *environment = getenv("MICA_FASHION_MNIST"), *cache = getenv("XDG_CACHE_HOME"),
             *home = getenv("HOME");
  char downloaded[512] = "";
  if (cache && *cache)
    snprintf(downloaded, sizeof downloaded, "%s/mica/fashion-mnist", cache);
  else if (home)
    snprintf(downloaded, sizeof downloaded, "%s/.cache/mica/fashion-mnist", home);
  const char *places[] = {given, environment, "/usr/share/datasets/fashion-mnist", downloaded};
  for (int i = 0; i < 4; i++) {
    if (!places[i] || !*places[i]) continue;
    char path[640];
    snprintf(path, sizeof path, "%s/train-labels-idx1-ubyte.gz", places[i]);
    FILE *file = fopen(path, "rb");
    if (!file) continue;
    fclose(file);
    snprintf(folder, size, "%s", places[i]);
    return true;
  }
  return false;
}

/* Reads one file and checks that it is the published one, by the SHA-256 of its uncompressed
 * contents. */
static mica_tensor *load_file(const char *folder, const char *name, const char *sha256,
                              mica_error *error) {
  char path[640], found[65];
  snprintf(path, sizeof path, "%s/%s.gz", folder, name);
  mica_tensor *tensor = NULL;
  if (mica_idx_load_checked(path, found, &tensor, error) == MICA_OK && strcmp(found, sha256)) {
    mica_error_set(error, MICA_DATA_LOSS, "%s: its SHA-256 is %s, expected %s", path, found,
                   sha256);
    mica_tensor_release(tensor);
    tensor = NULL;
  }
  return tensor;
}

static bool load_data(const char *folder, const char *prefix, const char *images_sha,
                      const char *labels_sha, int64_t limit, data_set *data, mica_error *error) {
  char name[64];
  snprintf(name, sizeof name, "%s-images-idx3-ubyte", prefix);
  mica_tensor *images = load_file(folder, name, images_sha, error);
  snprintf(name, sizeof name, "%s-labels-idx1-ubyte", prefix);
  mica_tensor *labels = images ? load_file(folder, name, labels_sha, error) : NULL;
  if (images && labels) {
    data->count = mica_tensor_type(labels).shape.dim[0];
    if (limit && limit < data->count) data->count = limit;
    int32_t *wide = malloc((size_t)data->count * sizeof *wide);
    if (wide) {
      mica_convert_elements(MICA_I32, wide, MICA_U8, mica_tensor_data(labels), data->count);
      data->labels = mica_tensor_from(MICA_I32, MICA_DIMS(data->count), wide);
    }
    free(wide);
    data->images =
        mica_tensor_from(MICA_U8, MICA_DIMS(data->count, SIDE, SIDE, 1), mica_tensor_data(images));
    if (!data->images || !data->labels) mica_error_set(error, MICA_OUT_OF_MEMORY, "out of memory");
  }
  mica_tensor_release(images), mica_tensor_release(labels);
  return data->images && data->labels;
}

/* ---- training and testing -------------------------------------------------------------------- */

/* One cycle: up to `most` in the first 30 % of the steps, down to almost nothing by the end, both
 * by a cosine. */
static float learning_rate(int64_t step, int64_t steps, double most) {
  double up = 0.3 * (double)steps, at = (double)step;
  double begin = most / 25, end = most / 1e4;
  if (at < up)
    return (float)(begin + (most - begin) * 0.5 * (1 - cos(3.141592653589793 * at / up)));
  return (float)(end + (most - end) * 0.5 *
                           (1 + cos(3.141592653589793 * (at - up) / ((double)steps - up))));
}

/* What --log asks for; all NULL without it. */
typedef struct {
  char folder[512];
  mica_metrics_log *metrics;
  mica_event_log *events;
  double drawn; /* when the page was written, by the log's clock */
} run_log;

static const char *log_path(const run_log *log, const char *name, char path[600]) {
  snprintf(path, 600, "%s/%s", log->folder, name);
  return path;
}

/* The page of the log as it stands; `live`: more is to come. */
static mica_status draw_log(run_log *log, bool live, mica_error *error) {
  char path[600];
  mica_runs *runs = NULL;
  mica_plot_options options = {.struct_size = sizeof options,
                               .title = "Fashion-MNIST",
                               .x = MICA_PLOT_EPOCH,
                               .smoothing = 0.9,
                               .live_seconds = live ? 2 : 0};
  mica_status status = mica_runs_create(&runs, error);
  if (status == MICA_OK) status = mica_runs_add(runs, log_path(log, "metrics.jsonl", path), error);
  if (status == MICA_OK)
    status = mica_plot_runs_html(log_path(log, "plot.html", path), runs, &options, error);
  mica_runs_destroy(runs);
  log->drawn = mica_metrics_log_seconds(log->metrics);
  return status;
}

/* Opens the log, and draws the model: what `prediction` does with one batch. */
static mica_status open_log(run_log *log, const char *folder, network *net, mica_error *error) {
  char path[600];
  snprintf(log->folder, sizeof log->folder, "%s", folder);
  mica_metrics_log_options anew = {.struct_size = sizeof anew, .replace = true, .flush_seconds = 1};
  mica_status status = mica_events_open(folder, &log->events, error); /* makes the folder */
  if (status == MICA_OK)
    status =
        mica_metrics_log_open(log_path(log, "metrics.jsonl", path), &anew, &log->metrics, error);
  mica_graph *graph = mica_graph_create(NULL);
  mica_type images = {MICA_U8, {4, {BATCH, SIDE, SIDE, 1}}};
  mica_value in = mica_parameter(graph, images), out;
  prediction(graph, &in, &out, net);
  mica_graph_set_outputs(graph, &out, 1);
  mica_picture_options options = {.struct_size = sizeof options, .title = "Fashion-MNIST CNN"};
  if (status == MICA_OK)
    status = mica_picture_html(log_path(log, "model.html", path), graph, &options, error);
  if (status == MICA_OK)
    status = mica_picture_svg(log_path(log, "model.svg", path), graph, &options, error);
  if (status == MICA_OK) status = mica_events_graph(log->events, graph, error);
  mica_graph_destroy(graph);
  return status;
}

/* One step's numbers; at the end of training the test's. */
static mica_status log_step(run_log *log, int64_t step, double epoch, double loss, double accuracy,
                            double rate, mica_error *error) {
  if (!log->metrics) return MICA_OK;
  mica_metric metrics[] = {{"loss", loss}, {"accuracy", accuracy}, {"learning rate", rate}};
  mica_status status = mica_metrics_log_write(log->metrics, MICA_METRICS_TRAIN, NULL, step, epoch,
                                              metrics, 3, error);
  if (status == MICA_OK && step % 20 == 0)
    status = mica_events_scalar(log->events, "train/loss", step, loss, error);
  if (status == MICA_OK && mica_metrics_log_seconds(log->metrics) - log->drawn > 2) {
    status = mica_metrics_log_flush(log->metrics, error);
    if (status == MICA_OK) status = draw_log(log, true, error);
  }
  return status;
}

static mica_status close_log(run_log *log, int64_t step, double epoch, double accuracy,
                             mica_error *error) {
  if (!log->metrics) return MICA_OK;
  mica_status status =
      mica_metrics_log_write(log->metrics, MICA_METRICS_EVALUATION, "test", step, epoch,
                             &(mica_metric){"accuracy", accuracy}, 1, error);
  if (status == MICA_OK) status = mica_metrics_log_flush(log->metrics, error);
  if (status == MICA_OK)
    status = mica_events_scalar(log->events, "test/accuracy", step, accuracy, error);
  return status == MICA_OK ? draw_log(log, false, error) : status;
}

static mica_status test(mica_jit *predict, const data_set *data,
                        int64_t confusion[CLASSES * CLASSES], mica_error *error) {
  memset(confusion, 0, sizeof(int64_t) * CLASSES * CLASSES);
  const int32_t *labels = mica_tensor_data(data->labels);
  const unsigned char *pixels = mica_tensor_data(data->images);
  mica_status status = MICA_OK;
  for (int64_t begin = 0; begin < data->count && status == MICA_OK; begin += TEST_BATCH) {
    int64_t count = data->count - begin < TEST_BATCH ? data->count - begin : TEST_BATCH;
    mica_tensor *images = mica_tensor_from(MICA_U8, MICA_DIMS(count, SIDE, SIDE, 1),
                                           pixels + begin * SIDE * SIDE),
                *classes = NULL;
    int32_t found[TEST_BATCH];
    status = mica_jit_call(predict, &images, 1, &classes, 1, error);
    if (status == MICA_OK)
      status = mica_tensor_read(classes, found, (size_t)count * sizeof *found, error);
    for (int64_t i = 0; status == MICA_OK && i < count; i++)
      confusion[labels[begin + i] * CLASSES + found[i]]++;
    mica_tensor_release(images), mica_tensor_release(classes);
  }
  return status;
}

static double accuracy_of(const int64_t confusion[CLASSES * CLASSES]) {
  int64_t right = 0, all = 0;
  for (int i = 0; i < CLASSES * CLASSES; i++)
    all += confusion[i], right += i % (CLASSES + 1) ? 0 : confusion[i];
  return all ? 100.0 * (double)right / (double)all : 0;
}

typedef struct {
  double *step, *loss, *smooth, *accuracy; /* of every training step */
  int64_t count;
} history;

typedef struct {
  uint64_t seed;
  int64_t epochs, limit;
  int32_t threads;
  const char *data, *plot, *log;
  bool quiet;
} options;

static mica_status train(mica_jit *step_jit, const data_set *data, const options *o, history *h,
                         run_log *log, double *out_seconds, mica_error *error) {
  int64_t per_epoch = data->count / BATCH, steps = per_epoch * o->epochs;
  int64_t *order = malloc((size_t)data->count * sizeof *order);
  mica_tensor *in[4] = {mica_tensor_from(MICA_U8, MICA_DIMS(BATCH, SIDE, SIDE, 1), NULL),
                        mica_tensor_from(MICA_I32, MICA_DIMS(BATCH), NULL),
                        mica_tensor_scalar(MICA_F32, 0), mica_tensor_scalar(MICA_I32, 0)};
  mica_tensor *out[2] = {NULL, NULL};
  mica_status status = order && in[0] && in[1] && in[2] && in[3]
                           ? MICA_OK
                           : mica_error_set(error, MICA_OUT_OF_MEMORY, "out of memory");
  mica_progress progress;
  mica_progress_begin(&progress, o->quiet ? NULL : stdout, "training", steps);
  double loss_average = 0, right_average = 0, weight = 0;
  for (int64_t step = 0; step < steps && status == MICA_OK; step++) {
    int64_t epoch = step / per_epoch, begin = step % per_epoch * BATCH;
    if (begin == 0) mica_shuffle(o->seed, (uint64_t)epoch, data->count, order);
    float rate = learning_rate(step, steps, 3e-3), loss;
    int32_t number = (int32_t)step + 1, right;
    status = mica_gather_rows(data->images, order + begin, BATCH, in[0], error);
    if (status == MICA_OK)
      status = mica_gather_rows(data->labels, order + begin, BATCH, in[1], error);
    if (status == MICA_OK) status = mica_tensor_write(in[2], &rate, sizeof rate, error);
    if (status == MICA_OK) status = mica_tensor_write(in[3], &number, sizeof number, error);
    if (status == MICA_OK) status = mica_jit_call(step_jit, in, 4, out, 2, error);
    if (status == MICA_OK) status = mica_tensor_read(out[0], &loss, sizeof loss, error);
    if (status == MICA_OK) status = mica_tensor_read(out[1], &right, sizeof right, error);
    if (status != MICA_OK) break;
    loss_average = 0.96 * loss_average + 0.04 * loss,
    right_average = 0.96 * right_average + 0.04 * right / (double)BATCH;
    weight = 0.96 * weight + 0.04;
    h->step[step] = (double)step / (double)per_epoch;
    h->loss[step] = loss, h->smooth[step] = loss_average / weight,
    h->accuracy[step] = 100 * right_average / weight;
    h->count = step + 1;
    status = log_step(log, step + 1, (double)(step + 1) / (double)per_epoch, loss,
                      100.0 * right / (double)BATCH, rate, error);
    char metrics[128];
    snprintf(metrics, sizeof metrics, "epoch %lld/%lld  loss %.3f  accuracy %.1f %%",
             (long long)epoch + 1, (long long)o->epochs, h->smooth[step], h->accuracy[step]);
    mica_progress_update(&progress, step + 1, metrics);
  }
  *out_seconds = mica_progress_seconds(&progress);
  mica_progress_end(&progress);
  for (int i = 0; i < 4; i++) mica_tensor_release(in[i]);
  for (int i = 0; i < 2; i++) mica_tensor_release(out[i]);
  free(order);
  return status;
}

static mica_status draw(const options *o, const history *h, double test_accuracy,
                        mica_error *error) {
  double last = (double)o->epochs, test_x[2] = {0, last},
         test_y[2] = {test_accuracy, test_accuracy};
  char name[48];
  snprintf(name, sizeof name, "test, at the end: %.2f %%", test_accuracy);
  mica_plot_series loss[2] = {
      {.name = "each batch", .x = h->step, .y = h->loss, .count = h->count, .faint = true},
      {.name = "smoothed", .x = h->step, .y = h->smooth, .count = h->count}};
  mica_plot_series accuracy[2] = {
      {.name = "training", .x = h->step, .y = h->accuracy, .count = h->count},
      {.name = name, .x = test_x, .y = test_y, .count = 2}};
  loss[0].name = NULL, loss[1].name = "training, smoothed";
  mica_plot_panel panels[2] = {{.title = "loss",
                                .x_label = "epoch",
                                .y_label = "cross-entropy",
                                .series = loss,
                                .series_count = 2,
                                .log_y = true},
                               {.title = "accuracy",
                                .x_label = "epoch",
                                .y_label = "%",
                                .series = accuracy,
                                .series_count = 2,
                                .y_least = 70,
                                .y_most = 96}};
  return mica_plot_svg(o->plot, "Fashion-MNIST: training a small convolutional network", panels, 2,
                       error);
}

static bool parse_options(int count, char **arguments, options *o) {
  for (int i = 1; i < count; i++) {
    const char *name = arguments[i], *value = i + 1 < count ? arguments[i + 1] : NULL;
    char *end = NULL;
    if (!strcmp(name, "--quiet")) {
      o->quiet = true;
      continue;
    }
    if (!value) return false;
    i++;
    if (!strcmp(name, "--data"))
      o->data = value;
    else if (!strcmp(name, "--plot"))
      o->plot = value;
    else if (!strcmp(name, "--log"))
      o->log = value;
    else {
      long long number = strtoll(value, &end, 10);
      if (*end || end == value || number < 0) return false;
      if (!strcmp(name, "--seed"))
        o->seed = (uint64_t)number;
      else if (!strcmp(name, "--epochs"))
        o->epochs = number;
      else if (!strcmp(name, "--limit"))
        o->limit = number;
      else if (!strcmp(name, "--threads"))
        o->threads = (int32_t)number;
      else
        return false;
    }
  }
  return o->epochs >= 1;
}

int main(int argument_count, char **arguments) {
  options o = {.seed = 1, .epochs = 6, .plot = "fashion_mnist.svg"};
  if (!parse_options(argument_count, arguments, &o)) {
    fprintf(stderr,
            "usage: %s [--seed N] [--epochs N] [--data DIR] [--plot FILE] [--threads N] [--quiet] "
            "[--limit N] [--log DIR]\n",
            arguments[0]);
    return 2;
  }
  mica_error error = {0};
  char folder[512];
  if (!find_data(o.data, folder, sizeof folder)) {
    fprintf(stderr,
            "fashion_mnist: the images are missing: install Debian's dataset-fashion-mnist, run "
            "./dev demo, which "
            "downloads them, or give --data DIR\n");
    return 1;
  }
  data_set training = {0}, testing = {0};
  network net = {0};
  history h = {0};
  run_log log = {0};
  double seconds = 0;
  int64_t confusion[CLASSES * CLASSES] = {0};
  mica_device *device = NULL;
  mica_jit *step = NULL, *predict = NULL;
  bool ok =
      load_data(folder, "train", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9", o.limit,
                &training, &error) &&
      load_data(folder, "t10k", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34", o.limit,
                &testing, &error);
  ok = ok &&
       (device = mica_device_open(&(mica_device_options){.struct_size = sizeof(mica_device_options),
                                                         .threads = o.threads},
                                  &error));
  if (ok && training.count < BATCH)
    ok = mica_error_set(&error, MICA_INVALID, "--limit leaves less than one batch of %d images",
                        BATCH) == MICA_OK;
  if (ok && !create_network(&net, o.seed))
    ok = mica_error_set(&error, MICA_OUT_OF_MEMORY, "out of memory") == MICA_OK;
  if (ok) {
    size_t most = (size_t)(training.count / BATCH * o.epochs);
    h.step = malloc(4 * most * sizeof(double));
    if (!h.step)
      ok = mica_error_set(&error, MICA_OUT_OF_MEMORY, "out of memory") == MICA_OK;
    else
      h.loss = h.step + most, h.smooth = h.loss + most, h.accuracy = h.smooth + most;
  }
  if (ok) {
    printf(
        "fashion-mnist: %lld training and %lld test images, %lld epochs of batches of %d, seed "
        "%llu, %s\n",
        (long long)training.count, (long long)testing.count, (long long)o.epochs, BATCH,
        (unsigned long long)o.seed, mica_device_description(device));
    step = mica_jit_create(device, training_step, .inputs = 4, .outputs = 2, .user = &net);
    predict = mica_jit_create(device, prediction, .inputs = 1, .outputs = 1, .user = &net);
    ok = (!o.log || open_log(&log, o.log, &net, &error) == MICA_OK) &&
         train(step, &training, &o, &h, &log, &seconds, &error) == MICA_OK &&
         test(predict, &testing, confusion, &error) == MICA_OK &&
         close_log(&log, h.count, (double)o.epochs, accuracy_of(confusion), &error) == MICA_OK;
  }
  if (ok) {
    printf("\n");
    mica_report_classes(stdout, class_names, confusion, CLASSES);
    if (*o.plot) {
      ok = draw(&o, &h, accuracy_of(confusion), &error) == MICA_OK;
      if (ok) printf("\nthe curves are in %s\n", o.plot);
      if (ok && o.log) printf("the log, plot.html and model.html are in %s\n", o.log);
    }
  }
  if (ok)
    printf("fashion-mnist: test accuracy %.2f %%, %.1f s\n", accuracy_of(confusion), seconds);
  else
    fprintf(stderr, "fashion_mnist: %s\n", error.message);
  mica_metrics_log_close(log.metrics, NULL), mica_events_close(log.events, NULL);
  free(h.step);
  mica_jit_destroy(step), mica_jit_destroy(predict);
  release_network(&net);
  mica_device_release(device);
  mica_tensor_release(training.images), mica_tensor_release(training.labels);
  mica_tensor_release(testing.images), mica_tensor_release(testing.labels);
  return ok ? 0 : 1;
}
