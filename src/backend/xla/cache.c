/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c: compiled programs on the disk, so that the second start of a program does not compile.
 *
 * An entry is a file named by the SHA-256 of all that its content depends on: the plugin's file and
 * versions, the device, on a CPU the processor, the compiler's options and the module. It holds the name
 * and a checksum again, so that a file that is cut short, changed or of another origin is found out; such
 * a file is removed and written anew. Files appear by rename: processes may share the folder. A use sets
 * a file's time, and what was not used for longest goes when the folder is too large. Nothing here is an
 * error for the user: without the folder everything is compiled. */
#include "backend/xla/xla_internal.h"
#include "core/sha256.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  CACHE_KEY_SIZE = 64,
  CACHE_HEAD_SIZE = 8 + 2 * CACHE_KEY_SIZE + 8,
  CACHE_SWEEP_ENTRIES = 64, /* stored until the folder is looked through again */
  CACHE_LEFTOVER_SECONDS = 3600
};
static const char cache_magic[8] = "MICAXLA1";
static const char cache_suffix[] = ".xla";

/* ---- what programs depend on ----------------------------------------------------------------- */

static void hash_text(mica_sha256_state *sum, const char *text) {
  mica_sha256_add(sum, text, strlen(text) + 1);
}

static void hash_number(mica_sha256_state *sum, uint64_t number) {
  unsigned char bytes[8];
  for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(number >> 8 * i);
  mica_sha256_add(sum, bytes, sizeof(bytes));
}

/* Machine code fits one kind of processor: its model and features, as Linux tells them. */
static void hash_processor(mica_sha256_state *sum) {
  static const char *const keys[] = {"model name", "flags", "Features", "CPU part"};
  char text[16384];
  size_t size = 0;
  if (mica_file_read_some("/proc/cpuinfo", 0, text, sizeof(text) - 1, &size) != 0) return;
  text[size] = '\0';
  char *end = strstr(text, "\n\n"); /* of the first processor */
  if (end != NULL) *end = '\0';
  for (char *line = text; line != NULL && *line != '\0';) {
    char *next = strchr(line, '\n');
    if (next != NULL) *next++ = '\0';
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
      if (strncmp(line, keys[i], strlen(keys[i])) == 0) hash_text(sum, line);
    line = next;
  }
}

static void hash_environment(mica_sha256_state *sum, const char *name) {
  char value[4096];
  hash_text(sum, name);
  hash_text(sum, mica_environment(name, value, sizeof(value)) ? value : "");
}

static void identify(const xla_client *client, char identity[65]) {
  const xla_plugin *plugin = &client->plugin;
  uint64_t size = 0;
  int64_t time = 0;
  mica_sha256_state sum;
  mica_sha256_begin(&sum);
  hash_text(&sum, plugin->path);
  (void)mica_file_size(plugin->path, &size);
  (void)mica_file_time(plugin->path, &time);
  hash_number(&sum, size);
  hash_number(&sum, (uint64_t)time);
  hash_number(&sum, (uint64_t)plugin->api->version.minor);
  hash_text(&sum, plugin->stablehlo_version);
  hash_text(&sum, client->platform);
  hash_text(&sum, client->kind);
  pjrt_text_args version = {PJRT_SIZE_OF(pjrt_text_args, size), .object = client->client};
  if (mica_xla_has(plugin, PJRT_CLIENT_PLATFORM_VERSION) &&
      mica_xla_call(plugin, PJRT_CLIENT_PLATFORM_VERSION, &version, NULL) == MICA_OK &&
      version.text != NULL)
    mica_sha256_add(&sum, version.text, version.size);
  hash_number(&sum, client->device_count);
  if (client->on_host) hash_processor(&sum);
  hash_environment(&sum, "XLA_FLAGS");
  hash_environment(&sum, "NVIDIA_TF32_OVERRIDE");
  mica_sha256_end(&sum, identity);
}

void mica_xla_cache_key(const xla_client *client, const char *code, size_t code_size,
                        const unsigned char *options, size_t options_size, char out_key[65]) {
  mica_sha256_state sum;
  mica_sha256_begin(&sum);
  hash_text(&sum, client->cache.identity);
  hash_number(&sum, options_size);
  mica_sha256_add(&sum, options, options_size);
  mica_sha256_add(&sum, code, code_size);
  mica_sha256_end(&sum, out_key);
}

/* ---- the folder ------------------------------------------------------------------------------ */

/* CPU plugins between these versions of the API print an error on stderr at each program that they take
 * back, though nothing is wrong: they do not know two features of the processor that their own compiler
 * turns on. They use a folder only where one is named. */
static bool warns_about_entries(const xla_client *client) {
  int minor = client->plugin.api->version.minor;
  return client->on_host && minor > 81 && minor < 115;
}

/* What the option says, else the environment; "off" and "0" turn the cache off. */
static void choose_folder(const xla_client *client, xla_cache *cache, const char *option) {
  char base[XLA_PATH_SIZE];
  int length = 0;
  if (option[0] == '\0' && mica_environment("MICA_XLA_CACHE", base, sizeof(base))) option = base;
  if (strcmp(option, "off") == 0 || strcmp(option, "0") == 0) return;
  if (option[0] != '\0')
    length = snprintf(cache->folder, sizeof(cache->folder), "%s", option);
  else if (warns_about_entries(client))
    return;
  else if (mica_environment("XDG_CACHE_HOME", base, sizeof(base)) && base[0] == '/')
    length = snprintf(cache->folder, sizeof(cache->folder), "%s/mica/xla", base);
  else if (mica_environment("HOME", base, sizeof(base)) && base[0] == '/')
    length = snprintf(cache->folder, sizeof(cache->folder), "%s/.cache/mica/xla", base);
  cache->on = length > 0 && (size_t)length < sizeof(cache->folder);
}

void mica_xla_cache_open(xla_client *client, const char *option, int64_t limit_mib) {
  xla_cache *cache = &client->cache;
  atomic_init(&cache->loaded, 0);
  atomic_init(&cache->stored, 0);
  atomic_init(&cache->compiled, 0);
  cache->limit = (uint64_t)limit_mib << 20;
  choose_folder(client, cache, option);
  if (!mica_xla_has(&client->plugin, PJRT_EXECUTABLE_SERIALIZE) ||
      !mica_xla_has(&client->plugin, PJRT_DESERIALIZE))
    cache->on = false;
  if (cache->on) identify(client, cache->identity);
}

static bool entry_path(const xla_cache *cache, const char *name, const char *suffix,
                       char path[XLA_PATH_SIZE]) {
  int length = snprintf(path, XLA_PATH_SIZE, "%s/%s%s", cache->folder, name, suffix);
  return length > 0 && length < XLA_PATH_SIZE;
}

typedef struct {
  uint64_t size;
  int64_t time;
  char name[CACHE_KEY_SIZE + 8];
} cache_file;

typedef struct {
  const xla_cache *cache;
  const mica_allocator *allocator;
  cache_file *files;
  uint32_t count, capacity;
  uint64_t size;
  int64_t now;
} cache_sweep;

static bool ends_with(const char *name, const char *end) {
  size_t size = strlen(name), end_size = strlen(end);
  return size > end_size && strcmp(name + size - end_size, end) == 0;
}

static bool see_file(void *context, const char *name) {
  cache_sweep *sweep = context;
  char path[XLA_PATH_SIZE];
  cache_file file = {0};
  if (!entry_path(sweep->cache, name, "", path) || mica_file_size(path, &file.size) != 0 ||
      mica_file_time(path, &file.time) != 0)
    return true;
  if (ends_with(name, ".tmp")) { /* of a process that ended while it wrote */
    if ((sweep->now - file.time) / 1000000000 > CACHE_LEFTOVER_SECONDS)
      (void)mica_file_remove(path);
    return true;
  }
  if (!ends_with(name, cache_suffix) || strlen(name) >= sizeof(file.name)) return true;
  memcpy(file.name, name, strlen(name) + 1);
  if (!mica_grow(sweep->allocator, &sweep->files, &sweep->capacity, (size_t)sweep->count + 1,
                 sizeof(*sweep->files)))
    return false;
  sweep->files[sweep->count++] = file;
  sweep->size += file.size;
  return true;
}

static int by_time(const void *a, const void *b) {
  int64_t first = ((const cache_file *)a)->time, second = ((const cache_file *)b)->time;
  return (first > second) - (first < second);
}

/* Removes what was not used for longest until the folder keeps to its limit. Another process may do the
 * same: a file that is gone already is fine, and a reader has it open still. */
static void sweep_folder(xla_client *client, int64_t now) {
  xla_cache *cache = &client->cache;
  cache_sweep sweep = {.cache = cache, .allocator = &client->allocator, .now = now};
  (void)mica_folder_list(cache->folder, see_file, &sweep);
  if (sweep.size > cache->limit && sweep.count > 1)
    qsort(sweep.files, sweep.count, sizeof(*sweep.files), by_time);
  for (uint32_t i = 0; i < sweep.count && sweep.size > cache->limit; i++) {
    char path[XLA_PATH_SIZE];
    if (entry_path(cache, sweep.files[i].name, "", path)) (void)mica_file_remove(path);
    sweep.size -= sweep.files[i].size;
  }
  mica_free(&client->allocator, sweep.files, sweep.capacity * sizeof(*sweep.files));
}

/* ---- entries --------------------------------------------------------------------------------- */

static void write_entry_head(unsigned char head[CACHE_HEAD_SIZE], const char *key,
                             const void *bytes, size_t size) {
  char checksum[65];
  mica_sha256_state sum;
  mica_sha256_begin(&sum);
  mica_sha256_add(&sum, bytes, size);
  mica_sha256_end(&sum, checksum);
  memcpy(head, cache_magic, sizeof(cache_magic));
  memcpy(head + 8, key, CACHE_KEY_SIZE);
  memcpy(head + 8 + CACHE_KEY_SIZE, checksum, CACHE_KEY_SIZE);
  for (int i = 0; i < 8; i++)
    head[8 + 2 * CACHE_KEY_SIZE + i] = (unsigned char)((uint64_t)size >> 8 * i);
}

/* Whether the file is the entry of that name, whole. */
static bool entry_is_sound(const char *key, const unsigned char *file, size_t size) {
  unsigned char head[CACHE_HEAD_SIZE];
  if (size <= CACHE_HEAD_SIZE) return false;
  write_entry_head(head, key, file + CACHE_HEAD_SIZE, size - CACHE_HEAD_SIZE);
  return memcmp(head, file, CACHE_HEAD_SIZE) == 0;
}

pjrt_loaded *mica_xla_cache_load(xla_client *client, const char *key) {
  xla_cache *cache = &client->cache;
  char path[XLA_PATH_SIZE];
  const void *bytes;
  size_t size;
  if (!cache->on || !entry_path(cache, key, cache_suffix, path) ||
      mica_file_map(path, &bytes, &size) != 0)
    return NULL;
  pjrt_loaded *loaded = NULL;
  const unsigned char *file = bytes;
  if (entry_is_sound(key, file, size)) {
    pjrt_deserialize_args args = {
        PJRT_SIZE_OF(pjrt_deserialize_args, options_size), .client = client->client,
        .bytes = (const char *)file + CACHE_HEAD_SIZE, .size = size - CACHE_HEAD_SIZE};
    if (mica_xla_call(&client->plugin, PJRT_DESERIALIZE, &args, NULL) == MICA_OK)
      loaded = args.loaded;
  }
  mica_file_unmap(bytes, size);
  if (loaded == NULL) {
    (void)mica_file_remove(path); /* it is written again once the program is compiled */
    return NULL;
  }
  (void)mica_file_touch(path);
  atomic_fetch_add_explicit(&cache->loaded, 1, memory_order_relaxed);
  return loaded;
}

static bool write_entry(xla_cache *cache, const char *key, const void *bytes, size_t size,
                        int64_t *out_time) {
  char path[XLA_PATH_SIZE];
  unsigned char head[CACHE_HEAD_SIZE];
  if (size == 0 || size > cache->limit || !entry_path(cache, key, cache_suffix, path) ||
      mica_folder_create(cache->folder) != 0)
    return false;
  write_entry_head(head, key, bytes, size);
  mica_file_part parts[2] = {{head, sizeof(head)}, {bytes, size}};
  return mica_file_write_parts(path, parts, 2) == 0 && mica_file_time(path, out_time) == 0;
}

void mica_xla_cache_store(xla_client *client, const char *key, pjrt_loaded *loaded) {
  xla_cache *cache = &client->cache;
  const xla_plugin *plugin = &client->plugin;
  pjrt_executable_args whole = {PJRT_SIZE_OF(pjrt_executable_args, executable), .loaded = loaded};
  if (!cache->on || mica_xla_call(plugin, PJRT_LOADED_EXECUTABLE, &whole, NULL) != MICA_OK) return;
  pjrt_serialize_args args = {PJRT_SIZE_OF(pjrt_serialize_args, destroy),
                              .executable = whole.executable};
  if (mica_xla_call(plugin, PJRT_EXECUTABLE_SERIALIZE, &args, NULL) == MICA_OK) {
    int64_t now;
    if (args.bytes != NULL && write_entry(cache, key, args.bytes, args.size, &now)) {
      int64_t before = atomic_fetch_add_explicit(&cache->stored, 1, memory_order_relaxed);
      if (before % CACHE_SWEEP_ENTRIES == 0) sweep_folder(client, now);
    }
    if (args.destroy != NULL && args.owner != NULL) args.destroy(args.owner);
  }
  mica_xla_destroy(plugin, PJRT_EXECUTABLE_DESTROY, whole.executable);
}
