#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ./dev where nothing is installed: it says the command of the system's package manager that mends it, ends with
# an error, and never claims to have built something. Also its help and its answer to a command it lacks.
. "$(dirname "$0")/lib.sh"
dev=$MICA_SOURCE_DIR/dev
"$dev" help >help.txt
for command in build demo test bench fuzz coverage lint format docs clean; do
  grep -q "^  $command" help.txt || fail "help does not name $command"
done
if "$dev" no_such_command >out 2>&1; then fail 'an unknown command succeeds'; fi
grep -q "there is no command 'no_such_command'" out || fail 'an unknown command is not named'

# A machine with a shell, the base tools and one package manager that refuses; a copy of the tree that was never
# built, with nothing but the script.
rm -rf bin tree
mkdir bin tree
cp "$dev" tree/dev
for tool in sh dirname getconf id cat ls paste sed env; do
  path=$(command -v $tool)
  case $path in /*) ln -s "$path" bin/$tool ;; esac
done
expect() { # MANAGER TEXT
  rm -f bin/apt-get bin/dnf bin/pacman bin/apk bin/brew
  if [ "$1" != none ]; then printf '#!/bin/sh\nexit 1\n' >"bin/$1" && chmod +x "bin/$1"; fi
  if PATH=$PWD/bin tree/dev build >out 2>&1; then cat out; fail "a build without a compiler succeeds ($1)"; fi
  grep -qF -- "$2" out || { cat out; fail "with $1, the message lacks: $2"; }
}
expect apt-get 'sudo apt-get update && sudo apt-get install -y gcc libc6-dev g++ cmake'
expect dnf 'sudo dnf install -y gcc gcc-c++ cmake'
expect pacman 'sudo pacman -S --needed gcc cmake'
expect apk 'doas apk add gcc musl-dev linux-headers g++ cmake'
expect brew 'brew install gcc cmake'
expect none 'install it with the package manager of this system'
grep -q 'missing: cc c++ cmake' out || fail 'what is missing is not named'
echo './dev says what it lacks and how to get it'
