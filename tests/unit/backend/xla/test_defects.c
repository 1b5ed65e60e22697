/* SPDX-License-Identifier: Apache-2.0 */
/* Defects of XLA's CPU plugins that docs/xla.md names, each shown by a module written by hand, without anything of
 * ours in it: so that a row which is not green is the plugin's, and so that we see when it is mended. Every plugin of
 * $MICA_XLA_PLUGIN_DIR, or the user's, is loaded by a child, since it may end its process. */
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

TEST_MAIN(TEST_CASE(narrow_transpose_in_a_branch), TEST_CASE(log_plus_one_of_f64))
