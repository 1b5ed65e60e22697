/* SPDX-License-Identifier: Apache-2.0 */
/* schedules.h: numbers that change with the step, as learning rates do: as values of a step in the graph, and as plain
 * numbers on the host, which agree.
 *
 * A schedule is created and destroyed; one that is made of others owns them, so that they nest:
 *
 *   mica_schedule *rate = mica_schedule_join(
 *       (mica_schedule *[]){mica_schedule_polynomial(.end = 1e-3, .steps = 100),
 *                           mica_schedule_cosine(.start = 1e-3, .steps = 900)},
 *       (int64_t[]){100}, 2);
 *
 * Constructors give NULL without memory or on a mistake, which goes to error if one is given; whoever takes a schedule
 * takes NULL. A schedule never changes, and may be used by many threads. t is the step, from 0; where a schedule has a
 * length n it keeps its last number behind it. Example: examples/training_functions.c. */
#ifndef MICA_TRAIN_SCHEDULES_H
#define MICA_TRAIN_SCHEDULES_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct mica_schedule mica_schedule;
MICA_API void mica_schedule_destroy(mica_schedule *schedule); /* NULL is fine */

/* The number at a step; NaN for NULL. Steps below 0 count as 0. */
MICA_API double mica_schedule_at(const mica_schedule *schedule, int64_t step);
/* That with the arguments of a mica_rate_function (trainer.h): .rate = mica_schedule_rate, .rate_user = schedule. */
MICA_API double mica_schedule_rate(int64_t step, void *schedule);
/* The same of a step (integers []) in the graph, [] of dtype f32 or f64, computed in that. A NULL schedule is an error of
 * the graph. */
MICA_API mica_value mica_schedule_value(const mica_schedule *schedule, mica_value step,
                                        mica_dtype dtype);

typedef struct {
  size_t struct_size;
  const struct mica_names_only *named_;
  double start, end;
  int64_t steps; /* n, at least 1 */
  double power;
  double rate;
  bool staircase;
  int64_t warmup_steps;
  double warmup_start;
  bool restarts;
  double period_factor, peak_factor;
  double warmup_part, start_divisor, end_divisor;
  bool linear;
  mica_error *error;
} mica_schedule_args;
#define MICA_SCHEDULE_ARGS(...) \
  (&(mica_schedule_args){.struct_size = sizeof(mica_schedule_args), __VA_ARGS__})

MICA_API mica_schedule *mica_schedule_constant(double number);
/* number[0] before step boundary[0], number[1] before boundary[1], .. number[count]; boundaries ascend, and are copied. */
MICA_API mica_schedule *mica_schedule_piecewise(const double *number, const int64_t *boundary,
                                                size_t count);
/* start rate^(t / n); staircase: in steps, t / n rounded down. With an end, not beyond that. PyTorch's StepLR is
 * staircase, its ExponentialLR has steps 1. Options start, steps, rate (above 0), staircase, end. */
MICA_API mica_schedule *mica_schedule_exponential_with(const mica_schedule_args *args);
/* end + (start - end) (1 - t / n)^power. Options start, end, steps, power (0: 1, a line). */
MICA_API mica_schedule *mica_schedule_polynomial_with(const mica_schedule_args *args);
/* A line from warmup_start to start over warmup_steps, then end + (start - end) (1 + cos(pi u)) / 2, u going from 0 to 1
 * over the next n steps (Loshchilov and Hutter 2017, arXiv 1608.03983). restarts: again and again, each period
 * period_factor (0: 1) times as long, its start peak_factor (0: 1) times as high above end, without another warm-up. */
MICA_API mica_schedule *mica_schedule_cosine_with(const mica_schedule_args *args);
/* Up from start / start_divisor (0: 25) to start over warmup_part (0: 0.3) of n steps, rounded down, and down to
 * start / start_divisor / end_divisor (0: 1e4) over the rest, by cosines or by lines (`linear`) (Smith and Topin 2018,
 * arXiv 1708.07120). */
MICA_API mica_schedule *mica_schedule_one_cycle_with(const mica_schedule_args *args);
/* A line from 0 to start over warmup_steps, then start sqrt(warmup_steps / t) (Vaswani et al. 2017, arXiv 1706.03762). */
MICA_API mica_schedule *mica_schedule_inverse_root_with(const mica_schedule_args *args);
#ifndef __cplusplus
#define mica_schedule_exponential(...) \
  mica_schedule_exponential_with(MICA_SCHEDULE_ARGS(__VA_ARGS__))
#define mica_schedule_polynomial(...) mica_schedule_polynomial_with(MICA_SCHEDULE_ARGS(__VA_ARGS__))
#define mica_schedule_cosine(...)     mica_schedule_cosine_with(MICA_SCHEDULE_ARGS(__VA_ARGS__))
#define mica_schedule_one_cycle(...)  mica_schedule_one_cycle_with(MICA_SCHEDULE_ARGS(__VA_ARGS__))
#define mica_schedule_inverse_root(...) \
  mica_schedule_inverse_root_with(MICA_SCHEDULE_ARGS(__VA_ARGS__))
#endif

/* part[0] before step boundary[0], then part[1] from its own step 0 on, .. `count` parts and count - 1 ascending
 * boundaries. Takes the parts over, on failure too. */
MICA_API mica_schedule *mica_schedule_join(mica_schedule *const *part, const int64_t *boundary,
                                           size_t count);
/* The product (sum) of two; takes both over. */
MICA_API mica_schedule *mica_schedule_product(mica_schedule *a, mica_schedule *b);
MICA_API mica_schedule *mica_schedule_sum(mica_schedule *a, mica_schedule *b);

/* ---- on a plateau ------------------------------------------------------------------------------------------- */

/* A factor that falls when a measure stops getting better, as PyTorch's ReduceLROnPlateau: an update whose measure is not
 * better than the best one by the threshold counts; more than `patience` of them in a row multiply the factor, no less
 * than `least`, and the next `cooldown` updates do not count. NaN is never better. */
typedef struct {
  size_t struct_size;
  const struct mica_names_only *named_;
  double factor;    /* 0: 0.1; below 1 */
  int64_t patience; /* 0: 10; negative: 0 */
  int64_t cooldown;
  double threshold; /* 0: 1e-4; negative: 0 */
  bool absolute;    /* better means below best - threshold, else below best (1 - threshold) */
  bool maximize;    /* above best + threshold, best (1 + threshold) */
  double least;     /* of the factor */
} mica_plateau_args;
/* The state on the host: {0} at first, and then what the updates make of it. */
typedef struct {
  double scale, best; /* scale: the factor so far; 0 before the first update stands for 1 */
  int64_t bad, cooling;
} mica_plateau;
/* Takes a measure in; returns the factor. NULL args: defaults. */
MICA_API double mica_plateau_update(mica_plateau *plateau, double measure,
                                    const mica_plateau_args *args);
/* The same in a graph: state[4] of f64 [], zeros at first, in the order above; measure: floats []. The factor is
 * out_state[0]. */
MICA_API void mica_plateau_update_values(const mica_value *state, mica_value measure,
                                         const mica_plateau_args *args, mica_value *out_state);

#ifdef __cplusplus
}
#endif
#endif
