/* SPDX-License-Identifier: Apache-2.0 */
/* compile.c: what the compiler is told, and getting a module compiled, from the disk where it was before. */
#include "backend/xla/xla_internal.h"

#include <string.h>

/* ---- options of the compiler ----------------------------------------------------------------- */

typedef struct {
  unsigned char *at;
  size_t size;
} wire_writer;

static void append_varint(wire_writer *out, uint64_t value) {
  while (value >= 128) {
    out->at[out->size++] = (unsigned char)(value | 128);
    value >>= 7;
  }
  out->at[out->size++] = (unsigned char)value;
}
static void append_number(wire_writer *out, uint32_t field, uint64_t value) {
  append_varint(out, (uint64_t)field << 3);
  append_varint(out, value);
}
static void append_message(wire_writer *out, uint32_t field, const wire_writer *message) {
  append_varint(out, (uint64_t)field << 3 | 2);
  append_varint(out, message->size);
  memcpy(out->at + out->size, message->at, message->size);
  out->size += message->size;
}

/* A CompileOptionsProto, the few fields of it that are needed: one replica of a partition on each of these devices; no
 * ids: on the first one. On a mesh Shardy cuts it. `memory` has room for three messages of `room` bytes. */
static wire_writer compile_options(const int *ids, size_t count, bool on_mesh,
                                   unsigned char *memory, size_t room) {
  wire_writer assignment = {memory, 0}, build = {memory + room, 0}, whole = {memory + 2 * room, 0};
  size_t partitions = count > 0 ? count : 1;
  if (count > 0 && !on_mesh) append_number(&build, 1, (uint64_t)ids[0]); /* device_ordinal */
  append_number(&build, 4, 1);                                           /* num_replicas */
  append_number(&build, 5, partitions);                                  /* num_partitions */
  if (on_mesh) append_number(&build, 6, 1);                              /* use_spmd_partitioning */
  if (count > 0) {
    append_number(&assignment, 1, 1); /* replica_count */
    append_number(&assignment, 2, partitions);
    for (size_t i = 0; i < count; i++) {
      unsigned char id_bytes[16], device_bytes[24];
      wire_writer id = {id_bytes, 0}, device = {device_bytes, 0};
      append_varint(&id, (uint64_t)ids[i]);
      append_message(&device, 1, &id);
      append_message(&assignment, 3, &device);
    }
    append_message(&build, 9, &assignment);
  }
  if (on_mesh) append_number(&build, 19, 1); /* use_shardy_partitioner */
  append_message(&whole, 3, &build);
  return whole;
}

/* XLA's max and min lose NaN on a CPU unless this switch is off: an entry of env_option_overrides. */
static const char fast_extremes[] = "xla_cpu_enable_fast_min_max";

static void append_switches(wire_writer *out) {
  unsigned char name_bytes[sizeof(fast_extremes)], entry_bytes[48], off_bytes[4];
  memcpy(name_bytes, fast_extremes, sizeof(name_bytes));
  wire_writer name = {name_bytes, sizeof(name_bytes) - 1}, entry = {entry_bytes, 0},
              off = {off_bytes, 0};
  append_number(&off, 2, 0); /* bool_field */
  append_message(&entry, 1, &name);
  append_message(&entry, 2, &off);
  append_message(out, 7, &entry);
}

/* ---- compiling ------------------------------------------------------------------------------- */

mica_status mica_xla_device_id(const xla_client *client, pjrt_device *device, int *out_id,
                               mica_error *error) {
  pjrt_device_description_args args = {PJRT_SIZE_OF(pjrt_device_description_args, description),
                                       .device = device};
  mica_status status = mica_xla_call(&client->plugin, PJRT_DEVICE_DESCRIPTION, &args, error);
  if (status != MICA_OK) return status;
  pjrt_description_id_args id = {PJRT_SIZE_OF(pjrt_description_id_args, id),
                                 .description = args.description};
  status = mica_xla_call(&client->plugin, PJRT_DESCRIPTION_ID, &id, error);
  *out_id = id.id;
  return status;
}

static mica_status compile_code(const xla_client *client, const char *code, size_t code_size,
                                const wire_writer *options, pjrt_loaded **out_loaded,
                                mica_error *error) {
  static const char format[] = "mlir";
  pjrt_program program = {PJRT_SIZE_OF(pjrt_program, format_size), .code_size = code_size,
                          .format = format, .format_size = sizeof(format) - 1};
  memcpy(&program.code, &code, sizeof(code)); /* read only, though the API says otherwise */
  pjrt_compile_args args = {PJRT_SIZE_OF(pjrt_compile_args, executable), .client = client->client,
                            .program = &program, .options = (const char *)options->at,
                            .options_size = options->size};
  mica_status status = mica_xla_call(&client->plugin, PJRT_CLIENT_COMPILE, &args, error);
  if (status != MICA_OK) return status;
  *out_loaded = args.executable;
  if (*out_loaded == NULL)
    return mica_error_set(error, MICA_INTERNAL, "xla:%s: the plugin gave no executable",
                          client->plugin.name);
  return MICA_OK;
}

static mica_status load_or_compile(xla_client *client, const char *code, size_t code_size,
                                   const wire_writer *options, bool portable,
                                   pjrt_loaded **out_loaded, mica_error *error) {
  char key[65];
  bool cached = portable && client->cache.on;
  if (cached) {
    mica_xla_cache_key(client, code, code_size, options->at, options->size, key);
    *out_loaded = mica_xla_cache_load(client, key);
    if (*out_loaded != NULL) return MICA_OK;
  }
  mica_status status = compile_code(client, code, code_size, options, out_loaded, error);
  if (status != MICA_OK) return status;
  atomic_fetch_add_explicit(&client->cache.compiled, 1, memory_order_relaxed);
  if (cached) mica_xla_cache_store(client, key, *out_loaded);
  return MICA_OK;
}

/* A plugin that does not know a switch refuses the program: then it gets none, now and from now on. */
static mica_status with_switches(xla_client *client, const char *code, size_t code_size,
                                 wire_writer *options, bool portable, pjrt_loaded **out_loaded,
                                 mica_error *error) {
  bool switched =
      client->on_host && !atomic_load_explicit(&client->no_switches, memory_order_relaxed);
  size_t plain_size = options->size;
  if (switched) append_switches(options);
  mica_error first = {0};
  mica_status status =
      load_or_compile(client, code, code_size, options, portable, out_loaded, &first);
  if (switched && status != MICA_OK &&
      (status == MICA_INVALID || strstr(first.message, fast_extremes) != NULL)) {
    options->size = plain_size;
    if (load_or_compile(client, code, code_size, options, portable, out_loaded, NULL) == MICA_OK) {
      atomic_store_explicit(&client->no_switches, true, memory_order_relaxed);
      return MICA_OK;
    }
  }
  if (status != MICA_OK && error != NULL) *error = first;
  return status;
}

mica_status mica_xla_obtain(xla_client *client, const char *code, size_t code_size, const int *mesh,
                            size_t mesh_count, bool portable, pjrt_loaded **out_loaded,
                            mica_error *error) {
  const int *ids = mesh;
  size_t count = mesh_count;
  int own;
  *out_loaded = NULL;
  if (mesh == NULL && client->device_index != 0) {
    mica_status status = mica_xla_device_id(client, client->device, &own, error);
    if (status != MICA_OK) return status;
    ids = &own;
    count = 1;
  }
  size_t room = 128 + 32 * count;
  unsigned char *memory = mica_allocate(&client->allocator, 3 * room);
  if (memory == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  wire_writer options = compile_options(ids, count, mesh != NULL, memory, room);
  mica_status status =
      with_switches(client, code, code_size, &options, portable, out_loaded, error);
  mica_free(&client->allocator, memory, 3 * room);
  return status;
}
