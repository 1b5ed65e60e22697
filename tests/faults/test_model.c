/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints with every allocation and map failing in turn, alone and with all that come after it: either it works
 * all the same or the error says what was missing, nothing is left behind, and the newest checkpoint loads. */
#include "check.h"
#include "interpose.h"
#include "mica/model.h"

#include <stdio.h>
#include <stdlib.h>

static mica_status save_and_restore(const char *folder, mica_variable *variable,
                                    mica_error *error) {
  const mica_named_variable named[] = {{.variable = variable}};
  const mica_checkpoint_part parts[] = {{.variables = named, .variable_count = 1}};
  mica_status status = mica_checkpoint_save(
      &(mica_checkpoint_save_options){.struct_size = sizeof(mica_checkpoint_save_options),
                                      .folder = folder,
                                      .step = 1,
                                      .parts = parts,
                                      .part_count = 1,
                                      .state = "{\"a\": [1, 2]}",
                                      .metric_name = "loss",
                                      .metric = 1,
                                      .keep = 2,
                                      .keep_best = 1},
      error);
  mica_checkpoint *checkpoint = NULL, *mean = NULL;
  if (status == MICA_OK)
    status = mica_checkpoint_open(folder, MICA_CHECKPOINT_NEWEST, &checkpoint, error);
  if (status == MICA_OK) status = mica_checkpoint_average(folder, 1, &mean, error);
  const mica_checkpoint *const from[] = {mean, checkpoint};
  const mica_rename renames[] = {{"x.*", "y.*"}};
  if (status == MICA_OK)
    status =
        mica_checkpoint_restore(&(mica_restore_options){.struct_size = sizeof(mica_restore_options),
                                                        .checkpoints = from,
                                                        .checkpoint_count = 2,
                                                        .variables = named,
                                                        .variable_count = 1,
                                                        .renames = renames,
                                                        .rename_count = 1},
                                NULL, error);
  mica_checkpoint_destroy(mean);
  mica_checkpoint_destroy(checkpoint);
  return status;
}

TEST(checkpoints) {
  char folder[1024], command[1200];
  snprintf(folder, sizeof folder, "%s", check_temporary_path("swept"));
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  CHECK_EQ_INT(system(command), 0);
  mica_tensor *initial = mica_tensor_from(MICA_F32, MICA_DIMS(40), NULL);
  mica_variable *variable = mica_variable_create("y/w", initial);
  mica_tensor_release(initial);
  mica_error error = {0};
  fault_begin(FAULT_NONE, 0);
  mica_status status = save_and_restore(folder, variable, &error);
  fault_end();
  if (!CHECK_OK_ERROR(status, &error)) return;
  int64_t total = fault_count(), spare = fault_live_blocks();
  printf("%lld calls\n", (long long)total);
  for (int64_t n = 1; n <= total; n++)
    for (fault_mode mode = FAULT_ONE; mode <= FAULT_FROM; mode++) {
      error = (mica_error){0};
      fault_begin(mode, n);
      status = save_and_restore(folder, variable, &error);
      fault_end();
      if (status != error.status || (status != MICA_OK && status != MICA_OUT_OF_MEMORY))
        CHECK_FAIL("call %lld: status %d, '%s'", (long long)n, (int)status, error.message);
      if (fault_live_blocks() > (spare > 1 ? spare : 1)) /* the variable's value may have moved */
        CHECK_FAIL("call %lld leaves %lld blocks", (long long)n, (long long)fault_live_blocks());
      mica_checkpoint *newest = NULL;
      CHECK_OK(mica_checkpoint_open(folder, MICA_CHECKPOINT_NEWEST, &newest, NULL));
      mica_checkpoint_destroy(newest);
    }
  mica_variable_release(variable);
}

TEST_MAIN(TEST_CASE(checkpoints))
