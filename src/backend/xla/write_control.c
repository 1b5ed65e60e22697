/* SPDX-License-Identifier: Apache-2.0 */
/* write_control.c: loops and branches, and the walk over the nodes of a region.
 *
 * A scan is a while whose state is the counter, the carries and the stacks of what it emits; a while
 * with a bound carries its counter. Regions read what they captured from outside by its name. */
#include "backend/xla/writer_internal.h"

#include <inttypes.h>

static xla_emitter *emitter_of(mica_op op) {
  xla_emitter *emitter = mica_xla_pointwise_emitters[op];
  if (emitter == NULL) emitter = mica_xla_move_emitters[op];
  if (emitter == NULL) emitter = mica_xla_fold_emitters[op];
  if (emitter == NULL) emitter = mica_xla_product_emitters[op];
  if (emitter == NULL) emitter = mica_xla_control_emitters[op];
  if (emitter == NULL) emitter = mica_xla_mesh_emitters[op];
  return emitter;
}

bool mica_xla_writes(mica_op op) {
  return mica_xla_plain_name(op) != NULL || emitter_of(op) != NULL;
}

static void write_node(xla_writer *w, uint32_t id) {
  const mica_node *node = mica_node_at(w->graph, id);
  mica_op op = (mica_op)node->op;
  const char *plain = mica_xla_plain_name(op);
  xla_emitter *emitter = emitter_of(op);
  if (plain != NULL) {
    xla_ref in[3];
    for (uint32_t i = 0; i < node->operand_count && i < 3; i++) in[i] = mica_xla_operand(w, id, i);
    mica_xla_define(w, id, mica_xla_emit(w, plain, node->type, in, node->operand_count));
  } else if (emitter != NULL) {
    emitter(w, id);
  } else if (op == MICA_OP_ATTENTION) {
    mica_xla_write_attention(w, id);
  } else if (mica_xla_runs_on_host(op) && w->module->host_nodes != NULL) {
    mica_xla_emit_host(w, id);
  } else {
    char type[128];
    const char *scope = mica_scope_text(w->graph, node->scope);
    mica_type_format(node->type, type, sizeof(type));
    mica_xla_fail(w, MICA_UNSUPPORTED, "operator %s (%s) has no form in StableHLO yet%s%.200s",
                  mica_op_definition(op)->name, type, scope[0] != '\0' ? ", in " : "", scope);
  }
}

void mica_xla_nodes(xla_writer *w, uint32_t index) {
  const mica_region_data *region = &w->graph->regions[index];
  uint32_t end = index == 0 ? w->graph->count : region->end;
  for (uint32_t id = index == 0 ? 1 : region->begin; id < end && w->status == MICA_OK; id++) {
    const mica_node *node = mica_node_at(w->graph, id);
    if (node->region == index && node->op != MICA_OP_RESULT) write_node(w, id);
  }
}

/* ---- regions --------------------------------------------------------------------------------- */

static uint32_t owned_index(const xla_writer *w, const mica_node *node, uint32_t which) {
  return w->graph->owned[node->region_first + which];
}

/* What region `which` of an owner captured is known by its outer name. */
static void name_captures(xla_writer *w, const mica_node *node, uint32_t which) {
  uint32_t at = node->declared_count;
  for (uint32_t r = 0; r < which; r++) {
    const mica_region_data *earlier = mica_node_region(w->graph, node, r);
    at += earlier->argument_count - earlier->declared_count;
  }
  const mica_region_data *region = mica_node_region(w->graph, node, which);
  const uint32_t *operands = mica_node_operands(w->graph, node);
  for (uint32_t i = region->declared_count; i < region->argument_count; i++)
    mica_xla_define(w, region->arguments[i], w->refs[operands[at++]]);
}

/* Room for the state of a loop: references and types. */
typedef struct {
  xla_ref *in, *inside, *out;
  mica_type *types;
  size_t count;
} loop_state;

static bool loop_begin(xla_writer *w, loop_state *loop, size_t count) {
  *loop = (loop_state){.count = count};
  loop->in = mica_allocate_zeroed(&w->module->allocator, 3 * count + 1, sizeof(xla_ref));
  loop->types = mica_allocate_zeroed(&w->module->allocator, count + 1, sizeof(mica_type));
  if (loop->in == NULL || loop->types == NULL) {
    mica_xla_fail(w, MICA_OUT_OF_MEMORY, "no memory to compile");
    return false;
  }
  loop->inside = loop->in + count;
  loop->out = loop->inside + count;
  return true;
}

static void loop_end(xla_writer *w, loop_state *loop) {
  mica_free(&w->module->allocator, loop->in, (3 * loop->count + 1) * sizeof(xla_ref));
  mica_free(&w->module->allocator, loop->types, (loop->count + 1) * sizeof(mica_type));
}

/* Begins a region whose arguments are the state: inside[]. */
static void loop_region(xla_writer *w, loop_state *loop, bool first) {
  mica_xla_region_begin(w, first);
  for (size_t i = 0; i < loop->count; i++)
    loop->inside[i] = mica_xla_argument(w, loop->types[i], i == 0);
  if (loop->count > 0) mica_xla_region_ready(w);
}

static xla_ref loop_result(uint32_t number, const loop_state *loop, size_t index) {
  return (xla_ref){number, loop->count == 1 ? -1 : (int32_t)index, loop->types[index]};
}

/* [] of i32 or i64 */
static xla_ref loop_number(xla_writer *w, mica_dtype dtype, int64_t number) {
  int32_t narrow = (int32_t)number;
  return mica_xla_constant(w, xla_scalar(dtype),
                           dtype == MICA_I64 ? (const void *)&number : &narrow);
}

static xla_ref counted(xla_writer *w, xla_ref counter) {
  return mica_xla_emit_2(w, "stablehlo.add", counter.type, counter,
                         mica_xla_number(w, counter.type.dtype, 1));
}

/* ---- while ----------------------------------------------------------------------------------- */

static void emit_while(xla_writer *w, uint32_t id) {
  const mica_node *node = mica_node_at(w->graph, id);
  const mica_while_attr *attr = node->attr;
  uint32_t states = node->declared_count;
  bool bounded = attr->max_iterations > 0;
  loop_state loop;
  if (!loop_begin(w, &loop, states + (bounded ? 1u : 0u))) {
    loop_end(w, &loop);
    return;
  }
  for (uint32_t i = 0; i < states; i++) loop.in[i] = mica_xla_operand(w, id, i);
  if (bounded) loop.in[states] = mica_xla_number(w, MICA_I64, 0);
  for (size_t i = 0; i < loop.count; i++) loop.types[i] = loop.in[i].type;
  uint32_t number = mica_xla_operation_begin(w, "stablehlo.while", loop.count, loop.in, loop.count);
  for (uint32_t which = 0; which < 2; which++) {
    const mica_region_data *region = mica_node_region(w->graph, node, which);
    loop_region(w, &loop, which == 0);
    name_captures(w, node, which);
    for (uint32_t i = 0; i < states; i++) mica_xla_define(w, region->arguments[i], loop.inside[i]);
    mica_xla_nodes(w, owned_index(w, node, which));
    if (which == 0) {
      xla_ref holds = w->refs[region->results[0]];
      if (bounded) {
        xla_ref limit = loop_number(w, MICA_I64, attr->max_iterations);
        xla_ref below = mica_xla_compare(w, "LT", loop.inside[states], limit);
        holds = mica_xla_emit_2(w, "stablehlo.and", holds.type, holds, below);
      }
      mica_xla_region_return(w, &holds, 1);
    } else {
      for (uint32_t i = 0; i < states; i++) loop.out[i] = w->refs[region->results[i]];
      if (bounded) loop.out[states] = counted(w, loop.inside[states]);
      mica_xla_region_return(w, loop.out, loop.count);
    }
  }
  mica_xla_operation_end(w, loop.in, loop.count, loop.types, loop.count);
  for (uint32_t i = 0; i < states; i++) mica_xla_define(w, id + i, loop_result(number, &loop, i));
  loop_end(w, &loop);
}

/* ---- scan ------------------------------------------------------------------------------------ */

/* Starts of a slice of `rank` axes: `step` along axis 0, zero along the others. */
static size_t slice_starts(xla_writer *w, xla_ref step, int32_t rank, xla_ref *out) {
  xla_ref zero = {0};
  if (rank > 1) zero = mica_xla_number(w, step.type.dtype, 0);
  for (int32_t axis = 0; axis < rank; axis++) out[axis] = axis == 0 ? step : zero;
  return (size_t)rank;
}

/* Row `step` of a stack. */
static xla_ref stack_row(xla_writer *w, xla_ref stack, xla_ref step, mica_type row) {
  xla_ref in[MICA_MAX_RANK + 1] = {stack};
  mica_shape sizes = stack.type.shape;
  size_t count = 1 + slice_starts(w, step, sizes.rank, in + 1);
  sizes.dim[0] = 1;
  mica_xla_attribute_array(w, "slice_sizes", sizes.dim, sizes.rank);
  xla_ref slice =
      mica_xla_emit(w, "stablehlo.dynamic_slice", xla_shaped(row.dtype, sizes), in, count);
  return mica_xla_reshape(w, slice, row.shape);
}

static xla_ref stack_with(xla_writer *w, xla_ref stack, xla_ref step, xla_ref row) {
  xla_ref in[MICA_MAX_RANK + 2] = {stack};
  mica_shape sizes = stack.type.shape;
  sizes.dim[0] = 1;
  in[1] = mica_xla_reshape(w, row, sizes);
  size_t count = 2 + slice_starts(w, step, sizes.rank, in + 2);
  return mica_xla_emit(w, "stablehlo.dynamic_update_slice", stack.type, in, count);
}

/* State: counter, carries, stacks, which are zero at first and written as a whole. */
static void emit_scan(xla_writer *w, uint32_t id) {
  const mica_node *node = mica_node_at(w->graph, id);
  const mica_scan_attr *attr = node->attr;
  const mica_region_data *body = mica_node_region(w->graph, node, 0);
  uint32_t carries = (uint32_t)attr->carry_count, results = node->result_count;
  mica_dtype dtype = attr->length >= INT32_MAX ? MICA_I64 : MICA_I32;
  loop_state loop;
  if (!loop_begin(w, &loop, (size_t)results + 1)) {
    loop_end(w, &loop);
    return;
  }
  loop.in[0] = mica_xla_number(w, dtype, 0);
  for (uint32_t i = 0; i < results; i++)
    loop.in[i + 1] = i < carries ? mica_xla_operand(w, id, i)
                                 : mica_xla_filled(w, mica_node_at(w->graph, id + i)->type, 0);
  for (size_t i = 0; i < loop.count; i++) loop.types[i] = loop.in[i].type;
  uint32_t number = mica_xla_operation_begin(w, "stablehlo.while", loop.count, loop.in, loop.count);
  loop_region(w, &loop, true);
  xla_ref limit = loop_number(w, dtype, attr->length);
  xla_ref more = mica_xla_compare(w, "LT", loop.inside[0], limit);
  mica_xla_region_return(w, &more, 1);
  loop_region(w, &loop, false);
  name_captures(w, node, 0);
  xla_ref counter = loop.inside[0], step = counter;
  if (attr->reverse) {
    xla_ref top = loop_number(w, dtype, attr->length - 1);
    step = mica_xla_emit_2(w, "stablehlo.subtract", counter.type, top, counter);
  }
  for (uint32_t i = 0; i < body->declared_count; i++) {
    mica_type type = mica_node_at(w->graph, body->arguments[i])->type;
    mica_xla_define(
        w, body->arguments[i],
        i < carries ? loop.inside[i + 1] : stack_row(w, mica_xla_operand(w, id, i), step, type));
  }
  mica_xla_nodes(w, owned_index(w, node, 0));
  loop.out[0] = counted(w, counter);
  for (uint32_t i = 0; i < results; i++) {
    xla_ref result = w->refs[body->results[i]];
    loop.out[i + 1] = i < carries ? result : stack_with(w, loop.inside[i + 1], step, result);
  }
  mica_xla_region_return(w, loop.out, loop.count);
  mica_xla_operation_end(w, loop.in, loop.count, loop.types, loop.count);
  for (uint32_t i = 0; i < results; i++)
    mica_xla_define(w, id + i, loop_result(number, &loop, (size_t)i + 1));
  loop_end(w, &loop);
}

/* ---- switch ---------------------------------------------------------------------------------- */

static void emit_switch(xla_writer *w, uint32_t id) {
  const mica_node *node = mica_node_at(w->graph, id);
  uint32_t results = mica_node_region(w->graph, node, 0)->result_count;
  xla_ref index = mica_xla_operand(w, id, 0);
  loop_state state;
  if (!loop_begin(w, &state, results)) {
    loop_end(w, &state);
    return;
  }
  for (uint32_t i = 0; i < results; i++) state.types[i] = mica_node_at(w->graph, id + i)->type;
  uint32_t number = mica_xla_operation_begin(w, "stablehlo.case", results, &index, 1);
  for (uint32_t which = 0; which < node->region_count; which++) {
    const mica_region_data *region = mica_node_region(w->graph, node, which);
    mica_xla_region_begin(w, which == 0);
    name_captures(w, node, which);
    mica_xla_nodes(w, owned_index(w, node, which));
    for (uint32_t i = 0; i < results; i++) state.out[i] = w->refs[region->results[i]];
    mica_xla_region_return(w, state.out, results);
  }
  mica_xla_operation_end(w, &index, 1, state.types, results);
  for (uint32_t i = 0; i < results; i++) mica_xla_define(w, id + i, loop_result(number, &state, i));
  loop_end(w, &state);
}

xla_emitter_table mica_xla_control_emitters = {
    [MICA_OP_WHILE] = emit_while,
    [MICA_OP_SCAN] = emit_scan,
    [MICA_OP_SWITCH] = emit_switch,
};
