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

/* A growing list of values in the graph's arena, for owners that are rebuilt with more operands. */
typedef struct {
  mica_graph *graph;
  mica_value *at;
  size_t count, capacity;
} mica_value_list;
void mica_list_add(mica_value_list *list, mica_value value);

#endif
