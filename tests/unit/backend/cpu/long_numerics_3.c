/* SPDX-License-Identifier: Apache-2.0 */
/* The functions in numerics.h on a quarter of all floats; four programs, so that they share the cores. */
#include "unit/backend/cpu/numerics.h"

TEST(every_float) { numerics_exhaust(2, 4); }

TEST_MAIN(TEST_CASE(every_float))
