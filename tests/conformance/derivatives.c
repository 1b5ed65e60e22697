/* SPDX-License-Identifier: Apache-2.0 */
/* derivatives.c: the oracles of derivatives.h. */
#include "conformance/derivatives.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

bool derivatives_quiet, derivatives_broken;

#define REPORT(...) (derivatives_quiet ? (void)0 : (void)CHECK_FAIL(__VA_ARGS__))
#define BROKEN(...) (derivatives_broken = true, REPORT(__VA_ARGS__))

/* On XLA the differences are left to the tests of the own backends: compiling takes long enough. */
static bool compares_only(void) {
  const char *named = getenv("MICA_TEST_BACKEND");
  return named && strncmp(named, "xla", 3) == 0;
}

static bool differentiable_input(const conformance_case *c, int32_t i) {
  return c->in[i].kind == RANGE || c->in[i].kind == SPACED;
}

/* sum over outputs and elements of weight * (out + out^2 / 2), with fixed random weights. The
 * square makes the
 * cotangents depend on the inputs, so that the second order goes through them as well. */
static mica_value weighted(const conformance_case *c, mica_graph *graph, const mica_value *out) {
  mica_value sum = mica_scalar(graph, MICA_F64, 0);
  for (int32_t j = 0; j < c->output_count; j++) {
    mica_type type = mica_type_of(out[j]);
    if (!case_is_float(type)) continue;
    int64_t count = mica_shape_count(type.shape);
    double *weights = malloc((size_t)(count + 1) * sizeof *weights);
    for (int64_t i = 0; i < count; i++)
      weights[i] = 0.3 + case_random(99 + (uint64_t)j, (uint64_t)i);
    mica_tensor *tensor = mica_tensor_from_doubles(MICA_F64, type.shape, weights);
    mica_value plain = mica_convert(out[j], MICA_F64),
               bent = mica_add(plain, mica_mul(mica_square(plain), 0.5));
    sum = mica_add(sum, mica_reduce_sum(mica_mul(bent, mica_constant(graph, tensor)), MICA_ALL));
    mica_tensor_release(tensor);
    free(weights);
  }
  return sum;
}

typedef struct {
  int order;
  bool loss_only;
} gradient_context;

/* out: the loss (order 2: the weighted sum of first gradients), then its gradient by each float
 * input. */
static void gradient_program(const conformance_case *c, mica_graph *graph, const mica_value *in,
                             mica_value *out, size_t out_count, void *context) {
  const gradient_context *g = context;
  mica_value results[CASE_OUTPUTS] = {{0}}, x[CASE_INPUTS], d[CASE_INPUTS];
  size_t count = 0;
  for (int32_t i = 0; i < c->input_count; i++)
    if (differentiable_input(c, i)) x[count++] = in[i];
  c->build(graph, in, results);
  mica_value loss = weighted(c, graph, results);
  if (g->order == 2) {
    mica_gradients(loss, x, count, d);
    loss = mica_scalar(graph, MICA_F64, 0);
    for (size_t i = 0; i < count; i++) {
      mica_type type = mica_type_of(d[i]);
      int64_t size = mica_shape_count(type.shape);
      double *weights = malloc((size_t)(size + 1) * sizeof *weights);
      for (int64_t k = 0; k < size; k++) weights[k] = 0.4 + case_random(1234 + i, (uint64_t)k);
      mica_tensor *tensor = mica_tensor_from_doubles(type.dtype, type.shape, weights);
      loss = mica_add(
          loss,
          mica_convert(mica_reduce_sum(mica_mul(d[i], mica_constant(graph, tensor)), MICA_ALL),
                       MICA_F64));
      mica_tensor_release(tensor);
      free(weights);
    }
  }
  out[0] = loss;
  if (g->loss_only) return;
  mica_gradients(loss, x, count, d);
  for (size_t i = 0; i < count && 1 + i < out_count; i++) out[1 + i] = d[i];
}

static bool run_one(mica_executable *executable, mica_tensor *const *in, size_t in_count,
                    mica_tensor **out, size_t out_count, const conformance_case *c) {
  mica_error error = {0};
  if (executable &&
      mica_executable_run(executable, in, in_count, out, out_count, &error) == MICA_OK)
    return true;
  BROKEN("%s: %s", c->name, error.message);
  return false;
}

/* The derivative of function(x + t direction) at t = 0 by the five-point stencil; `out` [count]. */
static bool stencil(const conformance_case *c, mica_executable *function, mica_tensor **in,
                    int32_t varied, const double *direction, size_t out_index, size_t out_total,
                    double *derivative, int64_t count) {
  static const double weight[4] = {1.0 / 12, -8.0 / 12, 8.0 / 12, -1.0 / 12};
  static const int at[4] = {-2, -1, 1, 2};
  const double h = 0x1p-10; /* exact in every float dtype */
  mica_tensor *kept = in[varied];
  mica_type type = mica_tensor_type(kept);
  int64_t size = mica_shape_count(type.shape);
  double *values = malloc((size_t)(size + count + 2) * sizeof *values), *found = values + size + 1;
  bool ok = values && mica_tensor_read_doubles(kept, values, size, NULL) == MICA_OK;
  double *moved = malloc((size_t)(size + 1) * sizeof *moved);
  memset(derivative, 0, (size_t)count * sizeof *derivative);
  for (int s = 0; s < 4 && ok; s++) {
    for (int64_t k = 0; k < size; k++) moved[k] = values[k] + at[s] * h * direction[k];
    in[varied] = mica_tensor_from_doubles(type.dtype, type.shape, moved);
    mica_tensor *out[CASE_OUTPUTS] = {NULL};
    ok = run_one(function, in, (size_t)c->input_count, out, out_total, c) &&
         mica_tensor_read_doubles(out[out_index], found, count, NULL) == MICA_OK;
    for (int64_t k = 0; k < count && ok; k++) derivative[k] += weight[s] * found[k] / h;
    for (size_t j = 0; j < out_total; j++) mica_tensor_release(out[j]);
    mica_tensor_release(in[varied]);
  }
  in[varied] = kept;
  free(values), free(moved);
  return ok;
}

static double largest_of(const double *values, int64_t count) {
  double largest = 0;
  for (int64_t i = 0; i < count; i++) largest = fmax(largest, fabs(values[i]));
  return largest;
}

static void release_all(mica_tensor **tensors, size_t count) {
  for (size_t i = 0; i < count; i++) mica_tensor_release(tensors[i]), tensors[i] = NULL;
}

/* cpu computes the same derivatives as the reference, in f64 and f32: gradients of order 1 and 2, or
 * (0) tangents, which are inputs behind the case's own. */
static bool same_on_cpu(const conformance_case *c, mica_dtype dtype, int order,
                        case_program *program, void *context, size_t out_count) {
  mica_error error = {0};
  mica_type extra[CASE_INPUTS];
  size_t count = (size_t)c->input_count, tangents = 0;
  mica_tensor *in[2 * CASE_INPUTS] = {NULL}, *a[1 + CASE_INPUTS] = {NULL},
                      *b[1 + CASE_INPUTS] = {NULL};
  for (int32_t i = 0; i < c->input_count; i++) in[i] = case_values(c, i, dtype, 1);
  for (int32_t i = 0; i < c->input_count && order == 0; i++) {
    if (!differentiable_input(c, i)) continue;
    case_input_type(c, i, dtype, &extra[tangents++]);
    in[count++] = case_values(c, i, dtype, 2);
  }
  mica_executable *reference = case_compile(reference_device(), c, dtype, extra, tangents, program,
                                            context, out_count, &error);
  mica_executable *cpu = reference ? case_compile(cpu_device(2), c, dtype, extra, tangents, program,
                                                  context, out_count, &error)
                                   : NULL;
  bool ok = cpu && run_one(reference, in, count, a, out_count, c) &&
            run_one(cpu, in, count, b, out_count, c);
  if (!cpu) BROKEN("%s %s, order %d: %s", c->name, mica_dtype_name(dtype), order, error.message);
  for (size_t i = 0; i < out_count && ok; i++) {
    mica_closeness closeness;
    double unit = (dtype == MICA_F64 ? 2.3e-16 : 1.2e-7) * (order == 2 ? 512 : 128), largest = 1;
    mica_type type = mica_tensor_type(a[i]);
    int64_t size = mica_shape_count(type.shape);
    double *values = malloc((size_t)(size + 1) * sizeof *values);
    if (values && mica_tensor_read_doubles(a[i], values, size, NULL) == MICA_OK)
      largest = fmax(1, largest_of(values, size));
    free(values);
    ok = mica_tensor_compare(b[i], a[i], unit, unit * largest, &closeness, &error) == MICA_OK &&
         closeness.close;
    if (!ok) {
      char text[256] = "";
      mica_closeness_format(&closeness, type.shape, text, sizeof text);
      REPORT("%s %s, order %d, output %zu: cpu against reference: %s %s", c->name,
             mica_dtype_name(dtype), order, i, text, error.message);
    }
  }
  release_all(in, 2 * CASE_INPUTS), release_all(a, out_count), release_all(b, out_count);
  mica_executable_release(reference), mica_executable_release(cpu);
  return ok;
}

bool check_gradient(const conformance_case *c, int order) {
  mica_error error = {0};
  gradient_context whole = {order, false}, only = {order, true};
  size_t inputs = 0;
  for (int32_t i = 0; i < c->input_count; i++) inputs += differentiable_input(c, i);
  if (!inputs) return true;
  if (compares_only())
    return same_on_cpu(c, MICA_F64, order, gradient_program, &whole, 1 + inputs) &&
           (!(c->dtypes & F32) ||
            same_on_cpu(c, MICA_F32, order, gradient_program, &whole, 1 + inputs));
  mica_tensor *in[CASE_INPUTS] = {NULL}, *out[1 + CASE_INPUTS] = {NULL};
  for (int32_t i = 0; i < c->input_count; i++) in[i] = case_values(c, i, MICA_F64, 1);
  mica_executable *gradient = case_compile(reference_device(), c, MICA_F64, NULL, 0,
                                           gradient_program, &whole, 1 + inputs, &error);
  mica_executable *loss = gradient ? case_compile(reference_device(), c, MICA_F64, NULL, 0,
                                                  gradient_program, &only, 1, &error)
                                   : NULL;
  bool ok = loss && run_one(gradient, in, (size_t)c->input_count, out, 1 + inputs, c);
  if (!loss) BROKEN("%s, order %d: %s", c->name, order, error.message);
  double tolerance = order == 1 ? 1e-6 : 1e-4, any = 0;
  size_t at = 0;
  for (int32_t i = 0; i < c->input_count && ok; i++) {
    if (!differentiable_input(c, i)) continue;
    int64_t count = mica_shape_count(c->in[i].shape);
    double *found = calloc((size_t)(3 * count + 3), sizeof *found), *wanted = found + count + 1,
           *unit = wanted + count + 1;
    ok = found && mica_tensor_read_doubles(out[1 + at], found, count, &error) == MICA_OK;
    for (int64_t k = 0; k < count && ok; k++) {
      unit[k] = 1;
      ok = stencil(c, loss, in, i, unit, 0, 1, &wanted[k], 1);
      unit[k] = 0;
    }
    double largest = fmax(largest_of(wanted, count), 1e-3);
    any = fmax(any, largest_of(found, count));
    for (int64_t k = 0; k < count && ok; k++)
      if (!(fabs(found[k] - wanted[k]) <= tolerance * largest)) {
        REPORT("%s, order %d: input %d, element %lld: gradient %.12g, differences %.12g", c->name,
               order, i, (long long)k, found[k], wanted[k]);
        ok = false;
      }
    free(found);
    at++;
  }
  if (ok && any == 0) {
    REPORT("%s, order %d: the gradient is zero everywhere: nothing was tested", c->name, order);
    ok = false;
  }
  release_all(in, CASE_INPUTS), release_all(out, 1 + inputs);
  mica_executable_release(gradient), mica_executable_release(loss);
  if (ok && !derivatives_quiet)
    ok = same_on_cpu(c, MICA_F64, order, gradient_program, &whole, 1 + inputs);
  if (ok && !derivatives_quiet && c->dtypes & F32)
    ok = same_on_cpu(c, MICA_F32, order, gradient_program, &whole, 1 + inputs);
  return ok;
}

/* in: the case's inputs, then a tangent for each float input; out: tangents of the case's float
 * outputs. */
static void tangent_program(const conformance_case *c, mica_graph *graph, const mica_value *in,
                            mica_value *out, size_t out_count, void *context) {
  (void)context, (void)out_count;
  mica_value results[CASE_OUTPUTS] = {{0}}, x[CASE_INPUTS], t[CASE_INPUTS];
  size_t count = 0;
  for (int32_t i = 0; i < c->input_count; i++)
    if (differentiable_input(c, i)) {
      x[count] = in[i];
      t[count] = in[c->input_count + (int32_t)count];
      count++;
    }
  c->build(graph, in, results);
  mica_jvp(results, (size_t)c->output_count, x, t, count, out);
}

bool check_tangent(const conformance_case *c) {
  mica_error error = {0};
  mica_type extra[CASE_INPUTS];
  size_t tangents = 0, outputs = (size_t)c->output_count;
  for (int32_t i = 0; i < c->input_count; i++)
    if (differentiable_input(c, i)) case_input_type(c, i, MICA_F64, &extra[tangents++]);
  if (!tangents) return true;
  if (compares_only())
    return same_on_cpu(c, MICA_F64, 0, tangent_program, NULL, outputs) &&
           (!(c->dtypes & F32) || same_on_cpu(c, MICA_F32, 0, tangent_program, NULL, outputs));
  mica_tensor *in[2 * CASE_INPUTS] = {NULL};
  for (int32_t i = 0; i < c->input_count; i++) in[i] = case_values(c, i, MICA_F64, 1);
  mica_tensor **tangent = in + c->input_count;
  for (size_t i = 0; i < tangents; i++)
    tangent[i] = mica_tensor_from(MICA_F64, extra[i].shape, NULL);
  mica_executable *jvp = case_compile(reference_device(), c, MICA_F64, extra, tangents,
                                      tangent_program, NULL, outputs, &error);
  mica_executable *plain = jvp ? case_compile(reference_device(), c, MICA_F64, NULL, 0,
                                              forward_program, NULL, outputs, &error)
                               : NULL;
  bool ok = plain != NULL;
  if (!ok) BROKEN("%s, tangent: %s", c->name, error.message);
  double any = 0;
  size_t at = 0;
  for (int32_t i = 0; i < c->input_count && ok; i++) {
    if (!differentiable_input(c, i)) continue;
    int64_t count = mica_shape_count(c->in[i].shape);
    double *unit = calloc((size_t)count + 1, sizeof *unit);
    mica_tensor *zero = tangent[at];
    for (int64_t k = 0; k < count && ok; k++) {
      unit[k] = 1;
      tangent[at] = mica_tensor_from_doubles(MICA_F64, c->in[i].shape, unit);
      mica_tensor *out[CASE_OUTPUTS] = {NULL};
      ok = run_one(jvp, in, (size_t)c->input_count + tangents, out, outputs, c);
      for (size_t j = 0; j < outputs && ok; j++) {
        mica_type type = mica_tensor_type(out[j]);
        if (!case_is_float(type)) continue;
        int64_t size = mica_shape_count(type.shape);
        double *found = calloc(2 * (size_t)size + 2, sizeof *found), *wanted = found + size + 1;
        ok = mica_tensor_read_doubles(out[j], found, size, &error) == MICA_OK &&
             stencil(c, plain, in, i, unit, j, outputs, wanted, size);
        double largest = fmax(largest_of(wanted, size), 1e-3);
        any = fmax(any, largest_of(found, size));
        for (int64_t e = 0; e < size && ok; e++)
          if (!(fabs(found[e] - wanted[e]) <= 1e-6 * largest)) {
            REPORT(
                "%s, tangent of input %d element %lld: output %zu element %lld is %.12g, "
                "differences %.12g",
                c->name, i, (long long)k, j, (long long)e, found[e], wanted[e]);
            ok = false;
          }
        free(found);
      }
      release_all(out, outputs);
      mica_tensor_release(tangent[at]);
      unit[k] = 0;
    }
    tangent[at++] = zero;
    free(unit);
  }
  if (ok && any == 0) {
    REPORT("%s: the tangent is zero everywhere: nothing was tested", c->name);
    ok = false;
  }
  release_all(in, 2 * CASE_INPUTS);
  mica_executable_release(jvp), mica_executable_release(plain);
  if (ok && !derivatives_quiet) ok = same_on_cpu(c, MICA_F64, 0, tangent_program, NULL, outputs);
  if (ok && !derivatives_quiet && c->dtypes & F32)
    ok = same_on_cpu(c, MICA_F32, 0, tangent_program, NULL, outputs);
  return ok;
}
