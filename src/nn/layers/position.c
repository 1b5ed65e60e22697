/* SPDX-License-Identifier: Apache-2.0 */
/* position.c: where in a sequence something stands: turned heads, waves, learned rows. */
#include <inttypes.h>
#include <math.h>

#include "mica/nn/attention.h"
#include "nn/layers/layer.h"

#define NN_TWO_PI        6.28318530717958647693
#define NN_MAX_HALF_HEAD 4096

/* ---- rotary -------------------------------------------------------------------------------------- */

/* Which pair turns `turns` times over the trained length. */
static double yarn_pair(double turns, double size, double base, double length) {
  return size * log(length / (turns * NN_TWO_PI)) / (2 * log(base));
}

/* The angle of pair i of `half` for one position; *scale multiplies sines and cosines. */
static double rope_frequency(const mica_rope *rope, int32_t i, int32_t half, double *scale) {
  double base = rope->base == 0 ? 10000 : rope->base, size = 2.0 * half;
  double factor = rope->factor == 0 ? 1 : rope->factor;
  double length = rope->original == 0 ? 8192 : rope->original;
  if (rope->scaling == MICA_ROPE_NTK && size > 2) base *= pow(factor, size / (size - 2));
  double plain = pow(base, -2.0 * i / size);
  *scale = 1;
  switch (rope->scaling) {
    case MICA_ROPE_LINEAR: return plain / factor;
    case MICA_ROPE_YARN: {
      double low = floor(yarn_pair(32, size, base, length)),
             high = ceil(yarn_pair(1, size, base, length));
      low = fmax(low, 0);
      high = fmin(high, size - 1);
      if (high == low) high += 0.001;
      double slow = fmin(fmax((i - low) / (high - low), 0), 1);
      *scale = factor > 1 ? 0.1 * log(factor) + 1 : 1;
      return plain / factor * slow + plain * (1 - slow);
    }
    case MICA_ROPE_LLAMA3: {
      double wave = NN_TWO_PI / plain;
      if (wave > length) return plain / factor;
      if (wave < length / 4) return plain;
      double smooth = (length / wave - 1) / 3;
      return (1 - smooth) * plain / factor + smooth * plain;
    }
    case MICA_ROPE_PLAIN:
    case MICA_ROPE_NTK: break;
  }
  return plain;
}

/* Angles [.., time, 1, half] for x of f32 or f64. */
static mica_value rope_angles(mica_value x, mica_value positions, const mica_rope *rope,
                              int32_t half, double *scale) {
  double frequency[NN_MAX_HALF_HEAD];
  for (int32_t i = 0; i < half; i++) frequency[i] = rope_frequency(rope, i, half, scale);
  mica_dtype dtype = mica_dtype_of(x);
  mica_tensor *table = mica_tensor_from_doubles(dtype, MICA_DIMS(half), frequency);
  if (table == NULL) return mica_fail(x.graph, MICA_OUT_OF_MEMORY, "rope: out of memory");
  mica_value row = mica_constant(x.graph, table);
  mica_tensor_release(table);
  mica_value at = mica_expand_dims(mica_expand_dims(mica_convert(positions, dtype), -1), -1);
  return mica_mul(at, row);
}

mica_value mica_nn_rope(mica_value given, mica_value positions, mica_rope rope) {
  mica_value x = mica_widen(given);
  mica_graph *graph = given.graph;
  int32_t rank = mica_rank_of(x), axes = mica_rank_of(positions);
  int64_t head = mica_dim_of(x, -1), size = rope.size == 0 ? head : rope.size;
  if (rank != 4 || axes < 1 || axes > 2 || size < 2 || size % 2 != 0 || size > head ||
      size > 2 * NN_MAX_HALF_HEAD || !mica_dtype_is_float(mica_dtype_of(x)) || rope.base < 0 ||
      rope.factor < 0)
    return mica_fail(
        graph, MICA_INVALID,
        "rope: expected x [batch, time, heads, d], positions [time] or [batch, time] and an even "
        "size up to d, not ranks %d and %d, d %" PRId64 " and size %" PRId64,
        (int)rank, (int)axes, head, size);
  double scale = 1;
  int32_t half = (int32_t)(size / 2);
  mica_value angle = rope_angles(x, positions, &rope, half, &scale);
  mica_value c = mica_mul(mica_cos(angle), scale), s = mica_mul(mica_sin(angle), scale);
  mica_value turned = size == head ? x : mica_slice_axis(x, 3, 0, size, 1), a, b, out;
  mica_shape shape = mica_shape_of(turned);
  if (rope.interleaved) {
    mica_shape pairs = shape;
    pairs.rank = 5;
    pairs.dim[3] = half;
    pairs.dim[4] = 2;
    mica_value pair[2];
    mica_unstack(mica_reshape(turned, pairs), 4, 2, pair);
    a = mica_sub(mica_mul(pair[0], c), mica_mul(pair[1], s));
    b = mica_add(mica_mul(pair[1], c), mica_mul(pair[0], s));
    out = mica_reshape(mica_stack((mica_value[]){a, b}, 2, 4), shape);
  } else {
    mica_value part[2];
    mica_split(turned, 3, 2, part);
    a = mica_sub(mica_mul(part[0], c), mica_mul(part[1], s));
    b = mica_add(mica_mul(part[1], c), mica_mul(part[0], s));
    out = mica_concatenate((mica_value[]){a, b}, 2, 3);
  }
  if (size != head) {
    mica_value rest = mica_slice_axis(x, 3, size, head, 1);
    out = mica_concatenate((mica_value[]){out, rest}, 2, 3);
  }
  return mica_convert(out, mica_dtype_of(given));
}

/* ---- added to the input ---------------------------------------------------------------------------- */

mica_value mica_nn_sinusoidal(mica_value positions, int64_t width, mica_dtype dtype) {
  mica_graph *graph = positions.graph;
  if (width < 2 || width % 2 != 0 || width > 2 * NN_MAX_HALF_HEAD || !mica_dtype_is_float(dtype))
    return mica_fail(graph, MICA_INVALID,
                     "sinusoidal: expected an even width up to %d and floats, not %" PRId64
                     " of %s",
                     2 * NN_MAX_HALF_HEAD, width, mica_dtype_name(dtype));
  double frequency[NN_MAX_HALF_HEAD];
  for (int64_t i = 0; i < width / 2; i++)
    frequency[i] = pow(10000, -2.0 * (double)i / (double)width);
  mica_dtype wide = mica_nn_master_dtype(dtype);
  mica_tensor *table = mica_tensor_from_doubles(wide, MICA_DIMS(width / 2), frequency);
  if (table == NULL) return mica_fail(graph, MICA_OUT_OF_MEMORY, "sinusoidal: out of memory");
  mica_value row = mica_constant(graph, table);
  mica_tensor_release(table);
  mica_value angle = mica_mul(mica_expand_dims(mica_convert(positions, wide), -1), row);
  mica_value parts[2] = {mica_sin(angle), mica_cos(angle)};
  return mica_convert(mica_concatenate(parts, 2, -1), dtype);
}

mica_value mica_nn_learned_positions(mica_scope *scope, mica_value x, int64_t length,
                                     mica_value first) {
  if (!mica_nn_enter(scope, x, "learned_positions")) return (mica_value){0};
  mica_shape shape = mica_shape_of(x);
  if (shape.rank != 3 || length < shape.dim[1])
    return mica_nn_leave(
        scope, mica_fail(mica_scope_graph(scope), MICA_INVALID,
                         "learned_positions \"%s\": expected x [batch, time, width] of at "
                         "most %" PRId64 " times",
                         mica_scope_path(scope), length));
  mica_value table =
      mica_nn_parameter(scope, "positions", mica_dtype_of(x), MICA_DIMS(length, shape.dim[2]),
                        (mica_initializer){0}, mica_init_normal(0, 0.02));
  mica_value rows;
  if (first.graph == NULL) {
    rows = mica_slice_axis(table, 0, 0, shape.dim[1], 1);
  } else {
    mica_value start[2] = {mica_convert(first, MICA_I32), mica_scalar(x.graph, MICA_I32, 0)};
    rows = mica_dynamic_slice(table, start, MICA_DIMS(shape.dim[1], shape.dim[2]));
  }
  return mica_nn_leave(scope, mica_add(x, rows));
}
