/* SPDX-License-Identifier: Apache-2.0 */
/* memory_bench.c: how much memory the first ten steps of training take.
 *
 *   memory_bench [--threads N] [cnn|transformer]
 *
 * prints a JSON line: {"model": M, "growth": bytes, "peak": bytes, "parameters": bytes}. Growth is what the process has more
 * after the ten steps than before the first one, which makes the variables, compiles and runs; peak is the most that it had in
 * between. bench/peers/memory.py holds it to what XLA states for the same step. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mica/mica.h"

static mica_value cnn(mica_scope *scope, const mica_value *in, void *user) {
  (void)user;
  mica_value x = mica_relu(mica_nn_conv(mica_scope_in(scope, "one"), in[0], .channels = 32));
  x = mica_max_pool(x);
  x = mica_relu(mica_nn_conv(mica_scope_in(scope, "two"), x, .channels = 64));
  x = mica_reshape(mica_max_pool(x), MICA_DIMS(mica_dim_of(x, 0), 7 * 7 * 64));
  x = mica_relu(mica_nn_dense(mica_scope_in(scope, "hidden"), x, .units = 128));
  return mica_nn_dense(mica_scope_in(scope, "out"), x, .units = 10);
}

/* Vocabulary 96, width 128, 4 heads, 128 positions, two blocks. */
static mica_value transformer(mica_scope *scope, const mica_value *in, void *user) {
  (void)user;
  mica_value x =
      mica_nn_embedding(mica_scope_in(scope, "tokens"), in[0], .count = 96, .units = 128);
  mica_value places = mica_scope_variable(
      scope, "positions", (mica_type){MICA_F32, MICA_DIMS(128, 128)}, mica_init_zeros());
  x = mica_add(x, places);
  for (int i = 0; i < 2; i++)
    x = mica_nn_transformer_block(mica_scope_in_index(scope, "block", i), x,
                                  .attention = {.heads = 4, .causal = true}, .hidden = 512);
  return mica_nn_dense(mica_scope_in(scope, "out"),
                       mica_nn_layer_norm(mica_scope_in(scope, "n"), x), .units = 96);
}
static mica_value loss(mica_value prediction, const mica_value *targets, void *user) {
  (void)user;
  return mica_loss_cross_entropy_logits(prediction, targets[0]);
}

/* A line of /proc/self/status, in bytes; -1 where there is none. */
static long long status_bytes(const char *name) {
  char line[256];
  long long kib = -1;
  FILE *file = fopen("/proc/self/status", "r");
  while (file && fgets(line, sizeof line, file))
    if (!strncmp(line, name, strlen(name))) kib = strtoll(line + strlen(name), NULL, 10);
  if (file) fclose(file);
  return kib < 0 ? -1 : kib * 1024;
}
/* Makes the kernel forget the most so far. */
static void reset_peak(void) {
  FILE *file = fopen("/proc/self/clear_refs", "w");
  if (file) fputs("5", file), fclose(file);
}

static mica_tensor *filled(mica_dtype dtype, mica_shape shape, int classes) {
  int64_t count = mica_shape_count(shape);
  double *x = malloc((size_t)count * sizeof *x);
  for (int64_t i = 0; x && i < count; i++)
    x[i] = classes ? (double)(i * 7 % classes) : sin((double)i * 12.9898) * 0.5;
  mica_tensor *tensor = x ? mica_tensor_from_doubles(dtype, shape, x) : NULL;
  free(x);
  return tensor;
}

int main(int argc, char **argv) {
  mica_device_options options = {.struct_size = sizeof options, .threads = 1};
  const char *model = "cnn";
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--threads") && i + 1 < argc)
      options.threads = atoi(argv[++i]);
    else
      model = argv[i];
  }
  bool images = !strcmp(model, "cnn");
  mica_error error = {0};
  mica_device *device = mica_device_open(&options, &error);
  mica_store *store = mica_store_create(device, 1);
  mica_tensor *batch[2] = {
      images ? filled(MICA_F32, MICA_DIMS(64, 28, 28, 1), 0)
             : filled(MICA_I32, MICA_DIMS(16, 128), 96),
      images ? filled(MICA_I32, MICA_DIMS(64), 10) : filled(MICA_I32, MICA_DIMS(16, 128), 96)};
  mica_trainer *trainer =
      mica_trainer_create(store, images ? cnn : transformer, loss,
                          .optimizer = mica_optimizer_adam(), .learning_rate = 1e-3);
  reset_peak();
  long long before = status_bytes("VmRSS:");
  mica_status status = MICA_OK;
  for (int step = 0; step < 10 && status == MICA_OK; step++)
    status = mica_trainer_step(trainer, batch, 2, &error);
  long long after = status_bytes("VmRSS:"), most = status_bytes("VmHWM:");
  if (status == MICA_OK)
    printf("{\"model\": \"%s\", \"growth\": %lld, \"peak\": %lld, \"parameters\": %lld}\n", model,
           after - before, most - before, (long long)mica_store_byte_count(store, true));
  else
    fprintf(stderr, "memory_bench: %s\n", error.message);
  mica_trainer_destroy(trainer), mica_store_destroy(store);
  mica_tensor_release(batch[0]), mica_tensor_release(batch[1]);
  mica_device_release(device);
  return status != MICA_OK;
}
