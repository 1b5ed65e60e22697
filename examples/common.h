/* SPDX-License-Identifier: Apache-2.0 */
/* common.h: what all examples do around their models: command line, training with a view, Ctrl-C, checkpoints, evaluation,
 * finding and fetching data. Each example is a folder NAME with one C file, which looks like this:
 *
 *   static int run(int count, char **arguments) {
 *     example ex = {.name = "mnist", .summary = "...", .epochs = 10};
 *     if (!example_begin(&ex, count, arguments)) return example_end(&ex);
 *     mica_store_set_number(ex.store, "lr", 1e-3, &ex.error);             settings and their defaults
 *     if (!example_settings(&ex)) return example_end(&ex);                what --set says
 *     ... data; example_batches(&ex, rows, BATCH); ex.trainer = mica_trainer_create(ex.store, ...);
 *     if (example_train(&ex, training)) example_evaluate(&ex, testing, "test");
 *     int code = example_end(&ex);                                        what ex holds is gone
 *     ... data and schedules are destroyed
 *     return code;
 *   }
 *   EXAMPLE(mnist, "digits: a linear model and a CNN", run)
 *
 * It is a program of its own, and `mica train NAME` runs it. Failures go to ex.error; functions return whether all is
 * well so far, and do nothing when it was not. */
#ifndef EXAMPLES_COMMON_H
#define EXAMPLES_COMMON_H
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#define EXAMPLES_HAVE_DUP
#endif

#include "mica/mica.h"
#include "mica/ui.h"
#ifdef MICA_HAVE_FETCH
#include "mica/fetch.h"
#endif
#ifdef MICA_HAVE_PLUGIN
#include "prepare.h"
#endif

/* ---- the entry -------------------------------------------------------------------------------------- */

typedef struct {
  const char *name, *summary;
  int (*run)(int argument_count, char **arguments); /* arguments[0] is how it was called */
} example_entry;

/* In the command `mica` all examples are one program, and have no main of their own. */
#ifdef MICA_EXAMPLES_IN_COMMAND
#define EXAMPLE(name, summary, run)                \
  extern const example_entry example_entry_##name; \
  const example_entry example_entry_##name = {#name, summary, run};
#else
#define EXAMPLE(name, summary, run) \
  int main(int argument_count, char **arguments) { return run(argument_count, arguments); }
#endif

/* ---- the state of a run ----------------------------------------------------------------------------- */

typedef struct {
  const char *name, *value, *help; /* "--plot", "FILE" (NULL: a flag), for --help */
  const char **out;                /* the value; "" of a flag */
} example_option;

typedef struct {
  const char *name, *summary;
  /* Defaults by the example, then what the command line says. */
  int64_t steps, epochs; /* steps counts where both are given; 0: not limited */
  int64_t limit;         /* rows of each data set; 0: all */
  int64_t stop_at;       /* the step after which the run ends early, as by Ctrl-C; 0: none */
  uint64_t seed;
  int32_t threads;
  const char *data, *urls, *set, *checkpoint, *log;
  bool resume, quiet, json, layers;
  const example_option *options; /* of this example alone, up to one without a name; or NULL */

  /* By the example, before it trains: the trainer, which example_end destroys, and names of its measures. */
  mica_trainer *trainer;
  const char *const *measures;
  size_t measure_count;
  int64_t epoch_steps;             /* by example_batches; 0: not known */
  double save_seconds;             /* between checkpoints; 0: 60 */
  mica_training_checkpoints saved; /* folder and, where it is 0, keep (2) are filled in */

  /* Made by example_begin, destroyed by example_end. */
  mica_device *device;
  mica_store *store;
  mica_error error;
  int exit_code;    /* when example_begin or example_settings was false without an error */
  double seconds;   /* of training */
  bool interrupted; /* by Ctrl-C: evaluations are left out */
  bool help;
  FILE *result;       /* with --json: where standard output went before */
  char numbers[2048]; /* what was reported, as members of a JSON object */
  mica_training_loop *loop;
  mica_training_view *view;
  int claim; /* a descriptor whose lock says that this run saves into its folder; 0: none */
} example;

static inline bool example_good(const example *ex) {
  return ex->error.status == MICA_OK && !ex->exit_code && !ex->help;
}

/* ---- the command line ------------------------------------------------------------------------------- */

static inline bool example_number(const char *text, int64_t *out) {
  char *end = NULL;
  errno = 0;
  long long number = strtoll(text, &end, 10);
  *out = number;
  return end != text && *end == 0 && number >= 0 && errno == 0;
}

static inline bool example_option_of(example *ex, const char *name, const char *value,
                                     bool *out_taken) {
  const struct {
    const char *name;
    const char **out;
  } texts[] = {{"--data", &ex->data},
               {"--url", &ex->urls},
               {"--set", &ex->set},
               {"--checkpoint", &ex->checkpoint},
               {"--log", &ex->log}};
  const struct {
    const char *name;
    int64_t *out, least;
  } numbers[] = {{"--steps", &ex->steps, 1},
                 {"--epochs", &ex->epochs, 1},
                 {"--limit", &ex->limit, 1},
                 {"--stop", &ex->stop_at, 1}};
  *out_taken = true;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (!strcmp(name, texts[i].name)) return (*texts[i].out = value) != NULL;
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    if (!strcmp(name, numbers[i].name)) {
      if (i < 2) *numbers[1 - i].out = 0; /* the last one said counts */
      return value && example_number(value, numbers[i].out) && *numbers[i].out >= numbers[i].least;
    }
  for (const example_option *o = ex->options; o && o->name; o++)
    if (!strcmp(name, o->name) && o->value) return (*o->out = value) != NULL;
  int64_t number = 0;
  if (!strcmp(name, "--seed") || !strcmp(name, "--threads")) {
    bool threads = name[2] == 't';
    if (!value || !example_number(value, &number) || (threads && number > 4096)) return false;
    if (threads)
      ex->threads = (int32_t)number;
    else
      ex->seed = (uint64_t)number;
    return true;
  }
  *out_taken = false;
  if (!strcmp(name, "--quiet")) return ex->quiet = true;
  if (!strcmp(name, "--summary")) return ex->layers = true;
  if (!strcmp(name, "--json")) return ex->json = true;
  if (!strcmp(name, "--resume")) return ex->resume = true;
  if (!strcmp(name, "--help")) return ex->help = true;
  for (const example_option *o = ex->options; o && o->name; o++)
    if (!strcmp(name, o->name) && !o->value) return (*o->out = "") != NULL;
  return false;
}

static inline void example_usage(const example *ex, FILE *out) {
  fprintf(out,
          "%s: %s\n\n"
          "  --steps N         steps in all\n"
          "  --epochs N        or epochs; of both, the last one said counts\n"
          "  --stop N          end early after step N; schedules stay those of the whole run\n"
          "  --limit N         only the first N rows of each data set\n"
          "  --seed N          of parameters, order, dropout (%llu)\n"
          "  --threads N       of the backend; $MICA_BACKEND chooses that\n"
          "  --data DIR        where the data is\n"
          "  --url URL[,URL]   fetch the data there (folders; the files are checked)\n"
          "  --set PATH=VALUE  settings, separated by commas; file:FILE reads them\n"
          "  --checkpoint DIR  save there now and then, at Ctrl-C or SIGTERM, and at the end\n"
          "  --resume          go on from the newest checkpoint\n"
          "  --log DIR         metrics.jsonl, plot.html and events for TensorBoard\n"
          "  --summary         the model's layers with their shapes and parameters first\n"
          "  --quiet           no progress\n"
          "  --json            the results as JSON; everything else goes to standard error\n",
          ex->name, ex->summary, (unsigned long long)ex->seed);
  for (const example_option *o = ex->options; o && o->name; o++) {
    char left[48];
    snprintf(left, sizeof left, "%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
    fprintf(out, "  %-17s %s\n", left, o->help);
  }
}

/* What is printed goes to standard error from here on, and the results to where it went before. */
static inline bool example_begin_json(example *ex) {
  int kept = -1;
#ifdef EXAMPLES_HAVE_DUP
  fflush(stdout);
  kept = dup(1);
  if (kept >= 0 && dup2(2, 1) >= 0) ex->result = fdopen(kept, "w");
#endif
  if (!ex->result)
    mica_error_set(&ex->error, MICA_IO, "--json: standard output cannot be redirected");
  return ex->result != NULL;
}

/* A number as JSON has it. */
static inline void example_json_number(char *text, size_t size, double value) {
  if (isnan(value) || isinf(value))
    snprintf(text, size, "null");
  else
    snprintf(text, size, "%.9g", value);
}

/* Numbers of an evaluation on the data called `set`: to the log, the page, --json. */
static inline bool example_report(example *ex, const char *set, const mica_metric *metrics,
                                  size_t count) {
  char number[40];
  size_t used = strlen(ex->numbers), left = sizeof ex->numbers - used;
  char *at = ex->numbers + used;
  int written = snprintf(at, left, ", \"%.60s\": {", set);
  for (size_t i = 0; i < count && written > 0 && (size_t)written < left; i++) {
    example_json_number(number, sizeof number, metrics[i].value);
    written += snprintf(at + written, left - (size_t)written, "%s\"%.60s\": %s", i ? ", " : "",
                        metrics[i].name, number);
  }
  if (written > 0 && (size_t)written + 2 < left)
    strcat(at, "}");
  else
    *at = 0; /* more than fits is left out as a whole */
  if (ex->view) mica_training_view_report(ex->view, set, metrics, count, &ex->error);
  return example_good(ex);
}

/* Reads the command line, opens the device and makes the store. */
static inline bool example_begin(example *ex, int count, char **arguments) {
  if (ex->seed == 0) ex->seed = 1;
  for (int i = 1; i < count; i++) {
    bool taken = false;
    if (!example_option_of(ex, arguments[i], i + 1 < count ? arguments[i + 1] : NULL, &taken)) {
      if (!taken)
        fprintf(stderr, "%s: %s is not understood; --help lists the options\n", ex->name,
                arguments[i]);
      else if (i + 1 == count)
        fprintf(stderr, "%s: what belongs to %s is missing\n", ex->name, arguments[i]);
      else
        fprintf(stderr, "%s: %s %s: expected a whole number, %s\n", ex->name, arguments[i],
                arguments[i + 1],
                !strcmp(arguments[i], "--threads") ? "at most 4096"
                : !strcmp(arguments[i], "--seed")  ? "0 or more"
                                                   : "1 or more");
      ex->exit_code = 2;
      return false;
    }
    i += taken;
  }
  if (ex->resume && !ex->checkpoint) {
    fprintf(stderr, "%s: --resume needs --checkpoint DIR\n", ex->name);
    ex->exit_code = 2;
    return false;
  }
  if (ex->json && !example_begin_json(ex)) return false;
#ifdef MICA_HAVE_PLUGIN
  if (prepare_device(NULL, &ex->error) != MICA_OK) return false;
#endif
  ex->device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .threads = ex->threads},
      &ex->error);
  ex->store = mica_store_create(ex->device, ex->seed);
  if (ex->error.status == MICA_OK && !ex->store)
    mica_error_set(&ex->error, MICA_OUT_OF_MEMORY, "out of memory");
  return ex->error.status == MICA_OK;
}

/* After the settings have been declared: takes those of --set; --help ends here. */
static inline bool example_settings(example *ex) {
  if (example_good(ex) && ex->set && mica_store_set(ex->store, ex->set, &ex->error) != MICA_OK)
    ex->exit_code = 2;
  if (!ex->help) return example_good(ex);
  char text[4096];
  example_usage(ex, stdout);
  if (mica_store_settings(ex->store, text, sizeof text) > 0) printf("\nsettings:\n%s", text);
  return false;
}

/* Says how many rows the training has; whole batches of them are an epoch. */
static inline bool example_batches(example *ex, int64_t rows, int64_t batch) {
  ex->epoch_steps = rows / batch;
  if (example_good(ex) && rows < batch)
    mica_error_set(&ex->error, MICA_INVALID, "%s leaves less than one batch of %lld rows",
                   ex->limit ? "--limit" : "the data", (long long)batch);
  return example_good(ex);
}

/* Steps of the whole run, for schedules. */
static inline int64_t example_total_steps(const example *ex) {
  return ex->steps ? ex->steps : ex->epochs * ex->epoch_steps;
}

/* ---- training --------------------------------------------------------------------------------------- */

static volatile sig_atomic_t example_stopped; /* by Ctrl-C or SIGTERM: which */

static inline void example_stop(int number) {
  example_stopped = number;
  signal(number, SIG_DFL); /* a second one ends at once */
}

static inline mica_status example_watch(mica_training_state *state, void *user, mica_error *error) {
  (void)error;
  const example *ex = user;
  if (example_stopped || (ex->stop_at && state->step >= ex->stop_at)) state->stop = true;
  return MICA_OK;
}

/* The loop of the run, to which the example may add hooks before example_train. */
static inline mica_training_loop *example_loop(example *ex) {
  if (!ex->loop && ex->trainer) ex->loop = mica_training_loop_create(ex->trainer);
  return ex->loop;
}

static inline void example_said(void *user, const char *line) {
  const example *ex = user;
  fprintf(stderr, "%s: %s\n", ex->name, line);
}

/* One run at a time saves into a folder; the lock goes with the process, however it ends. */
static inline mica_status example_claim(example *ex) {
#ifdef EXAMPLES_HAVE_DUP
  char path[1100];
  snprintf(path, sizeof path, "%.1000s/.run", ex->checkpoint);
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file >= 0 && flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    close(file);
    return mica_error_set(&ex->error, MICA_IO, "--checkpoint %s: another run saves there",
                          ex->checkpoint);
  }
  ex->claim = file > 0 ? file : 0;
#else
  (void)ex;
#endif
  return MICA_OK;
}

static inline mica_status example_checkpoints(example *ex, mica_dataset *data) {
  double seconds = ex->save_seconds > 0 ? ex->save_seconds : 60;
  bool found = false;
  ex->saved.struct_size = sizeof ex->saved, ex->saved.folder = ex->checkpoint;
  if (ex->saved.keep == 0) ex->saved.keep = 2;
  ex->saved.report = example_said, ex->saved.report_user = ex;
  size_t there = 0;
  mica_status status = mica_checkpoint_prepare(ex->checkpoint, &ex->error);
  if (status == MICA_OK) status = example_claim(ex);
  if (status == MICA_OK) status = mica_checkpoint_list(ex->checkpoint, NULL, 0, &there, &ex->error);
  if (status == MICA_OK && there > 0 && !ex->resume) {
    ex->exit_code = 2;
    status =
        mica_error_set(&ex->error, MICA_INVALID,
                       "--checkpoint %s: there are checkpoints of another run: --resume goes on "
                       "with it; mica checkpoint --delete removes them",
                       ex->checkpoint);
  }
  if (status == MICA_OK)
    status = mica_training_loop_on(ex->loop, MICA_ON_STEP, mica_training_save_hook, &ex->saved,
                                   .every_seconds = seconds, .name = "checkpoint");
  if (status == MICA_OK)
    status = mica_training_loop_on(ex->loop, MICA_ON_END, mica_training_save_hook, &ex->saved,
                                   .name = "checkpoint");
  if (status == MICA_OK && ex->resume)
    status = mica_training_restore(ex->loop, data, &ex->saved, MICA_CHECKPOINT_NEWEST, &found,
                                   &ex->error);
  if (status == MICA_OK && ex->resume && found)
    printf("resumed at step %lld\n", (long long)mica_training_loop_state(ex->loop)->step);
  else if (status == MICA_OK && ex->resume)
    printf("there is no checkpoint yet: from the beginning\n");
  return status;
}

/* Trains until ex->steps or ex->epochs are made, with all that the command line asks for; once. True if it came to that end. */
static inline bool example_train(example *ex, mica_dataset *data) {
  if (!example_good(ex)) return false;
  mica_training_loop *loop = example_loop(ex);
  mica_training_view_options view = {.struct_size = sizeof view,
                                     .title = ex->name,
                                     .measures = ex->measures,
                                     .measure_count = ex->measure_count,
                                     .progress = ex->quiet || ex->json ? NULL : stdout,
                                     .folder = ex->log};
  mica_status status =
      loop && data ? MICA_OK : mica_error_set(&ex->error, MICA_OUT_OF_MEMORY, "out of memory");
  if (status == MICA_OK) status = mica_training_view_open(loop, &view, &ex->view, &ex->error);
  if (status == MICA_OK)
    status = mica_training_loop_on(loop, MICA_ON_STEP, example_watch, ex, .priority = 1000);
  if (status == MICA_OK && ex->checkpoint) status = example_checkpoints(ex, data);
  if (status == MICA_OK) {
    void (*before)(int) = signal(SIGINT, example_stop);
    void (*before_term)(int) = signal(SIGTERM, example_stop);
    status = mica_training_loop_run_dataset(loop, data, example_total_steps(ex),
                                            ex->steps ? 0 : ex->epochs, &ex->error);
    signal(SIGINT, before == SIG_ERR ? SIG_DFL : before);
    signal(SIGTERM, before_term == SIG_ERR ? SIG_DFL : before_term);
    ex->seconds = mica_training_loop_state(loop)->seconds;
  }
  ex->interrupted = loop && mica_training_loop_state(loop)->stop &&
                    (example_stopped || ex->stop_at); /* not by a hook of the example's */
  if (ex->interrupted)
    printf("stopped after step %lld%s\n", (long long)mica_training_loop_state(loop)->step,
           ex->checkpoint ? "; --resume goes on" : "");
  if (example_stopped) ex->exit_code = 128 + (int)example_stopped; /* as shells have it */
  if (status == MICA_OK && !ex->interrupted && mica_training_loop_state(loop)->run_step == 0)
    printf("nothing is left to train: the checkpoint is of step %lld and epoch %lld\n",
           (long long)mica_training_loop_state(loop)->step,
           (long long)mica_training_loop_state(loop)->epoch);
  return status == MICA_OK && !ex->interrupted;
}

/* With --log: the model's picture beside the log, as the page model.html, as model.svg, and among the events. With --summary:
 * its layers as a table. */
static inline bool example_picture(example *ex, mica_trainer_model *model, void *user,
                                   const mica_type *inputs, size_t count) {
  if (!example_good(ex) || (!ex->log && !ex->layers)) return example_good(ex);
  char path[1100];
  mica_value in[MICA_TRAINER_MOST_ARRAYS];
  mica_event_log *events = NULL;
  mica_picture_options options = {.struct_size = sizeof options, .title = ex->name};
  mica_graph *graph = mica_graph_create(NULL);
  for (size_t i = 0; i < count; i++) in[i] = mica_parameter(graph, inputs[i]);
  mica_scope *scope = mica_scope_open(ex->store, graph, false);
  mica_value out = model(scope, in, user);
  mica_scope_close(scope);
  mica_graph_set_outputs(graph, &out, 1);
  mica_status status =
      ex->layers ? mica_picture_table(stdout, graph, &options, &ex->error) : MICA_OK;
  if (!ex->log) {
    mica_graph_destroy(graph);
    return status == MICA_OK;
  }
  if (status == MICA_OK)
    status = mica_events_open(ex->log, &events, &ex->error); /* makes the folder */
  snprintf(path, sizeof path, "%.1000s/model.html", ex->log);
  if (status == MICA_OK) status = mica_picture_html(path, graph, &options, &ex->error);
  snprintf(path, sizeof path, "%.1000s/model.svg", ex->log);
  if (status == MICA_OK) status = mica_picture_svg(path, graph, &options, &ex->error);
  if (status == MICA_OK) status = mica_events_graph(events, graph, &ex->error);
  if (events && mica_events_close(events, status == MICA_OK ? &ex->error : NULL) != MICA_OK)
    status = ex->error.status;
  mica_graph_destroy(graph);
  return status == MICA_OK && example_good(ex);
}

/* Loss, measures and metrics over all batches of a data set; printed, and written to the log. */
static inline bool example_evaluate(example *ex, mica_dataset *data, const char *set) {
  if (!example_good(ex) || ex->interrupted) return false;
  if (!data)
    return mica_error_set(&ex->error, MICA_INVALID, "there is no data to evaluate on") == MICA_OK;
  if (mica_trainer_evaluate_dataset(ex->trainer, data, &ex->error) != MICA_OK) return false;
  mica_trainer_result result = mica_trainer_evaluation(ex->trainer);
  mica_metric metrics[MICA_TRAINER_MOST_MEASURES + MICA_TRAINER_MOST_METRICS + 1] = {
      {"loss", result.loss}};
  double numbers[MICA_TRAINER_MOST_METRICS];
  size_t count = 1, more = mica_trainer_metric_count(ex->trainer);
  for (size_t i = 0; i < ex->measure_count; i++)
    metrics[count++] = (mica_metric){ex->measures[i], result.measures[i]};
  if (more && mica_trainer_metric_numbers(ex->trainer, false, numbers, more, &ex->error) != MICA_OK)
    return false;
  for (size_t i = 0; i < more; i++)
    if (!isnan(numbers[i]))
      metrics[count++] = (mica_metric){mica_trainer_metric_name(ex->trainer, i), numbers[i]};
  mica_report_metrics(stdout, set, metrics, count);
  return example_report(ex, set, metrics, count);
}

/* Destroys what is left and says what went wrong; the exit code. */
static inline int example_end(example *ex) {
  mica_error later = {0};
  int64_t step = ex->loop ? mica_training_loop_state(ex->loop)->step : 0;
  if (ex->view && mica_training_view_close(ex->view, &later) != MICA_OK &&
      ex->error.status == MICA_OK)
    ex->error = later;
  mica_training_loop_destroy(ex->loop);
  mica_trainer_destroy(ex->trainer);
  mica_store_destroy(ex->store);
  mica_device_release(ex->device);
  if (ex->error.status != MICA_OK) fprintf(stderr, "%s: %s\n", ex->name, ex->error.message);
  if (ex->result && ex->error.status == MICA_OK) {
    char seconds[40];
    example_json_number(seconds, sizeof seconds, ex->seconds);
    fprintf(ex->result,
            "{\"example\": \"%s\", \"seed\": %llu, \"step\": %lld, \"seconds\": %s%s}\n", ex->name,
            (unsigned long long)ex->seed, (long long)step, seconds, ex->numbers);
  }
  if (ex->result) fclose(ex->result);
#ifdef EXAMPLES_HAVE_DUP
  if (ex->claim) close(ex->claim);
#endif
  return ex->exit_code ? ex->exit_code : ex->error.status != MICA_OK;
}

/* ---- data ------------------------------------------------------------------------------------------- */

/* The folder that holds `file`: --data, the environment variable, the further places (up to NULL), the cache folder's
 * `set`. False, without an error: it is nowhere. */
static inline bool example_find(const example *ex, const char *variable, const char *const *places,
                                const char *set, const char *file, char *folder, size_t size) {
  const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME"), *own = getenv("MICA_CACHE");
  char cached[600] = "";
  if (own && *own)
    snprintf(cached, sizeof cached, "%.500s/%s", own, set);
  else if (cache && *cache)
    snprintf(cached, sizeof cached, "%.500s/mica/%s", cache, set);
  else if (home && *home)
    snprintf(cached, sizeof cached, "%.500s/.cache/mica/%s", home, set);
  const char *first[] = {ex->data, variable ? getenv(variable) : NULL, cached};
  for (int i = 0;; i++) {
    const char *place = i < 3 ? first[i] : places ? places[i - 3] : NULL;
    if (i >= 3 && !place) return false;
    if (!place || !*place) continue;
    char path[1200];
    snprintf(path, sizeof path, "%.600s/%s", place, file);
    FILE *found = fopen(path, "rb");
    if (found) {
      fclose(found);
      snprintf(folder, size, "%s", place);
      return true;
    }
    if (i == 0) return false; /* what is said counts alone */
  }
}

/* Fetches `file` of the folders --url names into the cache folder's `set`; its path. What is in it is for the reader to check. */
static inline bool example_fetch(example *ex, const char *set, const char *file, char *path,
                                 size_t size) {
  if (!example_good(ex) || !ex->urls) return false;
#ifdef MICA_HAVE_FETCH
  char urls[4][1024], name[256];
  const char *list[4];
  int32_t count = 0;
  for (const char *at = ex->urls; *at && count < 4; count++) {
    size_t length = strcspn(at, ",");
    snprintf(urls[count], sizeof urls[count], "%.*s/%s", (int)(length < 700 ? length : 700), at,
             file);
    list[count] = urls[count];
    at += length + (at[length] == ',');
  }
  snprintf(name, sizeof name, "%s/%s", set, file);
  mica_fetch_options options = {
      .struct_size = sizeof options, .urls = list, .url_count = count, .name = name};
  return mica_fetch(&options, path, size, &ex->error) == MICA_OK;
#else
  (void)set, (void)file, (void)path, (void)size;
  mica_error_set(&ex->error, MICA_UNSUPPORTED,
                 "--url needs libmica_fetch, which was left out of this build");
  return false;
#endif
}

#endif
