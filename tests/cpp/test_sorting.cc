/* SPDX-License-Identifier: Apache-2.0 */
/* Order, running folds and folds by lambdas through mica.hpp. */
#include <vector>

#include "check.h"
#include "mica/mica.hpp"

namespace {

using mica::tensor;
using mica::value;

mica_error why;

std::vector<tensor> call(mica::jit &f, const std::vector<tensor> &in) {
  std::vector<tensor> out;
  mica_status status = f.call(in, out, &why);
  if (status != MICA_OK) CHECK_FAIL("%s", why.message);
  return out;
}

void check_values(const tensor &got, const std::vector<float> &wanted) {
  std::vector<float> values = got.values<float>();
  CHECK_EQ_INT(values.size(), wanted.size());
  for (std::size_t i = 0; i < values.size() && i < wanted.size(); i++)
    CHECK_NEAR(values[i], wanted[i], 1e-6);
}

TEST(order) {
  mica::device device = mica::device::open(mica::device_options(), &why);
  mica::jit f(device, [](value x) {
    mica::top_k_result best = top_k(x, 2);
    value places = convert(best.places, MICA_F32), order = convert(arg_sort(x), MICA_F32);
    std::vector<value> both = mica::sort_together({x, -x});
    return std::array<value, 8>{sort(x), sort(x, 0, true), best.values, places,
                                order,   both[1],          median(x),   cumulative_sum(x, 0)};
  });
  std::vector<tensor> y = call(f, {tensor({4}, {3.f, -1.f, 2.f, 2.f})});
  if (y.size() != 8) return;
  check_values(y[0], {-1, 2, 2, 3});
  check_values(y[1], {3, 2, 2, -1});
  check_values(y[2], {3, 2});
  check_values(y[3], {0, 2});
  check_values(y[4], {1, 2, 3, 0});
  check_values(y[5], {1, -2, -2, -3});
  check_values(y[6], {2});
  check_values(y[7], {3, 2, 4, 6});
}

TEST(folds_take_lambdas) {
  mica::device device = mica::device::open(mica::device_options(), &why);
  mica::jit f(device, [](value x, value w) {
    auto circle = [w](value a, value b) { return a + b + w * a * b; };
    value zero = mica_scalar(x.graph(), MICA_F32, 0);
    value all = mica::reduce(x, zero, circle), each = mica::associative_scan(x, circle);
    value nearest = mica::sort_by(x, [](value a, value b) { return abs(a) < abs(b); });
    return std::array<value, 4>{all, each, nearest, gradients(all, x)};
  });
  std::vector<tensor> y = call(f, {tensor({3}, {2.f, -1.f, 0.5f}), tensor({}, {0.5f})});
  if (y.size() != 4) return;
  check_values(y[0], {0.5f});
  check_values(y[1], {2, 0, 0.5f});
  check_values(y[2], {0.5f, -1, 2});
  /* d/dx_i of ((1 + w x_0)(1 + w x_1)(1 + w x_2) - 1) / w */
  check_values(y[3], {0.625f, 2.5f, 1});
}

}  // namespace

TEST_MAIN(TEST_CASE(order), TEST_CASE(folds_take_lambdas))
