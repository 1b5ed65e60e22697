/* SPDX-License-Identifier: Apache-2.0 */
/* test_reference_arrays.c: the oracle's data movement, indexing, reductions, windows and products, against
 * small examples worked out by the definitions, and against loops written the other way round. */
#include "core/tensor.h"
#include "graph/attributes.h"
#include "unit/backend/reference_support.h"

/* 0, 1, 2, ... */
static mica_value counted(mica_dtype dtype, mica_shape shape) {
  double values[512];
  for (int i = 0; i < 512; i++) values[i] = i;
  return constant_of(dtype, shape, values);
}

/* ---- movement --------------------------------------------------------------------------------- */

TEST(elements_move) {
  oracle_begin();
  for (int k = 0; k < 5; k++) {
    mica_dtype dtype = (const mica_dtype[]){MICA_U4, MICA_U8, MICA_F16, MICA_F32, MICA_C128}[k];
    mica_value x = counted(dtype, MICA_DIMS(2, 3));
    EXPECT(mica_transpose(x, MICA_AXES(1, 0)), dtype, MICA_DIMS(3, 2), 0, 3, 1, 4, 2, 5);
    EXPECT(mica_reverse(x, MICA_AXES(1)), dtype, MICA_DIMS(2, 3), 2, 1, 0, 5, 4, 3);
    EXPECT(mica_reverse(x, MICA_AXES(0, 1)), dtype, MICA_DIMS(2, 3), 5, 4, 3, 2, 1, 0);
    EXPECT(mica_reshape(x, MICA_DIMS(3, 2)), dtype, MICA_DIMS(3, 2), 0, 1, 2, 3, 4, 5);
    EXPECT(mica_slice(x, ":, 1:"), dtype, MICA_DIMS(2, 2), 1, 2, 4, 5);
    EXPECT(mica_slice(x, "1, ::2"), dtype, MICA_DIMS(2), 3, 5);
    EXPECT(mica_slice(x, "0:0"), dtype, MICA_DIMS(0, 3), 0);
    mica_value row = mica_slice(x, "1");
    EXPECT(mica_broadcast_in_dim(row, MICA_DIMS(3, 2), MICA_AXES(0)), dtype, MICA_DIMS(3, 2), 3, 3,
           4, 4, 5, 5);
    EXPECT(mica_concatenate((mica_value[]){row, mica_slice(x, "0, :2"), row}, 3, 0), dtype,
           MICA_DIMS(8), 3, 4, 5, 0, 1, 3, 4, 5);
    EXPECT(mica_concatenate((mica_value[]){x, mica_slice(x, ":, :1")}, 2, 1), dtype,
           MICA_DIMS(2, 4), 0, 1, 2, 0, 3, 4, 5, 3);
    mica_value nine = constant_of(dtype, MICA_SCALAR, NUMBERS(9));
    EXPECT(mica_pad(row, nine, (int64_t[]){1}, (int64_t[]){2}, (int64_t[]){1}), dtype, MICA_DIMS(8),
           9, 3, 9, 4, 9, 5, 9, 9);
    EXPECT(mica_pad(x, nine, (int64_t[]){0, -1}, (int64_t[]){1, -1}, (int64_t[]){0, 0}), dtype,
           MICA_DIMS(3, 1), 1, 4, 9);
    EXPECT(mica_pad(row, nine, (int64_t[]){-1}, (int64_t[]){-1}, (int64_t[]){1}), dtype,
           MICA_DIMS(3), 9, 4, 9);
    EXPECT(mica_pad(row, nine, (int64_t[]){-9}, (int64_t[]){9}, NULL), dtype, MICA_DIMS(3), 9, 9,
           9);
    mica_value condition = constant_of(MICA_BOOL, MICA_DIMS(3), NUMBERS(1, 0, 1));
    EXPECT(mica_select(condition, row, mica_slice(x, "0")), dtype, MICA_DIMS(3), 3, 1, 5);
  }
  EXPECT(mica_iota(oracle_graph, (mica_type){MICA_I16, MICA_DIMS(2, 3)}, 1), MICA_I16,
         MICA_DIMS(2, 3), 0, 1, 2, 0, 1, 2);
  EXPECT(mica_iota(oracle_graph, (mica_type){MICA_BF16, MICA_DIMS(2, 3)}, 0), MICA_BF16,
         MICA_DIMS(2, 3), 0, 0, 0, 1, 1, 1);
  oracle_end();
}

TEST(eight_axes) {
  oracle_begin();
  mica_shape shape = {.rank = 8, .dim = {2, 1, 3, 2, 1, 2, 3, 2}};
  const int32_t order[8] = {5, 0, 7, 2, 1, 6, 3, 4};
  mica_axes permutation = {.count = 8};
  double values[144], expected[144];
  int64_t strides[8], stride = 1;
  for (int axis = 7; axis >= 0; axis--) strides[axis] = stride, stride *= shape.dim[axis];
  CHECK_EQ_INT(stride, 144);
  mica_shape moved = {.rank = 8};
  for (int axis = 0; axis < 8; axis++) {
    permutation.axis[axis] = order[axis];
    moved.dim[axis] = shape.dim[order[axis]];
  }
  for (int64_t i = 0; i < 144; i++) {
    values[i] = (double)i;
    int64_t left = i, from = 0;
    for (int axis = 7; axis >= 0; axis--) {
      from += left % moved.dim[axis] * strides[order[axis]];
      left /= moved.dim[axis];
    }
    expected[i] = (double)from;
  }
  mica_value x = constant_of(MICA_F64, shape, values);
  expect_at(mica_transpose(x, permutation), MICA_F64, moved, expected, 0, __FILE__, __LINE__);
  oracle_end();
}

TEST(moving_windows_are_clamped) {
  oracle_begin();
  mica_value x = counted(MICA_I32, MICA_DIMS(3, 4));
  for (int64_t at = -2; at <= 4; at++) {
    double row = at < 0 ? 0 : at > 1 ? 1 : (double)at, first = 4 * row;
    mica_value start[2] = {constant_of(MICA_I64, MICA_SCALAR, NUMBERS((double)at)),
                           constant_of(MICA_I64, MICA_SCALAR, NUMBERS(100))};
    EXPECT(mica_dynamic_slice(x, start, MICA_DIMS(2, 1)), MICA_I32, MICA_DIMS(2, 1), first + 3,
           first + 7);
  }
  mica_value start[2] = {constant_of(MICA_I32, MICA_SCALAR, NUMBERS(5)),
                         constant_of(MICA_I32, MICA_SCALAR, NUMBERS(-5))};
  mica_value update = constant_of(MICA_I32, MICA_DIMS(1, 2), NUMBERS(-1, -2));
  EXPECT(mica_dynamic_update_slice(x, update, start), MICA_I32, MICA_DIMS(3, 4), 0, 1, 2, 3, 4, 5,
         6, 7, -1, -2, 10, 11);
  oracle_end();
}

/* ---- indexing --------------------------------------------------------------------------------- */

TEST(gather_reads_and_clamps) {
  oracle_begin();
  mica_value x = counted(MICA_F32, MICA_DIMS(3, 4));
  mica_value indices = constant_of(MICA_I32, MICA_DIMS(2, 2), NUMBERS(2, 0, -7, 99));
  EXPECT(mica_take(x, indices, 0), MICA_F32, MICA_DIMS(2, 2, 4), 8, 9, 10, 11, 0, 1, 2, 3, 0, 1, 2,
         3, 8, 9, 10, 11);
  EXPECT(mica_take(x, constant_of(MICA_I64, MICA_DIMS(2), NUMBERS(3, 1)), 1), MICA_F32,
         MICA_DIMS(3, 2), 3, 1, 7, 5, 11, 9);
  /* Windows of [2, 2] whose corners are index vectors (row, column), exchanged by start_index_map. */
  mica_value corners = constant_of(MICA_I32, MICA_DIMS(2, 2), NUMBERS(1, 0, 9, 9));
  EXPECT(mica_gather(x, corners, .offset_axes = MICA_AXES(1, 2), .start_index_map = MICA_AXES(1, 0),
                     .index_vector_axis = 1, .slice_sizes = MICA_DIMS(2, 2)),
         MICA_F32, MICA_DIMS(2, 2, 2), 1, 2, 5, 6, 6, 7, 10, 11);
  /* One column for each row: rows are batch axes. */
  mica_value columns = constant_of(MICA_I32, MICA_DIMS(3, 2), NUMBERS(0, 3, 1, 2, 3, 3));
  EXPECT(mica_take_along_axis(x, columns, 1), MICA_F32, MICA_DIMS(3, 2), 0, 3, 5, 6, 11, 11);
  EXPECT(mica_gather(x, columns, .collapsed_slice_axes = MICA_AXES(1),
                     .operand_batch_axes = MICA_AXES(0), .index_batch_axes = MICA_AXES(0),
                     .start_index_map = MICA_AXES(1), .index_vector_axis = 2,
                     .slice_sizes = MICA_DIMS(1, 1)),
         MICA_F32, MICA_DIMS(3, 2), 0, 3, 5, 6, 11, 11);
  oracle_end();
}

TEST(scatter_writes_and_skips) {
  oracle_begin();
  mica_value x = counted(MICA_I32, MICA_DIMS(3, 2));
  mica_value rows = constant_of(MICA_I32, MICA_DIMS(4), NUMBERS(1, -1, 1, 3));
  mica_value updates =
      constant_of(MICA_I32, MICA_DIMS(4, 2), NUMBERS(10, 20, 30, 40, 50, 60, 70, 80));
  EXPECT(mica_scatter_set(x, rows, updates), MICA_I32, MICA_DIMS(3, 2), 0, 1, 50, 60, 4, 5);
  EXPECT(mica_scatter_add(x, rows, updates), MICA_I32, MICA_DIMS(3, 2), 0, 1, 62, 83, 4, 5);
  mica_combine kinds[3] = {MICA_COMBINE_MUL, MICA_COMBINE_MAX, MICA_COMBINE_MIN};
  double expected[3][2] = {{1000, 3600}, {50, 60}, {2, 3}};
  for (int k = 0; k < 3; k++)
    EXPECT(mica_scatter(x, rows, updates, .combine = kinds[k], .update_window_axes = MICA_AXES(1),
                        .inserted_window_axes = MICA_AXES(0), .index_map = MICA_AXES(0),
                        .index_vector_axis = 1),
           MICA_I32, MICA_DIMS(3, 2), 0, 1, expected[k][0], expected[k][1], 4, 5);
  /* A window that hangs over the edge is skipped as a whole. */
  mica_value corner = constant_of(MICA_I32, MICA_DIMS(2, 1), NUMBERS(2, 1));
  mica_value blocks = constant_of(MICA_I32, MICA_DIMS(2, 2, 1), NUMBERS(-1, -2, -3, -4));
  EXPECT(mica_scatter(x, corner, blocks, .update_window_axes = MICA_AXES(1, 2),
                      .index_map = MICA_AXES(0), .index_vector_axis = 1),
         MICA_I32, MICA_DIMS(3, 2), 0, 1, -3, 3, -4, 5);
  /* Sums of narrow floats are rounded once: 1 + 300 / 512 in bf16 (1 + 1 / 512 would stay 1). */
  double small[300];
  for (int i = 0; i < 300; i++) small[i] = 1.0 / 512;
  mica_value one = constant_of(MICA_BF16, MICA_DIMS(1), NUMBERS(1));
  mica_value zeros = constant_of(MICA_I32, MICA_DIMS(300), (double[300]){0});
  EXPECT(mica_scatter_add(one, zeros, constant_of(MICA_BF16, MICA_DIMS(300), small)), MICA_BF16,
         MICA_DIMS(1), 1.5859375);
  oracle_end();
}

/* ---- reductions ------------------------------------------------------------------------------- */

TEST(reductions_fold) {
  oracle_begin();
  mica_value x = constant_of(MICA_F32, MICA_DIMS(2, 3), NUMBERS(1, -2, 3, 4, NAN, -6));
  EXPECT(mica_reduce_sum(x, MICA_AXES(0)), MICA_F32, MICA_DIMS(3), 5, NAN, -3);
  EXPECT(mica_reduce_max(x, MICA_AXES(1)), MICA_F32, MICA_DIMS(2), 3, NAN);
  EXPECT(mica_reduce_min(x, MICA_AXES(0)), MICA_F32, MICA_DIMS(3), 1, NAN, -6);
  EXPECT(mica_reduce_prod(x, MICA_KEEP(1)), MICA_F32, MICA_DIMS(2, 1), -6, NAN);
  mica_value cube = counted(MICA_I32, MICA_DIMS(2, 3, 4));
  EXPECT(mica_reduce_sum(cube, MICA_AXES(0, 2)), MICA_I32, MICA_DIMS(3), 60, 92, 124);
  EXPECT(mica_reduce_sum(cube, MICA_AXES(1)), MICA_I32, MICA_DIMS(2, 4), 12, 15, 18, 21, 48, 51, 54,
         57);
  EXPECT(mica_reduce_sum(cube, MICA_ALL), MICA_I32, MICA_SCALAR, 276);
  /* Nothing gives the neutral element. */
  mica_value empty = mica_slice(counted(MICA_F32, MICA_DIMS(2, 3)), "0:0");
  EXPECT(mica_reduce_sum(empty, MICA_AXES(0)), MICA_F32, MICA_DIMS(3), 0, 0, 0);
  EXPECT(mica_reduce_prod(empty, MICA_AXES(0)), MICA_F32, MICA_DIMS(3), 1, 1, 1);
  EXPECT(mica_reduce_max(empty, MICA_ALL), MICA_F32, MICA_SCALAR, -INFINITY);
  EXPECT(mica_reduce_min(empty, MICA_ALL), MICA_F32, MICA_SCALAR, INFINITY);
  EXPECT(mica_reduce_max(mica_convert(empty, MICA_I8), MICA_ALL), MICA_I8, MICA_SCALAR, -128);
  EXPECT(mica_reduce_min(mica_convert(empty, MICA_U16), MICA_ALL), MICA_U16, MICA_SCALAR, 65535);
  EXPECT(mica_reduce_and(mica_convert(empty, MICA_BOOL), MICA_ALL), MICA_BOOL, MICA_SCALAR, 1);
  EXPECT(mica_reduce_or(mica_convert(empty, MICA_BOOL), MICA_ALL), MICA_BOOL, MICA_SCALAR, 0);
  EXPECT(mica_reduce_and(mica_convert(empty, MICA_I16), MICA_ALL), MICA_I16, MICA_SCALAR, -1);
  mica_value bits = constant_of(MICA_U8, MICA_DIMS(3), NUMBERS(12, 10, 14));
  EXPECT(mica_reduce_and(bits, MICA_ALL), MICA_U8, MICA_SCALAR, 8);
  EXPECT(mica_reduce_or(bits, MICA_ALL), MICA_U8, MICA_SCALAR, 14);
  /* In f16 ones added one after the other stop at 2048; rounded once, 2051 lies between 2050 and 2052. */
  double ones[2051];
  for (int i = 0; i < 2051; i++) ones[i] = 1;
  EXPECT(mica_reduce_sum(constant_of(MICA_F16, MICA_DIMS(2051), ones), MICA_ALL), MICA_F16,
         MICA_SCALAR, 2052);
  oracle_end();
}

TEST(extremes_are_found) {
  oracle_begin();
  mica_value x =
      constant_of(MICA_F32, MICA_DIMS(3, 4), NUMBERS(1, 5, 5, 2, 7, NAN, 9, NAN, -1, -3, -3, -2));
  EXPECT(mica_arg_max(x, 1), MICA_I32, MICA_DIMS(3), 1, 1, 0);
  EXPECT(mica_arg_min(x, 1), MICA_I32, MICA_DIMS(3), 0, 1, 1);
  EXPECT(mica_arg_max(x, 0), MICA_I32, MICA_DIMS(4), 1, 1, 1, 1);
  mica_value u =
      raw_constant(MICA_U64, MICA_DIMS(3), ((uint64_t[]){5, UINT64_MAX, UINT64_MAX - 1}));
  EXPECT(mica_arg_max(u, 0), MICA_I32, MICA_SCALAR, 1);
  EXPECT(mica_arg_min(u, 0), MICA_I32, MICA_SCALAR, 0);
  oracle_end();
}

/* ---- windows ---------------------------------------------------------------------------------- */

TEST(windows_slide) {
  oracle_begin();
  mica_value x = constant_of(MICA_F32, MICA_DIMS(5), NUMBERS(1, 4, 2, 8, -1));
  EXPECT(mica_reduce_window(x, .kind = MICA_WINDOW_SUM, .window = {3}), MICA_F32, MICA_DIMS(3), 7,
         14, 9);
  EXPECT(mica_reduce_window(x, .kind = MICA_WINDOW_MAX, .window = {2}, .stride = {2}, .low = {1}),
         MICA_F32, MICA_DIMS(3), 1, 4, 8);
  EXPECT(mica_reduce_window(x, .kind = MICA_WINDOW_MIN, .window = {2}, .window_dilation = {3}),
         MICA_F32, MICA_DIMS(2), 1, -1);
  EXPECT(mica_reduce_window(x, .kind = MICA_WINDOW_SUM, .window = {2}, .base_dilation = {2}),
         MICA_F32, MICA_DIMS(8), 1, 4, 4, 2, 2, 8, 8, -1);
  EXPECT(mica_reduce_window(x, .kind = MICA_WINDOW_PROD, .window = {2}, .low = {-1}, .high = {2}),
         MICA_F32, MICA_DIMS(5), 8, 16, -8, -1, 1);
  EXPECT(mica_reduce_window(x, .kind = MICA_WINDOW_MAX, .window = {1}, .low = {1}), MICA_F32,
         MICA_DIMS(6), -INFINITY, 1, 4, 2, 8, -1);
  mica_value square = counted(MICA_I32, MICA_DIMS(3, 3));
  EXPECT(mica_reduce_window(square, .kind = MICA_WINDOW_SUM, .window = {2, 2}), MICA_I32,
         MICA_DIMS(2, 2), 8, 12, 20, 24);
  oracle_end();
}

static mica_value selected(mica_op op, mica_value x, mica_value other, int64_t window,
                           int64_t stride, int64_t low, int32_t kind) {
  mica_window_attr attr = {.kind = kind,
                           .window = {1, {window}},
                           .stride = {1, {stride}},
                           .base_dilation = {1, {1}},
                           .window_dilation = {1, {1}},
                           .low = {1, {low}},
                           .high = {1, {0}}};
  return mica_emit(x.graph, op, (mica_value[]){x, other}, 2, &attr);
}

TEST(selection_takes_the_first) {
  oracle_begin();
  mica_value x = constant_of(MICA_F32, MICA_DIMS(6), NUMBERS(3, 3, 1, 5, 5, 2));
  mica_value source = constant_of(MICA_F32, MICA_DIMS(4), NUMBERS(10, 20, 30, 40));
  /* Windows of 3 by 1: {3 3 1} {3 1 5} {1 5 5} {5 5 2}. */
  EXPECT(selected(MICA_OP_SELECT_AND_SCATTER, x, source, 3, 1, 0, MICA_REDUCE_MAX), MICA_F32,
         MICA_DIMS(6), 10, 0, 0, 90, 0, 0);
  EXPECT(selected(MICA_OP_SELECT_AND_SCATTER, x, source, 3, 1, 0, MICA_REDUCE_MIN), MICA_F32,
         MICA_DIMS(6), 0, 0, 60, 0, 0, 40);
  mica_value t = constant_of(MICA_F32, MICA_DIMS(6), NUMBERS(1, 2, 3, 4, 5, 6));
  EXPECT(selected(MICA_OP_SELECT_AND_GATHER, x, t, 3, 1, 0, MICA_REDUCE_MAX), MICA_F32,
         MICA_DIMS(4), 1, 4, 4, 4);
  /* A window that is padding alone selects nothing; one with a NaN selects that. */
  mica_value nan = constant_of(MICA_F32, MICA_DIMS(3), NUMBERS(1, NAN, 2));
  mica_value three = constant_of(MICA_F32, MICA_DIMS(3), NUMBERS(10, 20, 30));
  EXPECT(selected(MICA_OP_SELECT_AND_SCATTER, nan, three, 2, 2, 3, MICA_REDUCE_MAX), MICA_F32,
         MICA_DIMS(3), 20, 30, 0);
  EXPECT(selected(MICA_OP_SELECT_AND_GATHER, nan, nan, 2, 2, 3, MICA_REDUCE_MAX), MICA_F32,
         MICA_DIMS(3), 0, 1, NAN);
  oracle_end();
}

/* ---- products --------------------------------------------------------------------------------- */

TEST(dots_of_all_dtypes) {
  oracle_begin();
  mica_value x = counted(MICA_F32, MICA_DIMS(2, 3)), y = counted(MICA_F32, MICA_DIMS(3, 2));
  EXPECT(mica_matmul(x, y), MICA_F32, MICA_DIMS(2, 2), 10, 13, 28, 40);
  EXPECT(mica_dot_general(x, y, .x_contract = MICA_AXES(0), .y_contract = MICA_AXES(1)), MICA_F32,
         MICA_DIMS(3, 3), 3, 9, 15, 4, 14, 24, 5, 19, 33);
  EXPECT(mica_dot_general(x, y), MICA_F32, MICA_DIMS(2, 3, 3, 2), 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4,
         5, 0, 2, 4, 6, 8, 10, 0, 3, 6, 9, 12, 15, 0, 4, 8, 12, 16, 20, 0, 5, 10, 15, 20, 25);
  mica_value a = counted(MICA_F64, MICA_DIMS(2, 2, 3)), b = counted(MICA_F64, MICA_DIMS(3, 2, 2));
  /* Batch axes 0 of a and 2 of b: out[b, i, j] = sum_k a[b, i, k] b[k, j, b]. */
  double expected[8];
  for (int i = 0; i < 8; i++) {
    expected[i] = 0;
    for (int k = 0; k < 3; k++)
      expected[i] += (double)(i / 4 * 6 + i / 2 % 2 * 3 + k) * (double)(k * 4 + i % 2 * 2 + i / 4);
  }
  expect_at(mica_dot_general(a, b, .x_batch = MICA_AXES(0), .y_batch = MICA_AXES(2),
                             .x_contract = MICA_AXES(2), .y_contract = MICA_AXES(0)),
            MICA_F64, MICA_DIMS(2, 2, 2), expected, 0, __FILE__, __LINE__);
  /* i8 x i8 -> i32 does not wrap, -> i8 does. */
  mica_value bytes = constant_of(MICA_I8, MICA_DIMS(2), NUMBERS(-128, 127));
  mica_axes zero = MICA_AXES(0);
  EXPECT(mica_dot_general(bytes, bytes, .x_contract = zero, .y_contract = zero, .dtype = MICA_I32),
         MICA_I32, MICA_SCALAR, 32513);
  EXPECT(mica_dot_general(bytes, bytes, .x_contract = zero, .y_contract = zero), MICA_I8,
         MICA_SCALAR, 1);
  mica_value nibbles = constant_of(MICA_I4, MICA_DIMS(3), NUMBERS(-8, 7, 3));
  EXPECT(
      mica_dot_general(nibbles, nibbles, .x_contract = zero, .y_contract = zero, .dtype = MICA_I32),
      MICA_I32, MICA_SCALAR, 122);
  EXPECT(mica_dot_general(nibbles, nibbles), MICA_I4, MICA_DIMS(3, 3), 0, -8, -8, -8, 1, 5, -8, 5,
         -7);
  mica_value tiny = constant_of(MICA_F8E4M3FN, MICA_DIMS(2), NUMBERS(1.125, 0.0625));
  EXPECT(mica_dot_general(tiny, tiny, .x_contract = zero, .y_contract = zero, .dtype = MICA_F32),
         MICA_F32, MICA_SCALAR, 1.265625 + 0.00390625);
  float z[4] = {1, 2, 3, -1};
  mica_value complex = raw_constant(MICA_C64, MICA_DIMS(2), z);
  EXPECT_RAW(mica_dot_general(complex, complex, .x_contract = zero, .y_contract = zero), MICA_C64,
             MICA_SCALAR, ((float[]){5, -2}));
  mica_value nothing = mica_slice(x, ":, 0:0");
  EXPECT(mica_matmul(nothing, mica_slice(y, "0:0")), MICA_F32, MICA_DIMS(2, 2), 0, 0, 0, 0);
  oracle_end();
}

/* Adds what each element of x gives to the places of y that see it: the loops of the definition turned
 * inside out. Sizes [batch, n, in] and [k, in / groups, out]. */
static void convolve_by_scattering(const double *x, const int64_t *x_dim, const double *kernel,
                                   const int64_t *kernel_dim, const mica_convolution_attr *a,
                                   double *y, const int64_t *y_dim) {
  int64_t out_each = y_dim[2] / (a->groups * a->batch_groups);
  for (int64_t i = 0; i < y_dim[0] * y_dim[1] * y_dim[2]; i++) y[i] = 0;
  for (int64_t b = 0; b < x_dim[0]; b++)
    for (int64_t p = 0; p < x_dim[1]; p++)
      for (int64_t c = 0; c < x_dim[2]; c++)
        for (int64_t w = 0; w < kernel_dim[0]; w++) {
          int64_t reach = p * a->base_dilation.at[0] + a->low.at[0] - w * a->window_dilation.at[0];
          if (reach < 0 || reach % a->stride.at[0] != 0 || reach / a->stride.at[0] >= y_dim[1])
            continue;
          int64_t group = c / kernel_dim[1], batch_group = b / y_dim[0];
          for (int64_t o = 0; o < out_each; o++) {
            int64_t feature = (a->batch_groups > 1 ? batch_group : group) * out_each + o;
            y[((b % y_dim[0]) * y_dim[1] + reach / a->stride.at[0]) * y_dim[2] + feature] +=
                x[(b * x_dim[1] + p) * x_dim[2] + c] *
                kernel[(w * kernel_dim[1] + c % kernel_dim[1]) * kernel_dim[2] + feature];
          }
        }
}

TEST(convolutions) {
  oracle_begin();
  const struct {
    int64_t batch, size, in, window, out, stride, low, high, base, dilation, groups, batch_groups;
  } cases[] = {{2, 6, 3, 3, 4, 1, 0, 0, 1, 1, 1, 1},  {2, 7, 3, 3, 4, 2, 1, 1, 1, 1, 1, 1},
               {1, 5, 2, 2, 3, 1, 2, -1, 1, 2, 1, 1}, {2, 4, 3, 3, 2, 1, 1, 2, 3, 1, 1, 1},
               {2, 6, 4, 3, 6, 2, 1, 0, 1, 1, 2, 1},  {4, 5, 3, 2, 6, 1, 0, 1, 1, 1, 1, 2},
               {1, 6, 4, 3, 4, 1, 1, 1, 1, 1, 4, 1},  {3, 5, 2, 2, 3, 3, -1, 4, 2, 2, 1, 1}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    int64_t kernel_in = cases[i].in / cases[i].groups;
    mica_convolution_attr attr = {.stride = {1, {cases[i].stride}},
                                  .low = {1, {cases[i].low}},
                                  .high = {1, {cases[i].high}},
                                  .base_dilation = {1, {cases[i].base}},
                                  .window_dilation = {1, {cases[i].dilation}},
                                  .groups = cases[i].groups,
                                  .batch_groups = cases[i].batch_groups};
    mica_shape x_shape = MICA_DIMS(cases[i].batch, cases[i].size, cases[i].in);
    mica_shape kernel_shape = MICA_DIMS(cases[i].window, kernel_in, cases[i].out);
    double x[200], kernel[200], y[400];
    for (int k = 0; k < 200; k++)
      x[k] = (double)(k * 7 % 11 - 5), kernel[k] = (double)(k * 5 % 13 - 6);
    mica_value in[2] = {constant_of(MICA_F32, x_shape, x),
                        constant_of(MICA_F32, kernel_shape, kernel)};
    mica_value out = mica_emit(oracle_graph, MICA_OP_CONVOLUTION, in, 2, &attr);
    mica_shape y_shape = mica_shape_of(out);
    CHECK(mica_shape_count(y_shape) > 1 && mica_shape_count(y_shape) <= 400);
    convolve_by_scattering(x, x_shape.dim, kernel, kernel_shape.dim, &attr, y, y_shape.dim);
    expect_at(out, MICA_F32, y_shape, y, 0, __FILE__, __LINE__);
    /* The same in integers and complex numbers. */
    mica_value narrow[2] = {mica_convert(in[0], MICA_I32), mica_convert(in[1], MICA_I32)};
    expect_at(mica_emit(oracle_graph, MICA_OP_CONVOLUTION, narrow, 2, &attr), MICA_I32, y_shape, y,
              0, __FILE__, __LINE__);
    mica_value wide[2] = {mica_convert(in[0], MICA_C64), mica_convert(in[1], MICA_C64)};
    expect_at(mica_emit(oracle_graph, MICA_OP_CONVOLUTION, wide, 2, &attr), MICA_C64, y_shape, y, 0,
              __FILE__, __LINE__);
  }
  /* Two spatial axes: a 2 x 2 kernel over 3 x 3, by hand. */
  mica_value square = counted(MICA_F32, MICA_DIMS(1, 3, 3, 1));
  mica_value kernel = constant_of(MICA_F32, MICA_DIMS(2, 2, 1, 1), NUMBERS(1, 10, 100, 1000));
  EXPECT(mica_conv(square, kernel, .padding = MICA_VALID), MICA_F32, MICA_DIMS(1, 2, 2, 1), 4310,
         5421, 7643, 8754);
  oracle_end();
}

/* ---- random ----------------------------------------------------------------------------------- */

TEST(bits_are_those_of_philox) {
  oracle_begin();
  uint32_t keys[4] = {1, 2, 0xDEADBEEF, 7}, expected[2][7];
  mica_random_bits_attr attr = {.shape = MICA_DIMS(7)};
  mica_value key = raw_constant(MICA_U32, MICA_DIMS(2, 2), keys);
  mica_value bits = mica_emit(oracle_graph, MICA_OP_RANDOM_BITS, &key, 1, &attr);
  for (uint32_t k = 0; k < 2; k++)
    for (uint32_t i = 0; i < 7; i++) {
      uint32_t words[4];
      mica_philox((uint32_t[]){i / 4, 0, 0, 0}, keys + 2 * k, words);
      expected[k][i] = words[i % 4];
    }
  EXPECT_RAW(bits, MICA_U32, MICA_DIMS(2, 7), expected);
  oracle_end();
}

TEST_MAIN(TEST_CASE(elements_move), TEST_CASE(eight_axes), TEST_CASE(moving_windows_are_clamped),
          TEST_CASE(gather_reads_and_clamps), TEST_CASE(scatter_writes_and_skips),
          TEST_CASE(reductions_fold), TEST_CASE(extremes_are_found), TEST_CASE(windows_slide),
          TEST_CASE(selection_takes_the_first), TEST_CASE(dots_of_all_dtypes),
          TEST_CASE(convolutions), TEST_CASE(bits_are_those_of_philox))
