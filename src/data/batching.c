/* SPDX-License-Identifier: Apache-2.0 */
/* batching.c: elements stacked to batches, padded where their shapes differ, and buckets of elements of like
 * length. */
#include "core/memory.h"
#include "core/tensor.h"
#include "data/dataset.h"

#include <inttypes.h>
#include <string.h>

/* ---- stacking -------------------------------------------------------------------------------- */

/* The shape that tensor `which` of all elements fits in. */
static mica_status stacked_type(const mica_batch *elements, int64_t count, int32_t which, bool pad,
                                int64_t length, mica_type *out, mica_error *error) {
  mica_type type = mica_tensor_type(elements[0].tensor[which]);
  for (int64_t i = 0; i < count; i++) {
    mica_type other = mica_tensor_type(elements[i].tensor[which]);
    bool same = other.dtype == type.dtype && other.shape.rank == type.shape.rank &&
                (pad || mica_shape_equal(other.shape, type.shape));
    if (!same) {
      char a[160], b[160];
      mica_type_format(type, a, sizeof a), mica_type_format(other, b, sizeof b);
      return mica_error_set(error, MICA_INVALID,
                            "batch: tensor %" PRId32 " is %s in one element and %s in another%s",
                            which, a, b, pad ? "" : " (pad allows other sizes)");
    }
    for (int32_t k = 0; k < type.shape.rank; k++)
      if (other.shape.dim[k] > type.shape.dim[k]) type.shape.dim[k] = other.shape.dim[k];
  }
  if (pad && type.shape.rank > 0 && type.shape.dim[0] < length) type.shape.dim[0] = length;
  if (type.shape.rank == MICA_MAX_RANK || mica_dtype_bits(type.dtype) < 8)
    return mica_error_set(error, MICA_INVALID,
                          "batch: tensors of rank %d or of less than 8 bits cannot be stacked",
                          MICA_MAX_RANK);
  for (int32_t k = type.shape.rank++; k > 0; k--) type.shape.dim[k] = type.shape.dim[k - 1];
  type.shape.dim[0] = count;
  *out = type;
  return MICA_OK;
}

/* Copies [sizes of `from`] into the corner of an array of the sizes in `to`. */
static void copy_corner(const mica_shape *from, const mica_shape *to, int32_t axis, size_t item,
                        const char *source, char *target) {
  if (axis == from->rank) {
    memcpy(target, source, item);
    return;
  }
  size_t from_step = item, to_step = item;
  for (int32_t k = axis + 1; k < from->rank; k++) {
    from_step *= (size_t)from->dim[k];
    to_step *= (size_t)to->dim[k];
  }
  if (from_step == to_step) {
    if (from->dim[axis] > 0) memcpy(target, source, from_step * (size_t)from->dim[axis]);
    return;
  }
  for (int64_t i = 0; i < from->dim[axis]; i++)
    copy_corner(from, to, axis + 1, item, source + (size_t)i * from_step,
                target + (size_t)i * to_step);
}

static mica_status fill_padding(mica_type type, void *data, double value, mica_error *error) {
  size_t item = (size_t)mica_dtype_bits(type.dtype) / 8, bytes = 0;
  char one[16];
  if (!mica_type_byte_size(type, &bytes)) return MICA_INTERNAL;
  mica_status status = mica_convert_elements(type.dtype, one, MICA_F64, &value, 1);
  if (status != MICA_OK)
    return mica_error_set(error, status, "batch: the padding cannot be converted");
  for (size_t at = 0; at < bytes; at += item) memcpy((char *)data + at, one, item);
  return MICA_OK;
}

mica_status mica_batch_stack(const mica_batch *elements, int64_t count, bool pad, double pad_value,
                             int64_t length, mica_batch *out, mica_error *error) {
  int32_t tensors = elements[0].count;
  for (int64_t i = 1; i < count; i++)
    if (elements[i].count != tensors)
      return mica_error_set(error, MICA_INVALID,
                            "batch: elements of %" PRId32 " and of %" PRId32 " tensors", tensors,
                            elements[i].count);
  mica_batch_truncate(out, out->count < tensors ? out->count : tensors);
  out->count = tensors;
  for (int32_t k = 0; k < tensors; k++) {
    mica_type type;
    mica_status status = stacked_type(elements, count, k, pad, length, &type, error);
    if (status != MICA_OK) return status;
    out->tensor[k] = mica_batch_reuse(&out->tensor[k], type, error);
    if (out->tensor[k] == NULL) return MICA_OUT_OF_MEMORY;
    char *data = mica_tensor_mutable_data(out->tensor[k]);
    mica_shape slot = {.rank = type.shape.rank - 1};
    for (int32_t i = 0; i < slot.rank; i++) slot.dim[i] = type.shape.dim[i + 1];
    size_t item = (size_t)mica_dtype_bits(type.dtype) / 8,
           step = mica_tensor_byte_size(out->tensor[k]) / (size_t)count;
    if (pad && (status = fill_padding(type, data, pad_value, error)) != MICA_OK) return status;
    for (int64_t i = 0; i < count; i++) {
      const mica_tensor *tensor = elements[i].tensor[k];
      mica_shape shape = mica_tensor_type(tensor).shape;
      mica_tensor_view view;
      if (mica_tensor_byte_size(tensor) == 0) continue;
      if ((status = mica_tensor_view_begin(tensor, &view, error)) != MICA_OK) return status;
      copy_corner(&shape, &slot, 0, item, view.data, data + (size_t)i * step);
      mica_tensor_view_end(tensor, &view);
    }
  }
  return MICA_OK;
}

/* ---- batches of a size ----------------------------------------------------------------------- */

typedef struct {
  mica_stage stage;
  mica_batch_options options;
  mica_batch *elements; /* [size] */
  bool source_ended;
} batch_stage;

static void batch_destroy(void *self) {
  batch_stage *s = self;
  for (int64_t i = 0; s->elements != NULL && i < s->options.size; i++)
    mica_batch_clear(&s->elements[i]);
  if (s->elements != NULL)
    mica_free(NULL, s->elements, (size_t)s->options.size * sizeof *s->elements);
  mica_stage_free(s);
}

static mica_status batch_begin(void *self, int64_t epoch, mica_error *error) {
  batch_stage *s = self;
  s->source_ended = false;
  return mica_dataset_begin(s->stage.source, epoch, error);
}

static mica_status batch_next(void *self, mica_batch *batch, mica_error *error) {
  batch_stage *s = self;
  int64_t taken = 0;
  while (taken < s->options.size && !s->source_ended) {
    mica_status status = mica_dataset_next(s->stage.source, &s->elements[taken], error);
    if (status != MICA_OK) return status;
    if (s->elements[taken].count == 0)
      s->source_ended = true;
    else
      taken++;
  }
  if (taken == 0 || (taken < s->options.size && s->options.drop_last)) {
    batch->count = 0;
    return MICA_OK;
  }
  return mica_batch_stack(s->elements, taken, s->options.pad, s->options.pad_value, 0, batch,
                          error);
}

static void batch_save(void *self, mica_dataset_state *state) {
  batch_stage *s = self;
  mica_dataset_state_put(state, s->source_ended);
  mica_dataset_put_state(s->stage.source, state);
}

static mica_status batch_restore(void *self, mica_dataset_state *state, mica_error *error) {
  batch_stage *s = self;
  s->source_ended = mica_dataset_state_take(state) != 0;
  return mica_dataset_take_state(s->stage.source, state, error);
}

mica_dataset *mica_dataset_batch(mica_dataset *source, const mica_batch_options *options,
                                 mica_error *error) {
  static const mica_dataset_methods methods = {.struct_size = sizeof methods,
                                               .name = "batch",
                                               .next = batch_next,
                                               .begin = batch_begin,
                                               .save = batch_save,
                                               .restore = batch_restore,
                                               .destroy = batch_destroy};
  if (options == NULL || options->size < 1)
    return mica_stage_refuse(source, "batch: a size of at least 1 is needed", error);
  batch_stage *s = mica_stage_allocate(source, sizeof *s, "batch", error);
  if (s == NULL) return NULL;
  s->options = *options;
  s->elements = mica_allocate_zeroed(NULL, (size_t)options->size, sizeof *s->elements);
  if (s->elements == NULL) {
    batch_destroy(s);
    mica_error_set(error, MICA_OUT_OF_MEMORY, "data set: out of memory");
    return NULL;
  }
  return mica_stage_create(s, &methods, error);
}

/* ---- buckets --------------------------------------------------------------------------------- */

enum { BUCKET_LIMIT = 64 };

typedef struct {
  mica_batch *elements;         /* [size] */
  int64_t size, used, boundary; /* boundary -1: none */
} bucket;

typedef struct {
  mica_stage stage;
  mica_bucket_options options;
  bucket buckets[BUCKET_LIMIT + 1];
  int32_t count;
  bool source_ended;
} bucket_stage;

static void empty_bucket(bucket *b) {
  for (int64_t i = 0; i < b->used; i++) mica_batch_clear(&b->elements[i]);
  b->used = 0;
}

static void bucket_destroy(void *self) {
  bucket_stage *s = self;
  for (int32_t i = 0; i < s->count; i++) {
    bucket *b = &s->buckets[i];
    if (b->elements == NULL) continue;
    empty_bucket(b);
    mica_free(NULL, b->elements, (size_t)b->size * sizeof *b->elements);
  }
  mica_stage_free(s);
}

static mica_status bucket_begin(void *self, int64_t epoch, mica_error *error) {
  bucket_stage *s = self;
  for (int32_t i = 0; i < s->count; i++) empty_bucket(&s->buckets[i]);
  s->source_ended = false;
  return mica_dataset_begin(s->stage.source, epoch, error);
}

static mica_status give_bucket(bucket_stage *s, bucket *b, mica_batch *batch, mica_error *error) {
  mica_status status = mica_batch_stack(b->elements, b->used, true, s->options.pad_value,
                                        s->options.pad_to_boundary ? b->boundary : 0, batch, error);
  empty_bucket(b);
  return status;
}

static mica_status bucket_next(void *self, mica_batch *batch, mica_error *error) {
  bucket_stage *s = self;
  while (!s->source_ended) {
    mica_batch element = {0};
    mica_status status = mica_dataset_next(s->stage.source, &element, error);
    if (status != MICA_OK) return status;
    if (element.count == 0) {
      s->source_ended = true;
      break;
    }
    mica_type type = s->options.key < element.count
                         ? mica_tensor_type(element.tensor[s->options.key])
                         : (mica_type){0};
    if (type.shape.rank < 1) {
      mica_batch_clear(&element);
      return mica_error_set(error, MICA_INVALID,
                            "bucket: tensor %" PRId32 " of an element is missing or has no axis",
                            s->options.key);
    }
    int32_t which = 0;
    while (which < s->count - 1 && type.shape.dim[0] > s->buckets[which].boundary) which++;
    bucket *b = &s->buckets[which];
    mica_batch_move(&b->elements[b->used++], &element);
    if (b->used == b->size) return give_bucket(s, b, batch, error);
  }
  for (int32_t i = 0; i < s->count && !s->options.drop_last; i++)
    if (s->buckets[i].used > 0) return give_bucket(s, &s->buckets[i], batch, error);
  batch->count = 0;
  return MICA_OK;
}

mica_dataset *mica_dataset_bucket(mica_dataset *source, const mica_bucket_options *options,
                                  mica_error *error) {
  static const mica_dataset_methods methods = {.struct_size = sizeof methods,
                                               .name = "bucket",
                                               .next = bucket_next,
                                               .begin = bucket_begin,
                                               .destroy = bucket_destroy};
  bool good = options != NULL && options->boundary_count >= 0 && options->sizes != NULL &&
              options->boundary_count <= BUCKET_LIMIT && options->key >= 0 &&
              options->key < MICA_BATCH_TENSORS &&
              (options->boundaries != NULL || options->boundary_count == 0);
  for (int32_t i = 0; good && i <= options->boundary_count; i++)
    good = options->sizes[i] >= 1 && (i < 1 || i >= options->boundary_count ||
                                      options->boundaries[i] > options->boundaries[i - 1]);
  if (!good) {
    mica_error_set(error, MICA_INVALID,
                   "bucket: rising boundaries, at most %d, and a size of at least 1 for each "
                   "bucket are needed",
                   BUCKET_LIMIT);
    mica_dataset_destroy(source);
    return NULL;
  }
  bucket_stage *s = mica_stage_allocate(source, sizeof *s, "bucket", error);
  if (s == NULL) return NULL;
  s->options = *options;
  s->options.boundaries = s->options.sizes = NULL;
  for (int32_t i = 0; i <= options->boundary_count; i++) {
    bucket *b = &s->buckets[s->count++];
    b->size = options->sizes[i];
    b->boundary = i < options->boundary_count ? options->boundaries[i] : -1;
    b->elements = mica_allocate_zeroed(NULL, (size_t)b->size, sizeof *b->elements);
    if (b->elements != NULL) continue;
    bucket_destroy(s);
    mica_error_set(error, MICA_OUT_OF_MEMORY, "data set: out of memory");
    return NULL;
  }
  return mica_stage_create(s, &methods, error);
}
