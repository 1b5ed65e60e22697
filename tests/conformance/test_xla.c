/* SPDX-License-Identifier: Apache-2.0 */
/* The table of cases on XLA's CPU plugins against the reference: of each operator its first case on one
 * dtype, or with MICA_TEST_ALL=1 every case on every dtype. Runs on each folder of $MICA_XLA_PLUGIN_DIR
 * (one plugin each), on the first one whole, on the others a smoke of 50 operators. $MICA_TEST_BACKEND names
 * another device, such as xla:cuda,exact=true, MICA_TEST_PART=K/N takes every N-th case from the K-th on, and
 * MICA_TEST_TRACE=1 names each case before it runs, for compilers that end the process. And pointwise operators on
 * arrays that are computed several elements at a time, which the odd shapes of the table are not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "conformance/conformance.h"

static void one_case(mica_device *device, const conformance_case *c, mica_dtype dtype) {
  mica_error error = {0};
  if (getenv("MICA_TEST_TRACE")) fprintf(stderr, "%s %s\n", c->name, mica_dtype_name(dtype));
  mica_tensor *in[CASE_INPUTS] = {NULL}, *wanted[CASE_OUTPUTS] = {NULL},
              *got[CASE_OUTPUTS] = {NULL};
  size_t outputs = (size_t)c->output_count, inputs = (size_t)c->input_count;
  for (int32_t i = 0; i < c->input_count; i++) in[i] = case_values(c, i, dtype, 1);
  mica_executable *reference =
      case_compile(reference_device(), c, dtype, NULL, 0, forward_program, NULL, outputs, &error);
  mica_executable *xla =
      reference ? case_compile(device, c, dtype, NULL, 0, forward_program, NULL, outputs, &error)
                : NULL;
  const case_exception *exception = case_exception_of(device, c, dtype, false);
  if (exception && exception->refused) {
    CHECK(reference != NULL && xla == NULL);
    CHECK_EQ_INT(error.status, MICA_UNSUPPORTED);
    CHECK_STR_CONTAINS(error.message, exception->refused);
  } else if (reference && !xla && strstr(error.message, " devices, and there "))
    printf("%s: %s\n", c->name, error.message); /* an accelerator alone */
  else if (!xla || mica_executable_run(reference, in, inputs, wanted, outputs, &error) ||
           mica_executable_run(xla, in, inputs, got, outputs, &error))
    CHECK_FAIL("%s %s: %s", c->name, mica_dtype_name(dtype), error.message);
  else
    for (size_t i = 0; i < outputs && !exception; i++)
      case_compare(c, dtype, got[i], wanted[i], (int)i, " on xla");
  for (size_t i = 0; i < outputs; i++) mica_tensor_release(wanted[i]), mica_tensor_release(got[i]);
  for (size_t i = 0; i < inputs; i++) mica_tensor_release(in[i]);
  mica_executable_release(reference), mica_executable_release(xla);
}

static uint32_t first_dtype(uint32_t dtypes) {
  return dtypes & F32 ? F32 : dtypes & I32 ? I32 : dtypes & (~dtypes + 1);
}

/* `every`: takes each operator whose number is divisible by it. */
static int64_t run_cases(mica_device *device, bool all, int every) {
  static bool seen[MICA_OP_COUNT];
  memset(seen, 0, sizeof seen);
  int64_t count = 0, number = 0;
  for (int32_t k = 0; k < conformance_case_count; k++) {
    const conformance_case *c = &conformance_cases[k];
    if (!case_wanted(c) || (!all && seen[c->op])) continue;
    seen[c->op] = true;
    if (!all && number++ % every != 0) continue;
    for (uint32_t bit = 1; bit <= LAST_DTYPE; bit <<= 1)
      if ((c->dtypes & bit) && (all || bit == first_dtype(c->dtypes)))
        one_case(device, c, case_dtype(bit)), count++;
  }
  return count;
}

/* One operator on two arrays of powers of two, with values as in its first case. */
static int64_t one_operator(mica_device *device, mica_op op, mica_dtype dtype) {
  static const mica_shape shapes[] = {{.rank = 2, .dim = {4, 2}}, {.rank = 2, .dim = {1, 328}}};
  const mica_op_def *def = mica_op_definition(op);
  const conformance_case *first = NULL;
  for (int32_t k = 0; k < conformance_case_count && !first; k++)
    if (conformance_cases[k].op == op && conformance_cases[k].input_count == def->arity)
      first = &conformance_cases[k];
  if (!first) return 0;
  int64_t count = 0;
  for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
    conformance_case c = *first;
    mica_graph *graph = mica_graph_create(NULL);
    mica_value in[CASE_INPUTS];
    mica_tensor *values[CASE_INPUTS] = {NULL}, *wanted = NULL, *got = NULL;
    size_t inputs = (size_t)c.input_count;
    for (size_t i = 0; i < inputs; i++) {
      c.in[i].shape = shapes[s];
      values[i] = case_values(&c, (int32_t)i, dtype, 7);
      in[i] = mica_parameter(graph, mica_tensor_type(values[i]));
    }
    mica_value out = mica_emit(graph, op, in, inputs, NULL);
    mica_graph_set_outputs(graph, &out, 1);
    mica_executable *reference = NULL, *xla = NULL;
    mica_error error = {0};
    if (mica_graph_verify(graph, NULL) == MICA_OK) {
      if (mica_compile(reference_device(), graph, 0, &reference, &error) ||
          mica_compile(device, graph, 0, &xla, &error) ||
          mica_executable_run(reference, values, inputs, &wanted, 1, &error) ||
          mica_executable_run(xla, values, inputs, &got, 1, &error))
        CHECK_FAIL("%s %s: %s", def->name, mica_dtype_name(dtype), error.message);
      else if (!case_exception_of(device, &c, dtype, false))
        count += case_compare(&c, dtype, got, wanted, 0, " in vectors on xla");
    }
    for (size_t i = 0; i < inputs; i++) mica_tensor_release(values[i]);
    mica_tensor_release(wanted), mica_tensor_release(got);
    mica_executable_release(reference), mica_executable_release(xla);
    mica_graph_destroy(graph);
  }
  return count;
}

static int64_t run_vectors(mica_device *device, bool all) {
  static const mica_dtype dtypes[] = {MICA_F32, MICA_F64, MICA_F16, MICA_BF16};
  int64_t count = 0;
  for (int op = 1; op < MICA_OP_COUNT; op++) {
    const mica_op_def *def = mica_op_definition((mica_op)op);
    if (def->kind != MICA_KIND_POINTWISE || def->attr_size > 0 || def->arity < 1) continue;
    for (int k = 0; k < (all ? 4 : 1); k++) count += one_operator(device, (mica_op)op, dtypes[k]);
  }
  return count;
}

/* So that about SMOKE operators of the table are taken. */
static int smoke_step(void) {
  enum { SMOKE = 50 };
  static bool seen[MICA_OP_COUNT];
  int operators = 0;
  memset(seen, 0, sizeof seen);
  for (int32_t k = 0; k < conformance_case_count; k++) {
    operators += !seen[conformance_cases[k].op];
    seen[conformance_cases[k].op] = true;
  }
  return operators > SMOKE ? (operators + SMOKE - 1) / SMOKE : 1;
}

TEST(plugins_equal_the_reference) {
  const char *folders = getenv("MICA_XLA_PLUGIN_DIR"), *whole = getenv("MICA_TEST_ALL");
  static char list[4096];
  snprintf(list, sizeof list, "%s", folders ? folders : "");
  bool all = whole && strcmp(whole, "1") == 0;
  const char *backend = getenv("MICA_TEST_BACKEND");
  if (!backend || strncmp(backend, "xla", 3) != 0)
    backend = "xla:cpu,devices=6"; /* as many as the meshes of the cases have */
  int plugins = 0;
  for (char *at = list, *next; at; at = next) {
    next = strchr(at, ':');
    if (next) *next++ = '\0';
    setenv("MICA_XLA_PLUGIN_DIR", at, 1);
    mica_error error = {0};
    mica_device *device = mica_device_open(
        &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = backend},
        &error);
    if (!device) {
      printf("%s\n", error.message);
      continue;
    }
    int64_t count = run_cases(device, all, plugins == 0 ? 1 : smoke_step());
    int64_t vectors = all || plugins == 0 ? run_vectors(device, all) : 0;
    plugins++;
    printf("%s: %d cases, %d in vectors\n", mica_device_description(device), (int)count,
           (int)vectors);
    mica_device_release(device);
  }
  if (plugins == 0) CHECK_SKIP("no plugin of XLA for the CPU: docs/xla.md says how to get one");
  check_case_filter();
  close_devices();
}

TEST_MAIN(TEST_CASE(plugins_equal_the_reference))
