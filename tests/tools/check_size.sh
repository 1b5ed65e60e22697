#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How large the release library is: the stripped libmica.so, and code and data (`size`: text + data) of its
# objects: the kernels, the folders below them, and what is built on top of those (several devices among it).
. "$(dirname "$0")/lib.sh"
have size && have strip || skip 'size and strip (binutils) are missing'
library=$MICA_BUILD_DIR/libmica.so
[ -e "$library" ] || fail "$library is missing"
[ "$(uname -m)" = x86_64 ] || skip 'the limits are those of x86-64, which has three rows of kernels'

# Bytes. 1 MB is 1,000,000.
most_stripped=3000000 most_kernels=1600000 most_rest=1200000

strip -o stripped.so "$library"
stripped=$(wc -c <stripped.so)

# The objects that the library is linked from, by the list of sources: BYTES SOURCE.
while read -r source; do
  layer=${source#src/}
  object=$MICA_BUILD_DIR/CMakeFiles/mica_${layer%%/*}.dir/$source.o
  [ -e "$object" ] || fail "$object is missing"
  echo "$(size "$object" | awk 'NR == 2 {print $1 + $2}') $source"
done <"$MICA_SOURCE_DIR/core.sources" >members
[ -s members ] || fail 'core.sources names no source'

awk -v stripped="$stripped" -v most_stripped=$most_stripped -v most_kernels=$most_kernels -v most_rest=$most_rest '
  function line(what, bytes, most) {
    printf "%-44s %9d bytes", what, bytes
    if (most) {
      printf ", at most %9d%s", most, bytes > most ? "  TOO LARGE" : ""
      if (bytes > most) bad = 1
    }
    printf "\n"
  }
  {
    folder = $2; sub(/^src\//, "", folder); sub(/\/.*/, "", folder)
    if ($2 ~ /^src\/backend\/cpu\/kernels\//) kernels += $1
    else if ($2 ~ /mesh|collective|manual/) devices += $1
    else { part[folder] += $1; if (folder ~ /^(platform|core|graph|backend|jit)$/) rest += $1 }
  }
  END {
    above = part["nn"] + part["data"] + part["model"] + part["train"] + devices
    line("libmica.so, stripped", stripped)
    line("without nn, data, model, train, devices", stripped - above, most_stripped)
    line("kernels: src/backend/cpu/kernels", kernels, most_kernels)
    line("the rest: platform, core, graph, backend, jit", rest, most_rest)
    line("several devices: mesh, manual, collectives", devices)
    for (folder in part) printf "  src/%-38s %9d bytes\n", folder, part[folder]
    exit bad
  }' members || bad=1
echo 'the ten largest members:'
LC_ALL=C sort -k1,1nr -k2 members | head -n 10 | awk '{printf "  %9d %s\n", $1, $2}'
[ -z "${bad:-}" ] || fail 'a part is larger than it may be'
