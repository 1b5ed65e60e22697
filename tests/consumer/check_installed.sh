#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the release build into a scratch prefix, moves it, and builds a program against it in the ways that
# people do: find_package, pkg-config (shared and static), plain cc. Then sees that exactly what belongs there
# was installed.
. "$(dirname "$0")/../tools/lib.sh"
rm -rf prefix moved by_cmake installed.txt
cmake --install "$MICA_BUILD_DIR" --prefix "$MICA_TEST_TMP/prefix" >install.log || { cat install.log; fail 'install'; }
mv prefix moved # a tree that names its first place would not work from here on
prefix=$MICA_TEST_TMP/moved
library_folder=$(dirname "$(find "$prefix" -name libmica.a)")
program=$MICA_SOURCE_DIR/tests/consumer/program.c
cc=${CC:-cc}

echo 'find_package:'
cmake -S "$MICA_SOURCE_DIR/tests/consumer" -B by_cmake -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF >cmake.log 2>&1 && cmake --build by_cmake >>cmake.log 2>&1 ||
  { cat cmake.log; fail 'find_package'; }
by_cmake/consumer
by_cmake/consumer_static
if cmake -S "$MICA_SOURCE_DIR/tests/consumer" -B by_cmake_wrong -DCMAKE_PREFIX_PATH=/nonexistent >/dev/null 2>&1; then
  fail 'the consumer found a Mica that is not the installed one'
fi

echo 'plain cc:'
quietly $cc -std=c17 -Wall -Wextra -I"$prefix/include" "$program" -L"$library_folder" -lmica -Wl,-rpath,"$library_folder" -o plain
./plain
quietly $cc -std=c17 -I"$prefix/include" "$program" "$library_folder/libmica.a" -lm -lpthread -o plain_static
./plain_static
if have readelf; then
  readelf -d plain | grep -qF '[libmica.so.0]' || fail 'the program does not ask for libmica.so.0'
  if readelf -d plain_static | grep -q libmica; then fail 'the static program asks for a shared libmica'; fi
fi

echo 'pkg-config:'
if have pkg-config; then
  PKG_CONFIG_PATH=$library_folder/pkgconfig
  export PKG_CONFIG_PATH
  pkg-config --validate mica
  [ "$(pkg-config --modversion mica)" = "$(./plain | sed 's/^mica \([0-9.]*\):.*/\1/')" ] || fail 'mica.pc has another version'
  # shellcheck disable=SC2046
  quietly $cc "$program" $(pkg-config --cflags --libs mica) -Wl,-rpath,"$library_folder" -o by_pkg_config
  ./by_pkg_config
  # shellcheck disable=SC2046
  quietly $cc -static "$program" $(pkg-config --static --cflags --libs mica) -o by_pkg_config_static
  ./by_pkg_config_static
else
  fail 'pkg-config is missing'
fi

if [ -f "$prefix/include/mica/mica.hpp" ] && have g++; then
  echo 'C++:'
  printf '#include <mica/mica.hpp>\n#include <cstring>\nint main() { return std::strlen(mica_version()) == 0; }\n' >program.cc
  quietly g++ -std=c++17 -Wall -Wextra -I"$prefix/include" program.cc -L"$library_folder" -lmica -Wl,-rpath,"$library_folder" -o cpp
  ./cpp
fi

# Every public header, nothing else.
(cd "$MICA_SOURCE_DIR/include" && find mica -type f | LC_ALL=C sort) >expected.txt
(cd "$prefix/include" && find . -type f | sed 's|^\./||' | LC_ALL=C sort) >installed.txt
diff expected.txt installed.txt || fail 'the installed headers are not those of include/mica'
for file in libmica.a libmica.so libmica.so.0 pkgconfig/mica.pc cmake/Mica/MicaConfig.cmake cmake/Mica/MicaConfigVersion.cmake; do
  [ -e "$library_folder/$file" ] || fail "not installed: $file"
done
if [ -e "$prefix/bin/mica" ] && ! grep -q 'mica plugin' "$prefix/share/man/man1/mica.1"; then fail 'the manual page is not installed'; fi
if grep -rlF -- "$MICA_SOURCE_DIR" "$prefix/include" "$library_folder/cmake" "$library_folder/pkgconfig"; then
  fail 'installed files name the source tree'
fi
echo 'the installed tree works from where it was moved to'
