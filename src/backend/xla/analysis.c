/* SPDX-License-Identifier: Apache-2.0 */
/* analysis.c: what a plugin knows about its memory and about a program. */
#include "backend/executable_internal.h"
#include "backend/xla/wire.h"
#include "backend/xla/xla_internal.h"
#include "mica/xla.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

mica_status mica_xla_client_of(mica_device *device, xla_client **out_client, mica_error *error) {
  mica_status status = mica_device_check(device, error);
  if (status != MICA_OK) return status;
  if (device->backend.open != mica_xla_open)
    return mica_error_set(error, MICA_INVALID, "the device is of the backend '%s', not of xla",
                          device->backend.name);
  *out_client = device->state;
  return MICA_OK;
}

static mica_status program_of(const mica_executable *executable, xla_program **out_program,
                              mica_error *error) {
  xla_client *client = NULL;
  if (executable == NULL) return mica_null_error(error, "the executable");
  mica_status status = mica_xla_client_of(executable->device, &client, error);
  if (status == MICA_OK) *out_program = executable->program;
  return status;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static int64_t statistic(pjrt_statistic value) {
  return value.is_set && value.value >= 0 ? value.value : -1;
}

static mica_status read_memory(const xla_client *client, mica_xla_memory *out, mica_error *error) {
  pjrt_memory_stats_args args = {PJRT_SIZE_OF(pjrt_memory_stats_args, peak_pool.is_set),
                                 .device = client->device};
  mica_status status = mica_xla_call(&client->plugin, PJRT_DEVICE_MEMORY_STATS, &args, error);
  if (status != MICA_OK) return status;
  *out = (mica_xla_memory){.struct_size = sizeof(*out),
                           .in_use = args.bytes_in_use,
                           .peak = statistic(args.peak_bytes),
                           .limit = statistic(args.limit),
                           .largest = statistic(args.largest),
                           .largest_free = statistic(args.largest_free),
                           .allocations = statistic(args.allocations)};
  return MICA_OK;
}

/* Fills a caller's struct, which an older header may have made smaller. */
static mica_status give_struct(void *out, const void *full, size_t size, mica_error *error) {
  if (out == NULL) return mica_null_error(error, "the struct to fill");
  size_t given;
  memcpy(&given, out, sizeof(given));
  if (given == 0 || given > size) given = size;
  memcpy(out, full, given);
  memcpy(out, &given, sizeof(given));
  return MICA_OK;
}

mica_status mica_xla_device_memory(mica_device *device, mica_xla_memory *out_memory,
                                   mica_error *error) {
  xla_client *client = NULL;
  mica_xla_memory memory;
  mica_status status = mica_xla_client_of(device, &client, error);
  if (status == MICA_OK) status = read_memory(client, &memory, error);
  return status == MICA_OK ? give_struct(out_memory, &memory, sizeof(memory), error) : status;
}

mica_status mica_xla_device_counts(mica_device *device, mica_xla_counts *out_counts,
                                   mica_error *error) {
  xla_client *client = NULL;
  mica_status status = mica_xla_client_of(device, &client, error);
  if (status != MICA_OK) return status;
  mica_xla_counts counts = {sizeof(counts), atomic_load(&client->cache.compiled),
                            atomic_load(&client->cache.loaded), atomic_load(&client->cache.stored)};
  return give_struct(out_counts, &counts, sizeof(counts), error);
}

/* "; 12 of 34 bytes of the device are in use", "" where it does not tell. */
static void memory_text(const xla_client *client, char *text, size_t size) {
  mica_xla_memory memory;
  text[0] = '\0';
  if (read_memory(client, &memory, NULL) != MICA_OK) return;
  if (memory.limit >= 0)
    snprintf(text, size, "; of the device's %" PRId64 " bytes %" PRId64 " are in use", memory.limit,
             memory.in_use);
  else
    snprintf(text, size, "; %" PRId64 " bytes of the device are in use", memory.in_use);
}

mica_status mica_xla_upload_error(const xla_client *client, mica_type type, mica_error *error) {
  char reason[400], memory[160], name[160];
  if (error == NULL) return MICA_OUT_OF_MEMORY;
  snprintf(reason, sizeof(reason), "%.390s", error->message);
  error->status = MICA_OK; /* the new message stands in the place of the old one */
  memory_text(client, memory, sizeof(memory));
  mica_type_format(type, name, sizeof(name));
  return mica_error_set(error, MICA_OUT_OF_MEMORY,
                        "no memory on the device for %s, %zu bytes%s (%s)", name,
                        mica_xla_byte_size(type), memory, reason);
}

/* A plugin may give a negative figure for what it does not know, XLA's GPU compiler -1 for each call of a library. */
static double known_figure(double value) { return value >= 0 ? value : -1; }
static int64_t known_bytes(int64_t value) { return value >= 0 ? value : -1; }

/* ---- programs -------------------------------------------------------------------------------- */

static mica_status whole_of(const xla_program *program, pjrt_executable **out_executable,
                            mica_error *error) {
  pjrt_executable_args args = {PJRT_SIZE_OF(pjrt_executable_args, executable),
                               .loaded = program->loaded};
  mica_status status =
      mica_xla_call(&program->client->plugin, PJRT_LOADED_EXECUTABLE, &args, error);
  *out_executable = args.executable;
  return status;
}

static void read_program_memory(const xla_plugin *plugin, pjrt_executable *executable,
                                mica_xla_cost *cost) {
  pjrt_compiled_memory_args args = {PJRT_SIZE_OF(pjrt_compiled_memory_args, peak),
                                    .executable = executable, .peak = -1};
  if (!mica_xla_has(plugin, PJRT_EXECUTABLE_MEMORY) ||
      mica_xla_call(plugin, PJRT_EXECUTABLE_MEMORY, &args, NULL) != MICA_OK)
    return;
  cost->code = known_bytes(args.code);
  cost->arguments = known_bytes(args.arguments);
  cost->outputs = known_bytes(args.outputs);
  cost->aliased = known_bytes(args.aliased);
  cost->temporary = known_bytes(args.temporary);
  cost->peak = known_bytes(args.peak);
}

static void read_program_cost(const xla_plugin *plugin, pjrt_executable *executable,
                              mica_xla_cost *cost) {
  pjrt_cost_args args = {PJRT_SIZE_OF(pjrt_cost_args, properties), .executable = executable};
  if (!mica_xla_has(plugin, PJRT_EXECUTABLE_COST) ||
      mica_xla_call(plugin, PJRT_EXECUTABLE_COST, &args, NULL) != MICA_OK)
    return;
  static const char *const names[3] = {"flops", "transcendentals", "bytes accessed"};
  double *const places[3] = {&cost->flops, &cost->transcendentals, &cost->bytes_accessed};
  const char *at = (const char *)args.properties;
  for (size_t i = 0; i < args.count && at != NULL; i++) {
    const pjrt_named_value *value = (const pjrt_named_value *)(const void *)at;
    for (int k = 0; k < 3; k++)
      if (value->type == PJRT_VALUE_FLOAT && value->name_size == strlen(names[k]) &&
          memcmp(value->name, names[k], value->name_size) == 0)
        *places[k] = known_figure((double)value->value.number);
    at += sizeof(*value);
  }
}

static mica_status read_cost(const xla_program *program, mica_xla_cost *cost, mica_error *error) {
  const xla_plugin *plugin = &program->client->plugin;
  pjrt_executable *executable;
  *cost = (mica_xla_cost){sizeof(*cost), -1, -1, -1, -1, -1, -1, -1, -1, -1};
  mica_status status = whole_of(program, &executable, error);
  if (status != MICA_OK) return status;
  read_program_memory(plugin, executable, cost);
  read_program_cost(plugin, executable, cost);
  mica_xla_destroy(plugin, PJRT_EXECUTABLE_DESTROY, executable);
  return MICA_OK;
}

mica_status mica_xla_executable_cost(mica_executable *executable, mica_xla_cost *out_cost,
                                     mica_error *error) {
  xla_program *program = NULL;
  mica_xla_cost cost;
  mica_status status = program_of(executable, &program, error);
  if (status == MICA_OK) status = read_cost(program, &cost, error);
  return status == MICA_OK ? give_struct(out_cost, &cost, sizeof(cost), error) : status;
}

size_t mica_xla_program_arena_bytes(void *state, const void *pointer) {
  (void)state;
  mica_xla_cost cost;
  return read_cost(pointer, &cost, NULL) == MICA_OK && cost.temporary > 0 ? (size_t)cost.temporary
                                                                          : 0;
}

mica_status mica_xla_call_error(const xla_program *program, mica_error *error) {
  char reason[400], memory[160];
  mica_xla_cost cost;
  if (error == NULL) return MICA_OUT_OF_MEMORY;
  snprintf(reason, sizeof(reason), "%.390s", error->message);
  error->status = MICA_OK; /* the new message stands in the place of the old one */
  memory_text(program->client, memory, sizeof(memory));
  if (read_cost(program, &cost, NULL) != MICA_OK || cost.arguments < 0)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory on the device for a call%s (%s)",
                          memory, reason);
  return mica_error_set(error, MICA_OUT_OF_MEMORY,
                        "no memory on the device for a call: %" PRId64 " bytes of inputs, %" PRId64
                        " of outputs and %" PRId64 " between them%s (%s)",
                        cost.arguments, cost.outputs, cost.temporary, memory, reason);
}

/* ---- the optimized program ------------------------------------------------------------------- */

mica_status mica_xla_optimized_bytes(const xla_program *program, char **out_bytes, size_t *out_size,
                                     mica_error *error) {
  const xla_client *client = program->client;
  const xla_plugin *plugin = &client->plugin;
  pjrt_executable *executable;
  *out_bytes = NULL;
  *out_size = 0;
  mica_status status = whole_of(program, &executable, error);
  if (status != MICA_OK) return status;
  pjrt_program code = {PJRT_SIZE_OF(pjrt_program, format_size)};
  pjrt_optimized_args args = {PJRT_SIZE_OF(pjrt_optimized_args, program), .executable = executable,
                              .program = &code};
  status = mica_xla_call(plugin, PJRT_EXECUTABLE_OPTIMIZED, &args, error);
  if (status == MICA_OK) {
    *out_size = code.code_size;
    *out_bytes = code.code = mica_allocate(&client->allocator, code.code_size);
    status = code.code == NULL
                 ? mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a program")
                 : mica_xla_call(plugin, PJRT_EXECUTABLE_OPTIMIZED, &args, error);
  }
  mica_xla_destroy(plugin, PJRT_EXECUTABLE_DESTROY, executable);
  if (status != MICA_OK && *out_bytes != NULL) {
    mica_free(&client->allocator, *out_bytes, *out_size);
    *out_bytes = NULL;
  }
  return status;
}

mica_status mica_xla_optimized_format(mica_executable *executable, char *text, size_t size,
                                      size_t *out_length, mica_error *error) {
  xla_program *program = NULL;
  char *bytes;
  size_t byte_size;
  if (out_length != NULL) *out_length = 0;
  if (size > 0) text[0] = '\0';
  mica_status status = program_of(executable, &program, error);
  if (status == MICA_OK) status = mica_xla_optimized_bytes(program, &bytes, &byte_size, error);
  if (status != MICA_OK) return status;
  mica_text out;
  mica_text_init(&out, &program->allocator);
  mica_xla_print_hlo(xla_wire_of(bytes, byte_size), &out);
  mica_free(&program->allocator, bytes, byte_size);
  if (out.failed)
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a text");
  else
    (void)mica_text_copy(&out, text, size);
  if (status == MICA_OK && out_length != NULL) *out_length = out.size;
  mica_text_deinit(&out);
  return status;
}
