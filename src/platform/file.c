/* SPDX-License-Identifier: Apache-2.0 */
/* file.c: whole files and ranges of files, by POSIX.
 *
 * A file is written beside its final name, synced and renamed, so that a reader or a crash sees the
 * old file or the new one and never half of one; the folder is synced too, or the rename may be
 * lost. */
#include "platform/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum {
  FILE_NAME_LIMIT = MICA_FILE_NAME,
  FILE_CHUNK = 1 << 30, /* some systems refuse single calls above 2 GiB */
  FILE_LINKS = 40
};

int mica_file_size(const char *path, uint64_t *out_size) {
  struct stat status;
  if (stat(path, &status) != 0) return errno;
  if (S_ISDIR(status.st_mode)) return EISDIR;
  if (!S_ISREG(status.st_mode)) return EINVAL;
  *out_size = (uint64_t)status.st_size;
  return 0;
}

int mica_file_time(const char *path, int64_t *out_nanoseconds) {
  struct stat status;
  if (stat(path, &status) != 0) return errno;
#ifdef __APPLE__
  struct timespec time = status.st_mtimespec;
#else
  struct timespec time = status.st_mtim;
#endif
  *out_nanoseconds = (int64_t)time.tv_sec * 1000000000 + (int64_t)time.tv_nsec;
  return 0;
}

int mica_file_touch(const char *path) {
  return utimensat(AT_FDCWD, path, NULL, 0) != 0 ? errno : 0;
}

static int open_retrying(const char *path, int flags, mode_t mode) {
  int descriptor;
  do descriptor = open(path, flags | O_CLOEXEC, mode);
  while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

int mica_file_read(const char *path, uint64_t offset, void *bytes, size_t size) {
  if (offset > INT64_MAX - (uint64_t)size) return EINVAL;
  int descriptor = open_retrying(path, O_RDONLY, 0);
  if (descriptor < 0) return errno;
  int code = 0;
  for (size_t done = 0; code == 0 && done < size;) {
    size_t chunk = size - done < FILE_CHUNK ? size - done : FILE_CHUNK;
    ssize_t got = pread(descriptor, (char *)bytes + done, chunk, (off_t)(offset + done));
    if (got > 0)
      done += (size_t)got;
    else if (got == 0)
      code = EIO; /* the file ends early */
    else if (errno != EINTR)
      code = errno;
  }
  close(descriptor);
  return code;
}

static int write_all(int descriptor, const void *bytes, size_t size) {
  for (size_t done = 0; done < size;) {
    size_t chunk = size - done < FILE_CHUNK ? size - done : FILE_CHUNK;
    ssize_t put = write(descriptor, (const char *)bytes + done, chunk);
    if (put > 0)
      done += (size_t)put;
    else if (put == 0)
      return EIO;
    else if (errno != EINTR)
      return errno;
  }
  return 0;
}

int mica_file_read_some(const char *path, uint64_t offset, void *bytes, size_t size,
                        size_t *out_size) {
  *out_size = 0;
  if (offset > INT64_MAX - (uint64_t)size) return EINVAL;
  int descriptor = open_retrying(path, O_RDONLY, 0), code = 0;
  if (descriptor < 0) return errno;
  while (code == 0 && *out_size < size) {
    size_t chunk = size - *out_size < FILE_CHUNK ? size - *out_size : FILE_CHUNK;
    ssize_t got = pread(descriptor, (char *)bytes + *out_size, chunk, (off_t)(offset + *out_size));
    if (got > 0)
      *out_size += (size_t)got;
    else if (got == 0)
      break;
    else if (errno != EINTR)
      code = errno;
  }
  close(descriptor);
  return code;
}

/* Best effort: some file systems cannot sync a folder, and the file itself is safe by now. */
static void sync_folder_of(const char *path) {
  char folder[FILE_NAME_LIMIT];
  const char *slash = strrchr(path, '/');
  size_t length = slash == NULL ? 0 : (size_t)(slash - path);
  if (length >= sizeof(folder)) return;
  memcpy(folder, path, length);
  folder[length] = '\0';
  const char *name = slash == NULL ? "." : length == 0 ? "/" : folder;
  int descriptor = open_retrying(name, O_RDONLY, 0);
  if (descriptor < 0) return;
  (void)fsync(descriptor);
  close(descriptor);
}

int mica_file_temporary_name(const char *path, char *out_name, size_t size) {
  /* Unique among processes by the id, among threads and crashed predecessors by the time. */
  int length = snprintf(out_name, size, "%s.%" PRIx64 "-%" PRIx64 ".tmp", path, mica_process_id(),
                        (uint64_t)mica_clock_nanoseconds());
  return length < 0 || (size_t)length >= size ? ENAMETOOLONG : 0;
}

int mica_file_create(const char *path, int *out_descriptor) {
  *out_descriptor = open_retrying(path, O_WRONLY | O_CREAT | O_EXCL, 0666);
  return *out_descriptor < 0 ? errno : 0;
}

int mica_file_append(int descriptor, const void *bytes, size_t size) {
  return write_all(descriptor, bytes, size);
}

int mica_file_finish(int descriptor, bool keep) {
  int code = keep && fsync(descriptor) != 0 ? errno : 0;
  if (close(descriptor) != 0 && code == 0 && keep) code = errno;
  return code;
}

int mica_file_rename(const char *from, const char *to) {
  if (rename(from, to) != 0) return errno;
  sync_folder_of(to);
  return 0;
}

int mica_file_remove(const char *path) { return unlink(path) != 0 ? errno : 0; }

/* The name that a link stands for, link by link, whether a file is there or not; what is no link stays. */
static int follow_links(char path[FILE_NAME_LIMIT]) {
  struct stat status;
  for (int i = 0; i < FILE_LINKS; i++) {
    char target[FILE_NAME_LIMIT];
    if (lstat(path, &status) != 0) return errno == ENOENT ? 0 : errno;
    if (!S_ISLNK(status.st_mode)) return 0;
    ssize_t length = readlink(path, target, sizeof(target));
    if (length < 0) return errno;
    const char *slash = strrchr(path, '/');
    size_t head = target[0] == '/' || slash == NULL ? 0 : (size_t)(slash - path) + 1;
    if (head + (size_t)length >= FILE_NAME_LIMIT) return ENAMETOOLONG;
    memcpy(path + head, target, (size_t)length);
    path[head + (size_t)length] = '\0';
  }
  return ELOOP;
}

/* A file to be replaced, or (in_place) what keeps its place in the tree: a device, a pipe, a link of /proc to a descriptor. */
static int find_destination(const char *path, mica_file_writer *out) {
  struct stat there, behind;
  size_t length = strlen(path);
  if (length >= sizeof(out->path)) return ENAMETOOLONG;
  memcpy(out->path, path, length + 1);
  bool exists = stat(path, &there) == 0;
  if (exists && S_ISDIR(there.st_mode)) return EISDIR;
  out->in_place = exists && !S_ISREG(there.st_mode);
  int code = out->in_place ? 0 : follow_links(out->path);
  if (exists && !out->in_place && code == 0 &&
      (stat(out->path, &behind) != 0 || behind.st_ino != there.st_ino ||
       behind.st_dev != there.st_dev)) { /* a name that leads nowhere */
    memcpy(out->path, path, length + 1);
    out->in_place = true;
  }
  return code;
}

int mica_file_begin(const char *path, mica_file_writer *out) {
  int code = find_destination(path, out);
  if (code == 0 && out->in_place) {
    out->descriptor = open_retrying(path, O_WRONLY | O_TRUNC, 0);
    return out->descriptor < 0 ? errno : 0;
  }
  if (code != 0) return code;
  code = EEXIST;
  for (int attempt = 0; code == EEXIST && attempt < 100; attempt++) {
    code = mica_file_temporary_name(out->path, out->temporary, sizeof(out->temporary));
    if (code == 0) code = mica_file_create(out->temporary, &out->descriptor);
  }
  return code;
}

int mica_file_end(mica_file_writer *writer, bool keep) {
  int code = mica_file_finish(writer->descriptor, keep && !writer->in_place);
  if (writer->in_place) return code;
  if (code == 0 && keep) code = mica_file_rename(writer->temporary, writer->path);
  if (code != 0 || !keep) (void)unlink(writer->temporary);
  return code;
}

int mica_file_write_parts(const char *path, const mica_file_part *parts, size_t count) {
  mica_file_writer writer;
  int code = mica_file_begin(path, &writer);
  if (code != 0) return code;
  for (size_t i = 0; i < count && code == 0; i++)
    code = write_all(writer.descriptor, parts[i].bytes, parts[i].size);
  int ended = mica_file_end(&writer, code == 0);
  return code == 0 ? ended : code;
}

int mica_file_write_atomic(const char *path, const void *bytes, size_t size) {
  return mica_file_write_parts(path, &(mica_file_part){bytes, size}, 1);
}

const char *mica_errno_text(int code, char *buffer, size_t size) {
#ifdef __GLIBC__
  return strerror_r(code, buffer, size); /* GNU's form returns the text */
#else
  if (strerror_r(code, buffer, size) != 0) snprintf(buffer, size, "error %d", code);
  return buffer;
#endif
}
