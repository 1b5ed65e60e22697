/* SPDX-License-Identifier: Apache-2.0 */
/* plugin.h: brings the plugins of the backend "xla" to this machine (docs/xla.md): libmica_plugin, a library for tools
 * and for programs that want to; libmica itself never installs anything. What it downloads are wheels of PyPI with
 * pinned versions and SHA-256. It needs libzip to open them (without it everything but installing works) and uses
 * libmica_fetch where it was built. Threads: one at a time in a process; processes wait for each other. */
#ifndef MICA_PLUGIN_H
#define MICA_PLUGIN_H
#include "mica/core.h"
#ifdef __cplusplus
extern "C" {
#endif

enum { MICA_PLUGIN_PATH = 1024 };

/* A plugin that can be installed on this machine. */
typedef struct {
  char name[32];                 /* "cpu", "cpu-0.106", "cuda13", .. */
  char device[16];               /* what it computes on: "cpu", "cuda", .. */
  char project[64], version[32]; /* of its wheel */
  int32_t wheels;                /* it and the libraries that come with it */
  int64_t download_bytes;        /* of all of them */
  bool installed, used;          /* used: the one that "xla:DEVICE" loads of those installed */
  char file[MICA_PLUGIN_PATH];   /* the plugin; "" while it is not installed */
} mica_plugin;

/* The plugins for this kind of machine, up to `size` of them; *out_count is how many there are. `table`: a file to use
 * in place of the built-in list, lines of "PLUGIN MACHINE PROJECT VERSION TAGS BYTES SHA256"; NULL: the built-in one,
 * or what $MICA_PLUGIN_TABLE names. */
MICA_API mica_status mica_plugin_list(const char *table, mica_plugin *plugins, size_t size,
                                      size_t *out_count, mica_error *error);

/* Called now and then with the wheel that is on its way; false cancels (MICA_CANCELLED). */
typedef bool mica_plugin_progress(void *user, const char *wheel, int64_t done, int64_t total);

typedef struct {
  size_t struct_size;
  const char *name;      /* of the plugin; "cuda" takes the one for the driver that is there */
  const char *table;     /* as above */
  const char *from;      /* a folder with the wheels: nothing is downloaded */
  const char *index;     /* http(s) address of a simple index (PEP 503 or 691) of packages */
  bool again;            /* install it even if it is there */
  int32_t stall_seconds; /* without a byte; 0: 30 */
  mica_plugin_progress *progress;
  void *user;
} mica_plugin_install_options;

/* Installs a plugin into the folder PROJECT-VERSION of the user's folder of plugins and makes it the one of its
 * device; its file is in path[size]. The wheels come from `from`; else from `index`; else from the index that pip is
 * set up for (PIP_INDEX_URL, pip.conf); else by the pip of this machine. A download that breaks off goes on at the
 * next call; what has another SHA-256 than the pinned one is refused; the folder appears whole or not at all.
 *
 * MICA_NOT_FOUND: no such plugin, or no place has a wheel; MICA_DATA_LOSS: a wheel is not the pinned one, or not a good
 * one; MICA_UNSUPPORTED: built without libzip. */
MICA_API mica_status mica_plugin_install(const mica_plugin_install_options *options, char *path,
                                         size_t size, mica_error *error);

/* Removes what was installed under this name: a plugin's, or all of a device ("cuda"). MICA_NOT_FOUND if nothing
 * was. */
MICA_API mica_status mica_plugin_remove(const char *name, const char *table, mica_error *error);

/* The file that the device "xla:DEVICE" loads, in path[size]: one that was installed, or one in a folder of
 * $MICA_XLA_PLUGIN_DIR; "" or NULL: what "xla" alone loads. MICA_NOT_FOUND: there is none. */
MICA_API mica_status mica_plugin_file(const char *device, char *path, size_t size,
                                      mica_error *error);

/* A line for the user, without an end of line: which plugin is about to be installed, its size, and how to refuse. */
typedef void mica_plugin_say(void *user, const char *line);

/* What a program calls before it opens its first device, while it has one thread. Where `backend` (NULL:
 * $MICA_BACKEND) is "xla" or "xla:DEVICE" and the plugin is missing: says so by `say` (NULL: not) and installs it,
 * unless MICA_NO_AUTO_INSTALL=1 or, in continuous integration (CI is set), MICA_AUTO_INSTALL is not 1. "xla" alone
 * installs the CUDA plugin beside an NVIDIA driver, else the one for the CPU. Other backends: nothing happens. What keeps
 * XLA's own messages off stderr is the program's to set (docs/xla.md). */
MICA_API mica_status mica_plugin_prepare(const char *backend, mica_plugin_say *say, void *user,
                                         mica_error *error);

#ifdef __cplusplus
}
#endif
#endif
