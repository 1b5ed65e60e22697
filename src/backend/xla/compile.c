/* SPDX-License-Identifier: Apache-2.0 */
/* compile.c: what the compiler is told, and getting a module compiled, from the disk where it was before. */
#include "backend/xla/xla_internal.h"

#include <string.h>

/* ---- options of the compiler ----------------------------------------------------------------- */

/* The few fields of a CompileOptionsProto that are needed, in protobuf's encoding. */
size_t mica_xla_put_varint(unsigned char *out, size_t at, uint64_t value) {
  while (value >= 128) {
    out[at++] = (unsigned char)(value | 128);
    value >>= 7;
  }
  out[at++] = (unsigned char)value;
  return at;
}

size_t mica_xla_put_number(unsigned char *out, size_t at, uint32_t field, uint64_t value) {
  return mica_xla_put_varint(out, mica_xla_put_varint(out, at, (uint64_t)field << 3), value);
}

size_t mica_xla_put_message(unsigned char *out, size_t at, uint32_t field,
                            const unsigned char *message, size_t size) {
  at = mica_xla_put_varint(out, at, (uint64_t)field << 3 | 2);
  at = mica_xla_put_varint(out, at, size);
  memcpy(out + at, message, size);
  return at + size;
}

/* One replica of one partition on the device with that id (negative: the first one). */
static size_t compile_options(int64_t device_id, unsigned char out[XLA_OPTIONS_SIZE]) {
  unsigned char build[XLA_OPTIONS_SIZE], ids[16], devices[24], assignment[32];
  size_t size = 0;
  if (device_id >= 0) size = mica_xla_put_number(build, size, 1, (uint64_t)device_id);
  size = mica_xla_put_number(build, size, 4, 1); /* num_replicas */
  size = mica_xla_put_number(build, size, 5, 1); /* num_partitions */
  if (device_id >= 0) {
    size_t length = mica_xla_put_varint(ids, 0, (uint64_t)device_id);
    length = mica_xla_put_message(devices, 0, 1, ids, length);
    size_t whole = mica_xla_put_number(assignment, 0, 1, 1);
    whole = mica_xla_put_number(assignment, whole, 2, 1);
    whole = mica_xla_put_message(assignment, whole, 3, devices, length);
    size = mica_xla_put_message(build, size, 9, assignment, whole);
  }
  return mica_xla_put_message(out, 0, 3, build, size);
}

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

mica_status mica_xla_compile_options(const xla_client *client, unsigned char out[XLA_OPTIONS_SIZE],
                                     size_t *out_size, mica_error *error) {
  int id = -1; /* there is no choice */
  mica_status status =
      client->device_index == 0 ? MICA_OK : mica_xla_device_id(client, client->device, &id, error);
  if (status == MICA_OK) *out_size = compile_options(id, out);
  return status;
}

static mica_status compile_code(const xla_client *client, const char *code, size_t code_size,
                                const unsigned char *options, size_t options_size,
                                pjrt_loaded **out_loaded, mica_error *error) {
  static const char format[] = "mlir";
  pjrt_program program = {PJRT_SIZE_OF(pjrt_program, format_size), .code_size = code_size,
                          .format = format, .format_size = sizeof(format) - 1};
  memcpy(&program.code, &code, sizeof(code)); /* read only, though the API says otherwise */
  pjrt_compile_args args = {PJRT_SIZE_OF(pjrt_compile_args, executable), .client = client->client,
                            .program = &program, .options = (const char *)options,
                            .options_size = options_size};
  mica_status status = mica_xla_call(&client->plugin, PJRT_CLIENT_COMPILE, &args, error);
  if (status != MICA_OK) return status;
  *out_loaded = args.executable;
  if (*out_loaded == NULL)
    return mica_error_set(error, MICA_INTERNAL, "xla:%s: the plugin gave no executable",
                          client->plugin.name);
  return MICA_OK;
}

mica_status mica_xla_obtain(xla_client *client, const char *code, size_t code_size,
                            const unsigned char *options, size_t options_size, bool portable,
                            pjrt_loaded **out_loaded, mica_error *error) {
  char key[65];
  *out_loaded = NULL;
  bool cached = portable && client->cache.on;
  if (cached) {
    mica_xla_cache_key(client, code, code_size, options, options_size, key);
    *out_loaded = mica_xla_cache_load(client, key);
    if (*out_loaded != NULL) return MICA_OK;
  }
  mica_status status =
      compile_code(client, code, code_size, options, options_size, out_loaded, error);
  if (status != MICA_OK) return status;
  atomic_fetch_add_explicit(&client->cache.compiled, 1, memory_order_relaxed);
  if (cached) mica_xla_cache_store(client, key, *out_loaded);
  return MICA_OK;
}
