/* SPDX-License-Identifier: Apache-2.0 */
/* fetch_files.c: the folder of fetched files: sizes, checksums, locks, durable renames. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fetch_internal.h"

int64_t mica_fetch_file_size(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISREG(status.st_mode) ? (int64_t)status.st_size : -1;
}

mica_status mica_fetch_file_sha256(const char *path, char out_hex[65], mica_error *error) {
  int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (descriptor < 0 || fstat(descriptor, &status) != 0) {
    if (descriptor >= 0) close(descriptor);
    return mica_error_set(error, MICA_IO, "cannot read '%.500s': %s", path, strerror(errno));
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

mica_status mica_fetch_make_folders(const char *path, mica_error *error) {
  char part[FETCH_PATH];
  size_t length = strlen(path);
  if (length >= sizeof part)
    return mica_error_set(error, MICA_INVALID, "fetch: the path is too long");
  memcpy(part, path, length + 1);
  for (size_t i = 1; i < length; i++) {
    if (part[i] != '/') continue;
    part[i] = 0;
    if (mkdir(part, 0777) != 0 && errno != EEXIST)
      return mica_error_set(error, MICA_IO, "cannot make the folder '%.500s': %s", part,
                            strerror(errno));
    part[i] = '/';
  }
  return MICA_OK;
}

int mica_fetch_lock(const char *path) {
  int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) return -1;
  while (flock(descriptor, LOCK_EX) != 0)
    if (errno != EINTR) {
      close(descriptor);
      return -1;
    }
  return descriptor;
}

void mica_fetch_unlock(int handle) {
  if (handle >= 0) close(handle);
}

static int sync_path(const char *path) {
  int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return errno;
  int code = fsync(descriptor) != 0 ? errno : 0;
  close(descriptor);
  return code;
}

mica_status mica_fetch_publish(const char *part, const char *path, mica_error *error) {
  char folder[FETCH_PATH];
  int code = sync_path(part);
  if (code == 0 && rename(part, path) != 0) code = errno;
  if (code != 0)
    return mica_error_set(error, MICA_IO, "cannot write '%.500s': %s", path, strerror(code));
  snprintf(folder, sizeof folder, "%s", path);
  char *slash = strrchr(folder, '/');
  if (slash != NULL) *slash = 0;
  (void)sync_path(slash != NULL ? folder : ".");
  return MICA_OK;
}
