/* SPDX-License-Identifier: Apache-2.0 */
/* conformance.h: one table of cases, from which every property of every operator is tested: both
 * backends,
 * gradients, tangents, second order, batching, text form. A case is a small program around one
 * operator. */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H
#include "graph/graph_internal.h"
#include "mica/jit.h"

enum { CASE_INPUTS = 6, CASE_OUTPUTS = 4, CASE_ELEMENTS = 4096 };

/* Where a case's input values come from. */
typedef enum {
  RANGE, /* uniform in [low, high), of the case's dtype */
  /* distinct values in a random order, at least (high - low) / n apart: for extremes and sorting */
  SPACED,
  INDICES, /* i32 in [low, high) */
  TRUTH,   /* bool */
  WORDS    /* u32 */
} case_kind;

typedef struct {
  mica_shape shape;
  case_kind kind;
  double low, high;
} case_input;

typedef enum {
  F64 = 1,
  F32 = 2,
  F16 = 4,
  BF16 = 8,
  I32 = 16,
  I64 = 32,
  U8 = 64,
  U32 = 128,
  BOOL = 256,
  I8 = 512,
  C64 = 1024,
  C128 = 2048,
  I16 = 4096,
  U16 = 8192,
  U64 = 16384,
  I4 = 1 << 15,
  U4 = 1 << 16,
  F8E4M3FN = 1 << 17,
  F8E5M2 = 1 << 18,
  LAST_DTYPE = F8E5M2,
  FLOATS = F64 | F32,
  HALVES = F16 | BF16,
  INTS = I8 | I16 | I32 | I64 | U8 | U16 | U32 | U64,
  COMPLEX = C64 | C128,
  NUMBERS = FLOATS | HALVES | INTS,
  SMALL = I4 | U4 | F8E4M3FN | F8E5M2, /* formats of storage */
  EVERY = NUMBERS | COMPLEX | BOOL | SMALL
} case_dtypes;

typedef enum {
  SMOOTH = 1,  /* differentiable at generic points: gradient, tangent and second order are tested */
  FLAT = 2,    /* differentiable, but the second derivative is zero: no second order */
  FIRST = 4,   /* differentiable, second order not tested (named reason beside the case) */
  REVERSE = 8, /* no forward mode */
  NO_VMAP = 16, /* with a reason beside the case */
  LOOSE = 32 /* cpu may differ from the reference by more: a long sum or a function of a function */
} case_flags;

typedef struct {
  const char *name;
  mica_op op;
  uint32_t dtypes, flags;
  int32_t input_count, output_count;
  case_input in[CASE_INPUTS];
  const char *example; /* the body as it is written */
  void (*build)(mica_graph *graph, const mica_value *in, mica_value *out);
} conformance_case;

extern const conformance_case conformance_cases[];
extern const int32_t conformance_case_count;

mica_dtype case_dtype(uint32_t bit);
mica_dtype case_input_type(const conformance_case *c, int32_t input, mica_dtype dtype,
                           mica_type *out_type);
bool case_is_float(mica_type type);

/* The same values for the same case, input and seed, on every run. */
mica_tensor *case_values(const conformance_case *c, int32_t input, mica_dtype dtype, uint64_t seed);
double case_random(uint64_t seed, uint64_t index); /* uniform in [-1, 1) */

/* The cpu's result against the reference's: exact for integers and truth values, else within a few
 * units in the last place of the dtype, scaled by the largest finite result (sums are ordered
 * differently). Fails the test in the case's name; `where` is added to it. */
bool case_compare(const conformance_case *c, mica_dtype dtype, const mica_tensor *got,
                  const mica_tensor *wanted, int output, const char *where);

/* The same for special values: numbers as large as the dtype's limits set no scale. */
bool case_compare_specials(const conformance_case *c, mica_dtype dtype, const mica_tensor *got,
                           const mica_tensor *wanted, int output, const char *where);

/* A row that XLA's CPU plugins of a PJRT minor version below `before` refuse or do not compute as the reference does
 * (exceptions.c); docs/operators.md lists them. */
typedef struct {
  const char *name;
  uint32_t dtypes;
  int before;
  bool special;        /* on special values only */
  const char *refused; /* part of the message; NULL: computed, but not as here */
  const char *why;
} case_exception;
extern const case_exception case_exceptions[];
extern const int32_t case_exception_count;
/* That of a case on this device, or NULL. */
const case_exception *case_exception_of(mica_device *device, const conformance_case *c,
                                        mica_dtype dtype, bool special);

/* Devices that are opened once. */
mica_device *reference_device(void);
mica_device *cpu_device(int32_t threads);
void close_devices(void);

/* Builds the case's program on parameters of its types: in[], then what `more` adds; runs it. */
typedef void case_program(const conformance_case *c, mica_graph *graph, const mica_value *in,
                          mica_value *out, size_t out_count, void *context);
mica_executable *case_compile(mica_device *device, const conformance_case *c, mica_dtype dtype,
                              const mica_type *extra, size_t extra_count, case_program *program,
                              void *context, size_t out_count, mica_error *error);
/* Plain outputs of the case. */
void forward_program(const conformance_case *c, mica_graph *graph, const mica_value *in,
                     mica_value *out, size_t out_count, void *context);

/* Whether the case is in this run: all of them, or those whose name contains $MICA_CASE, or part K of N of the table
 * for MICA_TEST_PART=K/N. */
bool case_wanted(const conformance_case *c);
/* Fails the test if $MICA_CASE is set and no case so far had that name: a word that is misspelled would
 * pass otherwise. */
void check_case_filter(void);
#endif
