/* SPDX-License-Identifier: Apache-2.0 */
/* data.c: inputs by formula: splitmix64 of the counter seed * 2^32 + i, normal numbers by Box and
 * Muller. */
#include <math.h>
#include <stdlib.h>

#include "workload.h"

static uint64_t hashed(uint32_t seed, int64_t i) {
  uint64_t z = ((uint64_t)seed << 32) + (uint64_t)i + 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

mica_tensor *bench_normal(uint32_t seed, mica_shape shape, double scale) {
  int64_t count = mica_shape_count(shape);
  float *values = malloc((size_t)count * sizeof *values);
  for (int64_t i = 0; values && i < count; i++) {
    uint64_t z = hashed(seed, i);
    float u = ((float)(z >> 40) + 0.5f) * 0x1p-24f, v = (float)((z >> 8) & 0xFFFFFF) * 0x1p-24f;
    values[i] = sqrtf(-2 * logf(u)) * cosf(6.2831853071795864f * v);
    if (scale != 1) values[i] *= (float)scale;
  }
  mica_tensor *tensor = values ? mica_tensor_from(MICA_F32, shape, values) : NULL;
  free(values);
  return tensor;
}

mica_tensor *bench_integers(uint32_t seed, int64_t limit, mica_shape shape) {
  int64_t count = mica_shape_count(shape);
  int32_t *values = malloc((size_t)count * sizeof *values);
  for (int64_t i = 0; values && i < count; i++)
    values[i] = (int32_t)((hashed(seed, i) >> 33) % (uint64_t)limit);
  mica_tensor *tensor = values ? mica_tensor_from(MICA_I32, shape, values) : NULL;
  free(values);
  return tensor;
}

mica_tensor *bench_tensor(const bench_input *in) {
  if (in->limit) return bench_integers(in->seed, in->limit, in->shape);
  if (!in->seed) return mica_tensor_scalar(MICA_F32, in->number);
  mica_tensor *tensor = bench_normal(in->seed, in->shape, in->scale != 0 ? in->scale : 1);
  if (!in->squared || !tensor) return tensor;
  int64_t count = mica_shape_count(in->shape);
  float *values = malloc((size_t)count * sizeof *values);
  if (values && mica_tensor_read(tensor, values, (size_t)count * sizeof *values, NULL) == MICA_OK) {
    for (int64_t i = 0; i < count; i++) values[i] *= values[i];
    mica_tensor_write(tensor, values, (size_t)count * sizeof *values, NULL);
  }
  free(values);
  return tensor;
}

double bench_magnitude(const mica_tensor *tensor) {
  mica_type type = mica_tensor_type(tensor);
  int64_t count = mica_shape_count(type.shape);
  const void *data = mica_tensor_data(tensor);
  double sum = 0;
  for (int64_t i = 0; i < count; i++)
    sum += type.dtype == MICA_F32 ? fabs((double)((const float *)data)[i])
                                  : fabs((double)((const int32_t *)data)[i]);
  return count ? sum / (double)count : 0;
}
