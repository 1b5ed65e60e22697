/* SPDX-License-Identifier: Apache-2.0 */
/* mnist.c: handwritten digits, by a linear model or a convolutional network. README.md beside it tells more. */
#include "../images.h"

enum { BATCH = 128, CLASSES = 10, TEST_BATCH = 500 };

static const char *const digits[CLASSES] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

/* images u8 [batch, 28, 28, 1] -> logits f32 [batch, 10]. */
static mica_value linear_model(mica_scope *scope, const mica_value *inputs, void *user) {
  (void)user;
  mica_value x = mica_mul(mica_convert(inputs[0], MICA_F32), 1.0 / 255);
  return mica_nn_dense(mica_scope_in(scope, "logits"), mica_flatten(x, 1), .units = CLASSES);
}

static mica_value cnn_model(mica_scope *scope, const mica_value *inputs, void *user) {
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

static int run(int count, char **arguments) {
  example ex = {.name = "mnist",
                .summary = "MNIST: digits told apart by a linear model or a convolutional network",
                .epochs = 10,
                .measures = example_accuracy_names,
                .measure_count = 1};
  if (!example_begin(&ex, count, arguments)) return example_end(&ex);
  mica_store_set_choice(ex.store, "model", "cnn", "linear, cnn", &ex.error);
  mica_store_set_number(ex.store, "lr", 2e-3, &ex.error);
  mica_store_set_number(ex.store, "dropout", 0.4, &ex.error);
  if (!example_settings(&ex)) return example_end(&ex);
  const char *name = mica_store_get_text(ex.store, "model", "");
  mica_trainer_model *model = strcmp(name, "linear") ? cnn_model : linear_model;

  example_images training = {0}, testing = {0};
  example_load_images(&ex, &example_mnist, EXAMPLE_TRAIN, &training);
  example_load_images(&ex, &example_mnist, EXAMPLE_TEST, &testing);
  mica_dataset *train = example_training_batches(&ex, &training, BATCH, NULL),
               *test = example_test_batches(&ex, &testing, TEST_BATCH);
  mica_schedule *rate = NULL;
  if (example_good(&ex)) {
    rate = mica_schedule_one_cycle(.start = mica_store_get_number(ex.store, "lr", 0),
                                   .steps = example_total_steps(&ex), .error = &ex.error);
    ex.trainer =
        mica_trainer_create(ex.store, model, example_cross_entropy,
                            .optimizer = mica_optimizer_adam(), .rate = mica_schedule_rate,
                            .rate_user = rate, .measures = example_accuracy, .measure_count = 1);
    example_picture(&ex, model, NULL, &(mica_type){MICA_U8, {4, {BATCH, 28, 28, 1}}}, 1);
  }
  int64_t confusion[CLASSES * CLASSES] = {0};
  if (example_train(&ex, train) && example_evaluate(&ex, test, "test")) {
    double accuracy = example_confusion(&ex, test, &testing, CLASSES, confusion);
    mica_report_classes(stdout, digits, confusion, CLASSES);
    printf("mnist: %s, test accuracy %.2f %%, %.1f s\n", name, accuracy, ex.seconds);
  }

  int code = example_end(&ex);
  mica_schedule_destroy(rate);
  mica_dataset_destroy(train), mica_dataset_destroy(test);
  example_release_images(&training), example_release_images(&testing);
  return code;
}

EXAMPLE(mnist, "MNIST: digits told apart by a linear model or a convolutional network", run)
