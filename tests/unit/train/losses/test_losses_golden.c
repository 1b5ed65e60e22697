/* SPDX-License-Identifier: Apache-2.0 */
/* Losses and their gradients against PyTorch, optax and JAX (tests/golden/losses.npz, made by tests/golden/losses.py), on
 * both backends, and against differences. */
#include "mica/train/losses.h"
#include "unit/train/train_testing.h"

/* Elements, their weighted mean, and its gradient by the prediction. */
#define LOSS(name, loss, ...)                                                         \
  GOLDEN(name, out[0] = loss(in[0], in[1], .reduction = MICA_LOSS_NONE, __VA_ARGS__); \
         out[1] = loss(in[0], in[1], .weights = in[2], __VA_ARGS__);                  \
         mica_gradients(out[1], in, 1, &out[2]))
#define PLAIN(name, loss) LOSS(name, loss, .blank = 0)

PLAIN(squared_error, mica_loss_squared_error)
PLAIN(absolute_error, mica_loss_absolute_error)
LOSS(huber, mica_loss_huber, .delta = 0.7)
PLAIN(log_cosh, mica_loss_log_cosh)
PLAIN(poisson, mica_loss_poisson)
LOSS(poisson_log, mica_loss_poisson, .log_prediction = true)
PLAIN(euclidean, mica_loss_euclidean)
PLAIN(squared_euclidean, mica_loss_squared_euclidean)
PLAIN(cosine, mica_loss_cosine)
LOSS(adaptive_power, mica_loss_adaptive_power, .power_near = 2.5, .power_far = 1.25, .middle = 0.8,
     .sharpness = 0.5)
PLAIN(bce_logits, mica_loss_binary_cross_entropy_logits)
LOSS(bce_logits_weighted, mica_loss_binary_cross_entropy_logits, .positive_weight = 3,
     .label_smoothing = 0.1)
PLAIN(bce, mica_loss_binary_cross_entropy)
PLAIN(cross_entropy_logits, mica_loss_cross_entropy_logits)
LOSS(cross_entropy_logits_smooth, mica_loss_cross_entropy_logits, .label_smoothing = 0.2)
PLAIN(cross_entropy, mica_loss_cross_entropy)
GOLDEN(class_weights, out[0] = mica_loss_cross_entropy_logits(in[0], in[1], .class_weights = in[2],
                                                              .reduction = MICA_LOSS_NONE);
       out[1] = mica_loss_cross_entropy_logits(in[0], in[1], .class_weights = in[2]);
       mica_gradients(out[1], in, 1, &out[2]))
LOSS(binary_focal, mica_loss_binary_focal, .gamma = 1.5)
LOSS(binary_focal_alpha, mica_loss_binary_focal, .alpha = 0.25)
LOSS(focal, mica_loss_focal, .gamma = 3)
PLAIN(kl_divergence, mica_loss_kl_divergence)
LOSS(kl_divergence_log, mica_loss_kl_divergence, .log_target = true)
PLAIN(hinge, mica_loss_hinge)
PLAIN(squared_hinge, mica_loss_squared_hinge)
PLAIN(multiclass_hinge, mica_loss_multiclass_hinge)
LOSS(dice, mica_loss_dice, .smooth = 0.5)
LOSS(contrastive, mica_loss_contrastive, .labels = in[3], .margin = 4)
LOSS(info_nce, mica_loss_info_nce, .temperature = 0.3)
LOSS(info_nce_symmetric, mica_loss_info_nce, .temperature = 0.3, .symmetric = true)
LOSS(triplet, mica_loss_triplet, .negative = in[3], .margin = 1.5)
LOSS(triplet_cosine, mica_loss_triplet, .negative = in[3], .margin = 0.5,
     .distance = MICA_DISTANCE_COSINE)
PLAIN(mining_all, mica_loss_triplet_mining)
LOSS(mining_hard, mica_loss_triplet_mining, .mining = MICA_MINE_HARD)
LOSS(mining_semi, mica_loss_triplet_mining, .mining = MICA_MINE_SEMI_HARD)
LOSS(ctc_0, mica_loss_ctc, .prediction_lengths = in[3], .target_lengths = in[4])
LOSS(ctc_2, mica_loss_ctc, .prediction_lengths = in[3], .target_lengths = in[4], .blank = 2)
PLAIN(ctc_full, mica_loss_ctc)
GOLDEN(half, out[0] = mica_loss_cross_entropy_logits(in[0], in[1]))

static const golden_case losses[] = {
    {"squared_error", build_squared_error, 3, 3, 1e-12},
    {"absolute_error", build_absolute_error, 3, 3, 1e-12},
    {"huber", build_huber, 3, 3, 1e-12},
    {"log_cosh", build_log_cosh, 3, 3, 1e-12},
    {"poisson", build_poisson, 3, 3, 1e-12},
    {"poisson_log", build_poisson_log, 3, 3, 1e-12},
    {"euclidean", build_euclidean, 3, 3, 1e-12},
    {"squared_euclidean", build_squared_euclidean, 3, 3, 1e-12},
    {"cosine", build_cosine, 3, 3, 1e-12},
    {"bce_logits", build_bce_logits, 3, 3, 1e-12},
    {"bce_logits_weighted", build_bce_logits_weighted, 3, 3, 1e-12},
    {"bce", build_bce, 3, 3, 1e-12},
    {"cross_entropy_logits", build_cross_entropy_logits, 3, 3, 1e-12},
    {"cross_entropy_logits_dense", build_cross_entropy_logits, 3, 3, 1e-12},
    {"cross_entropy_logits_smooth", build_cross_entropy_logits_smooth, 3, 3, 1e-12},
    {"cross_entropy_logits_dense_smooth", build_cross_entropy_logits_smooth, 3, 3, 1e-12},
    {"cross_entropy", build_cross_entropy, 3, 3, 1e-12},
    {"cross_entropy_dense", build_cross_entropy, 3, 3, 1e-12},
    {"cross_entropy_class_weights", build_class_weights, 3, 3, 1e-12},
    {"binary_focal", build_binary_focal, 3, 3, 1e-12},
    {"binary_focal_alpha", build_binary_focal_alpha, 3, 3, 1e-12},
    {"focal", build_focal, 3, 3, 1e-12},
    {"kl_divergence", build_kl_divergence, 3, 3, 1e-12},
    {"kl_divergence_log", build_kl_divergence_log, 3, 3, 1e-12},
    {"hinge", build_hinge, 3, 3, 1e-12},
    {"squared_hinge", build_squared_hinge, 3, 3, 1e-12},
    {"multiclass_hinge", build_multiclass_hinge, 3, 3, 1e-12},
    {"dice", build_dice, 3, 3, 1e-12},
    {"contrastive", build_contrastive, 4, 3, 1e-12},
    {"info_nce", build_info_nce, 3, 3, 1e-12},
    {"info_nce_symmetric", build_info_nce_symmetric, 3, 3, 1e-12},
    {"triplet", build_triplet, 4, 3, 1e-12},
    {"triplet_cosine", build_triplet_cosine, 4, 3, 1e-12},
    {"mining_all", build_mining_all, 3, 3, 1e-12},
    {"mining_hard", build_mining_hard, 3, 3, 1e-12},
    {"mining_semi", build_mining_semi, 3, 3, 1e-12},
    {"ctc_0", build_ctc_0, 5, 3, 1e-12},
    {"ctc_2", build_ctc_2, 5, 3, 1e-12},
    {"ctc_full", build_ctc_full, 3, 3, 1e-12},
    {"adaptive_power", build_adaptive_power, 3, 3,
     1e-12}, /* its gradient is not that of its value */
    {"half", build_half, 2, 1, 1e-6},
};
enum { LOSS_CASES = sizeof losses / sizeof losses[0], WITHOUT_DIFFERENCES = 2 };

TEST(reference_gives_the_golden_values) {
  check_golden_file("reference", "losses.npz", losses, LOSS_CASES);
}
TEST(cpu_gives_the_golden_values) { check_golden_file("cpu", "losses.npz", losses, LOSS_CASES); }

TEST(gradients_are_those_of_differences) {
  mica_npz *npz = golden_open("losses.npz");
  mica_device *device = testing_device("cpu");
  for (size_t k = 0; npz && device && k < LOSS_CASES - WITHOUT_DIFFERENCES; k++)
    check_differences(npz, device, &losses[k], 1, 0);
  mica_device_release(device);
  mica_npz_destroy(npz);
}

TEST_MAIN(TEST_CASE(reference_gives_the_golden_values), TEST_CASE(cpu_gives_the_golden_values),
          TEST_CASE(gradients_are_those_of_differences))
