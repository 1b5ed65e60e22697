/* SPDX-License-Identifier: Apache-2.0 */
/* Several devices through mica.hpp. */
#include <cstring>
#include <vector>

#include "check.h"
#include "mica/mica.hpp"

namespace {

using mica::tensor;
using mica::value;

mica_error why;

void check_values(const tensor &got, const std::vector<float> &wanted) {
  std::vector<float> values = got.values<float>();
  CHECK_EQ_INT(values.size(), wanted.size());
  for (std::size_t i = 0; i < values.size() && i < wanted.size(); i++)
    CHECK_NEAR(values[i], wanted[i], 1e-6);
}

TEST(meshes_and_parts) {
  mica::mesh mesh("data=2, model=2", &why), wrong("data=0", &why);
  CHECK(mesh && !wrong);
  CHECK_EQ_INT(mesh.device_count(), 4);
  CHECK_EQ_INT(mesh.axis_size("model"), 2);
  CHECK(std::strstr(mesh.picture({4, 2}, "data, model").c_str(), "|  2  |  3  |") != nullptr);
  tensor x({4, 2}, {0.f, 1.f, 2.f, 3.f, 4.f, 5.f, 6.f, 7.f});
  mica::sharded_tensor parts(x, mesh, "model, -");
  check_values(parts.part(1), {4, 5, 6, 7});
  check_values(parts.merge(), x.values<float>());
  CHECK_EQ_STR(parts.sharding(), "model, -");
}

TEST(calls_on_arrays_in_parts) {
  mica::device device = mica::device::open(mica::device_options(), &why);
  mica::mesh mesh("r=2");
  mica::jit_options options;
  mica::jit f(
      device, [](value x) { return x + x; }, options.with_mesh(mesh.get(), {"r"}, {"r"}));
  mica::sharded_tensor x(tensor({4}, {1.f, 2.f, 3.f, 4.f}), mesh, "r");
  std::vector<mica::sharded_tensor> out = mica::call_sharded(f, {x}, 1, &why);
  if (!CHECK_EQ_INT(out.size(), 1)) return;
  check_values(out[0].part(1), {6, 8});
  check_values(mica::to_device(device, out[0]), {2, 4, 6, 8});
  CHECK(mica::call_sharded(f, {x}, 2, &why).empty());
  why = mica_error{};
}

TEST(regions_take_lambdas) {
  mica::device device = mica::device::open(mica::device_options(), &why);
  mica::mesh mesh("r=2");
  mica::jit f(device, [mesh](value x) {
    value sum = mica::manual(mesh, x, {"r"}, {}, [](value part) {
      return all_reduce_sum(reduce_sum(square(part)), "r");
    });
    std::array<value, 2> both = mica::manual(
        mesh, std::array<value, 2>{x, x}, {"r", "r"}, {"r", "r"}, [](std::array<value, 2> part) {
          value place = convert(mica::axis_index(part[0]), MICA_F32);
          return std::array<value, 2>{mica::collective_shift(part[0], "r", 1) + place,
                                      mica::collective_permute(part[1], "r", {{0, 1}})};
        });
    return std::array<value, 4>{sum, gradients(sum, x), both[0], mica::shard(both[1], mesh, "r")};
  });
  std::vector<tensor> out;
  if (!CHECK(f.call({tensor({4}, {1.f, 2.f, 3.f, 4.f})}, out, &why) == MICA_OK)) return;
  check_values(out[0], {30});
  check_values(out[1], {2, 4, 6, 8});
  check_values(out[2], {3, 4, 2, 3});
  check_values(out[3], {0, 0, 1, 2});
}

TEST(all_collectives) {
  mica::device device = mica::device::open(mica::device_options(), &why);
  mica::mesh mesh("r=2");
  mica::jit f(device, [mesh](value x) {
    return mica::manual(mesh, x, {"r, -"}, {"", "", "", "", "", "r, -", "-, r"}, [](value part) {
      return std::array<value, 7>{
          mica::all_reduce_mean(part),      mica::all_reduce_prod(part),
          mica::all_reduce_max(part),       mica::all_reduce_min(part),
          mica::all_gather(part, "r", 0),   transpose(mica::reduce_scatter(part, "r", 1)),
          mica::all_to_all(part, "r", 1, 0)};
    });
  });
  std::vector<tensor> out;
  if (!CHECK(f.call({tensor({2, 2}, {1.f, 2.f, 3.f, 5.f})}, out, &why) == MICA_OK)) return;
  check_values(out[0], {2, 3.5f});
  check_values(out[1], {3, 10});
  check_values(out[2], {3, 5});
  check_values(out[3], {1, 2});
  check_values(out[4], {1, 2, 3, 5});
  check_values(out[5], {4, 7});
  check_values(out[6], {1, 2, 3, 5});
}

TEST(layouts_of_a_jit) {
  mica::device device = mica::device::open(mica::device_options(), &why);
  mica::mesh mesh("r=2");
  mica::jit f(
      device, [](value x) { return x + x; },
      mica::jit_options().with_mesh(mesh.get(), {"r, ..."}, {"r, -"}));
  std::vector<tensor> out;
  CHECK(f.call({tensor({2, 1}, {1.f, 2.f})}, out, &why) == MICA_OK);
  check_values(out[0], {2, 4});
  mica_error wrong{};
  CHECK(f.call({tensor({3, 1}, {1.f, 2.f, 3.f})}, out, &wrong) == MICA_INVALID);
  CHECK(std::strstr(wrong.message, "does not divide into 2 parts") != nullptr);
}

}  // namespace

TEST_MAIN(TEST_CASE(meshes_and_parts), TEST_CASE(calls_on_arrays_in_parts),
          TEST_CASE(regions_take_lambdas), TEST_CASE(all_collectives), TEST_CASE(layouts_of_a_jit))
