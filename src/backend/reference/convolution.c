/* SPDX-License-Identifier: Apache-2.0 */
/* convolution.c: cross-correlation of x [batch, spatial..., in] with a kernel [spatial..., in / groups, out].
 * Both operands are made wide as a whole; each place of the result sums over its window's cells, then over
 * features, and rounds once. */
#include "backend/reference/reference_internal.h"

#include <string.h>

typedef struct {
  const mica_convolution_attr *a;
  mica_shape x, kernel, y;
  int32_t spatial;
  int64_t out;       /* features of y */
  int64_t kernel_in; /* in / groups: what one output feature sees */
  int64_t out_each;  /* output features of one group, of features or of the batch */
  int64_t x_strides[MICA_MAX_RANK], kernel_strides[MICA_MAX_RANK];
  mica_element_class kind;
} conv_walk;

/* sum[j] += x[p] * w[p][j] for output features j begin .. end - 1 and input features p. */
static void conv_cell(const conv_walk *walk, const void *x, int64_t x_at, const void *kernel,
                      int64_t kernel_at, void *sum, int64_t begin, int64_t end) {
  for (int64_t p = 0; p < walk->kernel_in; p++) {
    int64_t row = kernel_at + p * walk->out;
    switch (walk->kind) {
      case MICA_ELEMENT_SIGNED:
      case MICA_ELEMENT_UNSIGNED: {
        uint64_t factor = ((const uint64_t *)x)[x_at + p], *total = sum;
        const uint64_t *weights = (const uint64_t *)kernel + row;
        for (int64_t j = begin; j < end; j++) total[j] += factor * weights[j];
        break;
      }
      case MICA_ELEMENT_FLOAT: {
        double factor = ((const double *)x)[x_at + p], *total = sum;
        const double *weights = (const double *)kernel + row;
        for (int64_t j = begin; j < end; j++) total[j] += factor * weights[j];
        break;
      }
      case MICA_ELEMENT_COMPLEX: {
        reference_complex factor = ((const reference_complex *)x)[x_at + p], *total = sum;
        const reference_complex *weights = (const reference_complex *)kernel + row;
        for (int64_t j = begin; j < end; j++) {
          reference_complex product = mica_reference_complex_mul(factor, weights[j]);
          total[j].re += product.re;
          total[j].im += product.im;
        }
        break;
      }
    }
  }
}

/* Where a cell of the window at `place` (batch, then spatial axes of y) lies in x; false: in no element. */
static bool conv_place(const conv_walk *walk, const int64_t *place, const int64_t *cell,
                       int64_t *out_place) {
  const mica_convolution_attr *a = walk->a;
  int64_t at = 0;
  for (int32_t i = 0; i < walk->spatial; i++) {
    /* Wrapping: paddings near the ends of the integers give negative places, as they should. */
    uint64_t spread = (uint64_t)place[i + 1] * (uint64_t)a->stride.at[i] +
                      (uint64_t)cell[i] * (uint64_t)a->window_dilation.at[i] -
                      (uint64_t)a->low.at[i];
    int64_t position = (int64_t)spread, base = a->base_dilation.at[i];
    if (position < 0 || position % base != 0 || position / base >= walk->x.dim[i + 1]) return false;
    at += position / base * walk->x_strides[i + 1];
  }
  *out_place = at;
  return true;
}

/* All output features of one place. With groups of features, group g reads its part of x's features; with
 * groups of the batch, its part of x's examples. */
static void conv_point(const conv_walk *walk, const int64_t *place, const void *x,
                       const void *kernel, void *sum) {
  int64_t cell[MICA_MAX_RANK] = {0}, at;
  int64_t examples = walk->y.dim[0];
  do {
    if (!conv_place(walk, place, cell, &at)) continue;
    int64_t kernel_at = reference_place(cell, walk->kernel_strides, walk->spatial);
    for (int64_t begin = 0, group = 0; begin < walk->out; begin += walk->out_each, group++) {
      bool of_batch = walk->a->batch_groups > 1;
      int64_t example = place[0] + (of_batch ? group * examples : 0);
      int64_t feature = of_batch ? 0 : group * walk->kernel_in;
      conv_cell(walk, x, example * walk->x_strides[0] + at + feature, kernel, kernel_at, sum, begin,
                begin + walk->out_each);
    }
  } while (mica_reference_next(walk->kernel.dim, walk->spatial, cell));
}

static bool conv_parts(const mica_graph *graph, uint32_t id, size_t parts[3]) {
  mica_type x = reference_operand_type(graph, id, 0), kernel = reference_operand_type(graph, id, 1);
  return mica_reference_wide_bytes(x.dtype, mica_shape_count(x.shape), &parts[0]) &&
         mica_reference_wide_bytes(x.dtype, mica_shape_count(kernel.shape), &parts[1]) &&
         mica_reference_wide_bytes(x.dtype, kernel.shape.dim[kernel.shape.rank - 1], &parts[2]);
}

static bool conv_scratch(const mica_graph *graph, uint32_t id, size_t *out_size) {
  size_t parts[3], sum;
  return conv_parts(graph, id, parts) && mica_size_add(parts[0], parts[1], &sum) &&
         mica_size_add(sum, parts[2], out_size);
}

static void convolution_kernel(const reference_step *step) {
  mica_type x = reference_in_type(step, 0), kernel = reference_in_type(step, 1);
  mica_type y = step->node->type;
  conv_walk walk = {.a = step->attr,
                    .x = x.shape,
                    .kernel = kernel.shape,
                    .y = y.shape,
                    .spatial = x.shape.rank - 2,
                    .kind = mica_dtype_element_class(x.dtype)};
  size_t parts[3], size = reference_wide_size(x.dtype);
  if (mica_shape_count(y.shape) == 0 || !conv_parts(step->graph, step->id, parts)) return;
  walk.out = y.shape.dim[walk.spatial + 1];
  walk.kernel_in = kernel.shape.dim[walk.spatial];
  walk.out_each = walk.out / (walk.a->groups * walk.a->batch_groups);
  mica_reference_strides(x.shape, walk.x_strides);
  mica_reference_strides(kernel.shape, walk.kernel_strides);
  char *wide_x = step->scratch, *wide_kernel = wide_x + parts[0], *sum = wide_kernel + parts[1];
  mica_reference_widen(x.dtype, step->in[0], 0, mica_shape_count(x.shape), wide_x);
  mica_reference_widen(x.dtype, step->in[1], 0, mica_shape_count(kernel.shape), wide_kernel);
  int64_t place[MICA_MAX_RANK] = {0}, at = 0;
  do {
    memset(sum, 0, (size_t)walk.out * size);
    conv_point(&walk, place, wide_x, wide_kernel, sum);
    mica_reference_narrow(y.dtype, step->out[0], at, walk.out, sum);
    at += walk.out;
  } while (mica_reference_next(y.shape.dim, y.shape.rank - 1, place));
}

const reference_row mica_reference_convolution[MICA_OP_COUNT] = {
    [MICA_OP_CONVOLUTION] = {convolution_kernel, conv_scratch},
};
