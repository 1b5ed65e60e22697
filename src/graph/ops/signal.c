/* SPDX-License-Identifier: Apache-2.0 */
/* signal.c: windows, frames, short-time Fourier transforms and convolutions by transforms. All are built
 * of others. Where the hop divides the length, frames are pieces of one hop laid side by side and added
 * up, which are slices; else they are read by their places. */
#include <inttypes.h>
#include <math.h>

#include "core/fourier.h"
#include "graph/ops/image.h"
#include "mica/ops/fft.h"
#include "mica/ops/image.h"

/* ---- windows ---------------------------------------------------------------------------------- */

/* a - b cos(2 pi x) + c cos(4 pi x), or the triangle for a = 0. */
static mica_value cosine_window(mica_graph *graph, const char *name, mica_dtype dtype, int64_t n,
                                bool periodic, double a, double b, double c) {
  if (!graph || graph->status != MICA_OK) return mica_no_value(graph);
  if (n < 1 || n > INT64_C(1) << 40 || !mica_dtype_is_float(dtype))
    return mica_fail_operator(graph, name, NULL, 0,
                              "n %" PRId64 ", dtype %s: expected n >= 1 of f16, bf16, f32 or f64",
                              n, mica_dtype_name(dtype));
  double *values = mica_image_list(graph, n, sizeof(*values));
  if (!values) return mica_no_value(graph);
  int64_t period = periodic ? n : n - 1;
  for (int64_t i = 0; i < n; i++) {
    double once = 1, twice = 1, sine;
    if (period > 0) mica_unit_root(i, period, &once, &sine);
    if (period > 0) mica_unit_root(2 * i, period, &twice, &sine);
    double x = period > 0 ? (double)i / (double)period : 0;
    values[i] = n == 1 ? 1 : a == 0 ? 1 - fabs(2 * x - 1) : a - b * once + c * twice;
  }
  return mica_constant_array(graph, dtype, (mica_shape){.rank = 1, .dim = {n}}, values);
}

mica_value mica_hann_window(mica_graph *graph, mica_dtype dtype, int64_t n, bool periodic) {
  MICA_ENTRY(graph);
  return cosine_window(graph, "hann_window", dtype, n, periodic, 0.5, 0.5, 0);
}
mica_value mica_hamming_window(mica_graph *graph, mica_dtype dtype, int64_t n, bool periodic) {
  MICA_ENTRY(graph);
  return cosine_window(graph, "hamming_window", dtype, n, periodic, 0.54, 0.46, 0);
}
mica_value mica_blackman_window(mica_graph *graph, mica_dtype dtype, int64_t n, bool periodic) {
  MICA_ENTRY(graph);
  return cosine_window(graph, "blackman_window", dtype, n, periodic, 0.42, 0.5, 0.08);
}
mica_value mica_bartlett_window(mica_graph *graph, mica_dtype dtype, int64_t n, bool periodic) {
  MICA_ENTRY(graph);
  return cosine_window(graph, "bartlett_window", dtype, n, periodic, 0, 0, 0);
}

/* ---- frames ----------------------------------------------------------------------------------- */

/* x [..., n] with a last axis cut into pieces: [..., pieces, hop] of the first ones. */
static mica_value cut_pieces(mica_value x, int64_t pieces, int64_t hop) {
  int32_t last = mica_rank_of(x) - 1;
  mica_value used = mica_slice_axis(x, last, 0, pieces * hop, 1);
  mica_shape shape = mica_shape_of(used);
  shape.dim[last] = pieces;
  return mica_reshape(used, mica_shape_insert(shape, last + 1, hop));
}

mica_value mica_frame(mica_value x, int64_t length, int64_t hop) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("frame", &x, 1)) return mica_no_value(x.graph);
  int32_t last = mica_rank_of(x) - 1;
  int64_t n = last < 0 ? 0 : mica_dim_of(x, last);
  if (length < 1 || hop < 1 || last < 0 || last + 1 >= MICA_MAX_RANK || n < length)
    return mica_fail_operator(
        x.graph, "frame", &x, 1,
        "length %" PRId64 ", hop %" PRId64
        ": expected x [..., n] of rank 1 to 7 with n >= length >= 1 and a hop "
        "of at least 1",
        length, hop);
  int64_t frames = 1 + (n - length) / hop, parts = length / hop;
  if (length % hop == 0 && parts <= 16) {
    mica_value pieces = cut_pieces(x, frames - 1 + parts, hop), part[16];
    for (int64_t i = 0; i < parts; i++) part[i] = mica_slice_axis(pieces, last, i, i + frames, 1);
    return parts == 1 ? part[0] : mica_concatenate(part, (size_t)parts, last + 1);
  }
  int64_t count, *places = NULL;
  if (mica_i64_multiply(frames, length, &count))
    places = mica_image_list(x.graph, count, sizeof(*places));
  if (!places) return mica_no_value(x.graph);
  for (int64_t i = 0; i < count; i++) places[i] = i / length * hop + i % length;
  return mica_take(x, mica_places_constant(x.graph, MICA_DIMS(frames, length), places), last);
}

mica_value mica_overlap_add(mica_value x, int64_t hop) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("overlap_add", &x, 1)) return mica_no_value(x.graph);
  mica_shape shape = mica_shape_of(x);
  int32_t last = shape.rank - 1;
  int64_t size, frames = last < 1 ? 0 : shape.dim[last - 1],
                length = last < 1 ? 0 : shape.dim[last];
  if (hop < 1 || last < 1 || frames < 1 || length < 1 ||
      !mica_i64_multiply(frames - 1, hop, &size) || !mica_i64_add(size, length, &size))
    return mica_fail_operator(
        x.graph, "overlap_add", &x, 1,
        "hop %" PRId64
        ": expected x [..., frames, length] that is not empty and a hop of at "
        "least 1",
        hop);
  mica_value zero = mica_scalar(x.graph, mica_dtype_of(x), 0);
  int64_t parts = length / hop, low[MICA_MAX_RANK] = {0}, high[MICA_MAX_RANK] = {0};
  if (length % hop == 0 && parts <= 16) {
    mica_value sum = mica_no_value(x.graph);
    for (int64_t i = 0; i < parts; i++) {
      low[last - 1] = i;
      high[last - 1] = parts - 1 - i;
      mica_value part = mica_slice_axis(x, last, i * hop, (i + 1) * hop, 1);
      sum = mica_add_values(sum, mica_pad(part, zero, low, high, NULL));
    }
    return mica_flatten(sum, last - 1);
  }
  /* Frames whose ends reach into the next ones, added at their places. */
  int64_t count, *places = NULL;
  if (mica_i64_multiply(frames, length, &count))
    places = mica_image_list(x.graph, count, sizeof(*places));
  if (!places) return mica_no_value(x.graph);
  for (int64_t i = 0; i < count; i++) places[i] = i / length * hop + i % length;
  mica_value front = mica_move_axis(mica_move_axis(x, last - 1, 0), last, 1);
  mica_shape sums = mica_shape_remove(mica_shape_of(front), 1);
  sums.dim[0] = size;
  mica_value sum =
      mica_scatter_add(mica_zeros(x.graph, (mica_type){mica_dtype_of(x), sums}),
                       mica_places_constant(x.graph, MICA_DIMS(frames, length), places), front);
  return mica_move_axis(sum, 0, last - 1);
}

/* ---- short-time transforms -------------------------------------------------------------------- */

static bool stft_checked(const char *op, mica_stft_args *a, mica_dtype real) {
  mica_value in[2] = {a->x, a->window};
  size_t count = mica_is_valid(a->window) ? 2 : 1;
  const char *problem = NULL;
  if (!mica_operands_usable(op, in, count)) return false;
  if (a->hop == 0) a->hop = a->length < 4 ? 1 : a->length / 4;
  if (real != MICA_F32 && real != MICA_F64)
    problem = "expected f32 or f64 for stft, c64 or c128 for istft (mica_convert first)";
  else if (a->length < 1 || a->length > INT64_C(1) << 40 || a->hop < 1 || a->samples < 0)
    problem = "expected a length of at least 1, and hop and samples of at least 0";
  else if (a->border < MICA_STFT_REFLECT || a->border > MICA_STFT_INSIDE)
    problem = "the border is unknown: expected MICA_STFT_REFLECT, _ZEROS or _INSIDE";
  else if (count == 2 && (mica_rank_of(a->window) != 1 || mica_dim_of(a->window, 0) != a->length ||
                          mica_dtype_of(a->window) != real))
    problem = "expected a window [length] of the real dtype";
  if (problem) mica_fail_operator(a->x.graph, op, in, count, "%s", problem);
  return !problem;
}

mica_value mica_stft_with(const mica_stft_args *args) {
  MICA_ENTRY(args ? args->x.graph : NULL);
  mica_stft_args a;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  if (!mica_operands_usable("stft", &a.x, 1) || !stft_checked("stft", &a, mica_dtype_of(a.x)))
    return mica_no_value(a.x.graph);
  mica_value x = a.x;
  int32_t last = mica_rank_of(x) - 1;
  int64_t half = a.length / 2, n = last < 0 ? 0 : mica_dim_of(x, last);
  int64_t around[MICA_MAX_RANK] = {0};
  if (last < 0 || last + 1 >= MICA_MAX_RANK || (a.border == MICA_STFT_REFLECT && n <= half))
    return mica_fail_operator(
        x.graph, "stft", &x, 1,
        "expected x [..., n] of rank 1 to 7, with n above length / 2 = %" PRId64
        " where it is reflected",
        half);
  around[last] = half;
  if (a.border == MICA_STFT_REFLECT && half)
    x = mica_pad_with_mode(x, around, around, MICA_PAD_REFLECT);
  if (a.border == MICA_STFT_ZEROS)
    x = mica_pad(x, mica_scalar(x.graph, mica_dtype_of(x), 0), around, around, NULL);
  mica_value frames = mica_frame(x, a.length, a.hop);
  if (mica_is_valid(a.window)) frames = mica_mul(frames, a.window);
  return mica_rfft(frames);
}

mica_value mica_istft_with(const mica_stft_args *args) {
  MICA_ENTRY(args ? args->x.graph : NULL);
  mica_stft_args a;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  if (!mica_operands_usable("istft", &a.x, 1)) return mica_no_value(a.x.graph);
  mica_dtype dtype = mica_dtype_of(a.x);
  mica_dtype real = dtype == MICA_C64 ? MICA_F32 : dtype == MICA_C128 ? MICA_F64 : MICA_DTYPE_NONE;
  if (!stft_checked("istft", &a, real)) return mica_no_value(a.x.graph);
  int32_t last = mica_rank_of(a.x) - 1;
  if (last < 1 || mica_dim_of(a.x, last) != a.length / 2 + 1 || mica_dim_of(a.x, last - 1) < 1)
    return mica_fail_operator(a.x.graph, "istft", &a.x, 1,
                              "expected x [..., frames, %" PRId64
                              "] with at least one frame, for the length %" PRId64,
                              a.length / 2 + 1, a.length);
  mica_value frames = mica_irfft(a.x, .length = {a.length}), window = a.window;
  if (!mica_is_valid(window))
    window = mica_full(a.x.graph, (mica_type){real, {.rank = 1, .dim = {a.length}}}, 1);
  mica_value sum = mica_overlap_add(mica_mul(frames, window), a.hop);
  mica_shape squares = {.rank = 2, .dim = {mica_dim_of(a.x, last - 1), a.length}};
  mica_value weight = mica_overlap_add(mica_broadcast_to(mica_square(window), squares), a.hop);
  mica_value some = mica_greater(weight, 1e-11);
  mica_value y = mica_select(some, mica_div(sum, mica_select(some, weight, mica_ones_like(weight))),
                             mica_zeros_like(sum));
  int64_t first = a.border == MICA_STFT_INSIDE ? 0 : a.length / 2;
  int64_t size = mica_dim_of(y, last - 1), end = a.samples ? first + a.samples : size - first;
  if (y.graph->status == MICA_OK && (end > size || end < first))
    return mica_fail_operator(a.x.graph, "istft", &a.x, 1,
                              "samples %" PRId64 ": expected at most the %" PRId64
                              " that there are",
                              a.samples, size - first);
  return mica_slice_axis(y, last - 1, first, end, 1);
}

/* ---- convolution ------------------------------------------------------------------------------ */

/* A length of factors 2, 3 and 5, at least n. */
static int64_t round_length(int64_t n) {
  int64_t best = INT64_MAX;
  for (int64_t fives = 1; fives < 5 * n && fives < best; fives *= 5)
    for (int64_t odd = fives; odd < 3 * n && odd < best; odd *= 3) {
      int64_t m = odd;
      while (m < n) m *= 2;
      if (m < best) best = m;
    }
  return best;
}

mica_value mica_fft_convolve(mica_value x, mica_value y, mica_convolve_mode mode) {
  MICA_ENTRY_OF(x, y);
  mica_value in[2] = {x, y};
  mica_graph *graph = mica_graph_of(in, 2);
  const char *op = "fft_convolve", *problem = NULL;
  if (!mica_operands_usable(op, in, 2)) return mica_no_value(graph);
  mica_dtype dtype = mica_dtype_of(x);
  bool complex = mica_dtype_is_complex(dtype);
  int32_t x_last = mica_rank_of(x) - 1, y_last = mica_rank_of(y) - 1;
  int64_t n = x_last < 0 ? 0 : mica_dim_of(x, x_last), m = y_last < 0 ? 0 : mica_dim_of(y, y_last);
  if (dtype != mica_dtype_of(y) || (!complex && dtype != MICA_F32 && dtype != MICA_F64))
    problem = "expected one dtype of both, f32, f64, c64 or c128 (mica_convert first)";
  else if (n < 1 || m < 1 || n > INT64_C(1) << 38 || m > INT64_C(1) << 38)
    problem = "expected x [..., n] and y [..., m], which are not empty";
  else if (mode < MICA_CONVOLVE_FULL || mode > MICA_CONVOLVE_VALID)
    problem = "the mode is unknown: expected MICA_CONVOLVE_FULL, _SAME or _VALID";
  else if (mode == MICA_CONVOLVE_VALID && n < m)
    problem = "y is longer than x: expected at most as many elements for MICA_CONVOLVE_VALID";
  if (problem) return mica_fail_operator(graph, op, in, 2, "%s", problem);
  int64_t full = n + m - 1, length = round_length(full);
  mica_value z;
  if (complex)
    z = mica_ifft(mica_mul(mica_fft(x, .length = {length}), mica_fft(y, .length = {length})));
  else
    z = mica_irfft(mica_mul(mica_rfft(x, .length = {length}), mica_rfft(y, .length = {length})),
                   .length = {length});
  int64_t first = mode == MICA_CONVOLVE_FULL ? 0 : mode == MICA_CONVOLVE_SAME ? (m - 1) / 2 : m - 1;
  int64_t size = mode == MICA_CONVOLVE_FULL ? full : mode == MICA_CONVOLVE_SAME ? n : n - m + 1;
  return mica_slice_axis(z, mica_rank_of(z) - 1, first, first + size, 1);
}
