/* SPDX-License-Identifier: Apache-2.0 */
/* CIFAR: images and labels have the file's bytes. */
#include "fuzz.h"

#include "mica/data.h"

FUZZ_TARGET(cifar) {
  for (int32_t label_bytes = 1; label_bytes <= 2; label_bytes++) {
    mica_tensor *images, *labels;
    mica_error error = {0};
    mica_status status = mica_cifar_parse(bytes, size, label_bytes, &images, &labels, &error);
    FUZZ_REQUIRE((status == MICA_OK) == (images != NULL) && (images != NULL) == (labels != NULL));
    FUZZ_REQUIRE(mica_tensor_byte_size(images) <= size && error.status == status);
    mica_tensor_release(images);
    mica_tensor_release(labels);
  }
}
