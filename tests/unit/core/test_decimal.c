/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers to and from text, against Python's repr and the C library's exact conversions. */
#include "check.h"
#include "core/decimal.h"
#include "core/dtype.h"
#include "core/text.h"
#include "number_oracle.h"
#include "testing_files.h"

#include <locale.h>

static double number_of(uint64_t bits) { return mica_f64_from_bits(bits); }

static void check_reads_as(const char *text, double expected) {
  const char *cursor = text;
  double value = -77;
  if (!mica_parse_double(&cursor, text + strlen(text), &value) || *cursor != '\0')
    CHECK_FAIL("'%s' is not read", text);
  else if (mica_f64_bits(value) != mica_f64_bits(expected))
    CHECK_FAIL("'%s' is read as %a, expected %a", text, value, expected);
}

TEST(prints_as_python_and_reads_back) {
  char *text = testing_read_file(check_source_path("tests/golden/doubles.golden"), NULL);
  if (!CHECK(text != NULL)) return;
  char *cursor = text, *line;
  int count = 0;
  while ((line = testing_next_line(&cursor)) != NULL) {
    double value = number_of(strtoull(line, NULL, 16));
    char printed[32];
    CHECK_EQ_INT(mica_format_double(value, printed, sizeof(printed)), strlen(line + 17));
    CHECK_EQ_STR(printed, line + 17);
    check_reads_as(line + 17, value);
    mica_format_double(-value, printed, sizeof(printed));
    check_reads_as(printed, -value);
    count++;
  }
  CHECK(count > 500);
  free(text);
}

/* Any number of digits, halfway cases among them: glibc's strtod rounds exactly. */
TEST(reads_as_strtod) {
  uint64_t state = 5;
  char text[1200];
  for (int i = 0; i < 20000; i++) {
    double value = number_of(oracle_random(&state) >> 1);
    if (i % 3 == 1) value = ldexp(value, -1040);
    if (isnan(value) || isinf(value)) continue;
    snprintf(text, sizeof(text), "%.*e", (int)(oracle_random(&state) % 40), value);
    double expected = strtod(text, NULL);
    if (expected <= DBL_MAX) check_reads_as(text, expected);
    if (i % 40 != 0 || value > 1e300) continue;
    /* Exactly between two doubles, and a little above and below, at full length. */
    long double middle =
        (long double)value + ((long double)nextafter(value, INFINITY) - (long double)value) / 2;
    snprintf(text, sizeof(text), "%.1100Le", middle);
    check_reads_as(text, strtod(text, NULL));
    char *mark = strchr(text, 'e');
    mark[-1] = '1';
    check_reads_as(text, strtod(text, NULL));
  }
}

TEST(prints_like_the_shortest_that_strtod_reads) {
  uint64_t state = 6;
  for (int i = 0; i < 3000; i++) {
    double value = number_of(oracle_random(&state) >> 1);
    if (isnan(value) || isinf(value)) continue;
    char printed[40], shorter[40];
    mica_format_double(value, printed, sizeof(printed));
    CHECK(strtod(printed, NULL) == value);
    int digits = 0;
    for (const char *at = printed; *at != '\0' && *at != 'e'; at++)
      digits += (*at >= '1' && *at <= '9') || (*at == '0' && digits > 0);
    if (digits < 2 || i % 10 != 0) continue;
    snprintf(shorter, sizeof(shorter), "%.*e", digits - 2, value);
    CHECK(strtod(shorter, NULL) != value);
  }
}

TEST(texts_of_special_values) {
  static const struct {
    double value;
    const char *text;
  } cases[] = {
      {0.0, "0"},        {-0.0, "-0"},        {1, "1"},        {-2.5, "-2.5"}, {NAN, "nan"},
      {INFINITY, "inf"}, {-INFINITY, "-inf"}, {1e30, "1e+30"}, {0.1, "0.1"},   {1e-7, "1e-07"}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    char text[32];
    CHECK_EQ_INT(mica_format_double(cases[i].value, text, sizeof(text)), strlen(cases[i].text));
    CHECK_EQ_STR(text, cases[i].text);
    if (!isnan(cases[i].value)) check_reads_as(text, cases[i].value);
  }
  const char *nan_text = "nan";
  double value = 0;
  CHECK(mica_parse_double(&nan_text, nan_text + 3, &value) && isnan(value));
}

TEST(rounded_texts) {
  static const struct {
    double value;
    int32_t digits;
    const char *text;
  } cases[] = {{1.0 / 3, 3, "0.333"},     {2.0 / 3, 3, "0.667"}, {0.99999, 2, "1"},
               {12345678, 3, "12300000"}, {0.1, 9, "0.1"},       {(double)0.1f, 9, "0.100000001"},
               {9.5, 1, "1e+01"},         {1e-9, 3, "1e-09"},    {2.5, 1, "2"},
               {-1234.5, 4, "-1234"}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    char text[32];
    mica_format_double_rounded(cases[i].value, cases[i].digits, text, sizeof(text));
    /* "1e+01" and "10" are both right; the plain form is used below 10^16. */
    CHECK_EQ_STR(text, strcmp(cases[i].text, "1e+01") == 0 ? "10" : cases[i].text);
  }
  char small[4];
  CHECK_EQ_INT(mica_format_double(-1234.5, small, sizeof(small)), 7);
  CHECK_EQ_STR(small, "-12");
}

/* Shortest among the neighbors of a narrower format. */
TEST(narrow_formats_need_fewer_digits) {
  static const struct {
    double value;
    mica_dtype dtype;
    const char *digits;
    int32_t point;
  } cases[] = {{(double)0.1f, MICA_F32, "1", 0},
               {0x1.99999ap-4, MICA_F64, "10000000149011612", 0},
               {0x1.998p-4, MICA_F16, "1", 0},
               {0x1.9ap-4, MICA_BF16, "1", 0},
               {0x1.ap-4, MICA_F8E4M3FN, "1", 0},
               {0x1p-149, MICA_F32, "1", -44},
               {0x1.fffffep127, MICA_F32, "34028235", 39},
               {448, MICA_F8E4M3FN, "45", 3},
               {0x1p-24, MICA_F16, "6", -7},
               {65504, MICA_F16, "655", 5}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    mica_decimal decimal =
        mica_decimal_shortest(mica_binary_float_of(cases[i].value, cases[i].dtype), 0, INT32_MAX);
    char digits[MICA_DECIMAL_LIMIT + 1] = {0};
    memcpy(digits, decimal.digit, (size_t)decimal.count);
    CHECK_EQ_STR(digits, cases[i].digits);
    CHECK_EQ_INT(decimal.point, cases[i].point);
  }
}

TEST(what_is_no_double) {
  static const char *const texts[] = {"",  "-",  ".",  "-.",   "e5",    "+1",    " 1",
                                      "x", "in", "na", "-nan", "1e400", "-1e309"};
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    const char *cursor = texts[i];
    double value = 5;
    if (mica_parse_double(&cursor, texts[i] + strlen(texts[i]), &value))
      CHECK_FAIL("'%s' was read", texts[i]);
    CHECK(cursor == texts[i] && value == 5);
  }
  /* What does not belong to the number is left. */
  static const struct {
    const char *text;
    int length;
    double value;
  } partly[] = {{"1.5abc", 3, 1.5}, {"1e", 1, 1},  {"1e+", 1, 1},          {"2.", 2, 2},
                {".5.", 2, 0.5},    {"1_0", 1, 1}, {"-infx", 4, -INFINITY}};
  for (size_t i = 0; i < sizeof(partly) / sizeof(partly[0]); i++) {
    const char *cursor = partly[i].text;
    double value = 5;
    CHECK(mica_parse_double(&cursor, cursor + strlen(cursor), &value));
    CHECK_EQ_INT(cursor - partly[i].text, partly[i].length);
    CHECK_NEAR(value, partly[i].value, 0);
  }
}

/* Exponents and digit counts that do not fit any integer. */
TEST(absurd_lengths) {
  char text[4000];
  memset(text, '0', sizeof(text));
  text[1] = '.';
  snprintf(text + 3500, 100, "123e+3500");
  check_reads_as(text, 12.3);
  memset(text, '9', sizeof(text));
  snprintf(text + 3000, 100, "e-3000");
  check_reads_as(text, 1);
  check_reads_as("1e-99999999999999999999999999", 0);
  check_reads_as("-1e-400", -0.0);
  check_reads_as("0e99999999999999999999999999", 0);
  const char *huge = "1e99999999999999999999999999";
  double value;
  CHECK(!mica_parse_double(&huge, huge + strlen(huge), &value));
}

TEST(integers) {
  static const struct {
    const char *text;
    int64_t value;
    int length; /* 0: not read */
  } cases[] = {{"0", 0, 1},
               {"-0", 0, 2},
               {"12x", 12, 2},
               {"9223372036854775807", INT64_MAX, 19},
               {"-9223372036854775808", INT64_MIN, 20},
               {"9223372036854775808", 0, 0},
               {"-9223372036854775809", 0, 0},
               {"", 0, 0},
               {"-", 0, 0},
               {"+1", 0, 0},
               {"99999999999999999999999", 0, 0},
               {"007", 7, 3}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    const char *cursor = cases[i].text;
    int64_t value = 42;
    CHECK_EQ_INT(mica_parse_i64(&cursor, cursor + strlen(cursor), &value), cases[i].length > 0);
    CHECK_EQ_INT(cursor - cases[i].text, cases[i].length);
    CHECK_EQ_INT(value, cases[i].length > 0 ? cases[i].value : 42);
  }
}

TEST(the_locale_does_not_matter) {
  static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8",
                                      "de_DE"};
  bool set = false;
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !set; i++)
    set = setlocale(LC_NUMERIC, names[i]) != NULL && localeconv()->decimal_point[0] == ',';
  char text[32];
  mica_format_double(1.5, text, sizeof(text));
  const char *cursor = "2.25";
  double value = 0;
  bool read = mica_parse_double(&cursor, cursor + 4, &value);
  setlocale(LC_NUMERIC, "C");
  CHECK_EQ_STR(text, "1.5");
  CHECK(read && value == 2.25);
  if (!set) CHECK_SKIP("no locale with a decimal comma is installed");
}

TEST_MAIN(TEST_CASE(prints_as_python_and_reads_back), TEST_CASE(reads_as_strtod),
          TEST_CASE(prints_like_the_shortest_that_strtod_reads), TEST_CASE(texts_of_special_values),
          TEST_CASE(rounded_texts), TEST_CASE(narrow_formats_need_fewer_digits),
          TEST_CASE(what_is_no_double), TEST_CASE(absurd_lengths), TEST_CASE(integers),
          TEST_CASE(the_locale_does_not_matter))
