/* SPDX-License-Identifier: Apache-2.0 */
/* Data movement: shapes, numpy's slice notation, messages, and which nodes a batching rule
 * makes. */
#include "unit/graph/ops_testing.h"

#include "graph/attributes.h"

TEST(broadcasts) {
  CHECK_TYPE(mica_broadcast_to(F32(3), MICA_DIMS(2, 3)), "f32[2, 3]");
  CHECK_TYPE(mica_broadcast_to(F32(2, 1), MICA_DIMS(4, 2, 0)), "f32[4, 2, 0]");
  CHECK_TYPE(mica_broadcast_in_dim(F32(2), MICA_DIMS(2, 3), MICA_AXES(0)), "f32[2, 3]");
  CHECK_TYPE(mica_broadcast_in_dim(F32(2, 1), MICA_DIMS(2, 4, 3), MICA_AXES(0, -1)),
             "f32[2, 4, 3]");
  CHECK_TYPE(mica_broadcast_in_dim(SCALAR(I4), MICA_DIMS(2), (mica_axes){0}), "i4[2]");
  CHECK_FAILS(mica_broadcast_to(F32(2), MICA_DIMS(2, 3)), "broadcast(f32[2])", "axis 0 of size 2",
              "axis 1 of [2, 3]", "expected size 1 or 3");
  CHECK_FAILS(mica_broadcast_to(F32(2, 3), MICA_DIMS(3)), "broadcast_to(f32[2, 3])",
              "[3] has too few axes", "expected at least 2");
  CHECK_FAILS(mica_broadcast_to(F32(1), MICA_DIMS(-2)), "broadcast(f32[1])",
              "negative size at axis 0");
  CHECK_FAILS(mica_broadcast_to(F32(1), ((mica_shape){.rank = 9})), "broadcast(f32[1])", "rank 9");
  CHECK_FAILS(mica_broadcast_in_dim(F32(2), MICA_DIMS(2, 3), MICA_AXES(0, 1)), "broadcast(f32[2])",
              "axes has 2 entries", "expected 1");
  CHECK_FAILS(mica_broadcast_in_dim(F32(2, 3), MICA_DIMS(2, 3), MICA_AXES(1, 0)),
              "broadcast(f32[2, 3])", "not sorted", "expected increasing axes");
  CHECK_FAILS(mica_broadcast_in_dim(F32(2, 3), MICA_DIMS(2, 3), MICA_AXES(0, 0)),
              "axis 0 is listed twice");
  CHECK_FAILS(mica_broadcast_in_dim(F32(2), MICA_DIMS(2, 3), MICA_AXES(2)), "axis 2 does not exist",
              "expected -2 to 1");
  CHECK_FAILS(mica_broadcast_in_dim(F32(2), MICA_DIMS(2), MICA_ALL), "broadcast_in_dim(f32[2])",
              "-1 axes are listed");
}

TEST(reshapes) {
  CHECK_TYPE(mica_reshape(F32(2, 6), MICA_DIMS(3, 4)), "f32[3, 4]");
  CHECK_TYPE(mica_reshape(F32(2, 6), MICA_DIMS(-1, 4)), "f32[3, 4]");
  CHECK_TYPE(mica_reshape(F32(0, 6), MICA_DIMS(-1, 3)), "f32[0, 3]");
  CHECK_TYPE(mica_reshape(F32(1), MICA_SCALAR), "f32[]");
  CHECK_TYPE(mica_flatten(F32(2, 3, 4), 1), "f32[2, 12]");
  CHECK_TYPE(mica_flatten(F32(2, 3, 4), 0), "f32[24]");
  CHECK_TYPE(mica_flatten(F32(2, 3, 4), -1), "f32[2, 3, 4]");
  CHECK_TYPE(mica_flatten(SCALAR(F32), 0), "f32[1]");
  CHECK_TYPE(mica_expand_dims(F32(2, 3), 0), "f32[1, 2, 3]");
  CHECK_TYPE(mica_expand_dims(F32(2, 3), -1), "f32[2, 3, 1]");
  CHECK_TYPE(mica_expand_dims(SCALAR(F32), 0), "f32[1]");
  CHECK_TYPE(mica_squeeze(F32(1, 2, 1), MICA_AXES(0)), "f32[2, 1]");
  CHECK_TYPE(mica_squeeze(F32(1, 2, 1), MICA_AXES(-1, 0)), "f32[2]");
  CHECK_TYPE(mica_squeeze(F32(1, 2, 1), MICA_ALL), "f32[2]");
  CHECK_FAILS(mica_reshape(F32(2, 3), MICA_DIMS(4)), "reshape(f32[2, 3])",
              "6 elements cannot take the shape [4]", "expected 4");
  CHECK_FAILS(mica_reshape(F32(2, 3), MICA_DIMS(-1, -1)), "reshape(f32[2, 3])", "[-1, -1]",
              "at most one -1");
  CHECK_FAILS(mica_reshape(F32(2, 3), MICA_DIMS(-1, 4)), "[-1, 4]",
              "divide the number of elements");
  CHECK_FAILS(mica_reshape(F32(0, 3), MICA_DIMS(-1, 0)), "no size of 0 beside it");
  CHECK_FAILS(mica_reshape(F32(2), MICA_DIMS(-1, -5)), "expected sizes >= 0");
  CHECK_FAILS(mica_reshape(F32(2), MICA_DIMS(-2)), "reshape(f32[2])", "negative size at axis 0");
  CHECK_FAILS(mica_flatten(F32(2), 1), "flatten(f32[2])", "axis 1 does not exist",
              "expected -1 to 0");
  CHECK_FAILS(mica_expand_dims(F32(2), 2), "expand_dims(f32[2])", "axis 2: expected -2 to 1");
  CHECK_FAILS(mica_expand_dims(F32(1, 1, 1, 1, 1, 1, 1, 1), 0), "expand_dims(",
              "expected a rank below 8");
  CHECK_FAILS(mica_squeeze(F32(1, 2), MICA_AXES(1)), "squeeze(f32[1, 2])",
              "axis 1 has size 2: expected 1");
  CHECK_FAILS(mica_squeeze(F32(1), MICA_AXES(0, -1)), "axis 0 is listed twice");
  CHECK_FAILS(mica_squeeze(F32(1), ((mica_axes){.count = 9})), "9 axes are listed",
              "expected at most 8");
}

TEST(transposes_and_reverses) {
  CHECK_TYPE(mica_transpose(F32(2, 3, 4), MICA_AXES(2, 0, 1)), "f32[4, 2, 3]");
  CHECK_TYPE(mica_transpose(F32(2, 3, 4), MICA_AXES(-1, 0, 1)), "f32[4, 2, 3]");
  CHECK_TYPE(mica_transpose(F32(2, 3, 4), MICA_ALL), "f32[4, 3, 2]");
  CHECK_TYPE(mica_swap_axes(F32(2, 3, 4), 0, -1), "f32[4, 3, 2]");
  CHECK_TYPE(mica_reverse(F32(2, 3), MICA_AXES(1)), "f32[2, 3]");
  CHECK_TYPE(mica_reverse(F32(2, 3), MICA_ALL), "f32[2, 3]");
  CHECK_FAILS(mica_transpose(F32(2, 3), MICA_AXES(0)), "transpose(f32[2, 3])",
              "permutation has 1 entry", "expected 2, one for each axis");
  CHECK_FAILS(mica_transpose(F32(2, 3), MICA_AXES(0, 0)), "transpose(f32[2, 3])",
              "axis 0 is listed twice");
  CHECK_FAILS(mica_transpose(F32(2, 3), MICA_AXES(0, 2)), "axis 2 does not exist",
              "expected -2 to 1");
  CHECK_FAILS(mica_swap_axes(F32(2, 3), 0, 2), "swap_axes(f32[2, 3])", "axis 2 does not exist");
  CHECK_FAILS(mica_reverse(F32(2, 3), MICA_AXES(-3)), "reverse(f32[2, 3])",
              "axis -3 does not exist");
  CHECK_FAILS(mica_emit(g, MICA_OP_REVERSE, (mica_value[]){F32(2, 3)}, 1,
                        &(mica_reverse_attr){.axes = {2, {1, 0}}}),
              "not sorted");
}

TEST(slices) {
  CHECK_TYPE(mica_slice_axis(F32(2, 7), 1, 1, 6, 2), "f32[2, 3]");
  CHECK_TYPE(mica_slice_axis(F32(2, 7), -2, 1, 1, 1), "f32[0, 7]");
  CHECK_TYPE(mica_slice_with(F32(5, 4), (int64_t[]){1, 0}, (int64_t[]){5, 4}, (int64_t[]){3, 9}),
             "f32[2, 1]");
  CHECK_TYPE(mica_slice_with(F32(5, 4), NULL, NULL, NULL), "f32[5, 4]");
  CHECK_FAILS(mica_slice_axis(F32(2, 7), 1, 3, 8, 1), "slice(f32[2, 7])",
              "axis 1: start 3, limit 8", "expected 0 <= start <= limit <= 7");
  CHECK_FAILS(mica_slice_axis(F32(7), 0, -1, 3, 1), "start -1, limit 3");
  CHECK_FAILS(mica_slice_axis(F32(7), 0, 4, 3, 1), "start 4, limit 3");
  CHECK_FAILS(mica_slice_axis(F32(7), 0, 0, 7, 0), "stride 0: expected at least 1");
  CHECK_FAILS(mica_slice_axis(F32(7), 1, 0, 7, 1), "slice_axis(f32[7])", "axis 1 does not exist");
  CHECK_FAILS(mica_emit(g, MICA_OP_SLICE, (mica_value[]){F32(7)}, 1,
                        &(mica_slice_attr){{1, {0}}, {2, {3, 4}}, {1, {1}}}),
              "slice(f32[7])", "limit has 2 entries: expected 1");
}

/* What numpy gives for an array of shape [5, 6, 7]. */
TEST(slice_notation_is_numpys) {
  static const struct {
    const char *ranges, *type;
  } cases[] = {
      {"", "f32[5, 6, 7]"},
      {"1:", "f32[4, 6, 7]"},
      {":3", "f32[3, 6, 7]"},
      {"1:4", "f32[3, 6, 7]"},
      {"::2", "f32[3, 6, 7]"},
      {"1::2, 1:-1", "f32[2, 4, 7]"},
      {"-2:", "f32[2, 6, 7]"},
      {":-4", "f32[1, 6, 7]"},
      {"3:1", "f32[0, 6, 7]"},
      {"0", "f32[6, 7]"},
      {"-1, 2", "f32[7]"},
      {"-5, -6, 6", "f32[]"},
      {"..., 0", "f32[5, 6]"},
      {"0, ...", "f32[6, 7]"},
      {"0, ..., 1", "f32[6]"},
      {"...", "f32[5, 6, 7]"},
      {":, :, 2:3", "f32[5, 6, 1]"},
      {" 1 : 3 ,:,-1 ", "f32[2, 6]"},
      {"-99:99", "f32[5, 6, 7]"},
      {"7:9", "f32[0, 6, 7]"},
      {"::9", "f32[1, 6, 7]"},
      {":0", "f32[0, 6, 7]"},
      {"0:5:4, 5::3", "f32[2, 1, 7]"},
      {"0, ..., 1, 2", "f32[]"},
      {"..., 1:2, 1:3", "f32[5, 1, 2]"},
      {"-9223372036854775808:9223372036854775807", "f32[5, 6, 7]"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    mica_graph *g = scoped_graph();
    check_type_text(g, mica_slice(F32(5, 6, 7), cases[i].ranges), cases[i].type, cases[i].ranges,
                    __FILE__, __LINE__);
    mica_graph_destroy(g);
  }
  mica_graph *g = scoped_graph();
  mica_value x = F32(5, 6, 7);
  mica_slice(x, "-4:-1:2, ..., -2");
  const mica_slice_attr *attr = mica_node_at(g, x.id + 1)->attr;
  CHECK_EQ_INT(attr->start.at[0], 1);
  CHECK_EQ_INT(attr->limit.at[0], 4);
  CHECK_EQ_INT(attr->stride.at[0], 2);
  CHECK_EQ_INT(attr->limit.at[1], 6);
  CHECK_EQ_INT(attr->start.at[2], 5);
  CHECK_EQ_INT(attr->limit.at[2], 6);
  mica_graph_destroy(g);
}

TEST(slice_notation_points_at_the_part) {
  CHECK_FAILS(mica_slice(F32(2, 3), NULL), "slice(f32[2, 3])", "the ranges are NULL");
  CHECK_FAILS(mica_slice(F32(2, 3), "0, 1, 2"), "slice(f32[2, 3])", "\"0, 1, 2\" has 3 parts",
              "expected at most 2");
  CHECK_FAILS(mica_slice(F32(2, 3), "..., 0, 1, 2"), "has 3 parts");
  CHECK_FAILS(mica_slice(F32(2, 3), ":, x"), "part 1 \" x\" of \":, x\"",
              "expected start:stop:step, an index, \"None\" or");
  CHECK_FAILS(mica_slice(F32(2, 3), "1:2:3:4"), "part 0 \"1:2:3:4\"", "expected start:stop:step");
  CHECK_FAILS(mica_slice(F32(2, 3), "1 2"), "part 0 \"1 2\"", "expected start:stop:step");
  CHECK_FAILS(mica_slice(F32(2, 3), "0,"), "part 1 \"\"", "expected start:stop:step");
  CHECK_FAILS(mica_slice(F32(2, 3), "..x"), "part 0 \"..x\"", "expected start:stop:step");
  CHECK_FAILS(mica_slice(F32(2, 3), "...x"), "part 0 \"...x\"", "expected \"...\" alone");
  CHECK_FAILS(mica_slice(F32(2, 3), "..., ..."), "part 1 \" ...\"", "expected \"...\" once");
  CHECK_FAILS(mica_slice(F32(2, 3), "::0"), "part 0 \"::0\"", "expected a step that is not 0");
  CHECK_FAILS(mica_slice(F32(2, 3), "::-9223372036854775808"), "expected a smaller step");
  CHECK_FAILS(mica_slice(F32(2, 3), "None:"), "part 0 \"None:\"", "expected \"None\" alone");
  CHECK_FAILS(mica_slice(F32(2), "None,None,None,None,None,None,None,None"), "gives rank 9");
  CHECK_FAILS(mica_slice(F32(2), "None,,,,,,,,,,,,,,,,,,,,,,,,"), "part 1 \"\"");
  CHECK_FAILS(mica_slice(F32(2), "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"), "has more than 17 parts");
  CHECK_FAILS(mica_slice(F32(2, 3), ":, 3"), "part 1 \" 3\" of \":, 3\"", "out of range for axis 1",
              "expected -3 to 2");
  CHECK_FAILS(mica_slice(F32(2, 3), "-3"), "out of range for axis 0", "expected -2 to 1");
  CHECK_FAILS(mica_slice(F32(2), "99999999999999999999"), "part 0", "expected start:stop:step");
  CHECK_FAILS(mica_slice(F32(0), "0"), "out of range for axis 0");
}

TEST(pads) {
  CHECK_TYPE(mica_pad(F32(3), SCALAR(F32), (int64_t[]){2}, (int64_t[]){1}, (int64_t[]){1}),
             "f32[8]");
  CHECK_TYPE(mica_pad(F32(3, 2), SCALAR(F32), (int64_t[]){-1, 0}, (int64_t[]){-2, 3}, NULL),
             "f32[0, 5]");
  CHECK_TYPE(mica_pad(F32(0), SCALAR(F32), (int64_t[]){2}, NULL, (int64_t[]){5}), "f32[2]");
  CHECK_FAILS(mica_pad(F32(3), SCALAR(F32), (int64_t[]){-2}, (int64_t[]){-2}, NULL),
              "pad(f32[3], f32[])", "axis 0: low -2, high -2 cut more than there is");
  CHECK_FAILS(mica_pad(F32(3), SCALAR(F32), NULL, NULL, (int64_t[]){-1}),
              "interior -1: expected at least 0");
  CHECK_FAILS(mica_pad(F32(3), SCALAR(I32), NULL, NULL, NULL), "pad(f32[3], i32[])",
              "different dtypes", "mica_convert");
  CHECK_FAILS(mica_pad(F32(3), F32(1), NULL, NULL, NULL), "pad(f32[3], f32[1])",
              "operand 1 is the filling", "expected a scalar");
  CHECK_FAILS(mica_pad(F32(3), SCALAR(F32), NULL, NULL, (int64_t[]){INT64_MAX}),
              "the result is too large");
  CHECK_FAILS(mica_pad(F32(3), SCALAR(F32), (int64_t[]){INT64_MAX}, NULL, NULL),
              "the result is too large");
  CHECK_FAILS(mica_pad(F32(3), SCALAR(F32), (int64_t[]){INT64_MIN}, NULL, NULL),
              "cut more than there is");
}

TEST(concatenates_stacks_splits) {
  CHECK_TYPE(mica_concatenate((mica_value[]){F32(2, 3), F32(2, 0), F32(2, 4)}, 3, 1), "f32[2, 7]");
  CHECK_TYPE(mica_concatenate((mica_value[]){F32(2, 3)}, 1, -2), "f32[2, 3]");
  CHECK_TYPE(mica_stack((mica_value[]){F32(2, 3), F32(2, 3)}, 2, 0), "f32[2, 2, 3]");
  CHECK_TYPE(mica_stack((mica_value[]){F32(2, 3), F32(2, 3), F32(2, 3)}, 3, -1), "f32[2, 3, 3]");
  CHECK_TYPE(mica_stack((mica_value[]){SCALAR(I32), SCALAR(I32)}, 2, 0), "i32[2]");
  CHECK_FAILS(mica_concatenate((mica_value[]){F32(2, 3), F32(3, 3)}, 2, 1),
              "concatenate(f32[2, 3], f32[3, 3])", "operand 1 does not fit to operand 0",
              "expected equal sizes but along axis 1");
  CHECK_FAILS(mica_concatenate((mica_value[]){F32(2), F32(2, 1)}, 2, 0), "operand 1 does not fit");
  CHECK_FAILS(mica_concatenate((mica_value[]){F32(2), I32(2)}, 2, 0), "concatenate(f32[2], i32[2])",
              "different dtypes", "mica_convert");
  CHECK_FAILS(mica_concatenate((mica_value[]){F32(2), F32(2)}, 2, 1), "axis 1 does not exist",
              "expected -1 to 0");
  CHECK_FAILS(mica_concatenate((mica_value[]){SCALAR(F32)}, 1, 0), "a scalar has no axes");
  CHECK_FAILS(mica_stack((mica_value[]){F32(2), F32(3)}, 2, 0), "stack(f32[2], f32[3])",
              "operand 1: expected the type of operand 0");
  CHECK_FAILS(mica_stack((mica_value[]){F32(2), F32(2)}, 2, 2), "stack(f32[2], f32[2])",
              "axis 2: expected -2 to 1");
  CHECK(!mica_is_valid(mica_concatenate(NULL, 0, 0)) && !mica_is_valid(mica_stack(NULL, 0, 0)));
  mica_graph *g = scoped_graph();
  mica_value parts[3];
  mica_split(F32(2, 6), -1, 3, parts);
  for (int i = 0; i < 3; i++) CHECK(mica_shape_equal(mica_shape_of(parts[i]), MICA_DIMS(2, 2)));
  CHECK_OK(mica_graph_status(g, NULL));
  mica_split(F32(2, 5), 1, 3, parts);
  check_failure(
      g, parts[2],
      (const char *const[]){"split(f32[2, 5])", "3 parts of axis 1 of size 5", "divides it", NULL},
      "split", __FILE__, __LINE__);
  mica_graph_destroy(g);
  g = scoped_graph();
  mica_split(F32(2), 0, 0, NULL);
  CHECK_STATUS(mica_graph_status(g, NULL), MICA_INVALID);
  mica_graph_destroy(g);
}

TEST(dynamic_slices) {
#define AT2 ((mica_value[]){SCALAR(I32), SCALAR(I32)})
  CHECK_TYPE(mica_dynamic_slice(F32(4, 5), AT2, MICA_DIMS(2, 5)), "f32[2, 5]");
  CHECK_TYPE(mica_dynamic_slice(SCALAR(F32), NULL, MICA_SCALAR), "f32[]");
  CHECK_TYPE(mica_dynamic_update_slice(F32(4, 5), F32(2, 0), AT2), "f32[4, 5]");
  CHECK_TYPE(mica_dynamic_update_slice(SCALAR(F32), SCALAR(F32), NULL), "f32[]");
  CHECK_TYPE(mica_index_axis(F32(4, 5), SCALAR(I64), 0), "f32[5]");
  CHECK_TYPE(mica_index_axis(F32(4, 5), SCALAR(I32), -1), "f32[4]");
  CHECK_TYPE(mica_update_axis(F32(4, 5), F32(4), SCALAR(I32), 1), "f32[4, 5]");
  CHECK_FAILS(mica_dynamic_slice(F32(4, 5), AT2, MICA_DIMS(2)), "dynamic_slice(f32[4, 5])",
              "sizes [2]", "a size and a start for each of 2 axes");
  CHECK_FAILS(mica_dynamic_slice(F32(4), NULL, MICA_DIMS(2)), "a start for each of 1 axes");
  CHECK_FAILS(mica_dynamic_slice(F32(4, 5), AT2, MICA_DIMS(2, 6)),
              "dynamic_slice(f32[4, 5], i32[], i32[])", "axis 1: size 6: expected 0 to 5");
  CHECK_FAILS(mica_dynamic_slice(F32(4), (mica_value[]){SCALAR(F32)}, MICA_DIMS(2)),
              "operand 1 is a start", "expected i32[] or i64[]");
  CHECK_FAILS(mica_dynamic_slice(F32(4), (mica_value[]){I32(1)}, MICA_DIMS(2)),
              "operand 1 is a start");
  CHECK_FAILS(
      mica_dynamic_slice(F32(4, 5), ((mica_value[]){SCALAR(I32), SCALAR(I64)}), MICA_DIMS(2, 2)),
      "operands 1 and 2 have different dtypes");
  CHECK_FAILS(mica_dynamic_update_slice(F32(4, 5), F32(5, 5), AT2),
              "dynamic_update_slice(f32[4, 5], f32[5, 5], i32[], i32[])",
              "axis 0: the update has size 5", "expected at most 4");
  CHECK_FAILS(mica_dynamic_update_slice(F32(4, 5), F32(5), AT2),
              "the update has rank 1: expected 2");
  CHECK_FAILS(mica_dynamic_update_slice(F32(4, 5), I32(4, 5), AT2),
              "operands 0 and 1 have different dtypes");
  CHECK_FAILS(mica_dynamic_update_slice(F32(4), F32(4), NULL),
              "expected a start for each of 1 axes");
  CHECK_FAILS(mica_emit(g, MICA_OP_DYNAMIC_SLICE, (mica_value[]){F32(4, 5), SCALAR(I32)}, 2,
                        &(mica_dynamic_slice_attr){{2, {1, 1}}}),
              "expected 3 operands, not 2");
  CHECK_FAILS(mica_build_operator(g, "dynamic_update_slice", (mica_value[]){F32(4)}, 1, NULL),
              "expected x, update and one start for each axis");
  CHECK_FAILS(mica_index_axis(F32(4), SCALAR(F32), 0), "index_axis(f32[4], f32[])",
              "operand 1 is the index", "expected i32[] or i64[]");
  CHECK_FAILS(mica_index_axis(F32(4), SCALAR(I32), 1), "index_axis(f32[4])",
              "axis 1 does not exist");
  CHECK_FAILS(mica_index_axis(F32(0), SCALAR(I32), 0), "axis 0: size 1: expected 0 to 0");
  CHECK_FAILS(mica_update_axis(F32(4, 5), F32(5), SCALAR(I32), 1),
              "update_axis(f32[4, 5], f32[5], i32[])",
              "operand 1 is the update: expected shape [4]");
#undef AT2
}

/* No batching rule loops: a start for each example makes one gather or scatter. */
TEST(batched_starts_become_gather_and_scatter) {
  mica_graph *g = mica_graph_create(NULL);
  mica_value in[3] = {F32(3, 4, 5), I32(3), F32(3, 2, 5)}, out[2];
  mica_region each = mica_vmap_begin(g, in, NULL, 3);
  mica_value x = mica_argument(each, 0), at = mica_argument(each, 1),
             update = mica_argument(each, 2);
  mica_value zero = mica_scalar(g, MICA_I32, 0);
  mica_value result[2] = {mica_dynamic_slice(x, (mica_value[]){at, zero}, MICA_DIMS(2, 5)),
                          mica_dynamic_update_slice(x, update, (mica_value[]){at, zero})};
  uint32_t before = g->count;
  mica_vmap_end(each, result, 2, out);
  mica_error error = {0};
  CHECK_OK_ERROR(mica_graph_status(g, &error), &error);
  CHECK(mica_shape_equal(mica_shape_of(out[0]), MICA_DIMS(3, 2, 5)));
  CHECK(mica_shape_equal(mica_shape_of(out[1]), MICA_DIMS(3, 4, 5)));
  int gathers = 0, scatters = 0;
  for (uint32_t id = before; id < g->count; id++) {
    gathers += g->nodes[id].op == MICA_OP_GATHER;
    scatters += g->nodes[id].op == MICA_OP_SCATTER;
    CHECK(g->nodes[id].op != MICA_OP_DYNAMIC_SLICE &&
          g->nodes[id].op != MICA_OP_DYNAMIC_UPDATE_SLICE);
  }
  CHECK_EQ_INT(gathers, 1);
  CHECK_EQ_INT(scatters, 1);
  mica_graph_destroy(g);
}

/* A ninth axis is an error that names the operator, in every batching rule. */
TEST(vmap_of_rank_eight_says_so) {
  mica_graph *g = scoped_graph();
  mica_value row = F32(2), out, flat;
  mica_region each = mica_vmap_begin(g, &row, NULL, 1);
  flat = mica_broadcast_to(mica_argument(each, 0), MICA_DIMS(1, 1, 1, 1, 1, 1, 1, 1));
  mica_vmap_end(each, &flat, 1, &out);
  check_failure(g, out,
                (const char *const[]){"broadcast(f32[2])", "vmap needs one more axis",
                                      "expected rank below 8", NULL},
                "vmap", __FILE__, __LINE__);
  mica_graph_destroy(g);
}

TEST_MAIN(TEST_CASE(broadcasts), TEST_CASE(reshapes), TEST_CASE(transposes_and_reverses),
          TEST_CASE(slices), TEST_CASE(slice_notation_is_numpys),
          TEST_CASE(slice_notation_points_at_the_part), TEST_CASE(pads),
          TEST_CASE(concatenates_stacks_splits), TEST_CASE(dynamic_slices),
          TEST_CASE(batched_starts_become_gather_and_scatter),
          TEST_CASE(vmap_of_rank_eight_says_so))
