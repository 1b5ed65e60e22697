/* SPDX-License-Identifier: Apache-2.0 */
/* Sources: CIFAR, CSV, vocabularies, quantiles, lines, npz: what they give, what they refuse. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "mica/data.h"
#include "platform/platform.h"

TEST(cifar) {
  enum { ROW10 = 3073, ROW100 = 3074 };
  static unsigned char ten[3 * ROW10], hundred[2 * ROW100];
  for (int r = 0; r < 3; r++) {
    ten[r * ROW10] = (unsigned char)(r * 4);
    for (int i = 0; i < 3072; i++)
      ten[r * ROW10 + 1 + i] = (unsigned char)(i / 1024 * 100 + i % 100 + r);
  }
  hundred[0] = 3, hundred[1] = 99, hundred[ROW100] = 19, hundred[ROW100 + 1] = 0;
  mica_tensor *images, *labels;
  mica_error error = {0};
  if (!CHECK_OK_ERROR(mica_cifar_parse(ten, sizeof ten, 1, &images, &labels, &error), &error))
    return;
  CHECK(mica_shape_equal(mica_tensor_type(images).shape, MICA_DIMS(3, 32, 32, 3)));
  CHECK(mica_shape_equal(mica_tensor_type(labels).shape, MICA_DIMS(3)));
  const unsigned char *pixels = mica_tensor_data(images);
  const int32_t *numbers = mica_tensor_data(labels);
  CHECK(numbers[0] == 0 && numbers[1] == 4 && numbers[2] == 8);
  for (int r = 0; r < 3; r++)
    for (int p = 0; p < 1024; p += 77)
      for (int c = 0; c < 3; c++)
        CHECK_EQ_INT(pixels[(r * 1024 + p) * 3 + c], ten[r * ROW10 + 1 + c * 1024 + p]);
  char one[1024], two[1024];
  snprintf(one, sizeof one, "%s", check_temporary_path("one.bin"));
  snprintf(two, sizeof two, "%s", check_temporary_path("two.bin"));
  CHECK_EQ_INT(mica_file_write_atomic(one, ten, ROW10), 0);
  CHECK_EQ_INT(mica_file_write_atomic(two, ten + ROW10, 2 * ROW10), 0);
  const char *paths[] = {one, two};
  mica_tensor *again, *again_labels;
  CHECK_OK_ERROR(mica_cifar_load(paths, 2, 1, &again, &again_labels, &error), &error);
  CHECK(mica_tensor_equal(again, images) && mica_tensor_equal(again_labels, labels));
  mica_tensor_release(images), mica_tensor_release(labels), mica_tensor_release(again),
      mica_tensor_release(again_labels);
  CHECK_OK_ERROR(mica_cifar_parse(hundred, sizeof hundred, 2, &images, &labels, &error), &error);
  CHECK(mica_shape_equal(mica_tensor_type(labels).shape, MICA_DIMS(2, 2)));
  mica_tensor_release(images), mica_tensor_release(labels);
  CHECK_STATUS(mica_cifar_parse(ten, sizeof ten - 1, 1, &images, &labels, &(mica_error){0}),
               MICA_DATA_LOSS);
  CHECK(images == NULL && labels == NULL);
  ten[ROW10] = 10;
  CHECK_STATUS(mica_cifar_parse(ten, sizeof ten, 1, &images, &labels, &error), MICA_DATA_LOSS);
  CHECK_STR_CONTAINS(error.message, "row 1 has the label 10");
  CHECK_STATUS(mica_cifar_parse(ten, sizeof ten, 3, &images, &labels, &(mica_error){0}),
               MICA_INVALID);
  paths[1] = "no/such";
  CHECK_STATUS(mica_cifar_load(paths, 2, 1, &images, &labels, &(mica_error){0}), MICA_NOT_FOUND);
}

static mica_csv *parse_csv(const char *text, const mica_csv_options *options) {
  mica_csv *csv = NULL;
  mica_error error = {0};
  CHECK_OK_ERROR(mica_csv_parse(text, strlen(text), options, &csv, &error), &error);
  return csv;
}

TEST(csv_columns) {
  static const char text[] =
      "\xef\xbb\xbf"
      "age, pay,\"job \"\"x\"\"\", when ,empty\r\n"
      "39, 7.5 , State-gov,1,\r\n"
      "\r\n"
      "50,-1e3,\"a, b\nc\",2,5\r\n"
      "  +38 , , \"State-gov\" ,x,";
  mica_csv *csv = parse_csv(text, NULL);
  if (csv == NULL) return;
  CHECK_EQ_INT(mica_csv_row_count(csv), 3);
  CHECK_EQ_INT(mica_csv_column_count(csv), 5);
  CHECK_EQ_STR(mica_csv_name(csv, 2), "job \"x\"");
  CHECK_EQ_INT(mica_csv_index(csv, "when"), 3);
  CHECK_EQ_INT(mica_csv_index(csv, "nothing"), -1);
  static const mica_csv_kind kinds[] = {MICA_CSV_INTEGER, MICA_CSV_FLOAT, MICA_CSV_CATEGORY,
                                        MICA_CSV_CATEGORY, MICA_CSV_FLOAT};
  for (int i = 0; i < 5; i++) CHECK_EQ_INT(mica_csv_column_kind(csv, i), kinds[i]);
  const int64_t *age = mica_tensor_data(mica_csv_tensor(csv, 0));
  const float *pay = mica_tensor_data(mica_csv_tensor(csv, 1)),
              *empty = mica_tensor_data(mica_csv_tensor(csv, 4));
  const int32_t *job = mica_tensor_data(mica_csv_tensor(csv, 2));
  CHECK(age[0] == 39 && age[1] == 50 && age[2] == 38);
  CHECK(pay[0] == 7.5f && pay[1] == -1000 && isnan(pay[2]));
  CHECK(isnan(empty[0]) && empty[1] == 5 && isnan(empty[2]));
  CHECK(job[0] == 0 && job[1] == 1 && job[2] == 0);
  CHECK_EQ_STR(mica_vocabulary_word(mica_csv_vocabulary(csv, 2), 1), "a, b\nc");
  CHECK_EQ_INT(mica_vocabulary_uses(mica_csv_vocabulary(csv, 2), 0), 2);
  CHECK(mica_csv_vocabulary(csv, 0) == NULL && mica_csv_tensor(csv, 9) == NULL);
  mica_tensor *features = NULL;
  mica_error error = {0};
  CHECK_OK_ERROR(mica_csv_features(csv, (int32_t[]){0, 1}, 2, &features, &error), &error);
  CHECK(((const float *)mica_tensor_data(features))[2] == 50);
  mica_tensor_release(features);
  /* a test set numbered by the training set's words, in the manner of UCI Adult */
  const mica_csv_column columns[] = {{"work", MICA_CSV_CATEGORY, mica_csv_vocabulary(csv, 2)},
                                     {"label", MICA_CSV_CATEGORY, NULL},
                                     {"age", MICA_CSV_DOUBLE, NULL},
                                     {"id", MICA_CSV_SKIP, NULL}};
  static const char *const names[] = {"age", "work", "id", "label"};
  mica_csv_options options = {.struct_size = sizeof options,
                              .no_header = true,
                              .names = names,
                              .name_count = 4,
                              .columns = columns,
                              .column_count = 4,
                              .missing = "?",
                              .comment = '|',
                              .strip = "."};
  mica_csv *test = parse_csv(
      "|1x3 Cross validator\n25, State-gov, 1, <=50K.\n 38, Never, 2, >50K.\n ?, ?, 3, <=50K.\n",
      &options);
  if (test != NULL) {
    const int32_t *work = mica_tensor_data(mica_csv_tensor(test, 1)),
                  *label = mica_tensor_data(mica_csv_tensor(test, 3));
    const double *years = mica_tensor_data(mica_csv_tensor(test, 0));
    CHECK(work[0] == 0 && work[1] == -1 && work[2] == -1);
    CHECK(label[0] == 0 && label[1] == 1 && label[2] == 0);
    CHECK(years[0] == 25 && isnan(years[2]));
    CHECK(mica_csv_tensor(test, 2) == NULL);
    CHECK_EQ_STR(mica_vocabulary_word(mica_csv_vocabulary(test, 3), 0), "<=50K");
  }
  mica_csv_destroy(test);
  mica_csv_destroy(csv);
}

TEST(csv_refuses) {
  static const mica_csv_column integer[] = {{"a", MICA_CSV_INTEGER, NULL}},
                               number[] = {{"a", MICA_CSV_FLOAT, NULL}},
                               other[] = {{"z", MICA_CSV_FLOAT, NULL}};
  const struct {
    const char *text;
    const mica_csv_column *columns;
    mica_status status;
    const char *message;
  } rows[] = {{"", NULL, MICA_DATA_LOSS, "no row"},
              {"a,b\n1\n", NULL, MICA_DATA_LOSS, "line 2 has fewer than 2 fields"},
              {"a,b\n1,2\n1,2,3\n", NULL, MICA_DATA_LOSS, "line 3 has more than 2 fields"},
              {"a,b\n\"1,2\n", NULL, MICA_DATA_LOSS, "line 2: a quote does not end"},
              {"a,b\n\"1\"x,2\n", NULL, MICA_DATA_LOSS, "line 2: something follows"},
              {"a,a\n", NULL, MICA_DATA_LOSS, "two columns are named 'a'"},
              {"a,b\n1,2\n1.5,2\n", integer, MICA_DATA_LOSS,
               "line 3, column 'a': '1.5' is no whole number"},
              {"a,b\n1,2\n1e400,2\n", NULL, MICA_DATA_LOSS,
               "line 3, column 'a': the number '1e400' is too large"},
              {"a,b\n1e400,2\n", number, MICA_DATA_LOSS, "the number '1e400' is too large"},
              {"a,b\nx,2\n", number, MICA_DATA_LOSS, "line 2, column 'a': 'x' is no number"},
              {"a,b\n1,2\n", other, MICA_INVALID, "no column 'z'"}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    mica_csv *csv = NULL;
    mica_error error = {0};
    mica_csv_options options = {.struct_size = sizeof options,
                                .columns = rows[i].columns,
                                .column_count = rows[i].columns != NULL};
    CHECK_STATUS(mica_csv_parse(rows[i].text, strlen(rows[i].text), &options, &csv, &error),
                 rows[i].status);
    CHECK_STR_CONTAINS(error.message, rows[i].message);
    CHECK(csv == NULL);
  }
  mica_csv *csv = NULL;
  CHECK_STATUS(mica_csv_parse("a\n\0\n", 4, NULL, &csv, &(mica_error){0}), MICA_DATA_LOSS);
  CHECK_STATUS(mica_csv_load("no/such", NULL, &csv, &(mica_error){0}), MICA_NOT_FOUND);
  mica_csv *hashes =
      parse_csv("a\n7e12345\n3f2c\n", NULL); /* words, though one looks like a number */
  CHECK(hashes != NULL && mica_csv_column_kind(hashes, 0) == MICA_CSV_CATEGORY);
  mica_csv_destroy(hashes);
  mica_csv *header_only = parse_csv("a,b\n", NULL);
  CHECK_EQ_INT(mica_csv_row_count(header_only), 0);
  mica_csv_destroy(header_only);
}

/* Against a plain list; words that are prefixes of each other, empty, and of every byte. */
TEST(vocabularies) {
  enum { WORDS = 4000 };
  static char words[WORDS][8];
  static int64_t wanted[WORDS];
  uint32_t random = 1;
  int64_t distinct = 0;
  mica_vocabulary *vocabulary = mica_vocabulary_create();
  for (int i = 0; i < WORDS; i++) {
    random = random * 1664525 + 1013904223;
    int length = (int)(random >> 24) % 5;
    for (int k = 0; k < length; k++) {
      random = random * 1664525 + 1013904223;
      words[i][k] = (char)(1 + (random >> 20) % (i % 2 ? 3 : 255));
    }
    wanted[i] = distinct;
    for (int k = 0; k < i; k++)
      if (strcmp(words[i], words[k]) == 0) {
        wanted[i] = wanted[k];
        break;
      }
    distinct += wanted[i] == distinct;
    int64_t index;
    CHECK_OK(mica_vocabulary_add(vocabulary, words[i], strlen(words[i]), &index, NULL));
    if (!CHECK(index == wanted[i])) return;
  }
  CHECK_EQ_INT(mica_vocabulary_count(vocabulary), distinct);
  for (int i = 0; i < WORDS; i++) {
    CHECK_EQ_INT(mica_vocabulary_find(vocabulary, words[i], strlen(words[i])), wanted[i]);
    CHECK_EQ_STR(mica_vocabulary_word(vocabulary, wanted[i]), words[i]);
  }
  CHECK_EQ_INT(mica_vocabulary_find(vocabulary, "not there", 9), -1);
  mica_vocabulary *pruned = NULL;
  CHECK_OK(mica_vocabulary_prune(vocabulary, 10, 2, &pruned, NULL));
  CHECK_EQ_INT(mica_vocabulary_count(pruned), 10);
  for (int i = 1; i < 10; i++)
    CHECK(mica_vocabulary_uses(pruned, i) <= mica_vocabulary_uses(pruned, i - 1));
  mica_vocabulary_destroy(pruned);
  CHECK_STATUS(mica_vocabulary_add(vocabulary, "a\0b", 3, NULL, &(mica_error){0}), MICA_INVALID);
  mica_vocabulary_destroy(vocabulary);
  mica_vocabulary_destroy(NULL);
}

/* numpy.quantile([3, 1, 4, 1, 5, 9, 2, 6], [0, .25, .5, .75, 1]) = [1, 1.75, 3.5, 5.25, 9] */
TEST(quantiles) {
  mica_tensor *values = mica_tensor_from_doubles(MICA_F64, MICA_DIMS(9),
                                                 (double[]){3, 1, 4, 1, 5, NAN, 9, 2, 6}),
              *out = NULL;
  mica_error error = {0};
  static const float wanted[] = {1, 1.75, 3.5, 5.25, 9};
  CHECK_OK_ERROR(mica_quantiles(values, 5, false, &out, &error), &error);
  CHECK_EQ_BYTES(mica_tensor_data(out), wanted, sizeof wanted);
  mica_tensor_release(out);
  mica_tensor_release(values);
  values = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(5), (double[]){2, 2, 2, 2, 3});
  CHECK_OK_ERROR(mica_quantiles(values, 3, true, &out, &error), &error);
  CHECK(mica_shape_equal(mica_tensor_type(out).shape, MICA_DIMS(2)));
  mica_tensor_release(out);
  CHECK_STATUS(mica_quantiles(values, 1, true, &out, &(mica_error){0}), MICA_INVALID);
  mica_tensor_release(values);
}

TEST(lines) {
  char path[1024];
  mica_error error = {0};
  snprintf(path, sizeof path, "%s", check_temporary_path("lines.txt"));
  /* lines of all lengths around the block's 64 KiB */
  enum { LINES = 70 };
  static char text[1 << 23];
  size_t size = 0, lengths[LINES];
  for (int i = 0; i < LINES; i++) {
    lengths[i] = i < 60 ? (size_t)(i * i % 97) + 1 : (size_t)65500 + (size_t)i;
    for (size_t k = 0; k < lengths[i]; k++) text[size++] = (char)('a' + i % 26);
    if (i % 3 == 0) text[size++] = '\r';
    if (i < LINES - 1) text[size++] = '\n';
    if (i % 5 == 0) text[size++] = '\n';
  }
  CHECK_EQ_INT(mica_file_write_atomic(path, text, size), 0);
  static char positions[LINES + 1][512];
  mica_dataset *lines_of = mica_dataset_from_lines(path, 0, &error);
  mica_batch batch = {0};
  for (int e = 0; e < 2; e++)
    for (int i = 0; i <= LINES; i++) {
      mica_dataset_save(lines_of, positions[i], sizeof positions[i]);
      if (!CHECK_OK_ERROR(mica_dataset_next(lines_of, &batch, &error), &error)) return;
      CHECK_EQ_INT(batch.count, i < LINES);
      if (i == LINES) break;
      CHECK_EQ_INT(mica_tensor_byte_size(batch.tensor[0]), lengths[i]);
      CHECK_EQ_INT(*(const char *)mica_tensor_data(batch.tensor[0]), 'a' + i % 26);
    }
  for (int i = 0; i < LINES; i += 7) {
    CHECK_OK_ERROR(mica_dataset_restore(lines_of, positions[i], &error), &error);
    CHECK_OK_ERROR(mica_dataset_next(lines_of, &batch, &error), &error);
    CHECK_EQ_INT(mica_tensor_byte_size(batch.tensor[0]), lengths[i]);
  }
  mica_dataset_destroy(lines_of);
  lines_of = mica_dataset_from_lines(path, 97, &error);
  mica_status status = MICA_OK;
  int given = 0;
  while ((status = mica_dataset_next(lines_of, &batch, &error)) == MICA_OK && batch.count > 0)
    given++;
  CHECK_STATUS(status, MICA_DATA_LOSS);
  CHECK_EQ_INT(given, 60);
  mica_dataset_destroy(lines_of);
  mica_batch_clear(&batch);
  CHECK(mica_dataset_from_lines("no/such", 0, &(mica_error){0}) == NULL);
  /* arrays of an archive */
  snprintf(path, sizeof path, "%s", check_temporary_path("rows.npz"));
  mica_tensor *x = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(3), (double[]){1, 2, 3});
  static const char *const names[] = {"x"}, *const wrong[] = {"y"};
  CHECK_OK(mica_npz_save(path, names, &x, 1, NULL));
  mica_memory_options options = {.struct_size = sizeof options, .batch = 2};
  mica_dataset *rows = mica_dataset_from_npz(path, names, 1, &options, &error);
  CHECK_OK(mica_dataset_next(rows, &batch, NULL));
  CHECK(mica_shape_equal(mica_tensor_type(batch.tensor[0]).shape, MICA_DIMS(2)));
  mica_batch_clear(&batch);
  mica_dataset_destroy(rows);
  error = (mica_error){0};
  CHECK(mica_dataset_from_npz(path, wrong, 1, &options, &error) == NULL);
  CHECK_STR_CONTAINS(error.message, "no array 'y'");
  mica_tensor_release(x);
}

TEST_MAIN(TEST_CASE(cifar), TEST_CASE(csv_columns), TEST_CASE(csv_refuses), TEST_CASE(vocabularies),
          TEST_CASE(quantiles), TEST_CASE(lines))
