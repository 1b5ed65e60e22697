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

}  // namespace

TEST_MAIN(TEST_CASE(losses))
