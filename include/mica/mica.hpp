// SPDX-License-Identifier: Apache-2.0
// mica.hpp: Mica from C++17, in one header over the same C functions: owners that release by themselves, maths
// by operators, blocks and traces by lambdas, options by name.
//
//   mica::jit f(device, [](mica::value x) {
//     mica::value y = reduce_sum(square(tanh(x)));
//     return std::array<mica::value, 2>{y, gradients(y, x)};
//   });
//   std::vector<mica::tensor> out;
//   mica::error error;
//   if (f.call({x}, out, &error) != MICA_OK) std::puts(error.message);
//
// Ownership: tensor, device, executable and variable share what they hold (a copy retains), graph and jit are
// moved only; a value is a plain handle that owns nothing. Errors: functions return a mica_status and fill an
// error if one is given, as in C; mica::check throws for who wants exceptions, and the header needs none. An
// exception that leaves a trace's lambda becomes the error of that call. Threads: as in C; the lambda of a jit
// may run in any thread that calls it. What has no C++ name yet is called in C: a mica::value is taken for a
// mica_value and back. Example: tests/cpp/test_programs.cc.
#ifndef MICA_HPP
#define MICA_HPP
#include "mica/cpp/arrays.hpp"
#include "mica/cpp/base.hpp"
#include "mica/cpp/blocks.hpp"
#include "mica/cpp/folds.hpp"
#include "mica/cpp/mesh.hpp"
#include "mica/cpp/nn.hpp"
#include "mica/cpp/quantize.hpp"
#include "mica/cpp/run.hpp"
#include "mica/cpp/signal.hpp"
#include "mica/cpp/sorting.hpp"
#include "mica/cpp/train_losses.hpp"
#include "mica/cpp/train_metrics.hpp"
#include "mica/cpp/train_optimizers.hpp"
#include "mica/cpp/train_schedules.hpp"
#include "mica/cpp/values.hpp"
#endif
