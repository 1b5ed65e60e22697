/* SPDX-License-Identifier: Apache-2.0 */
/* schedules.c: schedules as trees of pieces. One walk over the tree serves both the graph and the host: it calls a small
 * set of arithmetic (numbers), which computes, or builds nodes. So both follow the same formulas in the same order. */
#include <inttypes.h>
#include <math.h>

#include "core/memory.h"
#include "graph/ops/rules.h"
#include "mica/train/schedules.h"

typedef enum {
  SCHEDULE_CONSTANT,
  SCHEDULE_EXPONENTIAL,
  SCHEDULE_POLYNOMIAL,
  SCHEDULE_COSINE,
  SCHEDULE_RESTARTS,
  SCHEDULE_INVERSE_ROOT,
  SCHEDULE_JOIN,
  SCHEDULE_PRODUCT,
  SCHEDULE_SUM
} schedule_kind;

struct mica_schedule {
  schedule_kind kind;
  double start, end, steps, power, rate, warmup, period_factor, peak_factor;
  bool staircase, has_end;
  size_t count;
  mica_schedule **part; /* [count] */
  double *boundary;     /* [count - 1] */
};

/* ---- numbers of both worlds ------------------------------------------------------------------------------ */

/* A number that is known, or a value. */
typedef struct {
  double number;
  mica_value value; /* {0}: known */
} quantity;

static quantity known(double number) { return (quantity){.number = number}; }
static bool is_known(quantity q) { return q.value.graph == NULL; }

typedef enum { Q_ADD, Q_SUB, Q_MUL, Q_DIV, Q_POW, Q_MIN, Q_MAX } quantity_op;
static double compute_known(quantity_op op, double x, double y) {
  switch (op) {
    case Q_ADD: return x + y;
    case Q_SUB: return x - y;
    case Q_MUL: return x * y;
    case Q_DIV: return x / y;
    case Q_POW: return pow(x, y);
    case Q_MIN: return x < y ? x : y;
    case Q_MAX: return x > y ? x : y;
  }
  return NAN;
}
static mica_value build_quantity(quantity_op op, mica_value x, mica_value y) {
  switch (op) {
    case Q_ADD: return mica_add(x, y);
    case Q_SUB: return mica_sub(x, y);
    case Q_MUL: return mica_mul(x, y);
    case Q_DIV: return mica_div(x, y);
    case Q_POW: return mica_pow(x, y);
    case Q_MIN: return mica_min(x, y);
    case Q_MAX: return mica_max(x, y);
  }
  return mica_no_value(x.graph);
}
static quantity quantity_of(quantity_op op, quantity x, quantity y) {
  if (is_known(x) && is_known(y)) return known(compute_known(op, x.number, y.number));
  mica_value like = is_known(x) ? y.value : x.value;
  if (is_known(x)) x.value = mica_scalar(like.graph, mica_dtype_of(like), x.number);
  if (is_known(y)) y.value = mica_scalar(like.graph, mica_dtype_of(like), y.number);
  return (quantity){.value = build_quantity(op, x.value, y.value)};
}
static quantity quantity_plus(quantity x, quantity y) { return quantity_of(Q_ADD, x, y); }
static quantity quantity_minus(quantity x, quantity y) { return quantity_of(Q_SUB, x, y); }
static quantity quantity_times(quantity x, double y) { return quantity_of(Q_MUL, x, known(y)); }
static quantity quantity_over(quantity x, double y) { return quantity_of(Q_DIV, x, known(y)); }

static quantity whole_part(quantity x) {
  return is_known(x) ? known(floor(x.number)) : (quantity){.value = mica_floor(x.value)};
}
static quantity cosine_of(quantity x) {
  return is_known(x) ? known(cos(x.number)) : (quantity){.value = mica_cos(x.value)};
}
static quantity log_of(quantity x) {
  return is_known(x) ? known(log(x.number)) : (quantity){.value = mica_log(x.value)};
}
/* x < limit ? yes : no, for a step x. */
static quantity choose(quantity x, double limit, quantity yes, quantity no) {
  if (is_known(x)) return x.number < limit ? yes : no;
  mica_graph *g = x.value.graph;
  mica_dtype dtype = mica_dtype_of(x.value);
  if (is_known(yes)) yes.value = mica_scalar(g, dtype, yes.number);
  if (is_known(no)) no.value = mica_scalar(g, dtype, no.number);
  mica_value before = mica_less(x.value, limit);
  return (quantity){.value = mica_select(before, yes.value, no.value)};
}

/* ---- formulas -------------------------------------------------------------------------------------------- */

static quantity schedule_of(const mica_schedule *s, quantity t);

/* t / n in 0 .. 1 */
static quantity progress(const mica_schedule *s, quantity t) {
  return quantity_over(quantity_of(Q_MIN, t, known(s->steps)), s->steps);
}
static quantity half_cosine(quantity u) {
  return quantity_times(
      quantity_plus(known(1), cosine_of(quantity_times(u, 3.14159265358979323846))), 0.5);
}
static quantity between(const mica_schedule *s, quantity part) {
  return quantity_plus(known(s->end), quantity_times(part, s->start - s->end));
}

static quantity exponential_of(const mica_schedule *s, quantity t) {
  quantity part = quantity_over(t, s->steps);
  if (s->staircase) part = whole_part(part);
  quantity y = quantity_times(quantity_of(Q_POW, known(s->rate), part), s->start);
  if (!s->has_end) return y;
  return quantity_of(s->rate < 1 ? Q_MAX : Q_MIN, y, known(s->end));
}

/* The step at which a cycle begins: n (f^cycle - 1) / (f - 1), rounded. */
static quantity cycle_begin(const mica_schedule *s, quantity cycle) {
  double n = s->steps, f = s->period_factor;
  if (f == 1) return quantity_times(cycle, n);
  quantity grown = quantity_minus(quantity_of(Q_POW, known(f), cycle), known(1));
  return whole_part(quantity_plus(quantity_times(quantity_over(grown, f - 1), n), known(0.5)));
}
static quantity restarts_of(const mica_schedule *s, quantity t) {
  double n = s->steps, f = s->period_factor;
  quantity cycle = quantity_over(t, n);
  if (f != 1)
    cycle = quantity_over(log_of(quantity_plus(known(1), quantity_times(cycle, f - 1))), log(f));
  cycle = quantity_of(Q_MAX, whole_part(cycle), known(0));
  /* The logarithm may be off at the edges. */
  cycle =
      choose(quantity_minus(t, cycle_begin(s, cycle)), 0, quantity_minus(cycle, known(1)), cycle);
  cycle = choose(quantity_minus(t, cycle_begin(s, quantity_plus(cycle, known(1)))), 0, cycle,
                 quantity_plus(cycle, known(1)));
  quantity begin = cycle_begin(s, cycle);
  quantity length = quantity_minus(cycle_begin(s, quantity_plus(cycle, known(1))), begin);
  quantity u = quantity_of(Q_DIV, quantity_minus(t, begin), length);
  quantity y = quantity_times(half_cosine(u), s->start - s->end);
  if (s->peak_factor != 1)
    y = quantity_of(Q_MUL, y, quantity_of(Q_POW, known(s->peak_factor), cycle));
  return quantity_plus(known(s->end), y);
}

static quantity join_of(const mica_schedule *s, quantity t) {
  quantity y = schedule_of(s->part[0], t);
  for (size_t i = 1; i < s->count; i++) {
    double from = s->boundary[i - 1];
    quantity own = quantity_of(Q_MAX, quantity_minus(t, known(from)), known(0));
    y = choose(t, from, y, schedule_of(s->part[i], own));
  }
  return y;
}

static quantity schedule_of(const mica_schedule *s, quantity t) {
  switch (s->kind) {
    case SCHEDULE_CONSTANT: return known(s->start);
    case SCHEDULE_EXPONENTIAL: return exponential_of(s, t);
    case SCHEDULE_POLYNOMIAL: {
      quantity rest = quantity_minus(known(1), progress(s, t));
      return between(s, s->power == 1 ? rest : quantity_of(Q_POW, rest, known(s->power)));
    }
    case SCHEDULE_COSINE: return between(s, half_cosine(progress(s, t)));
    case SCHEDULE_RESTARTS: return restarts_of(s, t);
    case SCHEDULE_INVERSE_ROOT: {
      quantity late = quantity_of(Q_MAX, t, known(s->warmup));
      quantity root = quantity_of(Q_POW, quantity_of(Q_DIV, known(s->warmup), late), known(0.5));
      quantity rising = quantity_over(quantity_of(Q_MIN, t, known(s->warmup)), s->warmup);
      return quantity_times(quantity_of(Q_MUL, rising, root), s->start);
    }
    case SCHEDULE_JOIN: return join_of(s, t);
    case SCHEDULE_PRODUCT:
      return quantity_of(Q_MUL, schedule_of(s->part[0], t), schedule_of(s->part[1], t));
    case SCHEDULE_SUM: return quantity_plus(schedule_of(s->part[0], t), schedule_of(s->part[1], t));
  }
  return known(NAN);
}

double mica_schedule_at(const mica_schedule *schedule, int64_t step) {
  if (!schedule) return NAN;
  return schedule_of(schedule, known(step < 0 ? 0 : (double)step)).number;
}

double mica_schedule_rate(int64_t step, void *schedule) { return mica_schedule_at(schedule, step); }

mica_value mica_schedule_value(const mica_schedule *schedule, mica_value step, mica_dtype dtype) {
  static const char op[] = "schedule_value";
  MICA_ENTRY(step.graph);
  if (!mica_operands_usable(op, &step, 1)) return mica_no_value(step.graph);
  if (!schedule)
    return mica_fail_operator(step.graph, op, &step, 1, "there is no schedule: expected one");
  if (mica_rank_of(step) != 0 || !mica_dtype_is_integer(mica_dtype_of(step)))
    return mica_fail_operator(step.graph, op, &step, 1, "the step: expected integers []");
  if (dtype != MICA_F32 && dtype != MICA_F64)
    return mica_fail_operator(step.graph, op, &step, 1, "dtype %s: expected f32 or f64",
                              mica_dtype_name(dtype));
  quantity t = {.value = mica_max(mica_convert(step, dtype), 0)};
  quantity y = schedule_of(schedule, t);
  return is_known(y) ? mica_scalar(step.graph, dtype, y.number) : y.value;
}

/* ---- making them ------------------------------------------------------------------------------------------- */

void mica_schedule_destroy(mica_schedule *schedule) {
  mica_allocator allocator = {0};
  if (!schedule) return;
  for (size_t i = 0; schedule->part && i < schedule->count; i++)
    mica_schedule_destroy(schedule->part[i]);
  mica_free(&allocator, schedule->part, schedule->count * sizeof *schedule->part);
  mica_free(&allocator, schedule->boundary, schedule->count * sizeof *schedule->boundary);
  mica_free(&allocator, schedule, sizeof *schedule);
}

static mica_schedule *new_schedule(schedule_kind kind, size_t count, mica_error *error) {
  mica_allocator allocator = {0};
  mica_schedule *s = mica_allocate_zeroed(&allocator, 1, sizeof *s);
  if (s) {
    *s = (mica_schedule){.kind = kind, .count = count, .period_factor = 1, .peak_factor = 1};
    if (count) {
      s->part = mica_allocate_zeroed(&allocator, count, sizeof *s->part);
      s->boundary = mica_allocate_zeroed(&allocator, count, sizeof *s->boundary);
    }
    if (!count || (s->part && s->boundary)) return s;
  }
  mica_schedule_destroy(s);
  mica_error_set(error, MICA_OUT_OF_MEMORY, "schedule: out of memory");
  return NULL;
}

static bool schedule_mistake(const mica_schedule_args *a, const char *name, const char *what) {
  mica_error_set(a->error, MICA_INVALID, "schedule_%s: expected %s", name, what);
  return false;
}
/* A copy of the arguments; false when they are wrong. */
static bool schedule_args(const char *name, const mica_schedule_args *args, mica_schedule_args *a) {
  if (!mica_copy_args(a, sizeof *a, args)) return false;
  if (!isfinite(a->start) || !isfinite(a->end) || !isfinite(a->warmup_start))
    return schedule_mistake(a, name, "finite numbers");
  if (a->warmup_steps < 0) return schedule_mistake(a, name, "warmup_steps of at least 0");
  return true;
}
static bool has_steps(const char *name, const mica_schedule_args *a) {
  return a->steps >= 1 || schedule_mistake(a, name, "steps of at least 1");
}
static bool positive_or_default(double *number, double standard) {
  if (*number == 0) *number = standard;
  return *number > 0 && isfinite(*number);
}

/* Of one formula, with start, end and steps. */
static mica_schedule *plain_schedule(schedule_kind kind, double start, double end, int64_t steps,
                                     mica_error *error) {
  mica_schedule *s = new_schedule(kind, 0, error);
  if (s) s->start = start, s->end = end, s->steps = (double)steps, s->power = 1;
  return s;
}

mica_schedule *mica_schedule_constant(double number) {
  return plain_schedule(SCHEDULE_CONSTANT, number, number, 1, NULL);
}

mica_schedule *mica_schedule_exponential_with(const mica_schedule_args *args) {
  mica_schedule_args a;
  if (!schedule_args("exponential", args, &a) || !has_steps("exponential", &a)) return NULL;
  if (!(a.rate > 0) || !isfinite(a.rate)) {
    schedule_mistake(&a, "exponential", "a rate above 0");
    return NULL;
  }
  mica_schedule *s = plain_schedule(SCHEDULE_EXPONENTIAL, a.start, a.end, a.steps, a.error);
  if (s) s->rate = a.rate, s->staircase = a.staircase, s->has_end = a.end != 0;
  return s;
}

mica_schedule *mica_schedule_polynomial_with(const mica_schedule_args *args) {
  mica_schedule_args a;
  if (!schedule_args("polynomial", args, &a) || !has_steps("polynomial", &a)) return NULL;
  if (!positive_or_default(&a.power, 1)) {
    schedule_mistake(&a, "polynomial", "a power above 0");
    return NULL;
  }
  mica_schedule *s = plain_schedule(SCHEDULE_POLYNOMIAL, a.start, a.end, a.steps, a.error);
  if (s) s->power = a.power;
  return s;
}

static mica_schedule *join_two(mica_schedule *first, mica_schedule *second, int64_t boundary) {
  mica_schedule *both[2] = {first, second};
  return mica_schedule_join(both, &boundary, 2);
}

mica_schedule *mica_schedule_cosine_with(const mica_schedule_args *args) {
  mica_schedule_args a;
  if (!schedule_args("cosine", args, &a) || !has_steps("cosine", &a)) return NULL;
  if (!positive_or_default(&a.period_factor, 1) || a.period_factor < 1 ||
      !positive_or_default(&a.peak_factor, 1)) {
    schedule_mistake(&a, "cosine", "a period_factor of at least 1 and a peak_factor above 0");
    return NULL;
  }
  mica_schedule *s = plain_schedule(a.restarts ? SCHEDULE_RESTARTS : SCHEDULE_COSINE, a.start,
                                    a.end, a.steps, a.error);
  if (s) s->period_factor = a.period_factor, s->peak_factor = a.peak_factor;
  if (a.warmup_steps == 0) return s;
  return join_two(
      plain_schedule(SCHEDULE_POLYNOMIAL, a.warmup_start, a.start, a.warmup_steps, a.error), s,
      a.warmup_steps);
}

mica_schedule *mica_schedule_one_cycle_with(const mica_schedule_args *args) {
  mica_schedule_args a;
  if (!schedule_args("one_cycle", args, &a) || !has_steps("one_cycle", &a)) return NULL;
  if (!positive_or_default(&a.warmup_part, 0.3) || a.warmup_part > 1 ||
      !positive_or_default(&a.start_divisor, 25) || !positive_or_default(&a.end_divisor, 1e4)) {
    schedule_mistake(&a, "one_cycle", "a warmup_part in 0 .. 1 and divisors above 0");
    return NULL;
  }
  schedule_kind kind = a.linear ? SCHEDULE_POLYNOMIAL : SCHEDULE_COSINE;
  int64_t up = (int64_t)(a.warmup_part * (double)a.steps);
  double first = a.start / a.start_divisor, last = first / a.end_divisor;
  if (up >= a.steps) return plain_schedule(kind, first, a.start, a.steps, a.error);
  mica_schedule *down = plain_schedule(kind, a.start, last, a.steps - up, a.error);
  if (up == 0) return down;
  return join_two(plain_schedule(kind, first, a.start, up, a.error), down, up);
}

mica_schedule *mica_schedule_inverse_root_with(const mica_schedule_args *args) {
  mica_schedule_args a;
  if (!schedule_args("inverse_root", args, &a)) return NULL;
  if (a.warmup_steps < 1) {
    schedule_mistake(&a, "inverse_root", "warmup_steps of at least 1");
    return NULL;
  }
  mica_schedule *s = plain_schedule(SCHEDULE_INVERSE_ROOT, a.start, 0, 1, a.error);
  if (s) s->warmup = (double)a.warmup_steps;
  return s;
}

/* ---- made of others ---------------------------------------------------------------------------------------- */

/* Takes the parts over; NULL if one is. */
static mica_schedule *of_parts(schedule_kind kind, mica_schedule *const *part, size_t count) {
  bool well = part != NULL && count > 0;
  for (size_t i = 0; part && i < count; i++) well = well && part[i];
  mica_schedule *s = well ? new_schedule(kind, count, NULL) : NULL;
  for (size_t i = 0; part && i < count; i++) {
    if (s)
      s->part[i] = part[i];
    else
      mica_schedule_destroy(part[i]);
  }
  return s;
}

mica_schedule *mica_schedule_join(mica_schedule *const *part, const int64_t *boundary,
                                  size_t count) {
  mica_schedule *s = of_parts(SCHEDULE_JOIN, part, count);
  int64_t before = 0;
  for (size_t i = 0; s && i + 1 < count; i++) {
    if (boundary[i] < before) {
      mica_schedule_destroy(s);
      return NULL;
    }
    s->boundary[i] = (double)boundary[i];
    before = boundary[i];
  }
  return s;
}

mica_schedule *mica_schedule_piecewise(const double *number, const int64_t *boundary,
                                       size_t count) {
  mica_schedule *s = new_schedule(SCHEDULE_JOIN, count + 1, NULL);
  bool well = s != NULL;
  for (size_t i = 0; well && i <= count; i++) {
    well = (s->part[i] = mica_schedule_constant(number[i])) != NULL;
    if (i < count) {
      s->boundary[i] = (double)boundary[i];
      well = well && boundary[i] >= (i ? boundary[i - 1] : 0);
    }
  }
  if (well) return s;
  mica_schedule_destroy(s);
  return NULL;
}

mica_schedule *mica_schedule_product(mica_schedule *a, mica_schedule *b) {
  return of_parts(SCHEDULE_PRODUCT, (mica_schedule *const[]){a, b}, 2);
}
mica_schedule *mica_schedule_sum(mica_schedule *a, mica_schedule *b) {
  return of_parts(SCHEDULE_SUM, (mica_schedule *const[]){a, b}, 2);
}
