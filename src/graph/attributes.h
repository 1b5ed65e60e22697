/* SPDX-License-Identifier: Apache-2.0 */
/* attributes.h: the attribute struct of each operator that has one. Zero-initialize before
 * filling, so that unused entries compare equal. Axes are non-negative here; builders resolve
 * negative ones. */
#ifndef MICA_GRAPH_ATTRIBUTES_H
#define MICA_GRAPH_ATTRIBUTES_H
#include "graph/graph_internal.h"

typedef struct {
  int64_t index;
  mica_dtype dtype;
  mica_shape shape;
} mica_parameter_attr;
typedef struct {
  int64_t index;
  mica_dtype dtype;
  mica_shape shape;
} mica_argument_attr;
typedef struct {
  mica_tensor *value;
} mica_constant_attr;
/* `variable` is NULL in a parsed graph until mica_graph_bind. */
typedef struct {
  mica_variable *variable;
  const char *name;
  mica_dtype dtype;
  mica_shape shape;
} mica_variable_attr;
typedef struct {
  int64_t index;
} mica_result_attr;
typedef struct {
  mica_dtype dtype;
  mica_shape shape;
  int64_t axis;
} mica_iota_attr; /* 0, 1, 2, .. along axis */

typedef struct {
  mica_dtype dtype;
} mica_convert_attr;
typedef struct {
  const char *label;
} mica_mark_attr; /* the value goes to the log; an effect */
/* `custom` is NULL in a parsed graph until mica_graph_bind_custom. */
typedef struct {
  struct mica_custom_operator *custom;
  const char *name, *config;
  const char *results; /* their types: "f32[2, 3], i32[]" */
} mica_custom_attr;
typedef struct {
  const char *message;
} mica_assert_attr;
typedef enum {
  MICA_COMPARE_EQ,
  MICA_COMPARE_NE,
  MICA_COMPARE_LT,
  MICA_COMPARE_LE,
  MICA_COMPARE_GT,
  MICA_COMPARE_GE
} mica_compare_kind;
typedef struct {
  int32_t kind;
} mica_compare_attr; /* mica_compare_kind; NaN is unordered */

enum { MICA_POLYGAMMA_MOST = 64 };
typedef struct {
  int64_t order;
} mica_polygamma_attr; /* 1 to MICA_POLYGAMMA_MOST */
typedef struct {
  int64_t parameter;
} mica_betainc_slope_attr; /* operand that the slope is by: 0 or 1 */
typedef struct {
  bool log; /* the draw is a logarithm */
} mica_gamma_draw_attr;
typedef struct {
  mica_dtype dtype;
} mica_bitcast_attr;
typedef struct {
  int64_t exponent_bits, mantissa_bits;
} mica_reduce_precision_attr;

/* Operand axis i becomes result axis axes[i] (strictly increasing); its size is 1 or the
 * result's. */
typedef struct {
  mica_shape shape;
  mica_ints axes;
} mica_broadcast_attr;
typedef struct {
  mica_shape shape;
} mica_reshape_attr;
typedef struct {
  mica_ints permutation;
} mica_transpose_attr; /* result axis i is operand axis permutation[i] */
typedef struct {
  mica_ints axes;
} mica_reverse_attr;
typedef struct {
  mica_ints start, limit, stride;
} mica_slice_attr;
typedef struct {
  mica_ints low, high, interior;
} mica_pad_attr; /* operand 1 [] is the filling; low, high may be negative */
typedef struct {
  int64_t axis;
} mica_concatenate_attr;
/* Operands: x, then one i32 or i64 [] start for each axis, clamped into range. */
typedef struct {
  mica_ints sizes;
} mica_dynamic_slice_attr;

/* StableHLO's gather and scatter with batching axes. Indices are signed integers. Gather clamps the
 * start into range; scatter skips a window that does not lie in the operand as a whole. */
typedef struct {
  mica_ints offset_axes;          /* of the result, that come from slices */
  mica_ints collapsed_slice_axes; /* of the operand, dropped (slice size 1) */
  mica_ints operand_batch_axes, index_batch_axes;
  mica_ints start_index_map; /* operand axis of each index component */
  int64_t index_vector_axis; /* of the indices; their rank: an implicit last axis of size 1 */
  mica_ints slice_sizes;
} mica_gather_attr;
typedef enum {
  MICA_SCATTER_SET,
  MICA_SCATTER_ADD,
  MICA_SCATTER_MUL,
  MICA_SCATTER_MAX,
  MICA_SCATTER_MIN
} mica_scatter_kind;
typedef struct { /* operands: x, indices, updates */
  int32_t kind;  /* mica_scatter_kind; SET with equal indices: the last update wins */
  mica_ints update_window_axes;   /* of the updates, that lie in the window */
  mica_ints inserted_window_axes; /* of the operand, that the window lacks */
  mica_ints operand_batch_axes, index_batch_axes;
  mica_ints index_map; /* operand axis of each index component */
  int64_t index_vector_axis;
} mica_scatter_attr;

typedef enum {
  MICA_REDUCE_SUM,
  MICA_REDUCE_PROD,
  MICA_REDUCE_MAX,
  MICA_REDUCE_MIN,
  MICA_REDUCE_AND,
  MICA_REDUCE_OR
} mica_reduce_kind;
typedef struct {
  int32_t kind;
  mica_ints axes;
} mica_reduce_attr; /* axes strictly increasing; dropped */
typedef struct {
  int32_t kind;
  int64_t axis;
  mica_dtype dtype;
} mica_arg_reduce_attr; /* MAX or MIN: first NaN, else first extreme */

typedef struct {
  int32_t kind; /* mica_cumulative_kind */
  int64_t axis;
  bool reverse, exclusive;
} mica_cumulative_attr;
typedef struct {
  int64_t axis;
  bool reverse;
} mica_linear_recurrence_attr;

typedef struct {
  int64_t axis, keys; /* operands [0, keys) decide, the first one first */
  bool descending;
} mica_sort_attr;
typedef struct {
  int64_t axis, k;
  bool smallest;
} mica_top_k_attr;
typedef struct {
  bool right;
} mica_search_sorted_attr;

/* One entry for each axis of the operand. */
typedef struct {
  int32_t kind; /* mica_reduce_kind: SUM, MAX, MIN, PROD */
  mica_ints window, stride, base_dilation, window_dilation, low, high;
} mica_window_attr;
/* select_and_scatter(x, source): source is added where x is extreme (kind MAX or MIN) in its
 * window, the first one at equal values: the gradient of max-pooling. select_and_gather(x, t)
 * takes t there: its jvp. */

typedef struct {
  mica_ints lhs_batch, rhs_batch, lhs_contract, rhs_contract;
  mica_dtype dtype;
} mica_dot_attr; /* dtype of the result; NONE: the operands' */
/* x [batch, spatial..., in], kernel [spatial..., in / groups, out] -> [batch, spatial..., out];
 * entries per spatial axis. */
typedef struct {
  mica_ints stride, low, high, base_dilation, window_dilation;
  int64_t groups;       /* of features */
  int64_t batch_groups; /* the batch is cut too: used by gradients; 1 otherwise */
} mica_convolution_attr;
/* The two transposes of a convolution: convolution_backward_data(dy, kernel) -> x's shape and
 * convolution_backward_kernel(x, dy) -> the kernel's shape. `forward` is the convolution's own
 * attribute. */
typedef struct {
  mica_convolution_attr forward;
  mica_shape shape;
} mica_convolution_backward_attr;

typedef enum { MICA_FFT_FFT, MICA_FFT_IFFT, MICA_FFT_RFFT, MICA_FFT_IRFFT } mica_fft_kind;
typedef struct {
  int32_t kind;      /* mica_fft_kind */
  mica_ints lengths; /* of the transform along each of the last axes */
  double scale;      /* of every result */
} mica_fft_attr;

typedef struct {
  bool lower, transpose, unit_diagonal;
} mica_triangular_solve_attr; /* op(a) x = b, a [..., n, n], b [..., n, m] */
typedef struct {
  bool transpose;
} mica_solve_attr; /* op(a) x = b */
typedef struct {
  bool full;
} mica_qr_attr; /* Q [m, m] and R [m, n], for m > n too */
typedef struct {
  double rcond;
} mica_pinv_attr; /* singular values of at most rcond times the largest count as 0 */

typedef struct {
  mica_shape shape;
} mica_random_bits_attr; /* key u32 [batch..., 2] -> u32 [batch..., shape...] */

typedef struct {
  bool tanh;
} mica_gelu_attr;
typedef struct {
  int64_t axis;
} mica_softmax_attr; /* and log_softmax */
typedef struct {
  double epsilon;
} mica_layer_norm_attr; /* x [..., n], scale [n], bias [n], over the last axis */
typedef struct {
  int64_t axis, depth;
  mica_dtype dtype;
} mica_one_hot_attr;
/* q [..., tq, d], k [..., tk, d], v [..., tk, dv], optional mask bool [..., tq, tk] (true: may
 * look). */
typedef struct {
  double scale;
  bool causal;
} mica_attention_attr;

typedef struct {
  int64_t max_iterations;
  int64_t state_count;
} mica_while_attr;
typedef struct {
  int64_t length, carry_count;
  bool reverse;
} mica_scan_attr;
typedef struct {
  int64_t input_count;
} mica_custom_gradient_attr;

/* Several devices (graph/mesh.h reads the texts). `mesh` is "data=2, model=4". */
typedef struct {
  const char *mesh, *sharding; /* "data, -" */
} mica_shard_attr;
typedef struct {
  const char *mesh, *in, *out; /* shardings: "data, -; model" */
} mica_manual_attr;
/* Collectives begin alike: the mesh of their region, and the axes that take part: "data+model". */
typedef struct {
  const char *mesh, *axes;
} mica_collective_attr; /* axis_index */
typedef struct {
  const char *mesh, *axes;
  int32_t kind; /* mica_reduce_kind: SUM to MIN */
} mica_all_reduce_attr;
typedef struct {
  const char *mesh, *axes;
  int64_t axis;
} mica_all_gather_attr; /* and reduce_scatter, a sum */
typedef struct {
  const char *mesh, *axes;
  int64_t split_axis, concat_axis;
} mica_all_to_all_attr;
typedef struct {
  const char *mesh, *axes, *pairs; /* "0 1, 1 2": from, to */
} mica_permute_attr;
#endif
