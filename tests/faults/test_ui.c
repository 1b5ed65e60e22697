/* SPDX-License-Identifier: Apache-2.0 */
/* Logs, plots and pictures with every allocation failing in turn, alone and with all that come after
 * it: an error that says so or, where the C library does without, the same result; nothing is left
 * behind, and the next call works. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "interpose.h"
#include "mica/ui.h"

static const char *folder;
static mica_graph *graph;
static mica_tensor *image;

static const char *in_folder(const char *name) {
  static char path[4400];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static mica_status log_metrics(mica_error *error) {
  mica_metrics_log *log = NULL;
  mica_metrics_log_options o = {.struct_size = sizeof o, .replace = true, .flush_seconds = 60};
  mica_status status = mica_metrics_log_open(in_folder("metrics.jsonl"), &o, &log, error);
  for (int64_t step = 0; step < 20 && status == MICA_OK; step++)
    status = mica_metrics_log_write(
        log, MICA_METRICS_TRAIN, step % 5 ? NULL : "every fifth", step, 0.5,
        (mica_metric[]){{"loss", 1.0 / (double)(step + 1)}, {"accuracy", 0.5}}, 2, error);
  mica_status closed = mica_metrics_log_close(log, status == MICA_OK ? error : NULL);
  return status == MICA_OK ? closed : status;
}

static mica_status read_and_plot(mica_error *error) {
  mica_runs *runs = NULL;
  mica_plot_options o = {.struct_size = sizeof o, .smoothing = 0.5, .live_seconds = 1};
  mica_status status = mica_runs_create(&runs, error);
  if (status == MICA_OK) status = mica_runs_add(runs, folder, error);
  if (status == MICA_OK && mica_runs_curve_count(runs, 0) != 4)
    status = mica_error_set(error, MICA_INTERNAL, "curves are missing without a word");
  if (status == MICA_OK) status = mica_plot_runs_svg(in_folder("plot.svg"), runs, &o, error);
  if (status == MICA_OK) status = mica_plot_runs_html(in_folder("plot.html"), runs, &o, error);
  if (status == MICA_OK && mica_runs_json(runs, NULL, 0) < 0)
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "json: out of memory");
  mica_runs_destroy(runs);
  return status;
}

static mica_status draw_in_terminal(mica_error *error) {
  static FILE *out; /* opened once: the C library's own memory is not of interest */
  if (!out) out = fopen("/dev/null", "w");
  double x[3] = {0, 1, 2}, y[3] = {3, 1, 2};
  mica_plot_series series = {.name = "a", .x = x, .y = y, .count = 3};
  mica_plot_panel panel = {.title = "t", .series = &series, .series_count = 1};
  mica_plot_terminal_options o = {.struct_size = sizeof o, .width = 60, .unicode = 1, .color = 1};
  return mica_plot_terminal(out, &panel, 1, &o, error);
}

static mica_status write_events(mica_error *error) {
  mica_event_log *log = NULL;
  char name[4400] = "";
  mica_status status = mica_events_open(in_folder("events"), &log, error);
  if (log) snprintf(name, sizeof name, "%s", mica_events_path(log));
  if (status == MICA_OK) status = mica_events_scalar(log, "a", 1, 2, error);
  if (status == MICA_OK) status = mica_events_image(log, "b", 1, image, error);
  if (status == MICA_OK) status = mica_events_histogram(log, "c", 1, image, 5, error);
  if (status == MICA_OK) status = mica_events_graph(log, graph, error);
  mica_status closed = mica_events_close(log, status == MICA_OK ? error : NULL);
  if (*name) remove(name); /* thousands would pile up */
  return status == MICA_OK ? closed : status;
}

static mica_status draw_pictures(mica_error *error) {
  mica_status status = mica_picture_svg(in_folder("model.svg"), graph, NULL, error);
  return status == MICA_OK ? mica_picture_html(in_folder("model.html"), graph, NULL, error)
                           : status;
}

static void sweep(mica_status (*body)(mica_error *), int64_t least_failures) {
  mica_error error = {0};
  if (!CHECK_OK_ERROR(body(&error), &error)) return; /* what is made once is made */
  fault_begin(FAULT_NONE, 0);
  mica_status status = body(&error);
  fault_end();
  if (!CHECK_OK_ERROR(status, &error)) return;
  CHECK_EQ_INT(fault_live_blocks(), 0);
  int64_t total = fault_count(), failures = 0;
  for (int64_t n = 1; n <= total; n++)
    for (fault_mode mode = FAULT_ONE; mode <= FAULT_FROM; mode++) {
      error = (mica_error){0};
      fault_begin(mode, n);
      status = body(&error);
      fault_end();
      failures += status != MICA_OK;
      if (status != MICA_OK &&
          ((status != MICA_OUT_OF_MEMORY && status != MICA_IO) || !error.message[0]))
        CHECK_FAIL("call %lld of %lld: status %d, '%s'", (long long)n, (long long)total,
                   (int)status, error.message);
      if (fault_live_blocks() != 0)
        CHECK_FAIL("call %lld leaves %lld blocks", (long long)n, (long long)fault_live_blocks());
    }
  CHECK_OK(body(NULL));
  if (failures < least_failures) CHECK_EQ_INT(failures, least_failures);
}

static void prepare(void) {
  static char path[4200];
  if (folder) return;
  snprintf(path, sizeof path, "%s", check_temporary_path("runs"));
  folder = path;
  mkdir(folder, 0777);
  graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, (mica_type){MICA_F32, MICA_DIMS(4, 4)});
  for (int i = 0; i < 3; i++) {
    char name[20];
    snprintf(name, sizeof name, "layer%d", i);
    mica_scope_push(graph, name);
    x = mica_add(mica_tanh(mica_matmul(x, x)), x);
    mica_scope_pop(graph, name);
  }
  mica_graph_set_outputs(graph, &x, 1);
  image = mica_tensor_from(MICA_F32, MICA_DIMS(4, 4), NULL);
}

TEST(logs) {
  prepare();
  sweep(log_metrics, 5);
}
TEST(plots) {
  prepare();
  CHECK_OK(log_metrics(NULL));
  sweep(read_and_plot, 30);
}
TEST(terminals) {
  prepare();
  sweep(draw_in_terminal, 4);
}
TEST(events) {
  prepare();
  sweep(write_events, 20);
}
TEST(pictures) {
  prepare();
  sweep(draw_pictures, 20);
}

TEST_MAIN(TEST_CASE(logs), TEST_CASE(plots), TEST_CASE(terminals), TEST_CASE(events),
          TEST_CASE(pictures))
