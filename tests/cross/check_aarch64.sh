#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The same sources on 64-bit Arm: built by the cross compiler without warnings, run under qemu.
. "$(dirname "$0")/../tools/lib.sh"
. "$MICA_SOURCE_DIR/tests/cross/cross.sh"
have aarch64-linux-gnu-gcc || skip 'aarch64-linux-gnu-gcc is missing (gcc-aarch64-linux-gnu, libc6-dev-arm64-cross)'
have qemu-aarch64 || have qemu-aarch64-static || skip 'qemu-aarch64 is missing (qemu-user)'
cross_build aarch64 aarch64-linux-gnu.cmake aarch64
