// SPDX-License-Identifier: Apache-2.0
// The C++ names of arrays, axes by name and statistics: each gives what the C function gives.
#include "check.h"

#include "mica/mica.hpp"

namespace {

using mica::value;

// Two values of one graph were built by the same operator with the same type.
void same(mica_graph *graph, value a, value b, const char *text) {
  if (!a.valid() || !b.valid() || !mica_type_equal(a.type(), b.type())) {
    mica_error error{};
    mica_graph_status(graph, &error);
    CHECK_FAIL("%s: %s", text, error.message);
  }
}
#define SAME(cpp, c) same(g, cpp, c, #cpp)

TEST(arrays_have_names) {
  mica_graph *g = mica_graph_create(nullptr);
  value x = mica_parameter(g, mica::type(MICA_F32, {3, 4}));
  value row = mica_parameter(g, mica::type(MICA_F32, {4}));
  value three = mica_parameter(g, mica::type(MICA_F32, {3}));
  value places = mica_parameter(g, mica::type(MICA_I32, {3, 2}));
  value updates = mica_parameter(g, mica::type(MICA_F32, {3, 2}));
  mica_value both[2] = {x, row};
  mica_einsum_args equation{};
  equation.struct_size = sizeof equation;
  equation.equation = "ij,j->i", equation.x = both, equation.count = 2;
  SAME(mica::einsum("ij,j->i", {x, row}), mica_einsum_with(&equation));
  SAME(mica::rearrange(x, "h (w k) -> k w h", mica::rearrange_options().with_size("k", 2)),
       mica_parameter(g, mica::type(MICA_F32, {2, 2, 3})));
  SAME(mica::rearrange(x, "h w -> w", mica::rearrange_options().with_reduce(MICA_REARRANGE_MEAN)),
       row);
  SAME(mica::zeros(g, x.type()), x);
  SAME(mica::ones(g, x.type()), x);
  SAME(mica::eye(g, MICA_F32, 3, 4), x);
  SAME(mica::arange(g, MICA_F32, 0, 4), row);
  SAME(mica::linspace(g, MICA_F32, 0, 1, 4), row);
  SAME(mica::meshgrid({three, row})[1], x);
  SAME(mica::move_axis(x, 0, 1), mica_move_axis(x, 0, 1));
  SAME(mica::unstack(x)[2], row);
  SAME(mica::split_sizes(x, 1, {1, 3})[1], mica_slice_axis(x, 1, 1, 4, 1));
  SAME(mica::roll(x, 1, 0), x);
  SAME(mica::tile(x, {2, 1}), mica_repeat(x, 2, 0));
  SAME(mica::repeat(x, 2, 0), mica_repeat(x, 2, 0));
  SAME(mica::diagonal(x), three);
  SAME(mica::diag_embed(three), mica_diag(three, 0));
  SAME(mica::diag(x), three);
  SAME(mica::tril(x), x);
  SAME(mica::triu(x, 1), x);
  SAME(mica::put_along_axis(x, places, updates, 1), x);
  SAME(mica::add_along_axis(x, places, updates, 1), x);
  mica_graph_destroy(g);
}

TEST(statistics_have_names) {
  mica_graph *g = mica_graph_create(nullptr);
  value x = mica_parameter(g, mica::type(MICA_F32, {3, 4}));
  value row = mica_parameter(g, mica::type(MICA_F32, {4}));
  value three = mica_parameter(g, mica::type(MICA_F32, {3}));
  value one = mica_parameter(g, mica::type(MICA_F32, {}));
  SAME(mica::any(x), mica_reduce_or(mica_convert(x, MICA_BOOL), mica::all()));
  SAME(mica::all(x, {0}), mica_all(x, mica::axes({0})));
  SAME(mica::count_nonzero(x), mica_count_nonzero(x, mica::all()));
  SAME(mica::nonzero(x, 5), mica_nonzero(x, 5, -1));
  SAME(mica::ptp(x), one);
  SAME(mica::nansum(x), one);
  SAME(mica::nanprod(x), one);
  SAME(mica::nanmean(x, {0}), row);
  SAME(mica::nanmax(x), one);
  SAME(mica::nanmin(x), one);
  SAME(mica::variance(x, {1}), three);
  SAME(mica::standard_deviation(x, {1}, 1), three);
  SAME(mica::nanvariance(x), one);
  SAME(mica::nanstd(x), one);
  SAME(mica::average(x, row, {1}), three);
  SAME(mica::covariance(x), mica_diag(three, 0));
  SAME(mica::corrcoef(x), mica_diag(three, 0));
  SAME(mica::norm(x, 1, {0}), row);
  SAME(mica::outer(three, row), x);
  SAME(mica::kron(three, row), mica_tile(three, mica::shape({4})));
  SAME(mica::cross(three, three), three);
  SAME(mica::convolve(three, row, MICA_SAME), row);
  SAME(mica::trapezoid(x, row), three);
  SAME(mica::trapezoid(x, 0.5), three);
  SAME(mica::interp(x, row, row), x);
  mica_graph_destroy(g);
}

TEST(random_numbers_have_names) {
  mica_graph *g = mica_graph_create(nullptr);
  value key = mica_random_key(g, 1);
  value x = mica_parameter(g, mica::type(MICA_F32, {3, 4}));
  value row = mica_parameter(g, mica::type(MICA_F32, {4}));
  value four = mica_parameter(g, mica::type(MICA_I32, {4}));
  value two = mica_parameter(g, mica::type(MICA_I32, {2}));
  mica::shape sizes = {3, 4};
  SAME(mica::random_split(key, 1), mica_expand_dims(key, 0));
  SAME(mica::random_integers(key, four.type(), 0, 9), four);
  SAME(mica::random_bernoulli(key, row, sizes), mica_random_bernoulli(key, 0.5, sizes));
  SAME(mica::random_rademacher(key, x.type()), x);
  SAME(mica::random_categorical(key, mica::transpose(x)), four);
  SAME(mica::random_poisson(key, row, {4}), four);
  SAME(mica::random_permutation(key, 4), four);
  SAME(mica::random_shuffle(key, x, 1), x);
  SAME(mica::random_choice(key, 9, 4), four);
  SAME(mica::random_choice_by(key, row, 2), two);
  SAME(mica::random_uniform(key, x.type(), -1, 1), x);
  SAME(mica::random_truncated_normal(key, x.type()), x);
  SAME(mica::random_exponential(key, x.type()), x);
  SAME(mica::random_gumbel(key, x.type()), x);
  SAME(mica::random_laplace(key, x.type()), x);
  SAME(mica::random_logistic(key, x.type()), x);
  SAME(mica::random_cauchy(key, x.type()), x);
  SAME(mica::random_gamma(key, row, sizes), x);
  SAME(mica::random_log_gamma(key, row, sizes), x);
  SAME(mica::random_beta(key, row, row, sizes), x);
  SAME(mica::random_dirichlet(key, row, sizes), x);
  mica_graph_destroy(g);
}

}  // namespace

TEST_MAIN(TEST_CASE(arrays_have_names), TEST_CASE(statistics_have_names),
          TEST_CASE(random_numbers_have_names))
