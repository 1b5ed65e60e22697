#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every file is licensed, small and tidy; and the check itself finds what is not.
. "$(dirname "$0")/lib.sh"
check=$MICA_SOURCE_DIR/tools/check_files
"$check"

begin() {
  rm -rf tree
  mkdir -p tree/src
  # A repository of its own, or git would list the one around it.
  if have git; then git init -q tree; fi
  printf '/* SPDX-License-Identifier: Apache-2.0 */\nint x;\n' >tree/src/a.c
}
expect() { # TEXT: the check fails and says TEXT
  if "$check" tree >out 2>&1; then cat out; fail "not found: $1"; fi
  grep -qF -- "$1" out || { cat out; fail "the message lacks: $1"; }
}
begin
"$check" tree >out || { cat out; fail 'a right tree is refused'; }
echo 'int y;' >tree/src/b.c
expect 'src/b.c: no SPDX-License-Identifier line at its top'
begin; printf 'int y; \n' >>tree/src/a.c
expect 'src/a.c:3: a blank at the end'
begin; printf '\tint y;\n' >>tree/src/a.c
expect 'src/a.c:3: a tab'
begin; head -c 1048577 /dev/zero >tree/large.bin
expect 'large.bin: 1048577 bytes, more than 1 MB'
echo 'the check of the files finds what it should'
