/* SPDX-License-Identifier: Apache-2.0 */
/* layer.h: what layers are written with. */
#ifndef MICA_NN_LAYER_H
#define MICA_NN_LAYER_H
#include <string.h>

#include "core/memory.h"
#include "graph/builder.h"
#include "mica/nn/store.h"

/* Names the nodes to come by the scope's path. False after a failure: no scope, no value. */
bool mica_nn_enter(mica_scope *scope, mica_value x, const char *layer);
/* Ends that; gives y back. */
mica_value mica_nn_leave(mica_scope *scope, mica_value y);

/* mica_nn_dropout in a layer that has entered its scope. */
mica_value mica_nn_dropout_within(mica_scope *scope, mica_value x, double rate);

/* The dtype that parameters are kept in for a layer that computes in `dtype`. */
mica_dtype mica_nn_master_dtype(mica_dtype dtype);
/* A parameter in the dtype that the layer computes in; the initializer is `given` or, if that is {0}, `otherwise`. */
mica_value mica_nn_parameter(mica_scope *scope, const char *name, mica_dtype dtype,
                             mica_shape shape, mica_initializer given, mica_initializer otherwise);

typedef struct {
  mica_initializer given, otherwise;
  double l1, l2;
  bool weight_norm;
} mica_nn_kernel_options;
/* A kernel [..., out] with what goes with it: regularizers, weight norm, adapters. */
mica_value mica_nn_kernel(mica_scope *scope, const char *name, mica_dtype dtype, mica_shape shape,
                          const mica_nn_kernel_options *options);
/* x plus a bias [n], unless there shall be none. */
mica_value mica_nn_add_bias(mica_scope *scope, mica_value x, const char *name, bool no_bias,
                            mica_initializer given);

/* mica_scope_part_begin, with what holds where nothing is set. */
mica_scope_part mica_nn_part_begin(mica_scope *scope, bool otherwise);

/* Options copied, so that a caller of an older header gets zeros for what it does not know. */
#define MICA_NN_COPY_ARGS(type, args, given) \
  type args;                                 \
  mica_copy_options(&(args), sizeof(args), (given))
/* The same at the beginning of a public function: mistakes are then its caller's. */
#define MICA_NN_ARGS(type, args, given) \
  MICA_NN_COPY_ARGS(type, args, given); \
  MICA_BUILDER_ENTRY(mica_scope_graph((args).scope))

#endif
