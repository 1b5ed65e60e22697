#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The one-command build of the README, with clang: silent under every warning, and the program runs.
. "$(dirname "$0")/lib.sh"
. "$MICA_SOURCE_DIR/tests/tools/one_command.sh"
one_command clang
