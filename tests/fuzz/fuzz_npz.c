/* SPDX-License-Identifier: Apache-2.0 */
/* .npz: what an archive holds is no larger than DEFLATE can make of its size, and names are what
 * they should be. */
#include "fuzz.h"

#include "core/inflate.h"

FUZZ_TARGET(npz) {
  mica_npz *npz;
  mica_error error = {0};
  mica_status status = mica_npz_parse(bytes, size, &npz, &error);
  FUZZ_REQUIRE((status == MICA_OK) == (npz != NULL) && error.status == status);
  uint64_t total = 0;
  for (int64_t i = 0; i < mica_npz_count(npz); i++) {
    mica_tensor *tensor = mica_npz_tensor(npz, i);
    FUZZ_REQUIRE(tensor != NULL && mica_npz_find(npz, mica_npz_name(npz, i)) == tensor);
    total += mica_tensor_byte_size(tensor);
  }
  FUZZ_REQUIRE(total <= (uint64_t)size * (MICA_INFLATE_LARGEST_RATIO + 1));
  mica_npz_destroy(npz);
}
