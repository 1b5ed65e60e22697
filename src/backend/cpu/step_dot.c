/* SPDX-License-Identifier: Apache-2.0 */
/* step_dot.c: dot_general as a matrix product. Operands are taken where they lie, transposed or repeated,
 * as long as their free, contracted and batch axes each fold into what the kernels take; an operand that
 * does not fold is copied in the order batch, rows, columns first. */
#include "backend/cpu/pack.h"
#include "backend/cpu/products_internal.h"

#include <string.h>

enum { DOT_PACK_ELEMENTS = 4096 }; /* of a right operand that is worth looking up */

typedef struct {
  mica_gemm problem; /* without addresses */
  mica_finish finish;
  mica_cpu_pack *pack; /* of the right operand; NULL: none */
  bool serial;
} dot_argument;

typedef struct {
  const mica_cpu_kernels *kernels;
  const mica_gemm *problem;
} dot_fill;

static void fill_dot_pack(void *user, const mica_parallel *parallel, void *packed) {
  const dot_fill *fill = user;
  mica_gemm_pack(fill->kernels, fill->problem, parallel, packed);
}

static mica_status run_dot(const mica_cpu_step *step, mica_cpu_context *context) {
  const dot_argument *argument = step->argument;
  mica_gemm problem = argument->problem;
  problem.a = mica_cpu_address(step, context, 0);
  problem.b = mica_cpu_address(step, context, 1);
  problem.c = mica_cpu_address(step, context, 2);
  mica_finish_call call;
  if (argument->finish.any)
    problem.finish = *mica_finish_begin(&argument->finish, step, context, &call);
  const mica_cpu_kernels *kernels = context->device->kernels;
  const mica_parallel *parallel = argument->serial ? &mica_cpu_serial : &context->parallel;
  dot_fill fill = {kernels, &problem};
  mica_cpu_packed *packed =
      mica_cpu_pack_take(argument->pack, context, parallel, fill_dot_pack, &fill);
  problem.b_packed = mica_cpu_packed_data(packed);
  mica_gemm_run(kernels, &problem, parallel, mica_cpu_address(step, context, 3));
  mica_cpu_pack_give(packed);
  return MICA_OK;
}

/* ---- folding axes ----------------------------------------------------------------------------- */

/* Axes of both operands that are walked together; b's strides are 0 where only a has the axes. */
typedef struct {
  int32_t rank;
  int64_t size[MICA_MAX_RANK], a[MICA_MAX_RANK], b[MICA_MAX_RANK];
} axis_run;

static void add_axis(axis_run *run, int64_t size, int64_t a, int64_t b) {
  if (size == 1) return;
  run->size[run->rank] = size;
  run->a[run->rank] = a;
  run->b[run->rank++] = b;
}

/* Merges neighbors that both operands walk as one axis. */
static void fold_axes(axis_run *run) {
  int32_t kept = 0;
  for (int32_t i = 1; i < run->rank; i++) {
    bool one = run->a[kept] == run->a[i] * run->size[i] && run->b[kept] == run->b[i] * run->size[i];
    if (one) {
      run->size[kept] *= run->size[i];
    } else {
      kept++;
      run->size[kept] = run->size[i];
    }
    run->a[kept] = run->a[i];
    run->b[kept] = run->b[i];
  }
  if (run->rank > 0) run->rank = kept + 1;
}

/* Sums may run in any order: the one in which the left operand lies. */
static void sort_axes(axis_run *run) {
  for (int32_t i = 1; i < run->rank; i++)
    for (int32_t j = i; j > 0 && run->a[j] > run->a[j - 1]; j--) {
      int64_t size = run->size[j], a = run->a[j], b = run->b[j];
      run->size[j] = run->size[j - 1];
      run->a[j] = run->a[j - 1];
      run->b[j] = run->b[j - 1];
      run->size[j - 1] = size;
      run->a[j - 1] = a;
      run->b[j - 1] = b;
    }
}

typedef struct {
  axis_run batch, rows, columns, depth;
} dot_axes;

static bool is_listed(const mica_ints *list, int64_t axis) {
  for (int32_t i = 0; i < list->count; i++)
    if (list->at[i] == axis) return true;
  return false;
}

static void collect_axes(const mica_plan *plan, uint32_t id, const mica_view *a, const mica_view *b,
                         dot_axes *axes) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  const mica_dot_attr *attr = node->attr;
  mica_shape x = mica_plan_type(plan, operands[0]).shape,
             y = mica_plan_type(plan, operands[1]).shape;
  *axes = (dot_axes){.batch = {0}};
  for (int32_t i = 0; i < attr->lhs_batch.count; i++)
    add_axis(&axes->batch, x.dim[attr->lhs_batch.at[i]], a->stride[attr->lhs_batch.at[i]],
             b->stride[attr->rhs_batch.at[i]]);
  for (int32_t i = 0; i < attr->lhs_contract.count; i++)
    add_axis(&axes->depth, x.dim[attr->lhs_contract.at[i]], a->stride[attr->lhs_contract.at[i]],
             b->stride[attr->rhs_contract.at[i]]);
  for (int32_t axis = 0; axis < x.rank; axis++)
    if (!is_listed(&attr->lhs_batch, axis) && !is_listed(&attr->lhs_contract, axis))
      add_axis(&axes->rows, x.dim[axis], a->stride[axis], 0);
  for (int32_t axis = 0; axis < y.rank; axis++)
    if (!is_listed(&attr->rhs_batch, axis) && !is_listed(&attr->rhs_contract, axis))
      add_axis(&axes->columns, y.dim[axis], 0, b->stride[axis]);
  fold_axes(&axes->batch);
  fold_axes(&axes->rows);
  fold_axes(&axes->columns);
  sort_axes(&axes->depth);
  fold_axes(&axes->depth);
}

/* A dense copy of an operand with its axes in the order batch, then `first`, then the rest; the view that
 * is returned has the operand's own order of axes. */
static mica_view packed_operand(mica_plan *plan, uint32_t id, mica_type type, mica_view place,
                                const mica_ints *batch, const mica_ints *contract,
                                bool contract_first) {
  mica_view from = place, to, result;
  mica_shape shape = {.rank = type.shape.rank};
  int32_t order[MICA_MAX_RANK], count = 0;
  for (int32_t i = 0; i < batch->count; i++) order[count++] = (int32_t)batch->at[i];
  for (int32_t turn = 0; turn < 2; turn++) {
    if ((turn == 0) == contract_first) {
      for (int32_t i = 0; i < contract->count; i++) order[count++] = (int32_t)contract->at[i];
    } else {
      for (int32_t axis = 0; axis < type.shape.rank; axis++)
        if (!is_listed(batch, axis) && !is_listed(contract, axis)) order[count++] = axis;
    }
  }
  for (int32_t i = 0; i < count; i++) {
    shape.dim[i] = type.shape.dim[order[i]];
    from.stride[i] = place.stride[order[i]];
  }
  uint32_t storage = mica_plan_storage(plan, MICA_STORAGE_ARENA, 0, mica_plan_bytes(plan, type));
  mica_view_dense(&to, storage, shape);
  mica_plan_copy(plan, id, type.dtype, shape, from, to);
  result = to;
  for (int32_t i = 0; i < count; i++) result.stride[order[i]] = to.stride[i];
  return result;
}

static bool gemm_type_of(mica_dtype dtype, mica_gemm_type *out) {
  switch (dtype) {
    case MICA_F32: *out = MICA_GEMM_F32; return true;
    case MICA_F64: *out = MICA_GEMM_F64; return true;
    case MICA_I32:
    case MICA_U32: *out = MICA_GEMM_I32; return true;
    default: return false;
  }
}

/* What the kernels compute a product of narrow numbers in, exactly as if each were widened first. */
static mica_dtype wide_dtype(mica_dtype dtype) {
  switch (dtype) {
    case MICA_F8E4M3FN:
    case MICA_F8E5M2:
    case MICA_F16:
    case MICA_BF16: return MICA_F32;
    case MICA_I4:
    case MICA_U4:
    case MICA_I8:
    case MICA_U8:
    case MICA_I16:
    case MICA_U16: return MICA_I32;
    default: return MICA_DTYPE_NONE;
  }
}

static bool axes_fit(const dot_axes *axes) {
  return axes->rows.rank <= 1 && axes->columns.rank <= 1 && axes->depth.rank <= 1 &&
         axes->batch.rank <= MICA_GEMM_BATCH_RANK;
}

static int64_t run_size(const axis_run *run) { return run->rank == 0 ? 1 : run->size[0]; }

static void fill_problem(const dot_axes *axes, mica_gemm *problem) {
  problem->m = run_size(&axes->rows);
  problem->n = run_size(&axes->columns);
  problem->k = run_size(&axes->depth);
  problem->a_row = axes->rows.rank == 0 ? problem->k : axes->rows.a[0];
  problem->b_column = axes->columns.rank == 0 ? 1 : axes->columns.b[0];
  problem->a_column = axes->depth.rank == 0 ? 1 : axes->depth.a[0];
  problem->b_row = axes->depth.rank == 0 ? problem->n : axes->depth.b[0];
  problem->c_row = problem->n;
  problem->batch_rank = axes->batch.rank;
  int64_t stride = problem->m * problem->n;
  for (int32_t i = axes->batch.rank - 1; i >= 0; i--) {
    problem->batch[i] = axes->batch.size[i];
    problem->a_batch[i] = axes->batch.a[i];
    problem->b_batch[i] = axes->batch.b[i];
    problem->c_batch[i] = stride;
    stride *= axes->batch.size[i];
  }
}

bool mica_dot_fits(const mica_graph *graph, uint32_t id) {
  const mica_node *node = mica_node_at(graph, id);
  if (node->op != MICA_OP_DOT_GENERAL) return false;
  const uint32_t *operands = mica_node_operands(graph, node);
  mica_type x = graph->nodes[operands[0]].type, y = graph->nodes[operands[1]].type;
  mica_gemm_type type;
  return x.dtype == node->type.dtype && gemm_type_of(x.dtype, &type) &&
         mica_shape_count(x.shape) > 0 && mica_shape_count(y.shape) > 0;
}

/* The step on operands that lie at `a` and `b`, both of `dtype`; false when they cannot be folded. */
static bool add_product(mica_plan *plan, uint32_t id, mica_dtype dtype, mica_view a, mica_view b,
                        const mica_finish_plan *finish) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  const mica_dot_attr *attr = node->attr;
  mica_type x = {dtype, mica_plan_type(plan, operands[0]).shape},
            y = {dtype, mica_plan_type(plan, operands[1]).shape};
  mica_gemm problem = {.m = 0};
  gemm_type_of(dtype, &problem.type);
  dot_axes axes;
  collect_axes(plan, id, &a, &b, &axes);
  if (axes.rows.rank > 1 || axes.depth.rank > 1 || axes.batch.rank > MICA_GEMM_BATCH_RANK) {
    a = packed_operand(plan, operands[0], x, a, &attr->lhs_batch, &attr->lhs_contract, false);
    collect_axes(plan, id, &a, &b, &axes);
  }
  if (!axes_fit(&axes)) {
    b = packed_operand(plan, operands[1], y, b, &attr->rhs_batch, &attr->rhs_contract, true);
    collect_axes(plan, id, &a, &b, &axes);
  }
  if (!axes_fit(
          &axes)) { /* the contracted axes of the left one, in the order that the right one has now */
    a = packed_operand(plan, operands[0], x, a, &attr->lhs_batch, &attr->lhs_contract, false);
    collect_axes(plan, id, &a, &b, &axes);
  }
  if (!axes_fit(&axes)) return false;
  dot_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  if (argument == NULL) return true;
  fill_problem(&axes, &problem);
  double flops = 2.0 * (double)mica_shape_count(node->type.shape) * (double)problem.k;
  int64_t bytes = (int64_t)mica_plan_bytes(plan, x) + (int64_t)mica_plan_bytes(plan, y) +
                  (int64_t)mica_plan_bytes(plan, node->type);
  int64_t cost = 100 + (int64_t)(flops / 50) + bytes / 20;
  *argument = (dot_argument){.problem = problem, .serial = cost < MICA_CPU_SERIAL_COST};
  if (finish != NULL) argument->finish = finish->argument;
  const mica_cpu_kernels *kernels = plan->device->kernels;
  if (problem.k >= DOT_PACK_ELEMENTS / problem.n && mica_gemm_is_packed(kernels, &problem))
    argument->pack = mica_plan_pack(plan, &b, mica_gemm_packed_size(kernels, &problem));
  int32_t threads = argument->serial ? 1 : mica_thread_pool_size(plan->device->pool);
  mica_plan_step_add(plan, run_dot, argument, id);
  mica_plan_reference *left = mica_plan_read(plan, operands[0], a);
  if (a.storage != mica_plan_place(plan, operands[0]).storage) left->value = 0;
  left->offset = (size_t)a.offset * (size_t)mica_dtype_bits(dtype) / 8;
  mica_plan_reference *right = mica_plan_read(plan, operands[1], b);
  if (b.storage != mica_plan_place(plan, operands[1]).storage) right->value = 0;
  right->offset = (size_t)b.offset * (size_t)mica_dtype_bits(dtype) / 8;
  mica_plan_product_result(plan, id, finish);
  mica_plan_scratch(plan, mica_gemm_any_scratch_size(kernels, &problem, threads));
  if (finish != NULL) mica_plan_finish_references(plan, finish);
  mica_plan_cost(plan, flops, bytes, cost);
  return true;
}

bool mica_plan_dot_finished(mica_plan *plan, uint32_t id, const mica_finish_plan *finish) {
  const mica_node *node = mica_node_at(plan->graph, id);
  if (!mica_dot_fits(plan->graph, id)) return false;
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  return add_product(plan, id, node->type.dtype, mica_plan_place(plan, operands[0]),
                     mica_plan_place(plan, operands[1]), finish);
}

/* A product of narrow numbers: the operands are widened, the result is rounded once if it is narrow too. */
static bool lower_narrow_dot(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  mica_dtype wide = wide_dtype(mica_plan_type(plan, operands[0]).dtype);
  mica_view views[2];
  if (wide == MICA_DTYPE_NONE || mica_shape_count(node->type.shape) == 0 ||
      mica_shape_count(mica_plan_type(plan, operands[0]).shape) == 0)
    return false;
  for (int i = 0; i < 2; i++)
    if (!mica_plan_widened(plan, id, operands[i], wide, &views[i])) return false;
  if (node->type.dtype == wide) return add_product(plan, id, wide, views[0], views[1], NULL);
  mica_type type = {wide, node->type.shape};
  uint32_t storage = mica_plan_storage(plan, MICA_STORAGE_ARENA, 0, mica_plan_bytes(plan, type));
  mica_finish_plan unrounded = {.storage = storage, .result = 0};
  if (!add_product(plan, id, wide, views[0], views[1], &unrounded)) return false;
  mica_view from;
  mica_view_dense(&from, storage, node->type.shape);
  uint32_t result =
      mica_plan_storage(plan, MICA_STORAGE_ARENA, 0, mica_plan_bytes(plan, node->type));
  mica_view_dense(&plan->values[id].view, result, node->type.shape);
  return mica_plan_convert(plan, id, node->type.shape, wide, from, node->type.dtype, result);
}

bool mica_plan_dot(mica_plan *plan, uint32_t id) {
  if (plan->graph->nodes[id].op != MICA_OP_DOT_GENERAL) return false;
  return mica_plan_dot_finished(plan, id, NULL) || lower_narrow_dot(plan, id);
}
