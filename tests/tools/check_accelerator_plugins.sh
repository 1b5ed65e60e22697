#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The plugins of accelerators on a machine that has none: each is opened in a process of its own, with a limit of a
# minute, and says that there is no device, or names the first library that is missing. Those that are installed; with
# MICA_TEST_ALL=1 the three of 135 MB each are installed for it.
. "$(dirname "$0")/lib.sh"
mica=$MICA_BUILD_DIR/cmd/mica
[ -x "$mica" ] || fail "$mica is not built"
if [ "${MICA_TEST_ALL:-}" = 1 ]; then
  XDG_DATA_HOME=$MICA_TEST_TMP/data
  export XDG_DATA_HOME
  trap 'rm -rf "$MICA_TEST_TMP/data"' EXIT
  for plugin in rocm oneapi tpu; do
    timeout 600 "$mica" plugin install $plugin || echo "not to be had: $plugin"
  done
fi
tried=0
for plugin in cuda rocm oneapi tpu; do
  "$mica" plugin which $plugin >/dev/null 2>&1 || continue
  tried=$((tried + 1))
  start=$(now)
  if "$mica" plugin check $plugin >found.txt 2>said.txt; then
    echo "$plugin: $(cat found.txt)"
  else
    grep -Eq 'no answer|ended its process' said.txt && { cat said.txt; fail "$plugin hangs or ends its process"; }
    grep -Eqi 'no .*device|device.* not found|cannot open shared object file|driver' said.txt ||
      { cat said.txt; fail "$plugin does not say what is missing"; }
    echo "$plugin: $(cat said.txt)"
  fi
  [ $(($(now) - start)) -le 60 ] || fail "$plugin took longer than a minute"
done
[ $tried -gt 0 ] || skip 'no plugin of an accelerator is installed: mica plugin install tpu'
