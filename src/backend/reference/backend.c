/* SPDX-License-Identifier: Apache-2.0 */
/* backend.c: the reference backend: the slots of its interface, and the one table of its kernels.
 *
 * It is the oracle of the conformance tests: every operator on every dtype, in the plainest way, on one
 * thread. Outputs are written when everything is computed, so a call that fails has harmed nothing. */
#include "backend/reference/program_internal.h"

#include <stdio.h>
#include <string.h>

/* ---- kernels ---------------------------------------------------------------------------------- */

/* clang-format off */
static const reference_row *const kernel_families[] = {
    mica_reference_elementwise,
    mica_reference_shape,
    mica_reference_gather,
    mica_reference_reduce,
    mica_reference_window,
    mica_reference_dot,
    mica_reference_convolution,
    mica_reference_random,
    mica_reference_cumulative,
    mica_reference_sort,
    mica_reference_linalg_factor,
    mica_reference_fft,
    mica_reference_linalg_orthogonal,
};
/* clang-format on */

const reference_row *mica_reference_row(mica_op op) {
  static const reference_row none = {NULL, NULL};
  if (op <= MICA_OP_NONE || op >= MICA_OP_COUNT) return &none;
  for (size_t i = 0; i < sizeof(kernel_families) / sizeof(kernel_families[0]); i++)
    if (kernel_families[i][op].kernel != NULL) return &kernel_families[i][op];
  return &none;
}

bool mica_reference_has(mica_op op) { return mica_reference_row(op)->kernel != NULL; }

bool mica_reference_scratch(const mica_graph *graph, uint32_t id, size_t *out_size) {
  const reference_row *row = mica_reference_row((mica_op)mica_node_at(graph, id)->op);
  *out_size = 0;
  if (row->kernel == NULL) return false;
  return row->scratch == NULL || row->scratch(graph, id, out_size);
}

void mica_reference_node(const mica_graph *graph, uint32_t id, const void *const *in,
                         void *const *out, void *scratch) {
  const mica_node *node = mica_node_at(graph, id);
  reference_step step = {.graph = graph,
                         .node = node,
                         .id = id,
                         .attr = node->attr,
                         .in = in,
                         .out = out,
                         .scratch = scratch};
  const reference_row *row = mica_reference_row((mica_op)node->op);
  if (row->kernel != NULL) row->kernel(&step);
}

/* ---- frames ----------------------------------------------------------------------------------- */

static size_t timing_bytes(const reference_program *program) {
  return program->graph.count * sizeof(reference_timing); /* less than a node has */
}

static void destroy_frame(const reference_program *program, reference_frame *frame) {
  mica_free(&program->allocator, frame->timing, timing_bytes(program));
  mica_free_aligned(&program->allocator, frame->arena, program->arena_bytes, MICA_ALIGNMENT);
  mica_free(&program->allocator, frame, program->frame_size);
}

static reference_frame *create_frame(const reference_program *program) {
  reference_frame *frame = mica_allocate_zeroed(&program->allocator, 1, program->frame_size);
  if (frame == NULL) return NULL;
  frame->place = (void **)(void *)(frame + 1);
  frame->in = (const void **)(void *)(frame->place + program->graph.count);
  frame->arena = mica_allocate_aligned(&program->allocator, program->arena_bytes, MICA_ALIGNMENT);
  if (program->timing != NULL)
    frame->timing =
        mica_allocate_zeroed(&program->allocator, program->graph.count, sizeof(reference_timing));
  if (frame->arena == NULL || (program->timing != NULL && frame->timing == NULL)) {
    destroy_frame(program, frame);
    return NULL;
  }
  const mica_graph *graph = &program->graph;
  for (uint32_t id = 1; id < graph->count; id++) {
    const mica_node *node = mica_node_at(graph, id);
    if (program->offset[id] != MICA_REFERENCE_NOWHERE)
      frame->place[id] = frame->arena + (program->offset[id] - 1);
    else if (node->op == MICA_OP_CONSTANT) /* read only */
      frame->place[id] =
          (void *)(uintptr_t)mica_tensor_data(((const mica_constant_attr *)node->attr)->value);
  }
  return frame;
}

static reference_frame *take_reference_frame(reference_program *program) {
  mica_mutex_lock(&program->mutex);
  reference_frame *frame = program->frames;
  if (frame != NULL) program->frames = frame->next;
  mica_mutex_unlock(&program->mutex);
  return frame != NULL ? frame : create_frame(program);
}

/* After a call that succeeded, its times become those of the program. */
static void give_reference_frame(reference_program *program, reference_frame *frame, bool ran) {
  mica_mutex_lock(&program->mutex);
  if (ran && frame->timing != NULL) {
    reference_timing *older = program->timing;
    program->timing = frame->timing;
    program->timed = true;
    frame->timing = older;
  }
  frame->next = program->frames;
  program->frames = frame;
  mica_mutex_unlock(&program->mutex);
}

/* ---- slots ------------------------------------------------------------------------------------ */

static mica_status reference_open(mica_device *device, const char *options, void **out_state,
                                  mica_error *error) {
  *out_state = device;
  device->threads = 1;
  if (options[0] == '\0') return MICA_OK;
  return mica_error_set(error, MICA_INVALID, "backend 'reference' has no option '%s'", options);
}

static void reference_describe(void *state, char *text, size_t size) {
  (void)state;
  snprintf(text, size, "reference: plain loops in f64 and 64-bit integers, 1 thread");
}

static void reference_destroy(void *state, void *pointer) {
  (void)state;
  reference_program *program = pointer;
  if (program == NULL) return;
  while (program->frames != NULL) {
    reference_frame *frame = program->frames;
    program->frames = frame->next;
    destroy_frame(program, frame);
  }
  mica_free(&program->allocator, program->timing, timing_bytes(program));
  mica_arena_deinit(&program->memory);
  mica_graph_deinit(&program->graph);
  mica_mutex_deinit(&program->mutex);
  mica_allocator allocator = program->allocator;
  mica_free(&allocator, program, sizeof(*program));
}

/* Composites with a kernel of their own, unless the device is to show what the expansions give. */
static bool keep_with_kernel(void *context, const mica_graph *graph, uint32_t id) {
  const mica_device *device = context;
  return !device->expand && mica_reference_has((mica_op)mica_node_at(graph, id)->op);
}

static bool size_frame(reference_program *program) {
  size_t pointers = (size_t)program->graph.count + program->widest, bytes;
  return mica_size_multiply(pointers, sizeof(void *), &bytes) &&
         mica_size_add(bytes, sizeof(reference_frame), &program->frame_size);
}

static mica_status reference_compile(void *state, mica_device *device, const mica_graph *graph,
                                     uint64_t donate, void **out_program, mica_error *error) {
  (void)state, (void)donate;
  reference_program *program = mica_allocate_zeroed(&device->allocator, 1, sizeof(*program));
  if (program == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  program->allocator = device->allocator;
  program->device = device;
  if (mica_mutex_init(&program->mutex) != 0) {
    mica_free(&device->allocator, program, sizeof(*program));
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no lock for a program");
  }
  mica_arena_init(&program->memory, &device->allocator);
  mica_status status = MICA_OK;
  if (!mica_graph_init(&program->graph, &device->allocator))
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  if (status == MICA_OK)
    status = mica_pass_expand(graph, &program->graph, keep_with_kernel, device, error);
  if (status == MICA_OK) status = mica_reference_plan(program, error);
  if (status == MICA_OK && !size_frame(program))
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "the graph is too large");
  if (status == MICA_OK && device->profile) {
    program->timing =
        mica_allocate_zeroed(&device->allocator, program->graph.count, sizeof(reference_timing));
    if (program->timing == NULL)
      status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a profile");
  }
  if (status != MICA_OK) {
    reference_destroy(state, program);
    return status;
  }
  *out_program = program;
  return MICA_OK;
}

/* An output that is an input itself could be overwritten before it is copied: its memory may be another
 * output's. So those are copied aside first. */
static void write_outputs(const reference_program *program, const reference_frame *frame,
                          const mica_call *call) {
  const mica_graph *graph = &program->graph;
  for (uint32_t i = 0; i < program->out_count; i++) {
    if (program->staging[i] == MICA_REFERENCE_NOWHERE) continue;
    mica_type type = mica_node_at(graph, program->outputs[i])->type;
    mica_reference_copy_all(type, frame->place[program->outputs[i]],
                            frame->arena + (program->staging[i] - 1));
  }
  for (uint32_t i = 0; i < program->out_count; i++) {
    mica_type type = mica_node_at(graph, program->outputs[i])->type;
    const void *from = program->staging[i] == MICA_REFERENCE_NOWHERE
                           ? frame->place[program->outputs[i]]
                           : frame->arena + (program->staging[i] - 1);
    mica_reference_copy_all(type, from, call->out[i]);
  }
}

static mica_status reference_execute(void *state, void *pointer, const mica_call *call,
                                     mica_error *error) {
  (void)state;
  reference_program *program = pointer;
  reference_frame *frame = take_reference_frame(program);
  mica_status status = MICA_OK;
  if (frame == NULL) {
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a call: %zu bytes",
                            program->arena_bytes);
  } else {
    if (frame->timing != NULL) memset(frame->timing, 0, timing_bytes(program));
    frame->call = call;
    frame->error = error;
    for (uint32_t i = 0; i < program->in_count; i++) /* read only */
      frame->place[program->inputs[i]] = (void *)(uintptr_t)call->in[i];
    status = mica_reference_evaluate(program, frame);
    if (status == MICA_OK) write_outputs(program, frame, call);
    give_reference_frame(program, frame, status == MICA_OK);
  }
  if (status != MICA_OK && call->out_intact != NULL) *call->out_intact = true;
  return status;
}

static size_t reference_arena_bytes(void *state, const void *pointer) {
  (void)state;
  return ((const reference_program *)pointer)->arena_bytes;
}

static int64_t reference_format(void *state, const void *pointer, char *text, size_t size) {
  (void)state;
  return mica_graph_format(&((const reference_program *)pointer)->graph, text, size);
}

const mica_backend mica_backend_reference = {.struct_size = sizeof(mica_backend),
                                             .name = "reference",
                                             .open = reference_open,
                                             .describe = reference_describe,
                                             .compile = reference_compile,
                                             .execute = reference_execute,
                                             .program_destroy = reference_destroy,
                                             .program_arena_bytes = reference_arena_bytes,
                                             .program_format = reference_format,
                                             .program_profile = mica_reference_profile};
