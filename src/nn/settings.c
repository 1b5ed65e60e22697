/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c: hyper-parameters by path, inherited down the scopes, set from a program and from text. */
#include "nn/store_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NN_FILE_LIMIT = 1 << 20, NN_FILE_DEPTH = 4 };

static const char *const setting_kind_names[] = {"number", "integer", "flag", "text"};

static const char *name_of_setting(const char *path) {
  const char *last = strrchr(path, '/');
  return last == NULL ? path : last + 1;
}

static nn_setting *find_setting(const mica_store *store, const char *path, size_t size) {
  for (uint32_t i = 0; i < store->setting_count; i++)
    if (strncmp(store->settings[i].path, path, size) == 0 && store->settings[i].path[size] == 0)
      return &store->settings[i];
  return NULL;
}

/* Some setting of that name at any path, whose type is the type of all; NULL if it is unknown. */
static const nn_setting *find_setting_named(const mica_store *store, const char *name) {
  for (uint32_t i = 0; i < store->setting_count; i++)
    if (strcmp(name_of_setting(store->settings[i].path), name) == 0) return &store->settings[i];
  return NULL;
}

static void list_known(const mica_store *store, mica_text *text) {
  bool any = false;
  for (uint32_t i = 0; i < store->setting_count; i++) {
    const char *name = name_of_setting(store->settings[i].path);
    if (find_setting_named(store, name) != &store->settings[i]) continue;
    mica_text_format(text, "%s%s (%s)", any ? ", " : "", name,
                     setting_kind_names[store->settings[i].kind]);
    any = true;
  }
  if (!any) mica_text_append(text, "none");
}

static nn_setting *add_setting(mica_store *store, const char *path, nn_setting_kind kind) {
  if (!mica_grow(&store->allocator, &store->settings, &store->setting_capacity,
                 store->setting_count + 1u, sizeof(nn_setting)))
    return NULL;
  char *copy = mica_nn_copy_text(store, path);
  if (copy == NULL) return NULL;
  store->settings[store->setting_count] = (nn_setting){.path = copy, .kind = kind};
  return &store->settings[store->setting_count++];
}

void mica_nn_free_settings(mica_store *store) {
  for (uint32_t i = 0; i < store->setting_count; i++) {
    mica_nn_free_text(store, store->settings[i].path);
    mica_nn_free_text(store, store->settings[i].text);
    mica_nn_free_text(store, store->settings[i].choices);
  }
  mica_free(&store->allocator, store->settings, store->setting_capacity * sizeof(nn_setting));
}

/* ---- setting --------------------------------------------------------------------------------- */

/* Whether a text is among the choices of the settings of that name. */
static mica_status check_choice(const mica_store *store, const char *path, const char *text,
                                mica_error *error) {
  const nn_setting *known = find_setting_named(store, name_of_setting(path));
  if (known == NULL || known->choices == NULL) return MICA_OK;
  for (const char *at = known->choices; *at;) {
    size_t size = strcspn(at, ",");
    if (strlen(text) == size && memcmp(at, text, size) == 0) return MICA_OK;
    at += size;
    at += strspn(at, ", ");
  }
  return mica_error_set(error, MICA_INVALID, "setting \"%.200s\" is \"%.100s\"; there are: %.500s",
                        path, text, known->choices);
}

/* Under the mutex. `from` carries kind and value. */
static mica_status store_setting(mica_store *store, const char *path, const nn_setting *from,
                                 mica_error *error) {
  if (!mica_nn_is_path(path))
    return mica_error_set(error, MICA_INVALID, "\"%.200s\" is no path of a setting", path);
  const nn_setting *known = find_setting_named(store, name_of_setting(path));
  nn_setting_kind kind = known == NULL ? from->kind : known->kind;
  bool widened = kind == NN_NUMBER && from->kind == NN_INTEGER;
  if (kind != from->kind && !widened)
    return mica_error_set(error, MICA_INVALID, "setting \"%.200s\" is of type %s, not %s", path,
                          setting_kind_names[kind], setting_kind_names[from->kind]);
  char *text = NULL;
  mica_status chosen = kind == NN_TEXT ? check_choice(store, path, from->text, error) : MICA_OK;
  if (chosen != MICA_OK) return chosen;
  if (kind == NN_TEXT && (text = mica_nn_copy_text(store, from->text)) == NULL)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a setting");
  nn_setting *setting = find_setting(store, path, strlen(path));
  if (setting == NULL) setting = add_setting(store, path, kind);
  if (setting == NULL) {
    mica_nn_free_text(store, text);
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a setting");
  }
  mica_nn_free_text(store, setting->text);
  setting->text = text;
  setting->number = widened ? (double)from->integer : from->number;
  setting->integer = from->integer;
  setting->flag = from->flag;
  setting->set = true;
  return MICA_OK;
}

static mica_status set_one(mica_store *store, const char *path, const nn_setting *from,
                           mica_error *error) {
  if (store == NULL || path == NULL || (from->kind == NN_TEXT && from->text == NULL))
    return mica_error_set(error, MICA_INVALID,
                          "the store, the path or the text of a setting is NULL");
  mica_mutex_lock(&store->mutex);
  mica_status status = store_setting(store, path, from, error);
  mica_mutex_unlock(&store->mutex);
  return status;
}

mica_status mica_store_set_number(mica_store *store, const char *path, double value,
                                  mica_error *error) {
  nn_setting from = {.kind = NN_NUMBER, .number = value};
  return set_one(store, path, &from, error);
}
mica_status mica_store_set_integer(mica_store *store, const char *path, int64_t value,
                                   mica_error *error) {
  nn_setting from = {.kind = NN_INTEGER, .integer = value};
  return set_one(store, path, &from, error);
}
mica_status mica_store_set_flag(mica_store *store, const char *path, bool value,
                                mica_error *error) {
  nn_setting from = {.kind = NN_FLAG, .flag = value};
  return set_one(store, path, &from, error);
}
mica_status mica_store_set_text(mica_store *store, const char *path, const char *value,
                                mica_error *error) {
  nn_setting from = {.kind = NN_TEXT, .text = (char *)(uintptr_t)value};
  return set_one(store, path, &from, error);
}

mica_status mica_store_set_choice(mica_store *store, const char *path, const char *value,
                                  const char *choices, mica_error *error) {
  if (choices == NULL || *choices == 0)
    return mica_error_set(error, MICA_INVALID, "there are no choices of a setting");
  mica_status status = mica_store_set_text(store, path, value, error);
  if (status != MICA_OK) return status;
  mica_mutex_lock(&store->mutex);
  nn_setting *setting = (nn_setting *)(uintptr_t)find_setting_named(store, name_of_setting(path));
  char *copy = mica_nn_copy_text(store, choices);
  if (copy != NULL) {
    mica_nn_free_text(store, setting->choices);
    setting->choices = copy;
    status = check_choice(store, path, value, error);
  } else {
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a setting");
  }
  mica_mutex_unlock(&store->mutex);
  return status;
}

/* ---- from text ------------------------------------------------------------------------------- */

typedef struct {
  mica_store *store;
  mica_error *error;
  bool apply; /* false: only look whether all is well, so that nothing is set by halves */
} nn_reader;

/* The value of a setting of that kind from text; false when it is none. */
static bool parse_setting(const char *text, size_t size, nn_setting *out) {
  const char *cursor = text, *end = text + size;
  switch (out->kind) {
    case NN_NUMBER: return mica_parse_double(&cursor, end, &out->number) && cursor == end;
    case NN_INTEGER: return mica_parse_i64(&cursor, end, &out->integer) && cursor == end;
    case NN_FLAG:
      out->flag = (size == 4 && memcmp(text, "true", 4) == 0) || (size == 1 && *text == '1');
      return out->flag || (size == 5 && memcmp(text, "false", 5) == 0) ||
             (size == 1 && *text == '0');
    case NN_TEXT: return true;
  }
  return false;
}

static mica_status read_assignment(const nn_reader *reader, const char *part, size_t size) {
  mica_store *store = reader->store;
  const char *equals = memchr(part, '=', size);
  if (equals == NULL)
    return mica_error_set(reader->error, MICA_INVALID,
                          "setting \"%.*s\" has no '=': expected name=value or file:path",
                          (int)(size < 200 ? size : 200), part);
  size_t path_size = (size_t)(equals - part), value_size = size - path_size - 1;
  while (path_size > 0 && part[path_size - 1] == ' ') path_size--;
  const char *value = equals + 1;
  while (value_size > 0 && *value == ' ') value++, value_size--;
  char path[512], copy[1024];
  if (path_size >= sizeof path || value_size >= sizeof copy)
    return mica_error_set(reader->error, MICA_INVALID, "setting \"%.100s...\" is too long", part);
  memcpy(path, part, path_size);
  path[path_size] = 0;
  memcpy(copy, value, value_size);
  copy[value_size] = 0;
  const nn_setting *known = find_setting_named(store, name_of_setting(path));
  if (known == NULL) {
    mica_text list;
    mica_text_init(&list, &store->allocator);
    list_known(store, &list);
    mica_status status = mica_error_set(reader->error, MICA_INVALID,
                                        "setting \"%.100s\" is unknown; there are: %.700s", path,
                                        list.data == NULL ? "" : list.data);
    mica_text_deinit(&list);
    return status;
  }
  nn_setting from = {.kind = known->kind, .text = copy};
  if (!parse_setting(copy, value_size, &from))
    return mica_error_set(reader->error, MICA_INVALID,
                          "setting \"%.200s\" is of type %s, which \"%.200s\" is not", path,
                          setting_kind_names[from.kind], copy);
  if (from.kind == NN_TEXT && check_choice(store, path, copy, reader->error) != MICA_OK)
    return MICA_INVALID;
  if (!reader->apply)
    return mica_nn_is_path(path) ? MICA_OK
                                 : mica_error_set(reader->error, MICA_INVALID,
                                                  "\"%.200s\" is no path of a setting", path);
  return store_setting(store, path, &from, reader->error);
}

static mica_status read_settings(const nn_reader *reader, const char *text, size_t size, bool lines,
                                 int depth);

static mica_status read_settings_file(const nn_reader *reader, const char *name, size_t size,
                                      int depth) {
  char path[1024], why[128];
  if (size >= sizeof path)
    return mica_error_set(reader->error, MICA_INVALID,
                          "the name of a file of settings is too long");
  memcpy(path, name, size);
  path[size] = 0;
  if (depth >= NN_FILE_DEPTH)
    return mica_error_set(reader->error, MICA_INVALID,
                          "files of settings name each other: \"%.200s\"", path);
  uint64_t bytes = 0;
  int code = mica_file_size(path, &bytes);
  if (code == 0 && bytes > NN_FILE_LIMIT)
    return mica_error_set(reader->error, MICA_INVALID,
                          "\"%.200s\" is too large for a file of settings", path);
  char *text = code == 0 ? mica_allocate(&reader->store->allocator, (size_t)bytes) : NULL;
  if (code == 0 && text == NULL)
    return mica_error_set(reader->error, MICA_OUT_OF_MEMORY, "no memory for a file of settings");
  if (code == 0) code = mica_file_read(path, 0, text, (size_t)bytes);
  mica_error inner = {0};
  nn_reader within = *reader;
  within.error = &inner;
  mica_status status =
      code == 0 ? read_settings(&within, text, (size_t)bytes, true, depth + 1)
                : mica_error_set(reader->error, MICA_NOT_FOUND, "settings of \"%.200s\": %s", path,
                                 mica_errno_text(code, why, sizeof why));
  mica_free(&reader->store->allocator, text, (size_t)bytes);
  if (inner.status != MICA_OK)
    mica_error_set(reader->error, status, "%.200s:%.800s", path, inner.message);
  return status;
}

static mica_status read_settings(const nn_reader *reader, const char *text, size_t size, bool lines,
                                 int depth) {
  mica_status status = MICA_OK;
  int line = 0;
  for (size_t at = 0; at < size && status == MICA_OK;) {
    size_t end = at;
    line++;
    while (end < size && text[end] != (lines ? '\n' : ',')) end++;
    size_t first = at, last = end;
    at = end + 1;
    const char *comment = lines ? memchr(text + first, '#', last - first) : NULL;
    if (comment != NULL) last = (size_t)(comment - text);
    while (first < last && strchr(" \t\r", text[first]) != NULL) first++;
    while (last > first && strchr(" \t\r", text[last - 1]) != NULL) last--;
    if (first == last) continue;
    if (last - first > 5 && memcmp(text + first, "file:", 5) == 0)
      status = read_settings_file(reader, text + first + 5, last - first - 5, depth);
    else
      status = read_assignment(reader, text + first, last - first);
  }
  if (status != MICA_OK && lines) { /* the file's name comes in front of it */
    char message[sizeof reader->error->message];
    snprintf(message, sizeof message, "%d: %.900s", line, reader->error->message);
    memcpy(reader->error->message, message, sizeof message);
  }
  return status;
}

mica_status mica_store_set(mica_store *store, const char *settings, mica_error *error) {
  if (store == NULL || settings == NULL)
    return mica_error_set(error, MICA_INVALID, "the store or the text of settings is NULL");
  nn_reader reader = {.store = store, .error = error};
  mica_mutex_lock(&store->mutex);
  mica_status status = read_settings(&reader, settings, strlen(settings), false, 0);
  reader.apply = true;
  if (status == MICA_OK) status = read_settings(&reader, settings, strlen(settings), false, 0);
  mica_mutex_unlock(&store->mutex);
  return status;
}

static void format_setting(mica_text *text, const nn_setting *setting) {
  mica_text_format(text, "%s=", setting->path);
  switch (setting->kind) {
    case NN_NUMBER: mica_text_double(text, setting->number); break;
    case NN_INTEGER: mica_text_format(text, "%" PRId64, setting->integer); break;
    case NN_FLAG: mica_text_append(text, setting->flag ? "true" : "false"); break;
    case NN_TEXT: mica_text_append(text, setting->text == NULL ? "" : setting->text); break;
  }
  mica_text_format(text, "  # %s%s", setting_kind_names[setting->kind],
                   setting->set ? "" : ", the layers' own");
  if (setting->choices != NULL) mica_text_format(text, ": %s", setting->choices);
  mica_text_append(text, "\n");
}

int64_t mica_store_settings(const mica_store *store, char *text, size_t size) {
  if (size > 0) text[0] = 0;
  if (store == NULL) return 0;
  mica_mutex *mutex = (mica_mutex *)(uintptr_t)&store->mutex; /* a lock is no part of the value */
  mica_text list;
  mica_text_init(&list, &store->allocator);
  mica_mutex_lock(mutex);
  for (uint32_t i = 0; i < store->setting_count; i++)
    if (store->settings[i].set) format_setting(&list, &store->settings[i]);
  mica_mutex_unlock(mutex);
  return mica_text_deliver(&list, text, size);
}

mica_status mica_store_check_settings(const mica_store *store, mica_error *error) {
  if (store == NULL) return mica_error_set(error, MICA_INVALID, "the store is NULL");
  mica_mutex *mutex = (mica_mutex *)(uintptr_t)&store->mutex;
  mica_text list;
  mica_text_init(&list, &store->allocator);
  mica_mutex_lock(mutex);
  for (uint32_t i = 0; i < store->setting_count; i++) {
    const nn_setting *setting = &store->settings[i];
    if (setting->set && !setting->read && strchr(setting->path, '/') != NULL)
      mica_text_format(&list, "%s%s", list.size > 0 ? ", " : "", setting->path);
  }
  mica_mutex_unlock(mutex);
  mica_status status = MICA_OK;
  if (list.size > 0)
    status =
        mica_error_set(error, MICA_INVALID, "settings that no layer has read: %.800s", list.data);
  mica_text_deinit(&list);
  return status;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The setting in force at a scope, copied; false when there is none. Declares the name if it is new. */
static bool look_up(mica_store *store, const char *scope, const char *name, nn_setting_kind kind,
                    nn_setting *out, bool *out_mistyped) {
  char path[640];
  size_t name_size = strlen(name), scope_size = strlen(scope);
  *out_mistyped = false;
  if (!mica_nn_is_name(name, name_size) || scope_size + name_size + 2 > sizeof path) return false;
  bool found = false;
  mica_mutex_lock(&store->mutex);
  memcpy(path, scope, scope_size);
  for (size_t size = scope_size; !found;) {
    size_t whole = size == 0 ? 0 : size + 1;
    if (size > 0) path[size] = '/';
    memcpy(path + whole, name, name_size);
    nn_setting *setting = find_setting(store, path, whole + name_size);
    if (setting != NULL && setting->set) {
      found = setting->read = true;
      *out_mistyped = setting->kind != kind && !(kind == NN_NUMBER && setting->kind == NN_INTEGER);
      *out = *setting;
      if (setting->kind == NN_INTEGER && kind == NN_NUMBER) out->number = (double)setting->integer;
    }
    if (size == 0) break;
    memcpy(path, scope, scope_size);
    while (size > 0 && path[--size] != '/') continue;
  }
  if (!found && find_setting_named(store, name) == NULL) add_setting(store, name, kind);
  mica_mutex_unlock(&store->mutex);
  return found && !*out_mistyped;
}

static bool get_in_scope(mica_scope *scope, const char *name, nn_setting_kind kind,
                         nn_setting *out) {
  if (scope == NULL || name == NULL) return false;
  bool mistyped;
  bool found = look_up(scope->trace->store, scope->path, name, kind, out, &mistyped);
  if (mistyped)
    mica_fail(scope->trace->graph, MICA_INVALID,
              "setting \"%.200s\" is of type %s, and scope \"%.200s\" asks for %s", out->path,
              setting_kind_names[out->kind], scope->path, setting_kind_names[kind]);
  return found;
}

/* At a path whose last part is the name. */
static bool get_in_store(mica_store *store, const char *path, nn_setting_kind kind,
                         nn_setting *out) {
  char scope[512];
  if (store == NULL || path == NULL) return false;
  const char *name = name_of_setting(path);
  size_t size = name == path ? 0 : (size_t)(name - path) - 1;
  if (size >= sizeof scope) return false;
  memcpy(scope, path, size);
  scope[size] = 0;
  bool mistyped;
  return look_up(store, scope, name, kind, out, &mistyped);
}

double mica_scope_get_number(mica_scope *scope, const char *name, double otherwise) {
  nn_setting setting;
  return get_in_scope(scope, name, NN_NUMBER, &setting) ? setting.number : otherwise;
}
int64_t mica_scope_get_integer(mica_scope *scope, const char *name, int64_t otherwise) {
  nn_setting setting;
  return get_in_scope(scope, name, NN_INTEGER, &setting) ? setting.integer : otherwise;
}
bool mica_scope_get_flag(mica_scope *scope, const char *name, bool otherwise) {
  nn_setting setting;
  return get_in_scope(scope, name, NN_FLAG, &setting) ? setting.flag : otherwise;
}
const char *mica_scope_get_text(mica_scope *scope, const char *name, const char *otherwise) {
  nn_setting setting;
  return get_in_scope(scope, name, NN_TEXT, &setting) ? setting.text : otherwise;
}
double mica_store_get_number(mica_store *store, const char *path, double otherwise) {
  nn_setting setting;
  return get_in_store(store, path, NN_NUMBER, &setting) ? setting.number : otherwise;
}
int64_t mica_store_get_integer(mica_store *store, const char *path, int64_t otherwise) {
  nn_setting setting;
  return get_in_store(store, path, NN_INTEGER, &setting) ? setting.integer : otherwise;
}
bool mica_store_get_flag(mica_store *store, const char *path, bool otherwise) {
  nn_setting setting;
  return get_in_store(store, path, NN_FLAG, &setting) ? setting.flag : otherwise;
}
const char *mica_store_get_text(mica_store *store, const char *path, const char *otherwise) {
  nn_setting setting;
  return get_in_store(store, path, NN_TEXT, &setting) ? setting.text : otherwise;
}
