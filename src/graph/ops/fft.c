/* SPDX-License-Identifier: Apache-2.0 */
/* fft.c: the discrete Fourier transform over the last one to three axes, and its builders.
 *
 * The four kinds are linear, so each has a transpose (of the plain product of numbers, without a
 * conjugate, as everywhere):
 *   fft, ifft  their matrices are symmetric: themselves.
 *   rfft       x'[j] = Re sum over k <= n / 2 of c[k] w^(jk): irfft of the conjugate, which counts
 *              every k but 0 and n / 2 twice, so that those are halved before.
 *   irfft      z'[k] = the conjugate of rfft, doubled for those k.
 * The attribute's scale multiplies every result, so that no norm costs a pass of its own. */
#include <inttypes.h>
#include <math.h>

#include "graph/ops/rules.h"
#include "mica/ops/fft.h"

enum { FFT_AXES = 3 };

static bool fft_is_real(const mica_fft_attr *attr) {
  return attr->kind == MICA_FFT_RFFT || attr->kind == MICA_FFT_IRFFT;
}
/* The other one of f32, c64 and f64, c128. */
static mica_dtype fft_partner(mica_dtype dtype) {
  switch (dtype) {
    case MICA_F32: return MICA_C64;
    case MICA_F64: return MICA_C128;
    case MICA_C64: return MICA_F32;
    case MICA_C128: return MICA_F64;
    default: return MICA_DTYPE_NONE;
  }
}

/* ---- inference -------------------------------------------------------------------------------- */

static bool infer_fft(mica_infer *infer) {
  const mica_fft_attr *a = infer->attr;
  mica_type x = infer->in[0], y = x;
  int32_t count = a->lengths.count;
  if (count < 1 || count > FFT_AXES || count > x.shape.rank)
    return mica_infer_fail(infer,
                           "lengths has %" PRId32
                           " entries: expected 1 to 3, one for each of the last axes of x",
                           count);
  bool real = a->kind == MICA_FFT_RFFT;
  if (real ? x.dtype != MICA_F32 && x.dtype != MICA_F64
           : x.dtype != MICA_C64 && x.dtype != MICA_C128)
    return mica_infer_fail(infer, "operand 0 has dtype %s: expected %s", mica_dtype_name(x.dtype),
                           real ? "f32 or f64" : "c64 or c128");
  if (!isfinite(a->scale))
    return mica_infer_fail(infer, "scale %g: expected a finite number", a->scale);
  for (int32_t i = 0; i < count; i++) {
    int32_t axis = x.shape.rank - count + i;
    int64_t length = a->lengths.at[i], size = length;
    bool half = a->kind == MICA_FFT_IRFFT && i == count - 1;
    if (length < 1 || length > INT64_C(1) << 40)
      return mica_infer_fail(infer, "length %" PRId64 ": expected at least 1 and at most 2^40",
                             length);
    if (half) size = length / 2 + 1;
    if (x.shape.dim[axis] != size)
      return mica_infer_fail(infer,
                             "axis %" PRId32 " has size %" PRId64 ": expected %" PRId64
                             " for the length %" PRId64,
                             axis, x.shape.dim[axis], size, length);
    if (half) y.shape.dim[axis] = length;
    if (a->kind == MICA_FFT_RFFT && i == count - 1) y.shape.dim[axis] = length / 2 + 1;
  }
  if (fft_is_real(a)) y.dtype = fft_partner(x.dtype);
  return mica_infer_one(infer, y);
}

/* ---- rules ------------------------------------------------------------------------------------ */

/* z [..., n / 2 + 1] times `inner` where the frequency and its negative are two, else as it is. */
static mica_value weigh_pairs(mica_value z, int64_t n, double inner) {
  mica_graph *graph = z.graph;
  if (graph->status != MICA_OK) return mica_no_value(graph);
  int64_t count = n / 2 + 1;
  double *weight = mica_arena_allocate(&graph->arena, (size_t)count * sizeof(double));
  if (!weight) return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  for (int64_t k = 0; k < count; k++) weight[k] = k == 0 || 2 * k == n ? 1 : inner;
  mica_value weights =
      mica_constant_array(graph, mica_dtype_of(z), (mica_shape){.rank = 1, .dim = {count}}, weight);
  return mica_mul(z, weights);
}

static mica_value transpose_fft(const mica_rule *rule, size_t operand,
                                const mica_value *cotangents) {
  (void)operand;
  mica_fft_attr attr = *(const mica_fft_attr *)rule->attr;
  mica_value ct = cotangents[0];
  int64_t n = attr.lengths.at[attr.lengths.count - 1];
  switch ((mica_fft_kind)attr.kind) {
    case MICA_FFT_RFFT:
      attr.kind = MICA_FFT_IRFFT;
      ct = weigh_pairs(mica_conj(ct), n, 0.5);
      return mica_emit(rule->graph, MICA_OP_FFT, &ct, 1, &attr);
    case MICA_FFT_IRFFT:
      attr.kind = MICA_FFT_RFFT;
      ct = mica_emit(rule->graph, MICA_OP_FFT, &ct, 1, &attr);
      return mica_conj(weigh_pairs(ct, n, 2));
    default: return mica_emit(rule->graph, MICA_OP_FFT, &ct, 1, &attr);
  }
}

/* The examples are one more axis in front. */
static void batch_fft(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out) {
  mica_value x = mica_batched(rule->in[0], batched[0], size);
  out[0] = mica_emit(rule->graph, MICA_OP_FFT, &x, 1, rule->attr);
}

static const char *const fft_kinds[] = {"fft", "ifft", "rfft", "irfft", NULL};
static const mica_attr_field fft_fields[] = {MICA_FIELD_ENUM(mica_fft_attr, kind, fft_kinds),
                                             MICA_FIELD(mica_fft_attr, lengths, INTS),
                                             MICA_FIELD(mica_fft_attr, scale, F64), MICA_FIELD_END};
const mica_op_def mica_op_fft = {
    .name = "fft",
    .kind = MICA_KIND_LINEAR,
    .dtypes = MICA_CLASS_WIDE_COMPLEX,
    .arity = 1,
    .results = 1,
    .linear_operands = 1,
    .attr_size = sizeof(mica_fft_attr),
    .fields = fft_fields,
    .formula =
        "x [a..., n...] -> [a..., n...]: scale * sum over j of x[j] e^(-2 pi i j k / n), + for "
        "ifft "
        "and irfft, over the last axes; rfft keeps k = 0 .. n / 2 of the last one, irfft takes "
        "those",
    .infer = infer_fft,
    .transpose = transpose_fft,
    .batch = batch_fft,
};

/* ---- builders --------------------------------------------------------------------------------- */

/* x with `size` elements along the axis: cut, or filled with zeros, at the end. */
static mica_value fit_axis(mica_value x, int32_t axis, int64_t size) {
  int64_t had = mica_dim_of(x, axis);
  if (had == size) return x;
  if (had > size) return mica_slice_axis(x, axis, 0, size, 1);
  int64_t high[MICA_MAX_RANK] = {0};
  high[axis] = size - had;
  return mica_pad(x, mica_scalar(x.graph, mica_dtype_of(x), 0), NULL, high, NULL);
}

static double norm_scale(mica_fft_norm norm, bool inverse, double count) {
  if (norm == MICA_FFT_ORTHO) return 1 / sqrt(count);
  return (norm == MICA_FFT_BACKWARD) == inverse ? 1 / count : 1;
}

typedef struct {
  const char *name;
  mica_fft_kind kind;
  mica_ints axes;   /* in the caller's order */
  mica_ints length; /* of each */
} fft_request;

/* Axes and lengths from the arguments, and x fitted to them; false when the graph failed. */
static bool resolve_fft(const mica_fft_args *a, fft_request *r, mica_value *x) {
  *x = a->x;
  if (!mica_operands_usable(r->name, x, 1)) return false;
  mica_dtype dtype = mica_dtype_of(*x);
  bool wants_real = r->kind == MICA_FFT_RFFT;
  if (!fft_partner(dtype) || (wants_real && mica_dtype_is_complex(dtype))) {
    mica_fail_operator(x->graph, r->name, x, 1,
                       "dtype %s is not supported: expected %s (mica_convert first)",
                       mica_dtype_name(dtype), wants_real ? "f32 or f64" : "c64, c128, f32 or f64");
    return false;
  }
  if (a->norm < MICA_FFT_BACKWARD || a->norm > MICA_FFT_FORWARD) {
    mica_fail_operator(x->graph, r->name, x, 1,
                       "norm %d is unknown: expected MICA_FFT_BACKWARD, _ORTHO or _FORWARD",
                       (int)a->norm);
    return false;
  }
  mica_axes axes = a->axes.count == 0 ? (mica_axes){.count = 1, .axis = {-1}} : a->axes;
  if (!mica_builder_axes(r->name, *x, axes, false, &r->axes)) return false;
  if (r->axes.count == 0) {
    mica_fail_operator(x->graph, r->name, x, 1,
                       "expected an array: a scalar has no axes to transform");
    return false;
  }
  r->length.count = r->axes.count;
  for (int32_t i = 0; i < MICA_MAX_RANK; i++) {
    int64_t given = a->length[i];
    if (given < 0 || (given && i >= r->axes.count)) {
      mica_fail_operator(x->graph, r->name, x, 1,
                         "length[%" PRId32 "] is %" PRId64
                         ": expected at least 1, or 0 for the size of x, for each listed axis",
                         i, given);
      return false;
    }
    if (i >= r->axes.count) continue;
    int64_t size = mica_dim_of(*x, (int32_t)r->axes.at[i]);
    bool half = r->kind == MICA_FFT_IRFFT && i == r->axes.count - 1;
    r->length.at[i] = given ? given : half ? 2 * (size - 1) : size;
    if (r->length.at[i] < 1) {
      mica_fail_operator(x->graph, r->name, x, 1,
                         "the length along axis %" PRId64 " would be %" PRId64
                         ": expected at least 1",
                         r->axes.at[i], r->length.at[i]);
      return false;
    }
    *x = fit_axis(*x, (int32_t)r->axes.at[i], half ? r->length.at[i] / 2 + 1 : r->length.at[i]);
  }
  if (!wants_real && !mica_dtype_is_complex(dtype)) *x = mica_convert(*x, fft_partner(dtype));
  return true;
}

/* One operator over the listed axes first .. first + count - 1. They are moved to the end, unless they
 * are there. */
static mica_value transform_axes(mica_value x, const fft_request *r, int32_t first, int32_t count,
                                 mica_fft_kind kind, double scale) {
  int32_t rank = mica_rank_of(x);
  mica_ints to = {.count = rank}, back = to;
  mica_fft_attr attr = {.kind = (int32_t)kind, .lengths = {.count = count}, .scale = scale};
  int32_t at = 0;
  for (int32_t axis = 0; axis < rank; axis++) {
    bool listed = false;
    for (int32_t i = 0; i < count; i++) listed = listed || r->axes.at[first + i] == axis;
    if (!listed) to.at[at++] = axis;
  }
  for (int32_t i = 0; i < count; i++) {
    to.at[at++] = r->axes.at[first + i];
    attr.lengths.at[i] = r->length.at[first + i];
  }
  for (int32_t i = 0; i < rank; i++) back.at[to.at[i]] = i;
  x = mica_transpose_if_needed(x, &to);
  return mica_transpose_if_needed(mica_emit(x.graph, MICA_OP_FFT, &x, 1, &attr), &back);
}

static mica_value build_fft(const mica_fft_args *args, const char *name, mica_fft_kind kind) {
  mica_fft_args a;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  fft_request r = {.name = name, .kind = kind};
  mica_value x;
  if (!resolve_fft(&a, &r, &x)) return mica_no_value(a.x.graph);
  bool inverse = kind == MICA_FFT_IFFT || kind == MICA_FFT_IRFFT;
  double cells = 1;
  for (int32_t i = 0; i < r.axes.count; i++) cells *= (double)r.length.at[i];
  double scale = norm_scale(a.norm, inverse, cells);
  int32_t count = r.axes.count, last = count < FFT_AXES ? count : FFT_AXES;
  mica_fft_kind plain = inverse ? MICA_FFT_IFFT : MICA_FFT_FFT;
  /* Three at a time; the real ones have their half axis in the operator of the last axes. */
  if (kind != MICA_FFT_IRFFT) x = transform_axes(x, &r, count - last, last, kind, scale);
  for (int32_t end = count - last; end > 0; end -= FFT_AXES) {
    int32_t some = end < FFT_AXES ? end : FFT_AXES;
    x = transform_axes(x, &r, end - some, some, plain, 1);
  }
  if (kind == MICA_FFT_IRFFT) x = transform_axes(x, &r, count - last, last, kind, scale);
  return x;
}

mica_value mica_fft_with(const mica_fft_args *args) {
  MICA_ENTRY(args ? args->x.graph : NULL);
  return build_fft(args, "fft", MICA_FFT_FFT);
}
mica_value mica_ifft_with(const mica_fft_args *args) {
  MICA_ENTRY(args ? args->x.graph : NULL);
  return build_fft(args, "ifft", MICA_FFT_IFFT);
}
mica_value mica_rfft_with(const mica_fft_args *args) {
  MICA_ENTRY(args ? args->x.graph : NULL);
  return build_fft(args, "rfft", MICA_FFT_RFFT);
}
mica_value mica_irfft_with(const mica_fft_args *args) {
  MICA_ENTRY(args ? args->x.graph : NULL);
  return build_fft(args, "irfft", MICA_FFT_IRFFT);
}

/* ---- frequencies ------------------------------------------------------------------------------ */

/* Each axis turned so that element `first` (of its size) comes first. */
static mica_value turn_axes(const char *name, mica_value x, mica_axes axes, bool back) {
  mica_ints list;
  if (!mica_operands_usable(name, &x, 1) || !mica_builder_axes(name, x, axes, false, &list))
    return mica_no_value(x.graph);
  for (int32_t i = 0; i < list.count; i++) {
    int32_t axis = (int32_t)list.at[i];
    int64_t size = mica_dim_of(x, axis), first = back ? size / 2 : (size + 1) / 2;
    if (size < 2) continue;
    mica_value parts[2] = {mica_slice_axis(x, axis, first, size, 1),
                           mica_slice_axis(x, axis, 0, first, 1)};
    x = mica_concatenate(parts, 2, axis);
  }
  return x;
}
mica_value mica_fftshift(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  return turn_axes("fftshift", x, axes, false);
}
mica_value mica_ifftshift(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  return turn_axes("ifftshift", x, axes, true);
}

static mica_value frequencies(mica_graph *graph, const char *name, mica_dtype dtype, int64_t n,
                              double spacing, bool half) {
  if (!graph || graph->status != MICA_OK) return mica_no_value(graph);
  if (n < 1 || n > INT64_C(1) << 40 || !isfinite(spacing) || spacing == 0)
    return mica_fail_operator(
        graph, name, NULL, 0,
        "n %" PRId64 " and spacing %g: expected n >= 1 and a finite spacing but 0", n, spacing);
  if (!mica_dtype_is_float(dtype))
    return mica_fail_operator(graph, name, NULL, 0, "dtype %s: expected f16, bf16, f32 or f64",
                              mica_dtype_name(dtype));
  int64_t count = half ? n / 2 + 1 : n;
  mica_type type = {MICA_F64, {.rank = 1, .dim = {count}}};
  mica_value k = mica_iota(graph, type, 0);
  if (!half) k = mica_select(mica_less(k, (double)(n / 2 + n % 2)), k, mica_sub(k, (double)n));
  return mica_convert(mica_div(k, (double)n * spacing), dtype);
}
mica_value mica_fftfreq(mica_graph *graph, mica_dtype dtype, int64_t n, double spacing) {
  MICA_ENTRY(graph);
  return frequencies(graph, "fftfreq", dtype, n, spacing, false);
}
mica_value mica_rfftfreq(mica_graph *graph, mica_dtype dtype, int64_t n, double spacing) {
  MICA_ENTRY(graph);
  return frequencies(graph, "rfftfreq", dtype, n, spacing, true);
}
