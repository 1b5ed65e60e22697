/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the row of kernels: the last of the table whose instructions the CPU has and whose registers the
 * operating system saves when it switches threads (XCR0, read by XGETBV: Intel SDM volume 1, 13.3). */
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/kernels/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum {
  /* leaf 1, ecx */
  DISPATCH_FMA = 1 << 12,
  DISPATCH_OSXSAVE = 1 << 27, /* XGETBV may be asked */
  DISPATCH_AVX = 1 << 28,
  DISPATCH_F16C = 1 << 29,
  /* leaf 7, ebx */
  DISPATCH_AVX2 = 1 << 5,
  DISPATCH_AVX512F = 1 << 16,
  DISPATCH_AVX512DQ = 1 << 17,
  DISPATCH_AVX512BW = 1 << 30,
  /* XCR0: SSE and AVX registers; masks and both parts of the AVX-512 registers */
  DISPATCH_SAVES_AVX = 0x06,
  DISPATCH_SAVES_AVX512 = 0xe6
};
static const uint32_t dispatch_avx512vl = UINT32_C(1) << 31;

static bool dispatch_has(uint32_t bits, uint32_t wanted) { return (bits & wanted) == wanted; }

int32_t mica_cpu_x86_row(const mica_cpu_x86_features *f) {
  const uint32_t avx = DISPATCH_OSXSAVE | DISPATCH_AVX | DISPATCH_FMA | DISPATCH_F16C;
  const uint32_t avx512 =
      DISPATCH_AVX512F | DISPATCH_AVX512DQ | DISPATCH_AVX512BW | dispatch_avx512vl;
  if (!dispatch_has(f->leaf1_ecx, avx) || !dispatch_has(f->leaf7_ebx, DISPATCH_AVX2) ||
      !dispatch_has(f->xcr0, DISPATCH_SAVES_AVX))
    return 0;
  return dispatch_has(f->leaf7_ebx, avx512) && dispatch_has(f->xcr0, DISPATCH_SAVES_AVX512) ? 2 : 1;
}

#if defined(__x86_64__)
static int32_t dispatch_x86_row(void) {
  mica_cpu_x86_features f = {0};
  unsigned eax, ebx, ecx, edx;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0) f.leaf1_ecx = ecx;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0) f.leaf7_ebx = ebx;
  if (dispatch_has(f.leaf1_ecx, DISPATCH_OSXSAVE))
    __asm__ volatile("xgetbv" : "=a"(f.xcr0), "=d"(edx) : "c"(0));
  return mica_cpu_x86_row(&f);
}
#endif

static bool dispatch_has_baseline(void) { return true; }
#if defined(__x86_64__)
static bool dispatch_has_avx2(void) { return dispatch_x86_row() >= 1; }
static bool dispatch_has_avx512(void) { return dispatch_x86_row() >= 2; }
#endif

static const struct {
  bool (*supported)(void);
  const mica_cpu_kernels *kernels;
} dispatch_rows[] = {
    {dispatch_has_baseline, &mica_cpu_kernels_baseline},
#if defined(__x86_64__)
    {dispatch_has_avx2, &mica_cpu_kernels_avx2},
    {dispatch_has_avx512, &mica_cpu_kernels_avx512},
#endif
};

enum { DISPATCH_ROW_COUNT = sizeof dispatch_rows / sizeof dispatch_rows[0] };

const mica_cpu_kernels *mica_cpu_kernels_at(int32_t index) {
  for (int32_t row = 0; row < DISPATCH_ROW_COUNT; row++) {
    if (!dispatch_rows[row].supported()) continue;
    if (index-- == 0) return dispatch_rows[row].kernels;
  }
  return NULL;
}

const mica_cpu_kernels *mica_cpu_kernels_select(const char *name) {
  if (!name) name = getenv("MICA_CPU_ISA");
  const bool any = !name || name[0] == '\0';
  const mica_cpu_kernels *chosen = NULL;
  for (int32_t row = 0; row < DISPATCH_ROW_COUNT; row++) {
    if (!any && strcmp(name, dispatch_rows[row].kernels->name) != 0) continue;
    if (dispatch_rows[row].supported()) chosen = dispatch_rows[row].kernels;
  }
  return chosen;
}
