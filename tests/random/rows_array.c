/* SPDX-License-Identifier: Apache-2.0 */
/* rows_array.c: reductions, windows, order, running folds, products, random bits, composites. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "random/generator.h"

static int32_t some_axis(generator *g, mica_value x) {
  return (int32_t)random_draw(g, (uint32_t)mica_rank_of(x));
}
static pool_entry pick_mild(generator *g, uint32_t mask, int32_t least, int32_t most) {
  return random_mild(g, random_pick_ranked(g, mask, least, most));
}
static double count_of(mica_value x) { return (double)mica_shape_count(mica_shape_of(x)) + 1; }

/* ---- reductions ------------------------------------------------------------------------------------ */

static bool make_reduce(generator *g) {
  uint32_t kind = random_draw(g, 7);
  pool_entry x = kind >= 5 ? random_pick_ranked(g, ANY_INTEGER | DTYPE_BIT(MICA_BOOL), 0, 4)
                           : pick_mild(g, kind < 2 ? ANY_NUMBER : ANY_REAL, 0, 4);
  mica_axes axes = {.count = 0, .keep = random_draw(g, 4) == 3};
  int32_t rank = mica_rank_of(x.value);
  for (int32_t i = 0; i < rank; i++)
    if (random_draw(g, 2) == 0) axes.axis[axes.count++] = i;
  double n = count_of(x.value);
  switch (kind) {
    case 0: random_push(g, mica_reduce_sum(x.value, axes), x.bound * n); break;
    case 1: random_push(g, mica_reduce_prod(x.value, axes), (double)INFINITY); break;
    case 2: random_push(g, mica_reduce_max(x.value, axes), x.bound); break;
    case 3: random_push(g, mica_reduce_min(x.value, axes), x.bound); break;
    case 4:
      if (!mica_dtype_is_float(mica_dtype_of(x.value))) return false;
      random_push(g, mica_reduce_mean(x.value, axes), x.bound);
      break;
    case 5: random_push(g, mica_reduce_and(x.value, axes), 0); break;
    default: random_push(g, mica_reduce_or(x.value, axes), 0); break;
  }
  return true;
}
static bool make_arg_reduce(generator *g) {
  pool_entry x = random_pick_ranked(g, ANY_REAL, 1, 4);
  int32_t axis = some_axis(g, x.value);
  if (mica_dim_of(x.value, axis) == 0) return false;
  random_push(g, random_draw(g, 2) ? mica_arg_min(x.value, axis) : mica_arg_max(x.value, axis), 0);
  return true;
}

/* ---- windows ---------------------------------------------------------------------------------------- */

typedef struct {
  int64_t window[8], stride[8], base[8], dilation[8], low[8], high[8];
  mica_shape result;
} windows;
static bool draw_windows(generator *g, mica_shape shape, windows *w) {
  w->result = shape;
  for (int32_t i = 0; i < shape.rank; i++) {
    bool slides = random_draw(g, 3) < 2;
    w->window[i] = slides ? random_between(g, 1, 3) : 1;
    w->stride[i] = slides ? random_between(g, 1, 3) : 1;
    w->dilation[i] = slides && random_chance(g, 20) ? 2 : 1;
    w->base[i] = slides && random_chance(g, 15) ? 2 : 1;
    w->low[i] = slides ? random_between(g, 0, 2) : 0;
    w->high[i] = slides ? random_between(g, 0, 2) : 0;
    int64_t padded =
        (shape.dim[i] ? (shape.dim[i] - 1) * w->base[i] + 1 : 0) + w->low[i] + w->high[i];
    int64_t reach = (w->window[i] - 1) * w->dilation[i] + 1;
    w->result.dim[i] = padded < reach ? 0 : (padded - reach) / w->stride[i] + 1;
  }
  return random_has_room(g, w->result);
}
static void windows_text(const windows *w, int32_t rank, char *text, size_t size) {
  const int64_t *lists[] = {w->window, w->stride, w->base, w->dilation, w->low, w->high};
  static const char *const names[] = {"window",          "stride", "base_dilation",
                                      "window_dilation", "low",    "high"};
  int length = 0;
  for (int i = 0; i < 6; i++) {
    char list[256];
    random_text_ints(list, sizeof list, lists[i], rank);
    length += snprintf(text + length, size - (size_t)length, ", %s=%s", names[i], list);
  }
}
static bool make_reduce_window(generator *g) {
  static const char *const names[] = {"sum", "max", "min", "prod"};
  uint32_t kind = random_draw(g, 4);
  pool_entry x = pick_mild(g, ANY_REAL, 1, 4);
  windows w;
  char text[1024];
  if (!draw_windows(g, mica_shape_of(x.value), &w)) return false;
  windows_text(&w, mica_rank_of(x.value), text, sizeof text);
  random_push(g, random_build(g, "reduce_window", &x.value, 1, "kind=%s%s", names[kind], text),
              kind == 0 ? x.bound * 81 : (double)INFINITY);
  return true;
}
/* Windows of padding alone hold no extreme of x: without padding there is one in each. */
static bool selected(generator *g, const char *name, bool scatter) {
  pool_entry x = pick_mild(g, ANY_FLOAT, 1, 4);
  windows w;
  char text[1024];
  mica_type type = mica_type_of(x.value);
  if (!draw_windows(g, type.shape, &w)) return false;
  windows_text(&w, type.shape.rank, text, sizeof text);
  if (scatter) type.shape = w.result;
  mica_value in[2] = {x.value, random_pick_typed(g, type).value};
  random_push(g, random_build(g, name, in, 2, "kind=%s%s", random_draw(g, 2) ? "min" : "max", text),
              8 * 81);
  return true;
}
static bool make_select_and_scatter(generator *g) {
  return selected(g, "select_and_scatter", true);
}
static bool make_select_and_gather(generator *g) { return selected(g, "select_and_gather", false); }

/* ---- order and running folds ------------------------------------------------------------------------- */

static bool make_sort(generator *g) {
  pool_entry x = random_pick_ranked(g, ANY_REAL | DTYPE_BIT(MICA_BOOL), 1, 4);
  mica_value in[3] = {x.value}, out[3] = {{0}};
  double bound[3] = {x.bound};
  size_t count = 1 + random_draw(g, 3);
  for (size_t i = 1; i < count; i++) {
    pool_entry y = random_pick(g, ANY_REAL | DTYPE_BIT(MICA_BOOL));
    in[i] = random_fit(g, y.value, mica_shape_of(x.value));
    bound[i] = y.bound;
  }
  size_t keys = 1 + random_draw(g, (uint32_t)count);
  mica_sort_together(in, count, keys, some_axis(g, x.value), random_draw(g, 2), out);
  for (size_t i = 0; i < count; i++) random_push(g, out[i], bound[i]);
  return true;
}
static bool make_top_k(generator *g) {
  pool_entry x = random_pick_ranked(g, ANY_REAL | DTYPE_BIT(MICA_BOOL), 1, 4);
  int32_t axis = some_axis(g, x.value);
  mica_value out[2] = {{0}};
  int64_t k = random_between(g, (mica_dim_of(x.value, axis) + 1) / 2, 0);
  mica_top_k(x.value, k, axis, random_draw(g, 2), &out[0], &out[1]);
  random_push(g, out[0], x.bound);
  random_push(g, out[1], 0);
  return true;
}
static bool make_search_sorted(generator *g) {
  pool_entry x = random_pick_ranked(g, ANY_REAL, 1, 1);
  pool_entry values = random_pick_as(g, mica_dtype_of(x.value));
  random_push(g, mica_search_sorted(mica_sort(x.value, 0, false), values.value, random_draw(g, 2)),
              0);
  return true;
}
static bool make_cumulative(generator *g) {
  uint32_t kind = random_draw(g, 5);
  pool_entry x = pick_mild(g, kind < 2 ? ANY_NUMBER : kind == 4 ? ANY_FLOAT : ANY_REAL, 1, 4);
  random_push(
      g,
      mica_cumulative(x.value, .kind = (mica_cumulative_kind)kind, .axis = some_axis(g, x.value),
                      .reverse = random_draw(g, 2), .exclusive = random_chance(g, 30)),
      kind == 0 ? x.bound * count_of(x.value) : (double)INFINITY);
  return true;
}
static bool make_linear_recurrence(generator *g) {
  pool_entry a = pick_mild(g, ANY_NUMBER, 1, 4);
  pool_entry b = random_pick_typed(g, mica_type_of(a.value));
  if (mica_dtype_is_float(mica_dtype_of(a.value))) a.value = mica_mul(a.value, 0.25);
  random_push(g, mica_linear_recurrence(a.value, b.value, some_axis(g, a.value), random_draw(g, 2)),
              (double)INFINITY);
  return true;
}

/* ---- products ---------------------------------------------------------------------------------------- */

static bool make_dot_general(generator *g) {
  pool_entry x = pick_mild(g, ANY_NUMBER, 0, 3);
  mica_shape shape = mica_shape_of(x.value), other = {.rank = 0}, result = {.rank = 0};
  mica_dot_general_args args = {.struct_size = sizeof args, .x = x.value};
  double terms = 1;
  for (int32_t i = 0; i < shape.rank; i++) {
    uint32_t role = random_draw(g, 4); /* of x's axis: contracted, free, batch */
    if (role == 0 || role == 3) {
      args.x_contract.axis[args.x_contract.count++] = i;
      args.y_contract.axis[args.y_contract.count++] = other.rank;
      terms *= (double)shape.dim[i];
    } else if (role == 2) {
      args.x_batch.axis[args.x_batch.count++] = i;
      args.y_batch.axis[args.y_batch.count++] = other.rank;
    }
    if (role != 1) other.dim[other.rank++] = shape.dim[i];
    if (role == 1 || role == 2) result.dim[result.rank++] = shape.dim[i];
    if (random_draw(g, 3) == 0 && other.rank < 4) {
      int64_t size = random_size(g);
      other.dim[other.rank++] = size;
      result.dim[result.rank++] = size;
    }
  }
  if (!random_has_room(g, result) || !random_has_room(g, other)) return false;
  args.y = random_pick_typed(g, (mica_type){mica_dtype_of(x.value), other}).value;
  mica_dtype dtype = mica_dtype_of(x.value);
  if ((dtype == MICA_F16 || dtype == MICA_BF16) && random_draw(g, 2)) args.dtype = MICA_F32;
  if ((dtype == MICA_I8 || dtype == MICA_U8) && random_draw(g, 2)) args.dtype = MICA_I32;
  random_push(g, mica_dot_general_with(&args), 64 * (terms + 1));
  return true;
}

/* Sizes of a convolution: x [batch, spatial..., in], kernel [spatial..., in / groups, out]. */
typedef struct {
  int32_t spatial;
  mica_shape x, kernel, y;
  char text[512];
} convolution;
static bool draw_convolution(generator *g, convolution *c) {
  int64_t stride[3], low[3], high[3], base[3], dilation[3];
  int32_t n = c->spatial = (int32_t)random_between(g, 1, 1 + (int64_t)random_draw(g, 3));
  int64_t groups = random_chance(g, 25) ? 2 : 1, width = random_between(g, 1, 3);
  c->x = c->kernel = c->y = (mica_shape){.rank = n + 2};
  c->x.dim[0] = c->y.dim[0] = random_between(g, 1, 3);
  c->x.dim[n + 1] = width * groups;
  c->kernel.dim[n] = width;
  c->kernel.dim[n + 1] = c->y.dim[n + 1] = groups * random_between(g, 1, 3);
  for (int32_t i = 0; i < n; i++) {
    int64_t size = random_between(g, 3, 6), window = random_between(g, 1, 3);
    stride[i] = random_between(g, 1, 2), dilation[i] = 1 + random_chance(g, 20);
    base[i] = 1 + random_chance(g, 20);
    low[i] = random_between(g, 0, 1), high[i] = random_between(g, 0, 2);
    if (random_chance(g, 10)) low[i] = -1;
    int64_t reach = (window - 1) * dilation[i] + 1;
    int64_t room = (size - 1) * base[i] + 1 + low[i] + high[i] - reach;
    if (room < 0) return false;
    c->x.dim[1 + i] = size, c->kernel.dim[i] = window;
    c->y.dim[1 + i] = room / stride[i] + 1;
  }
  const int64_t *lists[] = {stride, low, high, base, dilation};
  static const char *const names[] = {"stride", "low", "high", "base_dilation", "window_dilation"};
  int length = 0;
  for (int i = 0; i < 5; i++) {
    char list[64];
    random_text_ints(list, sizeof list, lists[i], n);
    length +=
        snprintf(c->text + length, sizeof c->text - (size_t)length, "%s=%s, ", names[i], list);
  }
  snprintf(c->text + length, sizeof c->text - (size_t)length, "groups=%d, batch_groups=1",
           (int)groups);
  return random_has_room(g, c->x) && random_has_room(g, c->y) && g->batch <= 4;
}
static bool convolve(generator *g, const char *name, int which) {
  convolution c;
  char shape[64] = "";
  if (!draw_convolution(g, &c)) return false;
  mica_dtype dtype = random_dtype(g, ANY_FLOAT);
  mica_shape left = which == 1 ? c.y : c.x, right = which == 2 ? c.y : c.kernel,
             result = which == 1 ? c.x : c.kernel;
  mica_value in[2] = {random_pick_typed(g, (mica_type){dtype, left}).value,
                      random_pick_typed(g, (mica_type){dtype, right}).value};
  if (which) random_text_ints(shape, sizeof shape, result.dim, result.rank);
  random_push(g, random_build(g, name, in, 2, "%s%s%s", c.text, which ? ", shape=" : "", shape),
              9999);
  return true;
}
static bool make_convolution(generator *g) { return convolve(g, "convolution", 0); }
static bool make_backward_data(generator *g) { return convolve(g, "convolution_backward_data", 1); }
static bool make_backward_kernel(generator *g) {
  return convolve(g, "convolution_backward_kernel", 2);
}

/* ---- random bits -------------------------------------------------------------------------------------- */

/* Keys depend on the key that is an input: inside vmap a key that all examples share is folded with the
 * example's number, and the program alone would draw others. */
static bool make_random_bits(generator *g) {
  mica_value key = g->key;
  if (random_draw(g, 2)) {
    mica_value number = random_fit(g, random_pick_as(g, MICA_I32).value, MICA_SCALAR);
    key = mica_random_fold(key, number);
  } else if (random_draw(g, 2)) {
    pool_entry other = random_pick_as(g, MICA_U32);
    key = mica_xor(key, random_fit(g, other.value, MICA_DIMS(2)));
  }
  mica_shape shape = random_shape(g, 0, 3);
  switch (random_draw(g, 3)) {
    case 0: random_push(g, mica_random_bits(key, shape), 0); break;
    case 1:
      random_push(g, mica_random_uniform(key, (mica_type){random_dtype(g, ANY_FLOAT), shape}), 1);
      break;
    default:
      random_push(g, mica_random_normal(key, (mica_type){random_dtype(g, ANY_FLOAT), shape}), 8);
      break;
  }
  return true;
}

/* ---- composites ----------------------------------------------------------------------------------------- */

static bool make_softmax(generator *g) {
  pool_entry x = pick_mild(g, ANY_FLOAT, 1, 4);
  random_push(g, mica_softmax(x.value, some_axis(g, x.value)), 1);
  return true;
}
static bool make_log_softmax(generator *g) {
  pool_entry x = pick_mild(g, ANY_FLOAT, 1, 4);
  random_push(g, mica_log_softmax(x.value, some_axis(g, x.value)), 2 * x.bound + 8);
  return true;
}
static bool make_layer_norm(generator *g) {
  pool_entry x = pick_mild(g, ANY_FLOAT, 1, 4);
  mica_type row = {mica_dtype_of(x.value), MICA_DIMS(mica_dim_of(x.value, -1))};
  mica_value none = {0};
  mica_value scale = random_draw(g, 3) ? random_pick_typed(g, row).value : none;
  mica_value bias = random_draw(g, 3) ? random_pick_typed(g, row).value : none;
  random_push(g, mica_layer_norm(x.value, scale, bias, random_draw(g, 2) ? 1e-2 : 0.5), 999);
  return true;
}
static bool make_layer_norm_gradient(generator *g) {
  pool_entry x = pick_mild(g, ANY_FLOAT, 1, 4);
  mica_type type = mica_type_of(x.value), row = {type.dtype, MICA_DIMS(mica_dim_of(x.value, -1))};
  mica_value in[3] = {x.value, random_pick_typed(g, row).value, random_pick_typed(g, type).value};
  random_push_node(g,
                   random_build(g, "layer_norm_gradient", in, 3, "epsilon=%s",
                                random_draw(g, 2) ? "0.5" : "0.01"),
                   9999);
  return true;
}
static mica_value labels_for(generator *g, mica_value logits, mica_shape *out_shape) {
  *out_shape = mica_shape_of(logits);
  out_shape->dim[--out_shape->rank] = 0;
  mica_value labels = random_index(g, *out_shape, mica_dim_of(logits, -1));
  int64_t classes = mica_dim_of(logits, -1); /* NaN outside: rarely */
  if (!random_chance(g, 3)) labels = mica_abs(mica_rem(labels, (double)(classes ? classes : 1)));
  return labels;
}
static bool make_cross_entropy(generator *g) {
  pool_entry x = pick_mild(g, ANY_FLOAT, 1, 4);
  mica_shape shape;
  mica_value labels = labels_for(g, x.value, &shape);
  random_push(g, mica_softmax_cross_entropy(x.value, labels), 2 * x.bound + 8);
  return true;
}
static bool make_cross_entropy_gradient(generator *g) {
  pool_entry x = pick_mild(g, ANY_FLOAT, 1, 4);
  mica_shape shape;
  mica_value labels = labels_for(g, x.value, &shape);
  mica_value in[3] = {x.value, labels,
                      random_pick_typed(g, (mica_type){mica_dtype_of(x.value), shape}).value};
  random_push(g, mica_build_operator(g->graph, "softmax_cross_entropy_gradient", in, 3, NULL), 99);
  return true;
}
static bool make_one_hot(generator *g) {
  mica_shape shape = random_shape(g, 0, 2), result = shape;
  int64_t depth = random_between(g, 1, 5);
  result.dim[result.rank++] = depth;
  if (!random_has_room(g, result)) return false;
  random_push(g, mica_one_hot(random_index(g, shape, depth), depth, random_dtype(g, ANY_REAL)), 1);
  return true;
}
static bool make_attention(generator *g) {
  pool_entry q = pick_mild(g, ANY_FLOAT, 2, 4);
  mica_type type = mica_type_of(q.value);
  int32_t rank = type.shape.rank;
  mica_type k = type, v, mask = {MICA_BOOL, type.shape};
  k.shape.dim[rank - 2] = random_between(g, 1, 5);
  v = k;
  v.shape.dim[rank - 1] = random_between(g, 1, 3);
  mask.shape.dim[rank - 1] = k.shape.dim[rank - 2];
  if (!random_has_room(g, mask.shape) || !random_has_room(g, k.shape)) return false;
  mica_attention_args args = {.struct_size = sizeof args,
                              .q = q.value,
                              .k = random_pick_typed(g, k).value,
                              .v = random_pick_typed(g, v).value,
                              .scale = random_draw(g, 2) ? 0.5 : 0};
  uint32_t form = random_draw(g, 3);
  if (form == 1 && k.shape.dim[rank - 2] >= type.shape.dim[rank - 2]) args.causal = true;
  if (form == 2) args.mask = random_pick_typed(g, mask).value;
  random_push(g, mica_attention_with(&args), 8);
  return true;
}

const random_row random_array_rows[] = {
    {"reduce", make_reduce, 0, 4},
    {"arg_reduce", make_arg_reduce, 0, 0},
    {"reduce_window", make_reduce_window, 0, 0},
    {"select_and_scatter", make_select_and_scatter, 0, 0},
    {"select_and_gather", make_select_and_gather, 0, 0},
    {"sort", make_sort, 0, 0},
    {"top_k", make_top_k, 0, 0},
    {"search_sorted", make_search_sorted, 0, 0},
    {"cumulative", make_cumulative, 0, 0},
    {"linear_recurrence", make_linear_recurrence, 0, 0},
    {"dot_general", make_dot_general, 0, 4},
    {"convolution", make_convolution, 0, 0},
    {"convolution_backward_data", make_backward_data, 0, 0},
    {"convolution_backward_kernel", make_backward_kernel, 0, 0},
    {"random_bits", make_random_bits, 0, 0},
    {"softmax", make_softmax, 0, 0},
    {"log_softmax", make_log_softmax, 0, 0},
    {"layer_norm", make_layer_norm, 0, 0},
    {"layer_norm_gradient", make_layer_norm_gradient, 0, 0},
    {"softmax_cross_entropy", make_cross_entropy, 0, 0},
    {"softmax_cross_entropy_gradient", make_cross_entropy_gradient, 0, 0},
    {"one_hot", make_one_hot, 0, 0},
    {"attention", make_attention, 0, 0},
    {NULL, NULL, 0, 0}};
