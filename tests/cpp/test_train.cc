/* SPDX-License-Identifier: Apache-2.0 */
/* What trains, through mica.hpp. */
#include <cmath>
#include <vector>

#include "check.h"
#include "mica/mica.hpp"

namespace {

using mica::tensor;
using mica::value;

mica_error why;

std::vector<tensor> call(mica::jit &f, const std::vector<tensor> &in) {
  std::vector<tensor> out;
  if (f.call(in, out, &why) != MICA_OK) CHECK_FAIL("%s", why.message);
  return out;
}

TEST(losses) {
  mica::device device = mica::device::open(mica::device_options(), &why);
  mica::jit f(device, [](value x, value t) {
    mica::loss_options options = mica::loss_options().with_delta(2).with_reduction(MICA_LOSS_SUM);
    value huber = mica::loss::huber(x, t, options), mse = mica::loss::squared_error(x, t);
    return std::array<value, 3>{huber, mse, gradients(mse, x)};
  });
  std::vector<tensor> y = call(f, {tensor({2}, {4.f, 1.f}), tensor({2}, {1.f, 1.f})});
  if (y.size() != 3) return;
  CHECK_NEAR(y[0].values<float>()[0], 4, 1e-6);
  CHECK_NEAR(y[1].values<float>()[0], 4.5, 1e-6);
  CHECK_NEAR(y[2].values<float>()[0], 3, 1e-6);
}

TEST(optimizers) {
  mica::device device = mica::device::open(mica::device_options(), &why);
  mica::jit f(device, [](value p, value m, value v, value step) {
    mica::optimizer adam = mica::optimizer::adam(mica::optimizer_options().with_beta1(0.5));
    std::vector<value> clipped = mica::clip_by_global_norm({p}, 1);
    value rate = mica_scalar(p.graph(), MICA_F32, 0.25);
    mica::updated next = adam.update({p}, clipped, {m, v}, step, rate);
    return std::array<value, 3>{next.parameters[0], next.slots[0], mica::global_norm({p})};
  });
  std::vector<tensor> y = call(f, {tensor({1}, {2.f}), tensor({1}, {0.f}), tensor({1}, {0.f}),
                                   tensor({}, std::vector<std::int32_t>{0})});
  if (y.size() != 3) return;
  CHECK_NEAR(y[0].values<float>()[0], 1.75, 1e-6);
  CHECK_NEAR(y[1].values<float>()[0], 0.5, 1e-6);
  CHECK_NEAR(y[2].values<float>()[0], 2, 1e-6);
  mica::optimizer lion = mica::optimizer::lion();
  CHECK_EQ_INT(lion.slots(mica::type(MICA_F16, {3})).size(), 2);
}

TEST(schedules) {
  using options = mica::schedule_options;
  mica::schedule rate =
      mica::schedule::join({mica::schedule::polynomial(options().with_end(1).with_steps(10)),
                            mica::schedule::constant(0.5) *
                                mica::schedule::cosine(options().with_start(2).with_steps(4))},
                           {10});
  CHECK_NEAR(rate.at(5), 0.5, 1e-15);
  CHECK_NEAR(rate.at(12), 0.5, 1e-15);
  CHECK(!mica::schedule::cosine(options()));
  mica::device device = mica::device::open(mica::device_options(), &why);
  mica::jit f(device, [&](value step) { return std::array<value, 1>{rate(step)}; });
  std::vector<tensor> y = call(f, {tensor({}, std::vector<std::int32_t>{10})});
  if (y.size() == 1) CHECK_NEAR(y[0].values<float>()[0], 1, 1e-6);
}

TEST(metrics) {
  mica::device device = mica::device::open(mica::device_options(), &why);
  mica::jit f(device, [](value x, value t) {
    mica::metric accuracy = mica::metric::binary_accuracy();
    std::vector<value> state = accuracy.begin(x.graph());
    for (int i = 0; i < 2; i++) state = accuracy.update(state, x, t);
    mica::metric recall = mica::metric::recall(mica::metric_options().with_threshold(0.8));
    return std::array<value, 3>{accuracy.result(state), recall.once(x, t), mica::roc_auc(x, t)};
  });
  std::vector<tensor> y =
      call(f, {tensor({4}, {0.9f, 0.2f, 0.6f, 0.7f}), tensor({4}, std::vector<float>{1, 0, 0, 1})});
  if (y.size() != 3) return;
  CHECK_NEAR(y[0].values<double>()[0], 0.75, 0);
  CHECK_NEAR(y[1].values<double>()[0], 0.5, 0);
  CHECK_NEAR(y[2].values<double>()[0], 1, 0);
}

}  // namespace

TEST_MAIN(TEST_CASE(losses), TEST_CASE(optimizers), TEST_CASE(schedules), TEST_CASE(metrics))
