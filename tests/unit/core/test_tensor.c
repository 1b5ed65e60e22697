/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a tensor: made, shared, read, written, wrapped, on a device, released. */
#include "check.h"
#include "core/memory.h"
#include "core/tensor.h"
#include "testing_allocator.h"

static const float six[] = {1, 2, 3, 4, 5, 6};

TEST(from_values) {
  mica_tensor *tensor = mica_tensor_from(MICA_F32, MICA_DIMS(2, 3), six);
  if (!CHECK(tensor != NULL)) return;
  CHECK(mica_type_equal(mica_tensor_type(tensor), (mica_type){MICA_F32, MICA_DIMS(2, 3)}));
  CHECK_EQ_INT(mica_tensor_byte_size(tensor), 24);
  CHECK_EQ_INT((uintptr_t)mica_tensor_data(tensor) % 64, 0);
  CHECK_EQ_BYTES(mica_tensor_data(tensor), six, sizeof(six));
  mica_tensor_release(tensor);
}

TEST(zeros_scalars_and_nothing) {
  mica_tensor *zeros = mica_tensor_from(MICA_I64, MICA_DIMS(3), NULL);
  const int64_t expected[3] = {0, 0, 0};
  CHECK_EQ_BYTES(mica_tensor_data(zeros), expected, sizeof(expected));
  mica_tensor_release(zeros);
  mica_tensor *also = mica_tensor_from_doubles(MICA_I64, MICA_DIMS(3), NULL);
  CHECK_EQ_BYTES(mica_tensor_data(also), expected, sizeof(expected));
  mica_tensor_release(also);
  mica_tensor *scalar = mica_tensor_scalar(MICA_F16, 1.5);
  const uint16_t half = 0x3E00;
  CHECK_EQ_BYTES(mica_tensor_data(scalar), &half, 2);
  mica_tensor_release(scalar);
  mica_tensor *empty = mica_tensor_from(MICA_F32, MICA_DIMS(2, 0), NULL);
  CHECK(empty != NULL && mica_tensor_data(empty) != NULL);
  CHECK_EQ_INT(mica_tensor_byte_size(empty), 0);
  CHECK_OK(mica_tensor_read(empty, NULL, 0, NULL));
  CHECK_OK(mica_tensor_write(empty, NULL, 0, NULL));
  mica_tensor_release(empty);
  CHECK(mica_tensor_from(MICA_DTYPE_NONE, MICA_SCALAR, NULL) == NULL);
  CHECK(mica_tensor_from(MICA_F64, MICA_DIMS(INT64_MAX), NULL) == NULL);
  CHECK(mica_tensor_from_doubles(MICA_F64, MICA_DIMS(-1), (double[]){0}) == NULL);
}

/* Large ones have pages of their own, zeroed. */
TEST(large) {
  const int64_t count = 700001;
  mica_tensor *tensor = mica_tensor_from(MICA_F32, MICA_DIMS(count), NULL);
  if (!CHECK(tensor != NULL)) return;
  CHECK_EQ_INT(tensor->storage, MICA_TENSOR_PAGES);
  const float *values = mica_tensor_data(tensor);
  CHECK_EQ_INT((uintptr_t)values % 64, 0);
  float sum = 0;
  for (int64_t i = 0; i < count; i++) sum += values[i] * values[i];
  CHECK_NEAR(sum, 0, 0);
  mica_tensor_release(tensor);
  testing_allocator state = {0};
  mica_allocator own = testing_allocator_value(&state);
  CHECK_OK(mica_tensor_create(&own, (mica_type){MICA_F32, MICA_DIMS(count)}, NULL, &tensor, NULL));
  CHECK(state.live_bytes >= (size_t)count * 4); /* the caller's allocator is not gone behind */
  mica_tensor_release(tensor);
  CHECK_EQ_INT(state.live, 0);
  mica_error error = {0};
  CHECK_STATUS(mica_tensor_create(NULL, (mica_type){MICA_F32, MICA_DIMS(INT64_MAX / 8)}, NULL,
                                  &tensor, &error),
               MICA_OUT_OF_MEMORY);
  CHECK_STR_CONTAINS(error.message, "no memory for f32[1152921504606846975]");
  CHECK(tensor == NULL);
}

TEST(one_encoding_for_each_value) {
  const uint8_t bools[] = {0, 1, 2, 255}, ones[] = {0, 1, 1, 1};
  mica_tensor *tensor = mica_tensor_from(MICA_BOOL, MICA_DIMS(4), bools);
  CHECK_EQ_BYTES(mica_tensor_data(tensor), ones, 4);
  CHECK_OK(mica_tensor_write(tensor, (uint8_t[]){9, 0, 0, 0}, 4, NULL));
  CHECK_EQ_BYTES(mica_tensor_data(tensor), ((uint8_t[]){1, 0, 0, 0}), 4);
  mica_tensor_release(tensor);
  mica_tensor *packed = mica_tensor_from(MICA_U4, MICA_DIMS(3), (uint8_t[]){0x21, 0xF3});
  CHECK_EQ_BYTES(mica_tensor_data(packed), ((uint8_t[]){0x21, 0x03}), 2);
  mica_tensor_release(packed);
}

TEST(references) {
  mica_tensor *tensor = mica_tensor_scalar(MICA_F32, 1);
  CHECK(mica_tensor_is_unique(tensor));
  CHECK(mica_tensor_retain(tensor) == tensor);
  CHECK(!mica_tensor_is_unique(tensor));
  mica_tensor_release(tensor);
  CHECK(mica_tensor_is_unique(tensor));
  mica_tensor_release(tensor);
}

TEST(null_is_harmless) {
  mica_error error = {0};
  CHECK(mica_tensor_retain(NULL) == NULL);
  mica_tensor_release(NULL);
  CHECK_EQ_INT(mica_tensor_type(NULL).dtype, MICA_DTYPE_NONE);
  CHECK_EQ_INT(mica_tensor_byte_size(NULL), 0);
  CHECK(mica_tensor_data(NULL) == NULL && mica_tensor_mutable_data(NULL) == NULL);
  CHECK_EQ_INT(mica_tensor_version(NULL), 0);
  CHECK(!mica_tensor_is_unique(NULL));
  mica_tensor_touch(NULL);
  CHECK_STATUS(mica_tensor_read(NULL, &error, 0, NULL), MICA_INVALID);
  CHECK_STATUS(mica_tensor_read_doubles(NULL, NULL, 0, NULL), MICA_INVALID);
  CHECK_STATUS(mica_tensor_write(NULL, NULL, 0, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "NULL");
}

TEST(read_and_write) {
  mica_error error = {0};
  mica_tensor *tensor = mica_tensor_from(MICA_F32, MICA_DIMS(6), NULL);
  CHECK_EQ_INT(mica_tensor_version(tensor), 0);
  CHECK_OK(mica_tensor_write(tensor, six, sizeof(six), &error));
  CHECK_EQ_INT(mica_tensor_version(tensor), 1);
  float back[6];
  CHECK_OK(mica_tensor_read(tensor, back, sizeof(back), &error));
  CHECK_EQ_BYTES(back, six, sizeof(six));
  double doubles[6];
  CHECK_OK(mica_tensor_read_doubles(tensor, doubles, 6, &error));
  for (int i = 0; i < 6; i++) CHECK_NEAR(doubles[i], six[i], 0);
  CHECK_STATUS(mica_tensor_read(tensor, back, 20, &error), MICA_INVALID);
  CHECK_EQ_STR(error.message, "f32[6] has 24 bytes, not 20");
  CHECK_STATUS(mica_tensor_read(tensor, NULL, 24, NULL), MICA_INVALID);
  CHECK_STATUS(mica_tensor_write(tensor, six, 25, NULL), MICA_INVALID);
  CHECK_STATUS(mica_tensor_read_doubles(tensor, doubles, 5, NULL), MICA_INVALID);
  CHECK_STATUS(mica_tensor_read_doubles(tensor, NULL, 6, NULL), MICA_INVALID);
  CHECK_EQ_INT(mica_tensor_version(tensor), 1);
  mica_tensor_release(tensor);
}

static void count_release(void *context) { ++*(int *)context; }

TEST(wrapped_memory) {
  _Alignas(64) float values[16] = {1, 2, 3, 4, 5, 6};
  int released = 0;
  mica_tensor *tensor;
  mica_type type = {MICA_F32, MICA_DIMS(2, 3)};
  mica_error error = {0};
  CHECK_OK(mica_tensor_wrap(type, values, count_release, &released, &tensor, &error));
  CHECK(mica_tensor_data(tensor) == values);
  CHECK(mica_tensor_mutable_data(tensor) == NULL);
  mica_tensor_release(tensor);
  CHECK_EQ_INT(released, 1);
  /* Writing leaves the caller's memory alone and gives it back. */
  CHECK_OK(mica_tensor_wrap(type, values, count_release, &released, &tensor, &error));
  CHECK_OK(mica_tensor_write(tensor, (float[6]){0}, 24, &error));
  CHECK_EQ_INT(released, 2);
  CHECK_NEAR(values[5], 6, 0);
  CHECK(mica_tensor_mutable_data(tensor) != NULL && mica_tensor_version(tensor) == 1);
  mica_tensor_release(tensor);
  CHECK_EQ_INT(released, 2);
  CHECK_STATUS(mica_tensor_wrap(type, values + 1, NULL, NULL, &tensor, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "aligned to 64");
  CHECK(tensor == NULL);
  CHECK_STATUS(mica_tensor_wrap(type, NULL, NULL, NULL, &tensor, NULL), MICA_INVALID);
  CHECK_STATUS(mica_tensor_wrap((mica_type){0}, values, NULL, NULL, &tensor, NULL), MICA_INVALID);
  CHECK_OK(mica_tensor_wrap((mica_type){MICA_F32, MICA_DIMS(0)}, NULL, NULL, NULL, &tensor, NULL));
  mica_tensor_release(tensor);
}

/* ---- a device, of this test ------------------------------------------------------------------ */

typedef struct {
  float values[6];
  bool broken;
  int released;
} fake_buffer;

static mica_status fake_read(void *buffer, void *host, size_t byte_size, mica_error *error) {
  fake_buffer *fake = buffer;
  if (fake->broken) return mica_error_set(error, MICA_DATA_LOSS, "the device is gone");
  memcpy(host, fake->values, byte_size);
  return MICA_OK;
}
static void fake_release(void *buffer) { ((fake_buffer *)buffer)->released++; }
static const mica_tensor_device fake_device = {.read = fake_read, .release = fake_release};

TEST(device_tensors) {
  fake_buffer buffer = {.values = {1, 2, 3, 4, 5, 6}};
  mica_type type = {MICA_F32, MICA_DIMS(6)};
  mica_error error = {0};
  mica_tensor *tensor, *same = mica_tensor_from(MICA_F32, MICA_DIMS(6), six);
  CHECK_OK(mica_tensor_create_on_device(NULL, type, &fake_device, &buffer, &tensor, &error));
  CHECK(mica_tensor_data(tensor) == NULL && mica_tensor_mutable_data(tensor) == NULL);
  float back[6];
  double doubles[6] = {0};
  CHECK_OK(mica_tensor_read(tensor, back, sizeof(back), &error));
  CHECK_EQ_BYTES(back, six, sizeof(six));
  CHECK_OK(mica_tensor_read_doubles(tensor, doubles, 6, &error));
  CHECK_NEAR(doubles[5], 6, 0);
  CHECK(mica_tensor_equal(tensor, same) && mica_tensor_equal(same, tensor));
  char text[64];
  mica_tensor_format(tensor, NULL, text, sizeof(text));
  CHECK_EQ_STR(text, "[1. 2. 3. 4. 5. 6.]");
  buffer.broken = true;
  CHECK(!mica_tensor_equal(tensor, same) && !mica_tensor_equal(same, tensor));
  mica_closeness closeness;
  CHECK_STATUS(mica_tensor_compare(same, tensor, 0, 0, &closeness, &error), MICA_DATA_LOSS);
  CHECK_STATUS(mica_tensor_read_doubles(tensor, doubles, 6, NULL), MICA_DATA_LOSS);
  mica_tensor_format(tensor, NULL, text, sizeof(text));
  CHECK_EQ_STR(text, "(unreadable)");
  CHECK_EQ_STR(error.message, "the device is gone");
  CHECK_EQ_INT(buffer.released, 0);
  CHECK_OK(mica_tensor_write(tensor, six, sizeof(six), NULL)); /* moves it to the host */
  CHECK_EQ_INT(buffer.released, 1);
  CHECK(mica_tensor_equal(tensor, same));
  mica_tensor_release(tensor);
  CHECK_EQ_INT(buffer.released, 1);
  mica_tensor_release(same);
}

/* All of what a backend may offer. */
static const void *fake_host(void *buffer) {
  fake_buffer *fake = buffer;
  return fake->broken ? NULL : fake->values;
}
static mica_status fake_read_part(void *buffer, size_t offset, void *host, size_t byte_size,
                                  mica_error *error) {
  (void)error;
  memcpy(host, (const char *)((fake_buffer *)buffer)->values + offset, byte_size);
  return MICA_OK;
}
static mica_status fake_wait(void *buffer, mica_error *error) {
  bool broken = ((fake_buffer *)buffer)->broken;
  return broken ? mica_error_set(error, MICA_DATA_LOSS, "it failed late") : MICA_OK;
}
static bool fake_ready(void *buffer) { return !((fake_buffer *)buffer)->broken; }
static const mica_tensor_device full_device = {.read = fake_read,
                                               .release = fake_release,
                                               .host = fake_host,
                                               .read_part = fake_read_part,
                                               .wait = fake_wait,
                                               .ready = fake_ready};

TEST(device_tensors_that_offer_more) {
  mica_type type = {MICA_F32, MICA_DIMS(6)};
  mica_error error = {0};
  float part[2];
  for (int full = 0; full < 2; full++) {
    fake_buffer buffer = {.values = {1, 2, 3, 4, 5, 6}}, other = {.values = {6, 5, 4, 3, 2, 1}};
    const mica_tensor_device *device = full ? &full_device : &fake_device;
    mica_tensor *tensor, *from;
    CHECK_OK(mica_tensor_create_on_device(NULL, type, device, &buffer, &tensor, NULL));
    CHECK(mica_tensor_data(tensor) == (full ? buffer.values : NULL));
    CHECK(mica_tensor_is_ready(tensor) && mica_tensor_wait(tensor, NULL) == MICA_OK);
    CHECK_OK(mica_tensor_read_part(tensor, 12, part, sizeof(part), NULL));
    CHECK_NEAR(part[1], 5, 0);
    CHECK_STATUS(mica_tensor_read_part(tensor, 20, part, sizeof(part), NULL), MICA_INVALID);
    CHECK_STATUS(mica_tensor_read_part(tensor, 25, part, 0, NULL), MICA_INVALID);
    CHECK_STATUS(mica_tensor_read_part(tensor, 8, NULL, 4, NULL), MICA_INVALID);
    CHECK_OK(mica_tensor_read_part(tensor, 24, NULL, 0, NULL));
    /* Other values take their place. */
    CHECK_OK(mica_tensor_create_on_device(NULL, type, device, &other, &from, NULL));
    mica_tensor_take(tensor, from);
    CHECK_EQ_INT(buffer.released, 1);
    CHECK_OK(mica_tensor_read_part(tensor, 0, part, sizeof(part), NULL));
    CHECK_NEAR(part[0], 6, 0);
    other.broken = true;
    CHECK(mica_tensor_is_ready(tensor) == !full);
    CHECK_STATUS(mica_tensor_wait(tensor, NULL), full ? MICA_DATA_LOSS : MICA_OK);
    CHECK_STATUS(mica_tensor_to_host(tensor, &error), MICA_DATA_LOSS);
    other.broken = false;
    CHECK_OK(mica_tensor_to_host(tensor, NULL));
    CHECK_EQ_INT(other.released, 1);
    CHECK_NEAR(((const float *)mica_tensor_data(tensor))[5], 1, 0);
    CHECK_OK(mica_tensor_to_host(tensor, NULL));
    mica_tensor_release(tensor);
  }
  CHECK(mica_tensor_is_ready(NULL));
  CHECK_STATUS(mica_tensor_wait(NULL, NULL), MICA_INVALID);
  CHECK_STATUS(mica_tensor_read_part(NULL, 0, part, 4, NULL), MICA_INVALID);
  mica_tensor *host = mica_tensor_from(MICA_F32, MICA_DIMS(6), six);
  CHECK_OK(mica_tensor_read_part(host, 4, part, sizeof(part), NULL));
  CHECK_NEAR(part[0], 2, 0);
  mica_tensor_release(host);
}

TEST(uninitialized_and_touched) {
  mica_tensor *tensor;
  CHECK_OK(
      mica_tensor_create_uninitialized(NULL, (mica_type){MICA_F32, MICA_DIMS(6)}, &tensor, NULL));
  memcpy(mica_tensor_mutable_data(tensor), six, sizeof(six));
  mica_tensor_touch(tensor);
  CHECK_EQ_INT(mica_tensor_version(tensor), 1);
  CHECK_EQ_BYTES(mica_tensor_data(tensor), six, sizeof(six));
  mica_tensor_release(tensor);
}

static bool create_tensor(const mica_allocator *allocator, void *context) {
  (void)context;
  mica_tensor *tensor;
  mica_error error = {0};
  mica_status status =
      mica_tensor_create(allocator, (mica_type){MICA_F32, MICA_DIMS(6)}, six, &tensor, &error);
  if (status != MICA_OK) {
    CHECK_STATUS(status, MICA_OUT_OF_MEMORY);
    CHECK_STR_CONTAINS(error.message, "f32[6]");
    CHECK(tensor == NULL);
  }
  mica_tensor_release(tensor);
  return status == MICA_OK;
}

TEST(failing_allocations) { CHECK_EQ_INT(testing_sweep(create_tensor, NULL), 1); }

TEST(strided_copy) {
  int16_t source[12], out[6], expected[6] = {11, 9, 7, 5, 3, 1};
  for (int i = 0; i < 12; i++) source[i] = (int16_t)i;
  const int64_t stride[] = {-6 * 2, -2 * 2};
  mica_copy_strided(MICA_DIMS(2, 3), stride, 2, source + 11, out);
  CHECK_EQ_BYTES(out, expected, sizeof(expected));
}

TEST_MAIN(TEST_CASE(from_values), TEST_CASE(zeros_scalars_and_nothing), TEST_CASE(large),
          TEST_CASE(one_encoding_for_each_value), TEST_CASE(references),
          TEST_CASE(null_is_harmless), TEST_CASE(read_and_write), TEST_CASE(wrapped_memory),
          TEST_CASE(device_tensors), TEST_CASE(device_tensors_that_offer_more),
          TEST_CASE(uninitialized_and_touched), TEST_CASE(failing_allocations),
          TEST_CASE(strided_copy))
