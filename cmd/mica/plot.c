/* SPDX-License-Identifier: Apache-2.0 */
/* plot.c: `mica plot`: the curves of runs, in the terminal, as a page or as SVG; --follow keeps them up to date while
 * the runs are training. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "mica/ui.h"

/* A number from `least` to below `most`; false after a message. */
static bool plot_number(const cli_arguments *arguments, const char *name, double least, double most,
                        double *out) {
  const char *text = cli_value(arguments, name, 0);
  if (text == NULL) return true;
  char *end;
  double number = strtod(text, &end);
  if (*text != 0 && *end == 0 && number >= least && number < most) {
    *out = number;
    return true;
  }
  cli_usage("--%s %s: expected a number from %g to less than %g", name, text, least, most);
  return false;
}

static bool plot_options(const cli_arguments *arguments, mica_plot_options *out) {
  static const char *const axes[] = {"step", "epoch", "time"};
  const char *x = cli_value(arguments, "x", 0);
  *out = (mica_plot_options){.struct_size = sizeof *out,
                             .title = cli_value(arguments, "title", 0),
                             .log_y = cli_value(arguments, "log", 0) != NULL,
                             .metrics = cli_value(arguments, "metrics", 0)};
  long width = cli_number(arguments, "width", 30, 0),
       height = cli_number(arguments, "height", 3, 0),
       columns = cli_number(arguments, "columns", 1, 0);
  if (width < 0 || height < 0 || columns < 0) return false;
  out->columns = columns < 64 ? (int32_t)columns : 64;
  out->terminal.width = width < 500 ? (int32_t)width : 500;
  out->terminal.height = height < 200 ? (int32_t)height : 200;
  int axis = 0;
  while (x != NULL && axis < 3 && strcmp(axes[axis], x) != 0) axis++;
  if (axis == 3) {
    cli_usage("--x %s: expected step, epoch or time", x);
    return false;
  }
  out->x = (mica_plot_x)axis;
  return plot_number(arguments, "smoothing", 0, 1, &out->smoothing) &&
         plot_number(arguments, "follow", 0.1, 86400, &out->live_seconds);
}

/* Reads the runs as they are now and writes what is asked for. */
static int plot_once(const cli_arguments *arguments, const mica_plot_options *options) {
  const char *html = cli_value(arguments, "html", 0), *svg = cli_value(arguments, "svg", 0);
  bool terminal =
      cli_value(arguments, "terminal", 0) != NULL || (!html && !svg && !arguments->json);
  mica_error error = {0};
  mica_runs *runs = NULL;
  int left_out = 0;
  mica_status status = mica_runs_create(&runs, &error);
  for (int i = 0; i < arguments->operand_count && status == MICA_OK; i++) {
    mica_error why = {0};
    status = mica_runs_add(runs, arguments->operand[i], &why);
    if (status == MICA_OK) continue;
    /* The others are drawn all the same. */
    left_out++;
    fprintf(stderr, "mica: %s\n", why.message);
    if (status != MICA_OUT_OF_MEMORY && left_out < arguments->operand_count) status = MICA_OK;
  }
  if (status == MICA_OK && terminal) {
    status = mica_plot_runs_terminal(stdout, runs, options, &error);
    if (status == MICA_OK)
      printf("\n"), mica_report_metrics_of_runs(stdout, runs, options->metrics);
  }
  for (size_t i = 0; status == MICA_OK && i < mica_runs_count(runs); i++)
    if (*mica_runs_note(runs, i))
      fprintf(stderr, "mica: %s: %s\n", mica_runs_name(runs, i), mica_runs_note(runs, i));
  if (status == MICA_OK && html) status = mica_plot_runs_html(html, runs, options, &error);
  if (status == MICA_OK && svg) status = mica_plot_runs_svg(svg, runs, options, &error);
  if (status == MICA_OK && arguments->json) {
    int64_t size = mica_runs_json(runs, NULL, 0);
    char *text = size >= 0 ? malloc((size_t)size + 1) : NULL;
    if (text == NULL)
      status = mica_error_set(&error, MICA_OUT_OF_MEMORY, "out of memory");
    else
      mica_runs_json(runs, text, (size_t)size + 1), puts(text);
    free(text);
  }
  mica_runs_destroy(runs);
  if (status != MICA_OK && error.status == MICA_OK) return 1; /* it was said */
  return status == MICA_OK ? left_out > 0 : cli_fail("%s", error.message);
}

static volatile sig_atomic_t plot_stopped;
static void stop_plot(int number) { plot_stopped = number; }

static int run_plot(const cli_arguments *arguments) {
  mica_plot_options options;
  if (arguments->operand_count == 0)
    return cli_usage("plot: expected a folder or a file of a run; mica plot --help");
  if (!plot_options(arguments, &options)) return 2;
  int code = plot_once(arguments, &options);
  if (options.live_seconds <= 0 || code != 0) return code;
  signal(SIGINT, stop_plot), signal(SIGTERM, stop_plot);
  while (!plot_stopped) {
    struct timespec pause = {
        (time_t)options.live_seconds,
        (long)((options.live_seconds - (double)(time_t)options.live_seconds) * 1e9)};
    nanosleep(&pause, NULL);
    if (plot_stopped) break;
    if (!arguments->json && cli_value(arguments, "html", 0) == NULL &&
        cli_value(arguments, "svg", 0) == NULL)
      fputs("\033[H\033[J", stdout); /* the terminal's plot is drawn over */
    code = plot_once(arguments, &options);
    fflush(stdout);
  }
  options.live_seconds = 0; /* open pages hear of the end */
  return cli_value(arguments, "html", 0) != NULL ? plot_once(arguments, &options) : code;
}

static const cli_option plot_rows[] = {
    {"html", "FILE", "write a page to explore: zoom, values, smoothing, runs to compare"},
    {"svg", "FILE", "write a picture"},
    {"terminal", NULL, "draw here as well; this is what happens without --html, --svg, --json"},
    {"metrics", "WORDS",
     "only metrics whose names contain one of these words, as in loss,accuracy"},
    {"x", "AXIS", "step, epoch or time; default: step"},
    {"log", NULL, "a logarithmic y axis"},
    {"smoothing", "B", "exponential smoothing of training curves, 0 to less than 1"},
    {"title", "TEXT", "the title; default: the names of the runs"},
    {"width", "N", "columns in the terminal"},
    {"height", "N", "lines of a plot in the terminal"},
    {"columns", "N", "panels in a row of the SVG, such as 1 for a narrow page; default: up to 3"},
    {"follow", "SECONDS",
     "again and again until Ctrl-C: an open page keeps up with a run that trains"},
    {NULL, NULL, NULL}};

const cli_command cli_plot = {.name = "plot",
                              .operands = "DIR...",
                              .summary = "draw the curves of one or many training runs",
                              .details =
                                  "DIR is a folder with metrics.jsonl or TensorBoard event files, "
                                  "a folder of such folders, or one\n"
                                  "such file. Without options the curves are drawn in the "
                                  "terminal, with a table of their last, least\n"
                                  "and greatest values.",
                              .options = plot_rows,
                              .run = run_plot};
