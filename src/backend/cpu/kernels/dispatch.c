/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the row of kernels: the last of the table whose feature bits the CPU has. */
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/kernels/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static bool dispatch_has_baseline(void) { return true; }

#if defined(__x86_64__)
/* __builtin_cpu_supports also asks the operating system whether it saves the wide registers. */
static bool dispatch_has_avx2(void) {
  unsigned eax, ebx, ecx = 0, edx;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C) != 0;
}

static bool dispatch_has_avx512(void) {
  return dispatch_has_avx2() && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}
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
