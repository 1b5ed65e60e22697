/* SPDX-License-Identifier: Apache-2.0 */
/* collective.h: what the operators of several devices share (collective.c, collective_stack.c, manual.c,
 * manual_rules.c, manual_varying.c). */
#ifndef MICA_GRAPH_OPS_COLLECTIVE_H
#define MICA_GRAPH_OPS_COLLECTIVE_H
#include "graph/collectives.h"

/* x summed over the axes `bits` of the mesh `text`, inside of an open manual region; along axes over which
 * x is known to be equal, nothing has to be sent. */
mica_value mica_sum_over_devices(mica_value x, const char *text, uint32_t bits);

/* Over which mesh axes values may differ between devices: bit i: axis i. Of the results of a closed
 * region whose arguments differ as argument_bits [declared_count] says (captured ones are equal);
 * false without memory. */
bool mica_varying_results(const mica_graph *graph, uint32_t region, const uint32_t *argument_bits,
                          uint32_t *out_bits);
/* Of a value of the innermost open manual region; all bits where it is not known. Want of memory fails
 * the graph: a sum of what is equal everywhere has not the bits of its multiple. */
uint32_t mica_varying_here(mica_graph *graph, mica_value x);

/* The innermost open manual block, NULL: none. */
const mica_manual_attr *mica_open_manual(const mica_graph *graph);

/* The rules of `manual` (manual_rules.c). */
void mica_manual_jvp(const mica_rule *rule, const mica_value *tangents, mica_value *out);
void mica_manual_vjp(const mica_rule *rule, const mica_value *cotangents, mica_value *out);
void mica_manual_batch(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out);

#endif
