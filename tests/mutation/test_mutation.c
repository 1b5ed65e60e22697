/* SPDX-License-Identifier: Apache-2.0 */
/* The mutation check: is every derivative and batching rule tested? The graph's sources are built with
 * MICA_MUTATION here, where one rule can be spoilt at run time (graph_internal.h): its part for one operand is
 * negated, doubled or dropped. For each such mutant the oracles of the conformance table must notice.
 *
 * First every case runs unspoilt, and records which rules it reaches for which operands. A part that no case
 * reaches is a hole and a failure, and so is a mutant that no case that reaches it notices. Mutants must give
 * other numbers: one that is noticed only because its program does not build proves nothing.
 *
 * All mutants together take a second or two, so there is no rotation. MICA_MUTANT=name tries those whose
 * description ("tanh vjp, operand 0: negated") contains it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "conformance/derivatives.h"
#include "graph/ops/rules.h"

/* The four ways in which a case can notice, each for one kind of rule. */
typedef enum { BY_GRADIENT, BY_TANGENT, BY_VMAP, BY_SECOND, ORACLES } oracle;
static const mica_rule_kind rule_of[ORACLES] = {MICA_RULE_VJP, MICA_RULE_JVP, MICA_RULE_BATCH,
                                                MICA_RULE_VJP};
static const char *const rule_names[MICA_RULE_KINDS] = {"", "vjp", "jvp", "batch"};
static const char *const kind_names[] = {"", "negated", "doubled", "dropped"};

enum { MOST_CASES = 2048 };
/* Bit i: the rule of this operator is reached for operand i (batch: result i). */
static uint64_t reached[MOST_CASES][ORACLES][MICA_OP_COUNT];
/* Bit i: operand i, or result i, is of a dtype that rules give something for, in some case. */
static uint64_t float_operands[MICA_OP_COUNT], results[MICA_OP_COUNT];

static bool applies(const conformance_case *c, oracle way) {
  switch (way) {
    case BY_GRADIENT: return c->flags & (SMOOTH | FLAT | FIRST);
    case BY_TANGENT: return c->flags & (SMOOTH | FLAT | FIRST) && !(c->flags & REVERSE);
    case BY_VMAP: return !(c->flags & NO_VMAP);
    case BY_SECOND: return c->flags & SMOOTH;
    case ORACLES: break;
  }
  return false;
}

static bool agrees(const conformance_case *c, oracle way) {
  switch (way) {
    case BY_GRADIENT: return check_gradient(c, 1);
    case BY_TANGENT: return check_tangent(c);
    case BY_VMAP: return check_vmap(c);
    case BY_SECOND: return check_gradient(c, 2);
    case ORACLES: break;
  }
  return true;
}

/* ---- what is reached ------------------------------------------------------------------------------------ */

/* Which operands and results of which operators occur in the case itself. */
static void note_operators(const conformance_case *c) {
  extern mica_dtype case_now;
  mica_graph *graph = mica_graph_create(NULL);
  mica_value in[CASE_INPUTS], out[CASE_OUTPUTS] = {{0}};
  mica_dtype dtype = case_dtype(c->dtypes & -c->dtypes);
  case_now = dtype;
  for (int32_t i = 0; i < c->input_count; i++) {
    mica_type type;
    case_input_type(c, i, dtype, &type);
    in[i] = mica_parameter(graph, type);
  }
  c->build(graph, in, out);
  CHECK_OK(mica_graph_status(graph, NULL));
  bool differentiated = c->flags & (SMOOTH | FLAT | FIRST | REVERSE);
  for (uint32_t id = 1; id < graph->count; id++) {
    const mica_node *node = &graph->nodes[id];
    /* A block has as many operands as it captures; those of loops that only draw random numbers
     * have no derivative. */
    bool counts = differentiated || mica_op_definition((mica_op)node->op)->kind != MICA_KIND_REGION;
    for (uint32_t i = 0; i < node->operand_count && i < 64 && node->op != MICA_OP_RESULT; i++)
      if (counts && case_is_float(graph->nodes[mica_node_operands(graph, node)[i]].type))
        float_operands[node->op] |= (uint64_t)1 << i;
    for (uint32_t i = 0; i < node->result_count && i < 64 && node->op != MICA_OP_RESULT; i++)
      results[node->op] |= (uint64_t)1 << i;
  }
  mica_graph_destroy(graph);
}

static void find_what_is_reached(void) {
  static bool done;
  if (done) return;
  done = true;
  derivatives_quiet =
      true; /* the cpu backend and the words of failures are the conformance tests' affair */
  for (int32_t k = 0; k < conformance_case_count && k < MOST_CASES; k++) {
    const conformance_case *c = &conformance_cases[k];
    note_operators(c);
    for (oracle way = 0; way < ORACLES; way++) {
      if (!applies(c, way)) continue;
      memset(mica_mutate.seen, 0, sizeof mica_mutate.seen);
      mica_mutate.recording = true;
      if (!agrees(c, way))
        CHECK_FAIL("%s fails before anything is spoilt: run the conformance tests", c->name);
      mica_mutate.recording = false;
      for (int op = 1; op < MICA_OP_COUNT; op++)
        reached[k][way][op] = mica_mutate.seen[op][rule_of[way]];
    }
  }
}

static uint64_t reached_by_any(mica_op op, mica_rule_kind rule) {
  uint64_t any = 0;
  for (int32_t k = 0; k < conformance_case_count; k++)
    for (oracle way = 0; way < ORACLES; way++)
      if (rule_of[way] == rule) any |= reached[k][way][op];
  return any;
}

/* The operands for which the operator has that rule. */
static uint64_t demanded(mica_op op, mica_rule_kind rule) {
  const mica_op_def *def = mica_op_definition(op);
  uint64_t operands = 0;
  bool reverse = rule == MICA_RULE_VJP;
  switch (def->kind) {
    case MICA_KIND_LEAF:
    case MICA_KIND_RESULT: return 0;
    case MICA_KIND_CONSTANT: break;
    case MICA_KIND_POINTWISE: operands = float_operands[op]; break;
    case MICA_KIND_LINEAR:
      for (int i = 0; i < 64; i++)
        operands |= (uint64_t)(def->linear_operands >> (i < 31 ? i : 31) & 1) << i;
      operands &= float_operands[op];
      break;
    case MICA_KIND_GENERAL:
    case MICA_KIND_REGION:
      if (reverse ? def->vjp || def->expand : def->jvp || def->expand)
        operands = float_operands[op];
      break;
  }
  return rule == MICA_RULE_BATCH ? def->arity ? results[op] : 0 : operands;
}

/* Pointwise operators whose derivative is zero for every operand have nothing that could be reached. */
static bool is_flat(mica_op op) {
  return mica_op_definition(op)->derivative == mica_derivative_zero;
}

/* Steps in one operand, with a slope in the other; a draw stands for itself. */
static bool is_flat_in(mica_op op, uint32_t operand) {
  return operand == 1 &&
         (op == MICA_OP_COPYSIGN || op == MICA_OP_NEXTAFTER || op == MICA_OP_GAMMA_DRAW);
}

TEST(every_rule_is_reached) {
  if (!CHECK(conformance_case_count <= MOST_CASES)) return;
  find_what_is_reached();
  for (mica_op op = 1; op < MICA_OP_COUNT; op++)
    for (mica_rule_kind rule = MICA_RULE_VJP; rule < MICA_RULE_KINDS; rule++) {
      uint64_t missing = demanded(op, rule) & ~reached_by_any(op, rule);
      if (rule != MICA_RULE_BATCH && is_flat(op)) continue;
      for (uint32_t i = 0; i < 64; i++)
        if (missing >> i & 1 && (rule == MICA_RULE_BATCH || !is_flat_in(op, i)))
          CHECK_FAIL("no case reaches the %s rule of %s for %s %u", rule_names[rule],
                     mica_op_definition(op)->name, rule == MICA_RULE_BATCH ? "result" : "operand",
                     i);
    }
}

/* ---- mutants ---------------------------------------------------------------------------------------------- */

typedef enum { NOTICED, SURVIVED, ONLY_BROKEN } fate;

/* Tries the cases that reach the mutant, those of its own operator first. */
static fate fate_of(mica_op op, mica_rule_kind rule, uint32_t operand, mica_mutation_kind kind) {
  fate worst = SURVIVED;
  for (int own = 1; own >= 0; own--)
    for (int32_t k = 0; k < conformance_case_count; k++)
      for (oracle way = 0; way < ORACLES; way++) {
        const conformance_case *c = &conformance_cases[k];
        if (rule_of[way] != rule || (c->op == op) != own || !(reached[k][way][op] >> operand & 1))
          continue;
        mica_mutate.op = (int32_t)op, mica_mutate.rule = (int32_t)rule;
        mica_mutate.kind = (int32_t)kind, mica_mutate.operand = (int32_t)operand;
        mica_mutate.hits = 0;
        derivatives_broken = false;
        bool same = agrees(c, way);
        mica_mutate.op = 0;
        if (!CHECK(mica_mutate.hits > 0)) return SURVIVED;
        if (!same && !derivatives_broken) return NOTICED;
        if (!same) worst = ONLY_BROKEN;
      }
  return worst;
}

TEST(every_mutant_is_noticed) {
  find_what_is_reached();
  const char *filter = getenv("MICA_MUTANT");
  int64_t number = 0;
  for (mica_op op = 1; op < MICA_OP_COUNT; op++)
    for (mica_rule_kind rule = MICA_RULE_VJP; rule < MICA_RULE_KINDS; rule++) {
      uint64_t sites = reached_by_any(op, rule);
      for (uint32_t operand = 0; operand < 64; operand++)
        for (mica_mutation_kind kind = MICA_MUTATE_NEGATE; kind <= MICA_MUTATE_DROP; kind++) {
          if (!(sites >> operand & 1)) continue;
          char name[128];
          snprintf(name, sizeof name, "%s %s, %s %u: %s", mica_op_definition(op)->name,
                   rule_names[rule], rule == MICA_RULE_BATCH ? "result" : "operand", operand,
                   kind_names[kind]);
          if (filter && !strstr(name, filter)) continue;
          number++;
          fate what = fate_of(op, rule, operand, kind);
          if (what == SURVIVED) CHECK_FAIL("%s: no test notices", name);
          if (what == ONLY_BROKEN)
            CHECK_FAIL("%s: is not built or does not run, so nothing compares its numbers", name);
        }
    }
  printf("%lld mutants\n", (long long)number);
  if (filter && number == 0) CHECK_FAIL("MICA_MUTANT=%s matches no mutant", filter);
  CHECK(number > 500 || filter);
  close_devices();
}

TEST_MAIN(TEST_CASE(every_rule_is_reached), TEST_CASE(every_mutant_is_noticed))
