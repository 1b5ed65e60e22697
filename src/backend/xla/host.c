/* SPDX-License-Identifier: Apache-2.0 */
/* host.c: nodes that the host computes in the middle of a program, on plugins that compute in the host's
 * memory: custom operators, assertions, marked values, and what StableHLO has no form for, by the
 * reference's kernel. In the text they are custom calls that carry the address of a record. */
#include "backend/xla/ffi.h"
#include "backend/reference.h"
#include "backend/xla/writer_internal.h"
#include "graph/custom.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- being called ---------------------------------------------------------------------------- */

static ffi_error *report(const ffi_call *call, const char *message) {
  ffi_error_create_args args = {PJRT_SIZE_OF(ffi_error_create_args, code), .message = message,
                                .code = PJRT_CODE_INVALID_ARGUMENT};
  return call->api->error_create(&args);
}

static mica_status run_by_reference(const xla_host_node *node, const void *const *in,
                                    void *const *out, mica_error *error) {
  size_t size;
  void *scratch = NULL;
  if (!mica_reference_scratch(node->graph, node->id, &size))
    return mica_error_set(error, MICA_INTERNAL, "xla: no kernel for a node of the host");
  if (size > 0) {
    scratch = mica_allocate_aligned(&node->graph->allocator, size, MICA_ALIGNMENT);
    if (scratch == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a call");
  }
  mica_reference_node(node->graph, node->id, in, out, scratch);
  mica_free_aligned(&node->graph->allocator, scratch, size, MICA_ALIGNMENT);
  return MICA_OK;
}

static mica_status run_host_mark(const xla_host_node *node, const void *in, void *out) {
  const mica_node *at = mica_node_at(node->graph, node->id);
  struct mica_call_marks marks;
  mica_text_init(&marks.text, &node->graph->allocator);
  mica_call call = {.struct_size = sizeof(call), .marks = &marks};
  mica_call_mark(&call, ((const mica_mark_attr *)at->attr)->label, at->type, in);
  mica_call_marks_report(&marks, node->device);
  mica_text_deinit(&marks.text);
  size_t size =
      (size_t)mica_shape_count(at->type.shape) * (size_t)mica_dtype_bits(at->type.dtype) / 8;
  if (size > 0) memcpy(out, in, size);
  return MICA_OK;
}

static ffi_error *run_host(const ffi_call *call) {
  if (call->attributes.count != 1 || call->in.count > XLA_HOST_MOST ||
      call->out.count > XLA_HOST_MOST)
    return report(call, "mica: a call of the host with other arguments than expected");
  int64_t address;
  memcpy(&address, call->attributes.values[0]->value, sizeof(address));
  const xla_host_node *node = (const xla_host_node *)(uintptr_t)address;
  const void *in[XLA_HOST_MOST];
  void *out[XLA_HOST_MOST];
  for (int64_t i = 0; i < call->in.count; i++) in[i] = call->in.buffers[i]->data;
  for (int64_t i = 0; i < call->out.count; i++) out[i] = call->out.buffers[i]->data;
  mica_error error;
  error.status = MICA_OK;
  error.message[0] = '\0';
  mica_op op = (mica_op)mica_node_at(node->graph, node->id)->op;
  uint64_t float_state = mica_float_state_enter();
  mica_status status = op == MICA_OP_MARK ? run_host_mark(node, in[0], out[0])
                       : mica_is_custom(op)
                           ? mica_custom_run(node->graph, node->id, in, out, &error)
                           : run_by_reference(node, in, out, &error);
  mica_float_state_leave(float_state);
  return status == MICA_OK ? NULL : report(call, error.message);
}

/* A plugin asks for the version of the interface that a function was written for, and takes its own only:
 * the members that are used here are in all of them. */
static ffi_error *host_function(ffi_call *call) {
  const pjrt_extension *extension = call->extensions;
  if (extension == NULL || extension->type != FFI_EXTENSION_METADATA)
    return call->stage == FFI_STAGE_EXECUTE ? run_host(call) : NULL;
  ffi_metadata *metadata = ((const ffi_metadata_extension *)(const void *)extension)->metadata;
  metadata->version.major = call->api == NULL ? 0 : call->api->version.major;
  metadata->version.minor = call->api == NULL ? 1 : call->api->version.minor;
  metadata->traits = 0;
  return NULL;
}

/* ---- becoming known -------------------------------------------------------------------------- */

typedef ffi_error *ffi_function(ffi_call *call);
enum { PJRT_CODE_ALREADY_EXISTS = 6 };

void mica_xla_register_host(xla_client *client) {
  static const char platform[] = "Host";
  ffi_function *function = host_function;
  const xla_plugin *plugin = &client->plugin;
  const pjrt_extension *extension =
      mica_xla_extension(plugin, PJRT_EXTENSION_FFI, sizeof(pjrt_ffi_extension));
  const pjrt_ffi_extension *ffi = (const pjrt_ffi_extension *)(const void *)extension;
  if (!client->on_host || ffi == NULL || ffi->register_handler == NULL) return;
  void *handler;
  memcpy(&handler, &function, sizeof(handler));
  /* The address keeps two copies of this library in a process apart. */
  snprintf(client->host_target, sizeof(client->host_target), "mica_host_%" PRIxPTR,
           (uintptr_t)handler);
  pjrt_ffi_register_args args = {PJRT_SIZE_OF(pjrt_ffi_register_args, traits),
                                 .target = client->host_target,
                                 .target_size = strlen(client->host_target),
                                 .handler = handler,
                                 .platform = platform,
                                 .platform_size = sizeof(platform) - 1};
  pjrt_error *problem = ffi->register_handler(&args);
  if (problem == NULL) return;
  pjrt_error_code_args code = {PJRT_SIZE_OF(pjrt_error_code_args, code), .error = problem};
  (void)plugin->api->slot[PJRT_ERROR_CODE](&code);
  mica_xla_destroy(plugin, PJRT_ERROR_DESTROY, problem);
  if (code.code != PJRT_CODE_ALREADY_EXISTS) client->host_target[0] = '\0';
}

/* ---- in the text ----------------------------------------------------------------------------- */

bool mica_xla_runs_on_host(mica_op op) {
  switch (op) {
    case MICA_OP_CUSTOM:
    case MICA_OP_CUSTOM_EFFECT:
    case MICA_OP_ASSERT:
    case MICA_OP_MARK:
    case MICA_OP_IGAMMA:
    case MICA_OP_IGAMMAC:
    case MICA_OP_IGAMMA_SLOPE:
    case MICA_OP_BETAINC:
    case MICA_OP_BETAINC_SLOPE:
    case MICA_OP_BESSEL_I0E: return true;
    default: return false;
  }
}

/* All of them row-major. */
void mica_xla_attribute_layouts(xla_writer *w, const char *name, const mica_type *types,
                                size_t count) {
  mica_xla_attribute_text(w, name, "[");
  for (size_t i = 0; i < count; i++) {
    int32_t rank = types[i].shape.rank;
    mica_text_append(&w->attributes, i == 0 ? "dense<" : ", dense<");
    for (int32_t k = 0; k < rank; k++)
      mica_text_format(&w->attributes, "%s%" PRId32 "%s", k == 0 ? "[" : ", ", rank - 1 - k,
                       k == rank - 1 ? "]" : "");
    mica_text_format(&w->attributes, "> : tensor<%" PRId32 "xindex>", rank);
  }
  mica_text_append(&w->attributes, "]");
}

void mica_xla_emit_host(xla_writer *w, uint32_t id) {
  const mica_node *node = mica_node_at(w->graph, id);
  xla_ref in[XLA_HOST_MOST];
  mica_type in_types[XLA_HOST_MOST], types[XLA_HOST_MOST];
  size_t count = node->operand_count, results = node->result_count;
  if (count > XLA_HOST_MOST || results > XLA_HOST_MOST) {
    mica_xla_fail(w, MICA_UNSUPPORTED, "a custom operator with more than %d operands or results",
                  XLA_HOST_MOST);
    return;
  }
  bool packed = false;
  for (uint32_t i = 0; i < count; i++) {
    in[i] = mica_xla_operand(w, id, i);
    in_types[i] = in[i].type;
    packed = packed || mica_dtype_bits(in_types[i].dtype) == 4;
  }
  for (uint32_t i = 0; i < results; i++) {
    types[i] = mica_node_at(w->graph, id + i)->type;
    packed = packed || mica_dtype_bits(types[i].dtype) == 4;
  }
  if (packed) {
    mica_xla_fail(w, MICA_UNSUPPORTED, "a custom operator on 4-bit values");
    return;
  }
  char target[XLA_TARGET_SIZE + 2];
  snprintf(target, sizeof(target), "\"%s\"", w->module->host_target);
  mica_xla_attribute_text(w, "call_target_name", target);
  mica_xla_attribute_text(w, "api_version", "4 : i32");
  mica_xla_attribute_text(w, "has_side_effect",
                          mica_op_definition((mica_op)node->op)->effect ? "true" : "false");
  mica_xla_attribute_text(w, "backend_config", "{");
  mica_text_format(&w->attributes, "mica = %" PRId64 " : i64}",
                   (int64_t)(intptr_t)&w->module->host_nodes[id]);
  mica_xla_attribute_layouts(w, "operand_layouts", in_types, count);
  mica_xla_attribute_layouts(w, "result_layouts", types, results);
  mica_xla_emit_many(w, id, "stablehlo.custom_call", types, results, in, count);
}
