/* SPDX-License-Identifier: Apache-2.0 */
/* statistics.c: mean and deviation of a tensor over a data set, batch by batch: Chan, Golub, LeVeque, "Updating
 * formulae and a pairwise algorithm for computing sample variances" (1979). */
#include "core/memory.h"
#include "core/tensor.h"
#include "data/dataset.h"

#include <inttypes.h>
#include <math.h>

typedef struct {
  int64_t features;
  double *count, *mean, *square; /* square: the sum of squared distances to the mean */
  double *batch_count, *batch_mean, *batch_square;
  double *values;
  size_t values_size;
} moments;

static void free_moments(moments *m) {
  size_t size = (size_t)m->features * sizeof(double);
  double *arrays[] = {m->count, m->mean, m->square, m->batch_count, m->batch_mean, m->batch_square};
  for (int i = 0; i < 6; i++)
    if (arrays[i] != NULL) mica_free(NULL, arrays[i], size);
  if (m->values != NULL) mica_free(NULL, m->values, m->values_size);
}

static bool make_moments(moments *m, int64_t features) {
  m->features = features;
  double **arrays[] = {&m->count,       &m->mean,       &m->square,
                       &m->batch_count, &m->batch_mean, &m->batch_square};
  bool made = true;
  for (int i = 0; i < 6; i++) {
    *arrays[i] = mica_allocate_zeroed(NULL, (size_t)features, sizeof(double));
    made = made && *arrays[i] != NULL;
  }
  return made;
}

/* values [rows, features]; NaN stands for what is missing. */
static void add_moments(moments *m, int64_t rows) {
  for (int64_t f = 0; f < m->features; f++)
    m->batch_count[f] = m->batch_mean[f] = m->batch_square[f] = 0;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t f = 0; f < m->features; f++) {
      double x = m->values[r * m->features + f];
      if (x != x) continue;
      m->batch_count[f]++;
      m->batch_mean[f] += x;
    }
  for (int64_t f = 0; f < m->features; f++)
    if (m->batch_count[f] > 0) m->batch_mean[f] /= m->batch_count[f];
  for (int64_t r = 0; r < rows; r++)
    for (int64_t f = 0; f < m->features; f++) {
      double distance = m->values[r * m->features + f] - m->batch_mean[f];
      if (distance == distance) m->batch_square[f] += distance * distance;
    }
  for (int64_t f = 0; f < m->features; f++) {
    double difference = m->batch_mean[f] - m->mean[f], rest = m->batch_count[f];
    double total = m->count[f] + rest;
    if (rest == 0) continue;
    m->mean[f] += difference * rest / total;
    m->square[f] += m->batch_square[f] + difference * difference * m->count[f] * rest / total;
    m->count[f] = total;
  }
}

static mica_status add_batch(moments *m, const mica_batch *batch, int32_t index, bool whole,
                             mica_error *error) {
  if (index < 0 || index >= batch->count)
    return mica_error_set(error, MICA_INVALID,
                          "statistics: there is no tensor %" PRId32 " in the batch", index);
  mica_tensor *tensor = batch->tensor[index];
  mica_type type = mica_tensor_type(tensor);
  int64_t count = mica_shape_count(type.shape);
  int64_t features = whole || type.shape.rank == 0 ? 1 : type.shape.dim[type.shape.rank - 1];
  if (count == 0) return MICA_OK;
  if (m->features == 0 && !make_moments(m, features))
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "statistics: out of memory");
  if (features != m->features)
    return mica_error_set(error, MICA_INVALID,
                          "statistics: batches of %" PRId64 " and of %" PRId64 " features",
                          m->features, features);
  size_t size = (size_t)count * sizeof(double);
  if (size > m->values_size) {
    if (m->values != NULL) mica_free(NULL, m->values, m->values_size);
    m->values = mica_allocate(NULL, size);
    m->values_size = m->values != NULL ? size : 0;
    if (m->values == NULL)
      return mica_error_set(error, MICA_OUT_OF_MEMORY, "statistics: out of memory");
  }
  mica_status status = mica_tensor_read_doubles(tensor, m->values, count, error);
  if (status == MICA_OK) add_moments(m, count / features);
  return status;
}

mica_status mica_dataset_statistics(mica_dataset *dataset, int32_t index, bool whole,
                                    mica_tensor **out_mean, mica_tensor **out_deviation,
                                    mica_error *error) {
  *out_mean = *out_deviation = NULL;
  moments m = {0};
  mica_batch batch = {0};
  mica_status status;
  while ((status = mica_dataset_next(dataset, &batch, error)) == MICA_OK && batch.count > 0)
    if ((status = add_batch(&m, &batch, index, whole, error)) != MICA_OK) break;
  mica_batch_clear(&batch);
  if (status == MICA_OK && m.features == 0)
    status = mica_error_set(error, MICA_INVALID, "statistics: the data set is empty");
  if (status == MICA_OK) {
    mica_shape shape = {.rank = whole ? 0 : 1};
    if (!whole) shape.dim[0] = m.features;
    for (int64_t f = 0; f < m.features; f++) {
      double deviation = sqrt(m.square[f] / m.count[f]);
      if (m.count[f] == 0) m.mean[f] = NAN;
      m.square[f] = deviation > 0 || deviation != deviation ? deviation : 1;
    }
    *out_mean = mica_tensor_from_doubles(MICA_F32, shape, m.mean);
    *out_deviation = mica_tensor_from_doubles(MICA_F32, shape, m.square);
    if (*out_mean == NULL || *out_deviation == NULL) {
      mica_tensor_release(*out_mean), mica_tensor_release(*out_deviation);
      *out_mean = *out_deviation = NULL;
      status = mica_error_set(error, MICA_OUT_OF_MEMORY, "statistics: out of memory");
    }
  }
  if (m.features > 0) free_moments(&m);
  return status;
}
