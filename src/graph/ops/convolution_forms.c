/* SPDX-License-Identifier: Apache-2.0 */
/* convolution_forms.c: convolutions with other arguments: transposed, depthwise, separable. */
#include <inttypes.h>

#include "graph/ops/image.h"
#include "graph/ops/sliding.h"
#include "mica/ops/image.h"

static mica_value transpose_failed(const mica_conv_transpose_args *a, const char *expected) {
  mica_value in[2] = {a->x, a->kernel};
  return mica_fail_operator(mica_graph_of(in, 2), "conv_transpose", in, 2, "%s", expected);
}

/* The size of the result along an axis of the transposed convolution, and its padding: false on overflow. */
static bool transposed_axis(const mica_conv_transpose_args *a, int32_t i, mica_sliding *s,
                            int64_t cells) {
  int64_t spread, reach;
  bool same = a->padding == MICA_SAME || a->padding == MICA_DEFAULT_PADDING;
  if (same) return mica_i64_multiply(cells, s->stride, &s->size) && mica_sliding_pad_same(s);
  s->low = a->low[i];
  s->high = a->high[i];
  if (!mica_sliding_spread(cells, s->stride, &spread) ||
      !mica_sliding_spread(s->window, s->window_dilation, &reach) ||
      !mica_i64_add(spread, reach - 1 + a->output_padding[i] - s->low - s->high, &s->size))
    return false;
  s->high -= a->output_padding[i]; /* then the convolution gives x's cells and no more */
  if (cells == 0) s->size = 0;
  return s->size >= 0;
}

mica_value mica_conv_transpose_with(const mica_conv_transpose_args *args) {
  MICA_ENTRY(args ? args->x.graph : NULL);
  mica_conv_transpose_args a;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  mica_value in[2] = {a.x, a.kernel};
  mica_graph *graph = mica_graph_of(in, 2);
  if (!mica_operands_usable("conv_transpose", in, 2)) return mica_no_value(graph);
  mica_shape x = mica_shape_of(a.x), kernel = mica_shape_of(a.kernel);
  int32_t spatial = x.rank - 2;
  if (spatial < 1 || spatial > 3 || kernel.rank != x.rank ||
      kernel.dim[spatial + 1] != x.dim[spatial + 1])
    return transpose_failed(&a,
                            "expected x [batch, spatial..., in] and kernel [spatial..., out / "
                            "groups, in] with 1 to 3 spatial axes");
  if (a.padding < MICA_DEFAULT_PADDING || a.padding > MICA_EXPLICIT)
    return transpose_failed(&a, "the padding is unknown: expected MICA_SAME, _VALID or _EXPLICIT");
  mica_ints none = {.count = spatial};
  mica_convolution_backward_attr attr = {.shape = {.rank = x.rank, .dim = {x.dim[0]}}};
  mica_convolution_attr *f = &attr.forward;
  *f = (mica_convolution_attr){.stride = none,
                               .low = none,
                               .high = none,
                               .base_dilation = none,
                               .window_dilation = none,
                               .groups = a.groups ? a.groups : 1,
                               .batch_groups = 1};
  bool same = a.padding == MICA_SAME || a.padding == MICA_DEFAULT_PADDING;
  for (int32_t i = 0; i < 3; i++) {
    bool cut = a.low[i] || a.high[i], more = a.output_padding[i] != 0;
    if (i >= spatial) {
      if (a.stride[i] || a.dilation[i] || cut || more)
        return transpose_failed(&a, "there is an entry for a spatial axis that x does not have");
      continue;
    }
    mica_sliding s = {.window = kernel.dim[i],
                      .stride = mica_image_entry(a.stride, i, 1),
                      .base_dilation = 1,
                      .window_dilation = mica_image_entry(a.dilation, i, 1)};
    if (s.stride < 1 || s.window_dilation < 1 || s.window < 1 || a.low[i] < 0 || a.high[i] < 0)
      return transpose_failed(
          &a, "expected strides, dilations and windows of at least 1 and padding of at least 0");
    if ((cut && a.padding != MICA_EXPLICIT) || (more && same))
      return transpose_failed(
          &a,
          "expected low and high with MICA_EXPLICIT only, and no output_padding "
          "with MICA_SAME");
    int64_t most = s.stride > s.window_dilation ? s.stride : s.window_dilation;
    if (a.output_padding[i] < 0 || (more && a.output_padding[i] >= most))
      return transpose_failed(&a,
                              "expected output_padding of at least 0 and below the stride or the "
                              "dilation");
    if (!transposed_axis(&a, i, &s, x.dim[i + 1]))
      return transpose_failed(&a, "the result's sizes overflow, or the padding cuts all of it");
    f->stride.at[i] = s.stride;
    f->window_dilation.at[i] = s.window_dilation;
    f->base_dilation.at[i] = 1;
    f->low.at[i] = s.low;
    f->high.at[i] = s.high;
    attr.shape.dim[i + 1] = s.size;
  }
  if (f->groups < 1 ||
      !mica_i64_multiply(kernel.dim[spatial], f->groups, &attr.shape.dim[spatial + 1]))
    return transpose_failed(&a, "expected at least one group, and sizes that do not overflow");
  return mica_emit(graph, MICA_OP_CONVOLUTION_BACKWARD_DATA, in, 2, &attr);
}

/* ---- depthwise and separable ------------------------------------------------------------------ */

static mica_value depthwise(const char *op, mica_conv_args *a) {
  mica_value in[2] = {a->x, a->kernel};
  mica_graph *graph = mica_graph_of(in, 2);
  if (!mica_operands_usable(op, in, 2)) return mica_no_value(graph);
  mica_shape x = mica_shape_of(a->x), kernel = mica_shape_of(a->kernel);
  int32_t last = x.rank - 1;
  int64_t channels = last < 2 ? 0 : x.dim[last], out;
  if (last < 2 || last > 4 || kernel.rank != x.rank || kernel.dim[last - 1] != channels ||
      channels < 1 || channels > INT32_MAX || a->groups != 0 || a->channels_first ||
      !mica_i64_multiply(channels, kernel.dim[last], &out))
    return mica_fail_operator(graph, op, in, 2,
                              "expected x [batch, spatial..., in] and kernel [spatial..., in, "
                              "multiplier] with 1 to 3 spatial axes, channels last, and no groups");
  kernel.dim[last - 1] = 1;
  kernel.dim[last] = out;
  a->kernel = mica_reshape(a->kernel, kernel);
  a->groups = (int32_t)channels;
  return mica_conv_with(a);
}

mica_value mica_depthwise_conv_with(const mica_conv_args *args) {
  MICA_ENTRY(args ? args->x.graph : NULL);
  mica_conv_args a;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  a.struct_size = sizeof(a);
  return depthwise("depthwise_conv", &a);
}

mica_value mica_separable_conv_with(const mica_conv_args *args, mica_value pointwise) {
  MICA_ENTRY(pointwise.graph);
  mica_conv_args a;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  a.struct_size = sizeof(a);
  mica_value y = depthwise("separable_conv", &a), in[2] = {y, pointwise};
  if (!mica_operands_usable("separable_conv", in, 2)) return mica_no_value(a.x.graph);
  if (mica_rank_of(pointwise) != 2)
    return mica_fail_operator(a.x.graph, "separable_conv", in, 2,
                              "expected pointwise [in * multiplier, out]");
  return mica_matmul(y, pointwise);
}
