/* SPDX-License-Identifier: Apache-2.0 */
/* discovery.c: where plugins lie, and which one fits the machine. The library never downloads one: what it
 * does not find it names, with the places where it looked and the command that brings it.
 *
 * Looked at are the folders of $MICA_XLA_PLUGIN_DIR (separated by ':'; one may be the site-packages
 * of a Python), then the user's folder of plugins: $XDG_DATA_HOME/mica/plugins or
 * ~/.local/share/mica/plugins. In each, a plugin lies in the folder of its device, which is where
 * `mica plugin install` puts it, or in the folder itself: as its wheel lays it out, or plainly. */
#include "backend/xla/xla_internal.h"
#include "mica/xla.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { DRIVER_FOLDERS = 3 };

typedef struct {
  const char *name;
  const char *drivers[DRIVER_FOLDERS]; /* folders that are there where its devices' driver is */
  const char *files[6];
} known_plugin;

/* In the order in which "xla" alone takes them, where driver and plugin are there; the newest files first. The last
 * one is for every machine. */
static const known_plugin known_plugins[] = {
    {"cuda",
     {"/proc/driver/nvidia", "/sys/module/nvidia", "/usr/lib/wsl/lib"},
     {"jax_plugins/xla_cuda13/xla_cuda_plugin.so", "jax_plugins/xla_cuda12/xla_cuda_plugin.so",
      "xla_cuda_plugin.so", "pjrt_c_api_cuda_plugin.so", "libpjrt_cuda.so", NULL}},
    {"rocm",
     {"/sys/class/kfd", NULL, NULL},
     {"jax_plugins/xla_rocm10/xla_rocm_plugin.so", "jax_plugins/xla_rocm7/xla_rocm_plugin.so",
      "xla_rocm_plugin.so", "libpjrt_rocm.so", NULL, NULL}},
    {"oneapi",
     {"/sys/module/xe", "/sys/module/i915", NULL},
     {"jax_plugins/xla_oneapi/xla_oneapi_plugin.so", "xla_oneapi_plugin.so", "libpjrt_oneapi.so",
      NULL, NULL, NULL}},
    {"tpu",
     {"/sys/class/accel", "/dev/vfio", NULL},
     {"libtpu/libtpu.so", "libtpu.so", "pjrt_c_api_tpu_plugin.so", NULL, NULL, NULL}},
    {"cpu",
     {NULL},
     {"lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so", "pjrt_c_api_cpu_plugin.so",
      "fastatomstruct_xla_cpu/libpjrt_cpu.so", "libpjrt_cpu.so",
      "xla_plugins/xla_cpu_pjrt/xla_cpu_pjrt.so", "xla_cpu_pjrt.so"}},
};

enum {
  KNOWN_PLUGIN_COUNT = sizeof(known_plugins) / sizeof(known_plugins[0]),
  PLUGIN_FILE_COUNT = sizeof(known_plugins[0].files) / sizeof(known_plugins[0].files[0])
};

static const known_plugin *plugin_named(const char *name) {
  for (size_t i = 0; i < KNOWN_PLUGIN_COUNT; i++)
    if (strcmp(known_plugins[i].name, name) == 0) return &known_plugins[i];
  return NULL;
}

/* "cpu, cuda, .." */
static void plugin_names(char *text, size_t size) {
  size_t used = 0;
  if (size > 0) text[0] = '\0';
  for (size_t i = 0; i < KNOWN_PLUGIN_COUNT && used < size; i++) {
    int length =
        snprintf(text + used, size - used, "%s%s", i == 0 ? "" : ", ", known_plugins[i].name);
    if (length > 0) used += (size_t)length;
  }
}

/* The plugin's file in the folder of its name there, or in `folder` itself. */
static bool find_in(const known_plugin *plugin, const char *folder, size_t length,
                    char path[XLA_PATH_SIZE]) {
  for (int nested = 1; nested >= 0; nested--) {
    for (size_t i = 0; i < PLUGIN_FILE_COUNT && plugin->files[i] != NULL; i++) {
      uint64_t size;
      int written = snprintf(path, XLA_PATH_SIZE, "%.*s/%s%s%s", (int)length, folder,
                             nested ? plugin->name : "", nested ? "/" : "", plugin->files[i]);
      if (written < 0 || written >= XLA_PATH_SIZE) continue;
      if (mica_file_size(path, &size) == 0 && size > 0) return true;
    }
  }
  path[0] = '\0';
  return false;
}

/* The user's folder of plugins; false where there is none. */
static bool user_folder(char *folder, size_t size) {
  char base[XLA_PATH_SIZE];
  int length = 0;
  if (mica_environment("XDG_DATA_HOME", base, sizeof(base)) && base[0] == '/')
    length = snprintf(folder, size, "%s/mica/plugins", base);
  else if (mica_environment("HOME", base, sizeof(base)) && base[0] != '\0')
    length = snprintf(folder, size, "%s/.local/share/mica/plugins", base);
  return length > 0 && (size_t)length < size;
}

mica_status mica_xla_plugin_folder(char *folder, size_t size, mica_error *error) {
  if (user_folder(folder, size)) return MICA_OK;
  if (size > 0) folder[0] = '\0';
  return mica_error_set(error, MICA_NOT_FOUND,
                        "xla: neither XDG_DATA_HOME nor HOME names a folder for plugins");
}

/* In the places where a device looks. */
static bool find_anywhere(const known_plugin *plugin, char *given, size_t given_size, char *own,
                          size_t own_size, char path[XLA_PATH_SIZE]) {
  if (mica_environment("MICA_XLA_PLUGIN_DIR", given, given_size)) {
    for (const char *at = given; *at != '\0';) {
      size_t length = strcspn(at, ":");
      if (length > 0 && find_in(plugin, at, length, path)) return true;
      at += length + (at[length] == ':');
    }
  }
  return user_folder(own, own_size) && find_in(plugin, own, strlen(own), path);
}

static bool has_driver(const known_plugin *plugin, const char *root) {
  for (size_t i = 0; i < DRIVER_FOLDERS && plugin->drivers[i] != NULL; i++) {
    char path[256];
    int length = snprintf(path, sizeof(path), "%s%s", root, plugin->drivers[i]);
    if (length > 0 && (size_t)length < sizeof(path) && mica_folder_exists(path)) return true;
  }
  return false;
}

const char *mica_xla_fitting_plugin(const char *root) {
  char given[4 * XLA_PATH_SIZE] = "", own[XLA_PATH_SIZE] = "", path[XLA_PATH_SIZE];
  for (size_t i = 0; i < KNOWN_PLUGIN_COUNT; i++)
    if (has_driver(&known_plugins[i], root) &&
        find_anywhere(&known_plugins[i], given, sizeof(given), own, sizeof(own), path))
      return known_plugins[i].name;
  return "cpu";
}

const char *mica_xla_accelerator(void) {
  return has_driver(&known_plugins[0], "") ? known_plugins[0].name : "cpu";
}

bool mica_xla_has_driver(const char *name) {
  for (size_t i = 0; name != NULL && i < KNOWN_PLUGIN_COUNT; i++) {
    const known_plugin *plugin = &known_plugins[i];
    size_t length = strlen(plugin->name);
    bool same = strncmp(name, plugin->name, length) == 0 && strchr("0123456789", name[length]);
    if (same) return plugin->drivers[0] == NULL || has_driver(plugin, "");
  }
  return true;
}

mica_status mica_xla_plugin_find(const char *name, char path[XLA_PATH_SIZE], mica_error *error) {
  const known_plugin *plugin = plugin_named(name);
  path[0] = '\0';
  if (plugin == NULL) {
    char names[128];
    plugin_names(names, sizeof(names));
    return mica_error_set(error, MICA_NOT_FOUND,
                          "xla: there is no plugin '%.100s'; there are: %s, or xla:/path/to/it.so",
                          name, names);
  }
  char given[4 * XLA_PATH_SIZE] = "", own[XLA_PATH_SIZE] = "";
  if (find_anywhere(plugin, given, sizeof(given), own, sizeof(own), path)) return MICA_OK;
  return mica_error_set(
      error, MICA_NOT_FOUND,
      "xla:%s: %sno plugin in %s%.300s%s%.300s; install it by `mica plugin install %s`, or name "
      "its "
      "folder in $MICA_XLA_PLUGIN_DIR",
      name,
      mica_xla_has_driver(name) ? "" : "the driver of its devices is not on this machine, and ",
      given[0] != '\0' ? "$MICA_XLA_PLUGIN_DIR=" : "$MICA_XLA_PLUGIN_DIR (not set)", given,
      own[0] != '\0' ? " nor in " : "", own, name);
}

mica_status mica_xla_plugin_file(const char *name, const char *folder, char *path, size_t size,
                                 mica_error *error) {
  char found[XLA_PATH_SIZE] = "";
  if (size > 0) path[0] = '\0';
  if (name == NULL || name[0] == '\0') name = mica_xla_fitting_plugin("");
  const known_plugin *plugin = folder != NULL ? plugin_named(name) : NULL;
  mica_status status = MICA_OK;
  if (plugin == NULL)
    status = mica_xla_plugin_find(name, found, error);
  else if (!find_in(plugin, folder, strlen(folder), found))
    status = mica_error_set(error, MICA_NOT_FOUND, "xla:%s: no plugin in %.800s", name, folder);
  if (status != MICA_OK) return status;
  if (strlen(found) >= size)
    return mica_error_set(error, MICA_INVALID, "xla: the plugin's path has %zu bytes",
                          strlen(found));
  memcpy(path, found, strlen(found) + 1);
  return MICA_OK;
}

mica_status mica_xla_help(mica_error *error) {
  char names[256] = "", path[XLA_PATH_SIZE], given[4 * XLA_PATH_SIZE], own[XLA_PATH_SIZE];
  size_t used = 0;
  for (size_t i = 0; i < KNOWN_PLUGIN_COUNT && used < sizeof(names); i++) {
    bool found = find_anywhere(&known_plugins[i], given, sizeof(given), own, sizeof(own), path);
    int length = snprintf(names + used, sizeof(names) - used, "%sxla:%s%s", i == 0 ? "" : ", ",
                          known_plugins[i].name, found ? " (installed)" : "");
    if (length > 0) used += (size_t)length;
  }
  return mica_error_set(
      error, MICA_INVALID,
      "xla:help: choose a plugin by xla:NAME or xla:/path/to/plugin.so: %s; `xla` alone is xla:%s "
      "here. `mica plugin install NAME` brings one. Options behind commas: device=N computes on "
      "the N-th device (0); devices=N makes N devices of the CPU (1); memory_fraction=X is the "
      "share of a GPU's memory that may be taken, preallocate=true takes it at once; exact=true "
      "computes products of f32 without TF32. More: docs/xla.md",
      names, mica_xla_fitting_plugin(""));
}

/* ---- what a plugin needs --------------------------------------------------------------------- */

/* NVIDIA's libraries lie beside the plugin in the layout of their wheels. The plugin finds most of
 * them by itself; what another one of them loads by name has to be in memory before. */
static const char *const nvidia_libraries[] = {
    "cu13/lib/libcudart.so.13",         "cu13/lib/libnvJitLink.so.13",
    "cu13/lib/libnvrtc.so.13",          "cu13/lib/libcublasLt.so.13",
    "cu13/lib/libcublas.so.13",         "cu13/lib/libcupti.so.13",
    "cu13/lib/libcusparse.so.12",       "cu13/lib/libcusolver.so.12",
    "cu13/lib/libcufft.so.12",          "nccl/lib/libnccl.so.2",
    "cudnn/lib/libcudnn.so.9",          "nvshmem/lib/libnvshmem_host.so.3",
    "cuda_runtime/lib/libcudart.so.12", "nvjitlink/lib/libnvJitLink.so.12",
    "cuda_nvrtc/lib/libnvrtc.so.12",    "cublas/lib/libcublasLt.so.12",
    "cublas/lib/libcublas.so.12",       "cuda_cupti/lib/libcupti.so.12",
    "cusparse/lib/libcusparse.so.12",   "cusolver/lib/libcusolver.so.11",
    "cufft/lib/libcufft.so.11"};

void mica_xla_preload(const char *name, const char *path) {
  if (strcmp(name, "cuda") != 0) return;
  /* SITE/jax_plugins/xla_cuda13/xla_cuda_plugin.so -> SITE/nvidia; else nvidia beside the file. */
  const char *end = strstr(path, "/jax_plugins/");
  if (end == NULL) end = strrchr(path, '/');
  if (end == NULL) return;
  for (size_t i = 0; i < sizeof(nvidia_libraries) / sizeof(nvidia_libraries[0]); i++) {
    char file[XLA_PATH_SIZE];
    uint64_t size;
    int length = snprintf(file, sizeof(file), "%.*s/nvidia/%s", (int)(end - path), path,
                          nvidia_libraries[i]);
    if (length > 0 && length < XLA_PATH_SIZE && mica_file_size(file, &size) == 0)
      (void)dlopen(file, RTLD_NOW | RTLD_GLOBAL);
  }
}
