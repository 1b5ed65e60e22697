/* SPDX-License-Identifier: Apache-2.0 */
/* convolution.c: cross-correlation of x [batch, spatial..., in] with a kernel [spatial..., in /
 * groups, out], and its two transposes as operators of their own.
 *
 * A convolution y = f(x, k) is linear in x and in k, so there are three of a kind, each of which
 * takes two of (x, k, y) and gives the third:
 *   convolution(x, k) -> y
 *   convolution_backward_data(y, k) -> x
 *   convolution_backward_kernel(x, y) -> k
 * With <f(x, k), y> seen as a form that is linear in all three, each is the derivative by the
 * missing one, so their transposes and batching rules are one piece of code each. The transposes
 * are composites: backends with kernels for them take them whole; elsewhere they expand into a
 * plain convolution. */
#include <inttypes.h>

#include "graph/ops/rules.h"
#include "graph/ops/sliding.h"

typedef enum { CONV_X, CONV_KERNEL, CONV_Y } conv_role;

/* The roles of operands 0, 1 and of the result. */
static const conv_role *conv_roles(const mica_rule *rule) {
  static const conv_role roles[3][3] = {
      {CONV_X, CONV_KERNEL, CONV_Y}, {CONV_Y, CONV_KERNEL, CONV_X}, {CONV_X, CONV_Y, CONV_KERNEL}};
  return roles[rule->def == &mica_op_convolution                 ? 0
               : rule->def == &mica_op_convolution_backward_data ? 1
                                                                 : 2];
}

static const mica_convolution_attr *conv_forward(const mica_rule *rule) {
  if (rule->def == &mica_op_convolution) return rule->attr;
  return &((const mica_convolution_backward_attr *)rule->attr)->forward;
}

static mica_sliding conv_axis(const mica_convolution_attr *a, mica_shape x, mica_shape kernel,
                              int32_t i) {
  return (mica_sliding){x.dim[i + 1],
                        kernel.dim[i],
                        a->stride.at[i],
                        a->base_dilation.at[i],
                        a->window_dilation.at[i],
                        a->low.at[i],
                        a->high.at[i]};
}

/* The operator that gives `role` from the other two; `shape` is that of the result (not used for
 * y). */
static mica_value conv_build(mica_graph *graph, conv_role role, mica_value x, mica_value kernel,
                             mica_value y, const mica_convolution_attr *forward, mica_shape shape) {
  mica_convolution_backward_attr back = {.forward = *forward, .shape = shape};
  switch (role) {
    case CONV_X:
      return mica_emit(graph, MICA_OP_CONVOLUTION_BACKWARD_DATA, (mica_value[]){y, kernel}, 2,
                       &back);
    case CONV_KERNEL:
      return mica_emit(graph, MICA_OP_CONVOLUTION_BACKWARD_KERNEL, (mica_value[]){x, y}, 2, &back);
    case CONV_Y: break;
  }
  return mica_emit(graph, MICA_OP_CONVOLUTION, (mica_value[]){x, kernel}, 2, forward);
}

/* ---- inference ------------------------------------------------------------------------------- */

static bool infer_conv_attr(mica_infer *infer, const mica_convolution_attr *a, int32_t spatial) {
  const struct {
    const char *name;
    const mica_ints *list;
    int64_t least;
  } lists[] = {{"stride", &a->stride, 1},
               {"base_dilation", &a->base_dilation, 1},
               {"window_dilation", &a->window_dilation, 1},
               {"low", &a->low, INT64_MIN},
               {"high", &a->high, INT64_MIN}};
  for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
    if (lists[i].list->count != spatial)
      return mica_infer_fail(
          infer, "%s has %" PRId32 " %s: expected %" PRId32 ", one for each spatial axis",
          lists[i].name, lists[i].list->count,
          mica_noun((size_t)lists[i].list->count, "entry", "entries"), spatial);
    for (int32_t k = 0; k < spatial; k++)
      if (lists[i].list->at[k] < lists[i].least)
        return mica_infer_fail(
            infer, "%s is %" PRId64 " along spatial axis %" PRId32 ": expected at least %" PRId64,
            lists[i].name, lists[i].list->at[k], k, lists[i].least);
  }
  if (a->groups < 1 || a->batch_groups < 1 || (a->groups > 1 && a->batch_groups > 1))
    return mica_infer_fail(infer,
                           "groups %" PRId64 " and batch_groups %" PRId64
                           ": expected at least 1, and only one of "
                           "them above 1",
                           a->groups, a->batch_groups);
  return true;
}

/* y's shape, or a message that says what does not fit. */
static bool infer_conv_shape(mica_infer *infer, const mica_convolution_attr *a, mica_shape x,
                             mica_shape kernel, mica_shape *out_y) {
  int32_t spatial = x.rank - 2;
  if (spatial < 1 || spatial > 3 || kernel.rank != x.rank)
    return mica_infer_fail(infer,
                           "x and kernel have rank %" PRId32 " and %" PRId32
                           ": expected x [batch, spatial..., in] "
                           "and kernel [spatial..., in / groups, out] with 1 to 3 spatial axes",
                           x.rank, kernel.rank);
  if (!infer_conv_attr(infer, a, spatial)) return false;
  int64_t in = x.dim[spatial + 1], kernel_in = kernel.dim[spatial], out = kernel.dim[spatial + 1];
  if (in % a->groups != 0 || kernel_in != in / a->groups)
    return mica_infer_fail(
        infer,
        "x has %" PRId64 " %s and the kernel takes %" PRId64 ": expected the kernel's axis %" PRId32
        " to be x's last one divided by groups = %" PRId64,
        in, mica_noun((size_t)in, "feature", "features"), kernel_in, spatial, a->groups);
  if (out % a->groups != 0 || out % a->batch_groups != 0)
    return mica_infer_fail(
        infer, "the kernel gives %" PRId64 " %s: expected a multiple of %s = %" PRId64, out,
        mica_noun((size_t)out, "feature", "features"), a->groups > 1 ? "groups" : "batch_groups",
        a->groups > 1 ? a->groups : a->batch_groups);
  if (x.dim[0] % a->batch_groups != 0)
    return mica_infer_fail(
        infer, "x has %" PRId64 " %s: expected a multiple of batch_groups = %" PRId64, x.dim[0],
        mica_noun((size_t)x.dim[0], "example", "examples"), a->batch_groups);
  *out_y = (mica_shape){.rank = x.rank, .dim = {x.dim[0] / a->batch_groups}};
  out_y->dim[spatial + 1] = out;
  for (int32_t i = 0; i < spatial; i++) {
    mica_sliding s = conv_axis(a, x, kernel, i);
    if (s.window < 1)
      return mica_infer_fail(
          infer, "the kernel is empty along spatial axis %" PRId32 ": expected at least 1 cell", i);
    if (!mica_sliding_output(&s, &out_y->dim[i + 1]))
      return mica_infer_fail(
          infer, "the kernel along spatial axis %" PRId32 " reaches too far: sizes overflow", i);
  }
  return true;
}

static bool infer_convolution(mica_infer *infer) {
  mica_type out = {.dtype = infer->in[0].dtype};
  return mica_infer_equal_dtypes(infer, 0) &&
         infer_conv_shape(infer, infer->attr, infer->in[0].shape, infer->in[1].shape, &out.shape) &&
         mica_infer_one(infer, out);
}

/* The result has the shape that the attribute names, if that fits to the operands. */
static bool infer_conv_backward(mica_infer *infer, bool data) {
  const mica_convolution_backward_attr *a = infer->attr;
  mica_type out = {infer->in[0].dtype, a->shape};
  mica_shape y, dy = infer->in[data ? 0 : 1].shape;
  char expected[MICA_SHAPE_TEXT], given[MICA_SHAPE_TEXT];
  if (!mica_infer_one(infer, out) || !mica_infer_equal_dtypes(infer, 0) ||
      !infer_conv_shape(infer, &a->forward, data ? a->shape : infer->in[0].shape,
                        data ? infer->in[1].shape : a->shape, &y))
    return false;
  if (mica_shape_equal(y, dy)) return true;
  return mica_infer_fail(
      infer,
      "the convolution gives %s for the result's shape %s: expected it as the shape of operand %d",
      mica_shape_text(y, expected), mica_shape_text(a->shape, given), data ? 0 : 1);
}
static bool infer_convolution_backward_data(mica_infer *infer) {
  return infer_conv_backward(infer, true);
}
static bool infer_convolution_backward_kernel(mica_infer *infer) {
  return infer_conv_backward(infer, false);
}

/* ---- transposes ------------------------------------------------------------------------------ */

/* The form is linear in all three: the cotangent of one is the operator that gives it, with the
 * result's cotangent in the place of the result. */
static mica_value transpose_conv(const mica_rule *rule, size_t operand,
                                 const mica_value *cotangents) {
  const conv_role *roles = conv_roles(rule);
  mica_value value[3] = {{0}};
  for (size_t i = 0; i < 2; i++) value[roles[i]] = rule->in[i];
  value[roles[2]] = cotangents[0];
  return conv_build(rule->graph, roles[operand], value[CONV_X], value[CONV_KERNEL], value[CONV_Y],
                    conv_forward(rule), mica_shape_of(rule->in[operand]));
}

/* ---- batching
 * ------------------------------------------------------------------------------------------------
 * No axis is added: the examples are folded into one that is there. Those of x and y go into the
 * batch axis, of kernel and y into the out features, of x and kernel into the in features; if
 * all three have examples, each is a group of its own. Within an axis that is cut into groups,
 * examples come behind the group. */

typedef struct {
  int32_t axis;  /* of one example, that the examples join */
  int64_t outer; /* groups that the axis is cut into */
} conv_fold;

static conv_fold conv_fold_of(const mica_convolution_attr *a, conv_role role, const bool has[3]) {
  int32_t last = a->stride.count + 1;
  int64_t groups = a->groups * a->batch_groups; /* one of them is 1 */
  if (has[CONV_X] && has[CONV_KERNEL] && has[CONV_Y])
    return a->batch_groups > 1 && role == CONV_X ? (conv_fold){0, 1} : (conv_fold){last, 1};
  if (!has[CONV_KERNEL])
    return role == CONV_X ? (conv_fold){0, a->batch_groups} : (conv_fold){0, 1};
  if (!has[CONV_X]) return (conv_fold){last, groups};
  return role == CONV_X ? (conv_fold){last, a->groups} : (conv_fold){last - 1, 1};
}

/* [.., outer * inner, ..] cut to [.., outer, inner, ..], and where `inner` then is. */
static mica_shape split_features(mica_shape shape, conv_fold fold, int32_t *out_inner) {
  *out_inner = fold.axis;
  if (fold.outer == 1) return shape;
  mica_shape split = mica_shape_insert(shape, fold.axis, fold.outer);
  *out_inner = fold.axis + 1;
  split.dim[fold.axis + 1] /= fold.outer;
  return split;
}

static mica_value fold_examples(mica_value x, conv_fold fold, int64_t size) {
  mica_shape example = mica_shape_remove(mica_shape_of(x), 0);
  int32_t inner;
  if (!mica_has_value(x) || fold.axis >= example.rank) return x;
  mica_value split =
      mica_reshape_if_needed(x, mica_shape_insert(split_features(example, fold, &inner), 0, size));
  example.dim[fold.axis] *= size;
  return mica_reshape_if_needed(mica_move_axis(split, 0, inner), example);
}

static mica_value unfold_examples(mica_value x, conv_fold fold, int64_t size, mica_shape example) {
  int32_t inner;
  mica_shape split = split_features(example, fold, &inner);
  mica_value moved =
      mica_move_axis(mica_reshape_if_needed(x, mica_shape_insert(split, inner, size)), inner, 0);
  return mica_reshape_if_needed(moved, mica_shape_insert(example, 0, size));
}

/* Shape of one example's result. */
static bool conv_result_shape(const mica_rule *rule, const bool *batched, mica_shape *out) {
  const mica_convolution_attr *a = conv_forward(rule);
  if (rule->def != &mica_op_convolution) {
    *out = ((const mica_convolution_backward_attr *)rule->attr)->shape;
    return true;
  }
  mica_shape x = mica_example_shape(rule, batched, 0),
             kernel = mica_example_shape(rule, batched, 1);
  *out = (mica_shape){.rank = x.rank, .dim = {x.dim[0] / a->batch_groups}};
  out->dim[x.rank - 1] = kernel.dim[x.rank - 1];
  bool fits = x.rank == a->stride.count + 2 && kernel.rank == x.rank;
  for (int32_t i = 0; fits && i < a->stride.count; i++) {
    mica_sliding s = conv_axis(a, x, kernel, i);
    fits = mica_sliding_output(&s, &out->dim[i + 1]);
  }
  return fits;
}

static void batch_conv(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out) {
  const conv_role *roles = conv_roles(rule);
  mica_convolution_attr a = *conv_forward(rule);
  mica_shape example;
  if (rule->graph->status != MICA_OK || !conv_result_shape(rule, batched, &example)) return;
  if (size == 0) { /* no examples are no groups */
    out[0] = mica_zeros(rule->graph,
                        (mica_type){mica_dtype_of(rule->in[0]), mica_shape_insert(example, 0, 0)});
    return;
  }
  bool has[3] = {true, true, true};
  for (size_t i = 0; i < 2; i++) has[roles[i]] = batched[i];
  mica_value value[3] = {{0}};
  for (size_t i = 0; i < 2; i++)
    value[roles[i]] = batched[i] ? fold_examples(rule->in[i], conv_fold_of(&a, roles[i], has), size)
                                 : rule->in[i];
  conv_fold fold = conv_fold_of(&a, roles[2], has);
  mica_shape folded = example;
  int64_t *groups = a.batch_groups > 1 ? &a.batch_groups : &a.groups;
  if (!mica_i64_multiply(folded.dim[fold.axis], size, &folded.dim[fold.axis]) ||
      (batched[0] && batched[1] && !mica_i64_multiply(*groups, size, groups))) {
    out[0] = mica_rule_failed(rule, "vmap over %" PRId64 " examples overflows", size);
    return;
  }
  mica_value result = conv_build(rule->graph, roles[2], value[CONV_X], value[CONV_KERNEL],
                                 value[CONV_Y], &a, folded);
  out[0] = unfold_examples(result, fold, size, example);
}

/* ---- expansions ------------------------------------------------------------------------------ */

static bool conv_is_empty(const mica_rule *rule, mica_shape shape) {
  return mica_shape_count(shape) == 0 || mica_shape_count(mica_shape_of(rule->in[0])) == 0 ||
         mica_shape_count(mica_shape_of(rule->in[1])) == 0;
}

/* The lists of a convolution from its axes. */
static void set_conv_axis(mica_convolution_attr *a, int32_t i, const mica_sliding *s) {
  a->stride.at[i] = s->stride;
  a->base_dilation.at[i] = s->base_dilation;
  a->window_dilation.at[i] = s->window_dilation;
  a->low.at[i] = s->low;
  a->high.at[i] = s->high;
}

/* dx = the cotangent, spread by the stride, convolved with the kernel turned around, whose in
 * and out features change places group by group. Batch groups become groups of features and then
 * examples. */
static void expand_backward_data(const mica_rule *rule, mica_value *out) {
  const mica_convolution_backward_attr *back = rule->attr;
  mica_convolution_attr a = back->forward;
  mica_shape x = back->shape, y = mica_shape_of(rule->in[0]), kernel = mica_shape_of(rule->in[1]);
  int32_t spatial = a.stride.count;
  int64_t groups = a.groups * a.batch_groups;
  if (rule->graph->status != MICA_OK) return;
  if (conv_is_empty(rule, x)) {
    out[0] = mica_zeros(rule->graph, (mica_type){mica_dtype_of(rule->in[0]), x});
    return;
  }
  for (int32_t i = 0; i < spatial; i++) {
    mica_sliding s = conv_axis(&a, x, kernel, i), t;
    if (!mica_sliding_transpose(&s, y.dim[i + 1], &t)) {
      out[0] = mica_rule_failed(rule, "sizes of the transposed window overflow");
      return;
    }
    set_conv_axis(&a, i, &t);
  }
  /* [spatial.., in, groups, out] -> [spatial.., out, groups, in] */
  mica_shape split = mica_shape_insert(kernel, spatial + 1, groups);
  split.dim[spatial + 2] /= groups;
  mica_value turned = mica_reshape_if_needed(rule->in[1], split);
  mica_ints exchange = mica_ints_sequence(0, spatial + 3), axes = mica_ints_sequence(0, spatial);
  exchange.at[spatial] = spatial + 2;
  exchange.at[spatial + 2] = spatial;
  int64_t kernel_in = kernel.dim[spatial];
  kernel.dim[spatial] = kernel.dim[spatial + 1] / groups;
  kernel.dim[spatial + 1] = kernel_in * groups;
  turned = mica_reshape_if_needed(mica_transpose_if_needed(turned, &exchange), kernel);
  turned = mica_reverse(turned, mica_axes_from(&axes));
  int64_t batch_groups = a.batch_groups;
  a.groups = groups;
  a.batch_groups = 1;
  mica_value dx =
      mica_emit(rule->graph, MICA_OP_CONVOLUTION, (mica_value[]){rule->in[0], turned}, 2, &a);
  if (batch_groups >
      1) { /* [examples, spatial.., groups, in] -> [groups, examples, spatial.., in] */
    mica_shape parts = mica_shape_insert(mica_shape_of(dx), spatial + 1, batch_groups);
    parts.dim[spatial + 2] /= batch_groups;
    dx = mica_reshape_if_needed(mica_move_axis(mica_reshape_if_needed(dx, parts), spatial + 1, 0),
                                x);
  }
  out[0] = dx;
}

/* dk = x, with examples as in features and in features as examples, convolved with the cotangent
 * as the kernel, whose cells are as far apart as the stride. Groups and batch groups change
 * places. */
static void expand_backward_kernel(const mica_rule *rule, mica_value *out) {
  const mica_convolution_backward_attr *back = rule->attr;
  mica_convolution_attr a = back->forward;
  mica_shape kernel = back->shape, x = mica_shape_of(rule->in[0]), y = mica_shape_of(rule->in[1]);
  int32_t spatial = a.stride.count;
  if (rule->graph->status != MICA_OK) return;
  if (conv_is_empty(rule, kernel)) {
    out[0] = mica_zeros(rule->graph, (mica_type){mica_dtype_of(rule->in[0]), kernel});
    return;
  }
  for (int32_t i = 0; i < spatial; i++) {
    mica_sliding s = conv_axis(&a, x, kernel, i), t;
    if (!mica_sliding_correlate(&s, y.dim[i + 1], &t)) {
      out[0] = mica_rule_failed(rule, "sizes of the transposed window overflow");
      return;
    }
    set_conv_axis(&a, i, &t);
  }
  int64_t groups = a.groups;
  a.groups = a.batch_groups;
  a.batch_groups = groups;
  mica_ints exchange = mica_ints_sequence(0, spatial + 2);
  exchange.at[0] = spatial + 1;
  exchange.at[spatial + 1] = 0;
  mica_value examples = mica_transpose_if_needed(rule->in[0], &exchange);
  mica_value cells = mica_move_axis(rule->in[1], 0, spatial);
  mica_value dk =
      mica_emit(rule->graph, MICA_OP_CONVOLUTION, (mica_value[]){examples, cells}, 2, &a);
  out[0] = mica_move_axis(dk, 0, spatial); /* [in, spatial.., out] -> [spatial.., in, out] */
}

/* ---- definitions ----------------------------------------------------------------------------- */

#define CONV_FIELD(type, path, member, KIND) \
  { .name = #member, .kind = MICA_ATTR_##KIND, .offset = (uint32_t)offsetof(type, path member) }
#define CONV_FIELDS(type, path)                                                           \
  CONV_FIELD(type, path, stride, INTS), CONV_FIELD(type, path, low, INTS),                \
      CONV_FIELD(type, path, high, INTS), CONV_FIELD(type, path, base_dilation, INTS),    \
      CONV_FIELD(type, path, window_dilation, INTS), CONV_FIELD(type, path, groups, I64), \
      CONV_FIELD(type, path, batch_groups, I64)
static const mica_attr_field convolution_fields[] = {CONV_FIELDS(mica_convolution_attr, ),
                                                     MICA_FIELD_END};
static const mica_attr_field convolution_backward_fields[] = {
    CONV_FIELDS(mica_convolution_backward_attr, forward.),
    MICA_FIELD(mica_convolution_backward_attr, shape, SHAPE), MICA_FIELD_END};
#undef CONV_FIELD
#undef CONV_FIELDS

const mica_op_def mica_op_convolution = {
    .name = "convolution",
    .kind = MICA_KIND_LINEAR,
    .dtypes = MICA_CLASS_NUMBER,
    .arity = 2,
    .results = 1,
    .linear_operands = 3,
    .attr_size = sizeof(mica_convolution_attr),
    .fields = convolution_fields,
    .formula =
        "x [batch, spatial..., in], kernel [spatial..., in / groups, out] -> [batch, spatial..., "
        "out]",
    .infer = infer_convolution,
    .transpose = transpose_conv,
    .batch = batch_conv,
};
const mica_op_def mica_op_convolution_backward_data = {
    .name = "convolution_backward_data",
    .kind = MICA_KIND_LINEAR,
    .dtypes = MICA_CLASS_NUMBER,
    .arity = 2,
    .results = 1,
    .linear_operands = 3,
    .attr_size = sizeof(mica_convolution_backward_attr),
    .fields = convolution_backward_fields,
    .formula =
        "dy [batch, spatial..., out], kernel [spatial..., in / groups, out] -> dx [batch, "
        "spatial..., in]: "
        "a convolution transposed by x",
    .infer = infer_convolution_backward_data,
    .transpose = transpose_conv,
    .batch = batch_conv,
    .expand = expand_backward_data,
};
const mica_op_def mica_op_convolution_backward_kernel = {
    .name = "convolution_backward_kernel",
    .kind = MICA_KIND_LINEAR,
    .dtypes = MICA_CLASS_NUMBER,
    .arity = 2,
    .results = 1,
    .linear_operands = 3,
    .attr_size = sizeof(mica_convolution_backward_attr),
    .fields = convolution_backward_fields,
    .formula =
        "x [batch, spatial..., in], dy [batch, spatial..., out] -> dk [spatial..., in / groups, "
        "out]: "
        "a convolution transposed by the kernel",
    .infer = infer_convolution_backward_kernel,
    .transpose = transpose_conv,
    .batch = batch_conv,
    .expand = expand_backward_kernel,
};

/* ---- builder --------------------------------------------------------------------------------- */

/* Lists of the argument struct for `spatial` axes; false when the graph failed. */
static bool conv_lists(const mica_conv_args *a, const mica_value *in, int32_t spatial,
                       mica_convolution_attr *attr) {
  mica_graph *graph = mica_graph_of(in, 2);
  const struct {
    const char *name;
    const int32_t *given;
    int32_t missing;
    mica_ints *out;
  } lists[] = {{"stride", a->stride, 1, &attr->stride},
               {"dilation", a->dilation, 1, &attr->window_dilation},
               {"input_dilation", a->input_dilation, 1, &attr->base_dilation},
               {"low", a->low, 0, &attr->low},
               {"high", a->high, 0, &attr->high}};
  for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
    bool padding = lists[i].missing == 0;
    lists[i].out->count = spatial;
    for (int32_t k = 0; k < 3; k++) {
      int32_t given = lists[i].given[k];
      const char *problem = NULL;
      if (given && k >= spatial)
        problem = "x has no such spatial axis, expected 0";
      else if (given && padding && a->padding != MICA_EXPLICIT)
        problem = "expected .padding = MICA_EXPLICIT with it";
      else if (given < 0 && !padding)
        problem = "expected at least 1 (or 0 for the default)";
      if (problem) {
        mica_fail_operator(graph, "conv", in, 2, "%s[%" PRId32 "] is %" PRId32 ": %s",
                           lists[i].name, k, given, problem);
        return false;
      }
      if (k < spatial) lists[i].out->at[k] = given ? given : lists[i].missing;
    }
  }
  return true;
}

/* Turns x and kernel, where they have channels first. */
static bool turn_channels(const char *op, mica_conv_args *a) {
  mica_value in[2] = {a->x, a->kernel};
  if (!mica_operands_usable(op, in, 2)) return false;
  if (!a->channels_first) return true;
  int32_t rank = mica_rank_of(a->x);
  if (rank < 3 || mica_rank_of(a->kernel) != rank) {
    mica_fail_operator(a->x.graph, op, in, 2,
                       "expected x [batch, in, spatial...] and kernel [out, in / groups, "
                       "spatial...] with 1 to 3 spatial axes");
    return false;
  }
  a->x = mica_move_axis(a->x, 1, -1);
  mica_axes order = {.count = rank};
  for (int32_t i = 0; i < rank - 2; i++) order.axis[i] = i + 2;
  order.axis[rank - 2] = 1;
  order.axis[rank - 1] = 0;
  a->kernel = mica_transpose(a->kernel, order);
  return true;
}

mica_value mica_conv_with(const mica_conv_args *args) {
  mica_conv_args a;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  MICA_ENTRY_OF(a.x, a.kernel);
  mica_graph *graph = mica_graph_of((mica_value[]){a.x, a.kernel}, 2);
  if (!turn_channels("conv", &a)) return mica_no_value(graph);
  mica_value in[2] = {a.x, a.kernel};
  mica_shape x = mica_shape_of(a.x), kernel = mica_shape_of(a.kernel);
  int32_t spatial = x.rank - 2;
  if (spatial < 1 || spatial > 3 || kernel.rank != x.rank)
    return mica_fail_operator(
        graph, "conv", in, 2,
        "expected x [batch, spatial..., in] and kernel [spatial..., in / groups, "
        "out] with 1 to 3 spatial axes");
  if (a.padding == MICA_DEFAULT_PADDING) a.padding = MICA_SAME;
  if (a.padding != MICA_SAME && a.padding != MICA_VALID && a.padding != MICA_EXPLICIT)
    return mica_fail_operator(
        graph, "conv", in, 2,
        "padding %d is unknown: expected MICA_SAME, MICA_VALID or MICA_EXPLICIT", (int)a.padding);
  mica_convolution_attr attr = {.groups = a.groups ? a.groups : 1,
                                .batch_groups = a.batch_groups ? a.batch_groups : 1};
  if (!conv_lists(&a, in, spatial, &attr)) return mica_no_value(graph);
  for (int32_t i = 0; a.padding == MICA_SAME && i < spatial; i++) {
    mica_sliding s = conv_axis(&attr, x, kernel, i);
    if (!mica_sliding_pad_same(&s)) continue; /* inference says what overflows */
    attr.low.at[i] = s.low;
    attr.high.at[i] = s.high;
  }
  mica_value y = mica_emit(graph, MICA_OP_CONVOLUTION, in, 2, &attr);
  return a.channels_first ? mica_move_axis(y, -1, 1) : y;
}
