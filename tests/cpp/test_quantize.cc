/* SPDX-License-Identifier: Apache-2.0 */
/* Quantized arrays through mica.hpp. */
#include <vector>

#include "check.h"
#include "mica/mica.hpp"

namespace {

using mica::tensor;
using mica::value;

TEST(weights_of_four_bits) {
  mica_error why;
  mica::device device = mica::device::open(mica::device_options(), &why);
  mica::jit f(device, [](value x, value w) {
    mica::quantized q = quantize(
        w, mica::quantize_options().with_dtype(MICA_I4).with_channels({1}).with_block(0, 2));
    value y = quantized_dense(x, q), fake = mica::fake_quantize(w, mica::quantize_options());
    mica::quantized rows = mica::quantize(x);
    return std::array<value, 5>{dequantize(q), y, matmul(x, dequantize(q)), fake,
                                quantized_dot(rows, mica::quantize(w))};
  });
  std::vector<tensor> y;
  tensor x({1, 4}, {1.f, -2.f, 0.5f, 3.f}), w({4, 1}, {7.f, -2.f, 0.5f, 3.5f});
  mica_status status = f.call({x, w}, y, &why);
  if (status != MICA_OK || y.size() != 5) {
    CHECK_FAIL("%s", why.message);
    return;
  }
  const std::vector<float> wanted[] = {{7, -2, 0.5f, 3.5f}, {21.75f}, {21.75f}};
  for (std::size_t i = 0; i < 3; i++) {
    std::vector<float> values = y[i].values<float>();
    CHECK_EQ_INT(values.size(), wanted[i].size());
    for (std::size_t k = 0; k < values.size(); k++) CHECK_NEAR(values[k], wanted[i][k], 1e-5);
  }
  CHECK_NEAR(y[3].values<float>()[1], -1.98425, 1e-4);
  CHECK_NEAR(y[4].values<float>()[0], 21.75, 0.2);
}

}  // namespace

TEST_MAIN(TEST_CASE(weights_of_four_bits))
