/* SPDX-License-Identifier: Apache-2.0 */
/* trainer.h: one step of training as one executable: model, loss, gradients, what is done with them, the optimizer, measures.
 *
 *   static mica_value model(mica_scope *scope, const mica_value *inputs, void *user);
 *   static mica_value loss(mica_value prediction, const mica_value *targets, void *user);
 *   mica_trainer *trainer = mica_trainer_create(store, model, loss, .optimizer = mica_optimizer_adam(0),
 *                                               .learning_rate = 1e-3);
 *   status = mica_trainer_step(trainer, (mica_tensor *[]){images, labels}, 2, &error);
 *
 * Parameters are donated: a step updates them in place, and allocates nothing once its shapes have been seen. They are the
 * store's; what the optimizer keeps is in a store of the trainer's own, so that both can be saved.
 *   Ownership: create/destroy; the store, the model's data and what `user` points to outlive the trainer. Threads: one at a
 * time. Example: docs/training.md. */
#ifndef MICA_TRAIN_TRAINER_H
#define MICA_TRAIN_TRAINER_H
#include "mica/data.h"
#include "mica/nn/store.h"
#include "mica/train/metrics.h"
#include "mica/train/optimizers.h"
#ifdef __cplusplus
extern "C" {
#endif

/* Builds the prediction from a batch's inputs. It is called for each trace: training, evaluation, other shapes. */
typedef mica_value mica_trainer_model(mica_scope *scope, const mica_value *inputs, void *user);
/* Builds the loss, a float [], from the prediction (f32 where the model computes in halves) and a batch's targets. */
typedef mica_value mica_trainer_loss(mica_value prediction, const mica_value *targets, void *user);
/* Builds measures, floats [] that are means over the batch, into out[]. */
typedef void mica_trainer_measures(mica_value prediction, const mica_value *targets,
                                   mica_value *out, void *user);
/* What becomes of a parameter after each update, of its type: a bound, an order, a norm (mica_monotonic_projection, mica_clip_by_norm).
 * It is called for each parameter that is trained; those that it leaves alone it returns as they are. */
typedef mica_value mica_trainer_constraint(const char *path, mica_value updated, void *user);
/* The learning rate of a step (updates made before, from 0). */
typedef double mica_rate_function(int64_t step, void *user);

/* What metric number `index` is given: *out holds the prediction and the first target, and may get others, weights or a mask. */
typedef void mica_trainer_metric_inputs(size_t index, mica_value prediction,
                                        const mica_value *targets, mica_metric_args *out,
                                        void *user);

enum {
  MICA_TRAINER_MOST_MEASURES = 16,
  MICA_TRAINER_MOST_METRICS = 16,
  MICA_TRAINER_MOST_ARRAYS = 16
};

typedef struct mica_trainer mica_trainer;
typedef struct {
  size_t struct_size;
  mica_store *store;
  mica_trainer_model *model;
  mica_trainer_loss *loss;
  const struct mica_names_only *named_;
  void *user;             /* of the functions */
  size_t inputs, targets; /* how many arrays of a batch are which, in this order; 0: 1 */
  mica_optimizer optimizer;
  double learning_rate;     /* the first step fails if there is neither this nor a rate */
  mica_rate_function *rate; /* in place of learning_rate */
  void *rate_user;
  mica_trainer_measures *measures;
  size_t measure_count;
  /* Gradients of this many batches are averaged before the optimizer takes them; 0: 1. */
  int64_t accumulate;
  double clip_norm, clip_value; /* of gradients; 0: not */
  double clip_step;             /* each number of a parameter moves by at most so much; 0: not */
  bool
      zero_non_finite; /* numbers of a gradient that are NaN or infinite become 0, before clipping; the step is made */
  mica_trainer_constraint *constrain; /* called with `user`; NULL: none */
  /* Float inputs are converted to this dtype (MICA_BF16, MICA_F16) first, so that the model computes in it; parameters
   * stay f32. With f16 the loss is scaled, by factors that adapt (mica_loss_scale_update). */
  mica_dtype compute;
  double
      ema; /* decay of a moving average of the parameters, which mica_trainer_swap_average puts in their place; 0: none */
  bool no_guard; /* apply steps whose loss or gradients are not finite too */
  /* Metrics, whose states are updated within the step and within evaluations, separately; copied. */
  const mica_metric_definition *metrics;
  size_t metric_count;
  mica_trainer_metric_inputs *metric_inputs; /* NULL: prediction and first target */
  /* Several devices, by automatic sharding (mica/mesh.h; retained): the batch is cut along the first axis of its
   * arrays over `batch_axes` of the mesh (NULL: its first axis), and is whole where that does not divide. Parameters and
   * what the optimizer keeps are repeated, or cut over `parameter_axes` (FSDP; mica_store_shard). The texts outlive the
   * trainer. Loss and updates are those of one device. */
  const mica_mesh *mesh;
  const char *batch_axes, *parameter_axes;
} mica_trainer_args;
/* NULL without memory; mistakes are reported by the first step. */
MICA_API mica_trainer *mica_trainer_create_with(const mica_trainer_args *args);
#define mica_trainer_create(...) \
  mica_trainer_create_with(      \
      &(mica_trainer_args){.struct_size = sizeof(mica_trainer_args), __VA_ARGS__})
MICA_API void mica_trainer_destroy(mica_trainer *trainer); /* NULL is fine */

/* One step on batch[count]: inputs, then targets. Where the loss or a gradient is not finite nothing changes, and the
 * step counts as skipped: mica_trainer_locate says where that came from. */
MICA_API mica_status mica_trainer_step(mica_trainer *trainer, mica_tensor *const *batch,
                                       size_t count, mica_error *error);
typedef struct {
  double loss;          /* of the last batch, without the losses of layers */
  double total;         /* with them */
  double gradient_norm; /* before clipping */
  double learning_rate;
  bool skipped; /* not finite */
  double measures[MICA_TRAINER_MOST_MEASURES];
} mica_trainer_result;
MICA_API mica_trainer_result mica_trainer_last(const mica_trainer *trainer);
/* Updates made so far (a state; batches that were only accumulated or skipped do not count), batches seen. */
MICA_API int64_t mica_trainer_updates(const mica_trainer *trainer);
MICA_API int64_t mica_trainer_batches(const mica_trainer *trainer);
/* The constant learning rate from here on; takes the place of a function too. */
MICA_API void mica_trainer_set_rate(mica_trainer *trainer, double rate);
/* Multiplies what the rate would be (mica_plateau); 1 at first. */
MICA_API void mica_trainer_scale_rate(mica_trainer *trainer, double factor);

/* Loss and measures of a batch without training; means over batches by their size (the first axis of the first array), since
 * the last clear, in *out (skipped, norm and rate are 0). */
MICA_API mica_status mica_trainer_evaluate(mica_trainer *trainer, mica_tensor *const *batch,
                                           size_t count, mica_error *error);
MICA_API mica_trainer_result mica_trainer_evaluation(const mica_trainer *trainer);
MICA_API void mica_trainer_clear_evaluation(mica_trainer *trainer);
/* The same for all batches of epoch 0 of a data set, after a clear. */
MICA_API mica_status mica_trainer_evaluate_dataset(mica_trainer *trainer, mica_dataset *dataset,
                                                   mica_error *error);

/* Results of all metrics so far, into out[count]: of training since the last clear, or of the evaluation. One executable
 * computes them from the states; *out as in mica_jit_call. */
MICA_API mica_status mica_trainer_metrics(mica_trainer *trainer, bool training, mica_tensor **out,
                                          size_t count, mica_error *error);
/* The same as numbers; NaN for a result that is not one number. */
MICA_API mica_status mica_trainer_metric_numbers(mica_trainer *trainer, bool training, double *out,
                                                 size_t count, mica_error *error);
/* Metrics of training begin anew; a training loop does so with each epoch. */
MICA_API mica_status mica_trainer_clear_metrics(mica_trainer *trainer, mica_error *error);
MICA_API size_t mica_trainer_metric_count(const mica_trainer *trainer);
MICA_API const char *mica_trainer_metric_name(const mica_trainer *trainer,
                                              size_t index); /* "accuracy"; "" outside */

/* The prediction for inputs[count], without training; *out as in mica_jit_call. */
MICA_API mica_status mica_trainer_predict(mica_trainer *trainer, mica_tensor *const *inputs,
                                          size_t count, mica_tensor **out, mica_error *error);

/* The predictions for all batches of epoch 0 of a data set, from their first arrays, as one tensor [rows, ...]: the prediction's
 * axis 0 runs over the rows of a batch. */
MICA_API mica_status mica_trainer_predict_dataset(mica_trainer *trainer, mica_dataset *dataset,
                                                  mica_tensor **out, mica_error *error);

/* What belongs to training beside the parameters: slots/<path>/<slot>, average/<path>, sums/<path>, metrics/<which>/<metric>,
 * updates, batches, scale, streak. With the store it is all that a resumed run needs. Borrowed. */
MICA_API mica_store *mica_trainer_state(const mica_trainer *trainer);
MICA_API mica_store *mica_trainer_store(const mica_trainer *trainer);
/* Exchanges parameters and their averages (`ema`); again to train on. */
MICA_API mica_status mica_trainer_swap_average(mica_trainer *trainer, mica_error *error);
/* Runs a step on a device that checks each operation (of cpu, where the backend does not), leaving all variables as they
 * are: MICA_OK if all is finite, else the error names operator, type and scope of the first NaN or infinity. */
MICA_API mica_status mica_trainer_locate(mica_trainer *trainer, mica_tensor *const *batch,
                                         size_t count, mica_error *error);

#ifdef __cplusplus
}
#endif
#endif
