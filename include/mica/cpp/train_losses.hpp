// SPDX-License-Identifier: Apache-2.0
// train_losses.hpp: the losses of mica/train/losses.h as mica::loss::huber(prediction, target,
// mica::loss_options().with_delta(2).with_mask(m)); what an option means stands there.
#ifndef MICA_CPP_TRAIN_LOSSES_HPP
#define MICA_CPP_TRAIN_LOSSES_HPP
#include "mica/cpp/values.hpp"

namespace mica {

struct loss_options : mica_loss_args {
  loss_options() : mica_loss_args{} {}
#define MICA_HPP_OPTION(type, name) \
  loss_options &with_##name(type given) { return name = given, *this; }
  MICA_HPP_OPTION(value, weights)
  MICA_HPP_OPTION(value, mask)
  MICA_HPP_OPTION(mica_loss_reduction, reduction)
  MICA_HPP_OPTION(value, class_weights)
  MICA_HPP_OPTION(double, label_smoothing)
  MICA_HPP_OPTION(double, positive_weight)
  MICA_HPP_OPTION(double, epsilon)
  MICA_HPP_OPTION(double, delta)
  MICA_HPP_OPTION(double, gamma)
  MICA_HPP_OPTION(double, alpha)
  MICA_HPP_OPTION(double, margin)
  MICA_HPP_OPTION(double, temperature)
  MICA_HPP_OPTION(double, smooth)
  loss_options &with_powers(double near, double far, double at = 1, double sharp = 1) {
    return power_near = near, power_far = far, middle = at, sharpness = sharp, *this;
  }
  MICA_HPP_OPTION(bool, log_prediction)
  MICA_HPP_OPTION(bool, log_target)
  MICA_HPP_OPTION(bool, symmetric)
  MICA_HPP_OPTION(mica_distance, distance)
  MICA_HPP_OPTION(mica_mining, mining)
  MICA_HPP_OPTION(value, labels)
  MICA_HPP_OPTION(value, negative)
  MICA_HPP_OPTION(value, prediction_lengths)
  MICA_HPP_OPTION(value, target_lengths)
  MICA_HPP_OPTION(std::int64_t, blank)
  MICA_HPP_OPTION(bool, zero_infinity)
#undef MICA_HPP_OPTION
};

namespace loss {

inline value reduce(value elements, value weights = {}, value mask = {},
                    mica_loss_reduction reduction = MICA_LOSS_MEAN) {
  return mica_loss_reduce(elements, weights, mask, reduction);
}
#define MICA_HPP_LOSS(name)                                                             \
  inline value name(value prediction, value target, const loss_options &options = {}) { \
    mica_loss_args args = detail::arguments_of<mica_loss_args>(options);                \
    args.prediction = prediction;                                                       \
    args.target = target;                                                               \
    return mica_loss_##name##_with(&args);                                              \
  }
MICA_HPP_LOSS(squared_error)
MICA_HPP_LOSS(absolute_error)
MICA_HPP_LOSS(huber)
MICA_HPP_LOSS(log_cosh)
MICA_HPP_LOSS(adaptive_power)
MICA_HPP_LOSS(poisson)
MICA_HPP_LOSS(euclidean)
MICA_HPP_LOSS(squared_euclidean)
MICA_HPP_LOSS(cosine)
MICA_HPP_LOSS(binary_cross_entropy_logits)
MICA_HPP_LOSS(binary_cross_entropy)
MICA_HPP_LOSS(cross_entropy_logits)
MICA_HPP_LOSS(cross_entropy)
MICA_HPP_LOSS(binary_focal)
MICA_HPP_LOSS(focal)
MICA_HPP_LOSS(kl_divergence)
MICA_HPP_LOSS(hinge)
MICA_HPP_LOSS(squared_hinge)
MICA_HPP_LOSS(multiclass_hinge)
MICA_HPP_LOSS(dice)
MICA_HPP_LOSS(contrastive)
MICA_HPP_LOSS(info_nce)
MICA_HPP_LOSS(triplet)
MICA_HPP_LOSS(triplet_mining)
MICA_HPP_LOSS(ctc)
#undef MICA_HPP_LOSS

}  // namespace loss
}  // namespace mica
#endif
