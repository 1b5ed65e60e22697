/* SPDX-License-Identifier: Apache-2.0 */
/* memory_source.c: batches of rows of tensors that lie in memory, and splits of rows.
 *
 * A position is the number of orders begun and the place within the present one; orders are functions of seed and
 * number, so they are made again when a position is restored. */
#include "core/memory.h"
#include "core/tensor.h"
#include "data/dataset.h"

#include <inttypes.h>
#include <string.h>

typedef struct {
  mica_tensor *tensor[MICA_BATCH_TENSORS];
  int32_t count;
  int64_t batch, row_count, position, order_number;
  bool shuffle, replacement, infinite, drop_last;
  uint64_t seed;
  int64_t *rows;    /* the rows that take part; NULL: all */
  int64_t *order;   /* [row_count] of the present order; NULL where it is plain */
  int64_t *indices; /* [batch] rows of one batch */
} memory_source;

static void memory_destroy(void *self) {
  memory_source *s = self;
  size_t size = (size_t)s->row_count * sizeof(int64_t);
  for (int32_t i = 0; i < s->count; i++) mica_tensor_release(s->tensor[i]);
  if (s->rows != NULL) mica_free(NULL, s->rows, size);
  if (s->order != NULL) mica_free(NULL, s->order, size);
  if (s->indices != NULL)
    mica_free(NULL, s->indices, (size_t)(s->batch > 0 ? s->batch : 1) * sizeof(int64_t));
  mica_free(NULL, s, sizeof *s);
}

static void make_order(memory_source *s) {
  if (s->shuffle && !s->replacement)
    mica_shuffle(s->seed, (uint64_t)s->order_number, s->row_count, s->order);
}

static mica_status memory_begin(void *self, int64_t epoch, mica_error *error) {
  (void)error;
  memory_source *s = self;
  s->position = 0;
  s->order_number = epoch;
  make_order(s);
  return MICA_OK;
}

static int64_t row_at(const memory_source *s, int64_t position) {
  int64_t row = position;
  if (s->replacement) {
    /* 64 random bits times the count: a bias below count / 2^64 */
    uint32_t words[4];
    mica_map_random(s->seed, (mica_map_position){s->order_number, position}, 0, words);
    uint64_t bits = (uint64_t)words[1] << 32 | words[0], count = (uint64_t)s->row_count;
    uint64_t high = bits >> 32, low = bits & UINT32_MAX;
    /* (bits * count) >> 64 by halves; count is below 2^63 */
    uint64_t middle = high * (count & UINT32_MAX) + ((low * (count & UINT32_MAX)) >> 32);
    uint64_t other = (middle & UINT32_MAX) + low * (count >> 32);
    row = (int64_t)(high * (count >> 32) + (middle >> 32) + (other >> 32));
  } else if (s->shuffle) {
    row = s->order[position];
  }
  return s->rows != NULL ? s->rows[row] : row;
}

static mica_status memory_next(void *self, mica_batch *batch, mica_error *error) {
  memory_source *s = self;
  int64_t wanted = s->batch > 0 ? s->batch : 1, taken = 0;
  while (taken < wanted) {
    if (s->position == s->row_count) {
      if (!s->infinite) break;
      s->position = 0;
      s->order_number++;
      make_order(s);
    }
    s->indices[taken++] = row_at(s, s->position++);
  }
  if (taken == 0 || (taken < wanted && s->drop_last)) {
    batch->count = 0;
    return MICA_OK;
  }
  mica_batch_truncate(batch, batch->count < s->count ? batch->count : s->count);
  batch->count = s->count;
  for (int32_t i = 0; i < s->count; i++) {
    mica_type type = mica_tensor_type(s->tensor[i]);
    type.shape.dim[0] = taken;
    batch->tensor[i] = mica_batch_reuse(&batch->tensor[i], type, error);
    if (batch->tensor[i] == NULL) return MICA_OUT_OF_MEMORY;
    mica_status status = mica_gather_rows(s->tensor[i], s->indices, taken, batch->tensor[i], error);
    if (status != MICA_OK) return status;
    if (s->batch > 0) continue;
    mica_tensor *row = NULL; /* a single row has no axis of rows */
    type.shape.rank--;
    memmove(type.shape.dim, type.shape.dim + 1, (MICA_MAX_RANK - 1) * sizeof type.shape.dim[0]);
    type.shape.dim[MICA_MAX_RANK - 1] = 0;
    status = mica_tensor_create(NULL, type, mica_tensor_data(batch->tensor[i]), &row, error);
    if (status != MICA_OK) return status;
    mica_tensor_release(batch->tensor[i]);
    batch->tensor[i] = row;
  }
  return MICA_OK;
}

static void memory_save(void *self, mica_dataset_state *state) {
  memory_source *s = self;
  mica_dataset_state_put(state, s->row_count);
  mica_dataset_state_put(state, s->order_number);
  mica_dataset_state_put(state, s->position);
}

static mica_status memory_restore(void *self, mica_dataset_state *state, mica_error *error) {
  memory_source *s = self;
  int64_t rows = mica_dataset_state_take(state), number = mica_dataset_state_take(state),
          position = mica_dataset_state_take(state);
  if (rows != s->row_count)
    return mica_error_set(error, MICA_INVALID,
                          "data set: the position is of %" PRId64 " rows, and there are %" PRId64,
                          rows, s->row_count);
  if (number < 0 || position < 0 || position > rows)
    return mica_error_set(error, MICA_INVALID, "data set: the position is outside of the rows");
  s->order_number = number;
  s->position = position;
  make_order(s);
  return MICA_OK;
}

static mica_status check_memory(const mica_memory_options *o, int64_t *out_rows,
                                mica_error *error) {
  if (o == NULL || o->tensors == NULL || o->count < 1 || o->count > MICA_BATCH_TENSORS ||
      o->batch < 0)
    return mica_error_set(error, MICA_INVALID,
                          "from_tensors: 1 to %d tensors and a batch of at least 0 are needed",
                          MICA_BATCH_TENSORS);
  int64_t rows = -1;
  for (int32_t i = 0; i < o->count; i++) {
    mica_type type = mica_tensor_type(o->tensors[i]);
    if (type.shape.rank < 1 || mica_dtype_bits(type.dtype) < 8 ||
        (rows >= 0 && type.shape.dim[0] != rows)) {
      char text[160];
      mica_type_format(type, text, sizeof text);
      return mica_error_set(
          error, MICA_INVALID,
          "from_tensors: tensor %" PRId32
          " is %s: expected [rows, ...] of at least 8 bits, with as many rows as the first",
          i, text);
    }
    rows = type.shape.dim[0];
  }
  for (int64_t i = 0; o->rows != NULL && i < o->row_count; i++)
    if (o->rows[i] < 0 || o->rows[i] >= rows)
      return mica_error_set(error, MICA_INVALID,
                            "from_tensors: row %" PRId64 " of %" PRId64 " is out of range",
                            o->rows[i], rows);
  *out_rows = o->rows != NULL ? o->row_count : rows;
  if (*out_rows < 0 || (o->infinite && *out_rows == 0))
    return mica_error_set(error, MICA_INVALID, "from_tensors: there are no rows");
  return MICA_OK;
}

mica_dataset *mica_dataset_from_tensors(const mica_memory_options *options, mica_error *error) {
  static const mica_dataset_methods methods = {.struct_size = sizeof methods,
                                               .name = "from_tensors",
                                               .next = memory_next,
                                               .begin = memory_begin,
                                               .save = memory_save,
                                               .restore = memory_restore,
                                               .destroy = memory_destroy};
  int64_t rows = 0;
  if (check_memory(options, &rows, error) != MICA_OK) return NULL;
  memory_source *s = mica_allocate_zeroed(NULL, 1, sizeof *s);
  size_t size = 0;
  if (s == NULL) {
    mica_error_set(error, MICA_OUT_OF_MEMORY, "data set: out of memory");
    return NULL;
  }
  s->batch = options->batch, s->row_count = rows, s->seed = options->seed;
  s->shuffle = options->shuffle, s->replacement = options->replacement;
  s->infinite = options->infinite, s->drop_last = options->drop_last;
  for (; s->count < options->count; s->count++)
    s->tensor[s->count] = mica_tensor_retain(options->tensors[s->count]);
  bool good = mica_size_multiply((size_t)rows, sizeof(int64_t), &size);
  size_t batch_size = 0;
  good = good &&
         mica_size_multiply((size_t)(s->batch > 0 ? s->batch : 1), sizeof(int64_t), &batch_size);
  if (good) good = (s->indices = mica_allocate(NULL, batch_size)) != NULL;
  if (good && s->shuffle && !s->replacement) good = (s->order = mica_allocate(NULL, size)) != NULL;
  if (good && options->rows != NULL) {
    good = (s->rows = mica_allocate(NULL, size)) != NULL;
    if (good && size > 0) memcpy(s->rows, options->rows, size);
  }
  if (!good) {
    memory_destroy(s);
    mica_error_set(error, MICA_OUT_OF_MEMORY, "data set: out of memory");
    return NULL;
  }
  return mica_dataset_create(&methods, s, error);
}

mica_status mica_split_rows(uint64_t seed, int64_t count, const double *fractions, int32_t parts,
                            int64_t *out_order, int64_t *out_begin, mica_error *error) {
  double sum = 0;
  bool good =
      count >= 0 && parts >= 1 && fractions != NULL && out_begin != NULL && out_order != NULL;
  for (int32_t i = 0; good && i < parts; i++) {
    good = fractions[i] >= 0 && fractions[i] <= 1;
    sum += fractions[i];
  }
  if (!good || !(sum <= 1 + 1e-9))
    return mica_error_set(error, MICA_INVALID,
                          "split: fractions of at least 0 that add up to at most 1 are needed");
  mica_shuffle(seed, 0, count, out_order);
  out_begin[0] = 0;
  double total = 0;
  for (int32_t i = 0; i < parts; i++) {
    total += fractions[i];
    double end = total * (double)count + 0.5;
    out_begin[i + 1] = end >= (double)count ? count : (int64_t)end;
  }
  return MICA_OK;
}
