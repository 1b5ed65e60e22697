#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Both networks find nearly everybody's side of the split club.
. "$(dirname "$0")/lib.sh"
for pair in gcn:30 gat:26; do
  model=${pair%:*}
  run_example graph "$model" --quiet --data "$MICA_SOURCE_DIR/examples/graph" --set "model=$model"
  at_least "$(number graph: "$last")" "${pair#*:}" "members right with $model"
  echo "$model: $last"
done
