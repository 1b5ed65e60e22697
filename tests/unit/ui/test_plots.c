/* SPDX-License-Identifier: Apache-2.0 */
/* Plots of runs: the page holds its data as JSON that reads back, the live script follows, terminal
 * plots are what they should look like, thinning keeps the extremes. How pages look was seen in a
 * browser; here is what a program can tell. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/json.h"
#include "mica/ui.h"
#include "ui/plot_internal.h"

enum { SIZE = 1 << 20 };
static char text[SIZE];

static const char *contents(const char *path) {
  FILE *file = fopen(path, "rb");
  size_t size = file ? fread(text, 1, SIZE - 1, file) : 0;
  if (file) fclose(file);
  text[size] = 0;
  return text;
}

/* Two runs of `count` steps: loss and accuracy, evaluated at every tenth. */
static mica_runs *two_runs(int count) {
  mica_runs *runs = NULL;
  size_t size = (size_t)count * 300 + 1000;
  char *lines = malloc(size);
  mica_error error = {0};
  if (!lines || !CHECK_OK(mica_runs_create(&runs, &error))) return NULL;
  for (int r = 0; r < 2; r++) {
    size_t used = 0;
    for (int i = 0; i < count; i++) {
      double loss = (r + 1) * exp(-i / 20.0);
      used += (size_t)snprintf(lines + used, size - used,
                               "{\"step\":%d,\"epoch\":%g,\"seconds\":%g,\"kind\":\"train\","
                               "\"metrics\":{\"loss\":%.6g,\"a</script>\":%d}}\n",
                               i, i / 10.0, i * 0.5, loss, i);
      if (i % 10 == 9)
        used += (size_t)snprintf(
            lines + used, size - used,
            "{\"step\":%d,\"kind\":\"evaluation\",\"set\":\"test\",\"metrics\":{\"loss\":%s}}\n", i,
            i == 19 ? "\"NaN\"" : "0.5");
    }
    CHECK_OK_ERROR(mica_runs_add_lines(runs, r ? "second" : "first", lines, used, &error), &error);
  }
  free(lines);
  return runs;
}

static const mica_json *json_at(const mica_json *array, int64_t index) {
  const mica_json *child = array ? array->first : NULL;
  while (child && index-- > 0) child = child->next;
  return child;
}

TEST(pages_hold_their_data) {
  mica_runs *runs = two_runs(100);
  mica_error error = {0};
  const char *path = check_temporary_path("page.html");
  char script_path[4200];
  snprintf(script_path, sizeof script_path, "%s.js", path);
  remove(script_path);
  mica_plot_options o = {
      .struct_size = sizeof o, .title = "a </title> \"b\"", .smoothing = 0.5, .x = MICA_PLOT_EPOCH};
  if (!CHECK_OK_ERROR(mica_plot_runs_html(path, runs, &o, &error), &error)) return;
  FILE *script = fopen(script_path, "rb");
  CHECK(!script); /* only live pages have one */
  if (script) fclose(script);
  const char *page = contents(path);
  CHECK(!strncmp(page, "<!DOCTYPE html>", 15) && strstr(page, "</body></html>\n"));
  const char *begin = strstr(page, "id=\"data\">");
  if (!CHECK(begin)) return;
  begin += strlen("id=\"data\">");
  const char *end = strstr(begin, "</script>");
  mica_arena arena;
  mica_json *data;
  mica_arena_init(&arena, NULL);
  if (CHECK_OK_ERROR(mica_json_parse(&arena, begin, (size_t)(end - begin), &data, &error),
                     &error)) {
    CHECK_EQ_STR(mica_json_get(data, "title")->string, "a </title> \"b\"");
    CHECK_EQ_STR(mica_json_get(data, "file")->string, "page.html.js");
    CHECK_EQ_STR(mica_json_get(data, "x")->string, "epoch");
    CHECK_EQ_INT(mica_json_get(data, "runs")->count, 2);
    const mica_json *curves = mica_json_get(json_at(mica_json_get(data, "runs"), 1), "curves");
    CHECK_EQ_INT(curves->count, 3);
    CHECK_EQ_STR(mica_json_get(json_at(curves, 1), "name")->string, "a</script>");
    const mica_json *test = json_at(curves, 2);
    CHECK_EQ_STR(mica_json_get(test, "set")->string, "test");
    CHECK_EQ_INT(mica_json_get(test, "epoch")->kind, MICA_JSON_NULL); /* was not logged */
    CHECK_EQ_INT(json_at(mica_json_get(test, "value"), 1)->kind, MICA_JSON_NULL);
    CHECK_NEAR(json_at(mica_json_get(json_at(curves, 0), "value"), 0)->number, 2, 0);
    CHECK_NEAR(json_at(mica_json_get(json_at(curves, 0), "least"), 0)->number, 99, 0);
  }
  mica_arena_deinit(&arena);
  /* Live: the script beside the page; and once more at the end, which tells open pages. */
  o.live_seconds = 1;
  CHECK_OK(mica_plot_runs_html(path, runs, &o, &error));
  CHECK(!strncmp(contents(script_path), "micaData({", 10));
  CHECK_STR_CONTAINS(text, "\"live\":1,");
  o.live_seconds = 0;
  CHECK_OK(mica_plot_runs_html(path, runs, &o, &error));
  CHECK_STR_CONTAINS(contents(script_path), "\"live\":0,");
  CHECK_STATUS(mica_plot_runs_html("no/such/folder/p.html", runs, NULL, &error), MICA_IO);
  CHECK_STATUS(mica_plot_runs_html(NULL, runs, NULL, NULL), MICA_INVALID);
  o.x = (mica_plot_x)7;
  CHECK_STATUS(mica_plot_runs_html(path, runs, &o, NULL), MICA_INVALID);
  CHECK_STATUS(mica_plot_runs_svg(path, runs, &o, NULL), MICA_INVALID);
  mica_runs_destroy(runs);
}

TEST(svg_has_a_panel_for_each_metric) {
  mica_runs *runs = two_runs(3000);
  mica_error error = {0};
  const char *path = check_temporary_path("runs.svg");
  mica_plot_options o = {.struct_size = sizeof o, .smoothing = 0.9, .log_y = true};
  CHECK_OK_ERROR(mica_plot_runs_svg(path, runs, &o, &error), &error);
  CHECK(strlen(contents(path)) < 400000); /* thinned */
  int panels = 0;
  for (const char *c = text; (c = strstr(c, "class=\"panel\"")); c++) panels++;
  CHECK_EQ_INT(panels, 2);
  CHECK_STR_CONTAINS(text, "viewBox=\"0 0 1040 ");
  o.columns = 1; /* one below the other */
  CHECK_OK_ERROR(mica_plot_runs_svg(path, runs, &o, &error), &error);
  CHECK_STR_CONTAINS(contents(path), "viewBox=\"0 0 520 ");
  CHECK_STR_CONTAINS(text, "a&lt;/script&gt;");
  CHECK_STR_CONTAINS(text, "second, test");
  CHECK(!strstr(text, "nan") && !strstr(text, "inf"));
  o.metrics = "loss";
  CHECK_OK(mica_plot_runs_svg(path, runs, &o, &error));
  panels = 0;
  for (const char *c = contents(path); (c = strstr(c, "class=\"panel\"")); c++) panels++;
  CHECK_EQ_INT(panels, 1);
  o.metrics = "nothing,at all";
  CHECK_STATUS(mica_plot_runs_svg(path, runs, &o, &error), MICA_NOT_FOUND);
  CHECK_STR_CONTAINS(error.message, "nothing,at all");
  mica_runs_destroy(runs);
}

TEST(summaries_are_json) {
  mica_runs *runs = two_runs(100);
  int64_t length = mica_runs_json(runs, text, SIZE);
  CHECK_EQ_INT(length, strlen(text));
  mica_arena arena;
  mica_json *data;
  mica_error error = {0};
  mica_arena_init(&arena, NULL);
  if (CHECK_OK_ERROR(mica_json_parse(&arena, text, (size_t)length, &data, &error), &error)) {
    const mica_json *loss =
        json_at(mica_json_get(json_at(mica_json_get(data, "runs"), 0), "curves"), 0);
    CHECK_EQ_STR(mica_json_get(loss, "metric")->string, "loss");
    CHECK_EQ_INT(mica_json_get(loss, "count")->integer, 100);
    CHECK_NEAR(mica_json_get(loss, "greatest")->number, 1, 0);
    CHECK_NEAR(mica_json_get(loss, "greatest_step")->number, 0, 0);
    CHECK_NEAR(mica_json_get(loss, "least_step")->number, 99, 0);
  }
  mica_arena_deinit(&arena);
  char small[10];
  CHECK_EQ_INT(mica_runs_json(runs, small, sizeof small), length);
  CHECK_EQ_STR(small, "{\"runs\":[");
  mica_runs_destroy(runs);
}

static const char *printed(const mica_plot_panel *panels, int64_t count,
                           mica_plot_terminal_options o) {
  FILE *file = tmpfile();
  mica_error error = {0};
  text[0] = 0;
  if (!CHECK(file)) return text;
  o.struct_size = sizeof o;
  CHECK_OK_ERROR(mica_plot_terminal(file, panels, count, &o, &error), &error);
  rewind(file);
  text[fread(text, 1, SIZE - 1, file)] = 0;
  fclose(file);
  return text;
}

TEST(terminal_plots_look_like_this) {
  double x[5] = {0, 1, 2, 3, 4}, y[5] = {0, 1, 2, 3, 4}, z[5] = {4, 4, NAN, 0, 0};
  mica_plot_series series[2] = {{.name = "up", .x = x, .y = y, .count = 5},
                                {.name = "down", .x = x, .y = z, .count = 5}};
  mica_plot_panel panel = {
      .title = "title", .x_label = "step", .series = series, .series_count = 1};
  CHECK_EQ_STR(
      printed(&panel, 1,
              (mica_plot_terminal_options){.width = 32, .height = 5, .color = -1, .unicode = 1}),
      "          title   ━ up\n"
      "        4┤                 ⣀⠤⠔⠊\n"
      "         │             ⣀⠤⠒⠉\n"
      "        2┤        ⣀⡠⠤⠒⠉\n"
      "         │    ⣀⠤⠒⠉\n"
      "        0┤⣀⠤⠒⠉\n"
      "         └┬─────────┬─────────┬\n"
      "          0         2         4  step\n");
  panel.series_count = 2;
  CHECK_EQ_STR(
      printed(&panel, 1,
              (mica_plot_terminal_options){.width = 32, .height = 5, .color = -1, .unicode = -1}),
      "          title   * up   o down\n"
      "        4+oooooo            ***\n"
      "         |             *****\n"
      "        2+        *****\n"
      "         |   *****\n"
      "        0+***            oooooo\n"
      "         ++---------+---------+\n"
      "          0         2         4  step\n");
  CHECK_STR_CONTAINS(
      printed(&panel, 1, (mica_plot_terminal_options){.width = 40, .color = 1, .unicode = 1}),
      "\033[33m━\033[0m down");
  panel.series_count = 0; /* nothing to draw is fine */
  CHECK_STR_CONTAINS(printed(&panel, 1, (mica_plot_terminal_options){.width = 1, .height = 1}),
                     "title");
  CHECK_STATUS(mica_plot_terminal(NULL, &panel, 1, NULL, NULL), MICA_INVALID);
  mica_runs *runs = two_runs(50);
  FILE *file = tmpfile();
  mica_error error = {0};
  if (CHECK(file)) {
    CHECK_OK_ERROR(mica_plot_runs_terminal(file, runs, NULL, &error), &error);
    CHECK(ftell(file) > 500);
    fclose(file);
  }
  mica_runs_destroy(runs);
}

TEST(thinning_keeps_the_extremes) {
  enum { COUNT = 10007, STRETCHES = 50 };
  static double y[COUNT];
  static int64_t kept[2 * STRETCHES + 2];
  for (int i = 0; i < COUNT; i++) y[i] = sin(i * 0.37) + (i == 777 ? 9 : i == 9999 ? -9 : 0);
  for (int i = 3000; i < 4000; i++) y[i] = NAN;
  int64_t count = mica_plot_thin(y, COUNT, STRETCHES, kept);
  CHECK(count > STRETCHES && count <= 2 * STRETCHES + 2);
  bool high = false, low = false, gap = false;
  for (int64_t i = 0; i < count; i++) {
    CHECK(i == 0 || kept[i] > kept[i - 1]);
    high = high || kept[i] == 777, low = low || kept[i] == 9999, gap = gap || isnan(y[kept[i]]);
  }
  CHECK(kept[0] == 0 && kept[count - 1] == COUNT - 1 && high && low && gap);
  CHECK_EQ_INT(mica_plot_thin(y, 7, STRETCHES, kept), 7);
  CHECK_EQ_INT(mica_plot_thin(y, 0, STRETCHES, kept), 0);
}

TEST(axes_are_round_whatever_the_range) {
  static const double ends[][2] = {
      {0, 1},           {-3, 1e6},       {5, 5},           {0, 0},
      {1e-300, 2e-300}, {-1e308, 1e308}, {1e15, 1e15 + 2}, {INFINITY, -INFINITY},
      {5e-324, 1e-323}, {-7, -6.999999}};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
    for (int snug = 0; snug < 2; snug++) {
      double ticks[24];
      mica_plot_axis axis = mica_plot_axis_for(ends[i][0], ends[i][1], 6, snug, false);
      CHECK(axis.least < axis.most && isfinite(axis.most - axis.least));
      int count = mica_plot_ticks(&axis, ticks);
      CHECK(count >= 0 && count <= 24);
      for (int k = 1; k < count; k++) CHECK(ticks[k] >= ticks[k - 1]);
    }
}

TEST_MAIN(TEST_CASE(pages_hold_their_data), TEST_CASE(svg_has_a_panel_for_each_metric),
          TEST_CASE(summaries_are_json), TEST_CASE(terminal_plots_look_like_this),
          TEST_CASE(thinning_keeps_the_extremes), TEST_CASE(axes_are_round_whatever_the_range))
