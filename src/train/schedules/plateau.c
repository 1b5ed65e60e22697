/* SPDX-License-Identifier: Apache-2.0 */
/* plateau.c: a factor that falls when a measure stops getting better; the same steps on the host and in a graph. */
#include <inttypes.h>
#include <math.h>

#include "graph/ops/rules.h"
#include "mica/train/schedules.h"

/* The defaults put in; wrong options become defaults too, or the message of the graph. */
static const char *plateau_args(mica_plateau_args *a, const mica_plateau_args *args) {
  mica_copy_args(a, sizeof *a, args);
  if (a->factor == 0) a->factor = 0.1;
  if (a->patience == 0) a->patience = 10;
  if (a->patience < 0) a->patience = 0;
  if (a->threshold == 0) a->threshold = 1e-4;
  if (a->threshold < 0) a->threshold = 0;
  if (!(a->factor > 0 && a->factor < 1)) return "a factor in 0 .. 1";
  if (!(a->least >= 0 && a->least <= 1)) return "least in 0 .. 1";
  if (a->cooldown < 0) return "a cooldown of at least 0";
  return isfinite(a->threshold) ? NULL : "a finite threshold";
}

double mica_plateau_update(mica_plateau *plateau, double measure, const mica_plateau_args *args) {
  mica_plateau_args a;
  if (plateau_args(&a, args)) return NAN;
  mica_plateau *p = plateau;
  double sign = a.maximize ? -1 : 1;
  if (p->scale == 0) *p = (mica_plateau){.scale = 1, .best = sign * INFINITY};
  double limit = a.absolute ? p->best - sign * a.threshold : p->best * (1 - sign * a.threshold);
  bool better = a.maximize ? measure > limit : measure < limit;
  if (better) p->best = measure;
  p->bad = better ? 0 : p->bad + 1;
  if (p->cooling > 0) {
    p->cooling--;
    p->bad = 0;
  }
  if (p->bad > a.patience) {
    p->scale = fmax(p->scale * a.factor, a.least);
    p->cooling = a.cooldown;
    p->bad = 0;
  }
  return p->scale;
}

void mica_plateau_update_values(const mica_value *state, mica_value measure,
                                const mica_plateau_args *args, mica_value *out_state) {
  static const char op[] = "plateau_update";
  MICA_ENTRY(measure.graph);
  mica_plateau_args a;
  const char *expected = plateau_args(&a, args);
  mica_value in[5] = {measure, state[0], state[1], state[2], state[3]};
  for (int i = 0; i < 4; i++) out_state[i] = mica_no_value(measure.graph);
  if (!mica_operands_usable(op, in, 5)) return;
  for (int i = 0; i < 5 && !expected; i++) {
    bool well = i ? mica_dtype_of(in[i]) == MICA_F64 : mica_dtype_is_float(mica_dtype_of(in[0]));
    if (!well || mica_rank_of(in[i]) != 0) expected = "floats [] and a state of f64 []";
  }
  if (expected) {
    mica_fail_operator(measure.graph, op, in, 5, "expected %s", expected);
    return;
  }
  mica_value zero = mica_scalar(measure.graph, MICA_F64, 0);
  mica_value fresh = mica_equal(in[1], 0), x = mica_convert(measure, MICA_F64);
  double sign = a.maximize ? -1 : 1;
  mica_value scale = mica_select(fresh, mica_add(zero, 1), in[1]);
  mica_value worst = mica_full_like(zero, sign * INFINITY);
  mica_value best = mica_select(fresh, worst, in[2]);
  mica_value limit =
      a.absolute ? mica_sub(best, sign * a.threshold) : mica_mul(best, 1 - sign * a.threshold);
  mica_value better = a.maximize ? mica_greater(x, limit) : mica_less(x, limit);
  mica_value cools = mica_greater(in[4], 0);
  mica_value bad = mica_select(mica_or(better, cools), zero, mica_add(in[3], 1));
  mica_value stuck = mica_greater(bad, (double)a.patience);
  mica_value cooling = mica_max(mica_sub(in[4], 1), 0);
  out_state[0] = mica_select(stuck, mica_max(mica_mul(scale, a.factor), a.least), scale);
  out_state[1] = mica_select(better, x, best);
  out_state[2] = mica_select(stuck, zero, bad);
  out_state[3] = mica_select(stuck, mica_full_like(zero, (double)a.cooldown), cooling);
}
