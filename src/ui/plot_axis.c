/* SPDX-License-Identifier: Apache-2.0 */
/* plot_axis.c: where an axis begins and ends, and its ticks. */
#include <math.h>

#include "ui/plot_internal.h"

static double nice_step(double span, int ticks) {
  double raw = span / ticks, power = pow(10, floor(log10(raw))), unit = raw / power;
  return power * (unit < 1.5 ? 1 : unit < 3 ? 2 : unit < 7 ? 5 : 10);
}

mica_plot_axis mica_plot_axis_for(double least, double most, int ticks, bool snug, bool log) {
  if (!(least <= most)) least = 0, most = 1;
  double room = fmax(fabs(least), fabs(most)) * 1e-9; /* closer than that is one number */
  if (most - least <= room) {
    room = least != 0 ? fabs(least) * 0.1 : 1;
    least -= room, most += room;
  }
  if (!isfinite(most - least)) least /= 4, most /= 4;
  mica_plot_axis axis = {least, most, nice_step(most - least, ticks), log};
  if (!(axis.step > 0) || !isfinite(axis.step)) axis.step = most - least; /* denormals */
  if (!snug) {
    axis.least = floor(least / axis.step) * axis.step;
    axis.most = ceil(most / axis.step) * axis.step;
  }
  return axis;
}

double mica_plot_scaled(const mica_plot_axis *axis, double y) {
  return axis->log ? (y > 0 ? log10(y) : NAN) : y;
}

double mica_plot_shown(const mica_plot_axis *axis, double tick) {
  return axis->log ? pow(10, tick) : fabs(tick) < axis->step * 1e-9 ? 0 : tick;
}

/* Logarithmic: whole powers where the axis is long, else 1, 2, 5 of each, or more where that is few. */
static int log_ticks(const mica_plot_axis *axis, double out[24]) {
  static const double units[] = {1, 2, 5, 3, 7, 1.5};
  double span = axis->most - axis->least;
  int each = span > 6 ? 1 : span > 1.2 ? 3 : 6, count = 0;
  int stride = span > 20 ? (int)(span / 8) : 1;
  for (int power = (int)floor(axis->least); power <= (int)ceil(axis->most); power++) {
    if (power % stride) continue;
    for (int i = 0; i < each && count < 24; i++) {
      double tick = power + log10(units[i]);
      if (tick >= axis->least - 1e-9 && tick <= axis->most + 1e-9) out[count++] = tick;
    }
  }
  return count;
}

int mica_plot_ticks(const mica_plot_axis *axis, double out[24]) {
  if (axis->log) return log_ticks(axis, out);
  int count = 0;
  double first = ceil(axis->least / axis->step - 1e-9) * axis->step;
  for (int i = 0; i < 24; i++) {
    double tick = first + i * axis->step;
    if (tick > axis->most + axis->step * 1e-9) break;
    out[count++] = tick;
  }
  return count;
}

void mica_plot_axes(const mica_plot_panel *panel, int x_ticks, int y_ticks, mica_plot_axis *out_x,
                    mica_plot_axis *out_y) {
  double x_least = INFINITY, x_most = -INFINITY, y_least = INFINITY, y_most = -INFINITY;
  mica_plot_axis scale = {.log = panel->log_y};
  for (int pass = 0; pass < 2 && !(y_least <= y_most); pass++) /* faint ones count where alone */
    for (int64_t k = 0; k < panel->series_count; k++)
      for (int64_t i = 0; i < panel->series[k].count; i++) {
        double x = panel->series[k].x[i], y = mica_plot_scaled(&scale, panel->series[k].y[i]);
        if (!isfinite(x) || !isfinite(y)) continue;
        x_least = fmin(x_least, x), x_most = fmax(x_most, x);
        if (panel->series[k].faint && !pass) continue;
        y_least = fmin(y_least, y), y_most = fmax(y_most, y);
      }
  if (panel->y_least < panel->y_most)
    y_least = mica_plot_scaled(&scale, panel->y_least),
    y_most = mica_plot_scaled(&scale, panel->y_most);
  *out_x = mica_plot_axis_for(x_least, x_most, x_ticks, true, false);
  *out_y = mica_plot_axis_for(y_least, y_most, y_ticks, panel->log_y, panel->log_y);
}

int mica_plot_color(const mica_plot_series *series, int64_t position) {
  return series->color > 0 ? (series->color - 1) % MICA_PLOT_COLORS
                           : (int)(position % MICA_PLOT_COLORS);
}
