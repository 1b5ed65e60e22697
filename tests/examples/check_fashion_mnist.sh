#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The larger model on a few images: it learns, with augmentation on threads the same for one and two of them, and writes its log.
# The smaller one is tools.demo.
. "$(dirname "$0")/lib.sh"
need_fashion_mnist
rm -rf log
run_example fashion_mnist two --limit 2560 --epochs 2 --set model=large,width=8 --threads 2 --plot '' --log log
two=$(number accuracy "$last")
at_least "$two" 60 'the accuracy'
grep -q '"set":"test"' log/metrics.jsonl || fail 'the test is not in the log'
[ -s log/model.html ] && [ -s log/plot.html ] || fail 'the pages are missing'
run_example fashion_mnist one --limit 2560 --epochs 2 --set model=large,width=8 --threads 1 --plot '' --quiet
[ "$(number accuracy "$last")" = "$two" ] || fail "one thread gives $(number accuracy "$last"), two give $two"
# Stopped in the middle of an epoch, and gone on with: the same bits, with dropout, augmentation on threads and averages.
rm -rf saved
run_example fashion_mnist first --limit 2560 --epochs 2 --set model=large,width=8 --plot '' --quiet --checkpoint saved --stop 13
run_example fashion_mnist second --limit 2560 --epochs 2 --set model=large,width=8 --plot '' --quiet --checkpoint saved --resume
[ "$(sed '1,2d;s/, [0-9.]* s$//' second.txt)" = "$(sed '1d;s/, [0-9.]* s$//' one.txt)" ] || fail 'the resumed run ends elsewhere'

# --url: from a server, of which one file is another at first; what lies elsewhere is neither read nor removed.
if have python3 && grep -q -- 'MICA_HAVE_FETCH' "$MICA_BUILD_DIR/build.ninja" && [ -d /usr/share/datasets/fashion-mnist ]; then
  rm -rf site fetched port && mkdir site
  cp /usr/share/datasets/fashion-mnist/*.gz site/
  cp site/t10k-labels-idx1-ubyte.gz site/train-labels-idx1-ubyte.gz
  cat >server.py <<'PY'
import functools, http.server, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
handler.log_message = lambda *a: None
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print(server.server_address[1], flush=True)
server.serve_forever()
PY
  python3 server.py site >port 2>/dev/null &
  server=$!
  trap 'kill $server 2>/dev/null' EXIT
  tries=0
  while [ ! -s port ] && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
  fetch() { MICA_FASHION_MNIST=site MICA_CACHE=fetched "$MICA_BUILD_DIR/examples/fashion_mnist" --url "http://127.0.0.1:$(cat port)" \
    --limit 640 --epochs 1 --quiet --plot '' >fetched.txt 2>&1; }
  if fetch; then fail 'labels of another set are taken'; fi
  grep -q 'the SHA-256 of its contents is' fetched.txt || { cat fetched.txt >&2; fail 'it does not say that the file is another'; }
  [ ! -e fetched/fashion-mnist/train-labels-idx1-ubyte.gz ] || fail 'the wrong file is kept'
  [ -e site/train-labels-idx1-ubyte.gz ] || fail 'a file that it did not fetch is removed'
  cp /usr/share/datasets/fashion-mnist/train-labels-idx1-ubyte.gz site/
  fetch || { cat fetched.txt >&2; fail 'it cannot be fetched'; }
fi
if "$MICA_BUILD_DIR/examples/fashion_mnist" --data . >said.txt 2>&1; then fail 'a folder without images is taken'; fi
grep -q 'the images are missing' said.txt || fail 'it does not say that images are missing'
echo "$last"
