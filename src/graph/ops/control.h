/* SPDX-License-Identifier: Apache-2.0 */
/* control.h: the rules of operators with regions (control_rules.c, control_reverse.c). */
#ifndef MICA_GRAPH_OPS_CONTROL_H
#define MICA_GRAPH_OPS_CONTROL_H
#include "graph/graph_internal.h"

void mica_while_jvp(const mica_rule *rule, const mica_value *tangents, mica_value *out);
void mica_while_vjp(const mica_rule *rule, const mica_value *cotangents, mica_value *out);
void mica_while_batch(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out);
void mica_switch_jvp(const mica_rule *rule, const mica_value *tangents, mica_value *out);
void mica_switch_vjp(const mica_rule *rule, const mica_value *cotangents, mica_value *out);
void mica_switch_batch(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out);
void mica_scan_jvp(const mica_rule *rule, const mica_value *tangents, mica_value *out);
void mica_scan_vjp(const mica_rule *rule, const mica_value *cotangents, mica_value *out);
void mica_scan_batch(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out);
void mica_call_jvp(const mica_rule *rule, const mica_value *tangents, mica_value *out);
void mica_call_vjp(const mica_rule *rule, const mica_value *cotangents, mica_value *out);
void mica_call_batch(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out);
void mica_recompute_vjp(const mica_rule *rule, const mica_value *cotangents, mica_value *out);
void mica_custom_gradient_vjp(const mica_rule *rule, const mica_value *cotangents, mica_value *out);
void mica_custom_gradient_batch(const mica_rule *rule, const bool *batched, int64_t size,
                                mica_value *out);

/* control_effects.c. A rule of replay for copies of a block: without the effects whose results nobody reads. */
bool mica_leave_out_effects(void *context, mica_graph *to, const mica_graph *from, uint32_t id,
                            const mica_value *in, size_t in_count, mica_value *out);
/* Whether one of the values is made of results of node `id`, with what stands in for nodes (superseded_by) in
 * their place: then nothing that needs the values can stand in for `id`. True without memory. */
bool mica_is_made_of(mica_graph *graph, uint32_t id, const mica_value *values, size_t count);
/* Whether the block that forward mode builds for the rule's node has to take its place, and can: the node's results
 * come from those of an effect, and no tangent is made of them. */
bool mica_takes_the_place(const mica_rule *rule, const mica_value *tangents);

/* Region r of the rule's node, built again here on `declared` arguments, with its effects or without
 * (control_reverse.c). */
bool mica_replay_body(const mica_rule *rule, uint32_t r, const mica_value *declared, bool effects,
                      mica_value **arguments, size_t *argument_count, mica_value **results,
                      uint32_t *floor);

/* A growing list of values in the graph's arena, for owners that are rebuilt with more operands. */
typedef struct {
  mica_graph *graph;
  mica_value *at;
  size_t count, capacity;
} mica_value_list;
void mica_list_add(mica_value_list *list, mica_value value);

#endif
