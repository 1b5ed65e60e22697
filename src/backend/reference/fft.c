/* SPDX-License-Identifier: Apache-2.0 */
/* fft.c: Fourier transforms, a line at a time through the plain transform of core/fourier.h, all axes in
 * f64. The scratch holds the whole array as c128 (of rfft the full result), a line in and out, and the
 * transform's own. */
#include "backend/reference/reference_internal.h"
#include "core/fourier.h"

#include <string.h>

/* The shape that holds every stage: lengths along the transformed axes. */
static mica_shape full_shape(const mica_fft_attr *attr, mica_shape x) {
  int32_t first = x.rank - attr->lengths.count;
  for (int32_t i = 0; i < attr->lengths.count; i++) x.dim[first + i] = attr->lengths.at[i];
  return x;
}

/* Doubles of the array, of two lines, of the transform; false on overflow. */
static bool fft_parts(const mica_fft_attr *attr, mica_shape x, size_t parts[3]) {
  size_t longest = 1;
  parts[2] = 0;
  for (int32_t i = 0; i < attr->lengths.count; i++) {
    size_t needed;
    if (!mica_fourier_scratch(attr->lengths.at[i], &needed)) return false;
    if (needed > parts[2]) parts[2] = needed;
    if ((size_t)attr->lengths.at[i] > longest) longest = (size_t)attr->lengths.at[i];
  }
  int64_t count = mica_shape_count(full_shape(attr, x));
  return count >= 0 && (uint64_t)count <= SIZE_MAX &&
         mica_size_multiply((size_t)count, 2, &parts[0]) &&
         mica_size_multiply(longest, 4, &parts[1]);
}

static bool fft_scratch(const mica_graph *graph, uint32_t id, size_t *out_size) {
  size_t parts[3], sum;
  return fft_parts(mica_node_at(graph, id)->attr, reference_operand_type(graph, id, 0).shape,
                   parts) &&
         mica_size_add(parts[0], parts[1], &sum) && mica_size_add(sum, parts[2], &sum) &&
         mica_size_multiply(sum, sizeof(double), out_size);
}

typedef struct {
  mica_shape shape; /* of the array */
  double *array, *line, *out, *scratch;
} fft_work;

static void transform_axis(const fft_work *w, int32_t axis, bool inverse) {
  int64_t n = w->shape.dim[axis], strides[MICA_MAX_RANK], index[MICA_MAX_RANK] = {0};
  mica_reference_strides(w->shape, strides);
  mica_fourier_prepare(n, w->scratch);
  mica_shape lines = w->shape;
  lines.dim[axis] = 1;
  do {
    double *at = w->array + 2 * reference_place(index, strides, w->shape.rank);
    for (int64_t i = 0; i < n; i++)
      memcpy(w->line + 2 * i, at + 2 * i * strides[axis], 2 * sizeof(double));
    mica_fourier(n, inverse, w->line, w->out, w->scratch);
    for (int64_t i = 0; i < n; i++)
      memcpy(at + 2 * i * strides[axis], w->out + 2 * i, 2 * sizeof(double));
  } while (mica_reference_next(lines.dim, lines.rank, index));
}

/* Frequencies above n / 2 of the last axis are the conjugates of those below. */
static void mirror_lines(const fft_work *w) {
  int64_t n = w->shape.dim[w->shape.rank - 1], count = mica_shape_count(w->shape) / n;
  for (int64_t i = 0; i < count; i++) {
    double *line = w->array + 2 * i * n;
    line[1] = 0;
    if (n % 2 == 0) line[n + 1] = 0;
    for (int64_t k = n / 2 + 1; k < n; k++) {
      line[2 * k] = line[2 * (n - k)];
      line[2 * k + 1] = -line[2 * (n - k) + 1];
    }
  }
}

static void fft_kernel(const reference_step *step) {
  const mica_fft_attr *attr = step->attr;
  mica_type x = reference_in_type(step, 0), y = step->node->type;
  int32_t rank = x.shape.rank, first = rank - attr->lengths.count;
  size_t parts[3];
  if (mica_shape_count(y.shape) == 0 || !fft_parts(attr, x.shape, parts)) return;
  fft_work w = {.shape = full_shape(attr, x.shape), .array = step->scratch};
  w.line = w.array + parts[0];
  w.out = w.line + parts[1] / 2;
  w.scratch = w.line + parts[1];
  int64_t n = w.shape.dim[rank - 1], in = x.shape.dim[rank - 1], out = y.shape.dim[rank - 1];
  int64_t lines = mica_shape_count(w.shape) / n;
  for (int64_t i = 0; i < lines; i++) {
    double *line = w.array + 2 * i * n;
    if (attr->kind != MICA_FFT_RFFT) {
      mica_reference_widen(x.dtype, step->in[0], i * in, in, line);
      continue;
    }
    mica_reference_widen(x.dtype, step->in[0], i * n, n, w.line);
    for (int64_t j = 0; j < n; j++) {
      line[2 * j] = w.line[j];
      line[2 * j + 1] = 0;
    }
  }
  bool inverse = attr->kind == MICA_FFT_IFFT || attr->kind == MICA_FFT_IRFFT;
  for (int32_t axis = first; axis < rank - 1; axis++) transform_axis(&w, axis, inverse);
  if (attr->kind == MICA_FFT_IRFFT) mirror_lines(&w);
  transform_axis(&w, rank - 1, inverse);
  int64_t doubles = mica_shape_count(w.shape) * 2;
  for (int64_t i = 0; i < doubles; i++) w.array[i] *= attr->scale;
  for (int64_t i = 0; i < lines; i++) {
    double *line = w.array + 2 * i * n;
    if (attr->kind == MICA_FFT_IRFFT)
      for (int64_t j = 0; j < n; j++) line[j] = line[2 * j];
    mica_reference_narrow(y.dtype, step->out[0], i * out, out, line);
  }
}

const reference_row mica_reference_fft[MICA_OP_COUNT] = {
    [MICA_OP_FFT] = {fft_kernel, fft_scratch},
};
