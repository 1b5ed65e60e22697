/* SPDX-License-Identifier: Apache-2.0 */
/* client.c: opening a plugin's client with the device's options, and what it says about itself.
 *
 * Options stand behind commas: "xla:cuda, device=1, memory_fraction=0.5". A plugin may refuse an
 * option that it does not know, so each is sent to the plugins that have it only. */
#include "backend/xla/xla_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CLIENT_OPTION_LIMIT = 8, CLIENT_NAME_LIMIT = 512, CLIENT_CACHE_MIB = 1024 };

typedef struct {
  char which[CLIENT_NAME_LIMIT]; /* plugin or path */
  int64_t devices, device;       /* how many CPU devices, which one computes */
  double memory_fraction;        /* 0: not given */
  bool preallocate, exact, resident, flash;
  int32_t tfrt;        /* which of XLA's two clients for GPUs: 1, 0; -1: the plugin's choice */
  int64_t cache_limit; /* MiB */
  char cache[XLA_PATH_SIZE];
} client_options;

static bool key_is(const char *part, size_t length, const char *key, const char **out_value) {
  size_t size = strlen(key);
  if (length < size || memcmp(part, key, size) != 0) return false;
  *out_value = part + size;
  return true;
}

static mica_status option_error(const char *part, size_t length, const char *expected,
                                mica_error *error) {
  return mica_error_set(error, MICA_INVALID, "xla: option '%.*s': expected %s",
                        (int)(length > 100 ? 100 : length), part, expected);
}

static mica_status read_option_number(const char *value, const char *end, int64_t most,
                                      int64_t *out, mica_error *error) {
  const char *cursor = value;
  if (mica_parse_i64(&cursor, end, out) && cursor == end && *out >= 0 && *out <= most)
    return MICA_OK;
  return mica_error_set(error, MICA_INVALID,
                        "xla: '%.*s' is not a number in 0 to %" PRId64 " as the option asks for",
                        (int)(end - value), value, most);
}

static mica_status read_truth(const char *value, const char *end, bool *out, mica_error *error) {
  size_t size = (size_t)(end - value);
  bool yes = (size == 1 && value[0] == '1') || (size == 4 && memcmp(value, "true", 4) == 0);
  bool no = (size == 1 && value[0] == '0') || (size == 5 && memcmp(value, "false", 5) == 0);
  if (!yes && !no) return option_error(value, size, "true or false", error);
  *out = yes;
  return MICA_OK;
}

static mica_status read_option(client_options *options, const char *part, size_t length,
                               mica_error *error) {
  const char *value, *end = part + length;
  if (part[0] == ':') {
    if (length < 2 || length >= sizeof(options->which))
      return option_error(part, length, "a plugin's name or path behind the ':'", error);
    memcpy(options->which, part + 1, length - 1);
    options->which[length - 1] = '\0';
    return MICA_OK;
  }
  if (key_is(part, length, "devices=", &value))
    return read_option_number(value, end, 1024, &options->devices, error);
  if (key_is(part, length, "device=", &value))
    return read_option_number(value, end, 1 << 20, &options->device, error);
  if (key_is(part, length, "preallocate=", &value))
    return read_truth(value, end, &options->preallocate, error);
  if (key_is(part, length, "tfrt=", &value)) {
    bool tfrt = false;
    mica_status status = read_truth(value, end, &tfrt, error);
    options->tfrt = tfrt;
    return status;
  }
  if (key_is(part, length, "flash_attention=", &value))
    return read_truth(value, end, &options->flash, error);
  if (key_is(part, length, "exact=", &value)) return read_truth(value, end, &options->exact, error);
  if (key_is(part, length, "resident=", &value))
    return read_truth(value, end, &options->resident, error);
  if (key_is(part, length, "cache_limit=", &value))
    return read_option_number(value, end, 1 << 20, &options->cache_limit, error);
  if (key_is(part, length, "cache=", &value)) {
    size_t size = (size_t)(end - value);
    if (size == 0 || size >= sizeof(options->cache))
      return option_error(part, length, "a folder, or off", error);
    memcpy(options->cache, value, size);
    options->cache[size] = '\0';
    return MICA_OK;
  }
  if (key_is(part, length, "memory_fraction=", &value)) {
    const char *cursor = value;
    if (mica_parse_double(&cursor, end, &options->memory_fraction) && cursor == end &&
        options->memory_fraction > 0 && options->memory_fraction <= 1)
      return MICA_OK;
    return option_error(part, length, "a number in (0, 1]", error);
  }
  return mica_error_set(error, MICA_INVALID,
                        "xla: there is no option '%.*s'; there are: devices=N (cpu), device=N, "
                        "memory_fraction=X, preallocate=true, tfrt=true (gpu), "
                        "flash_attention=true (cuda), exact=true, "
                        "resident=true, cache=FOLDER, cache=off, cache_limit=MIB",
                        (int)(length > 100 ? 100 : length), part);
}

static mica_status read_client_options(client_options *options, const char *text,
                                       mica_error *error) {
  *options = (client_options){.devices = 1, .tfrt = -1, .cache_limit = CLIENT_CACHE_MIB};
  while (*text != '\0') {
    size_t length = strcspn(text, ",");
    if (length > 0) {
      mica_status status = read_option(options, text, length, error);
      if (status != MICA_OK) return status;
    }
    text += length + (text[length] == ',');
  }
  if (options->which[0] == '\0')
    snprintf(options->which, sizeof(options->which), "%s", mica_xla_fitting_plugin(""));
  if (strcmp(options->which, "help") == 0) return mica_xla_help(error);
  return MICA_OK;
}

/* ---- opening --------------------------------------------------------------------------------- */

static pjrt_named_value *add_value(pjrt_named_value *values, size_t *count, const char *name,
                                   pjrt_value_type type) {
  pjrt_named_value *value = &values[(*count)++];
  *value = (pjrt_named_value){PJRT_SIZE_OF(pjrt_named_value, value_size), .name = name,
                              .name_size = strlen(name), .type = (int)type, .value_size = 1};
  return value;
}

/* Which options a plugin takes; one that is given by its path takes what it is told, and says itself what it does not know. */
typedef struct {
  bool cpu, gpu, path;
} client_kind;

static client_kind client_kind_of(const char *name) {
  return (client_kind){
      .cpu = strcmp(name, "cpu") == 0,
      .gpu = strcmp(name, "cuda") == 0 || strcmp(name, "rocm") == 0 || strcmp(name, "oneapi") == 0,
      .path = strcmp(name, "plugin") == 0};
}

static mica_status check_client_options(const char *name, const client_options *options,
                                        mica_error *error) {
  client_kind kind = client_kind_of(name);
  if (kind.path) return MICA_OK;
  if (options->devices > 1 && !kind.cpu)
    return mica_error_set(error, MICA_INVALID,
                          "xla:%s: the option devices=N makes devices of a CPU: it is for xla:cpu",
                          name);
  const char *wrong = kind.gpu                       ? NULL
                      : options->preallocate         ? "preallocate=true"
                      : options->memory_fraction > 0 ? "memory_fraction=X"
                      : options->tfrt >= 0           ? "tfrt=true"
                                                     : NULL;
  if (wrong == NULL) return MICA_OK;
  return mica_error_set(error, MICA_INVALID, "xla:%s: the option %s is for GPUs", name, wrong);
}

/* What Client_Create is told. Nothing is taken ahead unless asked for. */
static size_t create_values(const char *name, const client_options *options,
                            pjrt_named_value *values) {
  size_t count = 0;
  client_kind kind = client_kind_of(name);
  if (kind.cpu || (kind.path && options->devices > 1))
    add_value(values, &count, "cpu_device_count", PJRT_VALUE_I64)->value.i64 = options->devices;
  if (kind.gpu || (kind.path && options->preallocate))
    add_value(values, &count, "preallocate", PJRT_VALUE_BOOL)->value.truth = options->preallocate;
  if (options->memory_fraction > 0)
    add_value(values, &count, "memory_fraction", PJRT_VALUE_FLOAT)->value.number =
        (float)options->memory_fraction;
  if (options->tfrt >= 0)
    add_value(values, &count, "use_tfrt_gpu_client", PJRT_VALUE_BOOL)->value.truth =
        options->tfrt == 1;
  return count;
}

static mica_status read_platform(xla_client *client, mica_error *error) {
  pjrt_text_args args = {PJRT_SIZE_OF(pjrt_text_args, size), .object = client->client};
  mica_status status = mica_xla_call(&client->plugin, PJRT_CLIENT_PLATFORM_NAME, &args, error);
  if (status != MICA_OK) return status;
  snprintf(client->platform, sizeof(client->platform), "%.*s",
           (int)(args.size < sizeof(client->platform) ? args.size : sizeof(client->platform) - 1),
           args.text == NULL ? "" : args.text);
  client->on_host = strcmp(client->platform, "cpu") == 0 || strcmp(client->platform, "Host") == 0;
  return MICA_OK;
}

static mica_status choose_device(xla_client *client, int64_t index, mica_error *error) {
  pjrt_devices_args args = {PJRT_SIZE_OF(pjrt_devices_args, count), .client = client->client};
  mica_status status = mica_xla_call(&client->plugin, PJRT_CLIENT_DEVICES, &args, error);
  if (status != MICA_OK) return status;
  if (args.count == 0 || args.devices == NULL)
    return mica_error_set(
        error, MICA_NOT_FOUND,
        "xla:%s: the plugin finds no device of its kind; xla:cpu computes on every "
        "machine",
        client->plugin.name);
  client->device_count = args.count;
  client->device_index = index;
  if (index >= (int64_t)args.count)
    return mica_error_set(
        error, MICA_NOT_FOUND, "xla:%s: there is no device %" PRId64 ": there %s %zu",
        client->plugin.name, index, mica_noun(args.count, "is", "are"), args.count);
  client->device = args.devices[index];
  client->devices = args.devices;
  return MICA_OK;
}

/* Left empty where the plugin does not tell. */
static void read_kind(xla_client *client) {
  pjrt_device_description_args args = {PJRT_SIZE_OF(pjrt_device_description_args, description),
                                       .device = client->device};
  if (!mica_xla_has(&client->plugin, PJRT_DEVICE_DESCRIPTION) ||
      mica_xla_call(&client->plugin, PJRT_DEVICE_DESCRIPTION, &args, NULL) != MICA_OK)
    return;
  pjrt_text_args text = {PJRT_SIZE_OF(pjrt_text_args, size), .object = args.description};
  if (!mica_xla_has(&client->plugin, PJRT_DESCRIPTION_KIND) ||
      mica_xla_call(&client->plugin, PJRT_DESCRIPTION_KIND, &text, NULL) != MICA_OK ||
      text.text == NULL)
    return;
  snprintf(client->kind, sizeof(client->kind), "%.*s",
           (int)(text.size < sizeof(client->kind) ? text.size : sizeof(client->kind) - 1),
           text.text);
}

static mica_status open_client(xla_client *client, const client_options *options,
                               mica_error *error) {
  mica_status status = mica_xla_plugin_load(options->which, &client->plugin, error);
  if (status == MICA_OK) status = check_client_options(client->plugin.name, options, error);
  if (status != MICA_OK) return status;
  pjrt_named_value values[CLIENT_OPTION_LIMIT];
  pjrt_client_create_args args = {
      PJRT_SIZE_OF(pjrt_client_create_args, try_get), .options = values,
      .option_count = create_values(client->plugin.name, options, values)};
  status = mica_xla_call(&client->plugin, PJRT_CLIENT_CREATE, &args, error);
  if (status != MICA_OK) return status;
  client->client = args.client;
  if (client->client == NULL)
    return mica_error_set(error, MICA_INTERNAL, "xla:%s: the plugin gave no client",
                          client->plugin.name);
  status = read_platform(client, error);
  if (status == MICA_OK) status = choose_device(client, options->device, error);
  if (status == MICA_OK) {
    read_kind(client);
    mica_xla_register_host(client);
    mica_xla_cache_open(client, options->cache, options->cache_limit);
    client->resident = options->resident || !client->on_host;
    client->plugin.polls = !client->on_host;
    client->flash = options->flash && strcmp(client->platform, "cuda") == 0;
  }
  return status;
}

mica_status mica_xla_open(mica_device *device, const char *options, void **out_state,
                          mica_error *error) {
  client_options chosen;
  mica_status status = read_client_options(&chosen, options, error);
  if (status == MICA_OK && device->find_nan)
    status = mica_error_set(error, MICA_UNSUPPORTED,
                            "xla: find_nan needs steps, which XLA does not show: use cpu for it");
  if (status != MICA_OK) return status;
  xla_client *client = mica_allocate_zeroed(&device->allocator, 1, sizeof(*client));
  if (client == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a client");
  client->allocator = device->allocator;
  client->owner = device;
  client->exact = chosen.exact;
  status = open_client(client, &chosen, error);
  if (status != MICA_OK) {
    mica_xla_close(client);
    return status;
  }
  if (!client->resident) device->backend.place = NULL;
  *out_state = client;
  return MICA_OK;
}

void mica_xla_close(void *state) {
  xla_client *client = state;
  if (client == NULL) return;
  mica_xla_profile_drop(client);
  if (client->client != NULL)
    mica_xla_destroy(&client->plugin, PJRT_CLIENT_DESTROY, client->client);
  mica_allocator allocator = client->allocator;
  mica_free(&allocator, client, sizeof(*client));
}

void mica_xla_describe(void *state, char *text, size_t size) {
  const xla_client *client = state;
  const pjrt_version *version = &client->plugin.api->version;
  snprintf(
      text, size, "xla:%s: %s%sdevice %" PRId64 " of %zu, PJRT %d.%d, StableHLO %s",
      client->platform, client->kind, client->kind[0] != '\0' ? ", " : "", client->device_index,
      client->device_count, version->major, version->minor,
      client->plugin.stablehlo_version[0] != '\0' ? client->plugin.stablehlo_version : "unknown");
}

int mica_xla_type(mica_dtype dtype) {
  switch (dtype) {
    case MICA_BOOL: return PJRT_TYPE_BOOL;
    case MICA_I4: return PJRT_TYPE_I4;
    case MICA_U4: return PJRT_TYPE_U4;
    case MICA_I8: return PJRT_TYPE_I8;
    case MICA_U8: return PJRT_TYPE_U8;
    case MICA_I16: return PJRT_TYPE_I16;
    case MICA_U16: return PJRT_TYPE_U16;
    case MICA_I32: return PJRT_TYPE_I32;
    case MICA_U32: return PJRT_TYPE_U32;
    case MICA_I64: return PJRT_TYPE_I64;
    case MICA_U64: return PJRT_TYPE_U64;
    case MICA_F8E4M3FN: return PJRT_TYPE_F8E4M3FN;
    case MICA_F8E5M2: return PJRT_TYPE_F8E5M2;
    case MICA_BF16: return PJRT_TYPE_BF16;
    case MICA_F16: return PJRT_TYPE_F16;
    case MICA_F32: return PJRT_TYPE_F32;
    case MICA_F64: return PJRT_TYPE_F64;
    case MICA_C64: return PJRT_TYPE_C64;
    case MICA_C128: return PJRT_TYPE_C128;
    case MICA_DTYPE_NONE:
    case MICA_DTYPE_COUNT: break;
  }
  return 0;
}
