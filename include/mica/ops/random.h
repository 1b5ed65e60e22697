/* SPDX-License-Identifier: Apache-2.0 */
/* random.h: random numbers as pure functions of a key (Philox4x32-10, core.h). The same key gives the
 * same numbers on every backend, thread count and platform. Inside vmap a key that is the same for all
 * examples is folded with the example's index, so that examples draw different numbers. */
#ifndef MICA_OPS_RANDOM_H
#define MICA_OPS_RANDOM_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* A key, u32 [2], from a seed. */
MICA_API mica_value mica_random_key(mica_graph *graph, uint64_t seed);
/* A new key from a key and an integer [] (a step, a layer's number, an iteration). */
MICA_API mica_value mica_random_fold(mica_value key, mica_value number);
MICA_API mica_value mica_random_fold_number(mica_value key, uint32_t number);
/* u32 [shape...]: word i % 4 of Philox block i / 4, i counting row-major. */
MICA_API mica_value mica_random_bits(mica_value key, mica_shape shape);
/* Uniform in [0, 1): the upper 24 bits (f32; f16: 11, bf16: 8) or 53 bits (f64, from two words) as a fraction. */
MICA_API mica_value mica_random_uniform(mica_value key, mica_type type);
/* Normal by Box and Muller (1958) from two uniforms. */
MICA_API mica_value mica_random_normal(mica_value key, mica_type type);
/* bool: true with probability p. */
MICA_API mica_value mica_random_bernoulli(mica_value key, double p, mica_shape shape);

#ifdef __cplusplus
}
#endif
#endif
