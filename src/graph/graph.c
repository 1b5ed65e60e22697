/* SPDX-License-Identifier: Apache-2.0 */
/* graph.c: the life of a graph, its first error, its scopes, and what can be asked of a value. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/builder.h"
#include "graph/attributes.h"
#include "graph/custom.h"

/* Stands in for a graph that could not be allocated: reports why and ignores all building. It is
 * never written, since every function returns first on a graph in error. */
static const mica_graph out_of_memory_graph = {
    .status = MICA_OUT_OF_MEMORY, .message = "out of memory", .epoch = 1};

static const mica_op_def *const definitions[MICA_OP_COUNT] = {
#define MICA_OP(NAME, name) [MICA_OP_##NAME] = &mica_op_##name,
#include "graph/ops.def"
#undef MICA_OP
};

const mica_op_def *mica_op_definition(mica_op op) {
  return op > MICA_OP_NONE && op < MICA_OP_COUNT ? definitions[op] : NULL;
}

mica_op mica_op_find(const char *name) {
  for (int op = 1; name && op < MICA_OP_COUNT; op++)
    if (!strcmp(definitions[op]->name, name)) return (mica_op)op;
  return MICA_OP_NONE;
}

/* The entries that every graph starts with: node 0 is "no value", region 0 the root, scope 0 "". */
static bool begin_contents(mica_graph *graph) {
  const mica_allocator *a = &graph->allocator;
  if (!mica_grow(a, &graph->nodes, &graph->capacity, 64, sizeof *graph->nodes) ||
      !mica_grow(a, &graph->regions, &graph->region_capacity, 1, sizeof *graph->regions) ||
      !mica_grow(a, &graph->scopes, &graph->scope_capacity, 64, 1))
    return false;
  memset(&graph->nodes[0], 0, sizeof graph->nodes[0]);
  graph->count = 1;
  graph->regions[0] = (mica_region_data){.begin = 1};
  graph->region_count = 1;
  graph->scopes[0] = 0;
  graph->scope_size = 1;
  return true;
}

bool mica_graph_init(mica_graph *graph, const mica_allocator *allocator) {
  *graph = (mica_graph){.epoch = 1};
  if (allocator) graph->allocator = *allocator;
  mica_arena_init(&graph->arena, &graph->allocator);
  if (begin_contents(graph)) return true;
  mica_graph_deinit(graph);
  graph->status = MICA_OUT_OF_MEMORY;
  snprintf(graph->message, sizeof graph->message, "out of memory");
  return false;
}

static void release_retained(mica_retained retained) {
  mica_tensor_release(retained.tensor);
  mica_custom_release(retained.custom);
}

bool mica_graph_keep(mica_graph *graph, mica_retained retained) {
  if (mica_grow(&graph->allocator, &graph->retained, &graph->retained_capacity,
                graph->retained_count + 1u, sizeof *graph->retained)) {
    graph->retained[graph->retained_count++] = retained;
    return true;
  }
  release_retained(retained);
  return false;
}

static void release_contents(mica_graph *graph) {
  for (uint32_t i = 0; i < graph->retained_count; i++) release_retained(graph->retained[i]);
  graph->retained_count = 0;
  for (uint32_t i = 0; i < graph->variable_count; i++)
    mica_variable_release(graph->variables[i].variable);
  graph->variable_count = 0;
  for (uint32_t i = 0; i < graph->region_count; i++) {
    mica_region_data *region = &graph->regions[i];
    size_t size = region->argument_capacity;
    mica_free(&graph->allocator, region->arguments, size * sizeof *region->arguments);
    mica_free(&graph->allocator, region->captures, size * sizeof *region->captures);
    mica_free(&graph->allocator, region->capture_variables,
              size * sizeof *region->capture_variables);
  }
  graph->region_count = 0;
  for (uint32_t i = 0; i < graph->block_count; i++)
    mica_free(&graph->allocator, graph->blocks[i].regions,
              graph->blocks[i].region_capacity * sizeof(uint32_t));
  graph->block_count = 0;
}

void mica_graph_deinit(mica_graph *graph) {
  const mica_allocator *a = &graph->allocator;
  release_contents(graph);
  mica_free(a, graph->nodes, graph->capacity * sizeof *graph->nodes);
  mica_free(a, graph->operands, graph->operand_capacity * sizeof *graph->operands);
  mica_free(a, graph->owned, graph->owned_capacity * sizeof *graph->owned);
  mica_free(a, graph->regions, graph->region_capacity * sizeof *graph->regions);
  mica_free(a, graph->blocks, graph->block_capacity * sizeof *graph->blocks);
  mica_free(a, graph->scopes, graph->scope_capacity);
  mica_free(a, graph->parameters, graph->parameter_capacity * sizeof *graph->parameters);
  mica_free(a, graph->outputs, graph->output_capacity * sizeof *graph->outputs);
  mica_free(a, graph->variables, graph->variable_capacity * sizeof *graph->variables);
  mica_free(a, graph->retained, graph->retained_capacity * sizeof *graph->retained);
  mica_arena_deinit(&graph->arena);
  uint32_t epoch = graph->epoch;
  mica_allocator allocator = graph->allocator;
  *graph = (mica_graph){.epoch = epoch, .allocator = allocator};
}

void mica_graph_reset(mica_graph *graph) {
  release_contents(graph);
  mica_arena_reset(&graph->arena);
  graph->epoch++;
  graph->status = MICA_OK;
  graph->message[0] = 0;
  graph->caller = graph->failed_at = NULL;
  graph->operand_count = graph->owned_count = graph->current = 0;
  graph->scope = graph->scope_depth = graph->backward_of = graph->backward_is = 0;
  graph->parameter_count = graph->output_count = 0;
  if (begin_contents(graph)) return;
  graph->count = 0;
  mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
}

mica_graph *mica_graph_create(const mica_allocator *allocator) {
  mica_graph *graph = mica_allocate(allocator, sizeof *graph);
  if (graph && mica_graph_init(graph, allocator)) return graph;
  mica_free(allocator, graph, sizeof *graph);
  return (mica_graph *)(uintptr_t)&out_of_memory_graph; /* never written: see above */
}

void mica_graph_destroy(mica_graph *graph) {
  if (!graph || graph == &out_of_memory_graph) return;
  mica_allocator allocator = graph->allocator;
  mica_graph_deinit(graph);
  mica_free(&allocator, graph, sizeof *graph);
}

/* Appends "f32[2]" to a list of operands' types, or "?" for what is no value of this trace (id 0). */
enum { LISTED_OPERANDS = 16, LISTED_SIZE = 512 };
static void list_type(const mica_graph *graph, uint32_t id, char types[LISTED_SIZE],
                      size_t *length) {
  char type[128] = "?";
  if (id) mica_type_format(graph->nodes[id].type, type, sizeof type);
  if (*length + 1 >= LISTED_SIZE) return;
  int written = snprintf(types + *length, LISTED_SIZE - *length, "%s%s", *length ? ", " : "", type);
  if (written > 0) *length += (size_t)written;
}

mica_status mica_graph_status(const mica_graph *graph, mica_error *error) {
  if (!graph) return mica_error_set(error, MICA_INVALID, "the graph is NULL");
  bool first = error && error->status == MICA_OK;
  if (graph->status != MICA_OK) {
    mica_error_set(error, graph->status, "%s", graph->message);
    if (first) error->caller = graph->failed_at;
    return graph->status;
  }
  if (graph->current) {
    uint32_t open = 0;
    for (uint32_t i = 0; i < graph->block_count; i++)
      if (!graph->blocks[i].done) open = i + 1;
    const mica_block *block = open ? &graph->blocks[open - 1] : NULL;
    const char *name = mica_block_name(block),
               *scope = mica_scope_text(graph, block ? block->scope : 0);
    bool branches = block && block->op == MICA_OP_SWITCH;
    char types[LISTED_SIZE] = "";
    size_t length = 0;
    for (uint32_t i = 0; block && i < block->operand_count; i++)
      list_type(graph, block->operands[i], types, &length);
    mica_error_set(error, MICA_INVALID, "%s(%s): the block is not closed: expected mica_%s_end%s%s",
                   name, types, branches ? "if_end or mica_switch" : name,
                   *scope ? " in scope " : "", scope);
    if (first && block) error->caller = block->caller;
    return MICA_INVALID;
  }
  return MICA_OK;
}

mica_value mica_fail(mica_graph *graph, mica_status status, const char *format, ...) {
  if (!graph) return (mica_value){0};
  if (graph->status == MICA_OK) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(graph->message, sizeof graph->message, format, arguments);
    va_end(arguments);
    graph->status = status == MICA_OK ? MICA_INVALID : status;
    graph->failed_at = graph->caller ? graph->caller : MICA_CALLER; /* the user's own mica_fail */
  }
  return mica_no_value(graph);
}

mica_value mica_fail_operator(mica_graph *graph, const char *op, const mica_value *in,
                              size_t in_count, const char *format, ...) {
  if (!graph || graph->status != MICA_OK) return mica_no_value(graph);
  char why[MICA_MESSAGE_SIZE], types[LISTED_SIZE] = "";
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(why, sizeof why, format, arguments);
  va_end(arguments);
  size_t length = 0;
  for (size_t i = 0; in && i < in_count; i++) {
    bool known = in[i].graph == graph && in[i].epoch == graph->epoch && in[i].id < graph->count;
    list_type(graph, known ? in[i].id : 0, types, &length);
  }
  const char *scope = mica_scope_text(graph, graph->scope);
  return mica_fail(graph, MICA_INVALID, "%s(%s): %s%s%s", op, types, why,
                   *scope ? " in scope " : "", scope);
}

mica_value mica_fail_block(mica_region region, const char *function, const char *format, ...) {
  mica_graph *graph = region.graph;
  char why[MICA_MESSAGE_SIZE];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(why, sizeof why, format, arguments);
  va_end(arguments);
  mica_value in[LISTED_OPERANDS];
  size_t count = 0;
  bool known =
      graph && region.id && region.epoch == graph->epoch && region.id <= graph->block_count;
  const mica_block *block = known ? &graph->blocks[region.id - 1] : NULL;
  for (; block && count < block->operand_count && count < LISTED_OPERANDS; count++)
    in[count] = mica_value_of(graph, block->operands[count]);
  return mica_fail_operator(graph, function, in, count, "%s", why);
}

void mica_graph_set_outputs(mica_graph *graph, const mica_value *outputs, size_t count) {
  MICA_ENTRY(graph);
  if (!graph || graph->status != MICA_OK) return;
  if (graph->current) {
    mica_error error = {0};
    mica_graph_status(graph, &error);
    mica_fail(graph, MICA_INVALID, "%s", error.message);
    graph->failed_at = error.caller;
    return;
  }
  if (!mica_list_given(graph, "set_outputs", "output", outputs, count)) return;
  if (!mica_grow(&graph->allocator, &graph->outputs, &graph->output_capacity, count,
                 sizeof *graph->outputs)) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return;
  }
  for (size_t i = 0; i < count; i++) {
    char why[MICA_MESSAGE_SIZE];
    if (!mica_value_usable(graph, outputs[i], why, sizeof why)) {
      const char *scope = mica_scope_text(graph, graph->scope);
      mica_fail(graph, MICA_INVALID, "set_outputs: output %zu of %zu: %s%s%s", i, count, why,
                *scope ? " in scope " : "", scope);
      return;
    }
    graph->outputs[i] = outputs[i].id;
  }
  if (graph->scope_depth) {
    const char *path = mica_scope_text(graph, graph->scope), *last = strrchr(path, '/');
    mica_fail(graph, MICA_INVALID,
              "set_outputs: scope \"%.200s\" is still open: expected mica_scope_pop of \"%.100s\" "
              "before",
              path, last ? last + 1 : path);
    return;
  }
  graph->output_count = (uint32_t)count;
}

/* ---- scopes ---------------------------------------------------------------------------------- */

/* The offset of an interned path; the same path gives the same offset. */
static bool intern_scope(mica_graph *graph, const char *path, size_t length, uint32_t *out_offset) {
  for (uint32_t at = 0; at < graph->scope_size; at += (uint32_t)strlen(graph->scopes + at) + 1)
    if (strlen(graph->scopes + at) == length && !memcmp(graph->scopes + at, path, length)) {
      *out_offset = at;
      return true;
    }
  if (!mica_grow(&graph->allocator, &graph->scopes, &graph->scope_capacity,
                 graph->scope_size + length + 1, 1))
    return false;
  memcpy(graph->scopes + graph->scope_size, path, length);
  graph->scopes[graph->scope_size + length] = 0;
  *out_offset = graph->scope_size;
  graph->scope_size += (uint32_t)length + 1;
  return true;
}

bool mica_set_scope(mica_graph *graph, const char *path) {
  if (graph->status != MICA_OK) return false;
  if (intern_scope(graph, path, strlen(path), &graph->scope)) return true;
  mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  return false;
}

void mica_scope_push(mica_graph *graph, const char *name) {
  MICA_ENTRY(graph);
  if (!graph || graph->status != MICA_OK) return;
  char path[512];
  const char *outer = mica_scope_text(graph, graph->scope);
  int length = snprintf(path, sizeof path, "%s%s%s", outer, *outer ? "/" : "", name ? name : "?");
  bool named = name && *name;
  for (const char *c = name; named && *c; c++)
    named = (unsigned char)*c > ' ' && *c != '"' && *c != '/';
  if (!named || length < 0 || (size_t)length >= sizeof path) {
    mica_fail(graph, MICA_INVALID,
              "scope_push: \"%.60s\" is no scope name: expected letters without spaces, quotes or "
              "'/' and a path of at most %zu bytes%s%.200s",
              name ? name : "NULL", sizeof path - 1, *outer ? " in scope " : "", outer);
    return;
  }
  if (mica_set_scope(graph, path)) graph->scope_depth++;
}

void mica_scope_pop(mica_graph *graph, const char *name) {
  MICA_ENTRY(graph);
  if (!graph || graph->status != MICA_OK) return;
  const char *path = mica_scope_text(graph, graph->scope), *last = strrchr(path, '/');
  const char *top = last ? last + 1 : path;
  if (!*path) {
    mica_fail(graph, MICA_INVALID,
              "scope_pop: no scope is open: expected mica_scope_push of \"%.100s\" before",
              name ? name : "NULL");
    return;
  }
  if (!name || strcmp(top, name)) {
    mica_fail(graph, MICA_INVALID,
              "scope_pop: expected \"%.100s\", the innermost open scope, not \"%.100s\"", top,
              name ? name : "NULL");
    return;
  }
  char outer[512];
  snprintf(outer, sizeof outer, "%.*s", last ? (int)(last - path) : 0, path);
  if (mica_set_scope(graph, outer)) graph->scope_depth--;
}

uint32_t mica_backward_scope(mica_graph *graph, uint32_t scope) {
  static const char suffix[] = "(backward)";
  if (graph->backward_is && graph->backward_of == scope) return graph->backward_is;
  char path[600];
  const char *forward = mica_scope_text(graph, scope);
  if (strstr(forward, suffix)) return scope;
  int length = snprintf(path, sizeof path, "%s%s%s", forward, *forward ? " " : "", suffix);
  uint32_t offset = scope;
  if (length < 0 || !intern_scope(graph, path, (size_t)length, &offset)) return scope;
  graph->backward_of = scope;
  graph->backward_is = offset;
  return offset;
}

/* ---- inspection ------------------------------------------------------------------------------ */

static const mica_node *value_node(mica_value value) {
  const mica_graph *graph = value.graph;
  if (!graph || graph->status != MICA_OK || value.epoch != graph->epoch || !value.id ||
      value.id >= graph->count)
    return NULL;
  return &graph->nodes[value.id];
}
mica_type mica_type_of(mica_value value) {
  const mica_node *node = value_node(value);
  return node ? node->type : (mica_type){0};
}
mica_shape mica_shape_of(mica_value value) { return mica_type_of(value).shape; }
mica_dtype mica_dtype_of(mica_value value) { return mica_type_of(value).dtype; }
int32_t mica_rank_of(mica_value value) { return mica_type_of(value).shape.rank; }
int64_t mica_dim_of(mica_value value, int32_t axis) {
  mica_shape shape = mica_shape_of(value);
  if (axis < 0) axis += shape.rank;
  return axis >= 0 && axis < shape.rank ? shape.dim[axis] : 1;
}
bool mica_graph_has_failed(const mica_graph *graph) {
  return graph == NULL || graph->status != MICA_OK;
}
mica_graph *mica_note_caller(mica_graph *graph, const void *caller) {
  if (graph == NULL || graph->status != MICA_OK || graph->caller != NULL) return NULL;
  graph->caller = caller;
  return graph;
}
void mica_forget_caller(mica_graph **noted) {
  if (*noted != NULL) (*noted)->caller = NULL;
}

bool mica_is_valid(mica_value value) {
  char why[MICA_MESSAGE_SIZE];
  return value.graph && value.graph->status == MICA_OK &&
         mica_value_usable(value.graph, value, why, sizeof why);
}

uint32_t mica_owner_of_result(const mica_graph *graph, uint32_t id, uint32_t *out_index) {
  const mica_node *node = &graph->nodes[id];
  bool further = node->op == MICA_OP_RESULT;
  *out_index = further ? node->result_count : 0;
  return further ? id - node->result_count : id;
}
