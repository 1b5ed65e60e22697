#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each public header compiles alone, as C11, C17 and C++17 (mica.hpp as C++17), under every warning, with each
# compiler of the machine, and without _GNU_SOURCE: programs need not set it.
. "$(dirname "$0")/lib.sh"
count=0
cd "$MICA_SOURCE_DIR"
headers=$(find include/mica -name '*.h' | LC_ALL=C sort)
[ -n "$headers" ] || fail 'no headers'
cd "$MICA_TEST_TMP"
for header in $headers; do
  name=${header#include/}
  printf '#include "%s"\n#include "%s"\ntypedef int not_empty;\n' "$name" "$name" >alone.c
  cp alone.c alone.cc
  for compiler in $(c_compilers); do
    for standard in c11 c17; do
      # shellcheck disable=SC2086
      quietly "$compiler" -std=$standard $warnings -I"$MICA_SOURCE_DIR/include" -fsyntax-only alone.c
      count=$((count + 1))
    done
  done
  for compiler in g++ clang++; do
    have $compiler || continue
    # shellcheck disable=SC2086
    quietly $compiler -std=c++17 $warnings -I"$MICA_SOURCE_DIR/include" -fsyntax-only alone.cc
    count=$((count + 1))
  done
done
if [ -f "$MICA_SOURCE_DIR/include/mica/mica.hpp" ]; then
  printf '#include "mica/mica.hpp"\n#include "mica/mica.hpp"\n' >alone.cc
  for compiler in g++ clang++; do
    have $compiler || continue
    for more in -fexceptions -fno-exceptions; do
      # shellcheck disable=SC2086
      quietly $compiler -std=c++17 $more $warnings -I"$MICA_SOURCE_DIR/include" -fsyntax-only alone.cc
      count=$((count + 1))
    done
  done
fi
# The number of a trace's results has to be in the lambda's type: a vector is refused, and told why.
if have g++; then
  cat >lambda.cc <<'END'
#include "mica/mica.hpp"
int main() {
  mica::jit run(mica::device(), [](mica::value x) { return std::RESULT{x, x}; });
}
END
  g++ -std=c++17 -I"$MICA_SOURCE_DIR/include" -fsyntax-only '-DRESULT=array<mica::value, 2>' lambda.cc ||
    fail 'a lambda that returns an array does not compile'
  g++ -std=c++17 -I"$MICA_SOURCE_DIR/include" -fsyntax-only '-DRESULT=vector<mica::value>' lambda.cc 2>log &&
    fail 'a lambda that returns a vector compiles'
  grep -q 'mica::jit::counted' log || fail 'a lambda that returns a vector is not told about mica::jit::counted'
fi
echo "$count compilations of headers alone, all silent"
