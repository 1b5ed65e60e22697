/* SPDX-License-Identifier: Apache-2.0 */
/* training_functions.c: a loss, an optimizer, a schedule and a metric as functions of values: three spirals told apart by a
 * small network, without a store or a trainer. Everything of a step is one executable; what it keeps goes out of one
 * call and into the next. */
#include <math.h>
#include <stdio.h>

#include "mica/mica.h"

enum { POINTS = 300, HIDDEN = 32, CLASSES = 3, PARAMETERS = 4, STEPS = 400 };
enum { SLOTS = 2 * PARAMETERS, METRIC = 2, KEPT = PARAMETERS + SLOTS + METRIC };

typedef struct {
  mica_optimizer optimizer;
  mica_schedule *rate;
  mica_metric_definition accuracy;
} recipe;

/* x [points, 2] -> logits [points, classes] */
static mica_value network(const mica_value *p, mica_value x) {
  mica_value hidden = mica_tanh(mica_add(mica_matmul(x, p[0]), p[1]));
  return mica_add(mica_matmul(hidden, p[2]), p[3]);
}

/* in: x, labels, step, kept: parameters, slots, metric. out: loss, learning rate, accuracy, kept. */
static void step(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph;
  const recipe *r = user;
  const mica_value *parameters = in + 3, *slots = parameters + PARAMETERS, *metric = slots + SLOTS;
  mica_value *kept = out + 3, gradients[PARAMETERS];
  mica_value logits = network(parameters, in[0]);

  out[0] = mica_loss_cross_entropy_logits(logits, in[1], .label_smoothing = 0.05);
  mica_gradients(out[0], parameters, PARAMETERS, gradients);
  mica_clip_by_global_norm(gradients, PARAMETERS, 1, gradients, NULL);

  /* Kernels decay, biases do not. */
  const mica_optimizer_group groups[PARAMETERS] = {
      {1, 1, false}, {1, 0, false}, {1, 1, false}, {1, 0, false}};
  out[1] = mica_schedule_value(r->rate, in[2], MICA_F32);
  mica_optimizer_update_with(
      &r->optimizer,
      &(mica_optimizer_update_args){.struct_size = sizeof(mica_optimizer_update_args),
                                    .parameters = parameters,
                                    .gradients = gradients,
                                    .slots = slots,
                                    .count = PARAMETERS,
                                    .step = in[2],
                                    .learning_rate = out[1],
                                    .groups = groups},
      kept, kept + PARAMETERS);

  mica_metric_update_with(&r->accuracy, MICA_METRIC_ARGS(logits, in[1]), metric,
                          kept + PARAMETERS + SLOTS);
  out[2] = mica_metric_result(&r->accuracy, kept + PARAMETERS + SLOTS);
}

/* Three arms of a spiral. */
static void make_points(float x[POINTS][2], int32_t label[POINTS]) {
  for (int i = 0; i < POINTS; i++) {
    double at = (double)(i / CLASSES) / (POINTS / CLASSES), angle = 4 * at + 2.0944 * (i % CLASSES);
    x[i][0] = (float)(at * cos(angle)), x[i][1] = (float)(at * sin(angle));
    label[i] = i % CLASSES;
  }
}

/* What is kept, as it is at first: parameters from a simple sequence, slots and metric by their descriptions. */
static void first_values(const recipe *r, mica_tensor **kept, mica_error *error) {
  const mica_shape shapes[PARAMETERS] = {MICA_DIMS(2, HIDDEN), MICA_DIMS(HIDDEN),
                                         MICA_DIMS(HIDDEN, CLASSES), MICA_DIMS(CLASSES)};
  size_t at = PARAMETERS;
  for (int i = 0; i < PARAMETERS; i++) {
    double numbers[HIDDEN * CLASSES];
    for (int k = 0; k < HIDDEN * CLASSES; k++)
      numbers[k] = i % 2 ? 0 : sin(12.9898 * (k + 100 * i + 1));
    kept[i] = mica_tensor_from_doubles(MICA_F32, shapes[i], numbers);
    mica_optimizer_slot slots[MICA_OPTIMIZER_MOST_SLOTS];
    size_t count = mica_optimizer_slots(&r->optimizer, mica_tensor_type(kept[i]), slots, error);
    for (size_t k = 0; k < count; k++) kept[at++] = mica_optimizer_slot_tensor(slots[k], kept[i]);
  }
  mica_metric_slot state[MICA_METRIC_MOST_STATES];
  size_t count = mica_metric_state(&r->accuracy, state, error);
  for (size_t k = 0; k < count; k++)
    kept[at++] = mica_tensor_from(state[k].type.dtype, state[k].type.shape, NULL);
}

int main(void) {
  static float x[POINTS][2];
  static int32_t labels[POINTS];
  make_points(x, labels);
  mica_error error = {0};
  recipe r = {.optimizer = mica_optimizer_adamw(.weight_decay = 0.01),
              .rate = mica_schedule_cosine(.start = 0.05, .steps = STEPS - 50, .warmup_steps = 50),
              .accuracy = mica_metric_accuracy()};
  mica_device *device = mica_device_open(NULL, &error);
  mica_jit *train =
      mica_jit_create(device, step, .inputs = 3 + KEPT, .outputs = 3 + KEPT, .user = &r);
  mica_tensor *in[3 + KEPT] = {mica_tensor_from(MICA_F32, MICA_DIMS(POINTS, 2), x),
                               mica_tensor_from(MICA_I32, MICA_DIMS(POINTS), labels)};
  mica_tensor *out[3 + KEPT] = {0};
  first_values(&r, in + 3, &error);
  mica_status status = error.status;
  for (int i = 0; status == MICA_OK && i < STEPS; i++) {
    mica_tensor_release(in[2]);
    in[2] = mica_tensor_scalar(MICA_I32, i);
    status = mica_jit_call(train, in, 3 + KEPT, out, 3 + KEPT, &error);
    /* The new values go in next time, and the old ones are overwritten. */
    for (int k = 3; status == MICA_OK && k < 3 + KEPT; k++) {
      mica_tensor *old = in[k];
      in[k] = out[k], out[k] = old;
    }
    double numbers[3];
    for (int k = 0; status == MICA_OK && k < 3; k++)
      status = mica_tensor_read_doubles(out[k], &numbers[k], 1, &error);
    if (status == MICA_OK && i % 100 == 99) {
      printf("step %d: learning rate %.4f, loss %.1f, accuracy of the last 100 steps %.1f\n", i + 1,
             numbers[1], numbers[0], numbers[2]);
      for (int k = 3 + PARAMETERS + SLOTS; k < 3 + KEPT; k++) { /* the metric begins anew */
        mica_tensor_release(in[k]);
        in[k] = mica_tensor_scalar(MICA_F64, 0);
      }
    }
  }
  if (status != MICA_OK) fprintf(stderr, "%s\n", error.message);
  for (int k = 0; k < 3 + KEPT; k++) mica_tensor_release(in[k]), mica_tensor_release(out[k]);
  mica_jit_destroy(train);
  mica_device_release(device);
  mica_schedule_destroy(r.rate);
  return status != MICA_OK;
}
