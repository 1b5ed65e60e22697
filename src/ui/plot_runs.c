/* SPDX-License-Identifier: Apache-2.0 */
/* plot_runs.c: the panels of runs: one for each metric, a curve for each run and data set. With one
 * run the colors tell training from evaluation; with several they tell the runs, and evaluation is
 * dashed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ui/plot_internal.h"

mica_plot_options mica_plot_options_of(const mica_plot_options *options) {
  mica_plot_options o = {0};
  if (options)
    memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
  if (!(o.smoothing > 0)) o.smoothing = 0;
  if (o.smoothing > 0.999) o.smoothing = 0.999;
  if (!(o.live_seconds > 0)) o.live_seconds = 0;
  return o;
}

bool mica_plot_wants(const mica_plot_options *options, const char *metric) {
  const char *word = options->metrics;
  if (!word || !*word) return true;
  while (*word) {
    size_t size = strcspn(word, ",");
    for (const char *c = metric; size && *c; c++)
      if (!strncmp(c, word, size)) return true;
    word += size + (word[size] == ',');
  }
  return false;
}

int64_t mica_plot_thin(const double *y, int64_t count, int64_t stretches, int64_t *out) {
  int64_t kept = 0;
  if (count <= 2 * stretches + 2) {
    for (int64_t i = 0; i < count; i++) out[i] = i;
    return count;
  }
  out[kept++] = 0;
  for (int64_t s = 0; s < stretches; s++) {
    /* Of [1, count - 1), whose product with `stretches` may not fit 64 bits. */
    int64_t begin = 1 + (int64_t)((double)(count - 2) * (double)s / (double)stretches);
    int64_t end = 1 + (int64_t)((double)(count - 2) * (double)(s + 1) / (double)stretches);
    int64_t least, most;
    mica_ui_extremes(y, begin, end, &least, &most);
    if (least < 0) { /* nothing finite: the gap stays */
      if (begin < end) out[kept++] = begin;
      continue;
    }
    out[kept++] = least < most ? least : most;
    if (least != most) out[kept++] = least < most ? most : least;
  }
  out[kept++] = count - 1;
  return kept;
}

static const double *x_values(const mica_runs_curve *curve, mica_plot_x x) {
  return x == MICA_PLOT_EPOCH     ? curve->epoch
         : x == MICA_PLOT_SECONDS ? curve->seconds
                                  : curve->step;
}

/* How the curve is called in a legend. */
static void curve_name(const mica_runs *runs, size_t run, const mica_runs_curve *curve, char *out,
                       size_t size) {
  const char *what = curve->kind == MICA_METRICS_EVALUATION
                         ? (*curve->set ? curve->set : "evaluation")
                         : (*curve->set ? curve->set : "training");
  if (mica_runs_count(runs) < 2)
    snprintf(out, size, "%s", what);
  else if (curve->kind == MICA_METRICS_TRAIN && !*curve->set)
    snprintf(out, size, "%s", mica_runs_name(runs, run));
  else
    snprintf(out, size, "%s, %s", mica_runs_name(runs, run), what);
}

enum { CURVE_NAME = 600 };

typedef struct {
  const mica_runs *runs;
  const mica_plot_options *options;
  int64_t stretches, *kept;
  size_t series_used, numbers_used, names_used;
} panel_builder;

/* The curve's points, smoothed and thinned: one series, and a faint one of raw values in front. */
static void build_curve(panel_builder *b, mica_plot_built *built, size_t run,
                        const mica_runs_curve *curve, int32_t color) {
  double smoothing = curve->kind == MICA_METRICS_TRAIN ? b->options->smoothing : 0;
  const double *x = x_values(curve, b->options->x);
  double *smooth = built->numbers + b->numbers_used; /* scratch at the end: thinned values follow */
  char *name = built->names + CURVE_NAME * b->names_used++;
  curve_name(b->runs, run, curve, name, CURVE_NAME);
  for (int pass = smoothing > 0 ? 0 : 1; pass < 2; pass++) {
    const double *y = curve->value;
    if (smoothing > 0 && pass == 1) {
      double sum = 0, weight = 0;
      for (int64_t i = 0; i < curve->count; i++) {
        bool finite = isfinite(curve->value[i]);
        if (finite) sum = smoothing * sum + (1 - smoothing) * curve->value[i];
        if (finite) weight = smoothing * weight + (1 - smoothing);
        smooth[i] = finite ? sum / weight : NAN;
      }
      y = smooth;
    }
    int64_t kept = mica_plot_thin(y, curve->count, b->stretches, b->kept);
    double *out = smooth + curve->count;
    for (int64_t i = 0; i < kept; i++) out[i] = x[b->kept[i]], out[kept + i] = y[b->kept[i]];
    memmove(smooth, out, (size_t)(2 * kept) * sizeof *out);
    built->series[b->series_used++] = (mica_plot_series){
        .name = pass ? name : NULL,
        .x = smooth,
        .y = smooth + kept,
        .count = kept,
        .faint = !pass,
        .marked = curve->kind == MICA_METRICS_EVALUATION && curve->count <= 30,
        .dashed = curve->kind == MICA_METRICS_EVALUATION && mica_runs_count(b->runs) > 1,
        .color = color};
    b->numbers_used += (size_t)(2 * kept);
    smooth = built->numbers + b->numbers_used;
  }
}

/* The metric's curves in all runs. */
static void build_panel(panel_builder *b, mica_plot_built *built, const char *metric) {
  static const char *const labels[] = {"step", "epoch", "seconds"};
  mica_plot_series *first = built->series + b->series_used;
  int32_t color = 0;
  for (size_t run = 0; run < mica_runs_count(b->runs); run++)
    for (size_t i = 0; i < mica_runs_curve_count(b->runs, run); i++) {
      mica_runs_curve curve = mica_runs_curve_at(b->runs, run, i);
      if (strcmp(curve.name, metric)) continue;
      color++;
      build_curve(b, built, run, &curve,
                  mica_runs_count(b->runs) > 1 ? (int32_t)(run % MICA_PLOT_COLORS) + 1 : color);
    }
  built->panels[built->count++] =
      (mica_plot_panel){.title = metric,
                        .x_label = labels[b->options->x],
                        .y_label = "",
                        .series = first,
                        .series_count = built->series + b->series_used - first,
                        .log_y = b->options->log_y};
}

static bool is_first_of_name(const mica_runs *runs, size_t run, size_t index, const char *name) {
  for (size_t r = 0; r <= run; r++)
    for (size_t i = 0; i < (r < run ? mica_runs_curve_count(runs, r) : index); i++)
      if (!strcmp(mica_runs_curve_at(runs, r, i).name, name)) return false;
  return true;
}

mica_status mica_plot_build(const mica_runs *runs, const mica_plot_options *options,
                            int64_t stretches, mica_plot_built *out, mica_error *error) {
  *out = (mica_plot_built){0};
  if ((unsigned)options->x > MICA_PLOT_SECONDS)
    return mica_error_set(error, MICA_INVALID, "plot_runs: there is no x axis %d", (int)options->x);
  /* Room: each curve's thinned points twice, and one curve's values while it is smoothed. */
  size_t curves = 0, numbers = 0, most = 0;
  for (size_t r = 0; r < mica_runs_count(runs); r++)
    for (size_t i = 0; i < mica_runs_curve_count(runs, r); i++) {
      size_t count = (size_t)mica_runs_curve_at(runs, r, i).count;
      size_t kept = count < (size_t)(2 * stretches + 2) ? count : (size_t)(2 * stretches + 2);
      curves++, numbers += 4 * kept;
      if (count > most) most = count;
    }
  size_t kept_room = most < (size_t)(2 * stretches + 2) ? (size_t)(2 * stretches + 2) : most;
  out->panels = calloc(MICA_PLOT_MOST_PANELS, sizeof *out->panels);
  out->series = calloc(2 * curves + 1, sizeof *out->series);
  out->numbers = calloc(numbers + 3 * kept_room + 1, sizeof *out->numbers);
  out->names = calloc(curves + 1, CURVE_NAME);
  panel_builder b = {.runs = runs, .options = options, .stretches = stretches};
  b.kept = calloc(kept_room + 2, sizeof *b.kept);
  if (!out->panels || !out->series || !out->numbers || !out->names || !b.kept) {
    free(b.kept);
    mica_plot_built_free(out);
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "plot_runs: out of memory");
  }
  for (size_t r = 0; r < mica_runs_count(runs); r++)
    for (size_t i = 0; i < mica_runs_curve_count(runs, r); i++) {
      const char *name = mica_runs_curve_at(runs, r, i).name;
      if (out->count < MICA_PLOT_MOST_PANELS && mica_plot_wants(options, name) &&
          is_first_of_name(runs, r, i, name))
        build_panel(&b, out, name);
    }
  free(b.kept);
  if (out->count > 0) return MICA_OK;
  mica_plot_built_free(out);
  return mica_error_set(error, MICA_NOT_FOUND, "plot_runs: there is no curve%s%s%s",
                        options->metrics ? " of a metric with \"" : " to draw",
                        options->metrics ? options->metrics : "",
                        options->metrics ? "\" in its name" : "");
}

void mica_plot_built_free(mica_plot_built *built) {
  free(built->panels), free(built->series), free(built->numbers), free(built->names);
  *built = (mica_plot_built){0};
}

static void runs_title(const mica_runs *runs, const mica_plot_options *o, char *out, size_t size) {
  size_t used = 0;
  *out = 0;
  if (o->title) {
    snprintf(out, size, "%s", o->title);
    return;
  }
  for (size_t r = 0; r < mica_runs_count(runs) && used < size; r++)
    used +=
        (size_t)snprintf(out + used, size - used, "%s%s", r ? ", " : "", mica_runs_name(runs, r));
}

mica_status mica_plot_runs_svg(const char *path, const mica_runs *runs,
                               const mica_plot_options *options, mica_error *error) {
  mica_plot_options o = mica_plot_options_of(options);
  mica_plot_built built;
  char title[200];
  mica_status status = mica_plot_build(runs, &o, 500, &built, error);
  if (status != MICA_OK) return status;
  runs_title(runs, &o, title, sizeof title);
  status = mica_plot_svg_in_columns(path, title, built.panels, built.count, o.columns, error);
  mica_plot_built_free(&built);
  return status;
}

mica_status mica_plot_runs_terminal(FILE *out, const mica_runs *runs,
                                    const mica_plot_options *options, mica_error *error) {
  mica_plot_options o = mica_plot_options_of(options);
  mica_plot_built built;
  mica_status status = mica_plot_build(runs, &o, 500, &built, error);
  if (status != MICA_OK) return status;
  o.terminal.struct_size = sizeof o.terminal;
  status = mica_plot_terminal(out, built.panels, built.count, &o.terminal, error);
  mica_plot_built_free(&built);
  return status;
}

/* ---- the same as numbers ---------------------------------------------------------------------- */

static void put_extreme(mica_ui_text *out, const char *key, const mica_runs_curve *curve,
                        int64_t at) {
  mica_ui_format(out, ",\"%s\":", key);
  mica_ui_json_number(out, at < 0 ? NAN : curve->value[at], 0);
  mica_ui_format(out, ",\"%s_step\":", key);
  mica_ui_json_number(out, at < 0 ? NAN : curve->step[at], 0);
}

int64_t mica_runs_json(const mica_runs *runs, char *text, size_t size) {
  mica_ui_text out = {0};
  mica_ui_string(&out, "{\"runs\":[");
  for (size_t r = 0; r < mica_runs_count(runs); r++) {
    mica_ui_string(&out, r ? ",{\"name\":" : "{\"name\":");
    mica_ui_json(&out, mica_runs_name(runs, r));
    mica_ui_string(&out, ",\"note\":");
    mica_ui_json(&out, mica_runs_note(runs, r));
    mica_ui_string(&out, ",\"curves\":[");
    for (size_t i = 0; i < mica_runs_curve_count(runs, r); i++) {
      mica_runs_curve c = mica_runs_curve_at(runs, r, i);
      int64_t least, most;
      mica_ui_extremes(c.value, 0, c.count, &least, &most);
      mica_ui_string(&out, i ? ",{\"metric\":" : "{\"metric\":");
      mica_ui_json(&out, c.name);
      mica_ui_format(&out, ",\"kind\":\"%s\",\"set\":",
                     c.kind == MICA_METRICS_EVALUATION ? "evaluation" : "train");
      mica_ui_json(&out, c.set);
      mica_ui_format(&out, ",\"count\":%lld", (long long)c.count);
      put_extreme(&out, "last", &c, c.count - 1);
      put_extreme(&out, "least", &c, least);
      put_extreme(&out, "greatest", &c, most);
      mica_ui_string(&out, "}");
    }
    mica_ui_string(&out, "]}");
  }
  mica_ui_string(&out, "]}");
  int64_t length = out.failed ? -1 : (int64_t)out.size;
  if (text && size) snprintf(text, size, "%s", out.failed ? "" : out.bytes);
  mica_ui_free(&out);
  return length;
}
