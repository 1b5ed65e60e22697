/* SPDX-License-Identifier: Apache-2.0 */
/* backend.c: the native engine as a backend: opening, closing, and the table of its functions. */
#include "backend/cpu/plan_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PACK_MEBIBYTES = 256, PACK_MEBIBYTES_LIMIT = 1 << 20 };

/* The one option of its own: pack_cache=MiB. */
static mica_status parse_options_of_engine(const char *options, size_t *out_pack_limit,
                                           mica_error *error) {
  static const char key[] = "pack_cache=";
  int64_t mebibytes = PACK_MEBIBYTES;
  for (const char *at = options; at != NULL && *at != '\0';) {
    size_t length = strcspn(at, ",");
    const char *end = at + length, *cursor = at + sizeof(key) - 1;
    if (length < sizeof(key) - 1 || memcmp(at, key, sizeof(key) - 1) != 0)
      return mica_error_set(error, MICA_INVALID, "backend 'cpu' has no option '%.*s'",
                            (int)(length > 200 ? 200 : length), at);
    if (!mica_parse_i64(&cursor, end, &mebibytes) || cursor != end || mebibytes < 0 ||
        mebibytes > PACK_MEBIBYTES_LIMIT)
      return mica_error_set(error, MICA_INVALID, "option '%.*s' is not a number of MiB in 0 to %d",
                            (int)(length > 200 ? 200 : length), at, PACK_MEBIBYTES_LIMIT);
    at = *end == ',' ? end + 1 : end;
  }
  if (!mica_size_multiply((size_t)mebibytes, (size_t)1 << 20, out_pack_limit))
    *out_pack_limit = SIZE_MAX / 2;
  return MICA_OK;
}

static mica_status engine_open(mica_device *device, const char *options, void **out_state,
                               mica_error *error) {
  *out_state = NULL;
  size_t pack_limit = 0;
  mica_status parsed = parse_options_of_engine(options, &pack_limit, error);
  if (parsed != MICA_OK) return parsed;
  const mica_cpu_kernels *kernels = mica_cpu_kernels_select(NULL);
  if (kernels == NULL) {
    char known[128] = "";
    size_t used = 0;
    for (int32_t i = 0; used < sizeof(known) && mica_cpu_kernels_at(i) != NULL; i++)
      used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i == 0 ? "" : ", ",
                               mica_cpu_kernels_at(i)->name);
    return mica_error_set(error, MICA_INVALID,
                          "$MICA_CPU_ISA names instructions that this machine lacks; it has: %s",
                          known);
  }
  mica_cpu_device *engine = mica_allocate_zeroed(&device->allocator, 1, sizeof(*engine));
  if (engine == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a device");
  engine->device = device;
  engine->allocator = device->allocator;
  engine->kernels = kernels;
  engine->pack_limit = pack_limit;
  atomic_init(&engine->pack_bytes, 0);
  if (!mica_environment("MICA_DUMP", engine->dump, sizeof(engine->dump))) engine->dump[0] = '\0';
  if (device->threads > 1) {
    mica_thread_pool_options pool = {.threads = device->threads, .pin = device->pin_threads};
    mica_status status = mica_thread_pool_create(&device->allocator, &pool, &engine->pool, error);
    if (status != MICA_OK) {
      mica_free(&device->allocator, engine, sizeof(*engine));
      return status;
    }
  }
  if (device->profile) mica_cpu_measure_limits(engine);
  *out_state = engine;
  return MICA_OK;
}

static void engine_close(void *state) {
  mica_cpu_device *engine = state;
  if (engine == NULL) return;
  mica_allocator allocator = engine->allocator;
  mica_thread_pool_destroy(engine->pool);
  mica_free(&allocator, engine, sizeof(*engine));
}

static void engine_describe(void *state, char *text, size_t size) {
  const mica_cpu_device *engine = state;
  int32_t threads = mica_thread_pool_size(engine->pool);
  snprintf(text, size, "cpu: %s, %" PRId32 " thread%s", engine->kernels->name, threads,
           threads == 1 ? "" : "s");
}

static size_t engine_arena_bytes(void *state, const void *program) {
  (void)state;
  return ((const mica_cpu_program *)program)->arena_bytes;
}

extern const mica_backend mica_backend_cpu;
const mica_backend mica_backend_cpu = {
    .struct_size = sizeof(mica_backend),
    .name = "cpu",
    .open = engine_open,
    .close = engine_close,
    .describe = engine_describe,
    .compile = mica_cpu_compile,
    .execute = mica_cpu_execute,
    .program_destroy = mica_cpu_program_destroy,
    .program_arena_bytes = engine_arena_bytes,
    .program_format = mica_cpu_format,
    .program_profile = mica_cpu_profile,
};
