/* SPDX-License-Identifier: Apache-2.0 */
/* Defects of XLA's CPU plugins that docs/xla.md and docs/operators.md name or that the writer goes around, each shown by
 * a module written by hand, without anything of ours in it: so that a row which is not green is the plugin's, and so
 * that we see when it is mended. Every plugin of
 * $MICA_XLA_PLUGIN_DIR, or the user's, is loaded by a child, since it may end its process. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "mica/backend.h"
#include "mica/xla.h"

static const char narrow_transpose[] =
    "module @m {\n"
    "  func.func public @main(%0: tensor<i32>, %1: tensor<3x3xi8>) -> (tensor<3x3xi8>) {\n"
    "    %2 = stablehlo.convert %1 : (tensor<3x3xi8>) -> tensor<3x3xi4>\n"
    "    %3 = \"stablehlo.case\"(%0) ({\n"
    "      %4 = stablehlo.transpose %2, dims = [1, 0] : (tensor<3x3xi4>) -> tensor<3x3xi4>\n"
    "      stablehlo.return %4 : tensor<3x3xi4>\n"
    "    }, {\n"
    "      %5 = stablehlo.reverse %2, dims = [1] : tensor<3x3xi4>\n"
    "      stablehlo.return %5 : tensor<3x3xi4>\n"
    "    }) : (tensor<i32>) -> tensor<3x3xi4>\n"
    "    %6 = stablehlo.convert %3 : (tensor<3x3xi4>) -> tensor<3x3xi8>\n"
    "    return %6 : tensor<3x3xi8>\n"
    "  }\n"
    "}\n";

/* Bodies of functions of %0, of the type that stands for @, whose last value is %9; all elements are x. */
enum { ANY = 1000, FIRST = 0 };
static const struct {
  const char *what;
  mica_dtype dtype;
  double x, right;
  int from, below; /* minor versions with another answer */
  const char *body;
} wrong_answers[] = {
    {"atan of several elements at a time", MICA_F64, 0.5, 0.46364760900080609, 107, ANY,
     "%9 = \"chlo.atan\"(%0) : (@) -> @"},
    {"3 to the power of 2147483647", MICA_I32, 2147483647, -1431655765, FIRST, ANY,
     "%1 = \"stablehlo.constant\"() {value = dense<3> : @} : () -> @\n"
     "%9 = \"stablehlo.power\"(%1, %0) : (@, @) -> @"},
    {"NaN times a truth value as a number", MICA_F64, NAN, NAN, FIRST, ANY,
     "%1 = \"stablehlo.compare\"(%0, %0) {comparison_direction = #stablehlo<comparison_direction "
     "EQ>} : "
     "(@, @) -> tensor<4x2xi1>\n"
     "%2 = \"stablehlo.convert\"(%1) : (tensor<4x2xi1>) -> @\n"
     "%9 = \"stablehlo.multiply\"(%0, %2) : (@, @) -> @"},
    {"digamma of -0", MICA_F64, -0.0, INFINITY, FIRST, ANY, "%9 = \"chlo.digamma\"(%0) : (@) -> @"},
    {"polygamma of order 2 at 0", MICA_F64, 0, -INFINITY, FIRST, ANY,
     "%1 = \"stablehlo.constant\"() {value = dense<2.0> : @} : () -> @\n"
     "%9 = \"chlo.polygamma\"(%1, %0) : (@, @) -> @"},
    {"the root of -1 - 0 i, its imaginary part", MICA_F64, -0.0, -1, FIRST, ANY,
     "%1 = \"stablehlo.constant\"() {value = dense<-1.0> : @} : () -> @\n"
     "%2 = \"stablehlo.complex\"(%1, %0) : (@, @) -> tensor<4x2xcomplex<f64>>\n"
     "%3 = \"stablehlo.sqrt\"(%2) : (tensor<4x2xcomplex<f64>>) -> tensor<4x2xcomplex<f64>>\n"
     "%9 = \"stablehlo.imag\"(%3) : (tensor<4x2xcomplex<f64>>) -> @"},
    {"(x + 2 i) (2 + x i) at 3e38, its real part", MICA_F32, 3e38, 0, FIRST, ANY,
     "%1 = \"stablehlo.constant\"() {value = dense<2.0> : @} : () -> @\n"
     "%2 = \"stablehlo.complex\"(%0, %1) : (@, @) -> tensor<4x2xcomplex<f32>>\n"
     "%3 = \"stablehlo.complex\"(%1, %0) : (@, @) -> tensor<4x2xcomplex<f32>>\n"
     "%4 = \"stablehlo.multiply\"(%2, %3) : (tensor<4x2xcomplex<f32>>, tensor<4x2xcomplex<f32>>) "
     "-> "
     "tensor<4x2xcomplex<f32>>\n"
     "%9 = \"stablehlo.real\"(%4) : (tensor<4x2xcomplex<f32>>) -> @"},
    {"the largest number / 127 * 127", MICA_F64, DBL_MAX, INFINITY, FIRST, ANY,
     "%1 = \"stablehlo.constant\"() {value = dense<127.0> : @} : () -> @\n"
     "%2 = \"stablehlo.divide\"(%0, %1) : (@, @) -> @\n"
     "%9 = \"stablehlo.multiply\"(%2, %1) : (@, @) -> @"},
    {"log of a denormal", MICA_F32, 0x1p-140, -97.0406082, FIRST, ANY,
     "%9 = \"stablehlo.log\"(%0) : (@) -> @"},
    {"a denormal to the power of -0.6", MICA_F64, 0x1p-1070, 0x1p642, FIRST, ANY,
     "%1 = \"stablehlo.constant\"() {value = dense<-0.6> : @} : () -> @\n"
     "%9 = \"stablehlo.power\"(%0, %1) : (@, @) -> @"},
    {"atan2 of two denormals", MICA_F64, 0x1p-1070, 0.78539816339744831, FIRST, ANY,
     "%9 = \"stablehlo.atan2\"(%0, %0) : (@, @) -> @"},
};
enum { WRONG_ANSWERS = sizeof wrong_answers / sizeof wrong_answers[0] };

enum { POINTS = 4096 };
static const char log_plus_one[] =
    "module @m {\n"
    "  func.func public @main(%0: tensor<4096xf64>) -> (tensor<4096xf64>) {\n"
    "    %1 = stablehlo.log_plus_one %0 : tensor<4096xf64>\n"
    "    return %1 : tensor<4096xf64>\n"
    "  }\n"
    "}\n";

/* What a child found out. */
typedef struct {
  int minor;    /* of the plugin's API */
  bool done;    /* it came to the end */
  double error; /* the largest relative one */
  char message[200];
  double value[WRONG_ANSWERS];
  bool known[WRONG_ANSWERS];
} finding;

static mica_executable *compile(const char *module, finding *f, mica_device **out_device) {
  mica_error error = {0};
  mica_executable *executable = NULL;
  *out_device = mica_device_open(&(mica_device_options){.struct_size = sizeof(mica_device_options),
                                                        .backend = "xla:cpu,cache=off"},
                                 &error);
  const char *version =
      *out_device ? strstr(mica_device_description(*out_device), "PJRT 0.") : NULL;
  f->minor = version ? atoi(version + 7) : 0;
  if (*out_device && f->minor)
    (void)mica_stablehlo_compile(*out_device, module, strlen(module), 0, &executable, &error);
  snprintf(f->message, sizeof f->message, "%.199s", error.message);
  return executable;
}

static void transpose_in_a_branch(finding *f, int out) {
  mica_device *device;
  /* Its version first: the compiler may not come back. */
  (void)compile("", f, &device);
  (void)!write(out, f, sizeof *f);
  mica_executable *executable = compile(narrow_transpose, f, &device);
  f->done = executable != NULL;
}

static void logarithm(finding *f, int out) {
  mica_device *device;
  static double x[POINTS], y[POINTS];
  for (int i = 0; i < POINTS; i++) x[i] = (i + 0.3) / POINTS - 0.5;
  mica_executable *executable = compile(log_plus_one, f, &device);
  mica_tensor *in = mica_tensor_from_doubles(MICA_F64, MICA_DIMS(POINTS), x), *result = NULL;
  (void)out;
  if (executable == NULL || mica_executable_run(executable, &in, 1, &result, 1, NULL) != MICA_OK ||
      mica_tensor_read_doubles(result, y, POINTS, NULL) != MICA_OK)
    return;
  for (int i = 0; i < POINTS; i++) f->error = fmax(f->error, fabs(y[i] / log1p(x[i]) - 1));
  f->done = true;
}

static void write_function(char *text, size_t size, const char *type, const char *body) {
  size_t at = (size_t)snprintf(
      text, size, "module @m {\n  func.func public @main(%%0: %s) -> (%s) {\n", type, type);
  for (const char *c = body; *c; c++)
    at += (size_t)(*c == '@' ? snprintf(text + at, size - at, "%s", type)
                             : snprintf(text + at, size - at, "%c", *c));
  snprintf(text + at, size - at, "\n\"func.return\"(%%9) : (%s) -> ()\n}\n}\n", type);
}

static void ask_each(finding *f, int out) {
  (void)out;
  for (int i = 0; i < WRONG_ANSWERS; i++) {
    char text[4096], type[64];
    mica_dtype dtype = wrong_answers[i].dtype;
    mica_device *device;
    double x[8], y[8];
    for (int k = 0; k < 8; k++) x[k] = wrong_answers[i].x;
    snprintf(type, sizeof type, "tensor<4x2x%s>", mica_dtype_name(dtype));
    write_function(text, sizeof text, type, wrong_answers[i].body);
    mica_executable *executable = compile(text, f, &device);
    mica_tensor *in = mica_tensor_from_doubles(dtype, MICA_DIMS(4, 2), x), *result = NULL;
    f->known[i] = executable != NULL &&
                  mica_executable_run(executable, &in, 1, &result, 1, NULL) == MICA_OK &&
                  mica_tensor_read_doubles(result, y, 8, NULL) == MICA_OK;
    f->value[i] = y[3];
    mica_tensor_release(in), mica_tensor_release(result);
    mica_executable_release(executable), mica_device_release(device);
  }
  f->done = true;
}

/* Runs a probe in a child with the plugin of `folder`; false where there is none. */
static bool probe(void (*run)(finding *, int), const char *folder, finding *f) {
  int ends[2], status = 0;
  finding read_one;
  *f = (finding){0};
  if (!CHECK(pipe(ends) == 0)) return false;
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    if (folder) setenv("MICA_XLA_PLUGIN_DIR", folder, 1);
    setenv("TF_CPP_MIN_LOG_LEVEL", "2", 0);
    if (!freopen("/dev/null", "w", stderr)) _exit(1);
    finding mine = {0};
    run(&mine, ends[1]);
    (void)!write(ends[1], &mine, sizeof mine);
    _exit(0);
  }
  close(ends[1]);
  while (read(ends[0], &read_one, sizeof read_one) == (ssize_t)sizeof read_one) *f = read_one;
  close(ends[0]);
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  return f->minor > 0;
}

/* Each plugin of the list in turn. */
static void each_plugin(void (*run)(finding *, int), void (*judge)(const finding *)) {
  static char list[4096];
  const char *given = getenv("MICA_XLA_PLUGIN_DIR");
  snprintf(list, sizeof list, "%s", given ? given : "");
  int plugins = 0;
  finding f;
  for (char *at = list, *next; at; at = next) {
    next = strchr(at, ':');
    if (next) *next++ = '\0';
    if (!probe(run, *at ? at : NULL, &f)) continue;
    plugins++;
    judge(&f);
  }
  if (plugins == 0) CHECK_SKIP("no plugin of XLA for the CPU: `mica plugin install cpu`");
}

static void judge_transpose(const finding *f) {
  printf("PJRT 0.%d: a branch that transposes 4-bit values %s\n", f->minor,
         f->done ? "compiles" : "ends the process");
  CHECK_EQ_INT(f->done, f->minor >= 106);
}
TEST(narrow_transpose_in_a_branch) { each_plugin(transpose_in_a_branch, judge_transpose); }

static void judge_logarithm(const finding *f) {
  printf("PJRT 0.%d: log_plus_one of f64 is wrong by at most %.2g of its value\n", f->minor,
         f->error);
  CHECK(f->done);
  CHECK(f->minor < 115 ? f->error > 5e-15 && f->error < 5e-14 : f->error < 1e-15);
}
TEST(log_plus_one_of_f64) { each_plugin(logarithm, judge_logarithm); }

/* Vectors in registers of 256 bits are what goes wrong. */
static bool has_wide_registers(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx") != 0;
#else
  return false;
#endif
}

static void judge_answers(const finding *f) {
  CHECK(f->done);
  for (int i = 0; i < WRONG_ANSWERS; i++) {
    double value = f->value[i], right = wrong_answers[i].right;
    bool is_right = value == right || (isnan(value) && isnan(right)) ||
                    fabs(value - right) < 1e-6 * fabs(right);
    printf("PJRT 0.%d: %s: %.9g for %.9g\n", f->minor, wrong_answers[i].what, value, right);
    if (!CHECK(f->known[i])) continue;
    bool goes_wrong = f->minor >= wrong_answers[i].from && f->minor < wrong_answers[i].below;
    if (i == 0) goes_wrong = goes_wrong && has_wide_registers();
    if (is_right == goes_wrong)
      CHECK_FAIL("PJRT 0.%d: %s is %s", f->minor, wrong_answers[i].what,
                 is_right ? "right now" : "wrong");
  }
}
TEST(answers_at_special_values) { each_plugin(ask_each, judge_answers); }

TEST_MAIN(TEST_CASE(answers_at_special_values), TEST_CASE(narrow_transpose_in_a_branch),
          TEST_CASE(log_plus_one_of_f64))
