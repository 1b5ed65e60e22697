/* SPDX-License-Identifier: Apache-2.0 */
/* einsum.h: axes by name. Texts are judged like every other operand: a mistake makes the graph
 * fail with the character at which it stands. mica_slice (shape.h) has a notation too. */
#ifndef MICA_OPS_EINSUM_H
#define MICA_OPS_EINSUM_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* Einstein's summation convention, numpy.einsum: mica_einsum("bij,bjk->bik", (mica_value[]){x, y},
 * 2) for any number of operands, 64 at most. A letter (a to z, A to Z) names an axis; axes of one
 * letter have one size; a letter that the result lacks is summed over; one that an operand has
 * twice takes its diagonal. "..." stands for the other axes, broadcast together from the end.
 * Without "->" the result has the "..." and then the letters that occur once, in the order of
 * ASCII. Blanks do not count.
 *   The products are taken two by two, in the order that needs the fewest multiplications (found
 * by dynamic programming for 8 operands; of more, pairs that shrink most go first until 8 are
 * left), as products of matrices wherever something is summed. No intermediate has more than 8
 * axes. */
typedef struct {
  size_t struct_size;
  const char *equation;
  const mica_value *x;
  size_t count;
  const struct mica_names_only *named_;
  /* Of all products, sums and the result, as if the operands were converted first; 0: the
   * operands'. MICA_F32 keeps what f16 and bf16 operands give from being rounded on the way. */
  mica_dtype dtype;
} mica_einsum_args;
MICA_API mica_value mica_einsum_with(const mica_einsum_args *args);
#define mica_einsum(...) \
  mica_einsum_with(&(mica_einsum_args){.struct_size = sizeof(mica_einsum_args), __VA_ARGS__})

/* Reshape, transpose, reduce and repeat in one text, as einops (Rogozhnikov 2022) writes them:
 *   mica_rearrange(x, "b (h p) (w q) c -> b (h w) (p q c)", .sizes = {{"p", 4}, {"q", 4}})
 *   mica_rearrange(x, "b h w c -> b c", .reduce = MICA_REARRANGE_MEAN)
 *   mica_rearrange(x, "h w -> h w copies", .sizes = {{"copies", 3}})
 * The left side names the axes of x, the right side those of the result. "(h w)" is one axis that
 * counts row-major through h and w; one of its sizes may be left to be found. A name that is on the
 * left only is folded away as `reduce` says (an error without it); one that is on the right only
 * is repeated, and needs a size. A number is an axis of that size without a name, "1" and "()" one
 * of size 1; "..." are the axes in between, on the right perhaps in parentheses. */
typedef enum {
  MICA_REARRANGE_NONE,
  MICA_REARRANGE_SUM,
  MICA_REARRANGE_MEAN,
  MICA_REARRANGE_MAX,
  MICA_REARRANGE_MIN,
  MICA_REARRANGE_PROD
} mica_rearrange_kind;
typedef struct {
  const char *name; /* NULL: the end of the list */
  int64_t size;     /* at least 1 */
} mica_named_size;
typedef struct {
  size_t struct_size;
  mica_value x;
  const char *pattern;
  const struct mica_names_only *named_;
  mica_named_size sizes[16];
  mica_rearrange_kind reduce;
} mica_rearrange_args;
MICA_API mica_value mica_rearrange_with(const mica_rearrange_args *args);
#define mica_rearrange(...) \
  mica_rearrange_with(      \
      &(mica_rearrange_args){.struct_size = sizeof(mica_rearrange_args), __VA_ARGS__})

#ifdef __cplusplus
}
#endif
#endif
