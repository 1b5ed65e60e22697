/* SPDX-License-Identifier: Apache-2.0 */
/* initializer.h: how a variable gets its first value. A plain value; {0} is the layer's own choice.
 *
 * fan_in and fan_out are those of a kernel [spatial..., in, out]: the spatial size times in, or times out; of
 * a vector both are its size. Values depend on the store's seed and the variable's path only. */
#ifndef MICA_NN_INITIALIZER_H
#define MICA_NN_INITIALIZER_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  MICA_INITIALIZER_DEFAULT,
  MICA_INITIALIZER_CONSTANT,         /* a everywhere */
  MICA_INITIALIZER_UNIFORM,          /* in [a, b) */
  MICA_INITIALIZER_NORMAL,           /* mean a, standard deviation b */
  MICA_INITIALIZER_TRUNCATED_NORMAL, /* the same, drawn within two deviations of the mean */
  MICA_INITIALIZER_SCALED_UNIFORM,   /* in +-sqrt(3 a / fan), fan by `fan` */
  MICA_INITIALIZER_SCALED_NORMAL,    /* of variance a / fan */
  MICA_INITIALIZER_ORTHOGONAL, /* a times a matrix [all but the last, last] with orthonormal columns or rows */
  MICA_INITIALIZER_TENSOR,  /* a copy of `tensor`, which is of the variable's type */
  MICA_INITIALIZER_BUILD,   /* what `build` makes */
  MICA_INITIALIZER_LINSPACE /* from a to b in equal steps along the last axis */
} mica_initializer_kind;
typedef enum { MICA_FAN_IN, MICA_FAN_OUT, MICA_FAN_AVERAGE } mica_fan;

typedef struct {
  mica_initializer_kind kind;
  mica_fan fan;
  double a, b;
  mica_tensor *tensor; /* borrowed until the scope closes */
  mica_value (*build)(mica_value key, mica_type type,
                      void *user); /* called when the scope closes, and by */
  void *user;                      /* mica_store_reset, as long as the store lives */
} mica_initializer;

MICA_API mica_initializer mica_init_zeros(void);
MICA_API mica_initializer mica_init_ones(void);
MICA_API mica_initializer mica_init_constant(double value);
MICA_API mica_initializer mica_init_uniform(double low, double high);
MICA_API mica_initializer mica_init_normal(double mean, double deviation);
MICA_API mica_initializer mica_init_truncated_normal(double mean, double deviation);
/* Variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010). */
MICA_API mica_initializer mica_init_glorot_uniform(void);
MICA_API mica_initializer mica_init_glorot_normal(void);
/* Variance 2 / fan_in (He et al. 2015, arXiv 1502.01852), for relu. */
MICA_API mica_initializer mica_init_he_uniform(void);
MICA_API mica_initializer mica_init_he_normal(void);
/* Variance 1 / fan_in (LeCun et al. 1998, Efficient BackProp), for selu and linear layers. */
MICA_API mica_initializer mica_init_lecun_uniform(void);
MICA_API mica_initializer mica_init_lecun_normal(void);
/* Q of the QR decomposition of normal numbers, with the signs that make it uniform (Saxe et al. 2014, arXiv
 * 1312.6120; Mezzadri 2007); rank 2 at least. */
MICA_API mica_initializer mica_init_orthogonal(double gain);
MICA_API mica_initializer mica_init_tensor(mica_tensor *tensor);
MICA_API mica_initializer mica_init_linspace(double first, double last);

/* The value of that type. */
MICA_API mica_value mica_initial_value(mica_initializer initializer, mica_value key,
                                       mica_type type);

#ifdef __cplusplus
}
#endif
#endif
