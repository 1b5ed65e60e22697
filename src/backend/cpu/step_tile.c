/* SPDX-License-Identifier: Apache-2.0 */
/* step_tile.c: a fused group as a tile program. Reduced axes go innermost when the last axis is one of them
 * (rows), else as far inside as the last of them stands (columns). */
#include "backend/cpu/fusion_internal.h"

#include <string.h>

enum { STREAM_BYTES = 1 << 23 }; /* stored arrays from here on go around the caches */

/* A program while its spec is being written. */
typedef struct {
  mica_plan *plan;
  uint32_t group;
  const mica_fusion_group *data;
  int32_t order[MICA_MAX_RANK]; /* axis of the space at each position of the spec */
  mica_tile_spec spec;
  mica_tile_node *nodes;
  mica_tile_access *accesses;
  uint32_t *access_value; /* the id that is loaded or stored */
  mica_view *access_place;
  int32_t *value; /* of the members, in the group's order */
  uint32_t *member;
  bool failed;
} tile_builder;

/* ---- running ---------------------------------------------------------------------------------- */

typedef struct {
  const mica_tile_program *program;
  uint32_t buffer_count;
  bool serial;
} tile_argument;

static mica_status run_tile(const mica_cpu_step *step, mica_cpu_context *context) {
  const tile_argument *argument = step->argument;
  void *buffers[MICA_TILE_MAX_ACCESSES];
  for (uint32_t i = 0; i < argument->buffer_count; i++)
    buffers[i] = mica_cpu_address(step, context, i);
  mica_tile_run(argument->program, buffers,
                argument->serial ? &mica_cpu_serial : &context->parallel,
                mica_cpu_address(step, context, argument->buffer_count));
  return MICA_OK;
}

/* ---- the spec --------------------------------------------------------------------------------- */

static int32_t add_node(tile_builder *builder, mica_tile_node node) {
  if (builder->spec.node_count == MICA_TILE_MAX_NODES) {
    builder->failed = true;
    return 0;
  }
  builder->nodes[builder->spec.node_count] = node;
  return builder->spec.node_count++;
}

static int32_t add_number(tile_builder *builder, mica_dtype dtype, mica_tile_number number) {
  for (int32_t i = 0; i < builder->spec.node_count; i++) {
    const mica_tile_node *node = &builder->nodes[i];
    if (node->op == MICA_TILE_NUMBER && node->dtype == dtype &&
        node->number.as_integer == number.as_integer)
      return i;
  }
  return add_node(builder,
                  (mica_tile_node){.op = MICA_TILE_NUMBER, .dtype = dtype, .number = number});
}

static void order_axes(tile_builder *builder) {
  const mica_fusion_space *space = &builder->data->space;
  int32_t last_reduced = -1, count = 0;
  for (int32_t axis = 0; axis < space->rank; axis++)
    if (builder->data->reduces && space->reduced[axis]) last_reduced = axis;
  for (int32_t axis = 0; axis < last_reduced; axis++)
    if (!space->reduced[axis]) builder->order[count++] = axis;
  builder->spec.reduce_begin = count;
  for (int32_t axis = 0; axis <= last_reduced; axis++)
    if (space->reduced[axis]) builder->order[count++] = axis;
  builder->spec.reduce_end = count;
  for (int32_t axis = last_reduced + 1; axis < space->rank; axis++) builder->order[count++] = axis;
  builder->spec.rank = space->rank;
  for (int32_t i = 0; i < space->rank; i++) builder->spec.size[i] = space->size[builder->order[i]];
}

/* A view of `shape` as strides along the space's axes; false when the shape does not fit. */
static bool strides_in_space(const tile_builder *builder, const mica_view *view, mica_shape shape,
                             bool full, int64_t stride[MICA_MAX_RANK]) {
  const mica_fusion_space *space = &builder->data->space;
  mica_view along;
  if (!mica_view_reshape(view, shape, mica_space_shape(space, !full), &along)) return false;
  int64_t by_axis[MICA_MAX_RANK] = {0};
  int32_t at = 0;
  for (int32_t axis = 0; axis < space->rank; axis++)
    by_axis[axis] = full || !space->reduced[axis] ? along.stride[at++] : 0;
  for (int32_t i = 0; i < space->rank; i++) stride[i] = by_axis[builder->order[i]];
  return true;
}

static int32_t add_access(tile_builder *builder, uint32_t id, const mica_view *place, bool full) {
  mica_type type = mica_plan_type(builder->plan, id);
  int32_t at = builder->spec.access_count;
  if (at == MICA_TILE_MAX_ACCESSES) {
    builder->failed = true;
    return 0;
  }
  mica_tile_access access = {.buffer = at, .dtype = type.dtype};
  mica_view view = *place;
  if (!strides_in_space(builder, &view, type.shape, full, access.stride)) {
    view = mica_plan_dense(builder->plan, id);
    if (!strides_in_space(builder, &view, type.shape, full, access.stride)) builder->failed = true;
  }
  builder->accesses[at] = access;
  builder->access_value[at] = id;
  builder->access_place[at] = view;
  builder->spec.access_count++;
  return at;
}

/* Loads are shared when they are of the same elements. */
static bool same_load(const tile_builder *builder, int32_t a, int32_t b) {
  const mica_tile_access *x = &builder->accesses[a], *y = &builder->accesses[b];
  const mica_view *at = &builder->access_place[a], *other = &builder->access_place[b];
  return x->dtype == y->dtype && at->storage == other->storage && at->offset == other->offset &&
         memcmp(x->stride, y->stride, sizeof(x->stride)) == 0;
}

static int32_t add_load(tile_builder *builder, uint32_t id, bool full) {
  mica_type type = mica_plan_type(builder->plan, id);
  mica_view place = mica_plan_place(builder->plan, id);
  int32_t before = builder->spec.access_count;
  int32_t access = add_access(builder, id, &place, full);
  if (builder->failed) return 0;
  for (int32_t i = 0; i < builder->spec.node_count; i++) {
    const mica_tile_node *node = &builder->nodes[i];
    if (node->op != MICA_TILE_LOAD || !same_load(builder, node->access, access)) continue;
    builder->spec.access_count = before;
    return i;
  }
  return add_node(builder,
                  (mica_tile_node){.op = MICA_TILE_LOAD, .dtype = type.dtype, .access = access});
}

static int32_t add_binary(tile_builder *builder, mica_tile_op op, mica_dtype dtype, int32_t x,
                          int32_t y) {
  return add_node(builder, (mica_tile_node){.op = op, .dtype = dtype, .source = {x, y}});
}

static mica_tile_number number_of(mica_dtype dtype, int64_t value) {
  mica_tile_number number = {.as_integer = value};
  if (mica_dtype_is_float(dtype)) number.as_double = (double)value;
  return number;
}

/* A counter behind views is affine in the positions: as if its values were addresses. */
static int32_t add_counter_value(tile_builder *builder, uint32_t source, uint32_t operand,
                                 bool full) {
  mica_plan *plan = builder->plan;
  mica_dtype dtype = mica_plan_type(plan, source).dtype;
  const mica_iota_attr *attr = plan->graph->nodes[source].attr;
  mica_view view = {.stride = {0}};
  uint32_t chain[32];
  int32_t depth = 0;
  view.stride[attr->axis] = 1;
  for (uint32_t at = operand; at != source && depth < 32;
       at = mica_node_operands(plan->graph, &plan->graph->nodes[at])[0])
    chain[depth++] = at;
  while (depth-- > 0)
    if (!mica_view_apply(plan->graph, chain[depth], &view, &view)) builder->failed = true;
  int64_t stride[MICA_MAX_RANK] = {0};
  if (!strides_in_space(builder, &view, mica_plan_type(plan, operand).shape, full, stride))
    builder->failed = true;
  if (builder->failed) return 0;
  int32_t sum = -1;
  for (int32_t i = 0; i < builder->spec.rank; i++) {
    if (stride[i] == 0) continue;
    int32_t term =
        add_node(builder, (mica_tile_node){.op = MICA_TILE_INDEX, .dtype = dtype, .access = i});
    if (stride[i] != 1)
      term = add_binary(builder, MICA_TILE_MUL, dtype, term,
                        add_number(builder, dtype, number_of(dtype, stride[i])));
    sum = sum < 0 ? term : add_binary(builder, MICA_TILE_ADD, dtype, sum, term);
  }
  if (sum < 0 || view.offset != 0) {
    int32_t offset = add_number(builder, dtype, number_of(dtype, view.offset));
    sum = sum < 0 ? offset : add_binary(builder, MICA_TILE_ADD, dtype, sum, offset);
  }
  return sum;
}

static bool constant_number(const mica_plan *plan, uint32_t id, mica_tile_number *out) {
  const mica_node *node = mica_node_at(plan->graph, id);
  if (node->op != MICA_OP_CONSTANT || mica_shape_count(node->type.shape) != 1) return false;
  const mica_constant_attr *attr = node->attr;
  const void *data = mica_tensor_data(attr->value);
  *out = (mica_tile_number){.as_integer = 0};
  bool is_float = mica_dtype_is_float(node->type.dtype);
  return mica_convert_elements(is_float ? MICA_F64 : MICA_I64, out, node->type.dtype, data, 1) ==
         MICA_OK;
}

static int32_t operand_value(tile_builder *builder, uint32_t operand, bool full) {
  mica_plan *plan = builder->plan;
  mica_view view;
  mica_tile_number number;
  uint32_t source = mica_plan_trace(plan, operand, &view);
  if (source == builder->data->host) return add_load(builder, source, full);
  if (plan->fusion->group[source] == builder->group)
    for (uint32_t i = 0; i < builder->data->count; i++)
      if (builder->member[i] == source) return builder->value[i];
  if (mica_fusion_generates(plan, source) && plan->fusion->group[source] == MICA_PLAN_NONE)
    return add_counter_value(builder, source, operand, full);
  if (constant_number(plan, source, &number))
    return add_number(builder, mica_plan_type(plan, source).dtype, number);
  return add_load(builder, operand, full);
}

static int32_t add_member_value(tile_builder *builder, uint32_t id) {
  mica_plan *plan = builder->plan;
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  mica_tile_node made = {.dtype = node->type.dtype};
  bool full = plan->fusion->role[id] == MICA_ROLE_FULL;
  if (!mica_fusion_operator(plan, id, &made.op)) builder->failed = true;
  if (made.op == MICA_TILE_INDEX) return add_counter_value(builder, id, id, full);
  for (uint32_t i = 0; i < node->operand_count && i < 3; i++)
    made.source[i] = operand_value(builder, operands[i], full || node->op == MICA_OP_REDUCE);
  return builder->failed ? 0 : add_node(builder, made);
}

/* Whether the group reads an input of this type that an output may lie over (a donated input, an assigned
 * variable): what is stored then is in the caches already, and going around them costs four times. */
static bool updates_input(const tile_builder *builder, mica_type type) {
  mica_plan *plan = builder->plan;
  const mica_cpu_program *program = plan->program;
  bool paired = false;
  for (uint32_t out = 0; out < program->out_count; out++)
    paired = paired || program->out_pair[out] != MICA_PLAN_NONE;
  for (uint32_t i = 0; paired && i < builder->data->count; i++) {
    const mica_node *node = mica_node_at(plan->graph, builder->member[i]);
    for (uint32_t k = 0; k < node->operand_count; k++) {
      mica_view view;
      uint32_t source = mica_plan_trace(plan, mica_node_operands(plan->graph, node)[k], &view);
      uint16_t op = mica_node_at(plan->graph, source)->op;
      if ((op == MICA_OP_PARAMETER || op == MICA_OP_VARIABLE) &&
          mica_type_equal(mica_plan_type(plan, source), type))
        return true;
    }
  }
  return false;
}

static void add_store(tile_builder *builder, uint32_t id, int32_t value) {
  mica_type type = mica_plan_type(builder->plan, id);
  bool full = builder->plan->fusion->role[id] == MICA_ROLE_FULL;
  mica_view dense;
  mica_view_dense(&dense, MICA_PLAN_NONE, type.shape);
  int32_t access = add_access(builder, id, &dense, full);
  if (builder->failed) return;
  builder->accesses[access].stream =
      mica_plan_bytes(builder->plan, type) >= STREAM_BYTES && !updates_input(builder, type);
  add_node(builder, (mica_tile_node){.op = MICA_TILE_STORE, .source = {value}, .access = access});
}

static bool builder_init(tile_builder *builder, mica_plan *plan, uint32_t group) {
  *builder = (tile_builder){.plan = plan, .group = group, .data = &plan->fusion->groups[group]};
  size_t members = builder->data->count;
  builder->nodes = mica_arena_allocate(&plan->arena, MICA_TILE_MAX_NODES * sizeof(*builder->nodes));
  builder->accesses =
      mica_arena_allocate(&plan->arena, MICA_TILE_MAX_ACCESSES * sizeof(*builder->accesses));
  builder->access_value =
      mica_arena_allocate(&plan->arena, MICA_TILE_MAX_ACCESSES * sizeof(uint32_t));
  builder->access_place =
      mica_arena_allocate(&plan->arena, MICA_TILE_MAX_ACCESSES * sizeof(mica_view));
  builder->value = mica_arena_allocate(&plan->arena, members * sizeof(*builder->value));
  builder->member = mica_arena_allocate_zeroed(&plan->arena, members, sizeof(*builder->member));
  if (builder->nodes == NULL || builder->accesses == NULL || builder->access_value == NULL ||
      builder->access_place == NULL || builder->value == NULL || builder->member == NULL) {
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
    return false;
  }
  builder->spec.nodes = builder->nodes;
  builder->spec.accesses = builder->accesses;
  order_axes(builder);
  return true;
}

static void build_spec(tile_builder *builder) {
  const mica_fusion *fusion = builder->plan->fusion;
  uint32_t at = 0;
  for (uint32_t id = builder->data->first; id != 0 && !builder->failed; id = fusion->next[id]) {
    builder->value[at] = add_member_value(builder, id);
    builder->member[at++] = id;
  }
  for (uint32_t i = 0; i < at && !builder->failed; i++)
    if (fusion->stored[builder->member[i]])
      add_store(builder, builder->member[i], builder->value[i]);
  builder->spec.buffer_count = builder->spec.access_count;
}

/* ---- the step --------------------------------------------------------------------------------- */

static bool is_store(const tile_builder *builder, int32_t access) {
  for (int32_t i = builder->spec.node_count - 1; i >= 0; i--)
    if (builder->nodes[i].op == MICA_TILE_STORE && builder->nodes[i].access == access) return true;
  return false;
}

/* A store may take the place of a load of the same elements in the same order, read nowhere else. */
void mica_plan_meet_loads(mica_plan *plan, const mica_block_program *block, uint32_t store,
                          uint32_t storage) {
  const mica_tile_access *to = &block->access[store];
  for (uint32_t i = 0; i < block->loads; i++) {
    const mica_tile_access *from = &block->access[i];
    if (block->place[i].offset != 0 || mica_dtype_bits(from->dtype) != mica_dtype_bits(to->dtype) ||
        memcmp(from->stride, to->stride, sizeof(to->stride)) != 0)
      continue;
    uint32_t reader = block->place[i].storage, readers = 0;
    for (uint32_t k = 0; k < block->loads; k++) readers += block->place[k].storage == reader;
    if (readers == 1) mica_plan_meet(plan, reader, storage, false);
  }
}

/* What the buffers of a program are; loads come first. */
static void list_buffers(const tile_builder *builder, mica_block_program *out) {
  out->count = (uint32_t)builder->spec.access_count;
  out->loads = 0;
  while (out->loads < out->count && !is_store(builder, (int32_t)out->loads)) out->loads++;
  memcpy(out->value, builder->access_value, out->count * sizeof(*out->value));
  memcpy(out->place, builder->access_place, out->count * sizeof(*out->place));
  memcpy(out->access, builder->accesses, out->count * sizeof(*out->access));
}

const char *mica_group_label(mica_plan *plan, uint32_t index) {
  const mica_fusion_group *group = &plan->fusion->groups[index];
  char text[160] = "";
  size_t used = 0;
  const char *before = NULL;
  uint32_t shown = 0;
  if (group->count == 1) return NULL;
  for (uint32_t id = group->first; id != 0; id = plan->fusion->next[id]) {
    const char *name = mica_op_definition((mica_op)plan->graph->nodes[id].op)->name;
    if (before == name) continue;
    before = name;
    if (++shown > 12) break;
    for (size_t i = 0; name[i] != '\0' && used + 3 < sizeof(text); i++) text[used++] = name[i];
    if (used + 2 < sizeof(text)) text[used++] = '+';
  }
  if (used > 0) text[used - 1] = '\0';
  return mica_plan_text(plan, "fused %u: %s ->", (unsigned)group->count, text);
}

static void release_tile(void *program) { mica_tile_destroy(program); }

static void add_tile_step(tile_builder *builder, mica_tile_program *program) {
  mica_plan *plan = builder->plan;
  tile_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  if (!mica_plan_own(plan, release_tile, program) || argument == NULL) return;
  int64_t cost = 60, bytes = 0,
          elements = mica_shape_count(mica_space_shape(&builder->data->space, false));
  for (int32_t pass = 0; pass < mica_tile_pass_count(program); pass++)
    cost += mica_tile_unit_count(program, pass) * mica_tile_unit_cost(program, pass);
  *argument =
      (tile_argument){program, (uint32_t)builder->spec.access_count, cost < MICA_CPU_SERIAL_COST};
  uint32_t id = builder->data->last;
  uint32_t step = mica_plan_step_add(plan, run_tile, argument, id);
  mica_block_program *buffers = mica_arena_allocate(&plan->arena, sizeof(*buffers));
  if (buffers == NULL) {
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
    return;
  }
  list_buffers(builder, buffers);
  for (uint32_t i = 0; i < buffers->count; i++) {
    uint32_t value = buffers->value[i];
    bytes += (int64_t)mica_plan_bytes(plan, mica_plan_type(plan, value));
    if (i < buffers->loads)
      mica_plan_read(plan, value, buffers->place[i]);
    else
      mica_plan_result(plan, value);
  }
  mica_plan_scratch(plan,
                    mica_tile_scratch_size(
                        program, argument->serial ? 1 : mica_thread_pool_size(plan->device->pool)));
  for (uint32_t i = buffers->loads; i < buffers->count && mica_plan_good(plan); i++)
    mica_plan_meet_loads(plan, buffers, i, plan->values[buffers->value[i]].view.storage);
  mica_plan_cost(plan, (double)elements * (double)builder->spec.node_count, bytes, cost);
  if (mica_plan_good(plan)) plan->steps[step].label = mica_group_label(plan, builder->group);
}

bool mica_plan_convert(mica_plan *plan, uint32_t id, mica_shape shape, mica_dtype from_dtype,
                       mica_view from, mica_dtype to_dtype, uint32_t to_storage) {
  mica_view to;
  mica_view_dense(&to, to_storage, shape);
  mica_tile_access accesses[2] = {{.buffer = 0, .dtype = from_dtype},
                                  {.buffer = 1, .dtype = to_dtype}};
  const mica_tile_node nodes[] = {{.op = MICA_TILE_LOAD, .dtype = from_dtype, .access = 0},
                                  {.op = MICA_TILE_CONVERT, .dtype = to_dtype, .source = {0}},
                                  {.op = MICA_TILE_STORE, .source = {1}, .access = 1}};
  mica_tile_spec spec = {.rank = shape.rank,
                         .nodes = nodes,
                         .node_count = 3,
                         .accesses = accesses,
                         .access_count = 2,
                         .buffer_count = 2};
  for (int32_t axis = 0; axis < shape.rank; axis++) {
    spec.size[axis] = shape.dim[axis];
    accesses[0].stride[axis] = from.stride[axis];
    accesses[1].stride[axis] = to.stride[axis];
  }
  mica_tile_program *program = NULL;
  mica_status status =
      mica_tile_compile(plan->device->kernels, &spec, &plan->allocator, &program, NULL);
  if (status == MICA_OUT_OF_MEMORY) mica_plan_fail(plan, status, "no memory for a program");
  if (status != MICA_OK) return false;
  tile_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  if (!mica_plan_own(plan, release_tile, program) || argument == NULL) return false;
  int64_t count = mica_shape_count(shape);
  *argument = (tile_argument){program, 2, count < 8 * MICA_CPU_SERIAL_COST};
  uint32_t step = mica_plan_step_add(plan, run_tile, argument, id);
  mica_plan_reference_add(plan, from.storage,
                          (size_t)from.offset * (size_t)mica_dtype_bits(from_dtype) / 8,
                          MICA_PLAN_READ);
  mica_plan_reference_add(plan, to_storage, 0, MICA_PLAN_WRITE);
  mica_plan_scratch(plan,
                    mica_tile_scratch_size(
                        program, argument->serial ? 1 : mica_thread_pool_size(plan->device->pool)));
  mica_plan_cost(plan, 0, count * (mica_dtype_bits(from_dtype) + mica_dtype_bits(to_dtype)) / 8,
                 50 + count / 8);
  if (mica_plan_good(plan)) plan->steps[step].label = "convert for";
  return true;
}

/* ---- blocks of a product ---------------------------------------------------------------------- */

/* One stride for axes [begin, end) of the space, if they are walked like one axis. */
static bool fold_stride(const tile_builder *builder, const int64_t *stride, int32_t begin,
                        int32_t end, int64_t *out) {
  *out = begin == end ? 0 : stride[end - 1];
  for (int32_t i = begin; i + 1 < end; i++)
    if (stride[i] != stride[i + 1] * builder->spec.size[i + 1]) return false;
  return true;
}

/* Makes the spec one of two axes. */
static bool fold_to_blocks(tile_builder *builder, int64_t rows, int64_t columns) {
  int32_t split = 0;
  for (int64_t size = 1; size < rows && split < builder->spec.rank; split++)
    size *= builder->spec.size[split];
  for (int32_t i = 0; i < builder->spec.node_count; i++)
    if (builder->nodes[i].op == MICA_TILE_INDEX) return false;
  for (int32_t i = 0; i < builder->spec.access_count; i++) {
    mica_tile_access *access = &builder->accesses[i];
    int64_t row, column;
    if (!fold_stride(builder, access->stride, 0, split, &row) ||
        !fold_stride(builder, access->stride, split, builder->spec.rank, &column))
      return false;
    memset(access->stride, 0, sizeof(access->stride));
    access->stride[0] = row;
    access->stride[1] = column;
    access->stream = false;
  }
  builder->spec.rank = 2;
  builder->spec.size[0] = rows;
  builder->spec.size[1] = columns;
  builder->spec.reduce_begin = builder->spec.reduce_end = 0;
  builder->spec.block = true;
  return true;
}

bool mica_plan_block(mica_plan *plan, uint32_t group, int64_t rows, int64_t columns,
                     mica_block_program *out) {
  tile_builder builder;
  mica_shape blocks = {2, {rows, columns}};
  if (!mica_space_refine(&plan->fusion->groups[group].space, blocks, false)) return false;
  if (!builder_init(&builder, plan, group)) return false;
  build_spec(&builder);
  if (builder.failed || !mica_plan_good(plan) || !fold_to_blocks(&builder, rows, columns))
    return false;
  mica_error error = {0};
  mica_status status = mica_tile_compile(plan->device->kernels, &builder.spec, &plan->allocator,
                                         &out->program, &error);
  if (status == MICA_OUT_OF_MEMORY) mica_plan_fail(plan, status, "%s", error.message);
  if (status != MICA_OK) return false;
  list_buffers(&builder, out);
  return true;
}

/* Whether the group counted on a view of a counter that it cannot follow: it has to be in memory then. */
static bool lacks_operand(const mica_plan *plan, uint32_t group) {
  for (uint32_t id = plan->fusion->groups[group].first; id != 0; id = plan->fusion->next[id]) {
    const mica_node *node = mica_node_at(plan->graph, id);
    const uint32_t *operands = mica_node_operands(plan->graph, node);
    for (uint32_t i = 0; i < node->operand_count; i++)
      if (plan->values[operands[i]].view.storage == MICA_PLAN_NONE && !plan->done[operands[i]])
        return true;
  }
  return false;
}

/* One by one, for what the VM refuses. */
static void split_group(mica_plan *plan, uint32_t group) {
  mica_fusion *fusion = plan->fusion;
  uint32_t next = 0;
  for (uint32_t id = fusion->groups[group].first; id != 0 && mica_plan_good(plan); id = next) {
    const mica_node *node = mica_node_at(plan->graph, id);
    const uint32_t *operands = mica_node_operands(plan->graph, node);
    next = fusion->next[id];
    for (uint32_t i = 0; i < node->operand_count; i++) mica_plan_ensure(plan, operands[i]);
    mica_fusion_begin(plan, id);
    if (mica_plan_good(plan)) mica_plan_group(plan, fusion->group[id]);
  }
}

void mica_plan_group(mica_plan *plan, uint32_t group) {
  tile_builder builder;
  if (!mica_plan_good(plan) || !builder_init(&builder, plan, group)) return;
  build_spec(&builder);
  if (!mica_plan_good(plan)) return;
  mica_tile_program *program = NULL;
  mica_error error = {0};
  mica_status status = MICA_UNSUPPORTED;
  if (!builder.failed)
    status =
        mica_tile_compile(plan->device->kernels, &builder.spec, &plan->allocator, &program, &error);
  if (status == MICA_OK) {
    add_tile_step(&builder, program);
  } else if (status != MICA_UNSUPPORTED) {
    mica_plan_fail(plan, status, "a fused group: %s", error.message);
  } else if (builder.data->count > 1 || lacks_operand(plan, group)) {
    split_group(plan, group);
  } else if (!mica_plan_reference_node(plan, builder.data->first)) {
    mica_plan_fail(plan, status, "%s: %s",
                   mica_op_definition((mica_op)plan->graph->nodes[builder.data->first].op)->name,
                   error.message);
  }
}
