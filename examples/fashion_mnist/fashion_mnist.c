/* SPDX-License-Identifier: Apache-2.0 */
/* fashion_mnist.c: trains a convolutional network on Fashion-MNIST and reports how well it does; `./dev demo` runs it. README.md
 * beside it tells more.
 *
 * model=linear: one dense layer. model=small: two convolutions (32 and 64 channels) and a dense layer of 128 with dropout, Adam
 * (Kingma and Ba 2015) under a one-cycle schedule (Smith and Topin 2018). model=large: five convolutions with batch normalization,
 * images shifted and mirrored at random. Every choice was made beforehand; the test images only measure. */
#include "../images.h"

enum { BATCH = 128, CLASSES = 10, SIDE = 28, TEST_BATCH = 500 };

/* ---- the models ---------------------------------------------------------------------------------------- */

/* images u8 [batch, 28, 28, 1] -> logits f32 [batch, 10]. */
static mica_value small_model(mica_scope *scope, const mica_value *inputs, void *user) {
  (void)user;
  mica_value x = mica_mul(mica_convert(inputs[0], MICA_F32), 1.0 / 255);
  x = mica_relu(mica_nn_conv(mica_scope_in(scope, "conv1"), x, .channels = 32));
  x = mica_max_pool(x, .window = {2, 2});
  x = mica_relu(mica_nn_conv(mica_scope_in(scope, "conv2"), x, .channels = 64));
  x = mica_max_pool(x, .window = {2, 2});
  x = mica_relu(mica_nn_dense(mica_scope_in(scope, "dense"), mica_flatten(x, 1), .units = 128,
                              .kernel_initializer = mica_init_he_normal()));
  x = mica_nn_dropout(scope, x, mica_scope_get_number(scope, "dropout", 0));
  return mica_nn_dense(mica_scope_in(scope, "logits"), x, .units = CLASSES);
}

static mica_value linear_model(mica_scope *scope, const mica_value *inputs, void *user) {
  (void)user;
  mica_value x = mica_mul(mica_convert(inputs[0], MICA_F32), 1.0 / 255);
  return mica_nn_dense(mica_scope_in(scope, "logits"), mica_flatten(x, 1), .units = CLASSES);
}

static mica_value block(mica_scope *scope, const char *name, mica_value x, int64_t channels) {
  mica_scope *inner = mica_scope_in(scope, name);
  x = mica_nn_conv(mica_scope_in(inner, "conv"), x, .channels = channels, .no_bias = true);
  return mica_relu(mica_nn_batch_norm(mica_scope_in(inner, "norm"), x));
}

static mica_value large_logits(mica_scope *scope, mica_value x) {
  int64_t width = mica_scope_get_integer(scope, "width", 24);
  x = mica_max_pool(block(scope, "block1", x, width), .window = {2, 2});
  x = block(scope, "block2", x, 2 * width);
  x = mica_max_pool(block(scope, "block3", x, 2 * width), .window = {2, 2});
  x = block(scope, "block4", x, 4 * width);
  x = mica_max_pool(block(scope, "block5", x, 4 * width), .window = {2, 2});
  x = mica_nn_dropout(scope, mica_flatten(x, 1), mica_scope_get_number(scope, "dropout", 0));
  return mica_nn_dense(mica_scope_in(scope, "logits"), x, .units = CLASSES);
}

/* When it is asked rather than trained, the mean for an image and its mirror image. */
static mica_value large_model(mica_scope *scope, const mica_value *inputs, void *user) {
  (void)user;
  mica_value x = mica_mul(mica_convert(inputs[0], MICA_F32), 1.0 / 255), both[2];
  if (mica_scope_is_training(scope)) return large_logits(scope, x);
  x = mica_concatenate((mica_value[]){x, mica_reverse(x, MICA_AXES(2))}, 2, 0);
  mica_split(large_logits(scope, x), 0, 2, both);
  return mica_mul(mica_add(both[0], both[1]), 0.5);
}

/* ---- curves --------------------------------------------------------------------------------------------- */

typedef struct {
  double *step, *loss, *smooth, *accuracy; /* of every step; step in epochs */
  int64_t count, most, epoch_steps;
} history;

static mica_status remember(mica_training_state *state, void *user, mica_error *error) {
  history *h = user;
  (void)error;
  if (h->count == h->most) return MICA_OK;
  h->step[h->count] = (double)(state->step - 1) / (double)h->epoch_steps;
  h->loss[h->count] = state->last.loss, h->smooth[h->count] = state->mean_loss;
  h->accuracy[h->count++] = 100 * state->mean_measures[0];
  return MICA_OK;
}

static bool begin_history(example *ex, history *h) {
  if (!example_good(ex)) return false;
  h->most = example_total_steps(ex), h->epoch_steps = ex->epoch_steps;
  h->step = calloc((size_t)h->most, 4 * sizeof(double));
  if (!h->step || mica_training_loop_on(example_loop(ex), MICA_ON_STEP, remember, h) != MICA_OK)
    mica_error_set(&ex->error, MICA_OUT_OF_MEMORY, "out of memory");
  else
    h->loss = h->step + h->most, h->smooth = h->loss + h->most, h->accuracy = h->smooth + h->most;
  return example_good(ex);
}

static bool draw(example *ex, const history *h, const char *path, double test_accuracy) {
  double last = h->count ? h->step[h->count - 1] : 0, test_x[2] = {0, last},
         test_y[2] = {test_accuracy, test_accuracy};
  char name[48];
  snprintf(name, sizeof name, "test, at the end: %.2f %%", test_accuracy);
  mica_plot_series loss[2] = {
      {.x = h->step, .y = h->loss, .count = h->count, .faint = true},
      {.name = "training, smoothed", .x = h->step, .y = h->smooth, .count = h->count}};
  mica_plot_series accuracy[2] = {
      {.name = "training", .x = h->step, .y = h->accuracy, .count = h->count},
      {.name = name, .x = test_x, .y = test_y, .count = 2}};
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
  return mica_plot_svg(path, "Fashion-MNIST: training a convolutional network", panels, 2,
                       &ex->error) == MICA_OK;
}

/* ---- the run ---------------------------------------------------------------------------------------------- */

static void declare_settings(example *ex, bool large) {
  mica_store_set_number(ex->store, "lr", large ? 5e-3 : 3e-3, &ex->error);
  mica_store_set_integer(ex->store, "width", 24, &ex->error);
  mica_store_set_number(ex->store, "dropout", 0.3, &ex->error);
  mica_store_set_number(ex->store, "decay", large ? 0.02 : 0, &ex->error);
  mica_store_set_number(ex->store, "smoothing", large ? 0.05 : 0, &ex->error);
  mica_store_set_integer(ex->store, "shift", large ? 1 : 0, &ex->error);
  mica_store_set_number(ex->store, "flip", large ? 0.5 : 0, &ex->error);
}

static int run(int count, char **arguments) {
  const char *plot = "fashion_mnist.svg";
  const example_option own[] = {{"--plot", "FILE", "where the curves go ('': nowhere)", &plot},
                                {0}};
  example ex = {.name = "fashion_mnist",
                .summary = "Fashion-MNIST: clothes told apart by a convolutional network",
                .options = own,
                .measures = example_accuracy_names,
                .measure_count = 1};
  if (!example_begin(&ex, count, arguments)) return example_end(&ex);
  declare_settings(&ex, false);
  mica_store_set_choice(ex.store, "model", "small", "linear, small, large", &ex.error);
  if (!example_settings(&ex)) return example_end(&ex);
  const char *model_name = mica_store_get_text(ex.store, "model", "");
  bool large = !strcmp(model_name, "large");
  mica_trainer_model *model = large                          ? large_model
                              : strcmp(model_name, "linear") ? small_model
                                                             : linear_model;
  if (large) declare_settings(&ex, true), example_settings(&ex);
  if (!ex.steps && !ex.epochs) ex.epochs = large ? 12 : 6;

  example_images training = {0}, testing = {0};
  example_load_images(&ex, &example_fashion_mnist, EXAMPLE_TRAIN, &training);
  example_load_images(&ex, &example_fashion_mnist, EXAMPLE_TEST, &testing);
  int32_t shift = (int32_t)mica_store_get_integer(ex.store, "shift", 0);
  mica_augment_options augment = {.struct_size = sizeof augment,
                                  .seed = ex.seed,
                                  .pad = shift,
                                  .crop = {SIDE, SIDE},
                                  .flip_horizontal = mica_store_get_number(ex.store, "flip", 0)};
  bool augmented = shift > 0 || augment.flip_horizontal > 0;
  mica_dataset *train =
                   example_training_batches(&ex, &training, BATCH, augmented ? &augment : NULL),
               *test = example_test_batches(&ex, &testing, TEST_BATCH);

  mica_schedule *rate = NULL;
  double smoothing = mica_store_get_number(ex.store, "smoothing", 0),
         decay = mica_store_get_number(ex.store, "decay", 0), accuracy = NAN;
  history h = {0};
  if (example_good(&ex)) {
    printf(
        "fashion-mnist: %lld training and %lld test images, %lld steps of batches of %d, seed "
        "%llu, %s\n",
        (long long)training.count, (long long)testing.count, (long long)example_total_steps(&ex),
        BATCH, (unsigned long long)ex.seed, mica_device_description(ex.device));
    mica_store_group(ex.store, "**bias", .no_decay = true),
        mica_store_group(ex.store, "**scale", .no_decay = true);
    rate = mica_schedule_one_cycle(.start = mica_store_get_number(ex.store, "lr", 0),
                                   .steps = example_total_steps(&ex), .error = &ex.error);
    ex.trainer =
        mica_trainer_create(ex.store, model, example_cross_entropy, .user = &smoothing,
                            .optimizer = decay > 0 ? mica_optimizer_adamw(.weight_decay = decay)
                                                   : mica_optimizer_adam(),
                            .rate = mica_schedule_rate, .rate_user = rate,
                            .measures = example_accuracy, .measure_count = 1);
    begin_history(&ex, &h);
    example_picture(&ex, model, NULL, &(mica_type){MICA_U8, {4, {BATCH, SIDE, SIDE, 1}}}, 1);
  }
  int64_t confusion[CLASSES * CLASSES] = {0};
  if (example_train(&ex, train))
    accuracy = example_confusion(&ex, test, &testing, CLASSES, confusion);
  if (!isnan(accuracy)) {
    printf("\n");
    mica_report_classes(stdout, example_fashion_classes, confusion, CLASSES);
    example_report(&ex, "test", &(mica_metric){"accuracy", accuracy / 100}, 1);
    if (*plot && draw(&ex, &h, plot, accuracy)) printf("\nthe curves are in %s\n", plot);
    if (ex.log) printf("the log, plot.html and model.html are in %s\n", ex.log);
    printf("fashion-mnist: test accuracy %.2f %%, %.1f s\n", accuracy, ex.seconds);
  }

  int code = example_end(&ex);
  free(h.step);
  mica_schedule_destroy(rate);
  mica_dataset_destroy(train), mica_dataset_destroy(test);
  example_release_images(&training), example_release_images(&testing);
  return code;
}

EXAMPLE(fashion_mnist, "Fashion-MNIST: clothes told apart by a convolutional network", run)
