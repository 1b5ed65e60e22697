/* SPDX-License-Identifier: Apache-2.0 */
/* generator.c: from the tape to a program: its head, its statements, its outputs. */
#include "random/generator.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/collectives.h"

/* ---- the tape ---------------------------------------------------------------------------------- */

uint64_t random_mixed(uint64_t z) { /* splitmix64 (Steele et al. 2014) */
  z += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}
double random_unit(uint64_t seed, uint64_t index) {
  return (double)(random_mixed(random_mixed(seed) + index) >> 11) * (1.0 / 9007199254740992.0);
}

void random_tape_begin(random_tape *tape, uint64_t seed) {
  tape->count = 0;
  tape->seed = seed;
}

static uint32_t next_word(random_tape *tape, size_t *at) {
  size_t i = (*at)++;
  if (i >= TAPE_WORDS) return 0;
  for (; i >= tape->count && tape->seed; tape->count++)
    tape->word[tape->count] =
        (uint32_t)(random_mixed(random_mixed(tape->seed) + tape->count) >> 32);
  return i < tape->count ? tape->word[i] : 0;
}
static uint32_t head_draw(random_tape *tape, size_t *at, uint32_t count) {
  return next_word(tape, at) % count;
}

uint32_t random_draw(generator *g, uint32_t count) {
  return count > 1 ? head_draw(g->tape, &g->at, count) : 0;
}
int64_t random_between(generator *g, int64_t a, int64_t b) {
  return a <= b ? a + (int64_t)random_draw(g, (uint32_t)(b - a + 1))
                : a - (int64_t)random_draw(g, (uint32_t)(a - b + 1));
}
bool random_chance(generator *g, uint32_t percent) { return random_draw(g, 100) >= 100 - percent; }

/* ---- the head: dtypes, sizes, inputs ------------------------------------------------------------- */

static const mica_dtype other_dtypes[] = {MICA_F64, MICA_F32, MICA_I32,  MICA_BOOL, MICA_I64,
                                          MICA_F16, MICA_U8,  MICA_BF16, MICA_U32,  MICA_C128,
                                          MICA_I16, MICA_C64, MICA_I8,   MICA_U64,  MICA_U16};
static bool allowed(const random_plan *plan, mica_dtype dtype) {
  if (!plan->smooth) return true;
  return dtype != MICA_F32 && dtype != MICA_F16 && dtype != MICA_BF16 && dtype != MICA_C64;
}

static int64_t head_size(random_tape *tape, size_t *at, const random_plan *plan) {
  static const uint8_t small[] = {1, 2, 3, 4, 2, 3, 5, 1, 4, 3, 2, 6, 8, 3, 2, 5};
  uint32_t word = head_draw(tape, at, 64);
  if (word == 63) return plan->smooth ? 1 : 0;
  if (plan->most > 1000 && word >= 32) return 16 + word * word / 9;
  if (plan->most > 200 && word >= 48) return word - 40;
  return small[word % 16];
}
static mica_shape head_shape(random_tape *tape, size_t *at, const random_plan *plan, int32_t least,
                             int32_t most, int64_t room) {
  mica_shape shape = {.rank = least + (int32_t)head_draw(tape, at, (uint32_t)(most - least + 1))};
  int64_t count = 1;
  for (int32_t i = 0; i < shape.rank; i++) {
    int64_t size = head_size(tape, at, plan);
    if (count * size > room) size = 1;
    shape.dim[i] = size;
    count *= size ? size : 1;
  }
  return shape;
}

void random_plan_read(random_tape *tape, random_plan *plan, size_t *out_at) {
  static const mica_dtype bases[] = {MICA_F64, MICA_F32, MICA_F64,  MICA_F32,
                                     MICA_F32, MICA_F16, MICA_BF16, MICA_F32};
  size_t at = 0;
  *plan = (random_plan){0};
  plan->smooth = head_draw(tape, &at, 2) == 0;
  plan->modes = (program_modes[]){BOTH_MODES, BOTH_MODES, REVERSE_ONLY,
                                  FORWARD_ONLY}[head_draw(tape, &at, 4)];
  plan->base = plan->smooth ? MICA_F64 : bases[head_draw(tape, &at, 8)];
  uint32_t size = head_draw(tape, &at, 40);
  plan->most = size < 32 ? 64 : size < 38 ? 600 : 9000;
  size_t count = 1 + head_draw(tape, &at, 5);
  for (size_t i = 0; i < count; i++) {
    uint32_t word = head_draw(tape, &at, 45);
    mica_dtype dtype = word >= 15 ? plan->base : other_dtypes[word];
    if (!allowed(plan, dtype) || i == 0) dtype = plan->base;
    plan->in[i] = (mica_type){dtype, head_shape(tape, &at, plan, 0, 3, plan->most)};
    uint32_t kind = head_draw(tape, &at, 20);
    plan->in_kind[i] = kind < 13                   ? INPUT_UNIFORM
                       : kind < 16                 ? INPUT_WHOLE
                       : kind < 19 || plan->smooth ? INPUT_GRID
                                                   : INPUT_SPECIAL;
    plan->in_seed[i] = next_word(tape, &at);
  }
  plan->in[count] = (mica_type){MICA_U32, MICA_DIMS(2)};
  plan->in_kind[count] = INPUT_WHOLE;
  plan->in_seed[count] = 77;
  plan->in_count = count + 1;
  *out_at = at;
}

static double special_number(double u, uint64_t which) {
  static const double numbers[] = {0, -0.0, 1, -1, 1e-3, 65504, -3e4};
  uint64_t kind = which % 16;
  if (kind < 7) return numbers[kind];
  return kind == 7   ? (double)NAN
         : kind == 8 ? (double)INFINITY
         : kind == 9 ? -(double)INFINITY
                     : 4 * u - 2;
}

mica_tensor *random_input(const random_plan *plan, size_t i, uint64_t example) {
  mica_type type = plan->in[i];
  int64_t count = mica_shape_count(type.shape);
  bool complex = mica_dtype_is_complex(type.dtype);
  uint64_t seed = plan->in_seed[i] + (example << 40) + (i << 34) + 1;
  double *values = calloc((size_t)count * 2 + 2, sizeof *values);
  for (int64_t k = 0; k < count * (complex ? 2 : 1); k++) {
    double u = random_unit(seed, (uint64_t)k);
    if (type.dtype == MICA_BOOL)
      values[k] = u < 0.5;
    else if (i + 1 == plan->in_count)
      values[k] = floor(u * 4294967296.0);
    else if (!mica_dtype_is_float(type.dtype) && !complex)
      values[k] = mica_dtype_is_signed(type.dtype) ? floor(11 * u) - 5 : floor(9 * u);
    else if (plan->in_kind[i] == INPUT_WHOLE)
      values[k] = floor(9 * u) - 4;
    else if (plan->in_kind[i] == INPUT_GRID)
      values[k] = floor(32 * u) / 8 - 2;
    else if (plan->in_kind[i] == INPUT_SPECIAL)
      values[k] = special_number(u, random_mixed(seed * 3 + (uint64_t)k));
    else
      values[k] = 4 * u - 2;
  }
  mica_tensor *tensor = NULL;
  if (complex) {
    char *bytes = calloc((size_t)count + 1, 16);
    if (mica_convert_elements(random_real_part(type.dtype), bytes, MICA_F64, values, 2 * count) ==
        MICA_OK)
      tensor = mica_tensor_from(type.dtype, type.shape, bytes);
    free(bytes);
  } else {
    tensor = mica_tensor_from_doubles(type.dtype, type.shape, values);
  }
  free(values);
  return tensor;
}

/* ---- choices of dtypes and shapes ---------------------------------------------------------------- */

mica_dtype random_real_part(mica_dtype dtype) { return dtype == MICA_C64 ? MICA_F32 : MICA_F64; }

mica_dtype random_dtype(generator *g, uint32_t mask) {
  bool based = mask & DTYPE_BIT(g->plan->base);
  if (based && !random_chance(g, 15)) return g->plan->base;
  mica_dtype fitting[16];
  uint32_t count = 0;
  for (size_t i = 0; i < sizeof other_dtypes / sizeof *other_dtypes; i++)
    if (mask & DTYPE_BIT(other_dtypes[i]) && allowed(g->plan, other_dtypes[i]))
      fitting[count++] = other_dtypes[i];
  return count ? fitting[random_draw(g, count)] : MICA_DTYPE_NONE;
}

int64_t random_size(generator *g) { return head_size(g->tape, &g->at, g->plan); }
bool random_has_room(const generator *g, mica_shape shape) {
  int64_t count = mica_shape_count(shape);
  return shape.rank <= 6 && shape.rank + g->vmaps < MICA_MAX_RANK && count >= 0 &&
         count * g->batch <= 4 * g->plan->most;
}
mica_shape random_shape(generator *g, int32_t least, int32_t most) {
  return head_shape(g->tape, &g->at, g->plan, least, most, g->plan->most / g->batch + 1);
}

/* ---- the pool ----------------------------------------------------------------------------------- */

void random_push(generator *g, mica_value value, double bound) {
  if (g->graph->status != MICA_OK || g->count == POOL_ENTRIES || !value.id) return;
  g->pool[g->count++] = (pool_entry){value, bound, false};
}
void random_push_node(generator *g, mica_value first, double bound) {
  if (g->graph->status != MICA_OK || !first.id) return;
  uint32_t count = g->graph->nodes[first.id].result_count;
  for (uint32_t i = 0; i < count; i++) random_push(g, mica_value_of(g->graph, first.id + i), bound);
}

static pool_entry use(generator *g, size_t i) {
  g->pool[i].used = true;
  return g->pool[i];
}
/* The newest one, or one of the newest, or any. */
static size_t choose(generator *g, const size_t *from, size_t count) {
  uint32_t span = (uint32_t)count;
  if (random_draw(g, 2) == 0 && span > 3) span = 3;
  return from[count - 1 - random_draw(g, span)];
}

static pool_entry pick_where(generator *g, uint32_t mask, int32_t least, int32_t most,
                             bool *out_found) {
  size_t fitting[POOL_ENTRIES], count = 0;
  int32_t room =
      MICA_MAX_RANK - 1 - g->vmaps; /* each block adds an axis, and the check's own one */
  if (most > room) most = room;
  for (size_t i = g->base; i < g->count; i++) {
    mica_type type = mica_type_of(g->pool[i].value);
    if (mask & DTYPE_BIT(type.dtype) && type.shape.rank >= least && type.shape.rank <= most)
      fitting[count++] = i;
  }
  *out_found = count > 0;
  return count ? use(g, choose(g, fitting, count)) : (pool_entry){{0}, 0, false};
}

/* Any value in sight, or a constant. */
static pool_entry pick_any(generator *g) {
  bool found;
  pool_entry any = pick_where(g, UINT32_MAX, 0, MICA_MAX_RANK, &found);
  if (!found) any = (pool_entry){random_number(g, g->plan->base), 8, true};
  return any;
}

pool_entry random_pick(generator *g, uint32_t mask) {
  bool found = false, fresh = random_chance(g, 8);
  pool_entry x = {{0}, 0, false};
  if (!fresh) x = pick_where(g, mask, 0, MICA_MAX_RANK, &found);
  if (found) return x;
  x = pick_any(g);
  mica_dtype dtype = random_dtype(g, mask);
  if (dtype == MICA_DTYPE_NONE) dtype = MICA_F64;
  return (pool_entry){random_as(g, x.value, dtype),
                      mica_dtype_is_float(mica_dtype_of(x.value)) ? x.bound : (double)INFINITY,
                      true};
}
pool_entry random_pick_as(generator *g, mica_dtype dtype) {
  return random_pick(g, DTYPE_BIT(dtype));
}

pool_entry random_pick_ranked(generator *g, uint32_t mask, int32_t least, int32_t most) {
  bool found = false;
  pool_entry x = {{0}, 0, false};
  if (!random_chance(g, 10)) x = pick_where(g, mask, least, most, &found);
  if (found) return x;
  x = random_pick(g, mask);
  x.value = random_fit(g, x.value, random_shape(g, least, most));
  return x;
}
pool_entry random_pick_typed(generator *g, mica_type type) {
  pool_entry x = random_mild(g, random_pick_as(g, type.dtype));
  x.value = random_fit(g, x.value, type.shape);
  return x;
}

/* ---- making values fit --------------------------------------------------------------------------- */

mica_value random_number(generator *g, mica_dtype dtype) {
  double number = (double)random_draw(g, 9) / 4;
  if (dtype == MICA_BOOL)
    number = number > 1;
  else if (mica_dtype_is_integer(dtype))
    number = floor(2 * number);
  else if (random_chance(g, 40))
    number = -number;
  return mica_scalar(g->graph, dtype, number);
}

mica_value random_as(generator *g, mica_value x, mica_dtype dtype) {
  mica_dtype from = mica_dtype_of(x);
  if (from == dtype) return x;
  if (dtype == MICA_BOOL && mica_dtype_is_float(from)) {
    if (from == MICA_F8E5M2 || from == MICA_F8E4M3FN) x = mica_convert(x, MICA_F32);
    return mica_greater(x, 0);
  }
  if (mica_dtype_is_float(from) && !allowed(g->plan, dtype)) return x;
  return mica_convert(x, dtype);
}

static bool broadcasts(mica_shape from, mica_shape to) {
  if (from.rank > to.rank) return false;
  for (int32_t i = 0; i < from.rank; i++) {
    int64_t size = from.dim[from.rank - 1 - i];
    if (size != 1 && size != to.dim[to.rank - 1 - i]) return false;
  }
  return true;
}

mica_value random_fit(generator *g, mica_value x, mica_shape shape) {
  mica_shape from = mica_shape_of(x);
  if (mica_shape_equal(from, shape)) return x;
  int64_t have = mica_shape_count(from), want = mica_shape_count(shape);
  if (have == want) return mica_reshape(x, shape);
  if (broadcasts(from, shape)) return mica_broadcast_to(x, shape);
  if (have == 0) return mica_broadcast_to(random_number(g, mica_dtype_of(x)), shape);
  x = mica_reshape(x, MICA_DIMS(have));
  if (have < want) {
    int64_t times = (want + have - 1) / have;
    x = mica_reshape(mica_broadcast_to(x, MICA_DIMS(times, have)), MICA_DIMS(times * have));
  }
  return mica_reshape(mica_slice_axis(x, 0, 0, want, 1), shape);
}

pool_entry random_mild(generator *g, pool_entry x) {
  mica_dtype dtype = mica_dtype_of(x.value);
  if (!mica_dtype_is_float(dtype) || x.bound <= 8) return x;
  x.used = true;
  if (x.bound < 1e4) {
    x.value = mica_mul(x.value, ldexp(1, -(int)ceil(log2(x.bound / 8))));
    x.bound = 8;
  } else if (random_draw(g, 2)) {
    x.value = mica_mul(mica_log1p(mica_abs(x.value)), mica_sign(x.value));
    x.bound = 8; /* below 3000 */
  } else {
    x.value = mica_mul(mica_tanh(x.value), 2);
    x.bound = 2;
  }
  return x;
}
mica_value random_positive(generator *g, pool_entry x) {
  x = random_mild(g, x);
  x.value = random_draw(g, 2) ? mica_square(x.value) : mica_abs(x.value);
  return mica_add(x.value, 0.25);
}

mica_value random_index(generator *g, mica_shape shape, int64_t below) {
  mica_value x = random_as(g, random_pick(g, ANY_INTEGER | DTYPE_BIT(MICA_BOOL)).value, MICA_I32);
  x = random_fit(g, x, shape);
  if (random_chance(g, 30)) return x;
  /* Spread over [0, below): all of an index array being equal would test little. */
  if (shape.rank && mica_shape_count(shape) && random_draw(g, 3))
    x = mica_add(x, mica_iota(g->graph, (mica_type){MICA_I32, shape},
                              (int32_t)random_draw(g, (uint32_t)shape.rank)));
  return mica_abs(mica_rem(x, (double)(below > 0 ? below : 1)));
}

mica_value random_build(generator *g, const char *name, const mica_value *in, size_t count,
                        const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return mica_build_operator(g->graph, name, in, count, text);
}
void random_text_ints(char *text, size_t size, const int64_t *list, int32_t count) {
  int length = snprintf(text, size, "[");
  for (int32_t i = 0; i < count; i++)
    length +=
        snprintf(text + length, size - (size_t)length, "%s%lld", i ? ", " : "", (long long)list[i]);
  snprintf(text + length, size - (size_t)length, "]");
}

/* ---- statements ---------------------------------------------------------------------------------- */

enum { STATEMENTS = 512 };
typedef struct {
  const random_row *row; /* NULL: pointwise operator `which` */
  size_t which;
  const char *name;
  int64_t uses;
  bool rough;
} statement_kind;
static statement_kind kinds[STATEMENTS];
static size_t kind_count;
static bool counting;
void random_count_uses(bool count) { counting = count; }
static size_t lots[4 * STATEMENTS], lot_count; /* kinds by weight */

static void add_kind(statement_kind kind, uint32_t weight) {
  if (kind_count == STATEMENTS) return;
  for (uint32_t i = 0; i < weight && lot_count < 4 * STATEMENTS; i++)
    lots[lot_count++] = kind_count;
  kinds[kind_count++] = kind;
}
static void add_rows(const random_row *rows) {
  for (; rows->name; rows++) {
    bool known = rows->flags & (ROW_REGION | ROW_DERIVATIVE) || mica_op_find(rows->name);
    if (known)
      add_kind((statement_kind){rows, 0, rows->name, 0, (rows->flags & ROW_ROUGH) != 0},
               rows->weight ? rows->weight : 2);
  }
}
static void make_kinds(void) {
  if (kind_count) return;
  for (size_t i = 0; i < random_pointwise_count(); i++)
    add_kind((statement_kind){NULL, i, random_pointwise_name(i), 0, random_pointwise_rough(i)}, 1);
  add_rows(random_shape_rows);
  add_rows(random_array_rows);
  add_rows(random_matrix_rows);
  add_rows(random_control_rows);
  add_rows(random_region_rows);
}
size_t random_statement_count(void) {
  make_kinds();
  return kind_count;
}
const char *random_statement_name(size_t i) { return kinds[i].name; }
bool random_leaves_out(mica_op op) {
  return op == MICA_OP_SHARD || op == MICA_OP_MANUAL || mica_is_collective(op);
}
bool random_operator_has_row(mica_op op) {
  make_kinds();
  const char *name = mica_op_definition(op)->name;
  for (size_t i = 0; i < kind_count; i++)
    if (!strcmp(kinds[i].name, name)) return true;
  return false;
}
int64_t random_statement_uses(const char *name) {
  int64_t uses = 0;
  for (size_t i = 0; i < kind_count; i++)
    if (!strcmp(kinds[i].name, name)) uses += kinds[i].uses;
  return uses;
}

/* A bound that does not depend on where the program is built. */
enum { PROGRAM_STATEMENTS = 70 };
static bool fits_here(const generator *g, const statement_kind *kind) {
  uint32_t flags = kind->row ? kind->row->flags : 0;
  if (kind->rough && g->plan->smooth) return false;
  if (flags & ROW_REGION && g->depth >= PROGRAM_DEPTH) return false;
  return !(flags & ROW_DERIVATIVE && (g->derivatives >= 2 || g->depth >= 2));
}

static void one_statement(generator *g) {
  statement_kind *kind = &kinds[lots[random_draw(g, (uint32_t)lot_count)]];
  if (!fits_here(g, kind)) kind = &kinds[lots[random_draw(g, (uint32_t)lot_count)]];
  if (!fits_here(g, kind)) return;
  bool made = kind->row ? kind->row->make(g) : random_make_pointwise(g, kind->which);
  if (made && g->graph->status == MICA_OK && counting) kind->uses++;
  if (made && kind->row && kind->row->flags & ROW_REGION && g->depth + 1 > g->program->depth)
    g->program->depth = g->depth + 1;
}

void random_statements(generator *g, uint32_t count) {
  for (uint32_t i = 0; i < count && g->graph->status == MICA_OK; i++) {
    if (g->made >= PROGRAM_STATEMENTS || g->at > TAPE_WORDS - 400) return;
    g->made++;
    size_t begin = g->at;
    one_statement(g);
    random_program *p = g->program;
    if (p->span_count < PROGRAM_SPANS) p->span[p->span_count++] = (tape_span){begin, g->at};
  }
}

void random_program_build(random_tape *tape, const random_plan *plan, mica_graph *graph,
                          const mica_value *in, random_program *out) {
  make_kinds();
  random_plan again;
  generator *g = calloc(1, sizeof *g);
  *out = (random_program){0};
  *g = (generator){.graph = graph, .tape = tape, .plan = plan, .program = out, .batch = 1};
  random_plan_read(tape, &again, &g->at);
  g->key = in[plan->in_count - 1];
  for (size_t i = 0; i + 1 < plan->in_count; i++)
    random_push(g, in[i], plan->in_kind[i] == INPUT_SPECIAL ? 1e9 : 8);
  size_t inputs = g->count;
  random_statements(g, random_draw(g, 32));
  out->tape_end = g->at;
  /* Outputs: what nobody used, the newest first; one at least. */
  for (size_t i = g->count; i > 0 && out->out_count < PROGRAM_OUTPUTS; i--)
    if (!g->pool[i - 1].used && (i > inputs || out->out_count == 0)) {
      out->bound[out->out_count] = g->pool[i - 1].bound;
      out->out[out->out_count++] = g->pool[i - 1].value;
    }
  if (!out->out_count) {
    out->bound[0] = g->pool[g->count - 1].bound;
    out->out[out->out_count++] = g->pool[g->count - 1].value;
  }
  free(g);
}
