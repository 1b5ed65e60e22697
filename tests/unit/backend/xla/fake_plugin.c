/* SPDX-License-Identifier: Apache-2.0 */
/* fake_plugin.c: a PJRT plugin that computes nothing and fails where it is told to, so that every path of
 * an error is run. It counts its calls and what is alive. */
#include <stdlib.h>
#include <string.h>

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
  args->message = "told to fail";
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
  args->text = "cpu";
  args->size = 3;
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
  args->executable = control.no_executable ? NULL : make(&control.loaded);
  return NULL;
}
static pjrt_error *buffer_from_host(void *given) {
  ENTER(pjrt_from_host_args);
  control.host_semantics[args->semantics]++;
  args->done = make(&control.events);
  args->buffer = control.no_buffer ? NULL : make(&control.buffers);
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
  control.kept = (int64_t)args->options->kept_count;
  for (size_t i = 0; i < control.outputs; i++)
    args->outputs[0][i] = control.no_output ? NULL : make(&control.buffers);
  args->done[0] = make(&control.events);
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
  return NULL;
}

__attribute__((visibility("default"))) const pjrt_api *GetPjrtApi(void);
const pjrt_api *GetPjrtApi(void) {
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
  };
  if (control.no_table) return NULL;
  int slots = control.slots == 0 ? FAKE_SLOTS : control.slots;
  table->struct_size = sizeof(pjrt_api) + (size_t)slots * sizeof(pjrt_function *);
  table->version =
      (pjrt_version){.struct_size = 24, .major = control.major, .minor = control.minor};
  memcpy(table->slot, functions, sizeof(functions));
  if (control.missing_slot > 0) table->slot[control.missing_slot - 1] = NULL;
  return table;
}
