/* SPDX-License-Identifier: Apache-2.0 */
/* takes.c: which composites the engine runs whole. */
#include "backend/cpu/plan_internal.h"

bool mica_plan_takes(const mica_graph *graph, uint32_t id) {
  (void)graph;
  (void)id;
  return false;
}
