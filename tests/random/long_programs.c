/* SPDX-License-Identifier: Apache-2.0 */
/* 10,000 random programs (500 under a sanitizer), each operator and block in 50 of them. */
#include "check.h"
#include "random/checks.h"

#ifdef MICA_TEST_SANITIZED
enum { PROGRAMS = 500 };
#else
enum { PROGRAMS = 10000 };
#endif

TEST(programs) {
  random_run(0, PROGRAMS, PROGRAMS >= 10000);
  random_end();
}
TEST_MAIN(TEST_CASE(programs))
