/* SPDX-License-Identifier: Apache-2.0 */
/* run.c: `mica run`: one program of a model file on arrays from files; a training step as well, whose result can be
 * kept. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"

enum { RUN_ENDS = 64 };

typedef struct {
  const cli_arguments *arguments;
  mica_model *model;
  int64_t program;
  int64_t in_count, out_count;
  mica_tensor *in[RUN_ENDS], *out[RUN_ENDS];
  mica_error error;
} running;

/* The index of "NAME" in front of '=', or the next one that has no value; -1 after a message. *out_path is behind
 * it. */
static int64_t choose_end(const char *kind, const char *value, const char *const *names,
                          int64_t count, const bool *taken, const char **out_path) {
  const char *equals = strchr(value, '=');
  struct stat there;
  *out_path = value;
  for (int64_t i = 0; equals != NULL && i < count; i++)
    if (strlen(names[i]) == (size_t)(equals - value) &&
        strncmp(names[i], value, (size_t)(equals - value)) == 0) {
      *out_path = equals + 1;
      return i;
    }
  bool named = equals != NULL && memchr(value, '/', (size_t)(equals - value)) == NULL;
  if (named && (strcmp(kind, "output") == 0 || stat(value, &there) != 0)) {
    fprintf(stderr, "mica: the program's %ss:", kind);
    for (int64_t i = 0; i < count; i++) fprintf(stderr, " %s", names[i]);
    fputc('\n', stderr);
    cli_usage("--%s %s: there is no %s '%.*s'", kind, value, kind, (int)(equals - value), value);
    return -1;
  }
  for (int64_t i = 0; i < count; i++)
    if (!taken[i]) return i;
  cli_usage("--%s %s: the program has %" PRId64 " %ss, and all are given", kind, value, count,
            kind);
  return -1;
}

/* A type that does not fit is converted where only the dtype differs. */
static mica_tensor *fit(mica_tensor *tensor, mica_type wanted, const char *path) {
  mica_type type = mica_tensor_type(tensor);
  if (mica_type_equal(type, wanted)) return tensor;
  char a[256], b[256];
  mica_type_format(type, a, sizeof a), mica_type_format(wanted, b, sizeof b);
  mica_tensor *converted = NULL;
  if (mica_shape_equal(type.shape, wanted.shape) && mica_dtype_bits(wanted.dtype) >= 8) {
    void *bytes = calloc(
        1, 16 + (size_t)mica_shape_count(wanted.shape) * (size_t)mica_dtype_bits(wanted.dtype) / 8);
    if (bytes != NULL &&
        mica_convert_elements(wanted.dtype, bytes, type.dtype, mica_tensor_data(tensor),
                              mica_shape_count(type.shape)) == MICA_OK)
      converted = mica_tensor_from(wanted.dtype, wanted.shape, bytes);
    free(bytes);
  }
  if (converted == NULL) cli_fail("%s is %s, and the program wants %s", path, a, b);
  mica_tensor_release(tensor);
  return converted;
}

static bool load_inputs(running *r) {
  mica_model_program program = mica_model_program_at(r->model, r->program);
  bool taken[RUN_ENDS] = {false};
  for (int i = 0;; i++) {
    const char *value = cli_value(r->arguments, "input", i), *path;
    if (value == NULL) break;
    int64_t index = choose_end("input", value, program.input_names, r->in_count, taken, &path);
    if (index < 0) return false;
    taken[index] = true;
    mica_tensor_release(r->in[index]);
    r->in[index] = NULL;
    if (mica_npy_load(path, &r->in[index], &r->error) != MICA_OK)
      return cli_fail("%s", r->error.message) == 0;
    r->in[index] = fit(r->in[index], mica_model_input_type(r->model, r->program, index), path);
    if (r->in[index] == NULL) return false;
  }
  for (int64_t i = 0; i < r->in_count; i++) {
    if (r->in[i] != NULL) continue;
    char type[256];
    mica_type_format(mica_model_input_type(r->model, r->program, i), type, sizeof type);
    cli_usage("input '%s' is missing: --input %s=FILE.npy with %s", program.input_names[i],
              program.input_names[i], type);
    return false;
  }
  return true;
}

static void print_output(const char *name, const mica_tensor *tensor, bool json, bool first) {
  int64_t size = 0;
  if (json) {
    mica_type type = mica_tensor_type(tensor);
    int64_t count = mica_shape_count(type.shape);
    double *values = calloc((size_t)count + 1, sizeof *values);
    printf("%s{\"name\": ", first ? "" : ", ");
    cli_json_text(name);
    printf(", \"type\": ");
    cli_json_type(type);
    printf(", \"values\": [");
    if (values != NULL && mica_tensor_read_doubles(tensor, values, count, NULL) == MICA_OK)
      for (int64_t i = 0; i < count; i++) {
        if (values[i] - values[i] == 0)
          printf("%s%.17g", i > 0 ? ", " : "", values[i]);
        else
          printf("%snull", i > 0 ? ", " : "");
      }
    printf("]}");
    free(values);
    return;
  }
  size = mica_tensor_format(tensor, NULL, NULL, 0);
  char *text = size >= 0 ? malloc((size_t)size + 1) : NULL;
  printf("%s: ", name);
  cli_print_type(mica_tensor_type(tensor));
  if (text != NULL) {
    mica_tensor_format(tensor, NULL, text, (size_t)size + 1);
    printf("\n%s\n", text);
  }
  free(text);
}

static bool give_outputs(running *r) {
  mica_model_program program = mica_model_program_at(r->model, r->program);
  bool taken[RUN_ENDS] = {false};
  for (int i = 0;; i++) {
    const char *value = cli_value(r->arguments, "output", i), *path;
    if (value == NULL) break;
    int64_t index = choose_end("output", value, program.output_names, r->out_count, taken, &path);
    if (index < 0) return false;
    taken[index] = true;
    if (mica_npy_save(path, r->out[index], &r->error) != MICA_OK)
      return cli_fail("%s", r->error.message) == 0;
  }
  bool first = true;
  if (r->arguments->json) printf("{\"outputs\": [");
  for (int64_t i = 0; i < r->out_count; i++) {
    if (taken[i]) continue;
    print_output(program.output_names[i], r->out[i], r->arguments->json, first);
    first = false;
  }
  if (r->arguments->json) puts("]}");
  return true;
}

/* How many numbers of each variable are not finite, into counts[], and -1; or with `compare` the first variable that has more of
 * them than counts[] says. */
static int64_t count_not_finite(const mica_model *model, int64_t *counts, bool compare) {
  for (int64_t i = 0; i < mica_model_variable_count(model); i++) {
    static cli_statistics s;
    mica_tensor *now = mica_variable_snapshot(mica_model_variable(model, i));
    s = (cli_statistics){0};
    if (now != NULL && mica_dtype_is_float(mica_tensor_type(now).dtype))
      cli_find_statistics(now, &s);
    mica_tensor_release(now);
    if (compare && s.nan + s.infinite > counts[i]) return i;
    counts[i] = s.nan + s.infinite;
  }
  return -1;
}

static int run_program(running *r, mica_device *device) {
  mica_executable *executable = NULL;
  long steps = cli_number(r->arguments, "steps", 1, 1);
  if (steps < 0) return 2;
  r->in_count = mica_model_input_count(r->model, r->program);
  r->out_count = mica_model_output_count(r->model, r->program);
  if (r->in_count > RUN_ENDS || r->out_count > RUN_ENDS)
    return cli_fail("programs with more than %d inputs or outputs cannot be run from here",
                    RUN_ENDS);
  if (!load_inputs(r)) return 2;
  if (mica_model_compile(r->model, r->program, device, &executable, &r->error) != MICA_OK)
    return cli_fail("%s", r->error.message);
  const char *save = cli_value(r->arguments, "save", 0);
  int64_t *before =
      save == NULL ? NULL : calloc((size_t)mica_model_variable_count(r->model) + 1, sizeof *before);
  if (before != NULL) (void)count_not_finite(r->model, before, false);
  mica_status status = MICA_OK;
  for (long i = 0; i < steps && status == MICA_OK; i++)
    status = mica_executable_run(executable, r->in, (size_t)r->in_count, r->out,
                                 (size_t)r->out_count, &r->error);
  mica_executable_release(executable);
  if (status != MICA_OK || !give_outputs(r)) {
    free(before);
    return status != MICA_OK ? cli_fail("%s", r->error.message) : 1;
  }
  int64_t bad = before != NULL ? count_not_finite(r->model, before, true) : -1;
  free(before);
  if (bad >= 0)
    return cli_fail(
        "variable '%s' has numbers that are not finite after %ld steps: nothing is saved",
        mica_variable_name(mica_model_variable(r->model, bad)), steps);
  if (save != NULL && mica_model_write(r->model, save, &r->error) != MICA_OK)
    return cli_fail("%s", r->error.message);
  return 0;
}

static int run_run(const cli_arguments *arguments) {
  running r = {.arguments = arguments};
  if (arguments->operand_count != 1) return cli_usage("run: one MODEL is expected");
  if (mica_model_open(arguments->operand[0], &r.model, &r.error) != MICA_OK)
    return cli_fail("%s", r.error.message);
  const char *name = cli_value(arguments, "program", 0);
  r.program = name != NULL ? mica_model_program_index(r.model, name) : 0;
  int result;
  mica_device *device = NULL;
  if (r.program < 0) {
    fputs("mica: the model's programs:", stderr);
    for (int64_t i = 0; i < mica_model_program_count(r.model); i++)
      fprintf(stderr, " %s", mica_model_program_at(r.model, i).name);
    fputc('\n', stderr);
    result = cli_usage("there is no program '%s'", name);
  } else {
    device = cli_device(arguments);
    result = device != NULL ? run_program(&r, device) : 1;
  }
  for (int i = 0; i < RUN_ENDS; i++) mica_tensor_release(r.in[i]), mica_tensor_release(r.out[i]);
  mica_device_release(device);
  mica_model_destroy(r.model);
  return result;
}

static const cli_option run_options[] = {
    {"program", "NAME", "which program of the model; default: its first"},
    {"input", "[NAME=]FILE",
     "a .npy file for an input; without NAME the next that has none; dtypes are converted"},
    {"output", "[NAME=]FILE", "a .npy file for an output; the others are printed"},
    {"steps", "N", "how often to run, for training steps; the outputs are the last ones"},
    {"save", "FILE", "write the model with the variables as they are afterwards"},
    CLI_DEVICE_OPTIONS,
    {NULL, NULL, NULL}};
const cli_command cli_run = {.name = "run",
                             .operands = "MODEL",
                             .summary = "run a program of a model file",
                             .details =
                                 "mica run model.mica --input x.npy\n"
                                 "mica run model.mica --program train --input x=x.npy --input "
                                 "y=y.npy --steps 100 --save trained.mica",
                             .options = run_options,
                             .run = run_run};
