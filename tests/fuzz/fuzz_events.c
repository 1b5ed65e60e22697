/* SPDX-License-Identifier: Apache-2.0 */
/* TensorBoard's event files. A fuzzer does not guess checksums: the input is cut into records by
 * zero bytes and framed here, but for one in which the first byte is even, which is the file itself. */
#include "fuzz.h"

#include "ui/events_internal.h"

#include <string.h>

static void put_little(unsigned char *out, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; i++) out[i] = (unsigned char)(value >> 8 * i);
}

FUZZ_TARGET(events) {
  mica_runs *runs = NULL;
  mica_error error = {0};
  unsigned char *framed = malloc(17 * size + 17);
  if (framed == NULL || mica_runs_create(&runs, &error) != MICA_OK) {
    free(framed);
    return;
  }
  size_t used = 0;
  if (size > 0 && bytes[0] % 2 == 1) {
    for (size_t at = 1; at < size;) {
      size_t length = bytes[at] < size - at - 1 ? bytes[at] : size - at - 1;
      put_little(framed + used, length, 8);
      put_little(framed + used + 8, mica_ui_masked_crc(framed + used, 8), 4);
      memcpy(framed + used + 12, bytes + at + 1, length);
      put_little(framed + used + 12 + length, mica_ui_masked_crc(bytes + at + 1, length), 4);
      used += 16 + length;
      at += 1 + length;
    }
  } else {
    memcpy(framed, bytes, size);
    used = size;
  }
  if (mica_runs_add_events(runs, "fuzzed", framed, used, &error) == MICA_OK) {
    FUZZ_REQUIRE(mica_runs_count(runs) == 1 && error.message[0] == 0);
    for (size_t i = 0; i < mica_runs_curve_count(runs, 0); i++) {
      mica_runs_curve curve = mica_runs_curve_at(runs, 0, i);
      FUZZ_REQUIRE(*curve.name && strlen(curve.name) < 256 && strlen(curve.set) < 256);
      for (int64_t k = 1; k < curve.count; k++) FUZZ_REQUIRE(curve.step[k] > curve.step[k - 1]);
    }
  } else {
    FUZZ_REQUIRE(mica_runs_count(runs) == 0 && error.message[0] != 0);
  }
  mica_runs_destroy(runs);
  free(framed);
}
