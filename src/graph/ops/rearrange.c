/* SPDX-License-Identifier: Apache-2.0 */
/* rearrange.c: reshape, transpose, reduce and repeat in one text of axis names (Rogozhnikov, "Einops",
 * ICLR 2022).
 *
 * A side of the pattern is a list of groups, one for each axis of the array; a group is a list of
 * named axes. Both sides together are one table of axes. The array is cut into its named axes,
 * those on the left only are reduced, the rest is put in the order of the right, those on the right
 * only are repeated, and groups are joined. Axes that stay neighbors, or go or come together, are
 * one axis all the way, and axes of size 1 none: so the rank in between stays small, and a pattern
 * that only joins or cuts is only a reshape. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "graph/ops/rules.h"

enum { MAX_NAMED = 32, ELLIPSIS_MEMBER = -1 };

typedef struct {
  const char *at; /* its name, or digits */
  int32_t length;
  int64_t size; /* -1: not known yet */
  bool left, right;
} named_axis;

/* One side: groups of members, which are numbers of axes or ELLIPSIS_MEMBER. */
typedef struct {
  int32_t group_count, member_count;
  struct {
    const char *at;
    int32_t first, count;
  } group[2 * MICA_MAX_RANK];
  int32_t member[MAX_NAMED + 1];
  bool ellipsis;
} pattern_side;

typedef struct {
  const mica_rearrange_args *args;
  mica_graph *graph;
  const char *at;
  named_axis axis[MAX_NAMED + MICA_MAX_RANK]; /* those of "..." come last */
  int32_t axis_count, ellipsis_first, ellipsis_count;
  pattern_side left, right;
} rearrangement;

static bool rearrange_failed(const rearrangement *r, const char *at, const char *format, ...)
    MICA_PRINTF(3, 4);
static bool rearrange_failed(const rearrangement *r, const char *at, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  mica_fail_in_text(r->graph, "rearrange", &r->args->x, 1, r->args->pattern, at, format, arguments);
  va_end(arguments);
  return false;
}

/* ---- reading ----------------------------------------------------------------------------------- */

static bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
static bool is_size_digit(char c) { return c >= '0' && c <= '9'; }

static int32_t find_named(const rearrangement *r, const char *name, int32_t length) {
  for (int32_t i = 0; i < r->axis_count; i++)
    if (r->axis[i].length == length && !memcmp(r->axis[i].at, name, (size_t)length) &&
        is_name_start(*name))
      return i;
  return -1;
}

static bool add_group_member(rearrangement *r, pattern_side *side, int32_t member) {
  if (side->member_count > MAX_NAMED)
    return rearrange_failed(r, r->at, "expected at most %d axes", MAX_NAMED);
  side->member[side->member_count++] = member;
  side->group[side->group_count - 1].count++;
  return true;
}

static bool begin_group(rearrangement *r, pattern_side *side) {
  if (side->group_count > MICA_MAX_RANK)
    return rearrange_failed(r, r->at, "expected at most %d axes", MICA_MAX_RANK);
  side->group[side->group_count].at = r->at;
  side->group[side->group_count].first = side->member_count;
  side->group[side->group_count++].count = 0;
  return true;
}

/* A name, or a number: an axis without a name. */
static bool read_named(rearrangement *r, pattern_side *side) {
  const char *begin = r->at, *end = begin;
  int64_t size = -1;
  bool is_left = side == &r->left;
  if (is_size_digit(*begin)) {
    end += strspn(begin, "0123456789");
    const char *digits = begin;
    if (end - begin > 18 || !mica_parse_i64(&digits, end, &size) || size < 1)
      return rearrange_failed(r, begin, "expected a size of at least 1");
  } else {
    while (is_name_start(*end) || is_size_digit(*end)) end++;
  }
  if (is_name_start(*end) || end - begin > 60)
    return rearrange_failed(r, begin, "expected a name of letters, digits and \"_\"");
  r->at = end;
  if (size == 1) return true; /* its group alone remains */
  int32_t found = find_named(r, begin, (int32_t)(end - begin));
  if (found >= 0 && (is_left ? r->axis[found].left : r->axis[found].right)) {
    r->at = begin;
    return rearrange_failed(r, begin, "'%.*s' is on this side twice", (int)(end - begin), begin);
  }
  if (found < 0) {
    if (r->axis_count == MAX_NAMED)
      return rearrange_failed(r, begin, "expected at most %d axes", MAX_NAMED);
    found = r->axis_count++;
    r->axis[found] = (named_axis){.at = begin, .length = (int32_t)(end - begin), .size = size};
  }
  if (is_left)
    r->axis[found].left = true;
  else
    r->axis[found].right = true;
  return add_group_member(r, side, found);
}

static bool read_side(rearrangement *r, pattern_side *side) {
  bool inside = false;
  for (;;) {
    char c = *r->at;
    if (c == ' ' || c == '\t') {
      r->at++;
    } else if (c == '\0' || (c == '-' && r->at[1] == '>')) {
      return inside ? rearrange_failed(r, r->at, "expected \")\"") : true;
    } else if (c == '(') {
      if (inside) return rearrange_failed(r, r->at, "expected no \"(\" inside of parentheses");
      if (!begin_group(r, side)) return false;
      inside = true;
      r->at++;
    } else if (c == ')') {
      if (!inside) return rearrange_failed(r, r->at, "this \")\" closes nothing");
      inside = false;
      r->at++;
    } else if (c == '.') {
      if (r->at[1] != '.' || r->at[2] != '.') return rearrange_failed(r, r->at, "expected \"...\"");
      if (side->ellipsis) return rearrange_failed(r, r->at, "expected \"...\" once");
      if (inside && side == &r->left)
        return rearrange_failed(r, r->at, "expected \"...\" in parentheses on the right only");
      side->ellipsis = true;
      if ((!inside && !begin_group(r, side)) || !add_group_member(r, side, ELLIPSIS_MEMBER))
        return false;
      /* Alone it is as many groups as it stands for: see lay_groups. */
      if (!inside) side->group[side->group_count - 1].count = -1;
      r->at += 3;
    } else if (is_name_start(c) || is_size_digit(c)) {
      if ((!inside && !begin_group(r, side)) || !read_named(r, side)) return false;
    } else {
      return rearrange_failed(r, r->at,
                              "expected a name, a number, \"...\", \"(\", \")\" or \"->\"");
    }
  }
}

static bool read_pattern(rearrangement *r) {
  r->at = r->args->pattern;
  if (!read_side(r, &r->left)) return false;
  const char *arrow = r->at;
  if (!*arrow) return rearrange_failed(r, arrow, "expected \"->\" and the axes of the result");
  r->at += 2;
  if (!read_side(r, &r->right)) return false;
  if (*r->at) return rearrange_failed(r, r->at, "expected \"->\" once");
  if (r->right.ellipsis && !r->left.ellipsis)
    return rearrange_failed(r, arrow, "\"...\" is on the right: expected it on the left as well");
  return true;
}

/* ---- sizes ------------------------------------------------------------------------------------- */

static bool take_sizes(rearrangement *r) {
  const mica_named_size *sizes = r->args->sizes;
  for (size_t i = 0; i < sizeof(r->args->sizes) / sizeof(*sizes) && sizes[i].name; i++) {
    size_t length = strnlen(sizes[i].name, 64);
    int32_t found = length ? find_named(r, sizes[i].name, (int32_t)length) : -1;
    if (found < 0)
      return rearrange_failed(r, r->args->pattern, "the axis '%.60s' of the sizes is not here",
                              sizes[i].name);
    if (sizes[i].size < 1)
      return rearrange_failed(r, r->axis[found].at,
                              "'%.60s' is given size %" PRId64 ": expected at least 1",
                              sizes[i].name, sizes[i].size);
    r->axis[found].size = sizes[i].size;
  }
  return true;
}

/* The axes that "..." stands for, and the groups of the left against the axes of x. */
static bool lay_groups(rearrangement *r, mica_shape shape) {
  int32_t listed = r->left.group_count - (r->left.ellipsis ? 1 : 0), next = 0;
  if (listed > shape.rank || (listed < shape.rank && !r->left.ellipsis))
    return rearrange_failed(r, r->args->pattern,
                            "the left side has %" PRId32 " %s: expected %" PRId32 ", as x", listed,
                            mica_noun((size_t)listed, "axis", "axes"), shape.rank);
  r->ellipsis_first = r->axis_count;
  r->ellipsis_count = shape.rank - listed;
  for (int32_t g = 0; g < r->left.group_count; g++) {
    int32_t first = r->left.group[g].first, count = r->left.group[g].count, open = -1;
    if (count < 0) {
      for (int32_t k = 0; k < r->ellipsis_count; k++)
        r->axis[r->ellipsis_first + k] = (named_axis){.at = r->left.group[g].at,
                                                      .length = 3,
                                                      .size = shape.dim[next++],
                                                      .left = true,
                                                      .right = r->right.ellipsis};
      continue;
    }
    int64_t known = 1, have = shape.dim[next];
    for (int32_t k = 0; k < count; k++) {
      named_axis *axis = &r->axis[r->left.member[first + k]];
      if (axis->size < 0 && open >= 0)
        return rearrange_failed(r, axis->at,
                                "the sizes of '%.*s' and '%.*s' are not known: expected one of "
                                "them in .sizes",
                                r->axis[open].length, r->axis[open].at, axis->length, axis->at);
      if (axis->size < 0)
        open = r->left.member[first + k];
      else if (!mica_i64_multiply(known, axis->size, &known))
        return rearrange_failed(r, axis->at, "the sizes are too large");
    }
    if (open >= 0 ? have % known != 0 : have != known)
      return rearrange_failed(r, r->left.group[g].at,
                              "axis %" PRId32 " of x has size %" PRId64 ": expected %s%" PRId64,
                              next, have, open >= 0 ? "a multiple of " : "", known);
    if (open >= 0) r->axis[open].size = have / known;
    next++;
  }
  return true;
}

static bool check_sides(const rearrangement *r) {
  for (int32_t i = 0; i < r->axis_count; i++) {
    const named_axis *axis = &r->axis[i];
    if (!axis->left && axis->size < 0)
      return rearrange_failed(r, axis->at,
                              "'%.*s' is on the right only: expected its size in .sizes, to repeat",
                              axis->length, axis->at);
    if (!axis->right && r->args->reduce == MICA_REARRANGE_NONE)
      return rearrange_failed(r, axis->at,
                              "'%.*s' is on the left only: expected .reduce, which says how it is "
                              "folded away",
                              axis->length, axis->at);
  }
  if (r->ellipsis_count && !r->right.ellipsis && r->args->reduce == MICA_REARRANGE_NONE)
    return rearrange_failed(r, r->axis[r->ellipsis_first].at,
                            "\"...\" is on the left only: expected .reduce");
  return true;
}

/* ---- the axes in order ------------------------------------------------------------------------- */

/* The axes of a side that are larger than 1, in order; how many. */
static int32_t list_axes(const rearrangement *r, const pattern_side *side, int32_t *out) {
  int32_t count = 0;
  for (int32_t m = 0; m < side->member_count; m++) {
    int32_t first = side->member[m], some = 1;
    if (first == ELLIPSIS_MEMBER) {
      first = r->ellipsis_first;
      some = r->ellipsis_count;
    }
    for (int32_t k = 0; k < some; k++)
      if (r->axis[first + k].size != 1) out[count++] = first + k;
  }
  return count;
}

static bool right_shape(const rearrangement *r, mica_shape *out) {
  *out = (mica_shape){0};
  const pattern_side *side = &r->right;
  int32_t rank = side->group_count;
  for (int32_t g = 0; g < side->group_count; g++)
    if (side->group[g].count < 0) rank += r->ellipsis_count - 1;
  if (rank > MICA_MAX_RANK)
    return rearrange_failed(r, r->args->pattern,
                            "the right side has %" PRId32 " axes: expected at most %d", rank,
                            MICA_MAX_RANK);
  for (int32_t g = 0; g < side->group_count; g++) {
    if (side->group[g].count < 0) {
      for (int32_t k = 0; k < r->ellipsis_count; k++)
        out->dim[out->rank++] = r->axis[r->ellipsis_first + k].size;
      continue;
    }
    int64_t size = 1;
    for (int32_t k = 0; k < side->group[g].count; k++) {
      int32_t member = side->member[side->group[g].first + k], first = member, some = 1;
      if (member == ELLIPSIS_MEMBER) {
        first = r->ellipsis_first;
        some = r->ellipsis_count;
      }
      for (int32_t e = 0; e < some; e++)
        if (!mica_i64_multiply(size, r->axis[first + e].size, &size))
          return rearrange_failed(r, side->group[g].at, "the axis is too long");
    }
    out->dim[out->rank++] = size;
  }
  return true;
}

static mica_value fold_away(mica_value x, mica_rearrange_kind kind, mica_axes axes) {
  switch (kind) {
    case MICA_REARRANGE_SUM: return mica_reduce_sum(x, axes);
    case MICA_REARRANGE_MEAN: return mica_reduce_mean(x, axes);
    case MICA_REARRANGE_MAX: return mica_reduce_max(x, axes);
    case MICA_REARRANGE_MIN: return mica_reduce_min(x, axes);
    case MICA_REARRANGE_PROD: return mica_reduce_prod(x, axes);
    case MICA_REARRANGE_NONE: break;
  }
  return mica_fail_operator(x.graph, "rearrange", &x, 1, "reduce %d is unknown", (int)kind);
}

/* Whether axis b can be walked together with axis a in front of it, of the same side. */
static bool walks_along(const rearrangement *r, const int32_t *other, int32_t other_count,
                        int32_t a, int32_t b) {
  bool both_a = r->axis[a].left && r->axis[a].right, both_b = r->axis[b].left && r->axis[b].right;
  if (!both_a && !both_b) return true;
  for (int32_t i = 0; i + 1 < other_count; i++)
    if (other[i] == a) return other[i + 1] == b;
  return false;
}

/* Joins neighbors of a side that can be walked together: head[] are their first axes. */
static bool join_axes(const rearrangement *r, const int32_t *list, int32_t count,
                      const int32_t *other, int32_t other_count, mica_shape *out, int32_t *head) {
  *out = (mica_shape){0};
  for (int32_t i = 0; i < count; i++) {
    int64_t size = r->axis[list[i]].size;
    if (i > 0 && walks_along(r, other, other_count, list[i - 1], list[i])) {
      if (!mica_i64_multiply(out->dim[out->rank - 1], size, &out->dim[out->rank - 1]))
        return rearrange_failed(r, r->axis[list[i]].at, "the sizes are too large");
      continue;
    }
    if (out->rank == MICA_MAX_RANK)
      return rearrange_failed(r, r->axis[list[i]].at,
                              "more than %d axes are apart at once: expected fewer, in two steps",
                              MICA_MAX_RANK);
    head[out->rank] = list[i];
    out->dim[out->rank++] = size;
  }
  return true;
}

static mica_value carry_out(const rearrangement *r) {
  int32_t left[MAX_NAMED + MICA_MAX_RANK], right[MAX_NAMED + MICA_MAX_RANK];
  int32_t left_count = list_axes(r, &r->left, left), right_count = list_axes(r, &r->right, right);
  mica_shape from, to, result;
  int32_t from_head[MICA_MAX_RANK] = {0}, to_head[MICA_MAX_RANK] = {0};
  if (!right_shape(r, &result)) return mica_no_value(r->graph);
  if (left_count == right_count && !memcmp(left, right, (size_t)left_count * sizeof(*left)))
    return mica_reshape_if_needed(r->args->x, result);
  if (!join_axes(r, left, left_count, right, right_count, &from, from_head) ||
      !join_axes(r, right, right_count, left, left_count, &to, to_head))
    return mica_no_value(r->graph);
  mica_value x = mica_reshape_if_needed(r->args->x, from);
  mica_axes gone = {0}, put = {0};
  int32_t kept[MICA_MAX_RANK], kept_count = 0;
  for (int32_t i = 0; i < from.rank; i++) {
    if (r->axis[from_head[i]].right)
      kept[kept_count++] = from_head[i];
    else
      gone.axis[gone.count++] = i;
  }
  if (gone.count) x = fold_away(x, r->args->reduce, gone);
  mica_ints permutation = {0};
  for (int32_t i = 0; i < to.rank; i++) {
    if (!r->axis[to_head[i]].left) continue;
    put.axis[put.count++] = i;
    for (int32_t k = 0; k < kept_count; k++)
      if (kept[k] == to_head[i]) permutation.at[permutation.count++] = k;
  }
  x = mica_transpose_if_needed(x, &permutation);
  if (put.count < to.rank) x = mica_broadcast_in_dim(x, to, put);
  return mica_reshape_if_needed(x, result);
}

mica_value mica_rearrange_with(const mica_rearrange_args *args) {
  mica_rearrange_args a;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  MICA_ENTRY(a.x.graph);
  if (!mica_operands_usable("rearrange", &a.x, 1)) return mica_no_value(a.x.graph);
  if (!a.pattern)
    return mica_fail_operator(a.x.graph, "rearrange", &a.x, 1,
                              "the pattern is NULL: expected text as \"h w -> (h w)\"");
  rearrangement r = {.args = &a, .graph = a.x.graph};
  if (!read_pattern(&r) || !take_sizes(&r) || !lay_groups(&r, mica_shape_of(a.x)) ||
      !check_sides(&r))
    return mica_no_value(a.x.graph);
  return carry_out(&r);
}
