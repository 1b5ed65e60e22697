/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays made of numbers and of others: types, and what the messages say. */
#include <math.h>

#include "unit/graph/ops_testing.h"

static mica_value meshed(mica_graph *g, int64_t m, int64_t n, bool xy) {
  mica_value in[2] = {F32(m), F32(n)}, out[2];
  mica_meshgrid(in, 2, xy, out);
  CHECK(mica_shape_equal(mica_shape_of(out[0]), mica_shape_of(out[1])));
  return out[1];
}
static mica_value unstacked(mica_value x, int32_t axis, size_t count) {
  mica_value out[4] = {{0}};
  mica_unstack(x, axis, count, out);
  return out[count - 1];
}
static mica_value cut(mica_value x, int32_t axis, int64_t a, int64_t b) {
  mica_value out[2] = {{0}};
  mica_split_sizes(x, axis, (int64_t[]){a, b}, 2, out);
  return out[1];
}

TEST(made_of_numbers) {
  CHECK_TYPE(mica_zeros(g, ((mica_type){MICA_BOOL, MICA_DIMS(2)})), "bool[2]");
  CHECK_TYPE(mica_ones(g, ((mica_type){MICA_F16, MICA_SCALAR})), "f16[]");
  CHECK_TYPE(mica_eye(g, MICA_I8, 2, 3, -9), "i8[2, 3]");
  CHECK_TYPE(mica_eye(g, MICA_F32, 0, 3, 0), "f32[0, 3]");
  CHECK_TYPE(mica_arange(g, MICA_F32, 0, 1, 0.1), "f32[10]");
  CHECK_TYPE(mica_arange(g, MICA_I32, 5, 0, -2), "i32[3]");
  CHECK_TYPE(mica_arange(g, MICA_I32, 5, 0, 2), "i32[0]");
  CHECK_TYPE(mica_linspace(g, MICA_BF16, 0, 1, 1), "bf16[1]");
  CHECK_TYPE(mica_linspace(g, MICA_BF16, 0, 1, 0), "bf16[0]");
  CHECK_TYPE(meshed(g, 2, 3, false), "f32[2, 3]");
  CHECK_TYPE(meshed(g, 2, 3, true), "f32[3, 2]");
  CHECK_FAILS(mica_eye(g, MICA_F32, -1, 3, 0), "eye(): -1 rows and 3 columns");
  CHECK_FAILS(mica_arange(g, MICA_F32, 0, 1, 0), "arange(): 0 to 1 by 0", "a step that is not 0");
  CHECK_FAILS(mica_arange(g, MICA_F32, 0, INFINITY, 1), "expected finite numbers");
  CHECK_FAILS(mica_arange(g, MICA_F32, 0, 1e300, 1), "fewer than 2^53");
  CHECK_FAILS(mica_arange(g, MICA_I32, 0.5, 3, 1), "i32 from 0.5 by 1: expected whole numbers");
  CHECK_FAILS(mica_arange(g, MICA_BOOL, 0, 3, 1), "arange(): dtype bool is not supported");
  CHECK_FAILS(mica_linspace(g, MICA_I32, 0, 3, 1), "linspace(): 1 of i32");
  CHECK_FAILS(mica_linspace(g, MICA_F32, 0, 3, -1), "linspace(): -1 of f32");
  CHECK_FAILS(mica_linspace(g, MICA_F32, 0, NAN, 2), "finite ends");
  mica_value many[9], made[9];
  mica_graph *graph = scoped_graph();
  for (int i = 0; i < 9; i++) many[i] = input(graph, MICA_F32, MICA_DIMS(2));
  mica_meshgrid(many, 9, false, made);
  mica_error error = {0};
  CHECK_STATUS(mica_graph_status(graph, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "9 values: expected at most 8");
  mica_graph_destroy(graph);
  graph = scoped_graph();
  many[0] = input(graph, MICA_F32, MICA_DIMS(2, 2));
  mica_meshgrid(many, 1, false, made);
  CHECK_STATUS(mica_graph_status(graph, &error), MICA_INVALID);
  mica_graph_destroy(graph);
  /* Without a graph there is nothing to complain to. */
  CHECK(!mica_is_valid(mica_arange(NULL, MICA_F32, 0, 1, 1)));
  CHECK(!mica_is_valid(mica_eye(NULL, MICA_F32, 1, 1, 0)));
  CHECK(!mica_is_valid(mica_linspace(NULL, MICA_F32, 0, 1, 1)));
}

TEST(axes_and_parts) {
  CHECK_TYPE(mica_move_axis(F32(2, 3, 4), 0, 2), "f32[3, 4, 2]");
  CHECK_TYPE(mica_move_axis(F32(2, 3, 4), -1, 0), "f32[4, 2, 3]");
  CHECK_TYPE(unstacked(F32(2, 3), 0, 2), "f32[3]");
  CHECK_TYPE(cut(F32(5, 2), 0, 5, 0), "f32[0, 2]");
  CHECK_FAILS(mica_move_axis(F32(2, 3), 0, 2), "move_axis(f32[2, 3])", "axis 2 does not exist");
  CHECK_FAILS(mica_move_axis(F32(2, 3), -3, 0), "axis -3 does not exist");
  CHECK_FAILS(unstacked(F32(2, 3), 1, 2), "unstack(f32[2, 3])", "2 values of axis 1: expected 3");
  CHECK_FAILS(unstacked(F32(2, 3), 2, 2), "axis 2 does not exist");
  CHECK_FAILS(cut(F32(5), 0, 2, 2), "split_sizes(f32[5])", "axis 0 has size 5: expected 2 sizes");
  CHECK_FAILS(cut(F32(5), 0, 6, -1), "expected 2 sizes of at least 0");
  CHECK_FAILS(cut(F32(5), 0, INT64_MAX, INT64_MAX), "that add up to it");
}

TEST(repeats_and_shifts) {
  CHECK_TYPE(mica_roll(F32(5, 2), INT64_MIN, 0), "f32[5, 2]");
  CHECK_TYPE(mica_roll(F32(0, 2), 1, 0), "f32[0, 2]");
  CHECK_TYPE(mica_tile(F32(2, 3), MICA_DIMS(2)), "f32[2, 6]");
  CHECK_TYPE(mica_tile(F32(2, 3), MICA_DIMS(0, 1)), "f32[0, 3]");
  CHECK_TYPE(mica_tile(SCALAR(F32), MICA_DIMS(2, 3)), "f32[2, 3]");
  CHECK_TYPE(mica_tile(F32(1, 2, 1, 2, 1, 2, 1, 2), MICA_DIMS(2, 2, 2, 2, 2, 2, 2, 2)),
             "f32[2, 4, 2, 4, 2, 4, 2, 4]");
  CHECK_TYPE(mica_repeat(F32(2, 3), 4, 1), "f32[2, 12]");
  CHECK_TYPE(mica_repeat(F32(2, 3), 0, 0), "f32[0, 3]");
  CHECK_FAILS(mica_roll(SCALAR(F32), 1, 0), "roll(f32[])", "a scalar has no axes");
  CHECK_FAILS(mica_tile(F32(2), MICA_DIMS(-1)), "tile(f32[2])", "times [-1]");
  CHECK_FAILS(mica_tile(F32(2), ((mica_shape){.rank = 9})), "at most 8 numbers");
  CHECK_FAILS(mica_tile(F32(4, 2), MICA_DIMS(INT64_MAX / 2, 1)), "f32[");
  CHECK_FAILS(mica_repeat(F32(2), -1, 0), "repeat(f32[2])", "-1 times: expected at least 0");
  CHECK_FAILS(mica_repeat(F32(4), INT64_MAX, 0), "no overflow");
}

TEST(diagonals_and_triangles) {
  CHECK_TYPE(mica_diagonal(F32(2, 3, 4), 0, 0, 1), "f32[4, 2]");
  CHECK_TYPE(mica_diagonal(F32(2, 3, 4), 0, 1, 0), "f32[4, 2]");
  CHECK_TYPE(mica_diagonal(F32(3, 4), 2, 0, 1), "f32[2]");
  CHECK_TYPE(mica_diagonal(F32(3, 4), 4, 0, 1), "f32[0]");
  CHECK_TYPE(mica_diagonal(F32(3, 4), -3, 0, 1), "f32[0]");
  CHECK_TYPE(mica_diagonal(F32(3, 4), INT64_MIN, 0, 1), "f32[0]");
  CHECK_TYPE(mica_diagonal(F32(0, 4), 0, 0, 1), "f32[0]");
  CHECK_TYPE(mica_diag_embed(F32(2, 3), -2), "f32[2, 5, 5]");
  CHECK_TYPE(mica_diag_embed(F32(2, 0), 2), "f32[2, 2, 2]");
  CHECK_TYPE(mica_diag_embed(F32(0), 0), "f32[0, 0]");
  CHECK_TYPE(mica_diag(F32(3), 1), "f32[4, 4]");
  CHECK_TYPE(mica_diag(F32(3, 2), 1), "f32[1]");
  CHECK_TYPE(mica_tril(F32(2, 3, 4), INT64_MAX), "f32[2, 3, 4]");
  CHECK_TYPE(mica_triu(BOOL(3, 4), INT64_MIN), "bool[3, 4]");
  CHECK_FAILS(mica_diagonal(F32(3, 4), 0, 1, -1), "diagonal(f32[3, 4])", "axis 1 is given twice");
  CHECK_FAILS(mica_diagonal(F32(3), 0, 0, 1), "axis 1 does not exist");
  CHECK_FAILS(mica_diag_embed(SCALAR(F32), 0), "diag_embed(f32[])", "expected rank 1 to 7");
  CHECK_FAILS(mica_diag_embed(F32(3), INT64_MIN), "the matrix is too large");
  CHECK_FAILS(mica_diag_embed(F32(3), (int64_t)1 << 40), "the matrix is too large");
  CHECK_FAILS(mica_diag(F32(3, 2, 2), 1), "diag(f32[3, 2, 2])", "expected rank 1 or 2");
  CHECK_FAILS(mica_tril(F32(3), 1), "tril(f32[3])", "a rank of at least 2");
  CHECK_FAILS(mica_triu(F32(3), 1), "triu(f32[3])", "a rank of at least 2");
}

TEST(indices_along_an_axis) {
  CHECK_TYPE(mica_put_along_axis(F32(3, 4), I32(3, 9), F32(3, 9), 1), "f32[3, 4]");
  CHECK_FAILS(mica_put_along_axis(F32(3, 4), I32(2, 9), F32(3, 9), 1),
              "put_along_axis(f32[3, 4], i32[2, 9], f32[3, 9])", "equal sizes but along axis 1");
  CHECK_FAILS(mica_put_along_axis(F32(3, 4), I32(9), F32(9), 1), "of the operand's rank");
  CHECK_FAILS(mica_add_along_axis(F32(3, 4), I32(3, 9), F32(3, 8), 1),
              "expected updates of the indices' shape");
  CHECK_FAILS(mica_add_along_axis(F32(3, 4), F32(3, 9), F32(3, 9), 1), "scatter(");
  CHECK_FAILS(mica_add_along_axis(F32(3, 4), I32(3, 9), F32(3, 9), 2), "axis 2 does not exist");
}

TEST_MAIN(TEST_CASE(made_of_numbers), TEST_CASE(axes_and_parts), TEST_CASE(repeats_and_shifts),
          TEST_CASE(diagonals_and_triangles), TEST_CASE(indices_along_an_axis))
