/* SPDX-License-Identifier: Apache-2.0 */
/* plots.c: two runs log their numbers; then they are shown: here, as a page, as SVG, in TensorBoard.
 *
 * plots [FOLDER]      files go to FOLDER, which is made; "mica-plots" in $TMPDIR or /tmp otherwise */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "mica/mica.h"
#include "mica/ui.h"

/* "Trains" w on w^4 / 4 - 2 w and logs each step: metrics.jsonl for us, an event file for TensorBoard. */
static mica_status train(const char *folder, const char *name, double rate, mica_error *error) {
  char place[512], path[600];
  snprintf(place, sizeof place, "%s/%s", folder, name);
  snprintf(path, sizeof path, "%s/metrics.jsonl", place);
  mkdir(folder, 0777), mkdir(place, 0777);
  mica_metrics_log *log = NULL;
  mica_event_log *events = NULL;
  mica_metrics_log_options anew = {.struct_size = sizeof anew, .replace = true};
  mica_status status = mica_metrics_log_open(path, &anew, &log, error);
  if (status == MICA_OK) status = mica_events_open(place, &events, error);
  double w = 0;
  for (int64_t step = 0; step <= 60 && status == MICA_OK; step++) {
    double loss = w * w * w * w / 4 - 2 * w + 2, gradient = w * w * w - 2;
    mica_metric metrics[] = {{"loss", loss}, {"w", w}};
    status = mica_metrics_log_write(log, MICA_METRICS_TRAIN, NULL, step, (double)step / 20, metrics,
                                    2, error);
    if (status == MICA_OK && step % 20 == 0)
      status = mica_metrics_log_write(log, MICA_METRICS_EVALUATION, "test", step, (double)step / 20,
                                      &(mica_metric){"loss", loss + 0.05}, 1, error);
    if (status == MICA_OK) status = mica_events_scalar(events, "train/loss", step, loss, error);
    w -= rate * gradient;
  }
  if (status == MICA_OK) status = mica_events_close(events, error);
  if (status == MICA_OK) status = mica_metrics_log_close(log, error);
  return status;
}

int main(int count, char **arguments) {
  char folder[400], path[500];
  const char *temporary = getenv("TMPDIR");
  if (count > 1)
    snprintf(folder, sizeof folder, "%s", arguments[1]);
  else
    snprintf(folder, sizeof folder, "%s/mica-plots", temporary ? temporary : "/tmp");
  mica_error error = {0};
  mica_runs *runs = NULL;
  mica_plot_options options = {.struct_size = sizeof options, .metrics = "loss"};
  options.terminal =
      (mica_plot_terminal_options){.width = 72, .height = 10, .color = -1, .unicode = 1};

  mica_status status = train(folder, "fast", 0.1, &error);
  if (status == MICA_OK) status = train(folder, "slow", 0.02, &error);
  if (status == MICA_OK) status = mica_runs_create(&runs, &error);
  if (status == MICA_OK) status = mica_runs_add(runs, folder, &error); /* both */
  if (status == MICA_OK) status = mica_plot_runs_terminal(stdout, runs, &options, &error);
  if (status == MICA_OK) {
    printf("\n");
    mica_report_runs(stdout, runs);
    options.metrics = NULL; /* the files show all */
    snprintf(path, sizeof path, "%s/plot.html", folder);
    status = mica_plot_runs_html(path, runs, &options, &error);
  }
  if (status == MICA_OK) {
    snprintf(path, sizeof path, "%s/plot.svg", folder);
    status = mica_plot_runs_svg(path, runs, &options, &error);
  }
  mica_runs_destroy(runs);
  if (status != MICA_OK) fprintf(stderr, "plots: %s\n", error.message);
  return status == MICA_OK ? 0 : 1;
}
