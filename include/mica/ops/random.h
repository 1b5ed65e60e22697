/* SPDX-License-Identifier: Apache-2.0 */
/* random.h: random numbers as pure functions of a key (Philox4x32-10, core.h). The same key
 * gives the same numbers on every backend, thread count and platform: to the bit where they are
 * integers, to the last places of the functions that make them otherwise. Inside vmap a key that is
 * the same for all examples is folded with the example's index, so that examples draw different
 * numbers.
 *   A key is used once: draw with it, or make others from it. A `type` is f16, bf16, f32 or f64
 * unless told; f16 and bf16 are rounded from f32. Many keys u32 [a..., 2] draw [a..., shape...]
 * everywhere. Parameters that are values broadcast to the shape; a draw has their dtype. */
#ifndef MICA_OPS_RANDOM_H
#define MICA_OPS_RANDOM_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* ---- keys -------------------------------------------------------------------------------------- */

/* A key, u32 [2], from a seed. */
MICA_API mica_value mica_random_key(mica_graph *graph, uint64_t seed);
/* A new key from a key and an integer [] (a step, a layer's number, an iteration): the first two
 * words drawn from (key[0], key[1] ^ 0x666F6C64), xor the number as 64 bits. */
MICA_API mica_value mica_random_fold(mica_value key, mica_value number);
MICA_API mica_value mica_random_fold_number(mica_value key, uint32_t number);
/* New keys u32 [count, 2]: the words that (key[0], key[1] ^ 0x73706C74) draws. One for each example
 * of a vmap, or mica_unstack makes single ones of them. */
MICA_API mica_value mica_random_split(mica_value key, int64_t count);

/* ---- bits and integers ------------------------------------------------------------------------- */

/* u32 [shape...]: word i % 4 of Philox block i / 4, i counting row-major. */
MICA_API mica_value mica_random_bits(mica_value key, mica_shape shape);
/* Whole numbers from low up to high, which is left out, of an integer dtype that holds them:
 * low + floor(w (high - low) / 2^64) of 64 random bits w, of 128 where high - low is above 2^32. So
 * two numbers differ in probability by a factor of at most 1 + 2^-32. */
MICA_API mica_value mica_random_integers(mica_value key, mica_type type, int64_t low, int64_t high);
/* bool: true with probability p, which is rounded to a multiple of 2^-32; one p, or floats p. */
MICA_API mica_value mica_random_bernoulli(mica_value key, double p, mica_shape shape);
MICA_API mica_value mica_random_bernoulli_each(mica_value key, mica_value p, mica_shape shape);
/* -1 or 1, as likely, of any signed dtype. */
MICA_API mica_value mica_random_rademacher(mica_value key, mica_type type);
/* logits [..., n] -> i32 [...]: i with probability exp(logits[i]) / sum of exp(logits), as the
 * largest of logits + gumbel (Gumbel 1954). A logit of -infinity is never drawn. */
MICA_API mica_value mica_random_categorical(mica_value key, mica_value logits);
/* i32: k with probability exp(-rate) rate^k / k!. Below a rate of 10 as the quantile of a
 * uniform, else by transformed rejection (Hoermann 1993, PTRS). A rate of NaN or below 0 gives -1; above
 * 2^30, where i32 has little room left, the largest i32. */
MICA_API mica_value mica_random_poisson(mica_value key, mica_value rate, mica_shape shape);

/* ---- orders ------------------------------------------------------------------------------------ */

/* i32 [n]: 0 to n - 1 in a random order: of n words of 64 bits; up to n = 2^22 of their upper bits,
 * all but the log2(n) that hold the place. */
MICA_API mica_value mica_random_permutation(mica_value key, int64_t n);
/* x with its slices along the axis in a random order. */
MICA_API mica_value mica_random_shuffle(mica_value key, mica_value x, int32_t axis);
/* i32 [count] of 0 to n - 1: each drawn anew, or (`replace` false) all different, in random order. */
MICA_API mica_value mica_random_choice(mica_value key, int64_t n, int64_t count, bool replace);
/* logits [n] -> i32 [count], all different: as if drawn one after the other from what is left, with
 * probabilities as in mica_random_categorical (Gumbel top-k; Vieira 2014). */
MICA_API mica_value mica_random_choice_by(mica_value key, mica_value logits, int64_t count);

/* ---- continuous distributions of standard form ------------------------------------------------- */

/* Uniform in [0, 1): the upper 24 bits (f32; f16: 11, bf16: 8) of a word as a fraction; f64: 27
 * bits of word i and 26 of word n + i, for n elements. */
MICA_API mica_value mica_random_uniform(mica_value key, mica_type type);
/* low + (high - low) u, below high even where that rounds to it. */
MICA_API mica_value mica_random_uniform_range(mica_value key, mica_type type, double low,
                                              double high);
/* Normal by Box and Muller (1958): sqrt(-2 log(1 - u)) cos(2 pi w) of uniforms u from words i, w
 * from words n + i (f64: i and n + i, 2 n + i and 3 n + i). */
MICA_API mica_value mica_random_normal(mica_value key, mica_type type);
/* The others are made of uniforms v in (0, 1) that are (word + 1/2) 2^-32, f64 (word i 2^26 + 26 bits
 * of word n + i + 1/2) 2^-58, rounded: fine near 0, where tails come from. */
/* Normal inside of low to high: the quantile sqrt(2) erf_inv of a uniform between erf(low / sqrt(2))
 * and erf(high / sqrt(2)); low below high, low below 6, high above -6. */
MICA_API mica_value mica_random_truncated_normal(mica_value key, mica_type type, double low,
                                                 double high);
MICA_API mica_value mica_random_exponential(mica_value key, mica_type type); /* -log1p(-v) */
MICA_API mica_value mica_random_gumbel(mica_value key, mica_type type);      /* -log(exponential) */
MICA_API mica_value mica_random_laplace(mica_value key, mica_type type);     /* +-exponential */
MICA_API mica_value mica_random_logistic(mica_value key, mica_type type);    /* log(v / (1 - v)) */
MICA_API mica_value mica_random_cauchy(mica_value key, mica_type type);      /* +-cot(pi v / 2) */

/* ---- continuous distributions with parameters -------------------------------------------------- */

/* Density x^(a - 1) exp(-x) / gamma(a), a > 0, by rejection (Marsaglia and Tsang 2000); a not above 0
 * or NaN gives NaN. The derivative by a is implicit reparameterization (Figurnov, Mohamed and Mnih
 * 2018). The second one keeps the logarithm, where a small draw would be 0. */
MICA_API mica_value mica_random_gamma(mica_value key, mica_value a, mica_shape shape);
MICA_API mica_value mica_random_log_gamma(mica_value key, mica_value a, mica_shape shape);
/* Density in proportion to x^(a - 1) (1 - x)^(b - 1): x / (x + y) of gamma draws. */
MICA_API mica_value mica_random_beta(mica_value key, mica_value a, mica_value b, mica_shape shape);
/* a broadcast to the shape [..., n]: gamma draws by their sum along the last axis. */
MICA_API mica_value mica_random_dirichlet(mica_value key, mica_value a, mica_shape shape);

/* ---- matrices ---------------------------------------------------------------------------------- */

/* [..., m, n]: gain times a matrix whose columns (rows, where m < n) are orthonormal, uniform among all
 * such (Haar measure): the Q of normal matrices, each column by the sign of R's diagonal (Mezzadri,
 * "How to generate random matrices from the classical compact groups", 2007). */
MICA_API mica_value mica_random_orthogonal(mica_value key, mica_type type, double gain);

#ifdef __cplusplus
}
#endif
#endif
