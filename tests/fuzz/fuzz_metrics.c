/* SPDX-License-Identifier: Apache-2.0 */
/* A log of metrics: whatever is read has ascending steps and names that the writer takes. */
#include "fuzz.h"

#include "mica/ui.h"

#include <string.h>

FUZZ_TARGET(metrics) {
  mica_runs *runs = NULL;
  mica_error error = {0};
  if (mica_runs_create(&runs, &error) != MICA_OK) return;
  if (mica_runs_add_lines(runs, "fuzzed", bytes, size, &error) == MICA_OK) {
    FUZZ_REQUIRE(mica_runs_count(runs) == 1 && error.message[0] == 0);
    for (size_t i = 0; i < mica_runs_curve_count(runs, 0); i++) {
      mica_runs_curve curve = mica_runs_curve_at(runs, 0, i);
      FUZZ_REQUIRE(*curve.name && strlen(curve.name) < 256 && strlen(curve.set) < 256);
      for (int64_t k = 1; k < curve.count; k++) FUZZ_REQUIRE(curve.step[k] > curve.step[k - 1]);
      mica_runs_curve found = mica_runs_find(runs, 0, curve.kind, curve.set, curve.name);
      FUZZ_REQUIRE(found.name == curve.name);
    }
  } else {
    FUZZ_REQUIRE(mica_runs_count(runs) == 0 && error.message[0] != 0);
  }
  mica_runs_destroy(runs);
}
