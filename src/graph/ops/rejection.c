/* SPDX-License-Identifier: Apache-2.0 */
/* rejection.c: distributions by rejection, in a loop that goes on until every element has been
 * accepted; an element that has been keeps what it got. So an element depends on its own words
 * only, and on none that another one needed. Round r draws with the key folded with r. */
#include <math.h>

#include "graph/ops/drawing.h"

static mica_value any_left(mica_value done) {
  mica_axes all = {.count = -1};
  return mica_not(mica_reduce_and(done, all));
}

/* [a..., shape...] from the shape, for a key [a..., 2]. */
static mica_shape behind_keys(mica_value key, mica_shape shape) {
  mica_shape whole = mica_shape_remove(mica_shape_of(key), mica_rank_of(key) - 1);
  for (int32_t i = 0; i < shape.rank; i++)
    whole = mica_shape_insert(whole, whole.rank, shape.dim[i]);
  return whole;
}

static mica_value one_like(mica_value x) { return mica_ones_like(x); }

/* ---- gamma (Marsaglia and Tsang, ACM TOMS 26, 2000) ------------------------------------------------ */

/* The accepted y = c x, so that the draw is d (1 + y)^3 with d = a - 1/3; a >= 1 of the whole
 * shape, not differentiated. */
static mica_value accept_gamma(mica_value key, mica_value a, mica_shape shape) {
  mica_graph *graph = key.graph;
  mica_type type = mica_type_of(a), truth = {MICA_BOOL, type.shape}, draw = {type.dtype, shape};
  mica_value d = mica_add(a, -1.0 / 3), c = mica_mul(mica_rsqrt(d), 1.0 / 3);
  mica_value state[3] = {mica_zeros(graph, type), mica_zeros(graph, truth),
                         mica_scalar(graph, MICA_I32, 0)},
             final[3];
  mica_region loop = mica_while_begin(graph, state, 3, 0);
  mica_while_body(loop, any_left(mica_argument(loop, 1)));
  mica_value round = mica_argument(loop, 2), done = mica_argument(loop, 1), u;
  mica_value key_now = mica_random_fold(key, round);
  mica_value x = mica_random_normal(mica_random_fold_number(key_now, 0), draw);
  mica_draw_open(mica_random_fold_number(key_now, 1), type.dtype, shape, 1, false, &u);
  mica_value y = (mica_mul)(c, x), y2 = (mica_mul)(y, y);
  mica_value inside = mica_greater(y, -1), safe = mica_select(inside, y, mica_zeros_like(y));
  /* log u < x^2 / 2 + d (1 - v + log v) with v = (1 + y)^3: what cancels is taken apart. */
  mica_value cubic =
      mica_mul((mica_add)(y, (mica_add)(y2, mica_mul((mica_mul)(y2, y), 1.0 / 3))), -3);
  mica_value bend = (mica_mul)(d, (mica_add)(cubic, mica_mul(mica_log1p(safe), 3)));
  mica_value bound = (mica_add)(mica_mul((mica_mul)(x, x), 0.5), bend);
  mica_value accepted = (mica_and)(inside, (mica_less)(mica_log(u), bound));
  mica_value next[3] = {mica_select(done, mica_argument(loop, 0), safe), (mica_or)(done, accepted),
                        mica_add(round, 1)};
  mica_while_end(loop, next, final);
  return final[0];
}

/* d log x / d a at draws x: by the distribution function P(a, x), - (dP / da) / (x p(a, x)); where x
 * is very small, P is x^a / gamma(a + 1), which gives (digamma(a + 1) - log x) / a. */
static mica_value log_gamma_slope(mica_value a, mica_value x, mica_value log_x) {
  mica_value small = mica_less(x, mica_dtype_of(x) == MICA_F64 ? 1e-12 : 1e-6);
  mica_value safe = mica_select(small, one_like(x), x), log_safe = mica_log(safe);
  mica_value area = mica_igamma(a, safe), by_a;
  mica_value ones = one_like(area);
  mica_vjp(&area, &ones, 1, &a, 1, &by_a);
  /* x p = x^a exp(-x) / gamma(a) */
  mica_value log_density = (mica_sub)((mica_sub)((mica_mul)(a, log_safe), safe), mica_lgamma(a));
  mica_value general = mica_neg((mica_div)(by_a, mica_exp(log_density)));
  mica_value limit = (mica_div)((mica_sub)(mica_digamma(mica_add(a, 1)), log_x), a);
  return mica_select(small, limit, general);
}

/* x (or log x) with the derivative by a that its distribution has: the identity of x in a block
 * whose gradient is written by hand. */
static mica_value with_gamma_gradient(mica_value a, mica_value x, mica_value log_x,
                                      bool wants_log) {
  /* Nothing goes back into the loops: they only chose the draw. */
  mica_value in[3] = {a, mica_stop_gradient(x), mica_stop_gradient(log_x)}, out;
  mica_region block = mica_custom_gradient_begin(a.graph, in, 3);
  mica_value result = mica_argument(block, wants_log ? 2 : 1);
  mica_custom_gradient_backward(block, &result, 1);
  mica_value slope =
      log_gamma_slope(mica_argument(block, 0), mica_argument(block, 1), mica_argument(block, 2));
  if (!wants_log) slope = (mica_mul)(slope, mica_argument(block, 1));
  mica_value none = mica_zeros_like(x);
  mica_value gradient[3] = {(mica_mul)(mica_argument(block, 3), slope), none, none};
  mica_custom_gradient_end(block, gradient, &out, 1);
  return out;
}

/* A gamma draw or its logarithm, wide; a of a float dtype, [shape...]. Below 1, x is a draw of a + 1
 * times u^(1 / a). */
static mica_value draw_gamma(mica_value key, mica_value a, mica_shape shape, bool wants_log) {
  a = mica_broadcast_if_needed(mica_widen(a), behind_keys(key, shape));
  mica_value fixed = mica_stop_gradient(a), u;
  mica_value valid = (mica_and)(mica_greater(fixed, 0), mica_is_finite(fixed));
  fixed = mica_select(valid, fixed, one_like(fixed));
  mica_value small = mica_less(fixed, 1);
  mica_value raised = mica_select(small, mica_add(fixed, 1), fixed), d = mica_add(raised, -1.0 / 3);
  mica_value y = accept_gamma(mica_random_fold_number(key, 0), raised, shape);
  mica_draw_open(mica_random_fold_number(key, 1), mica_dtype_of(a), shape, 1, false, &u);
  mica_value log_power = mica_select(small, (mica_div)(mica_log(u), fixed), mica_zeros_like(fixed));
  mica_value cube = mica_add(y, 1);
  cube = (mica_mul)((mica_mul)(cube, cube), cube);
  mica_value x = (mica_mul)((mica_mul)(d, cube), mica_exp(log_power));
  mica_value log_x = (mica_add)((mica_add)(mica_log(d), mica_mul(mica_log1p(y), 3)), log_power);
  mica_value in_range = mica_select(valid, a, one_like(a));
  mica_value out = with_gamma_gradient(in_range, x, log_x, wants_log);
  return mica_select(valid, out, mica_full_like(out, (double)NAN));
}

static mica_value build_gamma(const char *op, mica_value key, mica_value a, mica_shape shape,
                              bool wants_log) {
  mica_dtype dtype = mica_dtype_of(a);
  if (!mica_spread_parameter(op, key, &a, shape))
    return mica_no_value(mica_graph_of((mica_value[]){key, a}, 2));
  return mica_convert(draw_gamma(key, a, shape, wants_log), dtype);
}

mica_value mica_random_gamma(mica_value key, mica_value a, mica_shape shape) {
  MICA_ENTRY_OF(key, a);
  return build_gamma("random_gamma", key, a, shape, false);
}
mica_value mica_random_log_gamma(mica_value key, mica_value a, mica_shape shape) {
  MICA_ENTRY_OF(key, a);
  return build_gamma("random_log_gamma", key, a, shape, true);
}

/* x / (x + y) of the logarithms, so that small draws do not become 0 / 0. */
mica_value mica_random_beta(mica_value key, mica_value a, mica_value b, mica_shape shape) {
  MICA_ENTRY_OF(key, a, b);
  const char *op = "random_beta";
  mica_value in[3] = {key, a, b};
  if (!mica_operands_usable(op, in, 3)) return mica_no_value(mica_graph_of(in, 3));
  mica_dtype dtype = mica_dtype_of(a);
  if (mica_dtype_of(b) != dtype)
    return mica_fail_operator(key.graph, op, in, 3,
                              "operands 1 and 2 have different dtypes: expected one dtype "
                              "(mica_convert(x, MICA_...) makes it)");
  if (!mica_spread_parameter(op, key, &a, shape) || !mica_spread_parameter(op, key, &b, shape))
    return mica_no_value(key.graph);
  mica_value x = draw_gamma(mica_random_fold_number(key, 0), a, shape, true);
  mica_value y = draw_gamma(mica_random_fold_number(key, 1), b, shape, true);
  return mica_convert(mica_logistic((mica_sub)(x, y)), dtype);
}

mica_value mica_random_dirichlet(mica_value key, mica_value a, mica_shape shape) {
  MICA_ENTRY_OF(key, a);
  mica_dtype dtype = mica_dtype_of(a);
  mica_value in[2] = {key, a};
  if (!mica_spread_parameter("random_dirichlet", key, &a, shape))
    return mica_no_value(mica_graph_of(in, 2));
  if (shape.rank < 1)
    return mica_fail_operator(key.graph, "random_dirichlet", in, 2,
                              "the shape []: expected [..., n]");
  return mica_convert(mica_softmax(draw_gamma(key, a, shape, true), -1), dtype);
}

/* ---- poisson --------------------------------------------------------------------------------------- */

/* The quantile of a uniform, by adding up probabilities until they reach it; 0 where the rate is 0.
 * Of a rate below 10, counts of 100 and more have no probability in f64. */
static mica_value search_quantile(mica_value key, mica_value rate, mica_shape shape) {
  mica_graph *graph = key.graph;
  mica_value u, p = mica_exp(mica_neg(rate));
  mica_draw_open(key, mica_dtype_of(rate), shape, 1, false, &u);
  mica_value state[4] = {p, p, mica_zeros_like(rate), mica_scalar(graph, MICA_F64, 0)}, final[4];
  mica_region loop = mica_while_begin(graph, state, 4, 0);
  mica_value beyond =
      mica_reduce_or((mica_greater)(u, mica_argument(loop, 1)), (mica_axes){.count = -1});
  mica_while_body(loop, (mica_and)(beyond, mica_less(mica_argument(loop, 3), 100)));
  mica_value sum = mica_argument(loop, 1), next = mica_add(mica_argument(loop, 3), 1);
  mica_value term = (mica_mul)(mica_argument(loop, 0), (mica_div)(rate, next));
  mica_value higher = mica_convert((mica_greater)(u, sum), MICA_F64);
  mica_value following[4] = {term, (mica_add)(sum, term),
                             (mica_add)(mica_argument(loop, 2), higher), next};
  mica_while_end(loop, following, final);
  return final[2];
}

/* Hoermann, "The transformed rejection method for generating Poisson random variables", Insurance:
 * Mathematics and Economics 12 (1993), algorithm PTRS; rate at least 10, for those that are `wanted`. */
static mica_value transformed_rejection(mica_value key, mica_value rate, mica_value wanted,
                                        mica_shape shape) {
  mica_graph *graph = key.graph;
  mica_type type = mica_type_of(rate);
  mica_value b = mica_add(mica_mul(mica_sqrt(rate), 2.53), 0.931);
  mica_value a = mica_add(mica_mul(b, 0.02483), -0.059);
  mica_value inverse_alpha = mica_add(mica_mul(mica_reciprocal(mica_add(b, -3.4)), 1.1328), 1.1239);
  mica_value sure = mica_add(mica_mul(mica_reciprocal(mica_add(b, -2)), -3.6224), 0.9277);
  mica_value log_rate = mica_log(rate);
  mica_value state[3] = {mica_zeros(graph, type), mica_not(wanted),
                         mica_scalar(graph, MICA_I32, 0)},
             final[3];
  mica_region loop = mica_while_begin(graph, state, 3, 0);
  mica_while_body(loop, any_left(mica_argument(loop, 1)));
  mica_value round = mica_argument(loop, 2), done = mica_argument(loop, 1), uniform[2];
  mica_draw_open(mica_random_fold(key, round), type.dtype, shape, 2, false, uniform);
  mica_value u = mica_sub(uniform[0], 0.5), v = uniform[1];
  mica_value us = mica_add(mica_neg(mica_abs(u)), 0.5);
  us = mica_max(us, 1e-300);
  mica_value slope = (mica_add)(mica_mul((mica_div)(a, us), 2), b);
  mica_value k = mica_floor(mica_add((mica_add)((mica_mul)(slope, u), rate), 0.43));
  mica_value quick = (mica_and)(mica_greater_equal(us, 0.07), (mica_less_equal)(v, sure));
  mica_value never =
      (mica_or)(mica_less(k, 0), (mica_and)(mica_less(us, 0.013), (mica_greater)(v, us)));
  mica_value whole = mica_max(k, 0);
  /* log(v / alpha / hat) <= k log(rate) - rate - log(k!), where k! = (k + 8)! / ((k + 1) .. (k +
   * 8)) and Stirling's series of log((k + 8)!) is exact to 1e-11. */
  mica_value hat = (mica_add)((mica_div)(a, (mica_mul)(us, us)), b);
  mica_value product = mica_add(whole, 1), n = mica_add(whole, 8), inverse = mica_reciprocal(n);
  for (int i = 2; i <= 8; i++) product = (mica_mul)(product, mica_add(whole, i));
  mica_value square = (mica_mul)(inverse, inverse);
  mica_value series = mica_add(mica_mul(square, -1.0 / 1680), 1.0 / 1260);
  series = mica_add((mica_mul)(square, series), -1.0 / 360);
  series = mica_add((mica_mul)(square, series), 1.0 / 12);
  series = mica_add((mica_mul)(inverse, series), 0.91893853320467274); /* log(2 pi) / 2 */
  mica_value stirling = (mica_sub)((mica_mul)(mica_add(n, 0.5), mica_log(n)), n);
  mica_value left = mica_log((mica_div)((mica_mul)(v, inverse_alpha), (mica_mul)(hat, product)));
  mica_value right =
      (mica_sub)((mica_sub)((mica_mul)(whole, log_rate), rate), (mica_add)(stirling, series));
  mica_value slow = (mica_and)(mica_not(never), (mica_less_equal)(left, right));
  mica_value next[3] = {mica_select(done, mica_argument(loop, 0), whole),
                        (mica_or)(done, (mica_or)(quick, slow)), mica_add(round, 1)};
  mica_while_end(loop, next, final);
  return final[0];
}

/* In f64, since k log(rate) - rate - log(k!) cancels. */
mica_value mica_random_poisson(mica_value key, mica_value rate, mica_shape shape) {
  MICA_ENTRY_OF(key, rate);
  const double largest = 1073741824, few = 10;
  if (!mica_spread_parameter("random_poisson", key, &rate, shape))
    return mica_no_value(mica_graph_of((mica_value[]){key, rate}, 2));
  rate = mica_broadcast_if_needed(mica_convert(mica_stop_gradient(rate), MICA_F64),
                                  behind_keys(key, shape));
  mica_value small = mica_less(rate, few), invalid = mica_not(mica_greater_equal(rate, 0));
  mica_value large = mica_greater(rate, largest);
  mica_value little =
      mica_select((mica_and)(small, mica_not(invalid)), rate, mica_zeros_like(rate));
  mica_value wanted = mica_not((mica_or)((mica_or)(small, invalid), large));
  mica_value much = mica_select(wanted, rate, mica_full_like(rate, few));
  mica_value counted = search_quantile(mica_random_fold_number(key, 0), little, shape);
  mica_value rejected = transformed_rejection(mica_random_fold_number(key, 1), much, wanted, shape);
  mica_value k = mica_select(small, counted, rejected);
  k = mica_select(invalid, mica_full_like(k, -1),
                  mica_select(large, mica_full_like(k, INT32_MAX), k));
  return mica_convert(k, MICA_I32);
}
