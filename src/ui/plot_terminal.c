/* SPDX-License-Identifier: Apache-2.0 */
/* plot_terminal.c: line plots as text. A character of braille has 2 x 4 dots, which draw the curves;
 * where neither colors nor braille can tell them apart, each curve has a letter of its own. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ui/plot_internal.h"

typedef struct {
  int columns, lines; /* of the picture, without axes */
  bool braille;
  unsigned char *dots; /* [lines, columns] which of the eight; or the curve's letter */
  signed char *colors; /* [lines, columns] */
} canvas;

static const char letters[] = "*o+x#@%&";
static const int ansi_colors[MICA_PLOT_COLORS] = {34, 33, 32, 31, 35, 36, 93, 95};

/* x, y in dots from the upper left corner. */
static void set_dot(canvas *c, int x, int y, int color, char letter) {
  static const unsigned char bits[4][2] = {{1, 8}, {2, 16}, {4, 32}, {64, 128}};
  int across = c->braille ? 2 : 1, down = c->braille ? 4 : 1;
  if (x < 0 || y < 0 || x >= c->columns * across || y >= c->lines * down) return;
  int at = y / down * c->columns + x / across;
  if (c->braille)
    c->dots[at] |= bits[y % 4][x % 2];
  else
    c->dots[at] = (unsigned char)letter;
  c->colors[at] = (signed char)color;
}

static void draw_stroke(canvas *c, double x0, double y0, double x1, double y1, int color,
                        char letter) {
  double steps = fmax(fmax(fabs(x1 - x0), fabs(y1 - y0)), 1);
  if (steps > 20000) steps = 20000;
  for (int i = 0; i <= (int)steps; i++) {
    double t = i / steps;
    set_dot(c, (int)floor(x0 + (x1 - x0) * t + 0.5), (int)floor(y0 + (y1 - y0) * t + 0.5), color,
            letter);
  }
}

static void draw_curve(canvas *c, const mica_plot_series *s, mica_plot_axis xs, mica_plot_axis ys,
                       int color, char letter) {
  double right = c->columns * (c->braille ? 2 : 1) - 1,
         bottom = c->lines * (c->braille ? 4 : 1) - 1;
  double last_x = 0, last_y = 0;
  bool pen = false;
  for (int64_t i = 0; i < s->count; i++) {
    double y = mica_plot_scaled(&ys, s->y[i]);
    if (!isfinite(y) || !isfinite(s->x[i])) {
      pen = false;
      continue;
    }
    y = fmin(fmax(y, ys.least), ys.most);
    double at_x = right * (s->x[i] - xs.least) / (xs.most - xs.least);
    double at_y = bottom * (ys.most - y) / (ys.most - ys.least);
    if (!pen) last_x = at_x, last_y = at_y;
    draw_stroke(c, last_x, last_y, at_x, at_y, color, letter);
    last_x = at_x, last_y = at_y, pen = true;
  }
}

/* One line of the picture, without blanks at its end; colors are switched where they change. */
static void put_line(mica_ui_text *out, const canvas *c, int line, bool color) {
  const unsigned char *dots = c->dots + line * c->columns;
  int end = c->columns, now = -1;
  while (end > 0 && !dots[end - 1]) end--;
  for (int i = 0; i < end; i++) {
    int wanted = c->colors[line * c->columns + i];
    if (color && dots[i] && wanted != now)
      mica_ui_format(out, "\033[%dm", ansi_colors[now = wanted]);
    if (!dots[i]) {
      mica_ui_string(out, " ");
    } else if (c->braille) { /* U+2800 and the dots */
      unsigned code = 0x2800u + dots[i];
      char utf8[3] = {(char)(0xE0 | code >> 12), (char)(0x80 | (code >> 6 & 63)),
                      (char)(0x80 | (code & 63))};
      mica_ui_bytes(out, utf8, 3);
    } else {
      mica_ui_bytes(out, &dots[i], 1);
    }
  }
  if (now >= 0) mica_ui_string(out, "\033[0m");
  mica_ui_string(out, "\n");
}

enum { AXIS_WIDTH = 9 };

/* Title and legend: "loss   -- train  -- test". */
static void put_head(mica_ui_text *out, const mica_plot_panel *panel, int width, bool color,
                     bool unicode, bool braille) {
  size_t used = AXIS_WIDTH + 1;
  mica_ui_format(out, "%*s", AXIS_WIDTH + 1, "");
  if (color) mica_ui_string(out, "\033[1m");
  mica_ui_string(out, panel->title ? panel->title : "");
  if (color) mica_ui_string(out, "\033[0m");
  used += mica_ui_columns(panel->title ? panel->title : "");
  for (int64_t k = 0; k < panel->series_count; k++) {
    const mica_plot_series *s = &panel->series[k];
    if (!s->name || !*s->name) continue;
    size_t needed = 5 + mica_ui_columns(s->name);
    if (used + needed > (size_t)width) {
      mica_ui_format(out, "\n%*s", AXIS_WIDTH - 2, "");
      used = AXIS_WIDTH - 2;
    }
    used += needed;
    mica_ui_string(out, "   ");
    if (color) mica_ui_format(out, "\033[%dm", ansi_colors[mica_plot_color(s, k)]);
    if (braille)
      mica_ui_string(out, unicode ? "━" : "-");
    else
      mica_ui_bytes(out, &letters[k % 8], 1);
    if (color) mica_ui_string(out, "\033[0m");
    mica_ui_string(out, " ");
    mica_ui_string(out, s->name);
  }
  mica_ui_string(out, "\n");
}

/* Numbers below the axis, each in the middle under its tick, left out where they would touch. */
static void put_x_axis(mica_ui_text *out, const mica_plot_panel *panel, const mica_plot_axis *xs,
                       int columns, bool unicode) {
  double ticks[24];
  char numbers[1024];
  int count = mica_plot_ticks(xs, ticks), free_from = 0;
  memset(numbers, ' ', sizeof numbers);
  mica_ui_format(out, "%*s%s", AXIS_WIDTH, "", unicode ? "└" : "+");
  int next = 0;
  for (int i = 0; i < columns; i++) {
    bool tick = false;
    while (next < count &&
           (int)floor((columns - 1) * (ticks[next] - xs->least) / (xs->most - xs->least) + 0.5) <=
               i)
      tick = true, next++;
    mica_ui_string(out, unicode ? (tick ? "┬" : "─") : tick ? "+" : "-");
  }
  mica_ui_string(out, "\n");
  int last = 0;
  for (int i = 0; i < count; i++) {
    char number[64];
    mica_ui_number_text(mica_plot_shown(xs, ticks[i]), 6, number, sizeof number);
    int length = (int)strlen(number);
    int at = AXIS_WIDTH + 1 - length / 2 +
             (int)floor((columns - 1) * (ticks[i] - xs->least) / (xs->most - xs->least) + 0.5);
    if (at < free_from || at + length > AXIS_WIDTH + 1 + columns + 4) continue;
    memcpy(numbers + at, number, (size_t)length);
    last = at + length, free_from = last + 2;
  }
  mica_ui_bytes(out, numbers, (size_t)last);
  if (panel->x_label && *panel->x_label)
    mica_ui_string(out, "  "), mica_ui_string(out, panel->x_label);
  mica_ui_string(out, "\n");
}

static bool put_panel(mica_ui_text *out, const mica_plot_panel *panel, int width, int height,
                      bool color, bool unicode) {
  canvas c = {.columns = width - AXIS_WIDTH - 2, .lines = height};
  int64_t curves = 0;
  for (int64_t k = 0; k < panel->series_count; k++) curves += !panel->series[k].faint;
  c.braille = unicode && (color || curves < 2);
  size_t cells = (size_t)c.columns * (size_t)c.lines;
  c.dots = calloc(cells, 1), c.colors = calloc(cells, 1);
  bool made = c.dots && c.colors;
  if (made) {
    mica_plot_axis xs, ys;
    mica_plot_axes(panel, width / 12, height / 2, &xs, &ys);
    for (int64_t k = 0; k < panel->series_count; k++)
      if (!panel->series[k].faint || curves == 0)
        draw_curve(&c, &panel->series[k], xs, ys, mica_plot_color(&panel->series[k], k),
                   letters[k % 8]);
    put_head(out, panel, width, color, unicode, c.braille);
    double ticks[24];
    int count = mica_plot_ticks(&ys, ticks);
    for (int line = 0; line < c.lines; line++) {
      char number[64] = "";
      for (int i = 0; i < count; i++) /* the tick that falls into this line */
        if ((int)floor((c.lines - 1) * (ys.most - ticks[i]) / (ys.most - ys.least) + 0.5) == line &&
            !*number)
          mica_ui_number_text(mica_plot_shown(&ys, ticks[i]), 4, number, sizeof number);
      mica_ui_format(out, "%*s%s", AXIS_WIDTH, number,
                     unicode   ? (*number ? "┤" : "│")
                     : *number ? "+"
                               : "|");
      put_line(out, &c, line, color);
    }
    put_x_axis(out, panel, &xs, c.columns, unicode);
  }
  free(c.dots), free(c.colors);
  return made;
}

mica_status mica_plot_terminal(FILE *out, const mica_plot_panel *panels, int64_t panel_count,
                               const mica_plot_terminal_options *options, mica_error *error) {
  mica_plot_terminal_options o = {0};
  if (options)
    memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
  if (!out || !panels || panel_count < 1)
    return mica_error_set(error, MICA_INVALID, "plot_terminal: expected a file and panels");
  int width = o.width, height = o.height ? o.height : 12;
  if (width == 0) width = mica_ui_terminal_width(out) < 100 ? mica_ui_terminal_width(out) : 100;
  width = width < 30 ? 30 : width > 500 ? 500 : width;
  height = height < 3 ? 3 : height > 200 ? 200 : height;
  bool color = o.color ? o.color > 0 : mica_ui_wants_color(out);
  bool unicode = o.unicode ? o.unicode > 0 : mica_ui_wants_unicode();
  mica_ui_text text = {0};
  for (int64_t i = 0; i < panel_count; i++) {
    if (i) mica_ui_string(&text, "\n");
    if (!put_panel(&text, &panels[i], width, height, color, unicode)) text.failed = true;
  }
  mica_status status = MICA_OK;
  if (text.failed)
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "plot_terminal: out of memory");
  else if (fwrite(text.bytes, 1, text.size, out) != text.size)
    status = mica_error_set(error, MICA_IO, "plot_terminal: the text cannot be written");
  mica_ui_free(&text);
  return status;
}
