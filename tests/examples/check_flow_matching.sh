#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Flow matching in a short form: the loss falls far below that of a network that knows nothing (1.7), samples are drawn.
. "$(dirname "$0")/lib.sh"
need_fashion_mnist
rm -f sheet.p??
run_example flow_matching short --quiet --limit 1280 --epochs 6 --set width=8,rows=1,sampling_steps=2,ema=0.9,lr=0.01 --picture sheet.png
at_most "$(number loss "$last")" 1.05 'the loss'
ls sheet.p?? >/dev/null || fail 'there is no picture'
echo "$last"
