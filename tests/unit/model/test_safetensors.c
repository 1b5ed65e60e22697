/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors: what Python's package wrote is read and the reverse, every dtype comes back, every damage is
 * refused, nothing half-written is left. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "mica/model.h"

static mica_tensor *tensor_at(const mica_safetensors *file, const char *name) {
  mica_tensor *tensor = NULL;
  mica_error error = {0};
  CHECK_OK_ERROR(mica_safetensors_tensor(file, mica_safetensors_index(file, name), &tensor, &error),
                 &error);
  return tensor;
}

TEST(reads_what_python_wrote) {
  mica_safetensors *file;
  mica_error error = {0};
  if (!CHECK_OK_ERROR(mica_safetensors_open(check_source_path("tests/golden/python.safetensors"),
                                            &file, &error),
                      &error))
    return;
  static const struct {
    const char *name;
    mica_dtype dtype;
  } rows[] = {{"bool", MICA_BOOL},    {"int8", MICA_I8},     {"uint8", MICA_U8},
              {"int16", MICA_I16},    {"uint16", MICA_U16},  {"int32", MICA_I32},
              {"uint32", MICA_U32},   {"int64", MICA_I64},   {"uint64", MICA_U64},
              {"float16", MICA_F16},  {"float32", MICA_F32}, {"float64", MICA_F64},
              {"complex64", MICA_C64}};
  CHECK_EQ_INT(mica_safetensors_count(file), 16);
  CHECK_EQ_STR(mica_safetensors_metadata(file, "format"), "np");
  CHECK_EQ_STR(mica_safetensors_metadata(file, "note"), "line\nbreak");
  CHECK(mica_safetensors_metadata(file, "other") == NULL);
  CHECK_EQ_INT(mica_safetensors_metadata_count(file), 2);
  mica_tensor *kept = NULL;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char name[64];
    double values[6];
    snprintf(name, sizeof name, "encoder.%s", rows[i].name);
    mica_tensor *tensor = tensor_at(file, name);
    mica_type type = mica_tensor_type(tensor);
    CHECK(type.dtype == rows[i].dtype && mica_shape_equal(type.shape, MICA_DIMS(2, 3)));
    if (CHECK_OK_ERROR(mica_tensor_read_doubles(tensor, values, 6, &error), &error))
      for (int k = 0; k < 6; k++) CHECK_NEAR(values[k], i == 0 ? k % 2 : k, 0);
    mica_tensor_release(kept);
    kept = tensor;
  }
  mica_tensor *scalar = tensor_at(file, "scalar"), *empty = tensor_at(file, "empty"),
              *name = tensor_at(file,
                                "gr\xc3\xb6\xc3\x9f"
                                "e \"\\ \xf0\x9d\x84\x9e");
  CHECK_EQ_INT(mica_tensor_type(scalar).shape.rank, 0);
  CHECK(mica_shape_equal(mica_tensor_type(empty).shape, MICA_DIMS(0, 4)));
  CHECK_EQ_INT(mica_tensor_byte_size(name), 12);
  mica_safetensors_destroy(file); /* tensors outlive it */
  double last[6];
  CHECK_OK_ERROR(mica_tensor_read_doubles(kept, last, 6, &error), &error);
  CHECK_NEAR(last[5], 5, 0);
  mica_tensor_release(kept), mica_tensor_release(scalar), mica_tensor_release(empty),
      mica_tensor_release(name);
}

typedef struct {
  unsigned char bytes[1 << 16];
  size_t size;
} memory_sink;

static mica_status to_memory(void *user, const void *bytes, size_t size, mica_error *error) {
  memory_sink *sink = user;
  if (size > sizeof sink->bytes - sink->size) return mica_error_set(error, MICA_INVALID, "full");
  memcpy(sink->bytes + sink->size, bytes, size);
  sink->size += size;
  return MICA_OK;
}

/* Every dtype, shapes with and without zero sizes, odd counts of 4-bit elements: the same bits come back, and
 * those of 64 bytes and more are shared, not copied. */
TEST(every_dtype_comes_back) {
  enum { MOST = MICA_DTYPE_COUNT * 4 };
  static char names[MOST][32];
  mica_named_tensor tensors[MOST];
  size_t count = 0;
  for (int dtype = 1; dtype < MICA_DTYPE_COUNT; dtype++)
    for (int k = 0; k < 4; k++) {
      mica_shape shapes[4] = {MICA_DIMS(64, 2), MICA_DIMS(3, 5), MICA_SCALAR, MICA_DIMS(2, 0, 3)};
      double values[128];
      for (int i = 0; i < 128; i++)
        values[i] = i % 7 - (mica_dtype_is_signed((mica_dtype)dtype) ? 3 : 0);
      snprintf(names[count], sizeof names[count], "layer%d/%s", k,
               mica_dtype_name((mica_dtype)dtype));
      tensors[count] = (mica_named_tensor){
          names[count], mica_tensor_from_doubles((mica_dtype)dtype, shapes[k], values)};
      count++;
    }
  mica_error error = {0};
  static _Alignas(64) memory_sink sink;
  sink.size = 0;
  const mica_named_text metadata[] = {{"step", "12"}, {"empty", ""}, {"quote", "\"\\\n\x01"}};
  CHECK_OK_ERROR(mica_safetensors_write(tensors, count, metadata, 3, to_memory, &sink, &error),
                 &error);
  const char *path = check_temporary_path("all.safetensors");
  CHECK_OK_ERROR(mica_safetensors_save(path, tensors, count, metadata, 3, &error), &error);
  for (int from_file = 0; from_file < 2; from_file++) {
    mica_safetensors *file = NULL;
    mica_status status = from_file ? mica_safetensors_open(path, &file, &error)
                                   : mica_safetensors_parse(sink.bytes, sink.size, &file, &error);
    if (!CHECK_OK_ERROR(status, &error)) break;
    CHECK_EQ_INT(mica_safetensors_count(file), count);
    CHECK_EQ_STR(mica_safetensors_metadata(file, "quote"), metadata[2].value);
    for (size_t i = 0; i < count; i++) {
      mica_tensor *back = tensor_at(file, names[i]);
      if (!CHECK(mica_tensor_equal(back, tensors[i].tensor))) fprintf(stderr, "%s\n", names[i]);
      if (!from_file && mica_tensor_byte_size(back) > 0 && mica_tensor_byte_size(back) % 64 == 0) {
        const unsigned char *data = mica_tensor_data(back);
        CHECK(data >= sink.bytes && data < sink.bytes + sink.size);
      }
      mica_tensor_release(back);
    }
    mica_tensor *none;
    CHECK_STATUS(mica_safetensors_tensor(file, (int64_t)count, &none, &(mica_error){0}),
                 MICA_NOT_FOUND);
    CHECK(mica_safetensors_name(file, -1) == NULL && mica_safetensors_index(file, "no") == -1);
    mica_safetensors_destroy(file);
  }
  for (size_t i = 0; i < count; i++) mica_tensor_release(tensors[i].tensor);
}

/* A file of a header and `data_size` bytes of zeros. */
static mica_status parse_text(const char *header, size_t data_size, mica_safetensors **file,
                              mica_error *error) {
  static unsigned char bytes[4096];
  size_t size = strlen(header);
  memset(bytes, 0, sizeof bytes);
  for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(size >> (8 * i));
  memcpy(bytes + 8, header, size);
  return mica_safetensors_parse(bytes, 8 + size + data_size, file, error);
}

TEST(refuses_what_does_not_add_up) {
  static const struct {
    const char *header;
    size_t data_size;
    const char *message;
  } rows[] = {
      {"", 0, "'{' is expected"},
      {" {}", 0, "'{' is expected"},
      {"{", 0, "string"},
      {"{} x", 0, "follows"},
      {"{}", 1, "of which the tensors have 0"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 9, "9 bytes of data"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7, "outside"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,7]}}", 8, "do not fit"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "outside"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "whole number"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[02],\"data_offsets\":[0,8]}}", 8, "whole number"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8, "end of a list"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", 0,
       "too many"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0,
       "do not fit"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,0]}}", 0,
       "too large"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "begins at byte 4"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
       "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
       6, "begins at byte 2"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
       "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
       4, "'a' occurs twice"},
      {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2,
       "each once"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2]}}", 2, "lacks"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2],\"x\":1}}", 2, "each once"},
      {"{\"__metadata__\":{\"k\":1}}", 0, "string"},
      {"{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "occurs twice"},
      {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "two __metadata__"},
      {"{\"a\\u0000\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "character"},
      {"{\"a\\ud800\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "character"},
      {"{\"a\xff\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "character"},
      {"{\"__metadata__\":{\"mica.types\":\"{\\\"a\\\":[\\\"i4\\\",5]}\"},"
       "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
       2, "mica.types"},
      {"{\"__metadata__\":{\"mica.types\":\"{\\\"b\\\":[\\\"i4\\\",4]}\"},"
       "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
       2, "mica.types"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    mica_safetensors *file = NULL;
    mica_error error = {0};
    CHECK_STATUS(parse_text(rows[i].header, rows[i].data_size, &file, &error), MICA_DATA_LOSS);
    CHECK_STR_CONTAINS(error.message, rows[i].message);
    CHECK(file == NULL);
  }
  mica_safetensors *file = NULL;
  mica_error error = {0};
  unsigned char huge[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{', '}'};
  CHECK_STATUS(mica_safetensors_parse(huge, 16, &file, &error), MICA_DATA_LOSS);
  CHECK_STATUS(mica_safetensors_parse(huge, 7, &file, &(mica_error){0}), MICA_DATA_LOSS);
  CHECK_STATUS(mica_safetensors_parse(NULL, 7, &file, &(mica_error){0}), MICA_INVALID);
  CHECK_STATUS(mica_safetensors_open("no/such", &file, &(mica_error){0}), MICA_NOT_FOUND);
  CHECK_STATUS(mica_safetensors_open("/", &file, &(mica_error){0}), MICA_IO);
}

/* What Mica has no type for is listed; the others of the file can be had. */
TEST(lists_foreign_types) {
  mica_safetensors *file = NULL;
  mica_error error = {0};
  if (!CHECK_OK_ERROR(
          parse_text(
              "{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]},"
              "\"b\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[2,4]},"
              "\"c\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[4,6]}}",
              6, &file, &error),
          &error))
    return;
  mica_tensor *tensor = NULL;
  CHECK_STATUS(mica_safetensors_tensor(file, 0, &tensor, &error), MICA_UNSUPPORTED);
  CHECK_STR_CONTAINS(error.message, "F4");
  CHECK_STATUS(mica_safetensors_tensor(file, 1, &tensor, &(mica_error){0}), MICA_UNSUPPORTED);
  CHECK_EQ_INT(mica_safetensors_type(file, 1).dtype, MICA_DTYPE_NONE);
  CHECK_OK(mica_safetensors_tensor(file, 2, &tensor, &(mica_error){0}));
  mica_tensor_release(tensor);
  mica_safetensors_destroy(file);
}

TEST(writing_refuses) {
  mica_tensor *one = mica_tensor_scalar(MICA_F32, 1);
  const mica_named_tensor twice[] = {{"a", one}, {"a", one}}, null[] = {{"a", NULL}},
                          name[] = {{"a\xff", one}}, control[] = {{"a\n", one}},
                          meta[] = {{"__metadata__", one}}, nameless[] = {{NULL, one}};
  const struct {
    const mica_named_tensor *tensors;
    size_t count;
    const char *message;
  } rows[] = {{twice, 2, "two tensors are named 'a'"},
              {null, 1, "is NULL"},
              {name, 1, "name"},
              {control, 1, "name"},
              {meta, 1, "name"},
              {nameless, 1, "name"}};
  const char *path = check_temporary_path("never.safetensors");
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    mica_error error = {0};
    CHECK_STATUS(mica_safetensors_save(path, rows[i].tensors, rows[i].count, NULL, 0, &error),
                 MICA_INVALID);
    CHECK_STR_CONTAINS(error.message, rows[i].message);
    CHECK(access(path, F_OK) != 0);
  }
  mica_error error = {0};
  CHECK_STATUS(mica_safetensors_save("/no/such/folder/x", NULL, 0, NULL, 0, &error),
               MICA_NOT_FOUND);
  CHECK_STATUS(
      mica_safetensors_save(path, NULL, 0, &(mica_named_text){"a", NULL}, 1, &(mica_error){0}),
      MICA_INVALID);
  mica_tensor_release(one);
}

/* Python's package reads ours and writes it again; only where it is installed. */
TEST(python_reads_ours) {
  const char *python =
      access("/opt/peers/venv/bin/python", X_OK) == 0 ? "/opt/peers/venv/bin/python" : "python3";
  char command[2048], ours[512], theirs[512];
  snprintf(command, sizeof command, "%s -c 'import safetensors.numpy' 2>/dev/null", python);
  if (system(command) != 0) {
    CHECK_SKIP("python has no safetensors");
    return;
  }
  snprintf(ours, sizeof ours, "%s", check_temporary_path("ours.safetensors"));
  snprintf(theirs, sizeof theirs, "%s", check_temporary_path("theirs.safetensors"));
  double values[15];
  for (int i = 0; i < 15; i++) values[i] = i / 4.0;
  const mica_named_tensor tensors[] = {
      {"a.f32", mica_tensor_from_doubles(MICA_F32, MICA_DIMS(3, 5), values)},
      {"scalar", mica_tensor_scalar(MICA_I64, -7)},
      {"empty", mica_tensor_from(MICA_F16, MICA_DIMS(0, 4), NULL)},
      {"odd", mica_tensor_from(MICA_U8, MICA_DIMS(7), (unsigned char[]){0, 1, 2, 3, 4, 5, 6})}};
  mica_error error = {0};
  CHECK_OK_ERROR(mica_safetensors_save(ours, tensors, 4, &(mica_named_text){"a", "b"}, 1, &error),
                 &error);
  snprintf(command, sizeof command, "%s '%s' check '%s' '%s'", python,
           check_source_path("tests/golden/make_safetensors.py"), ours, theirs);
  CHECK_EQ_INT(system(command), 0);
  mica_safetensors *file = NULL;
  if (CHECK_OK_ERROR(mica_safetensors_open(theirs, &file, &error), &error))
    for (int i = 0; i < 4; i++) {
      mica_tensor *back = tensor_at(file, tensors[i].name);
      CHECK(mica_tensor_equal(back, tensors[i].tensor));
      mica_tensor_release(back);
    }
  mica_safetensors_destroy(file);
  for (int i = 0; i < 4; i++) mica_tensor_release(tensors[i].tensor);
}

TEST_MAIN(TEST_CASE(reads_what_python_wrote), TEST_CASE(every_dtype_comes_back),
          TEST_CASE(refuses_what_does_not_add_up), TEST_CASE(lists_foreign_types),
          TEST_CASE(writing_refuses), TEST_CASE(python_reads_ours))
