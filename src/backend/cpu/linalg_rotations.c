/* SPDX-License-Identifier: Apache-2.0 */
/* linalg_rotations.c: collects plane rotations, and applies them in strips of columns, which the
 * threads share. */
#include "backend/cpu/linalg_rotations.h"

#include <math.h>

void mica_rotations_begin(mica_rotations *rotations, mica_linalg *work, int64_t n, void *rows,
                          int64_t columns) {
  int64_t room = 64 * n > 65536 ? 65536 : 64 * n;
  if (room < 2 * n) room = 2 * n;
  *rotations = (mica_rotations){.work = work, .rows = rows, .columns = columns, .room = room};
  rotations->run_room = 2 * room / (n + 1) + 64;
  rotations->pairs = mica_linalg_take(work, 2 * room, sizeof(double));
  rotations->runs = mica_linalg_take(work, rotations->run_room, sizeof(mica_rotation_run));
}

double *mica_rotations_add(mica_rotations *rotations, int64_t first, int64_t count, bool backward) {
  if (rotations->rows == NULL || count <= 0) return NULL;
  if (rotations->used + count > rotations->room || rotations->run_count == rotations->run_room)
    mica_rotations_apply(rotations);
  double *pairs = rotations->pairs + 2 * rotations->used;
  rotations->runs[rotations->run_count++] = (mica_rotation_run){first, count, pairs, backward};
  rotations->used += count;
  return pairs;
}

static void rotate_strip(void *context, int64_t index, int32_t worker) {
  const mica_rotations *rotations = context;
  const mica_linalg_kernels *vector = rotations->work->vector;
  (void)worker;
  int64_t from = index * vector->strip, width = rotations->columns - from;
  if (width > vector->strip) width = vector->strip;
  char *at = (char *)rotations->rows + from * vector->element_size;
  vector->rotate(rotations->runs, rotations->run_count, at, rotations->columns, width);
}

void mica_rotations_apply(mica_rotations *rotations) {
  const mica_parallel *parallel = rotations->work->parallel;
  int64_t strip = rotations->work->vector->strip;
  int64_t strips = (rotations->columns + strip - 1) / strip;
  if (rotations->used * rotations->columns < 16384)
    for (int64_t i = 0; i < strips; i++) rotate_strip(rotations, i, 0);
  else
    parallel->run(parallel->self, strips, rotate_strip, rotations);
  rotations->used = rotations->run_count = 0;
}

double mica_plane_rotation(double f, double g, double *out_c, double *out_s) {
  if (g == 0) {
    *out_c = 1;
    *out_s = 0;
    return f;
  }
  double largest = fmax(fabs(f), fabs(g));
  double r = largest < 1e150 && largest > 1e-140 ? sqrt(f * f + g * g) : hypot(f, g);
  *out_c = f / r;
  *out_s = g / r;
  return r;
}

/* Shell's sort, gaps by Ciura. */
void mica_sorted_order(int64_t n, const double *values, bool by_size, int64_t *order) {
  static const int64_t gaps[] = {701, 301, 132, 57, 23, 10, 4, 1};
  for (int64_t i = 0; i < n; i++) order[i] = i;
  for (size_t g = 0; g < sizeof(gaps) / sizeof(gaps[0]); g++)
    for (int64_t i = gaps[g]; i < n; i++) {
      int64_t moved = order[i], at = i;
      double key = by_size ? -fabs(values[moved]) : values[moved];
      for (; at >= gaps[g]; at -= gaps[g]) {
        double other = values[order[at - gaps[g]]];
        if (!((by_size ? -fabs(other) : other) > key)) break;
        order[at] = order[at - gaps[g]];
      }
      order[at] = moved;
    }
}
