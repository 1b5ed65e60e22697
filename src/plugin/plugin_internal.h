/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_internal.h: the table of wheels, where they come from, and how one is opened. */
#ifndef MICA_PLUGIN_INTERNAL_H
#define MICA_PLUGIN_INTERNAL_H
#include "mica/plugin.h"

enum { PLUGIN_PATH = MICA_PLUGIN_PATH, PLUGIN_URL = 2048, PLUGIN_WHEELS = 160, PLUGIN_FILE = 256 };

/* ---- the table (table.c) --------------------------------------------------------------------- */

typedef struct {
  char plugin[32], machine[16], project[64], version[32], tags[96];
  int64_t bytes;
  char sha256[65];
} plugin_wheel;

typedef struct {
  plugin_wheel row[PLUGIN_WHEELS];
  size_t count;
} plugin_table;

/* The rows for `machine` (NULL: this one); the caller frees *out. */
mica_status mica_plugin_table_load(const char *file, const char *machine, plugin_table **out,
                                   mica_error *error);
/* "cuda13" -> "cuda": what stands before the first digit or '-'. */
void mica_plugin_device_of(const char *plugin, char *device, size_t size);
/* The first wheel of a plugin, the plugin itself; "cuda" is resolved by the driver. NULL: none. */
const plugin_wheel *mica_plugin_find(const plugin_table *table, const char *name);
/* The wheel's file: PROJECT-VERSION-TAGS.whl with '_' for '-' in the project. */
void mica_plugin_wheel_file(const plugin_wheel *wheel, char name[PLUGIN_FILE]);
/* The first number of the NVIDIA driver's version as in /proc/driver/nvidia/version; 0: unknown. */
int mica_plugin_driver_version(const char *text);

/* ---- folders (folder.c) ---------------------------------------------------------------------- */

mica_status mica_plugin_make_folder(const char *path, mica_error *error); /* and those around it */
/* A folder with everything in it; links are removed, not followed. */
mica_status mica_plugin_remove_tree(const char *path, mica_error *error);
int64_t mica_plugin_tree_bytes(const char *path);
mica_status mica_plugin_file_sha256(const char *path, char out_hex[65], mica_error *error);
/* Whether the file has the SHA-256 of the wheel; else MICA_DATA_LOSS. */
mica_status mica_plugin_check_wheel(const plugin_wheel *wheel, const char *path, mica_error *error);

/* ---- where wheels come from (source.c, index.c, pip.c) --------------------------------------- */

typedef struct {
  const mica_plugin_install_options *options;
  const char *scratch; /* a folder that goes when the installation ends */
} plugin_source;

/* The path of the wheel, checked; *out_ours: it lies in the cache and may go when it is unpacked. */
mica_status mica_plugin_obtain(const plugin_source *source, const plugin_wheel *wheel,
                               char path[PLUGIN_PATH], bool *out_ours, mica_error *error);

/* Finds a file in the page of a simple index, JSON or HTML: its url, made whole by the page's own, and the SHA-256
 * that the page names ("" if none). */
mica_status mica_plugin_index_find(const char *page, size_t size, const char *page_url,
                                   const char *file, char url[PLUGIN_URL], char sha256[65],
                                   mica_error *error);

enum { PLUGIN_INDEXES = 8 };
typedef struct {
  char index[PLUGIN_INDEXES][PLUGIN_URL];
  size_t count;
  char certificates[PLUGIN_PATH]; /* "": the system's */
} pip_settings;
/* What pip is set up with, by its files and variables. */
void mica_plugin_pip_settings(pip_settings *settings);
/* Adds what the text of a pip.conf says. */
void mica_plugin_pip_conf(const char *text, pip_settings *settings);
/* `pip download` of one wheel into source->scratch. */
mica_status mica_plugin_pip_download(const plugin_source *source, const plugin_wheel *wheel,
                                     const char *index, char path[PLUGIN_PATH], mica_error *error);

/* ---- wheels (wheel.c) ------------------------------------------------------------------------ */

/* Unpacks a wheel into a folder that is there. MICA_DATA_LOSS for what a good wheel does not have: names that lead
 * out of it, links, more than `most` bytes. */
mica_status mica_plugin_unpack(const char *wheel, const char *folder, int64_t most,
                               mica_error *error);

#endif
