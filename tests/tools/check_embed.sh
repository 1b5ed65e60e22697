#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The scripts and styles in C are those that people edit.
. "$(dirname "$0")/lib.sh"
"$MICA_SOURCE_DIR/tools/embed" --check
