/* SPDX-License-Identifier: Apache-2.0 */
/* tensor.h: the inside of a tensor, for the layers above core.
 *
 * A small tensor is one allocation: this struct, padded to 64 bytes, then the values. A large one
 * whose allocator is the default has its values in pages of its own; a wrapped one in the caller's
 * memory. */
#ifndef MICA_CORE_TENSOR_H
#define MICA_CORE_TENSOR_H
#include "mica/core.h"

#include <stdatomic.h>

/* Values that lie on a device: what a backend gives a tensor instead of host memory. */
typedef struct {
  /* Copies all bytes to `host`, waiting for pending work. */
  mica_status (*read)(void *device_buffer, void *host, size_t byte_size, mica_error *error);
  void (*release)(void *device_buffer);
  /* The following may be NULL. */
  const void *(*host)(void *device_buffer); /* a copy that it owns; NULL: it failed */
  mica_status (*read_part)(void *device_buffer, size_t offset, void *host, size_t byte_size,
                           mica_error *error);
  mica_status (*wait)(void *device_buffer, mica_error *error);
  bool (*ready)(void *device_buffer);
  /* Of an array in parts: the box of `shape` from `begin` on, as it lies on device `device` (a number of its mesh);
   * NULL: it does not lie there as such. */
  mica_tensor *(*part)(void *device_buffer, int64_t device, mica_shape shape, const int64_t *begin);
} mica_tensor_device;

typedef enum {
  MICA_TENSOR_INLINE,  /* values follow the struct */
  MICA_TENSOR_PAGES,   /* from mica_pages_map */
  MICA_TENSOR_WRAPPED, /* the caller's: never written */
  MICA_TENSOR_DEVICE   /* device_buffer; `data` is NULL */
} mica_tensor_storage;

struct mica_tensor {
  _Atomic uint32_t reference_count;
  mica_tensor_storage storage;
  mica_type type;
  size_t byte_size;
  size_t allocation_size; /* of the struct, with the values where they are inline */
  void *data;             /* aligned to 64 */
  uint64_t version; /* counts writes: what is derived from the values is cached for a version */
  mica_allocator allocator;
  void (*release)(void *context); /* of wrapped memory; may be NULL */
  void *release_context;
  const mica_tensor_device *device; /* NULL on the host */
  void *device_buffer;
};

/* MICA_OK and the bytes of a dense array (out_size may be NULL), or MICA_INVALID with the
 * reason. */
mica_status mica_type_check(mica_type type, size_t *out_size, mica_error *error);

/* As mica_tensor_create, but the values are whatever the memory holds: fill them by
 * mica_tensor_mutable_data before anybody else sees the tensor. */
mica_status mica_tensor_create_uninitialized(const mica_allocator *allocator, mica_type type,
                                             mica_tensor **out_tensor,
                                             mica_error *error) MICA_MUST_CHECK;
/* A tensor whose values are `device_buffer`, which it owns from now on. On failure the caller still
 * owns it. */
mica_status mica_tensor_create_on_device(const mica_allocator *allocator, mica_type type,
                                         const mica_tensor_device *device, void *device_buffer,
                                         mica_tensor **out_tensor,
                                         mica_error *error) MICA_MUST_CHECK;

/* The values for writing: NULL when they are not the tensor's own (wrapped, on a device) or for
 * NULL. Who writes through it calls mica_tensor_touch afterwards. */
void *mica_tensor_mutable_data(mica_tensor *tensor);
void mica_tensor_touch(mica_tensor *tensor); /* counts the version up */

/* Moves a tensor's values from a device to host memory of its own; one on the host stays as it is. No other
 * thread may use it meanwhile. */
mica_status mica_tensor_to_host(mica_tensor *tensor, mica_error *error) MICA_MUST_CHECK;
/* Gives `tensor`, on a device, the values of `from`, one on a device too that nobody else sees, and
 * releases that. The types are equal. */
void mica_tensor_take(mica_tensor *tensor, mica_tensor *from);

/* The caller's reference is the only one, so that nobody else can see a write or a donation. */
bool mica_tensor_is_unique(const mica_tensor *tensor);

/* The values on the host for as long as the view lives: the tensor's own, or a copy of a device's.
 * NULL for a tensor is MICA_INVALID. mica_tensor_view_end is due after success only. */
typedef struct {
  const void *data;
  void *copy;
} mica_tensor_view;
mica_status mica_tensor_view_begin(const mica_tensor *tensor, mica_tensor_view *out_view,
                                   mica_error *error) MICA_MUST_CHECK;
void mica_tensor_view_end(const mica_tensor *tensor, mica_tensor_view *view);

/* Copies elements of `item_size` bytes that lie `byte_stride`[axis] apart to dense row-major
 * order. */
void mica_copy_strided(mica_shape shape, const int64_t *byte_stride, size_t item_size,
                       const void *from, void *out);

/* Elements that have several encodings get the one that the library uses: bool bytes 0 or 1, the
 * unused half of the last byte of a 4-bit array 0. */
void mica_tensor_normalize(mica_tensor *tensor);

#endif
