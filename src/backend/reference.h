/* SPDX-License-Identifier: Apache-2.0 */
/* reference.h: single operators by the reference's plain loops, for backends that have nothing faster for
 * an operator or a dtype. */
#ifndef MICA_BACKEND_REFERENCE_H
#define MICA_BACKEND_REFERENCE_H
#include "graph/attributes.h"

/* Whether the reference computes the operator by itself: all but leaves, composites and those with regions. */
bool mica_reference_has(mica_op op);
/* Bytes of scratch memory that node `id` needs; false when they overflow or there is no kernel for it. */
bool mica_reference_scratch(const mica_graph *graph, uint32_t id, size_t *out_size);
/* Computes node `id`, for which mica_reference_scratch said true. in[] are its operands, out[] its results,
 * dense arrays that do not overlap; scratch is aligned to 64 bytes. Keeps nothing and allocates nothing: any
 * number of threads may call it at once, each with its own buffers. */
void mica_reference_node(const mica_graph *graph, uint32_t id, const void *const *in,
                         void *const *out, void *scratch);
/* out[at + i] = the fold of in[m][from + i] over all members m in their order, for whole bytes: in the wide type
 * of the dtype, rounded once. */
void mica_reference_fold(mica_reduce_kind kind, mica_dtype dtype, const void *const *in,
                         size_t members, int64_t from, int64_t count, void *out, int64_t at);

#endif
