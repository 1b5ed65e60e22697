/* SPDX-License-Identifier: Apache-2.0 */
/* data.h: reading data sets from files. */
#ifndef MICA_DATA_H
#define MICA_DATA_H
#include "mica/core.h"
#ifdef __cplusplus
extern "C" {
#endif

/* An IDX file (the format of MNIST and Fashion-MNIST), plain or gzip-compressed, as a tensor:
 * types u8, i8, i16, i32, f32, f64, big-endian, rank 1 to 8. Refuses what does not add up, and
 * never allocates more than the file justifies. */
MICA_API mica_status mica_idx_load(const char *path, mica_tensor **out_tensor, mica_error *error);
MICA_API mica_status mica_idx_parse(const void *bytes, size_t byte_size, mica_tensor **out_tensor,
                                    mica_error *error);
/* As mica_idx_load, and the SHA-256 of the uncompressed file, by which a data set is pinned. */
MICA_API mica_status mica_idx_load_checked(const char *path, char out_sha256[65],
                                           mica_tensor **out_tensor, mica_error *error);

/* A permutation of 0 .. count - 1 that depends on seed and epoch only (Fisher-Yates on Philox
 * words); the same on every platform. out_order [count]. */
MICA_API void mica_shuffle(uint64_t seed, uint64_t epoch, int64_t count, int64_t *out_order);
/* Copies the rows order[0 .. count) of `source` [n, ...] into `batch` [count, ...], converting
 * the dtype. */
MICA_API mica_status mica_gather_rows(const mica_tensor *source, const int64_t *order,
                                      int64_t count, mica_tensor *batch, mica_error *error);

#ifdef __cplusplus
}
#endif
#endif
