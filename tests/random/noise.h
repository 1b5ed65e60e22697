/* SPDX-License-Identifier: Apache-2.0 */
/* noise.h: how far apart two right results of a program may be.
 *
 * Two engines round differently. What that does to a result depends on the program: a sum of a few terms
 * keeps it, a quotient of differences blows it up, floor makes a jump of it. So the tolerance is measured (as
 * in Monte Carlo arithmetic, Parker 1997): the program runs on the reference with the result of every node that
 * rounds multiplied by 1 + d, with random d of some hundred units in the last place, three times with d and
 * three times with -d. The largest change of an element is its tolerance; an element that becomes or ceases to
 * be finite is not compared. Whole numbers and short fractions that come out of sums and products
 * are exact in every engine and stay as they are. */
#ifndef RANDOM_NOISE_H
#define RANDOM_NOISE_H
#include "graph/graph_internal.h"
#include "mica/backend.h"

enum { NOISE_GRAPHS = 3, NOISE_OUTPUTS = 40 };
typedef struct {
  size_t out_count;
  int graphs;  /* of noisy ones */
  bool coarse; /* the graph holds f16, bf16 or f8: noise is hardly wider than their rounding */
  mica_executable *plain, *noisy[NOISE_GRAPHS];
} noise_probe;

/* For one output: the reference's values and each element's tolerance, negative where it is not compared.
 * Complex elements count twice. */
typedef struct {
  mica_tensor *tensor;
  int64_t count;
  double *value, *tolerance;
  double largest; /* of |value|, finite ones */
  bool chaotic;   /* noise moves it so far that nothing is compared: it stands at a jump */
} noise_output;
typedef struct {
  size_t count;
  int64_t effects; /* calls of the operator with an effect in one run */
  noise_output out[NOISE_OUTPUTS];
} noise_result;

/* With `graphs` noises, each of both signs: 1 to NOISE_GRAPHS. */
mica_status noise_compile(mica_device *reference, const mica_graph *graph, int graphs,
                          noise_probe *out, mica_error *error);
void noise_release(noise_probe *probe);
void noise_end(void); /* releases what is shared */
mica_status noise_run(noise_probe *probe, mica_tensor *const *in, size_t in_count,
                      noise_result *out, mica_error *error);
void noise_result_release(noise_result *result);

/* All elements as doubles, parts of complex numbers one after the other; *out_count of them. */
double *noise_doubles(const mica_tensor *tensor, int64_t *out_count);
/* `got` [count] against the output; `slack` scales the tolerance. -1: all close, else the worst element. */
int64_t noise_compare(const noise_output *wanted, const double *got, double slack);
/* The unit in the last place at 1. */
double noise_unit(mica_dtype dtype);
#endif
