#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The same sources as WebAssembly: built by clang for WASI without warnings, run in Node.
. "$(dirname "$0")/../tools/lib.sh"
. "$MICA_SOURCE_DIR/tests/cross/cross.sh"
have clang-22 || have clang-21 || have clang-20 || have clang-19 || skip 'clang-22 is missing (clang-22, lld-22)'
echo 'int main(void) { return 0; }' >probe.c
"$(for name in clang-22 clang-21 clang-20 clang-19; do if have $name; then echo $name; break; fi; done)" --target=wasm32-wasi \
  -Wno-deprecated --no-wasm-opt probe.c -o probe.wasm 2>probe.log ||
  { cat probe.log >&2; skip 'clang makes no WASI program (wasi-libc, lld-22, libclang-rt-22-dev-wasm32)'; }
have node || have nodejs || skip 'node is missing (nodejs)'
cross_build wasm wasm32-wasi.cmake wasm32
