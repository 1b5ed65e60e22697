#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# MNIST in a short form: the linear model for two epochs, the CNN on a part; a damaged file is refused.
. "$(dirname "$0")/lib.sh"
need_data train-images-idx3-ubyte 'tools/fetch_data mnist brings it' "${MICA_MNIST:-}" "$cache/mnist"
run_example mnist linear --epochs 2 --quiet --set model=linear
at_least "$(number accuracy "$last")" 90.5 'the accuracy of the linear model'
echo "$last"
run_example mnist cnn --epochs 1 --quiet --limit 7680
at_least "$(number accuracy "$last")" 88 'the accuracy of the CNN'
echo "$last"
