/* SPDX-License-Identifier: Apache-2.0 */
/* random.c: random bits, word i % 4 of Philox block i / 4 for each key of the batch. */
#include "backend/reference/reference_internal.h"

static void random_bits_kernel(const reference_step *step) {
  const mica_random_bits_attr *a = step->attr;
  mica_type keys = reference_in_type(step, 0);
  int64_t each = mica_shape_count(a->shape), key_count = mica_shape_count(keys.shape) / 2;
  const uint32_t *key = step->in[0];
  uint32_t *out = step->out[0];
  for (int64_t k = 0; k < key_count; k++, key += 2) {
    for (int64_t i = 0; i < each; i += 4) {
      uint64_t block = (uint64_t)i / 4;
      uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), 0, 0}, words[4];
      mica_philox(counter, key, words);
      for (int64_t w = 0; w < 4 && i + w < each; w++) *out++ = words[w];
    }
  }
}

const reference_row mica_reference_random[MICA_OP_COUNT] = {
    [MICA_OP_RANDOM_BITS] = {random_bits_kernel, NULL},
};
