/* SPDX-License-Identifier: Apache-2.0 */
/* dot.c: sums of products over axes of two operands. Both operands are brought into canonical order in
 * their wide type, lhs [batch, m, k] and rhs [batch, k, n]; each row of the result is summed over k from
 * first to last and rounded once. */
#include "backend/reference/reference_internal.h"

#include <string.h>

typedef struct {
  int64_t batch, m, k, n;
  mica_ints lhs_axes, rhs_axes; /* operand axes in canonical order */
} dot_shape;

static void append_axes(mica_ints *list, const mica_ints *more, const mica_shape *shape,
                        int64_t *size) {
  *size = 1;
  for (int32_t i = 0; i < more->count; i++) {
    list->at[list->count++] = more->at[i];
    *size *= shape->dim[more->at[i]];
  }
}

static mica_ints axes_apart(const mica_ints *a, const mica_ints *b, int32_t rank) {
  mica_ints rest = {0};
  for (int32_t axis = 0; axis < rank; axis++) {
    bool found = false;
    for (int32_t i = 0; i < a->count; i++) found = found || a->at[i] == axis;
    for (int32_t i = 0; i < b->count; i++) found = found || b->at[i] == axis;
    if (!found) rest.at[rest.count++] = axis;
  }
  return rest;
}

static dot_shape shape_of_dot(const mica_dot_attr *a, mica_shape lhs, mica_shape rhs) {
  dot_shape shape = {0};
  mica_ints lhs_free = axes_apart(&a->lhs_batch, &a->lhs_contract, lhs.rank);
  mica_ints rhs_free = axes_apart(&a->rhs_batch, &a->rhs_contract, rhs.rank);
  append_axes(&shape.lhs_axes, &a->lhs_batch, &lhs, &shape.batch);
  append_axes(&shape.lhs_axes, &lhs_free, &lhs, &shape.m);
  append_axes(&shape.lhs_axes, &a->lhs_contract, &lhs, &shape.k);
  append_axes(&shape.rhs_axes, &a->rhs_batch, &rhs, &shape.batch);
  append_axes(&shape.rhs_axes, &a->rhs_contract, &rhs, &shape.k);
  append_axes(&shape.rhs_axes, &rhs_free, &rhs, &shape.n);
  return shape;
}

/* The operand with its axes in the order of `axes`, one wide element after the other. */
static void widen_permuted(mica_type type, const void *data, const mica_ints *axes, char *wide) {
  int64_t strides[MICA_MAX_RANK], dim[MICA_MAX_RANK] = {0}, stride[MICA_MAX_RANK] = {0};
  int64_t index[MICA_MAX_RANK] = {0}, count = mica_shape_count(type.shape);
  size_t size = reference_wide_size(type.dtype);
  mica_reference_strides(type.shape, strides);
  for (int32_t i = 0; i < axes->count; i++) {
    dim[i] = type.shape.dim[axes->at[i]];
    stride[i] = strides[axes->at[i]];
  }
  for (int64_t i = 0; i < count; i++, wide += size) {
    mica_reference_widen_one(type.dtype, data, reference_place(index, stride, axes->count), wide);
    mica_reference_next(dim, axes->count, index);
  }
}

/* row[j] += x[p] * y[p][j], p = 0 .. k - 1. Integers wrap, which unsigned arithmetic does for both. */
static void reference_dot_integers(const uint64_t *x, const uint64_t *y, uint64_t *row, int64_t k,
                                   int64_t n) {
  for (int64_t p = 0; p < k; p++)
    for (int64_t j = 0; j < n; j++) row[j] += x[p] * y[p * n + j];
}
static void reference_dot_reals(const double *x, const double *y, double *row, int64_t k,
                                int64_t n) {
  for (int64_t p = 0; p < k; p++)
    for (int64_t j = 0; j < n; j++) row[j] += x[p] * y[p * n + j];
}
static void reference_dot_complex(const reference_complex *x, const reference_complex *y,
                                  reference_complex *row, int64_t k, int64_t n) {
  for (int64_t p = 0; p < k; p++) {
    for (int64_t j = 0; j < n; j++) {
      reference_complex product = mica_reference_complex_mul(x[p], y[p * n + j]);
      row[j].re += product.re;
      row[j].im += product.im;
    }
  }
}

/* Bytes of the three parts of the scratch memory: lhs, rhs, one row of the result. */
static bool dot_parts(const mica_graph *graph, uint32_t id, size_t parts[3]) {
  mica_type lhs = reference_operand_type(graph, id, 0), rhs = reference_operand_type(graph, id, 1);
  dot_shape shape = shape_of_dot(mica_node_at(graph, id)->attr, lhs.shape, rhs.shape);
  return mica_reference_wide_bytes(lhs.dtype, mica_shape_count(lhs.shape), &parts[0]) &&
         mica_reference_wide_bytes(rhs.dtype, mica_shape_count(rhs.shape), &parts[1]) &&
         mica_reference_wide_bytes(lhs.dtype, shape.n, &parts[2]);
}

static bool dot_scratch(const mica_graph *graph, uint32_t id, size_t *out_size) {
  size_t parts[3], sum;
  return dot_parts(graph, id, parts) && mica_size_add(parts[0], parts[1], &sum) &&
         mica_size_add(sum, parts[2], out_size);
}

static void dot_kernel(const reference_step *step) {
  mica_type lhs = reference_in_type(step, 0), rhs = reference_in_type(step, 1);
  mica_type out = step->node->type;
  dot_shape shape = shape_of_dot(step->attr, lhs.shape, rhs.shape);
  mica_element_class kind = mica_dtype_element_class(lhs.dtype);
  size_t parts[3], size = reference_wide_size(lhs.dtype);
  if (mica_shape_count(out.shape) == 0 || !dot_parts(step->graph, step->id, parts)) return;
  char *x = step->scratch, *y = x + parts[0], *row = y + parts[1];
  widen_permuted(lhs, step->in[0], &shape.lhs_axes, x);
  widen_permuted(rhs, step->in[1], &shape.rhs_axes, y);
  /* The result may have a wider dtype, but of the same class. */
  for (int64_t i = 0; i < shape.batch * shape.m; i++) {
    const void *left = x + (size_t)(i * shape.k) * size;
    const void *right = y + (size_t)(i / shape.m * shape.k * shape.n) * size;
    memset(row, 0, (size_t)shape.n * size);
    switch (kind) {
      case MICA_ELEMENT_SIGNED:
      case MICA_ELEMENT_UNSIGNED:
        reference_dot_integers(left, right, (uint64_t *)(void *)row, shape.k, shape.n);
        break;
      case MICA_ELEMENT_FLOAT:
        reference_dot_reals(left, right, (double *)(void *)row, shape.k, shape.n);
        break;
      case MICA_ELEMENT_COMPLEX:
        reference_dot_complex(left, right, (reference_complex *)(void *)row, shape.k, shape.n);
        break;
    }
    mica_reference_narrow(out.dtype, step->out[0], i * shape.n, shape.n, row);
  }
}

const reference_row mica_reference_dot[MICA_OP_COUNT] = {
    [MICA_OP_DOT_GENERAL] = {dot_kernel, dot_scratch},
};
