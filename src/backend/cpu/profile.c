/* SPDX-License-Identifier: Apache-2.0 */
/* profile.c: what a program says about itself: its steps, and where the last run spent its time. */
#include "backend/cpu/cpu_internal.h"

#include <inttypes.h>
#include <string.h>

/* Copies a text to the caller's buffer and frees it; returns the length it needs, -1 without memory. */
static int64_t hand_out(mica_text *from, char *text, size_t size) {
  int64_t length = from->failed ? -1 : (int64_t)from->size;
  if (size > 0) {
    size_t fits = from->failed ? 0 : from->size < size ? from->size : size - 1;
    if (fits > 0) memcpy(text, from->data, fits);
    text[fits] = '\0';
  }
  mica_text_deinit(from);
  return length;
}

static void append_step_name(mica_text *out, const mica_cpu_program *program, uint32_t index) {
  const mica_cpu_step_info *info = &program->infos[index];
  const mica_node *node = mica_node_at(&program->graph, info->node);
  char type[160];
  mica_type_format(node->type, type, sizeof(type));
  if (info->label != NULL) mica_text_format(out, "%s ", info->label);
  mica_text_format(out, "%s %s", info->node == 0 ? "" : mica_op_definition((mica_op)node->op)->name, type);
}

static void append_slot(mica_text *out, const mica_cpu_program *program, const mica_cpu_reference *reference) {
  uint32_t slot = reference->slot;
  const char *kind = "arena";
  if (slot != 0) {
    slot--;
    kind = "in";
    if (slot >= program->in_count) {
      slot -= program->in_count;
      kind = "out";
      if (slot >= program->out_count) {
        slot -= program->out_count;
        kind = "constant";
        if (slot >= program->constant_count) {
          slot -= program->constant_count;
          kind = "window";
        }
      }
    }
    mica_text_format(out, " %s%" PRIu32 "+%zu", kind, slot, reference->offset);
  } else {
    mica_text_format(out, " %s+%zu", kind, reference->offset);
  }
}

int64_t mica_cpu_format(void *state, const void *program_pointer, char *text, size_t size) {
  (void)state;
  const mica_cpu_program *program = program_pointer;
  mica_text out;
  mica_text_init(&out, &program->allocator);
  mica_text_format(&out, "%" PRIu32 " steps, arena of %zu bytes, about %" PRId64 " us on one thread\n",
                   program->step_count, program->arena_bytes, program->cost / 1000);
  for (uint32_t i = 0; i < program->step_count; i++) {
    const mica_cpu_step_info *info = &program->infos[i];
    mica_text_format(&out, "%4" PRIu32 " ", i);
    append_step_name(&out, program, i);
    mica_text_append(&out, " :");
    for (uint32_t k = 0; k < info->reference_count; k++) {
      if (!program->reference_infos[info->reference_first + k].reads) mica_text_append(&out, " =>");
      append_slot(&out, program, &program->steps[i].references[k]);
    }
    mica_text_append(&out, "\n");
  }
  return hand_out(&out, text, size);
}

int64_t mica_cpu_profile(void *state, void *program_pointer, bool trace, char *text, size_t size) {
  (void)state;
  (void)trace;
  mica_cpu_program *program = program_pointer;
  mica_text out;
  mica_text_init(&out, &program->allocator);
  return hand_out(&out, text, size);
}
