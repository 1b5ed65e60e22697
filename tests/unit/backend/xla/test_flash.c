/* SPDX-License-Identifier: Apache-2.0 */
/* Attention as a call of cuDNN: the text that goes to a CUDA device with flash_attention=true, beside JAX's
 * (tests/golden/flash_attention.golden, made by tests/golden/flash_attention.py). The device is the fake plugin. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "mica/jit.h"
#include "unit/backend/xla/fake.h"

/* The module of one attention. */
static const char *module_text(const char *options, bool accelerator, mica_dtype dtype,
                               const int64_t shape[5], bool causal, double scale, bool gradient) {
  static char text[1 << 16], path[1100], name[1300];
  mica_error error = {0};
  fake_control *control = fake_open(path);
  if (control == NULL) return "";
  snprintf(name, sizeof name, "xla:%s,cache=off%s", path, options);
  control->outputs = gradient ? 2 : 1, control->accelerator = accelerator;
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = name}, &error);
  if (!CHECK_OK_ERROR(error.status, &error)) return "";
  mica_graph *graph = mica_graph_create(NULL);
  mica_shape q = {4, {shape[0], shape[1], shape[2], shape[4]}},
             k = {4, {shape[0], shape[1], shape[3], shape[4]}};
  mica_value in[3] = {mica_parameter(graph, (mica_type){dtype, q}),
                      mica_parameter(graph, (mica_type){dtype, k}),
                      mica_parameter(graph, (mica_type){dtype, k})},
             out[2];
  out[0] = mica_attention(in[0], in[1], in[2], .causal = causal, .scale = scale);
  if (gradient) mica_gradients(mica_reduce_sum(out[0], MICA_ALL), in, 1, &out[1]);
  mica_graph_set_outputs(graph, out, gradient ? 2 : 1);
  mica_executable *executable = NULL;
  CHECK_OK_ERROR(mica_compile(device, graph, 0, &executable, &error), &error);
  snprintf(text, sizeof text, "%s", control->text);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  mica_device_release(device);
  return text;
}

/* What stands behind `backend_config = "`, with its quotes. */
static void config_of(const char *text, char *out, size_t size) {
  const char *at = strstr(text, "backend_config = \"");
  size_t used = 0;
  out[0] = '\0';
  if (!at) return;
  for (at += strlen("backend_config = \""); *at && *at != '"' && used + 1 < size;) {
    bool quote = !strncmp(at, "\\22", 3);
    out[used++] = quote ? '"' : *at;
    at += quote ? 3 : 1;
  }
  out[used] = '\0';
}

TEST(calls_are_jax_s) {
  static const struct {
    const char *name;
    mica_dtype dtype;
    int64_t shape[5]; /* batch, heads, queries, keys, width */
    bool causal;
    double scale;
    const char *types;
  } cases[] = {{"causal_bf16",
                MICA_BF16,
                {2, 3, 128, 128, 64},
                true,
                0,
                "(tensor<2x3x128x64xbf16>, tensor<2x3x128x64xbf16>, tensor<2x3x128x64xbf16>) -> "
                "(tensor<2x3x128x64xbf16>, tensor<0xui8>)"},
               {"all_f16",
                MICA_F16,
                {2, 3, 64, 96, 32},
                false,
                0.5,
                "(tensor<2x3x64x32xf16>, tensor<2x3x96x32xf16>, tensor<2x3x96x32xf16>) -> "
                "(tensor<2x3x64x32xf16>, tensor<0xui8>)"}};
  FILE *golden = fopen(check_source_path("tests/golden/flash_attention.golden"), "r");
  static char name[100], wanted[4096], got[4096];
  if (!CHECK(golden != NULL)) return;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    CHECK(fgets(name, sizeof name, golden) && fgets(wanted, sizeof wanted, golden));
    name[strcspn(name, "\n")] = wanted[strcspn(wanted, "\n")] = '\0';
    CHECK_EQ_STR(name, cases[i].name);
    const char *text = module_text(",flash_attention=true", true, cases[i].dtype, cases[i].shape,
                                   cases[i].causal, cases[i].scale, false);
    config_of(text, got, sizeof got);
    CHECK_EQ_STR(got, wanted);
    CHECK_STR_CONTAINS(text, "call_target_name = \"__cudnn$fmhaSoftmax\", api_version = 2 : i32");
    CHECK_STR_CONTAINS(text, cases[i].types);
  }
  fclose(golden);
}

/* Where it is not asked for, or cuDNN would not take it, the expansion. */
TEST(others_are_expanded) {
  static const char flash[] = ",flash_attention=true";
  static const int64_t good[5] = {2, 3, 64, 64, 32}, longer[5] = {2, 3, 64, 96, 32},
                       odd[5] = {2, 3, 64, 64, 20}, wide[5] = {2, 3, 64, 64, 256};
  CHECK_STR_CONTAINS(module_text(flash, true, MICA_F16, good, true, 0, false), "__cudnn");
  const char *texts[7];
  for (int i = 0; i < 7; i++) {
    const int64_t *shape = i == 2 ? longer : i == 3 ? odd : i == 4 ? wide : good;
    texts[i] = module_text(i == 0 ? "" : flash, i != 1, i == 5 ? MICA_F32 : MICA_F16, shape, true,
                           0, i == 6);
    if (i < 6) CHECK(!strstr(texts[i], "__cudnn"));
    CHECK_STR_CONTAINS(texts[i], "stablehlo.dot_general");
  }
}

TEST_MAIN(TEST_CASE(calls_are_jax_s), TEST_CASE(others_are_expanded))
