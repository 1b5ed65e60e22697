# SPDX-License-Identifier: Apache-2.0
# one_command COMPILER: builds a program and all sources of the core by one command, as the README says, and
# runs it. Seconds are reported, not judged: the machine may be busy.
one_command() {
  have "$1" || skip "$1 is missing"
  program=$MICA_TEST_TMP/program
  rm -f "$program"
  cd "$MICA_SOURCE_DIR"
  start=$(now)
  # shellcheck disable=SC2046,SC2086
  "$1" -O2 -std=c17 -D_GNU_SOURCE -DNDEBUG -ffp-contract=off $warnings -Iinclude -Isrc \
    tests/consumer/program.c $(cat core.sources) -o "$program" -lm -lpthread >"$MICA_TEST_TMP/log" 2>&1 ||
    { head -n 40 "$MICA_TEST_TMP/log" >&2; fail "the one-command build with $1"; }
  if [ -s "$MICA_TEST_TMP/log" ]; then head -n 40 "$MICA_TEST_TMP/log" >&2; fail "warnings of $1"; fi
  echo "$1: $(wc -l <core.sources) sources in $(($(now) - start)) s"
  "$program"
}
