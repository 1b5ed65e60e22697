#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tools/fetch_fashion_mnist against a server of ours: the files as they are; a truncated one and a wrong one, which
# must be refused and leave nothing behind; the second try, which mends both.
. "$(dirname "$0")/lib.sh"
have python3 || skip 'python3 is missing: no local server'
have curl || have wget || skip 'curl and wget are missing'
images=/usr/share/datasets/fashion-mnist
[ -f "$images/train-images-idx3-ubyte.gz" ] || skip 'the package dataset-fashion-mnist is missing'
scratch=$(mktemp -d)
server=''
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$scratch"' EXIT
mkdir "$scratch/site" "$scratch/cache"
cp "$images"/*.gz "$scratch/site/"
cat >"$scratch/server.py" <<'PY'
import functools, http.server, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
handler.log_message = lambda *a: None
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print(server.server_address[1], flush=True)
server.serve_forever()
PY
python3 "$scratch/server.py" "$scratch/site" >"$scratch/port" 2>/dev/null &
server=$!
tries=0
while [ ! -s "$scratch/port" ] && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
MICA_FASHION_MNIST_URL=http://127.0.0.1:$(cat "$scratch/port")
export MICA_FASHION_MNIST_URL
fetch=$MICA_SOURCE_DIR/tools/fetch_fashion_mnist

# A lie in place of the labels: refused, and not kept.
cp "$scratch/site/t10k-labels-idx1-ubyte.gz" "$scratch/site/train-labels-idx1-ubyte.gz"
if "$fetch" "$scratch/cache" 2>"$scratch/said"; then echo 'a wrong file was taken'; exit 1; fi
grep -q 'is not the published file' "$scratch/said" || { cat "$scratch/said"; exit 1; }
[ ! -e "$scratch/cache/train-labels-idx1-ubyte.gz" ] && [ ! -e "$scratch/cache/train-labels-idx1-ubyte.gz.part" ]

# A truncated file: refused as well.
head -c 9000 "$images/train-labels-idx1-ubyte.gz" >"$scratch/site/train-labels-idx1-ubyte.gz"
if "$fetch" "$scratch/cache" 2>/dev/null; then echo 'a truncated file was taken'; exit 1; fi

# A half from an interrupted download goes on to the whole.
cp "$images/train-labels-idx1-ubyte.gz" "$scratch/site/"
head -c 5000 "$images/train-labels-idx1-ubyte.gz" >"$scratch/cache/train-labels-idx1-ubyte.gz.part"
"$fetch" "$scratch/cache" >/dev/null 2>&1
for file in "$images"/*.gz; do cmp "$file" "$scratch/cache/$(basename "$file")"; done

# Nothing is fetched twice, and a server that is gone is an error that names the address.
kill "$server"; server=''
"$fetch" "$scratch/cache" >/dev/null 2>&1
rm "$scratch/cache/t10k-labels-idx1-ubyte.gz"
if "$fetch" "$scratch/cache" 2>"$scratch/said"; then exit 1; fi
grep -q 't10k-labels-idx1-ubyte.gz cannot be downloaded' "$scratch/said"
echo 'downloads: whole, wrong, truncated, interrupted, unreachable'
