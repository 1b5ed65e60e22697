# SPDX-License-Identifier: Apache-2.0
# cross_build NAME TOOLCHAIN_FILE PROCESSOR: builds the library and the programs of programs.list with cmake/toolchains/TOOLCHAIN_FILE,
# into build/cross/<name>, which is kept between runs, and runs the programs under the emulator.
cross_build() { # NAME TOOLCHAIN_FILE PROCESSOR
  folder=$MICA_SOURCE_DIR/build/cross/$1
  if [ ! -f "$folder/CMakeCache.txt" ]; then
    rm -rf "$folder"
    generator='Unix Makefiles'
    if have ninja; then generator=Ninja; fi
    cmake -S "$MICA_SOURCE_DIR" -B "$folder" -G "$generator" --toolchain "$MICA_SOURCE_DIR/cmake/toolchains/$2" \
      -DCMAKE_BUILD_TYPE=Release -DMICA_SHARED=OFF -DMICA_EXAMPLES=OFF -DMICA_BENCH=OFF -DMICA_INSTALL=OFF \
      -DMICA_WARNINGS_AS_ERRORS=ON >cmake.log 2>&1 || { cat cmake.log; fail "configuring for $1"; }
  fi
  start=$(now)
  cmake --build "$folder" -j 2 >build.log 2>&1 || { tail -n 60 build.log; fail "building for $1"; }
  echo "$1: built in $(($(now) - start)) s"
  programs=$(awk -v processor="$3" '/^[^# ]/ && (NF == 1 || $2 == processor) {n++} END {print n}' "$MICA_SOURCE_DIR/tests/cross/programs.list")
  ctest --test-dir "$folder" --output-on-failure --no-tests=error --timeout 600 >test.log 2>&1 || { cat test.log; fail "tests on $1"; }
  cat test.log
  # A list that is read wrongly would leave nothing to fail.
  grep -q "100% tests passed, 0 tests failed out of $programs\$" test.log || fail "not all of the $programs programs ran"
  if grep -q 'Skipped' test.log; then fail "a program of the list was skipped on $1"; fi
}
