/* SPDX-License-Identifier: Apache-2.0 */
/* checks_vmap.c: the program over two examples in a vmap block against one run for each. */
#include <stdlib.h>
#include <string.h>

#include "random/checks.h"

static mica_tensor *two_examples(const mica_tensor *a, const mica_tensor *b) {
  mica_type type = mica_tensor_type(a);
  size_t bytes = mica_tensor_byte_size(a);
  char *both = malloc(2 * bytes + 1);
  if (bytes) {
    memcpy(both, mica_tensor_data(a), bytes);
    memcpy(both + bytes, mica_tensor_data(b), bytes);
  }
  for (int32_t i = type.shape.rank++; i > 0; i--) type.shape.dim[i] = type.shape.dim[i - 1];
  type.shape.dim[0] = 2;
  mica_tensor *tensor = mica_tensor_from(type.dtype, type.shape, both);
  free(both);
  return tensor;
}

static bool compare(mica_device *device, mica_graph *graph, mica_tensor *const *in, size_t in_count,
                    const noise_result *results, const char *name, random_failure *failure) {
  mica_executable *executable = NULL;
  mica_tensor *out[PROGRAM_OUTPUTS] = {NULL};
  mica_error error = {0};
  size_t count = results[0].count;
  bool ok = true;
  if (mica_compile(device, graph, 0, &executable, &error) != MICA_OK ||
      mica_executable_run(executable, in, in_count, out, count, &error) != MICA_OK)
    ok = random_fail(failure, "vmap", "%s: %s", name, error.message);
  for (size_t j = 0; j < count && ok; j++) {
    int64_t size, at;
    double *got = noise_doubles(out[j], &size);
    if (size != 2 * results[0].out[j].count)
      ok = random_fail(failure, "vmap", "%s: output %zu has another size", name, j);
    for (int example = 0; example < 2 && ok; example++) {
      const noise_output *wanted = &results[example].out[j];
      const double *part = got + example * wanted->count;
      if ((at = noise_compare(wanted, part, 3)) < 0) continue;
      char text[400];
      random_describe(text, sizeof text, j, at, wanted, part[at]);
      ok = random_fail(failure, "vmap", "%s, example %d: %s", name, example, text);
    }
    free(got);
  }
  for (size_t j = 0; j < count; j++) mica_tensor_release(out[j]);
  mica_executable_release(executable);
  return ok;
}

bool random_check_vmap(random_tape *tape, const random_plan *plan, noise_probe *base,
                       const noise_result *first, mica_tensor *const *in, random_failure *failure,
                       random_statistics *statistics) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value parameter[PROGRAM_INPUTS], argument[PROGRAM_INPUTS], out[PROGRAM_OUTPUTS] = {{0}};
  mica_tensor *other[PROGRAM_INPUTS], *both[PROGRAM_INPUTS];
  random_program program;
  mica_error error = {0};
  noise_result results[2] = {*first};
  for (size_t i = 0; i < plan->in_count; i++) {
    other[i] = random_input(plan, i, 1);
    both[i] = two_examples(in[i], other[i]);
    parameter[i] = mica_parameter(graph, mica_tensor_type(both[i]));
  }
  mica_region each = mica_vmap_begin(graph, parameter, NULL, plan->in_count);
  for (size_t i = 0; i < plan->in_count; i++) argument[i] = mica_argument(each, i);
  random_program_build(tape, plan, graph, argument, &program);
  mica_vmap_end(each, program.out, program.out_count, out);
  mica_graph_set_outputs(graph, out, program.out_count);
  bool ok = true;
  if (mica_graph_status(graph, &error) != MICA_OK || mica_graph_verify(graph, &error) != MICA_OK)
    ok = random_fail(failure, "vmap", "%s", error.message);
  if (ok && noise_run(base, other, plan->in_count, &results[1], &error) != MICA_OK)
    ok = random_fail(failure, "vmap", "the other example: %s", error.message);
  if (ok) {
    statistics->batched++;
    ok = compare(random_reference(), graph, both, plan->in_count, results, "reference", failure) &&
         compare(random_cpu(1), graph, both, plan->in_count, results, "cpu", failure);
  }
  noise_result_release(&results[1]);
  for (size_t i = 0; i < plan->in_count; i++)
    mica_tensor_release(other[i]), mica_tensor_release(both[i]);
  mica_graph_destroy(graph);
  return ok;
}
