/* SPDX-License-Identifier: Apache-2.0 */
/* wheel.c: a wheel is a zip file; it is unpacked by libzip. Its hash is pinned, and still nothing in it is believed:
 * an entry is a file or a folder below the target, no link, no device, no longer than it says, and all together are
 * no larger than the caller allows. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin_internal.h"

#ifndef MICA_PLUGIN_ZIP

mica_status mica_plugin_unpack(const char *wheel, const char *folder, int64_t most,
                               mica_error *error) {
  (void)folder, (void)most;
  return mica_error_set(error, MICA_UNSUPPORTED,
                        "%.500s cannot be opened: this build has no libzip. Install libzip-dev "
                        "and build again, or unzip it into the folder of plugins",
                        wheel);
}

#else
#include <zip.h>

enum { ZIP_ENTRIES = 100000, ZIP_PIECE = 1 << 16 };

static mica_status bad_entry(const char *name, const char *reason, mica_error *error) {
  char shown[128];
  size_t i = 0;
  for (; name != NULL && name[i] != 0 && i + 1 < sizeof shown; i++)
    shown[i] = name[i] >= ' ' && name[i] < 127 ? name[i] : '?';
  shown[i] = 0;
  return mica_error_set(error, MICA_DATA_LOSS, "the wheel is not a good one: '%s' %s", shown,
                        reason);
}

/* No way out of the folder, nothing that a terminal or a shell takes for something else. */
static bool is_good_name(const char *name) {
  size_t length = strlen(name);
  if (length == 0 || length > 512 || name[0] == '/') return false;
  for (const char *c = name; *c; c++)
    if (*c < ' ' || *c == 127 || *c == '\\' || *c == ':') return false;
  for (const char *part = name; *part != 0;) {
    size_t size = strcspn(part, "/");
    if (size == 0 || (size == 1 && part[0] == '.') ||
        (size == 2 && part[0] == '.' && part[1] == '.'))
      return false;
    part += size + (part[size] == '/');
  }
  return true;
}

static mica_status make_parents(const char *path, size_t root, mica_error *error) {
  char part[PLUGIN_PATH];
  snprintf(part, sizeof part, "%s", path);
  for (size_t i = root + 1; part[i] != 0; i++) {
    struct stat status;
    if (part[i] != '/') continue;
    part[i] = 0;
    if (mkdir(part, 0777) != 0 &&
        (errno != EEXIST || lstat(part, &status) != 0 || !S_ISDIR(status.st_mode)))
      return bad_entry(part + root + 1, "is a folder where a file is", error);
    part[i] = '/';
  }
  return MICA_OK;
}

static mica_status copy_bytes(zip_file_t *from, int to, const char *name, uint64_t size,
                              char *piece, mica_error *error) {
  uint64_t done = 0;
  for (;;) {
    zip_int64_t got = zip_fread(from, piece, ZIP_PIECE);
    if (got < 0) return bad_entry(name, "is damaged", error);
    if (got == 0) break;
    done += (uint64_t)got;
    if (done > size) return bad_entry(name, "is longer than it says", error);
    for (zip_int64_t at = 0; at < got;) {
      ssize_t written = write(to, piece + at, (size_t)(got - at));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0)
        return mica_error_set(error, MICA_IO, "cannot write '%.300s': %s", name, strerror(errno));
      at += written;
    }
  }
  return done == size ? MICA_OK : bad_entry(name, "is shorter than it says", error);
}

static mica_status unpack_file(zip_t *zip, const zip_stat_t *entry, const char *path, bool program,
                               char *piece, mica_error *error) {
  /* Another wheel of the same plugin may have brought the same file. */
  if (unlink(path) != 0 && errno != ENOENT)
    return bad_entry(entry->name, "is a file where a folder is", error);
  int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, program ? 0777 : 0666);
  if (file < 0)
    return mica_error_set(error, MICA_IO, "cannot make '%.500s': %s", path, strerror(errno));
  zip_file_t *from = zip_fopen_index(zip, entry->index, 0);
  mica_status status =
      from != NULL ? copy_bytes(from, file, entry->name, entry->size, piece, error)
                   : bad_entry(entry->name,
                               "cannot be read (encrypted, or packed in an unknown way)", error);
  if (from != NULL && zip_fclose(from) != 0 && status == MICA_OK)
    status = bad_entry(entry->name, "is damaged", error);
  enum { WORTH_A_SYNC = 1 << 20 };
  int code = status == MICA_OK && entry->size >= WORTH_A_SYNC && fsync(file) != 0 ? errno : 0;
  if (close(file) != 0 && code == 0) code = errno;
  if (status == MICA_OK && code != 0)
    status = mica_error_set(error, MICA_IO, "cannot write '%.500s': %s", path, strerror(code));
  return status;
}

static mica_status unpack_entry(zip_t *zip, zip_uint64_t index, const char *folder, int64_t *left,
                                char *piece, mica_error *error) {
  char path[PLUGIN_PATH];
  zip_stat_t entry;
  zip_uint8_t system = 0;
  zip_uint32_t attributes = 0;
  zip_stat_init(&entry);
  if (zip_stat_index(zip, index, ZIP_FL_ENC_RAW, &entry) != 0 ||
      (entry.valid & ZIP_STAT_NAME) == 0 || (entry.valid & ZIP_STAT_SIZE) == 0)
    return bad_entry("?", "has no name or no size", error);
  if (!is_good_name(entry.name)) return bad_entry(entry.name, "is no name for a file", error);
  if (zip_file_get_external_attributes(zip, index, 0, &system, &attributes) != 0)
    return bad_entry(entry.name, "has no attributes", error);
  unsigned mode = system == ZIP_OPSYS_UNIX ? attributes >> 16 : 0, kind = mode & S_IFMT;
  if (kind != 0 && kind != S_IFREG && kind != S_IFDIR)
    return bad_entry(entry.name, "is a link or a device", error);
  if (entry.size > (uint64_t)*left)
    return bad_entry(entry.name, "makes the wheel larger than any that is known", error);
  *left -= (int64_t)entry.size;
  int length = snprintf(path, sizeof path, "%s/%s", folder, entry.name);
  if (length < 0 || (size_t)length >= sizeof path)
    return bad_entry(entry.name, "is too long a name", error);
  mica_status status = make_parents(path, strlen(folder), error);
  if (status != MICA_OK || path[length - 1] == '/') return status;
  if (kind == S_IFDIR) return bad_entry(entry.name, "is a folder by its attributes only", error);
  return unpack_file(zip, &entry, path, (mode & 0111) != 0, piece, error);
}

mica_status mica_plugin_unpack(const char *wheel, const char *folder, int64_t most,
                               mica_error *error) {
  int code = 0;
  zip_t *zip = zip_open(wheel, ZIP_RDONLY, &code);
  if (zip == NULL) {
    zip_error_t why;
    zip_error_init_with_code(&why, code);
    mica_error_set(error, MICA_DATA_LOSS, "%.500s is no wheel: %s", wheel,
                   zip_error_strerror(&why));
    zip_error_fini(&why);
    return MICA_DATA_LOSS;
  }
  zip_int64_t count = zip_get_num_entries(zip, 0);
  char *piece = malloc(ZIP_PIECE);
  mica_status status = MICA_OK;
  if (piece == NULL)
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "out of memory");
  else if (count <= 0 || count > ZIP_ENTRIES)
    status =
        mica_error_set(error, MICA_DATA_LOSS,
                       "the wheel is not a good one: it has %" PRId64 " files", (int64_t)count);
  for (zip_int64_t i = 0; i < count && status == MICA_OK; i++)
    status = unpack_entry(zip, (zip_uint64_t)i, folder, &most, piece, error);
  free(piece);
  zip_discard(zip);
  return status;
}
#endif
