#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs a test on the N-th of the CPU plugins of XLA in $MICA_XLA_PLUGIN_DIR: on_plugin.sh N TEST [ARGUMENTS]. Skipped where
# there are fewer. Programs are kept in the test's own folder, so that the next run compiles what has changed.
set -eu
folder=$(printf '%s' "${MICA_XLA_PLUGIN_DIR:-}" | cut -d : -f "$1" -s)
if [ -z "$folder" ] && [ "$1" = 1 ]; then folder=${MICA_XLA_PLUGIN_DIR:-}; fi
if [ -z "$folder" ]; then
  echo "there is no plugin $1 in \$MICA_XLA_PLUGIN_DIR: docs/xla.md says how to get one"
  exit 77
fi
shift
echo "$folder"
unset MICA_XLA_CACHE
export MICA_XLA_PLUGIN_DIR="$folder" MICA_TEST_BACKEND="${MICA_TEST_BACKEND:-xla:cpu,devices=6}"
export XDG_CACHE_HOME="$MICA_TEST_TMP/cache" TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-2}"
exec "$@"
