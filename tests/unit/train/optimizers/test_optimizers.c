/* SPDX-License-Identifier: Apache-2.0 */
/* Slots, half precision, groups, and what stands around an update: clipping, sums over batches, averages, loss scaling; and
 * messages. The optimizers' numbers are in test_optimizers_golden.c. */
#include "mica/train/optimizers.h"
#include "unit/graph/ops_testing.h"
#include "unit/train/train_testing.h"

/* An update of parameters p with their slots. */
static void update(const mica_optimizer *o, const mica_value *p, const mica_value *g,
                   const mica_value *slots, size_t count, mica_value step,
                   const mica_optimizer_group *groups, mica_value apply, mica_value *out_p,
                   mica_value *out_slots) {
  mica_optimizer_update_args args = {.struct_size = sizeof args,
                                     .parameters = p,
                                     .gradients = g,
                                     .slots = slots,
                                     .count = count,
                                     .step = step,
                                     .learning_rate = mica_scalar(step.graph, MICA_F32, 0.125),
                                     .groups = groups,
                                     .apply = apply};
  mica_optimizer_update_with(o, &args, out_p, out_slots);
}

TEST(slots_follow_the_parameter) {
  mica_optimizer_slot slot[MICA_OPTIMIZER_MOST_SLOTS];
  mica_type matrix = {MICA_F32, MICA_DIMS(200, 128)}, half = {MICA_BF16, MICA_DIMS(3)};
  for (size_t i = 0; mica_optimizer_name(i); i++) {
    mica_optimizer o = mica_optimizer_find(mica_optimizer_name(i))(
        &(mica_optimizer_args){.struct_size = sizeof(mica_optimizer_args)});
    CHECK_EQ_STR(o.rule->name, mica_optimizer_name(i));
    size_t count = mica_optimizer_slots(&o, matrix, slot, NULL);
    CHECK_EQ_INT(mica_optimizer_slots(&o, half, slot, NULL), !strcmp(o.rule->name, "muon") ? 3
                                                             : !strcmp(o.rule->name, "adafactor")
                                                                 ? 2
                                                                 : count + 1);
    CHECK_EQ_STR(slot[0].name, "master");
    CHECK(slot[0].is_parameter && slot[0].type.dtype == MICA_F32);
  }
  CHECK(mica_optimizer_find("sdg") == NULL && mica_optimizer_find(NULL) == NULL);
  mica_optimizer o = mica_optimizer_adafactor(.momentum = 0.9);
  CHECK_EQ_INT(mica_optimizer_slots(&o, matrix, slot, NULL), 3);
  CHECK_EQ_INT(slot[0].type.shape.dim[0], 128); /* the largest axis, the rows, is averaged over */
  CHECK_EQ_INT(slot[1].type.shape.dim[0], 200);
  o = mica_optimizer_adagrad(.initial_accumulator = 0.5);
  CHECK_EQ_INT(mica_optimizer_slots(&o, half, slot, NULL), 2);
  mica_tensor *p = NUMBERS(BF16, MICA_DIMS(3), 1, 2, 3);
  mica_tensor *master = mica_optimizer_slot_tensor(slot[0], p);
  mica_tensor *square = mica_optimizer_slot_tensor(slot[1], p);
  double numbers[3];
  CHECK_OK(mica_tensor_read_doubles(master, numbers, 3, NULL));
  CHECK_EQ_INT(numbers[2], 3);
  CHECK_OK(mica_tensor_read_doubles(square, numbers, 3, NULL));
  CHECK_NEAR(numbers[1], 0.5, 0);
  mica_tensor_release(p), mica_tensor_release(master), mica_tensor_release(square);
}

GOLDEN(half_update, mica_optimizer o = mica_optimizer_sgd(.momentum = 0.5);
       update(&o, in, in + 1, in + 2, 1, in[4], NULL, (mica_value){0}, out, out + 1))
TEST(half_precision_goes_on_from_its_copy) {
  double out[3][64];
  mica_tensor *in[] = {NUMBERS(BF16, MICA_DIMS(1), 1), NUMBERS(BF16, MICA_DIMS(1), 1 / 1024.),
                       NUMBERS(F32, MICA_DIMS(1), 1), NUMBERS(F32, MICA_DIMS(1), 0),
                       NUMBERS(I32, MICA_SCALAR, 0)};
  if (!run_numbers(build_half_update, NULL, in, 5, out, 3)) return;
  CHECK_EQ_INT(out[0][0], 1);              /* bf16 has no number this close to 1 */
  CHECK_NEAR(out[1][0], 1 - 1 / 8192., 0); /* the copy has */
  CHECK_NEAR(out[2][0], 1 / 1024., 0);
}

GOLDEN(groups, mica_optimizer o = mica_optimizer_sgd(.weight_decay = 1);
       const mica_optimizer_group groups[] = {{2, 1, false}, {1, 0, false}, {1, 1, true}};
       mica_value p[3] = {in[0], in[0], in[0]}; mica_value d[3] = {in[1], in[1], {0}};
       update(&o, p, d, NULL, 3, in[2], groups, (mica_value){0}, out, NULL))
TEST(groups_set_rate_and_decay) {
  double out[3][64];
  mica_tensor *in[] = {NUMBERS(F32, MICA_DIMS(1), 3), NUMBERS(F32, MICA_DIMS(1), 1),
                       NUMBERS(I64, MICA_SCALAR, 5)};
  if (!run_numbers(build_groups, NULL, in, 3, out, 3)) return;
  CHECK_EQ_INT(out[0][0], 3 - 0.25 * 4);
  CHECK_NEAR(out[1][0], 3 - 0.125, 0);
  CHECK_EQ_INT(out[2][0], 3);
}

GOLDEN(applied, mica_optimizer o = mica_optimizer_adam(.beta1 = 0.5);
       update(&o, in, in + 1, in + 2, 1, in[4], NULL, in[5], out, out + 1))
TEST(a_step_can_be_left_out) {
  for (int apply = 0; apply < 2; apply++) {
    double out[3][64];
    mica_tensor *in[] = {NUMBERS(F32, MICA_DIMS(1), 3), NUMBERS(F32, MICA_DIMS(1), apply ? 1 : NAN),
                         NUMBERS(F32, MICA_DIMS(1), 0), NUMBERS(F32, MICA_DIMS(1), 0),
                         NUMBERS(I32, MICA_SCALAR, 0),  NUMBERS(BOOL, MICA_SCALAR, apply)};
    if (!run_numbers(build_applied, NULL, in, 6, out, 3)) return;
    CHECK_NEAR(out[0][0], apply ? 2.875 : 3, 1e-6);
    CHECK_NEAR(out[1][0], apply ? 0.5 : 0, 1e-7);
  }
}

/* One's own: p - r g / 2, with a slot that counts. */
static size_t own_slots(const mica_optimizer *o, mica_type type, mica_optimizer_slot *out) {
  (void)o;
  type.shape = MICA_SCALAR;
  out[0] = (mica_optimizer_slot){.name = "count", .type = type, .initial = 1};
  return 1;
}
static mica_value own_update(const mica_optimizer *o, const mica_optimizer_step *step,
                             mica_value *slots) {
  slots[0] = mica_add(slots[0], step->count);
  mica_value move = mica_mul(mica_mul(step->gradient, step->learning_rate), o->number[0]);
  return mica_sub(step->parameter, move);
}
static const mica_optimizer_rule own_rule = {"own", own_slots, own_update};
GOLDEN(own, mica_optimizer o = {.rule = &own_rule}; o.number[0] = 0.5;
       update(&o, in, in + 1, in + 2, 1, in[3], NULL, (mica_value){0}, out, out + 1))
TEST(an_optimizer_of_ones_own) {
  double out[2][64];
  mica_tensor *in[] = {NUMBERS(F32, MICA_DIMS(2), 1, 2), NUMBERS(F32, MICA_DIMS(2), 2, 4),
                       NUMBERS(F32, MICA_SCALAR, 1), NUMBERS(I32, MICA_SCALAR, 6)};
  if (!run_numbers(build_own, NULL, in, 4, out, 2)) return;
  CHECK_NEAR(out[0][1], 1.75, 0);
  CHECK_EQ_INT(out[1][0], 8);
}

/* ---- around it ---------------------------------------------------------------------------------------- */

GOLDEN(clips, mica_clip_by_global_norm(in, 2, 2.5, out, &out[2]);
       mica_value both[2] = {in[0], in[1]}; mica_clip_by_global_norm(both, 2, 6, &out[3], NULL);
       out[5] = mica_clip_by_norm(in[0], 1); out[6] = mica_clip_by_value(in[1], 3);
       out[7] = mica_all_finite(in, 2);
       out[8] = mica_zero_non_finite(mica_div(in[0], mica_sub(in[0], 3))))
TEST(norms_and_clipping) {
  double out[9][64];
  mica_tensor *in[] = {NUMBERS(F32, MICA_DIMS(1), 3), NUMBERS(F16, MICA_DIMS(1), -4)};
  if (!run_numbers(build_clips, NULL, in, 2, out, 9)) return;
  CHECK_NEAR(out[0][0], 1.5, 1e-6);
  CHECK_NEAR(out[1][0], -2, 1e-3);
  CHECK_NEAR(out[2][0], 5, 1e-6);
  CHECK_EQ_INT(out[3][0], 3);
  CHECK_EQ_INT(out[4][0], -4);
  CHECK_NEAR(out[5][0], 1, 1e-6);
  CHECK_EQ_INT(out[6][0], -3);
  CHECK_EQ_INT(out[7][0], 1);
  CHECK_EQ_INT(out[8][0], 0);
}
GOLDEN(finite, out[0] = mica_all_finite(in, 2); out[1] = mica_all_finite(in, 1);
       mica_clip_by_global_norm(in, 2, 1, &out[2], NULL))
TEST(what_is_not_finite) {
  double out[4][64];
  mica_tensor *in[] = {NUMBERS(F32, MICA_DIMS(2), 3, 1), NUMBERS(F32, MICA_DIMS(1), NAN)};
  if (!run_numbers(build_finite, NULL, in, 2, out, 4)) return;
  CHECK_EQ_INT(out[0][0], 0);
  CHECK_EQ_INT(out[1][0], 1);
  CHECK(isnan(out[2][0]) && isnan(out[3][0]));
}

GOLDEN(accumulate, mica_value ready;
       mica_accumulate_gradients(in, in + 1, 1, in[2], 3, out, out + 1, &ready); out[2] = ready)
TEST(sums_over_batches) {
  double sum = 0;
  for (int place = 0; place < 7; place++) {
    double out[3][64];
    mica_tensor *in[] = {NUMBERS(F32, MICA_DIMS(1), sum), NUMBERS(BF16, MICA_DIMS(1), place),
                         NUMBERS(I32, MICA_SCALAR, place)};
    if (!run_numbers(build_accumulate, NULL, in, 3, out, 3)) return;
    CHECK_EQ_INT(out[2][0], place % 3 == 2);
    if (place == 2) CHECK_NEAR(out[1][0], 1, 1e-6);
    if (place == 5) CHECK_NEAR(out[1][0], 4, 1e-6);
    sum = out[0][0];
    if (place % 3 == 2) CHECK_EQ_INT(sum, 0);
  }
}

GOLDEN(averages, out[0] = mica_moving_average(in[0], in[1], 0.75, (mica_value){0});
       out[1] = mica_moving_average(in[0], in[1], 0.75, in[2]))
TEST(moving_averages) {
  double out[2][64];
  mica_tensor *in[] = {NUMBERS(F32, MICA_DIMS(1), 8), NUMBERS(F16, MICA_DIMS(1), 0),
                       NUMBERS(I32, MICA_SCALAR, 2)};
  if (!run_numbers(build_averages, NULL, in, 3, out, 2)) return;
  CHECK_NEAR(out[0][0], 6, 1e-6);
  CHECK_NEAR(out[1][0], 2, 1e-6); /* (1 + 2) / (10 + 2) of it */
}

GOLDEN(scaling, mica_loss_scale_args args = {.struct_size = sizeof args,
                                             .interval = 2,
                                             .most = 32,
                                             .least = 4};
       mica_loss_scale next = mica_loss_scale_update((mica_loss_scale){in[0], in[1]}, in[2], &args);
       out[0] = next.scale; out[1] = next.streak; out[2] = mica_unscale(in[3], in[0]))
TEST(the_scale_of_a_loss) {
  /* As torch.amp.GradScaler: grows after two good steps, halves after a bad one; within 4 .. 32. */
  const int finite[] = {1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 0, 1, 1};
  const double scale[] = {8, 16, 16, 32, 32, 32, 16, 16, 8, 4, 4, 4, 8};
  double state[2] = {8, 0};
  for (int i = 0; i < 13; i++) {
    double out[3][64];
    mica_tensor *in[] = {NUMBERS(F32, MICA_SCALAR, state[0]), NUMBERS(I32, MICA_SCALAR, state[1]),
                         NUMBERS(BOOL, MICA_SCALAR, finite[i]), NUMBERS(F16, MICA_DIMS(1), 64)};
    if (!run_numbers(build_scaling, NULL, in, 4, out, 3)) return;
    CHECK_EQ_INT(out[2][0], 64 / state[0]);
    state[0] = out[0][0], state[1] = out[1][0];
    CHECK_EQ_INT(state[0], scale[i]);
  }
}

GOLDEN(projected, out[0] = mica_monotonic_projection(in[0], 0, -1);
       out[1] = mica_monotonic_projection(mica_swap_axes(in[0], 0, 1), 0.5, 0))
TEST(projections_are_the_nearest_in_order) {
  /* As scikit-learn's IsotonicRegression; the second of x - 0.5 i, plus 0.5 i. */
  double out[2][64];
  const double wanted[] = {0.5, 0.5, 2, 2, 2, 7, -3, -1, -1, -1, -1, -1};
  const double spaced[] = {0.25, 0.75, 1.5, 2, 2.5, 7, -3, -2, -1.5, -1, -0.5, 0};
  mica_tensor *in[] = {NUMBERS(F64, MICA_DIMS(2, 6), 1, 0, 3, 2, 1, 7, -3, 1, 0, -1, -2, -3)};
  if (!run_numbers(build_projected, NULL, in, 1, out, 2)) return;
  for (int i = 0; i < 12; i++) {
    CHECK_NEAR(out[0][i], wanted[i], 1e-12);
    CHECK_NEAR(out[1][i % 6 * 2 + i / 6], spaced[i], 1e-12);
  }
}

/* ---- mistakes --------------------------------------------------------------------------------------------- */

/* An update of one f32[3] by adam, but for one thing. */
typedef struct {
  mica_optimizer optimizer;
  mica_value parameter, gradient, slot, step, rate, apply;
} one_update;
static mica_value tried(one_update u) {
  mica_value p, slots[8], old[2] = {u.slot, u.slot};
  mica_optimizer_update_args args = {.struct_size = sizeof args,
                                     .parameters = &u.parameter,
                                     .gradients = &u.gradient,
                                     .slots = old,
                                     .count = 1,
                                     .step = u.step,
                                     .learning_rate = u.rate,
                                     .apply = u.apply};
  mica_optimizer_update_with(&u.optimizer, &args, &p, slots);
  return p;
}
#define TRIED(...) tried((one_update){.optimizer = mica_optimizer_adam(.beta1 = 0), __VA_ARGS__})
#define USUAL      .parameter = F32(3), .step = SCALAR(I32), .rate = SCALAR(F32)

TEST(mistakes) {
  CHECK_FAILS(TRIED(USUAL, .gradient = F32(2), .slot = F32(3)), "adam", "gradient 0",
              "expected the parameter's shape");
  CHECK_FAILS(TRIED(USUAL, .gradient = input(g, MICA_F64, MICA_DIMS(3)), .slot = F32(3)),
              "no wider");
  CHECK_FAILS(TRIED(USUAL, .gradient = F32(3), .slot = F32(2)), "slot mean of parameter 0",
              "mica_optimizer_slots");
  CHECK_FAILS(TRIED(USUAL, .slot = F32(3)), "adam", "operand 1");
  CHECK_FAILS(TRIED(.parameter = I32(3), .gradient = F32(3), .slot = F32(3), .step = SCALAR(I32),
                    .rate = SCALAR(F32)),
              "parameter 0 has dtype i32");
  CHECK_FAILS(TRIED(.parameter = F32(3), .gradient = F32(3), .slot = F32(3), .step = SCALAR(F32),
                    .rate = SCALAR(F32)),
              "the step", "expected integers []");
  CHECK_FAILS(TRIED(.parameter = F32(3), .gradient = F32(3), .slot = F32(3), .step = SCALAR(I32),
                    .rate = F32(1)),
              "the learning rate", "expected floats []");
  CHECK_FAILS(TRIED(USUAL, .gradient = F32(3), .slot = F32(3), .apply = BOOL(1)), "apply",
              "expected bool []");
  CHECK_FAILS(tried((one_update){.optimizer = mica_optimizer_adam(.momentum = 0.9),
                                 USUAL,
                                 .gradient = F32(3),
                                 .slot = F32(3)}),
              "adam", "momentum is not an option");
  CHECK_FAILS(
      tried((one_update){
          .optimizer = mica_optimizer_adam(.beta2 = 1), USUAL, .gradient = F32(3), .slot = F32(3)}),
      "beta2 have to be less than 1");
  CHECK_FAILS(tried((one_update){.optimizer = mica_optimizer_sgd(.nesterov = true),
                                 USUAL,
                                 .gradient = F32(3),
                                 .slot = F32(3)}),
              "nesterov needs a momentum");
  CHECK_FAILS(tried((one_update){USUAL, .gradient = F32(3), .slot = F32(3)}),
              "there is no optimizer");
  CHECK_FAILS(mica_clip_by_norm(F32(3), 0), "limit 0", "above 0");
  CHECK_FAILS(mica_clip_by_value(I32(3), 1), "expected f16, bf16, f32 or f64");
  CHECK_FAILS(mica_moving_average(F32(3), F32(2), 0.9, (mica_value){0}), "expected equal shapes");
  CHECK_FAILS(mica_moving_average(F32(3), F32(3), 1.5, (mica_value){0}), "decay 1.5");
  CHECK_FAILS(mica_monotonic_projection(F32(3), INFINITY, 0), "finite margin");
  CHECK_FAILS(mica_monotonic_projection(F32(3), 0, 1), "axis 1");
  CHECK_FAILS(mica_unscale(F32(3), F32(3)), "the scale: expected []");
  CHECK_FAILS(
      mica_loss_scale_update((mica_loss_scale){SCALAR(F32), SCALAR(I64)}, SCALAR(BOOL), NULL).scale,
      "expected f32[], i32[], bool[]");
  mica_optimizer wrong = mica_optimizer_adam(.rho = 0.5);
  mica_optimizer_slot slot[MICA_OPTIMIZER_MOST_SLOTS];
  mica_error error = {0};
  CHECK_EQ_INT(mica_optimizer_slots(&wrong, (mica_type){MICA_F32, MICA_SCALAR}, slot, &error), 0);
  CHECK_STR_CONTAINS(error.message, "rho is not an option");
}

TEST_MAIN(TEST_CASE(slots_follow_the_parameter), TEST_CASE(half_precision_goes_on_from_its_copy),
          TEST_CASE(groups_set_rate_and_decay), TEST_CASE(a_step_can_be_left_out),
          TEST_CASE(an_optimizer_of_ones_own), TEST_CASE(norms_and_clipping),
          TEST_CASE(what_is_not_finite), TEST_CASE(sums_over_batches), TEST_CASE(moving_averages),
          TEST_CASE(the_scale_of_a_loss), TEST_CASE(projections_are_the_nearest_in_order),
          TEST_CASE(mistakes))
