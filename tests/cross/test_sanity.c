/* SPDX-License-Identifier: Apache-2.0 */
/* The least that has to hold on a machine of another kind: the sizes and the arithmetic that the library
 * takes for granted, and that the library is there and computes. */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "mica/mica.h"

TEST(the_machine_is_as_expected) {
  const uint32_t one = 1;
  unsigned char first;
  memcpy(&first, &one, 1);
  CHECK_EQ_INT(first, 1); /* little-endian */
  CHECK_EQ_INT(FLT_EVAL_METHOD, 0);
  CHECK(sizeof(void *) == 8 || sizeof(void *) == 4);
  CHECK_EQ_INT((-8) >> 1, -4);
}

/* a * b + c rounded twice is 0 here, fused it is -2^-46: contraction must be off. */
TEST(products_are_not_contracted) {
  volatile float a = 1.0f + 0x1p-23f, b = 1.0f - 0x1p-23f, c = -1.0f;
  float x = a, y = b, z = c;
  CHECK_NEAR(x * y + z, 0.0, 0.0);
  CHECK_NEAR(fmaf(x, y, z), -0x1p-46, 0.0);
}

TEST(tensors_round_trip) {
  const double values[4] = {0.5, -0.0, 1e10, -3};
  double read[4] = {0};
  mica_error error = {0};
  mica_tensor *tensor =
      mica_tensor_from_doubles(MICA_F32, (mica_shape){.rank = 2, .dim = {2, 2}}, values);
  CHECK_OK_ERROR(mica_tensor_read_doubles(tensor, read, 4, &error), &error);
  CHECK_EQ_BYTES(read, values, sizeof values);
  mica_tensor_release(tensor);
}

TEST_MAIN(TEST_CASE(the_machine_is_as_expected), TEST_CASE(products_are_not_contracted),
          TEST_CASE(tensors_round_trip))
