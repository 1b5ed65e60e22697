/* SPDX-License-Identifier: Apache-2.0 */
/* rows.c: shuffled mini-batches out of tensors that hold a whole data set. */
#include <string.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "mica/data.h"

/* The next word of the Philox stream of a key. */
typedef struct {
  uint32_t key[2], counter[4], words[4];
  int used;
} word_stream;

static uint32_t next_word(word_stream *s) {
  if (s->used == 4) {
    mica_philox(s->counter, s->key, s->words);
    if (!++s->counter[0]) s->counter[1]++;
    s->used = 0;
  }
  return s->words[s->used++];
}

/* Uniform below `limit` (at least 1) without bias, by rejection on 64 bits. */
static uint64_t next_below(word_stream *s, uint64_t limit) {
  uint64_t reject = (0 - limit) % limit; /* 2^64 mod limit */
  for (;;) {
    uint64_t low = next_word(s), word = (uint64_t)next_word(s) << 32 | low;
    if (word >= reject) return word % limit;
  }
}

void mica_shuffle(uint64_t seed, uint64_t epoch, int64_t count, int64_t *out_order) {
  word_stream s = {.key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
                   .counter = {0, 0, (uint32_t)epoch, (uint32_t)(epoch >> 32)},
                   .used = 4};
  for (int64_t i = 0; i < count; i++) out_order[i] = i;
  for (int64_t i = count - 1; i > 0; i--) {
    int64_t j = (int64_t)next_below(&s, (uint64_t)i + 1), kept = out_order[i];
    out_order[i] = out_order[j];
    out_order[j] = kept;
  }
}

mica_status mica_gather_rows(const mica_tensor *source, const int64_t *order, int64_t count,
                             mica_tensor *batch, mica_error *error) {
  if (!source || !batch || !order || count < 0)
    return mica_error_set(error, MICA_INVALID, "gather_rows: source, order and batch are needed");
  mica_type from = mica_tensor_type(source), to = mica_tensor_type(batch);
  bool fits = from.shape.rank >= 1 && from.shape.rank == to.shape.rank && to.shape.dim[0] == count;
  for (int32_t i = 1; fits && i < from.shape.rank; i++) fits = from.shape.dim[i] == to.shape.dim[i];
  if (!fits || mica_dtype_bits(from.dtype) < 8 || mica_dtype_bits(to.dtype) < 8) {
    char a[160], b[160];
    mica_type_format(from, a, sizeof a), mica_type_format(to, b, sizeof b);
    return mica_error_set(error, MICA_INVALID,
                          "gather_rows: rows of %s do not fit a batch %s of %lld rows", a, b,
                          (long long)count);
  }
  int64_t rows = from.shape.dim[0], row = 1;
  for (int32_t i = 1; i < from.shape.rank; i++) row *= from.shape.dim[i];
  for (int64_t i = 0; i < count; i++)
    if (order[i] < 0 || order[i] >= rows)
      return mica_error_set(error, MICA_INVALID, "gather_rows: row %lld of %lld is out of range",
                            (long long)order[i], (long long)rows);
  size_t from_bytes = (size_t)row * (size_t)mica_dtype_bits(from.dtype) / 8,
         to_bytes = (size_t)row * (size_t)mica_dtype_bits(to.dtype) / 8;
  const char *data = mica_tensor_data(source);
  char *out = mica_tensor_mutable_data(batch);
  for (int64_t i = 0; i < count; i++) {
    mica_status status = mica_convert_elements(to.dtype, out + (size_t)i * to_bytes, from.dtype,
                                               data + (size_t)order[i] * from_bytes, row);
    if (status != MICA_OK)
      return mica_error_set(error, status, "gather_rows: the dtype cannot be converted");
  }
  return MICA_OK;
}
