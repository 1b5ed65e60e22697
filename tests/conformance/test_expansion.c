/* SPDX-License-Identifier: Apache-2.0 */
/* What a backend without kernels for composites runs: every case whose program holds a composite,
 * with all of them expanded, on both backends, against the reference backend's own kernels. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "conformance/conformance.h"

static bool has_composite(const conformance_case *c, mica_dtype dtype) {
  extern mica_dtype case_now;
  mica_graph *graph = mica_graph_create(NULL);
  mica_value in[CASE_INPUTS], out[CASE_OUTPUTS] = {{0}};
  bool found = false;
  case_now = dtype;
  for (int32_t i = 0; i < c->input_count; i++) {
    mica_type type;
    case_input_type(c, i, dtype, &type);
    in[i] = mica_parameter(graph, type);
  }
  c->build(graph, in, out);
  for (uint32_t id = 1; id < graph->count; id++)
    found = found || (graph->nodes[id].op != MICA_OP_RESULT &&
                      mica_op_is_composite(mica_op_definition((mica_op)graph->nodes[id].op)));
  mica_graph_destroy(graph);
  return found;
}

/* Expansions compute in the case's dtype and in another order, so they may be off by more. */
static void compare_expanded(const conformance_case *c, mica_dtype dtype, const char *device,
                             const mica_tensor *got, const mica_tensor *wanted, size_t output) {
  mica_type type = mica_tensor_type(wanted);
  double unit = dtype == MICA_F64 ? 2.3e-16 : 1.2e-7, largest = 1e-30;
  int64_t count = mica_shape_count(type.shape);
  double *values = calloc((size_t)count + 1, sizeof *values);
  if (values && mica_tensor_read_doubles(wanted, values, count, NULL) == MICA_OK)
    for (int64_t i = 0; i < count; i++)
      if (isfinite(values[i])) largest = fmax(largest, fabs(values[i]));
  free(values);
  mica_closeness closeness;
  mica_error error = {0};
  mica_status status =
      mica_tensor_compare(got, wanted, unit * 128, unit * 128 * largest, &closeness, &error);
  if (status == MICA_OK && closeness.close) return;
  char text[256] = "";
  if (status == MICA_OK) mica_closeness_format(&closeness, type.shape, text, sizeof text);
  CHECK_FAIL("%s %s output %zu: expanded on %s: %s%s", c->name, mica_dtype_name(dtype), output,
             device, text, error.message);
}

static void expand_case(const conformance_case *c, mica_dtype dtype, mica_device *device,
                        const char *name) {
  mica_error error = {0};
  mica_tensor *in[CASE_INPUTS] = {NULL}, *wanted[CASE_OUTPUTS] = {NULL},
              *got[CASE_OUTPUTS] = {NULL};
  size_t outputs = (size_t)c->output_count, inputs = (size_t)c->input_count;
  for (int32_t i = 0; i < c->input_count; i++) in[i] = case_values(c, i, dtype, 1);
  mica_executable *reference =
      case_compile(reference_device(), c, dtype, NULL, 0, forward_program, NULL, outputs, &error);
  mica_executable *expanded =
      reference ? case_compile(device, c, dtype, NULL, 0, forward_program, NULL, outputs, &error)
                : NULL;
  if (!expanded || mica_executable_run(reference, in, inputs, wanted, outputs, &error) ||
      mica_executable_run(expanded, in, inputs, got, outputs, &error))
    CHECK_FAIL("%s %s on %s: %s", c->name, mica_dtype_name(dtype), name, error.message);
  else
    for (size_t i = 0; i < outputs; i++) compare_expanded(c, dtype, name, got[i], wanted[i], i);
  for (size_t i = 0; i < outputs; i++) mica_tensor_release(wanted[i]), mica_tensor_release(got[i]);
  for (size_t i = 0; i < inputs; i++) mica_tensor_release(in[i]);
  mica_executable_release(reference), mica_executable_release(expanded);
}

TEST(expansions_equal_kernels) {
  static const char *const names[] = {"reference,expand", "cpu,expand"};
  for (int d = 0; d < 2; d++) {
    mica_error error = {0};
    mica_device *device =
        mica_device_open(&(mica_device_options){.struct_size = sizeof(mica_device_options),
                                                .backend = names[d],
                                                .threads = check_threads(2)},
                         &error);
    if (!CHECK(device != NULL)) continue;
    for (int32_t k = 0; k < conformance_case_count; k++) {
      const conformance_case *c = &conformance_cases[k];
      if (!case_wanted(c) || !(c->dtypes & F64) || !has_composite(c, MICA_F64)) continue;
      expand_case(c, MICA_F64, device, names[d]);
      if (c->dtypes & F32) expand_case(c, MICA_F32, device, names[d]);
    }
    mica_device_release(device);
  }
  close_devices();
}

TEST_MAIN(TEST_CASE(expansions_equal_kernels))
