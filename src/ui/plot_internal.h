/* SPDX-License-Identifier: Apache-2.0 */
/* plot_internal.h: what all plots share: axes with round ticks, and the panels of runs. */
#ifndef MICA_PLOT_INTERNAL_H
#define MICA_PLOT_INTERNAL_H
#include "ui/ui_internal.h"

enum { MICA_PLOT_COLORS = 8, MICA_PLOT_MOST_PANELS = 64 };

typedef struct {
  double least, most, step; /* in the axis' own scale: of logarithms when it is logarithmic */
  bool log;
} mica_plot_axis;

/* Round ticks (Heckbert, "Nice numbers for graph labels", Graphics Gems 1990); `snug`: the ends stay. */
mica_plot_axis mica_plot_axis_for(double least, double most, int ticks, bool snug, bool log);
/* The axes of a panel from its points. */
void mica_plot_axes(const mica_plot_panel *panel, int x_ticks, int y_ticks, mica_plot_axis *out_x,
                    mica_plot_axis *out_y);
/* y in the axis' own scale; NaN where it has no place. */
double mica_plot_scaled(const mica_plot_axis *axis, double y);
/* The ticks in the axis' own scale, at most 24; returns how many. Shown values: mica_plot_shown. */
int mica_plot_ticks(const mica_plot_axis *axis, double out[24]);
double mica_plot_shown(const mica_plot_axis *axis, double tick);
int mica_plot_color(const mica_plot_series *series, int64_t position); /* 0 .. 7 */

/* mica_plot_svg with at most so many panels in a row; 0: up to three. */
mica_status mica_plot_svg_in_columns(const char *path, const char *title,
                                     const mica_plot_panel *panels, int64_t panel_count,
                                     int32_t most_columns, mica_error *error);

/* Options with all members, whatever the caller's struct_size is. */
mica_plot_options mica_plot_options_of(const mica_plot_options *options);
bool mica_plot_wants(const mica_plot_options *options, const char *metric);
/* One panel for each metric; everything lies in one allocation of *out_memory's. */
typedef struct {
  mica_plot_panel *panels;
  int64_t count;
  mica_plot_series *series;
  double *numbers;
  char *names;
} mica_plot_built;
mica_status mica_plot_build(const mica_runs *runs, const mica_plot_options *options,
                            int64_t stretches, mica_plot_built *out, mica_error *error);
void mica_plot_built_free(mica_plot_built *built);
/* Indices of the points that show a curve: first, last and the extremes of each stretch, ascending;
 * out [2 * stretches + 2]; returns how many. */
int64_t mica_plot_thin(const double *y, int64_t count, int64_t stretches, int64_t *out);

#endif
