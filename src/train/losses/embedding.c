/* SPDX-License-Identifier: Apache-2.0 */
/* embedding.c: losses that draw vectors together and apart. Distances of all pairs of a batch come from one product of
 * matrices. */
#include <inttypes.h>

#include "train/losses/losses.h"

static bool distance_known(const mica_loss_call *call) {
  if ((unsigned)call->a.distance <= MICA_DISTANCE_COSINE) return true;
  mica_loss_failed(call, "distance %d: expected a mica_distance", (int)call->a.distance);
  return false;
}
static const double least_norm = 1e-8;

mica_value mica_loss_contrastive_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  mica_loss_call call;
  uint32_t takes = MICA_TAKES_MARGIN | MICA_TAKES_LABELS | MICA_TAKES_DISTANCE;
  if (!mica_loss_begin(&call, "loss_contrastive", args, takes, MICA_TARGET_SAME, 1) ||
      !distance_known(&call) || !mica_loss_positive(&call, "margin", &call.a.margin, 1))
    return mica_no_value(call.graph);
  mica_value labels = call.a.labels;
  if (!labels.graph || !mica_shape_equal(mica_shape_of(labels), call.elements)) {
    char text[MICA_SHAPE_TEXT];
    return mica_loss_failed(&call, "%s: expected labels %s",
                            labels.graph ? "labels do not fit" : "there are no labels",
                            mica_shape_text(call.elements, text));
  }
  labels = mica_convert(labels, call.dtype);
  mica_value d = mica_vector_distance(call.x, call.t, call.a.distance, least_norm);
  mica_value apart = mica_square(mica_relu(mica_add(mica_neg(d), call.a.margin)));
  mica_value elements =
      mica_add(mica_mul(labels, mica_square(d)), mica_mul(mica_add(mica_neg(labels), 1), apart));
  return mica_loss_end(&call, mica_mul(elements, 0.5));
}

static mica_value unit_rows(mica_value x) {
  return mica_div(x, mica_max(mica_norm(x, 2, MICA_KEEP(-1)), least_norm));
}

mica_value mica_loss_info_nce_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  mica_loss_call call;
  if (!mica_loss_begin(&call, "loss_info_nce", args,
                       MICA_TAKES_TEMPERATURE | MICA_TAKES_SYMMETRIC | MICA_KEEPS_MASKED,
                       MICA_TARGET_SAME, 1) ||
      !mica_loss_positive(&call, "temperature", &call.a.temperature, 0.07))
    return mica_no_value(call.graph);
  if (call.elements.rank != 1)
    return mica_loss_failed(&call, "the prediction has rank %" PRId32 ": expected [n, d]",
                            call.elements.rank + 1);
  mica_value similarity = mica_matmul(unit_rows(call.x), mica_swap_axes(unit_rows(call.t), 0, 1));
  mica_value logits = mica_div(similarity, call.a.temperature);
  mica_value own = mica_iota(call.graph, (mica_type){MICA_I32, call.elements}, 0);
  mica_value elements = mica_softmax_cross_entropy(logits, own);
  if (call.a.symmetric) {
    mica_value back = mica_softmax_cross_entropy(mica_swap_axes(logits, 0, 1), own);
    elements = mica_mul(mica_add(elements, back), 0.5);
  }
  return mica_loss_end(&call, elements);
}

mica_value mica_loss_triplet_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  mica_loss_call call;
  uint32_t takes = MICA_TAKES_MARGIN | MICA_TAKES_NEGATIVE | MICA_TAKES_DISTANCE;
  if (!mica_loss_begin(&call, "loss_triplet", args, takes, MICA_TARGET_SAME, 1) ||
      !distance_known(&call) || !mica_loss_positive(&call, "margin", &call.a.margin, 1))
    return mica_no_value(call.graph);
  mica_value negative = call.a.negative;
  if (!negative.graph || !mica_type_equal(mica_type_of(negative), mica_type_of(call.a.prediction)))
    return mica_loss_failed(&call, "%s: expected a negative of the prediction's type",
                            negative.graph ? "the negative does not fit" : "there is no negative");
  negative = mica_widen(negative);
  if (call.a.mask.graph) negative = mica_zero_where_masked(&call, negative, call.a.mask);
  mica_value near = mica_vector_distance(call.x, call.t, call.a.distance, least_norm);
  mica_value far = mica_vector_distance(call.x, negative, call.a.distance, least_norm);
  return mica_loss_end(&call, mica_relu(mica_add(mica_sub(near, far), call.a.margin)));
}

/* ---- mining ---------------------------------------------------------------------------------------- */

/* x [n, d] -> [n, n]. */
static mica_value pair_distances(mica_value x, mica_distance distance) {
  if (distance == MICA_DISTANCE_COSINE) {
    mica_value u = unit_rows(x);
    return mica_add(mica_neg(mica_matmul(u, mica_swap_axes(u, 0, 1))), 1);
  }
  mica_value squares = mica_reduce_sum(mica_square(x), MICA_KEEP(1));
  mica_value product = mica_matmul(x, mica_swap_axes(x, 0, 1));
  mica_value sum = mica_add(squares, mica_swap_axes(squares, 0, 1));
  mica_value d = mica_relu(mica_sub(sum, mica_mul(product, 2)));
  if (distance == MICA_DISTANCE_SQUARED) return d;
  mica_value some = mica_greater(d, 0); /* the root's slope at 0 is infinite */
  mica_value root = mica_sqrt(mica_select(some, d, mica_ones_like(d)));
  return mica_select(some, root, d);
}

typedef struct {
  mica_value d;                  /* [n, n] */
  mica_value positive, negative; /* bool [n, n]: j is one of anchor i */
  mica_value low, high;          /* [] below and above every distance */
} mined_pairs;

/* margin + near - far where `exists`, 0 and weightless elsewhere. */
static mica_value mined_elements(mica_loss_call *call, mica_value near, mica_value far,
                                 mica_value exists, bool active_only) {
  mica_value e = mica_relu(mica_add(mica_sub(near, far), call->a.margin));
  mica_value counts = active_only ? mica_and(exists, mica_greater(e, 0)) : exists;
  call->extra = mica_convert(counts, call->dtype);
  return mica_select(exists, e, mica_zeros_like(e));
}

static mica_value mine_triplets(mica_loss_call *call, const mined_pairs *p) {
  mica_axes last = MICA_AXES(-1);
  mica_value any_negative = mica_any(p->negative, last);
  if (call->a.mining == MICA_MINE_HARD) {
    mica_value near = mica_reduce_max(mica_select(p->positive, p->d, p->low), last);
    mica_value far = mica_reduce_min(mica_select(p->negative, p->d, p->high), last);
    mica_value exists = mica_and(mica_any(p->positive, last), any_negative);
    return mined_elements(call, near, far, exists, false);
  }
  /* [anchor, positive, negative] */
  mica_value near = mica_expand_dims(p->d, 2), far = mica_expand_dims(p->d, 1);
  mica_value negative = mica_expand_dims(p->negative, 1);
  if (call->a.mining == MICA_MINE_ALL) {
    mica_value exists = mica_and(mica_expand_dims(p->positive, 2), negative);
    return mined_elements(call, near, far, exists, true);
  }
  mica_value farther = mica_and(negative, mica_greater(far, near));
  mica_value nearest = mica_reduce_min(mica_select(farther, far, p->high), last);
  mica_value farthest = mica_reduce_max(mica_select(p->negative, p->d, p->low), MICA_KEEP(-1));
  mica_value chosen = mica_select(mica_any(farther, last), nearest, farthest);
  mica_value exists = mica_and(p->positive, mica_expand_dims(any_negative, 1));
  return mined_elements(call, p->d, chosen, exists, false);
}

mica_value mica_loss_triplet_mining_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  mica_loss_call call;
  uint32_t takes = MICA_TAKES_MARGIN | MICA_TAKES_DISTANCE | MICA_TAKES_MINING | MICA_KEEPS_MASKED;
  if (!mica_loss_begin(&call, "loss_triplet_mining", args, takes, MICA_TARGET_CLASS, 1) ||
      !distance_known(&call) || !mica_loss_positive(&call, "margin", &call.a.margin, 1))
    return mica_no_value(call.graph);
  if (call.elements.rank != 1)
    return mica_loss_failed(&call, "the prediction has rank %" PRId32 ": expected [n, d]",
                            call.elements.rank + 1);
  if ((unsigned)call.a.mining > MICA_MINE_SEMI_HARD)
    return mica_loss_failed(&call, "mining %d: expected a mica_mining", (int)call.a.mining);
  int64_t n = call.elements.dim[0];
  mica_value t = call.t;
  mica_value same = mica_equal(mica_expand_dims(t, 1), mica_expand_dims(t, 0));
  mica_type square = {MICA_I32, MICA_DIMS(n, n)};
  mica_value itself =
      mica_equal(mica_iota(call.graph, square, 0), mica_iota(call.graph, square, 1));
  mined_pairs pairs = {.d = pair_distances(call.x, call.a.distance),
                       .positive = mica_and(same, mica_not(itself)),
                       .negative = mica_not(same),
                       .low = mica_scalar(call.graph, call.dtype, -1),
                       .high = mica_scalar(call.graph, call.dtype, 1e30)};
  return mica_loss_end(&call, mine_triplets(&call, &pairs));
}
