#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The lists of sources equal the tree; and the check itself finds what differs.
. "$(dirname "$0")/lib.sh"
check=$MICA_SOURCE_DIR/tools/check_sources
"$check"

begin() {
  rm -rf tree
  mkdir -p tree/src/core tree/src/ui
  touch tree/src/core/a.c tree/src/core/b.c tree/src/ui/c.c
  printf 'src/core/a.c\nsrc/core/b.c\n' >tree/core.sources
  printf 'src/ui/c.c\n' >tree/src/ui/ui.sources
}
expect() { # TEXT: the check fails and says TEXT
  if "$check" tree >out 2>&1; then cat out; fail "not found: $1"; fi
  grep -qF -- "$1" out || { cat out; fail "the message lacks: $1"; }
}
begin
"$check" tree >out || { cat out; fail 'a right tree is refused'; }
touch tree/src/core/new.c
expect 'src/core/new.c: in the tree, not in core.sources'
begin; rm tree/src/core/b.c
expect 'src/core/b.c: in core.sources, not in the tree'
begin; echo src/core/a.c >>tree/core.sources
expect 'listed twice: src/core/a.c'
begin; echo '# a comment' >>tree/core.sources
expect 'not a plain path'
begin; touch tree/src/ui/d.c
expect 'src/ui/d.c: in the tree, not in src/ui/ui.sources'
echo 'the check of the lists finds what it should'
