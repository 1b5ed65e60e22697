#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the release build's shared libraries are made of, by `nm -D` and the dynamic section: they export only
# mica_ symbols, import nothing that ends the process or prints, need libc, libm and libpthread only, and have
# their SONAME. Also that no layer calls a function of a layer which it may not use.
. "$(dirname "$0")/lib.sh"
have nm && have readelf || skip 'nm and readelf (binutils) are missing'
library=$MICA_BUILD_DIR/libmica.so
[ -e "$library" ] || fail "$library is missing"

for object in libmica.so libmica_ui.so; do
  [ -e "$MICA_BUILD_DIR/$object" ] || continue
  exported=$(nm -D --defined-only "$MICA_BUILD_DIR/$object" | awk '$3 !~ /^mica_/ && $3 !~ /^MICA_0(@|$)/ {print $3}')
  [ -z "$exported" ] || fail "$object exports more than mica_ symbols: $exported"
done
nm -D --defined-only "$library" | grep -q ' T mica_version' || fail 'libmica.so does not export mica_version'

forbidden='abort|exit|_exit|_Exit|quick_exit|raise|kill|longjmp|siglongjmp|_longjmp|__longjmp_chk|printf|__printf_chk|fprintf|__fprintf_chk|vprintf|__vprintf_chk|vfprintf|__vfprintf_chk|dprintf|puts|fputs|putchar|putc|fputc|_IO_putc|perror|stdout|stderr|__assert_fail|__assert|setenv|putenv|system'
imports() { nm -D --undefined-only "$1" | awk '{sub(/@.*/, "", $2); print $2}'; }
bad=$(imports "$library" | grep -xE "$forbidden" || true)
[ -z "$bad" ] || fail "libmica.so imports:" $bad
# The check itself: a library that aborts is found.
printf '#include <stdlib.h>\nvoid mica_x(void);\nvoid mica_x(void) { abort(); }\n' >aborts.c
${CC:-cc} -shared -fPIC aborts.c -o aborts.so
imports aborts.so | grep -qxE "$forbidden" || fail 'the check does not find abort'
printf '_Thread_local int mica_x;\n' >local.c
${CC:-cc} -shared -fPIC local.c -o local.so
readelf -lW local.so | grep -q '^ *TLS ' || fail 'the check does not find thread-local variables'

for object in libmica.so libmica_ui.so; do
  [ -e "$MICA_BUILD_DIR/$object" ] || continue
  needed=$(readelf -d "$MICA_BUILD_DIR/$object" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
  for name in $needed; do
    case $name in
      libc.so.6 | libm.so.6 | libpthread.so.0 | libc.musl-*) ;;
      libmica.so.0) [ $object != libmica.so ] || fail 'libmica.so needs itself' ;;
      *) fail "$object needs $name" ;;
    esac
  done
  readelf -d "$MICA_BUILD_DIR/$object" | grep -qF "[$object.0]" || fail "$object has no SONAME $object.0"
  # A thread-local variable is state of the process, and makes glibc's loader a library that is needed.
  readelf -lW "$MICA_BUILD_DIR/$object" | grep -q '^ *TLS ' && fail "$object has thread-local variables"
  echo "$object needs:" $needed
done
if have ldd; then
  ldd "$library" | awk '{print $1}' | sed 's|.*/||' |
    grep -vxE 'linux-vdso\.so\.1|ld-linux.*|ld-musl.*|libc\.so\.6|libm\.so\.6|libpthread\.so\.0|libc\.musl.*' &&
    fail 'ldd shows more than libc, libm and libpthread'
fi

# Calls between layers: every mica_ symbol that a layer's objects leave open is defined in a layer that it may use.
objects=$(find "$MICA_BUILD_DIR/CMakeFiles" -path '*.dir/src/*' -name '*.o' | LC_ALL=C sort)
[ -n "$objects" ] || fail 'no objects to look at'
# One line a symbol: OBJECT:[ADDRESS] KIND NAME. An object of a source that is gone does not count.
# shellcheck disable=SC2086
nm -A $objects | awk -v tree="$MICA_SOURCE_DIR" '
  {
    object = $1; sub(/:.*/, "", object)
    if (!(object in source)) {
      name = object; sub(/.*\.dir\/src\//, "src/", name); sub(/\.o$/, "", name)
      source[object] = (getline line < (tree "/" name)) >= 0 ? name : ""
      close(tree "/" name)
    }
    if (source[object] == "") next
    layer = source[object]; sub(/^src\//, "", layer); sub(/\/.*/, "", layer)
    if ($NF ~ /^mica_/) {
      if ($(NF - 1) == "U") print "uses", layer, $NF, source[object]
      else if ($(NF - 1) ~ /^[A-Z]$/) print "defines", layer, $NF, source[object]
    }
  }' >symbols
awk -v table="$MICA_SOURCE_DIR/tools/layers.txt" '
  BEGIN {
    while ((getline row < table) > 0) {
      if (row !~ /^[a-z]+:/) continue
      name = row; sub(/:.*/, "", name); sub(/^[a-z]+:/, "", row)
      known[name] = 1; allowed[name, name] = 1
      n = split(row, below, " ")
      for (i = 1; i <= n; i++)
        for (other in known) if ((below[i], other) in allowed) allowed[name, other] = 1
    }
  }
  $1 == "defines" { home[$3] = $2 }
  $1 == "uses" { users[++count] = $2 " " $3 " " $4 }
  END {
    for (i = 1; i <= count; i++) {
      split(users[i], part, " ")
      if (!(part[2] in home)) { print part[3] " uses " part[2] ", which nobody defines"; bad++ }
      else if (!((part[1], home[part[2]]) in allowed)) { print part[3] " (" part[1] ") calls " part[2] " of " home[part[2]]; bad++ }
    }
    if (bad) exit 1
    print count " uses of functions across files stay within the layers"
  }' symbols || fail 'a layer calls what it may not use'
