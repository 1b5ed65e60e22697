// SPDX-License-Identifier: Apache-2.0
// blocks.hpp: loops, branches, vmap and their like from lambdas. What a lambda builds belongs to the block;
// outer values are captured freely. State, inputs and results are one value, an array or a vector of them.
#ifndef MICA_CPP_BLOCKS_HPP
#define MICA_CPP_BLOCKS_HPP
#include "mica/cpp/values.hpp"

namespace mica {

// while (condition(state)) state = body(state); `bound` iterations at most, 0: unbounded, not differentiable.
template <class S, class Condition, class Body>
S while_loop(const S &state, Condition &&condition, Body &&body, std::int64_t bound = 0) {
  std::vector<mica_value> in = detail::plain(state), out(in.size());
  mica_region loop = mica_while_begin(detail::graph_of(in), in.data(), in.size(), bound);
  mica_while_body(loop, value(condition(detail::arguments<S>(loop, 0, in.size()))));
  std::vector<mica_value> next = detail::plain(S(body(detail::arguments<S>(loop, 0, in.size()))));
  next.resize(in.size(), mica_value{});
  mica_while_end(loop, next.data(), out.data());
  return detail::made<S>(out);
}

// condition ? then() : otherwise(), built both, one of them run.
template <class Then, class Else>
auto if_else(value condition, Then &&then, Else &&otherwise) {
  using R = decltype(then());
  mica_region choice = mica_if_begin(condition);
  std::vector<mica_value> first = detail::plain(R(then()));
  mica_if_else(choice, first.data(), first.size());
  std::vector<mica_value> second = detail::plain(R(otherwise())), out(second.size());
  mica_if_end(choice, second.data(), second.size(), out.data());
  return detail::made<R>(out);
}

// The case of number `index` (i32 []), the last one when there is none.
template <class First, class... Others>
auto switch_case(value index, First &&first, Others &&...others) {
  using R = decltype(first());
  mica_region choice = mica_switch_begin(index);
  std::vector<mica_value> result = detail::plain(R(first())), out(result.size());
  ((mica_switch_next(choice, result.data(), result.size()), result = detail::plain(R(others()))),
   ...);
  out.resize(result.size());
  mica_switch_end(choice, result.data(), result.size(), out.data());
  return detail::made<R>(out);
}

// body(carry, item) -> std::pair(next carry, emitted), for each item along axis 0 (backwards: from the last on);
// gives the last carry and what was emitted, stacked.
template <class C, class I, class Body>
auto scan(const C &carry, const I &items, Body &&body, bool backwards = false) {
  using pair = decltype(body(carry, items));
  using E = typename pair::second_type;
  std::vector<mica_value> from = detail::plain(carry), over = detail::plain(items),
                          last(from.size());
  mica_graph *graph = from.empty() ? detail::graph_of(over) : detail::graph_of(from);
  mica_region loop = mica_scan_begin_count(graph, from.data(), from.size(), over.data(),
                                           over.size(), -1, backwards);
  pair made = body(detail::arguments<C>(loop, 0, from.size()),
                   detail::arguments<I>(loop, from.size(), over.size()));
  std::vector<mica_value> next = detail::plain(C(made.first)), emitted = detail::plain(made.second);
  next.resize(from.size(), mica_value{});
  std::vector<mica_value> stacked(emitted.size());
  mica_scan_end(loop, next.data(), emitted.data(), emitted.size(), last.data(), stacked.data());
  return std::pair<C, E>(detail::made<C>(last), detail::made<E>(stacked));
}

// f for each example along axis in_axes[i] of in[i] (-1: the whole value; none given: all 0), without a loop.
template <class I, class F>
auto vmap(const I &in, F &&f, std::vector<std::int32_t> in_axes = {}) {
  std::vector<mica_value> whole = detail::plain(in);
  in_axes.resize(whole.size(), 0);
  mica_region each =
      mica_vmap_begin(detail::graph_of(whole), whole.data(), in_axes.data(), whole.size());
  auto one = f(detail::arguments<I>(each, 0, whole.size()));
  std::vector<mica_value> result = detail::plain(one), out(result.size());
  mica_vmap_end(each, result.data(), result.size(), out.data());
  return detail::made<decltype(one)>(out);
}

// f(in) as one block in pictures and profiles.
template <class I, class F>
auto call(const I &in, F &&f) {
  std::vector<mica_value> given = detail::plain(in);
  mica_region block = mica_call_begin(detail::graph_of(given), given.data(), given.size());
  auto inside = f(detail::arguments<I>(block, 0, given.size()));
  std::vector<mica_value> result = detail::plain(inside), out(result.size());
  mica_call_end(block, result.data(), result.size(), out.data());
  return detail::made<decltype(inside)>(out);
}

// f(in), computed again in the backward pass instead of kept.
template <class I, class F>
auto recompute(const I &in, F &&f) {
  std::vector<mica_value> given = detail::plain(in);
  mica_region block = mica_recompute_begin(detail::graph_of(given), given.data(), given.size());
  auto inside = f(detail::arguments<I>(block, 0, given.size()));
  std::vector<mica_value> result = detail::plain(inside), out(result.size());
  mica_recompute_end(block, result.data(), result.size(), out.data());
  return detail::made<decltype(inside)>(out);
}

// f(in), whose gradient is backward(in, cotangents of the results).
template <class I, class F, class Backward>
auto custom_gradient(const I &in, F &&f, Backward &&backward) {
  std::vector<mica_value> given = detail::plain(in);
  mica_region block =
      mica_custom_gradient_begin(detail::graph_of(given), given.data(), given.size());
  auto inside = f(detail::arguments<I>(block, 0, given.size()));
  using R = decltype(inside);
  std::vector<mica_value> result = detail::plain(inside), out(result.size());
  mica_custom_gradient_backward(block, result.data(), result.size());
  I gradient = backward(detail::arguments<I>(block, 0, given.size()),
                        detail::arguments<R>(block, given.size(), result.size()));
  std::vector<mica_value> back = detail::plain(gradient);
  back.resize(given.size(), mica_value{});
  mica_custom_gradient_end(block, back.data(), out.data(), out.size());
  return detail::made<R>(out);
}

}  // namespace mica
#endif
