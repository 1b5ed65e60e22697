/* SPDX-License-Identifier: Apache-2.0 */
/* model.h: parameters and graphs in files: safetensors, checkpoints, model files.
 *
 * Nothing here needs the layers of nn: it all acts on named tensors and variables. Every reader treats its file
 * as hostile. Names of variables are paths ("encoder/dense/weights"); in checkpoints and model files they are
 * written with dots ("encoder.dense.weights"), as other tools expect, and '/' and '.' are the same when names
 * are matched. Ownership: what is opened is closed by its destroy; tensors are reference-counted and outlive
 * it. Threads: opened things may be read from many threads; one program at a time saves into a folder.
 * Example: examples/checkpoints.c. */
#ifndef MICA_MODEL_H
#define MICA_MODEL_H
#include "mica/jit.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  const char *name;
  mica_tensor *tensor;
} mica_named_tensor;

typedef struct {
  const char *key, *value; /* UTF-8 */
} mica_named_text;

/* ---- safetensors ------------------------------------------------------------------------------- */

/* A file of named tensors and texts (huggingface/safetensors, its format section). All its dtypes that Mica has
 * are read: BOOL, I8 to I64, U8 to U64, F16, BF16, F32, F64, F8_E4M3 (f8e4m3fn), F8_E5M2, C64; one of another
 * dtype or of a rank above 8 is listed, and taking it is MICA_UNSUPPORTED. i4, u4 and c128, which the format
 * lacks, are written as bytes [n] and as F64 [..., 2], with their types under the key "mica.types" of the
 * metadata, by which they come back.
 *
 * Refused with MICA_DATA_LOSS: a header that is not the JSON described there or above 100 MB, keys that occur
 * twice, sizes that do not fit their bytes, overlaps, gaps, and bytes that belong to nothing. Memory beyond the
 * file's own pages is at most four times the header's size. */
typedef struct mica_safetensors mica_safetensors;

/* Maps the file: tensors share its pages, which stay while one of them lives. Replace such a file by rename,
 * as mica_safetensors_save does; who cuts it short in place ends its readers by SIGBUS. */
MICA_API mica_status mica_safetensors_open(const char *path, mica_safetensors **out_file,
                                           mica_error *error);
/* A file that lies in memory, which may be part of the program; it is not copied, and outlives what is made
 * of it. */
MICA_API mica_status mica_safetensors_parse(const void *bytes, size_t byte_size,
                                            mica_safetensors **out_file, mica_error *error);
MICA_API void mica_safetensors_destroy(mica_safetensors *file);
/* In the order of the bytes in the file. */
MICA_API int64_t mica_safetensors_count(const mica_safetensors *file);
MICA_API const char *mica_safetensors_name(const mica_safetensors *file,
                                           int64_t index); /* NULL outside */
/* {0} for what Mica has no type for. */
MICA_API mica_type mica_safetensors_type(const mica_safetensors *file, int64_t index);
MICA_API int64_t mica_safetensors_index(const mica_safetensors *file,
                                        const char *name); /* -1: missing */
/* A new reference. The tensor shares the file's bytes where they lie at a multiple of 64, as those that Mica
 * writes do when their size is a multiple of 64, and is a copy elsewhere; bool bytes other than 0 become 1 in a copy. */
MICA_API mica_status mica_safetensors_tensor(const mica_safetensors *file, int64_t index,
                                             mica_tensor **out_tensor, mica_error *error);
/* The file's metadata: a text, or NULL. The index runs over mica_safetensors_metadata_count. */
MICA_API const char *mica_safetensors_metadata(const mica_safetensors *file, const char *key);
MICA_API int64_t mica_safetensors_metadata_count(const mica_safetensors *file);
MICA_API mica_named_text mica_safetensors_metadata_at(const mica_safetensors *file, int64_t index);

/* Writes a file that is complete or not there: a temporary name beside it, fsync, rename. Bytes are ordered so
 * that tensors lie at multiples of 64 where their sizes allow it, then by name. Names are unique UTF-8 without
 * control characters, not "__metadata__". */
MICA_API mica_status mica_safetensors_save(const char *path, const mica_named_tensor *tensors,
                                           size_t tensor_count, const mica_named_text *metadata,
                                           size_t metadata_count, mica_error *error);
/* The same bytes to wherever `write` takes them, front to back. */
typedef mica_status mica_write_callback(void *user, const void *bytes, size_t size,
                                        mica_error *error);
MICA_API mica_status mica_safetensors_write(const mica_named_tensor *tensors, size_t tensor_count,
                                            const mica_named_text *metadata, size_t metadata_count,
                                            mica_write_callback *write, void *user,
                                            mica_error *error);

#ifdef __cplusplus
}
#endif
#endif
