/* SPDX-License-Identifier: Apache-2.0 */
/* learned.c: functions of one number that are trained: rational ones, straight lines through keypoints. */
#include <inttypes.h>
#include <math.h>

#include "mica/nn/networks.h"
#include "nn/layers/layer.h"

/* Coefficients of numerator and denominator, by least squares over 601 equal points of [-3, 3] (scipy); the largest error there:
 * relu 0.03, leaky_relu 0.02, gelu 0.003, the others below 0.0001. */
static const struct {
  mica_nn_activation like;
  double a[10], b[10]; /* versions A and B */
} rational_fits[] = {
    {MICA_NN_IDENTITY, {0, 1}, {0, 1}},
    {MICA_NN_RELU,
     {0.029968, 0.616988, 2.37295, 3.0586, 1.51873, 0.251428, 1.19071, 4.39711, 0.907587, 0.346933},
     {0.0339218, 0.499991, 1.66795, 1.98461, 0.937276, 0.150031, -9.09749e-05, 3.96934,
      -6.60419e-05, 0.300074}},
    {MICA_NN_LEAKY_RELU,
     {0.0228365, 0.693613, 1.3069, 2.96898, 0.768453, 0.231196, 0.328212, 4.10465, 0.240591,
      0.314783},
     {0.0237454, 0.649993, 1.16753, 2.58001, 0.656067, 0.195043, -9.58423e-05, 3.96932,
      -6.95859e-05, 0.300072}},
    {MICA_NN_SIGMOID,
     {0.5, 0.25, 0.0554423, 0.00688785, 0.000484844, 1.56429e-05, 0, 0.110885, 0, 0.000969687},
     {0.5, 0.25, 0.0554424, 0.00688788, 0.000484849, 1.56434e-05, 0, 0.110885, 0, 0.000969699}},
    {MICA_NN_TANH,
     {0, 1.00001, 0, 0.107415, 0, 0.000860501, 5.95554e-05, 0.440672, 0, 0.0144873},
     {0, 0.999994, 0, 0.107698, 0, 0.00087064, 0, 0.441003, 0, 0.0145773}},
    {MICA_NN_SILU,
     {3.10115e-07, 0.500001, 0.249998, 0.0532652, 0.00580253, 0.000275128, 4.10126e-06, 0.106527, 0,
      0.000550098},
     {3.29447e-07, 0.5, 0.249997, 0.0532644, 0.0058022, 0.000275087, 0, 0.106529, 0, 0.000550175}},
    {MICA_NN_GELU,
     {-0.0012651, 0.500862, 0.409048, 0.11206, 0.0123703, 0.000719908, 0.0120193, 0.206614,
      0.00882931, 0},
     {-0.000425203, 0.5, 0.402707, 0.0738379, -0.0128327, -0.0037188, 1.11294e-05, 0.147666,
      2.5523e-06, -0.00743784}}};

/* A variable [groups, count] whose rows are `row`. */
static mica_value row_parameter(mica_scope *scope, const char *name, mica_dtype dtype,
                                int64_t groups, const double *row, int64_t count) {
  mica_dtype master = mica_nn_master_dtype(dtype);
  double all[10 * 256];
  if (groups > 256)
    return mica_fail(mica_scope_graph(scope), MICA_INVALID, "rational \"%s\": more than 256 groups",
                     mica_scope_path(scope));
  for (int64_t i = 0; i < groups * count; i++) all[i] = row[i % count];
  mica_tensor *tensor = mica_tensor_from_doubles(master, MICA_DIMS(groups, count), all);
  if (tensor == NULL)
    return mica_fail(mica_scope_graph(scope), MICA_OUT_OF_MEMORY, "rational: out of memory");
  mica_value value = mica_nn_parameter(scope, name, dtype, MICA_DIMS(groups, count),
                                       (mica_initializer){0}, mica_init_tensor(tensor));
  mica_tensor_release(tensor);
  return value;
}

mica_value mica_nn_rational_with(const mica_nn_rational_args *given) {
  MICA_NN_ARGS(mica_nn_rational_args, a, given);
  mica_scope *scope = a.scope;
  if (!mica_nn_enter(scope, a.x, "rational")) return (mica_value){0};
  mica_shape shape = mica_shape_of(a.x);
  int64_t n = shape.rank > 0 ? shape.dim[shape.rank - 1] : 0, groups = a.groups == 0 ? 1 : a.groups;
  const double *fit = NULL;
  for (size_t i = 0; i < sizeof rational_fits / sizeof rational_fits[0]; i++)
    if (rational_fits[i].like == a.like)
      fit = a.version_a ? rational_fits[i].a : rational_fits[i].b;
  if (fit == NULL || groups < 1 || n % groups != 0 || shape.rank < 1 || shape.rank >= MICA_MAX_RANK)
    return mica_nn_leave(
        scope, mica_fail(mica_scope_graph(scope), MICA_INVALID,
                         "rational \"%s\": expected groups (%" PRId64
                         ") that divide the channels (%" PRId64 "), and an activation with a fit",
                         mica_scope_path(scope), groups, n));
  mica_value x = mica_widen(a.x);
  mica_dtype dtype = mica_dtype_of(x);
  mica_value p = row_parameter(scope, "numerator", dtype, groups, fit, 6);
  mica_value q = row_parameter(scope, "denominator", dtype, groups, fit + 6, 4);
  mica_shape parts = shape; /* [..., groups, n / groups] */
  parts.dim[parts.rank - 1] = groups;
  parts.dim[parts.rank++] = groups > 0 ? n / groups : 0;
  x = mica_reshape(x, parts);
  mica_value c[6], d[4], top = {0}, bottom = {0};
  for (int i = 0; i < 6; i++) c[i] = mica_slice_axis(p, 1, i, i + 1, 1);
  for (int i = 0; i < 4; i++) d[i] = mica_slice_axis(q, 1, i, i + 1, 1);
  top = c[5];
  for (int i = 4; i >= 0; i--) top = mica_add(mica_mul(top, x), c[i]); /* Horner */
  if (a.version_a) {
    mica_value size = mica_abs(x);
    bottom = mica_abs(d[3]);
    for (int i = 2; i >= 0; i--) bottom = mica_add(mica_mul(bottom, size), mica_abs(d[i]));
    bottom = mica_add(mica_mul(bottom, size), 1);
  } else {
    bottom = d[3];
    for (int i = 2; i >= 0; i--) bottom = mica_add(mica_mul(bottom, x), d[i]);
    bottom = mica_add(mica_abs(mica_mul(bottom, x)), 1);
  }
  mica_value y = mica_reshape(mica_div(top, bottom), shape);
  return mica_nn_leave(scope, mica_convert(y, mica_dtype_of(a.x)));
}

/* ---- straight lines through keypoints -------------------------------------------------------------------- */

mica_value mica_nn_calibration(mica_scope *scope, mica_value given, mica_tensor *keypoints,
                               double low, double high, bool monotonic) {
  if (!mica_nn_enter(scope, given, "calibration")) return (mica_value){0};
  mica_value x = mica_widen(given);
  mica_graph *graph = mica_scope_graph(scope);
  mica_type type = mica_tensor_type(keypoints);
  if (keypoints == NULL || type.shape.rank != 2 || type.shape.dim[1] < 2 ||
      type.shape.dim[0] != mica_dim_of(x, -1) || !mica_dtype_is_float(type.dtype))
    return mica_nn_leave(
        scope, mica_fail(graph, MICA_INVALID,
                         "calibration \"%s\": expected keypoints, floats [%" PRId64 ", 2 or more]",
                         mica_scope_path(scope), mica_dim_of(x, -1)));
  mica_dtype dtype = mica_dtype_of(x);
  int64_t k = type.shape.dim[1];
  mica_value outputs = mica_nn_parameter(scope, "outputs", dtype, type.shape, (mica_initializer){0},
                                         mica_init_linspace(low, high));
  mica_value points = mica_convert(mica_constant(graph, keypoints), dtype);
  mica_value left = mica_slice_axis(points, 1, 0, k - 1, 1),
             right = mica_slice_axis(points, 1, 1, k, 1);
  mica_value step =
      mica_sub(mica_slice_axis(outputs, 1, 1, k, 1), mica_slice_axis(outputs, 1, 0, k - 1, 1));
  if (monotonic) step = mica_relu(step);
  /* How much of each interval lies below x; one without a length counts as a whole from its end on. */
  mica_value length = mica_sub(right, left), none = mica_less_equal(length, 0);
  mica_value at = mica_sub(mica_expand_dims(x, -1), left);
  mica_value share =
      mica_clamp_numbers(mica_div(at, mica_select(none, mica_ones_like(length), length)), 0, 1);
  mica_value jumped = mica_convert(mica_greater_equal(at, 0), dtype);
  share = mica_select(mica_broadcast_to(none, mica_shape_of(share)), jumped, share);
  mica_value first = mica_squeeze(mica_slice_axis(outputs, 1, 0, 1, 1), MICA_AXES(1));
  mica_value y = mica_add(mica_reduce_sum(mica_mul(share, step), MICA_AXES(-1)), first);
  return mica_nn_leave(scope, mica_convert(y, mica_dtype_of(given)));
}
