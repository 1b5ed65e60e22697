/* SPDX-License-Identifier: Apache-2.0 */
/* shape.c: shapes and types: counting with overflow checks, comparing, printing. */
#include "core/memory.h"
#include "core/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int64_t mica_shape_count(mica_shape shape) {
  if (shape.rank < 0 || shape.rank > MICA_MAX_RANK) return -1;
  int64_t count = 1;
  bool empty = false;
  for (int32_t axis = 0; axis < shape.rank; axis++) {
    if (shape.dim[axis] < 0) return -1;
    /* Sizes beside a zero are counted too: strides are products of them and must not overflow. */
    if (shape.dim[axis] == 0)
      empty = true;
    else if (!mica_i64_multiply(count, shape.dim[axis], &count))
      return -1;
  }
  return empty ? 0 : count;
}

bool mica_shape_equal(mica_shape a, mica_shape b) {
  if (a.rank != b.rank || a.rank < 0 || a.rank > MICA_MAX_RANK) return false;
  for (int32_t axis = 0; axis < a.rank; axis++)
    if (a.dim[axis] != b.dim[axis]) return false;
  return true;
}

bool mica_type_equal(mica_type a, mica_type b) {
  return a.dtype == b.dtype && mica_shape_equal(a.shape, b.shape);
}

bool mica_type_byte_size(mica_type type, size_t *out_size) {
  int64_t count = mica_shape_count(type.shape);
  int32_t bits = mica_dtype_bits(type.dtype);
  if (count < 0 || bits == 0) return false;
  int64_t bytes;
  if (bits < 8)
    bytes = count / 2 + count % 2;
  else if (!mica_i64_multiply(count, bits / 8, &bytes))
    return false;
  if (bytes > PTRDIFF_MAX) return false;
  *out_size = (size_t)bytes;
  return true;
}

int mica_type_format(mica_type type, char *text, size_t size) {
  /* Longest: a name of 8, eight sizes of 20 and their separators. */
  char whole[256];
  size_t used = 0;
  int32_t rank = type.shape.rank;
  if (rank < 0 || rank > MICA_MAX_RANK)
    return snprintf(text, size, "%s[rank %" PRId32 "]", mica_dtype_name(type.dtype), rank);
  used += (size_t)snprintf(whole, sizeof(whole), "%s[", mica_dtype_name(type.dtype));
  for (int32_t axis = 0; axis < rank; axis++)
    used += (size_t)snprintf(whole + used, sizeof(whole) - used, "%s%" PRId64,
                             axis == 0 ? "" : ", ", type.shape.dim[axis]);
  whole[used++] = ']';
  if (size > 0) {
    size_t copied = used < size ? used : size - 1;
    memcpy(text, whole, copied);
    text[copied] = '\0';
  }
  return (int)used;
}

mica_status mica_type_check(mica_type type, size_t *out_size, mica_error *error) {
  if (mica_dtype_bits(type.dtype) == 0)
    return mica_error_set(error, MICA_INVALID, "dtype %d is unknown", (int)type.dtype);
  if (type.shape.rank < 0 || type.shape.rank > MICA_MAX_RANK)
    return mica_error_set(error, MICA_INVALID, "rank %" PRId32 " is outside of 0 to %d",
                          type.shape.rank, MICA_MAX_RANK);
  char text[256]; /* in messages only: every node that is built comes through here */
  for (int32_t axis = 0; axis < type.shape.rank; axis++) {
    if (type.shape.dim[axis] >= 0) continue;
    mica_type_format(type, text, sizeof(text));
    return mica_error_set(error, MICA_INVALID, "%s has a negative size at axis %" PRId32, text,
                          axis);
  }
  size_t size;
  if (!mica_type_byte_size(type, &size)) {
    mica_type_format(type, text, sizeof(text));
    return mica_error_set(error, MICA_INVALID, "%s is larger than the address space", text);
  }
  if (out_size != NULL) *out_size = size;
  return MICA_OK;
}
