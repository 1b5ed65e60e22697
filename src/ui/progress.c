/* SPDX-License-Identifier: Apache-2.0 */
/* progress.c: one line that says how far, how fast and how long yet. It is cut to the terminal's width
 * as it is at that moment, so that no line wraps and a window may change its size. */
#include <string.h>

#include "ui/ui_internal.h"

void mica_progress_begin(mica_progress *p, FILE *out, const char *title, int64_t total) {
  *p = (mica_progress){.out = out, .total = total > 0 ? total : 0, .began_ns = mica_ui_clock()};
  snprintf(p->title, sizeof p->title, "%s", title ? title : "");
  p->terminal = mica_ui_is_terminal(out);
  p->color = p->terminal && mica_ui_wants_color(out);
}

void mica_progress_pause(mica_progress *p) {
  if (!p->pause_began_ns) p->pause_began_ns = mica_ui_clock();
}
void mica_progress_resume(mica_progress *p) {
  if (p->pause_began_ns) p->paused_ns += mica_ui_clock() - p->pause_began_ns;
  p->pause_began_ns = 0;
}
double mica_progress_seconds(const mica_progress *p) {
  int64_t now = p->pause_began_ns ? p->pause_began_ns : mica_ui_clock();
  return (double)(now - p->began_ns - p->paused_ns) * 1e-9;
}

static void put_time(mica_ui_text *line, double seconds) {
  if (!(seconds >= 0 && seconds <= 359999)) {
    mica_ui_string(line, "--:--");
    return;
  }
  int whole = (int)seconds;
  if (whole >= 3600) mica_ui_format(line, "%d:", whole / 3600);
  mica_ui_format(line, "%02d:%02d", whole / 60 % 60, whole % 60);
}

/* "1234.5", "0.125" steps a second: slow ones keep their digits. */
static void put_rate(mica_ui_text *line, double rate) {
  if (rate >= 1)
    mica_ui_fixed(line, rate, 1);
  else
    mica_ui_number(line, rate, 2);
  mica_ui_string(line, " steps/s");
}

/* At most `width` columns of UTF-8; color codes take none, and are closed at the end. */
static void put_cut(mica_ui_text *out, const char *text, size_t width, bool color) {
  size_t used = 0, size = strlen(text);
  if (mica_ui_columns(text) <= width) {
    mica_ui_bytes(out, text, size);
    return;
  }
  for (size_t i = 0, length; i < size && used + 1 < width; i += length) {
    length = mica_ui_utf8(text + i, size - i);
    if (length == 0) length = 1;
    if (text[i] == '\033')
      while (i + length < size && text[i + length - 1] != 'm') length++;
    else
      used++;
    mica_ui_bytes(out, text + i, length);
  }
  if (color) mica_ui_string(out, "\033[0m");
  if (width > 0) mica_ui_string(out, mica_ui_wants_unicode() ? "…" : ">");
}

enum { MOST_CELLS = 20, LEAST_CELLS = 8, WIDE = 60 };

static void put_bar(mica_ui_text *line, double done, int cells, bool color) {
  bool unicode = mica_ui_wants_unicode();
  if (color) mica_ui_string(line, "\033[36m");
  for (int i = 0; i < cells; i++)
    mica_ui_string(line, i < (int)(done * cells) ? (unicode ? "━" : "#") : unicode ? "┈" : ".");
  if (color) mica_ui_string(line, "\033[0m");
  mica_ui_string(line, " ");
}

/* Whether now is the time for a line: on a terminal ten times a second, elsewhere at each tenth of the
 * way, or, where nobody knows how long that is, whenever twice as much is done. */
static bool is_due(mica_progress *p, int64_t done, int64_t now) {
  if (p->terminal) return (p->total && done >= p->total) || now - p->drawn_ns >= 100000000;
  if (!p->total) {
    if (done < 2 * p->printed_tenth || done < 1) return false;
    p->printed_tenth = done;
    return true;
  }
  int64_t tenth = (int64_t)((double)done * 10 / (double)p->total);
  if (tenth == p->printed_tenth) return false;
  p->printed_tenth = tenth;
  return true;
}

static void put_line(mica_ui_text *line, const mica_progress *p, int64_t done, double part,
                     double rate, const char *metrics, int cells) {
  if (p->color) mica_ui_string(line, "\033[1m");
  mica_ui_string(line, p->title);
  if (p->color) mica_ui_string(line, "\033[0m");
  mica_ui_string(line, " ");
  if (cells > 0) put_bar(line, part, cells, p->color);
  if (p->total)
    mica_ui_format(line, "%3d %%  ", (int)(100 * part));
  else
    mica_ui_format(line, "%lld  ", (long long)done);
  put_rate(line, rate);
  if (p->total) {
    mica_ui_string(line, "  ");
    put_time(line, rate > 0 ? (double)(p->total - done) / rate : -1);
    mica_ui_string(line, " left");
  }
  if (metrics && *metrics) mica_ui_string(line, "  "), mica_ui_string(line, metrics);
}

void mica_progress_update(mica_progress *p, int64_t done, const char *metrics) {
  int64_t now = mica_ui_clock();
  if (!p->out || !is_due(p, done, now)) return;
  p->drawn_ns = now;
  double seconds = mica_progress_seconds(p), rate = seconds > 0 ? (double)done / seconds : 0;
  double part = p->total ? (double)done / (double)p->total : 0;
  if (part > 1) part = 1;
  mica_ui_text line = {0}, out = {0};
  size_t width = p->terminal ? (size_t)mica_ui_terminal_width(p->out) : 0;
  int cells = p->terminal && p->total ? MOST_CELLS : 0;
  put_line(&line, p, done, part, rate, metrics, cells);
  if (cells > 0 && !line.failed && mica_ui_columns(line.bytes) >= width) { /* the bar gives way */
    size_t over = mica_ui_columns(line.bytes) + 1 - width;
    int least = width >= WIDE ? LEAST_CELLS : 0;
    cells = over < MOST_CELLS ? MOST_CELLS - (int)over : 0;
    mica_ui_free(&line);
    put_line(&line, p, done, part, rate, metrics, cells < least ? least : cells);
  }
  if (!line.failed && p->terminal) {
    mica_ui_string(&out, "\r\033[K");
    put_cut(&out, line.bytes, width > 1 ? width - 1 : 0, p->color); /* the last column wraps */
  } else if (!line.failed) {
    mica_ui_format(&out, "%s\n", line.bytes);
  }
  if (!out.failed && out.bytes) fwrite(out.bytes, 1, out.size, p->out);
  fflush(p->out);
  mica_ui_free(&line), mica_ui_free(&out);
}

void mica_progress_end(mica_progress *p) {
  if (p->out && p->terminal) fwrite("\n", 1, 1, p->out);
  if (p->out) fflush(p->out);
}
