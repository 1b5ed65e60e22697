// SPDX-License-Identifier: Apache-2.0
// Stores, scopes, layers and a trainer by their C++ names.
#include "mica/mica.hpp"

#include <cmath>
#include <string>

#include "check.h"

namespace {

mica_value model(mica_scope *plain, const mica_value *inputs, void *) {
  mica::nn::scope scope = plain;
  mica::nn::dense_options wide{}, narrow{};
  wide.units = 16;
  narrow.units = 1;
  mica::value x = mica::nn::dense(scope.in("hidden"), inputs[0], wide);
  x = mica::nn::dropout(scope, mica::nn::activate(x, MICA_NN_TANH), 0.0);
  return mica::nn::dense(scope.in("out", 0), x, narrow);
}

mica_value loss(mica_value prediction, const mica_value *targets, void *) {
  mica_value d = mica_sub(prediction, targets[0]);
  return mica_reduce_mean(mica_square(d), mica::all());
}

TEST(trains) {
  mica::error error;
  mica::device device = mica::device::open(mica::device_options(), &error);
  mica::store store(device, 1);
  mica_trainer_args args{};
  args.store = store;
  args.model = model;
  args.loss = loss;
  mica_optimizer_args adam{};
  adam.struct_size = sizeof adam;
  args.optimizer = mica_optimizer_adam_with(&adam);
  args.learning_rate = 0.02;
  mica::trainer trainer(args);
  std::vector<float> x, y;
  for (int i = 0; i < 32; i++) {
    x.push_back(static_cast<float>(i) / 16 - 1);
    y.push_back(std::sin(3 * x.back()));
  }
  mica::tensor in({32, 1}, x), wanted({32, 1}, y);
  double first = 0;
  for (int step = 0; step < 300; step++) {
    CHECK_OK_ERROR(trainer.step({in.get(), wanted.get()}, &error), &error);
    if (step == 0) first = trainer.last().loss;
  }
  CHECK(trainer.last().loss < 0.05 * first);
  CHECK_OK_ERROR(trainer.evaluate({in.get(), wanted.get()}, &error), &error);
  CHECK(trainer.evaluation().loss < 0.05 * first);
  CHECK_EQ_INT(store.count(), 4);
  CHECK_EQ_INT(store.parameters(true), 16 + 16 + 16 + 1);
  CHECK(store.summary().find("out0/kernel") != std::string::npos);
}

// Every layer has its C++ name.
TEST(layers) {
  mica::error error;
  mica::device device = mica::device::open();
  mica::store store(device, 1);
  mica_graph *graph = mica_graph_create(nullptr);
  {
    mica::nn::open_scope scope(store, graph, true);
    namespace nn = mica::nn;
    auto image = [&] { return mica::value(mica_ones(graph, mica::type(MICA_F32, {2, 6, 6, 4}))); };
    auto lines = [&] { return mica::value(mica_ones(graph, mica::type(MICA_F32, {2, 5, 8}))); };
    mica_nn_conv_args conv{};
    conv.channels = 4;
    mica_nn_norm_args norm{}, groups{};
    groups.groups = 2;
    mica_nn_recurrent_args units{};
    units.units = 3;
    mica_nn_attention_args heads{};
    heads.heads = 2;
    mica_nn_transformer_args block{};
    block.attention.heads = 2;
    mica_nn_embedding_args table{};
    table.count = 7;
    table.units = 8;
    mica_nn_fnn_args fnn{};
    fnn.out = 2;
    mica_nn_experts_args experts{};
    experts.experts = 3;
    mica_nn_kan_args kan{};
    kan.units = 2;
    std::vector<mica::value> all = {
        nn::conv(scope.in("1"), image(), conv),
        nn::depthwise_conv(scope.in("2"), image()),
        nn::separable_conv(scope.in("3"), image(), conv),
        nn::conv_transpose(scope.in("4"), image(), conv),
        nn::batch_norm(scope.in("5"), image(), norm),
        nn::layer_norm(scope.in("6"), image()),
        nn::rms_norm(scope.in("7"), image()),
        nn::group_norm(scope.in("8"), image(), groups),
        nn::instance_norm(scope.in("9"), image()),
        nn::attention(scope.in("10"), lines(), heads),
        nn::transformer_block(scope.in("11"), lines(), block),
        nn::rnn(scope.in("12"), lines(), units),
        nn::gru(scope.in("13"), lines(), units),
        nn::lstm(scope.in("14"), lines(), units),
        nn::embedding(scope.shared("15"), mica_zeros(graph, mica::type(MICA_I32, {2, 5})), table),
        nn::embedding_logits(scope.shared("15"), lines(), 7),
        nn::drop_path(scope, lines(), 0.1),
        nn::drop_block(scope, image(), 0.1, 2),
        nn::gaussian_noise(scope, lines(), 0.1),
        nn::dynamic_tanh(scope.in("16"), lines()),
        nn::norm_by_name(scope.in("17"), lines(), "rms"),
        nn::leaky_relu(lines(), 0.1),
        nn::elu(lines()),
        nn::celu(lines()),
        nn::maxout(lines(), 2),
        nn::prelu(scope.in("18"), lines()),
        nn::sinusoidal(mica_iota(graph, mica::type(MICA_I32, {4}), 0), 6),
        nn::learned_positions(scope.in("19"), lines(), 9),
        nn::fnn(scope.in("20"), lines(), fnn),
        nn::experts(scope.in("21"), lines(), experts),
        nn::rational(scope.in("22"), lines()),
        nn::kan(scope.in("23"), lines(), kan),
        nn::bsplines(lines(), 2, 4, -1, 1),
        nn::calibration(scope.in("24"), mica_ones(graph, mica::type(MICA_F32, {3, 2})),
                        mica::tensor({2, 2}, std::vector<float>{0, 1, 0, 2})),
        nn::vector_dense(scope.in("25"), mica_ones(graph, mica::type(MICA_F32, {2, 4, 3})), 5),
        nn::vector_relu(scope.in("26"), mica_ones(graph, mica::type(MICA_F32, {2, 4, 3}))),
        nn::vector_layer_norm(scope.in("27"), mica_ones(graph, mica::type(MICA_F32, {2, 4, 3}))),
        nn::vector_dropout(scope.in("28"), mica_ones(graph, mica::type(MICA_F32, {2, 4, 3})), 0.2),
        nn::rope(mica_ones(graph, mica::type(MICA_F32, {2, 5, 2, 4})),
                 mica_iota(graph, mica::type(MICA_I32, {5}), 0))};
    for (std::size_t i = 0; i < all.size(); i++)
      if (!all[i].valid()) CHECK_FAIL("layer %zu", i);
    CHECK_OK_ERROR(mica_graph_status(graph, &error), &error);
    CHECK(scope.training());
    CHECK_EQ_STR(scope.in("a").path(), "a");
    CHECK_NEAR(scope.number("b", 2), 2, 0);
  }
  CHECK_OK_ERROR(mica_graph_status(graph, &error), &error);
  mica_graph_destroy(graph);
}

}  // namespace

TEST_MAIN(TEST_CASE(trains), TEST_CASE(layers))
