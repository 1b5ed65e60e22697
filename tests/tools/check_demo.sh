#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The demo in a short form: 12,800 of the images, one epoch. It learns, it draws, its last line is the one that
# scripts read, one and two threads give the same accuracy, another seed another one, and mistakes are refused.
. "$(dirname "$0")/lib.sh"
demo=$MICA_BUILD_DIR/examples/fashion_mnist
[ -x "$demo" ] || fail "$demo is not built"
if [ ! -d /usr/share/datasets/fashion-mnist ] && [ -z "${MICA_FASHION_MNIST:-}" ]; then skip 'the images are missing'; fi
rm -f curves.svg
"$demo" --limit 12800 --epochs 1 --threads 2 --plot curves.svg >two.txt 2>said.txt || { cat said.txt; fail 'the demo fails'; }
"$demo" --limit 12800 --epochs 1 --threads 1 --plot '' >one.txt
"$demo" --limit 12800 --epochs 1 --threads 2 --plot '' --seed 7 --quiet >seven.txt
[ ! -s said.txt ] || fail 'something was said on standard error'
last=$(tail -n 1 two.txt)
echo "$last" | grep -Eq '^fashion-mnist: test accuracy [0-9][0-9]\.[0-9][0-9] %, [0-9]+\.[0-9] s$' || fail "the last line is: $last"
accuracy() { tail -n 1 "$1" | sed 's/.*accuracy \([0-9.]*\) %.*/\1/'; }
[ "$(accuracy two.txt)" = "$(accuracy one.txt)" ] || fail "two threads give $(accuracy two.txt), one gives $(accuracy one.txt)"
[ "$(accuracy two.txt)" != "$(accuracy seven.txt)" ] || fail 'the seed changes nothing'
[ "$(accuracy two.txt | cut -d. -f1)" -ge 70 ] || fail "it has hardly learned: $(accuracy two.txt) %"
grep -q 'confusion' two.txt && grep -q 'sneaker' two.txt
grep -q '</svg>' curves.svg || fail 'the plot is not whole'
if "$demo" --epochs 0 2>/dev/null || "$demo" --nonsense 2>/dev/null; then fail 'wrong options are taken'; fi
if "$demo" --limit 5 --quiet 2>said.txt; then fail 'less than a batch is taken'; fi
grep -q -- '--limit' said.txt
echo "the demo: $last"
