/* SPDX-License-Identifier: Apache-2.0 */
/* step_convolution.c: convolutions of f32 and their two transposes, whole. */
#include "backend/cpu/pack.h"
#include "backend/cpu/products_internal.h"

typedef struct {
  mica_conv conv;
  mica_finish finish;
  mica_cpu_pack *pack; /* forward: of the kernel; NULL: none */
  bool serial;
} convolution_argument;

static const mica_parallel *threads_of(const convolution_argument *argument,
                                       const mica_cpu_context *context) {
  return argument->serial ? &mica_cpu_serial : &context->parallel;
}

typedef struct {
  const mica_cpu_kernels *kernels;
  const mica_conv *conv;
  const float *w;
} convolution_fill;

static void fill_convolution_pack(void *user, const mica_parallel *parallel, void *packed) {
  const convolution_fill *fill = user;
  mica_conv_pack(fill->kernels, fill->conv, fill->w, parallel, packed);
}

static mica_status run_forward(const mica_cpu_step *step, mica_cpu_context *context) {
  const convolution_argument *argument = step->argument;
  const mica_cpu_kernels *kernels = context->device->kernels;
  const mica_parallel *parallel = threads_of(argument, context);
  convolution_fill fill = {kernels, &argument->conv, mica_cpu_address(step, context, 1)};
  mica_cpu_packed *packed =
      mica_cpu_pack_take(argument->pack, context, parallel, fill_convolution_pack, &fill);
  mica_conv conv = argument->conv;
  conv.weights.packed = mica_cpu_packed_data(packed);
  mica_finish_call call;
  mica_conv_forward(kernels, &conv, mica_cpu_address(step, context, 0), fill.w,
                    mica_cpu_address(step, context, 2), false,
                    mica_finish_begin(&argument->finish, step, context, &call), parallel,
                    mica_cpu_address(step, context, 3));
  mica_cpu_pack_give(packed);
  return MICA_OK;
}

static mica_status run_backward_data(const mica_cpu_step *step, mica_cpu_context *context) {
  const convolution_argument *argument = step->argument;
  mica_finish_call call;
  mica_conv_backward_data(context->device->kernels, &argument->conv,
                          mica_cpu_address(step, context, 0), mica_cpu_address(step, context, 1),
                          mica_cpu_address(step, context, 2), false,
                          mica_finish_begin(&argument->finish, step, context, &call),
                          threads_of(argument, context), mica_cpu_address(step, context, 3));
  return MICA_OK;
}

static mica_status run_backward_kernel(const mica_cpu_step *step, mica_cpu_context *context) {
  const convolution_argument *argument = step->argument;
  mica_conv_backward_filter(context->device->kernels, &argument->conv,
                            mica_cpu_address(step, context, 0), mica_cpu_address(step, context, 1),
                            mica_cpu_address(step, context, 2), false,
                            threads_of(argument, context), mica_cpu_address(step, context, 3));
  return MICA_OK;
}

/* ---- lowering --------------------------------------------------------------------------------- */

/* The types of x, kernel and y, and the attribute of the convolution forward. */
typedef struct {
  mica_type x, kernel, y;
  const mica_convolution_attr *attr;
} convolution_roles;

static bool find_roles(const mica_graph *graph, uint32_t id, convolution_roles *out) {
  const mica_node *node = mica_node_at(graph, id);
  const uint32_t *operands = mica_node_operands(graph, node);
  if (node->op != MICA_OP_CONVOLUTION && node->op != MICA_OP_CONVOLUTION_BACKWARD_DATA &&
      node->op != MICA_OP_CONVOLUTION_BACKWARD_KERNEL)
    return false;
  mica_type first = graph->nodes[operands[0]].type, second = graph->nodes[operands[1]].type;
  switch ((mica_op)node->op) {
    case MICA_OP_CONVOLUTION:
      *out = (convolution_roles){first, second, node->type, node->attr};
      break;
    case MICA_OP_CONVOLUTION_BACKWARD_DATA:
      *out = (convolution_roles){node->type, second, first,
                                 &((const mica_convolution_backward_attr *)node->attr)->forward};
      break;
    default:
      *out = (convolution_roles){first, node->type, second,
                                 &((const mica_convolution_backward_attr *)node->attr)->forward};
  }
  return true;
}

static bool shapes_fit(const mica_graph *graph, uint32_t id) {
  convolution_roles roles;
  if (!find_roles(graph, id, &roles)) return false;
  return roles.attr->batch_groups == 1 && roles.x.shape.rank >= 3 && roles.x.shape.rank <= 5 &&
         mica_shape_count(roles.x.shape) > 0 && mica_shape_count(roles.kernel.shape) > 0 &&
         mica_shape_count(roles.y.shape) > 0;
}

bool mica_convolution_fits(const mica_graph *graph, uint32_t id) {
  const mica_node *node = mica_node_at(graph, id);
  return node->type.dtype == MICA_F32 &&
         graph->nodes[mica_node_operands(graph, node)[0]].type.dtype == MICA_F32 &&
         shapes_fit(graph, id);
}

bool mica_convolution_taken(const mica_graph *graph, uint32_t id) {
  return mica_convolution_fits(graph, id) || (mica_cpu_widens(graph, id) && shapes_fit(graph, id));
}

static void fill_conv(const convolution_roles *roles, mica_conv *conv) {
  const mica_convolution_attr *attr = roles->attr;
  int32_t spatial = roles->x.shape.rank - 2;
  *conv = (mica_conv){.batch = roles->x.shape.dim[0],
                      .groups = attr->groups,
                      .input_channels = roles->x.shape.dim[spatial + 1],
                      .output_channels = roles->kernel.shape.dim[spatial + 1]};
  for (int32_t axis = 0; axis < 3; axis++) {
    int32_t from = axis - (3 - spatial);
    bool real = from >= 0;
    conv->input[axis] = real ? roles->x.shape.dim[from + 1] : 1;
    conv->output[axis] = real ? roles->y.shape.dim[from + 1] : 1;
    conv->kernel[axis] = real ? roles->kernel.shape.dim[from] : 1;
    conv->stride[axis] = real ? attr->stride.at[from] : 1;
    conv->base_dilation[axis] = real ? attr->base_dilation.at[from] : 1;
    conv->window_dilation[axis] = real ? attr->window_dilation.at[from] : 1;
    conv->padding[axis] = real ? attr->low.at[from] : 0;
  }
  mica_conv_dense_weights(conv);
}

bool mica_plan_convolution(mica_plan *plan, uint32_t id) {
  return mica_plan_convolution_finished(plan, id, NULL);
}

bool mica_plan_convolution_finished(mica_plan *plan, uint32_t id, const mica_finish_plan *finish) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  convolution_roles roles;
  if (!mica_convolution_fits(plan->graph, id) || !find_roles(plan->graph, id, &roles)) return false;
  convolution_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  if (argument == NULL) return true;
  fill_conv(&roles, &argument->conv);
  if (finish != NULL) argument->finish = finish->argument;
  const mica_conv *conv = &argument->conv;
  double flops = 2.0 * (double)mica_shape_count(roles.y.shape) *
                 (double)mica_shape_count(roles.kernel.shape) / (double)conv->output_channels;
  int64_t bytes = (int64_t)mica_plan_bytes(plan, roles.x) +
                  (int64_t)mica_plan_bytes(plan, roles.kernel) +
                  (int64_t)mica_plan_bytes(plan, roles.y);
  int64_t cost = 200 + (int64_t)(flops / 50) + bytes / 20;
  argument->serial = cost < MICA_CPU_SERIAL_COST;
  int32_t threads = argument->serial ? 1 : mica_thread_pool_size(plan->device->pool);
  mica_view first = mica_plan_dense(plan, operands[0]), second = mica_plan_dense(plan, operands[1]);
  size_t scratch;
  mica_cpu_run *run = run_forward;
  const mica_cpu_kernels *kernels = plan->device->kernels;
  if (node->op == MICA_OP_CONVOLUTION) {
    scratch = mica_conv_forward_scratch_size(kernels, conv, threads);
    argument->pack = mica_plan_pack(plan, &second, mica_conv_packed_size(kernels, conv));
  } else if (node->op == MICA_OP_CONVOLUTION_BACKWARD_DATA) {
    mica_conv transposed = mica_conv_transposed(conv);
    scratch = mica_conv_forward_scratch_size(kernels, &transposed, threads);
    run = run_backward_data;
  } else {
    scratch = mica_conv_filter_scratch_size(kernels, conv, threads);
    run = run_backward_kernel;
  }
  mica_plan_step_add(plan, run, argument, id);
  mica_plan_read(plan, operands[0], first);
  mica_plan_read(plan, operands[1], second);
  mica_plan_product_result(plan, id, finish);
  mica_plan_scratch(plan, scratch);
  if (finish != NULL) mica_plan_finish_references(plan, finish);
  mica_plan_cost(plan, flops, bytes, cost);
  return true;
}
