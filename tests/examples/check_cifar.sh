#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# CIFAR-10's loader on made files in the true format, whose classes are colors: all four models learn them. And the models on
# Fashion-MNIST, padded.
. "$(dirname "$0")/lib.sh"
have python3 || skip 'python3 makes the files'
rm -rf made && mkdir made
python3 - <<'MADE'
import random
random.seed(1)
for name, rows in [(f"data_batch_{i}.bin", 128) for i in range(1, 6)] + [("test_batch.bin", 250)]:
    with open(f"made/{name}", "wb") as file:
        for row in range(rows):
            label = random.randrange(10)
            # red, green, blue of a class; a plane after the other, as in the true files
            for plane in [bytes([label])] + [bytes(min(255, max(0, c + random.randrange(-20, 21))) for _ in range(1024))
                                             for c in (25 * label + 10, 235 - 25 * label, 200 * (label % 2) + 20)]:
                file.write(plane)
MADE
for model in fnn kan cnn resnet9; do
  run_example cifar "$model" --quiet --data made --epochs 8 --set "model=$model,width=8,fnn_units=32,kan_units=16,decay=0"
  at_least "$(number accuracy "$last")" 80 "the accuracy of $model on made images"
  grep -q 'automobile' "$model.txt" || fail 'the classes are not those of CIFAR-10'
done
head -c 3000 made/data_batch_1.bin >made/data_batch_2.bin
if "$MICA_BUILD_DIR/examples/cifar" --quiet --data made >said.txt 2>&1; then fail 'a torn file is taken'; fi
grep -q 'data_batch_2' said.txt || { cat said.txt >&2; fail 'the message does not name the file'; }
need_fashion_mnist
run_example cifar padded --quiet --limit 2560 --epochs 1 --set model=resnet9,width=8
at_least "$(number accuracy "$last")" 45 'the accuracy on Fashion-MNIST'
echo "$last"
