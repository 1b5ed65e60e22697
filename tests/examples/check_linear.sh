#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Linear regression finds the numbers that made its data; `mica train` runs the same; a run that was cut in two from a checkpoint
# ends as one that was not; options and settings that do not exist are refused.
. "$(dirname "$0")/lib.sh"
run_example linear whole --quiet
result=$last
at_most "$(number apart "$last")" 0.01 'the farthest number'
mica=$MICA_BUILD_DIR/cmd/mica
"$mica" train linear --quiet >command.txt || fail 'mica train'
cmp -s whole.txt command.txt || fail 'mica train linear gives something else'
"$mica" train | grep -q '^ *linear ' || fail 'mica train does not list it'
"$mica" train linear --help | grep -q '^noise=' || fail '--help does not list the settings'
"$mica" train linear --json 2>json.said >json.txt
grep -q '"parameters": {"farthest": 0.00' json.txt && [ "$(wc -l <json.txt)" = 1 ] || { cat json.txt; fail '--json gives something else'; }

run_example linear layers --epochs 1 --quiet --summary
grep -q '^layer .*parameters' layers.txt && grep -q 'parameters in .* variables' layers.txt || { cat layers.txt; fail '--summary prints no layers'; }

rm -rf saved log
run_example linear all --epochs 4
run_example linear first --epochs 4 --checkpoint saved --stop 100
run_example linear second --epochs 4 --checkpoint saved --resume --log log
[ "$(tail -n 1 all.txt)" = "$(tail -n 1 second.txt)" ] || fail 'the resumed run ends elsewhere'
grep -q 'resumed at step 100' second.txt || fail 'it does not say from where it goes on'
for file in metrics.jsonl plot.html model.svg model.html; do [ -s "log/$file" ] || fail "log/$file is missing"; done

"$MICA_BUILD_DIR/examples/linear" --quiet --checkpoint saved >refused.txt 2>&1 && fail 'it overwrites another run'
grep -q 'there are checkpoints of another run' refused.txt || fail 'it does not say whose checkpoints are there'
run_example linear nothing --epochs 2 --quiet --checkpoint saved --resume
grep -q 'nothing is left to train: the checkpoint is of step' nothing.txt || fail 'it does not say that it trained nothing'

# Ctrl-C: it saves, says so, and the run goes on from there.
# A shell starts what runs beside it with SIGINT ignored: a signal that comes before the program's handler is there is lost.
# The log tells that it trains; should it never end, it runs out of its time on the processor.
rm -rf saved started
(ulimit -t 300 && exec "$MICA_BUILD_DIR/examples/linear" --epochs 10000000 --quiet --checkpoint saved --log started) \
  >stopped.txt 2>stopped.said &
process=$!
tries=0
until [ -s started/metrics.jsonl ] || [ $tries -ge 600 ]; do
  sleep 0.1
  tries=$((tries + 1))
done
if "$MICA_BUILD_DIR/examples/linear" --quiet --checkpoint saved --resume >second.txt 2>&1; then fail 'two runs save into one folder'; fi
grep -q 'another run saves there' second.txt || { cat second.txt; fail 'it does not say that another run saves there'; }
kill -INT $process
code=0
wait $process || code=$?
[ "$code" = 130 ] || fail "after Ctrl-C its exit code is $code"
step=$(sed -n 's/^stopped after step \([0-9]*\); --resume goes on$/\1/p' stopped.txt)
[ -n "$step" ] || fail 'it does not say where it stopped'
run_example linear resumed --epochs 10000000 --stop $((step + 1)) --quiet --checkpoint saved --resume
grep -q "resumed at step $step" resumed.txt || fail 'it does not go on from there'

refused() { # TEXT ARGUMENTS...: exits with a message that has the text
  text=$1
  shift
  if "$MICA_BUILD_DIR/examples/linear" "$@" >refused.txt 2>&1; then fail "taken: $*"; fi
  grep -qF -- "$text" refused.txt || { cat refused.txt >&2; fail "the message lacks: $text"; }
}
refused '--nonsense is not understood' --nonsense
refused '--epochs 0: expected a whole number, 1 or more' --epochs 0
refused '--epochs two: expected a whole number' --epochs two
refused '--seed 99999999999999999999: expected' --seed 99999999999999999999
refused 'what belongs to --seed is missing' --seed
refused "cannot make '/dev/null/none'" --quiet --checkpoint /dev/null/none
refused 'momentum' --set momentum=1
refused '--limit leaves less than one batch' --limit 5
refused '--resume needs --checkpoint' --resume
echo "$result"
