/* SPDX-License-Identifier: Apache-2.0 */
/* .npy: files that numpy wrote (tests/golden/make_npy.py), files of ours against them, and damaged
 * ones. Every golden array counts 0, 1, 2, ... in row-major order. */
#include "check.h"
#include "core/tensor.h"
#include "testing_files.h"

static const char *golden_path(const char *name) {
  char relative[100];
  snprintf(relative, sizeof(relative), "tests/golden/npy/%s", name);
  return check_source_path(relative);
}

static mica_tensor *counting(mica_dtype dtype, mica_shape shape) {
  double values[64];
  for (int i = 0; i < 64; i++) values[i] = i;
  return mica_tensor_from_doubles(dtype, shape, values);
}

static void check_same(const mica_tensor *tensor, const mica_tensor *expected, const char *what) {
  char text[200], wanted[200];
  if (mica_tensor_equal(tensor, expected)) return;
  mica_type_format(mica_tensor_type(tensor), text, sizeof(text));
  mica_type_format(mica_tensor_type(expected), wanted, sizeof(wanted));
  CHECK_FAIL("%s: %s differs from %s", what, text, wanted);
}

TEST(what_numpy_wrote) {
  static const struct {
    const char *name;
    mica_dtype dtype;
    mica_shape shape;
  } cases[] = {{"bool", MICA_BOOL, {2, {2, 3}}},
               {"int8", MICA_I8, {2, {2, 3}}},
               {"uint8", MICA_U8, {2, {2, 3}}},
               {"int16", MICA_I16, {2, {2, 3}}},
               {"uint16", MICA_U16, {2, {2, 3}}},
               {"int32", MICA_I32, {2, {2, 3}}},
               {"uint32", MICA_U32, {2, {2, 3}}},
               {"int64", MICA_I64, {2, {2, 3}}},
               {"uint64", MICA_U64, {2, {2, 3}}},
               {"float16", MICA_F16, {2, {2, 3}}},
               {"float32", MICA_F32, {2, {2, 3}}},
               {"float64", MICA_F64, {2, {2, 3}}},
               {"complex64", MICA_C64, {2, {2, 3}}},
               {"complex128", MICA_C128, {2, {2, 3}}},
               {"bfloat16", MICA_BF16, {2, {2, 3}}},
               {"float8_e5m2", MICA_F8E5M2, {2, {2, 3}}},
               {"scalar", MICA_F32, {0, {0}}},
               {"vector", MICA_F32, {1, {3}}},
               {"empty", MICA_F32, {3, {3, 0, 2}}},
               {"rank_8", MICA_I32, {8, {1, 2, 1, 2, 1, 2, 1, 2}}},
               {"fortran", MICA_F64, {3, {2, 3, 4}}},
               {"fortran_big_endian", MICA_I32, {2, {2, 3}}},
               {"big_endian_complex", MICA_C64, {2, {2, 3}}},
               {"version_2", MICA_F32, {2, {2, 3}}},
               {"version_3", MICA_F32, {2, {2, 3}}}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    char name[64];
    snprintf(name, sizeof(name), "%s.npy", cases[i].name);
    mica_error error = {0};
    mica_tensor *tensor = NULL, *parsed = NULL,
                *expected = counting(cases[i].dtype, cases[i].shape);
    CHECK_OK_ERROR(mica_npy_load(golden_path(name), &tensor, &error), &error);
    check_same(tensor, expected, name);
    size_t size = 0, saved_size = 0;
    char *bytes = testing_read_file(golden_path(name), &size);
    CHECK_OK_ERROR(mica_npy_parse(bytes, size, &parsed, &error), &error);
    check_same(parsed, expected, name);
    /* Written again, it is the same file, unless ours has another order, version or comment. */
    const char *path = check_temporary_path(name);
    CHECK_OK_ERROR(mica_npy_save(path, expected, &error), &error);
    char *saved = testing_read_file(path, &saved_size);
    bool changed = strstr(name, "fortran") != NULL || strstr(name, "endian") != NULL ||
                   strstr(name, "version") != NULL || strstr(name, "float8") != NULL;
    if (!changed && CHECK(saved != NULL) && CHECK_EQ_INT(saved_size, size))
      CHECK_EQ_BYTES(saved, bytes, size);
    free(saved);
    free(bytes);
    mica_tensor_release(tensor);
    mica_tensor_release(parsed);
    mica_tensor_release(expected);
  }
}

TEST(every_dtype_comes_back) {
  for (int d = 1; d < MICA_DTYPE_COUNT; d++) {
    mica_error error = {0};
    mica_tensor *before = counting((mica_dtype)d, MICA_DIMS(3, 5)), *after = NULL;
    const char *path = check_temporary_path("round.npy");
    CHECK_OK_ERROR(mica_npy_save(path, before, &error), &error);
    CHECK_OK_ERROR(mica_npy_load(path, &after, &error), &error);
    check_same(after, before, mica_dtype_name((mica_dtype)d));
    mica_tensor_release(before);
    mica_tensor_release(after);
  }
}

TEST(what_is_not_supported) {
  static const struct {
    const char *name, *message;
  } cases[] = {{"structure.npy", "structures"},
               {"text.npy", "unsupported type"},
               {"untold_int4.npy", "does not tell"}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    mica_error error = {0};
    mica_tensor *tensor;
    CHECK_STATUS(mica_npy_load(golden_path(cases[i].name), &tensor, &error), MICA_UNSUPPORTED);
    CHECK_STR_CONTAINS(error.message, cases[i].message);
    CHECK(tensor == NULL);
  }
  mica_error error = {0};
  mica_tensor *tensor;
  CHECK_STATUS(mica_npy_load(golden_path("rank_9.npy"), &tensor, &error), MICA_DATA_LOSS);
  CHECK_STR_CONTAINS(error.message, "more than 8 axes");
}

/* ---- hand-made headers ----------------------------------------------------------------------- */

/* A version 1 file with this header and `body` bytes of zeros. */
static mica_status parse_header(const char *header, size_t body, mica_tensor **out,
                                mica_error *error) {
  size_t length = strlen(header), size = 10 + length + body;
  unsigned char *bytes = calloc(1, size);
  if (bytes == NULL) return MICA_OUT_OF_MEMORY;
  memcpy(bytes, "\x93NUMPY\x01", 8);
  bytes[8] = (unsigned char)length;
  bytes[9] = (unsigned char)(length >> 8);
  memcpy(bytes + 10, header, length);
  mica_status status = mica_npy_parse(bytes, size, out, error);
  free(bytes);
  return status;
}

TEST(headers_in_other_words) {
  static const char *const headers[] = {
      "{'shape': (2,), 'fortran_order': True, 'descr': '<f4'}",
      "{\"descr\":\"<f4\",\"fortran_order\":False,\"shape\":(2,)}",
      "{'descr': 'f4', 'fortran_order': False, 'shape': (2L,), }\n",
      " { 'descr' : '=f4' , 'fortran_order' : False , 'shape' : ( 2 , ) , } "};
  for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
    mica_tensor *tensor;
    mica_error error = {0};
    if (parse_header(headers[i], 8, &tensor, &error) != MICA_OK)
      CHECK_FAIL("%s: %s", headers[i], error.message);
    CHECK(mica_type_equal(mica_tensor_type(tensor), (mica_type){MICA_F32, MICA_DIMS(2)}));
    mica_tensor_release(tensor);
  }
}

TEST(headers_that_are_wrong) {
  static const struct {
    const char *header, *message;
  } cases[] = {
      {"", "not a dictionary"},
      {"['descr']", "not a dictionary"},
      {"{'descr': '<f4'", "not a dictionary"},
      {"{'descr' '<f4'}", "not a dictionary"},
      {"{descr: '<f4'}", "not a dictionary"},
      {"{'descr': '<f4}", "structures"},
      {"{}", "lacks one"},
      {"{'descr': '<f4', 'shape': (2,)}", "lacks one"},
      {"{'descr': '<f4', 'descr': '<f4'}", "unknown key or one twice"},
      {"{'extra': 1}", "unknown key"},
      {"{'descr': '<', 'fortran_order': False, 'shape': (2,)}", "names no type"},
      {"{'descr': '', 'fortran_order': False, 'shape': (2,)}", "names no type"},
      {"{'descr': '<f', 'fortran_order': False, 'shape': (2,)}", "unsupported type"},
      {"{'descr': '<f3', 'fortran_order': False, 'shape': (2,)}", "unsupported type"},
      {"{'descr': '<f4x', 'fortran_order': False, 'shape': (2,)}", "unsupported type"},
      {"{'descr': '<f-4', 'fortran_order': False, 'shape': (2,)}", "unsupported type"},
      {"{'descr': '<V1', 'fortran_order': False, 'shape': (2,)} # f32", "does not tell"},
      {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", "neither True nor False"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': 2}", "not a tuple"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", "not a tuple"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3}", "not a tuple"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", "other than sizes"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
       "other than sizes"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}",
       "more than 8 axes"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", "more than the file holds"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,)}",
       "more than the file holds"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296)}",
       "more than the file holds"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", "text after"}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    mica_tensor *tensor;
    mica_error error = {0};
    mica_status status = parse_header(cases[i].header, 8, &tensor, &error);
    bool refused = status == MICA_DATA_LOSS || status == MICA_UNSUPPORTED;
    if (!refused || strstr(error.message, cases[i].message) == NULL)
      CHECK_FAIL("%s: status %d, %s", cases[i].header, (int)status, error.message);
    CHECK(tensor == NULL);
    mica_tensor_release(tensor);
  }
}

TEST(files_that_are_no_npy) {
  static const struct {
    const char *bytes;
    size_t size;
    mica_status status;
  } cases[] = {{"", 0, MICA_DATA_LOSS},
               {"\x93NUMPY", 6, MICA_DATA_LOSS},
               {"\x93NUMPX\x01\x00\x02\x00{}", 12, MICA_DATA_LOSS},
               {"\x93NUMPY\x04\x00\x02\x00{}", 12, MICA_UNSUPPORTED},
               {"\x93NUMPY\x00\x00\x02\x00{}", 12, MICA_UNSUPPORTED},
               {"\x93NUMPY\x01\x00\xFF\xFF{}", 12, MICA_DATA_LOSS},
               {"\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF", 12, MICA_DATA_LOSS}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    mica_tensor *tensor;
    CHECK_STATUS(mica_npy_parse(cases[i].bytes, cases[i].size, &tensor, NULL), cases[i].status);
    CHECK(tensor == NULL);
  }
  mica_tensor *tensor;
  mica_error error = {0};
  CHECK_STATUS(mica_npy_parse(NULL, 5, &tensor, NULL), MICA_DATA_LOSS);
  CHECK_STATUS(mica_npy_load(NULL, &tensor, NULL), MICA_INVALID);
  CHECK_STATUS(mica_npy_load(check_temporary_path("missing.npy"), &tensor, &error), MICA_NOT_FOUND);
  CHECK_STR_CONTAINS(error.message, "missing.npy");
  CHECK_STATUS(mica_npy_load(check_temporary_path("."), &tensor, NULL), MICA_IO);
  mica_tensor *scalar = mica_tensor_scalar(MICA_F32, 1);
  CHECK_STATUS(mica_npy_save(check_temporary_path("no/such/folder.npy"), scalar, NULL),
               MICA_NOT_FOUND);
  CHECK_STATUS(mica_npy_save(NULL, scalar, NULL), MICA_INVALID);
  CHECK_STATUS(mica_npy_save(check_temporary_path("null.npy"), NULL, NULL), MICA_INVALID);
  mica_tensor_release(scalar);
}

/* Cut anywhere before its end, a file is refused; with any bit of its header flipped, nothing worse
 * happens than a tensor of another type. */
TEST(damaged_files) {
  size_t size = 0;
  char *bytes = testing_read_file(golden_path("fortran.npy"), &size);
  if (!CHECK(bytes != NULL)) return;
  for (size_t cut = 0; cut < size; cut++) {
    char *part = malloc(cut == 0 ? 1 : cut);
    mica_tensor *tensor;
    memcpy(part, bytes, cut);
    CHECK_STATUS(mica_npy_parse(part, cut, &tensor, NULL), MICA_DATA_LOSS);
    CHECK(tensor == NULL);
    free(part);
  }
  int refused = 0;
  for (size_t bit = 0; bit < 8 * 80; bit++) {
    mica_tensor *tensor;
    bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    refused += mica_npy_parse(bytes, size, &tensor, NULL) != MICA_OK;
    mica_tensor_release(tensor);
    bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
  }
  CHECK(refused > 300);
  free(bytes);
}

TEST_MAIN(TEST_CASE(what_numpy_wrote), TEST_CASE(every_dtype_comes_back),
          TEST_CASE(what_is_not_supported), TEST_CASE(headers_in_other_words),
          TEST_CASE(headers_that_are_wrong), TEST_CASE(files_that_are_no_npy),
          TEST_CASE(damaged_files))
