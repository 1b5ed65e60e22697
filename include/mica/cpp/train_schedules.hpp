// SPDX-License-Identifier: Apache-2.0
// train_schedules.hpp: schedules (mica/train/schedules.h), which own themselves and nest:
//
//   mica::schedule rate = mica::schedule::join(
//       {mica::schedule::polynomial(mica::schedule_options().with_end(1e-3).with_steps(100)),
//        mica::schedule::cosine(mica::schedule_options().with_start(1e-3).with_steps(900))}, {100});
#ifndef MICA_CPP_TRAIN_SCHEDULES_HPP
#define MICA_CPP_TRAIN_SCHEDULES_HPP
#include "mica/cpp/values.hpp"

namespace mica {

struct schedule_options : mica_schedule_args {
  schedule_options() : mica_schedule_args{} { struct_size = sizeof(mica_schedule_args); }
#define MICA_HPP_OPTION(type, name) \
  schedule_options &with_##name(type given) { return name = given, *this; }
  MICA_HPP_OPTION(double, start)
  MICA_HPP_OPTION(double, end)
  MICA_HPP_OPTION(std::int64_t, steps)
  MICA_HPP_OPTION(double, power)
  MICA_HPP_OPTION(double, rate)
  MICA_HPP_OPTION(bool, staircase)
  MICA_HPP_OPTION(std::int64_t, warmup_steps)
  MICA_HPP_OPTION(double, warmup_start)
  MICA_HPP_OPTION(bool, restarts)
  MICA_HPP_OPTION(double, period_factor)
  MICA_HPP_OPTION(double, peak_factor)
  MICA_HPP_OPTION(double, warmup_part)
  MICA_HPP_OPTION(double, start_divisor)
  MICA_HPP_OPTION(double, end_divisor)
  MICA_HPP_OPTION(bool, linear)
  MICA_HPP_OPTION(mica_error *, error)
#undef MICA_HPP_OPTION
};

// Moved only; false when it could not be made.
class schedule {
 public:
  explicit schedule(mica_schedule *owned = nullptr) : held_(owned) {}
  schedule(schedule &&other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
  schedule &operator=(schedule &&other) noexcept {
    std::swap(held_, other.held_);
    return *this;
  }
  ~schedule() { mica_schedule_destroy(held_); }
  explicit operator bool() const { return held_ != nullptr; }
  mica_schedule *get() const { return held_; }
  mica_schedule *release() { return std::exchange(held_, nullptr); }

  static schedule constant(double number) { return schedule(mica_schedule_constant(number)); }
  static schedule piecewise(const std::vector<double> &numbers,
                            const std::vector<std::int64_t> &boundaries) {
    if (numbers.size() != boundaries.size() + 1) return schedule();
    return schedule(mica_schedule_piecewise(numbers.data(), boundaries.data(), boundaries.size()));
  }
#define MICA_HPP_SCHEDULE(name)                             \
  static schedule name(const schedule_options &options) {   \
    return schedule(mica_schedule_##name##_with(&options)); \
  }
  MICA_HPP_SCHEDULE(exponential)
  MICA_HPP_SCHEDULE(polynomial)
  MICA_HPP_SCHEDULE(cosine)
  MICA_HPP_SCHEDULE(one_cycle)
  MICA_HPP_SCHEDULE(inverse_root)
#undef MICA_HPP_SCHEDULE
  // Takes the parts over, as rvalues: join({a(), b(), ..}, boundaries).
  template <std::size_t N>
  static schedule join(schedule (&&parts)[N], const std::vector<std::int64_t> &boundaries) {
    mica_schedule *owned[N];
    bool fits = boundaries.size() + 1 == N;
    for (std::size_t i = 0; i < N; i++) owned[i] = fits ? parts[i].release() : nullptr;
    return schedule(fits ? mica_schedule_join(owned, boundaries.data(), N) : nullptr);
  }
  friend schedule operator*(schedule a, schedule b) {
    return schedule(mica_schedule_product(a.release(), b.release()));
  }
  friend schedule operator+(schedule a, schedule b) {
    return schedule(mica_schedule_sum(a.release(), b.release()));
  }

  double at(std::int64_t step) const { return mica_schedule_at(held_, step); }
  value operator()(value step, mica_dtype dtype = MICA_F32) const {
    return mica_schedule_value(held_, step, dtype);
  }

 private:
  mica_schedule *held_;
};

}  // namespace mica
#endif
