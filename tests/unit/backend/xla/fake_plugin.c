/* SPDX-License-Identifier: Apache-2.0 */
/* fake_plugin.c: a PJRT plugin that computes nothing and fails where it is told to, so that every path of
 * an error is run. It counts its calls and what is alive. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/xla/pjrt.h"
#include "unit/backend/xla/fake_plugin.h"

enum { FAKE_SLOTS = 118 };

static fake_control control;

__attribute__((visibility("default"))) fake_control *fake_plugin_control(void);
fake_control *fake_plugin_control(void) { return &control; }

static void *make(int64_t *alive) {
  (*alive)++;
  return calloc(1, 8);
}
static void end(int64_t *alive, void *object) {
  (*alive)--;
  free(object);
}

/* Counts a call; the error that it has to give, if it has. */
static pjrt_error *entered(void) {
  int64_t call = ++control.calls;
  bool fails = call == control.fail_at || (control.fail_from > 0 && call >= control.fail_from);
  return fails ? make(&control.errors) : NULL;
}
#define ENTER(type)                \
  type *args = given;              \
  pjrt_error *problem = entered(); \
  if (problem != NULL) return problem

static pjrt_error *error_destroy(void *given) {
  end(&control.errors, ((pjrt_object_args *)given)->object);
  return NULL;
}
static pjrt_error *error_message(void *given) {
  pjrt_error_message_args *args = given;
  args->message =
      control.refused > 0 && control.unknown_option ? control.unknown_option : "told to fail";
  args->message_size = strlen(args->message);
  return NULL;
}
static pjrt_error *error_code(void *given) {
  ((pjrt_error_code_args *)given)->code = control.code == 0 ? PJRT_CODE_INTERNAL : control.code;
  return NULL;
}
static pjrt_error *initialize(void *given) {
  ENTER(pjrt_plain_args);
  (void)args;
  return NULL;
}
static pjrt_error *attributes(void *given) {
  ENTER(pjrt_attributes_args);
  static const int64_t version[3] = {1, 20, 0};
  static pjrt_named_value value;
  value = (pjrt_named_value){PJRT_SIZE_OF(pjrt_named_value, value_size),
                             .name = "stablehlo_current_version",
                             .name_size = strlen("stablehlo_current_version"),
                             .type = PJRT_VALUE_I64_LIST,
                             .value = {.list = version},
                             .value_size = 3};
  args->attributes = &value;
  args->count = 1;
  return NULL;
}
static pjrt_error *event_destroy(void *given) {
  end(&control.events, ((pjrt_object_args *)given)->object);
  return NULL;
}
static pjrt_error *event_await(void *given) {
  ENTER(pjrt_object_args);
  (void)args;
  return control.failing_events ? make(&control.errors) : NULL;
}
static pjrt_error *event_is_ready(void *given) {
  ENTER(pjrt_is_ready_args);
  args->is_ready = !control.never_ready;
  return NULL;
}
static pjrt_error *event_on_ready(void *given) {
  ENTER(pjrt_on_ready_args);
  args->callback(control.failing_events ? make(&control.errors) : NULL, args->user);
  return NULL;
}
static pjrt_error *client_create(void *given) {
  ENTER(pjrt_client_create_args);
  args->client = control.no_client ? NULL : make(&control.clients);
  return NULL;
}
static pjrt_error *client_destroy(void *given) {
  end(&control.clients, ((pjrt_object_args *)given)->object);
  return NULL;
}
static pjrt_error *platform_name(void *given) {
  ENTER(pjrt_text_args);
  args->text = control.accelerator ? "cuda" : "cpu";
  args->size = strlen(args->text);
  return NULL;
}
static pjrt_error *devices(void *given) {
  ENTER(pjrt_devices_args);
  static char memory[2];
  static pjrt_device *list[2];
  list[0] = (pjrt_device *)(void *)&memory[0];
  list[1] = (pjrt_device *)(void *)&memory[1];
  args->devices = list;
  args->count = control.no_devices ? 0 : 2;
  return NULL;
}
static pjrt_error *device_description(void *given) {
  ENTER(pjrt_device_description_args);
  static char memory;
  args->description = (pjrt_description *)(void *)&memory;
  return NULL;
}
static pjrt_error *description_id(void *given) {
  ENTER(pjrt_description_id_args);
  args->id = 1;
  return NULL;
}
static pjrt_error *description_kind(void *given) {
  ENTER(pjrt_text_args);
  args->text = "imagined";
  args->size = strlen(args->text);
  return NULL;
}
static pjrt_error *compile(void *given) {
  ENTER(pjrt_compile_args);
  size_t size = args->program->code_size;
  if (size >= sizeof(control.text)) size = sizeof(control.text) - 1;
  memcpy(control.text, args->program->code, size);
  control.text[size] = '\0';
  if (control.unknown_option != NULL &&
      memmem(args->options, args->options_size, control.unknown_option,
             strlen(control.unknown_option)) != NULL) {
    control.refused++;
    return make(&control.errors);
  }
  control.compiled++;
  args->executable = control.no_executable ? NULL : make(&control.loaded);
  return NULL;
}
static void end_serialized(pjrt_serialized *owner) { end(&control.serialized, owner); }
static pjrt_error *serialize(void *given) {
  ENTER(pjrt_serialize_args);
  args->bytes = "a program";
  args->size = strlen(args->bytes);
  args->owner = make(&control.serialized);
  args->destroy = end_serialized;
  return NULL;
}
static pjrt_error *deserialize(void *given) {
  ENTER(pjrt_deserialize_args);
  bool mine = args->size == 9 && memcmp(args->bytes, "a program", 9) == 0;
  if (!mine || control.refuses_entries) return make(&control.errors);
  control.deserialized++;
  args->loaded = make(&control.loaded);
  return NULL;
}
static pjrt_error *output_types(void *given) {
  ENTER(pjrt_output_types_args);
  static const int types[2] = {PJRT_TYPE_F32, PJRT_TYPE_F32};
  args->types = types;
  args->count = control.outputs;
  return NULL;
}
static pjrt_error *output_dims(void *given) {
  ENTER(pjrt_output_dims_args);
  static const int64_t dims[2] = {4, 4};
  static const size_t ranks[2] = {1, 1};
  args->dims = dims;
  args->ranks = ranks;
  args->count = control.outputs;
  return NULL;
}
/* A module whose program shape takes one f32[4], and one computation with one instruction. */
static pjrt_error *optimized(void *given) {
  ENTER(pjrt_optimized_args);
  static const unsigned char bytes[] = {
      10, 58, 10,  1,   109, 26, 37,  10,  4,  109, 97, 105, 110, 18, 27, 10,  3,  120, 46,  49,
      18, 6,  110, 101, 103, 97, 116, 101, 26, 5,   16, 11,  26,  1,  4,  152, 2,  2,   162, 2,
      1,  1,  40,  7,   34,  14, 10,  5,   16, 11,  26, 1,   4,   18, 5,  16,  11, 26,  1,   4};
  args->program->code_size = sizeof(bytes);
  if (args->program->code != NULL) memcpy(args->program->code, bytes, sizeof(bytes));
  return NULL;
}
static pjrt_error *compiled_memory(void *given) {
  ENTER(pjrt_compiled_memory_args);
  args->arguments = 16;
  args->outputs = 20;
  args->temporary = control.unknown ? -24 : 24;
  return NULL;
}
static pjrt_error *cost(void *given) {
  ENTER(pjrt_cost_args);
  static pjrt_named_value value;
  value = (pjrt_named_value){PJRT_SIZE_OF(pjrt_named_value, value_size),
                             .name = "flops",
                             .name_size = 5,
                             .type = PJRT_VALUE_FLOAT,
                             .value = {.number = control.unknown ? -8 : 8},
                             .value_size = 1};
  args->properties = &value;
  args->count = 1;
  return NULL;
}
static pjrt_error *memory_stats(void *given) {
  ENTER(pjrt_memory_stats_args);
  args->bytes_in_use = 900;
  args->limit = (pjrt_statistic){control.unknown ? -1000 : 1000, true};
  return NULL;
}
static pjrt_error *is_deleted(void *given) {
  ENTER(pjrt_is_deleted_args);
  args->is_deleted = control.consumes;
  return NULL;
}
static pjrt_error *ready(void *given) {
  ENTER(pjrt_ready_args);
  args->event = make(&control.events);
  return NULL;
}
static pjrt_error *copy_raw(void *given) {
  ENTER(pjrt_copy_raw_args);
  memset(args->host, control.fill, (size_t)args->size);
  args->event = make(&control.events);
  return NULL;
}
static pjrt_error *layout(void *given) {
  ENTER(pjrt_buffer_layout_args);
  static const int64_t order[1] = {0};
  args->layout.tiled.minor_to_major = order;
  args->layout.tiled.minor_to_major_size = 1;
  return NULL;
}

/* ---- the profiler, an extension with its own conventions -- */

typedef struct {
  size_t struct_size;
  void *session;
  unsigned char *bytes;
  size_t size;
} collect_args;
static pjrt_error *profiler_create(void *given) {
  struct {
    size_t struct_size;
    const char *options;
    size_t options_size;
    void *session;
  } *args = given;
  pjrt_error *problem = entered();
  if (problem != NULL) return problem;
  args->session = make(&control.profiles);
  return NULL;
}
static pjrt_error *profiler_destroy(void *given) {
  end(&control.profiles, ((collect_args *)given)->session);
  return NULL;
}
static pjrt_error *profiler_turn(void *given) {
  ENTER(collect_args);
  (void)args;
  return NULL;
}
static pjrt_error *profiler_collect(void *given) {
  ENTER(collect_args);
  /* One plane "gpu" with one line "stream" from 1000 ns, one event "dot" of 3 us after 2 us. */
  static const unsigned char space[] = {10,  46,  18,  3,   103, 112, 117, 26,  24, 18,  6,   115,
                                        116, 114, 101, 97,  109, 24,  232, 7,   34, 11,  8,   1,
                                        16,  128, 137, 122, 24,  192, 141, 183, 1,  34,  13,  8,
                                        1,   18,  9,   8,   1,   18,  5,   97,  34, 100, 111, 116};
  /* One plane "gpu", the error "no CUPTI". */
  static const unsigned char silent[] = {10,  5,   18, 3,  103, 112, 117, 18, 8,
                                         110, 111, 32, 67, 85,  80,  84,  73};
  const unsigned char *bytes = control.no_events ? silent : space;
  args->size = control.no_events ? sizeof(silent) : sizeof(space);
  if (args->bytes != NULL) memcpy(args->bytes, bytes, args->size);
  return NULL;
}
typedef struct {
  size_t struct_size;
  void *own;
  pjrt_function *functions[8];
} profiler_table;
static profiler_table profiler = {
    sizeof(profiler),
    NULL,
    {error_destroy, error_message, error_code, profiler_create, profiler_destroy, profiler_turn,
     profiler_turn, profiler_collect}};
static struct {
  pjrt_extension base;
  profiler_table *table;
  int64_t context;
} profiler_node = {{sizeof(profiler_node), 1, NULL}, &profiler, 0};

static pjrt_error *buffer_from_host(void *given) {
  ENTER(pjrt_from_host_args);
  control.host_semantics[args->semantics]++;
  args->done = make(&control.events);
  args->buffer = control.no_buffer ? NULL : make(&control.buffers);
  if (args->buffer != NULL && args->semantics >= PJRT_HOST_ZERO_COPY)
    memcpy(args->buffer, &args->data, sizeof(args->data));
  return NULL;
}
static pjrt_error *executable_destroy(void *given) {
  end(&control.executables, ((pjrt_object_args *)given)->object);
  return NULL;
}
static pjrt_error *output_count(void *given) {
  ENTER(pjrt_output_count_args);
  args->count = control.outputs;
  return NULL;
}
static pjrt_error *loaded_destroy(void *given) {
  end(&control.loaded, ((pjrt_object_args *)given)->object);
  return NULL;
}
static pjrt_error *loaded_executable(void *given) {
  ENTER(pjrt_executable_args);
  args->executable = make(&control.executables);
  return NULL;
}
static pjrt_error *execute(void *given) {
  ENTER(pjrt_execute_args);
  if (control.full_memory) return make(&control.errors);
  control.kept = (int64_t)args->options->kept_count;
  for (size_t d = 0; d < args->device_count; d++) {
    for (size_t i = 0; i < control.outputs; i++) {
      void *memory = control.where ? control.where : control.memory;
      args->outputs[d][i] = control.no_output ? NULL : make(&control.buffers);
      if (args->outputs[d][i] != NULL) memcpy(args->outputs[d][i], &memory, sizeof(memory));
    }
    if (args->done != NULL) args->done[d] = make(&control.events);
  }
  return NULL;
}
static pjrt_error *buffer_destroy(void *given) {
  end(&control.buffers, ((pjrt_object_args *)given)->object);
  return NULL;
}
static pjrt_error *to_host(void *given) {
  ENTER(pjrt_to_host_args);
  memset(args->host, control.fill, args->size);
  args->event = make(&control.events);
  return NULL;
}
static pjrt_error *pointer(void *given) {
  ENTER(pjrt_pointer_args);
  args->pointer = NULL;
  if (control.shows_memory) memcpy(&args->pointer, args->buffer, sizeof(args->pointer));
  return NULL;
}

/* For a test of another process: $MICA_FAKE_PLUGIN says how it comes to grief. */
static void misbehave(void) {
  const char *how = getenv("MICA_FAKE_PLUGIN");
  if (how == NULL) return;
  fputs("a word on stderr\n", stderr);
  if (strcmp(how, "hang") == 0)
    for (;;) pause();
  if (strcmp(how, "abort") == 0) abort();
  if (strcmp(how, "exit") == 0) exit(7);
}

__attribute__((visibility("default"))) const pjrt_api *GetPjrtApi(void);
const pjrt_api *GetPjrtApi(void) {
  misbehave();
  static void *memory[sizeof(pjrt_api) / sizeof(void *) + FAKE_SLOTS];
  pjrt_api *table = (pjrt_api *)(void *)memory;
  static pjrt_function *const functions[FAKE_SLOTS] = {
      [PJRT_ERROR_DESTROY] = error_destroy,
      [PJRT_ERROR_MESSAGE] = error_message,
      [PJRT_ERROR_CODE] = error_code,
      [PJRT_PLUGIN_INITIALIZE] = initialize,
      [PJRT_PLUGIN_ATTRIBUTES] = attributes,
      [PJRT_EVENT_DESTROY] = event_destroy,
      [PJRT_EVENT_AWAIT] = event_await,
      [PJRT_CLIENT_CREATE] = client_create,
      [PJRT_CLIENT_DESTROY] = client_destroy,
      [PJRT_CLIENT_PLATFORM_NAME] = platform_name,
      [PJRT_CLIENT_DEVICES] = devices,
      [PJRT_CLIENT_COMPILE] = compile,
      [PJRT_BUFFER_FROM_HOST] = buffer_from_host,
      [PJRT_DESCRIPTION_ID] = description_id,
      [PJRT_DESCRIPTION_KIND] = description_kind,
      [PJRT_DEVICE_DESCRIPTION] = device_description,
      [PJRT_EXECUTABLE_DESTROY] = executable_destroy,
      [PJRT_EXECUTABLE_OUTPUT_COUNT] = output_count,
      [PJRT_LOADED_DESTROY] = loaded_destroy,
      [PJRT_LOADED_EXECUTABLE] = loaded_executable,
      [PJRT_LOADED_EXECUTE] = execute,
      [PJRT_BUFFER_DESTROY] = buffer_destroy,
      [PJRT_BUFFER_TO_HOST] = to_host,
      [PJRT_BUFFER_POINTER] = pointer,
      [PJRT_EVENT_IS_READY] = event_is_ready,
      [PJRT_EVENT_ON_READY] = event_on_ready,
      [PJRT_DEVICE_MEMORY_STATS] = memory_stats,
      [PJRT_EXECUTABLE_COST] = cost,
      [PJRT_EXECUTABLE_OPTIMIZED] = optimized,
      [PJRT_EXECUTABLE_SERIALIZE] = serialize,
      [PJRT_DESERIALIZE] = deserialize,
      [PJRT_BUFFER_LAYOUT] = layout,
      [PJRT_BUFFER_IS_DELETED] = is_deleted,
      [PJRT_BUFFER_READY] = ready,
      [PJRT_EXECUTABLE_TYPES] = output_types,
      [PJRT_EXECUTABLE_DIMENSIONS] = output_dims,
      [PJRT_EXECUTABLE_MEMORY] = compiled_memory,
      [PJRT_BUFFER_COPY_RAW] = copy_raw,
  };
  if (control.no_table) return NULL;
  int slots = control.slots == 0 ? FAKE_SLOTS : control.slots;
  table->struct_size = sizeof(pjrt_api) + (size_t)slots * sizeof(pjrt_function *);
  table->version =
      (pjrt_version){.struct_size = 24, .major = control.major, .minor = control.minor};
  table->extensions = control.no_profiler ? NULL : &profiler_node.base;
  memcpy(table->slot, functions, sizeof(functions));
  if (control.missing_slot > 0) table->slot[control.missing_slot - 1] = NULL;
  return table;
}
