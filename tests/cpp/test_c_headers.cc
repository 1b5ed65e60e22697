/* SPDX-License-Identifier: Apache-2.0 */
/* The C headers from C++17: plain functions, structs and enums, without mica.hpp. */
#include <cstring>

#include "check.h"
#include "mica/mica.h"

TEST(tensors_from_cpp) {
  const double values[3] = {1, 2, 3};
  double read[3] = {};
  mica_error error = {};
  mica_shape shape = {};
  shape.rank = 1;
  shape.dim[0] = 3;
  mica_tensor *tensor = mica_tensor_from_doubles(MICA_F64, shape, values);
  CHECK_OK_ERROR(mica_tensor_read_doubles(tensor, read, 3, &error), &error);
  CHECK_EQ_BYTES(read, values, sizeof values);
  CHECK_EQ_INT(mica_tensor_type(tensor).shape.rank, 1);
  mica_tensor_release(tensor);
}

TEST(errors_from_cpp) {
  mica_error error = {};
  double number = 0;
  CHECK_STATUS(mica_tensor_read_doubles(nullptr, &number, 1, &error), MICA_INVALID);
  CHECK(std::strlen(error.message) > 0);
  CHECK_EQ_STR(mica_status_text(MICA_OK), "ok");
}

TEST_MAIN(TEST_CASE(tensors_from_cpp), TEST_CASE(errors_from_cpp))
