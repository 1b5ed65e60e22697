/* SPDX-License-Identifier: Apache-2.0 */
/* check.c: the counters and messages behind check.h. Counters are atomic since checks may stand in any
 * thread; only the first failures of a test are printed, so that a broken table stays readable. */
#include "check.h"

#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mica/core.h"

enum { PRINTED_FAILURES = 20, PATH_COUNT = 8, PATH_SIZE = 1024 };

static atomic_int failures_in_case;
static atomic_int failures_in_all;
static atomic_bool case_skipped;

bool check_fail(const char *file, int line, const char *format, ...) {
  atomic_fetch_add(&failures_in_all, 1);
  int before = atomic_fetch_add(&failures_in_case, 1);
  if (before < PRINTED_FAILURES || getenv("MICA_CHECK_PRINT_ALL") != NULL) {
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s:%d: %s\n", file, line, text);
  } else if (before == PRINTED_FAILURES) {
    fprintf(stderr, "%s:%d: more failures are not printed\n", file, line);
  }
  return false;
}

bool check_true(bool held, const char *text, const char *file, int line) {
  return held || check_fail(file, line, "%s does not hold", text);
}

bool check_int(int64_t actual, int64_t expected, const char *actual_text, const char *expected_text,
               const char *file, int line) {
  return actual == expected || check_fail(file, line, "%s is %lld, expected %s = %lld", actual_text,
                                          (long long)actual, expected_text, (long long)expected);
}

bool check_bits(uint64_t actual, uint64_t expected, const char *actual_text,
                const char *expected_text, const char *file, int line) {
  return actual == expected ||
         check_fail(file, line, "%s is 0x%llx (%llu), expected %s = 0x%llx (%llu)", actual_text,
                    (unsigned long long)actual, (unsigned long long)actual, expected_text,
                    (unsigned long long)expected, (unsigned long long)expected);
}

bool check_near(double actual, double expected, double tolerance, bool relative, const char *text,
                const char *file, int line) {
  if (isnan(actual) && isnan(expected)) return true;
  if (isinf(actual) || isinf(expected)) {
    if (actual == expected) return true;
  } else {
    double bound = relative ? tolerance * fabs(expected) : tolerance;
    if (fabs(actual - expected) <= bound) return true;
  }
  return check_fail(file, line, "%s is %.17g, expected %.17g within %g%s, off by %g", text, actual,
                    expected, tolerance, relative ? " relative" : "", actual - expected);
}

bool check_str(const char *actual, const char *expected, const char *text, const char *file,
               int line) {
  if (actual && expected && strcmp(actual, expected) == 0) return true;
  return check_fail(file, line, "%s is \"%s\", expected \"%s\"", text, actual ? actual : "(NULL)",
                    expected ? expected : "(NULL)");
}

bool check_contains(const char *text, const char *part, const char *name, const char *file,
                    int line) {
  if (text && part && strstr(text, part)) return true;
  return check_fail(file, line, "%s is \"%s\", which does not contain \"%s\"", name,
                    text ? text : "(NULL)", part ? part : "(NULL)");
}

bool check_bytes(const void *actual, const void *expected, size_t size, const char *text,
                 const char *file, int line) {
  const unsigned char *x = actual, *y = expected;
  if (!x || !y) return (!x && !y) || check_fail(file, line, "%s: one of two is NULL", text);
  for (size_t i = 0; i < size; i++) {
    if (x[i] != y[i]) {
      return check_fail(file, line, "%s: byte %zu of %zu is 0x%02x, expected 0x%02x", text, i, size,
                        x[i], y[i]);
    }
  }
  return true;
}

bool check_status(int actual, int expected, const char *message, const char *text, const char *file,
                  int line) {
  if (actual == expected) return true;
  return check_fail(file, line, "%s is \"%s\", expected \"%s\"%s%s", text,
                    mica_status_text((mica_status)actual), mica_status_text((mica_status)expected),
                    message ? ": " : "", message ? message : "");
}

void check_skip(const char *reason) {
  atomic_store(&case_skipped, true);
  printf("  skipped: %s\n", reason);
}

int check_failure_count(void) { return atomic_load(&failures_in_all); }

bool check_all(void) {
  const char *all = getenv("MICA_TEST_ALL");
  return all && strcmp(all, "1") == 0;
}

bool check_all_values(void) {
#ifdef MICA_TEST_SANITIZED
  return false;
#else
  return check_all();
#endif
}

int check_threads(int wanted) {
#if defined(__wasm__) && !defined(_REENTRANT)
  return wanted < 1 ? wanted : 1;
#else
  return wanted;
#endif
}

int64_t check_rotation(void) {
  const char *fixed = getenv("MICA_TEST_ROTATION");
  if (fixed) return strtoll(fixed, NULL, 10);
  return (int64_t)time(NULL) / (24 * 60 * 60);
}

static const char *join(const char *variable, const char *name) {
  static _Thread_local char paths[PATH_COUNT][PATH_SIZE];
  static _Thread_local unsigned next;
  const char *folder = getenv(variable);
  char *path = paths[next++ % PATH_COUNT];
  snprintf(path, PATH_SIZE, "%s/%s", folder ? folder : ".", name);
  return path;
}

const char *check_source_path(const char *relative) { return join("MICA_SOURCE_DIR", relative); }

const char *check_temporary_path(const char *name) { return join("MICA_TEST_TMP", name); }

static bool chosen(const char *name, int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (strstr(name, argv[i])) return true;
  }
  return argc <= 1;
}

int check_main(int argc, char **argv, const check_case *cases, int count) {
  int passed = 0, failed = 0, skipped = 0;
  if (argc > 1 && strcmp(argv[1], "--list") == 0) {
    for (int i = 0; i < count; i++) puts(cases[i].name);
    return 0;
  }
  for (int i = 0; i < count; i++) {
    if (!chosen(cases[i].name, argc, argv)) continue;
    atomic_store(&failures_in_case, 0);
    atomic_store(&case_skipped, false);
    printf("%s\n", cases[i].name);
    fflush(stdout);
    cases[i].run();
    int failures = atomic_load(&failures_in_case);
    if (failures) {
      failed++;
      fprintf(stderr, "  %s: %d checks failed\n", cases[i].name, failures);
    } else if (atomic_load(&case_skipped)) {
      skipped++;
    } else {
      passed++;
    }
  }
  printf("%d passed, %d failed", passed, failed);
  if (skipped) printf(", %d skipped", skipped);
  printf("\n");
  if (failed) return 1;
  if (passed == 0) return skipped ? 77 : 1; /* nothing ran: no success */
  return 0;
}
