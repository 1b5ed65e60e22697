#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# MNIST in a short form: the linear model for two epochs, the CNN on a part; a damaged file is refused.
. "$(dirname "$0")/lib.sh"
need_data train-images-idx3-ubyte 'tools/fetch_data mnist brings it' "${MICA_MNIST:-}" "$cache/mnist"
run_example mnist linear --epochs 2 --quiet --set model=linear
at_least "$(number accuracy "$last")" 90.5 'the accuracy of the linear model'
echo "$last"
# One label of the test set is another.
rm -rf damaged && mkdir damaged
for file in train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte; do ln -s "$place/$file" damaged; done
{ head -c 9999 "$place/t10k-labels-idx1-ubyte"; printf '\001'; tail -c +10001 "$place/t10k-labels-idx1-ubyte"; } >damaged/t10k-labels-idx1-ubyte
if "$MICA_BUILD_DIR/examples/mnist" --data damaged --quiet >said.txt 2>&1; then fail 'a damaged file is taken'; fi
grep -q 't10k-labels-idx1-ubyte: the SHA-256 of its contents is' said.txt || { cat said.txt >&2; fail 'it does not say that the file is another'; }
run_example mnist cnn --epochs 1 --quiet --limit 7680
at_least "$(number accuracy "$last")" 88 'the accuracy of the CNN'
echo "$last"
