/* SPDX-License-Identifier: Apache-2.0 */
/* linalg_parts.c: what the operators of linear algebra share; linalg.h says how it is used. */
#include <inttypes.h>

#include "graph/ops/linalg.h"

/* ---- checks ---------------------------------------------------------------------------------- */

static bool is_linalg_dtype(mica_dtype dtype) { return dtype == MICA_F32 || dtype == MICA_F64; }

bool mica_infer_matrix(mica_infer *infer, size_t i, bool square) {
  mica_type x = infer->in[i];
  if (!is_linalg_dtype(x.dtype))
    return mica_infer_fail(infer, "operand %zu has dtype %s: expected f32 or f64 (mica_convert)", i,
                           mica_dtype_name(x.dtype));
  if (x.shape.rank < 2)
    return mica_infer_fail(infer, "operand %zu has rank %" PRId32 ": expected a matrix [..., %s]",
                           i, x.shape.rank, square ? "n, n" : "m, n");
  int64_t m = x.shape.dim[x.shape.rank - 2], n = x.shape.dim[x.shape.rank - 1];
  if (square && m != n)
    return mica_infer_fail(infer,
                           "operand %zu has %" PRId64 " rows and %" PRId64
                           " columns: expected a square matrix [..., n, n]",
                           i, m, n);
  return true;
}

bool mica_builder_matrix(const char *op, mica_value x, bool square) {
  if (!mica_operands_usable(op, &x, 1)) return false;
  mica_type type = mica_type_of(x);
  int32_t rank = type.shape.rank;
  if (!is_linalg_dtype(type.dtype))
    mica_fail_operator(x.graph, op, &x, 1, "expected f32 or f64 (mica_convert)");
  else if (rank < 2)
    mica_fail_operator(x.graph, op, &x, 1, "rank %" PRId32 ": expected a matrix [..., %s]", rank,
                       square ? "n, n" : "m, n");
  else if (square && type.shape.dim[rank - 1] != type.shape.dim[rank - 2])
    mica_fail_operator(x.graph, op, &x, 1, "expected a square matrix [..., n, n]");
  else
    return true;
  return false;
}

bool mica_infer_types(mica_infer *infer, const mica_type *types, size_t count) {
  for (size_t i = count; i-- > 0;) {
    if (!mica_infer_one(infer, types[i])) return false;
    infer->out[i] = infer->out[0];
  }
  infer->out_count = count;
  return true;
}

/* ---- linear systems -------------------------------------------------------------------------- */

static mica_shape leading_of(mica_shape shape, int32_t kept) {
  shape.rank -= kept;
  return mica_shape_clean(shape);
}

static mica_shape with_matrix(mica_shape leading, int64_t m, int64_t n) {
  leading.dim[leading.rank] = m;
  leading.dim[leading.rank + 1] = n;
  leading.rank += 2;
  return leading;
}

bool mica_system_begin(const char *op, mica_value a, mica_value b, mica_linear_system *system) {
  mica_value in[2] = {a, b};
  mica_graph *graph = mica_graph_of(in, 2);
  *system = (mica_linear_system){mica_no_value(graph), mica_no_value(graph), {0}, false};
  if (!mica_operands_usable(op, in, 2)) return false;
  mica_shape sa = mica_shape_of(a), sb = mica_shape_of(b), leading;
  if (mica_dtype_of(a) != mica_dtype_of(b)) {
    mica_fail_operator(graph, op, in, 2,
                       "operands 0 and 1 have different dtypes: expected one dtype "
                       "(mica_convert(x, MICA_...) makes it)");
    return false;
  }
  if (!is_linalg_dtype(mica_dtype_of(a))) {
    mica_fail_operator(graph, op, in, 2, "expected f32 or f64 (mica_convert)");
    return false;
  }
  if (sa.rank < 2 || sa.dim[sa.rank - 1] != sa.dim[sa.rank - 2]) {
    mica_fail_operator(graph, op, in, 2, "operand 0: expected a square matrix [..., n, n]");
    return false;
  }
  int64_t n = sa.dim[sa.rank - 1];
  bool vector = sb.rank == 1;
  if (sb.rank == 0 || sb.dim[vector ? 0 : sb.rank - 2] != n) {
    mica_fail_operator(graph, op, in, 2,
                       "operand 1: expected [..., %" PRId64 ", m], or a vector [%" PRId64 "]", n,
                       n);
    return false;
  }
  if (vector) {
    b = mica_reshape_if_needed(b, (mica_shape){.rank = 2, .dim = {n, 1}});
    if (!mica_has_value(b)) return false;
    sb = mica_shape_of(b);
  }
  int32_t end;
  if (!mica_shape_broadcast(leading_of(sa, 2), leading_of(sb, 2), &leading, &end)) {
    mica_fail_operator(graph, op, in, 2,
                       "leading axis %" PRId32 " clashes: expected equal sizes or 1", -end - 2);
    return false;
  }
  int64_t m = sb.dim[sb.rank - 1];
  system->shape = with_matrix(leading, n, m);
  if (sa.rank == 2 && sb.rank > 2) { /* [..., n, m] -> [n, ... m] */
    system->folded = true;
    system->a = a;
    b = mica_move_axis(b, sb.rank - 2, 0);
    int64_t columns = mica_shape_count(leading) * m;
    system->b = mica_reshape_if_needed(b, (mica_shape){.rank = 2, .dim = {n, columns}});
    return true;
  }
  system->a = mica_broadcast_if_needed(a, with_matrix(leading, n, n));
  system->b = mica_broadcast_if_needed(b, system->shape);
  if (vector) system->shape = mica_shape_remove(system->shape, system->shape.rank - 1);
  return true;
}

mica_value mica_system_end(const mica_linear_system *system, mica_value x) {
  if (!mica_has_value(x)) return x;
  mica_shape shape = system->shape;
  if (!system->folded) return mica_reshape_if_needed(x, shape);
  int64_t n = shape.dim[shape.rank - 2];
  shape = mica_shape_insert(mica_shape_remove(shape, shape.rank - 2), 0, n);
  return mica_move_axis(mica_reshape_if_needed(x, shape), 0, shape.rank - 2);
}

/* ---- matrices as graph ----------------------------------------------------------------------- */

mica_value mica_matrix_transpose(mica_value x) {
  int32_t rank = mica_rank_of(x);
  mica_ints permutation = mica_ints_sequence(0, rank);
  if (rank >= 2) {
    permutation.at[rank - 1] = rank - 2;
    permutation.at[rank - 2] = rank - 1;
  }
  return mica_transpose_if_needed(x, &permutation);
}

mica_value mica_matrix_symmetric(mica_value x) {
  return mica_mul(mica_add(x, mica_matrix_transpose(x)), 0.5);
}

mica_value mica_matrix_band(mica_graph *graph, int64_t m, int64_t n, mica_band band,
                            int64_t diagonal) {
  mica_type type = {MICA_I64, {.rank = 2, .dim = {m, n}}};
  mica_value off = mica_sub(mica_iota(graph, type, 1), mica_iota(graph, type, 0));
  switch (band) {
    case MICA_BAND_LOWER: return mica_less_equal(off, (double)diagonal);
    case MICA_BAND_UPPER: return mica_greater_equal(off, (double)diagonal);
    default: return mica_equal(off, (double)diagonal);
  }
}

static mica_value keep_band(mica_value x, mica_band band, int64_t diagonal) {
  if (!mica_has_value(x)) return x;
  mica_value kept =
      mica_matrix_band(x.graph, mica_dim_of(x, -2), mica_dim_of(x, -1), band, diagonal);
  return mica_select(mica_broadcast_if_needed(kept, mica_shape_of(x)), x, mica_zeros_like(x));
}
mica_value mica_matrix_lower(mica_value x, int64_t diagonal) {
  return keep_band(x, MICA_BAND_LOWER, diagonal);
}
mica_value mica_matrix_upper(mica_value x, int64_t diagonal) {
  return keep_band(x, MICA_BAND_UPPER, diagonal);
}

mica_value mica_matrix_diagonal(mica_value x) {
  if (!mica_has_value(x)) return x;
  int64_t m = mica_dim_of(x, -2), n = mica_dim_of(x, -1);
  if (m > n) x = mica_slice_axis(x, -2, 0, n, 1);
  if (n > m) x = mica_slice_axis(x, -1, 0, m, 1);
  return mica_reduce_sum(keep_band(x, MICA_BAND_ON, 0), MICA_AXES(-1));
}

mica_value mica_matrix_rows(mica_value x) {
  if (!mica_has_value(x)) return x;
  mica_shape shape = mica_shape_of(x);
  return mica_reshape_if_needed(x, mica_shape_insert(shape, shape.rank - 1, 1));
}
mica_value mica_matrix_columns(mica_value x) {
  if (!mica_has_value(x)) return x;
  mica_shape shape = mica_shape_of(x);
  return mica_reshape_if_needed(x, mica_shape_insert(shape, shape.rank, 1));
}

mica_value mica_matrix_from_diagonal(mica_value x) {
  mica_shape shape = mica_shape_of(x);
  if (!mica_has_value(x)) return x;
  shape = mica_shape_insert(shape, shape.rank, mica_dim_of(x, -1));
  return keep_band(mica_broadcast_if_needed(mica_matrix_columns(x), shape), MICA_BAND_ON, 0);
}

mica_value mica_matrix_identity_like(mica_value x) {
  if (!mica_has_value(x)) return x;
  mica_value on =
      mica_matrix_band(x.graph, mica_dim_of(x, -2), mica_dim_of(x, -1), MICA_BAND_ON, 0);
  return mica_broadcast_if_needed(mica_convert(on, mica_dtype_of(x)), mica_shape_of(x));
}

/* Whole rows at a time, matrix by matrix. */
mica_value mica_matrix_permute_rows(mica_value a, mica_value permutation) {
  mica_shape shape = mica_shape_of(a);
  if (!mica_has_value(a) || !mica_has_value(permutation)) return mica_no_value(a.graph);
  if (mica_shape_count(shape) == 0) return a;
  int32_t leading = shape.rank - 2;
  mica_gather_attr attr = {.offset_axes = {.count = 1, .at = {leading + 1}},
                           .collapsed_slice_axes = {.count = 1, .at = {leading}},
                           .operand_batch_axes = mica_ints_sequence(0, leading),
                           .index_batch_axes = mica_ints_sequence(0, leading),
                           .start_index_map = {.count = 1, .at = {leading}},
                           .index_vector_axis = leading + 1,
                           .slice_sizes = {.count = shape.rank}};
  for (int32_t i = 0; i <= leading; i++) attr.slice_sizes.at[i] = 1;
  attr.slice_sizes.at[leading + 1] = shape.dim[leading + 1];
  return mica_emit(a.graph, MICA_OP_GATHER, (mica_value[]){a, permutation}, 2, &attr);
}

/* The place of j in the permutation is the sum of i over [permutation[i] = j]. */
mica_value mica_inverse_permutation(mica_value permutation) {
  mica_shape shape = mica_shape_of(permutation);
  if (!mica_has_value(permutation) || shape.rank < 1) return permutation;
  shape = mica_shape_insert(shape, shape.rank, shape.dim[shape.rank - 1]);
  mica_type type = {mica_dtype_of(permutation), shape};
  mica_value place = mica_iota(permutation.graph, type, shape.rank - 2),
             column = mica_iota(permutation.graph, type, shape.rank - 1);
  mica_value hit = mica_equal(mica_matrix_columns(permutation), column);
  return mica_reduce_sum(mica_select(hit, place, mica_zeros_like(place)), MICA_AXES(-2));
}

/* ---- rules ----------------------------------------------------------------------------------- */

void mica_batch_leading(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out) {
  mica_value in[4] = {{0}};
  for (size_t i = 0; i < rule->in_count && i < 4; i++) {
    if (!mica_batch_fits(rule, mica_example_rank(rule, batched, i), out)) return;
    in[i] = mica_batched(rule->in[i], batched[i], size);
  }
  mica_emit_results(rule->graph, mica_op_find(rule->def->name), in, rule->in_count, rule->attr, out,
                    rule->out_count);
}

void mica_batch_system(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out) {
  if (batched[0]) {
    mica_batch_leading(rule, batched, size, out);
    return;
  }
  mica_value b = rule->in[1];
  if (!mica_batch_fits(rule, mica_example_rank(rule, batched, 1), out)) return;
  int32_t rank = mica_rank_of(b); /* [size, ..., n, m] -> [..., n, size, m] -> [..., n, size * m] */
  b = mica_move_axis(b, 0, rank - 2);
  if (!mica_has_value(b)) return;
  mica_shape apart = mica_shape_of(b), joined = mica_shape_remove(apart, rank - 2);
  joined.dim[joined.rank - 1] *= size;
  mica_value in[2] = {rule->in[0], mica_reshape_if_needed(b, joined)};
  mica_value x = mica_emit(rule->graph, mica_op_find(rule->def->name), in, 2, rule->attr);
  out[0] = mica_move_axis(mica_reshape_if_needed(x, apart), rank - 2, 0);
}

/* ---- for expansions -------------------------------------------------------------------------- */

mica_value mica_fold_leading(mica_value x, int32_t kept) {
  mica_shape shape = mica_shape_of(x), folded = {.rank = kept + 1};
  if (!mica_has_value(x)) return x;
  folded.dim[0] = mica_shape_count(leading_of(shape, kept));
  for (int32_t i = 0; i < kept; i++) folded.dim[1 + i] = shape.dim[shape.rank - kept + i];
  return mica_reshape_if_needed(x, folded);
}

mica_value mica_unfold_leading(mica_value x, mica_value like, int32_t kept) {
  mica_shape shape = leading_of(mica_shape_of(like), kept), own = mica_shape_of(x);
  if (!mica_has_value(x)) return x;
  for (int32_t i = 1; i < own.rank; i++) shape.dim[shape.rank++] = own.dim[i];
  return mica_reshape_if_needed(x, shape);
}

mica_region mica_counting_loop(mica_graph *graph, const mica_value *state, size_t state_count,
                               int64_t count, bool reverse) {
  mica_value steps = mica_iota(graph, (mica_type){MICA_I32, {.rank = 1, .dim = {count}}}, 0);
  return mica_scan_begin_count(graph, state, state_count, &steps, 1, count, reverse);
}

mica_value mica_matrix_at(mica_value x, mica_value k, int32_t axis) {
  mica_shape sizes = mica_shape_of(x);
  if (!mica_has_value(x) || !mica_has_value(k)) return mica_no_value(x.graph);
  mica_value zero = mica_scalar(x.graph, MICA_I32, 0), start[MICA_MAX_RANK];
  for (int32_t i = 0; i < sizes.rank; i++) start[i] = i == axis ? k : zero;
  sizes.dim[axis] = 1;
  return mica_dynamic_slice(x, start, sizes);
}
