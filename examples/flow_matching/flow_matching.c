/* SPDX-License-Identifier: Apache-2.0 */
/* flow_matching.c: a network learns to turn noise into pictures of clothes (flow matching: Lipman et al. 2023, arXiv 2210.02747; the
 * straight paths of Liu et al. 2023, arXiv 2209.03003), class by class, and draws a sheet of them. README.md beside it tells more. */
#include "../images.h"

enum { BATCH = 128, CLASSES = 10, SIDE = 28, TEST_BATCH = 500, EMBEDDING = 128 };

/* ---- the network: a small U-Net that is told time and class ---------------------------------------------------------- */

/* x [batch, h, w, c] plus two convolutions of it, the first of which gets told [batch, n] in between. */
static mica_value residual(mica_scope *scope, const char *name, mica_value x, mica_value told,
                           int64_t channels) {
  mica_scope *inner = mica_scope_in(scope, name);
  int64_t before = mica_type_of(x).shape.dim[3], batch = mica_type_of(x).shape.dim[0];
  mica_value y = mica_silu(mica_nn_group_norm(mica_scope_in(inner, "norm1"), x, .groups = 8));
  y = mica_nn_conv(mica_scope_in(inner, "conv1"), y, .channels = channels);
  mica_value added = mica_nn_dense(mica_scope_in(inner, "told"), told, .units = channels);
  y = mica_add(y, mica_reshape(added, MICA_DIMS(batch, 1, 1, channels)));
  y = mica_silu(mica_nn_group_norm(mica_scope_in(inner, "norm2"), y, .groups = 8));
  /* Zeros at first: the network begins as a simple one and grows. */
  y = mica_nn_conv(mica_scope_in(inner, "conv2"), y, .channels = channels,
                   .kernel_initializer = mica_init_zeros());
  if (before != channels)
    x = mica_nn_conv(mica_scope_in(inner, "skip"), x, .channels = channels, .kernel = {1});
  return mica_add(x, y);
}

/* x f32 [batch, 28, 28, 1], time f32 [batch] in [0, 1], classes i32 [batch] of 0 to 10 (10: any) -> the velocity, as x. */
static mica_value velocity(mica_scope *scope, mica_value x, mica_value time, mica_value classes) {
  int64_t width = mica_scope_get_integer(scope, "width", 32);
  mica_value told = mica_nn_sinusoidal(mica_mul(time, 1000.0), EMBEDDING, MICA_F32);
  told = mica_silu(mica_nn_dense(mica_scope_in(scope, "time"), told, .units = EMBEDDING));
  mica_value kind = mica_nn_embedding(mica_scope_in(scope, "classes"), classes,
                                      .count = CLASSES + 1, .units = EMBEDDING);
  told = mica_silu(
      mica_nn_dense(mica_scope_in(scope, "told"), mica_add(told, kind), .units = EMBEDDING));
  /* Cells of 2 x 2 pixels, [14, 14, 4]. */
  mica_value cells =
      mica_nn_conv(mica_scope_in(scope, "in"), mica_pixel_unshuffle(x, 2), .channels = width);
  mica_value half = residual(scope, "half1", cells, told, width);
  mica_value quarter =
      mica_nn_conv(mica_scope_in(scope, "down"), half, .channels = 2 * width, .stride = {2});
  quarter = residual(scope, "quarter1", quarter, told, 2 * width);
  quarter = residual(scope, "quarter2", quarter, told, 2 * width);
  mica_value up = mica_resize(quarter, MICA_DIMS(SIDE / 2, SIDE / 2));
  half = residual(scope, "half2", mica_concatenate((mica_value[]){up, half}, 2, 3), told, width);
  half = residual(scope, "half3", mica_add(half, cells), told, width);
  half = mica_silu(mica_nn_group_norm(mica_scope_in(scope, "norm"), half, .groups = 8));
  half = mica_nn_conv(mica_scope_in(scope, "out"), half, .channels = 4,
                      .kernel_initializer = mica_init_zeros());
  return mica_pixel_shuffle(half, 2);
}

/* ---- training: x1 images, x0 noise, xt = (1 - t) x0 + t x1; the velocity to be learned is x1 - x0 ------------------------- */

static mica_value scaled(mica_value images) {
  return mica_sub(mica_mul(mica_convert(images, MICA_F32), 2.0 / 255), 1.0);
}

/* images u8 [batch, 28, 28, 1], classes i32 [batch] -> the image that noise and velocity promise. A class is left out one time in
 * ten, so that the network knows what is common to all as well. */
static mica_value model(mica_scope *scope, const mica_value *inputs, void *user) {
  (void)user;
  mica_value image = scaled(inputs[0]);
  int64_t batch = mica_type_of(image).shape.dim[0];
  mica_value noise = mica_random_normal(mica_scope_key(scope), mica_type_of(image));
  mica_value time =
      mica_random_uniform(mica_scope_key(scope), (mica_type){MICA_F32, MICA_DIMS(batch)});
  mica_value any = mica_random_bernoulli(mica_scope_key(scope), 0.1, MICA_DIMS(batch));
  mica_value classes = mica_select(any, mica_full_like(inputs[1], CLASSES), inputs[1]);
  mica_value t = mica_reshape(time, MICA_DIMS(batch, 1, 1, 1));
  mica_value at = mica_add(noise, mica_mul(t, mica_sub(image, noise)));
  return mica_add(noise, velocity(mica_scope_in(scope, "net"), at, time, classes));
}

static mica_value loss(mica_value promised, const mica_value *targets, void *user) {
  (void)user;
  return mica_loss_squared_error(promised, scaled(targets[0]));
}

/* ---- sampling ------------------------------------------------------------------------------------------------------------- */

/* The velocity moved away from the one without a class (Ho and Salimans 2022, arXiv 2207.12598). */
static mica_value guided(mica_scope *scope, mica_value x, mica_value time, mica_value classes,
                         mica_value guidance) {
  int64_t n = mica_type_of(x).shape.dim[0];
  mica_value parts[2], twice = mica_concatenate((mica_value[]){x, x}, 2, 0);
  mica_value kinds =
      mica_concatenate((mica_value[]){classes, mica_full_like(classes, CLASSES)}, 2, 0);
  mica_split(velocity(mica_scope_shared(scope, "net"), twice,
                      mica_broadcast_to(time, MICA_DIMS(2 * n)), kinds),
             0, 2, parts);
  return mica_add(parts[1], mica_mul(guidance, mica_sub(parts[0], parts[1])));
}

/* in: x [n, 28, 28, 1], time [], step [], classes [n], guidance []; out: x a step further along the flow, by Heun's method. */
static void sampling_step(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  mica_scope *scope = mica_scope_open(user, graph, false);
  mica_value first = guided(scope, in[0], in[1], in[3], in[4]);
  mica_value there = mica_add(in[0], mica_mul(in[2], first));
  mica_value second = guided(scope, there, mica_add(in[1], in[2]), in[3], in[4]);
  out[0] = mica_add(in[0], mica_mul(mica_mul(in[2], 0.5), mica_add(first, second)));
  mica_scope_close(scope);
}

static void draw_noise(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)in;
  const int64_t *numbers = user; /* seed, count */
  out[0] = mica_random_normal(mica_random_key(graph, (uint64_t)numbers[0]),
                              (mica_type){MICA_F32, MICA_DIMS(numbers[1], SIDE, SIDE, 1)});
}

/* Samples [rows * 10, 28, 28, 1], column c of class c, of pixels in [-1, 1]; NULL after a failure. */
static mica_tensor *sample(example *ex, int64_t rows, int64_t steps, double guidance) {
  int64_t count = rows * CLASSES, numbers[2] = {(int64_t)ex->seed, count};
  int32_t *kinds = malloc((size_t)count * sizeof *kinds);
  mica_tensor *in[5] = {NULL}, *x = NULL;
  if (!kinds) mica_error_set(&ex->error, MICA_OUT_OF_MEMORY, "out of memory");
  for (int64_t i = 0; kinds && i < count; i++) kinds[i] = (int32_t)(i % CLASSES);
  if (example_good(ex)) mica_call_once(ex->device, draw_noise, numbers, NULL, 0, &x, 1, &ex->error);
  in[3] = mica_tensor_from(MICA_I32, MICA_DIMS(count), kinds);
  in[4] = mica_tensor_scalar(MICA_F32, guidance);
  mica_jit *jit =
      mica_jit_create(ex->device, sampling_step, .inputs = 5, .outputs = 1, .user = ex->store);
  for (int64_t i = 0; i < steps && example_good(ex); i++) {
    mica_tensor *out = NULL;
    in[0] = x;
    in[1] = mica_tensor_scalar(MICA_F32, (double)i / (double)steps);
    in[2] = mica_tensor_scalar(MICA_F32, 1.0 / (double)steps);
    mica_jit_call(jit, in, 5, &out, 1, &ex->error);
    mica_tensor_release(in[0]), mica_tensor_release(in[1]), mica_tensor_release(in[2]);
    x = out;
  }
  mica_jit_destroy(jit);
  mica_tensor_release(in[3]), mica_tensor_release(in[4]);
  free(kinds);
  return x;
}

/* A sheet of samples, two pixels between them. */
static bool draw(example *ex, mica_tensor *samples, int64_t rows, const char *path) {
  int64_t cell = SIDE + 2, height = rows * cell, width = CLASSES * cell,
          count = rows * CLASSES * SIDE * SIDE;
  double *values = malloc((size_t)count * sizeof *values);
  unsigned char *pixels = malloc((size_t)(height * width));
  if (!values || !pixels) mica_error_set(&ex->error, MICA_OUT_OF_MEMORY, "out of memory");
  if (example_good(ex)) mica_tensor_read_doubles(samples, values, count, &ex->error);
  if (pixels) memset(pixels, 255, (size_t)(height * width));
  for (int64_t i = 0; example_good(ex) && i < count; i++) {
    int64_t image = i / (SIDE * SIDE), y = i / SIDE % SIDE, x = i % SIDE;
    double value = fmin(1, fmax(-1, values[i]));
    pixels[(image / CLASSES * cell + y + 1) * width + image % CLASSES * cell + x + 1] =
        (unsigned char)lround(255 - 127.5 * (value + 1));
  }
  mica_tensor *picture = mica_tensor_from(MICA_U8, MICA_DIMS(height, width, 1), pixels);
  if (example_good(ex)) example_save_image(ex, path, picture);
  mica_tensor_release(picture);
  free(values), free(pixels);
  return example_good(ex);
}

/* ---- the run ---------------------------------------------------------------------------------------------------------------- */

static int run(int count, char **arguments) {
  const char *picture = "flow_matching.png";
  const example_option own[] = {
      {"--picture", "FILE.png", "where the sheet of samples goes ('': nowhere)", &picture}, {0}};
  example ex = {.name = "flow_matching",
                .summary = "pictures of clothes out of noise, class by class",
                .epochs = 12,
                .options = own};
  if (!example_begin(&ex, count, arguments)) return example_end(&ex);
  mica_store_set_number(ex.store, "lr", 2e-3, &ex.error);
  mica_store_set_integer(ex.store, "width", 32, &ex.error);
  mica_store_set_number(ex.store, "ema", 0.999, &ex.error);
  mica_store_set_integer(ex.store, "sampling_steps", 16, &ex.error);
  mica_store_set_number(ex.store, "guidance", 2, &ex.error);
  mica_store_set_integer(ex.store, "rows", 8, &ex.error);
  if (!example_settings(&ex)) return example_end(&ex);

  example_images training = {0}, testing = {0};
  example_load_images(&ex, &example_fashion_mnist, EXAMPLE_TRAIN, &training);
  example_load_images(&ex, &example_fashion_mnist, EXAMPLE_TEST, &testing);
  /* The image is input and target. */
  mica_tensor *arrays[3] = {training.images, training.labels, training.images},
              *test_arrays[3] = {testing.images, testing.labels, testing.images};
  mica_memory_options options = {.struct_size = sizeof options,
                                 .tensors = arrays,
                                 .count = 3,
                                 .batch = BATCH,
                                 .shuffle = true,
                                 .drop_last = true,
                                 .seed = ex.seed};
  mica_memory_options test_options = {.struct_size = sizeof test_options,
                                      .tensors = test_arrays,
                                      .count = 3,
                                      .batch = TEST_BATCH,
                                      .drop_last = true};
  mica_dataset *train = NULL, *test = NULL;
  mica_schedule *rate = NULL;
  if (example_batches(&ex, training.count, BATCH)) {
    train = mica_dataset_prefetch(mica_dataset_from_tensors(&options, &ex.error), 2, &ex.error);
    test = mica_dataset_from_tensors(&test_options, &ex.error);
    rate = mica_schedule_one_cycle(.start = mica_store_get_number(ex.store, "lr", 0),
                                   .steps = example_total_steps(&ex), .warmup_part = 0.1,
                                   .error = &ex.error);
    ex.trainer = mica_trainer_create(ex.store, model, loss, .inputs = 2,
                                     .optimizer = mica_optimizer_adamw(.weight_decay = 1e-3),
                                     .rate = mica_schedule_rate, .rate_user = rate, .clip_norm = 1,
                                     .ema = mica_store_get_number(ex.store, "ema", 0));
    example_picture(&ex, model, NULL,
                    (mica_type[]){{MICA_U8, {4, {BATCH, SIDE, SIDE, 1}}}, {MICA_I32, {1, {BATCH}}}},
                    2);
  }
  if (example_train(&ex, train)) {
    mica_trainer_swap_average(ex.trainer, &ex.error);
    if (testing.count >= TEST_BATCH) example_evaluate(&ex, test, "test");
    double test_loss = mica_trainer_evaluation(ex.trainer).loss;
    int64_t rows = mica_store_get_integer(ex.store, "rows", 0);
    mica_tensor *samples =
        example_good(&ex) && *picture && rows > 0
            ? sample(&ex, rows, mica_store_get_integer(ex.store, "sampling_steps", 0),
                     mica_store_get_number(ex.store, "guidance", 0))
            : NULL;
    if (samples) draw(&ex, samples, rows, picture);
    mica_tensor_release(samples);
    if (example_good(&ex))
      printf("flow_matching: %lld parameters, test loss %.4f, %.1f s\n",
             (long long)mica_store_parameter_count(ex.store, true), test_loss, ex.seconds);
  }

  int code = example_end(&ex);
  mica_schedule_destroy(rate);
  mica_dataset_destroy(train), mica_dataset_destroy(test);
  example_release_images(&training), example_release_images(&testing);
  return code;
}

EXAMPLE(flow_matching, "pictures of clothes out of noise, class by class", run)
