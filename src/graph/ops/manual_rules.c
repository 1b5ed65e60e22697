/* SPDX-License-Identifier: Apache-2.0 */
/* manual_rules.c: derivatives and batching of manual regions.
 *
 * A value of the region stands for what all devices hold. Going in, an operand is cut along some axes of
 * the mesh and repeated along the others: the transpose of repeating is the sum. Coming out, parts are put
 * together, and equal ones are one value, which is also their mean: its cotangent is shared among the
 * devices that hold it. Rules inside transpose exactly on that (collective.c), so that nothing is counted
 * twice, and sums of cotangents that are equal everywhere send nothing.
 *
 * The derivative is a region that holds the block again. Where it can it also gives the block's own results and
 * takes the place of the first region, so that nothing runs twice. */
#include <string.h>

#include "graph/ops/collective.h"
#include "graph/ops/control.h"
#include "graph/ops/rules.h"

/* The derivative's region while it is built: its operands, and the shardings of those and its results. */
typedef struct {
  const mica_rule *rule;
  const mica_manual_attr *attr;
  mica_mesh_axes mesh;
  mica_value_list in, results;
  mica_text in_text, out_text;
  uint32_t block;
  mica_value *arguments, *body_results; /* of the body as it is rebuilt */
  size_t argument_count, declared, result_count;
  uint32_t floor;
} derived_region;

static bool region_without_memory(mica_graph *graph) {
  mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  return false;
}

static bool may_differ(mica_value value) {
  mica_dtype dtype = mica_dtype_of(value);
  return mica_dtype_is_float(dtype) || mica_dtype_is_complex(dtype);
}

/* Sharding `index` of a list, "" when there is none. */
static const char *sharding_at(const char *list, size_t index, size_t *length) {
  const char *text;
  if (mica_mesh_list_at(list, index, &text, length)) return text;
  *length = 0;
  return "";
}

static uint32_t sharded_bits(const derived_region *d, const char *list, size_t index,
                             int32_t rank) {
  mica_mesh_sharding sharding;
  /* inference has read it */
  return mica_manual_sharding(&d->mesh, list, index, rank, &sharding) ? sharding.bits : 0;
}

static void add_sharding(mica_text *list, size_t count, const char *text, size_t length) {
  if (count > 0) mica_text_append(list, ";");
  mica_text_append_bytes(list, text, length);
}

static void add_operand(derived_region *d, mica_value value, const char *list, size_t index) {
  size_t length;
  const char *text = sharding_at(list, index, &length);
  add_sharding(&d->in_text, d->in.count, text, length);
  mica_list_add(&d->in, value);
}
static void add_result(derived_region *d, mica_value value, const char *text, size_t length) {
  add_sharding(&d->out_text, d->results.count, text, length);
  mica_list_add(&d->results, value);
}

static bool derived_begin(derived_region *d, const mica_rule *rule) {
  mica_graph *graph = rule->graph;
  char message[MICA_MESSAGE_SIZE];
  *d = (derived_region){.rule = rule,
                        .attr = rule->attr,
                        .in = {.graph = graph},
                        .results = {.graph = graph},
                        .declared = graph->nodes[rule->id].declared_count,
                        .result_count = rule->out_count};
  mica_text_init(&d->in_text, &graph->allocator);
  mica_text_init(&d->out_text, &graph->allocator);
  mica_text_append(&d->in_text, "");
  mica_text_append(&d->out_text, "");
  if (!mica_mesh_parse(d->attr->mesh, &d->mesh, message)) {
    mica_rule_failed(rule, "%s", message);
    return false;
  }
  for (size_t i = 0; i < d->declared; i++) add_operand(d, rule->in[i], d->attr->in, i);
  return graph->status == MICA_OK;
}

/* Opens the region: declared arguments of the body, then `extra` of the given types; rebuilds the body. */
static bool derived_open(derived_region *d, const mica_type *extra) {
  const mica_rule *rule = d->rule;
  mica_graph *graph = rule->graph;
  size_t count = d->in.count;
  mica_manual_attr attr = {.mesh = d->attr->mesh, .in = d->in_text.data, .out = ""};
  mica_type *types = mica_arena_allocate(&graph->arena, (count + 1) * sizeof *types);
  mica_value *own = mica_arena_allocate(&graph->arena, (d->declared + 1) * sizeof *own);
  if (!types || !own || d->in_text.failed) return region_without_memory(graph);
  d->block = mica_block_open(graph, MICA_OP_MANUAL, d->in.at, count, &attr);
  if (!d->block) return false;
  const mica_region_data *body = mica_node_region(graph, &graph->nodes[rule->id], 0);
  for (size_t i = 0; i < count; i++)
    types[i] = i < d->declared ? graph->nodes[body->arguments[i]].type : extra[i - d->declared];
  if (!mica_block_enter(graph, d->block, types, count)) return false;
  for (size_t i = 0; i < d->declared; i++) own[i] = mica_block_argument(graph, d->block, i);
  return mica_replay_body(rule, 0, own, false, &d->arguments, &d->argument_count, &d->body_results,
                          &d->floor);
}

/* Closes it with the results that were added. NULL after a failure. */
static mica_value *derived_close(derived_region *d) {
  mica_graph *graph = d->rule->graph;
  mica_manual_attr attr = {
      .mesh = d->attr->mesh,
      .in = mica_arena_text(&graph->arena, d->in_text.data),
      .out = d->out_text.failed ? NULL : mica_arena_text(&graph->arena, d->out_text.data)};
  void *kept = attr.in && attr.out ? mica_arena_copy(&graph->arena, &attr, sizeof attr) : NULL;
  size_t count = d->results.count;
  mica_value *out = mica_arena_allocate_zeroed(&graph->arena, count + 1, sizeof *out);
  if (!kept || !out) {
    region_without_memory(graph);
    return NULL;
  }
  if (graph->status != MICA_OK) return NULL;
  graph->blocks[d->block - 1].attr = kept;
  mica_block_leave(graph, d->block, d->results.at, count);
  mica_block_close(graph, d->block, out, count);
  return graph->status == MICA_OK ? out : NULL;
}

static void derived_end(derived_region *d) {
  mica_text_deinit(&d->in_text);
  mica_text_deinit(&d->out_text);
}

/* The type of a part of operand i or result j. */
static mica_type part_type(const mica_rule *rule, size_t index, bool result) {
  const mica_graph *graph = rule->graph;
  const mica_region_data *body = mica_node_region(graph, &graph->nodes[rule->id], 0);
  return graph->nodes[result ? body->results[index] : body->arguments[index]].type;
}

/* ---- reverse mode ----------------------------------------------------------------------------- */

/* The cotangents of the body's results, each shared among the devices that hold the result. */
static bool shared_cotangents(derived_region *d, const mica_value *cotangents, mica_value_list *y,
                              mica_value_list *ct) {
  const mica_rule *rule = d->rule;
  size_t at = d->declared;
  for (size_t j = 0; j < rule->out_count; j++) {
    if (!cotangents[j].id || !may_differ(rule->out[j])) continue;
    mica_value own = mica_block_argument(rule->graph, d->block, at++);
    uint32_t bits = sharded_bits(d, d->attr->out, j, mica_rank_of(rule->out[j]));
    mica_mesh_group equal = mica_mesh_group_of_bits(&d->mesh, mica_mesh_all_bits(&d->mesh) & ~bits);
    if (equal.size > 1) own = mica_mul_number(own, 1.0 / (double)equal.size);
    mica_list_add(y, d->body_results[j]);
    mica_list_add(ct, own);
  }
  return rule->graph->status == MICA_OK;
}

/* Whether the derivative can take the region's own place, so that the block runs once: nothing that it starts
 * from is made of the region's results. So it is where the loss is made inside. */
static bool takes_the_place(const mica_rule *rule, const mica_value *cotangents) {
  const mica_node *node = &rule->graph->nodes[rule->id];
  return !node->superseded_by && rule->graph->current == node->region &&
         !mica_is_made_of(rule->graph, rule->id, cotangents, rule->out_count);
}

static void reverse_region(derived_region *d, const mica_value *cotangents, mica_value *out) {
  const mica_rule *rule = d->rule;
  mica_graph *graph = rule->graph;
  bool replaces = takes_the_place(rule, cotangents);
  mica_type *extra = mica_arena_allocate(&graph->arena, (rule->out_count + 1) * sizeof *extra);
  if (!extra) {
    region_without_memory(graph);
    return;
  }
  size_t count = 0;
  for (size_t j = 0; j < rule->out_count; j++) {
    if (!cotangents[j].id || !may_differ(rule->out[j])) continue;
    add_operand(d, cotangents[j], d->attr->out, j);
    extra[count++] = part_type(rule, j, true);
  }
  mica_value_list y = {.graph = graph}, ct = {.graph = graph};
  if (!count || !derived_open(d, extra) || !shared_cotangents(d, cotangents, &y, &ct)) return;
  mica_value *given =
      mica_arena_allocate_zeroed(&graph->arena, d->argument_count + 1, sizeof *given);
  if (!given) {
    region_without_memory(graph);
    return;
  }
  for (size_t j = 0; replaces && j < rule->out_count; j++) {
    size_t length;
    const char *text = sharding_at(d->attr->out, j, &length);
    add_result(d, d->body_results[j], text, length);
  }
  mica_reverse_mode(graph, d->floor, y.at, ct.at, y.count, d->arguments, d->argument_count, given);
  for (size_t i = 0; i < d->argument_count && graph->status == MICA_OK; i++) {
    if (!given[i].id || !may_differ(d->arguments[i])) continue;
    size_t length = 0;
    bool declared = i < d->declared;
    int32_t rank = mica_rank_of(d->arguments[i]);
    const char *text = declared ? sharding_at(d->attr->in, i, &length) : "";
    uint32_t bits = declared ? sharded_bits(d, d->attr->in, i, rank) : 0;
    add_result(d,
               mica_sum_over_devices(given[i], d->attr->mesh, mica_mesh_all_bits(&d->mesh) & ~bits),
               text, length);
  }
  mica_value *made = derived_close(d);
  if (made && replaces) graph->nodes[rule->id].superseded_by = made[0].id;
  size_t at = replaces ? rule->out_count : 0;
  for (size_t i = 0; made && i < rule->in_count; i++)
    if (given[i].id && may_differ(rule->in[i])) out[i] = made[at++];
}

void mica_manual_vjp(const mica_rule *rule, const mica_value *cotangents, mica_value *out) {
  derived_region d;
  if (derived_begin(&d, rule)) reverse_region(&d, cotangents, out);
  derived_end(&d);
}

/* ---- forward mode ----------------------------------------------------------------------------- */

static void forward_region(derived_region *d, const mica_value *tangents, mica_value *out) {
  const mica_rule *rule = d->rule;
  mica_graph *graph = rule->graph;
  mica_type *extra = mica_arena_allocate(&graph->arena, (d->declared + 1) * sizeof *extra);
  if (!extra) {
    region_without_memory(graph);
    return;
  }
  size_t count = 0;
  for (size_t i = 0; i < d->declared; i++) {
    if (!tangents[i].id) continue;
    add_operand(d, tangents[i], d->attr->in, i);
    extra[count++] = part_type(rule, i, false);
  }
  if (!derived_open(d, extra)) return;
  mica_value *given =
      mica_arena_allocate_zeroed(&graph->arena, d->argument_count + 1, sizeof *given);
  mica_value *made = mica_arena_allocate_zeroed(&graph->arena, d->result_count + 1, sizeof *made);
  if (!given || !made) {
    region_without_memory(graph);
    return;
  }
  mica_captured_arguments(graph, rule->id, 0, tangents, given);
  size_t at = d->declared;
  for (size_t i = 0; i < d->declared; i++)
    given[i] = tangents[i].id ? mica_block_argument(graph, d->block, at++) : mica_no_value(graph);
  mica_forward_mode(graph, d->floor, d->body_results, d->result_count, d->arguments, given,
                    d->argument_count, made);
  for (size_t j = 0; j < d->result_count && graph->status == MICA_OK; j++) {
    size_t length;
    if (!made[j].id) continue;
    const char *text = sharding_at(d->attr->out, j, &length);
    add_result(d, made[j], text, length);
  }
  mica_value *closed = derived_close(d);
  at = 0;
  for (size_t j = 0; closed && j < d->result_count; j++)
    if (made[j].id) out[j] = closed[at++];
}

void mica_manual_jvp(const mica_rule *rule, const mica_value *tangents, mica_value *out) {
  derived_region d;
  if (derived_begin(&d, rule)) forward_region(&d, tangents, out);
  derived_end(&d);
}

/* ---- batching --------------------------------------------------------------------------------- */

/* "-, " in front of every sharding that cuts something: the examples stay whole. */
static const char *batched_list(mica_graph *graph, const char *list, size_t count,
                                const int32_t *ranks) {
  mica_text text;
  mica_text_init(&text, &graph->allocator);
  mica_text_append(&text, "");
  for (size_t i = 0; i < count; i++) {
    size_t length;
    const char *one = sharding_at(list, i, &length);
    while (length > 0 && *one == ' ') one++, length--;
    if (i > 0) mica_text_append(&text, "; ");
    if (length > 0) mica_text_append(&text, ranks[i] > 0 ? "-, " : "-");
    mica_text_append_bytes(&text, one, length);
  }
  const char *out = text.failed ? NULL : mica_arena_text(&graph->arena, text.data);
  mica_text_deinit(&text);
  if (!out) region_without_memory(graph);
  return out;
}

void mica_manual_batch(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out) {
  mica_graph *graph = rule->graph;
  const mica_manual_attr *attr = rule->attr;
  size_t declared = graph->nodes[rule->id].declared_count, results = rule->out_count;
  uint32_t index = graph->owned[graph->nodes[rule->id].region_first];
  size_t count = graph->regions[index].argument_count;
  size_t most = count + results + 1;
  mica_value *values = mica_arena_allocate_zeroed(&graph->arena, most, sizeof *values);
  mica_value *in = mica_arena_allocate_zeroed(&graph->arena, declared + 1, sizeof *in);
  mica_type *types = mica_arena_allocate_zeroed(&graph->arena, declared + 1, sizeof *types);
  int32_t *ranks = mica_arena_allocate_zeroed(&graph->arena, most, sizeof *ranks);
  bool *flags = mica_arena_allocate_zeroed(&graph->arena, count + 1, sizeof *flags);
  if (!values || !in || !types || !ranks || !flags) {
    region_without_memory(graph);
    return;
  }
  const mica_region_data *region = &graph->regions[index];
  for (size_t i = 0; i < declared; i++) {
    types[i] = graph->nodes[region->arguments[i]].type;
    ranks[i] = types[i].shape.rank;
    types[i].shape = mica_shape_insert(types[i].shape, 0, size);
  }
  for (size_t j = 0; j < results; j++)
    ranks[declared + j] = graph->nodes[region->results[j]].type.shape.rank;
  mica_manual_attr wider = {.mesh = attr->mesh,
                            .in = batched_list(graph, attr->in, declared, ranks),
                            .out = batched_list(graph, attr->out, results, ranks + declared)};
  for (size_t i = 0; i < declared; i++) in[i] = mica_batched(rule->in[i], batched[i], size);
  if (graph->status != MICA_OK) return;
  uint32_t block = mica_block_open(graph, MICA_OP_MANUAL, in, declared, &wider);
  if (!block || !mica_block_enter(graph, block, types, declared)) return;
  for (size_t i = 0; i < count; i++) {
    values[i] = i < declared ? mica_block_argument(graph, block, i) : rule->in[i];
    flags[i] = i < declared || batched[i];
  }
  mica_batch_region(graph, index, values, flags, size, values + count, NULL);
  mica_block_leave(graph, block, values + count, results);
  mica_block_close(graph, block, out, results);
}
