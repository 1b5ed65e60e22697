/* SPDX-License-Identifier: Apache-2.0 */
/* prepare.c: what a program does before it opens a device: it installs the plugin if there is none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin_internal.h"
#ifdef MICA_XLA
#include "mica/xla.h"

static bool is_set(const char *name) {
  const char *value = getenv(name);
  return value != NULL && *value != 0 && strcmp(value, "0") != 0 && strcmp(value, "false") != 0;
}

/* "xla", "xla:cuda, device=1" -> "", "cuda"; false for other backends, paths and "help". */
static bool plugin_of(const char *backend, char *name, size_t size) {
  while (*backend == ' ') backend++;
  if (strncmp(backend, "xla", 3) != 0) return false;
  backend += 3;
  if (*backend != 0 && *backend != ',' && *backend != ':' && *backend != ' ') return false;
  if (*backend == ':') backend++;
  size_t length = strcspn(backend, ", ");
  if (length >= size || memchr(backend, '/', length) != NULL) return false;
  memcpy(name, backend, length);
  name[length] = 0;
  return strcmp(name, "help") != 0;
}

static mica_status install_first(const char *name, mica_plugin_say *say, void *user,
                                 mica_error *error) {
  char path[PLUGIN_PATH], root[PLUGIN_PATH];
  plugin_table *table = NULL;
  mica_status status = mica_plugin_table_load(NULL, NULL, &table, error);
  if (status == MICA_OK) status = mica_xla_plugin_folder(root, sizeof root, error);
  const plugin_wheel *wheel = status == MICA_OK ? mica_plugin_find(table, name) : NULL;
  if (wheel != NULL) {
    int64_t bytes = 0;
    for (size_t i = 0; i < table->count; i++)
      if (strcmp(table->row[i].plugin, wheel->plugin) == 0) bytes += table->row[i].bytes;
    char line[PLUGIN_PATH + 512];
    snprintf(line, sizeof line,
             "installing the XLA plugin '%s' (%s %s, %lld MB to download) in %s, once; "
             "MICA_NO_AUTO_INSTALL=1 refuses",
             wheel->plugin, wheel->project, wheel->version, (long long)((bytes + 999999) / 1000000),
             root);
    if (say != NULL) say(user, line);
    mica_plugin_install_options options = {.struct_size = sizeof options, .name = wheel->plugin};
    status = mica_plugin_install(&options, path, sizeof path, error);
  }
  free(table);
  return status;
}

mica_status mica_plugin_prepare(const char *backend, mica_plugin_say *say, void *user,
                                mica_error *error) {
  char name[64], path[PLUGIN_PATH];
  if (backend == NULL || *backend == 0) backend = getenv("MICA_BACKEND");
  if (backend == NULL || !plugin_of(backend, name, sizeof name)) return MICA_OK;
  if (mica_xla_plugin_file(name, NULL, path, sizeof path, NULL) == MICA_OK) return MICA_OK;
  if (is_set("MICA_NO_AUTO_INSTALL") || (is_set("CI") && !is_set("MICA_AUTO_INSTALL")))
    return MICA_OK; /* opening the device says what is missing and how to get it */
  const char *wanted = name[0] != 0 ? name : mica_xla_accelerator();
  if (!mica_xla_has_driver(wanted))
    return MICA_OK; /* nothing is downloaded for devices that are not there */
  return install_first(wanted, say, user, error);
}

#else

mica_status mica_plugin_prepare(const char *backend, mica_plugin_say *say, void *user,
                                mica_error *error) {
  (void)backend, (void)say, (void)user, (void)error;
  return MICA_OK;
}
#endif
