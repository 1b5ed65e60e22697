/* SPDX-License-Identifier: Apache-2.0 */
/* system.c: what depends on the system: clocks, terminals, whole files. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ui/ui_internal.h"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/ioctl.h>
bool mica_ui_is_terminal(FILE *file) { return file && isatty(fileno(file)) != 0; }
static int window_width(FILE *file) {
  struct winsize window = {0};
  return ioctl(fileno(file), TIOCGWINSZ, &window) == 0 ? window.ws_col : 0;
}
#else
bool mica_ui_is_terminal(FILE *file) { return (void)file, false; }
static int window_width(FILE *file) { return (void)file, 0; }
#endif

int64_t mica_ui_clock(void) {
  struct timespec now = {0};
#if defined(CLOCK_MONOTONIC)
  clock_gettime(CLOCK_MONOTONIC, &now);
#else
  timespec_get(&now, TIME_UTC);
#endif
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

double mica_ui_wall_seconds(void) {
  struct timespec now = {0};
  timespec_get(&now, TIME_UTC);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int mica_ui_terminal_width(FILE *file) {
  int width = file && mica_ui_is_terminal(file) ? window_width(file) : 0;
  const char *columns = getenv("COLUMNS");
  if (width <= 0 && columns) {
    long asked = strtol(columns, NULL, 10);
    if (asked > 0 && asked < 10000) width = (int)asked;
  }
  return width > 0 ? width : 80;
}

bool mica_ui_wants_color(FILE *file) {
  const char *no_color = getenv("NO_COLOR"); /* https://no-color.org: set and not empty */
  const char *kind = getenv("TERM");
  return mica_ui_is_terminal(file) && !(no_color && *no_color) && !(kind && !strcmp(kind, "dumb"));
}

bool mica_ui_wants_unicode(void) {
  static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
  for (int i = 0; i < 3; i++) {
    const char *value = getenv(names[i]);
    if (!value || !*value) continue;
    for (const char *c = value; *c; c++)
      if ((c[0] == 'U' || c[0] == 'u') && (c[1] == 'T' || c[1] == 't') &&
          (c[2] == 'F' || c[2] == 'f'))
        return true;
    return false;
  }
  return true;
}

int mica_ui_make_folder(const char *path) {
  size_t length = strlen(path);
  char *part = mica_ui_copy(path);
  int code = part ? (length ? 0 : ENOENT) : ENOMEM;
  for (size_t i = 1; i <= length && !code; i++) {
    if (path[i] != '/' && path[i]) continue;
    struct stat there;
    part[i] = 0;
    if (mkdir(part, 0777) != 0) {
      code = errno;
      if (stat(part, &there) == 0) code = S_ISDIR(there.st_mode) ? 0 : ENOTDIR;
    }
    part[i] = path[i];
  }
  free(part);
  return code;
}

/* What is to be renamed over: behind a link, so that the link stays. NULL: a device, a pipe, or a link that leads nowhere, which is
 * written to as it is. To be freed. */
static char *destination(const char *path) {
  struct stat there;
  bool exists = stat(path, &there) == 0;
  if (exists && !S_ISREG(there.st_mode) && !S_ISDIR(there.st_mode)) return NULL;
#if defined(__unix__) || defined(__APPLE__)
  if (lstat(path, &there) == 0 && S_ISLNK(there.st_mode))
    return exists ? realpath(path, NULL) : NULL;
#endif
  return mica_ui_copy(path);
}

mica_status mica_ui_write_file(const char *who, const char *path, mica_ui_text *text,
                               mica_error *error) {
  if (text->failed || !path) {
    mica_ui_free(text);
    return path ? mica_error_set(error, MICA_OUT_OF_MEMORY, "%s: out of memory", who)
                : mica_error_set(error, MICA_INVALID, "%s: expected a path, not NULL", who);
  }
  char *whole = destination(path);
  mica_ui_text name = {0};
  mica_ui_format(&name, whole ? "%s.part" : "%s", whole ? whole : path);
  mica_status status = MICA_OK;
  if (name.failed) {
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "%s: out of memory", who);
  } else {
    FILE *file = fopen(name.bytes, "wb");
    bool failed = !file;
    int code = errno;
    if (file) {
      errno = 0;
      failed = fwrite(text->bytes ? text->bytes : "", 1, text->size, file) != text->size;
      failed = fclose(file) != 0 || failed || (whole && rename(name.bytes, whole) != 0);
      code = errno;
      if (failed && whole) remove(name.bytes);
    }
    if (failed)
      status = mica_error_set(error, MICA_IO, "%s: \"%s\" cannot be written: %s", who, path,
                              strerror(code));
  }
  free(whole);
  mica_ui_free(&name);
  mica_ui_free(text);
  return status;
}

int mica_ui_write_all(int file, const void *bytes, size_t size, size_t *out_done) {
  *out_done = 0;
  while (*out_done < size) {
    ssize_t wrote = write(file, (const char *)bytes + *out_done, size - *out_done);
    if (wrote > 0)
      *out_done += (size_t)wrote;
    else if (wrote == 0 || errno != EINTR)
      return wrote == 0 ? EIO : errno;
  }
  return 0;
}

mica_status mica_ui_read_file(const char *who, const char *path, char **out, size_t *out_size,
                              mica_error *error) {
  *out = NULL, *out_size = 0;
  FILE *file = fopen(path, "rb");
  if (!file)
    return mica_error_set(error, errno == ENOENT ? MICA_NOT_FOUND : MICA_IO,
                          "%s: \"%s\" cannot be read: %s", who, path, strerror(errno));
  mica_ui_text text = {0};
  char piece[16384];
  size_t got;
  errno = 0;
  while (!text.failed && text.size < (size_t)1 << 31 &&
         (got = fread(piece, 1, sizeof piece, file)) > 0)
    mica_ui_bytes(&text, piece, got);
  int code = errno;
  bool failed = ferror(file) != 0, large = text.size >= (size_t)1 << 31;
  fclose(file);
  if (text.failed || failed || large) {
    mica_status status = text.failed ? MICA_OUT_OF_MEMORY : MICA_IO;
    const char *why = text.failed ? "out of memory" : large ? "2 GiB or more" : strerror(code);
    mica_ui_free(&text);
    return mica_error_set(error, status, "%s: \"%s\" cannot be read: %s", who, path, why);
  }
  if (!text.bytes) mica_ui_string(&text, "");
  if (!text.bytes) return mica_error_set(error, MICA_OUT_OF_MEMORY, "%s: out of memory", who);
  *out = text.bytes, *out_size = text.size;
  return MICA_OK;
}
