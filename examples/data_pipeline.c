/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets: a table from CSV, split, shuffled, mapped on threads, read ahead, normalized; a position that is saved and
 * found again.
 *
 *     cc examples/data_pipeline.c -lmica -lm -lpthread */
#include <stdio.h>
#include <string.h>

#include "mica/mica.h"

static const char table[] =
    "age,job,hours,income\n"
    "39,clerk,40,low\n50,farmer,13,low\n38,clerk,40,low\n53,?,40,high\n"
    "28,teacher,40,high\n37,teacher,50,high\n49,farmer,16,low\n52,clerk,45,high\n";

/* (x - mean) / deviation, where `user` is [mean, deviation] */
static mica_status normalize(void *user, mica_map_position position, const mica_batch *in,
                             mica_batch *out, mica_error *error) {
  (void)position;
  mica_tensor *const *statistics = user;
  const float *mean = mica_tensor_data(statistics[0]), *deviation = mica_tensor_data(statistics[1]);
  mica_type type = mica_tensor_type(in->tensor[0]);
  int64_t count = mica_shape_count(type.shape), width = type.shape.dim[1];
  const float *x = mica_tensor_data(in->tensor[0]);
  double values[64];
  for (int64_t i = 0; i < count && i < 64; i++)
    values[i] = (double)((x[i] - mean[i % width]) / deviation[i % width]);
  out->count = 2;
  out->tensor[0] = mica_tensor_from_doubles(MICA_F32, type.shape, values);
  out->tensor[1] = mica_tensor_retain(in->tensor[1]);
  return out->tensor[0] ? MICA_OK : mica_error_set(error, MICA_OUT_OF_MEMORY, "normalize");
}

static void print_batch(const mica_batch *batch) {
  double x[8], label[4];
  int64_t rows = mica_tensor_type(batch->tensor[0]).shape.dim[0];
  if (mica_tensor_read_doubles(batch->tensor[0], x, rows * 2, NULL) != MICA_OK ||
      mica_tensor_read_doubles(batch->tensor[1], label, rows, NULL) != MICA_OK)
    return;
  for (int64_t i = 0; i < rows; i++) printf("  (%.2f %.2f) %g", x[2 * i], x[2 * i + 1], label[i]);
  printf("\n");
}

int main(void) {
  mica_error error = {0};
  mica_csv *csv = NULL;
  mica_csv_options options = {.struct_size = sizeof options, .missing = "?"};
  mica_tensor *features = NULL;
  if (mica_csv_parse(table, strlen(table), &options, &csv, &error) != MICA_OK ||
      mica_csv_features(csv, (int32_t[]){mica_csv_index(csv, "age"), mica_csv_index(csv, "hours")},
                        2, &features, &error) != MICA_OK) {
    printf("%s\n", error.message);
    return 1;
  }
  const mica_vocabulary *jobs = mica_csv_vocabulary(csv, mica_csv_index(csv, "job"));
  printf("%d rows, %d jobs, the first is %s\n", (int)mica_csv_row_count(csv),
         (int)mica_vocabulary_count(jobs), mica_vocabulary_word(jobs, 0));

  /* Three quarters to learn from. */
  int64_t order[8], begin[3];
  mica_status status = mica_split_rows(1, 8, (double[]){0.75, 0.25}, 2, order, begin, &error);
  mica_tensor *tensors[] = {features, mica_csv_tensor(csv, mica_csv_index(csv, "income"))};
  mica_memory_options rows = {.struct_size = sizeof rows,
                              .tensors = tensors,
                              .count = 2,
                              .batch = 2,
                              .shuffle = true,
                              .seed = 7,
                              .rows = order,
                              .row_count = begin[1]};
  mica_tensor *statistics[2] = {NULL, NULL};
  mica_dataset *all = mica_dataset_from_tensors(&rows, &error);
  if (status == MICA_OK)
    status = mica_dataset_statistics(all, 0, false, &statistics[0], &statistics[1], &error);
  mica_dataset_destroy(all);

  mica_dataset *train = mica_dataset_from_tensors(&rows, &error);
  train = mica_dataset_parallel_map(train, normalize, statistics, 2, true, &error);
  train = mica_dataset_prefetch(train, 2, &error);
  mica_batch batch = {0};
  char position[512] = "";
  for (int i = 0; i < 5 && train && status == MICA_OK; i++) {
    if (i == 2) (void)mica_dataset_save(train, position, sizeof position);
    status = mica_dataset_next(train, &batch, &error);
    if (batch.count)
      print_batch(&batch);
    else
      printf("  -- end of epoch %d\n", (int)mica_dataset_epoch(train));
  }
  /* What followed the position follows again, here or in another process. */
  if (status == MICA_OK) status = mica_dataset_restore(train, position, &error);
  if (status == MICA_OK) status = mica_dataset_next(train, &batch, &error);
  if (status == MICA_OK)
    printf("restored:\n"), print_batch(&batch);
  else
    printf("error: %s\n", error.message);

  mica_batch_clear(&batch);
  mica_dataset_destroy(train);
  mica_tensor_release(statistics[0]), mica_tensor_release(statistics[1]);
  mica_tensor_release(features);
  mica_csv_destroy(csv);
  return status == MICA_OK ? 0 : 1;
}
