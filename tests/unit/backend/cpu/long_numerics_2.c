/* SPDX-License-Identifier: Apache-2.0 */
/* A quarter of the functions in numerics.h on every float; four programs, so that they share the cores. */
#include "unit/backend/cpu/numerics.h"

TEST(every_float) { numerics_exhaust(1, 4); }

TEST_MAIN(TEST_CASE(every_float))
