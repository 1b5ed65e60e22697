/* SPDX-License-Identifier: Apache-2.0 */
/* The bounds of docs/numerics.md hold, and the page says what the table in numerics.h does. With
 * MICA_NUMERICS_WRITE=1 the page's table is written anew, with the errors measured here. Every float is tried by
 * long_numerics_*.c. */
#include "unit/backend/cpu/numerics.h"

enum { NUMERICS_STEP = 4099, NUMERICS_RANDOM = 50000 };

/* Prints like "0.51 (0.503)" into text, which is what the page's cells hold. */
static void cell(char *text, size_t size, double bound, double measured) {
  snprintf(text, size, "%.3g (%.3g)", bound, measured);
}

/* A row of the page: name, then a cell for each dtype. `measured` is NULL for a test of the bounds. */
static const char *row_of_page(const char *page, const char *name) {
  char start[80];
  snprintf(start, sizeof start, "| %s |", name);
  for (const char *line = page; line != NULL && *line != 0;) {
    if (strncmp(line, start, strlen(start)) == 0) return line;
    line = strchr(line, '\n');
    if (line != NULL) line++;
  }
  return NULL;
}

static char *read_page(void) {
  FILE *file = fopen(check_source_path("docs/numerics.md"), "rb");
  char *text = calloc(1, 1 << 16);
  if (file && text && fread(text, 1, (1 << 16) - 1, file) == 0) text[0] = 0;
  if (file) fclose(file);
  return text;
}

static const char begin_mark[] = "<!-- table of tests/unit/backend/cpu/numerics.h -->\n";
static const char end_mark[] = "<!-- end of the table -->";

static void write_page(double errors[NUMERICS_COUNT][NUMERICS_DTYPES]) {
  char *page = read_page();
  char *begin = page ? strstr(page, begin_mark) : NULL,
       *end = begin ? strstr(begin, end_mark) : NULL;
  FILE *file = end ? fopen(check_source_path("docs/numerics.md"), "wb") : NULL;
  if (CHECK(file)) {
    fwrite(page, 1, (size_t)(begin - page) + strlen(begin_mark), file);
    fprintf(file, "\n| function | f16 | bf16 | f32 | f64 |\n|---|---|---|---|---|\n");
    for (int32_t i = 0; i < NUMERICS_COUNT; i++) {
      fprintf(file, "| %s |", numerics_rows[i].name);
      for (int d = 0; d < NUMERICS_DTYPES; d++) {
        char text[60];
        cell(text, sizeof text, numerics_rows[i].bounds[d], errors[i][d]);
        fprintf(file, " %s |", text);
      }
      fprintf(file, "\n");
    }
    fprintf(file, "\n%s", end);
    fclose(file);
  }
  free(page);
}

/* Zeros, infinities, NaN, the smallest and the largest numbers, 1 and 2, of both signs. */
static numerics_worst worst_of_awkward(const numerics_row *row, const numerics_devices *all) {
  static const uint32_t awkward[] = {0,          0x00000001, 0x00800000, 0x3f800000, 0x40000000,
                                     0x7f7fffff, 0x7f800000, 0x7fc00000, 0x3f000000};
  numerics_worst worst = {.row = ""};
  for (size_t i = 0; i < 2 * sizeof awkward / sizeof awkward[0]; i++) {
    uint64_t bits = awkward[i / 2] | (uint32_t)(i % 2) << 31;
    numerics_worst here = numerics_sweep(row, MICA_F32, all, bits, bits + 1, 1);
    if (!(here.error <= worst.error)) worst = here;
  }
  return worst;
}

TEST(errors_stay_below_their_bounds) {
  static double errors[NUMERICS_COUNT][NUMERICS_DTYPES];
  numerics_devices all;
  if (!numerics_open(&all)) return;
  uint64_t first = (uint64_t)check_rotation() % NUMERICS_STEP;
  for (int32_t i = 0; i < NUMERICS_COUNT; i++) {
    const numerics_row *row = &numerics_rows[i];
    for (int d = 0; d < NUMERICS_DTYPES; d++) {
      mica_dtype dtype = numerics_dtypes[d];
      numerics_worst worst;
      if (dtype == MICA_F64 && row->golden) {
        worst = numerics_golden(row, &all);
      } else if (dtype == MICA_F64) {
        if (LDBL_MANT_DIG < 64) continue; /* long double says no more than double */
        worst = numerics_sweep(row, dtype, &all, 0, NUMERICS_RANDOM, 1);
      } else if (dtype == MICA_F32) {
        worst = numerics_sweep(row, dtype, &all, first, UINT64_C(1) << 32, NUMERICS_STEP);
        numerics_worst ends = worst_of_awkward(row, &all);
        if (!(ends.error <= worst.error)) worst = ends;
      } else {
        worst = numerics_sweep(row, dtype, &all, 0, 1 << 16, 1);
      }
      errors[i][d] = worst.error;
      numerics_check(row, dtype, row->bounds[d], worst);
    }
  }
  numerics_close(&all);
  if (getenv("MICA_NUMERICS_WRITE")) write_page(errors);
}

/* The page has a row for each function, whose bounds are the table's, and no others. */
TEST(the_page_states_the_bounds) {
  char *page = read_page();
  const char *begin = page ? strstr(page, begin_mark) : NULL;
  if (!CHECK(begin && strstr(begin, end_mark))) return;
  int32_t lines = 0;
  for (const char *at = begin; (at = strstr(at, "\n| ")) != NULL && at < strstr(begin, end_mark);
       at++)
    lines++;
  CHECK_EQ_INT(lines, NUMERICS_COUNT + 1);
  for (int32_t i = 0; i < NUMERICS_COUNT; i++) {
    const numerics_row *row = &numerics_rows[i];
    const char *line = row_of_page(begin, row->name);
    if (!line) {
      CHECK_FAIL("docs/numerics.md has no row for %s (MICA_NUMERICS_WRITE=1 writes it)", row->name);
      continue;
    }
    line += strlen(row->name) + 4;
    for (int d = 0; d < NUMERICS_DTYPES; d++) {
      char bound[40], *rest;
      snprintf(bound, sizeof bound, " %.3g (", row->bounds[d]);
      if (strncmp(line, bound, strlen(bound)) != 0) {
        CHECK_FAIL("docs/numerics.md: %s of %s: expected the bound%s", row->name,
                   mica_dtype_name(numerics_dtypes[d]), bound);
        break;
      }
      double measured = strtod(line + strlen(bound), &rest);
      CHECK(measured <= row->bounds[d] * 1.005 && *rest == ')');
      line = strchr(line, '|') + 1;
    }
  }
  free(page);
}

TEST_MAIN(TEST_CASE(errors_stay_below_their_bounds), TEST_CASE(the_page_states_the_bounds))
