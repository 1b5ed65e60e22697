#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Names of single files are unique over the library; and the check itself finds those that are not.
. "$(dirname "$0")/lib.sh"
check=$MICA_SOURCE_DIR/tools/check_names
"$check"

put() { file=tree/$1; shift; mkdir -p "$(dirname "$file")"; printf '%s\n' "$@" >"$file"; }
begin() {
  rm -rf tree
  put src/core/a.c '#define WIDTH 3' 'static int twice(int x);' 'static int twice(int x) { return 2 * x; }' '#undef WIDTH' \
    'typedef struct {' '  int x;' '} pair;'
  put src/core/b.c '#define WIDTH 4' '#undef WIDTH' 'static const char *const names[] = {0};'
}
expect() { # TEXT: the check fails and says TEXT
  if "$check" tree >out 2>&1; then cat out; fail "not found: $1"; fi
  grep -qF -- "$1" out || { cat out; fail "the message lacks: $1"; }
}
begin
"$check" tree >out || { cat out; fail 'a right tree is refused'; }
put src/graph/c.c 'static inline long *twice(' '    int x) { return 0; }'
expect 'src/graph/c.c:1: static twice is also in src/core/a.c:2'
begin; put src/graph/c.c '' 'static int names[4] = {1};'
expect 'src/graph/c.c:2: static names is also in src/core/b.c:3'
begin; put src/graph/c.c 'typedef struct {' '  int y;' '} pair;'
expect 'src/graph/c.c:3: type pair is also in src/core/a.c:7'
begin; put src/graph/c.c '#define HEIGHT 3'; put src/graph/d.c '#define HEIGHT 3'
expect 'macro HEIGHT stays defined in src/graph/c.c src/graph/d.c'
begin; put src/graph/c.c 'static void select(int x) { (void)x; }'
expect 'src/graph/c.c:1: static select is a function of the C library'
begin; put src/graph/c.c 'static void MICA_PRINTF(2, 3) twice(int x, const char *format, ...) {'
expect 'static twice is also in'
echo 'the check of the names finds what it should'
