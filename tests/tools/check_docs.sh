#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Programs and outputs shown in the Markdown files are the real ones, and links lead somewhere.
. "$(dirname "$0")/lib.sh"
MICA_BUILD_DIR=$MICA_BUILD_DIR "$MICA_SOURCE_DIR/tools/docs" --check
