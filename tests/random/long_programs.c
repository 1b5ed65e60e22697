/* SPDX-License-Identifier: Apache-2.0 */
/* 10,000 random programs (500 under a sanitizer) in ten parts, each operator and block in 50 of them. Each part
 * can run alone by its name; what all of them were made of is judged after the last one. */
#include <stdlib.h>

#include "check.h"
#include "random/checks.h"

#ifdef MICA_TEST_SANITIZED
enum { PART = 50 };
#else
enum { PART = 1000 };
#endif

static random_statistics all;
static void run_part(uint64_t part) {
  if (!random_chosen())
    random_run(part * PART, PART, &all);
  else if (part == 0)
    random_run(0, PART, &all); /* what the environment asks for */
  else
    CHECK_SKIP("part 0 ran the chosen ones");
}
TEST(programs_0) { run_part(0); }
TEST(programs_1) { run_part(1); }
TEST(programs_2) { run_part(2); }
TEST(programs_3) { run_part(3); }
TEST(programs_4) { run_part(4); }
TEST(programs_5) { run_part(5); }
TEST(programs_6) { run_part(6); }
TEST(programs_7) { run_part(7); }
TEST(programs_8) { run_part(8); }
TEST(programs_9) { run_part(9); }
TEST(what_they_were_made_of) {
  random_report(&all, all.programs >= 10000);
  random_end();
}
TEST_MAIN(TEST_CASE(programs_0), TEST_CASE(programs_1), TEST_CASE(programs_2),
          TEST_CASE(programs_3), TEST_CASE(programs_4), TEST_CASE(programs_5),
          TEST_CASE(programs_6), TEST_CASE(programs_7), TEST_CASE(programs_8),
          TEST_CASE(programs_9), TEST_CASE(what_they_were_made_of))
