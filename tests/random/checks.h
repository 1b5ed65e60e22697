/* SPDX-License-Identifier: Apache-2.0 */
/* checks.h: what has to hold for every program, and how a failing one gets small. */
#ifndef RANDOM_CHECKS_H
#define RANDOM_CHECKS_H
#include "random/generator.h"
#include "random/noise.h"

typedef struct {
  const char *check; /* which property; NULL: all hold */
  char message[1600];
} random_failure;

enum { RANDOM_SIZES = 4096, RANDOM_SLOWEST = 4 };
/* What a program's time goes to. */
enum { PHASE_BUILD, PHASE_REFERENCE, PHASE_CPU, PHASE_DERIVATIVES, PHASE_VMAP, RANDOM_PHASES };
/* What the programs of a run were like. */
typedef struct {
  int64_t programs, failures;
  int64_t size[RANDOM_SIZES];  /* by number of nodes */
  int64_t with[MICA_OP_COUNT]; /* programs that contain the operator */
  int64_t floats, weak;        /* float outputs; those whose tolerance is above 1e-3 of them */
  int64_t slopes, rough,
      not_finite;         /* outputs whose derivative was compared with differences, or was not */
  int64_t transposed;     /* programs whose forward and reverse mode were compared */
  int64_t batched, large; /* programs under vmap; too large for derivatives */
  int64_t depth[PROGRAM_DEPTH + 1]; /* programs by how deep their blocks nest */
  int64_t nanoseconds[RANDOM_PHASES];
  struct {
    uint64_t seed;
    int64_t nanoseconds;
  } slowest[RANDOM_SLOWEST];
} random_statistics;

/* False when something does not hold. `statistics` may be NULL. */
bool random_check(random_tape *tape, random_failure *failure, random_statistics *statistics);
/* Makes the tape smaller while the same check fails. */
void random_shrink(random_tape *tape, random_failure *failure);
/* The program's text, to be freed. */
char *random_text(random_tape *tape);
char *random_format(const mica_graph *graph);
/* Programs first, first + step, .., `count` of them, or those of MICA_RANDOM_SEED and MICA_RANDOM_COUNT; prints
 * failures. */
void random_run(uint64_t first, int64_t count, uint64_t step, random_statistics *s);
/* Prints what the programs were like and checks it. With `complete` each operator and block has to occur 50
 * times. Writes the sums into the file MICA_RANDOM_TALLY, for add_parts.py. */
void random_report(const random_statistics *s, bool complete);
/* Whether the environment chooses the programs. */
bool random_chosen(void);
/* Texts, inputs, results and tolerances of `count` programs with at most `most` values as files of `folder`, for
 * to_jax.py. */
bool random_write(const char *folder, uint64_t first, int64_t count, int64_t most);

/* The graph of a tape, not compiled; its program. NULL and a failure when it does not build. */
mica_graph *random_graph(random_tape *tape, random_plan *plan, random_program *program,
                         random_failure *failure);
bool random_fail(random_failure *failure, const char *check, const char *format, ...)
    MICA_PRINTF(3, 4);
/* An output's first difference in words. */
void random_describe(char *text, size_t size, size_t output, int64_t at, const noise_output *wanted,
                     double got);
mica_device *random_reference(void);
mica_device *random_cpu(int32_t threads);
void random_end(void);

/* checks_derivatives.c */
bool random_check_derivatives(random_tape *tape, const random_plan *plan, noise_probe *base,
                              const noise_result *result, mica_tensor *const *in,
                              random_failure *failure, random_statistics *statistics);
/* checks_vmap.c */
bool random_check_vmap(random_tape *tape, const random_plan *plan, noise_probe *base,
                       const noise_result *first, mica_tensor *const *in, random_failure *failure,
                       random_statistics *statistics);
#endif
