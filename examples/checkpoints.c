/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints: save variables while training, find the newest or the best one again, load a part of one under other
 * names, take the mean of the last ones.
 *
 *     cc examples/checkpoints.c -lmica -lm -lpthread */
#include <stdio.h>

#include "mica/mica.h"

static void print_line(void *user, const char *line) {
  (void)user;
  printf("  %s\n", line);
}

static mica_variable *variable(const char *name, double value) {
  mica_tensor *initial =
      mica_tensor_from_doubles(MICA_F32, MICA_DIMS(2), (double[]){value, -value});
  mica_variable *made = mica_variable_create(name, initial);
  mica_tensor_release(initial);
  return made;
}

int main(int argc, char **argv) {
  const char *folder = argc > 1 ? argv[1] : "/tmp/mica-checkpoints";
  mica_error error = {0};
  mica_variable *weights = variable("encoder/dense/weights", 0), *moment = variable("adam/m", 0);
  const mica_named_variable model[] = {{.variable = weights}}, optimizer[] = {{.variable = moment}};
  const mica_checkpoint_part parts[] = {
      {.file = "model", .variables = model, .variable_count = 1},
      {.file = "optimizer", .variables = optimizer, .variable_count = 1}};

  for (int64_t step = 0; step < 5; step++) { /* "training" */
    mica_tensor *next =
        mica_tensor_from_doubles(MICA_F32, MICA_DIMS(2), (double[]){(double)step, 1});
    mica_status set = mica_variable_set(weights, next, &error);
    mica_tensor_release(next);
    char state[64];
    snprintf(state, sizeof state, "{\"epoch\": %d}", (int)step);
    mica_checkpoint_save_options options = {.struct_size = sizeof options,
                                            .folder = folder,
                                            .step = step,
                                            .parts = parts,
                                            .part_count = 2,
                                            .state = state,
                                            .metric_name = "loss",
                                            .metric = step == 1 ? 0.1 : 0.5,
                                            .keep = 2,
                                            .keep_best = 1};
    if (set != MICA_OK || mica_checkpoint_save(&options, &error) != MICA_OK) break;
  }

  int64_t steps[8];
  size_t count = 0;
  mica_status listed = mica_checkpoint_list(folder, steps, 8, &count, &error);
  printf("steps kept:");
  for (size_t i = 0; listed == MICA_OK && i < count; i++) printf(" %d", (int)steps[i]);

  mica_checkpoint *best = NULL, *mean = NULL;
  if (mica_checkpoint_open(folder, MICA_CHECKPOINT_BEST, &best, &error) == MICA_OK)
    printf("\nbest: step %d, state %s\n", (int)mica_checkpoint_step(best),
           mica_checkpoint_state(best));
  if (mica_checkpoint_average(folder, 2, &mean, &error) == MICA_OK) {
    double values[2];
    if (mica_tensor_read_doubles(mica_checkpoint_find(mean, "encoder.dense.weights"), values, 2,
                                 &error) == MICA_OK)
      printf("mean of the last two: %g %g\n", values[0], values[1]);
  }

  /* Another model takes over the encoder and has a head of its own. */
  mica_variable *body = variable("backbone/dense/kernel", 7), *head = variable("head/bias", 8);
  const mica_named_variable other[] = {{.variable = body}, {.variable = head}};
  const mica_checkpoint *const from[] = {best};
  const mica_rename renames[] = {{"encoder.**.weights", "backbone.**.kernel"}};
  mica_restore_counts counts;
  mica_status restored =
      mica_checkpoint_restore(&(mica_restore_options){.struct_size = sizeof(mica_restore_options),
                                                      .checkpoints = from,
                                                      .checkpoint_count = 1,
                                                      .variables = other,
                                                      .variable_count = 2,
                                                      .renames = renames,
                                                      .rename_count = 1,
                                                      .partial = true,
                                                      .report = print_line},
                              &counts, &error);
  if (restored == MICA_OK)
    printf("restored %d, missing %d, unused %d\n", (int)counts.restored, (int)counts.missing,
           (int)counts.unused);
  if (error.status != MICA_OK) printf("error: %s\n", error.message);

  for (size_t i = 0; i < count; i++) (void)mica_checkpoint_delete(folder, steps[i], NULL);
  mica_checkpoint_destroy(best), mica_checkpoint_destroy(mean);
  mica_variable_release(weights), mica_variable_release(moment);
  mica_variable_release(body), mica_variable_release(head);
  return error.status == MICA_OK ? 0 : 1;
}
