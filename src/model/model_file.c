/* SPDX-License-Identifier: Apache-2.0 */
/* model_file.c: programs and weights in one file.
 *
 * A safetensors file whose metadata has the graphs' text: "mica.model" is the version, "mica.programs" a JSON array
 * of names, "mica.graph.<name>" each text. The tensors are the variables' values under dotted names; the text has the
 * variables' own names. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/memory.h"
#include "core/text.h"
#include "graph/attributes.h"
#include "graph/graph_internal.h"
#include "model/checkpoint.h"

typedef struct {
  const char *name;
  mica_graph *graph;
  const char **input_names, **output_names;
} loaded_program;

struct mica_model {
  mica_arena arena;
  loaded_program *programs;
  size_t program_count;
  mica_variable **variables;
  size_t variable_count;
  mica_named_text *metadata; /* the user's */
  size_t metadata_count;
};

static mica_status model_memory(mica_error *error) {
  return mica_error_set(error, MICA_OUT_OF_MEMORY, "model: out of memory");
}

/* ---- saving ---------------------------------------------------------------------------------- */

/* What a file is made of, gathered from all programs. */
typedef struct {
  mica_arena arena;
  const mica_model_program *programs;
  size_t program_count;
  mica_variable **variables;
  mica_named_tensor *tensors;
  size_t variable_count;
  mica_named_text *metadata;
  size_t metadata_count;
} model_contents;

static bool program_name_is_good(const char *name) {
  if (name == NULL || *name == 0 || strlen(name) > 64) return false;
  for (; *name; name++)
    if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
          (*name >= '0' && *name <= '9') || *name == '-' || *name == '_'))
      return false;
  return true;
}

static mica_status check_programs(const mica_model_program *programs, size_t count,
                                  mica_error *error) {
  if (programs == NULL || count == 0)
    return mica_error_set(error, MICA_INVALID, "model: there is no program");
  for (size_t i = 0; i < count; i++) {
    if (!program_name_is_good(programs[i].name))
      return mica_error_set(
          error, MICA_INVALID,
          "model: program %zu has a name with other characters than letters, digits, '-' and '_'",
          i);
    for (size_t k = 0; k < i; k++)
      if (!strcmp(programs[i].name, programs[k].name))
        return mica_error_set(error, MICA_INVALID, "model: two programs are named '%s'",
                              programs[i].name);
    mica_error inner = {0};
    mica_status status = mica_graph_status(programs[i].graph, &inner);
    if (status != MICA_OK)
      return mica_error_set(error, status, "model: program '%s': %.800s", programs[i].name,
                            inner.message);
  }
  return MICA_OK;
}

static mica_status add_variable(model_contents *all, const char *program, mica_variable *variable,
                                mica_error *error) {
  if (variable == NULL)
    return mica_error_set(error, MICA_INVALID,
                          "model: program '%s' has a variable that is not bound", program);
  const char *name = mica_variable_name(variable);
  for (size_t i = 0; i < all->variable_count; i++) {
    if (all->variables[i] == variable) return MICA_OK;
    const char *a = all->tensors[i].name, *b = name;
    while (*a != 0 && *a == (*b == '/' ? '.' : *b)) a++, b++;
    if (*a == 0 && *b == 0)
      return mica_error_set(error, MICA_INVALID,
                            "model: two variables are named '%.300s' ('/' counts as '.')", name);
  }
  char *dotted = mica_dotted_name(&all->arena, name);
  if (dotted == NULL) return model_memory(error);
  mica_tensor *value = mica_variable_snapshot(variable);
  if (value == NULL)
    return mica_error_set(error, MICA_INVALID, "model: variable '%.300s' is lost", name);
  all->variables[all->variable_count] = variable;
  all->tensors[all->variable_count++] = (mica_named_tensor){dotted, value};
  return MICA_OK;
}

static mica_status gather_variables(model_contents *all, mica_error *error) {
  size_t most = 1;
  for (size_t i = 0; i < all->program_count; i++) most += all->programs[i].graph->variable_count;
  all->variables = mica_arena_allocate_zeroed(&all->arena, most, sizeof *all->variables);
  all->tensors = mica_arena_allocate_zeroed(&all->arena, most, sizeof *all->tensors);
  mica_status status =
      all->variables != NULL && all->tensors != NULL ? MICA_OK : model_memory(error);
  for (size_t i = 0; i < all->program_count && status == MICA_OK; i++) {
    const mica_graph *graph = all->programs[i].graph;
    for (uint32_t k = 0; k < graph->variable_count && status == MICA_OK; k++)
      status = add_variable(all, all->programs[i].name, graph->variables[k].variable, error);
  }
  return status;
}

static void write_names(mica_json_writer *json, const char *key, const char *const *names,
                        uint32_t count) {
  mica_json_key(json, key);
  mica_json_array_begin(json);
  for (uint32_t i = 0; i < count; i++) {
    char plain[32];
    snprintf(plain, sizeof plain, "%.6s%" PRIu32, key, i);
    mica_json_string(json, names != NULL && names[i] != NULL ? names[i] : plain);
  }
  mica_json_array_end(json);
}

static char *write_programs(model_contents *all) {
  mica_text text;
  mica_json_writer json;
  mica_text_init(&text, NULL);
  mica_json_begin(&json, &text);
  mica_json_array_begin(&json);
  for (size_t i = 0; i < all->program_count; i++) {
    const mica_model_program *program = &all->programs[i];
    mica_json_object_begin(&json);
    mica_json_key(&json, "name"), mica_json_string(&json, program->name);
    write_names(&json, "input", program->input_names, program->graph->parameter_count);
    write_names(&json, "output", program->output_names, program->graph->output_count);
    mica_json_object_end(&json);
  }
  mica_json_array_end(&json);
  char *copy = text.failed ? NULL : mica_arena_text(&all->arena, text.data);
  mica_text_deinit(&text);
  return copy;
}

static char *write_graph(model_contents *all, const mica_graph *graph) {
  int64_t size = mica_graph_format(graph, NULL, 0);
  char *text = size < 0 || (uint64_t)size >= SIZE_MAX
                   ? NULL
                   : mica_arena_allocate(&all->arena, (size_t)size + 1);
  if (text != NULL && mica_graph_format(graph, text, (size_t)size + 1) != size) text = NULL;
  return text;
}

static mica_status gather_metadata(model_contents *all, const mica_named_text *metadata,
                                   size_t count, mica_error *error) {
  all->metadata = mica_arena_allocate_zeroed(&all->arena, count + all->program_count + 2,
                                             sizeof *all->metadata);
  char *programs = write_programs(all);
  if (all->metadata == NULL || programs == NULL) return model_memory(error);
  all->metadata[all->metadata_count++] = (mica_named_text){"mica.model", "1"};
  all->metadata[all->metadata_count++] = (mica_named_text){"mica.programs", programs};
  for (size_t i = 0; i < all->program_count; i++) {
    char key[96];
    snprintf(key, sizeof key, "mica.graph.%s", all->programs[i].name);
    mica_named_text *row = &all->metadata[all->metadata_count++];
    row->key = mica_arena_text(&all->arena, key);
    row->value = write_graph(all, all->programs[i].graph);
    if (row->key == NULL || row->value == NULL) return model_memory(error);
  }
  for (size_t i = 0; i < count; i++) {
    if (metadata[i].key != NULL && strncmp(metadata[i].key, "mica.", 5) == 0)
      return mica_error_set(error, MICA_INVALID, "model: a key of metadata begins with 'mica.'");
    all->metadata[all->metadata_count++] = metadata[i];
  }
  return MICA_OK;
}

mica_status mica_model_save(const char *path, const mica_model_program *programs,
                            size_t program_count, const mica_named_text *metadata,
                            size_t metadata_count, mica_error *error) {
  if (metadata == NULL && metadata_count > 0)
    return mica_error_set(error, MICA_INVALID, "model: the metadata is NULL");
  mica_status status = check_programs(programs, program_count, error);
  if (status != MICA_OK) return status;
  model_contents all = {.programs = programs, .program_count = program_count};
  mica_arena_init(&all.arena, NULL);
  status = gather_variables(&all, error);
  if (status == MICA_OK) status = gather_metadata(&all, metadata, metadata_count, error);
  if (status == MICA_OK)
    status = mica_safetensors_save(path, all.tensors, all.variable_count, all.metadata,
                                   all.metadata_count, error);
  for (size_t i = 0; i < all.variable_count; i++) mica_tensor_release(all.tensors[i].tensor);
  mica_arena_deinit(&all.arena);
  return status;
}

/* ---- loading --------------------------------------------------------------------------------- */

void mica_model_destroy(mica_model *model) {
  if (model == NULL) return;
  for (size_t i = 0; i < model->program_count; i++) mica_graph_destroy(model->programs[i].graph);
  for (size_t i = 0; i < model->variable_count; i++) mica_variable_release(model->variables[i]);
  mica_arena_deinit(&model->arena);
  mica_free(NULL, model, sizeof *model);
}

static mica_status broken_model(mica_error *error, const char *what) {
  return mica_error_set(error, MICA_DATA_LOSS, "model: %s", what);
}

static mica_status load_names(mica_model *model, const mica_json *names, uint32_t count,
                              const char ***out, mica_error *error) {
  if (names == NULL || names->kind != MICA_JSON_ARRAY || names->count != count)
    return broken_model(error, "the names of inputs and outputs do not fit the graph");
  *out = mica_arena_allocate_zeroed(&model->arena, (size_t)count + 1, sizeof **out);
  if (*out == NULL) return model_memory(error);
  size_t at = 0;
  for (const mica_json *name = names->first; name != NULL; name = name->next) {
    if (name->kind != MICA_JSON_STRING) return broken_model(error, "a name is no string");
    (*out)[at++] = name->string;
  }
  return MICA_OK;
}

static mica_status load_program(mica_model *model, const mica_safetensors *file,
                                const mica_json *json, mica_error *error) {
  loaded_program *program = &model->programs[model->program_count];
  const mica_json *name = mica_json_get(json, "name");
  if (name == NULL || name->kind != MICA_JSON_STRING || !program_name_is_good(name->string) ||
      mica_model_program_index(model, name->string) >= 0)
    return broken_model(error, "a program has no good name");
  char key[96];
  snprintf(key, sizeof key, "mica.graph.%s", name->string);
  const char *text = mica_safetensors_metadata(file, key);
  if (text == NULL) return broken_model(error, "the graph of a program is missing");
  mica_error inner = {0};
  mica_graph *graph = NULL;
  mica_status status = mica_graph_parse(NULL, text, strlen(text), &graph, &inner);
  if (status != MICA_OK)
    return mica_error_set(error, status, "model: program '%s': %.800s", name->string,
                          inner.message);
  program->name = name->string;
  program->graph = graph;
  model->program_count++;
  status = load_names(model, mica_json_get(json, "input"), graph->parameter_count,
                      &program->input_names, error);
  if (status == MICA_OK)
    status = load_names(model, mica_json_get(json, "output"), graph->output_count,
                        &program->output_names, error);
  return status;
}

static mica_variable *find_loaded_variable(const mica_model *model, const char *name) {
  for (size_t i = 0; i < model->variable_count; i++)
    if (!strcmp(mica_variable_name(model->variables[i]), name)) return model->variables[i];
  return NULL;
}

/* The variable of that name with the file's value, made when it is asked for first. */
static mica_status load_variable(mica_model *model, const mica_safetensors *file, const char *name,
                                 mica_variable **out, mica_error *error) {
  *out = find_loaded_variable(model, name);
  if (*out != NULL) return MICA_OK;
  char *dotted = mica_dotted_name(&model->arena, name);
  if (dotted == NULL) return model_memory(error);
  int64_t index = mica_safetensors_index(file, dotted);
  if (index < 0)
    return mica_error_set(error, MICA_DATA_LOSS, "model: there is no tensor for variable '%.300s'",
                          name);
  mica_tensor *value = NULL;
  mica_status status = mica_safetensors_tensor(file, index, &value, error);
  if (status != MICA_OK) return status;
  *out = mica_variable_create(name, value);
  mica_tensor_release(value);
  if (*out == NULL) return model_memory(error);
  model->variables[model->variable_count++] = *out;
  return MICA_OK;
}

static mica_status bind_variables(mica_model *model, const mica_safetensors *file,
                                  mica_error *error) {
  size_t most = 1;
  for (size_t i = 0; i < model->program_count; i++)
    most += model->programs[i].graph->variable_count;
  model->variables = mica_arena_allocate_zeroed(&model->arena, most, sizeof *model->variables);
  if (model->variables == NULL) return model_memory(error);
  mica_status status = MICA_OK;
  for (size_t i = 0; i < model->program_count && status == MICA_OK; i++) {
    mica_graph *graph = model->programs[i].graph;
    for (uint32_t k = 0; k < graph->variable_count && status == MICA_OK; k++) {
      mica_variable *variable;
      mica_variable_attr attr;
      memcpy(&attr, graph->nodes[graph->variables[k].read].attr, sizeof attr);
      status = load_variable(model, file, attr.name, &variable, error);
      if (status == MICA_OK) status = mica_graph_bind(graph, variable, error);
    }
  }
  return status == MICA_INVALID ? MICA_DATA_LOSS : status;
}

static mica_status keep_metadata(mica_model *model, const mica_safetensors *file,
                                 mica_error *error) {
  size_t count = (size_t)mica_safetensors_metadata_count(file);
  model->metadata = mica_arena_allocate_zeroed(&model->arena, count + 1, sizeof *model->metadata);
  if (model->metadata == NULL) return model_memory(error);
  for (size_t i = 0; i < count; i++) {
    mica_named_text pair = mica_safetensors_metadata_at(file, (int64_t)i);
    if (strncmp(pair.key, "mica.", 5) == 0) continue;
    mica_named_text *row = &model->metadata[model->metadata_count++];
    row->key = mica_arena_text(&model->arena, pair.key);
    row->value = mica_arena_text(&model->arena, pair.value);
    if (row->key == NULL || row->value == NULL) return model_memory(error);
  }
  return MICA_OK;
}

static mica_status load_model(mica_model *model, const mica_safetensors *file, mica_error *error) {
  enum { PROGRAMS_LIMIT = 1 << 18 };
  const char *version = mica_safetensors_metadata(file, "mica.model"),
             *programs = mica_safetensors_metadata(file, "mica.programs");
  mica_json *json = NULL;
  if (version == NULL || programs == NULL)
    return broken_model(error, "the file has tensors but no programs: a model file has both");
  if (strcmp(version, "1") != 0)
    return mica_error_set(error, MICA_UNSUPPORTED,
                          "model: version %.20s of the file, and Mica %s reads version 1", version,
                          mica_version());
  mica_error inner = {0};
  mica_status status =
      strlen(programs) > PROGRAMS_LIMIT
          ? MICA_DATA_LOSS
          : mica_json_parse(&model->arena, programs, strlen(programs), &json, &inner);
  if (status == MICA_OUT_OF_MEMORY) return model_memory(error);
  if (status != MICA_OK || json->kind != MICA_JSON_ARRAY || json->count == 0)
    return broken_model(error, "the list of programs is broken");
  model->programs =
      mica_arena_allocate_zeroed(&model->arena, (size_t)json->count, sizeof *model->programs);
  if (model->programs == NULL) return model_memory(error);
  for (const mica_json *program = json->first; program != NULL && status == MICA_OK;
       program = program->next)
    status = load_program(model, file, program, error);
  if (status == MICA_OK) status = bind_variables(model, file, error);
  return status == MICA_OK ? keep_metadata(model, file, error) : status;
}

static mica_status open_model(mica_safetensors *file, const char *path, mica_model **out,
                              mica_error *error) {
  mica_error inner = {0};
  mica_model *model = mica_allocate_zeroed(NULL, 1, sizeof *model);
  mica_status status = model_memory(&inner);
  if (model != NULL) {
    inner = (mica_error){0};
    mica_arena_init(&model->arena, NULL);
    status = load_model(model, file, &inner);
  }
  mica_safetensors_destroy(file);
  if (status == MICA_OK) {
    *out = model;
    return MICA_OK;
  }
  mica_model_destroy(model);
  return mica_error_set(error, status, "%.200s%s%.700s", path, *path ? ": " : "", inner.message);
}

mica_status mica_model_open(const char *path, mica_model **out_model, mica_error *error) {
  *out_model = NULL;
  mica_safetensors *file;
  mica_status status = mica_safetensors_open(path, &file, error);
  return status == MICA_OK ? open_model(file, path, out_model, error) : status;
}

mica_status mica_model_parse(const void *bytes, size_t byte_size, mica_model **out_model,
                             mica_error *error) {
  *out_model = NULL;
  mica_safetensors *file;
  mica_status status = mica_safetensors_parse(bytes, byte_size, &file, error);
  return status == MICA_OK ? open_model(file, "", out_model, error) : status;
}

/* ---- what is in it --------------------------------------------------------------------------- */

static const loaded_program *program_at(const mica_model *model, int64_t index) {
  if (model == NULL || index < 0 || (uint64_t)index >= model->program_count) return NULL;
  return &model->programs[index];
}

int64_t mica_model_program_count(const mica_model *model) {
  return model == NULL ? 0 : (int64_t)model->program_count;
}

mica_model_program mica_model_program_at(const mica_model *model, int64_t index) {
  const loaded_program *program = program_at(model, index);
  if (program == NULL) return (mica_model_program){0};
  return (mica_model_program){program->name, program->graph, program->input_names,
                              program->output_names};
}

int64_t mica_model_program_index(const mica_model *model, const char *name) {
  for (size_t i = 0; model != NULL && name != NULL && i < model->program_count; i++)
    if (!strcmp(model->programs[i].name, name)) return (int64_t)i;
  return -1;
}

int64_t mica_model_input_count(const mica_model *model, int64_t program) {
  const loaded_program *row = program_at(model, program);
  return row == NULL ? 0 : row->graph->parameter_count;
}

int64_t mica_model_output_count(const mica_model *model, int64_t program) {
  const loaded_program *row = program_at(model, program);
  return row == NULL ? 0 : row->graph->output_count;
}

mica_type mica_model_input_type(const mica_model *model, int64_t program, int64_t index) {
  const loaded_program *row = program_at(model, program);
  if (row == NULL || index < 0 || index >= (int64_t)row->graph->parameter_count)
    return (mica_type){0};
  return mica_node_at(row->graph, row->graph->parameters[index])->type;
}

mica_type mica_model_output_type(const mica_model *model, int64_t program, int64_t index) {
  const loaded_program *row = program_at(model, program);
  if (row == NULL || index < 0 || index >= (int64_t)row->graph->output_count) return (mica_type){0};
  return mica_node_at(row->graph, row->graph->outputs[index])->type;
}

int64_t mica_model_variable_count(const mica_model *model) {
  return model == NULL ? 0 : (int64_t)model->variable_count;
}

mica_variable *mica_model_variable(const mica_model *model, int64_t index) {
  if (model == NULL || index < 0 || (uint64_t)index >= model->variable_count) return NULL;
  return model->variables[index];
}

const char *mica_model_metadata(const mica_model *model, const char *key) {
  for (size_t i = 0; model != NULL && key != NULL && i < model->metadata_count; i++)
    if (!strcmp(model->metadata[i].key, key)) return model->metadata[i].value;
  return NULL;
}

mica_status mica_model_compile(const mica_model *model, int64_t program, mica_device *device,
                               mica_executable **out_executable, mica_error *error) {
  *out_executable = NULL;
  const loaded_program *row = program_at(model, program);
  if (row == NULL) {
    char names[512] = "";
    size_t used = 0;
    for (int64_t i = 0; i < mica_model_program_count(model) && used + 70 < sizeof names; i++)
      used += (size_t)snprintf(names + used, sizeof names - used, "%s%.60s", i > 0 ? ", " : "",
                               mica_model_program_at(model, i).name);
    return mica_error_set(error, MICA_NOT_FOUND,
                          "model: there is no program %" PRId64 "%s; its programs are %s", program,
                          program < 0 ? ", so none of the name that was looked for" : "", names);
  }
  return mica_compile(device, row->graph, 0, out_executable, error);
}

mica_status mica_model_write(const mica_model *model, const char *path, mica_error *error) {
  if (model == NULL) return mica_error_set(error, MICA_INVALID, "model: the model is NULL");
  mica_arena arena;
  mica_arena_init(&arena, NULL);
  mica_model_program *programs =
      mica_arena_allocate_zeroed(&arena, model->program_count, sizeof *programs);
  mica_status status = programs != NULL ? MICA_OK : model_memory(error);
  for (size_t i = 0; i < model->program_count && status == MICA_OK; i++)
    programs[i] = mica_model_program_at(model, (int64_t)i);
  if (status == MICA_OK)
    status = mica_model_save(path, programs, model->program_count, model->metadata,
                             model->metadata_count, error);
  mica_arena_deinit(&arena);
  return status;
}
