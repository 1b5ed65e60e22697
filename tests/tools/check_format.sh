#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The tree is as `./dev format` leaves it. Other versions of clang-format lay some lines out differently, so
# only version 14 judges.
. "$(dirname "$0")/lib.sh"
if ! have clang-format-14 && ! { have clang-format && clang-format --version | grep -q 'version 14\.'; }; then
  skip 'clang-format 14 is missing'
fi
"$MICA_SOURCE_DIR/dev" format --check
