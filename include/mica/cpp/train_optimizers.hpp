// SPDX-License-Identifier: Apache-2.0
// train_optimizers.hpp: optimizers and what stands around an update (mica/train/optimizers.h):
//
//   mica::optimizer adamw = mica::optimizer::adamw(mica::optimizer_options().with_weight_decay(0.1));
//   mica::updated next = adamw.update(parameters, gradients, slots, step, rate);
#ifndef MICA_CPP_TRAIN_OPTIMIZERS_HPP
#define MICA_CPP_TRAIN_OPTIMIZERS_HPP
#include "mica/cpp/values.hpp"

namespace mica {

struct optimizer_options : mica_optimizer_args {
  optimizer_options() : mica_optimizer_args{} { struct_size = sizeof(mica_optimizer_args); }
#define MICA_HPP_OPTION(type, name) \
  optimizer_options &with_##name(type given) { return name = given, *this; }
  MICA_HPP_OPTION(double, momentum)
  MICA_HPP_OPTION(bool, nesterov)
  MICA_HPP_OPTION(double, beta1)
  MICA_HPP_OPTION(double, beta2)
  MICA_HPP_OPTION(double, rho)
  MICA_HPP_OPTION(double, epsilon)
  MICA_HPP_OPTION(double, weight_decay)
  MICA_HPP_OPTION(double, initial_accumulator)
  MICA_HPP_OPTION(bool, centered)
  MICA_HPP_OPTION(std::int64_t, factor_from)
  MICA_HPP_OPTION(double, clipping_threshold)
  MICA_HPP_OPTION(bool, no_parameter_scale)
  MICA_HPP_OPTION(std::int64_t, iterations)
#undef MICA_HPP_OPTION
};

struct updated {
  std::vector<value> parameters, slots;
};

struct optimizer : mica_optimizer {
  optimizer(mica_optimizer made) : mica_optimizer(made) {}
#define MICA_HPP_OPTIMIZER(name)                                 \
  static optimizer name(const optimizer_options &options = {}) { \
    return mica_optimizer_##name##_with(&options);               \
  }
  MICA_HPP_OPTIMIZER(sgd)
  MICA_HPP_OPTIMIZER(adam)
  MICA_HPP_OPTIMIZER(adamw)
  MICA_HPP_OPTIMIZER(adamax)
  MICA_HPP_OPTIMIZER(nadam)
  MICA_HPP_OPTIMIZER(amsgrad)
  MICA_HPP_OPTIMIZER(rmsprop)
  MICA_HPP_OPTIMIZER(adagrad)
  MICA_HPP_OPTIMIZER(adadelta)
  MICA_HPP_OPTIMIZER(lion)
  MICA_HPP_OPTIMIZER(lamb)
  MICA_HPP_OPTIMIZER(adafactor)
  MICA_HPP_OPTIMIZER(muon)
#undef MICA_HPP_OPTIMIZER

  // The slots of one parameter.
  std::vector<mica_optimizer_slot> slots(type parameter, mica_error *details = nullptr) const {
    std::vector<mica_optimizer_slot> list(MICA_OPTIMIZER_MOST_SLOTS);
    list.resize(mica_optimizer_slots(this, parameter, list.data(), details));
    return list;
  }
  // The update of all parameters; `groups` is empty or has one for each.
  updated update(const std::vector<value> &parameters, const std::vector<value> &gradients,
                 const std::vector<value> &slots, value step, value learning_rate,
                 const std::vector<mica_optimizer_group> &groups = {}, value apply = {}) const {
    std::vector<mica_value> p = detail::plain(parameters), g = detail::plain(gradients),
                            s = detail::plain(slots), new_p(p.size()), new_s(s.size());
    mica_optimizer_update_args args{};
    args.struct_size = sizeof args;
    args.parameters = p.data(), args.gradients = g.data(), args.slots = s.data();
    args.count = p.size();
    args.step = step, args.learning_rate = learning_rate, args.apply = apply;
    args.groups = groups.empty() ? nullptr : groups.data();
    mica_optimizer_update_with(this, &args, new_p.data(), new_s.data());
    return {detail::made<std::vector<value>>(new_p), detail::made<std::vector<value>>(new_s)};
  }
};

inline value global_norm(const std::vector<value> &x) {
  return mica_global_norm(detail::plain(x).data(), x.size());
}
inline std::vector<value> clip_by_global_norm(const std::vector<value> &x, double limit) {
  std::vector<mica_value> out(x.size());
  mica_clip_by_global_norm(detail::plain(x).data(), x.size(), limit, out.data(), nullptr);
  return detail::made<std::vector<value>>(out);
}
inline value clip_by_norm(value x, double limit) { return mica_clip_by_norm(x, limit); }
inline value clip_by_value(value x, double limit) { return mica_clip_by_value(x, limit); }
inline value all_finite(const std::vector<value> &x) {
  return mica_all_finite(detail::plain(x).data(), x.size());
}
inline value zero_non_finite(value x) { return mica_zero_non_finite(x); }
inline value moving_average(value average, value x, double decay, value step = {}) {
  return mica_moving_average(average, x, decay, step);
}
inline value monotonic_projection(value x, double margin = 0, std::int32_t axis = -1) {
  return mica_monotonic_projection(x, margin, axis);
}
inline value unscale(value x, value scale) { return mica_unscale(x, scale); }

}  // namespace mica
#endif
