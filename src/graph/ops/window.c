/* SPDX-License-Identifier: Apache-2.0 */
/* window.c: sliding windows that are folded, and the two operators through which maxima pass
 * derivatives.
 *
 * Derivatives. A sum of windows transposes to a sum of windows with stride and base dilation
 * exchanged. A maximum's cotangents go to the selected cells (select_and_scatter), its tangents
 * come from them (select_and_gather); those two are linear in their second operand and each
 * other's transpose. A product is differentiated as a product along an axis of patches. */
#include <inttypes.h>

#include "graph/ops/rules.h"
#include "graph/ops/sliding.h"
#include "graph/ops/windows.h"

static const char *const window_kinds[] = {"sum", "prod", "max", "min", NULL};

static mica_sliding window_axis(const mica_window_attr *a, mica_shape x, int32_t axis) {
  return (mica_sliding){x.dim[axis],
                        a->window.at[axis],
                        a->stride.at[axis],
                        a->base_dilation.at[axis],
                        a->window_dilation.at[axis],
                        a->low.at[axis],
                        a->high.at[axis]};
}

/* ---- inference ------------------------------------------------------------------------------- */

static bool infer_positive(mica_infer *infer, const char *name, const mica_ints *list,
                           int32_t rank) {
  if (!mica_infer_list(infer, name, list, rank)) return false;
  for (int32_t axis = 0; axis < rank; axis++)
    if (list->at[axis] < 1)
      return mica_infer_fail(infer, "%s is %" PRId64 " along axis %" PRId32 ": expected at least 1",
                             name, list->at[axis], axis);
  return true;
}

/* The shape of the windows over operand 0, with one of the kinds [least, most]. */
static bool infer_windows(mica_infer *infer, int32_t least, int32_t most, mica_shape *out) {
  const mica_window_attr *a = infer->attr;
  mica_shape x = infer->in[0].shape;
  if (a->kind < least || a->kind > most)
    return mica_infer_fail(infer, "kind %" PRId32 ": expected %s to %s", a->kind,
                           window_kinds[least], window_kinds[most]);
  if (!mica_infer_class(infer, 0, a->kind <= MICA_REDUCE_PROD ? MICA_CLASS_NUMBER : MICA_CLASS_REAL,
                        window_kinds[a->kind]) ||
      !infer_positive(infer, "window", &a->window, x.rank) ||
      !infer_positive(infer, "stride", &a->stride, x.rank) ||
      !infer_positive(infer, "base_dilation", &a->base_dilation, x.rank) ||
      !infer_positive(infer, "window_dilation", &a->window_dilation, x.rank) ||
      !mica_infer_list(infer, "low", &a->low, x.rank) ||
      !mica_infer_list(infer, "high", &a->high, x.rank))
    return false;
  *out = (mica_shape){.rank = x.rank};
  for (int32_t axis = 0; axis < x.rank; axis++) {
    mica_sliding s = window_axis(a, x, axis);
    if (!mica_sliding_output(&s, &out->dim[axis]))
      return mica_infer_fail(
          infer, "the window along axis %" PRId32 " reaches too far: sizes overflow", axis);
  }
  return true;
}

static bool infer_reduce_window(mica_infer *infer) {
  mica_type out = {.dtype = infer->in[0].dtype};
  return infer_windows(infer, MICA_REDUCE_SUM, MICA_REDUCE_MIN, &out.shape) &&
         mica_infer_one(infer, out);
}

static bool infer_select_and_scatter(mica_infer *infer) {
  mica_shape windows;
  if (!mica_infer_equal_dtypes(infer, 0) ||
      !infer_windows(infer, MICA_REDUCE_MAX, MICA_REDUCE_MIN, &windows))
    return false;
  char text[MICA_SHAPE_TEXT];
  if (!mica_shape_equal(infer->in[1].shape, windows))
    return mica_infer_fail(infer,
                           "operand 1 does not have one element for each window: expected shape %s",
                           mica_shape_text(windows, text));
  return mica_infer_one(infer, infer->in[0]);
}

static bool infer_select_and_gather(mica_infer *infer) {
  mica_type out = {.dtype = infer->in[0].dtype};
  return mica_infer_equal_types(infer, 0) &&
         infer_windows(infer, MICA_REDUCE_MAX, MICA_REDUCE_MIN, &out.shape) &&
         mica_infer_one(infer, out);
}

/* ---- rules ----------------------------------------------------------------------------------- */

/* The same windows with a window of one cell along a new axis 0. */
static mica_window_attr window_of_examples(const mica_window_attr *a) {
  return (mica_window_attr){.kind = a->kind,
                            .window = mica_ints_prepend(1, &a->window, 0),
                            .stride = mica_ints_prepend(1, &a->stride, 0),
                            .base_dilation = mica_ints_prepend(1, &a->base_dilation, 0),
                            .window_dilation = mica_ints_prepend(1, &a->window_dilation, 0),
                            .low = mica_ints_prepend(0, &a->low, 0),
                            .high = mica_ints_prepend(0, &a->high, 0)};
}

static void batch_window(const mica_rule *rule, const bool *batched, int64_t size,
                         mica_value *out) {
  const mica_window_attr *a = rule->attr;
  if (!mica_batch_fits(rule, a->window.count, out)) return;
  mica_window_attr attr = window_of_examples(a);
  mica_value in[2] = {{0}};
  for (size_t i = 0; i < rule->in_count && i < 2; i++)
    in[i] = mica_batched(rule->in[i], batched[i], size);
  out[0] = mica_emit(rule->graph, mica_op_find(rule->def->name), in, rule->in_count, &attr);
}

/* SUM: each cell of x gets the cotangents of all windows that hold it. */
static mica_value window_sum_transposed(const mica_rule *rule, mica_value ct) {
  const mica_window_attr *a = rule->attr;
  mica_shape x = mica_shape_of(rule->in[0]), windows = mica_shape_of(ct);
  if (mica_shape_count(x) == 0 || mica_shape_count(windows) == 0) return mica_no_value(rule->graph);
  mica_window_attr back = *a;
  for (int32_t axis = 0; axis < x.rank; axis++) {
    mica_sliding s = window_axis(a, x, axis), t;
    if (!mica_sliding_transpose(&s, windows.dim[axis], &t))
      return mica_rule_failed(rule,
                              "cannot be differentiated: sizes of the transposed window overflow");
    back.stride.at[axis] = t.stride;
    back.base_dilation.at[axis] = t.base_dilation;
    back.low.at[axis] = t.low;
    back.high.at[axis] = t.high;
  }
  return mica_emit(rule->graph, MICA_OP_REDUCE_WINDOW, &ct, 1, &back);
}

/* Positions in the padded axis of each window's cells: [window, output]. */
static mica_value window_positions(mica_graph *graph, const mica_sliding *s, int64_t output,
                                   int64_t padded) {
  mica_type type = {padded <= INT32_MAX ? MICA_I32 : MICA_I64,
                    {.rank = 2, .dim = {s->window, output}}};
  /* A step that is never made may be larger than the dtype. */
  double cell_step = s->window > 1 ? (double)s->window_dilation : 1,
         step = output > 1 ? (double)s->stride : 1;
  return mica_add(mica_mul_number(mica_iota(graph, type, 0), cell_step),
                  mica_mul_number(mica_iota(graph, type, 1), step));
}

/* Axis by axis: with [p, before, n, after] the axis of n cells becomes [window, output], and
 * `window` joins p. */
mica_value mica_window_patches(const char *op, const mica_window_attr *a, mica_value x,
                               mica_value filling, mica_shape windows) {
  mica_graph *graph = x.graph;
  mica_shape shape = mica_shape_of(x);
  mica_ints interior = a->base_dilation;
  for (int32_t axis = 0; axis < shape.rank; axis++) interior.at[axis]--;
  mica_value y = mica_pad(x, filling, a->low.at, a->high.at, interior.at);
  mica_shape padded = mica_shape_of(y);
  int64_t cells = 1;
  for (int32_t axis = 0; axis < shape.rank && graph->status == MICA_OK; axis++) {
    mica_sliding s = window_axis(a, shape, axis);
    if (s.window == 1 && s.stride == 1) continue;
    mica_shape parts = {.rank = 4, .dim = {cells, 1, padded.dim[axis], 1}};
    for (int32_t i = 0; i < axis; i++) parts.dim[1] *= padded.dim[i];
    for (int32_t i = axis + 1; i < shape.rank; i++) parts.dim[3] *= padded.dim[i];
    y = mica_take(mica_reshape_if_needed(y, parts),
                  window_positions(graph, &s, windows.dim[axis], padded.dim[axis]), 2);
    y = mica_move_axis(y, 2, 1); /* [p, window, before, output, after] */
    padded.dim[axis] = windows.dim[axis];
    int64_t count = mica_shape_count(padded);
    if (count < 0 || !mica_i64_multiply(cells, s.window, &cells) ||
        !mica_i64_multiply(cells, count, &(int64_t){0}))
      return mica_fail_operator(graph, op, &x, 1, "the patches of its windows are too large");
    y = mica_reshape_if_needed(y, (mica_shape){.rank = 2, .dim = {cells, count}});
  }
  return mica_reshape_if_needed(y,
                                (mica_shape){.rank = 2, .dim = {cells, mica_shape_count(windows)}});
}

bool mica_window_sizes(const char *op, mica_value x, const mica_window_attr *attr,
                       mica_shape *out) {
  mica_shape shape = mica_shape_of(x);
  *out = (mica_shape){.rank = shape.rank};
  for (int32_t axis = 0; axis < shape.rank; axis++) {
    mica_sliding s = window_axis(attr, shape, axis);
    if (mica_sliding_output(&s, &out->dim[axis])) continue;
    mica_fail_operator(x.graph, op, &x, 1,
                       "the window along axis %" PRId32 " reaches too far: sizes overflow", axis);
    return false;
  }
  return true;
}

/* PROD as operators with right derivatives; *out_floor is where they begin, *out_x the operand
 * they use. */
static mica_value window_product(const mica_rule *rule, uint32_t *out_floor, mica_value *out_x) {
  mica_graph *graph = rule->graph;
  mica_shape windows = mica_shape_of(rule->out[0]);
  *out_x = mica_value_of(graph, mica_resolve(graph, rule->in[0]));
  *out_floor = graph->count;
  mica_value one = mica_scalar(graph, mica_dtype_of(*out_x), 1);
  mica_value patches = mica_window_patches("reduce_window", rule->attr, *out_x, one, windows);
  mica_value product = mica_reduce_prod(patches, (mica_axes){1, {0}, false});
  return mica_reshape_if_needed(product, windows);
}

static void jvp_reduce_window(const mica_rule *rule, const mica_value *tangents,
                              mica_value *out_tangents) {
  const mica_window_attr *a = rule->attr;
  mica_value t = tangents[0], x;
  if (!mica_has_value(t)) return;
  switch ((mica_reduce_kind)a->kind) {
    case MICA_REDUCE_SUM:
      out_tangents[0] = mica_emit(rule->graph, MICA_OP_REDUCE_WINDOW, &t, 1, a);
      return;
    case MICA_REDUCE_PROD: {
      uint32_t floor;
      if (mica_shape_count(mica_shape_of(rule->out[0])) == 0 ||
          mica_shape_count(mica_shape_of(rule->in[0])) == 0)
        return;
      mica_value y = window_product(rule, &floor, &x);
      if (mica_has_value(y)) mica_forward_mode(rule->graph, floor, &y, 1, &x, &t, 1, out_tangents);
      return;
    }
    default:
      out_tangents[0] =
          mica_emit(rule->graph, MICA_OP_SELECT_AND_GATHER, (mica_value[]){rule->in[0], t}, 2, a);
      return;
  }
}

static void vjp_reduce_window(const mica_rule *rule, const mica_value *cotangents,
                              mica_value *in_cotangents) {
  const mica_window_attr *a = rule->attr;
  mica_value ct = cotangents[0], x;
  switch ((mica_reduce_kind)a->kind) {
    case MICA_REDUCE_SUM: in_cotangents[0] = window_sum_transposed(rule, ct); return;
    case MICA_REDUCE_PROD: {
      uint32_t floor;
      if (mica_shape_count(mica_shape_of(ct)) == 0 ||
          mica_shape_count(mica_shape_of(rule->in[0])) == 0)
        return;
      mica_value y = window_product(rule, &floor, &x);
      if (mica_has_value(y))
        mica_reverse_mode(rule->graph, floor, &y, &ct, 1, &x, 1, in_cotangents);
      return;
    }
    default:
      in_cotangents[0] =
          mica_emit(rule->graph, MICA_OP_SELECT_AND_SCATTER, (mica_value[]){rule->in[0], ct}, 2, a);
      return;
  }
}

static mica_value transpose_select_and_scatter(const mica_rule *rule, size_t operand,
                                               const mica_value *cotangents) {
  (void)operand;
  return mica_emit(rule->graph, MICA_OP_SELECT_AND_GATHER,
                   (mica_value[]){rule->in[0], cotangents[0]}, 2, rule->attr);
}
static mica_value transpose_select_and_gather(const mica_rule *rule, size_t operand,
                                              const mica_value *cotangents) {
  (void)operand;
  return mica_emit(rule->graph, MICA_OP_SELECT_AND_SCATTER,
                   (mica_value[]){rule->in[0], cotangents[0]}, 2, rule->attr);
}

/* ---- definitions ----------------------------------------------------------------------------- */

static const mica_attr_field window_fields[] = {
    MICA_FIELD_ENUM(mica_window_attr, kind, window_kinds),
    MICA_FIELD(mica_window_attr, window, INTS),
    MICA_FIELD(mica_window_attr, stride, INTS),
    MICA_FIELD(mica_window_attr, base_dilation, INTS),
    MICA_FIELD(mica_window_attr, window_dilation, INTS),
    MICA_FIELD(mica_window_attr, low, INTS),
    MICA_FIELD(mica_window_attr, high, INTS),
    MICA_FIELD_END};
const mica_op_def mica_op_reduce_window = {
    .name = "reduce_window",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_NUMBER,
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_window_attr),
    .fields = window_fields,
    .formula =
        "x [a...] -> [windows...]: each window folded; padding and holes are the neutral element",
    .infer = infer_reduce_window,
    .jvp = jvp_reduce_window,
    .vjp = vjp_reduce_window,
    .batch = batch_window,
};
const mica_op_def mica_op_select_and_scatter = {
    .name = "select_and_scatter",
    .kind = MICA_KIND_LINEAR,
    .dtypes = MICA_CLASS_REAL,
    .arity = 2,
    .results = 1,
    .linear_operands = 2,
    .attr_size = sizeof(mica_window_attr),
    .fields = window_fields,
    .formula =
        "x [a...], source [windows...] -> [a...]: source added where x is extreme in the window: "
        "the first NaN, "
        "else the first extreme, never padding",
    .infer = infer_select_and_scatter,
    .transpose = transpose_select_and_scatter,
    .batch = batch_window,
};
const mica_op_def mica_op_select_and_gather = {
    .name = "select_and_gather",
    .kind = MICA_KIND_LINEAR,
    .dtypes = MICA_CLASS_REAL,
    .arity = 2,
    .results = 1,
    .linear_operands = 2,
    .attr_size = sizeof(mica_window_attr),
    .fields = window_fields,
    .formula =
        "x [a...], t [a...] -> [windows...]: t where x is extreme in the window, as "
        "select_and_scatter picks it; "
        "0 for a window of padding",
    .infer = infer_select_and_gather,
    .transpose = transpose_select_and_gather,
    .batch = batch_window,
};

/* ---- builders -------------------------------------------------------------------------------- */

/* A list of an argument struct: `rank` entries, 0 standing for `missing`, and nothing behind
 * them. */
static bool window_list(const char *op, mica_value x, const char *name, const int64_t given[8],
                        int64_t missing, mica_ints *out) {
  *out = (mica_ints){.count = mica_rank_of(x)};
  for (int32_t i = 0; i < MICA_MAX_RANK; i++) {
    if (i < out->count) {
      out->at[i] = given[i] ? given[i] : missing;
    } else if (given[i]) {
      mica_fail_operator(x.graph, op, &x, 1,
                         "%s has an entry for axis %" PRId32 ": expected %" PRId32
                         " entries, one for each axis",
                         name, i, out->count);
      return false;
    }
  }
  return true;
}

static bool read_window_lists(const char *op, mica_value x, const int64_t window[8],
                              const int64_t stride[8], const int64_t base_dilation[8],
                              const int64_t window_dilation[8], const int64_t low[8],
                              const int64_t high[8], mica_window_attr *out) {
  return window_list(op, x, "window", window, 1, &out->window) &&
         window_list(op, x, "stride", stride, 1, &out->stride) &&
         window_list(op, x, "base_dilation", base_dilation, 1, &out->base_dilation) &&
         window_list(op, x, "window_dilation", window_dilation, 1, &out->window_dilation) &&
         window_list(op, x, "low", low, 0, &out->low) &&
         window_list(op, x, "high", high, 0, &out->high);
}

bool mica_window_lists(const char *op, mica_value x, const int64_t window[8],
                       const int64_t stride[8], const int64_t base_dilation[8],
                       const int64_t window_dilation[8], const int64_t low[8],
                       const int64_t high[8], mica_window_attr *out) {
  if (!read_window_lists(op, x, window, stride, base_dilation, window_dilation, low, high, out))
    return false;
  const mica_ints *positive[4] = {&out->window, &out->stride, &out->base_dilation,
                                  &out->window_dilation};
  for (int i = 0; i < 4; i++)
    for (int32_t axis = 0; axis < positive[i]->count; axis++)
      if (positive[i]->at[axis] < 1) {
        mica_fail_operator(x.graph, op, &x, 1,
                           "a window, step or dilation is %" PRId64 " along axis %" PRId32
                           ": expected at least 1",
                           positive[i]->at[axis], axis);
        return false;
      }
  return true;
}

mica_value mica_reduce_window_with(const mica_reduce_window_args *args) {
  mica_reduce_window_args a;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  MICA_ENTRY(a.x.graph);
  mica_window_attr attr = {.kind = (int32_t)a.kind}; /* both lists of kinds begin alike */
  if (!mica_operands_usable("reduce_window", &a.x, 1) ||
      !read_window_lists("reduce_window", a.x, a.window, a.stride, a.base_dilation,
                         a.window_dilation, a.low, a.high, &attr))
    return mica_no_value(a.x.graph);
  return mica_emit(a.x.graph, MICA_OP_REDUCE_WINDOW, &a.x, 1, &attr);
}
