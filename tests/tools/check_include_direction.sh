#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The includes of the tree follow the layers; and the check itself finds each kind of wrong arrow.
. "$(dirname "$0")/lib.sh"
check=$MICA_SOURCE_DIR/tools/check_includes
"$check"

# put FILE LINE... : a small tree to be found fault with.
put() { file=tree/$1; shift; mkdir -p "$(dirname "$file")"; printf '%s\n' "$@" >"$file"; }
begin() {
  rm -rf tree
  put include/mica/core.h '/* core */'
  put include/mica/graph.h '#include "mica/core.h"'
  put src/core/memory.h '/* memory */'
  put src/graph/graph_internal.h '#include "mica/graph.h"' '#include "core/memory.h"'
  put src/backend/cpu/cpu_internal.h '#include "graph/graph_internal.h"'
  put src/backend/cpu/kernels/gemm.c '#include <math.h>' '#include "backend/cpu/cpu_internal.h"' '#include "../cpu_internal.h"'
}
expect() { # TEXT: the check fails and says TEXT
  if "$check" tree >out 2>&1; then cat out; fail "not found: $1"; fi
  grep -qF -- "$1" out || { cat out; fail "the message lacks: $1"; }
}
begin
"$check" tree >out || { cat out; fail 'a right tree is refused'; }

put src/core/bad.c '' '#  include "graph/x.h"'
put src/graph/x.h ''
expect 'src/core/bad.c:2: #include "graph/x.h": core may not use graph'
begin; put src/platform/bad.c '#include <mica/core.h>'
expect 'platform may not use core'
begin; put src/nn/bad.c '#include "backend/cpu/cpu_internal.h"'
expect 'stays in its folder'
begin; put src/nn/bad.c '#include "graph/graph_internal.h"'
expect 'stays in its folder'
begin; put src/nn/good.c '#include "mica/graph.h"'; put src/data/bad.c '#include "mica/jit.h"'; put include/mica/jit.h ''
expect 'data may not use jit'
begin; put src/backend/reference/bad.c '#include "backend/cpu/rows.h"'; put src/backend/cpu/rows.h ''
expect 'a backend never includes another'
begin; put include/mica/graph.h '#include "core/memory.h"'
expect 'a public header includes public headers only'
begin; put src/jit/bad.c '#include "mica/mica.h"'; put include/mica/mica.h '#include "mica/core.h"'
expect 'not all of them'
begin; put examples/bad.c '#include "core/memory.h"'
expect 'programs see the public headers only'
begin; put src/core/bad.c '#include "core/gone.h"'
expect 'names no file of the tree'
begin; put src/core/bad.c '#include WHAT'
expect 'a computed include'
begin; put src/other/bad.c '#include "mica/core.h"'
expect 'is not in tools/layers.txt'
echo 'the include check finds what it should'
