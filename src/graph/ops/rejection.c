/* SPDX-License-Identifier: Apache-2.0 */
/* rejection.c: distributions by rejection. Every element is proposed to once; what was rejected is proposed
 * to in rounds, in a loop that goes on until every element has accepted. Round r draws with the key folded
 * with r. Where there are many elements, a round after the first one gathers some of those that are left,
 * which are few, so that the later rounds cost little; an element never draws again once it has accepted,
 * and which words it gets depends on earlier rejections alone, so that draws stay independent. */
#include <math.h>

#include "graph/attributes.h"
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

/* Proposes a value to each element of [draw...] behind the key's axes, by `count` parameters of that shape;
 * `out_accepted` says which take it. */
typedef mica_value propose(mica_value key, const mica_value *parameters, mica_shape draw,
                           mica_value *out_accepted);
enum { REJECTION_PARAMETERS = 4, REJECTION_GATHERS = 4096, REJECTION_PART = 8 };

/* One round on all: those that are done keep what they have. */
static void propose_to_all(propose *function, mica_value key, const mica_value *parameters,
                           mica_shape draw, const mica_value state[3], mica_value next[3]) {
  mica_value accepted,
      value = function(mica_random_fold(key, state[2]), parameters, draw, &accepted);
  next[0] = mica_select(state[1], state[0], value);
  next[1] = (mica_or)(state[1], accepted);
  next[2] = mica_add(state[2], 1);
}

/* One round on the first n / 8 elements of [n] that are left. */
static void propose_to_some(propose *function, mica_value key, const mica_value *parameters,
                            size_t count, const mica_value state[3], mica_value next[3]) {
  int64_t n = mica_dim_of(state[0], 0), size = n / REJECTION_PART;
  mica_shape some = {.rank = 1, .dim = {size}};
  mica_value at = mica_reshape(mica_nonzero(mica_not(state[1]), size, n), some);
  mica_value of_some[REJECTION_PARAMETERS], accepted;
  for (size_t i = 0; i < count; i++) of_some[i] = mica_take(parameters[i], at, 0);
  mica_value value = function(mica_random_fold(key, state[2]), of_some, some, &accepted);
  next[0] = mica_scatter_set(state[0], at, value); /* n, past the last one, is skipped */
  next[1] = mica_scatter_set(state[1], at, accepted);
  next[2] = mica_add(state[2], 1);
}

/* An accepted value for each element that is `wanted`, 0 for the others. */
static mica_value draw_accepted(propose *function, mica_value key, const mica_value *parameters,
                                size_t count, mica_value wanted, mica_shape draw) {
  mica_graph *graph = key.graph;
  mica_type type = mica_type_of(parameters[0]);
  int64_t n = mica_shape_count(type.shape);
  mica_value flat[REJECTION_PARAMETERS], next[3], final[3];
  mica_value state[3] = {mica_zeros(graph, type), mica_not(wanted),
                         mica_scalar(graph, MICA_I32, 0)};
  bool gathers = mica_rank_of(key) == 1 && n >= REJECTION_GATHERS && n <= INT32_MAX;
  if (gathers) {
    propose_to_all(function, key, parameters, draw, state, next);
    mica_shape line = {.rank = 1, .dim = {n}};
    for (size_t i = 0; i < count; i++) flat[i] = mica_reshape_if_needed(parameters[i], line);
    for (int i = 0; i < 2; i++) state[i] = mica_reshape_if_needed(next[i], line);
    state[2] = next[2];
  }
  mica_region loop = mica_while_begin(graph, state, 3, 0);
  mica_while_body(loop, any_left(mica_argument(loop, 1)));
  mica_value now[3] = {mica_argument(loop, 0), mica_argument(loop, 1), mica_argument(loop, 2)};
  if (gathers)
    propose_to_some(function, key, flat, count, now, next);
  else
    propose_to_all(function, key, parameters, draw, now, next);
  mica_while_end(loop, next, final);
  return mica_reshape_if_needed(final[0], type.shape);
}

/* ---- gamma (Marsaglia and Tsang, ACM TOMS 26, 2000) ------------------------------------------------ */

/* y = c x, so that the draw is d (1 + y)^3 with d = a - 1/3; parameters: a >= 1. */
static mica_value propose_gamma(mica_value key, const mica_value *parameters, mica_shape shape,
                                mica_value *out_accepted) {
  mica_value d = mica_add(parameters[0], -1.0 / 3), c = mica_mul(mica_rsqrt(d), 1.0 / 3), u;
  mica_type draw = {mica_dtype_of(d), shape};
  mica_value x = mica_random_normal(mica_random_fold_number(key, 0), draw);
  mica_draw_open(mica_random_fold_number(key, 1), draw.dtype, shape, 1, false, &u);
  mica_value y = (mica_mul)(c, x), y2 = (mica_mul)(y, y);
  mica_value inside = mica_greater(y, -1), safe = mica_select(inside, y, mica_zeros_like(y));
  /* log u < x^2 / 2 + d (1 - v + log v) with v = (1 + y)^3: what cancels is taken apart. */
  mica_value cubic =
      mica_mul((mica_add)(y, (mica_add)(y2, mica_mul((mica_mul)(y2, y), 1.0 / 3))), -3);
  mica_value bend = (mica_mul)(d, (mica_add)(cubic, mica_mul(mica_log1p(safe), 3)));
  mica_value bound = (mica_add)(mica_mul((mica_mul)(x, x), 0.5), bend);
  *out_accepted = (mica_and)(inside, (mica_less)(mica_log(u), bound));
  return safe;
}

/* d log x / d a at draws x: by the distribution function P(a, x), - (dP / da) / (x p(a, x)); where x
 * is very small, P is x^a / gamma(a + 1), which gives (digamma(a + 1) - log x) / a. */
static mica_value log_gamma_slope(mica_value a, mica_value x, mica_value log_x) {
  mica_value small = mica_less(x, mica_dtype_of(x) == MICA_F64 ? 1e-12 : 1e-6);
  mica_value safe = mica_select(small, one_like(x), x), log_safe = mica_log(safe);
  mica_value by_a = mica_emit(a.graph, MICA_OP_IGAMMA_SLOPE, (mica_value[]){a, safe}, 2, NULL);
  /* x p = x^a exp(-x) / gamma(a) */
  mica_value log_density = (mica_sub)((mica_sub)((mica_mul)(a, log_safe), safe), mica_lgamma(a));
  mica_value general = mica_neg((mica_div)(by_a, mica_exp(log_density)));
  mica_value limit = (mica_div)((mica_sub)(mica_digamma(mica_add(a, 1)), log_x), a);
  return mica_select(small, limit, general);
}

/* The draw as it is, with the derivative by a that its distribution has: of x, or of log x. By out, not by
 * the operand, so that a second derivative goes through the draw as well. */
static mica_value derive_gamma_draw(const mica_rule *rule, size_t operand, mica_value t) {
  const mica_gamma_draw_attr *attr = rule->attr;
  if (operand == 1) return mica_no_value(rule->graph);
  mica_value a = mica_widen(rule->in[0]), y = mica_widen(rule->out[0]);
  mica_value none = mica_equal(y, 0), x = y, log_x = y, slope;
  if (attr->log)
    x = mica_exp(y);
  else
    log_x = mica_log(mica_select(none, one_like(y), y));
  slope = log_gamma_slope(a, x, log_x);
  if (!attr->log) slope = mica_select(none, mica_zeros_like(y), (mica_mul)(slope, y));
  return mica_convert((mica_mul)(mica_widen(t), slope), mica_dtype_of(t));
}
static void expand_gamma_draw(const mica_rule *rule, mica_value *out) { out[0] = rule->in[1]; }
static const mica_attr_field gamma_draw_fields[] = {MICA_FIELD(mica_gamma_draw_attr, log, BOOL),
                                                    MICA_FIELD_END};
const mica_op_def mica_op_gamma_draw = {
    .name = "gamma_draw",
    .kind = MICA_KIND_POINTWISE,
    .dtypes = MICA_CLASS_FLOAT,
    .arity = 2,
    .results = 1,
    .attr_size = sizeof(mica_gamma_draw_attr),
    .fields = gamma_draw_fields,
    .formula =
        "a [s...], x [s...] -> [s...]: x, a draw of gamma(a) or its logarithm, whose derivative "
        "by a is implicit reparameterization's",
    .infer = mica_infer_equal,
    .derivative = derive_gamma_draw,
    .expand = expand_gamma_draw,
};

/* A gamma draw or its logarithm, wide; a of a float dtype, [shape...]. Below 1, x is a draw of a + 1
 * times u^(1 / a). */
static mica_value draw_gamma(mica_value key, mica_value a, mica_shape shape, bool wants_log) {
  a = mica_broadcast_if_needed(mica_widen(a), behind_keys(key, shape));
  mica_value fixed = mica_stop_gradient(a), u;
  mica_value valid = (mica_and)(mica_greater(fixed, 0), mica_is_finite(fixed));
  fixed = mica_select(valid, fixed, one_like(fixed));
  mica_value small = mica_less(fixed, 1);
  mica_value raised = mica_select(small, mica_add(fixed, 1), fixed), d = mica_add(raised, -1.0 / 3);
  mica_type truth = {MICA_BOOL, mica_shape_of(a)};
  mica_value y = draw_accepted(propose_gamma, mica_random_fold_number(key, 0), &raised, 1,
                               mica_full(key.graph, truth, 1), shape);
  mica_draw_open(mica_random_fold_number(key, 1), mica_dtype_of(a), shape, 1, false, &u);
  mica_value log_power = mica_select(small, (mica_div)(mica_log(u), fixed), mica_zeros_like(fixed));
  mica_value cube = mica_add(y, 1);
  cube = (mica_mul)((mica_mul)(cube, cube), cube);
  mica_value x = (mica_mul)((mica_mul)(d, cube), mica_exp(log_power));
  mica_value log_x = (mica_add)((mica_add)(mica_log(d), mica_mul(mica_log1p(y), 3)), log_power);
  mica_value in_range = mica_select(valid, a, one_like(a));
  mica_gamma_draw_attr attr = {.log = wants_log};
  mica_value draw[2] = {in_range, mica_stop_gradient(wants_log ? log_x : x)};
  mica_value out = mica_emit(key.graph, MICA_OP_GAMMA_DRAW, draw, 2, &attr);
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
  enum { TERMS = 8 }; /* of a round: they stay in registers and L1 */
  mica_value state[4] = {p, p, mica_zeros_like(rate), mica_scalar(graph, MICA_F64, 0)}, final[4];
  mica_region loop = mica_while_begin(graph, state, 4, 0);
  mica_value beyond =
      mica_reduce_or((mica_greater)(u, mica_argument(loop, 1)), (mica_axes){.count = -1});
  mica_while_body(loop, (mica_and)(beyond, mica_less(mica_argument(loop, 3), 100)));
  mica_value term = mica_argument(loop, 0), sum = mica_argument(loop, 1);
  mica_value count = mica_argument(loop, 2), k = mica_argument(loop, 3);
  for (int i = 1; i <= TERMS; i++) {
    count = (mica_add)(count, mica_convert((mica_greater)(u, sum), MICA_F64));
    term = (mica_mul)(term, (mica_mul)(rate, mica_reciprocal(mica_add(k, i))));
    sum = (mica_add)(sum, term);
  }
  mica_value following[4] = {term, sum, count, mica_add(k, TERMS)};
  mica_while_end(loop, following, final);
  return final[2];
}

/* Hoermann, "The transformed rejection method for generating Poisson random variables", Insurance:
 * Mathematics and Economics 12 (1993), algorithm PTRS; parameters: the rate, at least 10, and its logarithm. */
static mica_value propose_poisson(mica_value key, const mica_value *parameters, mica_shape shape,
                                  mica_value *out_accepted) {
  mica_value rate = parameters[0], log_rate = parameters[1], uniform[2];
  mica_value b = mica_add(mica_mul(mica_sqrt(rate), 2.53), 0.931);
  mica_value a = mica_add(mica_mul(b, 0.02483), -0.059);
  mica_value inverse_alpha = mica_add(mica_mul(mica_reciprocal(mica_add(b, -3.4)), 1.1328), 1.1239);
  mica_value sure = mica_add(mica_mul(mica_reciprocal(mica_add(b, -2)), -3.6224), 0.9277);
  mica_draw_open(key, mica_dtype_of(rate), shape, 2, false, uniform);
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
  *out_accepted = (mica_or)(quick, slow);
  return whole;
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
  mica_value parameters[2] = {much, mica_log(much)};
  mica_value rejected =
      draw_accepted(propose_poisson, mica_random_fold_number(key, 1), parameters, 2, wanted, shape);
  mica_value k = mica_select(small, counted, rejected);
  k = mica_select(invalid, mica_full_like(k, -1),
                  mica_select(large, mica_full_like(k, INT32_MAX), k));
  return mica_convert(k, MICA_I32);
}
