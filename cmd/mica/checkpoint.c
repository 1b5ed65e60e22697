/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint.c: `mica checkpoint`: looks at checkpoints, compares two, and makes new files of them. Nothing is changed
 * in place but by --delete. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "mica/ui.h"

typedef struct {
  const cli_arguments *arguments;
  mica_error error;
  bool misused; /* an option has a wrong value */
} session;
/* The exit code where nothing could be opened. */
static int not_opened(const session *s) { return s->misused ? 2 : 1; }

/* The path and the step of --step: a number, "best", or the newest. */
static mica_checkpoint *open_one(session *s, const char *path) {
  const char *text = cli_value(s->arguments, "step", 0);
  int64_t step = MICA_CHECKPOINT_NEWEST;
  mica_checkpoint *checkpoint = NULL;
  if (text != NULL && strcmp(text, "best") == 0) {
    step = MICA_CHECKPOINT_BEST;
  } else if (text != NULL && strcmp(text, "newest") != 0) {
    long number = cli_number(s->arguments, "step", 0, 0);
    s->misused = number < 0;
    if (s->misused) return NULL;
    step = number;
  }
  s->error = (mica_error){0};
  if (mica_checkpoint_open(path, step, &checkpoint, &s->error) != MICA_OK) {
    cli_fail("%s", s->error.message);
    return NULL;
  }
  if (*mica_checkpoint_warning(checkpoint))
    fprintf(stderr, "mica: %s", mica_checkpoint_warning(checkpoint));
  return checkpoint;
}

/* ---- showing ---- */

static int show_variables(const mica_checkpoint *checkpoint, bool json) {
  if (json)
    printf(", \"variables\": [");
  else
    printf("%-40s %-18s %12s %12s %12s %12s\n", "variable", "type", "mean", "deviation", "least",
           "largest");
  for (int64_t i = 0; i < mica_checkpoint_count(checkpoint); i++) {
    mica_tensor *tensor = mica_checkpoint_tensor(checkpoint, i);
    mica_type type = mica_tensor_type(tensor);
    cli_statistics s;
    char text[256];
    cli_find_statistics(tensor, &s);
    mica_type_format(type, text, sizeof text);
    if (json) {
      printf("%s{\"name\": ", i > 0 ? ", " : "");
      cli_json_text(mica_checkpoint_name(checkpoint, i));
      printf(", \"part\": ");
      cli_json_text(mica_checkpoint_file(checkpoint, i));
      printf(", \"type\": ");
      cli_json_type(type);
      cli_json_number("mean", s.mean), cli_json_number("deviation", s.deviation);
      cli_json_number("least", s.least), cli_json_number("largest", s.greatest);
      printf(", \"not_finite\": %" PRId64 ", \"zeros\": %" PRId64 "}", s.nan + s.infinite, s.zero);
    } else {
      printf("%-40s %-18s %12.5g %12.5g %12.5g %12.5g", mica_checkpoint_name(checkpoint, i), text,
             s.mean, s.deviation, s.least, s.greatest);
      if (s.nan + s.infinite > 0) printf("  %" PRId64 " not finite", s.nan + s.infinite);
      putchar('\n');
    }
  }
  if (json) putchar(']');
  return 0;
}

/* Tensors, numbers and bytes of each part. */
static void show_parts(const mica_checkpoint *checkpoint, bool json) {
  int64_t tensors = 0, numbers = 0, bytes = 0;
  if (json) printf(", \"parts\": [");
  bool first = true;
  for (int64_t i = 0; i < mica_checkpoint_count(checkpoint); i++) {
    mica_tensor *tensor = mica_checkpoint_tensor(checkpoint, i);
    const char *part = mica_checkpoint_file(checkpoint, i),
               *next = mica_checkpoint_file(checkpoint, i + 1);
    tensors++;
    numbers += mica_shape_count(mica_tensor_type(tensor).shape);
    bytes += (int64_t)mica_tensor_byte_size(tensor);
    if (next != NULL && strcmp(part, next) == 0) continue;
    if (json) {
      printf("%s{\"name\": \"%s\", \"tensors\": %" PRId64 ", \"numbers\": %" PRId64
             ", \"bytes\": %" PRId64 "}",
             first ? "" : ", ", part, tensors, numbers, bytes);
    } else {
      printf("  %-16s %6" PRId64 " tensors %14" PRId64 " numbers %14" PRId64 " bytes\n", part,
             tensors, numbers, bytes);
    }
    tensors = numbers = bytes = 0;
    first = false;
  }
  if (json) putchar(']');
}

static int show(session *s, const char *path) {
  bool json = s->arguments->json;
  mica_checkpoint *checkpoint = open_one(s, path);
  if (checkpoint == NULL) return not_opened(s);
  const char *metric_name = NULL;
  double metric = 0;
  bool has_metric = mica_checkpoint_metric(checkpoint, &metric_name, &metric, NULL);
  int result = 0;
  if (json) {
    printf("{\"path\": ");
    cli_json_text(path);
    printf(", \"step\": %" PRId64 ", \"state\": %s", mica_checkpoint_step(checkpoint),
           mica_checkpoint_state(checkpoint));
    if (has_metric) {
      printf(", \"metric_name\": ");
      cli_json_text(metric_name);
      cli_json_number("metric", metric);
    }
  } else {
    printf("%s: step %" PRId64, path, mica_checkpoint_step(checkpoint));
    if (has_metric) printf(", %s %g", metric_name, metric);
    printf("\n");
  }
  show_parts(checkpoint, json);
  if (cli_value(s->arguments, "state", 0) != NULL && !json)
    printf("%s\n", mica_checkpoint_state(checkpoint));
  if (cli_value(s->arguments, "variables", 0) != NULL) result = show_variables(checkpoint, json);
  if (json) puts("}");
  mica_checkpoint_destroy(checkpoint);
  return result;
}

/* ---- comparing ---- */

/* 0 when every tensor has the same bits, 1 otherwise, as cmp. */
static int compare(session *s, const char *first, const char *second) {
  bool json = s->arguments->json, any = false;
  mica_checkpoint *a = open_one(s, first), *b = a != NULL ? open_one(s, second) : NULL;
  int different = 0;
  if (b == NULL) {
    mica_checkpoint_destroy(a);
    return 2;
  }
  if (json) printf("{\"different\": [");
  for (int side = 0; side < 2; side++) {
    const mica_checkpoint *here = side ? b : a, *there = side ? a : b;
    for (int64_t i = 0; i < mica_checkpoint_count(here); i++) {
      const char *name = mica_checkpoint_name(here, i);
      mica_tensor *x = mica_checkpoint_tensor(here, i), *y = mica_checkpoint_find(there, name);
      mica_closeness closeness = {0};
      char reason[256];
      if (y == NULL) {
        snprintf(reason, sizeof reason, "only in %s", side ? "the second" : "the first");
      } else if (side == 1 || mica_tensor_equal(x, y)) {
        continue;
      } else if (mica_tensor_compare(x, y, 0, 0, &closeness, NULL) != MICA_OK) {
        char left[120], right[120];
        mica_type_format(mica_tensor_type(x), left, sizeof left),
            mica_type_format(mica_tensor_type(y), right, sizeof right);
        snprintf(reason, sizeof reason, "%s and %s", left, right);
      } else {
        mica_closeness_format(&closeness, mica_tensor_type(x).shape, reason, sizeof reason);
      }
      different++;
      if (json) {
        printf("%s{\"name\": ", any ? ", " : "");
        cli_json_text(name);
        printf(", \"reason\": ");
        cli_json_text(reason);
        putchar('}');
        any = true;
      } else {
        printf("%-40s %s\n", name, reason);
      }
    }
  }
  if (json)
    puts("]}");
  else
    printf("%d tensor%s\n", different, different == 1 ? " differs" : "s differ");
  mica_checkpoint_destroy(a), mica_checkpoint_destroy(b);
  return different > 0;
}

/* ---- new files ---- */

/* Each float of the model times (1 + x u), u uniform in [-1, 1] by name and element, and x what is given. */
static mica_tensor *perturbed(const char *name, const mica_tensor *tensor, double amount) {
  mica_type type = mica_tensor_type(tensor);
  int64_t count = mica_shape_count(type.shape);
  double *values = calloc((size_t)count + 1, sizeof *values);
  char sum[65];
  if (values == NULL || mica_tensor_read_doubles(tensor, values, count, NULL) != MICA_OK) {
    free(values);
    return NULL;
  }
  mica_sha256(name, strlen(name), sum);
  uint32_t key[2] = {
      (uint32_t)strtoul((char[]){sum[0], sum[1], sum[2], sum[3], sum[4], sum[5], sum[6], sum[7], 0},
                        NULL, 16),
      0};
  for (int64_t i = 0; i < count; i++) {
    uint32_t words[4], counter[4] = {(uint32_t)i, (uint32_t)((uint64_t)i >> 32), 0, 0};
    mica_philox(counter, key, words);
    values[i] *= 1 + amount * (words[0] / 2147483648.0 - 1);
  }
  mica_tensor *made = mica_tensor_from_doubles(type.dtype, type.shape, values);
  free(values);
  return made;
}

/* The same numbers in another dtype. */
static mica_tensor *converted(const mica_tensor *tensor, mica_dtype dtype) {
  mica_type type = mica_tensor_type(tensor);
  int64_t count = mica_shape_count(type.shape);
  double *values = calloc((size_t)count + 1, sizeof *values);
  bool good = values != NULL && mica_tensor_read_doubles(tensor, values, count, NULL) == MICA_OK;
  mica_tensor *made = good ? mica_tensor_from_doubles(dtype, type.shape, values) : NULL;
  free(values);
  return made;
}

/* Floats of the model times what --perturb says, or in the dtype of --convert. */
static int save_changed(session *s, mica_checkpoint *checkpoint, double amount, mica_dtype dtype,
                        const char *path) {
  bool good = true;
  for (int64_t i = 0; good && i < mica_checkpoint_count(checkpoint); i++) {
    mica_tensor *tensor = mica_checkpoint_tensor(checkpoint, i), *changed;
    if (!mica_dtype_is_float(mica_tensor_type(tensor).dtype) ||
        strcmp(mica_checkpoint_file(checkpoint, i), "model") != 0)
      continue;
    changed = dtype != MICA_DTYPE_NONE
                  ? converted(tensor, dtype)
                  : perturbed(mica_checkpoint_name(checkpoint, i), tensor, amount);
    good = changed != NULL && mica_checkpoint_replace(checkpoint, i, changed, &s->error) == MICA_OK;
    mica_tensor_release(changed);
  }
  if (!good) return cli_fail("out of memory");
  return mica_checkpoint_export(checkpoint, path, &s->error) == MICA_OK
             ? 0
             : cli_fail("%s", s->error.message);
}

static int make_file(session *s, const char *path, const char *to) {
  long average = cli_number(s->arguments, "average", 1, 0);
  const char *perturb = cli_value(s->arguments, "perturb", 0),
             *convert = cli_value(s->arguments, "convert", 0);
  mica_dtype dtype = convert != NULL ? mica_dtype_from_name(convert) : MICA_DTYPE_NONE;
  mica_checkpoint *checkpoint = NULL;
  if (average < 0) return 2;
  if (convert != NULL && (!mica_dtype_is_float(dtype) || perturb != NULL))
    return cli_usage("--convert %s: expected a dtype of floats, such as bf16, without --perturb",
                     convert);
  if (average > 0) {
    if (average > 1000 ||
        mica_checkpoint_average(path, (int32_t)average, &checkpoint, &s->error) != MICA_OK)
      return cli_fail(
          "%s", *s->error.message ? s->error.message : "at most 1000 checkpoints are averaged");
  } else if ((checkpoint = open_one(s, path)) == NULL) {
    return not_opened(s);
  }
  int result = 0;
  if (convert != NULL) {
    result = save_changed(s, checkpoint, 0, dtype, to);
  } else if (perturb != NULL) {
    char *end;
    double amount = strtod(perturb, &end);
    result = *perturb == 0 || *end != 0 ? cli_usage("--perturb %s: expected a number", perturb)
                                        : save_changed(s, checkpoint, amount, MICA_DTYPE_NONE, to);
  } else if (mica_checkpoint_export(checkpoint, to, &s->error) != MICA_OK) {
    result = cli_fail("%s", s->error.message);
  }
  if (result == 0 && s->arguments->json) {
    printf("{\"exported\": ");
    cli_json_text(to);
    printf(", \"step\": %" PRId64 ", \"tensors\": %" PRId64 "}\n", mica_checkpoint_step(checkpoint),
           mica_checkpoint_count(checkpoint));
  } else if (result == 0 && strncmp(to, "/dev/", 5) != 0) {
    printf("%s: step %" PRId64, to, mica_checkpoint_step(checkpoint));
    cli_print_count(", ", mica_checkpoint_count(checkpoint), "tensor", "\n");
  }
  mica_checkpoint_destroy(checkpoint);
  return result;
}

static bool has_step(const char *path, int64_t step) {
  size_t count = 0;
  if (mica_checkpoint_list(path, NULL, 0, &count, NULL) != MICA_OK) return false;
  int64_t *steps = calloc(count + 1, sizeof *steps);
  bool found = false;
  if (steps != NULL && mica_checkpoint_list(path, steps, count, &count, NULL) == MICA_OK)
    for (size_t i = 0; i < count && !found; i++) found = steps[i] == step;
  free(steps);
  return found;
}

static int delete_steps(session *s, const char *path) {
  int64_t steps[CLI_VALUES];
  int count = 0, result = 0, deleted = 0;
  for (; cli_value(s->arguments, "delete", count) != NULL;
       count++) { /* first, whether all are there */
    char *end;
    const char *text = cli_value(s->arguments, "delete", count);
    steps[count] = strtoll(text, &end, 10);
    if (*text == 0 || *end != 0 || steps[count] < 0)
      return cli_usage("--delete %s: expected a step", text);
    if (!has_step(path, steps[count]))
      return cli_fail("%s: no checkpoint of step %s; nothing is deleted", path, text);
  }
  for (int i = 0; i < count && result == 0; i++) {
    if (mica_checkpoint_delete(path, steps[i], &s->error) != MICA_OK)
      result = cli_fail("%s", s->error.message);
    else
      deleted++;
  }
  size_t left = 0;
  if (mica_checkpoint_list(path, NULL, 0, &left, NULL) != MICA_OK) left = 0;
  if (s->arguments->json) {
    printf("{\"deleted\": %d, \"left\": %zu}\n", deleted, left);
  } else {
    cli_print_count("", deleted, "checkpoint", " deleted, ");
    printf("%zu left\n", left);
  }
  return result;
}

/* What the logs in the folders, or beside the checkpoints in them, have of losses and metrics. */
static int show_metrics(session *s) {
  const cli_arguments *arguments = s->arguments;
  mica_runs *runs = NULL;
  mica_status status = mica_runs_create(&runs, &s->error);
  for (int i = 0; i < arguments->operand_count && status == MICA_OK; i++)
    status = mica_runs_add(runs, arguments->operand[i], &s->error);
  if (status == MICA_OK && !arguments->json) mica_report_runs(stdout, runs);
  if (status == MICA_OK && arguments->json) {
    printf("[");
    for (size_t run = 0, shown = 0; run < mica_runs_count(runs); run++)
      for (size_t i = 0; i < mica_runs_curve_count(runs, run); i++) {
        mica_runs_curve c = mica_runs_curve_at(runs, run, i);
        if (c.count == 0) continue;
        printf("%s{\"run\": ", shown++ > 0 ? ", " : "");
        cli_json_text(mica_runs_name(runs, run));
        printf(", \"set\": ");
        cli_json_text(c.kind == MICA_METRICS_TRAIN ? "train" : *c.set ? c.set : "evaluation");
        printf(", \"name\": ");
        cli_json_text(c.name);
        printf(", \"count\": %" PRId64, c.count);
        cli_json_number("step", c.step[c.count - 1]), cli_json_number("last", c.value[c.count - 1]);
        putchar('}');
      }
    puts("]");
  }
  mica_runs_destroy(runs);
  return status == MICA_OK ? 0 : cli_fail("%s", s->error.message);
}

static int run_checkpoint(const cli_arguments *arguments) {
  session s = {.arguments = arguments};
  const char *to = cli_value(arguments, "export", 0);
  bool comparing = cli_value(arguments, "compare", 0) != NULL;
  if (arguments->operand_count < 1) return cli_usage("checkpoint: a DIR is expected");
  if (comparing) {
    if (arguments->operand_count != 2) return cli_usage("checkpoint --compare: two are expected");
    return compare(&s, arguments->operand[0], arguments->operand[1]);
  }
  if (to == NULL &&
      (cli_value(arguments, "average", 0) != NULL || cli_value(arguments, "perturb", 0) != NULL ||
       cli_value(arguments, "convert", 0) != NULL))
    return cli_usage(
        "--average, --perturb and --convert make a new file: --export FILE says where");
  if (cli_value(arguments, "metrics", 0) != NULL) return show_metrics(&s);
  if ((to != NULL || cli_value(arguments, "delete", 0) != NULL) && arguments->operand_count != 1)
    return cli_usage("checkpoint: one DIR is expected with --export and --delete");
  if (to != NULL) return make_file(&s, arguments->operand[0], to);
  if (cli_value(arguments, "delete", 0) != NULL) return delete_steps(&s, arguments->operand[0]);
  int result = 0;
  for (int i = 0; i < arguments->operand_count; i++) {
    int one = show(&s, arguments->operand[i]);
    if (one > result) result = one;
  }
  return result;
}

static const cli_option checkpoint_options[] = {
    {"step", "N", "which one: a step, newest (the default) or best, by its metric"},
    {"variables", NULL, "list the variables, with mean, deviation, least and largest number"},
    {"state", NULL, "print the state: step, settings, positions of data sets, ..."},
    {"metrics", NULL, "a table of what the logs in the folders have of losses and metrics"},
    {"compare", NULL, "say which tensors of two differ, and by how much; exit code 1 if any does"},
    {"export", "FILE", "write it as one safetensors file, as a backup or for other tools"},
    {"average", "N", "with --export: the mean of the last N"},
    {"perturb", "X", "with --export: each number of the model times 1 + X u, u random in [-1, 1]"},
    {"convert", "DTYPE", "with --export: floats of the model in another dtype, such as bf16"},
    {"delete", "STEP", "remove a step; may be given again"},
    {NULL, NULL, NULL}};
const cli_command cli_checkpoint = {
    .name = "checkpoint",
    .operands = "DIR...",
    .summary = "look at checkpoints, compare, export, average and delete them",
    .details =
        "A DIR is a folder of checkpoints, or a safetensors file from anywhere. Checksums are "
        "verified.\n"
        "`mica info DIR` lists the steps of a folder.",
    .options = checkpoint_options,
    .run = run_checkpoint};
