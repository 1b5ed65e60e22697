/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of tests/programs/test_programs.c through mica.hpp, and what only the C++ header has: owners,
 * operators with numbers, lambdas, exceptions. */
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "check.h"
#include "mica/mica.hpp"

namespace {

using mica::tensor;
using mica::value;

/* ---- the programs ------------------------------------------------------------------------------ */

mica_status run_small(const char *backend, std::vector<float> &gradient, mica_error *error) {
  mica::device device = mica::device::open(mica::device_options().with_backend(backend), error);
  mica::jit f(device, [](value x) {
    value y = reduce_sum(square(tanh(x)));
    return std::array<value, 2>{y, gradients(y, x)};
  });
  std::vector<tensor> y;
  mica_status status = f.call({tensor({3}, {.1f, -.4f, .7f})}, y, error);
  if (status == MICA_OK) gradient = y[1].values<float>();
  return status;
}

struct linear {
  mica::variable w, b;
  value step(value x, value target) const {
    value weights = w.read(x), bias = b.read(x);
    value loss = reduce_mean(square(matmul(x, weights) + bias - target));
    auto [dw, db] = gradients(loss, {weights, bias});
    w.assign(weights - dw * 0.1);
    b.assign(bias - 0.1 * db);
    return loss;
  }
};

value newton_sqrt(value x) {
  return mica::while_loop(
      x, [x](value y) { return abs(square(y) - x) > 1e-6; },
      [x](value y) { return (y + x / y) * 0.5; }, 50);
}

value recurrent(value h0, value xs, value w, value u) {
  auto [last, everything] = mica::scan(h0, xs, [w, u](value h, value x) {
    value next = tanh(matmul(h, w) + matmul(x, u));
    return std::pair(next, next);
  });
  (void)last;
  return everything;
}

value gradient_norms(value images, value labels, value w) {
  return mica::vmap(std::array<value, 2>{images, labels}, [w](std::array<value, 2> one) {
    return reduce_sum(square(gradients(softmax_cross_entropy(matmul(one[0], w), one[1]), w)));
  });
}

value named_options(value x, value kernel) {
  return conv(conv(x, kernel), kernel, mica::conv_options().with_stride(2, 2).with_groups(4));
}

/* ---- the tests ---------------------------------------------------------------------------------- */

std::vector<std::string> backend_names() {
  const char *tested = std::getenv("MICA_TEST_BACKEND");
  return {"reference", tested && *tested ? tested : "cpu"};
}
template <class F>
void on_every_backend(F check) {
  for (const std::string &name : backend_names()) {
    mica::error error;
    mica::device device =
        mica::device::open(mica::device_options().with_backend(name.c_str()), &error);
    if (device)
      check(device);
    else
      CHECK_FAIL("%s: %s", name.c_str(), error.message);
  }
}

std::vector<double> waves(std::size_t count, double seed) {
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; i++) values[i] = std::sin(seed + 1.7 * double(i + 1));
  return values;
}
tensor floats(mica_shape shape, const std::vector<double> &values) {
  return tensor::from_doubles(mica::type(MICA_F32, shape), values);
}
tensor doubles(mica_shape shape, const std::vector<double> &values) {
  return tensor::from_doubles(mica::type(MICA_F64, shape), values);
}
std::vector<tensor> run(const mica::jit &jit, const std::vector<tensor> &in) {
  std::vector<tensor> out;
  mica::error error;
  CHECK_OK_ERROR(jit.call(in, out, &error), &error);
  return out;
}

TEST(runs_small) {
  for (const std::string &name : backend_names()) {
    std::vector<float> gradient(3);
    mica::error error;
    CHECK_OK_ERROR(run_small(name.c_str(), gradient, &error), &error);
    double x[3] = {.1, -.4, .7};
    for (std::size_t i = 0; i < 3; i++) {
      double t = std::tanh(x[i]);
      CHECK_NEAR(gradient[i], 2 * t * (1 - t * t), 1e-6);
    }
  }
}

void check_steps(const mica::device &device) {
  const std::size_t rows = 7, columns = 3;
  std::vector<double> x = waves(rows * columns, 0.2), target = waves(rows, 2.5),
                      w = waves(columns, 4);
  double b = 0.25;
  linear model{{"w", floats(mica::shape{3, 1}, w)}, {"b", tensor({1}, {0.25f})}};
  mica::jit jit(device, [&model](value in, value wanted) { return model.step(in, wanted); });
  std::vector<tensor> in = {floats(mica::shape{7, 3}, x), floats(mica::shape{7, 1}, target)}, out;
  for (int i = 0; i < 10; i++) {
    mica::error error;
    CHECK_OK_ERROR(jit.call(in, out, &error), &error);
    double loss = 0, db = 0;
    std::vector<double> dw(columns);
    for (std::size_t n = 0; n < rows; n++) {
      double miss = b - target[n];
      for (std::size_t k = 0; k < columns; k++) miss += x[n * columns + k] * w[k];
      loss += miss * miss / double(rows);
      for (std::size_t k = 0; k < columns; k++)
        dw[k] += 2 * miss * x[n * columns + k] / double(rows);
      db += 2 * miss / double(rows);
    }
    for (std::size_t k = 0; k < columns; k++) w[k] -= 0.1 * dw[k];
    b -= 0.1 * db;
    CHECK_NEAR_RELATIVE(out[0].item(), loss, 1e-5);
  }
  CHECK_EQ_INT(jit.cache_count(), 1);
  std::vector<double> found = model.w.snapshot().values<double>();
  for (std::size_t k = 0; k < columns; k++) CHECK_NEAR(found[k], w[k], 1e-5);
  CHECK_NEAR(model.b.snapshot().item(), b, 1e-5);
}
TEST(trains_a_linear_model) { on_every_backend(check_steps); }

TEST(takes_square_roots) {
  on_every_backend([](const mica::device &device) {
    mica::jit jit(device, [](value x) {
      value root = newton_sqrt(x);
      return std::array<value, 3>{root, gradients(root, x), jvp(root, x, ones_like(x))};
    });
    for (double number : {0.25, 0.9, 2.0, 12345.0}) {
      std::vector<tensor> out = run(jit, {tensor::scalar(MICA_F64, number)});
      CHECK_NEAR_RELATIVE(out[0].item(), std::sqrt(number), 1e-6);
      CHECK_NEAR_RELATIVE(out[1].item(), 0.5 / std::sqrt(number), 1e-6);
      CHECK_NEAR_RELATIVE(out[2].item(), 0.5 / std::sqrt(number), 1e-6);
    }
  });
}

/* The gradient of the whole against differences of the same program. */
TEST(differentiates_a_recurrent_net) {
  on_every_backend([](const mica::device &device) {
    auto loss_of = [](value h0, value xs, value w, value u) {
      return reduce_sum(square(recurrent(h0, xs, w, u)));
    };
    mica::jit loss(device, loss_of);
    mica::jit gradient(device, [loss_of](value h0, value xs, value w, value u) {
      return gradients(loss_of(h0, xs, w, u), {h0, xs, w, u});
    });
    std::vector<mica::shape> shapes = {{2, 4}, {5, 2, 3}, {4, 4}, {3, 4}};
    std::vector<tensor> in;
    for (std::size_t i = 0; i < 4; i++)
      in.push_back(doubles(shapes[i], waves(std::size_t(mica_shape_count(shapes[i])), double(i))));
    std::vector<tensor> found = run(gradient, in);
    for (std::size_t i = 0; i < found.size(); i++) {
      std::vector<double> wanted = found[i].values<double>(), x = in[i].values<double>();
      CHECK_EQ_INT(wanted.size(), x.size());
      for (std::size_t k = 0; k < x.size(); k += 3) {
        double h = 0x1p-10, slope = 0;
        for (auto [at, weight] : {std::pair(-2, 1.), {-1, -8.}, {1, 8.}, {2, -1.}}) {
          std::vector<double> moved = x;
          moved[k] += at * h;
          std::vector<tensor> around = in;
          around[i] = doubles(shapes[i], moved);
          slope += weight / (12 * h) * run(loss, around)[0].item();
        }
        CHECK_NEAR(wanted[k], slope, 1e-8);
      }
    }
  });
}

TEST(takes_gradient_norms_of_each_example) {
  on_every_backend([](const mica::device &device) {
    std::vector<double> images = waves(30, 1), w = waves(15, 3);
    std::vector<std::int32_t> labels = {2, 0, 1, 1, 2, 0};
    std::vector<tensor> out, in = {doubles(mica::shape{6, 5}, images), tensor({6}, labels),
                                   doubles(mica::shape{5, 3}, w)};
    mica::error error;
    CHECK_OK_ERROR(mica::call_once(device, gradient_norms, in, out, &error), &error);
    if (!CHECK(out.size() == 1 && out[0].count() == 6)) return;
    std::vector<double> norms = out[0].values<double>();
    for (std::size_t e = 0; e < 6; e++) { /* image (softmax - one hot)' */
      double logits[3] = {0, 0, 0}, total = 0, size = 0, miss = 0;
      for (std::size_t k = 0; k < 5; k++) size += images[e * 5 + k] * images[e * 5 + k];
      for (std::size_t c = 0; c < 3; c++) {
        for (std::size_t k = 0; k < 5; k++) logits[c] += images[e * 5 + k] * w[k * 3 + c];
        total += std::exp(logits[c]);
      }
      for (std::size_t c = 0; c < 3; c++)
        miss += std::pow(std::exp(logits[c]) / total - (std::int32_t(c) == labels[e]), 2);
      CHECK_NEAR_RELATIVE(norms[e], size * miss, 1e-12);
    }
  });
}

/* Against the C macros' results, whose numbers tests/programs checks: the same options make the same graph. */
TEST(convolves_with_named_options) {
  on_every_backend([](const mica::device &device) {
    std::vector<tensor> in = {doubles(mica::shape{1, 6, 5, 2}, waves(60, 0.7)),
                              doubles(mica::shape{3, 3, 2, 8}, waves(144, 5))};
    std::vector<tensor> ours, plain;
    mica::error error;
    CHECK_OK_ERROR(mica::call_once(device, named_options, in, ours, &error), &error);
    auto by_c = [](value x, value kernel) -> value {
      mica_conv_args first{}, second{};
      first.struct_size = second.struct_size = sizeof first;
      first.x = x, first.kernel = second.kernel = kernel;
      second.x = mica_conv_with(&first);
      second.stride[0] = second.stride[1] = 2, second.groups = 4;
      return mica_conv_with(&second);
    };
    CHECK_OK_ERROR(mica::call_once(device, by_c, in, plain, &error), &error);
    if (!CHECK(ours.size() == 1 && plain.size() == 1)) return;
    CHECK(ours[0] == plain[0]);
    CHECK(mica_shape_equal(ours[0].shape(), mica::shape{1, 3, 3, 8}));
  });
}

/* ---- what only C++ has ---------------------------------------------------------------------------- */

double evaluated(const mica::device &device, value x) {
  mica::error error;
  tensor out = evaluate(device, x, &error);
  CHECK_OK_ERROR(error.status, &error);
  return out.item();
}

TEST(operators_mix_with_numbers) {
  mica::device device = mica::device::open();
  mica::graph g;
  value x = g.scalar(MICA_F64, 3), y = g.scalar(MICA_F64, -2), n = g.scalar(MICA_I32, 7);
  CHECK_NEAR(evaluated(device, x + y), 1, 0);
  CHECK_NEAR(evaluated(device, x - 1), 2, 0);
  CHECK_NEAR(evaluated(device, 1 - x), -2, 0);
  CHECK_NEAR(evaluated(device, 2 * x * y), -12, 0);
  CHECK_NEAR(evaluated(device, 1 / x), 1.0 / 3, 0);
  CHECK_NEAR(evaluated(device, x / 2.0f), 1.5, 0);
  CHECK_NEAR(evaluated(device, -x), -3, 0);
  CHECK_NEAR(evaluated(device, n / 2 + 1), 4, 0);
  CHECK_NEAR(evaluated(device, 1 - n), -6, 0);
  CHECK_NEAR(evaluated(device, max(x, 5) + min(y, 0) + pow(x, 2) + rem(x, 2)), 5 - 2 + 9 + 1, 0);
  CHECK_NEAR(evaluated(device, x > y), 1, 0);
  CHECK_NEAR(evaluated(device, x <= 2), 0, 0);
  CHECK_NEAR(evaluated(device, 2 < x), 1, 0);
  CHECK_NEAR(evaluated(device, (x == 3) & (x != y)), 1, 0);
  CHECK_NEAR(evaluated(device, (!(x >= y)) | (3 == y)), 0, 0);
  CHECK_NEAR(evaluated(device, (n & n) ^ n), 0, 0);
  value sum = x;
  sum += y, sum *= x, sum -= y, sum /= x;
  CHECK_NEAR(evaluated(device, sum), 5.0 / 3, 1e-15);
  CHECK_OK(g.status());
  CHECK_STR_CONTAINS(g.text().c_str(), "mul");
  CHECK_STR_CONTAINS(g.html().c_str(), "<");
}

/* Every block, with one value, an array and a vector, and its derivative by x at 0.5. */
TEST(blocks_take_lambdas) {
  on_every_backend([](const mica::device &device) {
    using pair = std::array<value, 2>;
    auto all = [](mica::graph_view g, value x) {
      mica::scope outer(g, "outer");
      /* x^8 by squaring three times */
      auto [power, count] = mica::while_loop(
          pair{x, g.scalar(MICA_I32, 0)}, [](pair s) { return s[1] < 3; },
          [](pair s) {
            return pair{s[0] * s[0], s[1] + 1};
          },
          3);
      (void)count;
      value branch = mica::if_else(
          x > 0, [x] { return x * 3; }, [x] { return x; });
      value choice = mica::switch_case(
          g.scalar(MICA_I32, 1), [x] { return x; }, [x] { return sin(x); }, [x] { return exp(x); });
      value rows = mica::stack({x, 2 * x, 3 * x});
      auto [product, partial] = mica::scan(
          x, rows, [](value c, value item) { return std::pair(c * item, c); }, true);
      value mapped = mica::vmap(rows, [x](value row) { return row * x; });
      std::vector<value> called = mica::call(
          std::vector<value>{x, rows},
          [](std::vector<value> in) { return std::vector<value>{in[0] + reduce_sum(in[1])}; });
      value again = mica::recompute(x, [](value in) { return tanh(in); });
      value custom = mica::custom_gradient(
          x, [](value in) { return floor(in * 4); },
          [](value, value cotangent) { return cotangent * 4; });
      value y = power + branch + choice + product + reduce_sum(partial) + reduce_sum(mapped) +
                called[0] + again + custom;
      return pair{y, gradients(y, x)};
    };
    std::vector<tensor> out;
    mica::error error;
    CHECK_OK_ERROR(mica::call_once(device, all, {tensor::scalar(MICA_F64, 0.5)}, out, &error),
                   &error);
    if (!CHECK(out.size() == 2)) return;
    double x = 0.5, y = 0, slope = 0;
    auto term = [&](double v, double d) { y += v, slope += d; };
    term(std::pow(x, 8), 8 * std::pow(x, 7));
    term(3 * x, 3);
    term(std::sin(x), std::cos(x));
    term(6 * std::pow(x, 4), 24 * std::pow(x, 3)); /* x * 3x * 2x * x */
    term(x + 3 * x * x + 6 * x * x * x, 1 + 6 * x + 18 * x * x);
    term(6 * x * x, 12 * x);
    term(7 * x, 7);
    term(std::tanh(x), 1 - std::tanh(x) * std::tanh(x));
    term(2, 4);
    CHECK_NEAR_RELATIVE(out[0].item(), y, 1e-14);
    CHECK_NEAR_RELATIVE(out[1].item(), slope, 1e-14);
  });
}

TEST(owners_share_and_move) {
  tensor a({2, 2}, {1.0, 2.0, 3.0, 4.0}), b = a, c;
  CHECK(a == b && a != c && !c);
  CHECK(a.get() == b.get());
  c = std::move(b);
  CHECK(!b && c.get() == a.get());
  CHECK_EQ_INT(c.count(), 4);
  CHECK_EQ_INT(c.values<std::int8_t>()[3], 4);
  CHECK_STR_CONTAINS(a.text().c_str(), "[[1");
  CHECK(!tensor({2}, {1.0f})); /* too few values */
  CHECK(!tensor({1, 1, 1, 1, 1, 1, 1, 1, 1}, {1.0f}));
  CHECK_EQ_INT(tensor::zeros({MICA_BOOL, {3}}).values<std::uint8_t>()[2], 0);
  mica::device device = mica::device::open();
  mica::jit first(device, [](value x) { return x + 1; });
  mica::jit second = std::move(first);
  CHECK_NEAR(run(second, {a})[0].item(), 2, 0);
  mica::executable kept = second.compile({{MICA_F64, {2, 2}}});
  CHECK_EQ_INT(second.cache_count(), 1);
  second = mica::jit(device, [](value x) { return x + 2; });
  std::vector<tensor> out = {tensor::zeros({MICA_F64, {2, 2}})};
  const void *where = out[0].get();
  CHECK_OK(kept.run({a}, out));
  CHECK(out[0].get() == where); /* overwritten in place */
  CHECK_NEAR(out[0].item(), 2, 0);
  CHECK_NEAR(run(second, {a})[0].item(), 3, 0);
  mica::graph g;
  g.set_outputs({g.constant(a) * 2});
  out.clear();
  CHECK_OK(mica::executable::compile(device, g).run({}, out));
  CHECK_NEAR(out.at(0).values<double>()[3], 8, 0);
  mica::graph other = std::move(g);
  CHECK_OK(other.status());
}

TEST(traces_of_many_values) {
  mica::device device = mica::device::open();
  mica::jit sums = mica::jit::counted(device, 3, 2, [](mica::graph_view, std::vector<value> in) {
    return std::vector<value>{in[0] + in[1] + in[2], mica::concatenate(in)};
  });
  tensor x({2}, {1.0f, 2.0f});
  std::vector<tensor> out = run(sums, {x, x, x});
  CHECK_NEAR(out.at(0).item(), 3, 0);
  CHECK_EQ_INT(out.at(1).count(), 6);
  mica::jit wrong =
      mica::jit::counted(device, 1, 2, [](mica::graph_view, std::vector<value> in) { return in; });
  mica::error error;
  CHECK_STATUS(wrong.call({x}, out, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "1 results: expected 2");
}

TEST(errors_are_values_or_exceptions) {
  mica::error error;
  mica::device none = mica::device::open(mica::device_options().with_backend("abacus"), &error);
  CHECK(!none && error);
  CHECK_STR_CONTAINS(error.message, "abacus");
  mica::device device = mica::device::open();
  std::vector<tensor> out;
  mica::jit wrong(device, [](value x) { return matmul(x, x); });
  error = {};
  CHECK_STATUS(wrong.call({tensor({2, 3}, std::vector<float>(6))}, out, &error), MICA_INVALID);
  CHECK(error);
  CHECK_STR_CONTAINS(error.message, "matmul");
  bool caught = false;
  try {
    mica::check(wrong.call({tensor({2, 3}, std::vector<float>(6))}, out, &error), error);
  } catch (const mica::failure &failure) {
    caught = failure.status == MICA_INVALID && std::strstr(failure.what(), "matmul");
  }
  CHECK(caught);
  mica::check(MICA_OK, error);
  /* An exception cannot cross the library's C frames: it becomes the call's error. */
  mica::jit throws(device, [](value x) {
    if (x.rank() == 1) throw std::runtime_error("no vectors today");
    return x;
  });
  error = {};
  CHECK_STATUS(throws.call({tensor({1}, {1.0f})}, out, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "no vectors today");
  CHECK_OK(throws.call({tensor::scalar(MICA_F32, 1)}, out));
  CHECK_NEAR(out.at(0).item(), 1, 0);
}

}  // namespace

TEST_MAIN(TEST_CASE(runs_small), TEST_CASE(trains_a_linear_model), TEST_CASE(takes_square_roots),
          TEST_CASE(differentiates_a_recurrent_net),
          TEST_CASE(takes_gradient_norms_of_each_example), TEST_CASE(convolves_with_named_options),
          TEST_CASE(operators_mix_with_numbers), TEST_CASE(blocks_take_lambdas),
          TEST_CASE(owners_share_and_move), TEST_CASE(traces_of_many_values),
          TEST_CASE(errors_are_values_or_exceptions))
