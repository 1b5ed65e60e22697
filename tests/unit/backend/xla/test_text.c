/* SPDX-License-Identifier: Apache-2.0 */
/* The StableHLO text of some graphs against tests/golden/stablehlo.golden: it has to stay as it is, since
 * caches and other programs read it. Where a change is wanted, the new text is in the test's folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "mica/jit.h"
#include "mica/xla.h"

static char all[1 << 17];
static size_t used;

static void add_text(const char *name, mica_graph *graph, const mica_value *out, size_t count) {
  mica_error error = {0};
  size_t length = 0;
  used += (size_t)snprintf(all + used, sizeof all - used, "== %s\n", name);
  mica_graph_set_outputs(graph, out, count);
  CHECK_EQ_INT(mica_stablehlo_format(graph, all + used, sizeof all - used, &length, &error), 0);
  CHECK_EQ_STR(error.message, "");
  used += length;
  CHECK(used < sizeof all);
  mica_graph_destroy(graph);
}

static mica_type vector(mica_dtype dtype, int64_t size) {
  return (mica_type){dtype, {.rank = 1, .dim = {size}}};
}

static void pointwise(void) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, vector(MICA_F32, 3));
  mica_value y = mica_parameter(graph, vector(MICA_F32, 3));
  mica_value out[3] = {mica_tanh(mica_add(mica_mul(x, y), 0.5)), mica_less(x, y),
                       mica_convert(x, MICA_BF16)};
  add_text("pointwise", graph, out, 3);
}

static mica_value numbers(mica_graph *graph, mica_dtype dtype, int64_t count,
                          const double *values) {
  mica_shape shape = {.rank = 1, .dim = {count}};
  mica_tensor *tensor = mica_tensor_from_doubles(dtype, shape, values);
  mica_value value = mica_constant(graph, tensor);
  mica_tensor_release(tensor);
  return value;
}

static void constants(void) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value out[5] = {numbers(graph, MICA_F64, 2, (double[]){1, -2.5}),
                       numbers(graph, MICA_BOOL, 3, (double[]){1, 0, 1}),
                       numbers(graph, MICA_I4, 3, (double[]){1, -2, 3}),
                       numbers(graph, MICA_C64, 0, (double[]){0}),
                       numbers(graph, MICA_I32, 4, (double[]){7, 7, 7, 7})};
  add_text("constants", graph, out, 5);
}

static void folds(void) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, (mica_type){MICA_BF16, {.rank = 2, .dim = {2, 3}}});
  mica_value sorted = mica_sort(x, 1, true);
  mica_value out[3] = {mica_reduce_sum(x, MICA_AXES(1)), mica_arg_max(x, 0), sorted};
  add_text("folds", graph, out, 3);
}

static void products(void) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, (mica_type){MICA_F32, {.rank = 4, .dim = {1, 5, 5, 2}}});
  mica_value k = mica_parameter(graph, (mica_type){MICA_F32, {.rank = 4, .dim = {3, 3, 2, 4}}});
  mica_value a = mica_parameter(graph, (mica_type){MICA_F16, {.rank = 2, .dim = {2, 3}}});
  mica_value b = mica_parameter(graph, (mica_type){MICA_F16, {.rank = 2, .dim = {3, 4}}});
  mica_value out[2] = {mica_conv(.x = x, .kernel = k, .stride = {2, 2}), mica_matmul(a, b)};
  add_text("products", graph, out, 2);
}

static void loops(void) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, (mica_type){MICA_I32, {0}});
  mica_value limit = mica_parameter(graph, (mica_type){MICA_I32, {0}}), end, sum, emitted[1];
  mica_region loop = mica_while_begin(graph, &x, 1, 5);
  mica_while_body(loop, mica_less(mica_argument(loop, 0), limit));
  mica_value next = mica_mul(mica_argument(loop, 0), 2);
  mica_while_end(loop, &next, &end);
  mica_value items = mica_parameter(graph, vector(MICA_I32, 3));
  mica_region scan = mica_scan_begin_count(graph, &x, 1, &items, 1, 3, true);
  next = mica_add(mica_argument(scan, 0), mica_argument(scan, 1));
  mica_scan_end(scan, &next, &next, 1, &sum, emitted);
  mica_value out[3] = {end, sum, emitted[0]};
  add_text("loops", graph, out, 3);
}

static void variables(void) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_tensor *start =
      mica_tensor_from(MICA_F32, ((mica_shape){.rank = 1, .dim = {2}}), (float[]){1, 2});
  mica_variable *w = mica_variable_create("w", start);
  mica_value x = mica_parameter(graph, vector(MICA_F32, 2));
  mica_value unread = mica_parameter(graph, vector(MICA_F32, 2));
  (void)unread;
  mica_variable_assign(w, mica_sub(mica_variable_read(graph, w), x));
  mica_value out = mica_reduce_sum(x, MICA_ALL);
  add_text("variables", graph, &out, 1);
  mica_variable_release(w);
  mica_tensor_release(start);
}

TEST(golden) {
  pointwise(), constants(), folds(), products(), loops(), variables();
  const char *source = getenv("MICA_SOURCE_DIR"), *folder = getenv("MICA_TEST_TMP");
  char path[1024];
  static char wanted[sizeof all];
  snprintf(path, sizeof path, "%s/tests/golden/stablehlo.golden", source ? source : ".");
  FILE *file = fopen(path, "r");
  if (!CHECK(file != NULL)) return;
  size_t size = fread(wanted, 1, sizeof wanted - 1, file);
  fclose(file);
  wanted[size] = '\0';
  if (strcmp(wanted, all) == 0) return;
  snprintf(path, sizeof path, "%s/stablehlo.golden", folder ? folder : ".");
  file = fopen(path, "w");
  if (file) fputs(all, file), fclose(file);
  CHECK_FAIL("the text has changed: see %s", path);
}

TEST(no_graph_no_text) {
  mica_error error = {0};
  size_t length = 1;
  char text[8] = "x";
  CHECK_EQ_INT(mica_stablehlo_format(NULL, text, sizeof text, &length, &error), MICA_INVALID);
  CHECK_EQ_INT(length, 0);
  CHECK_EQ_STR(text, "");
}

static void doubled(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph;
  out[0] = user ? mica_reshape(in[0], MICA_DIMS(7)) : mica_add(in[0], in[0]);
}

/* A jit's text without a plugin, and what has none. */
TEST(text_of_a_jit) {
  mica_error error = {0};
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = "cpu"}, &error);
  mica_jit *jit = mica_jit_create(.device = device, .build = doubled, .inputs = 1, .outputs = 1);
  mica_type type = vector(MICA_F32, 3);
  char text[1024] = "";
  size_t length = 0, again = 0;
  CHECK_OK(mica_jit_stablehlo(jit, &type, 1, text, sizeof text, &length, &error));
  CHECK_EQ_INT(length, strlen(text));
  CHECK_STR_CONTAINS(text, "\"stablehlo.add\"(%0, %0)");
  CHECK_OK(mica_jit_stablehlo(jit, &type, 1, text, 8, &again, &error));
  CHECK(again == length && strlen(text) == 7);
  CHECK_EQ_INT(mica_jit_stablehlo(jit, &type, 0, text, sizeof text, &length, NULL), MICA_INVALID);
  CHECK_EQ_INT(mica_jit_stablehlo(NULL, &type, 1, text, sizeof text, &length, NULL), MICA_INVALID);
  CHECK(text[0] == '\0' && length == 0);
  mica_jit_destroy(jit);
  jit = mica_jit_create(.device = device, .inputs = 1, .outputs = 1);
  CHECK_EQ_INT(mica_jit_stablehlo(jit, &type, 1, NULL, 0, NULL, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "the function that builds is NULL");
  mica_jit_destroy(jit);
  jit =
      mica_jit_create(.device = device, .build = doubled, .user = &type, .inputs = 1, .outputs = 1);
  error = (mica_error){0};
  CHECK_EQ_INT(mica_jit_stablehlo(jit, &type, 1, NULL, 0, NULL, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "reshape");
  mica_jit_destroy(jit);
  mica_device_release(device);
}

TEST_MAIN(TEST_CASE(golden), TEST_CASE(no_graph_no_text), TEST_CASE(text_of_a_jit))
