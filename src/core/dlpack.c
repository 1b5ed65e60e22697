/* SPDX-License-Identifier: Apache-2.0 */
/* dlpack.c: tensors to and from other libraries' memory, by DLPack.
 *
 * The declarations below are this file's own; their layout is the published ABI of DLPack 1.0 and
 * later (github.com/dmlc/dlpack, include/dlpack/dlpack.h), where the version comes first in the
 * versioned struct. */
#include "core/memory.h"
#include "core/tensor.h"

#include <inttypes.h>
#include <string.h>

typedef struct {
  uint32_t major, minor;
} dlpack_version;

typedef struct {
  int32_t type; /* 1 is the CPU */
  int32_t id;
} dlpack_device;

typedef struct {
  uint8_t code, bits;
  uint16_t lanes; /* of a vector element; 1 here */
} dlpack_type;

typedef struct {
  void *data;
  dlpack_device device;
  int32_t rank;
  dlpack_type type;
  int64_t *shape;
  int64_t *strides; /* in elements; NULL for dense row-major */
  uint64_t byte_offset;
} dlpack_tensor;

typedef struct dlpack_managed dlpack_managed;
struct dlpack_managed {
  dlpack_version version;
  void *context;
  void (*deleter)(dlpack_managed *self);
  uint64_t flags;
  dlpack_tensor tensor;
};

enum { DLPACK_CPU = 1, DLPACK_CUDA_HOST = 3, DLPACK_ROCM_HOST = 11 };
enum {
  DLPACK_READ_ONLY = 1 << 0,
  DLPACK_IS_PADDED = 1 << 2 /* sub-byte elements take a byte each */
};

/* Type codes by version: 8-bit floats came with 1.1, where 4-bit elements became packed too. */
static const struct {
  mica_dtype dtype;
  dlpack_type type;
  uint32_t minor;
} dlpack_types[] = {
    {MICA_I4, {0, 4, 1}, 1},      {MICA_I8, {0, 8, 1}, 0},    {MICA_I16, {0, 16, 1}, 0},
    {MICA_I32, {0, 32, 1}, 0},    {MICA_I64, {0, 64, 1}, 0},  {MICA_U4, {1, 4, 1}, 1},
    {MICA_U8, {1, 8, 1}, 0},      {MICA_U16, {1, 16, 1}, 0},  {MICA_U32, {1, 32, 1}, 0},
    {MICA_U64, {1, 64, 1}, 0},    {MICA_F16, {2, 16, 1}, 0},  {MICA_F32, {2, 32, 1}, 0},
    {MICA_F64, {2, 64, 1}, 0},    {MICA_BF16, {4, 16, 1}, 0}, {MICA_C64, {5, 64, 1}, 0},
    {MICA_C128, {5, 128, 1}, 0},  {MICA_BOOL, {6, 8, 1}, 0},  {MICA_F8E4M3FN, {10, 8, 1}, 1},
    {MICA_F8E5M2, {12, 8, 1}, 1},
};
enum { DLPACK_TYPE_COUNT = sizeof(dlpack_types) / sizeof(dlpack_types[0]) };

/* ---- export ---------------------------------------------------------------------------------- */

typedef struct {
  dlpack_managed managed; /* first, so that its address is the export's */
  mica_tensor *tensor;
  int64_t shape[MICA_MAX_RANK], strides[MICA_MAX_RANK];
} dlpack_export;

static void delete_export(dlpack_managed *managed) {
  if (managed == NULL) return;
  dlpack_export *export = managed->context;
  mica_tensor_release(export->tensor);
  mica_free(NULL, export, sizeof(*export));
}

mica_status mica_tensor_to_dlpack(mica_tensor *tensor, void **out_managed, mica_error *error) {
  *out_managed = NULL;
  if (tensor == NULL) return mica_error_set(error, MICA_INVALID, "the tensor is NULL");
  const void *data = mica_tensor_data(tensor);
  if (data == NULL && tensor->storage == MICA_TENSOR_DEVICE)
    return mica_error_set(error, MICA_UNSUPPORTED,
                          "the tensor lies on a device: read it to the host first");
  size_t row = 0;
  while (row < DLPACK_TYPE_COUNT && dlpack_types[row].dtype != tensor->type.dtype) row++;
  if (row == DLPACK_TYPE_COUNT)
    return mica_error_set(error, MICA_UNSUPPORTED, "DLPack has no type for %s",
                          mica_dtype_name(tensor->type.dtype));
  dlpack_export *export = mica_allocate_zeroed(NULL, 1, sizeof(*export));
  if (export == NULL)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a DLPack export");
  mica_shape shape = tensor->type.shape;
  int64_t stride = 1;
  for (int32_t axis = shape.rank - 1; axis >= 0; axis--) {
    export->shape[axis] = shape.dim[axis];
    export->strides[axis] = stride;
    if (shape.dim[axis] > 0) stride *= shape.dim[axis];
  }
  export->tensor = mica_tensor_retain(tensor);
  export->managed =
      (dlpack_managed){.version = {1, dlpack_types[row].minor},
                       .context = export,
                       .deleter = delete_export,
                       .flags = DLPACK_READ_ONLY, /* tensors are immutable for everybody else */
                       .tensor = {.data = (void *)(uintptr_t)data,
                                  .device = {DLPACK_CPU, 0},
                                  .rank = shape.rank,
                                  .type = dlpack_types[row].type,
                                  .shape = export->shape,
                                  .strides = export->strides}};
  *out_managed = &export->managed;
  return MICA_OK;
}

/* ---- import ---------------------------------------------------------------------------------- */

static void delete_import(void *context) {
  dlpack_managed *managed = context;
  if (managed->deleter != NULL) managed->deleter(managed);
}

static mica_status read_dlpack_type(const dlpack_managed *managed, mica_type *out_type,
                                    mica_error *error) {
  const dlpack_tensor *source = &managed->tensor;
  size_t row = 0;
  while (row < DLPACK_TYPE_COUNT &&
         memcmp(&dlpack_types[row].type, &source->type, sizeof(source->type)) != 0)
    row++;
  if (row == DLPACK_TYPE_COUNT)
    return mica_error_set(error, MICA_UNSUPPORTED,
                          "DLPack type code %d with %d bits and %d lanes has no dtype",
                          (int)source->type.code, (int)source->type.bits, (int)source->type.lanes);
  if (source->rank < 0 || source->rank > MICA_MAX_RANK)
    return mica_error_set(error, MICA_UNSUPPORTED, "rank %" PRId32 " is outside of 0 to %d",
                          source->rank, MICA_MAX_RANK);
  if (source->rank > 0 && source->shape == NULL)
    return mica_error_set(error, MICA_INVALID, "the DLPack shape is NULL");
  mica_type type = {.dtype = dlpack_types[row].dtype, .shape = {.rank = source->rank}};
  for (int32_t axis = 0; axis < source->rank; axis++) type.shape.dim[axis] = source->shape[axis];
  *out_type = type;
  return mica_type_check(type, NULL, error);
}

/* Axes of size 1 may have any stride. */
static bool is_dense(const dlpack_tensor *source, mica_shape shape) {
  if (source->strides == NULL) return true;
  int64_t stride = 1;
  for (int32_t axis = shape.rank - 1; axis >= 0; axis--) {
    if (shape.dim[axis] != 1 && source->strides[axis] != stride) return false;
    stride *= shape.dim[axis];
  }
  return true;
}

static void copy_strided_import(const dlpack_tensor *source, mica_type type, const char *data,
                                void *out) {
  int64_t item = mica_dtype_bits(type.dtype) / 8, byte_stride[MICA_MAX_RANK] = {0};
  for (int32_t axis = 0; axis < source->rank; axis++)
    byte_stride[axis] = source->strides[axis] * item;
  mica_copy_strided(type.shape, byte_stride, (size_t)item, data, out);
}

static void copy_padded_nibbles(const uint8_t *from, uint8_t *out, int64_t count) {
  for (int64_t i = 0; i < count; i += 2) {
    uint32_t high = i + 1 < count ? from[i + 1] & 15u : 0;
    out[i / 2] = (uint8_t)((from[i] & 15u) | high << 4);
  }
}

static mica_status copy_import(const dlpack_managed *managed, mica_type type, const char *data,
                               bool dense, mica_tensor **out_tensor, mica_error *error) {
  bool packed = mica_dtype_bits(type.dtype) < 8, padded = (managed->flags & DLPACK_IS_PADDED) != 0;
  if (packed && !dense)
    return mica_error_set(error, MICA_UNSUPPORTED,
                          "4-bit DLPack tensors with strides are not supported");
  mica_status status = mica_tensor_create_uninitialized(NULL, type, out_tensor, error);
  if (status != MICA_OK) return status;
  mica_tensor *tensor = *out_tensor;
  if (tensor->byte_size > 0) {
    if (packed && padded)
      copy_padded_nibbles((const uint8_t *)data, tensor->data, mica_shape_count(type.shape));
    else if (dense)
      memcpy(tensor->data, data, tensor->byte_size);
    else
      copy_strided_import(&managed->tensor, type, data, tensor->data);
    mica_tensor_normalize(tensor);
  }
  return MICA_OK;
}

/* Whether bool bytes are all 0 or 1, as the library's own are. */
static bool has_library_encoding(mica_type type, const char *data, size_t size) {
  for (size_t i = 0; type.dtype == MICA_BOOL && i < size; i++)
    if ((unsigned char)data[i] > 1) return false;
  return true;
}

mica_status mica_tensor_from_dlpack(void *managed_pointer, mica_tensor **out_tensor,
                                    mica_error *error) {
  *out_tensor = NULL;
  dlpack_managed *managed = managed_pointer;
  if (managed == NULL) return mica_error_set(error, MICA_INVALID, "the DLPack tensor is NULL");
  if (managed->version.major != 1) /* nothing behind the version has a known layout then */
    return mica_error_set(error, MICA_UNSUPPORTED,
                          "DLPack version %" PRIu32 " is not supported, 1 is",
                          managed->version.major);
  const dlpack_tensor *source = &managed->tensor;
  if (source->device.type != DLPACK_CPU && source->device.type != DLPACK_CUDA_HOST &&
      source->device.type != DLPACK_ROCM_HOST)
    return mica_error_set(error, MICA_UNSUPPORTED,
                          "the DLPack tensor lies on a device of type %" PRId32
                          ", not in host memory",
                          source->device.type);
  mica_type type;
  size_t byte_size = 0;
  mica_status status = read_dlpack_type(managed, &type, error);
  if (status != MICA_OK) return status;
  mica_type_byte_size(type, &byte_size);
  if (source->data == NULL && byte_size > 0)
    return mica_error_set(error, MICA_INVALID, "the DLPack data is NULL");
  const char *data = byte_size == 0 ? NULL : (const char *)source->data + source->byte_offset;
  bool dense = is_dense(source, type.shape) || byte_size == 0;
  bool padded = mica_dtype_bits(type.dtype) < 8 && (managed->flags & DLPACK_IS_PADDED) != 0;
  if (dense && !padded && (uintptr_t)data % MICA_ALIGNMENT == 0 &&
      has_library_encoding(type, data, byte_size))
    return mica_tensor_wrap(type, data, delete_import, managed, out_tensor, error);
  status = copy_import(managed, type, data, dense, out_tensor, error);
  if (status == MICA_OK) delete_import(managed);
  return status;
}
