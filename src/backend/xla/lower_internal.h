/* SPDX-License-Identifier: Apache-2.0 */
/* lower_internal.h: the parts of lowering that have files of their own. */
#ifndef MICA_XLA_LOWER_INTERNAL_H
#define MICA_XLA_LOWER_INTERNAL_H
#include "graph/attributes.h"
#include "graph/graph_internal.h"
#include "graph/ops/rules.h"

void mica_xla_lower_cumulative(const mica_rule *rule, mica_value *out);
void mica_xla_lower_recurrence(const mica_rule *rule, mica_value *out);

#endif
