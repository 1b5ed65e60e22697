/* SPDX-License-Identifier: Apache-2.0 */
/* pages.c: large zeroed memory straight from the system, by mmap.
 *
 * Linux backs a range by 2 MB pages only where the range covers an aligned 2 MB, so large maps are
 * aligned to that by mapping more and giving the ends back. */
#include "platform/platform.h"

#include <stdlib.h>
#include <string.h>

#ifdef __wasi__

void *mica_pages_map(size_t size) {
  void *pages = NULL;
  if (posix_memalign(&pages, 64, size == 0 ? 1 : size) != 0) return NULL;
  memset(pages, 0, size);
  return pages;
}

void mica_pages_unmap(void *pages, size_t size) {
  (void)size;
  free(pages);
}

#else

#include <sys/mman.h>
#include <unistd.h>

static const size_t huge_page = (size_t)2 << 20;

/* What `size` occupies; 0 on overflow. The same for map and unmap. */
static size_t mapped_size(size_t size) {
  long page = sysconf(_SC_PAGESIZE);
  size_t mask = (page > 0 ? (size_t)page : 4096) - 1;
  if (size > SIZE_MAX / 2) return 0;
  return size == 0 ? mask + 1 : (size + mask) & ~mask;
}

static char *map_anonymous(size_t size) {
  void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return pages == MAP_FAILED ? NULL : pages;
}

void *mica_pages_map(size_t size) {
  size_t whole = mapped_size(size);
  if (whole == 0) return NULL;
  if (whole < huge_page) return map_anonymous(whole);
  char *pages = map_anonymous(whole + huge_page);
  if (pages == NULL) return map_anonymous(whole); /* the address space may be limited */
  size_t before = (huge_page - (uintptr_t)pages % huge_page) % huge_page;
  size_t after = huge_page - before;
  if (before > 0) munmap(pages, before);
  if (after > 0) munmap(pages + before + whole, after);
#ifdef MADV_HUGEPAGE
  (void)madvise(pages + before, whole, MADV_HUGEPAGE);
#endif
  return pages + before;
}

void mica_pages_unmap(void *pages, size_t size) {
  if (pages != NULL) munmap(pages, mapped_size(size));
}

#endif
