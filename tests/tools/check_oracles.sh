#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every loss, metric, optimizer, schedule and layer that the headers declare is held to an oracle: it is called in a test that reads
# golden values of another library (JAX, optax, PyTorch, scikit-learn), or, where it draws at random, in one of its distribution.
# Values that are differentiated have their gradients checked there: layers by PyTorch's, losses by differences.
. "$(dirname "$0")/lib.sh"
cd -- "$MICA_SOURCE_DIR"
bad=0

# names FAMILY TESTS [EXEMPT]: names on standard input.
held() {
  family=$1 tests=$2 exempt=${3:-}
  count=0
  while read -r name; do
    case " $exempt " in *" $name "*) continue ;; esac
    count=$((count + 1))
    # shellcheck disable=SC2086
    if ! grep -qE "\b($name|${name}_with)\b" $tests; then
      echo "$family $name: no test with an oracle calls it ($tests)"
      bad=1
    fi
  done
  [ "$count" -ge 3 ] || { echo "$family: only $count found, the check looks in the wrong place"; bad=1; }
  echo "$count of $family" >>"$MICA_TEST_TMP/counts"
}

declared() { # PATTERN HEADERS...: functions of the headers that match, without "_with"
  pattern=$1
  shift
  cat "$@" | tr '\n' ' ' | grep -oE "MICA_API [a-z_]+ \**$pattern[a-z_0-9]*" | grep -oE "$pattern[a-z_0-9]*" |
    sed 's/_with$//' | LC_ALL=C sort -u
}
: >"$MICA_TEST_TMP/counts"

# ---- losses: values, and gradients by differences but for the last rows of the table
declared mica_loss_ include/mica/train/losses.h | grep -vxE 'mica_loss_(find|name|reduce|function|scale.*)' >"$MICA_TEST_TMP/names"
held losses 'tests/unit/train/losses/test_losses_golden.c' <"$MICA_TEST_TMP/names"
grep -q 'WITHOUT_DIFFERENCES = 2' tests/unit/train/losses/test_losses_golden.c ||
  { echo 'losses: another number of them than 2 has no check of its gradient by differences'; bad=1; }

# ---- metrics, optimizers, schedules
declared mica_metric_ include/mica/train/metrics.h |
  grep -vxE 'mica_metric_(find|name|function|state|begin|update|result|once)' >"$MICA_TEST_TMP/names"
# The running mean is held to its formula.
sed -E 's/OVER\([0-9]+, ([a-z_0-9]+)/mica_metric_\1 /g' tests/unit/train/metrics/test_metrics_golden.c >"$MICA_TEST_TMP/metrics.c"
grep -w 'mica_metric_moving_mean' tests/unit/train/metrics/test_metrics.c >>"$MICA_TEST_TMP/metrics.c" || true
held metrics "$MICA_TEST_TMP/metrics.c" <"$MICA_TEST_TMP/names"
declared mica_optimizer_ include/mica/train/optimizers.h |
  grep -vxE 'mica_optimizer_(find|name|function|slots|slot_value|slot_tensor|update)' >"$MICA_TEST_TMP/names"
held optimizers 'tests/unit/train/optimizers/test_optimizers_golden.c' <"$MICA_TEST_TMP/names"
declared mica_schedule_ include/mica/train/schedules.h |
  grep -vxE 'mica_schedule_(at|destroy|rate|value)' >"$MICA_TEST_TMP/names"
held schedules 'tests/unit/train/schedules/test_schedules.c' <"$MICA_TEST_TMP/names"

# ---- layers: golden values and gradients; what draws has a test of its distribution and of its gradient
noise='mica_nn_dropout mica_nn_drop_path mica_nn_drop_block mica_nn_gaussian_noise mica_nn_vector_dropout'
# Those of one x go by their numbers, MICA_NN_ELU; names of norms choose among layers that are here themselves.
by_number='mica_nn_elu mica_nn_geglu mica_nn_glu mica_nn_hard_sigmoid mica_nn_hard_silu mica_nn_leaky_relu mica_nn_mish mica_nn_reglu
  mica_nn_relu6 mica_nn_selu mica_nn_swiglu mica_nn_norm_by_name'
declared mica_nn_ include/mica/nn/*.h |
  grep -vxE 'mica_nn_activation_.*|mica_nn_activate' >"$MICA_TEST_TMP/names"
held layers "$(find tests/unit/nn -name 'test_*golden*.c' | LC_ALL=C sort | paste -sd ' ' -)" \
  "$noise $(echo "$by_number" | tr '\n' ' ')" <"$MICA_TEST_TMP/names"
for name in $noise; do
  grep -q "\b$name(" tests/unit/nn/test_layer_mistakes.c || { echo "layers $name: no test of its distribution"; bad=1; }
done
# shellcheck disable=SC2013
for number in $(sed -n '/MICA_NN_IDENTITY,/,/MICA_NN_ACTIVATION_COUNT/p' include/mica/nn/activation.h | grep -oE '^ *MICA_NN_[A-Z0-9_]+' | grep -v COUNT); do
  grep -qE "ACTIVATION\([a-z0-9_]+, ${number#MICA_NN_}\)" tests/unit/nn/test_layers_golden.c ||
    { echo "activation $number: no golden values"; bad=1; }
done
grep -q 'mica_gradients' tests/unit/nn/nn_golden.h || { echo 'layers: golden files have no gradients'; bad=1; }

paste -sd ',' "$MICA_TEST_TMP/counts" | sed 's/,/, /g'
[ "$bad" -eq 0 ] || fail 'something has no oracle'
