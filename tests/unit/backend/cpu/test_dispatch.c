/* SPDX-License-Identifier: Apache-2.0 */
/* test_dispatch.c: a row of kernels is chosen only if the CPU has every instruction that it is compiled with
 * and the operating system saves the registers. */
#include "backend/cpu/kernels/kernels.h"
#include "check.h"

#include <string.h>

static const mica_cpu_x86_features zen4 = {0x7ed8320b, 0xf1bf97a9, 0x2e7};
static const mica_cpu_x86_features haswell = {0x7ffafbff, 0x000037ab, 0x07};

TEST(whole_machines) {
  const mica_cpu_x86_features none = {0};
  CHECK_EQ_INT(mica_cpu_x86_row(&none), 0);
  CHECK_EQ_INT(mica_cpu_x86_row(&haswell), 1);
  CHECK_EQ_INT(mica_cpu_x86_row(&zen4), 2);
}

/* Each bit alone takes the row away. */
TEST(missing_bits) {
  static const int avx[] = {12, 27, 28, 29};
  static const int avx512[] = {16, 17, 30, 31};
  for (size_t i = 0; i < sizeof avx / sizeof avx[0]; i++) {
    mica_cpu_x86_features f = zen4;
    f.leaf1_ecx &= ~(UINT32_C(1) << avx[i]);
    if (avx[i] == 27) f.xcr0 = 0;
    CHECK_EQ_INT(mica_cpu_x86_row(&f), 0);
  }
  for (size_t i = 0; i < sizeof avx512 / sizeof avx512[0]; i++) {
    mica_cpu_x86_features f = zen4;
    f.leaf7_ebx &= ~(UINT32_C(1) << avx512[i]);
    CHECK_EQ_INT(mica_cpu_x86_row(&f), 1);
  }
  mica_cpu_x86_features f = zen4;
  f.leaf7_ebx &= ~(UINT32_C(1) << 5);
  CHECK_EQ_INT(mica_cpu_x86_row(&f), 0);
}

/* A system that saves the SSE registers only, or no AVX-512 registers, or not all parts of them. */
TEST(registers_that_are_not_saved) {
  static const struct {
    uint32_t xcr0;
    int32_t row;
  } systems[] = {{0x03, 0}, {0x05, 0}, {0x07, 1}, {0x27, 1}, {0x67, 1}, {0xc7, 1}, {0xe7, 2}};
  for (size_t i = 0; i < sizeof systems / sizeof systems[0]; i++) {
    mica_cpu_x86_features f = zen4;
    f.xcr0 = systems[i].xcr0;
    CHECK_EQ_INT(mica_cpu_x86_row(&f), systems[i].row);
  }
}

TEST(rows_of_this_machine) {
  const mica_cpu_kernels *row = mica_cpu_kernels_at(0), *last = row;
  if (!CHECK(row != NULL)) return;
  CHECK_EQ_STR(row->name, "baseline");
  for (int32_t i = 0; (row = mica_cpu_kernels_at(i)) != NULL; i++) {
    CHECK(mica_cpu_kernels_select(row->name) == row);
    last = row;
  }
  CHECK(mica_cpu_kernels_select("") == last);
  CHECK(mica_cpu_kernels_select("abacus") == NULL);
}

TEST_MAIN(TEST_CASE(whole_machines), TEST_CASE(missing_bits),
          TEST_CASE(registers_that_are_not_saved), TEST_CASE(rows_of_this_machine))
