/* SPDX-License-Identifier: Apache-2.0 */
/* plugin.c: loading a PJRT plugin, and the one door through which its functions are called.
 *
 * A plugin may be older or newer than this file: before each call the slot is looked for in the
 * table that the plugin gave, whose size and NULL entries say what it lacks. */
#include "backend/xla/xla_internal.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* ---- calls ----------------------------------------------------------------------------------- */

static const char *slot_name(pjrt_slot slot) {
  switch (slot) {
#define SLOT_NAME_CASE(NAME, number, text) \
  case PJRT_##NAME: return "PJRT_" text;
    PJRT_SLOT_LIST(SLOT_NAME_CASE)
#undef SLOT_NAME_CASE
    case PJRT_SLOT_COUNT: break;
  }
  return "PJRT function";
}

bool mica_xla_has(const xla_plugin *plugin, pjrt_slot slot) {
  size_t end = offsetof(pjrt_api, slot) + ((size_t)slot + 1) * sizeof(pjrt_function *);
  return plugin->api->struct_size >= end && plugin->api->slot[slot] != NULL;
}

static mica_status status_of_code(int code) {
  switch (code) {
    case PJRT_CODE_CANCELLED: return MICA_CANCELLED;
    case PJRT_CODE_INVALID_ARGUMENT: return MICA_INVALID;
    case PJRT_CODE_NOT_FOUND: return MICA_NOT_FOUND;
    case PJRT_CODE_RESOURCE_EXHAUSTED: return MICA_OUT_OF_MEMORY;
    case PJRT_CODE_UNIMPLEMENTED: return MICA_UNSUPPORTED;
    case PJRT_CODE_DATA_LOSS: return MICA_DATA_LOSS;
    default: return MICA_INTERNAL;
  }
}

/* Takes the plugin's error over: its message and code, and its end. */
static mica_status take_error(const xla_plugin *plugin, const char *where, pjrt_error *problem,
                              mica_error *error) {
  int code = PJRT_CODE_INTERNAL;
  const char *message = "the plugin says no more";
  size_t size = strlen(message);
  if (mica_xla_has(plugin, PJRT_ERROR_CODE)) {
    pjrt_error_code_args args = {PJRT_SIZE_OF(pjrt_error_code_args, code), .error = problem};
    pjrt_error *second = plugin->api->slot[PJRT_ERROR_CODE](&args);
    if (second == NULL) code = args.code;
    if (second != NULL) mica_xla_destroy(plugin, PJRT_ERROR_DESTROY, second);
  }
  if (mica_xla_has(plugin, PJRT_ERROR_MESSAGE)) {
    pjrt_error_message_args args = {PJRT_SIZE_OF(pjrt_error_message_args, message_size),
                                    .error = problem};
    (void)plugin->api->slot[PJRT_ERROR_MESSAGE](&args); /* returns nothing */
    if (args.message != NULL && args.message_size > 0)
      message = args.message, size = args.message_size;
  }
  mica_status status = status_of_code(code);
  mica_error_set(error, status, "xla:%s: %s: %.*s", plugin->name, where,
                 (int)(size > 900 ? 900 : size), message);
  mica_xla_destroy(plugin, PJRT_ERROR_DESTROY, problem);
  return status;
}

mica_status mica_xla_call(const xla_plugin *plugin, pjrt_slot slot, void *args, mica_error *error) {
  if (!mica_xla_has(plugin, slot))
    return mica_error_set(error, MICA_UNSUPPORTED,
                          "xla:%s: the plugin has no %s (its API is %d.%d): %s", plugin->name,
                          slot_name(slot), plugin->api->version.major, plugin->api->version.minor,
                          plugin->path);
  pjrt_error *problem = plugin->api->slot[slot](args);
  return problem == NULL ? MICA_OK : take_error(plugin, slot_name(slot), problem, error);
}

void mica_xla_destroy(const xla_plugin *plugin, pjrt_slot slot, void *object) {
  if (object == NULL || !mica_xla_has(plugin, slot)) return;
  pjrt_object_args args = {PJRT_SIZE_OF(pjrt_object_args, object), .object = object};
  pjrt_error *problem = plugin->api->slot[slot](&args);
  /* Destroying an error returns nothing: what is there then is not an error. */
  if (slot == PJRT_ERROR_DESTROY || problem == NULL) return;
  pjrt_object_args end = {PJRT_SIZE_OF(pjrt_object_args, object), .object = problem};
  if (mica_xla_has(plugin, PJRT_ERROR_DESTROY)) (void)plugin->api->slot[PJRT_ERROR_DESTROY](&end);
}

/* Small calls on an accelerator are done sooner than a sleeping thread is back: so it is asked for a while whether
 * the event is there. */
static void poll_event(const xla_plugin *plugin, pjrt_event *event) {
  enum { POLL_NANOSECONDS = 100000 };
  if (!plugin->polls || !mica_xla_has(plugin, PJRT_EVENT_IS_READY)) return;
  int64_t begin = mica_clock_nanoseconds();
  do {
    pjrt_is_ready_args args = {PJRT_SIZE_OF(pjrt_is_ready_args, is_ready), .event = event};
    if (mica_xla_call(plugin, PJRT_EVENT_IS_READY, &args, NULL) != MICA_OK || args.is_ready) return;
  } while (mica_clock_nanoseconds() - begin < POLL_NANOSECONDS);
}

mica_status mica_xla_await(const xla_plugin *plugin, pjrt_event *event, mica_error *error) {
  if (event == NULL) return MICA_OK;
  poll_event(plugin, event);
  pjrt_object_args args = {PJRT_SIZE_OF(pjrt_object_args, object), .object = event};
  mica_status status = mica_xla_call(plugin, PJRT_EVENT_AWAIT, &args, error);
  mica_xla_destroy(plugin, PJRT_EVENT_DESTROY, event);
  return status;
}

const pjrt_extension *mica_xla_extension(const xla_plugin *plugin, int type, size_t least_size) {
  for (const pjrt_extension *at = plugin->api->extensions; at != NULL; at = at->next)
    if (at->type == type && at->struct_size >= least_size) return at;
  return NULL;
}

/* ---- loading --------------------------------------------------------------------------------- */

/* Slots without which nothing works. */
static const pjrt_slot needed_slots[] = {
    PJRT_ERROR_DESTROY,           PJRT_ERROR_MESSAGE,        PJRT_ERROR_CODE,
    PJRT_EVENT_DESTROY,           PJRT_EVENT_AWAIT,          PJRT_CLIENT_CREATE,
    PJRT_CLIENT_DESTROY,          PJRT_CLIENT_PLATFORM_NAME, PJRT_CLIENT_DEVICES,
    PJRT_CLIENT_COMPILE,          PJRT_BUFFER_FROM_HOST,     PJRT_LOADED_DESTROY,
    PJRT_LOADED_EXECUTE,          PJRT_LOADED_EXECUTABLE,    PJRT_EXECUTABLE_DESTROY,
    PJRT_EXECUTABLE_OUTPUT_COUNT, PJRT_BUFFER_DESTROY,       PJRT_BUFFER_TO_HOST};

static mica_status check_api(const xla_plugin *plugin, mica_error *error) {
  const pjrt_api *api = plugin->api;
  if (api->struct_size < offsetof(pjrt_api, slot))
    return mica_error_set(error, MICA_UNSUPPORTED, "xla: %s: its PJRT table has %zu bytes",
                          plugin->path, api->struct_size);
  if (api->version.major != PJRT_MAJOR)
    return mica_error_set(error, MICA_UNSUPPORTED,
                          "xla: %s speaks PJRT %d.%d, this library PJRT %d", plugin->path,
                          api->version.major, api->version.minor, PJRT_MAJOR);
  for (size_t i = 0; i < sizeof(needed_slots) / sizeof(needed_slots[0]); i++)
    if (!mica_xla_has(plugin, needed_slots[i]))
      return mica_error_set(error, MICA_UNSUPPORTED,
                            "xla: %s is too old or incomplete: PJRT %d.%d without %s", plugin->path,
                            api->version.major, api->version.minor, slot_name(needed_slots[i]));
  return MICA_OK;
}

static bool named(const pjrt_named_value *value, const char *name) {
  return value->name_size == strlen(name) && memcmp(value->name, name, value->name_size) == 0;
}

static void write_version(const pjrt_named_value *value, char *out, size_t size) {
  if (value->type == PJRT_VALUE_I64) {
    snprintf(out, size, "%lld", (long long)value->value.i64);
  } else if (value->type == PJRT_VALUE_I64_LIST) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < value->value_size && i < 3 && used + 1 < size; i++) {
      int length = snprintf(out + used, size - used, "%s%lld", i == 0 ? "" : ".",
                            (long long)value->value.list[i]);
      if (length > 0) used += (size_t)length;
    }
  }
}

/* The version that the plugin tells; it may be missing. */
static void read_attributes(xla_plugin *plugin) {
  if (!mica_xla_has(plugin, PJRT_PLUGIN_ATTRIBUTES)) return;
  pjrt_attributes_args args = {PJRT_SIZE_OF(pjrt_attributes_args, count)};
  if (mica_xla_call(plugin, PJRT_PLUGIN_ATTRIBUTES, &args, NULL) != MICA_OK) return;
  const char *at = (const char *)args.attributes;
  for (size_t i = 0; i < args.count && at != NULL; i++) {
    const pjrt_named_value *value = (const pjrt_named_value *)(const void *)at;
    if (named(value, "stablehlo_current_version"))
      write_version(value, plugin->stablehlo_version, sizeof(plugin->stablehlo_version));
    at += sizeof(*value);
  }
}

/* The loader says of a library for another kind of machine that it is not there: so it is asked first. */
static mica_status check_machine(const char *path, mica_error *error) {
  enum { ELF_HEAD = 20, ELF_64 = 2, ELF_X86_64 = 62, ELF_AARCH64 = 183 };
  unsigned char head[ELF_HEAD] = {0};
  int own = 0;
#if defined(__x86_64__)
  own = ELF_X86_64;
#elif defined(__aarch64__)
  own = ELF_AARCH64;
#endif
  if (own == 0 || mica_file_read(path, 0, head, sizeof(head)) != 0 ||
      memcmp(head, "\177ELF", 4) != 0)
    return MICA_OK;
  int machine = head[18] | head[19] << 8;
  if (head[4] == ELF_64 && machine == own) return MICA_OK;
  return mica_error_set(error, MICA_UNSUPPORTED,
                        "xla: %.700s is a plugin for another kind of machine (%s, and this is %s)",
                        path,
                        machine == ELF_X86_64    ? "x86-64"
                        : machine == ELF_AARCH64 ? "aarch64"
                                                 : "neither x86-64 nor aarch64",
                        own == ELF_X86_64 ? "x86-64" : "aarch64");
}

mica_status mica_xla_plugin_load(const char *which, xla_plugin *out_plugin, mica_error *error) {
  xla_plugin *plugin = out_plugin;
  *plugin = (xla_plugin){0};
  if (strchr(which, '/') != NULL) {
    snprintf(plugin->name, sizeof(plugin->name), "plugin");
    if (strlen(which) >= sizeof(plugin->path))
      return mica_error_set(error, MICA_INVALID, "xla: the path of the plugin is too long");
    snprintf(plugin->path, sizeof(plugin->path), "%s", which);
  } else {
    snprintf(plugin->name, sizeof(plugin->name), "%s", which);
    mica_status status = mica_xla_plugin_find(which, plugin->path, error);
    if (status != MICA_OK) return status;
  }
  mica_status status = check_machine(plugin->path, error);
  if (status != MICA_OK) return status;
  mica_xla_preload(plugin->name, plugin->path);
  void *library = dlopen(plugin->path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    const char *reason = dlerror();
    return mica_error_set(error, MICA_NOT_FOUND, "xla: the plugin does not load: %.700s",
                          reason == NULL ? plugin->path : reason);
  }
  const pjrt_api *(*get)(void) = NULL;
  void *symbol = dlsym(library, "GetPjrtApi");
  memcpy(&get, &symbol, sizeof(symbol)); /* ISO C has no cast between the two kinds of pointer */
  if (get == NULL)
    return mica_error_set(error, MICA_INVALID, "xla: %s is no PJRT plugin: it has no GetPjrtApi",
                          plugin->path);
  plugin->api = get();
  if (plugin->api == NULL)
    return mica_error_set(error, MICA_INTERNAL, "xla: %s: GetPjrtApi gives nothing", plugin->path);
  status = check_api(plugin, error);
  if (status == MICA_OK && mica_xla_has(plugin, PJRT_PLUGIN_INITIALIZE)) {
    pjrt_plain_args args = {PJRT_SIZE_OF(pjrt_plain_args, extensions)};
    status = mica_xla_call(plugin, PJRT_PLUGIN_INITIALIZE, &args, error);
  }
  if (status == MICA_OK) read_attributes(plugin);
  return status;
}
