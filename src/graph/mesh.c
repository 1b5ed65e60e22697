/* SPDX-License-Identifier: Apache-2.0 */
/* mesh.c: reading and writing the texts of meshes and shardings, and where devices and parts lie. */
#include "graph/mesh.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool mesh_problem(char *message, const char *format, ...) MICA_PRINTF(2, 3);
static bool mesh_problem(char *message, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, MICA_MESSAGE_SIZE, format, arguments);
  va_end(arguments);
  return false;
}

/* ---- texts ------------------------------------------------------------------------------------ */

static const char *after_spaces(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\n')) at++;
  return at;
}

/* A name at *at, which moves behind it and behind spaces; its length, 0: none. */
static size_t mesh_name(const char **at, const char *end, const char **out_name) {
  const char *from = *at = after_spaces(*at, end);
  while (*at < end && ((**at >= 'a' && **at <= 'z') || (**at >= 'A' && **at <= 'Z') ||
                       (**at >= '0' && **at <= '9') || **at == '_'))
    ++*at;
  size_t length = (size_t)(*at - from);
  *out_name = from;
  *at = after_spaces(*at, end);
  return length;
}

/* What of a text a message shows. */
static int shown(size_t length) { return (int)(length > 80 ? 80 : length); }

static int32_t axis_named(const mica_mesh_axes *mesh, const char *name, size_t length) {
  for (int32_t i = 0; i < mesh->count; i++)
    if (strlen(mesh->name[i]) == length && memcmp(mesh->name[i], name, length) == 0) return i;
  return -1;
}

static bool read_mesh_axis(const char **at, const char *end, mica_mesh_axes *out, char *message) {
  const char *name;
  size_t length = mesh_name(at, end, &name);
  if (length == 0 || *at == end || **at != '=')
    return mesh_problem(message,
                        "mesh \"%.*s\": expected axes with sizes, as in \"data=2, model=4\"",
                        shown((size_t)(end - name)), name);
  if (length >= MICA_MESH_NAME)
    return mesh_problem(message, "mesh axis \"%.*s\": expected a name of less than %d letters",
                        shown(length), name, MICA_MESH_NAME);
  if (axis_named(out, name, length) >= 0)
    return mesh_problem(message, "mesh axis \"%.*s\" comes twice", (int)length, name);
  if (out->count == MICA_MESH_AXES)
    return mesh_problem(message, "a mesh has at most %d axes", MICA_MESH_AXES);
  int64_t size;
  const char *cursor = after_spaces(*at + 1, end);
  if (!mica_parse_i64(&cursor, end, &size) || size < 1 || size > MICA_MESH_DEVICES ||
      !mica_i64_multiply(out->device_count, size, &out->device_count) ||
      out->device_count > MICA_MESH_DEVICES)
    return mesh_problem(message,
                        "mesh axis \"%.*s\": expected a size from 1, and at most %d devices in all",
                        (int)length, name, MICA_MESH_DEVICES);
  memcpy(out->name[out->count], name, length);
  out->size[out->count++] = size;
  *at = after_spaces(cursor, end);
  return true;
}

bool mica_mesh_parse(const char *text, mica_mesh_axes *out, char *message) {
  *out = (mica_mesh_axes){.device_count = 1};
  if (text == NULL) return mesh_problem(message, "the mesh is NULL: was it not made?");
  const char *at = text, *end = text + strlen(text);
  for (;;) {
    if (!read_mesh_axis(&at, end, out, message)) return false;
    if (at == end) return true;
    if (*at != ',')
      return mesh_problem(message, "mesh \"%.*s\": expected ',' in front of \"%.*s\"",
                          shown(strlen(text)), text, shown((size_t)(end - at)), at);
    at++;
  }
}

/* "data+model" up to ',' or the end. */
static bool read_group(const mica_mesh_axes *mesh, const char **at, const char *end, uint32_t taken,
                       mica_mesh_group *out, char *message) {
  *out = (mica_mesh_group){.size = 1};
  for (;;) {
    const char *name;
    size_t length = mesh_name(at, end, &name);
    int32_t axis = axis_named(mesh, name, length);
    if (axis < 0) {
      mica_text known;
      mica_text_init(&known, NULL);
      mica_mesh_format(mesh, &known);
      mesh_problem(message, "\"%.*s\" is no axis: expected one of the mesh \"%.200s\"",
                   shown(length > 0 ? length : (size_t)(end - name)), name,
                   known.data == NULL ? "" : known.data);
      mica_text_deinit(&known);
      return false;
    }
    if (((taken | out->bits) >> axis & 1u) != 0)
      return mesh_problem(message, "mesh axis \"%s\" comes twice: expected it once",
                          mesh->name[axis]);
    out->axis[out->count++] = axis;
    out->bits |= 1u << axis;
    out->size *= mesh->size[axis];
    if (*at == end || **at != '+') return true;
    ++*at;
  }
}

bool mica_mesh_parse_group(const mica_mesh_axes *mesh, const char *text, mica_mesh_group *out,
                           char *message) {
  if (text == NULL || *text == '\0') {
    *out = mica_mesh_group_of_bits(mesh, mica_mesh_all_bits(mesh));
    return true;
  }
  const char *at = text, *end = text + strlen(text);
  if (!read_group(mesh, &at, end, 0, out, message)) return false;
  if (at != end)
    return mesh_problem(message, "mesh axes \"%.*s\": expected names with '+' between them",
                        shown(strlen(text)), text);
  return true;
}

bool mica_mesh_parse_sharding(const mica_mesh_axes *mesh, const char *text, size_t length,
                              int32_t rank, mica_mesh_sharding *out, char *message) {
  *out = (mica_mesh_sharding){.rank = rank};
  for (int32_t i = 0; i < rank && i < MICA_MAX_RANK; i++) out->axis[i].size = 1;
  const char *at = text, *end = text == NULL ? NULL : text + length;
  if (text != NULL) at = after_spaces(at, end);
  if (text == NULL || at == end) return true;
  for (int32_t axis = 0;; axis++) {
    at = after_spaces(at, end);
    if (end - at >= 3 && memcmp(at, "...", 3) == 0 && after_spaces(at + 3, end) == end &&
        axis <= rank)
      return true; /* the rest is whole */
    if (axis == rank || axis == MICA_MAX_RANK)
      return mesh_problem(
          message,
          "sharding \"%.*s\" has more entries: expected one for each of the %" PRId32
          " axes of the array",
          shown(length), text, rank);
    at = after_spaces(at, end);
    if (at < end && *at == '-')
      at = after_spaces(at + 1, end);
    else if (!read_group(mesh, &at, end, out->bits, &out->axis[axis], message))
      return false;
    out->bits |= out->axis[axis].bits;
    if (at == end) {
      if (axis + 1 == rank) return true;
      return mesh_problem(message,
                          "sharding \"%.*s\" has %" PRId32
                          " %s: expected one for each of the %" PRId32 " axes of the array",
                          shown(length), text, axis + 1,
                          mica_noun((size_t)axis + 1, "entry", "entries"), rank);
    }
    if (*at != ',')
      return mesh_problem(message, "sharding \"%.*s\": expected '-' or mesh axes, with ',' between",
                          shown(length), text);
    at++;
  }
}

bool mica_mesh_list_at(const char *list, size_t index, const char **out_text, size_t *out_length) {
  for (;; index--) {
    const char *end = strchr(list, ';');
    *out_text = list;
    *out_length = end == NULL ? strlen(list) : (size_t)(end - list);
    if (index == 0) return true;
    if (end == NULL) return false;
    list = end + 1;
  }
}

size_t mica_mesh_list_count(const char *list) {
  size_t count = 1;
  while ((list = strchr(list, ';')) != NULL) list++, count++;
  return count;
}

void mica_mesh_format(const mica_mesh_axes *mesh, mica_text *text) {
  for (int32_t i = 0; i < mesh->count; i++)
    mica_text_format(text, "%s%s=%" PRId64, i == 0 ? "" : ", ", mesh->name[i], mesh->size[i]);
}

void mica_mesh_format_group(const mica_mesh_axes *mesh, const mica_mesh_group *group,
                            mica_text *text) {
  for (int32_t i = 0; i < group->count; i++)
    mica_text_format(text, "%s%s", i == 0 ? "" : "+", mesh->name[group->axis[i]]);
}

void mica_mesh_format_sharding(const mica_mesh_axes *mesh, const mica_mesh_sharding *sharding,
                               mica_text *text) {
  for (int32_t i = 0; sharding->bits != 0 && i < sharding->rank; i++) {
    if (i > 0) mica_text_append(text, ", ");
    if (sharding->axis[i].count == 0)
      mica_text_append(text, "-");
    else
      mica_mesh_format_group(mesh, &sharding->axis[i], text);
  }
}

/* ---- devices ---------------------------------------------------------------------------------- */

static int64_t mesh_stride(const mica_mesh_axes *mesh, int32_t axis) {
  int64_t stride = 1;
  for (int32_t i = axis + 1; i < mesh->count; i++) stride *= mesh->size[i];
  return stride;
}

int64_t mica_mesh_position(const mica_mesh_axes *mesh, int64_t device, int32_t axis) {
  return device / mesh_stride(mesh, axis) % mesh->size[axis];
}

int64_t mica_mesh_group_position(const mica_mesh_axes *mesh, const mica_mesh_group *group,
                                 int64_t device) {
  int64_t position = 0;
  for (int32_t i = 0; i < group->count; i++)
    position =
        position * mesh->size[group->axis[i]] + mica_mesh_position(mesh, device, group->axis[i]);
  return position;
}

int64_t mica_mesh_group_member(const mica_mesh_axes *mesh, const mica_mesh_group *group,
                               int64_t device, int64_t position) {
  for (int32_t i = group->count; i-- > 0;) {
    int32_t axis = group->axis[i];
    int64_t wanted = position % mesh->size[axis];
    position /= mesh->size[axis];
    device += (wanted - mica_mesh_position(mesh, device, axis)) * mesh_stride(mesh, axis);
  }
  return device;
}

mica_mesh_group mica_mesh_group_of_bits(const mica_mesh_axes *mesh, uint32_t bits) {
  mica_mesh_group group = {.size = 1, .bits = bits};
  for (int32_t i = 0; i < mesh->count; i++) {
    if ((bits >> i & 1u) == 0) continue;
    group.axis[group.count++] = i;
    group.size *= mesh->size[i];
  }
  return group;
}

bool mica_mesh_is_first(const mica_mesh_axes *mesh, const mica_mesh_sharding *sharding,
                        int64_t device) {
  for (int32_t i = 0; i < mesh->count; i++)
    if ((sharding->bits >> i & 1u) == 0 && mica_mesh_position(mesh, device, i) != 0) return false;
  return true;
}

/* ---- parts ------------------------------------------------------------------------------------ */

bool mica_mesh_part_shape(const mica_mesh_axes *mesh, const mica_mesh_sharding *sharding,
                          mica_shape whole, mica_shape *out_part, char *message) {
  *out_part = whole;
  for (int32_t i = 0; i < whole.rank; i++) {
    const mica_mesh_group *group = &sharding->axis[i];
    if (whole.dim[i] % group->size == 0) {
      out_part->dim[i] /= group->size;
      continue;
    }
    mica_text names;
    mica_text_init(&names, NULL);
    mica_mesh_format_group(mesh, group, &names);
    mesh_problem(message,
                 "axis %" PRId32 " of size %" PRId64 " does not divide into %" PRId64
                 " parts along mesh axis \"%.100s\": expected a multiple of %" PRId64,
                 i, whole.dim[i], group->size, names.data == NULL ? "" : names.data, group->size);
    mica_text_deinit(&names);
    return false;
  }
  return true;
}

bool mica_mesh_whole_shape(const mica_mesh_sharding *sharding, mica_shape part,
                           mica_shape *out_whole, char *message) {
  *out_whole = part;
  for (int32_t i = 0; i < part.rank; i++)
    if (!mica_i64_multiply(part.dim[i], sharding->axis[i].size, &out_whole->dim[i]))
      return mesh_problem(message, "the whole array is too large");
  if (mica_shape_count(*out_whole) < 0)
    return mesh_problem(message, "the whole array is too large");
  return true;
}

void mica_mesh_part_begin(const mica_mesh_axes *mesh, const mica_mesh_sharding *sharding,
                          mica_shape part, int64_t device, int64_t begin[MICA_MAX_RANK]) {
  for (int32_t i = 0; i < part.rank; i++)
    begin[i] = mica_mesh_group_position(mesh, &sharding->axis[i], device) * part.dim[i];
}

bool mica_mesh_is_run(mica_shape whole, mica_shape part, const int64_t *begin, int64_t *out_first) {
  int64_t first = 0, rows = 1;
  bool run = true;
  for (int32_t i = 0; i < whole.rank; i++) {
    first = first * whole.dim[i] + begin[i];
    /* Cut here, so that only one row of the axes before may be taken. */
    if (part.dim[i] != whole.dim[i] && rows != 1) run = false;
    rows *= part.dim[i];
  }
  *out_first = first;
  return run;
}

/* The rows of the last axes that are whole lie together: both ways go run by run. */
static void move_part(mica_shape whole, mica_shape part, const int64_t *begin, size_t item_size,
                      const char *from, char *to, bool cut) {
  int32_t outer = whole.rank;
  int64_t run = 1;
  if (mica_shape_count(part) <= 0) return;
  while (outer > 0 && part.dim[outer - 1] == whole.dim[outer - 1]) run *= part.dim[--outer];
  if (outer > 0) run *= part.dim[--outer];
  int64_t index[MICA_MAX_RANK] = {0};
  size_t bytes = (size_t)run * item_size;
  for (size_t row = 0;; row++) {
    int64_t place = 0;
    for (int32_t i = 0; i < whole.rank; i++)
      place = place * whole.dim[i] + begin[i] + (i < outer ? index[i] : 0);
    size_t offset = (size_t)place * item_size;
    memcpy(cut ? to + row * bytes : to + offset, cut ? from + offset : from + row * bytes, bytes);
    int32_t axis = outer;
    while (axis > 0 && ++index[axis - 1] == part.dim[axis - 1]) index[--axis] = 0;
    if (axis == 0) return;
  }
}

void mica_mesh_cut(mica_shape whole, mica_shape part, const int64_t *begin, size_t item_size,
                   const void *from, void *to) {
  move_part(whole, part, begin, item_size, from, to, true);
}
void mica_mesh_paste(mica_shape whole, mica_shape part, const int64_t *begin, size_t item_size,
                     const void *from, void *to) {
  move_part(whole, part, begin, item_size, from, to, false);
}
