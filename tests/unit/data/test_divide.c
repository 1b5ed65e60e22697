/* SPDX-License-Identifier: Apache-2.0 */
/* Batches that are shared by devices have as many rows as divide. */
#include "check.h"
#include "mica/mica.h"

static mica_dataset *rows_in_batches(int64_t rows, int64_t size, mica_error *error) {
  double values[64];
  for (int i = 0; i < 64; i++) values[i] = i;
  mica_tensor *tensors[2] = {mica_tensor_from_doubles(MICA_F32, MICA_DIMS(rows, 2), values),
                             mica_tensor_from_doubles(MICA_I32, MICA_DIMS(rows), values)};
  mica_dataset *dataset =
      mica_dataset_from_tensors(&(mica_memory_options){.struct_size = sizeof(mica_memory_options),
                                                       .tensors = tensors,
                                                       .count = 2,
                                                       .batch = size},
                                error);
  mica_tensor_release(tensors[0]), mica_tensor_release(tensors[1]);
  return dataset;
}

TEST(rows_that_divide) {
  static const struct {
    int64_t rows, size, batches[4];
    const char *axes;
  } cases[] = {{22, 8, {8, 8, 4, 0}, NULL},
               {22, 8, {8, 8, 6, 0}, "model"},
               {9, 8, {8, 0}, "data+model"},
               {20, 10, {8, 8, 0}, "data"},
               {3, 2, {0}, NULL}};
  mica_mesh *mesh = mica_mesh_create("data=4, model=2", NULL);
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    mica_error error = {0};
    mica_batch batch = {0};
    mica_dataset *dataset = mica_dataset_divide(
        rows_in_batches(cases[c].rows, cases[c].size, &error), mesh, cases[c].axes, &error);
    for (int epoch = 0; epoch < 2; epoch++) {
      CHECK_OK_ERROR(mica_dataset_begin(dataset, epoch, &error), &error);
      int64_t row = 0;
      for (int b = 0; b < 4; b++) {
        if (!CHECK_OK_ERROR(mica_dataset_next(dataset, &batch, &error), &error)) break;
        int64_t rows = batch.count == 0 ? 0 : mica_tensor_type(batch.tensor[0]).shape.dim[0];
        CHECK_EQ_INT(rows, cases[c].batches[b]);
        if (rows == 0) break;
        CHECK_EQ_INT(mica_tensor_type(batch.tensor[1]).shape.dim[0], rows);
        const int32_t *labels = mica_tensor_data(batch.tensor[1]);
        CHECK_EQ_INT(labels[0], row);
        CHECK_EQ_INT(labels[rows - 1], row + rows - 1);
        row += cases[c].size;
      }
    }
    mica_batch_clear(&batch);
    mica_dataset_destroy(dataset);
  }
  mica_mesh_release(mesh);
}

TEST(mistakes) {
  mica_error error = {0};
  mica_mesh *mesh = mica_mesh_create("data=4", NULL);
  CHECK(mica_dataset_divide(rows_in_batches(8, 4, NULL), NULL, NULL, &error) == NULL);
  CHECK_STR_CONTAINS(error.message, "the mesh is NULL");
  error = (mica_error){0};
  CHECK(mica_dataset_divide(rows_in_batches(8, 4, NULL), mesh, "model", &error) == NULL);
  CHECK_STR_CONTAINS(error.message, "\"model\" is no axis");
  error = (mica_error){0};
  mica_batch batch = {0};
  mica_dataset *single = mica_dataset_divide(rows_in_batches(8, 0, NULL), mesh, NULL, &error);
  CHECK_OK(mica_dataset_begin(single, 0, NULL));
  CHECK_STATUS(mica_dataset_next(single, &batch, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "one number of rows");
  mica_batch_clear(&batch);
  mica_dataset_destroy(single);
  mica_mesh_release(mesh);
}

TEST_MAIN(TEST_CASE(rows_that_divide), TEST_CASE(mistakes))
