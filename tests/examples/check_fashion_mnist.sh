#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The larger model on a few images: it learns, with augmentation on threads the same for one and two of them, and writes its log.
# The smaller one is tools.demo.
. "$(dirname "$0")/lib.sh"
need_fashion_mnist
rm -rf log
run_example fashion_mnist two --limit 2560 --epochs 2 --set model=large,width=8 --threads 2 --plot '' --log log
two=$(number accuracy "$last")
at_least "$two" 60 'the accuracy'
grep -q '"set":"test"' log/metrics.jsonl || fail 'the test is not in the log'
[ -s log/model.html ] && [ -s log/plot.html ] || fail 'the pages are missing'
run_example fashion_mnist one --limit 2560 --epochs 2 --set model=large,width=8 --threads 1 --plot '' --quiet
[ "$(number accuracy "$last")" = "$two" ] || fail "one thread gives $(number accuracy "$last"), two give $two"
# Stopped in the middle of an epoch, and gone on with: the same bits, with dropout, augmentation on threads and averages.
rm -rf saved
run_example fashion_mnist first --limit 2560 --epochs 2 --set model=large,width=8 --plot '' --quiet --checkpoint saved --stop 13
run_example fashion_mnist second --limit 2560 --epochs 2 --set model=large,width=8 --plot '' --quiet --checkpoint saved --resume
[ "$(sed '1,2d;s/, [0-9.]* s$//' second.txt)" = "$(sed '1d;s/, [0-9.]* s$//' one.txt)" ] || fail 'the resumed run ends elsewhere'
if "$MICA_BUILD_DIR/examples/fashion_mnist" --data . >said.txt 2>&1; then fail 'a folder without images is taken'; fi
grep -q 'the images are missing' said.txt || fail 'it does not say that images are missing'
echo "$last"
