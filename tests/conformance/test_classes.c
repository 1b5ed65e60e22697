/* SPDX-License-Identifier: Apache-2.0 */
/* Classes of shapes and values, made from every case on every dtype: the cases' programs under vmap of
 * no, one, an odd and a large prime number of examples, under as many vmaps as rank 8 allows, and
 * on NaN, infinities, denormals and the extreme integers. The cpu on each of its rows of
 * instructions against the reference; or the device that $MICA_TEST_BACKEND names. One that takes denormals for zeros
 * and gives zeros for them (XLA on the CPU) is given zeros for them, as the reference is, and compared after the same
 * was done to both results: what it makes of denormals is for unit.backend.xla.denormals. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/kernels/kernels.h"
#include "check.h"
#include "conformance/conformance.h"

enum { MOST_ROWS = 4, MOST_DEPTH = 8 };
static const int64_t most_elements = 1 << 16; /* of an operand of the prime class */

typedef struct {
  const char *name;
  int64_t examples; /* of the outermost vmap, -1: none */
  bool deep;        /* vmaps of 2 and 1 examples up to rank 8 */
  bool special;
} value_class;

static mica_device *row_device[MOST_ROWS];
static const char *row_name[MOST_ROWS];
static int32_t row_count;
static long compared, programs; /* results on all rows; cases with a dtype, on each row */

static bool flushes; /* the device under test has no denormals */

/* Whether 2^-130 times one is nothing. */
static bool device_flushes(mica_device *device) {
  mica_error error = {0};
  float x = 0x1p-130f, y = 1;
  mica_type type = {MICA_F32, {.rank = 0}};
  mica_graph *graph = mica_graph_create(NULL);
  mica_value in[2] = {mica_parameter(graph, type), mica_parameter(graph, type)};
  mica_value product = mica_mul(in[0], in[1]);
  mica_graph_set_outputs(graph, &product, 1);
  mica_executable *executable = NULL;
  mica_tensor *values[2] = {mica_tensor_from(MICA_F32, type.shape, &x),
                            mica_tensor_from(MICA_F32, type.shape, &y)},
              *out = NULL;
  if (mica_compile(device, graph, 0, &executable, &error) != MICA_OK ||
      mica_executable_run(executable, values, 2, &out, 1, &error) != MICA_OK)
    CHECK_FAIL("%s", error.message);
  bool flushed = out != NULL && *(const float *)mica_tensor_data(out) == 0;
  mica_tensor_release(values[0]), mica_tensor_release(values[1]), mica_tensor_release(out);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  return flushed;
}

static double smallest_normal(mica_dtype dtype) {
  return dtype == MICA_F64 || dtype == MICA_C128                        ? DBL_MIN
         : dtype == MICA_F32 || dtype == MICA_BF16 || dtype == MICA_C64 ? FLT_MIN
                                                                        : 0;
}

/* Denormals replaced by zeros of their sign; takes the tensor. */
static mica_tensor *without_denormals(mica_tensor *tensor) {
  mica_type type = mica_tensor_type(tensor);
  double smallest = smallest_normal(type.dtype);
  int64_t count = mica_shape_count(type.shape);
  if (smallest == 0 || mica_dtype_is_complex(type.dtype)) return tensor;
  double *values = calloc((size_t)count + 1, sizeof *values);
  if (values && mica_tensor_read_doubles(tensor, values, count, NULL) == MICA_OK) {
    for (int64_t i = 0; i < count; i++)
      if (fabs(values[i]) < smallest) values[i] = copysign(0, values[i]);
    mica_tensor_release(tensor);
    tensor = mica_tensor_from_doubles(type.dtype, type.shape, values);
  }
  free(values);
  return tensor;
}

static void open_named(const char *backend) {
  mica_error error = {0};
  row_name[0] = backend;
  row_device[0] = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = backend},
      &error);
  row_count = row_device[0] != NULL;
  if (!row_device[0]) CHECK_FAIL("%s: %s", backend, error.message);
  flushes = row_device[0] != NULL && device_flushes(row_device[0]);
}

static void open_rows(void) {
  const mica_cpu_kernels *kernels;
  const char *named = getenv("MICA_TEST_BACKEND");
  if (named && strncmp(named, "xla", 3) == 0) {
    open_named(named);
    return;
  }
  const char *kept = getenv("MICA_CPU_ISA");
  char *copy = kept ? strdup(kept) : NULL;
  for (row_count = 0; row_count < MOST_ROWS; row_count++) {
    if (!(kernels = mica_cpu_kernels_at(row_count))) break;
    setenv("MICA_CPU_ISA", kernels->name, 1);
    mica_error error = {0};
    row_name[row_count] = kernels->name;
    row_device[row_count] =
        mica_device_open(&(mica_device_options){.struct_size = sizeof(mica_device_options),
                                                .backend = "cpu",
                                                .threads = check_threads(2)},
                         &error);
    if (!row_device[row_count]) CHECK_FAIL("row %s: %s", kernels->name, error.message);
  }
  unsetenv("MICA_CPU_ISA");
  if (copy) setenv("MICA_CPU_ISA", copy, 1);
  free(copy);
}

static void close_rows(void) {
  for (int32_t i = 0; i < row_count; i++) mica_device_release(row_device[i]);
  close_devices();
}

/* ---- programs -------------------------------------------------------------------------------- */

/* A padded cell times an infinite weight is NaN or left out, as include/mica/ops/product.h says; what
 * an infinite element makes of a transform's line depends on the order of its sums (fft.h). */
static bool leaves_finite(mica_op op) {
  return op == MICA_OP_FFT || op == MICA_OP_CONVOLUTION ||
         op == MICA_OP_CONVOLUTION_BACKWARD_DATA || op == MICA_OP_CONVOLUTION_BACKWARD_KERNEL;
}

typedef struct {
  const conformance_case *c;
  int64_t sizes[MOST_DEPTH];
  int32_t depth;
} nest;

static void build_nested(const nest *n, int32_t level, mica_graph *graph, const mica_value *in,
                         mica_value *out) {
  if (level == n->depth) {
    n->c->build(graph, in, out);
    return;
  }
  mica_region each = mica_vmap_begin(graph, in, NULL, (size_t)n->c->input_count);
  mica_value one[CASE_INPUTS], results[CASE_OUTPUTS] = {{0}};
  for (int32_t i = 0; i < n->c->input_count; i++) one[i] = mica_argument(each, (size_t)i);
  build_nested(n, level + 1, graph, one, results);
  mica_vmap_end(each, results, (size_t)n->c->output_count, out);
}

/* The case with its inputs' shapes behind the numbers of examples; false beyond rank 8. */
static bool grown_case(const nest *n, conformance_case *out) {
  *out = *n->c;
  for (int32_t i = 0; i < out->input_count; i++) {
    mica_shape *shape = &out->in[i].shape;
    if (shape->rank + n->depth > MICA_MAX_RANK) return false;
    mica_shape inner = *shape;
    shape->rank += n->depth;
    for (int32_t k = 0; k < shape->rank; k++)
      shape->dim[k] = k < n->depth ? n->sizes[k] : inner.dim[k - n->depth];
  }
  return true;
}

static mica_graph *build_case(const nest *n, const conformance_case *grown, mica_dtype dtype,
                              mica_error *error) {
  extern mica_dtype case_now;
  mica_graph *graph = mica_graph_create(NULL);
  mica_value in[CASE_INPUTS], out[CASE_OUTPUTS] = {{0}};
  for (int32_t i = 0; i < grown->input_count; i++) {
    mica_type type;
    case_input_type(grown, i, dtype, &type);
    in[i] = mica_parameter(graph, type);
  }
  case_now = dtype;
  build_nested(n, 0, graph, in, out);
  mica_graph_set_outputs(graph, out, (size_t)grown->output_count);
  if (mica_graph_verify(graph, error) == MICA_OK) return graph;
  mica_graph_destroy(graph);
  return NULL;
}

/* ---- values ---------------------------------------------------------------------------------- */

static double special_value(mica_dtype dtype, bool loose, uint64_t pick) {
  if (!mica_dtype_is_float(dtype)) {
    int bits = mica_dtype_bits(dtype);
    bool is_signed = mica_dtype_is_signed(dtype);
    double most = ldexp(1, is_signed ? bits - 1 : bits);
    switch (pick % 5) {
      case 0: return bits == 64 ? most - ldexp(1, 11) : most - 1;
      case 1: return is_signed ? -most : 0;
      case 2: return is_signed ? -1 : 1;
      case 3: return 0;
      default: return 1;
    }
  }
  double tiny = dtype == MICA_F64    ? 0x1p-1070
                : dtype == MICA_F16  ? 0x1p-20
                : dtype == MICA_BF16 ? 0x1p-130
                                     : 0x1p-140;
  double huge_value = dtype == MICA_F64        ? DBL_MAX
                      : dtype == MICA_F16      ? 65504
                      : dtype == MICA_F8E5M2   ? 57344
                      : dtype == MICA_F8E4M3FN ? 448
                                               : 0x1.fcp127;
  switch (pick % 8) {
    case 0: return NAN;
    case 1: return INFINITY;
    case 2: return -INFINITY;
    case 3: return -0.0;
    case 4: return tiny;
    case 5: return -tiny;
    case 6: return loose ? 0 : huge_value;
    default: return loose ? 1 : -huge_value;
  }
}

/* A third of the numbers of an input replaced. */
static mica_tensor *with_specials(const conformance_case *c, int32_t input, mica_dtype dtype) {
  mica_tensor *plain = case_values(c, input, dtype, 5);
  mica_type type = mica_tensor_type(plain);
  int64_t count = mica_shape_count(type.shape);
  case_kind kind = c->in[input].kind;
  if ((kind != RANGE && kind != SPACED) || mica_dtype_is_complex(dtype) || dtype == MICA_BOOL)
    return plain;
  double *values = calloc((size_t)count + 1, sizeof *values);
  if (!values || mica_tensor_read_doubles(plain, values, count, NULL) != MICA_OK) {
    free(values);
    return plain;
  }
  for (int64_t i = 0; i < count; i++) {
    uint64_t dice = (uint64_t)(1e9 * (1 + case_random(91 + (uint64_t)input, (uint64_t)i)));
    if (dice % 3 == 0 && !(leaves_finite(c->op) && dice / 3 % 8 < 3))
      values[i] =
          special_value(dtype, mica_op_definition(c->op)->kind != MICA_KIND_POINTWISE, dice / 3);
  }
  mica_tensor *tensor = mica_tensor_from_doubles(type.dtype, type.shape, values);
  free(values);
  mica_tensor_release(plain);
  return tensor;
}

/* ---- one case of one class ------------------------------------------------------------------- */

static void run_rows(const value_class *class, const nest *n, const conformance_case *grown,
                     mica_dtype dtype) {
  mica_error error = {0};
  mica_graph *graph = build_case(n, grown, dtype, &error);
  if (!graph) {
    CHECK_FAIL("%s %s %s: %s", grown->name, mica_dtype_name(dtype), class->name, error.message);
    return;
  }
  size_t inputs = (size_t)grown->input_count, outputs = (size_t)grown->output_count;
  mica_tensor *in[CASE_INPUTS] = {NULL}, *wanted[CASE_OUTPUTS] = {NULL};
  for (int32_t i = 0; i < grown->input_count; i++)
    in[i] = class->special ? with_specials(grown, i, dtype) : case_values(grown, i, dtype, 3);
  bool flush = flushes && class->special;
  for (size_t i = 0; i < inputs && flush; i++) in[i] = without_denormals(in[i]);
  mica_executable *reference = NULL;
  programs++;
  if (mica_compile(reference_device(), graph, 0, &reference, &error) ||
      mica_executable_run(reference, in, inputs, wanted, outputs, &error))
    CHECK_FAIL("%s %s %s: reference: %s", grown->name, mica_dtype_name(dtype), class->name,
               error.message);
  for (size_t j = 0; j < outputs && flush && !error.status; j++)
    wanted[j] = without_denormals(wanted[j]);
  for (int32_t row = 0; row < row_count && !error.status; row++) {
    mica_tensor *got[CASE_OUTPUTS] = {NULL};
    mica_executable *executable = NULL;
    char where[64];
    snprintf(where, sizeof where, " %s on %s", class->name, row_name[row]);
    const case_exception *exception =
        case_exception_of(row_device[row], grown, dtype, class->special);
    if (mica_compile(row_device[row], graph, 0, &executable, &error) ||
        mica_executable_run(executable, in, inputs, got, outputs, &error)) {
      if (!exception || !exception->refused || !strstr(error.message, exception->refused))
        CHECK_FAIL("%s %s%s: %s", grown->name, mica_dtype_name(dtype), where, error.message);
    } else {
      for (size_t j = 0; j < outputs && !exception; j++) {
        if (flush) got[j] = without_denormals(got[j]);
        compared += (class->special ? case_compare_specials : case_compare)(
            grown, dtype, got[j], wanted[j], (int)j, where);
      }
    }
    for (size_t j = 0; j < outputs; j++) mica_tensor_release(got[j]);
    mica_executable_release(executable);
  }
  for (size_t i = 0; i < inputs; i++) mica_tensor_release(in[i]);
  for (size_t j = 0; j < outputs; j++) mica_tensor_release(wanted[j]);
  mica_executable_release(reference);
  mica_graph_destroy(graph);
}

static bool small_enough(const conformance_case *c) {
  for (int32_t i = 0; i < c->input_count; i++)
    if (mica_shape_count(c->in[i].shape) > most_elements) return false;
  return true;
}

/* The reference stacks the devices of manual regions along an axis of their own. */
static bool leaves_an_axis(const mica_graph *graph) {
  for (uint32_t id = 1; id < graph->count; id++) {
    uint32_t region = graph->nodes[id].region;
    if (region && graph->regions[region].owner &&
        graph->nodes[graph->regions[region].owner].op == MICA_OP_MANUAL &&
        graph->nodes[id].type.shape.rank == MICA_MAX_RANK)
      return false;
  }
  return true;
}

/* How many vmaps fit around the case; batching rules may need an axis of their own. */
static bool deepest(nest *n, conformance_case *grown) {
  for (n->depth = MOST_DEPTH - 1; n->depth > 0; n->depth--) {
    for (int32_t k = 0; k < n->depth; k++) n->sizes[k] = k < 2 ? 2 : 1;
    mica_error error = {0};
    mica_graph *graph = grown_case(n, grown)
                            ? build_case(n, grown, case_dtype(n->c->dtypes & -n->c->dtypes), &error)
                            : NULL;
    bool fits = graph && leaves_an_axis(graph);
    mica_graph_destroy(graph);
    if (fits) return true;
  }
  return false;
}

static void run_class(const value_class *class) {
  compared = programs = 0;
  open_rows();
  for (int32_t k = 0; k < conformance_case_count; k++) {
    const conformance_case *c = &conformance_cases[k];
    if (!case_wanted(c)) continue;
    if (c->flags & NO_VMAP && !class->special) continue;
    nest n = {.c = c, .depth = class->examples >= 0, .sizes = {class->examples}};
    conformance_case grown;
    if (class->deep ? !deepest(&n, &grown) : !grown_case(&n, &grown)) continue;
    if (class->examples > 100 && !small_enough(&grown)) continue;
    for (uint32_t bit = 1; bit <= LAST_DTYPE; bit <<= 1)
      if (c->dtypes & bit) run_rows(class, &n, &grown, case_dtype(bit));
  }
  printf("%s: %ld cases on each of %d rows, %ld results compared\n", class->name, programs,
         (int)row_count, compared);
  const char *filter = getenv("MICA_CASE");
  bool whole = (!filter || !*filter) && !getenv("MICA_TEST_PART");
  if (whole) CHECK(programs >= 3000 && compared >= 3000 * (long)row_count);
  close_rows();
}

TEST(no_example) { run_class(&(value_class){.name = "no example", .examples = 0}); }
TEST(one_example) { run_class(&(value_class){.name = "one example", .examples = 1}); }
TEST(odd) { run_class(&(value_class){.name = "odd", .examples = 13}); }
TEST(large_prime) { run_class(&(value_class){.name = "large prime", .examples = 1009}); }
TEST(rank_8) { run_class(&(value_class){.name = "rank 8", .examples = -1, .deep = true}); }
TEST(special_values) {
  run_class(&(value_class){.name = "special values", .examples = -1, .special = true});
}

TEST_MAIN(TEST_CASE(no_example), TEST_CASE(one_example), TEST_CASE(odd), TEST_CASE(large_prime),
          TEST_CASE(rank_8), TEST_CASE(special_values))
