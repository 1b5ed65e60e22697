/* SPDX-License-Identifier: Apache-2.0 */
/* plot.c: line plots as one SVG file: no script, no font, no server. Colors are CSS variables that
 * switch with the viewer's light or dark scheme; the palette begins with Okabe and Ito's (2008), told
 * apart by color-blind readers too. */
#include <math.h>
#include <string.h>

#include "ui/plot_internal.h"

enum { PANEL_WIDTH = 520, PANEL_HEIGHT = 330, LEGEND_LINE = 18 };
/* No enumerators: newer compilers warn where those meet floating point. */
static const int LEFT = 66, RIGHT = 18, TOP = 40, BOTTOM = 52;

static void svg_label(mica_ui_text *out, double x, double y, const char *class_name,
                      const char *string) {
  mica_ui_string(out, "<text x=\"");
  mica_ui_fixed(out, x, 1);
  mica_ui_string(out, "\" y=\"");
  mica_ui_fixed(out, y, 1);
  mica_ui_format(out, "\" class=\"%s\">", class_name);
  mica_ui_xml(out, string);
  mica_ui_string(out, "</text>\n");
}

/* "M1.5 2", the beginning of a path's data. */
static void svg_point(mica_ui_text *out, char command, double x, double y) {
  mica_ui_bytes(out, &command, 1);
  mica_ui_fixed(out, x, 1);
  mica_ui_string(out, " ");
  mica_ui_fixed(out, y, 1);
}

typedef struct {
  mica_ui_text *out;
  const mica_plot_panel *panel;
  mica_plot_axis xs, ys;
  double top, width, height;
} svg_panel;

static double x_of(const svg_panel *p, double x) {
  return LEFT + p->width * (x - p->xs.least) / (p->xs.most - p->xs.least);
}
static double y_of(const svg_panel *p, double y) {
  y = y < p->ys.least ? p->ys.least : y > p->ys.most ? p->ys.most : y;
  return p->top + p->height * (p->ys.most - y) / (p->ys.most - p->ys.least);
}

static void draw_axes(const svg_panel *p) {
  double ticks[24], bottom = p->top + p->height;
  char number[64];
  int count = mica_plot_ticks(&p->ys, ticks);
  for (int i = 0; i < count; i++) {
    mica_ui_string(p->out, "<path class=\"grid\" d=\"");
    svg_point(p->out, 'M', LEFT, y_of(p, ticks[i]));
    mica_ui_string(p->out, "h");
    mica_ui_fixed(p->out, p->width, 1);
    mica_ui_string(p->out, "\"/>\n");
    mica_ui_number_text(mica_plot_shown(&p->ys, ticks[i]), 4, number, sizeof number);
    svg_label(p->out, LEFT - 8, y_of(p, ticks[i]) + 4, "tick end", number);
  }
  count = mica_plot_ticks(&p->xs, ticks);
  for (int i = 0; i < count; i++) {
    mica_ui_string(p->out, "<path class=\"axis\" d=\"");
    svg_point(p->out, 'M', x_of(p, ticks[i]), bottom);
    mica_ui_string(p->out, "v5\"/>\n");
    mica_ui_number_text(mica_plot_shown(&p->xs, ticks[i]), 6, number, sizeof number);
    svg_label(p->out, x_of(p, ticks[i]), bottom + 20, "tick middle", number);
  }
  mica_ui_string(p->out, "<path class=\"axis\" d=\"");
  svg_point(p->out, 'M', LEFT, bottom);
  mica_ui_string(p->out, "h");
  mica_ui_fixed(p->out, p->width, 1);
  mica_ui_string(p->out, "\"/>\n");
  svg_label(p->out, LEFT + p->width / 2, bottom + 40, "label middle", p->panel->x_label);
  mica_ui_string(p->out, "<g transform=\"translate(14 ");
  mica_ui_fixed(p->out, p->top + p->height / 2, 1);
  mica_ui_string(p->out, ") rotate(-90)\">");
  svg_label(p->out, 0, 0, "label middle", p->panel->y_label);
  mica_ui_string(p->out, "</g>\n");
}

static void draw_series(const svg_panel *p, const mica_plot_series *s, int color) {
  mica_ui_format(p->out, "<path class=\"line%s%s c%d\" d=\"", s->faint ? " faint" : "",
                 s->dashed ? " dash" : "", color);
  bool pen = false;
  for (int64_t i = 0; i < s->count; i++) {
    double y = mica_plot_scaled(&p->ys, s->y[i]);
    if (!isfinite(y) || !isfinite(s->x[i])) {
      pen = false;
      continue;
    }
    svg_point(p->out, pen ? 'L' : 'M', x_of(p, s->x[i]), y_of(p, y));
    pen = true;
  }
  mica_ui_string(p->out, "\"/>\n");
  for (int64_t i = 0; s->marked && i < s->count; i++) {
    double y = mica_plot_scaled(&p->ys, s->y[i]);
    if (!isfinite(y) || !isfinite(s->x[i])) continue;
    mica_ui_format(p->out, "<circle class=\"dot c%d\" r=\"4\" cx=\"", color);
    mica_ui_fixed(p->out, x_of(p, s->x[i]), 1);
    mica_ui_string(p->out, "\" cy=\"");
    mica_ui_fixed(p->out, y_of(p, y), 1);
    mica_ui_string(p->out, "\"><title>");
    mica_ui_xml(p->out, s->name);
    mica_ui_string(p->out, ": ");
    mica_ui_number(p->out, s->y[i], 5);
    mica_ui_string(p->out, " at ");
    mica_ui_number(p->out, s->x[i], 6);
    mica_ui_string(p->out, "</title></circle>\n");
  }
}

/* The legend from the left below the title, in as many lines as it needs; out NULL: only counts them. */
static int draw_legend(mica_ui_text *out, const mica_plot_panel *panel) {
  double at = LEFT;
  int lines = 0;
  for (int64_t k = 0; k < panel->series_count; k++) {
    const mica_plot_series *s = &panel->series[k];
    if (!s->name || !*s->name) continue;
    double width = 24 + 6.8 * (double)mica_ui_columns(s->name) + 16;
    if (lines == 0) lines = 1;
    if (at > LEFT && at + width - 16 > PANEL_WIDTH - RIGHT) at = LEFT, lines++;
    double y = TOP + LEGEND_LINE * lines - 8;
    if (out) {
      mica_ui_format(out, "<path class=\"line%s%s c%d\" d=\"", s->faint ? " faint" : "",
                     s->dashed ? " dash" : "", mica_plot_color(s, k));
      svg_point(out, 'M', at, y - 4);
      mica_ui_string(out, "h18\"/>\n");
      svg_label(out, at + 24, y, "tick", s->name);
    }
    at += width;
  }
  return lines;
}

static void draw_panel(mica_ui_text *out, const mica_plot_panel *panel, int legend_lines) {
  svg_panel p = {.out = out, .panel = panel};
  p.top = TOP + LEGEND_LINE * legend_lines;
  p.width = PANEL_WIDTH - LEFT - RIGHT, p.height = PANEL_HEIGHT - TOP - BOTTOM;
  mica_plot_axes(panel, 6, 6, &p.xs, &p.ys);
  svg_label(out, LEFT, TOP - 14, "panel", panel->title);
  draw_axes(&p);
  for (int pass = 0; pass < 2; pass++) /* faint ones lie behind */
    for (int64_t k = 0; k < panel->series_count; k++)
      if (panel->series[k].faint == !pass)
        draw_series(&p, &panel->series[k], mica_plot_color(&panel->series[k], k));
  draw_legend(out, panel);
}

static const char *const svg_style[] = {
    "svg{--paper:#fff;--ink:#1f2430;--soft:#667085;--rule:#e4e7ee;--c0:#0072b2;--c1:#e69f00;",
    "--c2:#009e73;--c3:#d55e00;--c4:#cc79a7;--c5:#56b4e9;--c6:#8c6d31;--c7:#7f3c8d;",
    "background:var(--paper);",
    "font-family:system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif}\n",
    "@media(prefers-color-scheme:dark){svg{--paper:#14161c;--ink:#e8eaf0;--soft:#9aa3b5;",
    "--rule:#2a2f3a;--c0:#4aa3df;--c1:#f0b040;--c2:#2cc295;--c3:#f47f3a;--c4:#e295c0;",
    "--c5:#7cc8f2;--c6:#c2a05a;--c7:#b98ad0}}\n",
    ".paper{fill:var(--paper)}.head{font-size:18px;font-weight:600;fill:var(--ink)}",
    ".panel{font-size:14px;font-weight:600;fill:var(--ink)}",
    ".label,.tick{font-size:12px;fill:var(--soft)}.middle{text-anchor:middle}",
    ".end{text-anchor:end}.grid{stroke:var(--rule);fill:none}.axis{stroke:var(--soft);fill:none}",
    ".line{fill:none;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}",
    ".dash{stroke-dasharray:6 5}.faint{stroke-width:1;opacity:.35}",
    ".dot{stroke:var(--paper);stroke-width:1.5}\n",
    NULL};

mica_status mica_plot_svg(const char *path, const char *title, const mica_plot_panel *panels,
                          int64_t panel_count, mica_error *error) {
  return mica_plot_svg_in_columns(path, title, panels, panel_count, 0, error);
}

mica_status mica_plot_svg_in_columns(const char *path, const char *title,
                                     const mica_plot_panel *panels, int64_t panel_count,
                                     int32_t most_columns, mica_error *error) {
  enum { HEAD = 44 };
  if (!path || !panels || panel_count < 1 || panel_count > MICA_PLOT_MOST_PANELS)
    return mica_error_set(error, MICA_INVALID, "plot_svg: expected a path and 1 to %d panels",
                          MICA_PLOT_MOST_PANELS);
  mica_ui_text out = {0};
  int columns = panel_count == 4 ? 2 : panel_count < 3 ? (int)panel_count : 3, legend = 0;
  if (most_columns > 0 && columns > most_columns) columns = most_columns;
  int rows = ((int)panel_count + columns - 1) / columns;
  for (int64_t i = 0; i < panel_count; i++) {
    int lines = draw_legend(NULL, &panels[i]);
    if (lines > legend) legend = lines;
  }
  int panel_height = PANEL_HEIGHT + LEGEND_LINE * legend;
  int width = PANEL_WIDTH * columns, height = HEAD + panel_height * rows;
  mica_ui_format(&out,
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
                 "height=\"%d\" role=\"img\">\n<title>",
                 width, height, width, height);
  mica_ui_xml(&out, title);
  mica_ui_string(&out, "</title>\n<style>\n");
  mica_ui_strings(&out, svg_style);
  for (int i = 0; i < MICA_PLOT_COLORS; i++)
    mica_ui_format(&out, ".line.c%d{stroke:var(--c%d)}.dot.c%d{fill:var(--c%d)}", i, i, i, i);
  mica_ui_format(&out, "\n</style>\n<rect class=\"paper\" width=\"%d\" height=\"%d\"/>\n", width,
                 height);
  svg_label(&out, LEFT, 30, "head", title);
  for (int64_t i = 0; i < panel_count; i++) {
    mica_ui_format(&out, "<g transform=\"translate(%d %d)\">\n", PANEL_WIDTH * (int)(i % columns),
                   HEAD + panel_height * (int)(i / columns));
    draw_panel(&out, &panels[i], legend);
    mica_ui_string(&out, "</g>\n");
  }
  mica_ui_string(&out, "</svg>\n");
  return mica_ui_write_file("plot_svg", path, &out, error);
}
