/* SPDX-License-Identifier: Apache-2.0 */
/* folder.c: folders, by POSIX, and the lock that says whose turn it is to write in one. */
#include "platform/platform.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifndef __wasi__
#include <sys/file.h>
#endif

enum { FOLDER_NAME_LIMIT = 4096 };

bool mica_folder_exists(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

int mica_folder_create(const char *path) {
  char part[FOLDER_NAME_LIMIT];
  size_t length = strlen(path);
  if (length == 0) return ENOENT;
  if (length >= sizeof(part)) return ENAMETOOLONG;
  memcpy(part, path, length + 1);
  for (size_t i = 1; i <= length; i++) {
    if (part[i] != '/' && part[i] != '\0') continue;
    char kept = part[i];
    part[i] = '\0';
    int code = mkdir(part, 0777) != 0 ? errno : 0;
    if (code != 0 && !mica_folder_exists(part)) return code == EEXIST ? ENOTDIR : code;
    part[i] = kept;
  }
  return 0;
}

int mica_folder_sync(const char *path) {
  int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return errno;
  int code = fsync(descriptor) != 0 ? errno : 0;
  close(descriptor);
  return code == EINVAL || code == EBADF ? 0 : code; /* file systems that cannot sync a folder */
}

int mica_folder_list(const char *path, bool (*visit)(void *context, const char *name),
                     void *context) {
  DIR *folder = opendir(path);
  if (folder == NULL) return errno;
  int code = 0;
  for (;;) {
    errno = 0;
    struct dirent *entry = readdir(folder);
    if (entry == NULL) {
      code = errno;
      break;
    }
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (!visit(context, entry->d_name)) break;
  }
  closedir(folder);
  return code;
}

typedef struct {
  const char *folder;
  int code;
} folder_removal;

static bool remove_entry(void *context, const char *name) {
  folder_removal *removal = context;
  char path[FOLDER_NAME_LIMIT];
  int length = snprintf(path, sizeof(path), "%s/%s", removal->folder, name);
  if (length < 0 || (size_t)length >= sizeof(path))
    removal->code = ENAMETOOLONG;
  else if (unlink(path) != 0)
    removal->code = errno;
  return true;
}

int mica_folder_remove(const char *path) {
  folder_removal removal = {path, 0};
  int code = mica_folder_list(path, remove_entry, &removal);
  if (code == 0) code = removal.code;
  if (rmdir(path) != 0 && code == 0) code = errno;
  return code;
}

#ifdef __wasi__

int mica_folder_lock(const char *path, int *out_handle) { /* a browser's process is alone */
  (void)path;
  *out_handle = -1;
  return 0;
}
void mica_folder_unlock(int handle) { (void)handle; }

#else

int mica_folder_lock(const char *path, int *out_handle) {
  int descriptor;
  do descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) return errno;
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    int code = errno;
    close(descriptor);
    return code;
  }
  *out_handle = descriptor;
  return 0;
}

void mica_folder_unlock(int handle) {
  if (handle >= 0) close(handle);
}

#endif
