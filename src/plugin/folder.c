/* SPDX-License-Identifier: Apache-2.0 */
/* folder.c: folders made, measured and removed; files checked. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin_internal.h"

mica_status mica_plugin_make_folder(const char *path, mica_error *error) {
  char part[PLUGIN_PATH];
  size_t length = strlen(path);
  if (length >= sizeof part) return mica_error_set(error, MICA_INVALID, "the path is too long");
  memcpy(part, path, length + 1);
  for (size_t i = 1; i <= length; i++) {
    if (part[i] != '/' && part[i] != 0) continue;
    char kept = part[i];
    part[i] = 0;
    if (mkdir(part, 0777) != 0 && errno != EEXIST)
      return mica_error_set(error, MICA_IO, "cannot make the folder '%.500s': %s", part,
                            strerror(errno));
    part[i] = kept;
  }
  return MICA_OK;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where) {
  (void)status, (void)kind, (void)where;
  return remove(path) != 0 && errno != ENOENT ? errno : 0;
}

mica_status mica_plugin_remove_tree(const char *path, mica_error *error) {
  struct stat status;
  if (lstat(path, &status) != 0) return MICA_OK;
  int code = nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  if (code == 0) return MICA_OK;
  return mica_error_set(error, MICA_IO, "cannot remove '%.500s': %s", path,
                        strerror(code > 0 ? code : errno));
}

int64_t mica_plugin_tree_bytes(const char *path) {
  char inner[PLUGIN_PATH];
  int64_t bytes = 0;
  DIR *folder = opendir(path);
  if (folder == NULL) return 0;
  for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    struct stat status;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    int length = snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
    if (length < 0 || (size_t)length >= sizeof inner || lstat(inner, &status) != 0) continue;
    if (S_ISDIR(status.st_mode))
      bytes += mica_plugin_tree_bytes(inner);
    else
      bytes += (int64_t)status.st_size;
  }
  closedir(folder);
  return bytes;
}

mica_status mica_plugin_file_sha256(const char *path, char out_hex[65], mica_error *error) {
  struct stat status;
  int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0 || fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    mica_error_set(error, MICA_IO, "cannot read '%.500s': %s", path,
                   descriptor < 0 ? strerror(errno) : "it is no file");
    if (descriptor >= 0) close(descriptor);
    return MICA_IO;
  }
  size_t size = (size_t)status.st_size;
  void *bytes = size > 0 ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0) : NULL;
  close(descriptor);
  if (bytes == MAP_FAILED)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "cannot map '%.500s'", path);
  mica_sha256(bytes, size, out_hex);
  if (bytes != NULL) munmap(bytes, size);
  return MICA_OK;
}

mica_status mica_plugin_check_wheel(const plugin_wheel *wheel, const char *path,
                                    mica_error *error) {
  char sum[65];
  mica_status status = mica_plugin_file_sha256(path, sum, error);
  if (status == MICA_OK && strcasecmp(sum, wheel->sha256) != 0)
    status = mica_error_set(error, MICA_DATA_LOSS, "'%.500s' has the SHA-256 %s, and not %s", path,
                            sum, wheel->sha256);
  return status;
}
