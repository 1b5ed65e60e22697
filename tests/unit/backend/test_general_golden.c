/* SPDX-License-Identifier: Apache-2.0 */
/* Operators whose operator is a block against plain loops and JAX (tests/golden/general.npz, made by
 * tests/golden/general.py), on both backends. */
#include <string.h>

#include "conformance/cases/general.h"
#include "unit/backend/golden.h"

GOLDEN(reduce, out[0] = reduce_circle(in[0], in[1], in[2], MICA_AXES(1)))
GOLDEN(reduce_maps, reduce_maps(in, MICA_AXES(1), out))
GOLDEN(place, reduce_place(in[0], out))
GOLDEN(scan, scan_maps(in, 1, false, out))
GOLDEN(scan_back, scan_maps(in, -1, true, out))
GOLDEN(window, out[0] = window_circle(in[0], in[1], in[2]))
GOLDEN(window_maps, window_maps(in, out))
GOLDEN(select, out[0] = select_by_size(in[0], in[1], in[2], in[3]))
GOLDEN(scatter, out[0] = scatter_circle(in[0], in[1], in[2], in[3]))
GOLDEN(scatter_maps, scatter_maps(in, out))
GOLDEN(sort, sort_by_distance(in, mica_scalar(g, MICA_F64, 0.25), 1, out))
GOLDEN(sort_two, sort_by_two(in, out))

static const golden_case general_cases[] = {
    {"reduce", build_reduce, 3, 1, 1e-12},
    {"reduce_maps", build_reduce_maps, 2, 2, 1e-12},
    {"place", build_place, 1, 2, 0},
    {"scan", build_scan, 2, 2, 1e-12},
    {"scan_back", build_scan_back, 2, 2, 1e-12},
    {"window", build_window, 3, 1, 1e-12},
    {"window_maps", build_window_maps, 2, 2, 1e-12},
    {"select", build_select, 4, 1, 1e-12},
    {"scatter", build_scatter, 4, 1, 1e-12},
    {"scatter_maps", build_scatter_maps, 5, 2, 1e-12},
    {"sort_1", build_sort, 2, 2, 0},
    {"sort_2", build_sort, 2, 2, 0},
    {"sort_37", build_sort, 2, 2, 0},
    {"sort_300", build_sort, 2, 2, 0},
    {"sort_two_1", build_sort_two, 2, 2, 0},
    {"sort_two_2", build_sort_two, 2, 2, 0},
    {"sort_two_37", build_sort_two, 2, 2, 0},
    {"sort_two_300", build_sort_two, 2, 2, 0},
};

TEST(blocks_give_the_golden_values) {
  size_t count = sizeof general_cases / sizeof general_cases[0];
  check_golden_file("reference", "general.npz", general_cases, count);
  check_golden_file("cpu", "general.npz", general_cases, count);
}

/* What is recognized is the fixed operator, and nothing else. */
static int nodes_of(const char *text, const char *op) {
  int count = 0;
  for (const char *at = text; (at = strstr(at, op)) != NULL; at++) count++;
  return count;
}
TEST(known_blocks_are_fixed_operators) {
  static char text[1 << 16];
  mica_graph *g = mica_graph_create(NULL);
  mica_value x = mica_parameter(g, (mica_type){MICA_F32, MICA_DIMS(4, 4)});
  mica_value y = mica_parameter(g, (mica_type){MICA_F32, MICA_DIMS(3, 2)});
  mica_value row = mica_parameter(g, (mica_type){MICA_F32, MICA_DIMS(4)});
  mica_value ids = mica_parameter(g, (mica_type){MICA_I32, MICA_DIMS(4)});
  mica_value out[9] = {reduce_by(x, 0, (mica_add), MICA_ALL),
                       window_known(x),
                       select_known(x, y, 0, true),
                       select_known(x, y, 0, false),
                       scatter_by(row, ids, row, (mica_max)),
                       scatter_by(row, ids, row, NULL),
                       scan_products(mica_reshape(x, MICA_DIMS(4, 2, 2)))};
  mica_value three[3] = {row, row, row};
  sort_known(three, 2, false, out + 7);
  mica_graph_set_outputs(g, out, 9);
  CHECK(mica_graph_format(g, text, sizeof text) < (int64_t)sizeof text);
  CHECK_OK(mica_graph_status(g, NULL));
  CHECK_EQ_INT(nodes_of(text, " reduce("), 1);
  CHECK_EQ_INT(nodes_of(text, " reduce_window("), 1);
  CHECK_EQ_INT(nodes_of(text, " select_and_scatter("), 2);
  CHECK_EQ_INT(nodes_of(text, " sort("), 1);
  CHECK_EQ_INT(nodes_of(text, " scan("), 0);
  CHECK_EQ_INT(nodes_of(text, " gather("), 0);
  CHECK_STR_CONTAINS(text, "kind=max");
  mica_graph_destroy(g);
}

TEST_MAIN(TEST_CASE(blocks_give_the_golden_values), TEST_CASE(known_blocks_are_fixed_operators))
