/* SPDX-License-Identifier: Apache-2.0 */
/* rows_pointwise.c: pointwise operators need no row. Which dtypes and attributes each takes is found out by
 * building it once for each; a table knows where its operands have to be for a finite result. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "random/generator.h"

enum { POINTWISE = 192, ATTRIBUTES = 12, ATTRIBUTE_TEXT = 48 };
typedef struct {
  mica_op op;
  uint32_t dtypes; /* of all operands */
  uint32_t attribute_count;
  char attribute[ATTRIBUTES][ATTRIBUTE_TEXT];
} pointwise;
static pointwise found[POINTWISE];
static size_t found_count;

/* Operands: M mild, S small (|x| <= 3 or so), P positive, U in [0.1, 0.9], O in [-0.9, 0.9], A above 1.25, N
 * not near 0. Bound of the result: a number, = the largest operand's, + their sum, * their product, e
 * for the exponential; ? unknown. */
typedef struct {
  const char *name, *operands;
  char bound;
} domain;
static const domain domains[] = {
    {"neg", "M", '='},           {"abs", "M", '='},
    {"sign", "M", '1'},          {"exp", "S", 'e'},
    {"exp2", "S", 'e'},          {"expm1", "S", 'e'},
    {"log", "P", '4'},           {"log1p", "P", '4'},
    {"log2", "P", '6'},          {"log10", "P", '4'},
    {"tanh", "M", '1'},          {"logistic", "M", '1'},
    {"erf", "M", '1'},           {"erfc", "S", '2'},
    {"sqrt", "P", '8'},          {"rsqrt", "P", '2'},
    {"sin", "M", '1'},           {"cos", "M", '1'},
    {"tan", "O", '2'},           {"floor", "M", '='},
    {"ceil", "M", '='},          {"round", "M", '='},
    {"stop_gradient", "M", '='}, {"mark", "M", '='},
    {"add", "MM", '+'},          {"sub", "MM", '+'},
    {"mul", "MM", '*'},          {"div", "MN", '?'},
    {"rem", "MN", '='},          {"pow", "PS", '?'},
    {"max", "MM", '='},          {"min", "MM", '='},
    {"relu", "M", '='},          {"gelu", "M", '='},
    {"asin", "O", '2'},          {"acos", "O", '4'},
    {"atan", "M", '2'},          {"sinh", "S", '?'},
    {"cosh", "S", '?'},          {"asinh", "M", '='},
    {"acosh", "A", '4'},         {"atanh", "O", '2'},
    {"atan2", "MN", '4'},        {"hypot", "MN", '+'},
    {"sinc", "S", '1'},          {"cbrt", "N", '2'},
    {"softplus", "M", '+'},      {"logit", "U", '4'},
    {"logaddexp", "MM", '+'},    {"xlogy", "MP", '?'},
    {"xlog1py", "MP", '?'},      {"erf_inv", "O", '2'},
    {"lgamma", "P", '?'},        {"digamma", "P", '?'},
    {"polygamma", "P", '?'},     {"bessel_i0", "S", '?'},
    {"bessel_i1", "S", '?'},     {"bessel_i0e", "M", '1'},
    {"bessel_i1e", "M", '1'},    {"igamma", "PP", '1'},
    {"igammac", "PP", '1'},      {"igamma_slope", "PP", '?'},
    {"betainc", "PPU", '1'},     {"betainc_slope", "PPU", '?'},
    {"gamma_draw", "PP", '='},   {"copysign", "MN", '='},
    {"nextafter", "MM", '='},
};
/* In smooth programs differences are the oracle: not for what a derivative is defined to be, and
 * not where a second derivative is a difference itself. */
static const char *const rough[] = {"stop_gradient", "nextafter",     "reduce_precision", "bitcast",
                                    "igamma_slope",  "betainc_slope", "gamma_draw"};

static bool try_build(mica_op op, mica_dtype dtype, const char *attributes) {
  const mica_op_def *def = mica_op_definition(op);
  mica_graph *graph = mica_graph_create(NULL);
  mica_value in[4];
  for (int i = 0; i < def->arity; i++)
    in[i] = mica_parameter(graph, (mica_type){dtype, MICA_DIMS(2)});
  mica_value out = mica_build_operator(graph, def->name, in, (size_t)def->arity, attributes);
  bool built = mica_is_valid(out) && mica_graph_status(graph, NULL) == MICA_OK;
  mica_graph_destroy(graph);
  return built;
}

static void list_attributes(const mica_op_def *def, pointwise *p) {
  const mica_attr_field *field = def->fields;
  if (!def->attr_size || !field || field[1].name)
    return; /* none, or several: then it needs a row */
  for (uint32_t i = 0; i < ATTRIBUTES; i++) {
    char *text = p->attribute[p->attribute_count];
    switch (field->kind) {
      case MICA_ATTR_ENUM:
        if (!field->names[i]) return;
        snprintf(text, ATTRIBUTE_TEXT, "%s=%s", field->name, field->names[i]);
        break;
      case MICA_ATTR_BOOL:
        if (i == 2) return;
        snprintf(text, ATTRIBUTE_TEXT, "%s=%s", field->name, i ? "true" : "false");
        break;
      case MICA_ATTR_I64:
        if (i == 5) return;
        snprintf(text, ATTRIBUTE_TEXT, "%s=%u", field->name, i);
        break;
      case MICA_ATTR_TEXT:
        if (i == 1) return;
        snprintf(text, ATTRIBUTE_TEXT, "%s=\"here\"", field->name);
        break;
      default: return;
    }
    bool ever = false;
    for (int dtype = 1; dtype < MICA_DTYPE_COUNT && !ever; dtype++)
      ever = ANY_DTYPE & DTYPE_BIT(dtype) && try_build((mica_op)(p->op), (mica_dtype)dtype, text);
    if (ever) p->attribute_count++;
  }
}

size_t random_pointwise_count(void) {
  if (found_count) return found_count;
  for (int op = 1; op < MICA_OP_COUNT; op++) {
    const mica_op_def *def = mica_op_definition((mica_op)op);
    if (def->kind != MICA_KIND_POINTWISE || def->arity < 1 || def->arity > 3) continue;
    pointwise *p = &found[found_count];
    *p = (pointwise){.op = (mica_op)op};
    list_attributes(def, p);
    if (def->attr_size && !p->attribute_count) continue;
    for (int dtype = 1; dtype < MICA_DTYPE_COUNT; dtype++) {
      bool takes = !p->attribute_count && try_build((mica_op)op, (mica_dtype)dtype, NULL);
      for (uint32_t i = 0; i < p->attribute_count && !takes; i++)
        takes = try_build((mica_op)op, (mica_dtype)dtype, p->attribute[i]);
      if (takes && ANY_DTYPE & DTYPE_BIT(dtype)) p->dtypes |= DTYPE_BIT(dtype);
    }
    if (p->dtypes && def->arity != 3)
      found_count++;
    else if (p->dtypes && p->dtypes != DTYPE_BIT(MICA_BOOL))
      found_count++; /* select has a row */
    if (found_count == POINTWISE) break;
  }
  return found_count;
}
const char *random_pointwise_name(size_t which) {
  return mica_op_definition(found[which].op)->name;
}
bool random_pointwise_rough(size_t which) {
  for (size_t i = 0; i < sizeof rough / sizeof *rough; i++)
    if (!strcmp(rough[i], random_pointwise_name(which))) return true;
  return false;
}

static const domain *domain_of(const char *name) {
  for (size_t i = 0; i < sizeof domains / sizeof *domains; i++)
    if (!strcmp(domains[i].name, name)) return &domains[i];
  return NULL;
}

/* x moved into a domain; *bound is that of the result. */
static mica_value into(generator *g, char kind, pool_entry x, double *bound) {
  mica_dtype dtype = mica_dtype_of(x.value);
  *bound = x.bound;
  if (mica_dtype_is_complex(dtype)) return kind == 'N' ? mica_add(x.value, 5) : x.value;
  if (!mica_dtype_is_float(dtype)) return x.value;
  if (kind != 'M' && random_chance(g, 3)) return x.value; /* now and then NaN and infinity */
  x = random_mild(g, x);
  *bound = x.bound;
  switch (kind) {
    case 'S': *bound = fmin(x.bound, 2); return x.bound <= 2 ? x.value : mica_mul(x.value, 0.25);
    case 'P': *bound = x.bound * x.bound + 1; return random_positive(g, x);
    case 'U': *bound = 1; return mica_add(mica_mul(mica_logistic(x.value), 0.75), 0.125);
    case 'O': *bound = 1; return mica_mul(mica_sin(x.value), 0.875);
    case 'A': return mica_add(mica_abs(x.value), 1.25);
    case 'N': {
      mica_value y = random_positive(g, x);
      return random_draw(g, 2) ? mica_neg(y) : y;
    }
    default: return x.value;
  }
}

static double bound_of(char rule, const double *operand, int count) {
  double sum = 0, product = 1, largest = 0;
  for (int i = 0; i < count; i++) {
    sum += operand[i];
    product *= operand[i];
    largest = fmax(largest, operand[i]);
  }
  switch (rule) {
    case '=': return largest + 1;
    case '+': return sum + 1;
    case '*': return product;
    case 'e': return exp(largest);
    case '?': return (double)INFINITY;
    default: return rule - '0';
  }
}

bool random_make_pointwise(generator *g, size_t which) {
  const pointwise *p = &found[which];
  const mica_op_def *def = mica_op_definition(p->op);
  const domain *d = domain_of(def->name);
  const char *attribute = NULL;
  if (p->attribute_count) attribute = p->attribute[random_draw(g, p->attribute_count)];
  pool_entry x[3];
  x[0] = random_pick(g, p->dtypes);
  mica_dtype dtype = mica_dtype_of(x[0].value);
  if (!try_build(p->op, dtype, attribute)) return false; /* this attribute not with this dtype */
  mica_shape shape = mica_shape_of(x[0].value);
  mica_value in[3];
  double bound[3] = {0};
  for (int i = 0; i < def->arity; i++) {
    if (i) x[i] = random_pick_as(g, dtype);
    /* A domain that nobody gave: [0.1, 0.9] is inside most. */
    in[i] = into(g, d ? d->operands[i] : 'U', x[i], &bound[i]);
    if (mica_shape_count(mica_shape_of(in[i])) > mica_shape_count(shape) && random_draw(g, 2))
      shape = mica_shape_of(in[i]);
  }
  for (int i = 0; i < def->arity; i++) in[i] = random_fit(g, in[i], shape);
  mica_value out = mica_build_operator(g->graph, def->name, in, (size_t)def->arity, attribute);
  random_push(g, out, bound_of(d ? d->bound : '?', bound, def->arity));
  return true;
}
