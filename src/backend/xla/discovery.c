/* SPDX-License-Identifier: Apache-2.0 */
/* discovery.c: where plugins lie. The library never downloads one: what it does not find it names,
 * with the places where it looked and the command that brings it.
 *
 * Looked at are the folders of $MICA_XLA_PLUGIN_DIR (separated by ':'; one may be the site-packages
 * of a Python), then the user's folder of plugins: $XDG_DATA_HOME/mica/plugins or
 * ~/.local/share/mica/plugins. In each, a plugin lies as its wheel lays it out, or plainly. */
#include "backend/xla/xla_internal.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  const char *name;
  const char *wheel; /* that brings it */
  const char *files[6];
} known_plugin;

/* The newest first. */
static const known_plugin known_plugins[] = {
    {"cpu",
     "lammps-jax-pjrt-cpu",
     {"lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so", "pjrt_c_api_cpu_plugin.so",
      "fastatomstruct_xla_cpu/libpjrt_cpu.so", "libpjrt_cpu.so",
      "xla_plugins/xla_cpu_pjrt/xla_cpu_pjrt.so", "xla_cpu_pjrt.so"}},
    {"cuda",
     "jax-cuda13-pjrt",
     {"jax_plugins/xla_cuda13/xla_cuda_plugin.so", "jax_plugins/xla_cuda12/xla_cuda_plugin.so",
      "xla_cuda_plugin.so", "pjrt_c_api_cuda_plugin.so", "libpjrt_cuda.so", NULL}},
    {"rocm",
     "jax-rocm7-pjrt",
     {"jax_plugins/xla_rocm10/xla_rocm_plugin.so", "jax_plugins/xla_rocm7/xla_rocm_plugin.so",
      "xla_rocm_plugin.so", "libpjrt_rocm.so", NULL, NULL}},
    {"oneapi",
     "jax-oneapi-pjrt",
     {"jax_plugins/xla_oneapi/xla_oneapi_plugin.so", "xla_oneapi_plugin.so", "libpjrt_oneapi.so",
      NULL, NULL, NULL}},
    {"tpu",
     "libtpu",
     {"libtpu/libtpu.so", "libtpu.so", "pjrt_c_api_tpu_plugin.so", NULL, NULL, NULL}},
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

/* The plugin's file in `folder`, or in a folder of its name there. */
static bool find_in(const known_plugin *plugin, const char *folder, size_t length,
                    char path[XLA_PATH_SIZE]) {
  for (size_t i = 0; i < PLUGIN_FILE_COUNT && plugin->files[i] != NULL; i++) {
    for (int nested = 0; nested < 2; nested++) {
      uint64_t size;
      int written = snprintf(path, XLA_PATH_SIZE, "%.*s/%s%s%s", (int)length, folder,
                             nested ? plugin->name : "", nested ? "/" : "", plugin->files[i]);
      if (written < 0 || written >= XLA_PATH_SIZE) continue;
      if (mica_file_size(path, &size) == 0 && size > 0) return true;
    }
  }
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

mica_status mica_xla_plugin_find(const char *name, char path[XLA_PATH_SIZE], mica_error *error) {
  const known_plugin *plugin = plugin_named(name);
  if (plugin == NULL) {
    char names[128];
    plugin_names(names, sizeof(names));
    return mica_error_set(error, MICA_NOT_FOUND,
                          "xla: there is no plugin '%.100s'; there are: %s, or xla:/path/to/it.so",
                          name, names);
  }
  char given[4 * XLA_PATH_SIZE] = "", own[XLA_PATH_SIZE] = "";
  if (mica_environment("MICA_XLA_PLUGIN_DIR", given, sizeof(given))) {
    for (const char *at = given; *at != '\0';) {
      size_t length = strcspn(at, ":");
      if (length > 0 && find_in(plugin, at, length, path)) return MICA_OK;
      at += length + (at[length] == ':');
    }
  }
  if (user_folder(own, sizeof(own)) && find_in(plugin, own, strlen(own), path)) return MICA_OK;
  path[0] = '\0';
  return mica_error_set(
      error, MICA_NOT_FOUND,
      "xla:%s: no plugin in %s%.200s%s%.200s; get it by `pip download --no-deps %s` and "
      "`unzip -d %.200s %s-*.whl` (its name has '_' for '-'), or name its folder in "
      "$MICA_XLA_PLUGIN_DIR",
      name, given[0] != '\0' ? "$MICA_XLA_PLUGIN_DIR=" : "$MICA_XLA_PLUGIN_DIR (not set)", given,
      own[0] != '\0' ? " nor in " : "", own, plugin->wheel, own[0] != '\0' ? own : "FOLDER",
      plugin->wheel);
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
