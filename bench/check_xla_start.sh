#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The time from the start of a process to the end of its first training step, with an empty folder of compiled programs and
# then with what the first start left there: exit status 1 when the second one is not 5 times faster.
#
#   MICA_XLA_PLUGIN_DIR=FOLDER bench/check_xla_start.sh [BACKEND [MODEL]]     (xla:cpu, cnn)
set -eu
tree=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
worker=${MICA_BUILD_DIR:-$tree/build/release}/bench/mica_bench
backend=${1:-xla:cpu}
model=${2:-cnn}
MICA_XLA_CACHE=$(mktemp -d)
export MICA_XLA_CACHE
trap 'rm -rf "$MICA_XLA_CACHE"' EXIT

start() { # milliseconds of one process
  begin=$(date +%s%N)
  printf '{"command": "first", "workload": "train.%s"}\n' "$model" | "$worker" --backend "$backend" --serve >/dev/null
  echo $((($(date +%s%N) - begin) / 1000000))
}

first=$(start)
second=$(start)
echo "train.$model on $backend: first start $first ms, second $second ms"
[ "$first" -ge $((5 * second)) ]
