#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The amalgamation builds with each compiler without a flag but -O, links with a program that sees mica.h
# alone, and the program runs. One translation unit of everything also shows names that are not unique.
. "$(dirname "$0")/lib.sh"
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
