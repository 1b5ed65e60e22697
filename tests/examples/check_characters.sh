#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A small model learns the novels for some steps, stops and goes on, and writes; adapters teach it the Bible, and merged they
# change nothing but which parameters hold it.
. "$(dirname "$0")/lib.sh"
need_data train.txt 'run tools/fetch_data austen' "${MICA_AUSTEN:-}" "$cache/austen"
small=layers=1,width=32,heads=2,context=32
rm -rf base
run_example characters characters --quiet --steps 150 --limit 4000 --set "$small" --checkpoint base --sample 40
bits=$(number test "$(grep '^characters:' characters.txt)")
at_most "$bits" 4.0 'bits a character'
at_least "$(sed -n '/^It was a truth/,$p' characters.txt | wc -c)" 50 'the text that it writes'
grep '^characters:' characters.txt
# The same seed writes the same, through a cache of keys and values that is shorter than the text.
run_example characters again --quiet --steps 150 --limit 4000 --set "$small" --checkpoint base --resume --sample 40
[ "$(sed -n '/^It was/,$p' characters.txt)" = "$(sed -n '/^It was/,$p' again.txt)" ] || fail 'another text'
# Without a base there is a word about it.
"$MICA_BUILD_DIR/examples/lora" --quiet >without.txt 2>&1 && fail 'lora without --base'
grep -q -- '--base is missing' without.txt || { cat without.txt; fail 'no word about --base'; }
need_data train.txt 'run tools/fetch_data bible' "${MICA_BIBLE:-}" "$cache/bible"
run_example lora lora --quiet --base base --steps 100 --limit 1000 --set "$small" --sample 20
grep '^lora:' lora.txt
before=$(number bible "$(grep '^lora: before' lora.txt)") after=$(number bible "$(grep '^lora: after' lora.txt)")
merged=$(number bible "$(grep '^lora: merged' lora.txt)")
at_most "$after" "$(awk -v x="$before" 'BEGIN { print x - 0.1 }')" 'bits a character of the Bible after training'
at_most "$(awk -v a="$after" -v b="$merged" 'BEGIN { d = a - b; if (d < 0) d = -d; print d }')" 0.0005 'what merging changes'
grep -q 'adapters taken back' lora.txt || fail 'the adapters are not taken back'
