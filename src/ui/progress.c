/* SPDX-License-Identifier: Apache-2.0 */
/* progress.c: one line that says how far, how fast and how long yet. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mica/ui.h"

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
static bool is_terminal(FILE *file) { return isatty(fileno(file)) != 0; }
#else
static bool is_terminal(FILE *file) { return (void)file, false; }
#endif

static int64_t ui_clock(void) {
  struct timespec now;
#if defined(CLOCK_MONOTONIC)
  clock_gettime(CLOCK_MONOTONIC, &now);
#else
  timespec_get(&now, TIME_UTC);
#endif
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void mica_progress_begin(mica_progress *p, FILE *out, const char *title, int64_t total) {
  *p = (mica_progress){.out = out, .total = total > 0 ? total : 1, .began_ns = ui_clock()};
  snprintf(p->title, sizeof p->title, "%s", title ? title : "");
  p->terminal = out && is_terminal(out);
  const char *no_color = getenv("NO_COLOR"); /* https://no-color.org: set and not empty */
  p->color = p->terminal && !(no_color && *no_color);
}

void mica_progress_pause(mica_progress *p) {
  if (!p->pause_began_ns) p->pause_began_ns = ui_clock();
}
void mica_progress_resume(mica_progress *p) {
  if (p->pause_began_ns) p->paused_ns += ui_clock() - p->pause_began_ns;
  p->pause_began_ns = 0;
}
double mica_progress_seconds(const mica_progress *p) {
  int64_t now = p->pause_began_ns ? p->pause_began_ns : ui_clock();
  return (double)(now - p->began_ns - p->paused_ns) * 1e-9;
}

static void format_time(double seconds, char *text, size_t size) {
  if (seconds < 0 || seconds > 359999)
    snprintf(text, size, "--:--");
  else if (seconds < 3600)
    snprintf(text, size, "%02d:%02d", (int)seconds / 60, (int)seconds % 60);
  else
    snprintf(text, size, "%d:%02d:%02d", (int)seconds / 3600, (int)seconds / 60 % 60,
             (int)seconds % 60);
}

void mica_progress_update(mica_progress *p, int64_t done, const char *metrics) {
  if (!p->out) return;
  int64_t now = ui_clock(), tenth = done * 10 / p->total;
  bool last = done >= p->total;
  if (p->terminal ? !last && now - p->drawn_ns < 100000000 : tenth == p->printed_tenth) return;
  p->drawn_ns = now;
  p->printed_tenth = tenth;
  double seconds = mica_progress_seconds(p), rate = seconds > 0 ? (double)done / seconds : 0;
  double left = rate > 0 ? (double)(p->total - done) / rate : -1;
  char left_text[32], bar[128] = "";
  format_time(left, left_text, sizeof left_text);
  if (p->terminal) {
    enum { CELLS = 20 };
    int filled = (int)(done * CELLS / p->total);
    size_t at = 0;
    for (int i = 0; i < CELLS; i++)
      at += (size_t)snprintf(bar + at, sizeof bar - at, "%s", i < filled ? "━" : "┈");
    fprintf(p->out, "\r\033[K%s%s%s %s%s%s %3d %%  %.1f steps/s  %s left  %s",
            p->color ? "\033[1m" : "", p->title, p->color ? "\033[0m" : "",
            p->color ? "\033[36m" : "", bar, p->color ? "\033[0m" : "",
            (int)(100 * done / p->total), rate, left_text, metrics ? metrics : "");
  } else {
    fprintf(p->out, "%s %3d %%  %.1f steps/s  %s left  %s\n", p->title,
            (int)(100 * done / p->total), rate, left_text, metrics ? metrics : "");
  }
  fflush(p->out);
}

void mica_progress_end(mica_progress *p) {
  if (p->out && p->terminal) fprintf(p->out, "\n");
  if (p->out) fflush(p->out);
}
