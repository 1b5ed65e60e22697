/* SPDX-License-Identifier: Apache-2.0 */
/* defects.c: what certain versions of XLA do so wrong that the process ends (such programs are refused with a word)
 * or that other operators have to stand in. Each defect is shown on the plugin by a module written by hand in tests/unit/backend/xla/test_defects.c. */
#include "backend/xla/xla_internal.h"

enum {
  NARROW_COPIES_FROM = 106, /* minor version of the API from which it is mended */
  VECTOR_ATAN_UNTIL = 106   /* and up to which it was right */
};

/* The compiler of the CPU plugin before PJRT 0.106 turns a transposition inside of a branch into a copy, and reads
 * freed memory where its elements have 4 bits. */
static bool transposes_narrow_in_branch(const mica_graph *graph, uint32_t id) {
  const mica_node *node = mica_node_at(graph, id);
  if (node->op != MICA_OP_TRANSPOSE || mica_dtype_bits(node->type.dtype) != 4) return false;
  for (uint32_t region = node->region; region != 0;) {
    uint32_t owner = graph->regions[region].owner;
    mica_op op = (mica_op)mica_node_at(graph, owner)->op;
    if (op == MICA_OP_SWITCH) return true;
    region = mica_node_at(graph, owner)->region;
  }
  return false;
}

mica_status mica_xla_check_defects(const xla_client *client, const mica_graph *graph,
                                   mica_error *error) {
  const pjrt_version *version = &client->plugin.api->version;
  if (!client->on_host || version->minor >= NARROW_COPIES_FROM) return MICA_OK;
  for (uint32_t id = 1; id < graph->count; id++)
    if (transposes_narrow_in_branch(graph, id))
      return mica_error_set(
          error, MICA_UNSUPPORTED,
          "xla: the compiler of this plugin (PJRT %d.%d) ends the process where a branch "
          "transposes 4-bit values: convert them before, or use a plugin of PJRT 0.%d "
          "or later",
          version->major, version->minor, NARROW_COPIES_FROM);
  return MICA_OK;
}

/* The CPU plugin of PJRT 0.115 hands vectors of 256 bits in registers to an atan that was compiled for processors
 * without them, and looks for them on the stack. */
bool mica_xla_spoils_atan(const xla_client *client) {
  return client->on_host && client->plugin.api->version.minor > VECTOR_ATAN_UNTIL;
}
