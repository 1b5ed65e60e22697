/* SPDX-License-Identifier: Apache-2.0 */
/* Every builder on every kind of value that is none: {0}, of another graph, stale, of a closed
 * block, of a graph that failed, and in a graph without memory. Nothing crashes, nothing is
 * built, and the message says which operand and why. The builders of products, windows and
 * indexing are swept in their own tests. */
#include "unit/graph/ops_testing.h"

/* Builds with the bad value b in one place; o is a good f32[2, 2] for the others, k a good key. */
typedef struct {
  const char *name;
  mica_value (*build)(mica_value b, mica_value o, mica_value k);
  /* No other operand: {0} has no graph to complain to, a foreign value is not foreign. */
  bool alone;
} misuse_case;

#define ALONE(name, expression)                                               \
  static mica_value misuse_##name(mica_value b, mica_value o, mica_value k) { \
    (void)o, (void)k;                                                         \
    return expression;                                                        \
  }
#define BESIDE(name, expression) ALONE(name, expression)
#define MISUSES                                                                                    \
  ALONE(neg, mica_neg(b))                                                                          \
  ALONE(exp, mica_exp(b))                                                                          \
  ALONE(not, mica_not(b))                                                                          \
  ALONE(is_nan, mica_is_nan(b))                                                                    \
  ALONE(square, mica_square(b))                                                                    \
  ALONE(reciprocal, mica_reciprocal(b))                                                            \
  ALONE(convert, mica_convert(b, MICA_F64))                                                        \
  ALONE(stop_gradient, mica_stop_gradient(b))                                                      \
  ALONE(mark, mica_mark(b, "label"))                                                               \
  ALONE(full_like, mica_full_like(b, 1))                                                           \
  ALONE(zeros_like, mica_zeros_like(b))                                                            \
  ALONE(ones_like, mica_ones_like(b))                                                              \
  ALONE(add_number, mica_add(b, 1))                                                                \
  ALONE(pow_number, mica_pow(b, 2))                                                                \
  ALONE(less_number, mica_less(b, 1))                                                              \
  BESIDE(add_first, mica_add(b, o))                                                                \
  BESIDE(add_second, mica_add(o, b))                                                               \
  BESIDE(compare, mica_greater_equal(o, b))                                                        \
  BESIDE(xor, mica_xor(b, o))                                                                      \
  BESIDE(select_condition, mica_select(b, o, o))                                                   \
  BESIDE(select_first, mica_select(o, b, o))                                                       \
  BESIDE(select_second, mica_select(o, o, b))                                                      \
  ALONE(tan, mica_tan(b))                                                                          \
  ALONE(acosh, mica_acosh(b))                                                                      \
  ALONE(softplus, mica_softplus(b))                                                                \
  ALONE(lgamma, mica_lgamma(b))                                                                    \
  ALONE(polygamma, mica_polygamma(2, b))                                                           \
  ALONE(bitcast, mica_bitcast(b, MICA_U8))                                                         \
  ALONE(reduce_precision, mica_reduce_precision(b, 5, 3))                                          \
  ALONE(popcount, mica_popcount(b))                                                                \
  ALONE(sign_bit, mica_sign_bit(b))                                                                \
  ALONE(sign, mica_sign(b))                                                                        \
  ALONE(abs, mica_abs(b))                                                                          \
  ALONE(real, mica_real(b))                                                                        \
  ALONE(imag, mica_imag(b))                                                                        \
  ALONE(conj, mica_conj(b))                                                                        \
  ALONE(angle, mica_angle(b))                                                                      \
  ALONE(is_inf, mica_is_inf(b))                                                                    \
  ALONE(trunc, mica_trunc(b))                                                                      \
  ALONE(round_half_away, mica_round_half_away(b))                                                  \
  ALONE(polynomial, mica_polynomial(b, NULL, 0))                                                   \
  ALONE(mod_number, mica_mod(b, 2))                                                                \
  ALONE(floor_divide_number, mica_floor_divide(b, 2))                                              \
  ALONE(clamp_numbers, mica_clamp_numbers(b, 0, 1))                                                \
  ALONE(barrier, misused_barrier(b))                                                               \
  BESIDE(atan2, mica_atan2(o, b))                                                                  \
  BESIDE(hypot, mica_hypot(b, o))                                                                  \
  BESIDE(logaddexp, mica_logaddexp(b, o))                                                          \
  BESIDE(xlogy, mica_xlogy(o, b))                                                                  \
  BESIDE(igamma, mica_igamma(b, o))                                                                \
  BESIDE(betainc, mica_betainc(o, o, b))                                                           \
  BESIDE(shift_left, mica_shift_left(o, b))                                                        \
  BESIDE(copysign, mica_copysign(o, b))                                                            \
  BESIDE(nextafter, mica_nextafter(b, o))                                                          \
  BESIDE(complex, mica_complex(b, o))                                                              \
  BESIDE(mod, mica_mod(o, b))                                                                      \
  BESIDE(floor_divide, mica_floor_divide(b, o))                                                    \
  BESIDE(clamp, mica_clamp(o, o, b))                                                               \
  ALONE(broadcast_to, mica_broadcast_to(b, MICA_DIMS(2, 2)))                                       \
  ALONE(broadcast_in_dim, mica_broadcast_in_dim(b, MICA_DIMS(2, 2), MICA_AXES(0, 1)))              \
  ALONE(reshape, mica_reshape(b, MICA_DIMS(-1)))                                                   \
  ALONE(flatten, mica_flatten(b, 0))                                                               \
  ALONE(expand_dims, mica_expand_dims(b, -1))                                                      \
  ALONE(squeeze, mica_squeeze(b, MICA_ALL))                                                        \
  ALONE(transpose, mica_transpose(b, MICA_ALL))                                                    \
  ALONE(swap_axes, mica_swap_axes(b, 0, 1))                                                        \
  ALONE(reverse, mica_reverse(b, MICA_ALL))                                                        \
  ALONE(slice, mica_slice(b, "1:, 0"))                                                             \
  ALONE(slice_axis, mica_slice_axis(b, 0, 0, 1, 1))                                                \
  ALONE(slice_with, mica_slice_with(b, NULL, NULL, NULL))                                          \
  BESIDE(pad_first, mica_pad(b, o, (int64_t[]){1, 1}, NULL, NULL))                                 \
  BESIDE(pad_second, mica_pad(o, b, (int64_t[]){1, 1}, NULL, NULL))                                \
  BESIDE(concatenate, mica_concatenate((mica_value[]){o, b}, 2, 0))                                \
  BESIDE(stack, mica_stack((mica_value[]){b, o}, 2, 0))                                            \
  ALONE(split, misused_split(b))                                                                   \
  BESIDE(dynamic_slice, mica_dynamic_slice(o, (mica_value[]){b, b}, MICA_DIMS(1, 1)))              \
  ALONE(dynamic_slice_x, mica_dynamic_slice(b, (mica_value[]){b, b}, MICA_DIMS(1, 1)))             \
  BESIDE(dynamic_update, mica_dynamic_update_slice(o, b, (mica_value[]){b, b}))                    \
  BESIDE(dynamic_update_x, mica_dynamic_update_slice(b, o, (mica_value[]){o, o}))                  \
  BESIDE(index_axis, mica_index_axis(o, b, 0))                                                     \
  BESIDE(index_axis_x, mica_index_axis(b, o, 0))                                                   \
  BESIDE(update_axis, mica_update_axis(o, b, o, 0))                                                \
  BESIDE(update_axis_index, mica_update_axis(o, o, b, 0))                                          \
  ALONE(move_axis, mica_move_axis(b, 0, 1))                                                        \
  ALONE(roll, mica_roll(b, 1, 0))                                                                  \
  ALONE(tile, mica_tile(b, MICA_DIMS(2, 2)))                                                       \
  ALONE(repeat, mica_repeat(b, 2, 0))                                                              \
  ALONE(diagonal, mica_diagonal(b, 0, 0, 1))                                                       \
  ALONE(diag_embed, mica_diag_embed(b, 1))                                                         \
  ALONE(diag, mica_diag(b, 0))                                                                     \
  ALONE(tril, mica_tril(b, 0))                                                                     \
  ALONE(triu, mica_triu(b, 0))                                                                     \
  ALONE(rearrange, mica_rearrange(b, "h w -> w h"))                                                \
  BESIDE(einsum, mica_einsum("ij,jk", ((mica_value[]){o, b}), 2))                                  \
  BESIDE(einsum_first, mica_einsum("ij,jk", ((mica_value[]){b, o}), 2))                            \
  BESIDE(put_along_axis, mica_put_along_axis(o, b, o, 0))                                          \
  BESIDE(add_along_axis, mica_add_along_axis(b, o, o, 0))                                          \
  BESIDE(meshgrid, misused_meshgrid(o, b))                                                         \
  ALONE(unstack, misused_unstack(b))                                                               \
  ALONE(any, mica_any(b, MICA_ALL))                                                                \
  ALONE(count_nonzero, mica_count_nonzero(b, MICA_ALL))                                            \
  ALONE(nonzero, mica_nonzero(b, 2, 0))                                                            \
  ALONE(variance, mica_variance(b, MICA_ALL, 0))                                                   \
  ALONE(std, mica_std(b, MICA_ALL, 0))                                                             \
  BESIDE(average, mica_average(b, o, MICA_ALL))                                                    \
  BESIDE(average_weights, mica_average(o, b.graph ? b : mica_add(o, b), MICA_ALL))                 \
  BESIDE(masked_sum, mica_masked_sum(b, mica_greater(o, 0), MICA_ALL))                             \
  BESIDE(masked_mask, mica_masked_max(o, b, MICA_ALL))                                             \
  BESIDE(masked_mean, mica_masked_mean(b, mica_greater(o, 0), MICA_ALL))                           \
  BESIDE(masked_softmax, mica_masked_softmax(o, b, 0))                                             \
  BESIDE(masked_log_softmax, mica_masked_log_softmax(b, mica_greater(o, 0), 0))                    \
  BESIDE(segment_softmax, mica_segment_softmax(o, b, 2))                                           \
  ALONE(l2_normalize, mica_l2_normalize(b, MICA_ALL, 0))                                           \
  BESIDE(cosine_similarity, mica_cosine_similarity(o, b, 0))                                       \
  BESIDE(cross_cosine, mica_cross_cosine_similarity(b, o))                                         \
  ALONE(skewness, mica_skewness(b, MICA_ALL))                                                      \
  ALONE(diff, mica_diff(b, 1, 0))                                                                  \
  ALONE(shift, mica_shift(b, (mica_value){0}, 1, 0))                                               \
  ALONE(top_k_mask, mica_top_k_mask(b, 1, 0, false))                                               \
  ALONE(reduce_xor, mica_reduce_xor(b, MICA_ALL))                                                  \
  ALONE(total_order, mica_total_order(b))                                                          \
  BESIDE(batch_norm, mica_batch_norm_inference(b, (mica_value){0}, (mica_value){0}, o, o, 0, 0))   \
  ALONE(batch_norm_training,                                                                       \
        mica_batch_norm_training(b, (mica_value){0}, (mica_value){0}, 0, 0, NULL, NULL))           \
  ALONE(covariance, mica_covariance(b, 0))                                                         \
  ALONE(corrcoef, mica_corrcoef(b))                                                                \
  ALONE(ptp, mica_ptp(b, MICA_ALL))                                                                \
  ALONE(nanmean, mica_nanmean(b, MICA_ALL))                                                        \
  ALONE(nanmax, mica_nanmax(b, MICA_ALL))                                                          \
  ALONE(nanstd, mica_nanstd(b, MICA_ALL, 0))                                                       \
  ALONE(norm, mica_norm(b, 2, MICA_ALL))                                                           \
  BESIDE(outer, mica_outer(o, b))                                                                  \
  BESIDE(kron, mica_kron(b, o))                                                                    \
  BESIDE(cross, mica_cross(o, b, 0))                                                               \
  BESIDE(convolve, mica_convolve(b, o, MICA_SAME))                                                 \
  BESIDE(trapezoid, mica_trapezoid(b, o, 1, 0))                                                    \
  BESIDE(interp, mica_interp(o, b, o))                                                             \
  ALONE(relu, mica_relu(b))                                                                        \
  ALONE(gelu, mica_gelu(b))                                                                        \
  ALONE(silu, mica_silu(b))                                                                        \
  ALONE(softmax, mica_softmax(b, -1))                                                              \
  ALONE(log_softmax, mica_log_softmax(b, 0))                                                       \
  ALONE(logsumexp, mica_logsumexp(b, MICA_ALL))                                                    \
  ALONE(one_hot, mica_one_hot(b, 3, MICA_F32))                                                     \
  BESIDE(layer_norm, mica_layer_norm(b, o, o, 1e-5))                                               \
  ALONE(layer_norm_alone, mica_layer_norm(b, (mica_value){0}, (mica_value){0}, 1e-5))              \
  BESIDE(cross_entropy, mica_softmax_cross_entropy(b, o))                                          \
  BESIDE(cross_entropy_labels, mica_softmax_cross_entropy(o, b))                                   \
  BESIDE(attention_q, mica_attention(b, o, o))                                                     \
  BESIDE(attention_k, mica_attention(o, b, o))                                                     \
  BESIDE(attention_v, mica_attention(o, o, b))                                                     \
  ALONE(cholesky, mica_cholesky(b, true))                                                          \
  BESIDE(solve_a, mica_solve(b, o))                                                                \
  BESIDE(solve_b, mica_solve(o, b))                                                                \
  BESIDE(triangular_a, mica_triangular_solve(b, o))                                                \
  BESIDE(triangular_b, mica_triangular_solve(o, b, .right = true))                                 \
  ALONE(inverse, mica_inverse(b))                                                                  \
  ALONE(pinv, mica_pinv(b, -1))                                                                    \
  BESIDE(lstsq_a, mica_lstsq(b, o, -1))                                                            \
  BESIDE(lstsq_b, mica_lstsq(o, b, -1))                                                            \
  ALONE(matrix_rank, mica_matrix_rank(b, -1))                                                      \
  ALONE(eigvalsh, mica_eigvalsh(b))                                                                \
  ALONE(svdvals, mica_svdvals(b))                                                                  \
  ALONE(matrix_trace, mica_matrix_trace(b))                                                        \
  ALONE(matrix_norm, mica_matrix_norm(b, MICA_NORM_ONE))                                           \
  ALONE(condition, mica_condition_number(b, MICA_NORM_SPECTRAL))                                   \
  ALONE(matrix_power, mica_matrix_power(b, 3))                                                     \
  ALONE(matrix_exp, mica_matrix_exp(b))                                                            \
  ALONE(det, mica_det(b))                                                                          \
  ALONE(random_split, mica_random_split(b, 2))                                                     \
  ALONE(random_integers, mica_random_integers(b, ((mica_type){MICA_I32, MICA_DIMS(3)}), 0, 2))     \
  BESIDE(random_bernoulli_each, mica_random_bernoulli_each(k, b, MICA_DIMS(2, 2)))                 \
  ALONE(random_rademacher, mica_random_rademacher(b, ((mica_type){MICA_I32, MICA_DIMS(3)})))       \
  BESIDE(random_categorical, mica_random_categorical(k, b))                                        \
  BESIDE(random_categorical_key, mica_random_categorical(b, o))                                    \
  BESIDE(random_poisson, mica_random_poisson(k, b, MICA_DIMS(2, 2)))                               \
  ALONE(random_permutation, mica_random_permutation(b, 3))                                         \
  BESIDE(random_shuffle, mica_random_shuffle(k, b, 0))                                             \
  ALONE(random_choice, mica_random_choice(b, 3, 2, false))                                         \
  BESIDE(random_choice_by, mica_random_choice_by(k, b, 1))                                         \
  ALONE(random_range, mica_random_uniform_range(b, ((mica_type){MICA_F32, MICA_DIMS(3)}), 0, 2))   \
  ALONE(random_truncated,                                                                          \
        mica_random_truncated_normal(b, ((mica_type){MICA_F32, MICA_DIMS(3)}), 0, 2))              \
  ALONE(random_gumbel, mica_random_gumbel(b, ((mica_type){MICA_F32, MICA_DIMS(3)})))               \
  BESIDE(random_gamma, mica_random_gamma(k, b, MICA_DIMS(2, 2)))                                   \
  BESIDE(random_gamma_key, mica_random_gamma(b, o, MICA_DIMS(2, 2)))                               \
  BESIDE(random_beta, mica_random_beta(k, o, b, MICA_DIMS(2, 2)))                                  \
  BESIDE(random_dirichlet, mica_random_dirichlet(k, b, MICA_DIMS(2, 2)))                           \
  ALONE(random_orthogonal, mica_random_orthogonal(b, ((mica_type){MICA_F32, MICA_DIMS(3, 2)}), 1)) \
  ALONE(random_bits, mica_random_bits(b, MICA_DIMS(3)))                                            \
  BESIDE(random_fold, mica_random_fold(k, b))                                                      \
  BESIDE(random_fold_key, mica_random_fold(b, o))                                                  \
  ALONE(random_fold_number, mica_random_fold_number(b, 1))                                         \
  ALONE(random_uniform, mica_random_uniform(b, ((mica_type){MICA_F64, MICA_DIMS(3)})))             \
  ALONE(random_normal, mica_random_normal(b, ((mica_type){MICA_F64, MICA_DIMS(3)})))               \
  ALONE(random_bernoulli, mica_random_bernoulli(b, 0.5, MICA_DIMS(3)))

static mica_value misused_split(mica_value b) {
  mica_value out[2];
  mica_split(b, 0, 2, out);
  return out[1];
}
static mica_value misused_meshgrid(mica_value o, mica_value b) {
  mica_value out[2];
  mica_meshgrid((mica_value[]){o, b}, 2, false, out);
  return out[0];
}
static mica_value misused_unstack(mica_value b) {
  mica_value out[2];
  mica_unstack(b, 0, 2, out);
  return out[1];
}
static mica_value misused_barrier(mica_value b) {
  mica_value out;
  mica_barrier(&b, 1, &out);
  return out;
}
MISUSES
#undef ALONE
#undef BESIDE
#define ALONE(name, expression)  {#name, misuse_##name, true},
#define BESIDE(name, expression) {#name, misuse_##name, false},
static const misuse_case misuses[] = {MISUSES};
enum { MISUSE_COUNT = sizeof(misuses) / sizeof(misuses[0]) };

/* Good values of a graph to stand beside the bad one. */
typedef struct {
  mica_graph *graph;
  mica_value other, key;
} good_values;

static good_values good_graph(void) {
  mica_graph *g = scoped_graph();
  return (good_values){g, F32(2, 2), mica_random_key(g, 1)};
}

static void check_refused(const good_values *good, const misuse_case *misuse, mica_value bad,
                          const char *why) {
  mica_value value = misuse->build(bad, good->other, good->key);
  mica_error error = {0};
  if (mica_is_valid(value) || mica_rank_of(value) != 0 || mica_dim_of(value, -1) != 1)
    CHECK_FAIL("%s: gave a value", misuse->name);
  if (mica_graph_status(good->graph, &error) == MICA_OK)
    CHECK_FAIL("%s: the graph did not fail", misuse->name);
  else if (!strstr(error.message, why) || !strstr(error.message, "operand ") ||
           !strstr(error.message, "in scope net/part"))
    CHECK_FAIL("%s: the message is \"%s\", which lacks \"%s\", the operand or the scope",
               misuse->name, error.message, why);
}

TEST(no_value) {
  for (size_t i = 0; i < MISUSE_COUNT; i++) {
    good_values good = good_graph();
    if (misuses[i].alone)
      CHECK(!mica_is_valid(misuses[i].build((mica_value){0}, good.other, good.key)));
    else
      check_refused(&good, &misuses[i], (mica_value){0}, "expected a value, not {0}");
    mica_graph_destroy(good.graph);
    good = good_graph();
    check_refused(&good, &misuses[i], mica_no_value(good.graph), "expected a value, not {0}");
    mica_graph_destroy(good.graph);
  }
}

TEST(value_of_another_graph) {
  for (size_t i = 0; i < MISUSE_COUNT; i++) {
    if (misuses[i].alone) continue;
    good_values good = good_graph();
    mica_graph *g = scoped_graph();
    mica_value foreign = F32(2, 2), value = misuses[i].build(foreign, good.other, good.key);
    CHECK(!mica_is_valid(value));
    mica_error error = {0};
    mica_graph *failed =
        mica_graph_status(g, NULL) == MICA_OK ? good.graph : g; /* that of the first operand */
    CHECK_STATUS(mica_graph_status(failed, &error), MICA_INVALID);
    if (!strstr(error.message, "not of another one"))
      CHECK_FAIL("%s: \"%s\"", misuses[i].name, error.message);
    mica_graph_destroy(g);
    mica_graph_destroy(good.graph);
  }
}

TEST(stale_value) {
  for (size_t i = 0; i < MISUSE_COUNT; i++) {
    good_values good = good_graph();
    mica_value stale = good.other;
    mica_graph_reset(good.graph);
    mica_scope_push(good.graph, "net");
    mica_scope_push(good.graph, "part");
    good.other = input(good.graph, MICA_F32, MICA_DIMS(2, 2));
    good.key = mica_random_key(good.graph, 1);
    check_refused(&good, &misuses[i], stale, "stale");
    mica_graph_destroy(good.graph);
  }
}

TEST(value_of_a_closed_block) {
  for (size_t i = 0; i < MISUSE_COUNT; i++) {
    good_values good = good_graph();
    mica_value inside, out;
    mica_region call = mica_call_begin(good.graph, &good.other, 1);
    inside = mica_neg(mica_argument(call, 0));
    mica_call_end(call, &inside, 1, &out);
    CHECK_OK(mica_graph_status(good.graph, NULL));
    check_refused(&good, &misuses[i], inside, "belongs to a closed block of call");
    mica_graph_destroy(good.graph);
  }
}

/* After the first failure builders do nothing, and the message stays. */
TEST(graph_that_failed) {
  for (size_t i = 0; i < MISUSE_COUNT; i++) {
    good_values good = good_graph();
    mica_fail(good.graph, MICA_INVALID, "the first failure");
    uint32_t count = good.graph->count;
    CHECK(!mica_is_valid(misuses[i].build(good.other, good.other, good.key)));
    CHECK_EQ_INT(good.graph->count, count);
    mica_error error = {0};
    mica_graph_status(good.graph, &error);
    CHECK_EQ_STR(error.message, "the first failure");
    mica_graph_destroy(good.graph);
  }
}

static void *no_memory(void *self, void *old, size_t old_size, size_t new_size, size_t alignment) {
  (void)self, (void)old, (void)old_size, (void)new_size, (void)alignment;
  return NULL;
}

TEST(graph_without_memory) {
  mica_graph *g = mica_graph_create(&(mica_allocator){.allocate = no_memory});
  if (!CHECK(g)) return;
  CHECK_STATUS(mica_graph_status(g, NULL), MICA_OUT_OF_MEMORY);
  mica_value leaves[] = {F32(2),
                         mica_scalar(g, MICA_F32, 1),
                         mica_full(g, (mica_type){MICA_F32, MICA_DIMS(2)}, 1),
                         mica_constant(g, NULL),
                         mica_iota(g, (mica_type){MICA_F32, MICA_DIMS(2)}, 0),
                         mica_random_key(g, 1)};
  for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
    CHECK(!mica_is_valid(leaves[i]));
    for (size_t k = 0; k < MISUSE_COUNT; k++)
      CHECK(!mica_is_valid(misuses[k].build(leaves[i], leaves[i], leaves[i])));
  }
  mica_graph_destroy(g);
}

TEST(no_graph) {
  CHECK(!mica_is_valid(mica_parameter(NULL, (mica_type){MICA_F32, MICA_DIMS(2)})));
  CHECK(!mica_is_valid(mica_scalar(NULL, MICA_F32, 1)));
  CHECK(!mica_is_valid(mica_full(NULL, (mica_type){MICA_F32, MICA_DIMS(2)}, 1)));
  CHECK(!mica_is_valid(mica_constant(NULL, NULL)));
  CHECK(!mica_is_valid(mica_iota(NULL, (mica_type){MICA_F32, MICA_DIMS(2)}, 0)));
  CHECK(!mica_is_valid(mica_random_key(NULL, 1)));
}

/* A place for results that is missing is an error; a missing list of operands has no graph. */
static mica_value to_no_place(mica_value x, int builder) {
  switch (builder) {
    case 0: mica_split(x, 0, 2, NULL); break;
    case 1: mica_split_sizes(x, 0, (int64_t[]){1, 1}, 2, NULL); break;
    case 2: mica_unstack(x, 0, 2, NULL); break;
    case 3: mica_meshgrid((mica_value[]){x, x}, 2, false, NULL); break;
    case 4: mica_barrier((mica_value[]){x, x}, 2, NULL); break;
    default: mica_sort_together((mica_value[]){x, x}, 2, 1, 0, false, NULL);
  }
  return mica_neg(x);
}
TEST(places_and_lists_that_are_missing) {
  static const char *const names[] = {"split(f32[2])",           "split_sizes(f32[2])",
                                      "unstack(f32[2])",         "meshgrid(f32[2], f32[2])",
                                      "barrier(f32[2], f32[2])", "sort_together(f32[2], f32[2])"};
  for (int i = 0; i < 6; i++)
    CHECK_FAILS(to_no_place(F32(2), i), names[i],
                "the place for results is NULL: expected room for 2");
  mica_value out[2];
  CHECK(!mica_is_valid(mica_concatenate(NULL, 2, 0)));
  CHECK(!mica_is_valid(mica_stack(NULL, 2, 0)));
  mica_meshgrid(NULL, 2, false, out);
  CHECK(!mica_is_valid(out[1]));
  mica_barrier(NULL, 2, out);
  CHECK(!mica_is_valid(out[1]));
  mica_sort_together(NULL, 2, 1, 0, false, out);
  CHECK(!mica_is_valid(out[1]));
}

TEST_MAIN(TEST_CASE(places_and_lists_that_are_missing), TEST_CASE(no_value),
          TEST_CASE(value_of_another_graph), TEST_CASE(stale_value),
          TEST_CASE(value_of_a_closed_block), TEST_CASE(graph_that_failed),
          TEST_CASE(graph_without_memory), TEST_CASE(no_graph))
