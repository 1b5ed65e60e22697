// SPDX-License-Identifier: Apache-2.0
// nn.hpp: stores, scopes, layers and trainers in C++. Options are structs with the members of the C ones:
//
//   mica::store store(device, 42);
//   auto x = mica::nn::dense(scope.in("hidden"), x, {.units = 128});      // C++20, or set members one by one
//
// A scope belongs to its trace; a store owns its variables.
#ifndef MICA_CPP_NN_HPP
#define MICA_CPP_NN_HPP
#include "mica/cpp/run.hpp"
#include "mica/nn.h"
#include "mica/train.h"

namespace mica {

namespace nn {

// A path into a store, while a graph is traced; a plain handle.
class scope {
 public:
  scope(mica_scope *plain = nullptr) : plain_(plain) {}
  operator mica_scope *() const { return plain_; }
  scope in(const char *name) const { return mica_scope_in(plain_, name); }
  scope in(const char *name, std::int64_t index) const {
    return mica_scope_in_index(plain_, name, index);
  }
  scope shared(const char *name) const { return mica_scope_shared(plain_, name); }
  scope reuse(const char *name) const { return mica_scope_reuse(plain_, name); }
  const char *path() const { return mica_scope_path(plain_); }
  bool training() const { return mica_scope_is_training(plain_); }
  mica_graph *graph() const { return mica_scope_graph(plain_); }
  value variable(const char *name, mica::type of, mica_initializer initializer = {}) const {
    return mica_scope_variable(plain_, name, of, initializer);
  }
  value state(const char *name, mica::type of, mica_initializer initializer = {}) const {
    return mica_scope_state(plain_, name, of, initializer);
  }
  void assign(const char *name, value now) const { mica_scope_assign(plain_, name, now); }
  value key() const { return mica_scope_key(plain_); }
  void add_loss(value loss) const { mica_scope_add_loss(plain_, loss); }
  double number(const char *name, double otherwise) const {
    return mica_scope_get_number(plain_, name, otherwise);
  }
  std::int64_t integer(const char *name, std::int64_t otherwise) const {
    return mica_scope_get_integer(plain_, name, otherwise);
  }
  bool flag(const char *name, bool otherwise) const {
    return mica_scope_get_flag(plain_, name, otherwise);
  }
  const char *text(const char *name, const char *otherwise) const {
    return mica_scope_get_text(plain_, name, otherwise);
  }

 private:
  mica_scope *plain_;
};

// The root scope of a trace, closed at the end of the block.
class open_scope : public scope {
 public:
  open_scope(mica_store *store, mica_graph *graph, bool training = false)
      : scope(mica_scope_open(store, graph, training)) {}
  open_scope(const open_scope &) = delete;
  open_scope &operator=(const open_scope &) = delete;
  ~open_scope() { mica_scope_close(*this); }
};

}  // namespace nn

namespace detail {
// Destroys what it holds; moved only.
template <class T, void (*destroy)(T *)>
class owned {
 public:
  explicit owned(T *held = nullptr) : held_(held) {}
  owned(owned &&other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
  owned &operator=(owned &&other) noexcept {
    std::swap(held_, other.held_);
    return *this;
  }
  ~owned() { destroy(held_); }
  T *get() const { return held_; }
  operator T *() const { return held_; }

 private:
  T *held_;
};
}  // namespace detail

class store : public detail::owned<mica_store, mica_store_destroy> {
 public:
  store(const mica::device &on, std::uint64_t seed) : owned(mica_store_create(on.get(), seed)) {}
  std::size_t count() const { return mica_store_count(get()); }
  std::int64_t parameters(bool trainable_only = false) const {
    return mica_store_parameter_count(get(), trainable_only);
  }
  std::string summary() const {
    return detail::text_of(
        [this](char *to, std::size_t size) { return mica_store_summary(get(), to, size); });
  }
  mica_status set(const char *settings, mica_error *error = nullptr) const {
    return mica_store_set(get(), settings, error);
  }
};

class trainer : public detail::owned<mica_trainer, mica_trainer_destroy> {
 public:
  // store, model and loss are members of `args`.
  explicit trainer(mica_trainer_args args) : owned(made(args)) {}
  mica_status step(const std::vector<mica_tensor *> &batch, mica_error *error = nullptr) const {
    return mica_trainer_step(get(), batch.data(), batch.size(), error);
  }
  mica_status evaluate(const std::vector<mica_tensor *> &batch, mica_error *error = nullptr) const {
    return mica_trainer_evaluate(get(), batch.data(), batch.size(), error);
  }
  mica_status evaluate(mica_dataset *data, mica_error *error = nullptr) const {
    return mica_trainer_evaluate_dataset(get(), data, error);
  }
  // Of training, or of the evaluation.
  std::vector<double> metrics(bool training, mica_error *error = nullptr) const {
    std::vector<double> numbers(mica_trainer_metric_count(get()));
    mica_status status =
        mica_trainer_metric_numbers(get(), training, numbers.data(), numbers.size(), error);
    if (status != MICA_OK) numbers.clear();
    return numbers;
  }
  mica_trainer_result last() const { return mica_trainer_last(get()); }
  mica_trainer_result evaluation() const { return mica_trainer_evaluation(get()); }

 private:
  static mica_trainer *made(mica_trainer_args args) {
    args.struct_size = sizeof args;
    return mica_trainer_create_with(&args);
  }
};

// ---- layers: the C options with scope and x filled in -------------------------------------------------

namespace nn {

#define MICA_CPP_LAYER(name)                                          \
  using name##_options = mica_nn_##name##_args;                       \
  inline value name(scope at, value x, name##_options options = {}) { \
    options.struct_size = sizeof options;                             \
    options.scope = at;                                               \
    options.x = x;                                                    \
    return mica_nn_##name##_with(&options);                           \
  }
#define MICA_CPP_LAYER_OF(name, args)                       \
  inline value name(scope at, value x, args options = {}) { \
    options.struct_size = sizeof options;                   \
    options.scope = at;                                     \
    options.x = x;                                          \
    return mica_nn_##name##_with(&options);                 \
  }
MICA_CPP_LAYER(dense)
MICA_CPP_LAYER(conv)
MICA_CPP_LAYER(attention)
MICA_CPP_LAYER(fnn)
MICA_CPP_LAYER(experts)
MICA_CPP_LAYER(rational)
MICA_CPP_LAYER(kan)
MICA_CPP_LAYER_OF(depthwise_conv, mica_nn_conv_args)
MICA_CPP_LAYER_OF(separable_conv, mica_nn_conv_args)
MICA_CPP_LAYER_OF(conv_transpose, mica_nn_conv_args)
MICA_CPP_LAYER_OF(batch_norm, mica_nn_norm_args)
MICA_CPP_LAYER_OF(layer_norm, mica_nn_norm_args)
MICA_CPP_LAYER_OF(rms_norm, mica_nn_norm_args)
MICA_CPP_LAYER_OF(group_norm, mica_nn_norm_args)
MICA_CPP_LAYER_OF(instance_norm, mica_nn_norm_args)
MICA_CPP_LAYER_OF(transformer_block, mica_nn_transformer_args)
MICA_CPP_LAYER_OF(rnn, mica_nn_recurrent_args)
MICA_CPP_LAYER_OF(gru, mica_nn_recurrent_args)
MICA_CPP_LAYER_OF(lstm, mica_nn_recurrent_args)
#undef MICA_CPP_LAYER
#undef MICA_CPP_LAYER_OF
inline value embedding(scope at, value ids, mica_nn_embedding_args options) {
  options.struct_size = sizeof options;
  options.scope = at;
  options.ids = ids;
  return mica_nn_embedding_with(&options);
}
inline value embedding_logits(scope at, value x, std::int64_t count) {
  return mica_nn_embedding_logits(at, x, count);
}
inline value dropout(scope at, value x, double rate) { return mica_nn_dropout(at, x, rate); }
inline value drop_path(scope at, value x, double rate) { return mica_nn_drop_path(at, x, rate); }
inline value drop_block(scope at, value x, double rate, std::int32_t size) {
  return mica_nn_drop_block(at, x, rate, size);
}
inline value gaussian_noise(scope at, value x, double deviation) {
  return mica_nn_gaussian_noise(at, x, deviation);
}
inline value dynamic_tanh(scope at, value x, double alpha = 0) {
  return mica_nn_dynamic_tanh(at, x, alpha);
}
inline value norm_by_name(scope at, value x, const char *name) {
  return mica_nn_norm_by_name(at, x, name);
}
inline value activate(value x, mica_nn_activation activation) {
  return mica_nn_activate(x, activation);
}
inline value leaky_relu(value x, double slope) { return mica_nn_leaky_relu(x, slope); }
inline value elu(value x, double alpha = 1) { return mica_nn_elu(x, alpha); }
inline value celu(value x, double alpha = 1) { return mica_nn_celu(x, alpha); }
inline value maxout(value x, std::int64_t pieces) { return mica_nn_maxout(x, pieces); }
inline value prelu(scope at, value x) { return mica_nn_prelu(at, x); }
inline value rope(value x, value positions, mica_rope options = {}) {
  return mica_nn_rope(x, positions, options);
}
inline value sinusoidal(value positions, std::int64_t width, mica_dtype dtype = MICA_F32) {
  return mica_nn_sinusoidal(positions, width, dtype);
}
inline value learned_positions(scope at, value x, std::int64_t length, value first = {}) {
  return mica_nn_learned_positions(at, x, length, first);
}
inline value calibration(scope at, value x, const tensor &keypoints, double low = 0,
                         double high = 1, bool monotonic = false) {
  return mica_nn_calibration(at, x, keypoints.get(), low, high, monotonic);
}
inline value bsplines(value x, std::int32_t degree, std::int64_t intervals, double low,
                      double high) {
  return mica_nn_bsplines(x, degree, intervals, low, high);
}
inline value vector_dense(scope at, value x, std::int64_t units) {
  return mica_nn_vector_dense(at, x, units);
}
inline value vector_relu(scope at, value x, double slope = 0) {
  return mica_nn_vector_relu(at, x, slope);
}
inline value vector_layer_norm(scope at, value x) { return mica_nn_vector_layer_norm(at, x); }
inline value vector_dropout(scope at, value x, double rate) {
  return mica_nn_vector_dropout(at, x, rate);
}
inline value vector_products(value x, value y) { return mica_nn_vector_products(x, y); }

}  // namespace nn
}  // namespace mica
#endif
