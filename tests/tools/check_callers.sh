#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every public function that builds a part of a graph begins with MICA_ENTRY (graph_internal.h), so that a mistake
# remembers the call that made it.
. "$(dirname "$0")/lib.sh"
cd -- "$MICA_SOURCE_DIR"

# Builders are what the graph's headers declare with a value, a region or nothing as their result.
cat include/mica/graph.h include/mica/ops/*.h | tr '\n' ' ' | sed 's|/\*[^*]*\*\([^/*][^*]*\*\)*/| |g; s|MICA_API|\nMICA_API|g' |
  sed -n 's/^MICA_API *\(mica_value\|mica_region\|void\) *\(mica_[a-z0-9_]*\) *(.*/\2/p' |
  grep -vx 'mica_graph_destroy\|mica_variable_release\|mica_fail' | LC_ALL=C sort -u >"$MICA_TEST_TMP/builders"

# Those that a macro defines have no definition of their own here.
find src/graph -name '*.c' -exec cat {} + | awk -v list="$MICA_TEST_TMP/builders" '
  BEGIN { while ((getline name < list) > 0) builder[name] = 1 }
  /^(mica_value|mica_region|void) *\(?mica_[a-z0-9_]+\)? *\(/ {
    name = $0; sub(/^[a-z_]+ *\(?/, "", name); sub(/[^a-z0-9_].*/, "", name)
    if (name in builder) { head = 1; seen = 0; entered = 0; total++ }
  }
  head && /MICA_ENTRY/ { entered = 1 }
  head && /^\}/ {
    if (!entered) { print name ": its body does not begin with MICA_ENTRY(graph): see docs/add-an-operator.md"; bad = 1 }
    head = 0
  }
  head && /\{.*\}$/ { print name ": its body does not begin with MICA_ENTRY(graph): see docs/add-an-operator.md"; bad = 1; head = 0 }
  END {
    if (total < 100) { print "only " total " builders found: the check looks in the wrong place"; exit 1 }
    print total " builders begin with MICA_ENTRY"
    exit bad
  }' || fail 'a builder does not note its caller'
