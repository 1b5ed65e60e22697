/* SPDX-License-Identifier: Apache-2.0 */
/* checks_derivatives.c: the program's derivative along a random direction d.
 *
 * With weights w of its outputs: forward mode gives w . (J d), reverse mode (w J) . d; both are one number.
 * Both graphs agree on cpu and reference. In smooth programs differences are a third oracle: five points
 * along the line give a central estimate and one from each side. Where the function is smooth they agree, and
 * what they differ by is the tolerance; at kinks and jumps they do not, and nothing is compared. Smooth programs
 * are differentiated where no input is a whole number: at a single point a program may be what it is
 * nowhere beside it (x == 0), which no difference sees. */
#include <math.h>
#include <stdlib.h>

#include "random/checks.h"

enum { DERIVATIVE_NODES = 3000 };

static double weight(uint64_t output, int64_t k) {
  return 0.25 + random_unit(900 + output, (uint64_t)k);
}
/* 0.5 to 1, either sign; powers of two times small numbers, so that x + t d is exact on grids. */
static double direction(uint64_t input, int64_t k) {
  double u = random_unit(700 + input, (uint64_t)k);
  return (floor(8 * u) + 4) / 16 * (random_unit(800 + input, (uint64_t)k) < 0.5 ? -1 : 1);
}

static mica_value weights_like(mica_value y, uint64_t output) {
  mica_type type = mica_type_of(y);
  int64_t count = mica_shape_count(type.shape);
  double *values = malloc(((size_t)count + 1) * sizeof *values);
  for (int64_t k = 0; k < count; k++) values[k] = weight(output, k);
  mica_tensor *tensor = mica_tensor_from_doubles(type.dtype, type.shape, values);
  mica_value constant = mica_constant(y.graph, tensor);
  mica_tensor_release(tensor);
  free(values);
  return constant;
}
static bool is_real(mica_dtype dtype) { return DTYPE_BIT(dtype) & ANY_FLOAT; }
static mica_value product(mica_value a, mica_value b) {
  a = mica_convert(a, MICA_F64), b = mica_convert(b, MICA_F64);
  return mica_reduce_sum(mica_mul(a, b), MICA_ALL);
}

/* What the derivative graph gives: tangents of real outputs, their sum, the reverse mode's number, gradients. */
typedef struct {
  size_t y_count, x_count, out_count;
  size_t y_output[PROGRAM_OUTPUTS]; /* which output of the program each y is */
  size_t x_input[PROGRAM_INPUTS];
  bool rounds;
  int forward_at, reverse_at; /* outputs: forward_at + j, then their sum; -1: not there */
} layout;

static mica_graph *derivative_graph(random_tape *tape, const random_plan *plan, layout *l) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value in[PROGRAM_INPUTS], d[PROGRAM_INPUTS], x[PROGRAM_INPUTS], y[PROGRAM_OUTPUTS],
      w[PROGRAM_OUTPUTS], out[NOISE_OUTPUTS];
  random_program program;
  for (size_t i = 0; i < plan->in_count; i++) in[i] = mica_parameter(graph, plan->in[i]);
  for (size_t i = 0; i < plan->in_count; i++)
    if (is_real(plan->in[i].dtype)) {
      l->x_input[l->x_count] = i;
      x[l->x_count] = in[i];
      d[l->x_count++] = mica_parameter(graph, plan->in[i]);
    }
  random_program_build(tape, plan, graph, in, &program);
  for (size_t j = 0; j < program.out_count; j++) {
    mica_dtype dtype = mica_dtype_of(program.out[j]);
    if (!is_real(dtype) && !mica_dtype_is_complex(dtype)) continue;
    l->y_output[l->y_count] = j;
    mica_value *real = &y[l->y_count];
    *real = is_real(dtype) ? program.out[j] : mica_convert(program.out[j], random_real_part(dtype));
    w[l->y_count] = weights_like(*real, l->y_count);
    l->y_count++;
  }
  l->rounds = program.rounds_derivatives;
  l->forward_at = l->reverse_at = -1;
  if (l->y_count == 0 || graph->status != MICA_OK || graph->count > DERIVATIVE_NODES) return graph;
  if (plan->modes != REVERSE_ONLY) {
    mica_value tangent[PROGRAM_OUTPUTS] = {{0}}, sum = mica_scalar(graph, MICA_F64, 0);
    mica_jvp(y, l->y_count, x, d, l->x_count, tangent);
    l->forward_at = (int)l->out_count;
    for (size_t j = 0; j < l->y_count; j++) {
      out[l->out_count] = product(tangent[j], w[j]);
      sum = mica_add(sum, out[l->out_count++]);
    }
    out[l->out_count++] = sum;
  }
  if (plan->modes != FORWARD_ONLY) {
    mica_value gradient[PROGRAM_INPUTS] = {{0}}, sum = mica_scalar(graph, MICA_F64, 0);
    mica_vjp(y, w, l->y_count, x, l->x_count, gradient);
    l->reverse_at = (int)l->out_count++;
    for (size_t i = 0; i < l->x_count; i++) {
      sum = mica_add(sum, product(gradient[i], d[i]));
      out[l->out_count++] = gradient[i];
    }
    out[l->reverse_at] = sum;
  }
  mica_graph_set_outputs(graph, out, l->out_count);
  return graph;
}

static mica_tensor *direction_tensor(const random_plan *plan, size_t input) {
  mica_type type = plan->in[input];
  int64_t count = mica_shape_count(type.shape);
  double *values = malloc(((size_t)count + 1) * sizeof *values);
  for (int64_t k = 0; k < count; k++) values[k] = direction(input, k);
  mica_tensor *tensor = mica_tensor_from_doubles(type.dtype, type.shape, values);
  free(values);
  return tensor;
}
static mica_tensor *moved(const random_plan *plan, size_t input, mica_tensor *from, double t) {
  int64_t count;
  double *values = noise_doubles(from, &count);
  for (int64_t k = 0; k < count; k++) values[k] += t * direction(input, k);
  mica_tensor *tensor =
      mica_tensor_from_doubles(plan->in[input].dtype, plan->in[input].shape, values);
  free(values);
  return tensor;
}

/* ---- differences ------------------------------------------------------------------------------------- */

typedef struct {
  double center, ahead, behind; /* estimates of the slope */
  double rounding, scale;       /* of the estimates; of the terms of their sum */
} slope;

static double part(const double *values, int64_t k, bool complex) {
  return values[complex ? 2 * k : k];
}

/* points[p][j]: values of output j at t = -2h, -h, h, 2h. */
static slope measure(const noise_output *o, double *const points[4], size_t y, double h) {
  bool complex = mica_dtype_is_complex(mica_tensor_type(o->tensor).dtype);
  slope s = {0};
  for (int64_t k = 0; k < (complex ? o->count / 2 : o->count); k++) {
    double w = weight(y, k), at = part(o->value, k, complex), a = part(points[0], k, complex),
           b = part(points[1], k, complex), c = part(points[2], k, complex),
           e = part(points[3], k, complex), tolerance = part(o->tolerance, k, complex);
    double center = w * (a - 8 * b + 8 * c - e) / (12 * h);
    s.center += center;
    s.scale += fabs(center);
    s.ahead += w * (-3 * at + 4 * c - e) / (2 * h);
    s.behind += w * (3 * at - 4 * b + a) / (2 * h);
    s.rounding += tolerance < 0 ? (double)INFINITY : w * (tolerance + 0x1p-50 * fabs(at)) / h;
  }
  return s;
}

static bool judge(slope s, double found, double found_tolerance, const char *name, size_t output,
                  random_failure *failure, random_statistics *statistics) {
  double apart = fabs(s.center - s.ahead) + fabs(s.center - s.behind);
  double tolerance = 2 * apart + 4 * s.rounding + 4 * found_tolerance + 1e-8 * s.scale;
  if (!isfinite(found) || !isfinite(tolerance) || found_tolerance < 0) {
    statistics->not_finite++;
    return true;
  }
  if (s.scale > 0 && tolerance > 1e-2 * s.scale) {
    statistics->rough++;
    return true;
  }
  statistics->slopes++;
  if (fabs(found - s.center) <= tolerance) return true;
  return random_fail(
      failure, "differences",
      "%s, output %zu: derivative %.12g, differences %.12g (ahead %.12g, behind %.12g) "
      "+- %.3g",
      name, output, found, s.center, s.ahead, s.behind, tolerance);
}

static bool check_differences(const random_plan *plan, const layout *l, noise_probe *base,
                              const noise_result *result, const noise_result *found,
                              mica_tensor *const *in, random_failure *failure,
                              random_statistics *statistics) {
  static const double steps[4] = {-2, -1, 1, 2};
  const double h = 0x1p-11;
  double *points[4][PROGRAM_OUTPUTS] = {{NULL}};
  mica_error error = {0};
  bool ok = true;
  for (int p = 0; p < 4 && ok; p++) {
    mica_tensor *at[PROGRAM_INPUTS], *out[PROGRAM_OUTPUTS] = {NULL};
    for (size_t i = 0; i < plan->in_count; i++)
      at[i] = is_real(plan->in[i].dtype) ? moved(plan, i, in[i], steps[p] * h)
                                         : mica_tensor_retain(in[i]);
    if (mica_executable_run(base->plain, at, plan->in_count, out, result->count, &error) != MICA_OK)
      ok = random_fail(failure, "differences", "%s", error.message);
    for (size_t j = 0; j < result->count; j++) {
      int64_t count;
      if (ok) points[p][j] = noise_doubles(out[j], &count);
      mica_tensor_release(out[j]);
    }
    for (size_t i = 0; i < plan->in_count; i++) mica_tensor_release(at[i]);
  }
  slope sum = {0};
  for (size_t y = 0; y < l->y_count && ok; y++) {
    size_t j = l->y_output[y];
    double *four[4] = {points[0][j], points[1][j], points[2][j], points[3][j]};
    slope s = measure(&result->out[j], four, y, h);
    sum = (slope){sum.center + s.center, sum.ahead + s.ahead, sum.behind + s.behind,
                  sum.rounding + s.rounding, sum.scale + s.scale};
    if (l->forward_at < 0) continue;
    const noise_output *tangent = &found->out[(size_t)l->forward_at + y];
    ok = judge(s, tangent->value[0], tangent->tolerance[0], "forward mode", j, failure, statistics);
  }
  if (ok && l->forward_at < 0) {
    const noise_output *reverse = &found->out[l->reverse_at];
    ok = judge(sum, reverse->value[0], reverse->tolerance[0], "reverse mode", 0, failure,
               statistics);
  }
  for (int p = 0; p < 4; p++)
    for (size_t j = 0; j < result->count; j++) free(points[p][j]);
  return ok;
}

/* ---- all of it ------------------------------------------------------------------------------------------ */

static bool same_on_cpu(mica_graph *graph, mica_tensor *const *in, size_t in_count,
                        const noise_result *wanted, random_failure *failure) {
  mica_executable *executable = NULL;
  mica_tensor *out[NOISE_OUTPUTS] = {NULL};
  mica_error error = {0};
  bool ok = true;
  if (mica_compile(random_cpu(1), graph, 0, &executable, &error) != MICA_OK ||
      mica_executable_run(executable, in, in_count, out, wanted->count, &error) != MICA_OK)
    ok = random_fail(failure, "derivatives on cpu", "%s", error.message);
  for (size_t j = 0; j < wanted->count && ok; j++) {
    int64_t size, at;
    double *got = noise_doubles(out[j], &size);
    if ((at = noise_compare(&wanted->out[j], got, 2)) >= 0) {
      char text[400];
      random_describe(text, sizeof text, j, at, &wanted->out[j], got[at]);
      ok = random_fail(failure, "derivatives on cpu", "%s", text);
    }
    free(got);
  }
  for (size_t j = 0; j < wanted->count; j++) mica_tensor_release(out[j]);
  mica_executable_release(executable);
  return ok;
}

static bool modes_agree(const layout *l, const noise_result *found, random_failure *failure,
                        random_statistics *statistics) {
  if (l->forward_at < 0 || l->reverse_at < 0 || l->rounds) return true;
  const noise_output *a = &found->out[(size_t)l->forward_at + l->y_count],
                     *b = &found->out[l->reverse_at];
  if (a->tolerance[0] < 0 || b->tolerance[0] < 0 || !isfinite(a->value[0]) ||
      !isfinite(b->value[0]))
    return true;
  statistics->transposed++;
  double tolerance = 4 * (a->tolerance[0] + b->tolerance[0]);
  if (fabs(a->value[0] - b->value[0]) <= tolerance) return true;
  return random_fail(failure, "modes", "forward mode %.15g, reverse mode %.15g +- %.3g",
                     a->value[0], b->value[0], tolerance);
}

static bool check_at(random_tape *tape, const random_plan *plan, noise_probe *base,
                     const noise_result *result, mica_tensor *const *in, random_failure *failure,
                     random_statistics *statistics) {
  layout l = {0};
  mica_error error = {0};
  noise_probe probe = {0};
  noise_result found = {0};
  mica_tensor *all[2 * PROGRAM_INPUTS] = {NULL};
  size_t count = plan->in_count;
  mica_graph *graph = derivative_graph(tape, plan, &l);
  /* Noise in halves is hardly wider than their rounding: fewer samples of it are too few. */
  int graphs = plan->base == MICA_F16 || plan->base == MICA_BF16 ? NOISE_GRAPHS : 2;
  bool ok = true;
  if (mica_graph_status(graph, &error) != MICA_OK)
    ok = random_fail(failure, "derivatives", "%s", error.message);
  if (!ok || l.out_count == 0 || graph->count > 2 * DERIVATIVE_NODES) {
    statistics->large += ok && graph->count > DERIVATIVE_NODES;
    mica_graph_destroy(graph);
    return ok;
  }
  for (size_t i = 0; i < count; i++) all[i] = mica_tensor_retain(in[i]);
  for (size_t i = 0; i < l.x_count; i++) all[count++] = direction_tensor(plan, l.x_input[i]);
  if (mica_graph_verify(graph, &error) != MICA_OK ||
      noise_compile(random_reference(), graph, graphs, &probe, &error) != MICA_OK ||
      noise_run(&probe, all, count, &found, &error) != MICA_OK)
    ok = random_fail(failure, "derivatives", "%s", error.message);
  ok = ok && same_on_cpu(graph, all, count, &found, failure) &&
       modes_agree(&l, &found, failure, statistics);
  if (ok && plan->smooth)
    ok = check_differences(plan, &l, base, result, &found, in, failure, statistics);
  for (size_t i = 0; i < count; i++) mica_tensor_release(all[i]);
  noise_result_release(&found);
  noise_release(&probe);
  mica_graph_destroy(graph);
  return ok;
}

bool random_check_derivatives(random_tape *tape, const random_plan *plan, noise_probe *base,
                              const noise_result *result, mica_tensor *const *in,
                              random_failure *failure, random_statistics *statistics) {
  for (size_t j = 0; j < result->count; j++)
    if (result->out[j].chaotic) { /* what is noise has slopes of noise: 0, infinite or NaN */
      statistics->rough++;
      return true;
    }
  if (!plan->smooth) return check_at(tape, plan, base, result, in, failure, statistics);
  random_plan generic = *plan;
  noise_result there;
  mica_tensor *at[PROGRAM_INPUTS];
  mica_error error = {0};
  for (size_t i = 0; i + 1 < plan->in_count; i++)
    if (is_real(plan->in[i].dtype)) generic.in_kind[i] = INPUT_UNIFORM;
  for (size_t i = 0; i < plan->in_count; i++) at[i] = random_input(&generic, i, 2);
  bool ok = noise_run(base, at, plan->in_count, &there, &error) == MICA_OK;
  if (!ok) random_fail(failure, "derivatives", "at generic inputs: %s", error.message);
  ok = ok && check_at(tape, plan, base, &there, at, failure, statistics);
  for (size_t i = 0; i < plan->in_count; i++) mica_tensor_release(at[i]);
  noise_result_release(&there);
  return ok;
}
