/* SPDX-License-Identifier: Apache-2.0 */
/* check.h: what a test program is written with. A test is a function, a program is a table of them:
 *
 *   #include "check.h"
 *   TEST(adds) { CHECK_EQ_INT(1 + 1, 2); }
 *   TEST_MAIN(TEST_CASE(adds))
 *
 * A failed check prints file, line and the values, and the test goes on; every check is also an
 * expression that says whether it held: `if (!CHECK(pointer)) return;`. A program ends with the line
 * "N passed, M failed" and exit code 1 if something failed, 77 if everything was skipped. Its
 * arguments choose cases: those whose names contain one of them; `--list` names them.
 * Checks may stand in any thread. */
#ifndef CHECK_H
#define CHECK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  const char *name;
  void (*run)(void);
} check_case;

#define TEST(name) static void test_##name(void)
#define TEST_CASE(name) \
  { #name, test_##name }
#define TEST_MAIN(...)                                                           \
  int main(int argc, char **argv) {                                              \
    static const check_case cases[] = {__VA_ARGS__};                             \
    return check_main(argc, argv, cases, (int)(sizeof cases / sizeof cases[0])); \
  }

/* The condition holds. */
#define CHECK(condition) check_true((condition) ? true : false, #condition, __FILE__, __LINE__)

/* Two integers are equal (as int64_t, or as uint64_t shown in hexadecimal too). */
#define CHECK_EQ_INT(actual, expected) \
  check_int((int64_t)(actual), (int64_t)(expected), #actual, #expected, __FILE__, __LINE__)
#define CHECK_EQ_BITS(actual, expected) \
  check_bits((uint64_t)(actual), (uint64_t)(expected), #actual, #expected, __FILE__, __LINE__)

/* |actual - expected| <= tolerance, in absolute terms or relative to |expected|. NaN equals NaN, and an
 * infinity itself. A tolerance of 0 asks for equal values. */
#define CHECK_NEAR(actual, expected, tolerance)                                                   \
  check_near((double)(actual), (double)(expected), (double)(tolerance), false, #actual, __FILE__, \
             __LINE__)
#define CHECK_NEAR_RELATIVE(actual, expected, tolerance)                                         \
  check_near((double)(actual), (double)(expected), (double)(tolerance), true, #actual, __FILE__, \
             __LINE__)

/* Strings; NULL differs from every string. */
#define CHECK_EQ_STR(actual, expected) check_str((actual), (expected), #actual, __FILE__, __LINE__)
#define CHECK_STR_CONTAINS(text, part) check_contains((text), (part), #text, __FILE__, __LINE__)

/* `size` bytes are the same; says where they first differ. */
#define CHECK_EQ_BYTES(actual, expected, size) \
  check_bytes((actual), (expected), (size), #actual, __FILE__, __LINE__)

/* A mica_status: MICA_OK (the second form prints a mica_error's message), or a certain failure. */
#define CHECK_OK(status) check_status((int)(status), 0, NULL, #status, __FILE__, __LINE__)
#define CHECK_OK_ERROR(status, error) \
  check_status((int)(status), 0, (error)->message, #status, __FILE__, __LINE__)
#define CHECK_STATUS(actual, expected) \
  check_status((int)(actual), (int)(expected), NULL, #actual, __FILE__, __LINE__)

/* Fails the test with a text of its own, as printf takes it; for tables of cases and oracles. */
#define CHECK_FAIL(...) check_fail(__FILE__, __LINE__, __VA_ARGS__)

/* Ends nothing: counts the test as skipped, with the reason. Return after it. */
#define CHECK_SKIP(reason) check_skip(reason)

#if defined(__GNUC__)
#define CHECK_PRINTF(format_index, first) \
  __attribute__((__format__(__printf__, format_index, first)))
#else
#define CHECK_PRINTF(format_index, first)
#endif

bool check_true(bool held, const char *text, const char *file, int line);
bool check_int(int64_t actual, int64_t expected, const char *actual_text, const char *expected_text,
               const char *file, int line);
bool check_bits(uint64_t actual, uint64_t expected, const char *actual_text,
                const char *expected_text, const char *file, int line);
bool check_near(double actual, double expected, double tolerance, bool relative, const char *text,
                const char *file, int line);
bool check_str(const char *actual, const char *expected, const char *text, const char *file,
               int line);
bool check_contains(const char *text, const char *part, const char *name, const char *file,
                    int line);
bool check_bytes(const void *actual, const void *expected, size_t size, const char *text,
                 const char *file, int line);
bool check_status(int actual, int expected, const char *message, const char *text, const char *file,
                  int line);
bool check_fail(const char *file, int line, const char *format, ...) CHECK_PRINTF(3, 4);
void check_skip(const char *reason);
int check_main(int argc, char **argv, const check_case *cases, int count);

/* Checks that have failed so far in this program. */
int check_failure_count(void);
/* Whether everything is wanted (`./dev test --all`, MICA_TEST_ALL=1) rather than a part of a sweep. */
bool check_all(void);
/* The same for sweeps over millions of values, which a sanitizer's build takes in part all the same. */
bool check_all_values(void);
/* `wanted` threads, or 1 on a machine that has no threads (WebAssembly without shared memory). */
int check_threads(int wanted);
/* A number that is the same within a day, for sweeps that do a rotating part of their work;
 * MICA_TEST_ROTATION sets it. */
int64_t check_rotation(void);
/* Paths, valid until the next eight calls: below the source tree, and in the test's own scratch folder. */
const char *check_source_path(const char *relative);
const char *check_temporary_path(const char *name);

#ifdef __cplusplus
}
#endif
#endif
