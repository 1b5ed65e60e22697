/* SPDX-License-Identifier: Apache-2.0 */
/* PNG and JPEG: an image is u8 [height, width, channels] within the limit. For libFuzzer:
 *
 *   clang -DMICA_FUZZER -g -O1 -fsanitize=fuzzer,address,undefined -std=c17 -D_GNU_SOURCE -Iinclude -Isrc -Itests/fuzz
 *     tests/image/fuzz_image.c $(cat src/image/image.sources core.sources) -lspng -lturbojpeg -lm -lpthread */
#include "fuzz/fuzz.h"

#include "mica/image.h"

FUZZ_TARGET(image) {
  if (size == 0) return;
  static const int32_t channels[] = {0, 1, 3, 4};
  mica_image_options options = {.struct_size = sizeof options,
                                .channels = channels[bytes[0] % 4],
                                .size = {bytes[0] & 4 ? 5 : 0, bytes[0] & 4 ? 7 : 0},
                                .largest = 1 << 16};
  mica_tensor *image;
  mica_error error = {0};
  mica_status status = mica_image_parse(bytes + 1, size - 1, &options, &image, &error);
  FUZZ_REQUIRE((status == MICA_OK) == (image != NULL) && error.status == status);
  mica_shape shape = mica_tensor_type(image).shape;
  if (image != NULL)
    FUZZ_REQUIRE(shape.rank == 3 && shape.dim[0] * shape.dim[1] <= 1 << 16 &&
                 (options.channels == 0 || shape.dim[2] == options.channels));
  mica_tensor_release(image);
}
