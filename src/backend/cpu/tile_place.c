/* SPDX-License-Identifier: Apache-2.0 */
/* Gives the values of a pass their places: sorts the code by stages, shares registers among values that do
 * not live at the same time, lays out the thread's scratch, and estimates what a unit costs. */
#include "backend/cpu/tile_emit_internal.h"

typedef struct {
  tile_emitter *e;
  tile_staged *sorted;
  int32_t count;
  int32_t begin[2 * MICA_TILE_MAX_LOOPS + 4]; /* of each stage in `sorted` */
  int32_t stage_count;
  int32_t *register_end, *register_value; /* last use and holder of each register */
  bool *register_aliases;                 /* holds what is_alias says, and nothing else */
  int32_t registers, splats, states;
} tile_placement;

static bool sort_code(tile_placement *p) {
  tile_emitter *e = p->e;
  p->sorted = mica_arena_allocate_zeroed(e->arena, (size_t)e->code_count + 1, sizeof(*p->sorted));
  p->register_end =
      mica_arena_allocate_zeroed(e->arena, (size_t)e->value_count + 1, sizeof(int32_t));
  p->register_value =
      mica_arena_allocate_zeroed(e->arena, (size_t)e->value_count + 1, sizeof(int32_t));
  p->register_aliases =
      mica_arena_allocate_zeroed(e->arena, (size_t)e->value_count + 1, sizeof(bool));
  if (!p->sorted || !p->register_end || !p->register_value || !p->register_aliases) {
    e->status = MICA_OUT_OF_MEMORY;
    return false;
  }
  p->stage_count = TILE_ROWS(e->loop_count) + 1;
  p->count = 0;
  for (int32_t stage = 0; stage < p->stage_count; stage++)
    for (int32_t i = 0; i < e->code_count; i++)
      if (e->code[i].stage == stage) p->sorted[p->count++] = e->code[i];
  if (!mica_tile_join(e, p->sorted, &p->count)) {
    e->status = MICA_OUT_OF_MEMORY;
    return false;
  }
  int32_t at = 0;
  for (int32_t stage = 0; stage <= p->stage_count; stage++) {
    while (at < p->count && p->sorted[at].stage < stage) at++;
    p->begin[stage] = at;
  }
  return true;
}

/* Only chains compute values around the caches. */
static void keep_streams_apart(tile_placement *p) {
  tile_emitter *e = p->e;
  for (int32_t i = 0; i < p->count; i++) {
    const mica_tile_instruction *code = &p->sorted[i].code;
    if (code->out < 0 || e->values[code->out].direct < 0) continue;
    const int32_t direct = e->values[code->out].direct;
    if (!e->cursors[e->direct[direct].access].stream) continue;
    e->values[code->out].direct = -1;
    const int32_t last = --e->direct_count; /* takes its place in the list */
    e->direct[direct] = e->direct[last];
    if (direct != last) e->values[e->direct[direct].reg].direct = (int16_t)direct;
    for (int32_t k = 0; k < p->count; k++) {
      int16_t *put = &p->sorted[k].code.direct;
      *put = (int16_t)(*put == direct ? -1 : *put == last ? direct : *put);
    }
  }
}

/* ---- what is read and written ----------------------------------------------------------------------- */

/* Calls the body for each value that an instruction reads or writes, in order. */
#define FOR_EACH_VALUE(e, code, id, writes, body)                                   \
  do {                                                                              \
    for (int32_t k_ = 0; k_ < 3; k_++) {                                            \
      const int32_t id = (code)->in[k_];                                            \
      const bool writes = false;                                                    \
      if (id >= 0) body                                                             \
    }                                                                               \
    for (int32_t s_ = (code)->step; s_ < (code)->step + (code)->step_count; s_++) { \
      for (int32_t k_ = 0; k_ < 2; k_++) {                                          \
        const int32_t id = (e)->steps[s_].value[k_];                                \
        const bool writes = tile_step_writes(&(e)->steps[s_]);                      \
        if (id >= 0) body                                                           \
      }                                                                             \
    }                                                                               \
    if ((code)->out >= 0) {                                                         \
      const int32_t id = (code)->out;                                               \
      const bool writes = true;                                                     \
      body                                                                          \
    }                                                                               \
  } while (0)

static void find_lifetimes(tile_placement *p) {
  tile_emitter *e = p->e;
  for (int32_t i = 0; i < p->count; i++) {
    const mica_tile_instruction *code = &p->sorted[i].code;
    FOR_EACH_VALUE(e, code, id, writes, {
      tile_value *value = &e->values[id];
      const int32_t from = value->accumulates ? p->begin[p->sorted[i].stage] : i;
      if (writes && value->defined < 0) value->defined = from;
      value->last_use = i;
    });
  }
  for (int32_t i = 0; i < e->value_count; i++) {
    if (!e->values[i].lasting) continue;
    e->values[i].defined = 0;
    e->values[i].last_use = INT32_MAX;
  }
}

/* Whether the register may be taken over at `position`, in which its value is read for the last time: only
 * by the result of a kernel that works element by element on the same size. */
static bool can_take_over(const tile_placement *p, int32_t reg, int32_t position,
                          const tile_value *value) {
  const tile_value *before = &p->e->values[p->register_value[reg]];
  return p->sorted[position].code.kind == MICA_TILE_COMPUTE && value->defined == position &&
         before->size_log2 == value->size_log2 && before->extent == value->extent;
}

/* Whether the value may be read where it lies in memory, its register pointing there (run_gather): a
 * computed value in the same register would be written there. */
static bool is_alias(const tile_placement *p, int32_t id, int32_t position) {
  const mica_tile_instruction *code = &p->sorted[position].code;
  return p->e->graph->block && code->out == id && code->kind == MICA_TILE_GATHER && !code->kernel;
}

static void allocate_register(tile_placement *p, int32_t id, int32_t position) {
  tile_value *value = &p->e->values[id];
  const bool alias = is_alias(p, id, position);
  int32_t reg = 0;
  for (; reg < p->registers; reg++) {
    if (p->register_aliases[reg] != alias) continue;
    if (p->register_end[reg] < position) break;
    if (p->register_end[reg] == position && can_take_over(p, reg, position, value)) break;
  }
  if (reg == p->registers) p->registers++;
  value->index = reg;
  p->register_end[reg] = value->last_use;
  p->register_value[reg] = id;
  p->register_aliases[reg] = alias;
}

static void allocate_values(tile_placement *p) {
  tile_emitter *e = p->e;
  for (int32_t i = 0; i < e->value_count; i++) {
    tile_value *value = &e->values[i];
    if (value->holder == TILE_IN_SPLAT) value->index = p->splats++;
    if (value->holder == TILE_IN_STATE) value->index = p->states++;
    if (value->holder == TILE_IN_REGISTER && value->lasting) allocate_register(p, i, 0);
  }
  for (int32_t stage = 0; stage < p->stage_count; stage++) {
    for (int32_t i = p->begin[stage]; i < p->begin[stage + 1]; i++)
      if (p->sorted[i].code.kind == MICA_TILE_ACCUMULATE)
        allocate_register(p, p->sorted[i].code.out, p->begin[stage]);
    for (int32_t i = p->begin[stage]; i < p->begin[stage + 1]; i++) {
      FOR_EACH_VALUE(e, &p->sorted[i].code, id, writes, {
        tile_value *value = &e->values[id];
        if (writes && value->holder == TILE_IN_REGISTER && value->defined == i && !value->lasting &&
            !value->accumulates && value->index < 0)
          allocate_register(p, id, i);
      });
    }
  }
}

/* What is read after a value has been written to the array where it will be stored. */
static void find_hazards(tile_placement *p) {
  tile_emitter *e = p->e;
  for (int32_t d = 0; d < e->direct_count; d++) {
    mica_tile_direct *direct = &e->direct[d];
    bool written = false;
    for (int32_t i = 0; i < p->count; i++) {
      const mica_tile_instruction *code = &p->sorted[i].code;
      if (written && (code->kind == MICA_TILE_GATHER || code->kind == MICA_TILE_BROADCAST))
        direct->hazards |= UINT64_C(1) << (code->access & 63);
      FOR_EACH_VALUE(e, code, id, writes, {
        if (writes && id == direct->reg) written = true;
        if (written && !writes && e->values[id].holder == TILE_IN_MEMORY)
          direct->hazards |= UINT64_C(1) << (e->values[id].cursor & 63);
      });
    }
  }
}

/* ---- places -------------------------------------------------------------------------------------- */

static int16_t place_of_value(const tile_placement *p, int32_t id) {
  const tile_emitter *e = p->e;
  const tile_value *value = &e->values[id];
  const int32_t splats = e->cursor_count, registers = splats + p->splats,
                states = registers + p->registers;
  switch (value->holder) {
    case TILE_IN_MEMORY: return (int16_t)value->cursor;
    case TILE_IN_SPLAT: return (int16_t)(splats + value->index);
    case TILE_IN_STATE: return (int16_t)(states + value->index);
    case TILE_IN_SLOT: return (int16_t)(states + p->states + e->direct_count + value->index);
    case TILE_IN_ACCUMULATOR: return -1;
    case TILE_IN_REGISTER: break;
  }
  if (value->direct >= 0) return (int16_t)(states + p->states + value->direct);
  return (int16_t)(registers + value->index);
}

static mica_chain_step name_step(const tile_placement *p, const tile_step *step) {
  const tile_emitter *e = p->e;
  mica_chain_step named = {.op = 2 * step->op};
  for (int32_t k = 0; k < 2; k++) {
    if (step->value[k] < 0) continue;
    const tile_value *value = &e->values[step->value[k]];
    named.place[k] = place_of_value(p, step->value[k]);
    named.walks[k] = value->extent == MICA_TILE_ONE || value->holder == TILE_IN_SLOT ? 0 : -1;
    named.op = 2 * step->op + (value->extent == MICA_TILE_ONE ? 1 : 0);
  }
  return named;
}

static bool name_places(tile_placement *p, mica_tile_pass *pass) {
  tile_emitter *e = p->e;
  mica_tile_instruction *code =
      mica_arena_allocate_zeroed(e->arena, (size_t)p->count + 1, sizeof(*code));
  mica_chain_step *steps =
      mica_arena_allocate_zeroed(e->arena, (size_t)e->step_count + 1, sizeof(*steps));
  if (!code || !steps) {
    e->status = MICA_OUT_OF_MEMORY;
    return false;
  }
  for (int32_t i = 0; i < e->step_count; i++) {
    steps[i] = name_step(p, &e->steps[i]);
    /* The interpreter forms an address even where there is no operand: let it be one. A chain begins with a
     * load. */
    if (e->steps[i].value[0] < 0) steps[i].place[0] = steps[i - 1].place[0];
  }
  pass->steps = steps;
  for (int32_t i = 0; i < p->count; i++) {
    code[i] = p->sorted[i].code;
    if (code[i].out >= 0) code[i].out = place_of_value(p, code[i].out);
    for (int32_t k = 0; k < 3; k++)
      if (code[i].in[k] >= 0) code[i].in[k] = place_of_value(p, code[i].in[k]);
  }
  for (int32_t stage = 0; stage < p->stage_count; stage++) {
    mica_tile_code *part = stage == TILE_PROLOGUE ? &pass->prologue
                           : stage % 2 == 1       ? &pass->rows[(stage - 1) / 2]
                                                  : &pass->loops[(stage - 2) / 2];
    *part = (mica_tile_code){code + p->begin[stage], p->begin[stage + 1] - p->begin[stage]};
  }
  for (int32_t i = 0; i < e->constant_count; i++)
    e->constants[i].place = place_of_value(p, e->constants[i].place);
  for (int32_t i = 0; i < e->direct_count; i++) {
    const int32_t id = e->direct[i].reg;
    e->direct[i].place = place_of_value(p, id);
    e->direct[i].reg = (int16_t)(e->cursor_count + p->splats + e->values[id].index);
  }
  return true;
}

static size_t reserve(size_t *total, int64_t count, int64_t size) {
  const size_t at = *total;
  /* Tiles have at most MICA_TILE_LARGEST elements and places are few: no overflow. */
  *total += ((size_t)(count * size) + 63) & ~(size_t)63;
  return at;
}

static void lay_out(tile_placement *p, mica_tile_pass *pass) {
  const tile_emitter *e = p->e;
  int64_t element = 1, capacity = pass->geometry.capacity;
  if (pass->geometry.row_capacity > capacity) capacity = pass->geometry.row_capacity;
  for (int32_t i = 0; i < e->value_count; i++)
    if (e->values[i].holder == TILE_IN_REGISTER && element < 1 << e->values[i].size_log2)
      element = 1 << e->values[i].size_log2;
  pass->cursor_count = e->cursor_count;
  pass->splat_count = p->splats;
  pass->register_count = p->registers;
  pass->state_count = p->states;
  pass->direct_count = e->direct_count;
  pass->slot_count = e->slot_count;
  pass->place_count =
      e->cursor_count + p->splats + p->registers + p->states + e->direct_count + e->slot_count;
  pass->loop_count = e->loop_count;
  pass->cursors = e->cursors;
  pass->direct = e->direct;
  pass->constants = e->constants;
  pass->constant_count = e->constant_count;
  size_t total = 0;
  reserve(&total, pass->place_count + pass->cursor_count, (int64_t)sizeof(void *));
  pass->splats_at = reserve(&total, pass->splat_count, MICA_TILE_SLOT);
  pass->register_bytes = (size_t)(capacity * element + 63) & ~(size_t)63;
  pass->registers_at = reserve(&total, pass->register_count, (int64_t)pass->register_bytes);
  pass->states_at = reserve(&total, pass->state_count, (int64_t)sizeof(mica_reduce_state));
  pass->slots_at = reserve(&total, pass->slot_count, MICA_CHAIN_BYTES);
  pass->staging_at = reserve(&total, capacity, 8);
  pass->scratch_size = total;
  for (int32_t i = 0; i < pass->cursor_count; i++) pass->streams |= pass->cursors[i].stream;
}

/* ---- what it costs ------------------------------------------------------------------------------------ */

/* Picoseconds an element, on one core of a present machine. */
static int64_t element_cost(const tile_emitter *e, const mica_tile_instruction *code) {
  int64_t cost = 20;
  switch (code->kind) {
    case MICA_TILE_CHAIN:
      for (int32_t i = code->step; i < code->step + code->step_count; i++)
        cost += e->steps[i].op >= MICA_CHAIN_EXP ? 450 : 35;
      return cost;
    case MICA_TILE_CAST: return 3000;
    case MICA_TILE_GATHER:
    case MICA_TILE_POSITION: return 500;
    case MICA_TILE_COMPUTE: break;
    default: return 60;
  }
  static const mica_tile_op slow[] = {
      MICA_TILE_EXP,      MICA_TILE_EXPM1, MICA_TILE_LOG,  MICA_TILE_LOG1P,     MICA_TILE_TANH,
      MICA_TILE_LOGISTIC, MICA_TILE_ERF,   MICA_TILE_GELU, MICA_TILE_GELU_TANH, MICA_TILE_SIN,
      MICA_TILE_COS,      MICA_TILE_POW,   MICA_TILE_REM};
  static const mica_tile_op slower[] = {
      MICA_TILE_TAN,      MICA_TILE_ASIN,  MICA_TILE_ACOS,    MICA_TILE_ATAN,   MICA_TILE_SINH,
      MICA_TILE_COSH,     MICA_TILE_ASINH, MICA_TILE_ACOSH,   MICA_TILE_ATANH,  MICA_TILE_EXP2,
      MICA_TILE_LOG2,     MICA_TILE_LOG10, MICA_TILE_CBRT,    MICA_TILE_ERFC,   MICA_TILE_ERF_INV,
      MICA_TILE_SOFTPLUS, MICA_TILE_HYPOT, MICA_TILE_DIGAMMA, MICA_TILE_LGAMMA, MICA_TILE_ATAN2};
  static const mica_tile_op slowest[] = {MICA_TILE_BESSEL_I0E, MICA_TILE_BESSEL_I1E,
                                         MICA_TILE_IGAMMA,     MICA_TILE_IGAMMAC,
                                         MICA_TILE_BETAINC,    MICA_TILE_IGAMMA_SLOPE};
  for (size_t i = 0; i < sizeof slower / sizeof slower[0]; i++) {
    if (code->kernel == e->kernels->compute[slower[i]][MICA_TILE_CLASS_F32]) return 2000;
    if (code->kernel == e->kernels->compute[slower[i]][MICA_TILE_CLASS_F64]) return 20000;
  }
  for (size_t i = 0; i < sizeof slowest / sizeof slowest[0]; i++)
    for (int32_t type = MICA_TILE_CLASS_F32; type <= MICA_TILE_CLASS_F64; type++)
      if (code->kernel == e->kernels->compute[slowest[i]][type]) return 200000;
  if (code->kernel == e->kernels->pairs[MICA_TILE_SUB_EXP]) return 300;
  for (size_t i = 0; i < sizeof slow / sizeof slow[0]; i++) {
    if (code->kernel == e->kernels->compute[slow[i]][MICA_TILE_CLASS_F32]) return 500;
    if (code->kernel == e->kernels->compute[slow[i]][MICA_TILE_CLASS_F64]) return 8000;
  }
  return 60;
}

static int64_t unit_cost(const tile_placement *p, const mica_tile_pass *pass) {
  const mica_tile_geometry *g = &pass->geometry;
  const int64_t tiles = (g->tile.total + pass->chunks - 1) / pass->chunks;
  int64_t picoseconds = 10000;
  for (int32_t i = 0; i < p->count; i++) {
    const int32_t stage = p->sorted[i].stage;
    const mica_tile_instruction *code = &p->sorted[i].code;
    if (stage == TILE_PROLOGUE) continue;
    const int64_t times = stage % 2 == 0 ? tiles : 1;
    const int64_t count = code->extent == MICA_TILE_ALL    ? g->capacity
                          : code->extent == MICA_TILE_ROWS ? g->row_capacity
                                                           : 1;
    picoseconds += times * (8000 + count * element_cost(p->e, code));
  }
  for (int32_t i = 0; i < pass->cursor_count; i++)
    if (!pass->cursors[i].rows)
      picoseconds += tiles * g->capacity * (int64_t)(20 << pass->cursors[i].size_log2);
  return picoseconds / 1000 + 1;
}

void mica_tile_place(tile_emitter *emitter, mica_tile_pass *pass, int64_t *out_footprint) {
  tile_placement p = {.e = emitter};
  if (emitter->cursor_count > 64) { /* hazards do not fit their mask */
    for (int32_t i = 0; i < emitter->value_count; i++) emitter->values[i].direct = -1;
    for (int32_t i = 0; i < emitter->code_count; i++) emitter->code[i].code.direct = -1;
    emitter->direct_count = 0;
  }
  if (!sort_code(&p)) return;
  keep_streams_apart(&p);
  find_lifetimes(&p);
  allocate_values(&p);
  if (emitter->cursor_count + p.splats + p.registers + p.states + emitter->direct_count +
          emitter->slot_count >
      INT16_MAX) {
    emitter->status = MICA_UNSUPPORTED;
    return;
  }
  find_hazards(&p);
  if (!name_places(&p, pass)) return;
  lay_out(&p, pass);
  pass->unit_cost = unit_cost(&p, pass);
  /* What is touched once need not stay in L1 from one instruction to the next. */
  int32_t working = 0;
  for (int32_t i = 0; i < p.count; i++)
    working += p.sorted[i].stage > TILE_PROLOGUE && p.sorted[i].stage % 2 == 0 &&
               p.sorted[i].code.kind != MICA_TILE_PUT;
  int64_t footprint = (int64_t)pass->register_bytes * pass->register_count;
  for (int32_t i = 0; i < pass->cursor_count && working > 1; i++)
    if (pass->cursors[i].dense && !pass->cursors[i].rows)
      footprint += pass->geometry.capacity << pass->cursors[i].size_log2;
  *out_footprint = working > 1 ? footprint : 0;
}
