/* SPDX-License-Identifier: Apache-2.0 */
/* random.h: random numbers as pure functions of a key (Philox4x32-10, core.h). The same key
 * gives the same numbers on every backend, thread count and platform. Inside vmap a key that is
 * the same for all examples is folded with the example's index, so that examples draw different
 * numbers. */
#ifndef MICA_OPS_RANDOM_H
#define MICA_OPS_RANDOM_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* A key, u32 [2], from a seed. */
MICA_API mica_value mica_random_key(mica_graph *graph, uint64_t seed);
/* A new key from a key and an integer [] (a step, a layer's number, an iteration): the first two
 * words drawn from (key[0], key[1] ^ 0x666F6C64), xor the number as 64 bits. */
MICA_API mica_value mica_random_fold(mica_value key, mica_value number);
MICA_API mica_value mica_random_fold_number(mica_value key, uint32_t number);
/* u32 [shape...]: word i % 4 of Philox block i / 4, i counting row-major. Many keys u32 [a...,
 * 2] draw [a..., shape...], here and below. */
MICA_API mica_value mica_random_bits(mica_value key, mica_shape shape);
/* Uniform in [0, 1): the upper 24 bits (f32; f16: 11, bf16: 8) of a word as a fraction; f64: 27
 * bits of word i and 26 of word n + i, for n elements. */
MICA_API mica_value mica_random_uniform(mica_value key, mica_type type);
/* Normal by Box and Muller (1958): sqrt(-2 log(1 - u)) cos(2 pi w) of uniforms u from words i, w
 * from words n + i (f64: i and n + i, 2 n + i and 3 n + i); f16 and bf16 are rounded from f32. */
MICA_API mica_value mica_random_normal(mica_value key, mica_type type);
/* bool: true with probability p, which is rounded to a multiple of 2^-32. */
MICA_API mica_value mica_random_bernoulli(mica_value key, double p, mica_shape shape);

#ifdef __cplusplus
}
#endif
#endif
