/* SPDX-License-Identifier: Apache-2.0 */
/* slice_string.c: numpy's slice notation. A text is read into parts first, which need no array to
 * be judged; then they are laid on the axes. A negative step is a slice by the positive step that
 * is turned round afterwards, so that only what is kept is moved. */
#include <inttypes.h>
#include <string.h>

#include "core/text.h"
#include "graph/ops/rules.h"

typedef enum { SLICE_RANGE, SLICE_INDEX, SLICE_ELLIPSIS, SLICE_NEW_AXIS } slice_part_kind;

/* One part between commas. */
typedef struct {
  slice_part_kind kind;
  bool has_start, has_stop;
  int64_t start, stop, step; /* an index is in start */
  const char *at;            /* where it begins and ends */
  int length;
} slice_part;

/* Each axis, as many new ones as a result can have, and the ellipsis. */
enum { MAX_SLICE_PARTS = 2 * MICA_MAX_RANK + 1 };

static const char *skip_blanks(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\t')) at++;
  return at;
}

/* A whole number and the blanks around it; false when there is something else. Absent is fine. */
static bool parse_bound(const char **at, const char *end, bool *out_has, int64_t *out) {
  *at = skip_blanks(*at, end);
  *out_has = *at < end && **at != ':';
  if (*out_has && !mica_parse_i64(at, end, out)) return false;
  *at = skip_blanks(*at, end);
  return *at == end || **at == ':';
}

/* Whether the part is this word alone; *out_alone is false when something follows it. */
static bool parse_slice_word(const char *at, const char *end, const char *word, bool *out_alone) {
  size_t length = strlen(word);
  if ((size_t)(end - at) < length || memcmp(at, word, length)) return false;
  *out_alone = skip_blanks(at + length, end) == end;
  return true;
}

/* Reads "start:stop:step", "index", "None" or "..."; returns what was expected, or NULL. */
static const char *parse_slice_part(const char *at, const char *end, slice_part *out) {
  *out = (slice_part){.step = 1, .at = at, .length = end - at > 40 ? 40 : (int)(end - at)};
  at = skip_blanks(at, end);
  bool alone;
  if (parse_slice_word(at, end, "...", &alone)) {
    out->kind = SLICE_ELLIPSIS;
    return alone ? NULL : "expected \"...\" alone";
  }
  if (parse_slice_word(at, end, "None", &alone)) {
    out->kind = SLICE_NEW_AXIS;
    return alone ? NULL : "expected \"None\" alone";
  }
  const char *expected = "expected start:stop:step, an index, \"None\" or \"...\"";
  if (!parse_bound(&at, end, &out->has_start, &out->start)) return expected;
  if (at == end) {
    out->kind = SLICE_INDEX;
    return out->has_start ? NULL : expected;
  }
  at++;
  if (!parse_bound(&at, end, &out->has_stop, &out->stop)) return expected;
  if (at == end) return NULL;
  at++;
  bool has_step;
  if (!parse_bound(&at, end, &has_step, &out->step) || at != end) return expected;
  if (has_step && (out->step == 0 || out->step == INT64_MIN))
    return out->step ? "expected a smaller step" : "expected a step that is not 0";
  return NULL;
}

/* Reads all parts; -1 when the graph has failed. No text is no part. */
static int32_t parse_slice_parts(mica_value x, const char *ranges, slice_part *parts) {
  int32_t count = 0;
  bool seen = false;
  if (*skip_blanks(ranges, ranges + strlen(ranges)) == '\0') return 0;
  for (const char *at = ranges;; at++) {
    const char *end = at + strcspn(at, ",");
    if (count == MAX_SLICE_PARTS) {
      mica_fail_operator(x.graph, "slice", &x, 1, "\"%.60s\" has more than %d parts", ranges,
                         MAX_SLICE_PARTS);
      return -1;
    }
    slice_part *part = &parts[count];
    const char *expected = parse_slice_part(at, end, part);
    if (!expected && part->kind == SLICE_ELLIPSIS && seen) expected = "expected \"...\" once";
    if (expected) {
      mica_fail_operator(x.graph, "slice", &x, 1, "part %" PRId32 " \"%.*s\" of \"%.60s\": %s",
                         count, part->length, part->at, ranges, expected);
      return -1;
    }
    seen = seen || part->kind == SLICE_ELLIPSIS;
    count++;
    if (!*end) return count;
    at = end;
  }
}

/* Python's bounds: negative ones count from the end, those outside are moved to `least` or
 * `most`. */
static int64_t clamp_bound(int64_t bound, int64_t size, int64_t least, int64_t most) {
  if (bound < 0) bound += size;
  return bound < least ? least : bound > most ? most : bound;
}

/* The elements of a range along an axis of `size` as start, limit and a positive stride; whether
 * they have to be turned round. */
static bool lay_range(const slice_part *part, int64_t size, int64_t *start, int64_t *limit,
                      int64_t *stride) {
  bool turned = part->step < 0;
  *stride = turned ? -part->step : part->step;
  if (!turned) {
    *start = part->has_start ? clamp_bound(part->start, size, 0, size) : 0;
    *limit = part->has_stop ? clamp_bound(part->stop, size, 0, size) : size;
    if (*limit < *start) *limit = *start;
    return false;
  }
  int64_t first = part->has_start ? clamp_bound(part->start, size, -1, size - 1) : size - 1;
  int64_t stop = part->has_stop ? clamp_bound(part->stop, size, -1, size - 1) : -1;
  if (first <= stop) {
    *start = *limit = 0;
    return false;
  }
  /* first, first - stride, ... above stop: the last of them is where the slice starts. */
  *start = first - (first - stop - 1) / *stride * *stride;
  *limit = first + 1;
  return true;
}

mica_value mica_slice(mica_value x, const char *ranges) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("slice", &x, 1)) return mica_no_value(x.graph);
  if (!ranges)
    return mica_fail_operator(x.graph, "slice", &x, 1,
                              "the ranges are NULL: expected text as \"1:, :3\"");
  slice_part parts[MAX_SLICE_PARTS];
  int32_t count = parse_slice_parts(x, ranges, parts), named = 0, axis = 0;
  if (count < 0) return mica_no_value(x.graph);
  for (int32_t i = 0; i < count; i++)
    named += parts[i].kind == SLICE_RANGE || parts[i].kind == SLICE_INDEX;
  mica_shape shape = mica_shape_of(x), kept = {0};
  if (named > shape.rank)
    return mica_fail_operator(x.graph, "slice", &x, 1,
                              "\"%.60s\" has %" PRId32 " %s: expected at most %" PRId32
                              ", one for each axis",
                              ranges, named, mica_noun((size_t)named, "part", "parts"), shape.rank);
  mica_slice_attr attr = {.start = {.count = shape.rank},
                          .limit = {.count = shape.rank},
                          .stride = {.count = shape.rank}};
  for (int32_t i = 0; i < shape.rank; i++) {
    attr.limit.at[i] = shape.dim[i];
    attr.stride.at[i] = 1;
  }
  mica_reverse_attr turned = {0};
  int32_t from[MAX_SLICE_PARTS + MICA_MAX_RANK],
      rank = 0; /* the axis of each result axis, -1: a new one */
  for (int32_t i = 0; i < count; i++) {
    const slice_part *part = &parts[i];
    int64_t size = axis < shape.rank ? shape.dim[axis] : 0;
    switch (part->kind) {
      case SLICE_NEW_AXIS: from[rank++] = -1; break;
      case SLICE_ELLIPSIS:
        for (int32_t k = shape.rank - named; k > 0; k--) from[rank++] = axis++;
        break;
      case SLICE_INDEX: {
        int64_t index = part->start < 0 ? part->start + size : part->start;
        if (index < 0 || index >= size)
          return mica_fail_operator(x.graph, "slice", &x, 1,
                                    "part %" PRId32
                                    " \"%.*s\" of \"%.60s\": index out of range for axis %" PRId32
                                    ", expected %" PRId64 " to %" PRId64,
                                    i, part->length, part->at, ranges, axis, -size, size - 1);
        attr.start.at[axis] = index;
        attr.limit.at[axis++] = index + 1;
        break;
      }
      case SLICE_RANGE:
        if (lay_range(part, size, &attr.start.at[axis], &attr.limit.at[axis],
                      &attr.stride.at[axis]))
          turned.axes.at[turned.axes.count++] = axis;
        from[rank++] = axis++;
        break;
    }
  }
  while (axis < shape.rank) from[rank++] = axis++;
  if (rank > MICA_MAX_RANK)
    return mica_fail_operator(x.graph, "slice", &x, 1,
                              "\"%.60s\" gives rank %" PRId32 ": expected at most %d", ranges, rank,
                              MICA_MAX_RANK);
  mica_value cut = mica_emit(x.graph, MICA_OP_SLICE, &x, 1, &attr);
  if (turned.axes.count) cut = mica_emit(x.graph, MICA_OP_REVERSE, &cut, 1, &turned);
  mica_shape whole = mica_shape_of(cut);
  kept.rank = rank;
  for (int32_t i = 0; i < rank; i++) kept.dim[i] = from[i] < 0 ? 1 : whole.dim[from[i]];
  return mica_reshape_if_needed(cut, kept);
}
