# SPDX-License-Identifier: Apache-2.0
# CMake reads this for CMAKE_SYSTEM_NAME "WASI", which it does not know by itself.
set(WASI 1)
set(CMAKE_EXECUTABLE_SUFFIX .wasm)
set(CMAKE_SHARED_LIBRARY_LINK_C_FLAGS "")
