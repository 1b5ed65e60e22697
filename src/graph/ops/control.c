/* SPDX-License-Identifier: Apache-2.0 */
/* control.c: the operators that own regions, and the barrier: what their operands, arguments and
 * results must be. Their derivative and batching rules are in control_rules.c, their builders in
 * blocks.c. */
#include "graph/ops/control.h"

#include <stdio.h>

#include "graph/ops/rules.h"

static const mica_region_data *owned_region(const mica_infer *infer, size_t index) {
  return &infer->graph->regions[infer->regions[index]];
}
static mica_type result_type(const mica_infer *infer, size_t region, uint32_t index) {
  return infer->graph->nodes[owned_region(infer, region)->results[index]].type;
}

static bool same(mica_infer *infer, const char *what, size_t index, mica_type given,
                 mica_type expected) {
  if (mica_type_equal(given, expected)) return true;
  char a[128], b[128];
  mica_type_format(given, a, sizeof a);
  mica_type_format(expected, b, sizeof b);
  return mica_infer_fail(infer, "%s %zu is %s: expected %s", what, index, a, b);
}

static bool region_counts(mica_infer *infer, size_t region, size_t arguments, size_t results,
                          const char *name) {
  const mica_region_data *data = owned_region(infer, region);
  if (data->declared_count != arguments)
    return mica_infer_fail(infer, "the %s has %u %s: expected %zu", name, data->declared_count,
                           mica_noun(data->declared_count, "argument", "arguments"), arguments);
  if (data->result_count != results)
    return mica_infer_fail(infer, "the %s has %u %s: expected %zu", name, data->result_count,
                           mica_noun(data->result_count, "result", "results"), results);
  return true;
}

static bool arguments_match(mica_infer *infer, size_t region, size_t count) {
  const mica_region_data *data = owned_region(infer, region);
  for (uint32_t i = 0; i < count; i++)
    if (!same(infer, "argument", i, infer->graph->nodes[data->arguments[i]].type, infer->in[i]))
      return false;
  return true;
}

static bool expect_regions(mica_infer *infer, size_t count) {
  if (infer->region_count == count) return true;
  return mica_infer_fail(infer, "expected %zu %s, not %zu", count,
                         mica_noun(count, "block", "blocks"), infer->region_count);
}

/* ---- while: (state...; captures) -> state..., regions condition and body --------------------- */

static bool infer_while(mica_infer *infer) {
  const mica_while_attr *attr = infer->attr;
  size_t count = infer->declared_count;
  if (!expect_regions(infer, 2) || !region_counts(infer, 0, count, 1, "condition") ||
      !region_counts(infer, 1, count, count, "body") || !arguments_match(infer, 0, count) ||
      !arguments_match(infer, 1, count))
    return false;
  if (attr->max_iterations < 0)
    return mica_infer_fail(infer, "max_iterations is %lld: expected 0 (unbounded) or more",
                           (long long)attr->max_iterations);
  if (!same(infer, "result of the condition", 0, result_type(infer, 0, 0),
            (mica_type){MICA_BOOL, {0}}))
    return false;
  for (uint32_t i = 0; i < count; i++) {
    if (!same(infer, "next state", i, result_type(infer, 1, i), infer->in[i])) return false;
    infer->out[i] = infer->in[i];
  }
  infer->out_count = count;
  return true;
}

static const mica_attr_field while_fields[] = {
    {"max_iterations", MICA_ATTR_I64, offsetof(mica_while_attr, max_iterations), NULL},
    {NULL, 0, 0, NULL}};
const mica_op_def mica_op_while = {
    .name = "while",
    .kind = MICA_KIND_REGION,
    .arity = -1,
    .results = -1,
    .attr_size = sizeof(mica_while_attr),
    .fields = while_fields,
    .formula = "while condition(state): state = body(state); state... -> state...",
    .infer = infer_while,
    .jvp = mica_while_jvp,
    .vjp = mica_while_vjp,
    .batch = mica_while_batch};

/* ---- switch: (index; captures) -> results..., one region for each case ----------------------- */

static bool infer_switch(mica_infer *infer) {
  if (infer->region_count < 1) return mica_infer_fail(infer, "expected at least one block");
  if (infer->declared_count != 1) return mica_infer_fail(infer, "expected one operand, the index");
  if (!same(infer, "index", 0, infer->in[0], (mica_type){MICA_I32, {0}})) return false;
  uint32_t results = owned_region(infer, 0)->result_count;
  for (size_t r = 0; r < infer->region_count; r++) {
    if (!region_counts(infer, r, 0, results, r ? "other block" : "first block")) return false;
    for (uint32_t i = 0; i < results; i++) {
      infer->out[i] = result_type(infer, 0, i);
      if (!same(infer, r == 1 ? "result of the second block" : "result of a block", i,
                result_type(infer, r, i), infer->out[i]))
        return false;
    }
  }
  infer->out_count = results;
  return true;
}
const mica_op_def mica_op_switch = {
    .name = "switch",
    .kind = MICA_KIND_REGION,
    .arity = -1,
    .results = -1,
    .formula = "blocks[index]() with index i32 [], the last block when it is out of range",
    .infer = infer_switch,
    .jvp = mica_switch_jvp,
    .vjp = mica_switch_vjp,
    .batch = mica_switch_batch};

/* ---- scan: (carry..., items [length, ...]...; captures) -> carry..., emitted [length, ...]...  */

static bool infer_scan(mica_infer *infer) {
  const mica_scan_attr *attr = infer->attr;
  size_t count = infer->declared_count, carries = (size_t)attr->carry_count;
  if (!expect_regions(infer, 1)) return false;
  if (attr->length < 0 || attr->carry_count < 0 || carries > count)
    return mica_infer_fail(infer, "length %lld with %lld carries of %zu operands does not fit",
                           (long long)attr->length, (long long)attr->carry_count, count);
  const mica_region_data *body = owned_region(infer, 0);
  if (body->declared_count != count)
    return mica_infer_fail(infer, "the block has %u %s: expected %zu", body->declared_count,
                           mica_noun(body->declared_count, "argument", "arguments"), count);
  if (body->result_count < carries)
    return mica_infer_fail(infer, "the block has %u %s: expected at least the %zu %s",
                           body->result_count, mica_noun(body->result_count, "result", "results"),
                           carries, mica_noun(carries, "carry", "carries"));
  for (uint32_t i = 0; i < count; i++) {
    mica_type type = infer->in[i];
    if (i >= carries) {
      if (type.shape.rank < 1 || type.shape.dim[0] != attr->length)
        return mica_infer_fail(infer, "item %zu must have axis 0 of size %lld", i - carries,
                               (long long)attr->length);
      for (int32_t k = 0; k + 1 < type.shape.rank; k++) type.shape.dim[k] = type.shape.dim[k + 1];
      type.shape.dim[--type.shape.rank] = 0;
    }
    if (!same(infer, "argument", i, infer->graph->nodes[body->arguments[i]].type, type))
      return false;
    if (i < carries && !same(infer, "next carry", i, result_type(infer, 0, i), type)) return false;
  }
  for (uint32_t i = 0; i < body->result_count; i++) {
    mica_type type = result_type(infer, 0, i);
    if (i >= carries) {
      if (type.shape.rank == MICA_MAX_RANK)
        return mica_infer_fail(infer, "emitted value %zu has rank 8 already: expected 7 or less",
                               i - carries);
      for (int32_t k = type.shape.rank++; k > 0; k--) type.shape.dim[k] = type.shape.dim[k - 1];
      type.shape.dim[0] = attr->length;
    }
    infer->out[i] = type;
  }
  infer->out_count = body->result_count;
  return true;
}
static const mica_attr_field scan_fields[] = {
    {"length", MICA_ATTR_I64, offsetof(mica_scan_attr, length), NULL},
    {"carry_count", MICA_ATTR_I64, offsetof(mica_scan_attr, carry_count), NULL},
    {"reverse", MICA_ATTR_BOOL, offsetof(mica_scan_attr, reverse), NULL},
    {NULL, 0, 0, NULL}};
const mica_op_def mica_op_scan = {.name = "scan",
                                  .kind = MICA_KIND_REGION,
                                  .arity = -1,
                                  .results = -1,
                                  .attr_size = sizeof(mica_scan_attr),
                                  .fields = scan_fields,
                                  .formula =
                                      "for t: carry, emit[t] = body(carry, items[t]); carry..., "
                                      "items [t, ...]... -> carry..., emit [t, ...]...",
                                  .infer = infer_scan,
                                  .jvp = mica_scan_jvp,
                                  .vjp = mica_scan_vjp,
                                  .batch = mica_scan_batch};

/* ---- call and recompute: (in...; captures) -> results... ------------------------------------- */

static bool infer_call(mica_infer *infer) {
  if (!expect_regions(infer, 1)) return false;
  const mica_region_data *body = owned_region(infer, 0);
  if (!region_counts(infer, 0, infer->declared_count, body->result_count, "block") ||
      !arguments_match(infer, 0, infer->declared_count))
    return false;
  for (uint32_t i = 0; i < body->result_count; i++) infer->out[i] = result_type(infer, 0, i);
  infer->out_count = body->result_count;
  return true;
}
const mica_op_def mica_op_call = {.name = "call",
                                  .kind = MICA_KIND_REGION,
                                  .arity = -1,
                                  .results = -1,
                                  .formula = "block(in...)",
                                  .infer = infer_call,
                                  .jvp = mica_call_jvp,
                                  .vjp = mica_call_vjp,
                                  .batch = mica_call_batch};
const mica_op_def mica_op_recompute = {
    .name = "recompute",
    .kind = MICA_KIND_REGION,
    .barrier = true,
    .arity = -1,
    .results = -1,
    .formula = "block(in...), computed again in the backward pass",
    .infer = infer_call,
    .jvp = mica_call_jvp,
    .vjp = mica_recompute_vjp,
    .batch = mica_call_batch};

/* ---- custom_gradient: (in...; captures) -> results..., regions forward and backward ---------- */

static bool infer_custom_gradient(mica_infer *infer) {
  if (!expect_regions(infer, 2)) return false;
  const mica_region_data *forward = owned_region(infer, 0), *backward = owned_region(infer, 1);
  size_t count = infer->declared_count, results = forward->result_count;
  if (!region_counts(infer, 0, count, results, "block") || !arguments_match(infer, 0, count) ||
      !region_counts(infer, 1, count + results, count, "backward block") ||
      !arguments_match(infer, 1, count))
    return false;
  for (uint32_t i = 0; i < results; i++) {
    infer->out[i] = result_type(infer, 0, i);
    if (!same(infer, "cotangent argument", i,
              infer->graph->nodes[backward->arguments[count + i]].type, infer->out[i]))
      return false;
  }
  for (uint32_t i = 0; i < count; i++)
    if (!same(infer, "gradient of input", i, result_type(infer, 1, i), infer->in[i])) return false;
  infer->out_count = results;
  return true;
}
const mica_op_def mica_op_custom_gradient = {
    .name = "custom_gradient",
    .kind = MICA_KIND_REGION,
    .arity = -1,
    .results = -1,
    .formula = "block(in...), whose gradient is backward(in..., cotangents...)",
    .infer = infer_custom_gradient,
    .vjp = mica_custom_gradient_vjp,
    .batch = mica_custom_gradient_batch};

/* ---- barrier: in... -> the same, which no pass looks through --------------------------------- */

static bool infer_barrier(mica_infer *infer) {
  for (size_t i = 0; i < infer->in_count; i++) infer->out[i] = infer->in[i];
  infer->out_count = infer->in_count;
  return true;
}
static void barrier_on(const mica_rule *rule, const mica_value *given, mica_value *out) {
  for (size_t i = 0; i < rule->in_count; i++)
    if (given[i].id)
      mica_emit_results(rule->graph, MICA_OP_BARRIER, &given[i], 1, NULL, &out[i], 1);
}
static void barrier_batch(const mica_rule *rule, const bool *batched, int64_t size,
                          mica_value *out) {
  mica_value *in = mica_arena_allocate(&rule->graph->arena, (rule->in_count + 1) * sizeof *in);
  if (!in) {
    mica_fail(rule->graph, MICA_OUT_OF_MEMORY, "out of memory");
    return;
  }
  for (size_t i = 0; i < rule->in_count; i++) in[i] = mica_batched(rule->in[i], batched[i], size);
  mica_emit_results(rule->graph, MICA_OP_BARRIER, in, rule->in_count, NULL, out, rule->in_count);
}
const mica_op_def mica_op_barrier = {
    .name = "barrier",
    .kind = MICA_KIND_GENERAL,
    .barrier = true,
    .arity = -1,
    .results = -1,
    .formula = "in... unchanged; no pass moves or shares anything across",
    .infer = infer_barrier,
    .jvp = barrier_on,
    .vjp = barrier_on,
    .batch = barrier_batch};
void mica_barrier(const mica_value *x, size_t count, mica_value *out) {
  MICA_ENTRY(mica_graph_of(x, count));
  mica_graph *graph = mica_graph_of(x, count);
  bool usable = count > 0 && mica_operands_usable("barrier", x, count);
  mica_value *in = usable ? mica_arena_copy(&graph->arena, x, count * sizeof *in) : NULL;
  if (usable && !in) mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  mica_results_clear(graph, "barrier", x, count, out, count);
  if (in) mica_emit_results(graph, MICA_OP_BARRIER, in, count, NULL, out, count);
}
