/* SPDX-License-Identifier: Apache-2.0 */
/* profile.c: where the last run of a program spent its time, node by node. What a loop or a branch costs is
 * that of the nodes inside of it. */
#include "backend/reference/program_internal.h"
#include "core/json.h"

#include <inttypes.h>

static void append_node_name(mica_text *out, const mica_graph *graph, uint32_t id) {
  const mica_node *node = mica_node_at(graph, id);
  char type[160];
  mica_type_format(node->type, type, sizeof(type));
  mica_text_format(out, "%s %s", mica_op_definition((mica_op)node->op)->name, type);
}

static void time_table(mica_text *out, const reference_program *program) {
  const mica_graph *graph = &program->graph;
  int64_t total = 0;
  uint32_t count = 0;
  for (uint32_t id = 1; id < graph->count; id++) {
    total += program->timing[id].nanoseconds;
    count += program->timing[id].runs > 0;
  }
  mica_text_format(out, "%.1f us in %" PRIu32 " %s on 1 thread\n", (double)total * 1e-3, count,
                   mica_noun(count, "node", "nodes"));
  mica_text_append(out, "node      us     %  runs  what, scope\n");
  for (uint32_t id = 1; id < graph->count; id++) {
    const reference_timing *timing = &program->timing[id];
    if (timing->runs == 0) continue;
    mica_text_format(
        out, "%4" PRIu32 " %7.1f %5.1f %5" PRId64 "  ", id, (double)timing->nanoseconds * 1e-3,
        total > 0 ? 100.0 * (double)timing->nanoseconds / (double)total : 0.0, timing->runs);
    append_node_name(out, graph, id);
    const char *scope = mica_scope_text(graph, mica_node_at(graph, id)->scope);
    mica_text_format(out, "%s%s\n", *scope != '\0' ? ", " : "", scope);
  }
}

/* A node of a loop stands where it ran last. */
static void time_trace(mica_text *out, const reference_program *program) {
  const mica_graph *graph = &program->graph;
  int64_t origin = INT64_MAX;
  for (uint32_t id = 1; id < graph->count; id++)
    if (program->timing[id].runs > 0 && program->timing[id].begin < origin)
      origin = program->timing[id].begin;
  mica_json_writer writer;
  mica_text name;
  mica_text_init(&name, &program->allocator);
  mica_trace_begin(&writer, out);
  for (uint32_t id = 1; id < graph->count; id++) {
    const reference_timing *timing = &program->timing[id];
    if (timing->runs == 0) continue;
    mica_text_clear(&name);
    append_node_name(&name, graph, id);
    mica_trace_event_begin(
        &writer,
        &(mica_trace_event){.name = name.data == NULL ? "" : name.data,
                            .begin = (double)(timing->begin - origin) * 1e-3,
                            .duration = (double)timing->nanoseconds / (double)timing->runs * 1e-3,
                            .scope = mica_scope_text(graph, mica_node_at(graph, id)->scope),
                            .runs = timing->runs});
    mica_trace_event_end(&writer);
  }
  mica_trace_end(&writer);
  if (name.failed) out->failed = true;
  mica_text_deinit(&name);
}

int64_t mica_reference_profile(void *state, void *pointer, bool trace, char *text, size_t size) {
  (void)state;
  reference_program *program = pointer;
  mica_text out;
  mica_text_init(&out, &program->allocator);
  mica_mutex_lock(&program->mutex);
  if (!program->timed)
    mica_profile_nothing(&out, trace);
  else if (trace)
    time_trace(&out, program);
  else
    time_table(&out, program);
  mica_mutex_unlock(&program->mutex);
  return mica_text_deliver(&out, text, size);
}
