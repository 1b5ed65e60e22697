/* SPDX-License-Identifier: Apache-2.0 */
/* reference_internal.h: how one operator is computed in the plainest way.
 *
 * Every dtype belongs to one of four classes, and each class has one wide type that holds all its values
 * exactly: i64, u64, f64 and c128. A kernel turns operands into their wide type, computes there with plain
 * loops, and turns the result back, which rounds (or wraps) once. Operators that only move elements copy
 * bytes. So each kernel is written at most four times, and serves all dtypes. */
#ifndef MICA_REFERENCE_INTERNAL_H
#define MICA_REFERENCE_INTERNAL_H
#include "backend/backend_internal.h"
#include "backend/reference.h"
#include "core/dtype.h"
#include "graph/attributes.h"

/* One execution of one node. Buffers are dense, aligned to 64 bytes, and do not overlap. */
typedef struct {
  const mica_graph *graph;
  const mica_node *node;
  uint32_t id;
  const void *attr;
  const void *const *in;
  void *const *out;
  void *scratch; /* as many bytes as the row's `scratch` says; aligned to 64 */
} reference_step;

typedef void reference_kernel(const reference_step *step);
/* Bytes that a node's kernel needs; false when they overflow. NULL: none. */
typedef bool reference_scratch(const mica_graph *graph, uint32_t id, size_t *out_size);
typedef struct {
  reference_kernel *kernel;
  reference_scratch *scratch;
} reference_row;

/* The tables of the families, each with rows for its operators. */
extern const reference_row mica_reference_elementwise[MICA_OP_COUNT];
extern const reference_row mica_reference_shape[MICA_OP_COUNT];
extern const reference_row mica_reference_gather[MICA_OP_COUNT];
extern const reference_row mica_reference_reduce[MICA_OP_COUNT];
extern const reference_row mica_reference_window[MICA_OP_COUNT];
extern const reference_row mica_reference_dot[MICA_OP_COUNT];
extern const reference_row mica_reference_convolution[MICA_OP_COUNT];
extern const reference_row mica_reference_random[MICA_OP_COUNT];
extern const reference_row mica_reference_cumulative[MICA_OP_COUNT];
extern const reference_row mica_reference_sort[MICA_OP_COUNT];
extern const reference_row mica_reference_linalg_factor[MICA_OP_COUNT];
extern const reference_row mica_reference_fft[MICA_OP_COUNT];
extern const reference_row mica_reference_linalg_orthogonal[MICA_OP_COUNT];

static inline mica_type reference_in_type(const reference_step *step, uint32_t operand) {
  return mica_node_at(step->graph, mica_node_operands(step->graph, step->node)[operand])->type;
}
static inline mica_type reference_operand_type(const mica_graph *graph, uint32_t id,
                                               uint32_t operand) {
  const mica_node *node = mica_node_at(graph, id);
  return mica_node_at(graph, mica_node_operands(graph, node)[operand])->type;
}

/* The last two sizes of a shape, and how many matrices there are. */
typedef struct {
  int64_t batch, m, n;
} reference_matrices;
static inline reference_matrices reference_matrices_of(mica_shape shape) {
  reference_matrices sizes = {1, shape.dim[shape.rank - 2], shape.dim[shape.rank - 1]};
  for (int32_t i = 0; i < shape.rank - 2; i++) sizes.batch *= shape.dim[i];
  return sizes;
}

/* ---- wide numbers (wide.c) -------------------------------------------------------------------- */

typedef struct {
  double re, im;
} reference_complex;

mica_dtype mica_reference_wide(mica_dtype dtype); /* I64, U64, F64 or C128 */
static inline size_t reference_wide_size(mica_dtype dtype) {
  return mica_dtype_is_complex(dtype) ? sizeof(reference_complex) : sizeof(double);
}
/* Bytes of `count` wide elements, rounded up to 64; false on overflow. */
bool mica_reference_wide_bytes(mica_dtype dtype, int64_t count, size_t *out_size);
/* Elements begin .. begin + count of an array to wide ones, and back. Widening begins at an even element of
 * 4-bit dtypes. */
void mica_reference_widen(mica_dtype dtype, const void *data, int64_t begin, int64_t count,
                          void *wide);
void mica_reference_narrow(mica_dtype dtype, void *data, int64_t begin, int64_t count,
                           const void *wide);
/* One wide element at `index` of an array. */
void mica_reference_widen_one(mica_dtype dtype, const void *data, int64_t index, void *wide);

/* What `kind` starts with, and one step of it: accumulator[at] = kind(accumulator[at], value[from]),
 * both arrays of the wide type of `dtype`. */
void mica_reference_neutral(mica_reduce_kind kind, mica_dtype dtype, void *wide);
void mica_reference_combine(mica_reduce_kind kind, mica_dtype dtype, void *accumulator, int64_t at,
                            const void *value, int64_t from);

reference_complex mica_reference_complex_mul(reference_complex x, reference_complex y);
double mica_reference_max(double x, double y); /* NaN if either is; 0 is above -0 */
double mica_reference_min(double x, double y);

/* Whether `challenger`, which comes later, takes the place of `best`: the first NaN beats all numbers,
 * then the first extreme wins. Both are of one class. */
bool mica_reference_beats(mica_element challenger, mica_element best, bool largest);

/* ---- places in arrays (move.c) ---------------------------------------------------------------- */

/* Row-major strides in elements. */
void mica_reference_strides(mica_shape shape, int64_t strides[MICA_MAX_RANK]);
/* Steps to the next index, row-major; false after the last one, which leaves zeros. */
bool mica_reference_next(const int64_t *dim, int32_t rank, int64_t *index);
static inline int64_t reference_place(const int64_t *index, const int64_t *strides, int32_t rank) {
  int64_t place = 0;
  for (int32_t axis = 0; axis < rank; axis++) place += index[axis] * strides[axis];
  return place;
}

/* Copies out[out_offset + i * out_stride] = in[in_offset + i * in_stride] for every index i below dim. */
typedef struct {
  int32_t rank;
  int64_t dim[MICA_MAX_RANK], in_stride[MICA_MAX_RANK], out_stride[MICA_MAX_RANK];
  int64_t in_offset, out_offset;
} reference_move;
void mica_reference_copy(mica_dtype dtype, const void *in, void *out, const reference_move *move);
/* Whole arrays of one type. */
void mica_reference_copy_all(mica_type type, const void *in, void *out);

#endif
