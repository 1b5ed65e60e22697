/* SPDX-License-Identifier: Apache-2.0 */
/* cifar.c: small color images (CIFAR-10) told apart by four kinds of networks. Where CIFAR-10 is missing they train on Fashion-MNIST
 * padded to [32, 32, 3]. README.md beside it tells more.
 *
 * model=fnn: dense layers. kan: a Kolmogorov-Arnold network (Liu et al. 2024) over patches' means. cnn: three blocks of
 * convolution and batch normalization. resnet9: nine layers with two residual blocks (Page 2018, "How to train your ResNet"). */
#include "../images.h"

enum { BATCH = 128, CLASSES = 10, TEST_BATCH = 250 };

static const char *const cifar_classes[CLASSES] = {
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};

/* ---- the models: images u8 [batch, 32, 32, 3], or [batch, 28, 28, 1], which are padded -> logits [batch, 10] ---- */

static mica_value color_images(mica_value images) {
  mica_shape shape = mica_type_of(images).shape;
  mica_value x = mica_mul(mica_convert(images, MICA_F32), 1.0 / 255);
  if (shape.dim[1] == 28) {
    x = mica_pad(x, mica_scalar(x.graph, MICA_F32, 0), (int64_t[]){0, 2, 2, 0},
                 (int64_t[]){0, 2, 2, 0}, NULL);
    x = mica_broadcast_to(x, MICA_DIMS(shape.dim[0], 32, 32, 3));
  }
  return mica_sub(mica_mul(x, 2.0), 1.0);
}

static mica_value fnn(mica_scope *scope, const mica_value *inputs, void *user) {
  (void)user;
  return mica_nn_fnn(scope, mica_flatten(color_images(inputs[0]), 1), .out = CLASSES,
                     .norm = "batch");
}

static mica_value kan(mica_scope *scope, const mica_value *inputs, void *user) {
  (void)user;
  mica_value x = mica_flatten(mica_mean_pool(color_images(inputs[0]), .window = {2, 2}), 1);
  x = mica_nn_kan(mica_scope_in(scope, "kan1"), x,
                  .units = mica_scope_get_integer(scope, "kan_units", 64));
  x = mica_nn_batch_norm(mica_scope_in(scope, "norm"), x);
  return mica_nn_kan(mica_scope_in(scope, "kan2"), x, .units = CLASSES, .low = -3, .high = 3);
}

static mica_value block(mica_scope *scope, const char *name, mica_value x, int64_t channels) {
  mica_scope *inner = mica_scope_in(scope, name);
  x = mica_nn_conv(mica_scope_in(inner, "conv"), x, .channels = channels, .no_bias = true);
  return mica_relu(mica_nn_batch_norm(mica_scope_in(inner, "norm"), x));
}

static mica_value cnn(mica_scope *scope, const mica_value *inputs, void *user) {
  (void)user;
  int64_t width = mica_scope_get_integer(scope, "width", 24);
  double dropout = mica_scope_get_number(scope, "dropout", 0);
  mica_value x = color_images(inputs[0]);
  for (int i = 0; i < 3; i++) {
    mica_scope *stage = mica_scope_in_index(scope, "stage", i);
    x = block(stage, "first", x, width << i);
    x = mica_max_pool(block(stage, "second", x, width << i), .window = {2, 2});
    x = mica_nn_dropout(stage, x, dropout / 2);
  }
  x = mica_relu(
      mica_nn_dense(mica_scope_in(scope, "dense"), mica_flatten(x, 1), .units = 4 * width));
  return mica_nn_dense(mica_scope_in(scope, "logits"), mica_nn_dropout(scope, x, dropout),
                       .units = CLASSES);
}

static mica_value residual(mica_scope *scope, const char *name, mica_value x, int64_t channels) {
  mica_scope *inner = mica_scope_in(scope, name);
  return mica_add(x, block(inner, "second", block(inner, "first", x, channels), channels));
}

static mica_value resnet9(mica_scope *scope, const mica_value *inputs, void *user) {
  (void)user;
  int64_t width = mica_scope_get_integer(scope, "width", 24);
  mica_value x = block(scope, "prepare", color_images(inputs[0]), width);
  x = mica_max_pool(block(scope, "layer1", x, 2 * width), .window = {2, 2});
  x = residual(scope, "residual1", x, 2 * width);
  x = mica_max_pool(block(scope, "layer2", x, 4 * width), .window = {2, 2});
  x = mica_max_pool(block(scope, "layer3", x, 8 * width), .window = {2, 2});
  x = residual(scope, "residual3", x, 8 * width);
  x = mica_flatten(mica_max_pool(x, .window = {4, 4}), 1);
  return mica_mul(
      mica_nn_dense(mica_scope_in(scope, "logits"), x, .units = CLASSES, .no_bias = true), 0.125);
}

static const struct {
  const char *name;
  mica_trainer_model *model;
  bool augment;
  double rate;
} models[] = {{"fnn", fnn, false, 1e-3},
              {"kan", kan, false, 2e-3},
              {"cnn", cnn, true, 3e-3},
              {"resnet9", resnet9, true, 3e-3}};

/* ---- CIFAR-10 ------------------------------------------------------------------------------------------------ */

/* The files of the binary version, if the folder is found. */
static bool load_cifar(example *ex, int part, example_images *out) {
  static const char *const names[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                      "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};
  char folder[1024], paths[5][1100];
  const char *list[5], *missing = NULL;
  int32_t count = 0;
  *out = (example_images){0};
  for (int i = part == EXAMPLE_TRAIN ? 0 : 5; i < (part == EXAMPLE_TRAIN ? 5 : 6); i++) {
    if (!example_find(ex, "MICA_CIFAR10", NULL, "cifar-10", names[i], folder, sizeof folder)) {
      if (missing == NULL) missing = names[i];
      continue;
    }
    snprintf(paths[count], sizeof paths[count], "%s/%s", folder, names[i]);
    list[count] = paths[count], count++;
  }
  if (count == 0) return false;
  if (missing != NULL) {
    mica_error_set(&ex->error, MICA_NOT_FOUND, "%s is missing, and %d of CIFAR-10's files are here",
                   missing, (int)count);
    return false;
  }
  if (mica_cifar_load(list, count, 1, &out->images, &out->labels, &ex->error) != MICA_OK)
    return false;
  out->count = mica_tensor_type(out->labels).shape.dim[0];
  if (ex->limit && ex->limit < out->count) {
    example_images all = *out;
    *out = (example_images){example_first_rows(all.images, ex->limit),
                            example_first_rows(all.labels, ex->limit), ex->limit};
    example_release_images(&all);
    if (!out->images || !out->labels)
      mica_error_set(&ex->error, MICA_OUT_OF_MEMORY, "out of memory");
  }
  return true;
}

/* ---- the run ----------------------------------------------------------------------------------------------------- */

static int run(int count, char **arguments) {
  example ex = {.name = "cifar",
                .summary = "CIFAR-10, or Fashion-MNIST in its shape: FNN, KAN, CNN, ResNet-9",
                .epochs = 10,
                .measures = example_accuracy_names,
                .measure_count = 1};
  if (!example_begin(&ex, count, arguments)) return example_end(&ex);
  mica_store_set_choice(ex.store, "model", "cnn", "fnn, kan, cnn, resnet9", &ex.error);
  mica_store_set_number(ex.store, "lr", 0, &ex.error); /* 0: the model's */
  mica_store_set_number(ex.store, "decay", 0.02, &ex.error);
  mica_store_set_number(ex.store, "dropout", 0.3, &ex.error);
  mica_store_set_number(ex.store, "smoothing", 0.05, &ex.error);
  mica_store_set_integer(ex.store, "width", 24, &ex.error);
  mica_store_set_integer(ex.store, "kan_units", 64, &ex.error);
  mica_store_set_integer(ex.store, "fnn_layers", 3, &ex.error);
  mica_store_set_integer(ex.store, "fnn_units", 256, &ex.error);
  mica_store_set_number(ex.store, "fnn_dropout", 0.2, &ex.error);
  if (!example_settings(&ex)) return example_end(&ex);
  const char *name = mica_store_get_text(ex.store, "model", "");
  size_t chosen = 0;
  while (chosen + 1 < sizeof models / sizeof *models && strcmp(models[chosen].name, name)) chosen++;

  example_images training = {0}, testing = {0};
  bool real = load_cifar(&ex, EXAMPLE_TRAIN, &training);
  if (real && example_good(&ex) && !load_cifar(&ex, EXAMPLE_TEST, &testing) && example_good(&ex))
    mica_error_set(&ex.error, MICA_NOT_FOUND,
                   "test_batch.bin is missing beside CIFAR-10's training files");
  if (!real && example_good(&ex)) {
    printf(
        "cifar: CIFAR-10 is not here (--data DIR with data_batch_1.bin ..): Fashion-MNIST, padded "
        "to [32, 32, 3]\n");
    example_load_images(&ex, &example_fashion_mnist, EXAMPLE_TRAIN, &training);
    example_load_images(&ex, &example_fashion_mnist, EXAMPLE_TEST, &testing);
  }
  int32_t side = real ? 32 : 28, channels = real ? 3 : 1;
  mica_augment_options augment = {.struct_size = sizeof augment,
                                  .seed = ex.seed,
                                  .pad = real ? 4 : 2,
                                  .crop = {side, side},
                                  .flip_horizontal = 0.5};
  mica_dataset *train = example_training_batches(&ex, &training, BATCH,
                                                 models[chosen].augment ? &augment : NULL),
               *test = example_test_batches(&ex, &testing, TEST_BATCH);
  mica_schedule *rate = NULL;
  double smoothing = mica_store_get_number(ex.store, "smoothing", 0),
         lr = mica_store_get_number(ex.store, "lr", 0);
  if (example_good(&ex)) {
    mica_store_group(ex.store, "**bias", .no_decay = true),
        mica_store_group(ex.store, "**scale", .no_decay = true);
    rate = mica_schedule_one_cycle(.start = lr > 0 ? lr : models[chosen].rate,
                                   .steps = example_total_steps(&ex), .error = &ex.error);
    ex.trainer = mica_trainer_create(
        ex.store, models[chosen].model, example_cross_entropy, .user = &smoothing,
        .optimizer =
            mica_optimizer_adamw(.weight_decay = mica_store_get_number(ex.store, "decay", 0)),
        .rate = mica_schedule_rate, .rate_user = rate, .measures = example_accuracy,
        .measure_count = 1);
    example_picture(&ex, models[chosen].model, NULL,
                    &(mica_type){MICA_U8, {4, {BATCH, side, side, channels}}}, 1);
  }
  int64_t confusion[CLASSES * CLASSES] = {0};
  if (example_train(&ex, train) && example_evaluate(&ex, test, "test")) {
    double accuracy = example_confusion(&ex, test, &testing, CLASSES, confusion);
    mica_report_classes(stdout, real ? cifar_classes : example_fashion_classes, confusion, CLASSES);
    printf("cifar: %s on %s, %lld parameters, test accuracy %.2f %%, %.1f s\n", name,
           real ? "CIFAR-10" : "Fashion-MNIST",
           (long long)mica_store_parameter_count(ex.store, true), accuracy, ex.seconds);
  }

  int code = example_end(&ex);
  mica_schedule_destroy(rate);
  mica_dataset_destroy(train), mica_dataset_destroy(test);
  example_release_images(&training), example_release_images(&testing);
  return code;
}

EXAMPLE(cifar, "CIFAR-10, or Fashion-MNIST in its shape: FNN, KAN, CNN, ResNet-9", run)
