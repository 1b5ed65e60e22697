/* SPDX-License-Identifier: Apache-2.0 */
/* DLPack both ways. The structs here are written from the published header a second time, with its
 * names, so that a layout mistake in the library does not repeat itself unseen. */
#include "check.h"
#include "core/tensor.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
  uint32_t major, minor;
} DLPackVersion;
typedef struct {
  int32_t device_type, device_id;
} DLDevice;
typedef struct {
  uint8_t code, bits;
  uint16_t lanes;
} DLDataType;
typedef struct {
  void *data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape, *strides;
  uint64_t byte_offset;
} DLTensor;
typedef struct DLManagedTensorVersioned {
  DLPackVersion version;
  void *manager_ctx;
  void (*deleter)(struct DLManagedTensorVersioned *self);
  uint64_t flags;
  DLTensor dl_tensor;
} DLManagedTensorVersioned;

_Static_assert(sizeof(void *) != 8 || sizeof(DLManagedTensorVersioned) == 80,
               "as on every 64-bit system");

TEST(exports) {
  const float values[] = {0, 1, 2, 3, 4, 5};
  mica_tensor *tensor = mica_tensor_from(MICA_F32, MICA_DIMS(1, 2, 3), values);
  void *pointer;
  CHECK_OK(mica_tensor_to_dlpack(tensor, &pointer, NULL));
  DLManagedTensorVersioned *managed = pointer;
  CHECK_EQ_INT(managed->version.major, 1);
  CHECK_EQ_INT(managed->flags, 1); /* read-only */
  CHECK_EQ_INT(managed->dl_tensor.device.device_type, 1);
  CHECK_EQ_INT(managed->dl_tensor.ndim, 3);
  CHECK_EQ_INT(managed->dl_tensor.dtype.code, 2);
  CHECK_EQ_INT(managed->dl_tensor.dtype.bits, 32);
  CHECK_EQ_INT(managed->dl_tensor.dtype.lanes, 1);
  CHECK_EQ_BYTES(managed->dl_tensor.shape, ((int64_t[]){1, 2, 3}), 24);
  CHECK_EQ_BYTES(managed->dl_tensor.strides, ((int64_t[]){6, 3, 1}), 24);
  CHECK_EQ_INT(managed->dl_tensor.byte_offset, 0);
  CHECK(managed->dl_tensor.data == mica_tensor_data(tensor));
  CHECK(!mica_tensor_is_unique(tensor));
  mica_tensor_release(tensor); /* the export keeps it alive */
  CHECK_EQ_BYTES(managed->dl_tensor.data, values, sizeof(values));
  managed->deleter(managed);
}

TEST(exports_refused) {
  void *pointer = &pointer;
  CHECK_STATUS(mica_tensor_to_dlpack(NULL, &pointer, NULL), MICA_INVALID);
  CHECK(pointer == NULL);
}

/* Out and in again, without a copy, for every dtype. */
TEST(round_trips) {
  const double values[] = {0, 1, 2, 3, 4};
  for (int d = 1; d < MICA_DTYPE_COUNT; d++) {
    mica_tensor *tensor = mica_tensor_from_doubles((mica_dtype)d, MICA_DIMS(5), values), *back;
    void *managed;
    mica_error error = {0};
    CHECK_OK_ERROR(mica_tensor_to_dlpack(tensor, &managed, &error), &error);
    CHECK_OK_ERROR(mica_tensor_from_dlpack(managed, &back, &error), &error);
    CHECK(mica_tensor_equal(tensor, back));
    CHECK(mica_tensor_data(tensor) == mica_tensor_data(back));
    CHECK(mica_tensor_mutable_data(back) == NULL);
    mica_tensor_release(tensor);
    CHECK_EQ_INT(mica_type_equal(mica_tensor_type(back), (mica_type){(mica_dtype)d, MICA_DIMS(5)}),
                 true);
    mica_tensor_release(back);
  }
}

/* ---- imports --------------------------------------------------------------------------------- */

static int deleted;
static void count_deletion(DLManagedTensorVersioned *self) {
  (void)self;
  deleted++;
}

/* A 2 x 3 f32 tensor; tests change what they are about. */
typedef struct {
  DLManagedTensorVersioned managed;
  int64_t shape[9], strides[9];
  _Alignas(64) float values[32];
} foreign_tensor;

static void foreign_init(foreign_tensor *foreign) {
  *foreign = (foreign_tensor){.shape = {2, 3}, .strides = {3, 1}};
  foreign->managed = (DLManagedTensorVersioned){.version = {1, 0},
                                                .deleter = count_deletion,
                                                .dl_tensor = {.data = foreign->values,
                                                              .device = {1, 0},
                                                              .ndim = 2,
                                                              .dtype = {2, 32, 1},
                                                              .shape = foreign->shape,
                                                              .strides = foreign->strides}};
  for (int i = 0; i < 32; i++) foreign->values[i] = (float)i;
}

static void check_import(foreign_tensor *foreign, const float expected[6], bool copied) {
  mica_tensor *tensor;
  mica_error error = {0};
  deleted = 0;
  if (!CHECK_OK_ERROR(mica_tensor_from_dlpack(&foreign->managed, &tensor, &error), &error)) return;
  CHECK(mica_type_equal(mica_tensor_type(tensor), (mica_type){MICA_F32, MICA_DIMS(2, 3)}));
  CHECK_EQ_BYTES(mica_tensor_data(tensor), expected, 24);
  CHECK_EQ_INT(deleted, copied);
  mica_tensor_release(tensor);
  CHECK_EQ_INT(deleted, 1);
}

TEST(imports) {
  foreign_tensor foreign;
  foreign_init(&foreign);
  check_import(&foreign, (float[]){0, 1, 2, 3, 4, 5}, false);
  foreign.managed.dl_tensor.strides = NULL;
  check_import(&foreign, (float[]){0, 1, 2, 3, 4, 5}, false);
  foreign.managed.dl_tensor.byte_offset = 64;
  check_import(&foreign, (float[]){16, 17, 18, 19, 20, 21}, false);
  foreign.managed.dl_tensor.byte_offset = 4; /* not aligned to 64 */
  check_import(&foreign, (float[]){1, 2, 3, 4, 5, 6}, true);
  foreign_init(&foreign);
  foreign.strides[0] = 1; /* transposed */
  foreign.strides[1] = 2;
  check_import(&foreign, (float[]){0, 2, 4, 1, 3, 5}, true);
  foreign.strides[0] = 0; /* broadcast */
  foreign.strides[1] = 1;
  check_import(&foreign, (float[]){0, 1, 2, 0, 1, 2}, true);
  foreign.strides[0] = -3; /* backwards */
  foreign.strides[1] = -1;
  foreign.managed.dl_tensor.byte_offset = 5 * 4;
  check_import(&foreign, (float[]){5, 4, 3, 2, 1, 0}, true);
}

TEST(axes_of_size_1_have_any_stride) {
  foreign_tensor foreign;
  foreign_init(&foreign);
  foreign.managed.dl_tensor.ndim = 3;
  memcpy(foreign.shape, ((int64_t[]){2, 1, 3}), 24);
  memcpy(foreign.strides, ((int64_t[]){3, 999, 1}), 24);
  mica_tensor *tensor;
  CHECK_OK(mica_tensor_from_dlpack(&foreign.managed, &tensor, NULL));
  CHECK(mica_tensor_data(tensor) == foreign.values);
  mica_tensor_release(tensor);
}

TEST(imports_of_other_encodings) {
  foreign_tensor foreign;
  mica_tensor *tensor;
  foreign_init(&foreign);
  const uint8_t bools[6] = {0, 1, 2, 3, 0, 255}, nibbles[6] = {1, 2, 0xF3, 4, 5, 6};
  memcpy(foreign.values, bools, 6);
  foreign.managed.dl_tensor.dtype = (DLDataType){6, 8, 1};
  CHECK_OK(mica_tensor_from_dlpack(&foreign.managed, &tensor, NULL));
  CHECK_EQ_BYTES(mica_tensor_data(tensor), ((uint8_t[]){0, 1, 1, 1, 0, 1}), 6);
  mica_tensor_release(tensor);
  /* 4-bit elements in a byte each. */
  memcpy(foreign.values, nibbles, 6);
  foreign.managed.flags = 4;
  foreign.managed.dl_tensor.dtype = (DLDataType){1, 4, 1};
  CHECK_OK(mica_tensor_from_dlpack(&foreign.managed, &tensor, NULL));
  CHECK_EQ_BYTES(mica_tensor_data(tensor), ((uint8_t[]){0x21, 0x43, 0x65}), 3);
  mica_tensor_release(tensor);
  foreign.managed.flags = 0;
  foreign.strides[0] = 9;
  CHECK_STATUS(mica_tensor_from_dlpack(&foreign.managed, &tensor, NULL), MICA_UNSUPPORTED);
  /* Nothing at all, from nowhere. */
  foreign_init(&foreign);
  foreign.shape[0] = 0;
  foreign.managed.dl_tensor.data = NULL;
  foreign.managed.deleter = NULL;
  CHECK_OK(mica_tensor_from_dlpack(&foreign.managed, &tensor, NULL));
  CHECK_EQ_INT(mica_tensor_byte_size(tensor), 0);
  mica_tensor_release(tensor);
}

static void check_import_refused(foreign_tensor *foreign, mica_status status, const char *message) {
  mica_tensor *tensor;
  mica_error error = {0};
  deleted = 0;
  CHECK_STATUS(mica_tensor_from_dlpack(&foreign->managed, &tensor, &error), status);
  CHECK_STR_CONTAINS(error.message, message);
  CHECK(tensor == NULL);
  CHECK_EQ_INT(deleted, 0); /* still the caller's */
  foreign_init(foreign);
}

TEST(imports_refused) {
  foreign_tensor foreign;
  foreign_init(&foreign);
  foreign.managed.version.major = 2;
  check_import_refused(&foreign, MICA_UNSUPPORTED, "version 2");
  foreign.managed.dl_tensor.device.device_type = 2;
  check_import_refused(&foreign, MICA_UNSUPPORTED, "device of type 2");
  foreign.managed.dl_tensor.dtype.code = 3;
  check_import_refused(&foreign, MICA_UNSUPPORTED, "type code 3");
  foreign.managed.dl_tensor.dtype.lanes = 4;
  check_import_refused(&foreign, MICA_UNSUPPORTED, "4 lanes");
  foreign.managed.dl_tensor.ndim = 9;
  check_import_refused(&foreign, MICA_UNSUPPORTED, "rank 9");
  foreign.managed.dl_tensor.ndim = -1;
  check_import_refused(&foreign, MICA_UNSUPPORTED, "rank -1");
  foreign.shape[1] = -3;
  check_import_refused(&foreign, MICA_INVALID, "negative size");
  foreign.shape[1] = INT64_MAX;
  check_import_refused(&foreign, MICA_INVALID, "address space");
  foreign.managed.dl_tensor.shape = NULL;
  check_import_refused(&foreign, MICA_INVALID, "shape is NULL");
  foreign.managed.dl_tensor.data = NULL;
  check_import_refused(&foreign, MICA_INVALID, "data is NULL");
  mica_tensor *tensor;
  CHECK_STATUS(mica_tensor_from_dlpack(NULL, &tensor, NULL), MICA_INVALID);
}

TEST_MAIN(TEST_CASE(exports), TEST_CASE(exports_refused), TEST_CASE(round_trips),
          TEST_CASE(imports), TEST_CASE(axes_of_size_1_have_any_stride),
          TEST_CASE(imports_of_other_encodings), TEST_CASE(imports_refused))
