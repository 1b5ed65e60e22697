/* SPDX-License-Identifier: Apache-2.0 */
/* kan_shapes.c: which of the shapes of a picture a point lies in, learned from points alone by four kinds of Kolmogorov-Arnold networks
 * (Liu et al. 2024, arXiv 2404.19756) or by dense layers. README.md beside it tells more. */
#include "../images.h"

enum { BATCH = 256, CLASSES = 4, POINTS = 65536, GRID = 192 };

/* ---- the picture: a ring, a tilted square, a wave, and what is around them, over [-1, 1]^2 ------------------------ */

static int32_t shape_at(double x, double y) {
  double ring = hypot(x + 0.45, y - 0.4);
  double across = (x - 0.5) * 0.8 + (y - 0.45) * 0.6, along = (y - 0.45) * 0.8 - (x - 0.5) * 0.6;
  if (ring > 0.2 && ring < 0.42) return 1;
  if (fmax(fabs(across), fabs(along)) < 0.3) return 2;
  if (fabs(y + 0.5 - 0.2 * sin(6 * x)) < 0.15) return 3;
  return 0;
}

/* Points f32 [count, 2], drawn, or of a grid over the whole picture, with labels i32 [count]. */
static bool make_points(example *ex, int64_t count, int64_t grid, mica_tensor **out) {
  float *points = malloc((size_t)count * 2 * sizeof *points);
  int32_t *labels = malloc((size_t)count * sizeof *labels);
  for (int64_t i = 0; points && labels && i < count; i++) {
    uint32_t words[4];
    mica_map_random(ex->seed, (mica_map_position){.index = i}, 0, words);
    double x = words[0] / 2147483648.0 - 1, y = words[1] / 2147483648.0 - 1;
    if (grid)
      x = (2 * (double)(i % grid) + 1) / (double)grid - 1,
      y = 1 - (2 * (double)(i / grid) + 1) / (double)grid;
    points[2 * i] = (float)x, points[2 * i + 1] = (float)y;
    labels[i] = shape_at(x, y);
  }
  out[0] = points && labels ? mica_tensor_from(MICA_F32, MICA_DIMS(count, 2), points) : NULL;
  out[1] = points && labels ? mica_tensor_from(MICA_I32, MICA_DIMS(count), labels) : NULL;
  free(points), free(labels);
  if (!out[0] || !out[1]) mica_error_set(&ex->error, MICA_OUT_OF_MEMORY, "out of memory");
  return example_good(ex);
}

/* ---- the models --------------------------------------------------------------------------------------------------- */

typedef enum { FNN, SPLINE, LINEAR, DISCRETE, RATIONAL, KINDS } kind;
static const char *const kinds[KINDS] = {"fnn", "spline", "linear", "discrete", "rational"};

/* One layer; what comes between layers is kept within the splines' range by tanh. */
static mica_value kan_layer(mica_scope *scope, mica_value x, kind which, int64_t units,
                            int64_t intervals, bool last) {
  x = mica_nn_kan(scope, x, .units = units, .degree = which == LINEAR ? 1 : 0,
                  .discrete = which == DISCRETE,
                  .softness = which == DISCRETE ? mica_scope_get_number(scope, "softness", 0.3) : 0,
                  .rational = which == RATIONAL, .intervals = intervals);
  return last || which == RATIONAL ? x : mica_tanh(x);
}

static mica_value model(mica_scope *scope, const mica_value *inputs, void *user) {
  kind which = *(const kind *)user;
  int64_t units = mica_scope_get_integer(scope, "units", 16),
          layers = mica_scope_get_integer(scope, "layers", 2),
          intervals = mica_scope_get_integer(scope, "intervals", 16);
  mica_value x = inputs[0];
  if (which == FNN)
    return mica_nn_fnn(scope, x, .out = CLASSES, .layers = layers, .units = 4 * units,
                       .activation = "silu");
  for (int64_t i = 0; i < layers; i++)
    x = kan_layer(mica_scope_in_index(scope, "kan", i), x, which, units, intervals, false);
  return kan_layer(mica_scope_in(scope, "out"), x, which, CLASSES, intervals, true);
}

static mica_value loss(mica_value logits, const mica_value *targets, void *user) {
  (void)user;
  return mica_loss_cross_entropy_logits(logits, targets[0]);
}

/* The grid's predictions as a picture, beside the truth. */
static bool draw(example *ex, const char *path, mica_tensor *const *grid) {
  static const unsigned char colors[CLASSES][3] = {
      {245, 245, 240}, {34, 102, 170}, {204, 102, 51}, {60, 140, 80}};
  mica_tensor *logits = NULL;
  double *scores = malloc(sizeof *scores * GRID * GRID * CLASSES);
  unsigned char *pixels = calloc(GRID, (2 * GRID + 8) * 3);
  const int32_t *labels = mica_tensor_data(grid[1]);
  if (!scores || !pixels) mica_error_set(&ex->error, MICA_OUT_OF_MEMORY, "out of memory");
  if (example_good(ex)) mica_trainer_predict(ex->trainer, grid, 1, &logits, &ex->error);
  if (example_good(ex))
    mica_tensor_read_doubles(logits, scores, (int64_t)GRID * GRID * CLASSES, &ex->error);
  for (int i = 0; example_good(ex) && i < GRID * GRID; i++) {
    int best = 0;
    for (int c = 1; c < CLASSES; c++)
      if (scores[i * CLASSES + c] > scores[i * CLASSES + best]) best = c;
    unsigned char *row = pixels + (size_t)(i / GRID) * (2 * GRID + 8) * 3;
    memcpy(row + (i % GRID) * 3, colors[labels[i]], 3);
    memcpy(row + (GRID + 8 + i % GRID) * 3, colors[best], 3);
  }
  mica_tensor *picture = mica_tensor_from(MICA_U8, MICA_DIMS(GRID, 2 * GRID + 8, 3), pixels);
  if (example_good(ex)) example_save_image(ex, path, picture);
  mica_tensor_release(picture), mica_tensor_release(logits);
  free(scores), free(pixels);
  return example_good(ex);
}

static int run(int count, char **arguments) {
  const char *picture = "";
  const example_option own[] = {
      {"--picture", "FILE.png", "truth and prediction side by side", &picture}, {0}};
  example ex = {.name = "kan_shapes",
                .summary = "shapes in the plane, learned by Kolmogorov-Arnold networks",
                .epochs = 20,
                .options = own,
                .measures = example_accuracy_names,
                .measure_count = 1};
  if (!example_begin(&ex, count, arguments)) return example_end(&ex);
  mica_store_set_choice(ex.store, "model", "spline", "fnn, spline, linear, discrete, rational",
                        &ex.error);
  mica_store_set_number(ex.store, "lr", 0.01, &ex.error);
  mica_store_set_integer(ex.store, "units", 16, &ex.error);
  mica_store_set_integer(ex.store, "layers", 2, &ex.error);
  mica_store_set_integer(ex.store, "intervals", 16, &ex.error);
  mica_store_set_number(ex.store, "softness", 0.3, &ex.error);
  if (!example_settings(&ex)) return example_end(&ex);
  const char *name = mica_store_get_text(ex.store, "model", "");
  kind which = FNN;
  while (which + 1 < KINDS && strcmp(kinds[which], name)) which++;

  int64_t rows = ex.limit ? ex.limit : POINTS;
  mica_tensor *points[2] = {NULL, NULL}, *grid[2] = {NULL, NULL};
  if (example_good(&ex) && make_points(&ex, rows, 0, points))
    make_points(&ex, (int64_t)GRID * GRID, GRID, grid);
  example_images training = {points[0], points[1], rows},
                 testing = {grid[0], grid[1], (int64_t)GRID * GRID};
  mica_dataset *train = example_training_batches(&ex, &training, BATCH, NULL),
               *test = example_test_batches(&ex, &testing, GRID * 16);
  mica_schedule *rate = NULL;
  if (example_good(&ex)) {
    rate = mica_schedule_one_cycle(.start = mica_store_get_number(ex.store, "lr", 0),
                                   .steps = example_total_steps(&ex), .error = &ex.error);
    ex.trainer =
        mica_trainer_create(ex.store, model, loss, .user = &which,
                            .optimizer = mica_optimizer_adam(), .rate = mica_schedule_rate,
                            .rate_user = rate, .measures = example_accuracy, .measure_count = 1);
    example_picture(&ex, model, &which, &(mica_type){MICA_F32, {2, {BATCH, 2}}}, 1);
  }
  if (example_train(&ex, train) && example_evaluate(&ex, test, "grid")) {
    printf("kan_shapes: %s, %lld parameters, accuracy on the grid %.2f %%, %.1f s\n", name,
           (long long)mica_store_parameter_count(ex.store, true),
           100 * mica_trainer_evaluation(ex.trainer).measures[0], ex.seconds);
    if (*picture) draw(&ex, picture, grid);
  }

  int code = example_end(&ex);
  mica_schedule_destroy(rate);
  mica_dataset_destroy(train), mica_dataset_destroy(test);
  for (int i = 0; i < 2; i++) mica_tensor_release(points[i]), mica_tensor_release(grid[i]);
  return code;
}

EXAMPLE(kan_shapes, "shapes in the plane, learned by Kolmogorov-Arnold networks", run)
