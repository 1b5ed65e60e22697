/* SPDX-License-Identifier: Apache-2.0 */
/* divide.c: batches for devices that share them: as many rows as divide, the rest of a batch left out. */
#include "core/tensor.h"
#include "data/dataset.h"

typedef struct {
  mica_stage stage;
  int64_t devices;
} divide_stage;

/* The first `rows` rows of a tensor, for whole bytes. */
static mica_status first_rows(mica_tensor **tensor, int64_t rows, mica_error *error) {
  mica_type type = mica_tensor_type(*tensor);
  mica_tensor_view view;
  mica_tensor *cut = NULL;
  type.shape.dim[0] = rows;
  mica_status status = mica_tensor_view_begin(*tensor, &view, error);
  if (status != MICA_OK) return status;
  status = mica_tensor_create(NULL, type, view.data, &cut, error);
  mica_tensor_view_end(*tensor, &view);
  if (status != MICA_OK) return status;
  mica_tensor_release(*tensor);
  *tensor = cut;
  return MICA_OK;
}

/* How many rows the batch has; -1 when its tensors do not agree or have none. */
static int64_t rows_of(const mica_batch *batch) {
  int64_t rows = -1;
  for (int32_t i = 0; i < batch->count; i++) {
    mica_type type = mica_tensor_type(batch->tensor[i]);
    if (type.shape.rank < 1 || mica_dtype_bits(type.dtype) < 8) return -1;
    if (rows >= 0 && type.shape.dim[0] != rows) return -1;
    rows = type.shape.dim[0];
  }
  return rows;
}

static mica_status divide_next(void *self, mica_batch *batch, mica_error *error) {
  divide_stage *s = self;
  for (;;) {
    mica_status status = mica_dataset_next(s->stage.source, batch, error);
    if (status != MICA_OK || batch->count == 0) return status;
    int64_t rows = rows_of(batch), kept = rows - rows % s->devices;
    if (rows < 0)
      return mica_error_set(error, MICA_INVALID,
                            "divide: expected tensors of whole bytes with one number of rows");
    if (kept == rows) return MICA_OK;
    for (int32_t i = 0; kept > 0 && i < batch->count; i++)
      if ((status = first_rows(&batch->tensor[i], kept, error)) != MICA_OK) return status;
    if (kept > 0) return MICA_OK;
  }
}

static mica_status divide_begin(void *self, int64_t epoch, mica_error *error) {
  return mica_dataset_begin(((divide_stage *)self)->stage.source, epoch, error);
}
static void divide_save(void *self, mica_dataset_state *state) {
  mica_dataset_put_state(((divide_stage *)self)->stage.source, state);
}
static mica_status divide_restore(void *self, mica_dataset_state *state, mica_error *error) {
  return mica_dataset_take_state(((divide_stage *)self)->stage.source, state, error);
}

mica_dataset *mica_dataset_divide(mica_dataset *source, const mica_mesh *mesh,
                                  const char *batch_axes, mica_error *error) {
  static const mica_dataset_methods methods = {.struct_size = sizeof methods,
                                               .name = "divide",
                                               .next = divide_next,
                                               .begin = divide_begin,
                                               .save = divide_save,
                                               .restore = divide_restore,
                                               .destroy = mica_stage_free};
  mica_shape devices = {.rank = 1, .dim = {mica_mesh_device_count(mesh)}}, part = {0};
  if (mesh == NULL) return mica_stage_refuse(source, "divide: the mesh is NULL", error);
  if (batch_axes == NULL) batch_axes = mica_mesh_axis_name(mesh, 0);
  mica_error reason = {0};
  if (mica_shard_shape(mesh, devices, batch_axes, &part, &reason) != MICA_OK)
    return mica_stage_refuse(source, reason.message, error);
  divide_stage *s = mica_stage_allocate(source, sizeof *s, "divide", error);
  if (s == NULL) return NULL;
  s->devices = devices.dim[0] / part.dim[0];
  return mica_stage_create(s, &methods, error);
}
