# SPDX-License-Identifier: Apache-2.0
# What the checks of the examples share: each runs one in a short form. They begin with `. "$(dirname "$0")/lib.sh"`.
. "$(dirname "$0")/../tools/lib.sh"

# The program of an example, or of `mica train`; its output goes to the file NAME.txt, its last line to $last.
run_example() { # NAME FILE ARGUMENTS...
  program=$MICA_BUILD_DIR/examples/$1 output=$2
  [ -x "$program" ] || fail "$program is not built"
  shift 2
  "$program" "$@" >"$output.txt" 2>"$output.said" || { cat "$output.txt" "$output.said" >&2; fail "$program $*"; }
  [ ! -s "$output.said" ] || { cat "$output.said" >&2; fail "$program $* says something on standard error"; }
  last=$(tail -n 1 "$output.txt")
}
# The number after a word of a line: number accuracy "$last".
number() { printf '%s\n' "$2" | sed -n "s/.*$1 \([-0-9.]*\).*/\1/p"; }
at_least() { awk -v found="$1" -v wanted="$2" 'BEGIN { exit !(found + 0 >= wanted + 0) }' || fail "${3:-it} is $1, expected at least $2"; }
at_most() { awk -v found="$1" -v wanted="$2" 'BEGIN { exit !(found != "" && found + 0 <= wanted + 0) }' || fail "${3:-it} is $1, expected at most $2"; }

# Where the data of an example may lie, the first that has it is $place; or the check is left out.
need_data() { # FILE ADVICE PLACES...
  file=$1 advice=$2
  shift 2
  for place in "$@"; do
    [ -z "$place" ] || [ ! -f "$place/$file" ] || return 0
  done
  skip "$file is not here: $advice"
}
cache=${XDG_CACHE_HOME:-${HOME:-/nowhere}/.cache}/mica
[ -z "${MICA_CACHE:-}" ] || cache=$MICA_CACHE
need_fashion_mnist() {
  need_data train-images-idx3-ubyte.gz 'install dataset-fashion-mnist or run tools/fetch_fashion_mnist' \
    "${MICA_FASHION_MNIST:-}" /usr/share/datasets/fashion-mnist "$cache/fashion-mnist"
}
