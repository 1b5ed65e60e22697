/* SPDX-License-Identifier: Apache-2.0 */
/* test_tile_random.c: random tile programs over random spaces and strides against an interpreter
 * (tile_oracle.h), with the same bits for every split. */
#include "tile_spec.h"

static uint64_t fuzz_bits(fuzz *f) { /* Marsaglia's xorshift */
  f->state ^= f->state << 13, f->state ^= f->state >> 7, f->state ^= f->state << 17;
  return f->state >> 11;
}
static int32_t fuzz_below(fuzz *f, int32_t limit) {
  return (int32_t)(fuzz_bits(f) % (uint64_t)limit);
}
/* Sizes, of which the product is at most `most`. */
static void fuzz_space(fuzz *f, int32_t rank, int64_t most) {
  static const int64_t sizes[] = {1,  2,  3,  5,   7,   8,   10,   16,   17,
                                  31, 64, 65, 100, 129, 300, 1000, 1030, 3000};
  f->spec.rank = rank;
  int64_t left = most;
  for (int32_t i = 0; i < rank; i++) {
    do f->spec.size[i] = sizes[fuzz_below(f, (int32_t)(sizeof sizes / sizeof sizes[0]))];
    while (f->spec.size[i] > left);
    left /= f->spec.size[i];
  }
}

/* Strides of an array whose axes lie in a random order, some repeated, reversed or with gaps. */
static int32_t fuzz_access(fuzz *f, mica_dtype dtype, bool store, bool rows) {
  const int32_t at = f->spec.access_count++;
  mica_tile_access *access = &f->accesses[at];
  *access = (mica_tile_access){.buffer = at, .dtype = dtype};
  int32_t order[MICA_TILE_RANK];
  for (int32_t i = 0; i < f->spec.rank; i++) order[i] = i;
  const bool shuffled = fuzz_below(f, 4) == 0;
  for (int32_t i = f->spec.rank - 1; i > 0 && shuffled; i--) {
    const int32_t k = fuzz_below(f, i + 1), t = order[i];
    order[i] = order[k], order[k] = t;
  }
  int64_t step = fuzz_below(f, 8) == 0 ? 2 : 1;
  const bool repeats = !store && fuzz_below(f, 2) == 0, odd = fuzz_below(f, 4) == 0;
  for (int32_t i = f->spec.rank - 1; i >= 0; i--) {
    const int32_t axis = order[i];
    const bool reduced = axis >= f->spec.reduce_begin && axis < f->spec.reduce_end;
    if (rows ? reduced : repeats && fuzz_below(f, 2) == 0) continue;
    access->stride[axis] = odd && fuzz_below(f, 3) == 0 ? -step : step;
    step *= f->spec.size[axis];
    if (odd && fuzz_below(f, 3) == 0) step += fuzz_below(f, 3);
  }
  if (fuzz_below(f, 4) == 0) access->offset = fuzz_below(f, 9) - 4;
  access->stream = store && fuzz_below(f, 4) == 0;
  f->low[at] = f->high[at] = access->offset;
  for (int32_t axis = 0; axis < f->spec.rank; axis++) {
    const int64_t reach = access->stride[axis] * (f->spec.size[axis] - 1);
    *(reach < 0 ? &f->low[at] : &f->high[at]) += reach;
  }
  return at;
}

static void fuzz_buffers(fuzz *f, bool small_values) {
  f->spec.nodes = f->nodes;
  f->spec.accesses = f->accesses;
  f->spec.buffer_count = f->spec.access_count;
  for (int32_t i = 0; i < f->spec.access_count; i++) {
    const mica_dtype dtype = f->accesses[i].dtype;
    const int64_t size = mica_dtype_bits(dtype) / 8, count = f->high[i] - f->low[i] + 1 + 32;
    for (int k = 0; k < 3; k++) {
      f->data[k][i] = calloc((size_t)count, (size_t)size);
      if (!CHECK(f->data[k][i])) exit(1);
      f->first[k][i] = f->data[k][i] + (16 - f->low[i]) * size;
    }
    for (int64_t at = 0; at < count; at++) {
      /* Multiples of 1/8 up to 4, so that short chains are exact. */
      double number = (double)(fuzz_below(f, 65) - 32) / 8;
      if (!mica_dtype_is_float(dtype))
        number = small_values ? fuzz_below(f, 7) - 3 : (double)(int32_t)fuzz_bits(f);
      if (dtype == MICA_BOOL) number = fuzz_below(f, 2);
      (void)mica_convert_elements(dtype, f->data[0][i] + at * size, MICA_F64, &number, 1);
    }
    memcpy(f->data[1][i], f->data[0][i], (size_t)(count * size));
    memcpy(f->data[2][i], f->data[0][i], (size_t)(count * size));
  }
}

static void fuzz_free(fuzz *f) {
  for (int k = 0; k < 3; k++)
    for (int32_t i = 0; i < MAX_BUFFERS; i++) free(f->data[k][i]);
}

static bool fuzz_equal(const fuzz *f, int32_t i, double tolerance) {
  const mica_dtype dtype = f->accesses[i].dtype;
  const int64_t count = f->high[i] - f->low[i] + 1 + 32;
  for (int64_t at = 0; at < count; at++) {
    const oracle_value expected = oracle_read(dtype, f->data[0][i], at),
                       actual = oracle_read(dtype, f->data[1][i], at);
    if (!mica_dtype_is_float(dtype)) {
      if (expected.i == actual.i) continue;
      return CHECK_FAIL("buffer %d (%s) at %lld: %lld, expected %lld", (int)i,
                        mica_dtype_name(dtype), (long long)(at - 16), (long long)actual.i,
                        (long long)expected.i);
    }
    if (isnan(expected.f) && isnan(actual.f)) continue;
    if (expected.f == actual.f || fabs(expected.f - actual.f) <= tolerance * (1 + fabs(expected.f)))
      continue;
    return CHECK_FAIL("buffer %d (%s) at %lld: %g, expected %g", (int)i, mica_dtype_name(dtype),
                      (long long)(at - 16), actual.f, expected.f);
  }
  return true;
}

/* Compiles for every row of kernels, runs, compares with the oracle, and splits in two other ways. */
static bool fuzz_check(fuzz *f, double tolerance) {
  bool good = true;
  oracle_run(&f->spec, f->first[0]);
  const mica_cpu_kernels *row;
  for (int32_t r = 0; good && (row = mica_cpu_kernels_at(r)) != NULL; r++) {
    mica_tile_program *program;
    mica_error error = {0};
    const mica_status status = mica_tile_compile(row, &f->spec, NULL, &program, &error);
    if (!CHECK_OK_ERROR(status, &error)) return false;
    oracle_execute(program, f->first[1], 1);
    for (int32_t i = 0; i < f->spec.access_count && good; i++) good = fuzz_equal(f, i, tolerance);
    for (int32_t threads = 0; threads <= 3 && good; threads += 3) {
      oracle_execute(program, f->first[2], threads);
      for (int32_t i = 0; i < f->spec.access_count && good; i++) {
        const int64_t bytes =
            (f->high[i] - f->low[i] + 1 + 32) * (mica_dtype_bits(f->accesses[i].dtype) / 8);
        good = CHECK_EQ_BYTES(f->data[2][i], f->data[1][i], (size_t)bytes);
      }
    }
    if (!good) {
      char text[6000];
      mica_tile_format(program, text, sizeof text);
      CHECK_FAIL("row %s, reduced axes [%d, %d)\n%s", row->name, (int)f->spec.reduce_begin,
                 (int)f->spec.reduce_end, text);
    }
    mica_tile_destroy(program);
  }
  return good;
}

static int32_t fuzz_load(fuzz *f, mica_dtype dtype) {
  return fuzz_add(
      f, (mica_tile_node){
             .op = MICA_TILE_LOAD, .dtype = dtype, .access = fuzz_access(f, dtype, false, false)});
}
static int32_t fuzz_row_load(fuzz *f, mica_dtype dtype) {
  return fuzz_add(
      f, (mica_tile_node){
             .op = MICA_TILE_LOAD, .dtype = dtype, .access = fuzz_access(f, dtype, false, true)});
}
static void fuzz_store(fuzz *f, int32_t value, bool rows) {
  const mica_dtype dtype = f->nodes[value].dtype;
  const int32_t access = fuzz_access(f, dtype, true, rows);
  fuzz_add(f, (mica_tile_node){.op = MICA_TILE_STORE, .source = {value}, .access = access});
}
static const mica_dtype all_dtypes[] = {MICA_F32, MICA_F64, MICA_I32,  MICA_U32,
                                        MICA_I64, MICA_U64, MICA_I8,   MICA_U8,
                                        MICA_I16, MICA_U16, MICA_BF16, MICA_F16};
enum { DTYPES = sizeof all_dtypes / sizeof all_dtypes[0] };

static double tolerance_of(mica_dtype dtype) {
  return dtype == MICA_F64 ? 1e-12 : dtype == MICA_BF16 ? 0.02 : dtype == MICA_F16 ? 0.002 : 2e-5;
}

/* Elementwise: a DAG of exact operators over several arrays, comparisons and selects among them. */
static bool run_elementwise(uint64_t seed) {
  fuzz f = {.state = seed * 2654435761U + 88172645463325252U};
  const mica_dtype dtype =
      all_dtypes[fuzz_below(&f, 3) ? fuzz_below(&f, 3) : fuzz_below(&f, DTYPES)];
  const bool is_float = mica_dtype_is_float(dtype);
  fuzz_space(&f, fuzz_below(&f, 5), 6000);
  int32_t values[MAX_NODES], count = 0;
  const int32_t loads = 1 + fuzz_below(&f, 4);
  for (int32_t i = 0; i < loads; i++) values[count++] = fuzz_load(&f, dtype);
  values[count++] = fuzz_number(&f, dtype, 1 + fuzz_below(&f, 3));
  if (f.spec.rank > 0 && dtype != MICA_BF16 && dtype != MICA_F16) {
    values[count++] = fuzz_add(
        &f, (mica_tile_node){
                .op = MICA_TILE_INDEX, .dtype = dtype, .access = fuzz_below(&f, f.spec.rank)});
  }
  const int32_t conditions = fuzz_below(&f, 2);
  int32_t condition = -1;
  if (conditions > 0) {
    const int32_t x = values[fuzz_below(&f, loads)], y = values[fuzz_below(&f, loads)];
    condition =
        fuzz_add(&f, (mica_tile_node){.op = (mica_tile_op)(MICA_TILE_EQ + fuzz_below(&f, 6)),
                                      .dtype = MICA_BOOL,
                                      .source = {x, y}});
  }
  const int32_t operators = fuzz_below(&f, 8);
  for (int32_t i = 0; i < operators; i++) {
    static const mica_tile_op floats[] = {MICA_TILE_ADD, MICA_TILE_SUB, MICA_TILE_MUL,
                                          MICA_TILE_MAX, MICA_TILE_MIN};
    static const mica_tile_op integers[] = {MICA_TILE_ADD, MICA_TILE_SUB, MICA_TILE_MUL,
                                            MICA_TILE_MAX, MICA_TILE_MIN, MICA_TILE_DIV,
                                            MICA_TILE_REM, MICA_TILE_AND, MICA_TILE_XOR};
    static const mica_tile_op unary[] = {MICA_TILE_NEG, MICA_TILE_ABS, MICA_TILE_RELU,
                                         MICA_TILE_SIGN};
    const int32_t x = values[fuzz_below(&f, count)], y = values[fuzz_below(&f, count)];
    if (condition >= 0 && fuzz_below(&f, 3) == 0) {
      values[count++] = fuzz_add(
          &f,
          (mica_tile_node){.op = MICA_TILE_SELECT, .dtype = dtype, .source = {condition, x, y}});
    } else if (fuzz_below(&f, 4) == 0) {
      values[count++] = fuzz_unary(&f, unary[fuzz_below(&f, 4)], dtype, x);
    } else {
      values[count++] =
          fuzz_binary(&f, is_float ? floats[fuzz_below(&f, 5)] : integers[fuzz_below(&f, 9)], x, y);
    }
  }
  fuzz_store(&f, values[count - 1], false);
  if (fuzz_below(&f, 2)) fuzz_store(&f, values[fuzz_below(&f, count)], false);
  if (condition >= 0 && fuzz_below(&f, 2)) fuzz_store(&f, condition, false);
  fuzz_buffers(&f, false);
  /* Chains of products grow to 4^8 and 1e4^8: relative errors, which may cancel. */
  const bool good =
      fuzz_check(&f, dtype == MICA_F32 || dtype == MICA_BF16 || dtype == MICA_F16 ? 0.05 : 1e-9);
  fuzz_free(&f);
  return good;
}

TEST(random_elementwise) {
  const int runs = check_all_values() ? 20000 : 600;
  for (int i = 0; i < runs; i++) {
    if (run_elementwise((uint64_t)(i + check_rotation() * 1000003))) continue;
    CHECK_FAIL("seed %lld", (long long)(i + check_rotation() * 1000003));
    return;
  }
}

/* Reductions with a prologue, an epilogue on rows, stores of both kinds, and several phases. */
static bool run_reduction(uint64_t seed, int64_t most) {
  fuzz f = {.state = seed * 2654435761U + 88172645463325252U};
  const mica_dtype dtype = all_dtypes[fuzz_below(&f, 2) ? 0 : fuzz_below(&f, DTYPES)];
  const bool is_float = mica_dtype_is_float(dtype);
  const int32_t rank = 1 + fuzz_below(&f, 4);
  fuzz_space(&f, rank, most);
  f.spec.reduce_begin = fuzz_below(&f, rank);
  f.spec.reduce_end = fuzz_below(&f, 2)
                          ? rank
                          : f.spec.reduce_begin + 1 + fuzz_below(&f, rank - f.spec.reduce_begin);
  if (most > 10000) { /* few long rows or columns */
    f.spec.rank = 2;
    f.spec.size[0] = 1 + fuzz_below(&f, 3), f.spec.size[1] = 70000 + fuzz_below(&f, 100000);
    f.spec.reduce_begin = 1, f.spec.reduce_end = 2;
    if (fuzz_below(&f, 2)) {
      f.spec.size[0] = 500 + fuzz_below(&f, 3000), f.spec.size[1] = 1 + fuzz_below(&f, 90);
      f.spec.reduce_begin = 0, f.spec.reduce_end = 1;
    }
  }
  static const mica_tile_op kinds[] = {
      MICA_TILE_REDUCE_SUM, MICA_TILE_REDUCE_MAX, MICA_TILE_REDUCE_MIN, MICA_TILE_REDUCE_SUM,
      MICA_TILE_REDUCE_OR,  MICA_TILE_REDUCE_AND, MICA_TILE_REDUCE_PROD};
  const int32_t x = fuzz_load(&f, dtype), y = fuzz_load(&f, dtype);
  const int32_t number = fuzz_number(&f, dtype, 2);
  int32_t in = fuzz_below(&f, 2)
                   ? x
                   : fuzz_binary(&f, fuzz_below(&f, 2) ? MICA_TILE_ADD : MICA_TILE_SUB, x, y);
  const mica_tile_op kind = kinds[fuzz_below(&f, is_float ? 4 : 7)];
  int32_t row = fuzz_unary(&f, kind, dtype, in);
  int32_t other = fuzz_below(&f, 2) ? fuzz_unary(&f, MICA_TILE_REDUCE_MAX, dtype, x) : row;
  if (fuzz_below(&f, 2)) row = fuzz_binary(&f, MICA_TILE_SUB, row, fuzz_row_load(&f, dtype));
  if (fuzz_below(&f, 2)) other = fuzz_binary(&f, MICA_TILE_MAX, other, number);
  if (fuzz_below(&f, 2)) fuzz_store(&f, row, true);
  fuzz_store(&f, other, true);
  if (fuzz_below(&f, 2)) fuzz_store(&f, in, false);
  if (fuzz_below(&f, 2)) { /* a second phase */
    const int32_t part = fuzz_binary(&f, MICA_TILE_SUB, in, other);
    if (fuzz_below(&f, 2)) fuzz_store(&f, fuzz_binary(&f, MICA_TILE_MAX, part, y), false);
    if (fuzz_below(&f, 2)) {
      const int32_t again = fuzz_unary(&f, MICA_TILE_REDUCE_MAX, dtype, part);
      fuzz_store(&f, again, true);
      if (fuzz_below(&f, 2)) fuzz_store(&f, fuzz_binary(&f, MICA_TILE_SUB, part, again), false);
    }
  }
  fuzz_buffers(&f, true);
  const bool good = fuzz_check(&f, tolerance_of(dtype) * (most > 10000 ? 20 : 4));
  fuzz_free(&f);
  return good;
}

TEST(random_reductions) {
  const int runs = check_all_values() ? 10000 : 500;
  for (int i = 0; i < runs; i++) {
    if (run_reduction((uint64_t)(i + check_rotation() * 1000003), i % 25 == 0 ? 200000 : 8000))
      continue;
    CHECK_FAIL("seed %lld", (long long)(i + check_rotation() * 1000003));
    return;
  }
}

TEST_MAIN(TEST_CASE(random_elementwise), TEST_CASE(random_reductions))
