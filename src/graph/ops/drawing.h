/* SPDX-License-Identifier: Apache-2.0 */
/* drawing.h: how distributions take words from a key (random.c). A draw has the key's leading axes,
 * then those of its shape. */
#ifndef MICA_GRAPH_OPS_DRAWING_H
#define MICA_GRAPH_OPS_DRAWING_H
#include "graph/ops/rules.h"

/* Whether it is a key, u32 [a..., 2]; otherwise the graph fails. */
bool mica_is_key(const char *op, mica_value key);
/* The same, of a shape whose elements can be counted, and dtype f16, bf16, f32 or f64. */
bool mica_can_draw(const char *op, mica_value key, mica_type type, int64_t *out_count);
/* `count` words for each of n elements: out[i] u32 [a..., n]. */
void mica_draw_words(mica_value key, int64_t n, int32_t count, mica_value *out);
/* A draw [a..., n] in the wanted shape behind the key's axes. */
mica_value mica_in_draw_shape(mica_value x, mica_shape shape);

/* Uniforms in (0, 1) of f32 or f64, fine near 0 (random.h), and signs, u32 words below 2^31 or not;
 * out [a..., shape...], first `count` uniforms, then one word if `sign`. */
void mica_draw_open(mica_value key, mica_dtype wide, mica_shape shape, int32_t count, bool sign,
                    mica_value *out);
/* x or -x, by such a word. */
mica_value mica_with_sign(mica_value x, mica_value word);
/* Two words u32 as one u64. */
mica_value mica_join_words(mica_value high, mica_value low);
/* Checks the key and a parameter of the shape or less, floats, and broadcasts it; false after a
 * failure. */
bool mica_spread_parameter(const char *op, mica_value key, mica_value *parameter, mica_shape shape);
#endif
