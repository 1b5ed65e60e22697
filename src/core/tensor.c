/* SPDX-License-Identifier: Apache-2.0 */
/* tensor.c: the life of a tensor: created, retained, read, written, released.
 *
 * Large tensors of the default allocator take whole pages from the system, zeroed and huge-page
 * advised: a training step that walks 100 MB through 4 KB pages spends more time in address
 * translation than in arithmetic. */
#include "core/tensor.h"

#include "core/memory.h"
#include "platform/platform.h"

#include <inttypes.h>
#include <string.h>

enum { PAGES_FROM = 1 << 20 }; /* bytes of values from which a tensor has pages of its own */

static mica_tensor *tensor_struct(const mica_allocator *allocator, mica_type type, size_t byte_size,
                                  size_t inline_size) {
  size_t header, whole;
  if (!mica_size_align(sizeof(mica_tensor), MICA_ALIGNMENT, &header)) return NULL;
  if (!mica_size_add(header, inline_size, &whole)) return NULL;
  mica_tensor *tensor = mica_allocate_aligned(allocator, whole, MICA_ALIGNMENT);
  if (tensor == NULL) return NULL;
  memset(tensor, 0, sizeof(*tensor));
  atomic_init(&tensor->reference_count, 1);
  /* Sizes past the rank are 0 in every type that the library hands out. */
  for (int32_t axis = type.shape.rank; axis < MICA_MAX_RANK; axis++) type.shape.dim[axis] = 0;
  tensor->type = type;
  tensor->byte_size = byte_size;
  tensor->allocation_size = whole;
  tensor->data = (char *)tensor + header;
  if (allocator != NULL) tensor->allocator = *allocator;
  return tensor;
}

static bool allocator_is_default(const mica_allocator *allocator) {
  return allocator == NULL || allocator->allocate == NULL;
}

static mica_status out_of_memory(mica_type type, size_t byte_size, mica_error *error) {
  char text[256];
  mica_type_format(type, text, sizeof(text));
  return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for %s, %zu bytes", text, byte_size);
}

/* A tensor with memory of its own; *out_zeroed says that the values are 0 already. */
static mica_status create_own(const mica_allocator *allocator, mica_type type,
                              mica_tensor **out_tensor, bool *out_zeroed, mica_error *error) {
  *out_tensor = NULL;
  *out_zeroed = false;
  size_t byte_size = 0;
  mica_status status = mica_type_check(type, &byte_size, error);
  if (status != MICA_OK) return status;
  bool pages = byte_size >= PAGES_FROM && allocator_is_default(allocator);
  mica_tensor *tensor = tensor_struct(allocator, type, byte_size, pages ? 0 : byte_size);
  if (tensor == NULL) return out_of_memory(type, byte_size, error);
  if (pages) {
    tensor->storage = MICA_TENSOR_PAGES;
    tensor->data = mica_pages_map(byte_size);
    if (tensor->data == NULL) {
      mica_free_aligned(allocator, tensor, tensor->allocation_size, MICA_ALIGNMENT);
      return out_of_memory(type, byte_size, error);
    }
    *out_zeroed = true;
  }
  *out_tensor = tensor;
  return MICA_OK;
}

mica_status mica_tensor_create_uninitialized(const mica_allocator *allocator, mica_type type,
                                             mica_tensor **out_tensor, mica_error *error) {
  bool zeroed;
  return create_own(allocator, type, out_tensor, &zeroed, error);
}

void mica_tensor_normalize(mica_tensor *tensor) {
  uint8_t *bytes = mica_tensor_mutable_data(tensor);
  if (bytes == NULL || tensor->byte_size == 0) return;
  if (tensor->type.dtype == MICA_BOOL) {
    for (size_t i = 0; i < tensor->byte_size; i++) bytes[i] = bytes[i] != 0;
  } else if (mica_dtype_bits(tensor->type.dtype) == 4 &&
             mica_shape_count(tensor->type.shape) % 2 == 1) {
    bytes[tensor->byte_size - 1] &= 0x0F;
  }
}

mica_status mica_tensor_create(const mica_allocator *allocator, mica_type type, const void *values,
                               mica_tensor **out_tensor, mica_error *error) {
  bool zeroed;
  mica_status status = create_own(allocator, type, out_tensor, &zeroed, error);
  if (status != MICA_OK) return status;
  mica_tensor *tensor = *out_tensor;
  if (values == NULL) {
    if (!zeroed) memset(tensor->data, 0, tensor->byte_size);
  } else if (tensor->byte_size > 0) {
    memcpy(tensor->data, values, tensor->byte_size);
    mica_tensor_normalize(tensor);
  }
  return MICA_OK;
}

mica_tensor *mica_tensor_from(mica_dtype dtype, mica_shape shape, const void *values) {
  mica_tensor *tensor;
  mica_status status =
      mica_tensor_create(NULL, (mica_type){.dtype = dtype, .shape = shape}, values, &tensor, NULL);
  return status == MICA_OK ? tensor : NULL;
}

mica_tensor *mica_tensor_from_doubles(mica_dtype dtype, mica_shape shape, const double *values) {
  mica_tensor *tensor;
  if (values == NULL) return mica_tensor_from(dtype, shape, NULL);
  mica_type type = {.dtype = dtype, .shape = shape};
  if (mica_tensor_create_uninitialized(NULL, type, &tensor, NULL) != MICA_OK) return NULL;
  int64_t count = mica_shape_count(shape);
  if (mica_convert_elements(dtype, tensor->data, MICA_F64, values, count) == MICA_OK) return tensor;
  mica_tensor_release(tensor);
  return NULL;
}

mica_tensor *mica_tensor_scalar(mica_dtype dtype, double value) {
  return mica_tensor_from_doubles(dtype, MICA_SCALAR, &value);
}

mica_status mica_tensor_wrap(mica_type type, const void *data, void (*release)(void *context),
                             void *context, mica_tensor **out_tensor, mica_error *error) {
  *out_tensor = NULL;
  size_t byte_size = 0;
  mica_status status = mica_type_check(type, &byte_size, error);
  if (status != MICA_OK) return status;
  if (data == NULL && byte_size > 0)
    return mica_error_set(error, MICA_INVALID, "the memory to wrap is NULL");
  if ((uintptr_t)data % MICA_ALIGNMENT != 0)
    return mica_error_set(error, MICA_INVALID, "the memory to wrap is not aligned to %d bytes",
                          MICA_ALIGNMENT);
  mica_tensor *tensor = tensor_struct(NULL, type, byte_size, 0);
  if (tensor == NULL) return out_of_memory(type, sizeof(mica_tensor), error);
  tensor->storage = MICA_TENSOR_WRAPPED;
  /* Nothing writes through this pointer: mica_tensor_mutable_data refuses wrapped tensors. */
  if (data != NULL) memcpy(&tensor->data, &data, sizeof(data));
  tensor->release = release;
  tensor->release_context = context;
  *out_tensor = tensor;
  return MICA_OK;
}

mica_status mica_tensor_create_on_device(const mica_allocator *allocator, mica_type type,
                                         const mica_tensor_device *device, void *device_buffer,
                                         mica_tensor **out_tensor, mica_error *error) {
  *out_tensor = NULL;
  size_t byte_size = 0;
  mica_status status = mica_type_check(type, &byte_size, error);
  if (status != MICA_OK) return status;
  mica_tensor *tensor = tensor_struct(allocator, type, byte_size, 0);
  if (tensor == NULL) return out_of_memory(type, sizeof(mica_tensor), error);
  tensor->storage = MICA_TENSOR_DEVICE;
  tensor->data = NULL;
  tensor->device = device;
  tensor->device_buffer = device_buffer;
  *out_tensor = tensor;
  return MICA_OK;
}

mica_tensor *mica_tensor_retain(mica_tensor *tensor) {
  if (tensor != NULL) atomic_fetch_add_explicit(&tensor->reference_count, 1, memory_order_relaxed);
  return tensor;
}

/* Gives back what holds the values, but for values inside the struct's own allocation. */
static void release_values(mica_tensor *tensor) {
  switch (tensor->storage) {
    case MICA_TENSOR_INLINE: break;
    case MICA_TENSOR_PAGES: mica_pages_unmap(tensor->data, tensor->byte_size); break;
    case MICA_TENSOR_WRAPPED:
      if (tensor->release != NULL) tensor->release(tensor->release_context);
      break;
    case MICA_TENSOR_DEVICE: tensor->device->release(tensor->device_buffer); break;
  }
}

void mica_tensor_release(mica_tensor *tensor) {
  if (tensor == NULL) return;
  if (atomic_fetch_sub_explicit(&tensor->reference_count, 1, memory_order_acq_rel) != 1) return;
  release_values(tensor);
  mica_allocator allocator = tensor->allocator;
  mica_free_aligned(&allocator, tensor, tensor->allocation_size, MICA_ALIGNMENT);
}

bool mica_tensor_is_unique(const mica_tensor *tensor) {
  return tensor != NULL &&
         atomic_load_explicit(&tensor->reference_count, memory_order_acquire) == 1;
}

mica_type mica_tensor_type(const mica_tensor *tensor) {
  return tensor == NULL ? (mica_type){0} : tensor->type;
}

size_t mica_tensor_byte_size(const mica_tensor *tensor) {
  return tensor == NULL ? 0 : tensor->byte_size;
}

const void *mica_tensor_data(const mica_tensor *tensor) {
  if (tensor == NULL) return NULL;
  if (tensor->data != NULL || tensor->storage != MICA_TENSOR_DEVICE || tensor->device->host == NULL)
    return tensor->data;
  return tensor->device->host(tensor->device_buffer);
}

uint64_t mica_tensor_version(const mica_tensor *tensor) {
  return tensor == NULL ? 0 : tensor->version;
}

void *mica_tensor_mutable_data(mica_tensor *tensor) {
  if (tensor == NULL) return NULL;
  bool own = tensor->storage == MICA_TENSOR_INLINE || tensor->storage == MICA_TENSOR_PAGES;
  return own ? tensor->data : NULL;
}

void mica_tensor_touch(mica_tensor *tensor) {
  if (tensor != NULL) tensor->version++;
}

/* Copies `axis` and the axes inside; returns where the next element goes. */
static char *copy_strided_axis(mica_shape shape, const int64_t *byte_stride, size_t item_size,
                               int32_t axis, const char *from, char *out) {
  if (axis == shape.rank) {
    memcpy(out, from, item_size);
    return out + item_size;
  }
  for (int64_t i = 0; i < shape.dim[axis]; i++)
    out = copy_strided_axis(shape, byte_stride, item_size, axis + 1, from + i * byte_stride[axis],
                            out);
  return out;
}

void mica_copy_strided(mica_shape shape, const int64_t *byte_stride, size_t item_size,
                       const void *from, void *out) {
  (void)copy_strided_axis(shape, byte_stride, item_size, 0, from, out);
}

static mica_status check_size(const mica_tensor *tensor, const void *host, size_t byte_size,
                              mica_error *error) {
  if (tensor == NULL) return mica_error_set(error, MICA_INVALID, "the tensor is NULL");
  if (byte_size != tensor->byte_size) {
    char text[256];
    mica_type_format(tensor->type, text, sizeof(text));
    return mica_error_set(error, MICA_INVALID, "%s has %zu bytes, not %zu", text, tensor->byte_size,
                          byte_size);
  }
  if (host == NULL && byte_size > 0)
    return mica_error_set(error, MICA_INVALID, "the host memory is NULL");
  return MICA_OK;
}

mica_status mica_tensor_read(const mica_tensor *tensor, void *host, size_t byte_size,
                             mica_error *error) {
  mica_status status = check_size(tensor, host, byte_size, error);
  if (status != MICA_OK || byte_size == 0) return status;
  if (tensor->data == NULL)
    return tensor->device->read(tensor->device_buffer, host, byte_size, error);
  memcpy(host, tensor->data, byte_size);
  return MICA_OK;
}

mica_status mica_tensor_read_part(const mica_tensor *tensor, size_t byte_offset, void *host,
                                  size_t byte_size, mica_error *error) {
  if (tensor == NULL) return mica_error_set(error, MICA_INVALID, "the tensor is NULL");
  if (byte_offset > tensor->byte_size || byte_size > tensor->byte_size - byte_offset)
    return mica_error_set(error, MICA_INVALID, "%zu bytes from %zu on are not in a tensor of %zu",
                          byte_size, byte_offset, tensor->byte_size);
  if (byte_size == 0) return MICA_OK;
  if (host == NULL) return mica_error_set(error, MICA_INVALID, "the host memory is NULL");
  if (tensor->data == NULL && tensor->device->read_part != NULL)
    return tensor->device->read_part(tensor->device_buffer, byte_offset, host, byte_size, error);
  mica_tensor_view view;
  mica_status status = mica_tensor_view_begin(tensor, &view, error);
  if (status != MICA_OK) return status;
  memcpy(host, (const char *)view.data + byte_offset, byte_size);
  mica_tensor_view_end(tensor, &view);
  return MICA_OK;
}

mica_status mica_tensor_wait(const mica_tensor *tensor, mica_error *error) {
  if (tensor == NULL) return mica_error_set(error, MICA_INVALID, "the tensor is NULL");
  if (tensor->storage != MICA_TENSOR_DEVICE || tensor->device->wait == NULL) return MICA_OK;
  return tensor->device->wait(tensor->device_buffer, error);
}

bool mica_tensor_is_ready(const mica_tensor *tensor) {
  return tensor == NULL || tensor->storage != MICA_TENSOR_DEVICE || tensor->device->ready == NULL ||
         tensor->device->ready(tensor->device_buffer);
}

void mica_tensor_take(mica_tensor *tensor, mica_tensor *from) {
  const mica_tensor_device *device = tensor->device;
  void *buffer = tensor->device_buffer;
  tensor->device = from->device;
  tensor->device_buffer = from->device_buffer;
  from->device = device;
  from->device_buffer = buffer;
  mica_tensor_release(from);
}

mica_status mica_tensor_read_doubles(const mica_tensor *tensor, double *host, int64_t count,
                                     mica_error *error) {
  if (tensor == NULL) return mica_error_set(error, MICA_INVALID, "the tensor is NULL");
  if (count != mica_shape_count(tensor->type.shape)) {
    char text[256];
    mica_type_format(tensor->type, text, sizeof(text));
    return mica_error_set(error, MICA_INVALID, "%s has not %" PRId64 " elements", text, count);
  }
  if (count == 0) return MICA_OK;
  if (host == NULL) return mica_error_set(error, MICA_INVALID, "the host memory is NULL");
  mica_tensor_view view;
  mica_status status = mica_tensor_view_begin(tensor, &view, error);
  if (status != MICA_OK) return status;
  status = mica_convert_elements(MICA_F64, host, tensor->type.dtype, view.data, count);
  mica_tensor_view_end(tensor, &view);
  return status;
}

mica_status mica_tensor_view_begin(const mica_tensor *tensor, mica_tensor_view *out_view,
                                   mica_error *error) {
  *out_view = (mica_tensor_view){0};
  if (tensor == NULL) return mica_error_set(error, MICA_INVALID, "the tensor is NULL");
  out_view->data = tensor->data;
  if (tensor->data != NULL) return MICA_OK;
  void *copy = mica_allocate_aligned(&tensor->allocator, tensor->byte_size, MICA_ALIGNMENT);
  if (copy == NULL) return out_of_memory(tensor->type, tensor->byte_size, error);
  mica_status status = mica_tensor_read(tensor, copy, tensor->byte_size, error);
  if (status != MICA_OK) {
    mica_free_aligned(&tensor->allocator, copy, tensor->byte_size, MICA_ALIGNMENT);
    return status;
  }
  out_view->data = out_view->copy = copy;
  return MICA_OK;
}

void mica_tensor_view_end(const mica_tensor *tensor, mica_tensor_view *view) {
  if (view->copy != NULL)
    mica_free_aligned(&tensor->allocator, view->copy, tensor->byte_size, MICA_ALIGNMENT);
  *view = (mica_tensor_view){0};
}

/* A wrapped or device tensor that is written gets host memory of its own. */
static mica_status own_values(mica_tensor *tensor, mica_error *error) {
  void *pages = mica_pages_map(tensor->byte_size);
  if (pages == NULL) return out_of_memory(tensor->type, tensor->byte_size, error);
  release_values(tensor);
  tensor->storage = MICA_TENSOR_PAGES;
  tensor->data = pages;
  tensor->device = NULL;
  tensor->device_buffer = NULL;
  return MICA_OK;
}

mica_status mica_tensor_to_host(mica_tensor *tensor, mica_error *error) {
  if (tensor->storage != MICA_TENSOR_DEVICE) return MICA_OK;
  void *pages = mica_pages_map(tensor->byte_size);
  if (pages == NULL) return out_of_memory(tensor->type, tensor->byte_size, error);
  mica_status status = mica_tensor_read(tensor, pages, tensor->byte_size, error);
  if (status != MICA_OK) {
    mica_pages_unmap(pages, tensor->byte_size);
    return status;
  }
  release_values(tensor);
  tensor->storage = MICA_TENSOR_PAGES;
  tensor->data = pages;
  tensor->device = NULL;
  tensor->device_buffer = NULL;
  return MICA_OK;
}

mica_status mica_tensor_write(mica_tensor *tensor, const void *host, size_t byte_size,
                              mica_error *error) {
  mica_status status = check_size(tensor, host, byte_size, error);
  if (status != MICA_OK) return status;
  if (byte_size > 0) {
    if (mica_tensor_mutable_data(tensor) == NULL) status = own_values(tensor, error);
    if (status != MICA_OK) return status;
    memcpy(tensor->data, host, byte_size);
    mica_tensor_normalize(tensor);
  }
  tensor->version++;
  return MICA_OK;
}
