/* SPDX-License-Identifier: Apache-2.0 */
/* table.c: which plugins there are, of which wheels they are made, for which machines: the pinned list, or a file in
 * its place, for those who test newer ones or have others. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "plugin_internal.h"

static const plugin_wheel pinned_wheels[] = {
#define WHEEL(plugin, machine, project, version, tags, bytes, sha256) \
  {plugin, machine, project, version, tags, bytes, sha256},
#include "plugin/pinned.inc"
#undef WHEEL
};

enum { PINNED_COUNT = sizeof pinned_wheels / sizeof pinned_wheels[0] };

static bool is_name(const char *text) {
  for (const char *c = text; *c; c++)
    if (!isalnum((unsigned char)*c) && strchr("._-+", *c) == NULL) return false;
  return *text != 0 && *text != '.' && *text != '-';
}

static mica_status bad_line(const char *file, int line, const char *reason, mica_error *error) {
  return mica_error_set(error, MICA_INVALID, "%.300s, line %d: %s", file, line, reason);
}

/* PLUGIN MACHINE PROJECT VERSION TAGS BYTES SHA256 */
static mica_status read_line(const char *file, int number, char *text, plugin_wheel *out,
                             mica_error *error) {
  char rest[8];
  *out = (plugin_wheel){0};
  int fields =
      sscanf(text, "%31s %15s %63s %31s %95s %" SCNd64 " %64s %7s", out->plugin, out->machine,
             out->project, out->version, out->tags, &out->bytes, out->sha256, rest);
  if (fields != 7)
    return bad_line(file, number, "expected PLUGIN MACHINE PROJECT VERSION TAGS BYTES SHA256",
                    error);
  if (!is_name(out->plugin) || !is_name(out->project) || !is_name(out->version) ||
      !is_name(out->tags) || !islower((unsigned char)out->plugin[0]))
    return bad_line(file, number, "a name has characters that a wheel's cannot have", error);
  if (out->bytes <= 0 || strlen(out->sha256) != 64 ||
      strspn(out->sha256, "0123456789abcdefABCDEF") != 64)
    return bad_line(file, number, "bytes or SHA-256 are wrong", error);
  return MICA_OK;
}

static mica_status add_row(plugin_table *table, const plugin_wheel *row, const char *machine,
                           mica_error *error) {
  if (strcmp(row->machine, machine) != 0) return MICA_OK;
  if (table->count == PLUGIN_WHEELS)
    return mica_error_set(error, MICA_INVALID, "more than %d wheels in the list of plugins",
                          PLUGIN_WHEELS);
  table->row[table->count++] = *row;
  return MICA_OK;
}

static mica_status read_table(const char *file, const char *machine, plugin_table *table,
                              mica_error *error) {
  char line[512];
  plugin_wheel row;
  FILE *open = fopen(file, "r");
  if (open == NULL)
    return mica_error_set(error, MICA_IO, "the list of plugins %.500s: %s", file, strerror(errno));
  mica_status status = MICA_OK;
  for (int number = 1; status == MICA_OK && fgets(line, sizeof line, open) != NULL; number++) {
    if (line[strspn(line, " \t\r\n")] == 0 || line[0] == '#') continue;
    status = read_line(file, number, line, &row, error);
    if (status == MICA_OK) status = add_row(table, &row, machine, error);
  }
  if (status == MICA_OK && ferror(open))
    status = mica_error_set(error, MICA_IO, "the list of plugins %.500s cannot be read", file);
  fclose(open);
  return status;
}

mica_status mica_plugin_table_load(const char *file, const char *machine, plugin_table **out,
                                   mica_error *error) {
  struct utsname system = {0};
  *out = NULL;
  if (machine == NULL) {
    if (uname(&system) != 0)
      return mica_error_set(error, MICA_INTERNAL, "what machine is this? %s", strerror(errno));
    machine = strcmp(system.machine, "arm64") == 0 ? "aarch64" : system.machine;
    if (strcmp(system.sysname, "Linux") != 0) machine = system.sysname; /* no wheel for it */
  }
  plugin_table *table = calloc(1, sizeof *table);
  if (table == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "out of memory");
  mica_status status = MICA_OK;
  if (file == NULL) file = getenv("MICA_PLUGIN_TABLE");
  if (file != NULL && *file != 0)
    status = read_table(file, machine, table, error);
  else
    for (size_t i = 0; i < PINNED_COUNT && status == MICA_OK; i++)
      status = add_row(table, &pinned_wheels[i], machine, error);
  if (status != MICA_OK)
    free(table);
  else
    *out = table;
  return status;
}

void mica_plugin_device_of(const char *plugin, char *device, size_t size) {
  snprintf(device, size, "%.*s", (int)strcspn(plugin, "0123456789-"), plugin);
}

int mica_plugin_driver_version(const char *text) {
  /* "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.82.07  Thu ...": the first word that is N.N */
  for (const char *at = text; *at != 0; at++) {
    if (!isdigit((unsigned char)*at) || (at > text && !isspace((unsigned char)at[-1]))) continue;
    char *end;
    long number = strtol(at, &end, 10);
    if (*end == '.' && isdigit((unsigned char)end[1]) && number > 0 && number < 100000)
      return (int)number;
  }
  return 0;
}

static int driver_version(void) {
  char text[1024];
  FILE *open = fopen("/proc/driver/nvidia/version", "r");
  size_t size = open != NULL ? fread(text, 1, sizeof text - 1, open) : 0;
  if (open != NULL) fclose(open);
  text[size] = 0;
  return mica_plugin_driver_version(text);
}

const plugin_wheel *mica_plugin_find(const plugin_table *table, const char *name) {
  enum { DRIVER_OF_CUDA_13 = 580 };
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < table->count; i++)
      if (strcmp(table->row[i].plugin, name) == 0) return &table->row[i];
    if (strcmp(name, "cuda") != 0) break;
    int version = driver_version();
    name = version > 0 && version < DRIVER_OF_CUDA_13 ? "cuda12" : "cuda13";
  }
  return NULL;
}

void mica_plugin_wheel_file(const plugin_wheel *wheel, char name[PLUGIN_FILE]) {
  snprintf(name, PLUGIN_FILE, "%s-%s-%s.whl", wheel->project, wheel->version, wheel->tags);
  for (size_t i = 0; wheel->project[i] != 0; i++)
    if (name[i] == '-' || name[i] == '.') name[i] = '_';
}
