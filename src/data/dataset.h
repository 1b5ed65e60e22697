/* SPDX-License-Identifier: Apache-2.0 */
/* dataset.h: what the stages of data sets are made of. */
#ifndef MICA_DATA_DATASET_H
#define MICA_DATA_DATASET_H
#include "core/memory.h"
#include "mica/data.h"

/* A position: integers that stages put and take in the same order. */
struct mica_dataset_state {
  int64_t *values;
  uint32_t capacity;
  size_t count, at;
  bool failed; /* no memory when putting, or too few when taking */
};
void mica_state_clear(mica_dataset_state *state); /* keeps the memory */
void mica_state_free(mica_dataset_state *state);

struct mica_dataset {
  mica_dataset_methods methods;
  void *self;
  int64_t epoch, given; /* batches of the epoch so far */
  bool begun, ended;
};

/* The position of a whole data set, its sources included. */
void mica_dataset_put_state(mica_dataset *dataset, mica_dataset_state *state);
mica_status mica_dataset_take_state(mica_dataset *dataset, mica_dataset_state *state,
                                    mica_error *error);

/* A stage: `self` is zeroed memory of `size` bytes that mica_stage_create frees with the stage; it begins with a
 * mica_stage. destroy is called for whatever else it holds. NULL source: passes the error on. */
typedef struct {
  size_t size;
  mica_dataset *source; /* destroyed with the stage; NULL for stages that have several */
} mica_stage;
/* NULL, with the source destroyed, when the source is NULL or memory runs out. */
void *mica_stage_allocate(mica_dataset *source, size_t size, const char *name, mica_error *error);
/* NULL with an error of misuse, the source destroyed. */
mica_dataset *mica_stage_refuse(mica_dataset *source, const char *what, mica_error *error);
/* Makes the data set; on failure `destroy` has been called and the stage is gone. */
mica_dataset *mica_stage_create(void *stage, const mica_dataset_methods *methods,
                                mica_error *error);
/* The end of every destroy of a stage. */
void mica_stage_free(void *stage);

/* A tensor of that type to write to: `old`, when nobody else holds it and it fits, else a new one; old is released
 * then. NULL without memory, *old is NULL in any case. */
mica_tensor *mica_batch_reuse(mica_tensor **old, mica_type type, mica_error *error);
/* Moves everything: what *to held is released. */
void mica_batch_move(mica_batch *to, mica_batch *from);
/* Releases what lies behind the first `count`. */
void mica_batch_truncate(mica_batch *batch, int32_t count);

/* The elements' tensors stacked to *out along a new axis 0. With pad, to the largest sizes, and axis 0 of the
 * elements to `length` at least. */
mica_status mica_batch_stack(const mica_batch *elements, int64_t count, bool pad, double pad_value,
                             int64_t length, mica_batch *out, mica_error *error);

/* A tensor that lies on a device, in the host's memory; any other one itself. A new reference; NULL without memory. */
mica_tensor *mica_tensor_on_host(mica_tensor *tensor, mica_error *error);

/* Tensors [rows, ...], alike but for the rows, to be joined along their first axis. {0} at first. */
typedef struct {
  mica_tensor **part;
  uint32_t count, capacity;
  int64_t rows;
} mica_row_parts;
mica_status mica_row_parts_add(mica_row_parts *parts, mica_tensor *part, const char *what,
                               mica_error *error);
/* Releases each part as soon as it is copied. */
mica_status mica_row_parts_join(mica_row_parts *parts, mica_tensor **out, mica_error *error);
void mica_row_parts_clear(mica_row_parts *parts);

#endif
