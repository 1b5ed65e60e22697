/* SPDX-License-Identifier: Apache-2.0 */
/* Every case batched: all operands along axis 0, each one alone along its last axis, all along axis
 * 1,
 * against a loop over the examples. */
#include "check.h"
#include "conformance/derivatives.h"

TEST(batches_equal_loops) {
  for (int32_t k = 0; k < conformance_case_count; k++) {
    const conformance_case *c = &conformance_cases[k];
    if (case_wanted(c) && !(c->flags & NO_VMAP)) check_vmap(c);
  }
  check_case_filter();
  close_devices();
}
TEST_MAIN(TEST_CASE(batches_equal_loops))
