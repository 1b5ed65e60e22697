/* SPDX-License-Identifier: Apache-2.0 */
/* compare.c: whether two tensors hold the same bits, or are close, and where they are worst. */
#include "core/dtype.h"
#include "core/tensor.h"
#include "core/text.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static bool same_bytes(const mica_tensor *tensor, const uint8_t *a, const uint8_t *b) {
  size_t size = tensor->byte_size;
  if (size == 0) return true;
  bool half_byte =
      mica_dtype_bits(tensor->type.dtype) == 4 && mica_shape_count(tensor->type.shape) % 2 == 1;
  if (half_byte && ((a[size - 1] ^ b[size - 1]) & 0x0F) != 0) return false;
  return memcmp(a, b, half_byte ? size - 1 : size) == 0;
}

bool mica_tensor_equal(const mica_tensor *a, const mica_tensor *b) {
  if (a == NULL || b == NULL) return a == b;
  if (!mica_type_equal(a->type, b->type)) return false;
  mica_tensor_view a_view, b_view;
  if (mica_tensor_view_begin(a, &a_view, NULL) != MICA_OK) return false;
  bool equal = mica_tensor_view_begin(b, &b_view, NULL) == MICA_OK;
  if (equal) {
    equal = same_bytes(a, a_view.data, b_view.data);
    mica_tensor_view_end(b, &b_view);
  }
  mica_tensor_view_end(a, &a_view);
  return equal;
}

/* ---- closeness ------------------------------------------------------------------------------- */

/* |a - b| of a part; infinite where exactly one is NaN, or where infinities or one of them meet
 * others. */
static double part_error(double a, double b) {
  if (a != a && b != b) return 0;
  if (a == b) return 0;
  double error = fabs(a - b);
  return error <= DBL_MAX || (fabs(a) <= DBL_MAX && fabs(b) <= DBL_MAX) ? error : INFINITY;
}

static bool is_integer_kind(mica_element element) { return element.kind <= MICA_ELEMENT_UNSIGNED; }
static bool is_negative(mica_element element) {
  return element.kind == MICA_ELEMENT_SIGNED && element.i64 < 0;
}

static double element_real(mica_element element) {
  if (element.kind == MICA_ELEMENT_SIGNED) return (double)element.i64;
  return element.kind == MICA_ELEMENT_UNSIGNED ? (double)element.u64 : element.f64;
}

static double element_error(mica_element a, mica_element b) {
  if (is_integer_kind(a) && is_integer_kind(b)) {
    /* Their difference has at most 65 bits: of unequal signs both magnitudes add up. */
    uint64_t x = a.u64, y = b.u64;
    if (is_negative(a) != is_negative(b)) return fabs(element_real(a) - element_real(b));
    bool a_is_less = is_negative(a) ? a.i64 < b.i64 : x < y;
    return (double)(a_is_less ? y - x : x - y);
  }
  double real = part_error(element_real(a), element_real(b));
  double imaginary_a = a.kind == MICA_ELEMENT_COMPLEX ? a.imaginary : 0;
  double imaginary_b = b.kind == MICA_ELEMENT_COMPLEX ? b.imaginary : 0;
  double imaginary = part_error(imaginary_a, imaginary_b);
  return imaginary == 0 ? real : hypot(real, imaginary);
}

static double element_magnitude(mica_element element) {
  if (element.kind == MICA_ELEMENT_COMPLEX) return hypot(element.f64, element.imaginary);
  return fabs(element_real(element));
}

static mica_closeness compare_elements(const mica_tensor *a, const void *a_data,
                                       const mica_tensor *b, const void *b_data, double relative,
                                       double absolute) {
  mica_closeness worst = {.close = true, .worst_index = -1};
  double worst_ratio = 0;
  int64_t count = mica_shape_count(a->type.shape);
  for (int64_t i = 0; i < count; i++) {
    mica_element x = mica_element_load(a->type.dtype, a_data, i);
    mica_element y = mica_element_load(b->type.dtype, b_data, i);
    double error = element_error(x, y);
    if (error == 0) continue;
    double tolerance = absolute + (relative == 0 ? 0 : relative * element_magnitude(y));
    /* An infinite error is never close, not even relative to an infinite value. */
    bool close = error <= DBL_MAX && error <= tolerance;
    double ratio = error > DBL_MAX || tolerance == 0 ? INFINITY : error / tolerance;
    if (!close) {
      worst.close = false;
      worst.mismatch_count++;
    }
    if (worst.worst_index >= 0 &&
        (ratio < worst_ratio || (ratio == worst_ratio && error <= worst.worst_error)))
      continue;
    worst_ratio = ratio;
    worst.worst_index = i;
    worst.worst_a = element_real(x);
    worst.worst_b = element_real(y);
    worst.worst_error = error;
  }
  return worst;
}

mica_status mica_tensor_compare(const mica_tensor *a, const mica_tensor *b, double relative,
                                double absolute, mica_closeness *out, mica_error *error) {
  *out = (mica_closeness){.worst_index = -1};
  if (a == NULL || b == NULL) return mica_error_set(error, MICA_INVALID, "the tensor is NULL");
  if (!(relative >= 0) || !(absolute >= 0))
    return mica_error_set(error, MICA_INVALID, "a tolerance is negative or NaN");
  if (!mica_shape_equal(a->type.shape, b->type.shape)) {
    char a_text[256], b_text[256];
    mica_type_format(a->type, a_text, sizeof(a_text));
    mica_type_format(b->type, b_text, sizeof(b_text));
    return mica_error_set(error, MICA_INVALID, "%s and %s have different shapes", a_text, b_text);
  }
  mica_tensor_view a_view, b_view;
  mica_status status = mica_tensor_view_begin(a, &a_view, error);
  if (status != MICA_OK) return status;
  status = mica_tensor_view_begin(b, &b_view, error);
  if (status == MICA_OK) {
    *out = compare_elements(a, a_view.data, b, b_view.data, relative, absolute);
    mica_tensor_view_end(b, &b_view);
  }
  mica_tensor_view_end(a, &a_view);
  return status;
}

int mica_closeness_format(const mica_closeness *closeness, mica_shape shape, char *text,
                          size_t size) {
  int64_t count = mica_shape_count(shape);
  if (closeness->worst_index < 0 || count <= 0)
    return snprintf(text, size, "all %" PRId64 " elements are equal", count < 0 ? 0 : count);
  char place[8 * 22 + 3] = "[";
  int64_t stride = count, rest = closeness->worst_index;
  size_t used = 1;
  for (int32_t axis = 0; axis < shape.rank; axis++) {
    stride /= shape.dim[axis];
    used += (size_t)snprintf(place + used, sizeof(place) - used, "%s%" PRId64,
                             axis == 0 ? "" : ", ", rest / stride);
    rest %= stride;
  }
  char a[32], b[32], error[32];
  mica_format_double_rounded(closeness->worst_a, 9, a, sizeof(a));
  mica_format_double_rounded(closeness->worst_b, 9, b, sizeof(b));
  mica_format_double_rounded(closeness->worst_error, 3, error, sizeof(error));
  return snprintf(text, size,
                  "worst at %s]: %s against %s (error %s, %" PRId64 " of %" PRId64
                  " elements differ)",
                  place, a, b, error, closeness->mismatch_count, count);
}
