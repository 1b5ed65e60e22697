/* SPDX-License-Identifier: Apache-2.0 */
/* fold_members.c: the elements of several arrays folded one by one, in their order, in the wide type of the
 * dtype, and rounded once: reductions over devices. */
#include "backend/reference/reference_internal.h"

#include <string.h>

void mica_reference_fold(mica_reduce_kind kind, mica_dtype dtype, const void *const *in,
                         size_t members, int64_t from, int64_t count, void *out, int64_t at) {
  enum { BLOCK = 64 };
  reference_complex sum[BLOCK], value[BLOCK]; /* the widest of the wide types */
  for (int64_t done = 0; done < count; done += BLOCK) {
    int64_t size = count - done < BLOCK ? count - done : BLOCK;
    mica_reference_widen(dtype, in[0], from + done, size, sum);
    for (size_t m = 1; m < members; m++) {
      mica_reference_widen(dtype, in[m], from + done, size, value);
      for (int64_t i = 0; i < size; i++) mica_reference_combine(kind, dtype, sum, i, value, i);
    }
    mica_reference_narrow(dtype, out, at + done, size, sum);
  }
}
