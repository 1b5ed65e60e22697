/* SPDX-License-Identifier: Apache-2.0 */
/* convolution.c: convolutions of 1 to 3 spatial axes, with channels last. */
#include <inttypes.h>

#include "mica/nn/layers.h"
#include "nn/layers/layer.h"

typedef enum { NN_CONV, NN_DEPTHWISE, NN_SEPARABLE, NN_TRANSPOSED } nn_conv_form;

/* Options of a convolution with every default put in. */
static bool resolve_conv(mica_nn_conv_args *args, nn_conv_form form, const char *name) {
  int32_t axes = mica_rank_of(args->x) - 2;
  bool channels = form == NN_DEPTHWISE || args->channels > 0;
  if (args->groups == 0) args->groups = 1;
  if (args->multiplier == 0) args->multiplier = 1;
  bool right = axes >= 1 && axes <= 3 && channels && args->groups > 0 && args->multiplier > 0 &&
               mica_dtype_is_float(mica_dtype_of(args->x)) &&
               mica_dim_of(args->x, -1) % args->groups == 0;
  for (int32_t i = 0; i < 3; i++) {
    if (args->kernel[i] == 0) args->kernel[i] = i == 0 ? 3 : args->kernel[0];
    if (args->stride[i] == 0) args->stride[i] = i == 0 ? 1 : args->stride[0];
    if (args->dilation[i] == 0) args->dilation[i] = i == 0 ? 1 : args->dilation[0];
    right = right && args->kernel[i] > 0 && args->stride[i] > 0 && args->dilation[i] > 0;
  }
  if (right) return true;
  char type[160];
  mica_type_format(mica_type_of(args->x), type, sizeof type);
  mica_fail(
      mica_scope_graph(args->scope), MICA_INVALID,
      "%s \"%s\" of %s: expected floats [batch, spatial..., in] of 1 to 3 spatial axes, channels "
      "(%" PRId64 ") and sizes above 0, and groups (%d) that divide the channels",
      name, mica_scope_path(args->scope), type, args->channels, (int)args->groups);
  return false;
}

static mica_value conv_kernel(const mica_nn_conv_args *args, const char *name, int64_t in,
                              int64_t out, mica_initializer otherwise) {
  int32_t axes = mica_rank_of(args->x) - 2;
  mica_shape shape = {.rank = axes + 2};
  for (int32_t i = 0; i < axes; i++) shape.dim[i] = args->kernel[i];
  shape.dim[axes] = in;
  shape.dim[axes + 1] = out;
  mica_nn_kernel_options options = {.given = args->kernel_initializer,
                                    .otherwise = otherwise,
                                    .l1 = args->l1,
                                    .l2 = args->l2,
                                    .weight_norm = args->weight_norm};
  return mica_nn_kernel(args->scope, name, mica_dtype_of(args->x), shape, &options);
}

static mica_conv_args plain_conv(const mica_nn_conv_args *args, mica_value kernel) {
  mica_conv_args plain = {.struct_size = sizeof plain,
                          .x = args->x,
                          .kernel = kernel,
                          .groups = args->groups,
                          .padding = args->padding};
  for (int32_t i = 0; i < mica_rank_of(args->x) - 2 && i < 3; i++) {
    plain.stride[i] = args->stride[i];
    plain.dilation[i] = args->dilation[i];
    plain.low[i] = args->low[i];
    plain.high[i] = args->high[i];
  }
  return plain;
}

static mica_value conv_end(const mica_nn_conv_args *args, mica_value y) {
  return mica_nn_leave(
      args->scope, mica_nn_add_bias(args->scope, y, "bias", args->no_bias, args->bias_initializer));
}

mica_value mica_nn_conv_with(const mica_nn_conv_args *given) {
  MICA_NN_ARGS(mica_nn_conv_args, args, given);
  if (!mica_nn_enter(args.scope, args.x, "conv")) return (mica_value){0};
  if (!resolve_conv(&args, NN_CONV, "conv")) return mica_nn_leave(args.scope, (mica_value){0});
  mica_value kernel = conv_kernel(&args, "kernel", mica_dim_of(args.x, -1) / args.groups,
                                  args.channels, mica_init_he_normal());
  mica_conv_args plain = plain_conv(&args, kernel);
  return conv_end(&args, mica_conv_with(&plain));
}

/* A depthwise kernel's fan in is its spatial size: that of a kernel [spatial..., 1, in multiplier]. */
static mica_value depthwise_part(const mica_nn_conv_args *args, const char *name) {
  int64_t in = mica_dim_of(args->x, -1);
  mica_initializer he = mica_init_he_normal();
  he.a = 2 * (double)in; /* variance 2 / size, where the kernel's own fan in is size times in */
  mica_value kernel = conv_kernel(args, name, in, args->multiplier, he);
  mica_conv_args plain = plain_conv(args, kernel);
  plain.groups = 0;
  return mica_depthwise_conv_with(&plain);
}

mica_value mica_nn_depthwise_conv_with(const mica_nn_conv_args *given) {
  MICA_NN_ARGS(mica_nn_conv_args, args, given);
  if (!mica_nn_enter(args.scope, args.x, "depthwise_conv")) return (mica_value){0};
  if (!resolve_conv(&args, NN_DEPTHWISE, "depthwise_conv"))
    return mica_nn_leave(args.scope, (mica_value){0});
  return conv_end(&args, depthwise_part(&args, "kernel"));
}

mica_value mica_nn_separable_conv_with(const mica_nn_conv_args *given) {
  MICA_NN_ARGS(mica_nn_conv_args, args, given);
  if (!mica_nn_enter(args.scope, args.x, "separable_conv")) return (mica_value){0};
  if (!resolve_conv(&args, NN_SEPARABLE, "separable_conv"))
    return mica_nn_leave(args.scope, (mica_value){0});
  mica_value y = depthwise_part(&args, "depthwise");
  mica_nn_kernel_options options = {.given = args.kernel_initializer,
                                    .otherwise = mica_init_he_normal(),
                                    .l1 = args.l1,
                                    .l2 = args.l2};
  mica_value kernel = mica_nn_kernel(args.scope, "pointwise", mica_dtype_of(args.x),
                                     MICA_DIMS(mica_dim_of(y, -1), args.channels), &options);
  return conv_end(&args, mica_matmul(y, kernel));
}

/* What a transposed convolution adds to (or cuts from) the ends of its input, whose cells lie `stride`
 * apart: with a full kernel in front and behind it would be the valid form. */
static void transposed_padding(const mica_nn_conv_args *args, int32_t axis, int32_t *low,
                               int32_t *high) {
  int32_t reach = args->dilation[axis] * (args->kernel[axis] - 1);
  int32_t cut_low = 0, cut_high = 0;
  if (args->padding == MICA_EXPLICIT) {
    cut_low = args->low[axis];
    cut_high = args->high[axis];
  } else if (args->padding != MICA_VALID) { /* n stride cells: of (n - 1) stride + reach + 1 */
    int32_t all = reach + 1 - args->stride[axis];
    cut_low = all > 0 ? all / 2 : 0;
    cut_high = all - cut_low;
  }
  *low = reach - cut_low;
  *high = reach - cut_high;
}

mica_value mica_nn_conv_transpose_with(const mica_nn_conv_args *given) {
  MICA_NN_ARGS(mica_nn_conv_args, args, given);
  if (!mica_nn_enter(args.scope, args.x, "conv_transpose")) return (mica_value){0};
  if (!resolve_conv(&args, NN_TRANSPOSED, "conv_transpose"))
    return mica_nn_leave(args.scope, (mica_value){0});
  int32_t axes = mica_rank_of(args.x) - 2;
  mica_value kernel = conv_kernel(&args, "kernel", mica_dim_of(args.x, -1) / args.groups,
                                  args.channels, mica_init_he_normal());
  mica_axes spatial = {.count = axes};
  mica_conv_args plain = {
      .struct_size = sizeof plain, .x = args.x, .groups = args.groups, .padding = MICA_EXPLICIT};
  for (int32_t i = 0; i < axes; i++) {
    spatial.axis[i] = i;
    plain.input_dilation[i] = args.stride[i];
    plain.dilation[i] = args.dilation[i];
    transposed_padding(&args, i, &plain.low[i], &plain.high[i]);
  }
  plain.kernel = mica_reverse(kernel, spatial);
  return conv_end(&args, mica_conv_with(&plain));
}
