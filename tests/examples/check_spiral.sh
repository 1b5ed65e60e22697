#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The arms of the spiral are told apart; the settings of networks and optimizers count; one that does not exist is refused.
. "$(dirname "$0")/lib.sh"
run_example spiral spiral --quiet
at_least "$(number accuracy "$last")" 99 'the accuracy'
echo "$last"
run_example spiral sgd --quiet --set optimizer=sgd
at_most "$(number accuracy "$last")" 90 'the accuracy of plain descent'
run_example spiral norm --quiet --set fnn_norm=layer,fnn_activation=relu,optimizer=muon
at_least "$(number accuracy "$last")" 99 'the accuracy with layer norm and Muon'
if "$MICA_BUILD_DIR/examples/spiral" --quiet --set optimizer=downhill >said.txt 2>&1; then fail 'an unknown optimizer is taken'; fi
grep -q '"optimizer" is "downhill"; there are: .*adamw, .*sgd' said.txt || fail 'it does not say which optimizer is missing'
