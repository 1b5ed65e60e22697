/* SPDX-License-Identifier: Apache-2.0 */
/* 10,000 random programs (500 under a sanitizer) in ten parts, each operator and block in 50 of them. Each part
 * can run alone by its name; what all of them were made of is judged after the last one.
 *
 * MICA_TEST_PART=K/N cuts them into N processes instead: process K of 0 .. N - 1 takes every N-th program, and
 * MICA_RANDOM_TALLY=FILE keeps what they were made of for tests/random/add_parts.py, which adds the files up and
 * judges the sums. */
#include <inttypes.h>
#include <stdio.h>
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
  const char *given = getenv("MICA_TEST_PART");
  uint64_t process, processes;
  if (random_chosen()) { /* what the environment asks for */
    if (part > 0) CHECK_SKIP("part 0 ran the chosen ones");
    random_run(0, PART, 1, &all);
  } else if (!given) {
    random_run(part * PART, PART, 1, &all);
  } else if (sscanf(given, "%" SCNu64 "/%" SCNu64, &process, &processes) != 2 || processes == 0 ||
             process >= processes) {
    CHECK_FAIL("MICA_TEST_PART=%s: expected K/N, K from 0 to N - 1", given);
  } else { /* the first of this part that is `process` modulo `processes` */
    uint64_t begin = part * PART,
             first = begin + (process + processes - begin % processes) % processes;
    uint64_t count = first < begin + PART ? (begin + PART - first + processes - 1) / processes : 0;
    random_run(first, (int64_t)count, processes, &all);
  }
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
