/* SPDX-License-Identifier: Apache-2.0 */
/* Every case with one of its operands replaced by something wrong: {0}, a value of another graph, a
 * stale one, another dtype, another shape. What comes of it is either a valid program, which reads back
 * from its text and compiles, or an error that says which function, of which operand types, what was
 * expected, and the scope path. Nothing crashes and nothing is built after the error.
 *
 * A case whose body hands {0} or a value of another graph to one function alone has no graph to complain
 * to, or builds a good program in the other graph: then its outputs are refused.
 *
 * A rotating part of the changed types, by day; all of them with MICA_TEST_ALL=1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "conformance/conformance.h"
#include "graph/ops/rules.h"

extern mica_dtype case_now;

typedef enum { NO_VALUE, FOREIGN, STALE, OTHER_TYPE } wrongness;
static const char *const wrong_names[] = {"{0}", "a value of another graph", "a stale value",
                                          "another type"};

/* What the sweep came to: refused, or valid after all. */
static int64_t refused, valid, compiled;

static void begin_scopes(mica_graph *graph) {
  mica_scope_push(graph, "net");
  mica_scope_push(graph, "part");
}

/* A function's name and its operands' types (a leaf and an operand {0} have none), then what was expected,
 * and where. */
static bool well_said(const char *message, bool typed) {
  size_t name = strspn(message, "abcdefghijklmnopqrstuvwxyz0123456789_");
  const char *end = strstr(message, "): ");
  if (name == 0 || message[name] != '(' || !end || !strstr(end, "expected ")) return false;
  bool types = memchr(message + name, '[', (size_t)(end - message) - name) != NULL;
  bool leaf = end == message + name + 1;
  return (types || leaf || !typed) && strstr(end, "in scope net/part");
}

/* The program can be verified, printed, read back and, now and then, compiled. */
static bool check_valid(const conformance_case *c, mica_graph *graph, const char *what) {
  static char text[1 << 18];
  mica_error error = {0};
  if (mica_graph_verify(graph, &error) != MICA_OK) {
    CHECK_FAIL("%s with %s: %s", c->name, what, error.message);
    return false;
  }
  valid++;
  if (strstr(c->name, "variable") || strstr(c->name, "any_custom"))
    return true; /* would have to be bound */
  if (!check_all() && (valid + check_rotation()) % 8) return true;
  int64_t size = mica_graph_format(graph, text, sizeof text);
  mica_graph *parsed = NULL;
  mica_executable *executable = NULL;
  bool good = size > 0 && size < (int64_t)sizeof text &&
              mica_graph_parse(NULL, text, (size_t)size, &parsed, &error) == MICA_OK &&
              mica_compile(cpu_device(2), parsed, 0, &executable, &error) == MICA_OK;
  if (!good) CHECK_FAIL("%s with %s: %s\n%s", c->name, what, error.message, text);
  mica_executable_release(executable);
  mica_graph_destroy(parsed);
  compiled++;
  return good;
}

/* Builds the case with its operand `replaced` made wrong. */
static void build_wrong(const conformance_case *c, mica_dtype dtype, int32_t replaced,
                        wrongness wrong, mica_type other) {
  mica_graph *graph = mica_graph_create(NULL), *foreign = mica_graph_create(NULL);
  mica_value in[CASE_INPUTS] = {{0}}, out[CASE_OUTPUTS] = {{0}}, bad = {0};
  mica_type type, good;
  char what[128], text[64];
  case_input_type(c, replaced, dtype, &good);
  if (wrong != OTHER_TYPE) other = good;
  mica_type_format(other, text, sizeof text);
  snprintf(what, sizeof what, "operand %d: %s %s", (int)replaced, wrong_names[wrong], text);
  if (wrong == STALE) {
    bad = mica_parameter(graph, good);
    mica_graph_reset(graph);
  }
  begin_scopes(graph), begin_scopes(foreign);
  if (wrong == FOREIGN) bad = mica_parameter(foreign, good);
  for (int32_t i = 0; i < c->input_count; i++) {
    case_input_type(c, i, dtype, &type);
    if (i == replaced && wrong == OTHER_TYPE) bad = mica_parameter(graph, other);
    in[i] = i == replaced ? bad : mica_parameter(graph, type);
  }
  case_now = dtype;
  c->build(graph, in, out);
  mica_error error = {0};
  bool told = true;
  if (mica_graph_status(graph, &error) != MICA_OK) {
    told = well_said(error.message, wrong == OTHER_TYPE);
    refused++;
    for (int32_t i = 0; i < c->output_count && wrong == OTHER_TYPE; i++) /* nothing after it */
      if (mica_is_valid(out[i]) && mica_is_valid(mica_neg(out[i])))
        CHECK_FAIL("%s with %s: a value came of a graph that failed", c->name, what);
  } else if (mica_graph_status(foreign, &error) != MICA_OK) {
    told = well_said(error.message, false);
    refused++;
  } else {
    mica_scope_pop(graph, "part"), mica_scope_pop(graph, "net");
    mica_graph_set_outputs(graph, out, (size_t)c->output_count);
    if (mica_graph_status(graph, &error) == MICA_OK)
      check_valid(c, graph, what);
    else if (wrong == OTHER_TYPE)
      told = false; /* outputs that are not values though nobody complained */
    else
      refused++;
  }
  if (!told) CHECK_FAIL("%s with %s: the message is \"%s\"", c->name, what, error.message);
  mica_graph_destroy(graph), mica_graph_destroy(foreign);
}

/* ---- other types -------------------------------------------------------------------------------- */

enum { CHANGED_SHAPES = 4 + 2 * MICA_MAX_RANK };

/* Builders that take plain lists with an entry for each axis: of a higher rank they would read beyond them, as
 * any C function does with an array that is too short. */
static bool takes_lists(const conformance_case *c) {
  static const char *const names[] = {"pad", "slice", "tile", "roll", "pool", "unfold", "window"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strstr(c->name, names[i])) return true;
  return c->op == MICA_OP_PAD || c->op == MICA_OP_SLICE || c->op == MICA_OP_DYNAMIC_SLICE ||
         c->op == MICA_OP_DYNAMIC_UPDATE_SLICE;
}

/* Shapes that a user might hand over instead; returns how many. */
static int32_t changed_shapes(const conformance_case *c, mica_shape shape, mica_shape *out) {
  int32_t count = 0;
  if (shape.rank > 0) out[count++] = MICA_SCALAR;
  if (shape.rank < MICA_MAX_RANK && !takes_lists(c)) {
    out[count++] = mica_shape_insert(shape, 0, 2);
    out[count++] = mica_shape_insert(shape, shape.rank, 1);
  }
  for (int32_t axis = 0; axis < shape.rank; axis++) {
    out[count] = shape;
    out[count++].dim[axis]++;
    if (axis > 1 && axis + 1 < shape.rank) continue;
    out[count] = shape;
    out[count++].dim[axis] = 0;
  }
  if (shape.rank > 1) out[count++] = mica_shape_remove(shape, 0);
  return count;
}

static void wrong_types(const conformance_case *c, mica_dtype dtype, int32_t operand) {
  mica_type good;
  mica_shape shapes[CHANGED_SHAPES];
  case_input_type(c, operand, dtype, &good);
  int64_t part = check_all() ? 1 : 4, at = check_rotation() + operand + (int64_t)dtype;
  for (int other = MICA_DTYPE_NONE + 1; other < MICA_DTYPE_COUNT; other++)
    if (other != (int)good.dtype && at++ % part == 0)
      build_wrong(c, dtype, operand, OTHER_TYPE, (mica_type){(mica_dtype)other, good.shape});
  int32_t count = changed_shapes(c, good.shape, shapes);
  for (int32_t i = 0; i < count; i++)
    if (at++ % part == 0)
      build_wrong(c, dtype, operand, OTHER_TYPE, (mica_type){good.dtype, shapes[i]});
}

/* ---- tests -------------------------------------------------------------------------------------- */

static mica_dtype first_dtype(const conformance_case *c) {
  return case_dtype(c->dtypes & -c->dtypes);
}

static void sweep_values(wrongness wrong) {
  refused = valid = 0;
  for (int32_t k = 0; k < conformance_case_count; k++) {
    const conformance_case *c = &conformance_cases[k];
    if (!case_wanted(c)) continue;
    for (int32_t i = 0; i < c->input_count; i++)
      build_wrong(c, first_dtype(c), i, wrong, (mica_type){0});
  }
  printf("  %s: %lld refused, %lld programs that do not need the operand\n", wrong_names[wrong],
         (long long)refused, (long long)valid);
  check_case_filter();
  close_devices();
}
TEST(no_value) { sweep_values(NO_VALUE); }
TEST(value_of_another_graph) { sweep_values(FOREIGN); }
TEST(stale_value) { sweep_values(STALE); }

TEST(other_types) {
  refused = valid = compiled = 0;
  for (int32_t k = 0; k < conformance_case_count; k++) {
    const conformance_case *c = &conformance_cases[k];
    if (!case_wanted(c)) continue;
    for (int32_t i = 0; i < c->input_count; i++) {
      wrong_types(c, first_dtype(c), i);
      if (c->dtypes & F32 && check_all()) wrong_types(c, MICA_F32, i);
    }
  }
  printf("  %lld refused, %lld valid programs, of which %lld were read back and compiled\n",
         (long long)refused, (long long)valid, (long long)compiled);
  check_case_filter();
  close_devices();
}

TEST_MAIN(TEST_CASE(no_value), TEST_CASE(value_of_another_graph), TEST_CASE(stale_value),
          TEST_CASE(other_types))
