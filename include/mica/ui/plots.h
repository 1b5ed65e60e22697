/* SPDX-License-Identifier: Apache-2.0 */
/* ui/plots.h: curves as SVG, as one HTML page to explore, and in the terminal. No server, no network,
 * nothing to install. Files are written beside themselves and renamed, so a reader never meets half
 * of one. Threads: any, each on its own path. Example: examples/plots.c; docs/plots.md. */
#ifndef MICA_UI_PLOTS_H
#define MICA_UI_PLOTS_H
#include <stdio.h>

#include "mica/ui/metrics.h"
#ifdef __cplusplus
extern "C" {
#endif

/* ---- curves of the caller's -------------------------------------------------------------------- */

typedef struct {
  const char *name;    /* NULL: not in the legend */
  const double *x, *y; /* [count]; points that are not finite are left out and break the line */
  int64_t count;
  bool faint;  /* thin and pale: raw values behind a smoothed curve; may leave the picture */
  bool marked; /* with a dot at each point */
  bool dashed;
  int32_t color; /* 1 to 8; 0: by position */
} mica_plot_series;
typedef struct {
  const char *title, *x_label, *y_label;
  const mica_plot_series *series;
  int64_t series_count;
  bool log_y;             /* values <= 0 are left out */
  double y_least, y_most; /* equal: from the data */
} mica_plot_panel;

/* 1 to 64 panels, up to three in a row, as one self-contained SVG that follows the viewer's light or
 * dark scheme. */
MICA_API mica_status mica_plot_svg(const char *path, const char *title,
                                   const mica_plot_panel *panels, int64_t panel_count,
                                   mica_error *error);

/* What a terminal plot may use; zero: found out from `out` and the environment. */
typedef struct {
  size_t struct_size;
  int32_t width,
      height; /* columns and lines of one panel; 0: the terminal's width up to 100, and 12 */
  int32_t color, unicode; /* 1: yes, -1: no, 0: colors on a terminal without $NO_COLOR; dots of
                               * braille where the locale is UTF-8 */
} mica_plot_terminal_options;
/* The panels one below the other as text. Without colors, several curves get a letter each. */
MICA_API mica_status mica_plot_terminal(FILE *out, const mica_plot_panel *panels,
                                        int64_t panel_count,
                                        const mica_plot_terminal_options *options,
                                        mica_error *error);

/* ---- curves of runs ----------------------------------------------------------------------------- */

typedef enum { MICA_PLOT_STEP = 0, MICA_PLOT_EPOCH = 1, MICA_PLOT_SECONDS = 2 } mica_plot_x;

typedef struct {
  size_t struct_size;
  const char *title; /* NULL: the names of the runs */
  mica_plot_x x;
  bool log_y;
  /* 0 to less than 1: training curves become s_i / (1 - b^i) with s_i = b s_(i-1) + (1 - b) y_i, the raw ones
   * faint behind them; in the page, where its slider stands at first */
  double smoothing;
  const char *
      metrics; /* only metrics whose names contain one of these words ("loss,accuracy"); NULL: all */
  /* The page: above 0, it looks for news this often, in PATH.js, which is written along with it, so
   * that an open page follows a run. Works from file:// and from any server. Write the page again with
   * new runs while training, and with 0 at the end. */
  double live_seconds;
  mica_plot_terminal_options terminal;
  int32_t
      columns; /* of the SVG: at most so many panels in a row, such as 1 for a phone; 0: up to three */
} mica_plot_options;

/* One panel for each metric, with a curve for each run and data set; NULL options are defaults. Curves
 * of many points are thinned to the extremes of 2000 stretches (SVG: 500), which looks the same. */
MICA_API mica_status mica_plot_runs_svg(const char *path, const mica_runs *runs,
                                        const mica_plot_options *options, mica_error *error);
/* One page that holds everything: zoom by dragging, values under the pointer, logarithmic axis,
 * smoothing, runs that can be hidden, a table, light and dark, phone and desktop. */
MICA_API mica_status mica_plot_runs_html(const char *path, const mica_runs *runs,
                                         const mica_plot_options *options, mica_error *error);
MICA_API mica_status mica_plot_runs_terminal(FILE *out, const mica_runs *runs,
                                             const mica_plot_options *options, mica_error *error);
/* A summary as JSON for scripts: for each run and curve its last, least and greatest value with their
 * steps, into text[size], always terminated; returns the length it needs, or -1 without memory. */
MICA_API int64_t mica_runs_json(const mica_runs *runs, char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
