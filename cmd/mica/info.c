/* SPDX-License-Identifier: Apache-2.0 */
/* info.c: `mica info`: the library and its devices, or what a file or a folder of checkpoints holds. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "mica/plugin.h"

static void print_backend(const char *name, bool available, const char *text, bool json,
                          bool first) {
  if (json) {
    printf("%s{\"backend\": \"%s\", \"available\": %s, \"description\": ", first ? "" : ", ", name,
           available ? "true" : "false");
    cli_json_text(text);
    putchar('}');
  } else {
    printf("  %-10s %s%s\n", name, available ? "" : "not available: ", text);
  }
}

/* Each backend and, of those that load plugins, each of them: what it computes on, or why it does not. */
static int info_library(bool json) {
  static const char *const backends[] = {"cpu",      "reference",  "xla:cpu", "xla:cuda",
                                         "xla:rocm", "xla:oneapi", "xla:tpu"};
  enum { SECONDS = 60 };
  if (json)
    printf("{\"version\": \"%s\", \"devices\": [", mica_version());
  else
    printf("Mica %s\n", mica_version());
  for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
    char text[2048], path[MICA_PLUGIN_PATH];
    mica_error error = {0};
    const char *colon = strchr(backends[i], ':');
    bool found = colon == NULL || mica_plugin_file(colon + 1, path, sizeof path, &error) == MICA_OK;
    bool available = found && cli_probe(backends[i], SECONDS, text, sizeof text);
    if (!found && json) snprintf(text, sizeof text, "%s", error.message);
    if (!found && !json) snprintf(text, sizeof text, "mica plugin install %s brings it", colon + 1);
    print_backend(backends[i], available, text, json, i == 0);
    if (available && colon != NULL && !json) printf("  %-10s %s\n", "", path);
  }
  if (json) printf("], \"xla\": ");
  char path[MICA_PLUGIN_PATH];
  bool found = mica_plugin_file("", path, sizeof path, NULL) == MICA_OK;
  if (json) cli_json_text(found ? path : ""), puts("}");
  if (!json && found) printf("`xla` alone loads %s\n", path);
  return 0;
}

/* ---- model files ---- */

static void print_ends(const mica_model *model, int64_t program, bool outputs, bool json) {
  mica_model_program names = mica_model_program_at(model, program);
  int64_t count =
      outputs ? mica_model_output_count(model, program) : mica_model_input_count(model, program);
  if (json) printf(", \"%s\": [", outputs ? "outputs" : "inputs");
  for (int64_t i = 0; i < count; i++) {
    const char *name = outputs ? names.output_names[i] : names.input_names[i];
    mica_type type = outputs ? mica_model_output_type(model, program, i)
                             : mica_model_input_type(model, program, i);
    if (json) {
      printf("%s{\"name\": ", i > 0 ? ", " : "");
      cli_json_text(name);
      printf(", \"type\": ");
      cli_json_type(type);
      putchar('}');
    } else {
      printf("  %-7s %-24s ", outputs ? "output" : "input", name);
      cli_print_type(type);
      putchar('\n');
    }
  }
  if (json) putchar(']');
}

static int info_model(const char *path, const mica_model *model, bool json) {
  int64_t parameters = 0;
  if (json) {
    printf("{\"path\": ");
    cli_json_text(path);
    printf(", \"kind\": \"model\", \"programs\": [");
  } else {
    printf("%s: a model file\n", path);
  }
  for (int64_t i = 0; i < mica_model_program_count(model); i++) {
    const char *name = mica_model_program_at(model, i).name;
    if (json)
      printf("%s{\"name\": \"%s\"", i > 0 ? ", " : "", name);
    else
      printf("program %s\n", name);
    print_ends(model, i, false, json);
    print_ends(model, i, true, json);
    if (json) putchar('}');
  }
  if (json) printf("], \"variables\": [");
  for (int64_t i = 0; i < mica_model_variable_count(model); i++) {
    const mica_variable *variable = mica_model_variable(model, i);
    mica_type type = mica_variable_type(variable);
    parameters += mica_shape_count(type.shape);
    if (json) {
      printf("%s{\"name\": ", i > 0 ? ", " : "");
      cli_json_text(mica_variable_name(variable));
      printf(", \"type\": ");
      cli_json_type(type);
      putchar('}');
    } else {
      printf("variable  %-30s ", mica_variable_name(variable));
      cli_print_type(type);
      putchar('\n');
    }
  }
  if (json)
    printf("], \"parameters\": %" PRId64 "}\n", parameters);
  else
    cli_print_count("", mica_model_variable_count(model), "variable", " with "),
        cli_print_count("", parameters, "number", "\n");
  return 0;
}

/* ---- files of tensors ---- */

/* Rows of names and types, as safetensors, npz and single arrays have them. */
typedef struct {
  const char *kind;
  bool json;
  int64_t rows, numbers, bytes;
} table;

static void table_begin(table *t, const char *path) {
  if (t->json) {
    printf("{\"path\": ");
    cli_json_text(path);
    printf(", \"kind\": \"%s\", \"tensors\": [", t->kind);
  } else {
    printf("%s: %s\n", path, t->kind);
  }
}

static void table_row(table *t, const char *name, mica_type type) {
  size_t bytes = 0;
  int64_t count = mica_shape_count(type.shape);
  if (type.dtype != MICA_DTYPE_NONE && mica_type_byte_size(type, &bytes))
    t->bytes += (int64_t)bytes;
  if (count > 0 && type.dtype != MICA_DTYPE_NONE) t->numbers += count;
  if (t->json) {
    printf("%s{\"name\": ", t->rows > 0 ? ", " : "");
    cli_json_text(name);
    printf(", \"type\": ");
    cli_json_type(type);
    putchar('}');
  } else {
    printf("  %-40s ", name);
    cli_print_type(type);
    putchar('\n');
  }
  t->rows++;
}

static void table_end(table *t) {
  if (t->json)
    printf("], \"numbers\": %" PRId64 ", \"bytes\": %" PRId64 "}\n", t->numbers, t->bytes);
  else
    cli_print_count("", t->rows, "tensor", ""), cli_print_count(", ", t->numbers, "number", ""),
        cli_print_count(", ", t->bytes, "byte", "\n");
}

static int info_safetensors(const char *path, const mica_safetensors *file, bool json) {
  table t = {.kind = "safetensors", .json = json};
  table_begin(&t, path);
  for (int64_t i = 0; i < mica_safetensors_count(file); i++)
    table_row(&t, mica_safetensors_name(file, i), mica_safetensors_type(file, i));
  table_end(&t);
  return 0;
}

static int info_npz(const char *path, const mica_npz *npz, bool json) {
  table t = {.kind = "npz", .json = json};
  table_begin(&t, path);
  for (int64_t i = 0; i < mica_npz_count(npz); i++)
    table_row(&t, mica_npz_name(npz, i), mica_tensor_type(mica_npz_tensor(npz, i)));
  table_end(&t);
  return 0;
}

static int info_array(const char *path, const char *kind, mica_tensor *tensor, bool json) {
  table t = {.kind = kind, .json = json};
  table_begin(&t, path);
  table_row(&t, "", mica_tensor_type(tensor));
  table_end(&t);
  return 0;
}

static bool ends_with(const char *path, const char *end) {
  size_t length = strlen(path), size = strlen(end);
  return length >= size && strcmp(path + length - size, end) == 0;
}

static int info_csv(const char *path, bool json) {
  static const char *const kinds[] = {"auto", "float", "double", "integer", "category", "skip"};
  mica_csv_options options = {.struct_size = sizeof options,
                              .separator = ends_with(path, ".tsv") ? '\t' : ',',
                              .no_quotes = ends_with(path, ".tsv")};
  mica_csv *csv = NULL;
  mica_error error = {0};
  if (mica_csv_load(path, &options, &csv, &error) != MICA_OK) return cli_fail("%s", error.message);
  if (json) {
    printf("{\"path\": ");
    cli_json_text(path);
    printf(", \"kind\": \"csv\", \"rows\": %" PRId64 ", \"columns\": [", mica_csv_row_count(csv));
  } else {
    printf("%s: csv, ", path);
    cli_print_count("", mica_csv_row_count(csv), "row", "\n");
  }
  for (int32_t i = 0; i < mica_csv_column_count(csv); i++) {
    const char *kind = kinds[mica_csv_column_kind(csv, i)];
    int64_t words = mica_vocabulary_count(mica_csv_vocabulary(csv, i));
    if (json) {
      printf("%s{\"name\": ", i > 0 ? ", " : "");
      cli_json_text(mica_csv_name(csv, i));
      printf(", \"kind\": \"%s\", \"words\": %" PRId64 "}", kind, words);
    } else {
      printf("  %-40s %s", mica_csv_name(csv, i), kind);
      if (words > 0) printf(" of %" PRId64 " words", words);
      putchar('\n');
    }
  }
  if (json) puts("]}");
  mica_csv_destroy(csv);
  return 0;
}

static bool begins_with(const char *path, const char *bytes, size_t size) {
  char first[8];
  FILE *file = fopen(path, "rb");
  bool same =
      file != NULL && fread(first, 1, size, file) == size && memcmp(first, bytes, size) == 0;
  if (file != NULL) fclose(file);
  return same;
}

static int info_file(const char *path, bool json) {
  mica_error error = {0};
  mica_tensor *tensor = NULL;
  int result;
  if (ends_with(path, ".csv") || ends_with(path, ".tsv")) return info_csv(path, json);
  if (begins_with(path, "\x93NUMPY", 6)) {
    if (mica_npy_load(path, &tensor, &error) != MICA_OK) return cli_fail("%s", error.message);
    result = info_array(path, "npy", tensor, json);
  } else if (begins_with(path, "PK", 2)) {
    mica_npz *npz = NULL;
    if (mica_npz_load(path, &npz, &error) != MICA_OK) return cli_fail("%s", error.message);
    result = info_npz(path, npz, json);
    mica_npz_destroy(npz);
  } else if (begins_with(path, "\0\0", 2) || begins_with(path, "\x1f\x8b", 2)) {
    if (mica_idx_load(path, &tensor, &error) != MICA_OK) return cli_fail("%s", error.message);
    result = info_array(path, "idx", tensor, json);
  } else {
    mica_safetensors *file = NULL;
    if (mica_safetensors_open(path, &file, &error) != MICA_OK)
      return cli_fail("%s%s", error.message,
                      error.status == MICA_DATA_LOSS && !ends_with(path, ".safetensors") &&
                              !ends_with(path, ".mica")
                          ? "; mica data knows more kinds of files"
                          : "");
    if (mica_safetensors_metadata(file, "mica.model") != NULL) {
      mica_model *model = NULL;
      if (mica_model_open(path, &model, &error) == MICA_OK)
        result = info_model(path, model, json);
      else
        result = cli_fail("%s", error.message);
      mica_model_destroy(model);
    } else {
      result = info_safetensors(path, file, json);
    }
    mica_safetensors_destroy(file);
  }
  mica_tensor_release(tensor);
  return result;
}

static int info_folder(const char *path, bool json) {
  mica_error error = {0};
  size_t count = 0;
  int result = 0;
  if (mica_checkpoint_list(path, NULL, 0, &count, &error) != MICA_OK)
    return cli_fail("%s", error.message);
  int64_t *steps = calloc(count + 1, sizeof *steps);
  if (steps == NULL || mica_checkpoint_list(path, steps, count, &count, &error) != MICA_OK) {
    free(steps);
    return cli_fail("%s", error.message);
  }
  if (json) {
    printf("{\"path\": ");
    cli_json_text(path);
    printf(", \"kind\": \"checkpoints\", \"steps\": [");
  } else {
    printf("%s: ", path);
    cli_print_count("", (int64_t)count, "checkpoint", "\n");
    if (count == 0) puts("  mica data looks into the files of a folder");
  }
  for (size_t i = 0; i < count; i++) {
    mica_checkpoint *checkpoint = NULL;
    mica_error why = {0};
    const char *metric_name = NULL;
    double metric = 0;
    bool good = mica_checkpoint_open(path, steps[i], &checkpoint, &why) == MICA_OK;
    if (!good) result = 1;
    bool has_metric = good && mica_checkpoint_metric(checkpoint, &metric_name, &metric, NULL);
    if (json) {
      printf("%s{\"step\": %" PRId64 ", \"tensors\": %" PRId64, i > 0 ? ", " : "", steps[i],
             mica_checkpoint_count(checkpoint));
      if (has_metric && metric - metric == 0) {
        printf(", ");
        cli_json_text(metric_name);
        printf(": %.17g", metric);
      }
      if (!good) {
        printf(", \"error\": ");
        cli_json_text(why.message);
      }
      putchar('}');
    } else {
      printf("  step %10" PRId64 "  %5" PRId64 " tensors", steps[i],
             mica_checkpoint_count(checkpoint));
      if (has_metric) printf("  %s %g", metric_name, metric);
      printf("%s%s\n", good ? "" : "  ", good ? "" : why.message);
    }
    mica_checkpoint_destroy(checkpoint);
  }
  if (json) puts("]}");
  free(steps);
  return result;
}

static int run_info(const cli_arguments *arguments) {
  if (arguments->operand_count == 0) return info_library(arguments->json);
  int result = 0;
  for (int i = 0; i < arguments->operand_count; i++) {
    struct stat status;
    const char *path = arguments->operand[i];
    bool folder = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    int one = folder ? info_folder(path, arguments->json) : info_file(path, arguments->json);
    if (one > result) result = one;
  }
  return result;
}

static const cli_option info_options[] = {{NULL, NULL, NULL}};
const cli_command cli_info = {
    .name = "info",
    .operands = "[PATH...]",
    .summary = "say what Mica is, or what files hold",
    .details =
        "Without a PATH: the version and the devices that are here. A PATH is a model file, a "
        "safetensors,\n"
        ".npy, .npz, IDX, .csv or .tsv file, or a folder of checkpoints, whose checksums are "
        "verified.",
    .options = info_options,
    .run = run_info};
