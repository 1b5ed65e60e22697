/* SPDX-License-Identifier: Apache-2.0 */
/* Types and messages of manual regions, collectives and shardings; texts that are wrong where no builder
 * looks. */
#include "mica/mesh.h"

#include "unit/graph/misuse_testing.h"

/* One mesh for the whole program. */
static mica_mesh *grid(void) {
  static mica_mesh *mesh;
  if (!mesh) mesh = mica_mesh_create("a=2, b=3", NULL);
  return mesh;
}
/* The type of a collective on a part of x, which is cut as "a, b". */
static mica_value inside(mica_value x, mica_value (*build)(mica_value part)) {
  mica_region region = mica_manual_begin(x.graph, grid(), &x, (const char *const[]){"a, b"}, 1);
  mica_value out = build(mica_argument(region, 0));
  mica_manual_end(region, &out, (const char *const[]){"a, b"}, 1, &out);
  return out;
}
static mica_value as_it_is(mica_value part) { return part; }
static mica_value rows_joined(mica_value part) { return mica_all_gather(part, "a", 0); }
static mica_value rows_cut(mica_value part) { return mica_reduce_scatter(part, "a", -2); }
static mica_value exchanged(mica_value part) { return mica_all_to_all(part, "b", 1, 0); }

TEST(types) {
  CHECK_TYPE(inside(F32(4, 9), as_it_is), "f32[4, 9]");
  CHECK_TYPE(inside(F32(4, 9), rows_joined), "f32[8, 9]");
  CHECK_TYPE(inside(I32(4, 9), rows_cut), "i32[2, 9]");
  CHECK_TYPE(inside(BOOL(4, 9), exchanged), "bool[12, 3]");
  CHECK_TYPE(mica_shard(F32(4, 9), grid(), "a, b"), "f32[4, 9]");
  CHECK_TYPE(mica_shard(F32(4, 9), grid(), NULL), "f32[4, 9]");
}

/* A small program that is wrong, and what its message begins with and contains. */
static void check_wrong(mica_graph *g, const char *starts, const char *contains) {
  mica_error error = {0};
  CHECK_STATUS(mica_graph_status(g, &error), MICA_INVALID);
  if (strncmp(error.message, starts, strlen(starts)) != 0 || !strstr(error.message, contains))
    CHECK_FAIL("%s..: the message is \"%s\"", starts, error.message);
}
#define WRONG(starts, contains, ...)                                                        \
  do {                                                                                      \
    mica_graph *g = scoped_graph();                                                         \
    mica_value x = F32(4, 9), out[2] = {{0}}, part;                                         \
    mica_region block = mica_manual_begin(g, grid(), &x, (const char *const[]){"a, b"}, 1); \
    part = mica_argument(block, 0);                                                         \
    (void)out, (void)part;                                                                  \
    __VA_ARGS__;                                                                            \
    check_wrong(g, starts, contains);                                                       \
    mica_graph_destroy(g);                                                                  \
  } while (0)
#define END(value, sharding) \
  out[0] = (value), mica_manual_end(block, out, (const char *const[]){sharding}, 1, out)

static void check_outside(mica_value (*build)(mica_value x), const char *starts) {
  mica_graph *g = scoped_graph();
  CHECK(!mica_is_valid(build(F32(4, 9))));
  check_wrong(g, starts, "expected a block of mica_manual_begin around it");
  mica_graph_destroy(g);
}
static mica_value sum_alone(mica_value x) { return mica_all_reduce_sum(x, "a"); }
static mica_value mean_alone(mica_value x) { return mica_all_reduce_mean(x, "a"); }
static mica_value permute_alone(mica_value x) { return mica_collective_permute(x, "a", NULL, 0); }
static mica_value shift_alone(mica_value x) { return mica_collective_shift(x, "a", 1); }
static mica_value index_alone(mica_value x) { return mica_axis_index(x.graph, "a"); }

TEST(outside_of_a_region) {
  check_outside(sum_alone, "all_reduce_sum");
  check_outside(mean_alone, "all_reduce_mean");
  check_outside(rows_joined, "all_gather");
  check_outside(rows_cut, "reduce_scatter");
  check_outside(exchanged, "all_to_all");
  check_outside(permute_alone, "collective_permute");
  check_outside(shift_alone, "collective_shift");
  check_outside(index_alone, "axis_index");
}

TEST(mistakes_inside) {
  WRONG("all_gather(f32[2, 3])", "\"c\" is no axis: expected one of the mesh \"a=2, b=3\"",
        mica_all_gather(part, "c", 0));
  WRONG("all_gather(f32[2, 3])", "axis", mica_all_gather(part, "a", 2));
  WRONG("all_reduce_max(f32[2, 3])", "comes twice", mica_all_reduce_max(part, "a+a"));
  WRONG("all_reduce_min(f32[2, 3])", "with '+' between", mica_all_reduce_min(part, "a, b"));
  WRONG("reduce_scatter(f32[2, 3])", "axis 1 of size 3 does not divide into parts for 2 devices",
        mica_reduce_scatter(part, "a", 1));
  WRONG("all_to_all(f32[2, 3])", "axis 0 of size 2 does not divide into parts for 3 devices",
        mica_all_to_all(part, "b", 0, 1));
  WRONG("all_reduce_mean(i32[2, 3])", "dtype i32 is not supported",
        mica_all_reduce_mean(mica_convert(part, MICA_I32), "a"));
  WRONG("all_reduce(bool[2, 3])", "not supported", mica_all_reduce_sum(mica_greater(part, 0), "a"));
  WRONG("collective_permute(f32[2, 3])", "device 0 sends twice",
        mica_collective_permute(part, "b", (const int64_t[][2]){{0, 1}, {0, 2}}, 2));
  WRONG("collective_permute(f32[2, 3])", "device 1 receives twice",
        mica_collective_permute(part, "b", (const int64_t[][2]){{0, 1}, {2, 1}}, 2));
  WRONG("collective_permute(f32[2, 3])", "from 0 to 3: expected devices below 3",
        mica_collective_permute(part, "b", (const int64_t[][2]){{0, 3}}, 1));
  WRONG("axis_index()", "is no axis", mica_axis_index(g, "-"));
  WRONG("manual_begin(f32[2, 3])", "another manual region is open",
        mica_manual_begin(g, grid(), &part, NULL, 1));
}

TEST(mistakes_at_the_end) {
  WRONG("manual(f32[4, 9])", "result 0 may differ between devices along mesh axis \"b\"",
        END(part, "a, -"));
  WRONG("manual(f32[4, 9])", "along mesh axis \"a\"", END(mica_all_reduce_sum(part, "b"), ""));
  WRONG("manual(f32[4, 9])", "along mesh axis \"b\"",
        END(mica_add(mica_all_reduce_sum(part, NULL),
                     mica_convert(mica_axis_index(g, "b"), MICA_F32)),
            ""));
  WRONG("manual(f32[4, 9])", "along mesh axis \"a\"",
        END(mica_reduce_scatter(part, "a", 0), "-, b"));
  WRONG("manual_end(f32[2, 3])",
        "result 0: sharding \"a\" has 1 entry: expected one for each of the 2 axes",
        END(part, "a"));
  WRONG("manual_end(f32[2, 3])", "result 0: \"d\" is no axis", END(part, "d, b"));
  WRONG("call_end", "the block belongs to manual", mica_call_end(block, &part, 1, out));
}

/* A condition that differs lets the loop's state differ; one that does not, does not. */
static mica_value looped(mica_value part, bool same) {
  mica_value start[2] = {mica_scalar(part.graph, MICA_F32, 0), mica_reduce_sum(part, MICA_ALL)},
             last[2];
  if (same) start[1] = mica_all_reduce_sum(start[1], NULL);
  mica_region loop = mica_while_begin(part.graph, start, 2, 0);
  mica_while_body(loop, mica_greater(mica_argument(loop, 1), 0));
  mica_while_end(
      loop,
      (mica_value[]){mica_add(mica_argument(loop, 0), 1), mica_sub(mica_argument(loop, 1), 1)},
      last);
  return last[0];
}
TEST(loops_that_differ) {
  WRONG("manual(f32[4, 9])", "may differ between devices", END(looped(part, false), ""));
  mica_graph *g = scoped_graph();
  mica_value x = F32(4, 9), out;
  mica_region block = mica_manual_begin(g, grid(), &x, (const char *const[]){"a, b"}, 1);
  out = looped(mica_argument(block, 0), true);
  mica_manual_end(block, &out, NULL, 1, &out);
  CHECK(mica_is_valid(out));
  mica_graph_destroy(g);
}

TEST(mistakes_at_the_begin) {
  mica_graph *g = scoped_graph();
  mica_value x = F32(4, 9);
  mica_manual_begin(g, grid(), &x, (const char *const[]){"b, a"}, 1);
  check_wrong(g, "manual_begin(f32[4, 9])",
              "operand 0: axis 0 of size 4 does not divide into 3 parts");
  mica_graph_destroy(g);
  g = scoped_graph();
  x = F32(4, 9);
  mica_manual_begin(g, NULL, &x, NULL, 1);
  check_wrong(g, "manual_begin(f32[4, 9])", "the mesh is NULL");
  mica_graph_destroy(g);
  g = scoped_graph();
  x = F32(4, 9);
  mica_shard(x, NULL, "a, b");
  check_wrong(g, "shard(f32[4, 9])", "the mesh is NULL");
  mica_graph_destroy(g);
  g = scoped_graph();
  x = F32(4, 9);
  mica_shard(x, grid(), "a");
  check_wrong(g, "shard(f32[4, 9])", "has 1 entry: expected one for each of the 2 axes");
  mica_graph_destroy(g);
}

/* Graphs come as texts, too. */
TEST(texts) {
  static const struct {
    const char *text, *message;
    bool parses;
  } wrong[] = {
      {"mica 1\n%0 = parameter() {index=0, dtype=f32, shape=[4]} : f32[4]\n"
       "%1 = all_reduce(%0) {mesh=\"a=2\", axes=\"a\", kind=sum} : f32[4]\nreturn %1\n",
       "stands outside of a manual region", true},
      {"mica 1\n%0 = parameter() {index=0, dtype=f32, shape=[4]} : f32[4]\n"
       "%1 = all_reduce(%0) {mesh=\"a=two\", axes=\"a\", kind=sum} : f32[4]\nreturn %1\n",
       "expected a size from 1", false},
      {"mica 1\n%0 = parameter() {index=0, dtype=f32, shape=[4]} : f32[4]\n"
       "%1 = shard(%0) {mesh=\"a=3\", sharding=\"a\"} : f32[4]\nreturn %1\n",
       "does not divide", false},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    mica_error error = {0};
    mica_graph *g = NULL;
    mica_status status = mica_graph_parse(NULL, wrong[i].text, strlen(wrong[i].text), &g, &error);
    if (wrong[i].parses && CHECK_OK_ERROR(status, &error)) status = mica_graph_verify(g, &error);
    CHECK(status != MICA_OK);
    CHECK_STR_CONTAINS(error.message, wrong[i].message);
    mica_graph_destroy(g);
  }
}

TEST(after_a_failure) {
  mica_value nothing = {0}, out[1];
  mica_region block = mica_manual_begin(NULL, grid(), &nothing, NULL, 1);
  CHECK(!mica_is_valid(mica_all_reduce_sum(mica_argument(block, 0), "a")));
  mica_manual_end(block, &nothing, NULL, 1, out);
  CHECK(!mica_is_valid(out[0]));
  CHECK(!mica_is_valid(mica_shard(nothing, grid(), "")));
  CHECK(!mica_is_valid(mica_axis_index(NULL, "a")));
}

TEST_MAIN(TEST_CASE(types), TEST_CASE(outside_of_a_region), TEST_CASE(mistakes_inside),
          TEST_CASE(mistakes_at_the_end), TEST_CASE(loops_that_differ),
          TEST_CASE(mistakes_at_the_begin), TEST_CASE(texts), TEST_CASE(after_a_failure))
