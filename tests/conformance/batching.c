/* SPDX-License-Identifier: Apache-2.0 */
/* batching.c: vmap against a loop over the examples, both on the reference, or vmap on the device that
 * $MICA_TEST_BACKEND names. What is batched is the case's program with its
 * gradients
 * inside, so that the batching rules of derivatives are met as well. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "conformance/derivatives.h"

enum { EXAMPLES = 3, RESULTS = CASE_OUTPUTS + CASE_INPUTS };

typedef struct {
  int32_t axis[CASE_INPUTS]; /* -1: shared */
  bool batched;              /* build vmap around it */
} batch_context;

static size_t result_count(const conformance_case *c) {
  size_t count = (size_t)c->output_count;
  if (c->flags & (SMOOTH | FLAT | FIRST))
    for (int32_t i = 0; i < c->input_count; i++)
      count += c->in[i].kind == RANGE || c->in[i].kind == SPACED;
  return count;
}

/* results, then the gradients of their sum of squares by each float input. */
static void inner(const conformance_case *c, mica_graph *graph, const mica_value *in,
                  mica_value *out) {
  c->build(graph, in, out);
  size_t at = (size_t)c->output_count, count = 0;
  if (!(c->flags & (SMOOTH | FLAT | FIRST))) return;
  mica_value x[CASE_INPUTS], sum = mica_scalar(graph, MICA_F64, 0);
  for (int32_t j = 0; j < c->output_count; j++)
    if (mica_dtype_of(out[j]) == MICA_F64)
      sum = mica_add(sum, mica_reduce_sum(mica_mul(out[j], mica_add(out[j], 1)), MICA_ALL));
  for (int32_t i = 0; i < c->input_count; i++)
    if (c->in[i].kind == RANGE || c->in[i].kind == SPACED) x[count++] = in[i];
  mica_gradients(sum, x, count, out + at);
}

static void batch_program(const conformance_case *c, mica_graph *graph, const mica_value *in,
                          mica_value *out, size_t out_count, void *context) {
  const batch_context *b = context;
  if (!b->batched) {
    inner(c, graph, in, out);
    return;
  }
  mica_region each = mica_vmap_begin(graph, in, b->axis, (size_t)c->input_count);
  mica_value one[CASE_INPUTS], results[RESULTS] = {{0}};
  for (int32_t i = 0; i < c->input_count; i++) one[i] = mica_argument(each, (size_t)i);
  inner(c, graph, one, results);
  mica_vmap_end(each, results, out_count, out);
}

static mica_device *batched_device(void) {
  const char *named = getenv("MICA_TEST_BACKEND");
  return named && *named && !derivatives_quiet ? cpu_device(2) : reference_device();
}

/* Compiles with other input types than the table's. */
static mica_executable *compile_batched(const conformance_case *c, mica_dtype dtype,
                                        const mica_type *types, batch_context *b, size_t outputs,
                                        mica_error *error) {
  extern mica_dtype case_now;
  mica_graph *graph = mica_graph_create(NULL);
  mica_value in[CASE_INPUTS], out[RESULTS] = {{0}};
  for (int32_t i = 0; i < c->input_count; i++) in[i] = mica_parameter(graph, types[i]);
  case_now = dtype;
  batch_program(c, graph, in, out, outputs, b);
  mica_graph_set_outputs(graph, out, outputs);
  mica_executable *executable = NULL;
  mica_status status = mica_graph_verify(graph, error);
  if (status == MICA_OK)
    status = mica_compile(b->batched ? batched_device() : reference_device(), graph, 0, &executable,
                          error);
  mica_graph_destroy(graph);
  return status == MICA_OK ? executable : NULL;
}

/* Puts the examples along an axis. */
static mica_tensor *stacked(mica_tensor *const *examples, int32_t axis, mica_type *out_type) {
  mica_type one = mica_tensor_type(examples[0]);
  *out_type = one;
  out_type->shape.rank++;
  for (int32_t k = one.shape.rank; k > axis; k--) out_type->shape.dim[k] = one.shape.dim[k - 1];
  out_type->shape.dim[axis] = EXAMPLES;
  int64_t outer = 1, inner_size = 1;
  for (int32_t k = 0; k < one.shape.rank; k++)
    *(k < axis ? &outer : &inner_size) *= one.shape.dim[k];
  bool packed = mica_dtype_bits(one.dtype) < 8; /* two to a byte: by way of numbers */
  size_t width = packed ? sizeof(double) : (size_t)mica_dtype_bits(one.dtype) / 8,
         row = (size_t)inner_size * width;
  char *bytes = malloc((size_t)outer * EXAMPLES * row + 1);
  double *numbers = packed ? calloc((size_t)(outer * inner_size) + 1, sizeof *numbers) : NULL;
  for (int e = 0; e < EXAMPLES && bytes; e++) {
    const char *from = mica_tensor_data(examples[e]);
    if (numbers && mica_tensor_read_doubles(examples[e], numbers, outer * inner_size, NULL) == 0)
      from = (const char *)numbers;
    for (int64_t o = 0; o < outer; o++)
      memcpy(bytes + ((size_t)o * EXAMPLES + (size_t)e) * row, from + (size_t)o * row, row);
  }
  mica_tensor *whole =
      packed ? mica_tensor_from_doubles(out_type->dtype, out_type->shape, (double *)(void *)bytes)
             : mica_tensor_from(out_type->dtype, out_type->shape, bytes);
  free(bytes), free(numbers);
  return whole;
}

/* Two runs of one engine differ in f64's last digits only; those of two engines by what they round to. */
static double allowed(mica_dtype dtype) {
  if (batched_device() == reference_device()) return 1e-11;
  switch (dtype) {
    case MICA_F32:
    case MICA_C64: return 2e-6;
    case MICA_F16: return 8e-3;
    case MICA_BF16: return 6e-2;
    default: return 1e-11;
  }
}

static bool agree(const mica_tensor *batch, const mica_tensor *one, int example,
                  double *out_error) {
  mica_type type = mica_tensor_type(one), wide = mica_tensor_type(batch);
  int64_t count = mica_shape_count(type.shape), all = mica_shape_count(wide.shape);
  if (wide.dtype != type.dtype || all != count * EXAMPLES ||
      wide.shape.rank != type.shape.rank + 1 || wide.shape.dim[0] != EXAMPLES)
    return false;
  double *a = calloc((size_t)(all + count + 1), sizeof *a), *b = a + all, largest = 1;
  bool same = a && mica_tensor_read_doubles(batch, a, all, NULL) == MICA_OK &&
              mica_tensor_read_doubles(one, b, count, NULL) == MICA_OK;
  for (int64_t i = 0; i < count && same; i++) largest = fmax(largest, fabs(b[i]));
  double tolerance = allowed(type.dtype);
  *out_error = 0;
  for (int64_t i = 0; i < count && same; i++) {
    double x = a[example * count + i], y = b[i];
    if (isnan(x) && isnan(y)) continue;
    *out_error = fmax(*out_error, fabs(x - y) / largest);
    same = x == y || fabs(x - y) <= tolerance * largest;
  }
  free(a);
  return same;
}

static bool check_pattern(const conformance_case *c, mica_dtype dtype, batch_context *b) {
  mica_error error = {0};
  size_t outputs = result_count(c);
  mica_tensor *examples[CASE_INPUTS][EXAMPLES], *in[CASE_INPUTS] = {NULL}, *batch[RESULTS] = {NULL};
  mica_type types[CASE_INPUTS], single[CASE_INPUTS];
  for (int32_t i = 0; i < c->input_count; i++) {
    for (int e = 0; e < EXAMPLES; e++)
      examples[i][e] = case_values(c, i, dtype, b->axis[i] < 0 ? 1 : 1 + (uint64_t)e);
    case_input_type(c, i, dtype, &single[i]);
    types[i] = single[i];
    in[i] = b->axis[i] < 0 ? mica_tensor_retain(examples[i][0])
                           : stacked(examples[i], b->axis[i], &types[i]);
  }
  b->batched = true;
  mica_executable *whole = compile_batched(c, dtype, types, b, outputs, &error);
  b->batched = false;
  mica_executable *loop = whole ? compile_batched(c, dtype, single, b, outputs, &error) : NULL;
  bool ok = loop && mica_executable_run(whole, in, (size_t)c->input_count, batch, outputs,
                                        &error) == MICA_OK;
  for (int e = 0; e < EXAMPLES && ok; e++) {
    mica_tensor *given[CASE_INPUTS], *one[RESULTS] = {NULL};
    for (int32_t i = 0; i < c->input_count; i++) given[i] = examples[i][e];
    ok = mica_executable_run(loop, given, (size_t)c->input_count, one, outputs, &error) == MICA_OK;
    for (size_t j = 0; j < outputs && ok; j++) {
      double worst = 0;
      ok = agree(batch[j], one[j], e, &worst);
      if (!ok && !derivatives_quiet)
        CHECK_FAIL("vmap of %s, axes [%d, %d, %d, %d]: result %zu of example %d differs by %g",
                   c->name, b->axis[0], c->input_count > 1 ? b->axis[1] : -9,
                   c->input_count > 2 ? b->axis[2] : -9, c->input_count > 3 ? b->axis[3] : -9, j, e,
                   worst);
    }
    for (size_t j = 0; j < outputs; j++) mica_tensor_release(one[j]);
  }
  if (error.status) derivatives_broken = true;
  if (error.status && !derivatives_quiet) CHECK_FAIL("vmap of %s: %s", c->name, error.message);
  for (int32_t i = 0; i < c->input_count; i++) {
    mica_tensor_release(in[i]);
    for (int e = 0; e < EXAMPLES; e++) mica_tensor_release(examples[i][e]);
  }
  for (size_t j = 0; j < outputs; j++) mica_tensor_release(batch[j]);
  mica_executable_release(whole), mica_executable_release(loop);
  return ok && !error.status;
}

bool check_vmap(const conformance_case *c) {
  mica_dtype dtype = case_dtype(c->dtypes & -c->dtypes);
  bool ok = true;
  for (int32_t pattern = 0; pattern < c->input_count + 2 && ok; pattern++) {
    batch_context b = {.batched = true};
    if (pattern == c->input_count + 1 && c->input_count == 1) break;
    for (int32_t i = 0; i < c->input_count; i++) {
      int32_t rank = c->in[i].shape.rank;
      if (pattern == 0)
        b.axis[i] = 0;
      else if (pattern <= c->input_count)
        b.axis[i] = pattern - 1 == i ? rank : -1;
      else
        b.axis[i] = rank ? 1 : 0;
      /* Examples that share a key draw different numbers, so there each has its own. */
      bool is_key = c->in[i].kind == WORDS && !strncmp(c->name, "random_", 7);
      if (is_key && b.axis[i] < 0) b.axis[i] = 0;
    }
    ok = check_pattern(c, dtype, &b);
  }
  return ok;
}
