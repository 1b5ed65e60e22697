#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The demo in a short form on XLA's CPU plugin, where there is one: it reaches the accuracy of the native backend, and
# standard error stays empty. The same network, data and random numbers: what differs is the rounding.
. "$(dirname "$0")/lib.sh"
demo=$MICA_BUILD_DIR/examples/fashion_mnist
[ -x "$demo" ] || fail "$demo is not built"
"$MICA_BUILD_DIR/cmd/mica" plugin which cpu >plugin.txt 2>&1 || skip 'no plugin of XLA for the CPU: mica plugin install cpu'
if [ ! -d /usr/share/datasets/fashion-mnist ] && [ -z "${MICA_FASHION_MNIST:-}" ]; then skip 'the images are missing'; fi
unset TF_CPP_MIN_LOG_LEVEL
"$demo" --limit 12800 --epochs 1 --plot '' >native.txt
MICA_BACKEND=xla:cpu "$demo" --limit 12800 --epochs 1 --plot '' >xla.txt 2>said.txt || { cat said.txt; fail 'the demo fails on XLA'; }
[ ! -s said.txt ] || { cat said.txt; fail 'something was said on standard error'; }
accuracy() { tail -n 1 "$1" | sed 's/.*accuracy \([0-9.]*\) %.*/\1/'; }
grep -q 'xla:cpu' xla.txt || fail 'it was not XLA that computed'
awk -v a="$(accuracy native.txt)" -v b="$(accuracy xla.txt)" 'BEGIN { d = a - b; exit !(d < 1 && d > -1 && a > 70) }' ||
  fail "native $(accuracy native.txt) %, XLA $(accuracy xla.txt) %"
echo "native $(accuracy native.txt) %, XLA $(accuracy xla.txt) %"
