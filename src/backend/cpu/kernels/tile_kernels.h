/* SPDX-License-Identifier: Apache-2.0 */
/* The operators of the tile VM (backend/cpu/tile.h) and the table of their kernels in one row.
 *
 * Inside a program a value has one of seven classes; narrower dtypes are widened when loaded: i8, i16 to
 * I32, u8, u16 to U32 (and wrapped after each operator that can leave their range), f16, bf16 to F32;
 * bool is a byte of 0 or 1. */
#ifndef MICA_BACKEND_CPU_KERNELS_TILE_KERNELS_H
#define MICA_BACKEND_CPU_KERNELS_TILE_KERNELS_H
#include <stdbool.h>
#include <stdint.h>

#include "mica/core.h"

/* X(NAME, arity). Dtypes of the sources are equal unless said otherwise; the result's is the node's. */
#define MICA_TILE_OP_LIST(X)                                                              \
  X(LOAD, 0)   /* accesses[access]; the node's dtype is the access's */                   \
  X(NUMBER, 0) /* number: as_double for floats, as_integer for integers and bool */       \
  X(INDEX, 0)  /* position along axis `access` of the space; an integer or float dtype */ \
  X(STORE, 1)  /* source 0 to accesses[access], of its dtype; no value */                 \
  X(NEG, 1)                                                                               \
  X(ABS, 1)                                                                               \
  X(SIGN, 1)                                                                              \
  X(EXP, 1)                                                                               \
  X(EXPM1, 1)                                                                             \
  X(LOG, 1)                                                                               \
  X(LOG1P, 1)                                                                             \
  X(TANH, 1)                                                                              \
  X(LOGISTIC, 1)                                                                          \
  X(ERF, 1)                                                                               \
  X(SQRT, 1)                                                                              \
  X(RSQRT, 1)                                                                             \
  X(SIN, 1)                                                                               \
  X(COS, 1)                                                                               \
  X(FLOOR, 1)                                                                             \
  X(CEIL, 1)                                                                              \
  X(ROUND, 1)                                                                             \
  X(NOT, 1)                                                                               \
  X(IS_FINITE, 1) /* -> bool */                                                           \
  X(CONVERT, 1)   /* from the source's dtype to the node's */                             \
  X(RELU, 1)                                                                              \
  X(GELU, 1) /* by erf */                                                                 \
  X(GELU_TANH, 1)                                                                         \
  X(TAN, 1)                                                                               \
  X(ASIN, 1)                                                                              \
  X(ACOS, 1)                                                                              \
  X(ATAN, 1)                                                                              \
  X(SINH, 1)                                                                              \
  X(COSH, 1)                                                                              \
  X(ASINH, 1)                                                                             \
  X(ACOSH, 1)                                                                             \
  X(ATANH, 1)                                                                             \
  X(EXP2, 1)                                                                              \
  X(LOG2, 1)                                                                              \
  X(LOG10, 1)                                                                             \
  X(CBRT, 1)                                                                              \
  X(SOFTPLUS, 1)                                                                          \
  X(ERFC, 1)                                                                              \
  X(ERF_INV, 1)                                                                           \
  X(LGAMMA, 1)                                                                            \
  X(DIGAMMA, 1)                                                                           \
  X(BESSEL_I0E, 1)                                                                        \
  X(BESSEL_I1E, 1)                                                                        \
  X(POPCOUNT, 1)                                                                          \
  X(COUNT_LEADING_ZEROS, 1)                                                               \
  X(BITCAST, 1) /* the same bits: between dtypes of 32 or of 64 bits */                   \
  X(ADD, 2)                                                                               \
  X(SUB, 2)                                                                               \
  X(MUL, 2)                                                                               \
  X(DIV, 2)                                                                               \
  X(REM, 2)                                                                               \
  X(POW, 2)                                                                               \
  X(MAX, 2)                                                                               \
  X(MIN, 2)                                                                               \
  X(AND, 2)                                                                               \
  X(OR, 2)                                                                                \
  X(XOR, 2)                                                                               \
  X(ATAN2, 2)                                                                             \
  X(HYPOT, 2)                                                                             \
  X(COPYSIGN, 2)                                                                          \
  X(NEXTAFTER, 2)                                                                         \
  X(IGAMMA, 2)                                                                            \
  X(IGAMMAC, 2)                                                                           \
  X(IGAMMA_SLOPE, 2)                                                                      \
  X(SHIFT_LEFT, 2)                                                                        \
  X(SHIFT_RIGHT_LOGICAL, 2)                                                               \
  X(SHIFT_RIGHT_ARITHMETIC, 2)                                                            \
  X(EQ, 2) /* comparisons -> bool */                                                      \
  X(NE, 2)                                                                                \
  X(LT, 2)                                                                                \
  X(LE, 2)                                                                                \
  X(GT, 2)                                                                                \
  X(GE, 2)                                                                                \
  X(SELECT, 3) /* bool, x, y */                                                           \
  X(BETAINC, 3)                                                                           \
  X(REDUCE_SUM, 1)                                                                        \
  X(REDUCE_PROD, 1)                                                                       \
  X(REDUCE_MAX, 1)                                                                        \
  X(REDUCE_MIN, 1)                                                                        \
  X(REDUCE_AND, 1)                                                                        \
  X(REDUCE_OR, 1)

typedef enum mica_tile_op {
#define MICA_TILE_OP_ROW(NAME, arity) MICA_TILE_##NAME,
  MICA_TILE_OP_LIST(MICA_TILE_OP_ROW)
#undef MICA_TILE_OP_ROW
      MICA_TILE_OP_COUNT
} mica_tile_op;

typedef enum mica_tile_class {
  MICA_TILE_CLASS_F32,
  MICA_TILE_CLASS_F64,
  MICA_TILE_CLASS_I32,
  MICA_TILE_CLASS_U32,
  MICA_TILE_CLASS_I64,
  MICA_TILE_CLASS_U64,
  MICA_TILE_CLASS_BOOL,
  MICA_TILE_CLASS_COUNT
} mica_tile_class;

/* out[i] = f(a[i], b[i], c[i]) for i in [0, count). If bit s of `splat` is set, source s is one vector of
 * equal elements instead. `out` may be any source of the same element size. */
typedef void mica_tile_kernel(int64_t count, void *out, const void *a, const void *b, const void *c,
                              uint32_t splat);

/* Partial results of a long reduction: a binary counter of vectors, so that the sum of many tiles is
 * pairwise. Starts with count = 0. */
enum { MICA_REDUCE_LEVELS = 48 };
typedef struct mica_reduce_state {
  _Alignas(64) uint64_t count;
  _Alignas(64) unsigned char level[MICA_REDUCE_LEVELS][64];
} mica_reduce_state;

typedef struct mica_reduce_kernels {
  /* out[r] = reduction of in[r * n .. r * n + n), n >= 1. */
  void (*rows)(int64_t rows, int64_t n, void *out, const void *in);
  /* The same over tiles that follow each other: push each, then finish into one element. */
  void (*push)(mica_reduce_state *state, int64_t count, const void *in);
  void (*finish)(const mica_reduce_state *state, void *out);
} mica_reduce_kernels;

/* An array of two axes, as a tile's gathered load sees it: strides in elements. */
typedef struct mica_tile_lines {
  int64_t lines, line_stride, length, stride;
} mica_tile_lines;

/* Pairs of operators in one pass, without contraction: the product or difference is rounded. */
typedef enum mica_tile_pair {
  MICA_TILE_MUL_ADD, /* a * b + c */
  MICA_TILE_MUL_SUB, /* a * b - c */
  MICA_TILE_SUB_MUL, /* (a - b) * c */
  MICA_TILE_SUB_EXP, /* exp(a - b) */
  MICA_TILE_PAIR_COUNT
} mica_tile_pair;

/* A chain: f32 operators applied one after the other to a few vectors that stay in registers, then the same
 * for the next few. Steps work on an accumulator (and on one truth value for each element); a and b are
 * operands in memory. */
#define MICA_CHAIN_LIST(X)                                                              \
  X(LOAD)   /* acc = a */                                                               \
  X(STORE)  /* a = acc */                                                               \
  X(STREAM) /* a = acc, around the caches where a is aligned */                         \
  X(ADD)    /* acc = acc + a */                                                         \
  X(SUB)                                                                                \
  X(SUB_FROM) /* acc = a - acc */                                                       \
  X(MUL)                                                                                \
  X(DIV)                                                                                \
  X(DIV_INTO) /* acc = a / acc */                                                       \
  X(ADD_MUL)  /* acc = a * b + acc */                                                   \
  X(MAX)      /* acc = max(acc, a) */                                                   \
  X(MAX_OF)   /* acc = max(a, acc): where zeros differ in sign the second one counts */ \
  X(MIN)                                                                                \
  X(MIN_OF)                                                                             \
  X(EQ) /* truth = acc == a */                                                          \
  X(NE)                                                                                 \
  X(LT)                                                                                 \
  X(LE)                                                                                 \
  X(GT)                                                                                 \
  X(GE)                                                                                 \
  X(LOAD_TRUTH) /* truth = a, bytes */                                                  \
  X(STORE_TRUTH)                                                                        \
  X(SELECT_OR)   /* acc = truth ? acc : a */                                            \
  X(SELECT_ELSE) /* acc = truth ? a : acc */                                            \
  X(NEG)                                                                                \
  X(ABS)                                                                                \
  X(SIGN)                                                                               \
  X(SQRT)                                                                               \
  X(RSQRT)                                                                              \
  X(FLOOR)                                                                              \
  X(CEIL)                                                                               \
  X(ROUND)                                                                              \
  X(RELU)                                                                               \
  X(EXP)                                                                                \
  X(EXPM1)                                                                              \
  X(LOG)                                                                                \
  X(LOG1P)                                                                              \
  X(TANH)                                                                               \
  X(LOGISTIC)                                                                           \
  X(ERF)                                                                                \
  X(GELU)                                                                               \
  X(GELU_TANH)

typedef enum mica_chain_op {
#define MICA_CHAIN_ROW(NAME) MICA_CHAIN_##NAME,
  MICA_CHAIN_LIST(MICA_CHAIN_ROW)
#undef MICA_CHAIN_ROW
      MICA_CHAIN_OP_COUNT
} mica_chain_op;

/* Of a slot for a value that lives within one round of a chain. */
enum { MICA_CHAIN_BYTES = 512 };

typedef struct mica_chain_step {
  int32_t op;       /* 2 * mica_chain_op, + 1 if the last operand (a, or b of ADD_MUL) is a splat */
  int32_t place[2]; /* of a and b: indices into the places given to the kernel */
  int64_t walks
      [2]; /* -1: an array, which moves along with the rounds; 0: a splat or slot, which stays */
} mica_chain_step;

struct mica_tile_kernels {
  int32_t vector_bytes;
  /* Runs the steps for elements [0, count). */
  void (*chain)(int64_t count, const mica_chain_step *steps, int32_t step_count,
                void *const *places);
  /* By the class of source 0 (SELECT: of source 1; result and source class differ for comparisons). */
  mica_tile_kernel *compute[MICA_TILE_OP_COUNT][MICA_TILE_CLASS_COUNT];
  mica_tile_kernel *pairs[MICA_TILE_PAIR_COUNT]; /* f32 */
  mica_tile_kernel
      *convert[MICA_TILE_CLASS_COUNT][MICA_TILE_CLASS_COUNT]; /* NULL: by core's convert */
  mica_tile_kernel *widen[MICA_DTYPE_COUNT];  /* dense narrow elements to their class; NULL: same */
  mica_tile_kernel *narrow[MICA_DTYPE_COUNT]; /* and back: wraps or rounds */
  mica_tile_kernel *round[MICA_DTYPE_COUNT];  /* in the class: to the values of the narrow dtype */
  mica_tile_kernel *copy[4];                  /* by log2 of the element size; splat fills */
  mica_tile_kernel *stream[4];                /* the same around the caches; ends with a fence */
  const mica_reduce_kernels *reduce[MICA_TILE_OP_COUNT][MICA_TILE_CLASS_COUNT];
  /* out[r * n + i] = in[r] */
  void (*expand[4])(int64_t rows, int64_t n, void *out, const void *in);
  /* Dense out from lines and back, by log2 of the element size. */
  void (*gather[4])(const mica_tile_lines *lines, void *out, const void *in);
  void (*scatter[4])(const mica_tile_lines *lines, void *out, const void *in);
};
typedef struct mica_tile_kernels mica_tile_kernels;

#endif
