# SPDX-License-Identifier: Apache-2.0
# WebAssembly by Debian's clang-22, lld-22, wasi-libc and libclang-rt-22-dev-wasm32; tests run in Node.
#   cmake -S . -B build/wasm --toolchain cmake/toolchains/wasm32-wasi.cmake
# No threads: that libc has none. What is easily got wrong here:
#   --no-wasm-opt      the driver runs any wasm-opt that it finds, and Debian's is too old for what clang writes
#   wasm32-wasi        clang would rather say wasm32-wasip1, but Debian's libc lies under the older name
#   stack-size         the default stack is 64 KiB, below the data, and an overflow is not noticed
list(APPEND CMAKE_MODULE_PATH "${CMAKE_CURRENT_LIST_DIR}") # Platform/WASI.cmake
set(CMAKE_SYSTEM_NAME WASI)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
find_program(CMAKE_C_COMPILER NAMES clang-22 clang-21 clang-20 clang-19 REQUIRED)
set(CMAKE_C_COMPILER_TARGET wasm32-wasi)
set(CMAKE_C_FLAGS_INIT "-Wno-deprecated -msimd128 -mbulk-memory")
set(CMAKE_EXE_LINKER_FLAGS_INIT "--no-wasm-opt -Wl,-z,stack-size=8388608,--max-memory=4294967296,--stack-first")
find_program(node NAMES node nodejs)
if(node)
  set(CMAKE_CROSSCOMPILING_EMULATOR "${node};--no-warnings;${CMAKE_CURRENT_LIST_DIR}/../../tests/cross/run_wasi.mjs")
endif()
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
