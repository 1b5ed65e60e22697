/* SPDX-License-Identifier: Apache-2.0 */
/* scatter.c: writing windows at places that indices name, as StableHLO's scatter with a fixed
 * combiner. A window that does not lie in x as a whole is skipped, as XLA does. Updates are
 * applied in their row-major order, which matters to SET alone: the last one stays.
 *
 * Derivatives. ADD and SET are linear in x and updates jointly. MAX and MIN share an element's
 * cotangent equally among all that equal the result there. MUL needs for each update the product
 * of the others that hit the same element; it is taken by division among those that are not
 * zero, with zeros counted apart, so that it is exact with zeros too, and twice differentiable. */
#include <inttypes.h>

#include "graph/ops/indexing.h"

mica_gather_attr mica_gather_like(const mica_scatter_attr *a, mica_shape x, mica_shape updates) {
  mica_gather_attr gather = {.offset_axes = a->update_window_axes,
                             .collapsed_slice_axes = a->inserted_window_axes,
                             .operand_batch_axes = a->operand_batch_axes,
                             .index_batch_axes = a->index_batch_axes,
                             .start_index_map = a->index_map,
                             .index_vector_axis = a->index_vector_axis,
                             .slice_sizes = {.count = x.rank}};
  int32_t next = 0;
  for (int32_t axis = 0; axis < x.rank; axis++) {
    int64_t *size = &gather.slice_sizes.at[axis];
    if (mica_ints_contain(&a->inserted_window_axes, axis))
      *size = 1;
    else if (mica_ints_contain(&a->operand_batch_axes, axis))
      *size = x.dim[axis] > 0 ? 1 : 0;
    else if (next < a->update_window_axes.count)
      *size = updates.dim[a->update_window_axes.at[next++]];
  }
  return gather;
}

static bool infer_combiner(mica_infer *infer, int32_t kind) {
  switch ((mica_scatter_kind)kind) {
    case MICA_SCATTER_SET: return true;
    case MICA_SCATTER_ADD: return mica_infer_class(infer, 0, MICA_CLASS_NUMBER, "kind add");
    case MICA_SCATTER_MUL: return mica_infer_class(infer, 0, MICA_CLASS_NUMBER, "kind mul");
    case MICA_SCATTER_MAX: return mica_infer_class(infer, 0, MICA_CLASS_REAL, "kind max");
    case MICA_SCATTER_MIN: return mica_infer_class(infer, 0, MICA_CLASS_REAL, "kind min");
  }
  return mica_infer_fail(infer, "kind %" PRId32 " is unknown", kind);
}

static bool infer_update_sizes(mica_infer *infer, const mica_scatter_attr *a, mica_shape batch) {
  mica_shape x = infer->in[0].shape, updates = infer->in[2].shape;
  int32_t from_batch = 0, x_axis = 0;
  for (int32_t axis = 0; axis < updates.rank; axis++) {
    if (!mica_ints_contain(&a->update_window_axes, axis)) {
      int64_t expected = batch.dim[from_batch++];
      if (updates.dim[axis] == expected) continue;
      return mica_infer_fail(infer,
                             "the updates have size %" PRId64 " along axis %" PRId32
                             ": expected %" PRId64 " as the indices have",
                             updates.dim[axis], axis, expected);
    }
    while (mica_ints_contain(&a->inserted_window_axes, x_axis) ||
           mica_ints_contain(&a->operand_batch_axes, x_axis))
      x_axis++;
    if (updates.dim[axis] > x.dim[x_axis])
      return mica_infer_fail(infer,
                             "the updates have size %" PRId64 " along window axis %" PRId32
                             ": expected at most %" PRId64 ", the operand's axis %" PRId32,
                             updates.dim[axis], axis, x.dim[x_axis], x_axis);
    x_axis++;
  }
  return true;
}

static bool infer_scatter(mica_infer *infer) {
  mica_scatter_attr *a = infer->attr;
  mica_shape x = infer->in[0].shape, updates = infer->in[2].shape, batch;
  static const mica_index_names names = {.dropped = "inserted_window_axes", .map = "index_map"};
  if (!infer_combiner(infer, a->kind)) return false;
  if (infer->in[0].dtype != infer->in[2].dtype)
    return mica_infer_fail(
        infer,
        "operands 0 and 2 have different dtypes: expected one dtype (mica_convert(x, MICA_...) "
        "makes it)");
  mica_gather_attr like = {.collapsed_slice_axes = a->inserted_window_axes,
                           .operand_batch_axes = a->operand_batch_axes,
                           .index_batch_axes = a->index_batch_axes,
                           .start_index_map = a->index_map,
                           .index_vector_axis = a->index_vector_axis};
  if (!mica_infer_indexing(infer, &like, &names, &batch) ||
      !mica_infer_axes(infer, "update_window_axes", &a->update_window_axes, updates.rank, true))
    return false;
  a->inserted_window_axes = like.collapsed_slice_axes;
  a->operand_batch_axes = like.operand_batch_axes;
  a->index_batch_axes = like.index_batch_axes;
  a->index_map = like.start_index_map;
  int32_t window = x.rank - a->inserted_window_axes.count - a->operand_batch_axes.count;
  if (a->update_window_axes.count != window)
    return mica_infer_fail(infer,
                           "update_window_axes has %" PRId32 " entries: expected %" PRId32
                           ", one for each axis "
                           "of the operand that is neither inserted nor a batch axis",
                           a->update_window_axes.count, window);
  if (updates.rank != window + batch.rank)
    return mica_infer_fail(infer,
                           "the updates have rank %" PRId32 ": expected %" PRId32
                           ", the axes of the indices and "
                           "of the window",
                           updates.rank, window + batch.rank);
  return infer_update_sizes(infer, a, batch) && mica_infer_one(infer, infer->in[0]);
}

/* ---- derivatives ----------------------------------------------------------------------------- */

static mica_value scatter_as(const mica_rule *rule, mica_scatter_kind kind, mica_value x,
                             mica_value updates) {
  mica_scatter_attr attr = *(const mica_scatter_attr *)rule->attr;
  attr.kind = (int32_t)kind;
  return mica_emit(rule->graph, MICA_OP_SCATTER, (mica_value[]){x, rule->in[1], updates}, 3, &attr);
}

/* Zeros of x's shape with updates added: [updates...] -> [x...] */
static mica_value scatter_sum(const mica_rule *rule, mica_value updates) {
  mica_type type = {mica_dtype_of(updates), mica_shape_of(rule->in[0])};
  return scatter_as(rule, MICA_SCATTER_ADD, mica_zeros(rule->graph, type), updates);
}

/* x [x...] where each update goes, and `filling` for skipped updates: [updates...] */
static mica_value read_back(const mica_rule *rule, mica_value x, double filling) {
  mica_shape shape = mica_shape_of(rule->in[0]), updates = mica_shape_of(rule->in[2]);
  mica_gather_attr attr = mica_gather_like(rule->attr, shape, updates);
  mica_value skipped = mica_full(rule->graph, (mica_type){mica_dtype_of(x), updates}, filling);
  if (!mica_windows_fit(&attr, shape)) return skipped;
  mica_value at = mica_clamp_indices(rule->in[1], &attr, shape);
  mica_value read = mica_emit(rule->graph, MICA_OP_GATHER, (mica_value[]){x, at}, 2, &attr);
  return mica_select(mica_window_inside(rule->in[1], &attr, shape, updates), read, skipped);
}

/* Number of index vectors: with one, no two updates can hit the same element. */
static int64_t index_vector_count(const mica_rule *rule) {
  const mica_scatter_attr *a = rule->attr;
  return mica_shape_count(
      mica_shape_remove(mica_shape_of(rule->in[1]), (int32_t)a->index_vector_axis));
}

/* SET: whether each update is the last one at its place. The largest number of an update wins
 * there. */
static mica_value updates_that_stay(const mica_rule *rule) {
  mica_shape updates = mica_shape_of(rule->in[2]);
  int64_t count = mica_shape_count(updates);
  mica_dtype dtype = count <= INT32_MAX ? MICA_I32 : MICA_I64;
  mica_type numbers = {dtype, {.rank = 1, .dim = {count}}};
  mica_value number = mica_reshape_if_needed(mica_iota(rule->graph, numbers, 0), updates);
  mica_value nobody = mica_full(rule->graph, (mica_type){dtype, mica_shape_of(rule->in[0])}, -1);
  mica_value last = scatter_as(rule, MICA_SCATTER_MAX, nobody, number);
  return mica_equal(read_back(rule, last, -1), number);
}

/* MAX, MIN: who equals the result, and how many do (f32 for narrow floats). */
typedef struct {
  mica_value x, updates; /* bool */
  mica_value count;      /* [x...] */
} extreme_holders;

static extreme_holders find_holders(const mica_rule *rule) {
  mica_value x = rule->in[0], updates = rule->in[2], out = rule->out[0];
  mica_dtype wide = mica_wide_dtype(mica_dtype_of(x));
  mica_shape shape = mica_shape_of(x);
  mica_gather_attr like = mica_gather_like(rule->attr, shape, mica_shape_of(updates));
  extreme_holders holders = {
      .x = mica_equal(x, out),
      .updates = mica_and(mica_equal(updates, read_back(rule, out, 0)),
                          mica_window_inside(rule->in[1], &like, shape, mica_shape_of(updates)))};
  holders.count = mica_add(mica_convert(holders.x, wide),
                           scatter_sum(rule, mica_convert(holders.updates, wide)));
  return holders;
}

static mica_value divide_among(mica_value total, mica_value count) {
  return mica_convert(mica_div(mica_convert(total, mica_dtype_of(count)), count),
                      mica_dtype_of(total));
}

static mica_value where(mica_value condition, mica_value x) {
  return mica_has_value(x) ? mica_select(condition, x, mica_zeros_like(x)) : x;
}

/* MUL: for each update the product of the other updates at its element. With n the product of
 * those that are not 0, z how many are 0, s their sum (0, but not its derivative):
 *   u != 0: n / u if z = 0, (n / u) s if z = 1, else 0
 *   u = 0: n if z = 1, n (s - u) if z = 2, else 0 */
static mica_value product_of_others(const mica_rule *rule) {
  mica_value u = rule->in[2], x = rule->in[0];
  mica_value is_zero = mica_equal_number(u, 0);
  mica_value filled = mica_select(is_zero, mica_ones_like(u), u);
  mica_value n = read_back(rule, scatter_as(rule, MICA_SCATTER_MUL, mica_ones_like(x), filled), 1);
  mica_value z = read_back(rule, scatter_sum(rule, mica_convert(is_zero, mica_dtype_of(u))), 0);
  mica_value s = read_back(rule, scatter_sum(rule, where(is_zero, u)), 0);
  mica_value none = mica_equal_number(z, 0), one = mica_equal_number(z, 1),
             two = mica_equal_number(z, 2);
  mica_value unit = mica_ones_like(u);
  mica_value beside = mica_select(none, unit, where(one, s));
  mica_value among = mica_select(one, unit, where(two, mica_sub(s, u)));
  return mica_select(is_zero, mica_mul(n, among), mica_mul(mica_div(n, filled), beside));
}

static void jvp_scatter(const mica_rule *rule, const mica_value *tangents,
                        mica_value *out_tangents) {
  const mica_scatter_attr *a = rule->attr;
  mica_value tx = tangents[0], tu = tangents[2], x = rule->in[0], updates = rule->in[2];
  switch ((mica_scatter_kind)a->kind) {
    case MICA_SCATTER_SET:
    case MICA_SCATTER_ADD:
      if (!mica_has_value(tu) && a->kind == MICA_SCATTER_ADD)
        out_tangents[0] = tx;
      else
        out_tangents[0] = scatter_as(rule, (mica_scatter_kind)a->kind,
                                     mica_has_value(tx) ? tx : mica_zeros_like(x),
                                     mica_has_value(tu) ? tu : mica_zeros_like(updates));
      return;
    case MICA_SCATTER_MAX:
    case MICA_SCATTER_MIN: {
      extreme_holders holders = find_holders(rule);
      mica_value total = where(holders.x, tx);
      if (mica_has_value(tu))
        total = mica_add_values(total, scatter_sum(rule, where(holders.updates, tu)));
      out_tangents[0] = divide_among(total, holders.count);
      return;
    }
    case MICA_SCATTER_MUL: {
      mica_value sum = mica_no_value(rule->graph);
      if (mica_has_value(tx))
        sum = mica_mul(tx, scatter_as(rule, MICA_SCATTER_MUL, mica_ones_like(x), updates));
      if (mica_has_value(tu)) {
        mica_value factor = mica_mul(read_back(rule, x, 0), product_of_others(rule));
        sum = mica_add_values(sum, scatter_sum(rule, mica_mul(tu, factor)));
      }
      out_tangents[0] = sum;
      return;
    }
  }
}

static void vjp_scatter(const mica_rule *rule, const mica_value *cotangents,
                        mica_value *in_cotangents) {
  const mica_scatter_attr *a = rule->attr;
  mica_value ct = cotangents[0], x = rule->in[0], updates = rule->in[2];
  switch ((mica_scatter_kind)a->kind) {
    case MICA_SCATTER_ADD:
      in_cotangents[0] = ct;
      in_cotangents[2] = read_back(rule, ct, 0);
      return;
    case MICA_SCATTER_SET:
      in_cotangents[0] = scatter_as(rule, MICA_SCATTER_SET, ct, mica_zeros_like(updates));
      in_cotangents[2] = read_back(rule, ct, 0);
      if (index_vector_count(rule) > 1)
        in_cotangents[2] = where(updates_that_stay(rule), in_cotangents[2]);
      return;
    case MICA_SCATTER_MAX:
    case MICA_SCATTER_MIN: {
      extreme_holders holders = find_holders(rule);
      mica_value share = divide_among(ct, holders.count);
      in_cotangents[0] = where(holders.x, share);
      in_cotangents[2] = where(holders.updates, read_back(rule, share, 0));
      return;
    }
    case MICA_SCATTER_MUL:
      in_cotangents[0] =
          mica_mul(ct, scatter_as(rule, MICA_SCATTER_MUL, mica_ones_like(x), updates));
      in_cotangents[2] = mica_mul(read_back(rule, mica_mul(ct, x), 0), product_of_others(rule));
      return;
  }
}

static void batch_scatter(const mica_rule *rule, const bool *batched, int64_t size,
                          mica_value *out) {
  const mica_scatter_attr *a = rule->attr;
  mica_shape x = mica_example_shape(rule, batched, 0),
             updates = mica_example_shape(rule, batched, 2);
  if (!mica_batch_fits(rule, x.rank, out) || !mica_batch_fits(rule, updates.rank, out) ||
      !mica_batch_fits(rule, mica_example_rank(rule, batched, 1), out))
    return;
  mica_gather_attr like = mica_gather_like(a, x, updates),
                   more = mica_batch_indexing(&like, true, batched[1], size);
  mica_scatter_attr attr = mica_scatter_like(&more, (mica_scatter_kind)a->kind);
  mica_value in[3] = {mica_batched(rule->in[0], batched[0], size), rule->in[1],
                      mica_batched(rule->in[2], batched[2], size)};
  out[0] = mica_emit(rule->graph, MICA_OP_SCATTER, in, 3, &attr);
}

static const char *const scatter_kinds[] = {"set", "add", "mul", "max", "min", NULL};
static const mica_attr_field scatter_fields[] = {
    MICA_FIELD_ENUM(mica_scatter_attr, kind, scatter_kinds),
    MICA_FIELD(mica_scatter_attr, update_window_axes, INTS),
    MICA_FIELD(mica_scatter_attr, inserted_window_axes, INTS),
    MICA_FIELD(mica_scatter_attr, operand_batch_axes, INTS),
    MICA_FIELD(mica_scatter_attr, index_batch_axes, INTS),
    MICA_FIELD(mica_scatter_attr, index_map, INTS),
    MICA_FIELD(mica_scatter_attr, index_vector_axis, I64),
    MICA_FIELD_END};
const mica_op_def mica_op_scatter = {
    .name = "scatter",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_ANY,
    .arity = 3,
    .results = 1,
    .attr_size = sizeof(mica_scatter_attr),
    .fields = scatter_fields,
    .formula =
        "x [a...], indices [i..., v], updates [i..., window...] -> [a...]: x with each window "
        "combined into it",
    .infer = infer_scatter,
    .jvp = jvp_scatter,
    .vjp = vjp_scatter,
    .batch = batch_scatter,
};

/* ---- builders -------------------------------------------------------------------------------- */

static mica_value scatter_rows(const char *op, mica_scatter_kind kind, mica_value x,
                               mica_value indices, mica_value updates) {
  mica_value in[3] = {x, indices, updates};
  mica_graph *graph = mica_graph_of(in, 3);
  if (!mica_operands_usable(op, in, 3)) return mica_no_value(graph);
  int32_t rank = mica_rank_of(x), index_rank = mica_rank_of(indices);
  if (rank < 1)
    return mica_fail_operator(graph, op, in, 3,
                              "the first operand is a scalar: expected at least one axis");
  if (mica_rank_of(updates) != rank - 1 + index_rank)
    return mica_fail_operator(graph, op, in, 3,
                              "the updates have rank %" PRId32 ": expected %" PRId32
                              ", the indices' axes and then those of a row",
                              mica_rank_of(updates), rank - 1 + index_rank);
  mica_scatter_attr attr = {.kind = (int32_t)kind,
                            .update_window_axes = mica_ints_sequence(index_rank, rank - 1),
                            .inserted_window_axes = {.count = 1},
                            .index_map = {.count = 1},
                            .index_vector_axis = index_rank};
  return mica_emit(graph, MICA_OP_SCATTER, in, 3, &attr);
}

mica_value mica_scatter_add(mica_value x, mica_value indices, mica_value updates) {
  MICA_ENTRY_OF(x, indices, updates);
  return scatter_rows("scatter_add", MICA_SCATTER_ADD, x, indices, updates);
}
mica_value mica_scatter_set(mica_value x, mica_value indices, mica_value updates) {
  MICA_ENTRY_OF(x, indices, updates);
  return scatter_rows("scatter_set", MICA_SCATTER_SET, x, indices, updates);
}

mica_value mica_scatter_with(const mica_scatter_args *args) {
  mica_scatter_args a;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  MICA_ENTRY_OF(a.x, a.indices, a.updates);
  mica_value in[3] = {a.x, a.indices, a.updates};
  mica_graph *graph = mica_graph_of(in, 3);
  mica_scatter_attr attr = {.kind = (int32_t)a.combine, .index_vector_axis = a.index_vector_axis};
  if (!mica_operands_usable("scatter", in, 3) ||
      !mica_builder_list("scatter", in, 3, "update_window_axes", a.update_window_axes,
                         &attr.update_window_axes) ||
      !mica_builder_list("scatter", in, 3, "inserted_window_axes", a.inserted_window_axes,
                         &attr.inserted_window_axes) ||
      !mica_builder_list("scatter", in, 3, "operand_batch_axes", a.operand_batch_axes,
                         &attr.operand_batch_axes) ||
      !mica_builder_list("scatter", in, 3, "index_batch_axes", a.index_batch_axes,
                         &attr.index_batch_axes) ||
      !mica_builder_list("scatter", in, 3, "index_map", a.index_map, &attr.index_map))
    return mica_no_value(graph);
  return mica_emit(graph, MICA_OP_SCATTER, in, 3, &attr);
}
