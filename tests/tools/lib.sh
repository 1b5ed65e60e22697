# SPDX-License-Identifier: Apache-2.0
# What the shell checks share; they begin with `. "$(dirname "$0")/../tools/lib.sh"`. Each runs in a scratch
# folder of its own, with MICA_SOURCE_DIR and MICA_BUILD_DIR set by CTest or found from where the script lies.
set -eu
: "${MICA_SOURCE_DIR:=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)}"
: "${MICA_BUILD_DIR:=$MICA_SOURCE_DIR/build/release}"
: "${MICA_TEST_TMP:=$MICA_BUILD_DIR/tests/tmp/$(basename -- "$0" .sh)}"
mkdir -p -- "$MICA_TEST_TMP"
cd -- "$MICA_TEST_TMP"

# The flags of the strict builds; the language is given apart.
warnings='-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror'

fail() { echo "FAIL: $*" >&2; exit 1; }
# Exit code 77: CTest lists the test as skipped, with its reason above.
skip() { echo "SKIPPED: $*" >&2; exit 77; }
have() { command -v "$1" >/dev/null 2>&1; }

# The C compilers of this machine, gcc and clang first; each under one name only.
c_compilers() {
  found=''
  for compiler in gcc clang; do if have $compiler; then found="$found $compiler"; fi; done
  if [ -z "$found" ]; then found=${CC:-cc}; fi
  echo "$found"
}

# Runs a command and fails if it says anything: a build without warnings is silent.
quietly() {
  if ! "$@" >quietly.log 2>&1; then head -n 40 quietly.log >&2; fail "$*"; fi
  if [ -s quietly.log ]; then head -n 40 quietly.log >&2; fail "not silent: $*"; fi
}

# Seconds since some moment, for reports of how long builds take.
now() { date +%s; }
