/* SPDX-License-Identifier: Apache-2.0 */
/* The XLA backend on a plugin that fails at each call in turn and lies in every way that it can: each time
 * an error with a reason, nothing left alive, and the next call works. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/xla/pjrt.h"
#include "check.h"
#include "mica/jit.h"
#include "unit/backend/xla/fake_plugin.h"

static char backend[1200];

static fake_control *plugin(void) {
  static fake_control *control;
  char path[1100];
  if (control == NULL) {
    const char *build = getenv("MICA_BUILD_DIR");
    snprintf(path, sizeof path, "%s/tests/libmica_fake_plugin.so", build ? build : "build/release");
    snprintf(backend, sizeof backend, "xla:%s", path);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL), *symbol = NULL;
    if (library) symbol = dlsym(library, FAKE_CONTROL_NAME);
    fake_control_function *function = NULL;
    memcpy(&function, &symbol, sizeof symbol);
    if (!CHECK(function != NULL)) exit(1);
    control = function();
  }
  memset(control, 0, sizeof *control);
  control->minor = 114;
  control->outputs = 1;
  return control;
}

static int64_t alive(const fake_control *f) {
  return f->errors + f->events + f->clients + f->buffers + f->executables + f->loaded;
}

/* An allocator that fails at the n-th request. */
typedef struct {
  int64_t requests, fail_at;
} counting;
static void *count_allocate(void *self, void *old, size_t old_size, size_t new_size,
                            size_t alignment) {
  counting *c = self;
  (void)old_size;
  if (new_size == 0) {
    free(old);
    return NULL;
  }
  if (++c->requests == c->fail_at) return NULL;
  if (old == NULL && alignment > 16)
    return aligned_alloc(alignment, (new_size + alignment - 1) / alignment * alignment);
  return realloc(old, new_size);
}

/* Opens, compiles x * x + 1, runs it twice, and closes. */
static mica_status story(const char *options, const mica_allocator *allocator, mica_error *error) {
  char name[1300];
  snprintf(name, sizeof name, "%s%s", backend, options);
  mica_device_options how = {.struct_size = sizeof how, .backend = name};
  if (allocator) how.allocator = *allocator;
  mica_device *device = mica_device_open(&how, error);
  if (!device) return error->status;
  mica_graph *graph = mica_graph_create(NULL);
  mica_type type = {MICA_F32, {.rank = 1, .dim = {4}}};
  mica_value x = mica_parameter(graph, type);
  mica_value y = mica_add(mica_mul(x, x), 1);
  mica_graph_set_outputs(graph, &y, 1);
  mica_executable *executable = NULL;
  mica_status status = mica_compile(device, graph, 0, &executable, error);
  mica_tensor *in = mica_tensor_from(MICA_F32, type.shape, (float[]){1, 2, 3, 4}), *out = NULL;
  for (int i = 0; i < 2 && status == MICA_OK; i++)
    status = mica_executable_run(executable, &in, 1, &out, 1, error);
  mica_tensor_release(in);
  mica_tensor_release(out);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  mica_device_release(device);
  return status;
}

TEST(works) {
  fake_control *f = plugin();
  mica_error error = {0};
  f->fill = 7;
  CHECK_EQ_INT(story("", NULL, &error), MICA_OK);
  CHECK_EQ_STR(error.message, "");
  CHECK_EQ_INT(alive(f), 0);
  CHECK_EQ_INT(f->host_semantics[PJRT_HOST_ZERO_COPY], 2);
  CHECK_EQ_INT(f->kept, 1);
  CHECK_STR_CONTAINS(f->text, "stablehlo.multiply");
}

TEST(fails_at_each_call) {
  fake_control *f = plugin();
  mica_error error = {0};
  CHECK_EQ_INT(story(",device=1", NULL, &error), MICA_OK);
  int64_t calls = f->calls, failed = 0;
  CHECK(calls > 15);
  for (int from = 0; from < 2; from++) {
    for (int64_t n = 1; n <= calls; n++) {
      f = plugin();
      *(from ? &f->fail_from : &f->fail_at) = n;
      f->code = PJRT_CODE_RESOURCE_EXHAUSTED;
      error = (mica_error){0};
      mica_status status = story(",device=1", NULL, &error);
      failed += status != MICA_OK;
      if (status != MICA_OK) {
        CHECK_EQ_INT(status, MICA_OUT_OF_MEMORY);
        CHECK_STR_CONTAINS(error.message, "told to fail");
        CHECK_STR_CONTAINS(error.message, "PJRT_");
      }
      if (!CHECK_EQ_INT(alive(f), 0)) printf("call %d\n", (int)n);
    }
  }
  CHECK(failed > calls); /* few calls only ask for what may be missing */
}

TEST(no_memory_at_each_request) {
  fake_control *f = plugin();
  counting counter = {0};
  mica_allocator allocator = {count_allocate, &counter};
  mica_error error = {0};
  CHECK_EQ_INT(story("", &allocator, &error), MICA_OK);
  int64_t requests = counter.requests;
  for (int64_t n = 1; n <= requests; n++) {
    f = plugin();
    counter = (counting){.fail_at = n};
    error = (mica_error){0};
    mica_status status = story("", &allocator, &error);
    CHECK(status == MICA_OUT_OF_MEMORY || status == MICA_OK);
    CHECK_EQ_INT(alive(f), 0);
  }
}

static void expect(fake_control *f, mica_status wanted, const char *part) {
  mica_error error = {0};
  CHECK_EQ_INT(story("", NULL, &error), wanted);
  CHECK_STR_CONTAINS(error.message, part);
  CHECK_EQ_INT(alive(f), 0);
}

TEST(lies) {
  fake_control *f;
  f = plugin(), f->no_table = true, expect(f, MICA_INTERNAL, "GetPjrtApi gives nothing");
  f = plugin(), f->major = 1, expect(f, MICA_UNSUPPORTED, "speaks PJRT 1.114, this library PJRT 0");
  f = plugin(), f->slots = 20, expect(f, MICA_UNSUPPORTED, "too old or incomplete");
  f = plugin(), f->no_devices = true, expect(f, MICA_NOT_FOUND, "no device");
  f = plugin(), f->no_client = true, expect(f, MICA_INTERNAL, "no client");
  f = plugin(), f->no_buffer = true, expect(f, MICA_INTERNAL, "no buffer");
  f = plugin(), f->no_executable = true, expect(f, MICA_INTERNAL, "no executable");
  f = plugin(), f->no_output = true, expect(f, MICA_INTERNAL, "output 0 is missing");
  f = plugin(), f->outputs = 2, expect(f, MICA_INTERNAL, "has 2 outputs, not 1");
  f = plugin(), f->failing_events = true, expect(f, MICA_INTERNAL, "told to fail");
}

/* Without a slot: an error that names it, or it is not needed. */
TEST(missing_slots) {
  static const int needed[] = {PJRT_ERROR_DESTROY,  PJRT_EVENT_AWAIT,      PJRT_CLIENT_CREATE,
                               PJRT_CLIENT_COMPILE, PJRT_BUFFER_FROM_HOST, PJRT_LOADED_EXECUTE,
                               PJRT_BUFFER_TO_HOST};
  for (int slot = 0; slot < PJRT_SLOT_COUNT; slot++) {
    fake_control *f = plugin();
    mica_error error = {0};
    f->missing_slot = slot + 1;
    mica_status status = story("", NULL, &error);
    bool must_fail = false;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
      must_fail = must_fail || needed[i] == slot;
    if (must_fail) CHECK_EQ_INT(status, MICA_UNSUPPORTED);
    if (status != MICA_OK) CHECK_STR_CONTAINS(error.message, "without PJRT_");
    CHECK_EQ_INT(alive(f), 0);
  }
}

static void expect_open_error(const char *name, mica_status wanted, const char *part) {
  mica_error error = {0};
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = name}, &error);
  CHECK(device == NULL);
  CHECK_EQ_INT(error.status, wanted);
  CHECK_STR_CONTAINS(error.message, part);
  mica_device_release(device);
}

TEST(names_and_options) {
  fake_control *f = plugin();
  char name[1300];
  expect_open_error("xla:abacus", MICA_NOT_FOUND, "there are: cpu, cuda, rocm, oneapi, tpu");
  expect_open_error("xla:/no/such/plugin.so", MICA_NOT_FOUND, "does not load: /no/such/plugin.so");
  expect_open_error("xla:/dev/null", MICA_NOT_FOUND, "does not load");
  expect_open_error("cpu:fast", MICA_INVALID, "':fast'");
  setenv("MICA_XLA_PLUGIN_DIR", "/none/one:/none/two", 1);
  setenv("XDG_DATA_HOME", "/none/data", 1);
  expect_open_error("xla:tpu", MICA_NOT_FOUND,
                    "no plugin in $MICA_XLA_PLUGIN_DIR=/none/one:/none/two nor in "
                    "/none/data/mica/plugins; get it by `pip download --no-deps libtpu`");
  snprintf(name, sizeof name, "%s,speed=11", backend);
  expect_open_error(name, MICA_INVALID, "there is no option 'speed=11'");
  snprintf(name, sizeof name, "%s,device=2", backend);
  expect_open_error(name, MICA_NOT_FOUND, "there is no device 2: there are 2");
  snprintf(name, sizeof name, "%s,memory_fraction=2", backend);
  expect_open_error(name, MICA_INVALID, "expected a number in (0, 1]");
  snprintf(name, sizeof name, "%s,preallocate=maybe", backend);
  expect_open_error(name, MICA_INVALID, "expected true or false");
  snprintf(name, sizeof name, "%s,find_nan", backend);
  expect_open_error(name, MICA_UNSUPPORTED, "find_nan");
  CHECK_EQ_INT(alive(f), 0);
}

TEST(describes_itself) {
  fake_control *f = plugin();
  mica_error error = {0};
  char name[1300];
  snprintf(name, sizeof name, "%s,device=1", backend);
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = name}, &error);
  CHECK_EQ_STR(mica_device_description(device),
               "xla:cpu: imagined, device 1 of 2, PJRT 0.114, StableHLO 1.20.0");
  CHECK_EQ_STR(mica_device_backend(device), "xla");
  mica_device_release(device);
  CHECK_EQ_INT(alive(f), 0);
}

TEST_MAIN(TEST_CASE(works), TEST_CASE(fails_at_each_call), TEST_CASE(no_memory_at_each_request),
          TEST_CASE(lies), TEST_CASE(missing_slots), TEST_CASE(names_and_options),
          TEST_CASE(describes_itself))
