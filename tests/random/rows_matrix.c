/* SPDX-License-Identifier: Apache-2.0 */
/* rows_matrix.c: linear algebra and Fourier transforms. Matrices are made well-conditioned, and what is
 * determined up to a sign enters the pool as its square. Rows of operators that are not in the table are
 * left out. */
#include <math.h>
#include <stdio.h>

#include "random/generator.h"

/* 1, 2, .. on the diagonal (1 with `same`) of something small: distinct singular values. */
static mica_value diagonal(mica_value x, bool same) {
  mica_graph *graph = x.graph;
  mica_type type = {MICA_I32, mica_shape_of(x)};
  int32_t rank = type.shape.rank;
  mica_value row = mica_iota(graph, type, rank - 2), column = mica_iota(graph, type, rank - 1);
  mica_value on = mica_convert(mica_equal(row, column), mica_dtype_of(x));
  if (same) return on;
  return mica_mul(on, mica_convert(mica_add(row, 1), mica_dtype_of(x)));
}
static mica_value draw_matrix(generator *g, bool square, bool *out_ok) {
  mica_type type = {random_dtype(g, WIDE_FLOAT), {.rank = 0}};
  if (random_chance(g, 25)) type.shape.dim[type.shape.rank++] = 2;
  int64_t m = random_between(g, 2, 4), n = square ? m : random_between(g, 2, 4);
  if (random_chance(g, 10)) m = 1, n = square ? 1 : n;
  type.shape.dim[type.shape.rank++] = m;
  type.shape.dim[type.shape.rank++] = n;
  *out_ok = g->batch <= 4 && type.dtype != MICA_DTYPE_NONE;
  mica_value x = random_pick_typed(g, type).value;
  return mica_mul(mica_sin(x), 0.25);
}
/* Between 0.75 and about 1.5 away from singular. */
static mica_value regular(generator *g, bool *out_ok) {
  mica_value x = draw_matrix(g, true, out_ok);
  return mica_add(x, mica_mul(diagonal(x, true), 2));
}
/* Distinct singular values. */
static mica_value separated(generator *g, bool square, bool *out_ok) {
  mica_value x = draw_matrix(g, square, out_ok);
  return *out_ok ? mica_add(x, diagonal(x, false)) : x;
}

static bool make_cholesky(generator *g) {
  bool ok;
  mica_value x = regular(g, &ok);
  if (ok) random_push(g, mica_build_operator(g->graph, "cholesky", &x, 1, NULL), 2);
  return ok;
}
static mica_value right_side(generator *g, mica_value a) {
  mica_type type = mica_type_of(a);
  type.shape.dim[type.shape.rank - 1] = random_between(g, 1, 3);
  return random_pick_typed(g, type).value;
}
static bool make_triangular_solve(generator *g) {
  bool ok;
  mica_value in[2] = {regular(g, &ok)};
  if (!ok) return false;
  in[1] = right_side(g, in[0]);
  static const char *const truth[] = {"false", "true"};
  random_push(
      g,
      random_build(g, "triangular_solve", in, 2, "lower=%s, transpose=%s, unit_diagonal=%s",
                   truth[random_draw(g, 2)], truth[random_draw(g, 2)], truth[random_draw(g, 2)]),
      99);
  return true;
}
static bool make_solve(generator *g) {
  bool ok;
  mica_value in[2] = {regular(g, &ok)};
  if (!ok) return false;
  in[1] = right_side(g, in[0]);
  random_push(
      g, random_build(g, "solve", in, 2, "transpose=%s", random_draw(g, 2) ? "true" : "false"), 99);
  return true;
}
static bool make_lu(generator *g) {
  bool ok;
  mica_value x = regular(g, &ok);
  if (ok) random_push_node(g, mica_build_operator(g->graph, "lu", &x, 1, NULL), 4);
  return ok;
}
static bool make_qr(generator *g) {
  bool ok;
  mica_value x = separated(g, false, &ok);
  if (!ok) return false;
  random_push_node(g, random_build(g, "qr", &x, 1, "full=false"), 8);
  return true;
}
/* Vectors have no sign of their own. */
static bool make_eigh(generator *g) {
  bool ok;
  mica_value x = separated(g, true, &ok);
  if (!ok) return false;
  mica_value values = mica_build_operator(g->graph, "eigh", &x, 1, NULL);
  if (g->graph->status != MICA_OK) return false;
  random_push(g, values, 6);
  random_push(g, mica_square(mica_value_of(g->graph, values.id + 1)), 1);
  return true;
}
static bool make_svd(generator *g) {
  bool ok;
  mica_value x = separated(g, false, &ok);
  if (!ok) return false;
  mica_value u = random_build(g, "svd", &x, 1, "full=false");
  if (g->graph->status != MICA_OK) return false;
  random_push(g, mica_value_of(g->graph, u.id + 1), 6);
  random_push(g, mica_square(u), 1);
  random_push(g, mica_square(mica_value_of(g->graph, u.id + 2)), 1);
  return true;
}
static bool make_pinv(generator *g) {
  bool ok;
  mica_value x = separated(g, false, &ok);
  if (!ok) return false;
  random_push(g, random_build(g, "pinv", &x, 1, "rcond=0.001"), 8);
  return true;
}

static bool make_fft(generator *g) {
  static const char *const names[] = {"fft", "ifft", "rfft", "irfft"};
  uint32_t kind = random_draw(g, 4);
  mica_dtype real = random_dtype(g, WIDE_FLOAT);
  mica_type type = {kind == 2          ? real
                    : real == MICA_F32 ? MICA_C64
                                       : MICA_C128,
                    random_shape(g, 1, 3)};
  int32_t axes = 1 + (int32_t)random_draw(g, (uint32_t)(type.shape.rank > 1 ? 2 : 1));
  int64_t lengths[2], count = 1;
  for (int32_t i = 0; i < axes; i++) {
    int64_t *size = &type.shape.dim[type.shape.rank - axes + i];
    if (*size == 0) *size = 1;
    lengths[i] = *size;
    if (kind == 3 && i == axes - 1)
      lengths[i] = *size == 1 ? 1 : 2 * (*size - 1) + random_draw(g, 2);
    count *= lengths[i];
  }
  char text[64];
  random_text_ints(text, sizeof text, lengths, axes);
  mica_value x = random_pick_typed(g, type).value;
  random_push(g,
              random_build(g, "fft", &x, 1, "kind=%s, lengths=%s, scale=%s", names[kind], text,
                           random_draw(g, 2) ? "0.25" : "1"),
              (double)count * 16);
  return true;
}

/* Weights are whole numbers of the program or a constant's; scales are positive. */
static bool make_quantized_dense(generator *g) {
  static const mica_dtype dtypes[] = {MICA_I8, MICA_U8, MICA_I4, MICA_U4};
  pool_entry x = random_mild(g, random_pick_ranked(g, ANY_FLOAT, 1, 3));
  int64_t k = mica_dim_of(x.value, -1), n = random_between(g, 1, 4);
  mica_dtype dtype = mica_dtype_of(x.value);
  mica_shape result = mica_shape_of(x.value);
  result.dim[result.rank - 1] = n;
  if (k == 0 || !random_has_room(g, MICA_DIMS(k, n)) || !random_has_room(g, result)) return false;
  mica_dtype kind = dtypes[random_draw(g, 4)];
  mica_value whole =
      random_fit(g, random_as(g, random_pick(g, ANY_INTEGER).value, MICA_I32), MICA_DIMS(k, n));
  whole = mica_add(mica_rem(whole, 7), kind == MICA_U8 || kind == MICA_U4 ? 7 : 0);
  mica_type scales = {dtype == MICA_F64 ? MICA_F64 : MICA_F32, MICA_DIMS(1, n)};
  uint32_t form = random_draw(g, 3); /* one for each channel, for all, for each block of two */
  if (form == 1) scales.shape = MICA_SCALAR;
  if (form == 2 && k % 2 == 0) scales.shape.dim[0] = k / 2;
  mica_value scale = mica_add(mica_abs(random_pick_typed(g, scales).value), 0.25), none = {0};
  mica_quantized weights = {mica_convert(whole, kind), scale, none};
  if (random_draw(g, 2))
    weights.zero_point = mica_full(g->graph, (mica_type){kind, scales.shape}, random_draw(g, 4));
  mica_value bias =
      random_draw(g, 2) ? random_pick_typed(g, (mica_type){dtype, MICA_DIMS(n)}).value : none;
  random_push(g,
              mica_quantized_dense(.x = x.value, .weights = weights, .bias = bias,
                                   .dynamic = random_draw(g, 2)),
              (double)k * 1000);
  return true;
}

const random_row random_matrix_rows[] = {{"cholesky", make_cholesky, 0, 0},
                                         {"triangular_solve", make_triangular_solve, 0, 0},
                                         {"solve", make_solve, 0, 0},
                                         {"lu", make_lu, 0, 0},
                                         {"qr", make_qr, 0, 0},
                                         {"eigh", make_eigh, 0, 0},
                                         {"svd", make_svd, 0, 0},
                                         {"pinv", make_pinv, 0, 0},
                                         {"fft", make_fft, 0, 0},
                                         {"quantized_dense", make_quantized_dense, ROW_ROUGH, 0},
                                         {NULL, NULL, 0, 0}};
