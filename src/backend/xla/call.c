/* SPDX-License-Identifier: Apache-2.0 */
/* call.c: one call of a program whose values lie in the host's memory.
 *
 * On a CPU the plugin computes there: inputs are lent to it (zero copy, since tensors are aligned to 64
 * bytes), and an input whose memory is also that of its output is donated, so that a variable is updated
 * where it lies. What the plugin puts elsewhere is copied out, always in row-major order: by a plain copy
 * where the first call has found the outputs to lie so.
 *
 * A context holds the arrays of a call and is used again by the next one. The buffer of a lent input
 * stays in it: it names an address and a type, so a call with the same address needs no other one. Of a
 * donated input the output's buffer takes the place, which lies at the same address. The plugin looks at
 * the memory while a program runs only. */
#include "backend/xla/mesh.h"

#include <stdio.h>
#include <string.h>

static xla_context *make_context(const xla_program *program) {
  size_t in = program->in_count + program->constant_count, out = program->out_count;
  size_t size = sizeof(xla_context) + (in + program->in_count + out) * sizeof(void *) +
                in * sizeof(int64_t) + (2 * program->in_count + out) * sizeof(bool);
  xla_context *context = mica_allocate_zeroed(&program->allocator, 1, size);
  if (context == NULL) return NULL;
  context->allocation_size = size;
  context->kept = (int64_t *)(void *)(context + 1);
  context->in = (pjrt_buffer **)(void *)(context->kept + in);
  context->out = context->in + in;
  context->memory = (const void **)(void *)(context->out + out);
  context->writable = (bool *)(context->memory + program->in_count);
  context->given = context->writable + program->in_count;
  context->in_place = context->given + program->in_count;
  for (size_t i = 0; i < program->constant_count; i++)
    context->in[program->in_count + i] = program->constants[i];
  return context;
}

void mica_xla_context_destroy(const xla_program *program, xla_context *context) {
  if (context == NULL) return;
  mica_xla_destroy_buffers(program->client, context->in, program->in_count);
  mica_free(&program->allocator, context, context->allocation_size);
}

xla_context *mica_xla_context_take(xla_program *program) {
  xla_context *context = atomic_exchange_explicit(&program->spare, NULL, memory_order_acquire);
  return context != NULL ? context : make_context(program);
}

/* What was this call's goes; what is lent stays, but after a failure. */
void mica_xla_context_give(xla_program *program, xla_context *context, bool failed) {
  const xla_plugin *plugin = &program->client->plugin;
  for (size_t i = 0; i < program->in_count; i++) {
    if (context->memory[i] != NULL && !failed) continue;
    mica_xla_destroy(plugin, PJRT_BUFFER_DESTROY, context->in[i]);
    context->in[i] = NULL;
    context->memory[i] = NULL;
  }
  for (size_t i = 0; i < program->out_count; i++) {
    mica_xla_destroy(plugin, PJRT_BUFFER_DESTROY, context->out[i]);
    context->out[i] = NULL;
  }
  xla_context *none = NULL;
  if (!atomic_compare_exchange_strong_explicit(&program->spare, &none, context,
                                               memory_order_release, memory_order_relaxed))
    mica_xla_context_destroy(program, context);
}

/* Input `i` may become its output in place: the caller says so, and wants it just there. */
static bool donates_input(const xla_program *program, const mica_call *call, size_t i) {
  int32_t index = program->call_index[i], output = program->alias[i];
  return output >= 0 && program->client->on_host && call->donated[index] &&
         call->out[output] == call->in[index] && (uintptr_t)call->in[index] % MICA_ALIGNMENT == 0;
}

static mica_status lend_input(const xla_program *program, xla_context *context, size_t i,
                              const void *data, bool donated, mica_error *error) {
  const xla_client *client = program->client;
  mica_type type = program->in_types[i];
  bool lent = client->on_host && (uintptr_t)data % MICA_ALIGNMENT == 0;
  mica_xla_destroy(&client->plugin, PJRT_BUFFER_DESTROY, context->in[i]);
  context->in[i] = NULL;
  context->memory[i] = NULL;
  mica_status status = mica_xla_upload(client, type, data,
                                       donated ? PJRT_HOST_MUTABLE_ZERO_COPY
                                       : lent  ? PJRT_HOST_ZERO_COPY
                                               : PJRT_HOST_DURING_CALL,
                                       &context->in[i], error);
  context->writable[i] = donated;
  if (status == MICA_OK && lent && !donated && data != NULL &&
      mica_xla_buffer_memory(client, context->in[i]) == data)
    context->memory[i] = data;
  return status;
}

static mica_status lend_inputs(const xla_program *program, const mica_call *call,
                               xla_context *context, mica_error *error) {
  context->kept_count = 0;
  context->donates = false;
  for (size_t i = 0; i < program->in_count; i++) {
    const void *data = call->in[program->call_index[i]];
    bool donated = donates_input(program, call, i);
    if (data == NULL || context->memory[i] != data || (donated && !context->writable[i])) {
      mica_status status = lend_input(program, context, i, data, donated, error);
      if (status != MICA_OK) return status;
    }
    mica_xla_keep_input(program, context, i, !donated);
    context->donates = context->donates || donated;
    context->given[i] = donated;
  }
  return MICA_OK;
}

void mica_xla_keep_input(const xla_program *program, xla_context *context, size_t i, bool keep) {
  bool taken = program->foreign || program->alias[i] >= 0;
  if (keep && taken) context->kept[context->kept_count++] = (int64_t)i;
}

mica_status mica_xla_launch(const xla_program *program, xla_context *context, pjrt_event **out_done,
                            mica_error *error) {
  pjrt_execute_options options = {PJRT_SIZE_OF(pjrt_execute_options, incarnations),
                                  .kept = context->kept, .kept_count = context->kept_count};
  pjrt_buffer *const *in = context->in;
  pjrt_buffer **out = context->out;
  pjrt_execute_args args = {PJRT_SIZE_OF(pjrt_execute_args, device),
                            .executable = program->loaded,
                            .options = &options,
                            .arguments = &in,
                            .device_count = 1,
                            .argument_count = program->in_count + program->constant_count,
                            .outputs = &out,
                            .done = out_done};
  return mica_xla_call(&program->client->plugin, PJRT_LOADED_EXECUTE, &args, error);
}

/* Layouts belong to the program, so the first call finds out for all. */
static bool outputs_readable(xla_program *program, const xla_context *context) {
  const xla_client *client = program->client;
  int32_t known = atomic_load_explicit(&program->readable, memory_order_relaxed);
  if (known != 0) return known > 0;
  bool plain = client->on_host;
  for (size_t i = 0; i < program->out_count && plain; i++)
    plain = context->out[i] != NULL &&
            (mica_xla_byte_size(program->out_types[i]) == 0 ||
             (mica_xla_lies_plainly(client, context->out[i], program->out_types[i]) &&
              mica_xla_buffer_memory(client, context->out[i]) != NULL));
  atomic_store_explicit(&program->readable, plain ? 1 : -1, memory_order_relaxed);
  return plain;
}

static mica_status take_outputs(xla_program *program, const mica_call *call, xla_context *context,
                                mica_error *error) {
  const xla_client *client = program->client;
  bool readable = outputs_readable(program, context);
  memset(context->in_place, 0, program->out_count * sizeof(bool));
  for (size_t i = 0; i < program->out_count; i++) {
    size_t size = mica_xla_byte_size(program->out_types[i]);
    if (context->out[i] == NULL)
      return mica_error_set(error, MICA_INTERNAL, "xla:%s: output %zu is missing",
                            client->plugin.name, i);
    if (size == 0) continue;
    const void *memory =
        readable || context->donates ? mica_xla_buffer_memory(client, context->out[i]) : NULL;
    context->in_place[i] = memory != NULL && memory == call->out[i];
    if (context->in_place[i]) continue;
    if (readable && memory != NULL) {
      memcpy(call->out[i], memory, size);
      continue;
    }
    mica_status status =
        mica_xla_fetch(client, program->out_types[i], context->out[i], call->out[i], size, error);
    if (status != MICA_OK) return status;
  }
  return MICA_OK;
}

/* What a donated input has become serves as that input in the next call. One that has become nothing there is no
 * longer lent: its buffer is the plugin's. */
static void keep_given(const xla_program *program, const mica_call *call, xla_context *context) {
  for (size_t i = 0; i < program->in_count; i++) {
    if (!context->given[i]) continue;
    context->memory[i] = NULL;
    if (!context->in_place[program->alias[i]]) continue;
    mica_xla_destroy(&program->client->plugin, PJRT_BUFFER_DESTROY, context->in[i]);
    context->in[i] = context->out[program->alias[i]];
    context->memory[i] = call->out[program->alias[i]];
    context->out[program->alias[i]] = NULL;
  }
}

mica_status mica_xla_execute(void *state, void *pointer, const mica_call *call, mica_error *error) {
  (void)state;
  xla_program *program = pointer;
  xla_context *context = mica_xla_context_take(program);
  if (context == NULL) {
    if (call->out_intact != NULL) *call->out_intact = true;
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a call");
  }
  bool intact = true;
  mica_status status = lend_inputs(program, call, context, error);
  if (status == MICA_OK) {
    pjrt_event *done = NULL;
    status = mica_xla_launch(program, context, &done, error);
    if (status == MICA_OK) status = mica_xla_await(&program->client->plugin, done, error);
    intact = status != MICA_OK && !context->donates;
  }
  if (status == MICA_OK) status = take_outputs(program, call, context, error);
  if (status == MICA_OK && context->donates) keep_given(program, call, context);
  mica_xla_context_give(program, context, status != MICA_OK);
  if (status != MICA_OK && intact && call->out_intact != NULL) *call->out_intact = true;
  return status;
}
