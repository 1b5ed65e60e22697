/* SPDX-License-Identifier: Apache-2.0 */
/* training.c: hooks of a training loop that show it. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ui/ui_internal.h"
#include "mica/ui/training.h"

struct mica_training_view {
  mica_training_view_options options;
  mica_training_loop *loop;
  mica_progress progress;
  mica_metrics_log *log;
  mica_event_log *events;
  char *folder, *title;
  bool shown;                         /* the progress line has begun */
  int64_t began_step, began_epoch;    /* of the run */
  int64_t epoch_step, steps_of_epoch; /* where the epoch began; 0: not known yet */
  int64_t drawn_ns, drawing_ns;       /* when the page was written, and how long that took */
};

static char *view_path(const mica_training_view *view, const char *name, mica_ui_text *out) {
  mica_ui_format(out, "%s/%s", view->folder, name);
  return out->failed ? NULL : out->bytes;
}

static mica_status draw_page(mica_training_view *view, double live, mica_error *error) {
  mica_ui_text log = {0}, page = {0};
  mica_runs *runs = NULL;
  int64_t begin = mica_ui_clock();
  mica_plot_options options = {
      .struct_size = sizeof options, .title = view->title, .smoothing = 0.9, .live_seconds = live};
  mica_status status = mica_runs_create(&runs, error);
  if (status == MICA_OK) status = mica_metrics_log_flush(view->log, error);
  if (status == MICA_OK &&
      (!view_path(view, "metrics.jsonl", &log) || !view_path(view, "plot.html", &page)))
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "training_view: out of memory");
  if (status == MICA_OK) status = mica_runs_add(runs, log.bytes, error);
  if (status == MICA_OK) status = mica_plot_runs_html(page.bytes, runs, &options, error);
  mica_runs_destroy(runs);
  mica_ui_free(&log), mica_ui_free(&page);
  view->drawn_ns = mica_ui_clock();
  view->drawing_ns = view->drawn_ns - begin;
  return status;
}

/* Epochs with the part of the present one, as soon as one has shown how long they are. */
static double fraction_of_epochs(const mica_training_view *view, const mica_training_state *s) {
  double length = (double)view->steps_of_epoch;
  if (length <= 0 && s->steps > 0 && s->epochs > 0) length = (double)s->steps / (double)s->epochs;
  return length > 0 ? (double)s->epoch + (double)(s->step - view->epoch_step) / length : NAN;
}

static mica_status on_start(mica_training_state *s, void *user, mica_error *error) {
  mica_training_view *view = user;
  (void)error;
  view->began_step = view->epoch_step = s->step, view->began_epoch = s->epoch;
  mica_progress_begin(&view->progress, view->options.progress, view->title,
                      s->steps > s->step ? s->steps - s->step : 0);
  view->shown = true;
  return MICA_OK;
}

static void show_progress(mica_training_view *view, const mica_training_state *s) {
  mica_ui_text line = {0};
  if (!view->options.progress) return;
  if (s->epochs > 0)
    mica_ui_format(&line, "epoch %lld/%lld  ", (long long)s->epoch + (s->epoch < s->epochs),
                   (long long)s->epochs);
  mica_ui_string(&line, "loss ");
  mica_ui_number(&line, s->mean_loss, 4);
  for (size_t i = 0; i < view->options.measure_count; i++) {
    mica_ui_format(&line, "  %s ", view->options.measures[i]);
    mica_ui_number(&line, s->mean_measures[i], 4);
  }
  mica_progress_update(&view->progress, s->step - view->began_step, line.bytes);
  mica_ui_free(&line);
}

static mica_status log_numbers(mica_training_view *view, const mica_training_state *s,
                               mica_error *error) {
  mica_metric metrics[MICA_TRAINER_MOST_MEASURES + 3] = {{"loss", s->last.loss}};
  size_t count = 1;
  for (size_t i = 0; i < view->options.measure_count; i++)
    metrics[count++] = (mica_metric){view->options.measures[i], s->last.measures[i]};
  metrics[count++] = (mica_metric){"learning rate", s->last.learning_rate};
  metrics[count++] = (mica_metric){"gradient norm", s->last.gradient_norm};
  mica_status status = mica_metrics_log_write(view->log, MICA_METRICS_TRAIN, NULL, s->step,
                                              fraction_of_epochs(view, s), metrics, count, error);
  for (size_t i = 0; i < count && status == MICA_OK && view->events; i++) {
    char tag[300];
    snprintf(tag, sizeof tag, "train/%.250s", metrics[i].name);
    status = mica_events_scalar(view->events, tag, s->step, metrics[i].value, error);
  }
  return status;
}

static mica_status on_step(mica_training_state *s, void *user, mica_error *error) {
  mica_training_view *view = user;
  int64_t every = view->options.log_every > 0 ? view->options.log_every : 1;
  mica_status status = MICA_OK;
  show_progress(view, s);
  if (!view->log) return status;
  if (s->step % every == 0) status = log_numbers(view, s, error);
  int64_t waited = mica_ui_clock() - view->drawn_ns;
  if (status == MICA_OK && (double)waited > 1e9 * view->options.page_seconds &&
      waited > 20 * view->drawing_ns)
    status = draw_page(view, view->options.page_seconds, error);
  return status;
}

static mica_status on_epoch(mica_training_state *s, void *user, mica_error *error) {
  mica_training_view *view = user;
  (void)error;
  view->steps_of_epoch = s->step - view->epoch_step;
  view->epoch_step = s->step;
  int64_t done = s->epoch - view->began_epoch;
  if (view->progress.total == 0 && s->epochs > 0 && done > 0) /* now the end is known */
    view->progress.total = (s->step - view->began_step) * (s->epochs - view->began_epoch) / done;
  return MICA_OK;
}

static mica_status on_end(mica_training_state *s, void *user, mica_error *error) {
  mica_training_view *view = user;
  (void)s, (void)error;
  if (view->shown) mica_progress_end(&view->progress);
  view->shown = false;
  return MICA_OK;
}

static mica_status on_evaluation(mica_training_state *s, void *user, mica_error *error) {
  mica_training_view *view = user;
  const mica_evaluation *e = s->evaluation;
  mica_metric metrics[1 + MICA_TRAINER_MOST_MEASURES + MICA_TRAINER_MOST_METRICS] = {
      {"loss", e->result.loss}};
  size_t count = 1;
  for (size_t i = 0; i < view->options.measure_count; i++)
    if (view->options.measures[i])
      metrics[count++] = (mica_metric){view->options.measures[i], e->result.measures[i]};
  for (size_t i = 0; i < mica_trainer_metric_count(s->trainer); i++)
    if (!isnan(e->metrics[i])) /* a metric of several numbers has none here */
      metrics[count++] = (mica_metric){mica_trainer_metric_name(s->trainer, i), e->metrics[i]};
  return mica_training_view_report(view, e->name, metrics, count, error);
}

static mica_status open_files(mica_training_view *view, mica_error *error) {
  mica_ui_text path = {0};
  mica_metrics_log_options log = {.struct_size = sizeof log, .flush_seconds = 1};
  int code = mica_ui_make_folder(view->folder);
  if (code)
    return mica_error_set(error, MICA_IO, "training_view: \"%s\" cannot be made: %s", view->folder,
                          strerror(code));
  mica_status status = MICA_OUT_OF_MEMORY;
  if (!view_path(view, "metrics.jsonl", &path))
    mica_error_set(error, status, "training_view: out of memory");
  else
    status = mica_metrics_log_open(path.bytes, &log, &view->log, error);
  mica_ui_free(&path);
  if (status == MICA_OK && !view->options.no_events)
    status = mica_events_open(view->folder, &view->events, error);
  return status;
}

static void free_view(mica_training_view *view) {
  mica_metrics_log_close(view->log, NULL), mica_events_close(view->events, NULL);
  free(view->folder), free(view->title), free(view);
}

mica_status mica_training_view_open(mica_training_loop *loop,
                                    const mica_training_view_options *options,
                                    mica_training_view **out_view, mica_error *error) {
  mica_training_view_options o = {0};
  *out_view = NULL;
  if (options)
    memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
  if (!loop || o.measure_count > MICA_TRAINER_MOST_MEASURES || (o.measure_count && !o.measures))
    return mica_error_set(error, MICA_INVALID,
                          "training_view: expected a loop and at most %d names of measures",
                          MICA_TRAINER_MOST_MEASURES);
  if (!(o.page_seconds > 0)) o.page_seconds = 2;
  mica_training_view *view = calloc(1, sizeof *view);
  if (!view) return mica_error_set(error, MICA_OUT_OF_MEMORY, "training_view: out of memory");
  view->options = o, view->loop = loop, view->drawn_ns = mica_ui_clock();
  view->title = mica_ui_copy(o.title ? o.title : "training");
  if (o.folder) view->folder = mica_ui_copy(o.folder);
  mica_status status = MICA_OK;
  if (!view->title || (o.folder && !view->folder))
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "training_view: out of memory");
  if (status == MICA_OK && view->folder) status = open_files(view, error);
  static mica_training_hook *const hooks[] = {on_start, on_step, on_epoch, on_end, on_evaluation};
  for (int i = 0; i < 5 && status == MICA_OK; i++) {
    status = mica_training_loop_on(loop, (mica_training_event)i, hooks[i], view,
                                   .name = "training_view", .priority = 100);
    if (status != MICA_OK) mica_error_set(error, status, "training_view: no hook can be added");
  }
  if (status == MICA_OK)
    *out_view = view;
  else
    free_view(view);
  return status;
}

mica_status mica_training_view_report(mica_training_view *view, const char *set,
                                      const mica_metric *metrics, size_t count, mica_error *error) {
  if (!view) return mica_error_set(error, MICA_INVALID, "training_view: there is no view");
  if (!view->log) return MICA_OK;
  const mica_training_state *s = mica_training_loop_state(view->loop);
  mica_status status = mica_metrics_log_write(view->log, MICA_METRICS_EVALUATION, set, s->step,
                                              fraction_of_epochs(view, s), metrics, count, error);
  for (size_t i = 0; i < count && status == MICA_OK && view->events; i++) {
    char tag[600];
    snprintf(tag, sizeof tag, "%.250s/%.250s", set && *set ? set : "evaluation", metrics[i].name);
    status = mica_events_scalar(view->events, tag, s->step, metrics[i].value, error);
  }
  return status;
}

mica_status mica_training_view_close(mica_training_view *view, mica_error *error) {
  if (!view) return MICA_OK;
  mica_status status = MICA_OK;
  if (view->shown) mica_progress_end(&view->progress);
  if (view->log) status = draw_page(view, 0, error);
  mica_status closed = mica_metrics_log_close(view->log, status == MICA_OK ? error : NULL);
  if (status == MICA_OK) status = closed;
  closed = mica_events_close(view->events, status == MICA_OK ? error : NULL);
  if (status == MICA_OK) status = closed;
  view->log = NULL, view->events = NULL;
  free_view(view);
  return status;
}
