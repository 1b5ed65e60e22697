/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors: what is read adds up to the file's bytes, and written again says the same. */
#include "fuzz.h"

#include <string.h>

#include "mica/model.h"

typedef struct {
  uint8_t *bytes;
  size_t size, capacity;
} fuzz_sink;

static mica_status fuzz_write(void *user, const void *bytes, size_t size, mica_error *error) {
  fuzz_sink *sink = user;
  if (sink->size + size > sink->capacity) {
    uint8_t *grown = realloc(sink->bytes, sink->capacity = 2 * (sink->size + size));
    if (grown == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "fuzz");
    sink->bytes = grown;
  }
  memcpy(sink->bytes + sink->size, bytes, size);
  sink->size += size;
  return MICA_OK;
}

FUZZ_TARGET(safetensors) {
  mica_safetensors *file;
  mica_error error = {0};
  mica_status status = mica_safetensors_parse(bytes, size, &file, &error);
  FUZZ_REQUIRE((status == MICA_OK) == (file != NULL) && error.status == status);
  if (file == NULL) return;
  size_t count = (size_t)mica_safetensors_count(file), total = 0, taken = 0;
  mica_named_tensor *tensors = calloc(count + 1, sizeof *tensors);
  FUZZ_REQUIRE(tensors != NULL);
  for (size_t i = 0; i < count; i++) {
    const char *name = mica_safetensors_name(file, (int64_t)i);
    FUZZ_REQUIRE(name != NULL && mica_safetensors_index(file, name) == (int64_t)i);
    tensors[taken].name = name;
    if (mica_safetensors_tensor(file, (int64_t)i, &tensors[taken].tensor, NULL) != MICA_OK)
      continue;
    total += mica_tensor_byte_size(tensors[taken++].tensor);
  }
  FUZZ_REQUIRE(total <= size);
  fuzz_sink sink = {0};
  if (mica_safetensors_write(tensors, taken, NULL, 0, fuzz_write, &sink, NULL) == MICA_OK) {
    mica_safetensors *again;
    FUZZ_REQUIRE(mica_safetensors_parse(sink.bytes, sink.size, &again, NULL) == MICA_OK);
    for (size_t i = 0; i < taken; i++) {
      mica_tensor *back = NULL;
      FUZZ_REQUIRE(mica_safetensors_tensor(again, mica_safetensors_index(again, tensors[i].name),
                                           &back, NULL) == MICA_OK &&
                   mica_tensor_equal(back, tensors[i].tensor));
      mica_tensor_release(back);
    }
    mica_safetensors_destroy(again);
  }
  free(sink.bytes);
  for (size_t i = 0; i < taken; i++) mica_tensor_release(tensors[i].tensor);
  free(tensors);
  mica_safetensors_destroy(file);
}
