/* SPDX-License-Identifier: Apache-2.0 */
/* test_tile.c: small tile programs against an interpreter (tile_oracle.h): every operator and conversion on
 * awkward numbers, arrays updated in place, blocks, empty spaces, what is refused, failing allocations, and
 * programs as text. test_tile_random.c has the random ones. */
#include "tile_spec.h"

/* ---- small programs ---------------------------------------------------------------------------------- */

/* Runs `spec` for each row of kernels on copies of `buffers` (sizes in bytes) and compares with the oracle;
 * equal entries of `buffers` are one array. Errors are relative to the result, or to `terms` if that is
 * larger: what the result is a difference of. */
static void check_spec(const mica_tile_spec *spec, void *const *buffers, const size_t *sizes,
                       double tolerance, double terms) {
  char *exact[MAX_BUFFERS], *actual[MAX_BUFFERS];
  const mica_cpu_kernels *row;
  for (int32_t r = 0; (row = mica_cpu_kernels_at(r)) != NULL; r++) {
    for (int32_t i = 0; i < spec->buffer_count; i++) {
      int32_t same = 0;
      while (buffers[same] != buffers[i]) same++;
      exact[i] = same < i ? exact[same] : malloc(sizes[i]);
      actual[i] = same < i ? actual[same] : malloc(sizes[i]);
      if (!CHECK(exact[i] && actual[i])) return;
      memcpy(exact[i], buffers[i], sizes[i]), memcpy(actual[i], buffers[i], sizes[i]);
    }
    oracle_run(spec, (void *const *)(void *)exact);
    mica_tile_program *program;
    mica_error error = {0};
    if (!CHECK_OK_ERROR(mica_tile_compile(row, spec, NULL, &program, &error), &error)) return;
    oracle_execute(program, (void *const *)(void *)actual, 2);
    bool good = true;
    for (int32_t i = 0; i < spec->access_count && good; i++) {
      const mica_tile_access *access = &spec->accesses[i];
      const int64_t size = mica_dtype_bits(access->dtype) / 8,
                    count = (int64_t)sizes[access->buffer] / size;
      for (int64_t at = 0; at < count && good; at++) {
        const oracle_value x = oracle_read(access->dtype, exact[access->buffer], at);
        const oracle_value y = oracle_read(access->dtype, actual[access->buffer], at);
        if (!mica_dtype_is_float(access->dtype)) {
          good = x.i == y.i;
        } else {
          good = x.f == y.f || (isnan(x.f) && isnan(y.f)) ||
                 fabs(x.f - y.f) <= tolerance * fmax(fabs(x.f), terms) + 3e-45;
        }
        if (!good)
          CHECK_FAIL("row %s, buffer %d (%s), element %lld: %.9g (%lld), expected %.9g (%lld)",
                     row->name, (int)access->buffer, mica_dtype_name(access->dtype), (long long)at,
                     y.f, (long long)y.i, x.f, (long long)x.i);
      }
    }
    if (!good) {
      char text[4000];
      mica_tile_format(program, text, sizeof text);
      CHECK_FAIL("operator %d\n%s", (int)spec->nodes[spec->node_count - 2].op, text);
    }
    mica_tile_destroy(program);
    for (int32_t i = 0; i < spec->buffer_count; i++) {
      int32_t same = 0;
      while (buffers[same] != buffers[i]) same++;
      if (same == i) free(exact[i]), free(actual[i]);
    }
  }
}

static const double awkward_floats[] = {
    0.0,           -0.0,         1.0,   -1.0,    0.5,       -0.5,    1.5,
    2.5,           -2.5,         3.0,   -7.0,    0.1,       100.25,  -12.5,
    1e-40,         -3e-39,       1e-30, 65504.0, -65504.0,  70000.0, 2147483648.0,
    -2147483649.0, 4294967296.0, 1e19,  -1e19,   1e30,      3e38,    -3e38,
    INFINITY,      -INFINITY,    NAN,   0.3333,  8388609.0, 5.0,     17.0,
    -3.0,          254.6,        255.5, 127.5,   -128.5,    300.0};
static const int64_t awkward_integers[] = {0,
                                           1,
                                           -1,
                                           2,
                                           -2,
                                           3,
                                           7,
                                           -7,
                                           100,
                                           -100,
                                           127,
                                           128,
                                           -128,
                                           -129,
                                           255,
                                           256,
                                           32767,
                                           32768,
                                           -32768,
                                           65535,
                                           65536,
                                           INT32_MAX,
                                           INT32_MIN,
                                           UINT32_MAX,
                                           (int64_t)UINT32_MAX + 1,
                                           INT64_MAX,
                                           INT64_MIN,
                                           INT64_MIN + 1,
                                           16777217,
                                           -33554435,
                                           1000000007};
enum {
  AWKWARD_FLOATS = sizeof awkward_floats / sizeof awkward_floats[0],
  AWKWARD_INTEGERS = sizeof awkward_integers / sizeof awkward_integers[0],
  OPERANDS = 300
};

/* Every pair of awkward numbers comes up when `stride` differs. */
static void fill_awkward(mica_dtype dtype, char *out, int64_t stride) {
  const int64_t size = mica_dtype_bits(dtype) / 8;
  for (int64_t i = 0; i < OPERANDS; i++) {
    const double number = awkward_floats[i * stride % AWKWARD_FLOATS];
    const int64_t integer =
        dtype == MICA_BOOL ? i * stride / 3 % 2 : awkward_integers[i * stride % AWKWARD_INTEGERS];
    if (mica_dtype_is_float(dtype)) {
      (void)mica_convert_elements(dtype, out + i * size, MICA_F64, &number, 1);
    } else {
      (void)mica_convert_elements(dtype, out + i * size, MICA_I64, &integer, 1);
    }
  }
}

/* One operator, alone or between two negations (a chain), with operands that are arrays or one number. */
static void check_operator(mica_tile_op op, mica_dtype dtype, mica_dtype result, int32_t arity,
                           bool chained, int32_t single) {
  static char data[4][OPERANDS * 8 + 64];
  fuzz f = {.spec = {.rank = 1, .size = {OPERANDS}}};
  int32_t sources[3] = {0};
  for (int32_t i = 0; i < arity; i++) {
    const mica_dtype of = op == MICA_TILE_SELECT && i == 0 ? MICA_BOOL : dtype;
    fill_awkward(of, data[i], i + 1);
    f.accesses[f.spec.access_count] = (mica_tile_access){.buffer = i,
                                                         .dtype = of,
                                                         .offset = single >> i & 1 ? 7 : 0,
                                                         .stride = {single >> i & 1 ? 0 : 1}};
    sources[i] = fuzz_add(
        &f, (mica_tile_node){.op = MICA_TILE_LOAD, .dtype = of, .access = f.spec.access_count++});
    if (chained && of == dtype) sources[i] = fuzz_unary(&f, MICA_TILE_NEG, dtype, sources[i]);
  }
  int32_t value = fuzz_add(
      &f,
      (mica_tile_node){.op = op, .dtype = result, .source = {sources[0], sources[1], sources[2]}});
  if (chained && result == dtype) value = fuzz_unary(&f, MICA_TILE_NEG, dtype, value);
  f.accesses[f.spec.access_count] = (mica_tile_access){.buffer = 3, .dtype = result, .stride = {1}};
  fuzz_add(&f, (mica_tile_node){
                   .op = MICA_TILE_STORE, .source = {value}, .access = f.spec.access_count++});
  f.spec.nodes = f.nodes, f.spec.accesses = f.accesses, f.spec.buffer_count = 4;
  const size_t size = (size_t)OPERANDS * 8 + 64,
               sizes[4] = {size, size, size, OPERANDS * (size_t)mica_dtype_bits(result) / 8};
  const double tolerance = result == MICA_F64    ? 4e-15
                           : result == MICA_BF16 ? 0.01
                           : result == MICA_F16  ? 0.0012
                                                 : 3e-7;
  check_spec(&f.spec, (void *const[]){data[0], data[1], data[2], data[3]}, sizes, tolerance, 0);
}

TEST(every_operator) {
  static const mica_dtype dtypes[] = {MICA_F32, MICA_F64, MICA_BF16, MICA_F16, MICA_I8,
                                      MICA_U8,  MICA_I16, MICA_U16,  MICA_I32, MICA_U32,
                                      MICA_I64, MICA_U64, MICA_BOOL};
  int32_t supported = 0;
  for (int32_t op = MICA_TILE_NEG; op <= MICA_TILE_BETAINC; op++) {
    if (op == MICA_TILE_CONVERT) continue;
    const int32_t arity = op < MICA_TILE_ADD ? 1 : op < MICA_TILE_SELECT ? 2 : 3;
    for (size_t d = 0; d < sizeof dtypes / sizeof dtypes[0]; d++) {
      const bool truth = (op >= MICA_TILE_EQ && op <= MICA_TILE_GE) || op == MICA_TILE_IS_FINITE;
      const mica_dtype result = truth ? MICA_BOOL : dtypes[d];
      if (!mica_tile_supports((mica_tile_op)op, result, dtypes[d])) continue;
      supported++;
      /* gelu is exact to 2^-23 of x only, powers of negative f16 and sums of rounded numbers differ: those of f32. */
      const bool rough = op == MICA_TILE_GELU || op == MICA_TILE_GELU_TANH;
      const bool narrow = dtypes[d] == MICA_BF16 || dtypes[d] == MICA_F16;
      if (rough || (narrow && op >= MICA_TILE_EXP)) continue;
      for (int32_t single = 0; single < 1 << arity; single++) {
        check_operator((mica_tile_op)op, dtypes[d], result, arity, false, single);
        if (dtypes[d] != MICA_BOOL && !narrow)
          check_operator((mica_tile_op)op, dtypes[d], result, arity, true, single);
      }
    }
  }
  CHECK_EQ_INT(supported, 487); /* none got lost */
}

TEST(every_conversion) {
  static const mica_dtype dtypes[] = {MICA_F32, MICA_F64, MICA_BF16, MICA_F16, MICA_I8,
                                      MICA_U8,  MICA_I16, MICA_U16,  MICA_I32, MICA_U32,
                                      MICA_I64, MICA_U64, MICA_BOOL};
  for (size_t from = 0; from < sizeof dtypes / sizeof dtypes[0]; from++) {
    for (size_t to = 0; to < sizeof dtypes / sizeof dtypes[0]; to++)
      for (int32_t single = 0; single < 2; single++)
        check_operator(MICA_TILE_CONVERT, dtypes[from], dtypes[to], 1, false, single);
  }
}

/* ---- arrays updated in place ---------------------------------------------------------------------------- */

/* m = a m + b g, v = c v + d g g, p = p - m / (sqrt(v) + e), each in its own place; then x and y change
 * places, which needs both to be read before either is written. */
TEST(in_place) {
  enum { COUNT = 5000 };
  static float data[4][COUNT];
  for (int i = 0; i < 4; i++)
    for (int k = 0; k < COUNT; k++)
      data[i][k] = (float)((k * 37 + i * 11) % 101) / 16 - (i == 2 ? 0 : 3);
  for (int stream = 0; stream < 2; stream++) {
    fuzz f = {.spec = {.rank = 1, .size = {COUNT}, .buffer_count = 7}};
    int32_t x[4];
    for (int32_t i = 0; i < 7; i++) /* accesses 4, 5, 6 store to p, m, v */
      f.accesses[f.spec.access_count++] = (mica_tile_access){
          .buffer = i, .dtype = MICA_F32, .stride = {1}, .stream = i > 3 && stream};
    for (int32_t i = 0; i < 4; i++)
      x[i] = fuzz_add(&f, (mica_tile_node){.op = MICA_TILE_LOAD, .dtype = MICA_F32, .access = i});
    const int32_t half = fuzz_number(&f, MICA_F32, 2);
    const int32_t m =
        fuzz_binary(&f, MICA_TILE_ADD, fuzz_binary(&f, MICA_TILE_MUL, x[1], half), x[3]);
    const int32_t v =
        fuzz_binary(&f, MICA_TILE_ADD, x[2], fuzz_binary(&f, MICA_TILE_MUL, x[3], x[3]));
    const int32_t root =
        fuzz_binary(&f, MICA_TILE_ADD, fuzz_unary(&f, MICA_TILE_SQRT, MICA_F32, v), half);
    const int32_t p = fuzz_binary(&f, MICA_TILE_SUB, x[0], fuzz_binary(&f, MICA_TILE_DIV, m, root));
    fuzz_add(&f, (mica_tile_node){.op = MICA_TILE_STORE, .source = {m}, .access = 5});
    fuzz_add(&f, (mica_tile_node){.op = MICA_TILE_STORE, .source = {v}, .access = 6});
    fuzz_add(&f, (mica_tile_node){.op = MICA_TILE_STORE, .source = {p}, .access = 4});
    f.spec.nodes = f.nodes, f.spec.accesses = f.accesses;
    const size_t sizes[7] = {sizeof data[0], sizeof data[0], sizeof data[0], sizeof data[0],
                             sizeof data[0], sizeof data[0], sizeof data[0]};
    check_spec(&f.spec,
               (void *const[]){data[0], data[1], data[2], data[3], data[0], data[1], data[2]},
               sizes, 1e-6, 8);
    fuzz g = {.spec = {.rank = 1, .size = {COUNT}, .buffer_count = 4}};
    for (int32_t i = 0; i < 4; i++)
      g.accesses[g.spec.access_count++] = (mica_tile_access){
          .buffer = i, .dtype = MICA_F32, .stride = {1}, .stream = i > 1 && stream};
    const int32_t a =
        fuzz_add(&g, (mica_tile_node){.op = MICA_TILE_LOAD, .dtype = MICA_F32, .access = 0});
    const int32_t b =
        fuzz_add(&g, (mica_tile_node){.op = MICA_TILE_LOAD, .dtype = MICA_F32, .access = 1});
    const int32_t sum = fuzz_binary(&g, MICA_TILE_SUB, b, fuzz_number(&g, MICA_F32, 1));
    const int32_t product = fuzz_binary(&g, MICA_TILE_MUL, fuzz_binary(&g, MICA_TILE_ADD, a, b), a);
    fuzz_add(&g,
             (mica_tile_node){.op = MICA_TILE_STORE, .source = {stream ? sum : b}, .access = 2});
    fuzz_add(
        &g, (mica_tile_node){.op = MICA_TILE_STORE, .source = {stream ? product : a}, .access = 3});
    g.spec.nodes = g.nodes, g.spec.accesses = g.accesses;
    check_spec(&g.spec, (void *const[]){data[0], data[1], data[0], data[1]}, sizes, 1e-6, 8);
  }
}

/* ---- blocks ------------------------------------------------------------------------------------------------ */

/* relu(c * scale + bias) on parts of a matrix whose rows have gaps, and a byte mask beside it. */
TEST(blocks) {
  enum { ROWS = 37, COLUMNS = 300, STEP = 310 };
  static float c[ROWS * STEP], bias[COLUMNS], scale[1] = {0.5F}, expected[ROWS * STEP];
  static uint8_t mask[ROWS * COLUMNS], expected_mask[ROWS * COLUMNS];
  fuzz f = {.spec = {.rank = 2, .size = {ROWS, COLUMNS}, .buffer_count = 5, .block = true}};
  f.accesses[0] = (mica_tile_access){.buffer = 0, .dtype = MICA_F32, .stride = {STEP, 1}};
  f.accesses[1] = (mica_tile_access){.buffer = 1, .dtype = MICA_F32, .stride = {0, 1}};
  f.accesses[2] = (mica_tile_access){.buffer = 2, .dtype = MICA_F32};
  f.accesses[3] = (mica_tile_access){.buffer = 3, .dtype = MICA_F32, .stride = {STEP, 1}};
  f.accesses[4] = (mica_tile_access){.buffer = 4, .dtype = MICA_BOOL, .stride = {COLUMNS, 1}};
  f.spec.access_count = 5;
  int32_t x[3];
  for (int32_t i = 0; i < 3; i++)
    x[i] = fuzz_add(&f, (mica_tile_node){.op = MICA_TILE_LOAD, .dtype = MICA_F32, .access = i});
  const int32_t y =
      fuzz_binary(&f, MICA_TILE_ADD, fuzz_binary(&f, MICA_TILE_MUL, x[0], x[2]), x[1]);
  const int32_t zero = fuzz_number(&f, MICA_F32, 0);
  const int32_t above =
      fuzz_add(&f, (mica_tile_node){.op = MICA_TILE_GT, .dtype = MICA_BOOL, .source = {y, zero}});
  const int32_t z = fuzz_add(
      &f, (mica_tile_node){.op = MICA_TILE_SELECT, .dtype = MICA_F32, .source = {above, y, zero}});
  fuzz_add(&f, (mica_tile_node){.op = MICA_TILE_STORE, .source = {z}, .access = 3});
  fuzz_add(&f, (mica_tile_node){.op = MICA_TILE_STORE, .source = {above}, .access = 4});
  f.spec.nodes = f.nodes, f.spec.accesses = f.accesses;
  for (int i = 0; i < COLUMNS; i++) bias[i] = (float)(i % 7) - 3;
  const mica_cpu_kernels *row;
  for (int32_t r = 0; (row = mica_cpu_kernels_at(r)) != NULL; r++) {
    mica_tile_program *program;
    if (!CHECK_OK(mica_tile_compile(row, &f.spec, NULL, &program, NULL))) return;
    void *thread = aligned_alloc(64, (mica_tile_thread_size(program) + 63) & ~(size_t)63);
    static const int64_t cuts[][2] = {{37, 300}, {14, 32}, {1, 1}, {5, 200}, {37, 7}};
    for (size_t k = 0; k < sizeof cuts / sizeof cuts[0]; k++) {
      for (int i = 0; i < ROWS * STEP; i++) c[i] = expected[i] = (float)(i % 29) - 14;
      memset(mask, 2, sizeof mask);
      oracle_run(&f.spec, (void *const[]){expected, bias, scale, expected, expected_mask});
      for (int64_t i = 0; i < ROWS; i += cuts[k][0]) {
        for (int64_t j = 0; j < COLUMNS; j += cuts[k][1]) {
          const int64_t rows = ROWS - i < cuts[k][0] ? ROWS - i : cuts[k][0];
          const int64_t columns = COLUMNS - j < cuts[k][1] ? COLUMNS - j : cuts[k][1];
          mica_tile_run_block(program, (void *const[]){c, bias, scale, c, mask}, i, j, rows,
                              columns, thread);
        }
      }
      CHECK_EQ_BYTES(c, expected, sizeof c);
      CHECK_EQ_BYTES(mask, expected_mask, sizeof mask);
    }
    free(thread);
    mica_tile_destroy(program);
  }
}

/* ---- nothing to do, and what is refused ---------------------------------------------------------------------- */

TEST(empty_spaces) {
  static const mica_tile_op kinds[] = {MICA_TILE_REDUCE_SUM, MICA_TILE_REDUCE_PROD,
                                       MICA_TILE_REDUCE_MAX, MICA_TILE_REDUCE_MIN};
  static const double neutral[] = {0, 1, -INFINITY, INFINITY};
  for (int k = 0; k < 4; k++) {
    for (int empty = 0; empty < 2; empty++) { /* the reduced axis is empty, or the other one */
      float in[4] = {5, 5, 5, 5}, out[5] = {9, 9, 9, 9, 9};
      fuzz f = {.spec = {.rank = 2,
                         .size = {empty ? 0 : 3, empty ? 3 : 0},
                         .reduce_begin = 1,
                         .reduce_end = 2,
                         .buffer_count = 2}};
      f.accesses[0] = (mica_tile_access){.buffer = 0, .dtype = MICA_F32, .stride = {1, 1}};
      f.accesses[1] = (mica_tile_access){.buffer = 1, .dtype = MICA_F32, .stride = {1, 0}};
      f.spec.access_count = 2;
      const int32_t x =
          fuzz_add(&f, (mica_tile_node){.op = MICA_TILE_LOAD, .dtype = MICA_F32, .access = 0});
      const int32_t y = fuzz_unary(&f, kinds[k], MICA_F32, x);
      fuzz_add(&f, (mica_tile_node){.op = MICA_TILE_STORE, .source = {y}, .access = 1});
      f.spec.nodes = f.nodes, f.spec.accesses = f.accesses;
      mica_tile_program *program;
      if (!CHECK_OK(mica_tile_compile(mica_cpu_kernels_at(0), &f.spec, NULL, &program, NULL)))
        return;
      oracle_execute(program, (void *const[]){in, out}, 1);
      for (int i = 0; i < 3; i++) CHECK_NEAR(out[i], empty ? 9 : neutral[k], 0);
      CHECK_NEAR(out[3], 9, 0);
      mica_tile_destroy(program);
    }
  }
}

static void check_refused(const mica_tile_spec *spec, mica_status expected, const char *part) {
  mica_tile_program *program = (mica_tile_program *)(uintptr_t)1;
  mica_error error = {0};
  CHECK_STATUS(mica_tile_compile(mica_cpu_kernels_at(0), spec, NULL, &program, &error), expected);
  CHECK_STR_CONTAINS(error.message, part);
  CHECK(program == NULL);
}

TEST(refusals) {
  mica_tile_access accesses[2] = {{.buffer = 0, .dtype = MICA_F32, .stride = {4, 1}},
                                  {.buffer = 1, .dtype = MICA_F32, .stride = {4, 1}}};
  mica_tile_node nodes[4] = {{.op = MICA_TILE_LOAD, .dtype = MICA_F32},
                             {.op = MICA_TILE_NEG, .dtype = MICA_F32},
                             {.op = MICA_TILE_STORE, .source = {1}, .access = 1}};
  const mica_tile_spec good = {.rank = 2,
                               .size = {3, 4},
                               .nodes = nodes,
                               .node_count = 3,
                               .accesses = accesses,
                               .access_count = 2,
                               .buffer_count = 2};
  mica_tile_program *program;
  if (!CHECK_OK(mica_tile_compile(mica_cpu_kernels_at(0), &good, NULL, &program, NULL))) return;
  mica_tile_destroy(program);
  mica_tile_spec spec = good;
  spec.rank = 9;
  check_refused(&spec, MICA_INVALID, "axes");
  spec = good, spec.reduce_begin = 2, spec.reduce_end = 1;
  check_refused(&spec, MICA_INVALID, "axes");
  spec = good, spec.size[1] = -1;
  check_refused(&spec, MICA_INVALID, "size of axis 1");
  spec = good, spec.size[0] = spec.size[1] = INT64_C(1) << 40;
  check_refused(&spec, MICA_INVALID, "size of axis 1");
  spec = good, spec.size[0] = INT64_C(1) << 60;
  check_refused(&spec, MICA_UNSUPPORTED, "too many elements");
  spec = good, spec.block = true, spec.rank = 1;
  check_refused(&spec, MICA_INVALID, "blocks");
  spec = good, spec.node_count = MICA_TILE_MAX_NODES + 1;
  check_refused(&spec, MICA_UNSUPPORTED, "too many");
  spec = good, spec.buffer_count = 1;
  check_refused(&spec, MICA_INVALID, "access 1 has no buffer");
  const struct {
    int32_t node;
    mica_tile_node value;
    mica_status status;
    const char *part;
  } changes[] = {
      {1, {.op = MICA_TILE_OP_COUNT, .dtype = MICA_F32}, MICA_INVALID, "node 1 has no operator"},
      {1,
       {.op = MICA_TILE_NEG, .dtype = MICA_F32, .source = {1}},
       MICA_INVALID,
       "source 0 of node 1"},
      {1,
       {.op = MICA_TILE_ADD, .dtype = MICA_F32, .source = {0, -1}},
       MICA_INVALID,
       "source 1 of node 1"},
      {1, {.op = MICA_TILE_NEG, .dtype = MICA_F64}, MICA_UNSUPPORTED, "f32 to f64 at node 1"},
      {1, {.op = MICA_TILE_AND, .dtype = MICA_F32}, MICA_UNSUPPORTED, "at node 1"},
      {0, {.op = MICA_TILE_LOAD, .dtype = MICA_C64}, MICA_UNSUPPORTED, "c64 at node 0"},
      {0,
       {.op = MICA_TILE_LOAD, .dtype = MICA_F32, .access = 2},
       MICA_INVALID,
       "node 0 has no array"},
      {0, {.op = MICA_TILE_LOAD, .dtype = MICA_I32}, MICA_INVALID, "load 0 has another dtype"},
      {0,
       {.op = MICA_TILE_INDEX, .dtype = MICA_F32, .access = 2},
       MICA_INVALID,
       "counts along no axis"},
      {1, {.op = MICA_TILE_REDUCE_SUM, .dtype = MICA_F32}, MICA_INVALID, "reduces over no axis"},
      {1, {.op = MICA_TILE_CONVERT, .dtype = MICA_I32}, MICA_INVALID, "store 2 has another dtype"},
      {1, {.op = MICA_TILE_SELECT, .dtype = MICA_F32}, MICA_INVALID, "dtypes of node 1 differ"},
  };
  for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
    const mica_tile_node before = nodes[changes[i].node];
    nodes[changes[i].node] = changes[i].value;
    check_refused(&good, changes[i].status, changes[i].part);
    nodes[changes[i].node] = before;
  }
  accesses[1].stride[0] = 0;
  check_refused(&good, MICA_INVALID, "does not reach each place once");
  spec = good, spec.reduce_end = 1; /* a store of rows of a value that is none */
  check_refused(&spec, MICA_INVALID, "does not reach each place once");
}

/* ---- memory --------------------------------------------------------------------------------------------------- */

typedef struct {
  int64_t calls, fail_at, live;
} counting;

static void *count_allocation(void *self, void *old, size_t old_size, size_t new_size,
                              size_t alignment) {
  counting *c = self;
  (void)alignment;
  if (new_size == 0) {
    c->live -= (int64_t)old_size;
    free(old);
    return NULL;
  }
  if (c->calls++ == c->fail_at) return NULL;
  void *memory = realloc(old, new_size);
  if (memory) c->live += (int64_t)new_size - (int64_t)(old ? old_size : 0);
  return memory;
}

TEST(allocation_failures) {
  fuzz f = {.spec = {.rank = 2, .size = {300000, 3}, .reduce_end = 1, .buffer_count = 2}};
  for (int32_t i = 0; i < 2; i++)
    f.accesses[i] = (mica_tile_access){.buffer = i, .dtype = MICA_F32, .stride = {3, 1}};
  f.spec.access_count = 2;
  const int32_t x = fuzz_add(&f, (mica_tile_node){.op = MICA_TILE_LOAD, .dtype = MICA_F32});
  int32_t value = x;
  for (int i = 0; i < 20; i++) value = fuzz_binary(&f, MICA_TILE_ADD, value, x);
  const int32_t most = fuzz_unary(&f, MICA_TILE_REDUCE_MAX, MICA_F32, value);
  const int32_t below = fuzz_binary(&f, MICA_TILE_SUB, value, most);
  fuzz_add(&f, (mica_tile_node){.op = MICA_TILE_STORE, .source = {below}, .access = 1});
  f.spec.nodes = f.nodes, f.spec.accesses = f.accesses;
  for (int64_t fail_at = 0;; fail_at++) {
    counting state = {.fail_at = fail_at};
    const mica_allocator allocator = {count_allocation, &state};
    mica_tile_program *program;
    mica_error error = {0};
    const mica_status status =
        mica_tile_compile(mica_cpu_kernels_at(0), &f.spec, &allocator, &program, &error);
    if (status == MICA_OK) {
      CHECK(state.calls <= fail_at);
      mica_tile_destroy(program);
      CHECK_EQ_INT(state.live, 0);
      break;
    }
    CHECK_STATUS(status, MICA_OUT_OF_MEMORY);
    CHECK_STR_CONTAINS(error.message, "no memory");
    CHECK_EQ_INT(state.live, 0);
  }
  mica_tile_destroy(NULL);
}

/* ---- text --------------------------------------------------------------------------------------------------- */

/* exp(x) - max of each row: a pass for the maximum, one for the difference, each instruction on a line. */
TEST(programs_as_text) {
  fuzz f = {
      .spec = {
          .rank = 2, .size = {8, 4000}, .reduce_begin = 1, .reduce_end = 2, .buffer_count = 2}};
  for (int32_t i = 0; i < 2; i++)
    f.accesses[i] = (mica_tile_access){.buffer = i, .dtype = MICA_F32, .stride = {4000, 1}};
  f.spec.access_count = 2;
  const int32_t x = fuzz_add(&f, (mica_tile_node){.op = MICA_TILE_LOAD, .dtype = MICA_F32});
  const int32_t e = fuzz_unary(&f, MICA_TILE_EXP, MICA_F32, x);
  const int32_t most = fuzz_unary(&f, MICA_TILE_REDUCE_MAX, MICA_F32, e);
  const int32_t out =
      fuzz_unary(&f, MICA_TILE_TANH, MICA_F32, fuzz_binary(&f, MICA_TILE_SUB, e, most));
  fuzz_add(&f, (mica_tile_node){.op = MICA_TILE_STORE, .source = {out}, .access = 1});
  f.spec.nodes = f.nodes, f.spec.accesses = f.accesses;
  mica_tile_program *program;
  if (!CHECK_OK(mica_tile_compile(mica_cpu_kernels_at(0), &f.spec, NULL, &program, NULL))) return;
  char text[4000], small[20];
  const int length = mica_tile_format(program, text, sizeof text);
  CHECK_EQ_INT(length, strlen(text));
  CHECK_STR_CONTAINS(text, "pass 0: ");
  CHECK_STR_CONTAINS(text, "  array0: buffer 0 f32");
  CHECK_STR_CONTAINS(text, "compute EXP");
  CHECK_STR_CONTAINS(text, "TANH");
  CHECK_STR_CONTAINS(text, "reduce all splat0");
  CHECK_STR_CONTAINS(text, "array1");
  /* Cut off where there is no room, always terminated, and the same length. */
  CHECK_EQ_INT(mica_tile_format(program, small, sizeof small), length);
  CHECK_EQ_INT(strlen(small), sizeof small - 1);
  CHECK(!strncmp(small, text, sizeof small - 1));
  CHECK_EQ_INT(mica_tile_format(program, NULL, 0), length);
  mica_tile_destroy(program);
}

TEST_MAIN(TEST_CASE(programs_as_text), TEST_CASE(every_operator), TEST_CASE(every_conversion),
          TEST_CASE(in_place), TEST_CASE(blocks), TEST_CASE(empty_spaces), TEST_CASE(refusals),
          TEST_CASE(allocation_failures))
