/* SPDX-License-Identifier: Apache-2.0 */
/* Derivatives of every case against finite differences in f64 on the reference backend: the
 * gradient, the
 * tangent, and the gradient of the gradient, for every element of every float operand. A five-point
 * stencil
 * (error of order h^4) leaves about 1e-11, far below the tolerances of 1e-6 and 1e-4 relative to
 * the largest
 * entry. A derivative that is zero everywhere does not count as tested. The same derivatives are
 * compiled
 * for cpu in f32 and f64 and compared with the reference. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "conformance/derivatives.h"

TEST(gradients_match_differences) {
  for (int32_t k = 0; k < conformance_case_count; k++) {
    const conformance_case *c = &conformance_cases[k];
    if (case_wanted(c) && c->flags & (SMOOTH | FLAT | FIRST)) check_gradient(c, 1);
  }
  check_case_filter();
  close_devices();
}
TEST(tangents_match_differences) {
  for (int32_t k = 0; k < conformance_case_count; k++) {
    const conformance_case *c = &conformance_cases[k];
    if (case_wanted(c) && c->flags & (SMOOTH | FLAT | FIRST) && !(c->flags & REVERSE))
      check_tangent(c);
  }
  check_case_filter();
  close_devices();
}
TEST(second_order_matches_differences) {
  for (int32_t k = 0; k < conformance_case_count; k++) {
    const conformance_case *c = &conformance_cases[k];
    if (case_wanted(c) && c->flags & SMOOTH) check_gradient(c, 2);
  }
  check_case_filter();
  close_devices();
}
TEST_MAIN(TEST_CASE(gradients_match_differences), TEST_CASE(tangents_match_differences),
          TEST_CASE(second_order_matches_differences))
