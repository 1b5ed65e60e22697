// SPDX-License-Identifier: Apache-2.0
// run.hpp: variables, graphs, executables and jits of lambdas.
#ifndef MICA_CPP_RUN_HPP
#define MICA_CPP_RUN_HPP
#include <array>
#include <exception>
#include <functional>
#include <memory>

#include "mica/cpp/values.hpp"

namespace mica {

// ---- variables, graphs ---------------------------------------------------------------------------------------

// A cell that outlives graphs: parameters, optimizer state, counters.
class variable : public detail::shared<mica_variable, mica_variable_retain, mica_variable_release> {
 public:
  using shared::shared;
  variable(const char *name, const tensor &initial)
      : variable(mica_variable_create(name, initial.get())) {}
  const char *name() const { return mica_variable_name(get()); }
  mica::type type() const { return mica_variable_type(get()); }
  // Its value in a trace, and in the trace of another value.
  value read(mica_graph *graph) const { return mica_variable_read(graph, get()); }
  value read(value near) const { return read(near.graph()); }
  // Stored when the call succeeds.
  void assign(value next) const { mica_variable_assign(get(), next); }
  tensor snapshot() const { return tensor(mica_variable_snapshot(get())); }
  mica_status set(const tensor &next, mica_error *details = nullptr) const {
    return mica_variable_set(get(), next.get(), details);
  }
};

// A graph that somebody else owns, such as the trace of a jit.
class graph_view {
 public:
  graph_view(mica_graph *graph) : graph_(graph) {}
  operator mica_graph *() const { return graph_; }
  value parameter(type of) const { return mica_parameter(graph_, of); }
  value constant(const tensor &of) const { return mica_constant(graph_, of.get()); }
  value scalar(mica_dtype dtype, double number) const { return mica_scalar(graph_, dtype, number); }
  value full(type of, double number) const { return mica_full(graph_, of, number); }
  value iota(type of, std::int32_t axis) const { return mica_iota(graph_, of, axis); }
  value random_key(std::uint64_t seed) const { return mica_random_key(graph_, seed); }
  void set_outputs(const std::vector<value> &outputs) const {
    mica_graph_set_outputs(graph_, detail::plain(outputs).data(), outputs.size());
  }
  mica_status status(mica_error *details = nullptr) const {
    return mica_graph_status(graph_, details);
  }
  std::string text() const {
    return detail::text_of(
        [this](char *to, std::size_t size) { return mica_graph_format(graph_, to, size); });
  }
  std::string html() const {
    return detail::text_of(
        [this](char *to, std::size_t size) { return mica_graph_format_html(graph_, to, size); });
  }

 protected:
  mica_graph *graph_;
};

// A graph of one's own.
class graph : public graph_view {
 public:
  graph() : graph_view(mica_graph_create(nullptr)) {}
  graph(graph &&other) noexcept : graph_view(std::exchange(other.graph_, nullptr)) {}
  graph &operator=(graph &&other) noexcept {
    std::swap(graph_, other.graph_);
    return *this;
  }
  ~graph() { mica_graph_destroy(graph_); }
};

// The scope path of what is built while it lives.
class scope {
 public:
  scope(mica_graph *graph, std::string name) : graph_(graph), name_(std::move(name)) {
    mica_scope_push(graph_, name_.c_str());
  }
  scope(const scope &) = delete;
  scope &operator=(const scope &) = delete;
  ~scope() { mica_scope_pop(graph_, name_.c_str()); }

 private:
  mica_graph *graph_;
  std::string name_;
};

// ---- running --------------------------------------------------------------------------------------------------

namespace detail {

inline std::vector<mica_tensor *> borrowed(const std::vector<tensor> &tensors) {
  std::vector<mica_tensor *> plain;
  for (const tensor &one : tensors) plain.push_back(one.get());
  return plain;
}
// Runs call(out, count) with the outputs handed over and taken back.
template <class F>
mica_status with_outputs(std::vector<tensor> &out, std::size_t count, F call) {
  std::vector<mica_tensor *> made(count, nullptr);
  for (std::size_t i = 0; i < count && i < out.size(); i++) made[i] = out[i].take();
  mica_status status = call(made.data(), count);
  out.clear();
  for (mica_tensor *one : made) out.emplace_back(one);
  return status;
}

// A trace: the lambda with what it takes and gives.
struct trace {
  std::function<void(mica_graph *, const mica_value *, mica_value *)> build;
  std::size_t inputs, outputs;
};
inline void run_trace(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  const trace &self = *static_cast<const trace *>(user);
#if defined(__cpp_exceptions)
  try {
    self.build(graph, in, out);
  } catch (const std::exception &thrown) {
    mica_fail(graph, MICA_INVALID, "the trace threw an exception: %s", thrown.what());
  } catch (...) { mica_fail(graph, MICA_INVALID, "the trace threw an exception"); }
#else
  self.build(graph, in, out);
#endif
}

// How many results a trace has is known before it runs: by the type that the lambda returns.
template <class R>
struct results {
  static_assert(
      std::is_same_v<R, value>,
      "a lambda of mica::jit returns mica::value or std::array<mica::value, N>; for a number "
      "that is known at run time there is mica::jit::counted");
  static constexpr std::size_t count = 1;
};
template <std::size_t N>
struct results<std::array<value, N>> {
  static constexpr std::size_t count = N;
};
template <class R>
constexpr std::size_t results_of = results<std::decay_t<R>>::count;

template <class R, class F, std::size_t... I>
trace trace_of(F f, bool, std::index_sequence<I...>) {
  return {[f](mica_graph *, const mica_value *in, mica_value *out) {
            (void)in;
            for (mica_value one : plain(R(f(value(in[I])...)))) *out++ = one;
          },
          sizeof...(I), results_of<R>};
}
template <class R, class F, std::size_t... I>
trace trace_of(F f, graph_view *, std::index_sequence<I...>) {
  return {[f](mica_graph *graph, const mica_value *in, mica_value *out) {
            (void)in;
            for (mica_value one : plain(R(f(graph_view(graph), value(in[I])...)))) *out++ = one;
          },
          sizeof...(I), results_of<R>};
}
template <class T>
using is_value = std::enable_if_t<std::is_same_v<std::decay_t<T>, value>>;
// Lambdas (value...) and (graph_view, value...) -> value or std::array<value, N>.
template <class F, class R, class C, class... A, class = std::void_t<is_value<A>...>>
trace deduced(F f, R (C::*)(A...) const) {
  return trace_of<R>(std::move(f), true, std::index_sequence_for<A...>());
}
template <class F, class R, class C, class... A, class = std::void_t<is_value<A>...>>
trace deduced(F f, R (C::*)(graph_view, A...) const) {
  return trace_of<R>(std::move(f), static_cast<graph_view *>(nullptr),
                     std::index_sequence_for<A...>());
}
template <class F>
trace trace_from(F f) {
  return deduced(std::move(f), &F::operator());
}
template <class R, class... A>
trace trace_from(R (*f)(A...)) {
  return trace_from([f](A... in) { return f(in...); });
}

}  // namespace detail

// A compiled program.
class executable
    : public detail::shared<mica_executable, mica_executable_retain, mica_executable_release> {
 public:
  using shared::shared;
  // Compiles the graph's outputs and assigns; bit i of donate: input i may be overwritten. Empty on failure.
  static executable compile(const device &on, mica_graph *graph, std::uint64_t donate = 0,
                            mica_error *details = nullptr) {
    mica_executable *made = nullptr;
    mica_compile(on.get(), graph, donate, &made, details);
    return executable(made);
  }
  // Tensors that `out` holds already are overwritten in place, others are made.
  mica_status run(const std::vector<tensor> &in, std::vector<tensor> &out,
                  mica_error *details = nullptr) const {
    std::vector<mica_tensor *> given = detail::borrowed(in);
    return detail::with_outputs(
        out, mica_executable_output_count(get()), [&](mica_tensor **made, std::size_t count) {
          return mica_executable_run(get(), given.data(), given.size(), made, count, details);
        });
  }
  std::string text() const {
    return detail::text_of(
        [this](char *to, std::size_t size) { return mica_executable_format(get(), to, size); });
  }
};

// Options of mica::jit, as in mica_jit_args.
struct jit_options {
  std::uint64_t donate = 0;
  std::size_t cache_limit = 0;
  const char *variant = nullptr;
  const mica_mesh *mesh = nullptr;  // devices, and how inputs and outputs lie on them (mica/mesh.h)
  std::vector<const char *> shardings, output_shardings;
  jit_options &with_mesh(const mica_mesh *on, std::vector<const char *> in,
                         std::vector<const char *> out = {}) {
    return mesh = on, shardings = std::move(in), output_shardings = std::move(out), *this;
  }
  jit_options &with_donate(std::uint64_t bits) { return donate = bits, *this; }
  jit_options &with_cache_limit(std::size_t count) { return cache_limit = count, *this; }
  jit_options &with_variant(const char *name) { return variant = name, *this; }
};

// A lambda that builds a graph, traced and compiled once for each list of input types. It takes values, after
// a graph_view if it wants one, and returns one value or an array; captures must outlive the jit.
class jit {
 public:
  template <class F>
  jit(const device &on, F build, const jit_options &options = {})
      : jit(on, detail::trace_from(std::move(build)), options) {}
  // The same for numbers of inputs and outputs that are known at run time: build(graph_view, vector) -> vector.
  template <class F>
  static jit counted(const device &on, std::size_t inputs, std::size_t outputs, F build,
                     const jit_options &options = {}) {
    return jit(
        on,
        detail::trace{
            [build, inputs, outputs](mica_graph *graph, const mica_value *in, mica_value *out) {
              std::vector<value> results =
                  build(graph_view(graph), std::vector<value>(in, in + inputs));
              if (results.size() != outputs)
                mica_fail(graph, MICA_INVALID, "jit: the trace gave %zu results: expected %zu",
                          results.size(), outputs);
              for (std::size_t i = 0; i < outputs && i < results.size(); i++) out[i] = results[i];
            },
            inputs, outputs},
        options);
  }
  jit(jit &&other) noexcept
      : trace_(std::move(other.trace_)), jit_(std::exchange(other.jit_, nullptr)) {}
  jit &operator=(jit &&other) noexcept {
    std::swap(trace_, other.trace_);
    std::swap(jit_, other.jit_);
    return *this;
  }
  ~jit() { mica_jit_destroy(jit_); }
  mica_jit *get() const { return jit_; }
  // Tensors that `out` holds already are overwritten in place, others are made; empty ones on failure.
  mica_status call(const std::vector<tensor> &in, std::vector<tensor> &out,
                   mica_error *details = nullptr) const {
    std::vector<mica_tensor *> given = detail::borrowed(in);
    return detail::with_outputs(
        out, trace_ ? trace_->outputs : 0, [&](mica_tensor **made, std::size_t count) {
          return mica_jit_call(jit_, given.data(), given.size(), made, count, details);
        });
  }
  // Traces and compiles without running.
  executable compile(const std::vector<type> &in, mica_error *details = nullptr) const {
    std::vector<mica_type> types(in.begin(), in.end());
    mica_executable *made = nullptr;
    mica_jit_compile(jit_, types.data(), types.size(), &made, details);
    return executable(made);
  }
  mica_status set_variant(const char *name, mica_error *details = nullptr) const {
    return mica_jit_set_variant(jit_, name, details);
  }
  std::size_t cache_count() const { return mica_jit_cache_count(jit_); }
  // The trace as a module of StableHLO; empty on failure.
  std::string stablehlo(const std::vector<type> &in, mica_error *details = nullptr) const {
    std::vector<mica_type> types(in.begin(), in.end());
    std::size_t length = 0;
    if (mica_jit_stablehlo(jit_, types.data(), types.size(), nullptr, 0, &length, details) !=
        MICA_OK)
      return {};
    std::string text(length + 1, '\0');
    if (mica_jit_stablehlo(jit_, types.data(), types.size(), text.data(), text.size(), nullptr,
                           details) != MICA_OK)
      return {};
    text.resize(length);
    return text;
  }

 private:
  jit(const device &on, detail::trace traced, const jit_options &options)
      : trace_(std::make_unique<detail::trace>(std::move(traced))) {
    mica_jit_args args{};
    args.struct_size = sizeof args;
    args.device = on.get(), args.build = detail::run_trace, args.user = trace_.get();
    args.inputs = trace_->inputs, args.outputs = trace_->outputs;
    args.donate = options.donate, args.cache_limit = options.cache_limit,
    args.variant = options.variant;
    std::vector<const char *> in = options.shardings, out = options.output_shardings;
    in.resize(args.inputs, nullptr), out.resize(args.outputs, nullptr);
    args.mesh = options.mesh, args.shardings = in.data(), args.output_shardings = out.data();
    jit_ = mica_jit_create_with(&args);
  }
  std::unique_ptr<detail::trace> trace_;  // its address is the callback's user pointer
  mica_jit *jit_ = nullptr;
};

// The tensor where the device computes; the upload may go on after the call. Empty on failure.
inline tensor to_device(const device &on, const tensor &x, mica_error *details = nullptr) {
  mica_tensor *placed = nullptr;
  mica_tensor_to_device(on.get(), x.get(), &placed, details);
  return tensor(placed);
}

// Traces, compiles, runs and forgets.
template <class F>
mica_status call_once(const device &on, F build, const std::vector<tensor> &in,
                      std::vector<tensor> &out, mica_error *details = nullptr) {
  detail::trace traced = detail::trace_from(std::move(build));
  std::vector<mica_tensor *> given = detail::borrowed(in);
  return detail::with_outputs(out, traced.outputs, [&](mica_tensor **made, std::size_t count) {
    return mica_call_once(on.get(), detail::run_trace, &traced, given.data(), given.size(), made,
                          count, details);
  });
}
// The value of one graph value that depends on no parameter; empty on failure.
inline tensor evaluate(const device &on, value of, mica_error *details = nullptr) {
  mica_tensor *made = nullptr;
  mica_evaluate(on.get(), of, &made, details);
  return tensor(made);
}

}  // namespace mica
#endif
