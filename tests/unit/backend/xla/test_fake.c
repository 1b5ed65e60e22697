/* SPDX-License-Identifier: Apache-2.0 */
/* The XLA backend on a plugin that fails at each call in turn and lies in every way that it can: each time
 * an error with a reason, nothing left alive, and the next call works. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/xla/pjrt.h"
#include "backend/xla/xla_internal.h"
#include "check.h"
#include "mica/jit.h"
#include "mica/xla.h"
#include "unit/backend/xla/fake.h"

static char backend[1200];

static fake_control *plugin(void) {
  char path[1100];
  fake_control *control = fake_open(path);
  if (control == NULL) exit(1);
  snprintf(backend, sizeof backend, "xla:%s", path);
  setenv("MICA_XLA_CACHE", "off", 1);
  return control;
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
  CHECK_EQ_INT(fake_alive(f), 0);
  CHECK_EQ_INT(f->host_semantics[PJRT_HOST_ZERO_COPY], 2);
  CHECK_EQ_INT(f->kept, 0); /* it has no input that it could take */
  CHECK_STR_CONTAINS(f->text, "stablehlo.multiply");
}

/* What a program does, from opening its device to releasing it; and what sets the plugin up for it. */
typedef mica_status a_story(const char *options, const mica_allocator *allocator,
                            mica_error *error);
typedef fake_control *a_plugin(void);

/* Each call of the plugin fails in turn, alone and with all after it, with this code. */
static void fail_at_each_call(a_story *tell, a_plugin *set_up, const char *options, int code,
                              int64_t least) {
  mica_error error = {0};
  fake_control *f = set_up();
  CHECK_OK_ERROR(tell(options, NULL, &error), &error);
  CHECK_EQ_INT(fake_alive(f), 0);
  int64_t calls = f->calls, failed = 0;
  CHECK(calls > least);
  for (int from = 0; from < 2; from++) {
    for (int64_t n = 1; n <= calls; n++) {
      f = set_up();
      *(from ? &f->fail_from : &f->fail_at) = n;
      f->code = code;
      error = (mica_error){0};
      mica_status status = tell(options, NULL, &error);
      failed += status != MICA_OK;
      if (status != MICA_OK) {
        CHECK_STR_CONTAINS(error.message, "told to fail");
        bool profiler =
            strstr(error.message, "the profiler's") != NULL; /* its errors have no code */
        if (!profiler) CHECK_STR_CONTAINS(error.message, "PJRT_");
        if (!profiler && code == PJRT_CODE_RESOURCE_EXHAUSTED)
          CHECK_EQ_INT(status, MICA_OUT_OF_MEMORY);
      }
      if (!CHECK_EQ_INT(fake_alive(f), 0)) printf("call %d\n", (int)n);
    }
  }
  CHECK(failed > calls); /* few calls only ask for what may be missing */
}

/* Each request for memory fails in turn. */
static void fail_at_each_request(a_story *tell, a_plugin *set_up, const char *options) {
  fake_control *f = set_up();
  counting counter = {0};
  mica_allocator allocator = {count_allocate, &counter};
  mica_error error = {0};
  CHECK_OK_ERROR(tell(options, &allocator, &error), &error);
  int64_t requests = counter.requests;
  for (int64_t n = 1; n <= requests; n++) {
    f = set_up();
    counter = (counting){.fail_at = n};
    error = (mica_error){0};
    mica_status status = tell(options, &allocator, &error);
    if (status != MICA_OK && !CHECK_STATUS(status, MICA_OUT_OF_MEMORY))
      printf("request %d: %s\n", (int)n, error.message);
    CHECK_EQ_INT(fake_alive(f), 0);
  }
}

TEST(fails_at_each_call) {
  fail_at_each_call(story, plugin, ",device=1", PJRT_CODE_RESOURCE_EXHAUSTED, 15);
}

TEST(no_memory_at_each_request) { fail_at_each_request(story, plugin, ""); }

static void expect(fake_control *f, mica_status wanted, const char *part) {
  mica_error error = {0};
  CHECK_EQ_INT(story("", NULL, &error), wanted);
  CHECK_STR_CONTAINS(error.message, part);
  CHECK_EQ_INT(fake_alive(f), 0);
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
    CHECK_EQ_INT(fake_alive(f), 0);
  }
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
  CHECK_EQ_INT(fake_alive(f), 0);
}

/* ---- values on the device, the disk, profiles --------------------------------------------------- */

static mica_status twice(mica_status first, mica_status second) {
  return first == MICA_OK ? second : first;
}

/* All that this backend offers beside graphs: a variable on the device, an upload, waiting, parts, a module
 * of somebody else's, what programs say, a profile. */
static mica_status resident_story(const char *options, const mica_allocator *allocator,
                                  mica_error *error) {
  char name[1400];
  snprintf(name, sizeof name, "%s,device=1,resident=true%s", backend, options);
  mica_device_options how = {.struct_size = sizeof how, .backend = name};
  if (allocator) how.allocator = *allocator;
  mica_device *device = mica_device_open(&how, error);
  if (!device) return error->status;
  mica_tensor *host = mica_tensor_from(MICA_F32, MICA_DIMS(4), (float[]){1, 2, 3, 4});
  mica_variable *variable = mica_variable_create("state", host);
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, mica_tensor_type(host));
  mica_value y = mica_add(mica_variable_read(graph, variable), x);
  mica_variable_assign(variable, y);
  mica_graph_set_outputs(graph, &y, 1);
  mica_executable *executable = NULL, *module = NULL;
  mica_tensor *in = NULL, *out = NULL, *second[2] = {NULL, NULL};
  mica_status status = mica_xla_profile_begin(device, error);
  status = twice(status, mica_compile(device, graph, 0, &executable, error));
  if (!status) status = mica_tensor_to_device(device, host, &in, error);
  for (int i = 0; i < 2 && !status; i++)
    status = mica_executable_run(executable, i ? &in : &host, 1, &out, 1, error);
  float part[2];
  if (!status) status = mica_tensor_wait(out, error);
  if (!status) status = mica_tensor_read_part(out, 8, part, sizeof part, error);
  if (!status) (void)mica_tensor_is_ready(out), (void)mica_tensor_data(out);
  if (!status) status = mica_executable_run(executable, &in, 1, &host, 1, error);
  if (!status) status = mica_stablehlo_compile(device, "module {}", 9, 1, &module, error);
  if (!status) status = mica_executable_run(module, &in, 1, second, 2, error);
  char text[200];
  mica_xla_cost cost = {.struct_size = sizeof cost};
  mica_xla_memory memory = {.struct_size = sizeof memory};
  if (!status) status = mica_xla_executable_cost(executable, &cost, error);
  if (!status) status = mica_xla_optimized_format(module, text, sizeof text, NULL, error);
  if (!status) status = mica_xla_device_memory(device, &memory, error);
  if (!status) status = mica_xla_profile_end(device, check_temporary_path("profile.json"), error);
  mica_tensor_release(in);
  mica_tensor_release(out);
  mica_tensor_release(second[0]);
  mica_tensor_release(second[1]);
  mica_tensor_release(host);
  mica_executable_release(executable);
  mica_executable_release(module);
  mica_graph_destroy(graph);
  mica_variable_release(variable);
  mica_device_release(device);
  return status;
}

static fake_control *two_outputs(void) {
  fake_control *f = plugin();
  f->outputs = 2;
  return f;
}

TEST(resident_values_fail_at_each_call) {
  fail_at_each_call(resident_story, two_outputs, ",cache=off", PJRT_CODE_RESOURCE_EXHAUSTED, 30);
  mica_error error = {0};
  fake_control *f = two_outputs();
  f->failing_events = true;
  CHECK(resident_story(",cache=off", NULL, &error) != MICA_OK);
  CHECK_EQ_INT(fake_alive(f), 0);
}

TEST(resident_values_without_memory) {
  fail_at_each_request(resident_story, two_outputs, ",cache=off");
}

TEST(resident_values_without_slots) {
  mica_error error = {0};
  for (int slot = 0; slot < PJRT_SLOT_COUNT; slot++) {
    fake_control *f = two_outputs();
    f->missing_slot = slot + 1;
    mica_status status = resident_story(",cache=off", NULL, &error);
    if (status != MICA_OK) CHECK_EQ_INT(status, MICA_UNSUPPORTED);
    CHECK_EQ_INT(fake_alive(f), 0);
  }
}

TEST(what_a_program_says) {
  fake_control *f = two_outputs();
  char name[1400], text[400];
  mica_error error = {0};
  snprintf(name, sizeof name, "%s,resident=true,cache=off", backend);
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = name}, &error);
  mica_executable *module = NULL;
  CHECK_OK_ERROR(mica_stablehlo_compile(device, "module {}", 9, 1, &module, &error), &error);
  CHECK_EQ_INT(mica_executable_input_count(module), 1);
  mica_type_format(mica_executable_input_type(module, 0), text, sizeof text);
  CHECK_EQ_STR(text, "f32[4]");
  mica_xla_cost cost = {.struct_size = sizeof cost};
  CHECK_OK(mica_xla_executable_cost(module, &cost, &error));
  CHECK(cost.flops == 8 && cost.bytes_accessed == -1 && cost.temporary == 24);
  size_t length = 0;
  CHECK_OK(mica_xla_optimized_format(module, text, sizeof text, &length, &error));
  CHECK_EQ_STR(text, "@7 main\n  %2 = f32[4] negate(%1)\n");
  CHECK_EQ_INT(length, strlen(text));
  /* An event that never comes: the question is answered at once. */
  mica_tensor *host = mica_tensor_from(MICA_F32, MICA_DIMS(4), NULL), *there = NULL;
  CHECK_OK(mica_tensor_to_device(device, host, &there, &error));
  CHECK(mica_tensor_is_ready(there));
  f->never_ready = true;
  CHECK(!mica_tensor_is_ready(there));
  mica_tensor_release(host), mica_tensor_release(there);
  mica_xla_memory memory = {.struct_size = sizeof memory};
  CHECK_OK(mica_xla_device_memory(device, &memory, &error));
  CHECK(memory.in_use == 900 && memory.limit == 1000 && memory.peak == -1);
  /* A profile, as a trace and as it comes. */
  CHECK_EQ_INT(mica_xla_profile_end(device, "x", &error), MICA_INVALID);
  for (int json = 0; json < 2; json++) {
    const char *path = check_temporary_path(json ? "trace.json" : "host.xplane.pb");
    CHECK_OK(mica_xla_profile_begin(device, &error));
    CHECK_EQ_INT(mica_xla_profile_begin(device, &error), MICA_INVALID);
    CHECK_OK(mica_xla_profile_end(device, path, &error));
    FILE *stream = fopen(path, "rb");
    size_t size = stream ? fread(text, 1, sizeof text - 1, stream) : 0;
    if (stream) fclose(stream);
    text[size] = '\0';
    if (json)
      CHECK_STR_CONTAINS(text,
                         "\"tid\":1,\"ts\":3.000000,\"dur\":3.000000,\"name\":\"a\\\"dot\"}\n"
                         "],\"otherData\":{\"events\":1,\"remarks\":[]}}");
    else
      CHECK_EQ_INT(text[0], 10);
  }
  /* What it does not know is no figure, and a profile without events says so. */
  f->unknown = true, f->no_events = true;
  CHECK_OK(mica_xla_executable_cost(module, &cost, &error));
  CHECK(cost.flops == -1 && cost.temporary == -1 && cost.arguments == 16);
  CHECK_OK(mica_xla_device_memory(device, &memory, &error));
  CHECK(memory.in_use == 900 && memory.limit == -1);
  const char *silent = check_temporary_path("silent.json");
  CHECK_OK(mica_xla_profile_begin(device, &error));
  CHECK_OK(mica_xla_profile_end(device, silent, &error));
  FILE *stream = fopen(silent, "rb");
  size_t size = stream ? fread(text, 1, sizeof text - 1, stream) : 0;
  if (stream) fclose(stream);
  text[size] = '\0';
  CHECK_STR_CONTAINS(text,
                     "\n],\"otherData\":{\"events\":0,"
                     "\"remarks\":[\"no CUPTI\",\"the device told no events\"]}}");
  CHECK_OK(mica_xla_profile_begin(device, &error)); /* given up with the device */
  mica_executable_release(module);
  mica_device_release(device);
  CHECK_EQ_INT(fake_alive(f), 0);
  f = two_outputs(), f->no_profiler = true;
  device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = name}, &error);
  CHECK_EQ_INT(mica_xla_profile_begin(device, &error), MICA_UNSUPPORTED);
  mica_device_release(device);
}

/* The device's memory is full: sizes in the error, the variable as it was, the next call works; a plugin that took
 * the variable's memory all the same leaves it lost. */
TEST(no_memory_on_the_device) {
  for (int consumed = 0; consumed < 2; consumed++) {
    fake_control *f = two_outputs();
    char name[1400];
    mica_error error = {0};
    snprintf(name, sizeof name, "%s,resident=true,cache=off", backend);
    mica_device *device = mica_device_open(
        &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = name},
        &error);
    mica_tensor *one = mica_tensor_from(MICA_F32, MICA_DIMS(4), (float[]){1, 2, 3, 4});
    mica_variable *variable = mica_variable_create("state", one);
    mica_tensor *copy = mica_tensor_from(MICA_F32, MICA_DIMS(4), (float[]){1, 2, 3, 4}),
                *out = NULL;
    mica_tensor_release(one);
    mica_graph *graph = mica_graph_create(NULL);
    mica_value x = mica_parameter(graph, mica_tensor_type(copy));
    mica_value y = mica_add(mica_variable_read(graph, variable), x);
    mica_variable_assign(variable, y);
    mica_graph_set_outputs(graph, &y, 1);
    mica_executable *executable = NULL;
    CHECK_OK_ERROR(mica_compile(device, graph, 0, &executable, &error), &error);
    f->full_memory = true, f->consumes = consumed, f->code = PJRT_CODE_RESOURCE_EXHAUSTED;
    CHECK_EQ_INT(mica_executable_run(executable, &copy, 1, &out, 1, &error), MICA_OUT_OF_MEMORY);
    CHECK_STR_CONTAINS(
        error.message,
        "no memory on the device for a call: 16 bytes of inputs, 20 of outputs and 24 "
        "between them; of the device's 1000 bytes 900 are in use (xla:plugin: "
        "PJRT_LoadedExecutable_Execute: told to fail)");
    if (consumed) CHECK_STR_CONTAINS(error.message, "lost while it was overwritten: 'state'");
    f->full_memory = false;
    /* It may show later, too. */
    mica_tensor *there = NULL;
    mica_error late = {0};
    CHECK_OK(mica_tensor_to_device(device, copy, &there, &late));
    f->failing_events = true;
    CHECK_EQ_INT(mica_tensor_wait(there, &late), MICA_OUT_OF_MEMORY);
    CHECK_STR_CONTAINS(late.message,
                       "no memory on the device for f32[4], 16 bytes; of the device's "
                       "1000 bytes 900 are in use (");
    f->failing_events = false;
    mica_tensor_release(there);
    mica_status next = mica_executable_run(executable, &copy, 1, &out, 1, &error);
    CHECK_EQ_INT(next, consumed ? MICA_INVALID : MICA_OK);
    mica_tensor_release(copy);
    mica_tensor_release(out);
    mica_executable_release(executable);
    mica_graph_destroy(graph);
    mica_variable_release(variable);
    mica_device_release(device);
    CHECK_EQ_INT(fake_alive(f), 0);
  }
}

/* Entries that the plugin does not take back are compiled again; failures while storing are nobody's. */
TEST(programs_on_the_disk) {
  char options[1300], command[1300];
  mica_error error = {0};
  snprintf(command, sizeof command, "rm -rf '%s'", check_temporary_path("fake_cache"));
  CHECK_EQ_INT(system(command), 0);
  snprintf(options, sizeof options, ",cache=%s", check_temporary_path("fake_cache"));
  fake_control *f = plugin();
  CHECK_OK_ERROR(story(options, NULL, &error), &error);
  CHECK(f->compiled == 1 && f->deserialized == 0);
  CHECK_OK_ERROR(story(options, NULL, &error), &error);
  CHECK(f->compiled == 1 && f->deserialized == 1);
  f->refuses_entries = true;
  CHECK_OK_ERROR(story(options, NULL, &error), &error);
  CHECK(f->compiled == 2 && f->deserialized == 1);
  CHECK_EQ_INT(fake_alive(f), 0);
  int64_t calls = f->calls;
  for (int64_t n = 1; n <= calls; n++) {
    f = plugin();
    f->fail_at = n;
    (void)story(options, NULL, &error);
    if (n % 2) CHECK_EQ_INT(system(command), 0); /* now stored, now loaded */
    CHECK_EQ_INT(fake_alive(f), 0);
  }
}

/* A plugin that does not know a switch of the compiler: the program is compiled without it, whatever the error's code,
 * and the next one is not even tried with it. What else is refused stays refused. */
TEST(unknown_switches) {
  static const int codes[] = {PJRT_CODE_INVALID_ARGUMENT, PJRT_CODE_INTERNAL};
  for (int k = 0; k < 2; k++) {
    mica_error error = {0};
    fake_control *f = plugin();
    f->unknown_option = "xla_cpu_enable_fast_min_max";
    f->code = codes[k];
    mica_device_options how = {.struct_size = sizeof how, .backend = backend};
    mica_device *device = mica_device_open(&how, &error);
    for (int i = 0; i < 3 && CHECK(device != NULL); i++) {
      mica_graph *graph = mica_graph_create(NULL);
      mica_value y = mica_mul(mica_parameter(graph, (mica_type){MICA_F32, {.rank = 0}}), i);
      mica_graph_set_outputs(graph, &y, 1);
      mica_executable *executable = NULL;
      CHECK_OK_ERROR(mica_compile(device, graph, 0, &executable, &error), &error);
      mica_executable_release(executable);
      mica_graph_destroy(graph);
    }
    mica_device_release(device);
    CHECK(f->refused == 1 && f->compiled == 3);
    CHECK_EQ_INT(fake_alive(f), 0);
    f = plugin();
    f->unknown_option = ""; /* part of all options */
    f->code = codes[k];
    CHECK(story("", NULL, &error) != MICA_OK);
    CHECK(f->compiled == 0 && f->refused == (codes[k] == PJRT_CODE_INVALID_ARGUMENT ? 2 : 1));
    CHECK_EQ_INT(fake_alive(f), 0);
  }
}

/* ---- two devices -------------------------------------------------------------------------------- */

/* What is done with a result that lies in parts: waited for, cut, taken back, merged. */
static mica_status use_parts(mica_device *device, mica_tensor *result, mica_mesh *mesh,
                             mica_error *error) {
  float values[128];
  mica_sharded_tensor *sharded = NULL;
  mica_tensor *back = NULL, *moved = NULL;
  mica_status status = mica_tensor_wait(result, error);
  (void)mica_tensor_is_ready(result);
  if (!status) status = mica_tensor_shard(result, mesh, "r, -", &sharded, error);
  mica_tensor *part = mica_sharded_tensor_part(sharded, 1);
  if (!status) status = mica_tensor_wait(part, error);
  if (!status) status = mica_tensor_read(part, values, 64 * sizeof(float), error);
  if (!status) status = mica_sharded_tensor_to_device(device, sharded, &back, error);
  if (!status) status = mica_tensor_read(back, values, sizeof values, error);
  mica_sharded_tensor_release(sharded), sharded = NULL;
  if (!status) status = mica_tensor_shard(result, mesh, "-, r", &sharded, error);
  if (!status) status = mica_sharded_tensor_to_device(device, sharded, &moved, error);
  mica_sharded_tensor_release(sharded);
  mica_tensor_release(back);
  mica_tensor_release(moved);
  return status;
}

/* A cut input, a whole one, a variable in parts, a region, results in parts; twice. */
static mica_status mesh_story(const char *options, const mica_allocator *allocator,
                              mica_error *error) {
  char name[1300];
  snprintf(name, sizeof name, "%s%s", backend, options);
  mica_device_options how = {.struct_size = sizeof how, .backend = name};
  if (allocator) how.allocator = *allocator;
  mica_device *device = mica_device_open(&how, error);
  if (!device) return error->status;
  mica_mesh *mesh = mica_mesh_create("r=2", NULL);
  mica_tensor *rows = mica_tensor_from(MICA_F32, MICA_DIMS(2, 64), NULL);
  mica_tensor *columns = mica_tensor_from(MICA_F32, MICA_DIMS(4, 4), NULL);
  mica_tensor *in[2] = {rows, columns}, *out[3] = {NULL};
  mica_variable *variable = mica_variable_create("state", rows);
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_shard(mica_parameter(graph, mica_tensor_type(rows)), mesh, "r, -");
  mica_value y = mica_parameter(graph, mica_tensor_type(columns));
  mica_status status = mica_variable_shard(variable, mesh, "r, -", error);
  mica_value z = mica_add(mica_variable_read(graph, variable), x), made[3];
  mica_variable_assign(variable, z);
  mica_region region = mica_manual_begin(graph, mesh, &y, (const char *const[]){"-, r"}, 1);
  made[0] = mica_all_reduce_sum(mica_argument(region, 0), "r");
  made[1] = mica_argument(region, 0);
  mica_manual_end(region, made, (const char *const[]){"", "-, r"}, 2, made);
  made[2] = z;
  mica_graph_set_outputs(graph, made, 3);
  mica_executable *executable = NULL;
  if (!status) status = mica_compile(device, graph, 0, &executable, error);
  for (int i = 0; i < 2 && !status; i++)
    status = mica_executable_run(executable, in, 2, out, 3, error);
  if (!status) status = use_parts(device, out[2], mesh, error);
  for (int i = 0; i < 3; i++) mica_tensor_release(out[i]);
  mica_tensor_release(rows);
  mica_tensor_release(columns);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  mica_variable_release(variable);
  mica_mesh_release(mesh);
  mica_device_release(device);
  return status;
}

static fake_control *four_outputs(void) {
  fake_control *f = plugin();
  f->outputs = 4;
  return f;
}

static void fail_on_a_mesh(const char *options) {
  mica_error error = {0};
  fake_control *f = four_outputs();
  CHECK_OK_ERROR(mesh_story(options, NULL, &error), &error);
  CHECK_STR_CONTAINS(f->text, "sdy.manual_computation");
  fail_at_each_call(mesh_story, four_outputs, options, 0, 30);
}

TEST(two_devices_fail_at_each_call) {
  fail_on_a_mesh(",cache=off");
  fail_on_a_mesh(",cache=off,resident=true");
}

TEST(two_devices_without_memory) {
  fail_at_each_request(mesh_story, four_outputs, ",cache=off");
  fail_at_each_request(mesh_story, four_outputs, ",cache=off,resident=true");
}

TEST(two_devices_lie) {
  mica_error error = {0};
  fake_control *f = four_outputs();
  f->no_output = true;
  CHECK_STATUS(mesh_story(",cache=off", NULL, &error), MICA_INTERNAL);
  CHECK_STR_CONTAINS(error.message, "is missing");
  f = four_outputs();
  f->no_buffer = true;
  error = (mica_error){0};
  CHECK_STATUS(mesh_story(",cache=off", NULL, &error), MICA_INTERNAL);
  CHECK_STR_CONTAINS(error.message, "gave no buffer");
  f = four_outputs();
  f->failing_events = true;
  error = (mica_error){0};
  CHECK(mesh_story(",cache=off", NULL, &error) != MICA_OK);
  CHECK_EQ_INT(fake_alive(f), 0);
}

TEST_MAIN(TEST_CASE(unknown_switches), TEST_CASE(two_devices_fail_at_each_call),
          TEST_CASE(two_devices_without_memory), TEST_CASE(two_devices_lie), TEST_CASE(works),
          TEST_CASE(fails_at_each_call), TEST_CASE(no_memory_at_each_request), TEST_CASE(lies),
          TEST_CASE(missing_slots), TEST_CASE(describes_itself),
          TEST_CASE(resident_values_fail_at_each_call), TEST_CASE(resident_values_without_memory),
          TEST_CASE(resident_values_without_slots), TEST_CASE(what_a_program_says),
          TEST_CASE(no_memory_on_the_device), TEST_CASE(programs_on_the_disk))
