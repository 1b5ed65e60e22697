/* SPDX-License-Identifier: Apache-2.0 */
/* .npy: a tensor is no larger than the file justifies, all of it can be read, and it prints. */
#include "fuzz.h"

#include "mica/core.h"

FUZZ_TARGET(npy) {
  mica_tensor *tensor;
  mica_error error = {0};
  mica_status status = mica_npy_parse(bytes, size, &tensor, &error);
  FUZZ_REQUIRE((status == MICA_OK) == (tensor != NULL) && error.status == status);
  if (tensor != NULL) {
    char text[4096];
    FUZZ_REQUIRE(mica_tensor_byte_size(tensor) <= size);
    FUZZ_REQUIRE(mica_tensor_format(tensor, NULL, text, sizeof(text)) > 0);
    FUZZ_REQUIRE(mica_tensor_equal(tensor, tensor));
  }
  mica_tensor_release(tensor);
}
