/* SPDX-License-Identifier: Apache-2.0 */
/* Gather and scatter: shapes, messages for every constraint, and the nodes of their rules. */
#include "unit/graph/ops_testing.h"

#include "graph/attributes.h"

#define GATHER(x, indices, ...) mica_gather(x, indices, __VA_ARGS__)

TEST(takes) {
  CHECK_TYPE(mica_take(F32(3, 4, 5), I32(2, 6), 1), "f32[3, 2, 6, 5]");
  CHECK_TYPE(mica_take(F32(3, 4), SCALAR(I64), -1), "f32[3]");
  CHECK_TYPE(mica_take(input(g, MICA_I4, MICA_DIMS(3)), input(g, MICA_I8, MICA_DIMS(2)), 0),
             "i4[2]");
  CHECK_TYPE(mica_take(F32(0, 3), I32(0), 0), "f32[0, 3]");
  CHECK_TYPE(mica_take(F32(3, 0), I32(2), 0), "f32[2, 0]");
  CHECK_TYPE(mica_take_along_axis(F32(3, 4), I32(3, 7), 1), "f32[3, 7]");
  CHECK_TYPE(mica_take_along_axis(F32(0, 4), I32(0, 7), -1), "f32[0, 7]");
  CHECK_TYPE(mica_take_along_axis(F32(3, 0), I32(3, 0), 1), "f32[3, 0]");
  CHECK_FAILS(mica_take(F32(3), I32(2), 1), "take(f32[3])", "axis 1 does not exist",
              "expected -1 to 0");
  CHECK_FAILS(mica_take(F32(3), F32(2), 0), "gather(f32[3], f32[2])", "dtype f32",
              "expected indices of i8");
  CHECK_FAILS(mica_take(F32(3), input(g, MICA_U32, MICA_DIMS(2)), 0), "dtype u32");
  CHECK_FAILS(mica_take(F32(0, 3), I32(2), 0), "gather(f32[0, 3], i32[2])", "axis 0", "empty");
  CHECK_FAILS(mica_take(F32(1, 1, 1, 1, 1), I32(1, 1, 1, 1, 1), 0), "take(", "rank 9", "at most 8");
  CHECK_FAILS(mica_take_along_axis(F32(3, 4), I32(2, 4), 1),
              "take_along_axis(f32[3, 4], i32[2, 4])", "equal sizes but along axis 1");
  CHECK_FAILS(mica_take_along_axis(F32(3, 4), I32(3), 1), "operand's rank");
}

TEST(gathers) {
  CHECK_TYPE(GATHER(F32(3, 4, 5), I32(7, 2), .offset_axes = MICA_AXES(1, 2),
                    .collapsed_slice_axes = MICA_AXES(0), .start_index_map = MICA_AXES(0, 2),
                    .index_vector_axis = 1, .slice_sizes = MICA_DIMS(1, 2, 3)),
             "f32[7, 2, 3]");
  /* Axes may count from the end, the implicit vector axis is the indices' rank. */
  CHECK_TYPE(GATHER(F32(3, 4), I32(7), .offset_axes = MICA_AXES(-1),
                    .collapsed_slice_axes = MICA_AXES(-2), .start_index_map = MICA_AXES(0),
                    .index_vector_axis = 1, .slice_sizes = MICA_DIMS(1, 4)),
             "f32[7, 4]");
  CHECK_TYPE(GATHER(F32(2, 5, 4), I32(6, 2, 1), .offset_axes = MICA_AXES(0),
                    .collapsed_slice_axes = MICA_AXES(2), .operand_batch_axes = MICA_AXES(0),
                    .index_batch_axes = MICA_AXES(1), .start_index_map = MICA_AXES(1),
                    .index_vector_axis = 2, .slice_sizes = MICA_DIMS(1, 3, 1)),
             "f32[3, 6, 2]");
  CHECK_FAILS(GATHER(F32(3), I32(2), .index_vector_axis = 2, .slice_sizes = MICA_DIMS(1)),
              "gather(f32[3], i32[2])", "index_vector_axis is 2: expected 0 to 1");
  CHECK_FAILS(GATHER(F32(3), I32(2), .index_vector_axis = 1, .slice_sizes = MICA_DIMS(1)),
              "start_index_map has 0 entries: expected 1");
  CHECK_FAILS(GATHER(F32(3), I32(2), .index_vector_axis = 1, .start_index_map = MICA_AXES(1)),
              "axis 1 does not exist");
  CHECK_FAILS(GATHER(F32(3, 3), I32(2), .start_index_map = MICA_AXES(1, 1)),
              "listed twice in start_index_map");
  CHECK_FAILS(GATHER(F32(3), I32(2), .index_vector_axis = 1, .start_index_map = MICA_AXES(0),
                     .slice_sizes = MICA_DIMS(1, 1)),
              "slice_sizes has 2 entries: expected 1");
  CHECK_FAILS(GATHER(F32(3), I32(2), .index_vector_axis = 1, .start_index_map = MICA_AXES(0),
                     .offset_axes = MICA_AXES(1), .slice_sizes = MICA_DIMS(4)),
              "slice_sizes has 4 for axis 0: expected 0 to 3");
  CHECK_FAILS(GATHER(F32(3), I32(2), .index_vector_axis = 1, .start_index_map = MICA_AXES(0),
                     .collapsed_slice_axes = MICA_AXES(0), .slice_sizes = MICA_DIMS(2)),
              "slice_sizes has 2 for axis 0: expected 1 to 1");
  CHECK_FAILS(GATHER(F32(3), I32(2), .index_vector_axis = 1, .start_index_map = MICA_AXES(0),
                     .slice_sizes = MICA_DIMS(2)),
              "offset_axes has 0 entries: expected 1");
  CHECK_FAILS(GATHER(F32(3), I32(2), .index_vector_axis = 1, .start_index_map = MICA_AXES(0),
                     .offset_axes = MICA_AXES(2), .slice_sizes = MICA_DIMS(2)),
              "axis 2 does not exist: expected -2 to 1");
  CHECK_FAILS(GATHER(F32(3, 3), I32(2), .index_vector_axis = 1, .start_index_map = MICA_AXES(0),
                     .collapsed_slice_axes = MICA_AXES(1, 0), .slice_sizes = MICA_DIMS(1, 1)),
              "collapsed_slice_axes is not sorted");
  CHECK_FAILS(GATHER(F32(3, 2), I32(2), .index_vector_axis = 1, .start_index_map = MICA_AXES(0),
                     .operand_batch_axes = MICA_AXES(0), .index_batch_axes = MICA_AXES(0),
                     .slice_sizes = MICA_DIMS(1, 1)),
              "start_index_map and operand_batch_axes share an axis");
  CHECK_FAILS(GATHER(F32(3, 2), I32(2), .index_vector_axis = 1, .start_index_map = MICA_AXES(1),
                     .operand_batch_axes = MICA_AXES(0), .index_batch_axes = MICA_AXES(0),
                     .slice_sizes = MICA_DIMS(1, 1)),
              "batch axes 0 and 0 have sizes 3 and 2: expected equal ones");
  CHECK_FAILS(GATHER(F32(3, 2), I32(2), .index_vector_axis = 1, .start_index_map = MICA_AXES(1),
                     .operand_batch_axes = MICA_AXES(0), .slice_sizes = MICA_DIMS(1, 1)),
              "have 1 and 0 entries: expected pairs");
  CHECK_FAILS(GATHER(F32(3, 2), I32(3, 1), .index_vector_axis = 1, .start_index_map = MICA_AXES(1),
                     .operand_batch_axes = MICA_AXES(0), .index_batch_axes = MICA_AXES(1),
                     .slice_sizes = MICA_DIMS(1, 1)),
              "index_batch_axes holds index_vector_axis 1");
  CHECK_FAILS(GATHER(F32(3), I32(2), .offset_axes = {.count = 9}),
              "offset_axes has 9 entries: expected 0 to 8");
  CHECK_FAILS(GATHER(F32(3), I32(2), .offset_axes = MICA_ALL), "offset_axes has -1 entries");
  CHECK(!mica_has_value(mica_gather_with(NULL)));
}

TEST(scatters) {
  CHECK_TYPE(mica_scatter_add(F32(3, 4), I32(2, 5), F32(2, 5, 4)), "f32[3, 4]");
  CHECK_TYPE(mica_scatter_add(F32(0, 4), I32(2), F32(2, 4)), "f32[0, 4]"); /* all are skipped */
  CHECK_TYPE(mica_scatter_set(BOOL(3), SCALAR(I32), SCALAR(BOOL)), "bool[3]");
  CHECK_TYPE(mica_scatter(I32(3, 4), I32(5, 1), I32(2, 5, 4), .combine = MICA_COMBINE_MAX,
                          .update_window_axes = MICA_AXES(0, -1), .index_map = MICA_AXES(0),
                          .index_vector_axis = 1),
             "i32[3, 4]");
  CHECK_FAILS(mica_scatter_add(F32(3), I32(2), I32(2)), "scatter(f32[3], i32[2], i32[2])",
              "operands 0 and 2", "mica_convert");
  CHECK_FAILS(mica_scatter_add(BOOL(3), I32(2), BOOL(2)),
              "dtype bool is not supported by kind add");
  CHECK_FAILS(
      mica_scatter(input(g, MICA_C64, MICA_DIMS(3)), I32(2), input(g, MICA_C64, MICA_DIMS(2)),
                   .combine = MICA_COMBINE_MAX, .inserted_window_axes = MICA_AXES(0),
                   .index_map = MICA_AXES(0), .index_vector_axis = 1),
      "dtype c64 is not supported by kind max");
  CHECK_FAILS(mica_scatter_add(SCALAR(F32), I32(2), F32(2)), "scatter_add(f32[], i32[2], f32[2])",
              "scalar");
  CHECK_FAILS(mica_scatter_add(F32(3, 4), I32(2), F32(2)), "scatter_add(", "rank 1: expected 2");
  CHECK_FAILS(mica_scatter_add(F32(3, 4), I32(2), F32(3, 4)),
              "size 3 along axis 0: expected 2 as the indices have");
  CHECK_FAILS(mica_scatter_add(F32(3, 4), I32(2), F32(2, 5)),
              "size 5 along window axis 1: expected at most 4, the operand's axis 1");
  CHECK_FAILS(mica_scatter(F32(3), I32(2), F32(2), .combine = (mica_combine)7),
              "kind 7 is unknown");
  CHECK_FAILS(mica_scatter(F32(3, 4), I32(2), F32(2, 4), .inserted_window_axes = MICA_AXES(0),
                           .index_map = MICA_AXES(0), .index_vector_axis = 1),
              "update_window_axes has 0 entries: expected 1");
  CHECK_FAILS(mica_scatter(F32(3, 4), I32(2), F32(4), .inserted_window_axes = MICA_AXES(0),
                           .update_window_axes = MICA_AXES(0), .index_map = MICA_AXES(0),
                           .index_vector_axis = 1),
              "the updates have rank 1: expected 2");
  CHECK_FAILS(mica_scatter(F32(3), I32(2), F32(2), .inserted_window_axes = MICA_AXES(0),
                           .index_vector_axis = 1),
              "index_map has 0 entries: expected 1");
  CHECK(!mica_has_value(mica_scatter_with(NULL)));
}

/* The examples become an axis of the window, of the index vectors, or a batch axis: one node in
 * any case. */
TEST(batching_adds_no_loop) {
  static const struct {
    int32_t x, indices;
    const char *attributes;
  } cases[] = {
      {0, -1, "offset_axes=[0, 2]"}, {-1, 0, "offset_axes=[2]"}, {0, 0, "operand_batch_axes=[0]"}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    mica_graph *g = mica_graph_create(NULL);
    mica_value in[2] = {cases[i].x < 0 ? F32(5, 6) : F32(3, 5, 6),
                        cases[i].indices < 0 ? I32(4) : I32(3, 4)},
               out;
    mica_region region = mica_vmap_begin(g, in, (int32_t[]){cases[i].x, cases[i].indices}, 2);
    mica_value result = mica_take(mica_argument(region, 0), mica_argument(region, 1), 0);
    mica_vmap_end(region, &result, 1, &out);
    check_type_text(g, out, "f32[3, 4, 6]", "vmap of take", __FILE__, __LINE__);
    mica_graph_set_outputs(g, &out, 1);
    char *text = graph_text(g);
    CHECK_STR_CONTAINS(text, cases[i].attributes);
    free(text);
    mica_graph_destroy(g);
  }
}

/* Where nothing can overlap, SET does not look for the update that stays. */
TEST(gradients_of_set) {
  for (int64_t rows = 1; rows <= 2; rows++) {
    mica_graph *g = mica_graph_create(NULL);
    mica_value x = F32(4, 3), indices = I32(rows), updates = F32(rows, 3), gradient[2];
    mica_value loss = mica_reduce_sum(mica_scatter_set(x, indices, updates), MICA_ALL);
    mica_gradients(loss, (mica_value[]){x, updates}, 2, gradient);
    CHECK_OK(mica_graph_status(g, NULL));
    CHECK_EQ_INT(count_nodes(g, MICA_OP_SCATTER), rows == 1 ? 2 : 3);
    CHECK_OK(mica_graph_verify(g, NULL));
    mica_graph_destroy(g);
  }
}

TEST(misuse) {
  mica_graph *other = mica_graph_create(NULL);
  mica_value foreign = mica_parameter(other, (mica_type){MICA_F32, MICA_DIMS(3)}), none = {0};
  CHECK(!mica_has_value(mica_take(none, none, 0)));
  CHECK(!mica_has_value(mica_take_along_axis(none, none, 0)));
  CHECK(!mica_has_value(mica_scatter_add(none, none, none)));
  CHECK_FAILS(mica_take(F32(3), none, 0), "take(f32[3], ?)", "operand 1", "{0}");
  CHECK_FAILS(mica_take(F32(3), foreign, 0), "take(f32[3], ?)", "operand 1", "another one");
  CHECK_FAILS(mica_take_along_axis(F32(3), none, 0), "take_along_axis(f32[3], ?)", "operand 1");
  CHECK_FAILS(mica_gather(F32(3), foreign), "gather(f32[3], ?)", "operand 1", "another one");
  CHECK_FAILS(mica_scatter_add(F32(3), I32(2), none), "scatter_add(f32[3], i32[2], ?)",
              "operand 2");
  CHECK_FAILS(mica_scatter_set(F32(3), I32(2), foreign), "scatter_set(f32[3], i32[2], ?)",
              "operand 2");
  CHECK_FAILS(mica_scatter(F32(3), none, none), "scatter(f32[3], ?, ?)", "operand 1");
  mica_graph_destroy(other);
}

TEST_MAIN(TEST_CASE(takes), TEST_CASE(gathers), TEST_CASE(scatters),
          TEST_CASE(batching_adds_no_loop), TEST_CASE(gradients_of_set), TEST_CASE(misuse))
