/* SPDX-License-Identifier: Apache-2.0 */
/* plot_html.c: the page of runs. Style, script and data stand in one file; the data are JSON in a
 * script element that is not run. While a run is live the same data also stand in PATH.js, as a call
 * of the page's function: a page that was opened as a file may not read its neighbors, but may load a
 * script. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ui/plot_internal.h"
#include "ui/page/plot.h"

enum { PAGE_STRETCHES = 2000 };

static void page_numbers(mica_ui_text *out, const char *key, const double *values,
                         const int64_t *kept, int64_t count, int digits) {
  bool any = false;
  for (int64_t i = 0; i < count && !any; i++) any = isfinite(values[kept[i]]);
  mica_ui_format(out, ",\"%s\":", key);
  if (!any && strcmp(key, "value")) { /* none at all: that axis is not offered */
    mica_ui_string(out, "null");
    return;
  }
  for (int64_t i = 0; i < count; i++) {
    mica_ui_string(out, i ? "," : "[");
    mica_ui_json_number(out, values[kept[i]], digits);
  }
  mica_ui_string(out, count ? "]" : "[]");
}

static void page_extreme(mica_ui_text *out, const char *key, const mica_runs_curve *c, int64_t at) {
  mica_ui_format(out, ",\"%s\":", key);
  if (at < 0) {
    mica_ui_string(out, "null");
    return;
  }
  mica_ui_string(out, "["), mica_ui_json_number(out, c->step[at], 12);
  mica_ui_string(out, ","), mica_ui_json_number(out, c->value[at], 7);
  mica_ui_string(out, "]");
}

static void page_curve(mica_ui_text *out, const mica_runs_curve *c, int64_t *kept) {
  int64_t least, most, count = mica_plot_thin(c->value, c->count, PAGE_STRETCHES, kept);
  mica_ui_extremes(c->value, 0, c->count, &least, &most);
  mica_ui_string(out, "{\"name\":"), mica_ui_json(out, c->name);
  mica_ui_format(out, ",\"kind\":\"%s\",\"set\":",
                 c->kind == MICA_METRICS_EVALUATION ? "evaluation" : "train");
  mica_ui_json(out, c->set);
  page_extreme(out, "last", c, c->count - 1);
  page_extreme(out, "least", c, least);
  page_extreme(out, "greatest", c, most);
  page_numbers(out, "step", c->step, kept, count, 12);
  page_numbers(out, "epoch", c->epoch, kept, count, 7);
  page_numbers(out, "seconds", c->seconds, kept, count, 7);
  page_numbers(out, "value", c->value, kept, count, 7);
  mica_ui_string(out, "}\n");
}

/* Everything that the script draws. */
static void page_data(mica_ui_text *out, const char *file, const mica_runs *runs,
                      const mica_plot_options *o, int64_t *kept) {
  static const char *const axes[] = {"step", "epoch", "seconds"};
  mica_ui_string(out, "{\"title\":");
  if (o->title) {
    mica_ui_json(out, o->title);
  } else {
    mica_ui_text title = {0};
    for (size_t r = 0; r < mica_runs_count(runs) && r < 6; r++)
      mica_ui_format(&title, "%s%s", r ? ", " : "", mica_runs_name(runs, r));
    if (mica_runs_count(runs) > 6) mica_ui_string(&title, ", ...");
    if (title.failed) out->failed = true;
    mica_ui_json(out, title.bytes ? title.bytes : "");
    mica_ui_free(&title);
  }
  mica_ui_string(out, ",\"file\":"), mica_ui_json(out, file);
  mica_ui_string(out, ",\"stamp\":"), mica_ui_fixed(out, mica_ui_wall_seconds(), 3);
  mica_ui_string(out, ",\"live\":"), mica_ui_json_number(out, o->live_seconds, 6);
  mica_ui_string(out, ",\"smoothing\":"), mica_ui_json_number(out, o->smoothing, 6);
  mica_ui_format(out, ",\"x\":\"%s\",\"log\":%s,\"runs\":[\n", axes[o->x],
                 o->log_y ? "true" : "false");
  for (size_t r = 0; r < mica_runs_count(runs); r++) {
    mica_ui_string(out, r ? ",{\"name\":" : "{\"name\":");
    mica_ui_json(out, mica_runs_name(runs, r));
    mica_ui_string(out, ",\"note\":"), mica_ui_json(out, mica_runs_note(runs, r));
    mica_ui_string(out, ",\"curves\":[");
    bool first = true;
    for (size_t i = 0; i < mica_runs_curve_count(runs, r); i++) {
      mica_runs_curve c = mica_runs_curve_at(runs, r, i);
      if (c.count == 0 || !mica_plot_wants(o, c.name)) continue;
      if (!first) mica_ui_string(out, ",");
      first = false;
      page_curve(out, &c, kept);
    }
    mica_ui_string(out, "]}");
  }
  mica_ui_string(out, "]}");
}

static const char *const plot_page_body[] = {
    "<header><h1 id=\"title\"></h1><span id=\"live\"></span></header>\n",
    "<div class=\"note\" id=\"notes\"></div>\n<div class=\"bar\">\n",
    "<label>x <select id=\"x\"><option value=\"step\">step</option>",
    "<option value=\"epoch\">epoch</option><option "
    "value=\"seconds\">time</option></select></label>\n",
    "<label>smoothing <input type=\"range\" id=\"smooth\" min=\"0\" max=\"0.99\" step=\"0.01\">",
    "<output id=\"amount\"></output></label>\n",
    "<label><input type=\"checkbox\" id=\"log\"> log y</label>\n",
    "<input type=\"search\" id=\"filter\" placeholder=\"filter metrics\" ",
    "aria-label=\"filter metrics\">\n",
    "<button type=\"button\" id=\"reset\" hidden>reset zoom</button>\n",
    "<button type=\"button\" id=\"theme\" title=\"light or dark\">&#9680; theme</button>\n</div>\n",
    "<div id=\"legend\"></div>\n<main id=\"panels\"></main>\n",
    "<details open><summary>numbers</summary><div class=\"wide\"><table "
    "id=\"table\"></table></div>",
    "</details>\n",
    "<noscript><p class=\"note\">This page draws its curves with a script.</p></noscript>\n",
    NULL};

mica_status mica_plot_runs_html(const char *path, const mica_runs *runs,
                                const mica_plot_options *options, mica_error *error) {
  mica_plot_options o = mica_plot_options_of(options);
  if (!path || !*path || (unsigned)o.x > MICA_PLOT_SECONDS)
    return mica_error_set(error, MICA_INVALID, "plot_runs_html: expected a path and an x axis");
  size_t most = 2 * PAGE_STRETCHES + 2;
  int64_t *kept = malloc(most * sizeof *kept);
  mica_ui_text data = {0}, page = {0}, script = {0}, script_path = {0}, file = {0};
  if (!kept) return mica_error_set(error, MICA_OUT_OF_MEMORY, "plot_runs_html: out of memory");
  const char *slash = strrchr(path, '/');
  mica_ui_format(&file, "%s.js", slash ? slash + 1 : path);
  page_data(&data, file.failed ? "" : file.bytes, runs, &o, kept);
  free(kept);
  mica_ui_string(
      &page,
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\"><title>Mica</title>\n<style>\n");
  mica_ui_strings(&page, plot_page_css);
  mica_ui_string(&page, "</style></head><body>\n");
  mica_ui_strings(&page, plot_page_body);
  mica_ui_string(&page, "<script type=\"application/json\" id=\"data\">");
  mica_ui_bytes(&page, data.bytes, data.failed ? 0 : data.size);
  mica_ui_string(&page, "</script>\n<script>\n");
  mica_ui_strings(&page, plot_page_js);
  mica_ui_string(&page, "</script></body></html>\n");
  mica_ui_string(&script, "micaData(");
  mica_ui_bytes(&script, data.bytes, data.failed ? 0 : data.size);
  mica_ui_string(&script, ");\n");
  mica_ui_format(&script_path, "%s.js", path);
  if (data.failed || file.failed || script_path.failed) page.failed = script.failed = true;
  /* An open page that waits for news has to hear of the end, too. */
  FILE *waits = script_path.failed ? NULL : fopen(script_path.bytes, "rb");
  bool wanted = o.live_seconds > 0 || waits;
  if (waits) fclose(waits);
  mica_status status = MICA_OK;
  if (wanted && !script.failed)
    status = mica_ui_write_file("plot_runs_html", script_path.bytes, &script, error);
  if (status == MICA_OK) status = mica_ui_write_file("plot_runs_html", path, &page, error);
  mica_ui_free(&data), mica_ui_free(&page), mica_ui_free(&script), mica_ui_free(&script_path);
  mica_ui_free(&file);
  return status;
}
