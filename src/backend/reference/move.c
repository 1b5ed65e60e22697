/* SPDX-License-Identifier: Apache-2.0 */
/* move.c: walking through arrays of up to eight axes, and copying elements between two of them. */
#include "backend/reference/reference_internal.h"

#include <string.h>

void mica_reference_strides(mica_shape shape, int64_t strides[MICA_MAX_RANK]) {
  int64_t stride = 1;
  for (int32_t axis = shape.rank; axis-- > 0;) {
    strides[axis] = stride;
    stride *= shape.dim[axis];
  }
}

bool mica_reference_next(const int64_t *dim, int32_t rank, int64_t *index) {
  for (int32_t axis = rank; axis-- > 0;) {
    if (++index[axis] < dim[axis]) return true;
    index[axis] = 0;
  }
  return false;
}

static void copy_nibble(const uint8_t *in, int64_t from, uint8_t *out, int64_t to) {
  uint32_t value = ((uint32_t)in[from / 2] >> (from % 2 * 4)) & 15u;
  uint32_t shift = to % 2 == 0 ? 0 : 4;
  out[to / 2] = (uint8_t)((out[to / 2] & (0xF0u >> shift)) | value << shift);
}

/* `count` elements along one axis. */
static void copy_along_axis(int32_t bits, const void *in, int64_t from, int64_t in_stride,
                            void *out, int64_t to, int64_t out_stride, int64_t count) {
  if (bits == 4) {
    for (int64_t i = 0; i < count; i++)
      copy_nibble(in, from + i * in_stride, out, to + i * out_stride);
    return;
  }
  size_t size = (size_t)bits / 8;
  const char *source = (const char *)in + from * (int64_t)size;
  char *target = (char *)out + to * (int64_t)size;
  if (in_stride == 1 && out_stride == 1) {
    memcpy(target, source, (size_t)count * size);
    return;
  }
#define COPY_ALONG(constant_size)                                                             \
  for (int64_t i = 0; i < count; i++)                                                         \
  memcpy(target + i * out_stride * (constant_size), source + i * in_stride * (constant_size), \
         (constant_size))
  switch (size) {
    case 1: COPY_ALONG(1); break;
    case 2: COPY_ALONG(2); break;
    case 4: COPY_ALONG(4); break;
    case 8: COPY_ALONG(8); break;
    default: COPY_ALONG(16); break;
  }
#undef COPY_ALONG
}

void mica_reference_copy(mica_dtype dtype, const void *in, void *out, const reference_move *move) {
  int32_t bits = mica_dtype_bits(dtype), outer = move->rank > 0 ? move->rank - 1 : 0;
  for (int32_t axis = 0; axis < move->rank; axis++)
    if (move->dim[axis] <= 0) return;
  int64_t count = move->rank > 0 ? move->dim[outer] : 1;
  int64_t in_stride = move->rank > 0 ? move->in_stride[outer] : 1;
  int64_t out_stride = move->rank > 0 ? move->out_stride[outer] : 1;
  int64_t index[MICA_MAX_RANK] = {0};
  do {
    int64_t from = move->in_offset + reference_place(index, move->in_stride, outer);
    int64_t to = move->out_offset + reference_place(index, move->out_stride, outer);
    copy_along_axis(bits, in, from, in_stride, out, to, out_stride, count);
  } while (mica_reference_next(move->dim, outer, index));
}

void mica_reference_copy_all(mica_type type, const void *in, void *out) {
  size_t size = 0;
  if (mica_type_byte_size(type, &size) && size > 0) memcpy(out, in, size);
}
