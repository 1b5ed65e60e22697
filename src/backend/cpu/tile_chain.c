/* SPDX-License-Identifier: Apache-2.0 */
/* Joins operators into chains (kernels/chain.inc): a run of f32 operators becomes one instruction, whose steps
 * pass an accumulator on. An operator takes the accumulator for one operand if it can; every other operand
 * that the chain has made lies in a slot of the round, or in a register if something else reads it too. */
#include "backend/cpu/tile_emit_internal.h"

typedef struct {
  tile_emitter *e;
  int32_t *total_uses, *chain_uses; /* [values] */
  bool *stored;                     /* [values] some use cannot take it from the accumulator */
  tile_staged *run;                 /* operators that wait to become a chain */
  int32_t run_count;
  tile_staged *out;
  int32_t out_count;
  int32_t acc, truth; /* values that the accumulator and the truth values hold, or -1 */
  bool emitting;      /* second walk over a run */
} tile_chainer;

/* ---- operators -------------------------------------------------------------------------------- */

static int32_t chain_unary(int32_t op) {
  switch (op) {
    case MICA_TILE_NEG: return MICA_CHAIN_NEG;
    case MICA_TILE_ABS: return MICA_CHAIN_ABS;
    case MICA_TILE_SIGN: return MICA_CHAIN_SIGN;
    case MICA_TILE_EXP: return MICA_CHAIN_EXP;
    case MICA_TILE_EXPM1: return MICA_CHAIN_EXPM1;
    case MICA_TILE_LOG: return MICA_CHAIN_LOG;
    case MICA_TILE_LOG1P: return MICA_CHAIN_LOG1P;
    case MICA_TILE_TANH: return MICA_CHAIN_TANH;
    case MICA_TILE_LOGISTIC: return MICA_CHAIN_LOGISTIC;
    case MICA_TILE_ERF: return MICA_CHAIN_ERF;
    case MICA_TILE_SQRT: return MICA_CHAIN_SQRT;
    case MICA_TILE_RSQRT: return MICA_CHAIN_RSQRT;
    case MICA_TILE_FLOOR: return MICA_CHAIN_FLOOR;
    case MICA_TILE_CEIL: return MICA_CHAIN_CEIL;
    case MICA_TILE_ROUND: return MICA_CHAIN_ROUND;
    case MICA_TILE_RELU: return MICA_CHAIN_RELU;
    case MICA_TILE_GELU: return MICA_CHAIN_GELU;
    case MICA_TILE_GELU_TANH: return MICA_CHAIN_GELU_TANH;
    default: return -1;
  }
}

/* With the accumulator as first operand, and as second. */
static const struct {
  int32_t op, first, second;
} chain_binaries[] = {{MICA_TILE_ADD, MICA_CHAIN_ADD, MICA_CHAIN_ADD},
                      {MICA_TILE_SUB, MICA_CHAIN_SUB, MICA_CHAIN_SUB_FROM},
                      {MICA_TILE_MUL, MICA_CHAIN_MUL, MICA_CHAIN_MUL},
                      {MICA_TILE_DIV, MICA_CHAIN_DIV, MICA_CHAIN_DIV_INTO},
                      {MICA_TILE_MAX, MICA_CHAIN_MAX, MICA_CHAIN_MAX_OF},
                      {MICA_TILE_MIN, MICA_CHAIN_MIN, MICA_CHAIN_MIN_OF},
                      {MICA_TILE_EQ, MICA_CHAIN_EQ, MICA_CHAIN_EQ},
                      {MICA_TILE_NE, MICA_CHAIN_NE, MICA_CHAIN_NE},
                      {MICA_TILE_LT, MICA_CHAIN_LT, MICA_CHAIN_GT},
                      {MICA_TILE_LE, MICA_CHAIN_LE, MICA_CHAIN_GE},
                      {MICA_TILE_GT, MICA_CHAIN_GT, MICA_CHAIN_LT},
                      {MICA_TILE_GE, MICA_CHAIN_GE, MICA_CHAIN_LE}};

static int32_t binary_row(int32_t op) {
  for (int32_t i = 0; i < (int32_t)(sizeof chain_binaries / sizeof chain_binaries[0]); i++)
    if (chain_binaries[i].op == op) return i;
  return -1;
}

static bool chains(const mica_tile_instruction *code) {
  if (code->kind != MICA_TILE_COMPUTE || code->extent != MICA_TILE_ALL || code->op < 0)
    return false;
  return code->op >= MICA_TILE_OP_COUNT || code->op == MICA_TILE_SELECT ||
         chain_unary(code->op) >= 0 || binary_row(code->op) >= 0;
}

/* ---- steps ------------------------------------------------------------------------------------ */

/* An operand that is read from its place. */
static int32_t read_in_place(tile_chainer *c, int32_t value) {
  if (value >= 0 && c->chain_uses[value] >= 0) c->stored[value] = true;
  return value;
}

static void step(tile_chainer *c, int32_t op, int32_t a, int32_t b) {
  tile_emitter *e = c->e;
  a = read_in_place(c, a), b = read_in_place(c, b);
  if (c->emitting) e->steps[e->step_count++] = (tile_step){op, {a, b}};
}

static void load(tile_chainer *c, int32_t value) {
  step(c, MICA_CHAIN_LOAD, value, -1);
  c->acc = value;
}

static void binary(tile_chainer *c, int32_t op, int32_t x, int32_t y) {
  const int32_t row = binary_row(op);
  if (c->acc != x && c->acc == y) {
    step(c, chain_binaries[row].second, x, -1);
  } else {
    if (c->acc != x) load(c, x);
    step(c, chain_binaries[row].first, y, -1);
  }
}

static void chain_select(tile_chainer *c, int32_t truth, int32_t x, int32_t y) {
  if (c->truth != truth) step(c, MICA_CHAIN_LOAD_TRUTH, truth, -1);
  c->truth = truth;
  if (c->acc == x) {
    step(c, MICA_CHAIN_SELECT_OR, y, -1);
  } else if (c->acc == y) {
    step(c, MICA_CHAIN_SELECT_ELSE, x, -1);
  } else {
    load(c, y);
    step(c, MICA_CHAIN_SELECT_ELSE, x, -1);
  }
}

static void pair(tile_chainer *c, mica_tile_pair which, const int16_t *in) {
  const int32_t x = in[0], y = in[1], z = in[2];
  switch ((int)which) {
    case MICA_TILE_MUL_ADD:
      if (c->acc == z && z != x && z != y) { /* the splat, if there is one, comes last */
        const bool swapped = c->e->values[x].extent == MICA_TILE_ONE;
        step(c, MICA_CHAIN_ADD_MUL, swapped ? y : x, swapped ? x : y);
        return;
      }
      binary(c, MICA_TILE_MUL, x, y);
      step(c, MICA_CHAIN_ADD, z, -1);
      return;
    case MICA_TILE_MUL_SUB:
      binary(c, MICA_TILE_MUL, x, y);
      step(c, MICA_CHAIN_SUB, z, -1);
      return;
    case MICA_TILE_SUB_MUL:
      binary(c, MICA_TILE_SUB, x, y);
      step(c, MICA_CHAIN_MUL, z, -1);
      return;
    default:
      binary(c, MICA_TILE_SUB, x, y);
      step(c, MICA_CHAIN_EXP, -1, -1);
      return;
  }
}

static void store_result(tile_chainer *c, int32_t value, bool truth) {
  tile_emitter *e = c->e;
  const bool outside = c->total_uses[value] > c->chain_uses[value];
  if (!c->emitting) return;
  tile_value *data = &e->values[value];
  if (!outside && !c->stored[value]) {
    data->holder = TILE_IN_ACCUMULATOR;
    return;
  }
  if (!outside) {
    data->holder = TILE_IN_SLOT;
    data->index = e->slot_count++;
  }
  const bool streams = data->direct >= 0 && e->cursors[e->direct[data->direct].access].stream;
  const int32_t op = truth     ? MICA_CHAIN_STORE_TRUTH
                     : streams ? MICA_CHAIN_STREAM
                               : MICA_CHAIN_STORE;
  e->steps[e->step_count++] = (tile_step){op, {value, -1}};
}

/* One operator; what it does to the accumulator is the same in both walks. */
static void walk_operator(tile_chainer *c, const mica_tile_instruction *code) {
  const bool compares = code->op >= MICA_TILE_EQ && code->op <= MICA_TILE_GE;
  if (code->op >= MICA_TILE_OP_COUNT) {
    pair(c, (mica_tile_pair)(code->op - MICA_TILE_OP_COUNT), code->in);
  } else if (code->op == MICA_TILE_SELECT) {
    chain_select(c, code->in[0], code->in[1], code->in[2]);
  } else if (binary_row(code->op) >= 0) {
    binary(c, code->op, code->in[0], code->in[1]);
  } else {
    if (c->acc != code->in[0]) load(c, code->in[0]);
    step(c, chain_unary(code->op), -1, -1);
  }
  *(compares ? &c->truth : &c->acc) = code->out;
  store_result(c, code->out, compares);
}

static void walk_run(tile_chainer *c, bool emitting) {
  c->acc = c->truth = -1;
  c->emitting = emitting;
  for (int32_t i = 0; i < c->run_count; i++) walk_operator(c, &c->run[i].code);
}

/* ---- runs ------------------------------------------------------------------------------------- */

static void flush(tile_chainer *c) {
  tile_emitter *e = c->e;
  if (c->run_count < 2) {
    for (int32_t i = 0; i < c->run_count; i++) c->out[c->out_count++] = c->run[i];
    c->run_count = 0;
    return;
  }
  for (int32_t i = 0; i < e->value_count; i++) c->chain_uses[i] = -1; /* not of this chain */
  for (int32_t i = 0; i < c->run_count; i++) c->chain_uses[c->run[i].code.out] = 0;
  for (int32_t i = 0; i < c->run_count; i++)
    for (int32_t k = 0; k < 3; k++) {
      const int32_t in = c->run[i].code.in[k];
      if (in >= 0 && c->chain_uses[in] >= 0) c->chain_uses[in]++;
    }
  walk_run(c, false);
  tile_staged *staged = &c->out[c->out_count++];
  *staged = c->run[0];
  staged->code = (mica_tile_instruction){.kind = MICA_TILE_CHAIN,
                                         .extent = MICA_TILE_ALL,
                                         .size_log2 = 2,
                                         .out = -1,
                                         .in = {-1, -1, -1},
                                         .access = -1,
                                         .direct = -1,
                                         .op = -1,
                                         .step = e->step_count};
  walk_run(c, true);
  staged->code.step_count = e->step_count - staged->code.step;
  c->run_count = 0;
}

/* What needs a result of the run, or may write where the run still reads. */
static bool must_wait(const tile_chainer *c, const mica_tile_instruction *code) {
  if (code->kind == MICA_TILE_PUT) return true;
  if (code->out >= 0 && c->e->values[code->out].direct >= 0) return true;
  for (int32_t i = 0; i < c->run_count; i++)
    for (int32_t k = 0; k < 3; k++)
      if (code->in[k] == c->run[i].code.out) return true;
  return false;
}

bool mica_tile_join(tile_emitter *e, tile_staged *sorted, int32_t *count) {
  const size_t values = (size_t)e->value_count + 1, codes = (size_t)*count + 1;
  tile_chainer c = {.e = e,
                    .total_uses = mica_arena_allocate_zeroed(e->arena, values, sizeof(int32_t)),
                    .chain_uses = mica_arena_allocate_zeroed(e->arena, values, sizeof(int32_t)),
                    .stored = mica_arena_allocate_zeroed(e->arena, values, sizeof(bool)),
                    .run = mica_arena_allocate_zeroed(e->arena, codes, sizeof(tile_staged)),
                    .out = mica_arena_allocate_zeroed(e->arena, codes, sizeof(tile_staged))};
  e->steps = mica_arena_allocate_zeroed(e->arena, codes * 6, sizeof(tile_step));
  if (!c.total_uses || !c.chain_uses || !c.stored || !c.run || !c.out || !e->steps) return false;
  for (int32_t i = 0; i < *count; i++)
    for (int32_t k = 0; k < 3; k++)
      if (sorted[i].code.in[k] >= 0) c.total_uses[sorted[i].code.in[k]]++;
  for (int32_t i = 0; i < *count; i++) {
    const tile_staged *at = &sorted[i];
    if (c.run_count > 0 && c.run[0].stage != at->stage) flush(&c);
    if (chains(&at->code)) {
      c.run[c.run_count++] = *at;
      continue;
    }
    if (must_wait(&c, &at->code)) flush(&c);
    c.out[c.out_count++] = *at;
  }
  flush(&c);
  memcpy(sorted, c.out, (size_t)c.out_count * sizeof *sorted);
  *count = c.out_count;
  return true;
}
