/* SPDX-License-Identifier: Apache-2.0 */
/* sort.c: lines in order, their best elements, and places in ordered lines.
 *
 * A sort moves elements, so its derivatives are gathers. The rule sorts the places along with the
 * operands; that node takes the position of the plain one (superseded_by), so nothing is sorted
 * twice. */
#include <inttypes.h>

#include "graph/ops/along.h"

/* ---- sort ------------------------------------------------------------------------------------ */

static bool infer_key(mica_infer *infer, size_t i) {
  const char *expected = "";
  mica_dtype dtype = infer->in[i].dtype;
  if (dtype == MICA_BOOL || mica_class_accepts(MICA_CLASS_REAL, dtype, &expected)) return true;
  return mica_infer_fail(infer, "key %zu has dtype %s: expected bool, %s", i,
                         mica_dtype_name(dtype), expected);
}

static bool infer_sort(mica_infer *infer) {
  mica_sort_attr *a = infer->attr;
  if (a->keys < 1 || a->keys > (int64_t)infer->in_count)
    return mica_infer_fail(infer, "%" PRId64 " keys: expected 1 to %zu, the operands", a->keys,
                           infer->in_count);
  for (size_t i = 0; i < (size_t)a->keys; i++)
    if (!infer_key(infer, i)) return false;
  for (size_t i = 0; i < infer->in_count; i++) {
    if (!mica_shape_equal(infer->in[i].shape, infer->in[0].shape))
      return mica_infer_fail(infer, "operands 0 and %zu have different shapes: expected equal ones",
                             i);
    infer->out[i] = infer->in[i];
  }
  infer->out_count = infer->in_count;
  return mica_infer_axis(infer, &a->axis, infer->in[0].shape.rank);
}

/* Whether a value counts the places along the axis, in a dtype that holds them and indexes. */
static bool is_places(mica_value value, int64_t axis) {
  const mica_node *node = &value.graph->nodes[value.id];
  mica_dtype dtype = node->type.dtype;
  return node->op == MICA_OP_IOTA && ((const mica_iota_attr *)node->attr)->axis == axis &&
         (dtype == MICA_I64 || (dtype == MICA_I32 && node->type.shape.dim[axis] <= INT32_MAX));
}

/* Where each element of the result comes from. */
static mica_value sorted_places(const mica_rule *rule) {
  mica_graph *graph = rule->graph;
  const mica_sort_attr *a = rule->attr;
  size_t count = rule->in_count;
  if (is_places(rule->in[count - 1], a->axis)) return rule->out[count - 1];
  uint32_t better = graph->nodes[rule->id].superseded_by;
  if (better) return mica_value_of(graph, better + (uint32_t)count);
  mica_value *in = mica_arena_allocate(&graph->arena, 2 * (count + 1) * sizeof *in);
  if (!in) return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  mica_value *out = in + count + 1;
  for (size_t i = 0; i < count; i++) in[i] = rule->in[i];
  in[count] = mica_places_along(rule->in[0], a->axis);
  mica_emit_results(graph, MICA_OP_SORT, in, count + 1, a, out, count + 1);
  if (graph->status == MICA_OK && graph->current == graph->nodes[rule->id].region)
    graph->nodes[rule->id].superseded_by = out[0].id;
  return out[count];
}

static void jvp_sort(const mica_rule *rule, const mica_value *tangents, mica_value *out_tangents) {
  const mica_sort_attr *a = rule->attr;
  mica_value places = sorted_places(rule);
  for (size_t i = 0; i < rule->in_count; i++)
    if (mica_has_value(tangents[i]))
      out_tangents[i] = mica_take_along_axis(tangents[i], places, (int32_t)a->axis);
}

static void vjp_sort(const mica_rule *rule, const mica_value *cotangents,
                     mica_value *in_cotangents) {
  const mica_sort_attr *a = rule->attr;
  mica_value places = sorted_places(rule);
  for (size_t i = 0; i < rule->in_count; i++)
    if (mica_has_value(cotangents[i]) && mica_shape_count(mica_shape_of(cotangents[i])) > 0)
      in_cotangents[i] =
          mica_add_along(rule->graph, mica_type_of(cotangents[i]), places, cotangents[i], a->axis);
}

static void batch_sort(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out) {
  mica_graph *graph = rule->graph;
  mica_sort_attr attr = *(const mica_sort_attr *)rule->attr;
  mica_value *in = mica_arena_allocate(&graph->arena, (rule->in_count + 1) * sizeof *in);
  if (!in) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return;
  }
  for (size_t i = 0; i < rule->in_count; i++) in[i] = mica_batched(rule->in[i], batched[i], size);
  attr.axis++;
  mica_emit_results(graph, MICA_OP_SORT, in, rule->in_count, &attr, out, rule->in_count);
}

static const mica_attr_field sort_fields[] = {
    MICA_FIELD(mica_sort_attr, axis, I64), MICA_FIELD(mica_sort_attr, keys, I64),
    MICA_FIELD(mica_sort_attr, descending, BOOL), MICA_FIELD_END};
const mica_op_def mica_op_sort = {
    .name = "sort",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_ORDERED, /* of keys; what moves along: any */
    .arity = -1,
    .results = -1,
    .attr_size = sizeof(mica_sort_attr),
    .fields = sort_fields,
    .formula =
        "in... [a...] -> the same, moved together along `axis` so that the first `keys` are "
        "in order; stable, NaN above all numbers",
    .infer = infer_sort,
    .jvp = jvp_sort,
    .vjp = vjp_sort,
    .batch = batch_sort,
};

/* ---- top_k ----------------------------------------------------------------------------------- */

static bool infer_top_k(mica_infer *infer) {
  mica_top_k_attr *a = infer->attr;
  mica_type x = infer->in[0];
  if (!mica_infer_axis(infer, &a->axis, x.shape.rank)) return false;
  int64_t size = x.shape.dim[a->axis];
  if (a->k < 0 || a->k > size)
    return mica_infer_fail(infer,
                           "k is %" PRId64 ": expected 0 to %" PRId64 ", the size of axis %" PRId64,
                           a->k, size, a->axis);
  x.shape.dim[a->axis] = a->k;
  infer->out[0] = x;
  infer->out[1] = (mica_type){size > INT32_MAX ? MICA_I64 : MICA_I32, x.shape};
  infer->out_count = 2;
  return true;
}

static void jvp_top_k(const mica_rule *rule, const mica_value *tangents, mica_value *out_tangents) {
  const mica_top_k_attr *a = rule->attr;
  if (mica_has_value(tangents[0]))
    out_tangents[0] = mica_take_along_axis(tangents[0], rule->out[1], (int32_t)a->axis);
}

static void vjp_top_k(const mica_rule *rule, const mica_value *cotangents,
                      mica_value *in_cotangents) {
  const mica_top_k_attr *a = rule->attr;
  if (mica_has_value(cotangents[0]) && mica_shape_count(mica_shape_of(cotangents[0])) > 0)
    in_cotangents[0] = mica_add_along(rule->graph, mica_type_of(rule->in[0]), rule->out[1],
                                      cotangents[0], a->axis);
}

static void batch_top_k(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out) {
  (void)batched, (void)size;
  mica_top_k_attr attr = *(const mica_top_k_attr *)rule->attr;
  attr.axis++;
  mica_emit_results(rule->graph, MICA_OP_TOP_K, rule->in, 1, &attr, out, 2);
}

static const mica_attr_field top_k_fields[] = {
    MICA_FIELD(mica_top_k_attr, axis, I64), MICA_FIELD(mica_top_k_attr, k, I64),
    MICA_FIELD(mica_top_k_attr, smallest, BOOL), MICA_FIELD_END};
const mica_op_def mica_op_top_k = {
    .name = "top_k",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_ORDERED,
    .arity = 1,
    .results = 2,
    .attr_size = sizeof(mica_top_k_attr),
    .fields = top_k_fields,
    .formula =
        "x [a..., n, b...] -> values, places [a..., k, b...]: the k largest along `axis`, "
        "best first, ties lowest place first",
    .infer = infer_top_k,
    .jvp = jvp_top_k,
    .vjp = vjp_top_k,
    .batch = batch_top_k,
};

/* ---- search_sorted --------------------------------------------------------------------------- */

static bool infer_search_sorted(mica_infer *infer) {
  mica_shape sorted = infer->in[0].shape, values = infer->in[1].shape;
  if (!mica_infer_equal_dtypes(infer, 0)) return false;
  if (sorted.rank < 1)
    return mica_infer_fail(infer, "operand 0 is a scalar: expected the sorted elements [b..., n]");
  bool fits = values.rank >= sorted.rank - 1;
  for (int32_t axis = 0; fits && axis + 1 < sorted.rank; axis++)
    fits = values.dim[axis] == sorted.dim[axis];
  if (!fits)
    return mica_infer_fail(
        infer, "the shapes do not fit: expected sorted [b..., n] and values [b..., m...]");
  return mica_infer_one(
      infer, (mica_type){sorted.dim[sorted.rank - 1] > INT32_MAX ? MICA_I64 : MICA_I32, values});
}

/* One sorted line for all examples stays one: they are so many more values. */
static void batch_search_sorted(const mica_rule *rule, const bool *batched, int64_t size,
                                mica_value *out) {
  mica_value sorted = rule->in[0], values = mica_batched(rule->in[1], batched[1], size);
  if (batched[0] || mica_rank_of(sorted) > 1) sorted = mica_batched(sorted, batched[0], size);
  out[0] =
      mica_emit(rule->graph, MICA_OP_SEARCH_SORTED, (mica_value[]){sorted, values}, 2, rule->attr);
}

static const mica_attr_field search_sorted_fields[] = {
    MICA_FIELD(mica_search_sorted_attr, right, BOOL), MICA_FIELD_END};
const mica_op_def mica_op_search_sorted = {
    .name = "search_sorted",
    .kind = MICA_KIND_CONSTANT,
    .dtypes = MICA_CLASS_ORDERED,
    .arity = 2,
    .results = 1,
    .attr_size = sizeof(mica_search_sorted_attr),
    .fields = search_sorted_fields,
    .formula =
        "sorted [b..., n], values [b..., m...] -> [b..., m...]: how many elements are less "
        "(right: less or equal)",
    .infer = infer_search_sorted,
    .batch = batch_search_sorted,
};

/* ---- builders -------------------------------------------------------------------------------- */

static void build_sort(const char *op, const mica_value *in, size_t count, size_t keys,
                       int32_t axis, bool descending, mica_value *out) {
  mica_graph *graph = mica_graph_of(in, count);
  mica_results_clear(graph, op, in, count, out, count);
  mica_sort_attr attr = {.keys = keys > INT32_MAX ? 0 : (int64_t)keys, .descending = descending};
  if (!mica_operands_usable(op, in, count)) return;
  if (count < 1) return;
  if (mica_builder_axis(op, in[0], axis, &attr.axis))
    mica_emit_results(graph, MICA_OP_SORT, in, count, &attr, out, count);
}

mica_value mica_sort(mica_value x, int32_t axis, bool descending) {
  MICA_ENTRY(x.graph);
  mica_value out;
  build_sort("sort", &x, 1, 1, axis, descending, &out);
  return out;
}

void mica_sort_together(const mica_value *in, size_t count, size_t keys, int32_t axis,
                        bool descending, mica_value *out) {
  MICA_ENTRY(mica_graph_of(in, count));
  build_sort("sort_together", in, count, keys, axis, descending, out);
}

mica_value mica_arg_sort(mica_value x, int32_t axis, bool descending) {
  MICA_ENTRY(x.graph);
  int64_t along;
  if (!mica_operands_usable("arg_sort", &x, 1) || !mica_builder_axis("arg_sort", x, axis, &along))
    return mica_no_value(x.graph);
  mica_value in[2] = {mica_stop_gradient(x), mica_places_along(x, along)}, out[2];
  build_sort("arg_sort", in, 2, 1, (int32_t)along, descending, out);
  return out[1];
}

void mica_top_k(mica_value x, int64_t k, int32_t axis, bool smallest, mica_value *out_values,
                mica_value *out_places) {
  MICA_ENTRY(x.graph);
  mica_value out[2] = {mica_no_value(x.graph), mica_no_value(x.graph)};
  mica_top_k_attr attr = {.k = k, .smallest = smallest};
  if (mica_operands_usable("top_k", &x, 1) && mica_builder_axis("top_k", x, axis, &attr.axis))
    mica_emit_results(x.graph, MICA_OP_TOP_K, &x, 1, &attr, out, 2);
  if (out_values) *out_values = out[0];
  if (out_places) *out_places = out[1];
}

mica_value mica_search_sorted(mica_value sorted, mica_value values, bool right) {
  MICA_ENTRY_OF(sorted, values);
  mica_value in[2] = {sorted, values};
  mica_search_sorted_attr attr = {.right = right};
  if (!mica_operands_usable("search_sorted", in, 2)) return mica_no_value(mica_graph_of(in, 2));
  return mica_emit(sorted.graph, MICA_OP_SEARCH_SORTED, in, 2, &attr);
}

mica_value mica_top_k_mask(mica_value x, int64_t k, int32_t axis, bool smallest) {
  MICA_ENTRY(x.graph);
  mica_value places = {0};
  int64_t at;
  if (!mica_operands_usable("top_k_mask", &x, 1) || !mica_builder_axis("top_k_mask", x, axis, &at))
    return mica_no_value(x.graph);
  mica_top_k(x, k, (int32_t)at, smallest, NULL, &places);
  mica_value none = mica_full(x.graph, (mica_type){MICA_BOOL, mica_shape_of(x)}, 0),
             some = mica_full(x.graph, (mica_type){MICA_BOOL, mica_shape_of(places)}, 1);
  return mica_put_along_axis(none, places, some, (int32_t)at);
}
