/* SPDX-License-Identifier: Apache-2.0 */
/* file_map.c: a file as memory, by mmap; where there are no maps, a copy. */
#include "platform/platform.h"

#include <errno.h>
#include <stdlib.h>

#ifdef __wasi__

int mica_file_map(const char *path, const void **out_bytes, size_t *out_size) {
  uint64_t size = 0;
  int code = mica_file_size(path, &size);
  if (code != 0) return code;
  void *bytes = size < SIZE_MAX ? mica_pages_map((size_t)size) : NULL;
  if (bytes == NULL) return ENOMEM;
  code = mica_file_read(path, 0, bytes, (size_t)size);
  if (code != 0) {
    mica_pages_unmap(bytes, (size_t)size);
    return code;
  }
  *out_bytes = bytes;
  *out_size = (size_t)size;
  return 0;
}

void mica_file_unmap(const void *bytes, size_t size) { mica_pages_unmap((void *)bytes, size); }

#else

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int mica_file_map(const char *path, const void **out_bytes, size_t *out_size) {
  int descriptor;
  do descriptor = open(path, O_RDONLY | O_CLOEXEC);
  while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) return errno;
  struct stat status;
  int code = fstat(descriptor, &status) != 0       ? errno
             : S_ISDIR(status.st_mode)             ? EISDIR
             : !S_ISREG(status.st_mode)            ? EINVAL
             : (uint64_t)status.st_size > SIZE_MAX ? EFBIG
                                                   : 0;
  void *bytes = NULL;
  size_t size = code == 0 ? (size_t)status.st_size : 0;
  if (code == 0) { /* an empty file maps to one page that nobody reads */
    bytes = size > 0 ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0)
                     : mmap(NULL, 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED) code = errno;
  }
  close(descriptor);
  if (code != 0) return code;
  *out_bytes = bytes;
  *out_size = size;
  return 0;
}

void mica_file_unmap(const void *bytes, size_t size) {
  if (bytes != NULL) munmap((void *)(uintptr_t)bytes, size == 0 ? 1 : size);
}

#endif
