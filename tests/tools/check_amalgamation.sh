#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The amalgamation builds with each compiler without a flag but -O, links with a program that sees mica.h
# alone, and the program runs. One translation unit of everything also shows names that are not unique.
. "$(dirname "$0")/lib.sh"

# First a small tree with what is easily got wrong: lists that are put in twice, a header that is included inside an
# #if before it is needed elsewhere, headers that include each other's neighbors, two spellings of one path.
put() { file=tree/$1; shift; mkdir -p "$(dirname "$file")"; printf '%s\n' "$@" >"$file"; }
rm -rf tree small
put include/mica/core.h '#ifndef CORE_H' '#define CORE_H' '#define MICA_VERSION_MAJOR 1' '#define MICA_VERSION_MINOR 2' \
  '#define MICA_VERSION_PATCH 3' 'typedef struct { int x; } mica_thing;' '#endif'
put include/mica/graph.h '#ifndef GRAPH_H' '#define GRAPH_H' '#include "mica/core.h"' 'int mica_get(mica_thing t);' '#endif'
put src/core/list.def 'ROW(one, 1)' 'ROW(two, 2)'
put src/core/maybe.h '#ifndef MAYBE_H' '#define MAYBE_H' 'enum { MAYBE = 40 };' '#endif'
put src/core/a.c '#include "mica/graph.h"' '#ifdef NEVER' '#include "core/maybe.h"' '#endif' \
  'enum {' '#define ROW(name, value) name = value,' '#include "core/list.def"' '#undef ROW' '};' \
  'static const int sum = 0' '#define ROW(name, value) +name' '#include "list.def"' '#undef ROW' ';' \
  'int mica_get(mica_thing t) { return t.x + sum; }'
put src/core/b.c '#include "maybe.h"' '#include "../core/maybe.h"' '#include <stdio.h>' '#include "mica/core.h"' \
  'int mica_get(mica_thing t);' 'int main(void) { printf("%d\n", mica_get((mica_thing){MAYBE - 1})); return 0; }'
printf 'src/core/a.c\nsrc/core/b.c\n' >tree/core.sources
"$MICA_SOURCE_DIR/tools/amalgamate" small tree >small.log || { cat small.log; fail 'the small tree'; }
quietly ${CC:-cc} -Wall -Wextra small/mica.c -o small/program
[ "$(small/program)" = 42 ] || fail 'the small tree means something else in one file'
put src/core/b.c '#include "gone.h"'
if "$MICA_SOURCE_DIR/tools/amalgamate" small tree >small.log 2>&1; then fail 'a missing header is not noticed'; fi
grep -q 'src/core/b.c:1: include of "gone.h"' small.log || { cat small.log; fail 'a missing header is not named'; }

"$MICA_SOURCE_DIR/tools/amalgamate" "$MICA_TEST_TMP/out"

# The program includes "mica/mica.h"; here that is the one header.
mkdir -p include/mica
cp out/mica.h include/mica/mica.h
for compiler in $(c_compilers); do
  level=-O2
  # Once with full optimization is enough: the sources are the same.
  [ "$compiler" = gcc ] || level=-O1
  start=$(now)
  quietly "$compiler" $level -Wall -Wextra -Wno-unused-function -Werror -c out/mica.c -o mica.o
  quietly "$compiler" -O1 -Wall -Wextra -Werror -Iinclude "$MICA_SOURCE_DIR/tests/consumer/program.c" mica.o -o program -lm -lpthread
  echo "$compiler $level: $(wc -l <out/mica.c) lines in $(($(now) - start)) s"
  ./program
done
