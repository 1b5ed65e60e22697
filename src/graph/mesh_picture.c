/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_picture.c: a sharding as a picture: a box for each part, with the numbers of the devices that
 * have it. */
#include "graph/mesh.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PICTURE_BOX = 200 };

typedef struct {
  const mica_mesh_axes *mesh;
  const mica_mesh_sharding *sharding;
  mica_shape whole, part;
  int32_t row, column;       /* axes; -1: none is cut */
  int64_t at[MICA_MAX_RANK]; /* part along each axis */
  mica_text *text;
  int width; /* of a box's inside */
} sharding_picture;

static int64_t parts_along(const sharding_picture *p, int32_t axis) {
  return axis < 0 ? 1 : p->sharding->axis[axis].size;
}

/* "0, 4": who has the part `at`. */
static void name_devices(const sharding_picture *p, char out[PICTURE_BOX]) {
  size_t used = 0;
  out[0] = '\0';
  for (int64_t d = 0; d < p->mesh->device_count; d++) {
    bool has = true;
    for (int32_t i = 0; i < p->whole.rank && has; i++)
      has = mica_mesh_group_position(p->mesh, &p->sharding->axis[i], d) == p->at[i];
    if (!has) continue;
    if (used + 16 > PICTURE_BOX) { /* the rest is many */
      snprintf(out + used, PICTURE_BOX - used, ", ..");
      return;
    }
    int length = snprintf(out + used, PICTURE_BOX - used, "%s%" PRId64, used == 0 ? "" : ", ", d);
    if (length > 0) used += (size_t)length;
  }
}

static void draw_line(const sharding_picture *p) {
  for (int64_t column = 0; column < parts_along(p, p->column); column++) {
    mica_text_append(p->text, "+");
    for (int i = 0; i < p->width; i++) mica_text_append(p->text, "-");
  }
  mica_text_append(p->text, "+\n");
}

/* Goes through rows and columns: draws the boxes, or (text NULL) finds their width. */
static void draw_boxes(sharding_picture *p, bool draw) {
  for (int64_t row = 0; row < parts_along(p, p->row); row++) {
    if (p->row >= 0) p->at[p->row] = row;
    if (draw) draw_line(p);
    for (int64_t column = 0; column < parts_along(p, p->column); column++) {
      char devices[PICTURE_BOX];
      if (p->column >= 0) p->at[p->column] = column;
      name_devices(p, devices);
      int length = (int)strlen(devices);
      if (!draw && length + 2 > p->width) p->width = length + 2;
      int left = (p->width - length) / 2;
      if (draw)
        mica_text_format(p->text, "|%*s%s%*s", left, "", devices, p->width - length - left, "");
    }
    if (draw) mica_text_append(p->text, "|\n");
  }
  if (draw) draw_line(p);
}

/* One picture for each combination of the further axes. */
static void draw_axes(sharding_picture *p, int32_t axis, bool draw) {
  while (axis < p->whole.rank &&
         (axis == p->row || axis == p->column || p->sharding->axis[axis].size == 1))
    axis++;
  if (axis == p->whole.rank) {
    if (draw)
      for (int32_t i = 0; i < p->whole.rank; i++)
        if (i != p->row && i != p->column && p->sharding->axis[i].size > 1)
          mica_text_format(p->text, "axis %" PRId32 ": %" PRId64 " to %" PRId64 "\n", i,
                           p->at[i] * p->part.dim[i], (p->at[i] + 1) * p->part.dim[i]);
    draw_boxes(p, draw);
    return;
  }
  for (p->at[axis] = 0; p->at[axis] < p->sharding->axis[axis].size; p->at[axis]++)
    draw_axes(p, axis + 1, draw);
  p->at[axis] = 0;
}

static void draw_title(const sharding_picture *p) {
  mica_text_append(p->text, "[");
  for (int32_t i = 0; i < p->whole.rank; i++)
    mica_text_format(p->text, "%s%" PRId64, i == 0 ? "" : ", ", p->whole.dim[i]);
  mica_text_append(p->text, "] in parts of [");
  for (int32_t i = 0; i < p->part.rank; i++)
    mica_text_format(p->text, "%s%" PRId64, i == 0 ? "" : ", ", p->part.dim[i]);
  mica_text_append(p->text, "] on ");
  mica_mesh_format(p->mesh, p->text);
  mica_text_append(p->text, "\n");
}

int64_t mica_sharding_format(const mica_mesh *mesh, mica_shape whole, const char *sharding,
                             char *text, size_t size) {
  char message[MICA_MESSAGE_SIZE] = "the mesh is NULL: was it not made?";
  mica_mesh_sharding parsed;
  sharding_picture p = {.mesh = mica_mesh_axes_of(mesh),
                        .sharding = &parsed,
                        .whole = whole,
                        .row = -1,
                        .column = -1,
                        .width = 5};
  bool good = p.mesh != NULL &&
              mica_mesh_parse_sharding(p.mesh, sharding, sharding == NULL ? 0 : strlen(sharding),
                                       whole.rank, &parsed, message) &&
              mica_mesh_part_shape(p.mesh, &parsed, whole, &p.part, message);
  if (!good) {
    if (size > 0) snprintf(text, size, "%s", message);
    return -1;
  }
  for (int32_t i = whole.rank; i-- > 0;)
    if (parsed.axis[i].size > 1) p.column = p.row, p.row = i;
  /* One cut axis runs to the right when it is the last one, as elements are written. */
  if (p.column < 0 && p.row >= 0 && p.row == whole.rank - 1) p.column = p.row, p.row = -1;
  mica_text out;
  mica_text_init(&out, NULL);
  p.text = &out;
  draw_title(&p);
  draw_axes(&p, 0, false);
  draw_axes(&p, 0, true);
  return mica_text_deliver(&out, text, size);
}
