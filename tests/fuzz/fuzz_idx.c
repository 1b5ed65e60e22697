/* SPDX-License-Identifier: Apache-2.0 */
/* IDX, plain and gzip: a tensor is no larger than DEFLATE can make of the file. */
#include "fuzz.h"

#include "core/inflate.h"
#include "mica/data.h"

FUZZ_TARGET(idx) {
  mica_tensor *tensor;
  mica_error error = {0};
  mica_status status = mica_idx_parse(bytes, size, &tensor, &error);
  FUZZ_REQUIRE((status == MICA_OK) == (tensor != NULL) && error.status == status);
  FUZZ_REQUIRE(mica_tensor_byte_size(tensor) <= size * (MICA_INFLATE_LARGEST_RATIO + 1));
  mica_tensor_release(tensor);
}
