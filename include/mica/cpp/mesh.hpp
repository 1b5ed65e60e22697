// SPDX-License-Identifier: Apache-2.0
// mesh.hpp: several devices: meshes, arrays in parts, regions that are written for one device of many, and
// what devices tell each other (mica/mesh.h says what the texts mean).
#ifndef MICA_CPP_MESH_HPP
#define MICA_CPP_MESH_HPP
#include "mica/cpp/blocks.hpp"
#include "mica/cpp/run.hpp"
#include "mica/mesh.h"

namespace mica {

// "data=2, model=4". Empty on failure; `details` says why.
class mesh : public detail::shared<mica_mesh, mica_mesh_retain, mica_mesh_release> {
 public:
  using shared::shared;
  explicit mesh(const char *axes, mica_error *details = nullptr)
      : mesh(mica_mesh_create(axes, details)) {}
  const char *text() const { return mica_mesh_text(get()); }
  std::int64_t device_count() const { return mica_mesh_device_count(get()); }
  std::int64_t axis_size(const char *name) const { return mica_mesh_axis_size(get(), name); }
  // Who has which part of an array of this shape.
  std::string picture(mica::shape whole, const char *sharding) const {
    return detail::text_of([&](char *to, std::size_t size) {
      return mica_sharding_format(get(), whole, sharding, to, size);
    });
  }
};

// An array in parts, one for each device.
class sharded_tensor : public detail::shared<mica_sharded_tensor, mica_sharded_tensor_retain,
                                             mica_sharded_tensor_release> {
 public:
  using shared::shared;
  // Cut as `sharding` says; empty on failure.
  sharded_tensor(const tensor &whole, const mesh &on, const char *sharding,
                 mica_error *details = nullptr)
      : sharded_tensor(cut(whole, on, sharding, details)) {}
  tensor part(std::int64_t device) const {
    return tensor(mica_tensor_retain(mica_sharded_tensor_part(get(), device)));
  }
  tensor merge(mica_error *details = nullptr) const {
    mica_tensor *whole = nullptr;
    mica_sharded_tensor_merge(get(), &whole, details);
    return tensor(whole);
  }
  const char *sharding() const { return mica_sharded_tensor_sharding(get()); }

 private:
  static mica_sharded_tensor *cut(const tensor &whole, const mesh &on, const char *sharding,
                                  mica_error *details) {
    mica_sharded_tensor *made = nullptr;
    mica_tensor_shard(whole.get(), on.get(), sharding, &made, details);
    return made;
  }
};

// An array in parts as a tensor that lies in those parts on the device's devices; empty on failure.
inline tensor to_device(const device &on, const sharded_tensor &x, mica_error *details = nullptr) {
  mica_tensor *placed = nullptr;
  mica_sharded_tensor_to_device(on.get(), x.get(), &placed, details);
  return tensor(placed);
}
// A call of a jit that has a mesh on arrays in parts; `count` results, none on failure.
inline std::vector<sharded_tensor> call_sharded(const jit &f, const std::vector<sharded_tensor> &in,
                                                std::size_t count, mica_error *details = nullptr) {
  std::vector<mica_sharded_tensor *> given, made(count, nullptr);
  for (const sharded_tensor &x : in) given.push_back(x.get());
  std::vector<sharded_tensor> out;
  if (mica_jit_call_sharded(f.get(), given.data(), given.size(), made.data(), count, details) ==
      MICA_OK)
    for (mica_sharded_tensor *one : made) out.emplace_back(one);
  return out;
}

// x, laid out like this.
inline value shard(value x, const mesh &on, const char *sharding) {
  return mica_shard(x, on.get(), sharding);
}

// f on each device's parts of `in`; its results are put together. Shardings may be fewer: the rest is whole.
template <class I, class F>
auto manual(const mesh &on, const I &in, std::vector<const char *> shardings,
            std::vector<const char *> result_shardings, F &&f) {
  std::vector<mica_value> whole = detail::plain(in);
  shardings.resize(whole.size(), nullptr);
  mica_region region = mica_manual_begin(detail::graph_of(whole), on.get(), whole.data(),
                                         shardings.data(), whole.size());
  auto one = f(detail::arguments<I>(region, 0, whole.size()));
  std::vector<mica_value> result = detail::plain(one), out(result.size());
  result_shardings.resize(result.size(), nullptr);
  mica_manual_end(region, result.data(), result_shardings.data(), result.size(), out.data());
  return detail::made<decltype(one)>(out);
}

inline value all_reduce_sum(value x, const char *axes = nullptr) {
  return mica_all_reduce_sum(x, axes);
}
inline value all_reduce_mean(value x, const char *axes = nullptr) {
  return mica_all_reduce_mean(x, axes);
}
inline value all_reduce_prod(value x, const char *axes = nullptr) {
  return mica_all_reduce_prod(x, axes);
}
inline value all_reduce_max(value x, const char *axes = nullptr) {
  return mica_all_reduce_max(x, axes);
}
inline value all_reduce_min(value x, const char *axes = nullptr) {
  return mica_all_reduce_min(x, axes);
}
inline value all_gather(value x, const char *axes, std::int32_t axis) {
  return mica_all_gather(x, axes, axis);
}
inline value reduce_scatter(value x, const char *axes, std::int32_t axis) {
  return mica_reduce_scatter(x, axes, axis);
}
inline value all_to_all(value x, const char *axes, std::int32_t split_axis,
                        std::int32_t concat_axis) {
  return mica_all_to_all(x, axes, split_axis, concat_axis);
}
// pairs {from, to}
inline value collective_permute(value x, const char *axes,
                                const std::vector<std::array<std::int64_t, 2>> &pairs) {
  return mica_collective_permute(x, axes, reinterpret_cast<const std::int64_t(*)[2]>(pairs.data()),
                                 pairs.size());
}
inline value collective_shift(value x, const char *axes, std::int64_t by) {
  return mica_collective_shift(x, axes, by);
}
// The device's position, in the graph of `near`.
inline value axis_index(value near, const char *axes = nullptr) {
  return mica_axis_index(near.graph(), axes);
}

}  // namespace mica
#endif
