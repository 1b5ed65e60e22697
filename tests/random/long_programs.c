/* SPDX-License-Identifier: Apache-2.0 */
/* 10,000 random programs (1,000 under a sanitizer), each operator and block in 50 of them. */
#include "check.h"
#include "random/checks.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { PROGRAMS = 500 };
#else
enum { PROGRAMS = 10000 };
#endif

TEST(programs) {
  random_run(0, PROGRAMS, PROGRAMS >= 10000);
  random_end();
}
TEST_MAIN(TEST_CASE(programs))
