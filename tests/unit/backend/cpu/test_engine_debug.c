/* SPDX-License-Identifier: Apache-2.0 */
/* test_engine_debug.c: what the engine tells and how it stops: the first NaN, marked values, profiles,
 * cancellation; and memory: none in the steady state, and every failure of it is an error. */
#pragma GCC diagnostic ignored "-Wpedantic" /* types of tables that are built at load */
#include "core/json.h"
#include "core/memory.h"
#include "platform/platform.h"
#include "unit/backend/cpu/engine.h"
#include "unit/backend/support.h"

static mica_device *open_with(mica_device_options options) {
  mica_error error = {0};
  options.struct_size = sizeof(options);
  mica_device *device = mica_device_open_with(&mica_backend_cpu, NULL, &options, &error);
  if (device == NULL) CHECK_FAIL("no device: %s", error.message);
  return device;
}

/* ---- NaN -------------------------------------------------------------------------------------- */

static void build_logs(mica_graph *graph, const mica_value *in, mica_value *out) {
  mica_scope_push(graph, "model");
  mica_scope_push(graph, "head");
  mica_value x = mica_mul(in[0], 2);
  mica_value y = mica_log(x);
  mica_scope_pop(graph, "head");
  mica_scope_pop(graph, "model");
  out[0] = mica_reduce_sum(mica_transpose(y, MICA_ALL), MICA_AXES(0));
}

static mica_status run_logs(mica_device *device, float worst, mica_error *error) {
  engine_case test = {.in = {ENGINE_F32(2, 3)}, .in_count = 1, .out_count = 1};
  mica_executable *executable = engine_compile(device, &test, build_logs);
  mica_tensor *in = mica_tensor_from(MICA_F32, MICA_DIMS(2, 3), (float[]){1, 2, 3, 4, worst, 6}),
              *out = NULL;
  mica_status status = mica_executable_run(executable, &in, 1, &out, 1, error);
  mica_tensor_release(in);
  mica_tensor_release(out);
  mica_executable_release(executable);
  return status;
}

TEST(the_first_nan_is_named) {
  mica_device *device = open_with((mica_device_options){.threads = 2, .find_nan = true});
  mica_error error = {0};
  CHECK_STATUS(run_logs(device, -1, &error), MICA_DATA_LOSS);
  CHECK_STR_CONTAINS(error.message, "log(f32[2, 3]) -> f32[2, 3]");
  CHECK_STR_CONTAINS(error.message, "NaN at [1, 1]");
  CHECK_STR_CONTAINS(error.message, "model/head");
  error = (mica_error){0};
  CHECK_STATUS(run_logs(device, 0, &error), MICA_DATA_LOSS);
  CHECK_STR_CONTAINS(error.message, "-infinity");
  error = (mica_error){0};
  CHECK_OK_ERROR(run_logs(device, 5, &error), &error);
  /* What comes in as infinity is nobody's fault. */
  CHECK_OK_ERROR(run_logs(device, INFINITY, &error), &error);
  mica_device_release(device);
}

/* ---- marks ------------------------------------------------------------------------------------ */

typedef struct {
  char text[512];
} heard;
static void hear(void *user, const char *text) {
  heard *h = user;
  strncat(h->text, text, sizeof(h->text) - strlen(h->text) - 1);
  strncat(h->text, "|", sizeof(h->text) - strlen(h->text) - 1);
}

static void build_marks(mica_graph *graph, const mica_value *in, mica_value *out) {
  mica_region loop = mica_scan_begin_count(graph, in, 1, NULL, 0, 3, false);
  mica_value x = mica_mark(mica_mul(mica_argument(loop, 0), 2), "x");
  mica_scan_end(loop, &x, NULL, 0, out, NULL);
  out[0] = mica_mark(out[0], "last");
}

TEST(marked_values_reach_the_log) {
  heard log = {""};
  mica_device *device =
      open_with((mica_device_options){.threads = 1, .log = hear, .log_user = &log});
  engine_case test = {.in = {ENGINE_SCALAR(MICA_F32)}, .in_count = 1, .out_count = 1};
  mica_executable *executable = engine_compile(device, &test, build_marks);
  mica_tensor *in = mica_tensor_scalar(MICA_F32, 1), *out = NULL;
  mica_error error = {0};
  CHECK_OK_ERROR(mica_executable_run(executable, &in, 1, &out, 1, &error), &error);
  CHECK_STR_CONTAINS(log.text, "x: 2");
  CHECK_STR_CONTAINS(log.text, "|x: 4");
  CHECK_STR_CONTAINS(log.text, "|x: 8");
  CHECK_STR_CONTAINS(log.text, "|last: 8");
  mica_tensor_release(in);
  mica_tensor_release(out);
  mica_executable_release(executable);
  mica_device_release(device);
}

/* ---- cancellation ----------------------------------------------------------------------------- */

static void build_endless(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  mica_region loop = mica_while_begin(graph, in, 1, 0);
  mica_while_body(loop, mica_less(mica_argument(loop, 0), 1e30));
  mica_while_end(loop, (mica_value[]){mica_mul(mica_argument(loop, 0), 1)}, out);
}

static void cancel_later(void *device) {
  int64_t begin = mica_clock_nanoseconds();
  while (mica_clock_nanoseconds() - begin < 20000000) mica_thread_yield();
  mica_device_cancel(device, true);
}

TEST(loops_can_be_cancelled) {
  mica_device *device = open_with((mica_device_options){.threads = 2});
  engine_case test = {.in = {ENGINE_SCALAR(MICA_F32)}, .in_count = 1, .out_count = 1};
  mica_executable *executable = engine_compile(device, &test, build_endless);
  mica_tensor *in = mica_tensor_scalar(MICA_F32, 1), *out = NULL;
  mica_error error = {0};
  mica_thread_handle thread;
  CHECK_EQ_INT(mica_thread_start(&thread, cancel_later, device), 0);
  CHECK_STATUS(mica_executable_run(executable, &in, 1, &out, 1, &error), MICA_CANCELLED);
  mica_thread_join(thread);
  error = (mica_error){0};
  CHECK_STATUS(mica_executable_run(executable, &in, 1, &out, 1, &error), MICA_CANCELLED);
  mica_device_cancel(device, false);
  mica_tensor_release(in);
  in = mica_tensor_scalar(MICA_F32, 1e31);
  error = (mica_error){0};
  CHECK_OK_ERROR(mica_executable_run(executable, &in, 1, &out, 1, &error), &error);
  mica_tensor_release(in);
  mica_tensor_release(out);
  mica_executable_release(executable);
  mica_device_release(device);
}

/* ---- profiles --------------------------------------------------------------------------------- */

static void build_some_of_everything(mica_graph *graph, const mica_value *in, mica_value *out) {
  mica_value x = mica_relu(mica_add(mica_conv(in[0], in[1]), in[2]));
  x = mica_max_pool(x, .window = {2, 2});
  mica_region loop = mica_scan_begin_count(graph, &x, 1, NULL, 0, 3, false);
  mica_value next = mica_tanh(mica_mul(mica_argument(loop, 0), 0.9));
  mica_scan_end(loop, &next, NULL, 0, &x, NULL);
  mica_value logits = mica_matmul(mica_flatten(x, 1), in[3]);
  mica_region choice = mica_if_begin(mica_greater(mica_reduce_sum(logits, MICA_ALL), 0));
  mica_if_else(choice, &logits, 1);
  mica_value other = mica_softmax(logits, -1);
  mica_if_end(choice, &other, 1, &logits);
  mica_value loss = mica_reduce_mean(mica_softmax_cross_entropy(logits, in[4]), MICA_ALL);
  out[0] = loss;
  mica_gradients(loss, in + 1, 3, out + 1);
}
static const engine_case everything = {.in = {ENGINE_F32(3, 8, 8, 2),
                                              ENGINE_F32(3, 3, 2, 4),
                                              ENGINE_F32(4),
                                              ENGINE_F32(64, 5),
                                              {MICA_I32, MICA_DIMS(3)}},
                                       .in_count = 5,
                                       .out_count = 4,
                                       .integers = 5,
                                       .tolerance = 1e-4};

TEST(everything_at_once) { engine_check("everything", &everything, build_some_of_everything); }

static char *text_of(int64_t (*get)(mica_executable *, char *, size_t),
                     mica_executable *executable) {
  int64_t size = get(executable, NULL, 0);
  CHECK(size > 0);
  char *text = malloc((size_t)size + 1);
  CHECK_EQ_INT(get(executable, text, (size_t)size + 1), size);
  CHECK_EQ_INT(strlen(text), size);
  return text;
}

TEST(profiles_name_every_step) {
  mica_device *device = open_with((mica_device_options){.threads = 2, .profile = true});
  mica_executable *executable = engine_compile(device, &everything, build_some_of_everything);
  mica_tensor *in[5], *out[4] = {NULL};
  mica_error error = {0};
  char before[256];
  CHECK(mica_executable_profile(executable, before, sizeof(before)) > 0);
  for (int i = 0; i < 5; i++) in[i] = engine_tensor(everything.in[i], &everything);
  for (int run = 0; run < 3; run++)
    CHECK_OK_ERROR(mica_executable_run(executable, in, 5, out, 4, &error), &error);
  char *table = text_of(mica_executable_profile, executable),
       *trace = text_of(mica_executable_trace, executable);
  CHECK_STR_CONTAINS(table, "GFLOP/s");
  CHECK_STR_CONTAINS(table, "convolution f32[3, 8, 8, 4]");
  CHECK_STR_CONTAINS(table, "dot_general");
  mica_arena arena;
  mica_arena_init(&arena, NULL);
  mica_json *json = NULL;
  CHECK_OK_ERROR(mica_json_parse(&arena, trace, strlen(trace), &json, &error), &error);
  const mica_json *events = json == NULL ? NULL : mica_json_get(json, "traceEvents");
  if (CHECK(events != NULL && events->kind == MICA_JSON_ARRAY && events->count > 5)) {
    const mica_json *duration = mica_json_get(events->first, "dur");
    CHECK(duration != NULL && duration->number >= 0);
  }
  mica_arena_deinit(&arena);
  free(table);
  free(trace);
  for (int i = 0; i < 5; i++) mica_tensor_release(in[i]);
  for (int i = 0; i < 4; i++) mica_tensor_release(out[i]);
  mica_executable_release(executable);
  mica_device_release(device);
}

/* ---- memory ----------------------------------------------------------------------------------- */

TEST(a_steady_state_allocates_nothing) {
  counting count = {.fail_at = 0};
  mica_device *device =
      open_with((mica_device_options){.threads = 2, .allocator = counting_allocator(&count)});
  mica_executable *executable = engine_compile(device, &everything, build_some_of_everything);
  mica_tensor *in[5], *out[4] = {NULL};
  mica_error error = {0};
  for (int i = 0; i < 5; i++) in[i] = engine_tensor(everything.in[i], &everything);
  CHECK_OK_ERROR(mica_executable_run(executable, in, 5, out, 4, &error), &error);
  int64_t calls = atomic_load(&count.calls);
  for (int run = 0; run < 5; run++)
    CHECK_OK_ERROR(mica_executable_run(executable, in, 5, out, 4, &error), &error);
  CHECK_EQ_INT(atomic_load(&count.calls), calls);
  for (int i = 0; i < 5; i++) mica_tensor_release(in[i]);
  for (int i = 0; i < 4; i++) mica_tensor_release(out[i]);
  mica_executable_release(executable);
  mica_device_release(device);
  CHECK_EQ_INT(atomic_load(&count.live), 0);
}

/* Compiles and runs; the graph is built without the failing allocator. */
static mica_status compile_and_run(counting *count, mica_tensor **in) {
  mica_device_options options = {
      .struct_size = sizeof(options), .threads = 2, .allocator = counting_allocator(count)};
  mica_error error = {0};
  mica_device *device = mica_device_open_with(&mica_backend_cpu, NULL, &options, &error);
  if (device == NULL) return error.status;
  mica_graph *graph = mica_graph_create(NULL);
  mica_value values[5], results[4];
  for (int i = 0; i < 5; i++) values[i] = mica_parameter(graph, everything.in[i]);
  build_some_of_everything(graph, values, results);
  mica_graph_set_outputs(graph, results, 4);
  mica_executable *executable = NULL;
  mica_tensor *out[4] = {NULL};
  mica_status status = mica_compile(device, graph, 0, &executable, &error);
  CHECK_EQ_INT(status, error.status);
  mica_graph_destroy(graph);
  if (status == MICA_OK) status = mica_executable_run(executable, in, 5, out, 4, &error);
  CHECK_EQ_INT(status, error.status);
  for (int i = 0; i < 4; i++) mica_tensor_release(out[i]);
  mica_executable_release(executable);
  mica_device_release(device);
  return status;
}

TEST(every_failed_allocation_is_an_error) {
  mica_tensor *in[5];
  for (int i = 0; i < 5; i++) in[i] = engine_tensor(everything.in[i], &everything);
  counting whole = {.fail_at = 0};
  CHECK_STATUS(compile_and_run(&whole, in), MICA_OK);
  int64_t total = atomic_load(&whole.calls), step = check_all() ? 1 : 13;
  for (int on = 0; on < 2; on++)
    for (int64_t n = 1 + (check_all() ? 0 : check_rotation() % step); n <= total; n += step) {
      counting count = {.fail_at = n, .fail_on = on == 1};
      mica_status status = compile_and_run(&count, in);
      /* A failure may be got round, such as a copy that is only wished for; it is never another error. */
      if (status != MICA_OK && status != MICA_OUT_OF_MEMORY)
        CHECK_FAIL("allocation %lld of %lld failed: %s", (long long)n, (long long)total,
                   mica_status_text(status));
      if (on == 1) CHECK_STATUS(status, MICA_OUT_OF_MEMORY);
      CHECK_EQ_INT(atomic_load(&count.live), 0);
    }
  for (int i = 0; i < 5; i++) mica_tensor_release(in[i]);
}

TEST_MAIN(TEST_CASE(the_first_nan_is_named), TEST_CASE(marked_values_reach_the_log),
          TEST_CASE(loops_can_be_cancelled), TEST_CASE(everything_at_once),
          TEST_CASE(profiles_name_every_step), TEST_CASE(a_steady_state_allocates_nothing),
          TEST_CASE(every_failed_allocation_is_an_error))
