/* SPDX-License-Identifier: Apache-2.0 */
/* test_profile.c: where a run spent its time, as the reference backend tells it, and what is said where nothing
 * was timed. The cpu engine's profiles are tested in unit.backend.cpu.engine_debug. */
#include "backend/backend_internal.h"
#include "core/json.h"
#include "support.h"

#include <stdio.h>

extern const mica_backend mica_backend_reference;

/* exp(x) in scope "head", then tanh three times in a loop, and a branch of which one side runs. */
static mica_executable *compile_loop(mica_device *device) {
  mica_graph *g = mica_graph_create(NULL);
  mica_value x = mica_parameter(g, (mica_type){MICA_F32, MICA_DIMS(50)});
  mica_scope_push(g, "head");
  mica_value h = mica_exp(x), out;
  mica_scope_pop(g, "head");
  mica_region loop = mica_scan_begin_count(g, &h, 1, NULL, 0, 3, false);
  mica_value next = mica_tanh(mica_argument(loop, 0));
  mica_scan_end(loop, &next, NULL, 0, &h, NULL);
  mica_region choice = mica_if_begin(mica_greater(mica_reduce_sum(h, MICA_ALL), 0));
  mica_value yes = mica_floor(h);
  mica_if_else(choice, &yes, 1);
  mica_value no = mica_sin(h);
  mica_if_end(choice, &no, 1, &out);
  mica_graph_set_outputs(g, &out, 1);
  mica_executable *executable = NULL;
  mica_error error = {0};
  CHECK_OK_ERROR(mica_compile(device, g, 0, &executable, &error), &error);
  mica_graph_destroy(g);
  return executable;
}

static void run_loop(mica_executable *executable) {
  mica_tensor *x = mica_tensor_from(MICA_F32, MICA_DIMS(50), NULL), *y = NULL;
  mica_error error = {0};
  CHECK_OK_ERROR(mica_executable_run(executable, &x, 1, &y, 1, &error), &error);
  mica_tensor_release(x);
  mica_tensor_release(y);
}

/* The line of the table that has `part`, copied to line[]; false when there is none. */
static bool line_with(const char *table, const char *part, char *line, size_t size) {
  const char *at = strstr(table, part);
  if (at == NULL) return false;
  while (at > table && at[-1] != '\n') at--;
  snprintf(line, size, "%.*s", (int)strcspn(at, "\n"), at);
  return true;
}

static mica_device *open_profiling(const mica_backend *backend, bool profile) {
  mica_error error = {0};
  mica_device_options options = {.struct_size = sizeof options, .profile = profile};
  mica_device *device = mica_device_open_with(backend, NULL, &options, &error);
  if (device == NULL) CHECK_FAIL("%s", error.message);
  return device;
}

TEST(the_reference_times_its_nodes) {
  mica_device *device = open_profiling(&mica_backend_reference, true);
  mica_executable *executable = compile_loop(device);
  char table[8192], trace[16384], line[256];
  mica_executable_profile(executable, table, sizeof table);
  CHECK_STR_CONTAINS(table, "no profile: "); /* nothing ran yet */
  for (int i = 0; i < 2; i++) run_loop(executable);
  int64_t size = mica_executable_profile(executable, table, sizeof table);
  CHECK_EQ_INT(size, strlen(table));
  CHECK_STR_CONTAINS(table, " us in ");
  CHECK_STR_CONTAINS(table, " nodes on 1 thread\n");
  /* Runs are those of the last call: one, and three in the loop; the branch not taken is not there. */
  if (CHECK(line_with(table, "exp f32[50]", line, sizeof line))) {
    CHECK_STR_CONTAINS(line, "     1  exp f32[50], head");
  }
  if (CHECK(line_with(table, "tanh f32[50]", line, sizeof line)))
    CHECK_STR_CONTAINS(line, "     3  tanh f32[50]");
  CHECK(strstr(table, "floor f32[50]") != NULL && strstr(table, "sin f32[50]") == NULL);

  mica_executable_trace(executable, trace, sizeof trace);
  mica_arena arena;
  mica_arena_init(&arena, NULL);
  mica_json *json = NULL;
  mica_error error = {0};
  CHECK_OK_ERROR(mica_json_parse(&arena, trace, strlen(trace), &json, &error), &error);
  const mica_json *events = json == NULL ? NULL : mica_json_get(json, "traceEvents");
  double least = 1e9;
  bool looped = false;
  if (CHECK(events != NULL && events->kind == MICA_JSON_ARRAY && events->count >= 4))
    for (const mica_json *event = events->first; event != NULL; event = event->next) {
      const mica_json *begin = mica_json_get(event, "ts"), *took = mica_json_get(event, "dur"),
                      *args = mica_json_get(event, "args"), *runs = mica_json_get(args, "runs");
      if (!CHECK(begin != NULL && took != NULL && runs != NULL)) continue;
      CHECK(took->number >= 0);
      if (begin->number < least) least = begin->number;
      looped = looped || runs->number == 3;
    }
  CHECK_NEAR(least, 0, 0);
  CHECK(looped);
  mica_arena_deinit(&arena);
  mica_executable_release(executable);
  mica_device_release(device);
}

/* On a device that was not opened for it, and on a backend that has no such slot. */
TEST(nothing_timed_says_so) {
  mica_backend silent = mica_backend_reference;
  silent.program_profile = NULL;
  const struct {
    const mica_backend *backend;
    bool profile;
    const char *text;
  } cases[] = {{&mica_backend_reference, false,
                "no profile: open the device with `profile` and run the executable\n"},
               {&silent, true, "no profile: backend 'reference' does not measure its steps\n"}};
  for (int i = 0; i < 2; i++) {
    mica_device *device = open_profiling(cases[i].backend, cases[i].profile);
    mica_executable *executable = compile_loop(device);
    run_loop(executable);
    char text[256];
    CHECK_EQ_INT(mica_executable_profile(executable, text, sizeof text), strlen(cases[i].text));
    CHECK_EQ_STR(text, cases[i].text);
    mica_executable_trace(executable, text, sizeof text);
    CHECK_EQ_STR(text, "{\"traceEvents\": []}");
    mica_executable_release(executable);
    mica_device_release(device);
  }
  char text[8] = "x";
  CHECK_EQ_INT(mica_executable_profile(NULL, text, sizeof text), 0);
  CHECK_EQ_STR(text, "");
}

/* Each request for memory fails in turn: an error or a whole profile, and nothing is left behind. */
TEST(without_memory) {
  for (int64_t fail_at = 1; fail_at < 200; fail_at++) {
    counting count = {0};
    mica_error error = {0};
    mica_device_options options = {
        .struct_size = sizeof options, .profile = true, .allocator = counting_allocator(&count)};
    mica_device *device = mica_device_open_with(&mica_backend_reference, NULL, &options, &error);
    mica_executable *executable = compile_loop(device);
    run_loop(executable);
    count.fail_at = count.calls + fail_at;
    int64_t calls = count.calls;
    char table[8192];
    int64_t size = mica_executable_profile(executable, table, sizeof table);
    bool failed = count.calls >= count.fail_at;
    CHECK_EQ_INT(size, failed ? -1 : (int64_t)strlen(table));
    count.fail_at = 0;
    mica_executable_release(executable);
    mica_device_release(device);
    CHECK_EQ_INT(count.live, 0);
    if (!failed && calls + fail_at > count.calls) break;
  }
}

TEST_MAIN(TEST_CASE(the_reference_times_its_nodes), TEST_CASE(nothing_timed_says_so),
          TEST_CASE(without_memory))
