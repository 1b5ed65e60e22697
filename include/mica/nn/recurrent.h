/* SPDX-License-Identifier: Apache-2.0 */
/* recurrent.h: recurrent layers, one scan over time each; the products with x are taken for all times at once. */
#ifndef MICA_NN_RECURRENT_H
#define MICA_NN_RECURRENT_H
#include "mica/nn/store.h"
#ifdef __cplusplus
extern "C" {
#endif

/* x [batch, time, in] -> [batch, time, units], twice the units if bidirectional: the states of all times, 0 behind the end of a
 * shorter sequence. Variables kernel [in, gates units], recurrent [units, gates units] (orthogonal), bias [gates units]; those
 * of the backward direction have "_backward" at their end. */
typedef struct {
  size_t struct_size;
  mica_scope *scope;
  mica_value x;
  const struct mica_names_only *named_;
  int64_t units;
  bool reverse;                     /* from the last time to the first */
  bool bidirectional;               /* both, side by side */
  mica_value lengths;               /* integers [batch]; {0}: all of time */
  mica_value initial, initial_cell; /* [batch, units] (bidirectional: 2 units); {0}: zeros */
  mica_value *final, *final_cell;   /* if wanted: the last states, likewise */
  bool relu;                        /* RNN: relu in place of tanh */
  bool
      peephole; /* LSTM: gates see the cell by variables peephole [3, units] (Gers and Schmidhuber 2000): input, forget, output */
  double forget_bias; /* LSTM: added to the forget gate beside its bias */
  mica_initializer kernel_initializer, recurrent_initializer; /* Glorot uniform, orthogonal */
} mica_nn_recurrent_args;
#define MICA_NN_RECURRENT_ARGS(...) \
  (&(mica_nn_recurrent_args){.struct_size = sizeof(mica_nn_recurrent_args), __VA_ARGS__})

/* h = tanh(x W + h U + b) (Elman 1990). */
MICA_API mica_value mica_nn_rnn_with(const mica_nn_recurrent_args *args);
#define mica_nn_rnn(...) mica_nn_rnn_with(MICA_NN_RECURRENT_ARGS(__VA_ARGS__))
/* Gates reset, update, new: h = (1 - z) n + z h, n = tanh(x W + b + r (h U + c)) (Cho et al. 2014, arXiv 1406.1078, with the
 * reset behind the product, as PyTorch's); another variable recurrent_bias c [units]. */
MICA_API mica_value mica_nn_gru_with(const mica_nn_recurrent_args *args);
#define mica_nn_gru(...) mica_nn_gru_with(MICA_NN_RECURRENT_ARGS(__VA_ARGS__))
/* Gates input, forget, cell, output: c = f c + i g, h = o tanh(c) (Hochreiter and Schmidhuber 1997). */
MICA_API mica_value mica_nn_lstm_with(const mica_nn_recurrent_args *args);
#define mica_nn_lstm(...) mica_nn_lstm_with(MICA_NN_RECURRENT_ARGS(__VA_ARGS__))

#ifdef __cplusplus
}
#endif
#endif
