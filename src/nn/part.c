/* SPDX-License-Identifier: Apache-2.0 */
/* part.c: parts of a model that are computed again in the backward pass instead of kept, where the setting "recompute" says so.
 * A part is a recompute region around what its layers build; terms of the loss that they add leave it as results. */
#include "nn/layers/layer.h"
#include "nn/store_internal.h"

mica_scope_part mica_nn_part_begin(mica_scope *scope, bool otherwise) {
  mica_scope_part part = {.scope = scope};
  if (scope == NULL) return part;
  nn_trace *trace = scope->trace;
  /* Within a part that is computed again a second one would be computed a third time. */
  part.recomputes = mica_scope_get_flag(scope, "recompute", otherwise) && !trace->recomputes;
  if (!part.recomputes) return part;
  trace->recomputes = true;
  part.losses = trace->losses;
  trace->losses = (mica_value){0};
  part.region = mica_recompute_begin(trace->graph, NULL, 0);
  return part;
}

mica_scope_part mica_scope_part_begin(mica_scope *scope) {
  return mica_nn_part_begin(scope, false);
}

void mica_scope_part_end_values(mica_scope_part part, const mica_value *result, size_t count,
                                mica_value *out) {
  enum { MOST = 16 };
  mica_value results[MOST + 1], outer[MOST + 1] = {{0}};
  if (count > MOST && part.scope != NULL)
    mica_fail(part.scope->trace->graph, MICA_INVALID,
              "the part \"%.200s\" has %zu results: expected at most %d", part.scope->path, count,
              MOST);
  if (count > MOST) count = MOST;
  for (size_t i = 0; i < count; i++) out[i] = results[i] = result[i];
  if (!part.recomputes) return;
  nn_trace *trace = part.scope->trace;
  bool brings_loss = mica_is_valid(trace->losses);
  if (brings_loss) results[count] = trace->losses;
  mica_recompute_end(part.region, results, count + brings_loss, outer);
  trace->recomputes = false;
  trace->losses = part.losses;
  if (brings_loss) mica_scope_add_loss(&trace->root, outer[count]);
  for (size_t i = 0; i < count; i++) out[i] = outer[i];
}

mica_value mica_scope_part_end(mica_scope_part part, mica_value result) {
  mica_value out = {.graph = result.graph};
  mica_scope_part_end_values(part, &result, 1, &out);
  return out;
}
