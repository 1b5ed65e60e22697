/* SPDX-License-Identifier: Apache-2.0 */
/* events_read.c: the scalars of an event file, Mica's or anybody's. Lengths and checksums are
 * checked before anything is believed; what lies behind a damaged record is left out. */
#include <math.h>
#include <string.h>

#include "ui/events_internal.h"

static uint64_t read_little(const unsigned char *bytes, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; i++) value |= (uint64_t)bytes[i] << 8 * i;
  return value;
}

static bool is_word_of(const char *text, size_t size, const char *const *words) {
  for (; *words; words++)
    if (strlen(*words) == size && !memcmp(*words, text, size)) return true;
  return false;
}

/* "test/accuracy" and "accuracy/test" become accuracy of the set test. */
static void take_tag(const unsigned char *bytes, size_t size, char *set, char *name,
                     mica_ui_point *point) {
  static const char *const training[] = {"train", "training", NULL}, *const others[] = {
                                                                         "test",  "tests",
                                                                         "valid", "validation",
                                                                         "val",   "evaluation",
                                                                         "eval",  "dev",
                                                                         NULL};
  const char *tag = (const char *)bytes;
  const char *first = memchr(tag, '/', size);
  size_t head = first ? (size_t)(first - tag) : size, tail = 0;
  while (tail < size && tag[size - 1 - tail] != '/') tail++;
  *set = 0, point->kind = MICA_METRICS_TRAIN, point->set = set, point->name = name;
  for (int end = 0; first && end < 2; end++) {
    const char *part = end ? tag + size - tail : tag;
    size_t part_size = end ? tail : head;
    bool other = is_word_of(part, part_size, others);
    if (!other && !is_word_of(part, part_size, training)) continue;
    if (other) {
      point->kind = MICA_METRICS_EVALUATION;
      snprintf(set, 256, "%.*s", (int)part_size, part);
    }
    tag = end ? tag : first + 1;
    size -= part_size + 1;
    break;
  }
  memcpy(name, tag, size);
  name[size] = 0;
}

/* A TensorProto of one element: dtype 1, tensor_content 4, float_val 5, double_val 6. */
static bool scalar_tensor(const unsigned char *at, size_t size, double *out) {
  const unsigned char *end = at + size;
  mica_proto_field f;
  uint64_t dtype = 0;
  bool found = false;
  while (mica_proto_next(&at, end, &f)) {
    if (f.field == 1 && f.type == 0) dtype = f.value;
    if (f.field < 4 || f.field > 6 || found) continue;
    bool wide = f.field == 6 || (f.field == 4 && dtype == 2);
    if (f.field == 4 && dtype != 1 && dtype != 2) continue;
    uint64_t bits = f.value;
    if (f.type == 2) {
      if (f.size != (wide ? 8u : 4u)) continue;
      bits = read_little(f.bytes, f.size);
    } else if (f.field == 4 || f.type != (wide ? 1 : 5)) {
      continue;
    }
    *out = wide ? mica_proto_as_double(bits) : (double)mica_proto_as_float(bits);
    found = true;
  }
  return found;
}

/* One Summary.Value: tag 1, simple_value 2, tensor 8. */
static mica_status read_value(mica_runs *runs, const unsigned char *at, size_t size,
                              mica_ui_point *point, mica_error *error) {
  const unsigned char *end = at + size, *tag = NULL;
  size_t tag_size = 0;
  bool found = false;
  char set[256], name[256];
  mica_proto_field f;
  while (mica_proto_next(&at, end, &f)) {
    if (f.field == 1 && f.type == 2) tag = f.bytes, tag_size = f.size;
    if (f.field == 2 && f.type == 5) point->value = mica_proto_as_float(f.value), found = true;
    if (f.field == 8 && f.type == 2 && scalar_tensor(f.bytes, f.size, &point->value)) found = true;
  }
  if (!found || !tag || !mica_ui_is_name((const char *)tag, tag_size)) return MICA_OK;
  take_tag(tag, tag_size, set, name, point);
  if (!*name) return MICA_OK;
  return mica_ui_run_point(runs, point, error);
}

/* An Event: wall_time 1, step 2, summary 5. The summary may stand in front of the step. */
static mica_status read_event(mica_runs *runs, const unsigned char *bytes, size_t size,
                              double *began, mica_error *error) {
  const unsigned char *at = bytes, *end = bytes + size;
  mica_proto_field f, value;
  mica_ui_point point = {.epoch = NAN, .seconds = NAN};
  while (mica_proto_next(&at, end, &f)) {
    if (f.field == 1 && f.type == 1) {
      double wall = mica_proto_as_double(f.value);
      if (*began == 0 && isfinite(wall)) *began = wall;
      point.seconds = wall - *began;
    }
    if (f.field == 2 && f.type == 0) {
      int64_t step;
      memcpy(&step, &f.value, sizeof step);
      point.step = (double)step;
    }
  }
  mica_status status = MICA_OK;
  at = bytes;
  while (status == MICA_OK && mica_proto_next(&at, end, &f)) {
    if (f.field != 5 || f.type != 2) continue;
    const unsigned char *inner = f.bytes;
    while (status == MICA_OK && mica_proto_next(&inner, f.bytes + f.size, &value))
      if (value.field == 1 && value.type == 2)
        status = read_value(runs, value.bytes, value.size, &point, error);
  }
  return status;
}

mica_status mica_ui_read_events(mica_runs *runs, const unsigned char *bytes, size_t size,
                                double *began, mica_error *error) {
  size_t at = 0;
  while (size - at >= 12) {
    uint64_t length = read_little(bytes + at, 8);
    bool damaged = read_little(bytes + at + 8, 4) != mica_ui_masked_crc(bytes + at, 8);
    if (!damaged && (size - at < 16 || length > (uint64_t)(size - at - 16))) break; /* torn */
    damaged = damaged || read_little(bytes + at + 12 + (size_t)length, 4) !=
                             mica_ui_masked_crc(bytes + at + 12, (size_t)length);
    if (damaged && at == 0)
      return mica_error_set(error, MICA_DATA_LOSS,
                            "runs: this is no event file: its first record's checksum is wrong");
    if (damaged) {
      mica_ui_run_note(runs, "the file is damaged at byte %zu of %zu; what follows is left out", at,
                       size);
      break;
    }
    mica_status status = read_event(runs, bytes + at + 12, (size_t)length, began, error);
    if (status != MICA_OK) return status;
    at += 16 + (size_t)length;
  }
  return MICA_OK;
}
