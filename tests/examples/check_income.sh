#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A made table in the form of the UCI set Adult, with its question marks, blanks and full stops, whose incomes follow from
# hours and education; then both models on the survey, if it is here.
. "$(dirname "$0")/lib.sh"
mkdir -p adult
make_adult() { # SEED END
  awk -v seed="$1" -v end="$2" 'BEGIN {
    srand(seed)
    split("Private,State-gov,?,Self-emp-inc", work, ","); split("HS-grad,Bachelors,Masters", school, ",")
    for (i = 0; i < 640; i++) {
      s = int(3 * rand()) + 1; hours = 20 + int(40 * rand())
      high = hours + 12 * s + 6 * rand() > 68
      printf "%d, %s, %d, %s, %d, Divorced, %s, Own-child, White, %s, %d, 0, %d, %s, %s%s\n", 17 + int(60 * rand()),
        work[int(4 * rand()) + 1], 100000 * rand(), school[s], 7 + 2 * s, rand() < 0.1 ? "?" : "Sales", rand() < 0.5 ? "Male" : "Female",
        rand() < 0.9 ? 0 : 5000, hours, rand() < 0.05 ? "?" : "United-States", high ? ">50K" : "<=50K", end
    }
  }'
}
make_adult 1 '' >adult/adult.data
echo >>adult/adult.data # the set ends with an empty line
{ echo '|1x3 Cross validator'; make_adult 2 .; } >adult/adult.test
for model in fnn kan; do
  run_example income "adult_$model" --quiet --adult --data adult --epochs 40 --set "model=$model,members=2,fnn_units=32"
  at_least "$(number accuracy "$last")" 90 "the accuracy of $model on the made table"
  echo "made table, $model: $last"
done
run_example income validation --quiet --adult --data adult --epochs 1 --validate
printf '%s\n' "$last" | grep -q '^income: validation accuracy' || fail "$last"
# A word that is no number is named with its place.
sed '3s/^[0-9]*/old/' adult/adult.data >adult/wrong && mv adult/wrong adult/adult.data
"$MICA_BUILD_DIR/examples/income" --quiet --adult --data adult >wrong.txt 2>&1 && fail 'a table with a mistake is taken'
grep -q 'line 3' wrong.txt || { cat wrong.txt; fail 'the line is not named'; }
need_data train.csv 'run tools/fetch_data income' "${MICA_INCOME:-}" "$cache/income"
for model in fnn kan; do
  run_example income "$model" --quiet --epochs 4 --set "model=$model,members=4"
  at_least "$(number accuracy "$last")" 80 "the accuracy of $model"
  at_least "$(number curve "$last")" 0.81 "the area of $model"
  echo "$model: $last"
done
