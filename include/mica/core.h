/* SPDX-License-Identifier: Apache-2.0 */
/* core.h: status and errors, allocators, dtypes, shapes, tensors, arrays in files, random bits.
 *
 * Ownership: tensors are reference-counted; mica_error and shapes are plain values with nothing
 * to free. Threads: values may be used from any thread; a tensor may be read by many threads at
 * once, and is written (mica_tensor_write) by one thread while none reads it. Reference counts
 * are atomic. Example: examples/tensors.c. */
#ifndef MICA_CORE_H
#define MICA_CORE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define MICA_API
#elif defined(__GNUC__)
#define MICA_API __attribute__((visibility("default")))
#else
#define MICA_API
#endif
#if defined(__GNUC__)
#define MICA_MUST_CHECK __attribute__((warn_unused_result))
#define MICA_PRINTF(format_index, first) \
  __attribute__((__format__(__printf__, format_index, first)))
#else
#define MICA_MUST_CHECK
#define MICA_PRINTF(format_index, first)
#endif

#ifdef __FAST_MATH__
#error "Mica needs IEEE arithmetic: build without -ffast-math"
#endif

#define MICA_VERSION_MAJOR 0
#define MICA_VERSION_MINOR 1
#define MICA_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0" of the library that runs, which may be newer than the header. */
MICA_API const char *mica_version(void);

/* ---- status and error ------------------------------------------------------------------------ */

/* One row per status: X(NAME, value, text). Values never change. */
#define MICA_STATUS_LIST(X)            \
  X(OK, 0, "ok")                       \
  X(INVALID, 1, "invalid argument")    \
  X(OUT_OF_MEMORY, 2, "out of memory") \
  X(UNSUPPORTED, 3, "unsupported")     \
  X(DATA_LOSS, 4, "data loss")         \
  X(CANCELLED, 5, "cancelled")         \
  X(NOT_FOUND, 6, "not found")         \
  X(IO, 7, "input/output error")       \
  X(INTERNAL, 8, "internal error")
typedef enum {
#define MICA_STATUS_ROW(NAME, value, text) MICA_##NAME = value,
  MICA_STATUS_LIST(MICA_STATUS_ROW)
#undef MICA_STATUS_ROW
} mica_status;

/* Text of a status, never NULL. */
MICA_API const char *mica_status_text(mica_status status);

/* What went wrong: a value of the caller's, nothing to free. NULL is allowed wherever one is asked
 * for. The first failure stays: no function overwrites a set message, and one that is handed NULL
 * from a failed constructor returns its status. Set {0} to use it again. */
typedef struct {
  mica_status status;
  char message[1012];
  /* A mistake in a graph: the return address of the call that made it, in the code that built the graph, for
   * a debugger (`info line *ADDRESS`) or addr2line. NULL: not known, or another failure. */
  const void *caller;
} mica_error;

/* Records `status` with a formatted message, unless `error` is NULL or holds a failure already.
 * Returns `status`, so that a function ends with `return mica_error_set(...)`. */
MICA_API mica_status mica_error_set(mica_error *error, mica_status status, const char *format, ...)
    MICA_PRINTF(3, 4);

/* ---- memory ---------------------------------------------------------------------------------- */

/* An allocator is a value. One function does everything:
 *   old == NULL     allocate new_size bytes aligned to `alignment`, a power of two
 *   new_size == 0   free `old` of old_size bytes, return NULL
 *   otherwise       resize, keeping the smaller of both sizes; NULL leaves `old` as it was
 * It is called from any thread that uses the object it was given to, with the alignment that the
 * block was made with. {0} means the C library's. */
typedef struct {
  void *(*allocate)(void *self, void *old, size_t old_size, size_t new_size, size_t alignment);
  void *self;
} mica_allocator;

/* ---- dtypes ---------------------------------------------------------------------------------- */

/* One row per dtype: X(NAME, value, text, bits). Packed 4-bit elements lie two to a byte, the first
 * in the low half. Values never change. */
#define MICA_DTYPE_LIST(X)       \
  X(BOOL, 1, "bool", 8)          \
  X(I4, 2, "i4", 4)              \
  X(U4, 3, "u4", 4)              \
  X(I8, 4, "i8", 8)              \
  X(U8, 5, "u8", 8)              \
  X(I16, 6, "i16", 16)           \
  X(U16, 7, "u16", 16)           \
  X(I32, 8, "i32", 32)           \
  X(U32, 9, "u32", 32)           \
  X(I64, 10, "i64", 64)          \
  X(U64, 11, "u64", 64)          \
  X(F8E4M3FN, 12, "f8e4m3fn", 8) \
  X(F8E5M2, 13, "f8e5m2", 8)     \
  X(BF16, 14, "bf16", 16)        \
  X(F16, 15, "f16", 16)          \
  X(F32, 16, "f32", 32)          \
  X(F64, 17, "f64", 64)          \
  X(C64, 18, "c64", 64)          \
  X(C128, 19, "c128", 128)
typedef enum {
  MICA_DTYPE_NONE = 0,
#define MICA_DTYPE_ROW(NAME, value, text, bits) MICA_##NAME = value,
  MICA_DTYPE_LIST(MICA_DTYPE_ROW)
#undef MICA_DTYPE_ROW
      MICA_DTYPE_COUNT = 20
} mica_dtype;

MICA_API const char *mica_dtype_name(mica_dtype dtype);     /* "f32"; "none" for anything unknown */
MICA_API mica_dtype mica_dtype_from_name(const char *name); /* MICA_DTYPE_NONE if unknown or NULL */
MICA_API int32_t mica_dtype_bits(mica_dtype dtype);         /* of one element; 0 if unknown */
MICA_API bool mica_dtype_is_float(mica_dtype dtype);        /* f8.. to f64 */
MICA_API bool mica_dtype_is_integer(mica_dtype dtype);      /* i4 .. u64, not bool */
MICA_API bool mica_dtype_is_signed(mica_dtype dtype);       /* i4 .. i64 */
MICA_API bool mica_dtype_is_complex(mica_dtype dtype);      /* c64, c128 */

/* Converts `count` elements. Floats round to nearest even and keep NaN; a finite value too large
 * for f8e4m3fn becomes NaN, for the others infinity. Float to integer truncates and saturates, NaN
 * gives 0; integers wrap; anything but zero is true; real to complex has imaginary part 0, complex
 * to real drops it. `out` and `in` do not overlap. Unknown dtypes are MICA_INVALID. */
MICA_API mica_status mica_convert_elements(mica_dtype out_dtype, void *out, mica_dtype in_dtype,
                                           const void *in, int64_t count);

/* ---- shapes ---------------------------------------------------------------------------------- */

enum { MICA_MAX_RANK = 8 };

typedef struct {
  int32_t rank;               /* 0 .. 8; 0 is a scalar */
  int64_t dim[MICA_MAX_RANK]; /* outermost first, each >= 0; entries past rank are 0 */
} mica_shape;

typedef struct {
  mica_dtype dtype;
  mica_shape shape;
} mica_type;

/* Axes of an operator. Negative axes count from the end; count -1 means all; keep leaves reduced
 * axes with size 1. */
typedef struct {
  int32_t count, axis[MICA_MAX_RANK];
  bool keep;
} mica_axes;

#ifndef __cplusplus
/* MICA_DIMS(2, 3) is the shape [2, 3]; MICA_SCALAR is []. More than 8 sizes do not compile. */
#define MICA_DIMS(...)                                                                 \
  ((mica_shape){.rank = (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
                .dim = {__VA_ARGS__}})
#define MICA_SCALAR ((mica_shape){.rank = 0})
#define MICA_AXES(...)                                                                 \
  ((mica_axes){.count = (int32_t)(sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)), \
               .axis = {__VA_ARGS__}})
#define MICA_KEEP(...)                                                                 \
  ((mica_axes){.count = (int32_t)(sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)), \
               .axis = {__VA_ARGS__},                                                  \
               .keep = true})
#define MICA_ALL ((mica_axes){.count = -1})
#endif

/* Number of elements, -1 for an invalid shape (rank, a negative size, a product above INT64_MAX;
 * sizes beside a 0 count as well, since strides are their products). */
MICA_API int64_t mica_shape_count(mica_shape shape);
MICA_API bool mica_shape_equal(mica_shape a, mica_shape b);
MICA_API bool mica_type_equal(mica_type a, mica_type b);
/* Bytes of a dense row-major array of that type; false for an invalid type or on overflow. */
MICA_API bool mica_type_byte_size(mica_type type, size_t *out_size);
/* "f32[2, 3]" into text[size], always terminated; returns the length it needs, as snprintf. */
MICA_API int mica_type_format(mica_type type, char *text, size_t size);

/* ---- tensors --------------------------------------------------------------------------------- */

/* Dense row-major values, aligned to 64 bytes, reference-counted; immutable but for
 * mica_tensor_write. Constructors return NULL when memory runs out or the type is invalid; every
 * consumer of a tensor takes NULL with an error that says so. */
typedef struct mica_tensor mica_tensor;

/* Copies `values`, row-major elements of `dtype` (NULL: zeros). */
MICA_API mica_tensor *mica_tensor_from(mica_dtype dtype, mica_shape shape, const void *values);
/* As mica_tensor_from, with an allocator and an error that says what is wrong. */
MICA_API mica_status mica_tensor_create(const mica_allocator *allocator, mica_type type,
                                        const void *values, mica_tensor **out_tensor,
                                        mica_error *error) MICA_MUST_CHECK;
/* The same from real numbers, converted to `dtype` as mica_convert_elements does (NULL: zeros). */
MICA_API mica_tensor *mica_tensor_from_doubles(mica_dtype dtype, mica_shape shape,
                                               const double *values);
MICA_API mica_tensor *mica_tensor_scalar(mica_dtype dtype, double value);
/* Wraps memory of the caller's without a copy: `data` is 64-byte aligned, stays unchanged while the
 * tensor lives, and `release(context)` is called once when the last reference goes. */
MICA_API mica_status mica_tensor_wrap(mica_type type, const void *data,
                                      void (*release)(void *context), void *context,
                                      mica_tensor **out_tensor, mica_error *error) MICA_MUST_CHECK;

MICA_API mica_tensor *mica_tensor_retain(mica_tensor *tensor); /* returns it; NULL is fine */
MICA_API void mica_tensor_release(mica_tensor *tensor); /* NULL is fine, as for every release */

MICA_API mica_type mica_tensor_type(const mica_tensor *tensor); /* {0} for NULL */
MICA_API size_t mica_tensor_byte_size(const mica_tensor *tensor);
/* The values, valid while the tensor lives and is not written. NULL for NULL. Of a tensor on a device a
 * copy on the host, made by the first call, which waits; NULL where that fails (mica_tensor_read says why). */
MICA_API const void *mica_tensor_data(const mica_tensor *tensor);
/* Copies all bytes to `host`; byte_size must be the tensor's. Waits; asynchronous errors surface
 * here. */
MICA_API mica_status mica_tensor_read(const mica_tensor *tensor, void *host, size_t byte_size,
                                      mica_error *error);
/* Copies `byte_size` bytes from `byte_offset` on, without the rest of a device's tensor where the device
 * can. The range lies inside of the tensor, else MICA_INVALID. */
MICA_API mica_status mica_tensor_read_part(const mica_tensor *tensor, size_t byte_offset,
                                           void *host, size_t byte_size, mica_error *error);
/* Waits until the values are there: of a device's tensor the call that computes them may still run.
 * Returns what went wrong in it. */
MICA_API mica_status mica_tensor_wait(const mica_tensor *tensor, mica_error *error);
/* Whether mica_tensor_wait would return at once; true for NULL. */
MICA_API bool mica_tensor_is_ready(const mica_tensor *tensor);
/* Copies all elements converted to double (complex: the real part); count must be the tensor's. */
MICA_API mica_status mica_tensor_read_doubles(const mica_tensor *tensor, double *host,
                                              int64_t count, mica_error *error);
/* Overwrites all bytes and counts the version up; no other thread may use the tensor meanwhile. A
 * tensor that wraps memory or lies on a device gets host memory of its own first. */
MICA_API mica_status mica_tensor_write(mica_tensor *tensor, const void *host, size_t byte_size,
                                       mica_error *error);
MICA_API uint64_t mica_tensor_version(const mica_tensor *tensor);

/* Same type and same bits (so NaN equals the same NaN, and 0 differs from -0). */
MICA_API bool mica_tensor_equal(const mica_tensor *a, const mica_tensor *b);

/* |a - b| <= absolute + relative * |b| for every element; NaN matches NaN, infinity its like. */
typedef struct {
  bool close;              /* every element is within the tolerance */
  int64_t mismatch_count;  /* how many are not */
  int64_t worst_index;     /* row-major, where |a - b| by the tolerance is largest; -1: none */
  double worst_a, worst_b; /* the values there (real parts) */
  double worst_error;      /* |a - b| there */
} mica_closeness;
/* Compares as doubles (64-bit integers exactly); types must be equal but for the dtype. On a
 * mismatch returns MICA_OK with close == false and `error`, if given, is left alone; MICA_INVALID
 * when the shapes differ. */
MICA_API mica_status mica_tensor_compare(const mica_tensor *a, const mica_tensor *b,
                                         double relative, double absolute, mica_closeness *out,
                                         mica_error *error);
/* "worst at [1, 4]: 0.5 against 0.25 (error 0.25, 3 of 12 elements differ)" into text[size]. */
MICA_API int mica_closeness_format(const mica_closeness *closeness, mica_shape shape, char *text,
                                   size_t size);

/* Prints like numpy: nested brackets, aligned columns, summarised with "..." above `threshold`
 * elements (0: 1000). Writes to text[size], always terminated; returns the length it needs. */
typedef struct {
  size_t struct_size;
  int32_t
      precision; /* digits after the point, 0: 4; -1: as many as reading back needs; scalars: all */
  int64_t threshold;  /* 0: 1000; summarise above */
  int32_t edge_items; /* 0: 3; shown at each end of a summarised axis */
  int32_t line_width; /* 0: 75 columns */
} mica_format_options;
MICA_API int64_t mica_tensor_format(const mica_tensor *tensor, const mica_format_options *options,
                                    char *text, size_t size);

/* ---- exchange: DLPack, .npy, .npz ------------------------------------------------------------ */

/* DLPack 1.0 (dmlc/dlpack, dlpack.h), the versioned struct. Export retains the tensor until the
 * consumer calls the deleter; import takes ownership of `managed` on success (CPU memory, any
 * strides; copies when it is not dense row-major or not 64-byte aligned). `managed` is a
 * DLManagedTensorVersioned *. */
MICA_API mica_status mica_tensor_to_dlpack(mica_tensor *tensor, void **out_managed,
                                           mica_error *error);
MICA_API mica_status mica_tensor_from_dlpack(void *managed, mica_tensor **out_tensor,
                                             mica_error *error);

/* One array of a .npy file (formats 1.0 to 3.0, C or Fortran order, little or big endian). bf16, f8
 * and 4-bit dtypes are stored as raw bytes with numpy's void descriptors as ml_dtypes does, 4-bit
 * elements in a byte each; a comment behind the header's dictionary tells the one-byte dtypes
 * apart, and a file without it is MICA_UNSUPPORTED. */
MICA_API mica_status mica_npy_load(const char *path, mica_tensor **out_tensor, mica_error *error);
MICA_API mica_status mica_npy_save(const char *path, const mica_tensor *tensor, mica_error *error);
MICA_API mica_status mica_npy_parse(const void *bytes, size_t byte_size, mica_tensor **out_tensor,
                                    mica_error *error);
/* A .npz archive: named arrays, stored or deflated when read, stored when written. */
typedef struct mica_npz mica_npz;
MICA_API mica_status mica_npz_load(const char *path, mica_npz **out_npz, mica_error *error);
MICA_API mica_status mica_npz_parse(const void *bytes, size_t byte_size, mica_npz **out_npz,
                                    mica_error *error);
MICA_API int64_t mica_npz_count(const mica_npz *npz);
MICA_API const char *mica_npz_name(const mica_npz *npz,
                                   int64_t index); /* without ".npy"; NULL outside */
MICA_API mica_tensor *mica_npz_tensor(const mica_npz *npz,
                                      int64_t index); /* borrowed; NULL outside */
MICA_API mica_tensor *mica_npz_find(const mica_npz *npz,
                                    const char *name); /* borrowed; NULL if missing */
MICA_API void mica_npz_destroy(mica_npz *npz);
MICA_API mica_status mica_npz_save(const char *path, const char *const *names,
                                   mica_tensor *const *tensors, int64_t count, mica_error *error);

/* SHA-256 (FIPS 180-4) as 64 hexadecimal digits and a terminator: by it data sets are pinned and checkpoints
 * checked. */
MICA_API void mica_sha256(const void *bytes, size_t byte_size, char out_hex[65]);

/* ---- random bits ----------------------------------------------------------------------------- */

/* Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): four words
 * of 32 random bits for a counter and a key; a pure function. */
MICA_API void mica_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#ifdef __cplusplus
}
#endif
#endif
