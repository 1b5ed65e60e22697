/* SPDX-License-Identifier: Apache-2.0 */
/* plot.c: line plots as one SVG file: written beside it and renamed; no script, no font, no server.
 * Colors are CSS variables that switch
 * with the viewer's light or dark scheme; the palette is Okabe and Ito's (2008), told apart by
 * color-blind
 * readers too. Axes get round ticks (Heckbert, "Nice numbers for graph labels", Graphics Gems
 * 1990). */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mica/ui.h"

enum { PANEL_WIDTH = 520, PANEL_HEIGHT = 360, HEAD = 44, PALETTE = 6 };
/* No enumerators: newer compilers warn where those meet floating point. */
static const int LEFT = 66, RIGHT = 18, TOP = 44, BOTTOM = 52;

typedef struct {
  double least, most, step;
} plot_axis;

static void fputs_to(FILE *text, const char *string) { fputs(string, text); }

static double nice_step(double span, int ticks) {
  double raw = span / ticks, power = pow(10, floor(log10(raw))), unit = raw / power;
  return power * (unit < 1.5 ? 1 : unit < 3 ? 2 : unit < 7 ? 5 : 10);
}

static plot_axis axis_for(double least, double most, int ticks, bool snug) {
  if (!(least <= most)) least = 0, most = 1;
  if (least == most) {
    double room = least != 0 ? fabs(least) * 0.1 : 1;
    least -= room, most += room;
  }
  plot_axis axis = {least, most, nice_step(most - least, ticks)};
  if (!snug) {
    axis.least = floor(least / axis.step) * axis.step;
    axis.most = ceil(most / axis.step) * axis.step;
  }
  return axis;
}

static double transformed(const mica_plot_panel *panel, double y) {
  return panel->log_y ? (y > 0 ? log10(y) : NAN) : y;
}

static void escaped(FILE *text, const char *string) {
  for (const char *c = string ? string : ""; *c; c++) {
    if (*c == '<')
      fputs_to(text, "&lt;");
    else if (*c == '>')
      fputs_to(text, "&gt;");
    else if (*c == '&')
      fputs_to(text, "&amp;");
    else if (*c == '"')
      fputs_to(text, "&quot;");
    else if ((unsigned char)*c >= ' ')
      putc(*c, text);
  }
}

static void label(FILE *text, double x, double y, const char *class_name, const char *string) {
  fprintf(text, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, class_name);
  escaped(text, string);
  fputs_to(text, "</text>\n");
}

/* One line of the grid at v, in the axis' own scale, with its number. */
static void draw_level(FILE *text, plot_axis ys, double v, double shown, double width,
                       double height) {
  char number[40];
  double y = TOP + height * (ys.most - v) / (ys.most - ys.least);
  fprintf(text, "<path class=\"grid\" d=\"M%d %.1fh%.1f\"/>\n", LEFT, y, width);
  snprintf(number, sizeof number, "%.4g", shown);
  label(text, LEFT - 8, y + 4, "tick end", number);
}

/* Levels of a logarithmic axis: 1, 2 and 5 of each power of ten, or also 3 and 7 where that leaves few. */
static void draw_log_levels(FILE *text, plot_axis ys, double width, double height) {
  static const double few[] = {1, 2, 5}, many[] = {1, 1.5, 2, 3, 5, 7};
  bool wide = ys.most - ys.least > 1.2;
  for (int power = (int)floor(ys.least); power <= (int)ceil(ys.most) && power < 300; power++)
    for (int i = 0; i < (wide ? 3 : 6); i++) {
      double shown = (wide ? few : many)[i] * pow(10, power), v = log10(shown);
      if (v >= ys.least - 1e-9 && v <= ys.most + 1e-9)
        draw_level(text, ys, v, shown, width, height);
    }
}

static void draw_axes(FILE *text, const mica_plot_panel *panel, plot_axis xs, plot_axis ys,
                      double width, double height) {
  char number[40];
  if (panel->log_y) draw_log_levels(text, ys, width, height);
  for (int i = 0; i < 24 && !panel->log_y; i++) {
    double v = ceil(ys.least / ys.step - 1e-9) * ys.step + i * ys.step;
    if (v > ys.most + ys.step * 1e-9) break;
    draw_level(text, ys, v, fabs(v) < ys.step * 1e-9 ? 0 : v, width, height);
  }
  for (int i = 0; i < 24; i++) {
    double v = ceil(xs.least / xs.step - 1e-9) * xs.step + i * xs.step;
    if (v > xs.most + xs.step * 1e-9) break;
    double x = LEFT + width * (v - xs.least) / (xs.most - xs.least);
    snprintf(number, sizeof number, "%.6g", fabs(v) < xs.step * 1e-9 ? 0 : v);
    fprintf(text, "<path class=\"axis\" d=\"M%.1f %.1fv5\"/>\n", x, TOP + height);
    label(text, x, TOP + height + 20, "tick middle", number);
  }
  fprintf(text, "<path class=\"axis\" d=\"M%d %.1fh%.1f\"/>\n", LEFT, TOP + height, width);
  label(text, LEFT + width / 2, TOP + height + 40, "label middle", panel->x_label);
  fprintf(text, "<g transform=\"translate(14 %.1f) rotate(-90)\">", TOP + height / 2);
  label(text, 0, 0, "label middle", panel->y_label);
  fputs_to(text, "</g>\n");
  label(text, LEFT, TOP - 16, "panel", panel->title);
}

static void draw_series(FILE *text, const mica_plot_panel *panel, const mica_plot_series *s,
                        int color, plot_axis xs, plot_axis ys, double width, double height) {
  fprintf(text, "<path class=\"line%s c%d\" d=\"", s->faint ? " faint" : "", color);
  bool pen = false;
  for (int64_t i = 0; i < s->count; i++) {
    double y = transformed(panel, s->y[i]);
    if (!isfinite(y) || !isfinite(s->x[i])) {
      pen = false;
      continue;
    }
    y = y < ys.least ? ys.least : y > ys.most ? ys.most : y;
    fprintf(text, "%c%.1f %.1f", pen ? 'L' : 'M',
            LEFT + width * (s->x[i] - xs.least) / (xs.most - xs.least),
            TOP + height * (ys.most - y) / (ys.most - ys.least));
    pen = true;
  }
  fputs_to(text, "\"/>\n");
  for (int64_t i = 0; s->marked && i < s->count; i++) {
    double y = transformed(panel, s->y[i]);
    if (!isfinite(y) || !isfinite(s->x[i])) continue;
    fprintf(text, "<circle class=\"dot c%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"><title>", color,
            LEFT + width * (s->x[i] - xs.least) / (xs.most - xs.least),
            TOP + height * (ys.most - y) / (ys.most - ys.least));
    escaped(text, s->name);
    fprintf(text, ": %.5g at %.6g</title></circle>\n", s->y[i], s->x[i]);
  }
}

static void draw_panel(FILE *text, const mica_plot_panel *panel) {
  double x_least = INFINITY, x_most = -INFINITY, y_least = INFINITY, y_most = -INFINITY;
  for (int64_t k = 0; k < panel->series_count; k++)
    for (int64_t i = 0; i < panel->series[k].count; i++) {
      double x = panel->series[k].x[i], y = transformed(panel, panel->series[k].y[i]);
      if (!isfinite(x) || !isfinite(y)) continue;
      x_least = fmin(x_least, x), x_most = fmax(x_most, x);
      if (panel->series[k].faint) continue; /* raw values may leave the picture */
      y_least = fmin(y_least, y), y_most = fmax(y_most, y);
    }
  if (panel->y_least < panel->y_most)
    y_least = transformed(panel, panel->y_least), y_most = transformed(panel, panel->y_most);
  plot_axis xs = axis_for(x_least, x_most, 6, true),
            ys = axis_for(y_least, y_most, 6, panel->log_y);
  double width = PANEL_WIDTH - LEFT - RIGHT, height = PANEL_HEIGHT - TOP - BOTTOM;
  draw_axes(text, panel, xs, ys, width, height);
  for (int pass = 0; pass < 2; pass++) /* faint ones lie behind */
    for (int64_t k = 0; k < panel->series_count; k++)
      if (panel->series[k].faint == !pass)
        draw_series(text, panel, &panel->series[k], (int)(k % PALETTE), xs, ys, width, height);
  double at = PANEL_WIDTH - RIGHT;
  for (int64_t k = panel->series_count; k-- > 0;) { /* the legend, from the right */
    if (!panel->series[k].name) continue;
    at -= 7.0 * (double)strlen(panel->series[k].name);
    label(text, at, TOP - 16, "tick", panel->series[k].name);
    at -= 24;
    fprintf(text, "<path class=\"line%s c%d\" d=\"M%.1f %dh18\"/>\n",
            panel->series[k].faint ? " faint" : "", (int)(k % PALETTE), at, TOP - 20);
    at -= 12;
  }
}

mica_status mica_plot_svg(const char *path, const char *title, const mica_plot_panel *panels,
                          int64_t panel_count, mica_error *error) {
  if (!path || !panels || panel_count < 1 || panel_count > 64)
    return mica_error_set(error, MICA_INVALID, "plot_svg: expected a path and 1 to 64 panels");
  size_t length = strlen(path) + 8;
  char *temporary = malloc(length);
  if (!temporary) return mica_error_set(error, MICA_OUT_OF_MEMORY, "plot_svg: out of memory");
  snprintf(temporary, length, "%s.part", path);
  FILE *text = fopen(temporary, "w");
  if (!text) {
    int code = errno;
    free(temporary);
    return mica_error_set(error, MICA_IO, "plot_svg: \"%s\" cannot be written: %s", path,
                          strerror(code));
  }
  int width = PANEL_WIDTH * (int)panel_count, height = HEAD + PANEL_HEIGHT;
  fprintf(text,
          "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
          "height=\"%d\" role=\"img\">\n<title>",
          width, height, width, height);
  escaped(text, title);
  fputs_to(text,
           "</title>\n<style>\n"
           "svg{--paper:#fff;--ink:#1f2430;--soft:#667;--rule:#e4e7ee;background:var(--paper);"
           "font-family:system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif}\n"
           "@media(prefers-color-scheme:dark){svg{--paper:#14161c;--ink:#e8eaf0;--soft:#9aa3b5;--"
           "rule:#2a2f3a}}\n"
           ".paper{fill:var(--paper)}.head{font-size:18px;font-weight:600;fill:var(--ink)}.panel{"
           "font-size:14px;font-weight:600;fill:var(--ink)}"
           ".label{font-size:12px;fill:var(--soft)}.tick{font-size:12px;fill:var(--soft)}.middle{"
           "text-anchor:middle}.end{text-anchor:end}"
           ".grid{stroke:var(--rule);fill:none}.axis{stroke:var(--soft);fill:none}"
           ".line{fill:none;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}.faint{"
           "stroke-width:1;opacity:.35}\n"
           ".line.c0{stroke:#0072b2}.line.c1{stroke:#e69f00}.line.c2{stroke:#009e73}.line.c3{"
           "stroke:#d55e00}.line.c4{stroke:#cc79a7}.line.c5{stroke:#56b4e9}\n"
           ".dot{stroke:var(--paper);stroke-width:1.5}.dot.c0{fill:#0072b2}.dot.c1{fill:#e69f00}."
           "dot.c2{fill:#009e73}.dot.c3{fill:#d55e00}"
           ".dot.c4{fill:#cc79a7}.dot.c5{fill:#56b4e9}\n</style>\n");
  fprintf(text, "<rect class=\"paper\" width=\"%d\" height=\"%d\"/>\n", width, height);
  label(text, LEFT, 30, "head", title);
  for (int64_t i = 0; i < panel_count; i++) {
    fprintf(text, "<g transform=\"translate(%d %d)\">\n", PANEL_WIDTH * (int)i, HEAD);
    draw_panel(text, &panels[i]);
    fputs_to(text, "</g>\n");
  }
  fputs_to(text, "</svg>\n");
  bool failed = ferror(text) != 0;
  failed = fclose(text) != 0 || failed || rename(temporary, path) != 0;
  int code = errno;
  if (failed) remove(temporary);
  free(temporary);
  return failed ? mica_error_set(error, MICA_IO, "plot_svg: \"%s\" cannot be written: %s", path,
                                 strerror(code))
                : MICA_OK;
}
