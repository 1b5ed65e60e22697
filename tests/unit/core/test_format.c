/* SPDX-License-Identifier: Apache-2.0 */
/* Printing against numpy's own output, which tests/golden/make_numpy_text.py writes. */
#include "check.h"
#include "mica/core.h"
#include "testing_files.h"

static void check_case_lines(char *header, const char *hex, const char *expected) {
  mica_format_options options = {.struct_size = sizeof(options)};
  mica_type type = {0};
  char *save = NULL, *word = strtok_r(header, " ", &save);
  char *name = strtok_r(NULL, " ", &save);
  type.dtype = mica_dtype_from_name(strtok_r(NULL, " ", &save));
  int64_t numbers[4 + MICA_MAX_RANK];
  int32_t count = 0;
  while (count < 4 + MICA_MAX_RANK && (word = strtok_r(NULL, " ", &save)) != NULL)
    numbers[count++] = strtoll(word, NULL, 10);
  if (!CHECK(count >= 4)) return;
  options.precision = (int32_t)numbers[0];
  options.threshold = numbers[1];
  options.edge_items = (int32_t)numbers[2];
  options.line_width = (int32_t)numbers[3];
  type.shape.rank = count - 4;
  for (int32_t axis = 0; axis < type.shape.rank; axis++) type.shape.dim[axis] = numbers[4 + axis];

  size_t size = strlen(hex) / 2, wanted = 0;
  unsigned char *bytes = malloc(size + 1);
  char *text = malloc(1 << 16);
  if (!CHECK(bytes != NULL && text != NULL)) return;
  testing_from_hex(hex, bytes, size);
  if (CHECK(mica_type_byte_size(type, &wanted)) && CHECK_EQ_INT(size, wanted)) {
    mica_tensor *tensor = mica_tensor_from(type.dtype, type.shape, bytes);
    int64_t length = mica_tensor_format(tensor, &options, text, 1 << 16);
    if (strcmp(text, expected) != 0)
      CHECK_FAIL("%s:\n%s\nnumpy prints\n%s", name, text, expected);
    else
      CHECK_EQ_INT(length, strlen(expected));
    /* The buffer's end cuts the text and nothing else. */
    size_t cut = (size_t)length / 2 + 1;
    char *small = malloc(cut);
    CHECK_EQ_INT(mica_tensor_format(tensor, &options, small, cut), length);
    CHECK_EQ_INT(strlen(small), cut - 1);
    CHECK_EQ_BYTES(small, expected, cut - 1);
    free(small);
    mica_tensor_release(tensor);
  }
  free(text);
  free(bytes);
}

TEST(prints_as_numpy) {
  char *text = testing_read_file(check_source_path("tests/golden/numpy_text.golden"), NULL);
  if (!CHECK(text != NULL)) return;
  char *cursor = text, *header;
  int64_t cases = 0;
  while ((header = testing_next_line(&cursor)) != NULL) {
    char *hex = testing_next_line(&cursor), *count_line = testing_next_line(&cursor);
    if (!CHECK(hex != NULL && count_line != NULL)) break;
    long lines = strtol(count_line + 5, NULL, 10);
    char *expected = cursor;
    for (long i = 0; i < lines; i++) testing_next_line(&cursor);
    /* The lines were cut apart: put all newlines but the last one back. */
    char *at = expected;
    for (long i = 0; i + 1 < lines; i++) {
      at += strlen(at);
      *at = '\n';
    }
    check_case_lines(header, hex, expected);
    cases++;
  }
  CHECK(cases > 150);
  free(text);
}

static void check_format_of(mica_tensor *tensor, const char *expected) {
  char text[512];
  mica_tensor_format(tensor, NULL, text, sizeof(text));
  CHECK_EQ_STR(text, expected);
  mica_tensor_release(tensor);
}

TEST(prints_dtypes_that_numpy_lacks) {
  const double values[] = {0.1, -2, 3};
  check_format_of(mica_tensor_from_doubles(MICA_BF16, MICA_DIMS(3), values), "[ 0.1 -2.   3. ]");
  check_format_of(mica_tensor_from_doubles(MICA_F8E4M3FN, MICA_DIMS(3), values),
                  "[ 0.1 -2.   3. ]");
  check_format_of(mica_tensor_from_doubles(MICA_F8E5M2, MICA_DIMS(3), values), "[ 0.1 -2.   3. ]");
  check_format_of(mica_tensor_from_doubles(MICA_I4, MICA_DIMS(3), values), "[ 0 -2  3]");
  check_format_of(mica_tensor_from_doubles(MICA_U4, MICA_DIMS(3), values), "[0 0 3]");
}

TEST(prints_without_a_tensor) {
  char text[32];
  mica_tensor_format(NULL, NULL, text, sizeof(text));
  CHECK_EQ_STR(text, "(no tensor)");
  CHECK_EQ_INT(mica_tensor_format(NULL, NULL, NULL, 0), strlen("(no tensor)"));
}

TEST_MAIN(TEST_CASE(prints_as_numpy), TEST_CASE(prints_dtypes_that_numpy_lacks),
          TEST_CASE(prints_without_a_tensor))
