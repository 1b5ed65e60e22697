/* SPDX-License-Identifier: Apache-2.0 */
/* What a person sees, as far as a program can tell: lines of progress when piped, the report's
 * numbers, plots that are well-formed and hold their curves. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "check.h"
#include "mica/ui.h"
#include "ui/ui_internal.h"

static char text[1 << 18];
static const char *contents(FILE *file) {
  rewind(file);
  size_t size = fread(text, 1, sizeof text - 1, file);
  text[size] = 0;
  return text;
}

TEST(progress_prints_lines_when_piped) {
  FILE *file = tmpfile();
  if (!CHECK(file)) return;
  mica_progress p;
  mica_progress_begin(&p, file, "training", 100);
  for (int i = 1; i <= 100; i++) mica_progress_update(&p, i, "loss 0.5");
  mica_progress_end(&p);
  const char *printed = contents(file);
  CHECK_STR_CONTAINS(printed, "training 100 %");
  CHECK_STR_CONTAINS(printed, "loss 0.5");
  CHECK(!strchr(printed, '\033') && !strchr(printed, '\r'));
  int lines = 0;
  for (const char *c = printed; *c; c++) lines += *c == '\n';
  CHECK_EQ_INT(lines, 10);
  CHECK(mica_progress_seconds(&p) >= 0);
  mica_progress_pause(&p);
  double at = mica_progress_seconds(&p);
  CHECK_NEAR(mica_progress_seconds(&p), at, 0);
  mica_progress_resume(&p);
  fclose(file);
  mica_progress_begin(&p, NULL, "quiet", 0);
  mica_progress_update(&p, 1, NULL), mica_progress_end(&p);
}

/* A pseudo-terminal and its other end, which reads what is drawn; NULL: none can be had here. */
static FILE *open_terminal(int *host) {
  *host = posix_openpt(O_RDWR | O_NOCTTY);
  if (*host < 0 || grantpt(*host) != 0 || unlockpt(*host) != 0) {
    CHECK_SKIP("there are no pseudo-terminals here");
    if (*host >= 0) close(*host);
    return NULL;
  }
  FILE *file = fopen(ptsname(*host), "w");
  CHECK(file);
  return file;
}

/* On a terminal one line is drawn over and over, at most ten times a second, and its end always. */
TEST(progress_draws_a_bar_on_a_terminal) {
  int host;
  FILE *file = open_terminal(&host);
  if (!file) return;
  for (int color = 0; color < 2; color++) {
    setenv("NO_COLOR", color ? "" : "1", 1);
    mica_progress p;
    mica_progress_begin(&p, file, "training", 8);
    for (int i = 1; i <= 8; i++) mica_progress_update(&p, i, "loss 0.25");
    mica_progress_end(&p);
    /* A terminal hands over what is there: read on until the last line is whole. */
    size_t used = 0;
    for (const char *end = NULL; !end || !strstr(end, "loss 0.25"); end = strstr(text, "100 %")) {
      ssize_t size = read(host, text + used, sizeof text - 1 - used);
      if (size <= 0) break;
      text[used += (size_t)size] = 0;
    }
    text[used] = 0;
    CHECK_STR_CONTAINS(text, "\r\033[K");
    CHECK_STR_CONTAINS(text, "training");
    CHECK_STR_CONTAINS(text, "━━━━━━━━━━━━━━━━━━━━"); /* all 20 cells at the end */
    CHECK_STR_CONTAINS(text, "100 %");
    CHECK_STR_CONTAINS(text, "loss 0.25");
    CHECK((strstr(text, "\033[36m") != NULL) == (color == 1));
    int drawn = 0;
    for (const char *c = text; *c; c++) drawn += *c == '\r' && c[1] == '\033';
    CHECK(drawn >= 2 &&
          drawn < 8); /* the first, the last, and what fell into other tenths of seconds */
  }
  unsetenv("NO_COLOR");
  fclose(file);
  close(host);
}

/* Without a known end it counts; elsewhere than on a terminal at 1, 2, 4, 8, ... steps. */
TEST(progress_without_an_end_counts) {
  FILE *file = tmpfile();
  if (!CHECK(file)) return;
  mica_progress p;
  mica_progress_begin(&p, file, "reading", 0);
  for (int i = 1; i <= 100; i++) mica_progress_update(&p, i, NULL);
  mica_progress_end(&p);
  const char *printed = contents(file);
  int lines = 0;
  for (const char *c = printed; *c; c++) lines += *c == '\n';
  CHECK_EQ_INT(lines, 7);
  CHECK_STR_CONTAINS(printed, "reading 64  ");
  CHECK(!strstr(printed, "%"));
  fclose(file);
}

/* A line is never wider than the window, which may change, whatever the metrics are; colors are closed. */
TEST(progress_fits_the_window) {
  int host;
  FILE *file = open_terminal(&host);
  if (!file) return;
  static const unsigned short widths[] = {80, 40, 20, 1};
  setenv("LC_ALL", "C.UTF-8", 1);
  for (int i = 0; i < 4; i++) {
    struct winsize window = {.ws_row = 24, .ws_col = widths[i]};
    if (!CHECK(ioctl(host, TIOCSWINSZ, &window) == 0)) break;
    mica_progress p;
    mica_progress_begin(&p, file, "träining", 8);
    p.terminal = p.color = true;
    mica_progress_update(
        &p, 8,
        "löss 0.25  äccuracy 0.875  and much more than fits into any line of that width at all");
    mica_progress_end(&p);
    size_t used = 0;
    do {
      ssize_t size = read(host, text + used, sizeof text - 1 - used);
      if (size <= 0) break;
      text[used += (size_t)size] = 0;
    } while (!strchr(text, '\n'));
    /* Behind the clearing of the line and in front of the end, which a terminal makes "\r\n". */
    char *begin = strstr(text, "\033[K"), *end = begin ? strstr(begin, "\r\n") : NULL;
    if (!CHECK(end)) break;
    *end = 0;
    size_t columns = mica_ui_columns(begin + 3);
    CHECK(columns < widths[i] || widths[i] == 1);
    CHECK(columns + 2 > widths[i]); /* and no shorter than need be */
    if (widths[i] > 1) CHECK_STR_CONTAINS(begin, "…");
    CHECK((strstr(begin, "━") != NULL) ==
          (widths[i] == 80)); /* numbers are worth more than a bar */
    if (widths[i] == 40) CHECK_STR_CONTAINS(begin, "100 %");
    const char *color = NULL;
    for (const char *c = begin + 3; (c = strchr(c, '\033')); c++) color = c;
    if (widths[i] > 1) CHECK(color && !strncmp(color, "\033[0m", 4));
  }
  setenv("TERM", "dumb", 1);
  mica_progress p;
  mica_progress_begin(&p, file, "plain", 8);
  CHECK(p.terminal && !p.color);
  unsetenv("TERM"), unsetenv("LC_ALL");
  fclose(file);
  close(host);
}

TEST(tables_are_aligned) {
  FILE *file = tmpfile();
  if (!CHECK(file)) return;
  setenv("LC_ALL", "C.UTF-8", 1);
  mica_report_table(
      file, (const char *[]){"näme", "count", "note", "a", "1", "x", "longer", "12,345", NULL}, 3,
      3);
  mica_report_metrics(file, "evaluation", (mica_metric[]){{"loss", 0.5}, {"accuracy", 0.875}}, 2);
  mica_report_table(file, NULL, 3, 3);
  mica_report_table(NULL, NULL, 0, 0);
  CHECK_EQ_STR(contents(file),
               "näme     count  note\n"
               "────────────────────\n"
               "a            1  x\n"
               "longer  12,345\n"
               "evaluation\n"
               "  loss      0.5\n"
               "  accuracy  0.875\n");
  fclose(file);
  file = tmpfile();
  mica_runs *runs = NULL;
  const char *lines =
      "{\"step\":1,\"metrics\":{\"loss\":2}}\n{\"step\":5,\"metrics\":{\"loss\":0.5}}\n";
  CHECK_OK(mica_runs_create(&runs, NULL));
  CHECK_OK(mica_runs_add_lines(runs, "one", lines, strlen(lines), NULL));
  if (CHECK(file)) {
    mica_report_runs(file, runs);
    CHECK_EQ_STR(contents(file),
                 "run  metric  on            last     least  greatest\n"
                 "───────────────────────────────────────────────────\n"
                 "one  loss    training  0.5 at 5  0.5 at 5    2 at 1\n");
    fclose(file);
  }
  unsetenv("LC_ALL");
  mica_runs_destroy(runs);
}

TEST(report_counts) {
  FILE *file = tmpfile();
  if (!CHECK(file)) return;
  mica_report_classes(file, (const char *[]){"cat", "dog"}, (int64_t[]){8, 2, 1, 9}, 2);
  const char *printed = contents(file);
  CHECK_STR_CONTAINS(printed, "80.0%"); /* 8 of 10 cats */
  CHECK_STR_CONTAINS(printed, "90.0%");
  CHECK_STR_CONTAINS(printed, "88.9%"); /* 8 of 9 that were called cats */
  fclose(file);
}

TEST(plots_hold_their_curves) {
  double x[5] = {0, 1, 2, 3, 4}, y[5] = {1, 0.1, NAN, 0.02, 0.01};
  mica_plot_series series[2] = {
      {.name = "a<b>&", .x = x, .y = y, .count = 5},
      {.name = "dots", .x = x, .y = y, .count = 5, .marked = true, .faint = true}};
  mica_plot_panel panel = {.title = "loss",
                           .x_label = "epoch",
                           .y_label = "nats",
                           .series = series,
                           .series_count = 2,
                           .log_y = true};
  mica_error error = {0};
  if (!CHECK_OK_ERROR(mica_plot_svg("plot.svg", "title", &panel, 1, &error), &error)) return;
  FILE *file = fopen("plot.svg", "r");
  if (!CHECK(file)) return;
  const char *svg = contents(file);
  fclose(file);
  CHECK(!strncmp(svg, "<svg ", 5) && strstr(svg, "</svg>"));
  CHECK_STR_CONTAINS(svg, "a&lt;b&gt;&amp;");
  CHECK_STR_CONTAINS(svg, "prefers-color-scheme:dark");
  int dots = 0;
  for (const char *c = svg; (c = strstr(c, "<circle")); c++) dots++;
  CHECK_EQ_INT(dots, 4); /* the NaN has none */
  CHECK(!strstr(svg, "nan") && !strstr(svg, "inf"));
  CHECK_STATUS(mica_plot_svg("no/such/folder/plot.svg", "t", &panel, 1, &error), MICA_IO);
  CHECK_STR_CONTAINS(error.message, "no/such/folder");
  CHECK_STATUS(mica_plot_svg("plot.svg", "t", &panel, 0, &(mica_error){0}), MICA_INVALID);
  panel.series_count = 0; /* an empty panel is drawn too */
  CHECK_OK(mica_plot_svg("plot.svg", NULL, &panel, 1, &(mica_error){0}));
  remove("plot.svg");
}

TEST_MAIN(TEST_CASE(progress_prints_lines_when_piped),
          TEST_CASE(progress_draws_a_bar_on_a_terminal), TEST_CASE(progress_without_an_end_counts),
          TEST_CASE(progress_fits_the_window), TEST_CASE(tables_are_aligned),
          TEST_CASE(report_counts), TEST_CASE(plots_hold_their_curves))
