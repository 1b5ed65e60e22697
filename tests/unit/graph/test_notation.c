/* SPDX-License-Identifier: Apache-2.0 */
/* Axes by name: what einsum, rearrange and slice give against numpy and einops (tests/golden/
 * make_notation.py, f64 on both backends), the order in which einsum multiplies, and where messages
 * point. */
#include "graph/attributes.h"
#include "mica/backend.h"
#include "unit/graph/ops_testing.h"

/* ---- golden values ----------------------------------------------------------------------------- */

enum { MOST_OPERANDS = 16 };

/* The parts of "kind|text|options|" of an entry; the text is terminated in place. */
typedef struct {
  char all[256], *kind, *text, *options;
  size_t length;
} golden_name;

static bool split_name(const char *name, golden_name *out) {
  snprintf(out->all, sizeof(out->all), "%s", name);
  out->kind = out->all;
  out->text = strchr(out->all, '|');
  if (!out->text) return false;
  *out->text++ = '\0';
  out->options = strchr(out->text, '|');
  if (!out->options) return false;
  *out->options++ = '\0';
  char *end = strrchr(out->options, '|');
  if (!end || strcmp(end, "|out") != 0) return false;
  out->length = (size_t)(end - out->all) + 1;
  *end = '\0';
  return true;
}

/* "h=2,w=3,mean;..." into arguments; the names stay in the text. */
static void read_options(char *options, mica_rearrange_args *args) {
  static const char *const kinds[] = {"", "sum", "mean", "max", "min", "prod"};
  size_t count = 0;
  char *end = strchr(options, ';');
  if (end) *end = '\0';
  for (char *one = strtok(options, ","); one; one = strtok(NULL, ",")) {
    char *size = strchr(one, '=');
    if (size) {
      *size++ = '\0';
      args->sizes[count++] = (mica_named_size){one, atoi(size)};
    }
    for (int kind = 1; !size && kind < 6; kind++)
      if (!strcmp(one, kinds[kind])) args->reduce = (mica_rearrange_kind)kind;
  }
}

static mica_value build_golden(golden_name *name, const mica_value *in, size_t count) {
  if (!strcmp(name->kind, "einsum")) return mica_einsum(name->text, in, count);
  if (!strcmp(name->kind, "slice")) return mica_slice(in[0], name->text);
  mica_rearrange_args args = {.struct_size = sizeof(args), .x = in[0], .pattern = name->text};
  read_options(name->options, &args);
  return mica_rearrange_with(&args);
}

static void check_golden(mica_device *device, const mica_npz *npz, const char *name,
                         mica_tensor *expected) {
  golden_name parts;
  if (!CHECK(split_name(name, &parts))) return;
  mica_graph *graph = mica_graph_create(NULL);
  mica_tensor *in[MOST_OPERANDS], *result = NULL;
  mica_value x[MOST_OPERANDS];
  size_t count = 0;
  for (; count < MOST_OPERANDS; count++) {
    char operand[300];
    snprintf(operand, sizeof(operand), "%.*s%zu", (int)parts.length, name, count);
    in[count] = mica_npz_find(npz, operand);
    if (!in[count]) break;
    x[count] = mica_parameter(graph, mica_tensor_type(in[count]));
  }
  mica_value value = build_golden(&parts, x, count);
  mica_graph_set_outputs(graph, &value, 1);
  mica_error error = {0};
  mica_closeness closeness = {0};
  mica_executable *executable = NULL;
  mica_status status = mica_graph_verify(graph, &error);
  if (status == MICA_OK) status = mica_compile(device, graph, 0, &executable, &error);
  if (status == MICA_OK) status = mica_executable_run(executable, in, count, &result, 1, &error);
  if (status == MICA_OK)
    status = mica_tensor_compare(result, expected, 1e-12, 1e-12, &closeness, &error);
  if (status != MICA_OK || !closeness.close)
    CHECK_FAIL("%s: %s, %d elements differ", name, error.message, (int)closeness.mismatch_count);
  mica_tensor_release(result);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
}

static void check_golden_on(const char *backend) {
  mica_npz *npz = NULL;
  mica_error error = {0};
  mica_device *device = mica_device_open(
      &(mica_device_options){
          .struct_size = sizeof(mica_device_options), .backend = backend, .threads = 1},
      &error);
  CHECK_OK_ERROR(mica_npz_load(check_source_path("tests/golden/notation.npz"), &npz, &error),
                 &error);
  int cases = 0;
  for (int64_t i = 0; device && i < mica_npz_count(npz); i++) {
    const char *name = mica_npz_name(npz, i), *end = strrchr(name, '|');
    if (!end || strcmp(end, "|out") != 0) continue;
    check_golden(device, npz, name, mica_npz_tensor(npz, i));
    cases++;
  }
  CHECK(cases > 100);
  mica_npz_destroy(npz);
  mica_device_release(device);
}

TEST(numpys_values_on_reference) { check_golden_on("reference"); }
TEST(numpys_values_on_cpu) { check_golden_on("cpu"); }

/* ---- how einsum multiplies ---------------------------------------------------------------------- */

#define PAIR(a, b)      ((mica_value[]){a, b}), 2
#define TRIPLE(a, b, c) ((mica_value[]){a, b, c}), 3

/* Multiplications of all dots and products of a graph. */
static double multiplications(const mica_graph *graph) {
  double sum = 0;
  for (uint32_t id = 1; id < graph->count; id++) {
    const mica_node *node = mica_node_at(graph, id);
    double work = (double)mica_shape_count(node->type.shape);
    if (node->op == MICA_OP_DOT_GENERAL) {
      const mica_dot_attr *attr = node->attr;
      mica_shape x = mica_node_at(graph, mica_node_operands(graph, node)[0])->type.shape;
      for (int32_t i = 0; i < attr->lhs_contract.count; i++)
        work *= (double)x.dim[attr->lhs_contract.at[i]];
    } else if (node->op != MICA_OP_MUL) {
      work = 0;
    }
    sum += work;
  }
  return sum;
}

TEST(einsum_takes_the_best_order) {
  /* (x y) z costs 100 * 2 * 100 + 100 * 100 * 3, x (y z) 2 * 100 * 3 + 100 * 2 * 3. */
  mica_graph *g = scoped_graph();
  mica_einsum("ij,jk,kl->il", TRIPLE(F32(100, 2), F32(2, 100), F32(100, 3)));
  CHECK_EQ_INT((int64_t)multiplications(g), 2 * 100 * 3 + 100 * 2 * 3);
  mica_graph_destroy(g);
  /* The first two have nothing in common; each meets the third one first. */
  g = scoped_graph();
  mica_einsum("ab,cd,bc->ad", TRIPLE(F32(10, 20), F32(20, 10), F32(20, 20)));
  CHECK_EQ_INT((int64_t)multiplications(g), 10 * 20 * 20 + 10 * 20 * 10);
  CHECK_EQ_INT(count_nodes(g, MICA_OP_DOT_GENERAL), 2);
  CHECK_EQ_INT(count_nodes(g, MICA_OP_TRANSPOSE), 0);
  mica_graph_destroy(g);
  /* A chain of 12 matrices behind a vector is 12 vectors, whichever way the greedy part went. */
  g = scoped_graph();
  mica_value x[13] = {F32(50)};
  for (int i = 1; i < 13; i++) x[i] = F32(50, 50);
  mica_einsum("a,ab,bc,cd,de,ef,fg,gh,hi,ij,jk,kl,lm->m", x, 13);
  CHECK(multiplications(g) <= 12 * 50 * 50);
  mica_graph_destroy(g);
}

TEST(einsum_builds_little) {
  mica_graph *g = scoped_graph();
  mica_value x = F32(2, 3, 4), y = F32(2, 4, 5);
  mica_einsum("bij,bjk->bik", PAIR(x, y)); /* one dot, as matmul */
  CHECK_EQ_INT((int)g->count, (int)y.id + 2);
  mica_graph_destroy(g);
  g = scoped_graph();
  x = F32(3, 4), y = F32(4, 5);
  mica_einsum("ij,jk->ki", PAIR(x, y)); /* the operands change places */
  CHECK_EQ_INT((int)g->count, (int)y.id + 2);
  mica_graph_destroy(g);
  g = scoped_graph();
  x = F32(7, 7);
  mica_einsum("ii->i", &x, 1); /* a slice of 7 elements, not 49 products */
  CHECK_EQ_INT(count_nodes(g, MICA_OP_SLICE), 1);
  CHECK_EQ_INT(count_nodes(g, MICA_OP_MUL) + count_nodes(g, MICA_OP_REDUCE), 0);
  mica_graph_destroy(g);
}

TEST(einsum_types) {
  CHECK_TYPE(mica_einsum("ij,jk", PAIR(F32(2, 3), F32(3, 4))), "f32[2, 4]");
  CHECK_TYPE(mica_einsum("ij,jk->ik", PAIR(input(g, MICA_BF16, MICA_DIMS(2, 3)),
                                           input(g, MICA_BF16, MICA_DIMS(3, 4)))),
             "bf16[2, 4]");
  CHECK_TYPE(
      mica_einsum("ij,jk->ik",
                  PAIR(input(g, MICA_BF16, MICA_DIMS(2, 3)), input(g, MICA_BF16, MICA_DIMS(3, 4))),
                  .dtype = MICA_F32),
      "f32[2, 4]");
  CHECK_TYPE(mica_einsum("ij->j", ((mica_value[]){input(g, MICA_F16, MICA_DIMS(2, 3))}), 1,
                         .dtype = MICA_F32),
             "f32[3]");
  CHECK_TYPE(
      mica_einsum("i,i", PAIR(input(g, MICA_I8, MICA_DIMS(3)), input(g, MICA_I8, MICA_DIMS(3))),
                  .dtype = MICA_I32),
      "i32[]");
  CHECK_TYPE(mica_einsum("i,j", PAIR(F32(3), F32(4)), .dtype = MICA_F64), "f64[3, 4]");
  CHECK_TYPE(mica_einsum("i,i,i",
                         TRIPLE(input(g, MICA_F16, MICA_DIMS(3)), input(g, MICA_F16, MICA_DIMS(3)),
                                input(g, MICA_F16, MICA_DIMS(3))),
                         .dtype = MICA_F32),
             "f32[]");
}

/* ---- messages ----------------------------------------------------------------------------------- */

TEST(einsum_points_at_the_character) {
  CHECK_FAILS(mica_einsum(NULL, PAIR(F32(2), F32(2))), "einsum(f32[2], f32[2])",
              "the equation is NULL");
  CHECK_FAILS(mica_einsum("ij,j1->i", PAIR(F32(2, 3), F32(3))),
              "character 5 of \"ij,j1->i\": expected a letter");
  CHECK_FAILS(mica_einsum("ij,j->ik", PAIR(F32(2, 3), F32(3))),
              "character 8 of \"ij,j->ik\": 'k' occurs in no operand");
  CHECK_FAILS(mica_einsum("ij,j->ii", PAIR(F32(2, 3), F32(3))), "character 8",
              "'i' is in the result twice");
  CHECK_FAILS(mica_einsum("ij,j->i", PAIR(F32(2, 3), F32(4))),
              "character 4 of \"ij,j->i\": 'j' is axis 0 of operand 1, of size 4: expected 3");
  CHECK_FAILS(mica_einsum("ii", PAIR(F32(2, 3), F32(4))), "'i' is axis 1 of operand 0, of size 3");
  CHECK_FAILS(mica_einsum("ij,j->i", PAIR(F32(2, 3), F32(3, 1))), "character 4",
              "operand 1 has rank 2: expected 1");
  CHECK_FAILS(mica_einsum("...ij,j->i", PAIR(F32(2), F32(3))), "character 1",
              "operand 0 has rank 1: expected at least 2");
  CHECK_FAILS(mica_einsum("i", PAIR(F32(2), F32(2))), "character 2", "there are 2 operands");
  CHECK_FAILS(mica_einsum("i,i,i", PAIR(F32(2), F32(2))), "character 5", "expected one more");
  CHECK_FAILS(mica_einsum("i...j...,i", PAIR(F32(2), F32(2))), "character 6",
              "expected \"...\" once");
  CHECK_FAILS(mica_einsum("..i,i", PAIR(F32(2), F32(2))), "character 1");
  CHECK_FAILS(mica_einsum("i-i", PAIR(F32(2), F32(2))), "character 2");
  CHECK_FAILS(mica_einsum("i,i->i->i", PAIR(F32(2), F32(2))), "character 7",
              "expected the end of the equation");
  CHECK_FAILS(mica_einsum("i,i->,", PAIR(F32(2), F32(2))), "character 6");
  CHECK_FAILS(mica_einsum("...i,i->i", PAIR(F32(2, 2), F32(2))), "character 7",
              "expected \"...\" in the result, for the 1 axis");
  CHECK_FAILS(mica_einsum("...i,...j", PAIR(F32(2, 5), F32(3, 5))), "character 6",
              "axis 0 of operand 1 has size 3: expected 1 or 2 in place of \"...\"");
  CHECK_FAILS(mica_einsum("abcdefghi", PAIR(F32(2), F32(2))), "character 9",
              "expected at most 8 letters");
  CHECK_FAILS(mica_einsum("abcde,fghij", PAIR(F32(2, 2, 2, 2, 2), F32(2, 2, 2, 2, 2))),
              "the result has rank 10: expected at most 8");
  CHECK_FAILS(mica_einsum("abcde,fghij,abcdefgh->ij",
                          TRIPLE(F32(2, 2, 2, 2, 2), I32(2, 2, 2, 2, 2), F32(2, 2))),
              "operands 0 and 1 have dtypes f32 and i32", "mica_convert");
  CHECK_FAILS(mica_einsum("i,i", PAIR(BOOL(2), BOOL(2))), "dtype bool is not supported");
  CHECK_FAILS(mica_einsum("i,i", PAIR(F32(2), F32(2)), .dtype = MICA_BOOL),
              "dtype bool is not supported");
  CHECK_FAILS(
      mica_einsum("i,i", PAIR(input(g, MICA_C64, MICA_DIMS(2)), input(g, MICA_C64, MICA_DIMS(2))),
                  .dtype = MICA_F32),
      "dtype f32 has no imaginary part");
  /* Any two of them together have 12 axes that the third one needs. */
  CHECK_FAILS(
      mica_einsum("abcdef,ghijkl,abcghimn->", TRIPLE(F32(2, 2, 2, 2, 2, 2), F32(2), F32(2))),
      "operand 1 has rank 1: expected 6");
  mica_value many[65];
  mica_graph *g = scoped_graph();
  for (int i = 0; i < 65; i++) many[i] = SCALAR(F32);
  CHECK(!mica_is_valid(mica_einsum(",", many, 65)));
  mica_error error = {0};
  CHECK_STATUS(mica_graph_status(g, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "65 operands: expected 1 to 64");
  mica_graph_destroy(g);
}

TEST(einsum_needs_no_wide_intermediate) {
  mica_graph *g = scoped_graph();
  mica_value x[3] = {F32(2, 2, 2, 2, 2, 2, 2, 2), F32(2, 2, 2, 2, 2, 2, 2, 2),
                     F32(2, 2, 2, 2, 2, 2, 2, 2)};
  mica_einsum("abcdefgh,ghijklmn,mnopqrab->cdef", x, 3);
  mica_error error = {0};
  CHECK_OK_ERROR(mica_graph_status(g, &error), &error); /* what occurs once is summed first */
  /* Every two of these share 3 axes and leave 10. */
  mica_einsum("abcdefgh,abcijklm,defijkno->ghlmno", x, 3);
  CHECK_STATUS(mica_graph_status(g, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "every order has an intermediate of more than 8 axes");
  mica_graph_destroy(g);
}

TEST(rearrange_points_at_the_character) {
#define REARRANGED(...) mica_rearrange(F32(4, 6), __VA_ARGS__)
  CHECK_FAILS(REARRANGED(NULL), "rearrange(f32[4, 6])", "the pattern is NULL");
  CHECK_FAILS(REARRANGED("h w"), "character 4 of \"h w\": expected \"->\"");
  CHECK_FAILS(REARRANGED("h w -> w h -> h"), "character 12", "expected \"->\" once");
  CHECK_FAILS(REARRANGED("h w c -> c"), "the left side has 3 axes: expected 2, as x");
  CHECK_FAILS(REARRANGED("h -> h"), "the left side has 1 axis: expected 2");
  CHECK_FAILS(REARRANGED("h h -> h"), "character 3", "'h' is on this side twice");
  CHECK_FAILS(REARRANGED("h w -> w w"), "character 10", "'w' is on this side twice");
  CHECK_FAILS(REARRANGED("h w -> h"), "character 3", "'w' is on the left only: expected .reduce");
  CHECK_FAILS(REARRANGED("h 6 -> h"), "character 3", "'6' is on the left only");
  CHECK_FAILS(REARRANGED("... -> "), "\"...\" is on the left only");
  CHECK_FAILS(REARRANGED("h w -> h w ..."), "character 5", "\"...\" is on the right");
  CHECK_FAILS(REARRANGED("h w -> h w k"), "character 12", "'k' is on the right only");
  CHECK_FAILS(REARRANGED("(a b) w -> a b w"), "character 4",
              "the sizes of 'a' and 'b' are not known");
  CHECK_FAILS(REARRANGED("(a b) w -> a b w", .sizes = {{"a", 3}}), "character 1",
              "axis 0 of x has size 4: expected a multiple of 3");
  CHECK_FAILS(REARRANGED("(a b) w -> a b w", .sizes = {{"a", 3}, {"b", 2}}),
              "axis 0 of x has size 4: expected 6");
  CHECK_FAILS(REARRANGED("h w -> h w", .sizes = {{"h", 5}}), "axis 0 of x has size 4: expected 5");
  CHECK_FAILS(REARRANGED("h w -> h w", .sizes = {{"x", 5}}), "the axis 'x' of the sizes");
  CHECK_FAILS(REARRANGED("h w -> h w", .sizes = {{"h", 0}}), "'h' is given size 0");
  CHECK_FAILS(REARRANGED("(h w -> h w"), "character 6", "expected \")\"");
  CHECK_FAILS(REARRANGED("h) w -> h w"), "character 2", "closes nothing");
  CHECK_FAILS(REARRANGED("((h) w) -> h w"), "character 2", "expected no \"(\"");
  CHECK_FAILS(REARRANGED("(...) -> ..."), "character 2", "on the right only");
  CHECK_FAILS(REARRANGED("... ... -> ..."), "character 5", "expected \"...\" once");
  CHECK_FAILS(REARRANGED("h . -> h"), "character 3", "expected \"...\"");
  CHECK_FAILS(REARRANGED("h w - h"), "character 5", "expected a name");
  CHECK_FAILS(REARRANGED("h 2w -> h"), "character 3", "letters, digits");
  CHECK_FAILS(REARRANGED("h 0 -> h"), "character 3", "expected a size of at least 1");
  CHECK_FAILS(REARRANGED("h w -> h w 9999999999999999999999"), "character 12", "a size");
  CHECK_FAILS(
      REARRANGED("h w -> (h w a b c)", .sizes = {{"a", 1 << 30}, {"b", 1 << 30}, {"c", 1 << 30}}),
      "the axis is too long");
  CHECK_FAILS(REARRANGED("a b -> a b 1 1 1 1 1 1 1"),
              "the right side has 9 axes: expected at most 8");
  CHECK_FAILS(REARRANGED("a b -> a b 1 1 1 1 1 1 1 1"), "character 26", "expected at most 8 axes");
  CHECK_FAILS(REARRANGED("h w -> w", .reduce = (mica_rearrange_kind)77), "reduce 77 is unknown");
  CHECK_FAILS(mica_rearrange(I32(2, 3), "h w -> w", .reduce = MICA_REARRANGE_MEAN),
              "reduce_mean(i32[2, 3])");
#undef REARRANGED
}

/* What only joins or cuts is only a reshape, and what stays together moves together. */
TEST(rearrange_builds_little) {
  mica_graph *g = scoped_graph();
  mica_value x = F32(2, 3, 4, 5);
  mica_rearrange(x, "b h w c -> b (h w) c");
  CHECK_EQ_INT((int)g->count, (int)x.id + 2);
  mica_rearrange(x, "b h w c -> c b h w"); /* as a matrix, turned */
  CHECK_EQ_INT(count_nodes(g, MICA_OP_TRANSPOSE), 1);
  for (uint32_t id = 1; id < g->count; id++)
    if (g->nodes[id].op == MICA_OP_TRANSPOSE) CHECK_EQ_INT(g->nodes[id].type.shape.rank, 2);
  mica_graph_destroy(g);
}

TEST_MAIN(TEST_CASE(numpys_values_on_reference), TEST_CASE(numpys_values_on_cpu),
          TEST_CASE(einsum_takes_the_best_order), TEST_CASE(einsum_builds_little),
          TEST_CASE(einsum_types), TEST_CASE(einsum_points_at_the_character),
          TEST_CASE(einsum_needs_no_wide_intermediate),
          TEST_CASE(rearrange_points_at_the_character), TEST_CASE(rearrange_builds_little))
