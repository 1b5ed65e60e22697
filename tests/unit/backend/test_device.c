/* SPDX-License-Identifier: Apache-2.0 */
/* test_device.c: opening devices by options and environment, cancelling, and forks. */
#include "backend/device.h"
#include "platform/platform.h"
#include "unit/backend/support.h"

#include <errno.h>
#include <stdio.h>
#ifndef __wasi__
#include <sys/wait.h>
#include <unistd.h>
#endif

static mica_device *open_named(const char *backend, int32_t threads, mica_error *error) {
  *error = (mica_error){0};
  mica_device_options options = {
      .struct_size = sizeof(options), .backend = backend, .threads = threads};
  return mica_device_open(&options, error);
}

static void check_refused(const char *backend, int32_t threads, mica_status status,
                          const char *message) {
  mica_error error;
  mica_device *device = open_named(backend, threads, &error);
  CHECK(device == NULL);
  CHECK_STATUS(error.status, status);
  CHECK_STR_CONTAINS(error.message, message);
  mica_device_release(device);
}

TEST(backends_are_named) {
  mica_error error;
  mica_device *device = open_named("reference", 0, &error);
  CHECK_EQ_STR(mica_device_backend(device), "reference");
  CHECK_STR_CONTAINS(mica_device_description(device), "reference");
  CHECK_EQ_INT(mica_device_threads(device), 1); /* it has no others */
  CHECK(mica_device_retain(device) == device);
  mica_device_release(device);
  mica_device_release(device);
  device = open_named(" reference , find_nan, profile=0 ", 0, &error);
  CHECK_EQ_STR(mica_device_backend(device), "reference");
  mica_device_release(device);
  check_refused("abacus", 0, MICA_NOT_FOUND, "no backend 'abacus'; there are: ");
  check_refused("abacus,threads=1", 0, MICA_NOT_FOUND, "reference");
  check_refused("referenc", 0, MICA_NOT_FOUND, "'referenc'");
  check_refused("reference,beads=7", 0, MICA_INVALID, "no option 'beads=7'");
  check_refused("reference,threads=many", 0, MICA_INVALID, "'many'");
  check_refused("reference,threads=", 0, MICA_INVALID, "not a number");
  check_refused("reference,threads=4097", 0, MICA_INVALID, "0 to 4096");
  check_refused("reference,profile=perhaps", 0, MICA_INVALID, "no option 'profile=perhaps'");
  check_refused("reference", -1, MICA_INVALID, "-1 threads");
  char long_name[2000];
  memset(long_name, 'x', sizeof(long_name) - 1);
  long_name[sizeof(long_name) - 1] = '\0';
  check_refused(long_name, 0, MICA_NOT_FOUND, "there are: ");
  memcpy(long_name, "reference,", 10);
  check_refused(long_name, 0, MICA_INVALID, "too long");
  CHECK_EQ_STR(mica_device_backend(NULL), "");
  CHECK_EQ_STR(mica_device_description(NULL), "");
  CHECK_EQ_INT(mica_device_threads(NULL), 0);
  mica_device_release(NULL);
  mica_device_cancel(NULL, true);
}

/* A struct of an older header is shorter: what lies behind it is not read. */
TEST(options_may_be_short) {
  union {
    mica_device_options options;
    unsigned char bytes[sizeof(mica_device_options)];
  } given;
  memset(given.bytes, 0xFF, sizeof(given.bytes));
  given.options.struct_size = offsetof(mica_device_options, threads);
  given.options.backend = "reference";
  mica_error error = {0};
  mica_device *device = mica_device_open(&given.options, &error);
  CHECK_OK_ERROR(error.status, &error);
  CHECK_EQ_STR(mica_device_backend(device), "reference");
  mica_device_release(device);
}

extern const mica_backend mica_backend_reference;

/* The reference makes itself one thread; a backend without `open` keeps what was resolved. */
static int32_t resolved_threads(const char *text, int32_t threads) {
  mica_backend backend = mica_backend_reference;
  backend.open = NULL;
  mica_device_options options = {.struct_size = sizeof(options), .threads = threads};
  mica_device *device = mica_device_open_with(&backend, text, &options, NULL);
  int32_t count = mica_device_threads(device);
  mica_device_release(device);
  return count;
}

TEST(the_environment_gives_defaults) {
  mica_error error;
  setenv("MICA_BACKEND", "reference,find_nan", 1);
  mica_device *device = open_named(NULL, 0, &error);
  CHECK_EQ_STR(mica_device_backend(device), "reference");
  mica_device_release(device);
  setenv("MICA_BACKEND", "abacus", 1);
  check_refused(NULL, 0, MICA_NOT_FOUND, "$MICA_BACKEND: there is no backend 'abacus'");
  device = open_named("reference", 0, &error); /* what the program says comes first */
  CHECK(device != NULL);
  mica_device_release(device);
  unsetenv("MICA_BACKEND");
  unsetenv("MICA_THREADS");
  CHECK_EQ_INT(resolved_threads(NULL, 0), mica_thread_core_count());
  CHECK_EQ_INT(resolved_threads(NULL, 3), 3);
  CHECK_EQ_INT(resolved_threads("threads=5", 3), 5);
  setenv("MICA_THREADS", " 7 ", 1);
  CHECK_EQ_INT(resolved_threads(NULL, 0), 7);
  CHECK_EQ_INT(resolved_threads(NULL, 3), 3);
  CHECK_EQ_INT(resolved_threads("threads=5", 0), 5);
  setenv("MICA_THREADS", "-7", 1);
  mica_device_options options = {.struct_size = sizeof(options), .backend = "reference"};
  error = (mica_error){0};
  CHECK(mica_device_open(&options, &error) == NULL);
  CHECK_STR_CONTAINS(error.message, "$MICA_THREADS is '-7'");
  unsetenv("MICA_THREADS");
}

TEST(options_of_other_backends_are_refused) {
  mica_backend backend = mica_backend_reference;
  backend.open = NULL;
  mica_error error = {0};
  CHECK(mica_device_open_with(&backend, "beads=7", NULL, &error) == NULL);
  CHECK_STR_CONTAINS(error.message, "'reference' has no option 'beads=7'");
  /* A backend of an older interface: the slots that it lacks are not called. */
  backend = mica_backend_reference;
  backend.struct_size = offsetof(mica_backend, program_arena_bytes);
  mica_device *device = mica_device_open_with(&backend, NULL, NULL, NULL);
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_scalar(graph, MICA_F32, 2);
  mica_graph_set_outputs(graph, &x, 1);
  mica_executable *executable = NULL;
  CHECK_OK(mica_compile(device, graph, 0, &executable, NULL));
  CHECK_EQ_INT(mica_executable_arena_bytes(executable), 0);
  char text[20] = "full";
  CHECK_EQ_INT(mica_executable_format(executable, text, sizeof(text)), 0);
  CHECK_EQ_STR(text, "");
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  mica_device_release(device);
}

/* ---- cancelling ------------------------------------------------------------------------------- */

static void cancel_on_mark(void *user, const char *text) {
  (void)text;
  mica_device_cancel(*(mica_device **)user, true);
}

TEST(calls_are_cancelled) {
  mica_device *device = NULL;
  mica_device_options options = {
      .struct_size = sizeof(options), .log = cancel_on_mark, .log_user = &device};
  device = mica_device_open(&options, NULL);
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_mark(mica_parameter(graph, (mica_type){MICA_F32, MICA_SCALAR}), "x");
  mica_graph_set_outputs(graph, &x, 1);
  mica_executable *executable = NULL;
  CHECK_OK(mica_compile(device, graph, 0, &executable, NULL));
  mica_tensor *in = mica_tensor_scalar(MICA_F32, 1), *out = NULL;
  CHECK_OK(
      mica_executable_run(executable, &in, 1, &out, 1, NULL)); /* its report comes at the end */
  mica_error error = {0};
  CHECK_STATUS(mica_executable_run(executable, &in, 1, &out, 1, &error), MICA_CANCELLED);
  CHECK_STR_CONTAINS(error.message, "cancel");
  CHECK_STATUS(mica_executable_run(executable, &in, 1, &out, 1, NULL), MICA_CANCELLED);
  mica_device_cancel(device, false);
  CHECK_OK(mica_executable_run(executable, &in, 1, &out, 1, NULL));
  mica_tensor_release(in);
  mica_tensor_release(out);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  mica_device_release(device);
}

typedef struct {
  mica_device *device;
  mica_executable *executable;
  mica_status status;
} endless;

static void run_endless(void *context) {
  endless *work = context;
  mica_tensor *out = NULL;
  work->status = mica_executable_run(work->executable, NULL, 0, &out, 1, NULL);
  mica_tensor_release(out);
}

/* A loop without an end, stopped by another thread. */
TEST(running_calls_end) {
  mica_device *device = open_device();
  mica_graph *graph = mica_graph_create(NULL);
  mica_value state = mica_scalar(graph, MICA_I32, 0), end;
  mica_region loop = mica_while_begin(graph, &state, 1, 0);
  mica_while_body(loop, mica_greater_equal(mica_argument(loop, 0), 0));
  mica_value next = mica_and(mica_add(mica_argument(loop, 0), 1), mica_full_like(state, 1023));
  mica_while_end(loop, &next, &end);
  mica_graph_set_outputs(graph, &end, 1);
  endless work = {.device = device};
  mica_error error = {0};
  CHECK_OK_ERROR(mica_compile(device, graph, 0, &work.executable, &error), &error);
  mica_thread_handle thread;
  int code = mica_thread_start(&thread, run_endless, &work);
  if (code == ENOSYS) {
    CHECK_SKIP("there are no threads here");
  } else if (CHECK_EQ_INT(code, 0)) {
    for (int i = 0; i < 1000; i++) mica_thread_yield();
    mica_device_cancel(device, true);
    mica_thread_join(thread);
    CHECK_STATUS(work.status, MICA_CANCELLED);
  }
  mica_executable_release(work.executable);
  mica_graph_destroy(graph);
  mica_device_release(device);
}

/* ---- forks ------------------------------------------------------------------------------------ */

#ifndef __wasi__
/* What the child finds, as bits. */
static int child_work(mica_device *device, mica_executable *executable) {
  mica_tensor *in = mica_tensor_scalar(MICA_F32, 1), *out = NULL;
  mica_error error = {0};
  int bits = 0;
  if (mica_executable_run(executable, &in, 1, &out, 1, &error) == MICA_INVALID &&
      strstr(error.message, "before a fork") != NULL)
    bits |= 1;
  mica_graph *graph = mica_graph_create(NULL);
  mica_executable *other = NULL;
  mica_graph_set_outputs(graph, (mica_value[]){mica_scalar(graph, MICA_F32, 1)}, 1);
  if (mica_compile(device, graph, 0, &other, NULL) == MICA_INVALID) bits |= 2;
  mica_executable_release(executable); /* waits for no thread that is not there */
  mica_device_release(device);
  /* ThreadSanitizer does not follow threads that begin behind a fork. */
  mica_device_options alone = {.struct_size = sizeof(alone), .threads = 1};
  mica_device *fresh = mica_device_open(&alone, NULL);
  if (fresh != NULL && mica_compile(fresh, graph, 0, &other, NULL) == MICA_OK &&
      mica_executable_run(other, NULL, 0, &out, 1, NULL) == MICA_OK)
    bits |= 4;
  mica_executable_release(other);
  mica_device_release(fresh);
  mica_graph_destroy(graph);
  mica_tensor_release(in);
  mica_tensor_release(out);
  return bits;
}

TEST(a_forked_child_is_told) {
  mica_device *device = open_device();
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, (mica_type){MICA_F32, MICA_SCALAR});
  mica_graph_set_outputs(graph, &x, 1);
  mica_executable *executable = NULL;
  CHECK_OK(mica_compile(device, graph, 0, &executable, NULL));
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) _exit(child_work(device, executable));
  int status = 0;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK_EQ_INT(WEXITSTATUS(status), 7);
  mica_tensor *in = mica_tensor_scalar(MICA_F32, 1), *out = NULL; /* the parent goes on */
  CHECK_OK(mica_executable_run(executable, &in, 1, &out, 1, NULL));
  mica_tensor_release(in);
  mica_tensor_release(out);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  mica_device_release(device);
}
#else
TEST(a_forked_child_is_told) { CHECK_SKIP("there are no forks here"); }
#endif

TEST_MAIN(TEST_CASE(backends_are_named), TEST_CASE(options_may_be_short),
          TEST_CASE(the_environment_gives_defaults),
          TEST_CASE(options_of_other_backends_are_refused), TEST_CASE(calls_are_cancelled),
          TEST_CASE(running_calls_end), TEST_CASE(a_forked_child_is_told))
