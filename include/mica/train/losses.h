/* SPDX-License-Identifier: Apache-2.0 */
/* losses.h: how far predictions are from targets, as values to differentiate.
 *
 * One struct of arguments serves all losses; an option that a loss does not list is an error that names it, and 0
 * means the option's default. Every loss first gives elements [b...], then
 *   MICA_LOSS_MEAN  sum(w e) / sum(w) [], 0 where sum(w) is 0
 *   MICA_LOSS_SUM   sum(w e) []
 *   MICA_LOSS_NONE  w e [b...]
 * with w = weights * mask (1 without them; the mean over no elements at all is NaN). Both have the leading axes of the
 * elements, with their sizes or 1. Where the mask is false the element is 0 and nothing flows back, whatever prediction
 * and target are there, NaN too.
 *
 * Predictions are floats; f16 and bf16 are computed in f32, and the loss is f32 then. Targets have the prediction's
 * shape unless told, are bool, integers or floats no wider than that, and are converted. Gradients flow into
 * prediction, target and weights. Nothing here overflows for finite logits. Example: examples/training_functions.c. */
#ifndef MICA_TRAIN_LOSSES_H
#define MICA_TRAIN_LOSSES_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef enum { MICA_LOSS_MEAN, MICA_LOSS_SUM, MICA_LOSS_NONE } mica_loss_reduction;
typedef enum {
  MICA_DISTANCE_EUCLIDEAN, /* |x - y|; derivative 0 at 0 */
  MICA_DISTANCE_SQUARED,   /* |x - y|^2 */
  MICA_DISTANCE_COSINE     /* 1 - x y / (|x| |y|) */
} mica_distance;
/* Which triplets of a batch count: every one; for each anchor the farthest positive and the nearest negative; for
 * each pair the nearest negative that is farther than the positive, the farthest one where none is. */
typedef enum { MICA_MINE_ALL, MICA_MINE_HARD, MICA_MINE_SEMI_HARD } mica_mining;

typedef struct {
  size_t struct_size;
  mica_value prediction, target;
  const struct mica_names_only *named_;
  mica_value weights; /* floats; {0}: 1 */
  mica_value mask;    /* bool; {0}: true */
  mica_loss_reduction reduction;
  /* Options of some losses. */
  /* Floats [classes], a value of the prediction's graph (mica_constant(prediction.graph, ..)): w is times sum over c of target[c]
   * class_weights[c], of the target as it is given (PyTorch weighs each smoothed class by itself). */
  mica_value class_weights;
  double label_smoothing; /* s in 0 .. 1: targets are (1 - s) target + s / classes */
  double positive_weight; /* of the part of targets that is 1; 0: 1 */
  double epsilon;         /* what probabilities and norms are kept away from 0 by */
  double delta;           /* 0: 1 */
  double gamma;           /* 0: 2 */
  double alpha;           /* in 0 .. 1; 0: no balance */
  double margin;          /* 0: 1 */
  double temperature;     /* 0: 0.07 */
  double smooth;          /* 0: 1 */
  double power_near, power_far, middle, sharpness; /* 0: 2, 1, 1, 1 */
  bool log_prediction, log_target, symmetric;
  mica_distance distance;
  mica_mining mining;
  mica_value labels, negative;
  mica_value prediction_lengths, target_lengths;
  int64_t blank;
  bool zero_infinity;
} mica_loss_args;
#define MICA_LOSS_ARGS(...) (&(mica_loss_args){.struct_size = sizeof(mica_loss_args), __VA_ARGS__})

/* What all losses end with, for one's own: elements [b...] of floats, reduced as above. */
MICA_API mica_value mica_loss_reduce(mica_value elements, mica_value weights, mica_value mask,
                                     mica_loss_reduction reduction);

/* ---- regression: elements are those of the prediction, d = prediction - target ------------------- */

MICA_API mica_value mica_loss_squared_error_with(const mica_loss_args *args); /* d^2 */
MICA_API mica_value
mica_loss_absolute_error_with(const mica_loss_args *args); /* |d|, derivative 0 at 0 */
/* d^2 / 2 up to |d| = delta, from there on delta (|d| - delta / 2) (Huber 1964). */
MICA_API mica_value mica_loss_huber_with(const mica_loss_args *args);
MICA_API mica_value mica_loss_log_cosh_with(const mica_loss_args *args); /* log cosh d */
/* |d|^p, p = far + (near - far) / (1 + (|d| / middle)^((near - far) / sharpness)): power_near close to the target,
 * power_far away from it, as GoMLX's adaptive power loss. p counts as a constant when differentiated. */
MICA_API mica_value mica_loss_adaptive_power_with(const mica_loss_args *args);
/* prediction - target log prediction, the negative log-likelihood of counts without the term of the target alone. log_prediction: the
 * prediction is the logarithm of the rate. Else the rate is kept above epsilon (0: 1e-8) in the logarithm. */
MICA_API mica_value mica_loss_poisson_with(const mica_loss_args *args);
/* Of vectors [b..., n] -> elements [b...]: |d| (derivative 0 at 0), and its square. */
MICA_API mica_value mica_loss_euclidean_with(const mica_loss_args *args);
MICA_API mica_value mica_loss_squared_euclidean_with(const mica_loss_args *args);
/* 1 - x t / (|x| |t|) of vectors [b..., n]; norms are kept above epsilon (0: 1e-8). */
MICA_API mica_value mica_loss_cosine_with(const mica_loss_args *args);

/* ---- classes -------------------------------------------------------------------------------------- */

/* Two classes, elements are those of the prediction: -(target log p + (1 - target) log(1 - p)), p = logistic of
 * the prediction (_logits), or the prediction itself, kept in epsilon .. 1 - epsilon (0: 1e-7; its derivative is 0
 * beyond). Options label_smoothing (of two classes), positive_weight. */
MICA_API mica_value mica_loss_binary_cross_entropy_logits_with(const mica_loss_args *args);
MICA_API mica_value mica_loss_binary_cross_entropy_with(const mica_loss_args *args);
/* prediction [b..., classes] -> elements [b...]: -sum over c of target[c] log p[c], p = softmax of the prediction
 * (_logits), or the prediction itself kept above epsilon (0: 1e-7). The target is integers [b...] (a class; out of
 * range: NaN) or floats [b..., classes]; where one is 0, a probability of 0 adds nothing. Options label_smoothing
 * (Szegedy et al. 2016, arXiv 1512.00567), class_weights. */
MICA_API mica_value mica_loss_cross_entropy_logits_with(const mica_loss_args *args);
MICA_API mica_value mica_loss_cross_entropy_with(const mica_loss_args *args);
/* Focal losses (Lin et al. 2017, arXiv 1708.02002), of logits. Two classes, elements are those of the prediction:
 * binary cross-entropy times (1 - q)^gamma, q the probability of the target, and with alpha times alpha where it is 1,
 * 1 - alpha where 0. Classes [b..., classes]: -sum over c of target[c] (1 - p[c])^gamma log p[c]; target and
 * class_weights as of cross-entropy. */
MICA_API mica_value mica_loss_binary_focal_with(const mica_loss_args *args);
MICA_API mica_value mica_loss_focal_with(const mica_loss_args *args);
/* sum over the last axis of target (log target - prediction) -> elements [b...]: the divergence of the target
 * from a prediction that is logarithms of probabilities. log_target: so is the target. */
MICA_API mica_value mica_loss_kl_divergence_with(const mica_loss_args *args);
/* max(0, margin - target prediction), targets -1 and 1 (bool: 1 where true, -1 elsewhere), and its square. */
MICA_API mica_value mica_loss_hinge_with(const mica_loss_args *args);
MICA_API mica_value mica_loss_squared_hinge_with(const mica_loss_args *args);
/* prediction [b..., classes], target integers [b...] -> elements [b...]: max(0, margin + the largest other score - the
 * target's) (Crammer and Singer 2001). A class out of range: NaN. */
MICA_API mica_value mica_loss_multiclass_hinge_with(const mica_loss_args *args);
/* Probabilities [batch, spatial..., classes] -> elements [batch, classes]: 1 - (2 sum(p t) + smooth) / (sum(p) + sum(t)
 * + smooth) over the spatial axes (Milletari et al. 2016, arXiv 1606.04797). The mask [batch, spatial...] leaves out
 * places; weights [batch] or [batch, classes]. */
MICA_API mica_value mica_loss_dice_with(const mica_loss_args *args);

/* ---- embeddings ------------------------------------------------------------------------------------ */

/* Pairs of vectors [b..., n] with labels [b...], 1 (true) where both should be alike: (y D^2 + (1 - y) max(0, margin -
 * D)^2) / 2, D the distance (Hadsell et al. 2006; euclidean unless told). */
MICA_API mica_value mica_loss_contrastive_with(const mica_loss_args *args);
/* prediction [n, d], target [n, d]: row i's own target is row i, the others are its negatives: cross-entropy of cosine
 * similarities by temperature -> elements [n] (van den Oord et al. 2018, arXiv 1807.03748). symmetric: the mean of
 * both directions, as CLIP does (Radford et al. 2021, arXiv 2103.00020). The mask leaves out rows as anchors, not as
 * negatives. */
MICA_API mica_value mica_loss_info_nce_with(const mica_loss_args *args);
/* Anchors (prediction), positives (target) and `negative`, all [b..., n] -> elements [b...]: max(0, D(anchor, positive)
 * - D(anchor, negative) + margin) (Schroff et al. 2015, arXiv 1503.03832). */
MICA_API mica_value mica_loss_triplet_with(const mica_loss_args *args);
/* prediction [n, d], target: integers [n], the class of each. The same over triplets of the batch (`mining`) -> elements
 * [n, n, n] of anchor, positive, negative (all), [n, n] (semi-hard), [n] (hard), 0 and of weight 0 where there is no such
 * triplet; with all, also where the element is 0 (Hermans et al. 2017, arXiv 1703.07737). Weights and mask have the
 * leading axes of these: [n] weighs anchors. */
MICA_API mica_value mica_loss_triplet_mining_with(const mica_loss_args *args);

/* ---- sequences -------------------------------------------------------------------------------------- */

/* Connectionist temporal classification (Graves et al. 2006): -log of the probability of a target sequence over all its
 * alignments with the prediction. prediction: logits [batch, time, classes], target: integers [batch, length] without
 * the class `blank`; prediction_lengths and target_lengths: integers [batch] ({0}: all of it) -> elements [batch].
 * In logarithms, by one scan over the time. A target that cannot be aligned (too long) gives infinity with a gradient
 * of 0, with zero_infinity 0; a class out of range NaN (behind the target's length it does not matter). */
MICA_API mica_value mica_loss_ctc_with(const mica_loss_args *args);

#ifndef __cplusplus
#define mica_loss_squared_error(...)  mica_loss_squared_error_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_absolute_error(...) mica_loss_absolute_error_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_huber(...)          mica_loss_huber_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_log_cosh(...)       mica_loss_log_cosh_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_adaptive_power(...) mica_loss_adaptive_power_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_poisson(...)        mica_loss_poisson_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_euclidean(...)      mica_loss_euclidean_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_squared_euclidean(...) \
  mica_loss_squared_euclidean_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_cosine(...) mica_loss_cosine_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_binary_cross_entropy_logits(...) \
  mica_loss_binary_cross_entropy_logits_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_binary_cross_entropy(...) \
  mica_loss_binary_cross_entropy_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_cross_entropy_logits(...) \
  mica_loss_cross_entropy_logits_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_cross_entropy(...)    mica_loss_cross_entropy_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_binary_focal(...)     mica_loss_binary_focal_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_focal(...)            mica_loss_focal_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_kl_divergence(...)    mica_loss_kl_divergence_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_hinge(...)            mica_loss_hinge_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_squared_hinge(...)    mica_loss_squared_hinge_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_multiclass_hinge(...) mica_loss_multiclass_hinge_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_dice(...)             mica_loss_dice_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_contrastive(...)      mica_loss_contrastive_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_info_nce(...)         mica_loss_info_nce_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_triplet(...)          mica_loss_triplet_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_triplet_mining(...)   mica_loss_triplet_mining_with(MICA_LOSS_ARGS(__VA_ARGS__))
#define mica_loss_ctc(...)              mica_loss_ctc_with(MICA_LOSS_ARGS(__VA_ARGS__))
#endif

/* ---- by name ------------------------------------------------------------------------------------------ */

typedef mica_value mica_loss_function(const mica_loss_args *args);
/* "squared_error" gives mica_loss_squared_error_with, and so on; also "mse", "mae" and "bce" (of logits). NULL:
 * unknown. */
MICA_API mica_loss_function *mica_loss_find(const char *name);
/* The names in alphabetical order, NULL behind the last. */
MICA_API const char *mica_loss_name(size_t index);

#ifdef __cplusplus
}
#endif
#endif
