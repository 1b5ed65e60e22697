/* SPDX-License-Identifier: Apache-2.0 */
/* copy.h: copying between strided views of one shape: transposes, pads, slices, concatenations. */
#ifndef MICA_BACKEND_CPU_COPY_H
#define MICA_BACKEND_CPU_COPY_H
#include "backend/cpu/kernels/gemm.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/row_kernels.h"
#include "mica/core.h"

/* A copy, ready to run. Axes are ordered by the destination's stride, outermost first, merged where both
 * sides allow, without axes of size 1. Strides in bytes. */
typedef struct {
  int32_t rank;         /* 1 at least */
  int32_t element_size; /* 1, 2, 4, 8 or 16; larger when elements were merged */
  int64_t size[MICA_MAX_RANK], from[MICA_MAX_RANK], to[MICA_MAX_RANK];
  int32_t across; /* the axis along which `from` is dense, when that is not the last one; else -1 */
  int64_t rows, columns; /* of a part: elements along `across` (or 1), and along the last axis */
  int64_t tasks;         /* parts that can be copied side by side */
  int64_t bytes;         /* of the elements */
  mica_transpose_kernel *transpose; /* of a part that goes across; NULL: element by element */
  bool stream;                      /* the result is too large to be in a cache when it is read */
} mica_strided_copy;

/* Strides in elements. */
void mica_strided_copy_init(mica_strided_copy *copy, const mica_cpu_kernels *kernels,
                            size_t element_size, mica_shape shape, const int64_t *from_stride,
                            const int64_t *to_stride);
void mica_strided_copy_task(const mica_strided_copy *copy, int64_t task, const char *from,
                            char *to);
/* All of it, on several threads when it is worth it. */
void mica_strided_copy_run(const mica_strided_copy *copy, const void *from, void *to,
                           const mica_parallel *parallel);
void mica_copy_bytes(void *to, const void *from, size_t size, const mica_parallel *parallel);

#endif
