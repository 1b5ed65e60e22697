/* SPDX-License-Identifier: Apache-2.0 */
/* Types and messages of order, running folds, segments and quantiles. */
#include "unit/graph/ops_testing.h"

static mica_value second_of_sort(mica_graph *g) {
  mica_value in[2] = {F32(3, 4), I32(3, 4)}, out[2];
  mica_sort_together(in, 2, 1, 0, false, out);
  return out[1];
}
static mica_value sort_with(mica_value a, mica_value b, size_t keys, int32_t axis) {
  mica_value in[2] = {a, b}, out[2];
  mica_sort_together(in, 2, keys, axis, false, out);
  CHECK(!mica_is_valid(out[1]));
  return out[0];
}
static mica_value top(mica_value x, int64_t k, int32_t axis, bool places) {
  mica_value out[2];
  mica_top_k(x, k, axis, false, &out[0], &out[1]);
  mica_top_k(x, k, axis, false, NULL, NULL);
  return out[places];
}

TEST(types) {
  CHECK_TYPE(mica_sort(F32(3, 4), -1, false), "f32[3, 4]");
  CHECK_TYPE(mica_sort(BOOL(3), 0, true), "bool[3]");
  CHECK_TYPE(mica_arg_sort(F32(3, 4), 0, false), "i32[3, 4]");
  CHECK_TYPE(second_of_sort(g), "i32[3, 4]");
  CHECK_TYPE(top(F32(3, 4), 2, 1, false), "f32[3, 2]");
  CHECK_TYPE(top(F32(3, 4), 0, 0, true), "i32[0, 4]");
  CHECK_TYPE(mica_search_sorted(F32(5), F32(2, 3), false), "i32[2, 3]");
  CHECK_TYPE(mica_search_sorted(F32(2, 5), F32(2), true), "i32[2]");
  CHECK_TYPE(mica_cumulative_sum(I32(2, 3), 1), "i32[2, 3]");
  CHECK_TYPE(mica_cumulative_logsumexp(F32(2, 0), 1), "f32[2, 0]");
  CHECK_TYPE(mica_linear_recurrence(F32(4), F32(4), -1, true), "f32[4]");
  CHECK_TYPE(mica_segment_reduce(F32(6, 2), I32(6), 3, MICA_SEGMENT_MEAN), "f32[3, 2]");
  CHECK_TYPE(mica_bincount(I32(2, 3), (mica_value){0}, 9), "i32[9]");
  CHECK_TYPE(mica_bincount(I32(2, 3), F32(2, 3), 9), "f32[9]");
  CHECK_TYPE(mica_histogram(F32(2, 3), F32(5), (mica_value){0}), "i32[4]");
  CHECK_TYPE(mica_quantile(F32(2, 3, 4), F32(5), .axes = MICA_AXES(0, 2)), "f32[5, 3]");
  CHECK_TYPE(mica_quantile(F32(2, 3, 4), F32(5), .axes = MICA_KEEP(0, 2)), "f32[5, 1, 3, 1]");
  CHECK_TYPE(mica_quantile(F32(2, 0), SCALAR(F64), .axes = MICA_AXES(1)), "f32[2]");
  CHECK_TYPE(mica_median(F32(2, 3), MICA_ALL), "f32[]");
  CHECK_TYPE(mica_unique(F32(2, 3), 4, (mica_value){0}).values, "f32[4]");
  CHECK_TYPE(mica_unique(F32(2, 3), 4, (mica_value){0}).inverse, "i32[2, 3]");
  CHECK_TYPE(mica_unique(F32(0), 4, SCALAR(F32)).counts, "i32[4]");
}

TEST(messages) {
  CHECK_FAILS(mica_sort(F32(3, 4), 2, false), "sort(f32[3, 4])", "axis 2");
  CHECK_FAILS(mica_sort(SCALAR(F32), 0, false), "sort", "axis 0");
  CHECK_FAILS(mica_sort(SCALAR(C64), 0, false), "sort");
  CHECK_FAILS(mica_sort(input(g, MICA_C64, MICA_DIMS(3)), 0, false), "dtype c64 is not supported",
              "expected bool, integers");
  CHECK_FAILS(sort_with(F32(3), F32(4), 1, 0), "operands 0 and 1 have different shapes");
  CHECK_FAILS(sort_with(F32(3), F32(3), 0, 0), "0 keys: expected 1 to 2");
  CHECK_FAILS(sort_with(F32(3), F32(3), 3, 0), "3 keys: expected 1 to 2");
  CHECK_FAILS(sort_with(F32(3), (mica_value){0}, 1, 0), "sort_together", "operand 1");
  CHECK_FAILS(mica_arg_sort(F32(3), 1, false), "arg_sort(f32[3])", "axis 1");
  CHECK_FAILS(top(F32(3), 4, 0, false), "top_k(f32[3])", "k is 4: expected 0 to 3");
  CHECK_FAILS(top(F32(3), -1, 0, true), "k is -1");
  CHECK_FAILS(mica_search_sorted(F32(3), I32(3), false), "different dtypes");
  CHECK_FAILS(mica_search_sorted(SCALAR(F32), F32(3), false), "operand 0 is a scalar");
  CHECK_FAILS(mica_search_sorted(F32(2, 3), F32(3, 3), false), "the shapes do not fit");
  CHECK_FAILS(mica_cumulative_sum(F32(3), 1), "cumulative_sum(f32[3])", "axis 1");
  CHECK_FAILS(mica_cumulative_sum(BOOL(3), 0), "cumulative(bool[3])", "dtype bool");
  CHECK_FAILS(mica_cumulative_max(input(g, MICA_C64, MICA_DIMS(3)), 0),
              "c64 is not supported by max");
  CHECK_FAILS(mica_cumulative_logsumexp(I32(3), 0), "i32 is not supported by logsumexp");
  CHECK_FAILS(mica_cumulative(F32(3), .kind = (mica_cumulative_kind)9), "kind 9 is unknown");
  CHECK_FAILS(mica_linear_recurrence(F32(3), F32(4), 0, false), "different shapes");
  CHECK_FAILS(mica_linear_recurrence(F32(3), F32(3), 1, false), "linear_recurrence", "axis 1");
  CHECK_FAILS(mica_segment_reduce(F32(3), I32(4), 2, MICA_SEGMENT_SUM),
              "expected x [n, b...] and ids [n]");
  CHECK_FAILS(mica_segment_reduce(F32(3), I32(3), -2, MICA_SEGMENT_SUM), "segments is -2");
  CHECK_FAILS(mica_segment_reduce(I32(3), I32(3), 2, MICA_SEGMENT_MEAN),
              "dtype i32 is not supported");
  CHECK_FAILS(mica_segment_reduce(F32(3), F32(3), 2, MICA_SEGMENT_SUM), "expected indices");
  CHECK_FAILS(mica_segment_reduce(F32(3), I32(3), 2, (mica_segment_kind)7), "kind 7 is unknown");
  CHECK_FAILS(mica_bincount(F32(3), (mica_value){0}, 2), "expected indices");
  CHECK_FAILS(mica_bincount(I32(3), F32(2), 2), "weights of the shape of x");
  CHECK_FAILS(mica_bincount(I32(3), (mica_value){0}, -1), "length is -1");
  CHECK_FAILS(mica_histogram(F32(3), F32(1), (mica_value){0}), "edges [m + 1]");
  CHECK_FAILS(mica_histogram(F32(3), I32(4), (mica_value){0}), "different dtypes");
  CHECK_FAILS(mica_quantile(I32(3), F32(1), .axes = MICA_ALL), "quantile", "expected x and q of");
  CHECK_FAILS(mica_quantile(F32(3), F32(1, 1), .axes = MICA_ALL), "expected q [] or [m]");
  CHECK_FAILS(mica_quantile(F32(3), F32(1), .axes = MICA_AXES(1)), "axis 1");
  CHECK_FAILS(mica_quantile(F32(3), F32(1), .method = (mica_quantile_method)8), "method 8");
  CHECK_FAILS(mica_median(I32(3), MICA_ALL), "median", "mica_convert first");
  CHECK_FAILS(mica_unique(F32(3), -1, (mica_value){0}).counts, "size is negative");
  CHECK_FAILS(mica_unique(F32(3), 1, F32(1)).places, "expected a filling [] of x's dtype");
}

/* What a text can say and no builder would. */
TEST(texts) {
  mica_graph *g = scoped_graph();
  mica_value x = F32(4, 2);
  mica_value sorted = mica_build_operator(g, "sort", &x, 1, "axis=0, keys=1, descending=true");
  CHECK_EQ_INT(mica_rank_of(sorted), 2);
  mica_value best = mica_build_operator(g, "top_k", &x, 1, "axis=0, k=3, smallest=true");
  CHECK_EQ_INT(mica_dim_of(best, 0), 3);
  mica_value sum = mica_build_operator(g, "cumulative", &x, 1,
                                       "kind=max, axis=1, reverse=true, exclusive=false");
  CHECK_EQ_INT(mica_dim_of(sum, 0), 4);
  CHECK_OK(mica_graph_status(g, NULL));
  mica_build_operator(g, "sort", &x, 1, "axis=0, keys=2, descending=true");
  CHECK_STATUS(mica_graph_status(g, NULL), MICA_INVALID);
  mica_graph_destroy(g);
}

TEST_MAIN(TEST_CASE(types), TEST_CASE(messages), TEST_CASE(texts))
