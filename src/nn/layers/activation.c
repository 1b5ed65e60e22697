/* SPDX-License-Identifier: Apache-2.0 */
/* activation.c: functions between layers, and their names. */
#include "mica/nn/activation.h"

#include <inttypes.h>

#include "nn/layers/layer.h"

/* The branch that select drops stays finite, so that its derivative does too. */
static mica_value negative_part(mica_value x) { return mica_min(x, 0); }
static mica_value above_zero(mica_value x, mica_value y) {
  return mica_select(mica_greater(x, 0), x, y);
}

mica_value mica_nn_leaky_relu(mica_value x, double slope) {
  return above_zero(x, mica_mul(x, slope));
}
mica_value mica_nn_elu(mica_value x, double alpha) {
  return above_zero(x, mica_mul(mica_expm1(negative_part(x)), alpha));
}
mica_value mica_nn_celu(mica_value x, double alpha) {
  if (!(alpha > 0))
    return mica_fail(x.graph, MICA_INVALID, "celu: expected alpha above 0, not %g", alpha);
  return above_zero(x, mica_mul(mica_expm1(mica_div(negative_part(x), alpha)), alpha));
}
mica_value mica_nn_selu(mica_value x) {
  return mica_mul(mica_nn_elu(x, 1.6732632423543772848), 1.0507009873554804934);
}
mica_value mica_nn_mish(mica_value x) { return mica_mul(x, mica_tanh(mica_softplus(x))); }
mica_value mica_nn_relu6(mica_value x) { return mica_min(mica_relu(x), 6); }
mica_value mica_nn_hard_sigmoid(mica_value x) { return mica_div(mica_nn_relu6(mica_add(x, 3)), 6); }
mica_value mica_nn_hard_silu(mica_value x) { return mica_mul(x, mica_nn_hard_sigmoid(x)); }

/* ---- gates --------------------------------------------------------------------------------------- */

static bool split_gate(mica_value x, const char *name, mica_value half[2]) {
  if (mica_rank_of(x) < 1 || mica_dim_of(x, -1) % 2 != 0) {
    mica_fail(x.graph, MICA_INVALID, "%s: expected an even last axis, not %" PRId64 " of rank %d",
              name, mica_dim_of(x, -1), (int)mica_rank_of(x));
    return false;
  }
  mica_split(x, -1, 2, half);
  return true;
}
mica_value mica_nn_glu(mica_value x) {
  mica_value half[2];
  if (!split_gate(x, "glu", half)) return (mica_value){0};
  return mica_mul(half[0], mica_logistic(half[1]));
}
mica_value mica_nn_geglu(mica_value x) {
  mica_value half[2];
  if (!split_gate(x, "geglu", half)) return (mica_value){0};
  return mica_mul(half[0], mica_gelu(half[1]));
}
mica_value mica_nn_swiglu(mica_value x) {
  mica_value half[2];
  if (!split_gate(x, "swiglu", half)) return (mica_value){0};
  return mica_mul(half[0], mica_silu(half[1]));
}
mica_value mica_nn_reglu(mica_value x) {
  mica_value half[2];
  if (!split_gate(x, "reglu", half)) return (mica_value){0};
  return mica_mul(half[0], mica_relu(half[1]));
}

mica_value mica_nn_maxout(mica_value x, int64_t pieces) {
  mica_shape shape = mica_shape_of(x);
  if (shape.rank < 1 || shape.rank >= MICA_MAX_RANK || pieces < 1 ||
      shape.dim[shape.rank - 1] % pieces != 0)
    return mica_fail(x.graph, MICA_INVALID,
                     "maxout: expected pieces that divide the last axis, not %" PRId64
                     " of %" PRId64,
                     pieces, mica_dim_of(x, -1));
  shape.dim[shape.rank - 1] /= pieces;
  shape.dim[shape.rank++] = pieces;
  return mica_reduce_max(mica_reshape(x, shape), MICA_AXES(-1));
}

mica_value mica_nn_prelu(mica_scope *scope, mica_value x) {
  if (!mica_nn_enter(scope, x, "prelu")) return (mica_value){0};
  mica_value slope =
      mica_nn_parameter(scope, "slope", mica_dtype_of(x), MICA_DIMS(mica_dim_of(x, -1)),
                        (mica_initializer){0}, mica_init_constant(0.25));
  return mica_nn_leave(scope, above_zero(x, mica_mul(x, slope)));
}

/* ---- by name ---------------------------------------------------------------------------------------- */

static const char *const activation_names[MICA_NN_ACTIVATION_COUNT] = {
    [MICA_NN_IDENTITY] = "none",
    [MICA_NN_RELU] = "relu",
    [MICA_NN_LEAKY_RELU] = "leaky_relu",
    [MICA_NN_SIGMOID] = "sigmoid",
    [MICA_NN_HARD_SIGMOID] = "hard_sigmoid",
    [MICA_NN_TANH] = "tanh",
    [MICA_NN_SILU] = "silu",
    [MICA_NN_HARD_SILU] = "hard_silu",
    [MICA_NN_SELU] = "selu",
    [MICA_NN_GELU] = "gelu",
    [MICA_NN_GELU_TANH] = "gelu_tanh",
    [MICA_NN_SWIGLU] = "swiglu",
    [MICA_NN_MISH] = "mish",
    [MICA_NN_SOFTPLUS] = "softplus",
    [MICA_NN_ELU] = "elu",
    [MICA_NN_CELU] = "celu",
    [MICA_NN_GLU] = "glu",
    [MICA_NN_GEGLU] = "geglu",
    [MICA_NN_REGLU] = "reglu",
    [MICA_NN_RELU6] = "relu6"};

const char *mica_nn_activation_name(mica_nn_activation activation) {
  return (unsigned)activation < MICA_NN_ACTIVATION_COUNT ? activation_names[activation] : NULL;
}

bool mica_nn_activation_from_name(const char *name, mica_nn_activation *out) {
  static const struct {
    const char *name;
    mica_nn_activation activation;
  } others[] = {{"swish", MICA_NN_SILU},
                {"hard_swish", MICA_NN_HARD_SILU},
                {"gelu_approx", MICA_NN_GELU_TANH},
                {"identity", MICA_NN_IDENTITY},
                {"logistic", MICA_NN_SIGMOID}};
  if (name == NULL) return false;
  for (int i = 0; i < MICA_NN_ACTIVATION_COUNT; i++)
    if (strcmp(name, activation_names[i]) == 0) {
      if (out != NULL) *out = (mica_nn_activation)i;
      return true;
    }
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    if (strcmp(name, others[i].name) == 0) {
      if (out != NULL) *out = others[i].activation;
      return true;
    }
  return false;
}

bool mica_nn_activation_is_gated(mica_nn_activation activation) {
  return activation == MICA_NN_GLU || activation == MICA_NN_GEGLU || activation == MICA_NN_SWIGLU ||
         activation == MICA_NN_REGLU;
}

mica_value mica_nn_activate(mica_value x, mica_nn_activation activation) {
  switch (activation) {
    case MICA_NN_IDENTITY: return x;
    case MICA_NN_RELU: return mica_relu(x);
    case MICA_NN_LEAKY_RELU: return mica_nn_leaky_relu(x, 0.3);
    case MICA_NN_SIGMOID: return mica_logistic(x);
    case MICA_NN_HARD_SIGMOID: return mica_nn_hard_sigmoid(x);
    case MICA_NN_TANH: return mica_tanh(x);
    case MICA_NN_SILU: return mica_silu(x);
    case MICA_NN_HARD_SILU: return mica_nn_hard_silu(x);
    case MICA_NN_SELU: return mica_nn_selu(x);
    case MICA_NN_GELU: return mica_gelu(x);
    case MICA_NN_GELU_TANH: return mica_gelu_tanh(x);
    case MICA_NN_SWIGLU: return mica_nn_swiglu(x);
    case MICA_NN_MISH: return mica_nn_mish(x);
    case MICA_NN_SOFTPLUS: return mica_softplus(x);
    case MICA_NN_ELU: return mica_nn_elu(x, 1);
    case MICA_NN_CELU: return mica_nn_celu(x, 1);
    case MICA_NN_GLU: return mica_nn_glu(x);
    case MICA_NN_GEGLU: return mica_nn_geglu(x);
    case MICA_NN_REGLU: return mica_nn_reglu(x);
    case MICA_NN_RELU6: return mica_nn_relu6(x);
    case MICA_NN_ACTIVATION_COUNT: break;
  }
  return mica_fail(x.graph, MICA_INVALID, "activate: activation %d is unknown", (int)activation);
}
