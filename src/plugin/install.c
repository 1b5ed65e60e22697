/* SPDX-License-Identifier: Apache-2.0 */
/* install.c: installing, listing and removing. A plugin lies in the folder PROJECT-VERSION of the user's folder of
 * plugins, and the link DEVICE there names the one that is used, which is where libmica looks ("cpu" ->
 * "lammps-jax-pjrt-cpu-0.11.2"). A folder is filled under another name and gets its own when everything in it is
 * right; the link is replaced by a rename. So whoever looks, at any moment, sees a whole plugin or none. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "plugin_internal.h"
#ifdef MICA_XLA
#include "mica/xla.h"
#endif

static const char working_prefix[] = ".installing-";
enum { UNPACKED_MOST = 30 }; /* times the wheel; those that are known stay below 5 */

static mica_status plugins_folder(char folder[PLUGIN_PATH], mica_error *error) {
#ifdef MICA_XLA
  return mica_xla_plugin_folder(folder, PLUGIN_PATH, error);
#else
  (void)folder;
  return mica_error_set(error, MICA_UNSUPPORTED,
                        "this library was built without the backend 'xla' (CMake: -DMICA_XLA=ON)");
#endif
}

/* The plugin's file in a folder; MICA_NOT_FOUND. */
static mica_status file_in(const char *device, const char *folder, char *path, mica_error *error) {
#ifdef MICA_XLA
  return mica_xla_plugin_file(device, folder, path, PLUGIN_PATH, error);
#else
  (void)device, (void)folder;
  path[0] = 0;
  return mica_error_set(error, MICA_NOT_FOUND, "no backend 'xla'");
#endif
}

mica_status mica_plugin_file(const char *device, char *path, size_t size, mica_error *error) {
#ifdef MICA_XLA
  return mica_xla_plugin_file(device, NULL, path, size, error);
#else
  char folder[PLUGIN_PATH];
  (void)device;
  if (size > 0) path[0] = 0;
  return plugins_folder(folder, error);
#endif
}

static mica_status join(char out[PLUGIN_PATH], const char *folder, const char *name,
                        const char *more, mica_error *error) {
  int length = snprintf(out, PLUGIN_PATH, "%s/%s%s", folder, name, more);
  if (length > 0 && length < PLUGIN_PATH) return MICA_OK;
  return mica_error_set(error, MICA_INVALID, "the path of the folder of plugins is too long");
}

/* PROJECT-VERSION */
static mica_status plugin_folder(const char *root, const plugin_wheel *wheel, char out[PLUGIN_PATH],
                                 mica_error *error) {
  char name[128];
  snprintf(name, sizeof name, "%s-%s", wheel->project, wheel->version);
  return join(out, root, name, "", error);
}

/* Whether the link of the device names this plugin. */
static bool is_used(const char *root, const plugin_wheel *wheel) {
  char link[PLUGIN_PATH], target[PLUGIN_PATH], name[128], device[16];
  mica_plugin_device_of(wheel->plugin, device, sizeof device);
  snprintf(name, sizeof name, "%s-%s", wheel->project, wheel->version);
  if (join(link, root, device, "", NULL) != MICA_OK) return false;
  ssize_t length = readlink(link, target, sizeof target - 1);
  if (length < 0) return false;
  target[length] = 0;
  return strcmp(target, name) == 0;
}

/* ---- listing --------------------------------------------------------------------------------- */

static void describe(const plugin_table *table, const plugin_wheel *wheel, const char *root,
                     mica_plugin *out) {
  char folder[PLUGIN_PATH];
  *out = (mica_plugin){0};
  snprintf(out->name, sizeof out->name, "%s", wheel->plugin);
  snprintf(out->project, sizeof out->project, "%s", wheel->project);
  snprintf(out->version, sizeof out->version, "%s", wheel->version);
  mica_plugin_device_of(wheel->plugin, out->device, sizeof out->device);
  for (size_t i = 0; i < table->count; i++)
    if (strcmp(table->row[i].plugin, wheel->plugin) == 0)
      out->wheels++, out->download_bytes += table->row[i].bytes;
  out->installed = plugin_folder(root, wheel, folder, NULL) == MICA_OK &&
                   file_in(out->device, folder, out->file, NULL) == MICA_OK;
  if (!out->installed) out->file[0] = 0;
  out->used = out->installed && is_used(root, wheel);
}

mica_status mica_plugin_list(const char *table_file, mica_plugin *plugins, size_t size,
                             size_t *out_count, mica_error *error) {
  char root[PLUGIN_PATH];
  plugin_table *table = NULL;
  *out_count = 0;
  mica_status status = plugins_folder(root, error);
  if (status == MICA_OK) status = mica_plugin_table_load(table_file, NULL, &table, error);
  for (size_t i = 0; status == MICA_OK && i < table->count; i++) {
    if (mica_plugin_find(table, table->row[i].plugin) != &table->row[i]) continue;
    if (*out_count < size) describe(table, &table->row[i], root, &plugins[*out_count]);
    ++*out_count;
  }
  free(table);
  return status;
}

/* ---- installing ------------------------------------------------------------------------------ */

typedef struct {
  const mica_plugin_install_options *options;
  const plugin_table *table;
  const plugin_wheel *wheel; /* the plugin itself */
  char device[16], root[PLUGIN_PATH], folder[PLUGIN_PATH], working[PLUGIN_PATH];
} installation;

/* One process at a time; the lock goes with the process. */
static mica_status lock_plugins(const char *root, int *out_lock, mica_error *error) {
  char path[PLUGIN_PATH];
  mica_status status = mica_plugin_make_folder(root, error);
  if (status == MICA_OK) status = join(path, root, ".lock", "", error);
  if (status != MICA_OK) return status;
  *out_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  int code = *out_lock < 0 ? errno : 0;
  while (code == 0 && flock(*out_lock, LOCK_EX) != 0)
    if (errno != EINTR) code = errno;
  if (code == 0) return MICA_OK;
  if (*out_lock >= 0) close(*out_lock);
  *out_lock = -1;
  return mica_error_set(error, MICA_IO, "cannot lock '%.500s': %s", path, strerror(code));
}

/* What installations that were killed have left; nobody else is at work under the lock. */
static void remove_leftovers(const char *root) {
  DIR *folder = opendir(root);
  if (folder == NULL) return;
  for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    char path[PLUGIN_PATH];
    if (strncmp(entry->d_name, working_prefix, sizeof working_prefix - 1) == 0 &&
        join(path, root, entry->d_name, "", NULL) == MICA_OK)
      (void)mica_plugin_remove_tree(path, NULL);
  }
  closedir(folder);
}

/* What is no library is refused here and not when somebody wants to compute. */
static mica_status check_library(const char *path, mica_error *error) {
  unsigned char head[20] = {0};
  FILE *open = fopen(path, "rb");
  size_t got = open != NULL ? fread(head, 1, sizeof head, open) : 0;
  if (open != NULL) fclose(open);
  if (got == sizeof head && memcmp(head, "\177ELF", 4) == 0) return MICA_OK;
  return mica_error_set(error, MICA_DATA_LOSS, "%.500s is no shared library", path);
}

static mica_status unpack_wheels(const installation *i, mica_error *error) {
  char scratch[PLUGIN_PATH], content[PLUGIN_PATH];
  mica_status status = join(scratch, i->working, "scratch", "", error);
  if (status == MICA_OK) status = join(content, i->working, "content", "", error);
  if (status == MICA_OK) status = mica_plugin_make_folder(scratch, error);
  if (status == MICA_OK) status = mica_plugin_make_folder(content, error);
  plugin_source source = {i->options, scratch};
  for (size_t k = 0; k < i->table->count && status == MICA_OK; k++) {
    const plugin_wheel *wheel = &i->table->row[k];
    char path[PLUGIN_PATH] = "";
    bool ours = false;
    if (strcmp(wheel->plugin, i->wheel->plugin) != 0) continue;
    status = mica_plugin_obtain(&source, wheel, path, &ours, error);
    if (status == MICA_OK)
      status = mica_plugin_unpack(path, content, wheel->bytes * UNPACKED_MOST + (1 << 20), error);
    if (status == MICA_OK && ours) (void)remove(path);
  }
  return status;
}

/* The new folder takes its name; one of that name goes. */
static mica_status publish(const installation *i, mica_error *error) {
  char content[PLUGIN_PATH], old[PLUGIN_PATH];
  mica_status status = join(content, i->working, "content", "", error);
  if (status == MICA_OK) status = join(old, i->working, "old", "", error);
  if (status != MICA_OK) return status;
  if (rename(i->folder, old) != 0 && errno != ENOENT)
    return mica_error_set(error, MICA_IO, "cannot replace '%.500s': %s", i->folder,
                          strerror(errno));
  if (rename(content, i->folder) != 0)
    return mica_error_set(error, MICA_IO, "cannot make '%.500s': %s", i->folder, strerror(errno));
  return MICA_OK;
}

/* DEVICE -> PROJECT-VERSION */
static mica_status use_plugin(const installation *i, mica_error *error) {
  char link[PLUGIN_PATH], fresh[PLUGIN_PATH];
  mica_status status = join(link, i->root, i->device, "", error);
  if (status == MICA_OK) status = join(fresh, i->working, "link", "", error);
  if (status != MICA_OK || is_used(i->root, i->wheel)) return status;
  if (symlink(strrchr(i->folder, '/') + 1, fresh) != 0 || rename(fresh, link) != 0)
    return mica_error_set(error, MICA_IO, "cannot make the link '%.500s': %s", link,
                          strerror(errno));
  return MICA_OK;
}

static mica_status install_locked(installation *i, char *path, mica_error *error) {
  char suffix[32], content[PLUGIN_PATH];
  remove_leftovers(i->root);
  snprintf(suffix, sizeof suffix, "%ld", (long)getpid());
  mica_status status = join(i->working, i->root, working_prefix, suffix, error);
  if (status == MICA_OK) status = mica_plugin_make_folder(i->working, error);
  if (status != MICA_OK) return status;
  if (i->options->again || file_in(i->device, i->folder, path, NULL) != MICA_OK) {
    status = unpack_wheels(i, error);
    if (status == MICA_OK) status = join(content, i->working, "content", "", error);
    if (status == MICA_OK && file_in(i->device, content, path, NULL) != MICA_OK)
      status = mica_error_set(error, MICA_DATA_LOSS, "%s %s holds no plugin for %s",
                              i->wheel->project, i->wheel->version, i->device);
    if (status == MICA_OK) status = check_library(path, error);
    if (status == MICA_OK) status = publish(i, error);
  }
  if (status == MICA_OK) status = use_plugin(i, error);
  if (status == MICA_OK) status = file_in(i->device, i->folder, path, error);
  (void)mica_plugin_remove_tree(i->working, NULL);
  return status;
}

static mica_status unknown_plugin(const plugin_table *table, const char *name, mica_error *error) {
  char names[256] = "";
  for (size_t i = 0; i < table->count; i++)
    if (mica_plugin_find(table, table->row[i].plugin) == &table->row[i])
      snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s",
               names[0] != 0 ? ", " : "", table->row[i].plugin);
  return mica_error_set(error, MICA_NOT_FOUND,
                        "there is no plugin '%.100s' for this machine; there are: %s", name,
                        names[0] != 0 ? names : "none");
}

mica_status mica_plugin_install(const mica_plugin_install_options *given, char *path, size_t size,
                                mica_error *error) {
  mica_plugin_install_options options = {.struct_size = sizeof options};
  plugin_table *table = NULL;
  installation i = {.options = &options};
  char file[PLUGIN_PATH] = "";
  int lock = -1;
  if (path == NULL || size == 0 || given == NULL || given->name == NULL)
    return mica_error_set(error, MICA_INVALID,
                          "the name of a plugin and room for its path are needed");
  path[0] = 0;
  size_t known = given->struct_size;
  memcpy(&options, given, known == 0 || known > sizeof options ? sizeof options : known);
  mica_status status = plugins_folder(i.root, error);
  if (status == MICA_OK) status = mica_plugin_table_load(options.table, NULL, &table, error);
  if (status != MICA_OK) return status;
  i.table = table;
  i.wheel = mica_plugin_find(table, options.name);
  if (i.wheel == NULL) {
    status = unknown_plugin(table, options.name, error);
  } else {
    mica_plugin_device_of(i.wheel->plugin, i.device, sizeof i.device);
    status = plugin_folder(i.root, i.wheel, i.folder, error);
    if (status == MICA_OK) status = lock_plugins(i.root, &lock, error);
    if (status == MICA_OK) status = install_locked(&i, file, error);
  }
  if (status == MICA_OK && strlen(file) >= size)
    status = mica_error_set(error, MICA_INVALID, "the path of the plugin does not fit");
  if (status == MICA_OK) strcpy(path, file);
  if (lock >= 0) close(lock);
  free(table);
  return status;
}

/* ---- removing -------------------------------------------------------------------------------- */

static mica_status remove_plugin(const char *root, const plugin_wheel *wheel, mica_error *error) {
  char folder[PLUGIN_PATH], link[PLUGIN_PATH], away[PLUGIN_PATH], device[16], suffix[32];
  mica_plugin_device_of(wheel->plugin, device, sizeof device);
  snprintf(suffix, sizeof suffix, "%ld", (long)getpid());
  mica_status status = plugin_folder(root, wheel, folder, error);
  if (status == MICA_OK) status = join(link, root, device, "", error);
  if (status == MICA_OK) status = join(away, root, working_prefix, suffix, error);
  if (status != MICA_OK) return status;
  if (is_used(root, wheel)) (void)unlink(link);
  if (rename(folder, away) != 0)
    return mica_error_set(error, MICA_IO, "cannot remove '%.500s': %s", folder, strerror(errno));
  return mica_plugin_remove_tree(away, error);
}

mica_status mica_plugin_remove(const char *name, const char *table_file, mica_error *error) {
  char root[PLUGIN_PATH], folder[PLUGIN_PATH], device[16];
  plugin_table *table = NULL;
  int lock = -1, removed = 0;
  mica_status status = plugins_folder(root, error);
  if (status == MICA_OK) status = mica_plugin_table_load(table_file, NULL, &table, error);
  if (status != MICA_OK) return status;
  status = lock_plugins(root, &lock, error);
  for (size_t i = 0; i < table->count && status == MICA_OK; i++) {
    const plugin_wheel *wheel = &table->row[i];
    mica_plugin_device_of(wheel->plugin, device, sizeof device);
    if ((strcmp(wheel->plugin, name) != 0 && strcmp(device, name) != 0) ||
        mica_plugin_find(table, wheel->plugin) != wheel ||
        plugin_folder(root, wheel, folder, NULL) != MICA_OK || access(folder, F_OK) != 0)
      continue;
    status = remove_plugin(root, wheel, error);
    removed++;
  }
  if (status == MICA_OK && removed == 0)
    status = mica_error_set(error, MICA_NOT_FOUND, "no plugin '%.100s' is installed in %.500s",
                            name, root);
  if (lock >= 0) close(lock);
  free(table);
  return status;
}
