#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Kolmogorov-Arnold networks of each kind, and dense layers, learn the shapes in a few epochs.
. "$(dirname "$0")/lib.sh"
rm -f ./*.p??
for pair in fnn:70 spline:95 linear:96 discrete:75 rational:70; do
  model=${pair%:*}
  run_example kan_shapes "$model" --quiet --epochs 3 --limit 16384 --set "model=$model,units=8" --picture "$model.png"
  line=$(grep 'accuracy on the grid' "$model.txt")
  at_least "$(number grid "$line")" "${pair#*:}" "the accuracy of $model"
  ls "$model".p?? >/dev/null || fail 'there is no picture'
  echo "$line"
done
