#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each model, and all three together, learn to tell spam from a few hundred mails.
. "$(dirname "$0")/lib.sh"
need_data train.tsv 'run tools/fetch_data spam' "${MICA_SPAM:-}" "$cache/spam"
for pair in bag:90 cnn:72 transformer:80 all:88; do
  model=${pair%:*}
  run_example spam "$model" --quiet --epochs 3 --limit 400 \
    --set "model=$model,words=2000,runs=4000,length=48,width=32,channels=32,units=4,layers=1,lr=4e-3,dropout=0.2"
  echo "$model: $last"
  at_least "$(number accuracy "$last")" "${pair#*:}" "the accuracy of $model"
done
