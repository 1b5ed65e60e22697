/* SPDX-License-Identifier: Apache-2.0 */
/* workload.h: what scaling_bench measures: a program of one operator, its inputs and sizes. */
#ifndef SCALING_WORKLOAD_H
#define SCALING_WORKLOAD_H
#include "mica/mica.h"

enum { SCALING_INPUTS = 3, SCALING_OUTPUTS = 3 };

/* One input for a size n: uniform in [-1, 1), or integers below `limit` (0: below n). */
typedef struct {
  mica_shape (*shape)(int64_t n); /* NULL: no input */
  mica_dtype dtype;               /* NONE: f32 */
  int64_t limit;
  bool dominant; /* symmetric [n, n], with n more on the diagonal */
} scaling_input;

typedef struct {
  const char *name;
  mica_build *build;
  int64_t least, most, growth;
  int32_t outputs; /* 0: 1 */
  scaling_input in[SCALING_INPUTS];
} scaling_workload;

extern const scaling_workload scaling_workloads[];
extern const size_t scaling_workload_count;
#endif
