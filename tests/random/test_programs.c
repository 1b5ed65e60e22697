/* SPDX-License-Identifier: Apache-2.0 */
/* 300 random programs; every operator has a row in the generator. By hand:
 *   MICA_RANDOM_SEED=17 MICA_RANDOM_COUNT=1 build/release/tests/random.programs  one program
 *   build/release/tests/random.programs --write FOLDER N [SEED [NODES]]  N programs for to_jax.py
 * MICA_RANDOM_FAILURES=N goes on after N - 1 failures (else 4), MICA_RANDOM_UNSHRUNK=1 leaves them as they are,
 * MICA_RANDOM_TRACE=1 names each seed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "random/checks.h"

TEST(every_operator_has_a_row) {
  for (int op = 1; op < MICA_OP_COUNT; op++) {
    if (op == MICA_OP_PARAMETER || op == MICA_OP_ARGUMENT || op == MICA_OP_RESULT) continue;
    if (random_leaves_out((mica_op)op)) continue;
    if (!random_operator_has_row((mica_op)op))
      CHECK_FAIL(
          "operator %s is in no random program: expected a row in tests/random/rows_*.c (a "
          "pointwise one with more than one attribute needs one too)",
          mica_op_definition((mica_op)op)->name);
  }
}
TEST(programs) {
  random_statistics *s = calloc(1, sizeof *s);
  random_run(1000000, 300, 1, s);
  if (!random_chosen()) {
    random_run(1969, 1, 1, s); /* groups that waited for each other */
    random_run(7212, 2, 1, s); /* remainders that are zero in one engine: a phase, a reflection */
  }
  random_report(s, false);
  random_end();
  free(s);
}

static const check_case cases[] = {TEST_CASE(every_operator_has_a_row), TEST_CASE(programs)};
int main(int argc, char **argv) {
  if (argc >= 4 && !strcmp(argv[1], "--write"))
    return random_write(argv[2], argc > 4 ? strtoull(argv[4], NULL, 10) : 0,
                        strtoll(argv[3], NULL, 10),
                        argc > 5 ? strtoll(argv[5], NULL, 10) : INT64_MAX)
               ? 0
               : 1;
  return check_main(argc, argv, cases, 2);
}
