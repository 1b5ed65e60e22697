/* SPDX-License-Identifier: Apache-2.0 */
/* custom.h: the object behind a custom operator, and what backends call. */
#ifndef MICA_GRAPH_CUSTOM_H
#define MICA_GRAPH_CUSTOM_H
#include <stdatomic.h>

#include "graph/graph_internal.h"
#include "mica/custom.h"

struct mica_custom_operator {
  atomic_int reference_count;
  mica_custom_options options; /* name points behind the struct */
  size_t allocation_size;
};

/* Runs node `id` (custom, custom_effect or assert) on dense operands; the error names operator and
 * scope path. */
mica_status mica_custom_run(const mica_graph *graph, uint32_t id, const void *const *in,
                            void *const *out, mica_error *error);
static inline bool mica_is_custom(mica_op op) {
  return op == MICA_OP_CUSTOM || op == MICA_OP_CUSTOM_EFFECT || op == MICA_OP_ASSERT;
}
/* MICA_INVALID and the name when a custom node has no operator yet (a parsed graph). */
mica_status mica_custom_check_bound(const mica_graph *graph, mica_error *error);

#endif
