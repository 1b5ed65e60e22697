/* SPDX-License-Identifier: Apache-2.0 */
/* The store: paths, what two traces share, first values, settings, groups, and the messages of mistakes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "mica/jit.h"
#include "mica/nn.h"
#include "platform/platform.h"

static mica_device *device;

typedef mica_value model(mica_scope *scope, const mica_value *in);
typedef struct {
  mica_store *store;
  model *build;
  bool training;
} program;

static void build_program(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  const program *p = user;
  mica_scope *scope = mica_scope_open(p->store, graph, p->training);
  out[0] = p->build(scope, in);
  mica_scope_close(scope);
}

/* Runs the model on zeros [rows, 4]; the result is the caller's. */
static mica_status run_model(mica_store *store, model *build, bool training, int64_t rows,
                             mica_tensor **out, mica_error *error) {
  program p = {store, build, training};
  mica_tensor *x = mica_tensor_from(MICA_F32, MICA_DIMS(rows, 4), NULL);
  *out = NULL;
  mica_status status = mica_call_once(device, build_program, &p, &x, 1, out, 1, error);
  mica_tensor_release(x);
  return status;
}

static void check_message(mica_store *store, model *build, const char *part) {
  mica_error error = {0};
  mica_tensor *out;
  CHECK_STATUS(run_model(store, build, true, 2, &out, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, part);
  mica_tensor_release(out);
}

static mica_value two_layers(mica_scope *s, const mica_value *in) {
  mica_value x = mica_relu(mica_nn_dense(mica_scope_in(s, "hidden"), in[0], .units = 8));
  return mica_nn_dense(mica_scope_in(s, "logits"), x, .units = 3);
}
static mica_value two_layers_swapped(mica_scope *s, const mica_value *in) {
  mica_scope *logits = mica_scope_in(s, "logits"), *hidden = mica_scope_in(s, "hidden");
  mica_value kernel = mica_scope_variable(logits, "kernel", (mica_type){MICA_F32, MICA_DIMS(8, 3)},
                                          mica_init_glorot_uniform());
  mica_value x = mica_relu(mica_nn_dense(hidden, in[0], .units = 8));
  return mica_matmul(x, kernel);
}

static mica_tensor *value_of(const mica_store *store, const char *path) {
  mica_store_entry entry;
  if (!CHECK(mica_store_find(store, path, &entry))) return NULL;
  return mica_variable_snapshot(entry.variable);
}

TEST(variables) {
  mica_store *store = mica_store_create(device, 3), *other = mica_store_create(device, 3),
             *third = mica_store_create(device, 4);
  mica_tensor *out, *again;
  mica_error error = {0};
  CHECK_OK_ERROR(run_model(store, two_layers, false, 2, &out, &error), &error);
  CHECK_EQ_INT(mica_store_count(store), 4);
  mica_tensor_release(out);
  CHECK_OK_ERROR(run_model(store, two_layers, true, 5, &out, &error), &error); /* another shape */
  CHECK_EQ_INT(mica_store_count(store), 4);
  CHECK_EQ_INT(mica_store_parameter_count(store, true), 4 * 8 + 8 + 8 * 3 + 3);
  CHECK_EQ_INT(mica_store_byte_count(store, false), 4 * 67);
  mica_tensor_release(out);
  /* Values by seed and path, not by order. */
  CHECK_OK_ERROR(run_model(other, two_layers_swapped, false, 2, &out, &error), &error);
  CHECK_OK_ERROR(run_model(third, two_layers, false, 2, &again, &error), &error);
  mica_tensor *a = value_of(store, "logits/kernel"), *b = value_of(other, "logits/kernel"),
              *c = value_of(third, "logits/kernel"), *d = value_of(store, "hidden/kernel");
  CHECK(mica_tensor_equal(a, b));
  CHECK(!mica_tensor_equal(a, c));
  double numbers[32];
  CHECK_OK(mica_tensor_read_doubles(d, numbers, 32, NULL));
  double most = 0;
  for (int i = 0; i < 32; i++) most = fmax(most, fabs(numbers[i]));
  CHECK(most > 0.4 && most <= sqrt(6.0 / 12));
  mica_tensor_release(c), mica_tensor_release(d);
  /* Anew, and from a file's values. */
  CHECK_OK_ERROR(mica_store_reset(third, 3, &error), &error);
  c = value_of(third, "logits/kernel");
  CHECK(mica_tensor_equal(a, c));
  mica_tensor *mine = mica_tensor_scalar(MICA_F32, 2);
  CHECK_STATUS(mica_store_put(store, "logits/kernel", mine, true, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "logits/kernel");
  CHECK_STATUS(mica_store_put(store, "logits//kernel", mine, true, NULL), MICA_INVALID);
  CHECK_OK(mica_store_put(store, "extra/thing", mine, false, NULL));
  mica_store_entry entry;
  CHECK(mica_store_find(store, "extra/thing", &entry) && !entry.trainable);
  CHECK(!mica_store_find(store, "extra", NULL));
  mica_tensor_release(mine), mica_tensor_release(a), mica_tensor_release(b), mica_tensor_release(c);
  mica_tensor_release(out), mica_tensor_release(again);
  mica_store_destroy(store), mica_store_destroy(other), mica_store_destroy(third);
}

static mica_value twice(mica_scope *s, const mica_value *in) {
  mica_scope *one = mica_scope_in(s, "one");
  mica_value x = mica_nn_dense(one, in[0], .units = 4);
  return mica_nn_dense(one, x, .units = 4);
}
static mica_value same_name(mica_scope *s, const mica_value *in) {
  mica_value x = mica_nn_dense(mica_scope_in(mica_scope_in(s, "net"), "layer"), in[0], .units = 4);
  return mica_nn_dense(
      mica_scope_in(mica_scope_shared(s, "other"), "layer"),
      mica_nn_dense(mica_scope_in(mica_scope_in(s, "net"), "layer"), x, .units = 4), .units = 4);
}
static mica_value shared(mica_scope *s, const mica_value *in) {
  mica_value x = mica_nn_dense(mica_scope_shared(s, "one"), in[0], .units = 4);
  return mica_nn_dense(mica_scope_shared(s, "one"), x, .units = 4);
}
static mica_value other_units(mica_scope *s, const mica_value *in) {
  return mica_nn_dense(mica_scope_in(s, "one"), in[0], .units = 5);
}
static mica_value reused(mica_scope *s, const mica_value *in) {
  return mica_nn_dense(mica_scope_reuse(s, "one"), in[0], .units = 4);
}
static mica_value bad_name(mica_scope *s, const mica_value *in) {
  return mica_nn_dense(mica_scope_in(s, "a/b"), in[0], .units = 4);
}
static mica_value fails_late(mica_scope *s, const mica_value *in) {
  mica_value x = mica_nn_dense(mica_scope_in(s, "hidden"), in[0], .units = 9);
  return mica_add(x, in[0]);
}

TEST(sharing) {
  mica_store *store = mica_store_create(device, 1);
  mica_tensor *out;
  mica_error error = {0};
  check_message(store, twice, "two layers at \"one\"");
  check_message(store, same_name, "two scopes \"net\"");
  check_message(store, bad_name, "\"a/b\"");
  check_message(store, reused, "scope \"one\" has no variables");
  check_message(store, fails_late, "add");
  CHECK_EQ_INT(mica_store_count(store), 0); /* failed traces leave nothing */
  CHECK_OK_ERROR(run_model(store, shared, false, 2, &out, &error), &error);
  CHECK_EQ_INT(mica_store_count(store), 2);
  mica_tensor_release(out);
  check_message(store, other_units,
                "variable \"one/kernel\" is f32[4, 4], and its layer now asks for f32[4, 5]");
  CHECK_OK_ERROR(run_model(store, reused, false, 2, &out, &error), &error);
  mica_tensor_release(out);
  mica_store_destroy(store);
  store = mica_store_create(NULL, 1);
  CHECK(store != NULL);
  check_message(store, shared, "device of the store is NULL");
  mica_store_destroy(store);
  mica_store_destroy(NULL);
}

/* ---- dropout and keys ------------------------------------------------------------------------------ */

static mica_value dropped(mica_scope *s, const mica_value *in) {
  mica_value x = mica_nn_dropout(s, mica_add(in[0], 1), 0.25);
  return mica_concatenate((mica_value[]){x, mica_nn_dropout(s, mica_add(in[0], 1), 0.25)}, 2, 0);
}

TEST(random) {
  mica_store *store = mica_store_create(device, 1);
  program p = {store, dropped, true};
  mica_jit *jit = mica_jit_create(device, build_program, .inputs = 1, .outputs = 1, .user = &p);
  mica_tensor *x = mica_tensor_from(MICA_F32, MICA_DIMS(500, 4), NULL), *out[2] = {NULL, NULL};
  mica_error error = {0};
  CHECK_OK_ERROR(mica_jit_call(jit, &x, 1, &out[0], 1, &error), &error);
  CHECK_OK_ERROR(mica_jit_call(jit, &x, 1, &out[1], 1, &error), &error);
  CHECK(!mica_tensor_equal(out[0], out[1])); /* a step on */
  const float *values = mica_tensor_data(out[0]);
  int zeros = 0, same = 0;
  for (int i = 0; i < 4000; i++) {
    zeros += values[i] == 0;
    CHECK(values[i] == 0 || fabsf(values[i] - 4.0f / 3) < 1e-6f);
    same += i < 2000 && values[i] == values[2000 + i];
  }
  CHECK(zeros > 850 && zeros < 1150);
  CHECK(same < 1500); /* the two draws of one scope differ */
  mica_tensor *step = value_of(store, "random_step");
  CHECK_EQ_INT(*(const int64_t *)mica_tensor_data(step), 2);
  mica_tensor_release(step);
  /* The same step again draws the same, in a store of its own too. */
  mica_store *twin = mica_store_create(device, 1);
  program q = {twin, dropped, true};
  mica_tensor *again = NULL;
  CHECK_OK_ERROR(mica_call_once(device, build_program, &q, &x, 1, &again, 1, &error), &error);
  CHECK(mica_tensor_equal(again, out[0]));
  mica_tensor_release(again);
  q.training = false;
  again = NULL;
  CHECK_OK_ERROR(mica_call_once(device, build_program, &q, &x, 1, &again, 1, &error), &error);
  CHECK_EQ_INT(((const float *)mica_tensor_data(again))[7], 1);
  mica_tensor_release(again), mica_tensor_release(x), mica_tensor_release(out[0]),
      mica_tensor_release(out[1]);
  mica_jit_destroy(jit);
  mica_store_destroy(store), mica_store_destroy(twin);
}

/* ---- settings ------------------------------------------------------------------------------------------ */

static mica_value with_settings(mica_scope *s, const mica_value *in) {
  mica_scope *encoder = mica_scope_in(s, "encoder"),
             *layer = mica_scope_in_index(encoder, "layer", 3);
  CHECK_EQ_STR(mica_scope_path(layer), "encoder/layer3");
  CHECK_NEAR(mica_scope_get_number(s, "dropout", 0.5), 0.3, 0);
  CHECK_NEAR(mica_scope_get_number(layer, "dropout", 0.5), 0.1, 0);
  CHECK_NEAR(mica_scope_get_number(layer, "units", 0.5), 12, 0); /* an integer serves */
  CHECK_EQ_INT(mica_scope_get_integer(layer, "units", 1), 12);
  CHECK(mica_scope_get_flag(layer, "causal", false));
  CHECK_EQ_STR(mica_scope_get_text(encoder, "activation", "relu"), "gelu");
  CHECK_EQ_STR(mica_scope_get_text(s, "activation", "relu"), "relu");
  CHECK_EQ_INT(mica_scope_get_integer(s, "new_one", 7), 7);
  return in[0];
}
static mica_value mistyped(mica_scope *s, const mica_value *in) {
  mica_scope_get_flag(mica_scope_in(s, "x"), "dropout", false);
  return in[0];
}

TEST(settings) {
  mica_store *store = mica_store_create(device, 1);
  mica_error error = {0};
  CHECK_OK(mica_store_set_number(store, "dropout", 0.3, NULL));
  CHECK_OK(mica_store_set_integer(store, "units", 8, NULL));
  CHECK_OK(mica_store_set_flag(store, "causal", false, NULL));
  CHECK_OK(mica_store_set_text(store, "encoder/activation", "tanh", NULL));
  CHECK_OK_ERROR(
      mica_store_set(store, "encoder/dropout=0.1, units=12,causal=true,encoder/activation=gelu",
                     &error),
      &error);
  mica_tensor *out;
  CHECK_OK_ERROR(run_model(store, with_settings, false, 1, &out, &error), &error);
  mica_tensor_release(out);
  CHECK_OK_ERROR(mica_store_check_settings(store, &error), &error);
  check_message(store, mistyped,
                "setting \"dropout\" is of type number, and scope \"x\" asks for flag");

  CHECK_OK(mica_store_set_choice(store, "kind", "small", "small, large", &error));
  CHECK_OK(mica_store_set(store, "x/kind=large", &error));
  CHECK_EQ_STR(mica_store_get_text(store, "x/kind", ""), "large");
  CHECK_STATUS(mica_store_set_text(store, "kind", "larg", &(mica_error){0}), MICA_INVALID);
  CHECK_STATUS(mica_store_set_choice(store, "sort", "odd", "even, prime", &(mica_error){0}),
               MICA_INVALID);
  const char *const mistakes[][2] = {
      {"kind=huge", "setting \"kind\" is \"huge\"; there are: small, large"},
      {"drop=1",
       "setting \"drop\" is unknown; there are: dropout (number), units (integer), causal (flag), "
       "activation (text), new_one (integer), kind (text), sort (text)"},
      {"units=0.5", "setting \"units\" is of type integer, which \"0.5\" is not"},
      {"units=1,causal=maybe", "setting \"causal\" is of type flag"},
      {"dropout", "has no '='"},
      {"a b/dropout=1", "no path"},
      {"file:/nowhere/at/all", "/nowhere/at/all"}};
  for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
    error = (mica_error){0};
    CHECK(mica_store_set(store, mistakes[i][0], &error) != MICA_OK);
    CHECK_STR_CONTAINS(error.message, mistakes[i][1]);
  }
  CHECK_EQ_INT(mica_store_get_integer(store, "units", 0), 12); /* nothing by halves */
  CHECK_STATUS(mica_store_set_flag(store, "decoder/dropout", true, &error), MICA_INVALID);

  const char *path = check_temporary_path("params.txt");
  const char text[] = "# rates\ndropout = 0.25\n\n decoder/dropout=0.75 # later\r\nunits=3";
  char settings[2048];
  CHECK_EQ_INT(mica_file_write_atomic(path, text, strlen(text)), 0);
  snprintf(settings, sizeof settings, "file:%s,units=4", path);
  error = (mica_error){0};
  CHECK_OK_ERROR(mica_store_set(store, settings, &error), &error);
  CHECK_NEAR(mica_store_get_number(store, "dropout", 0), 0.25, 0);
  CHECK_NEAR(mica_store_get_number(store, "decoder/layer1/dropout", 0), 0.75, 0);
  CHECK_EQ_INT(mica_store_get_integer(store, "units", 0), 4);
  const char wrong[] = "dropout = 0.5\n# fine so far\nunits=many\n";
  CHECK_EQ_INT(mica_file_write_atomic(path, wrong, strlen(wrong)), 0);
  snprintf(settings, sizeof settings, "file:%s", path);
  error = (mica_error){0};
  CHECK_STATUS(mica_store_set(store, settings, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "params.txt:3: setting \"units\" is of type integer");
  error = (mica_error){0};
  remove(path);
  CHECK_STATUS(mica_store_check_settings(store, &error), MICA_OK);
  CHECK_OK(mica_store_set(store, "decodr/dropout=0", NULL));
  CHECK_STATUS(mica_store_check_settings(store, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "decodr/dropout");
  CHECK(mica_store_settings(store, settings, sizeof settings) > 0);
  CHECK_STR_CONTAINS(settings, "decoder/dropout=0.75  # number\n");
  CHECK_STR_CONTAINS(settings, "kind=small  # text: small, large\n");
  mica_store_destroy(store);
}

/* ---- groups, summary -------------------------------------------------------------------------------------- */

TEST(groups) {
  static const struct {
    const char *pattern, *path;
    bool matches;
  } rows[] = {{"a/b", "a/b", true},
              {"a/*", "a/b", true},
              {"a/*", "a/b/c", false},
              {"a/**", "a/b/c", true},
              {"**bias", "a/b/bias", true},
              {"**/bias", "bias", false},
              {"*/bias", "a/bias", true},
              {"**", "", true},
              {"*", "a/b", false},
              {"l*/k*l", "l1/kernel", true},
              {"**/l*/k*", "x/l1/l2/k", true},
              {"**a*b", "a/ab", true},
              {"**a*b", "aXb/aYbZ/b", false},
              {"a", "ab", false},
              {"", "", true},
              {"a*", "a", true}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (mica_path_matches(rows[i].pattern, rows[i].path) != rows[i].matches)
      CHECK_FAIL("\"%s\" and \"%s\"", rows[i].pattern, rows[i].path);
  mica_store *store = mica_store_create(device, 1);
  mica_tensor *out;
  mica_error error = {0};
  CHECK_OK_ERROR(run_model(store, two_layers, false, 2, &out, &error), &error);
  mica_tensor_release(out);
  CHECK_OK(mica_store_group(store, "**", .rate_factor = 0.5, .frozen = true));
  CHECK_OK(mica_store_group(store, "logits/*", .name = "head", .trained = true, .rate_factor = 4));
  CHECK_OK(mica_store_group(store, "**bias", .no_decay = true));
  CHECK_STATUS(mica_store_group(store, NULL, .error = &error), MICA_INVALID);
  mica_store_entry entry;
  CHECK(mica_store_find(store, "logits/kernel", &entry));
  CHECK(entry.trainable && entry.rate_factor == 2 && entry.decay_factor == 1);
  CHECK_EQ_STR(entry.group, "head");
  CHECK(mica_store_find(store, "hidden/bias", &entry));
  CHECK(!entry.trainable && entry.rate_factor == 0.5 && entry.decay_factor == 0);
  CHECK_EQ_INT(mica_store_parameter_count(store, true), 8 * 3 + 3);
  char text[2048];
  int64_t length = mica_store_summary(store, text, sizeof text);
  CHECK_EQ_INT(length, strlen(text));
  CHECK_STR_CONTAINS(text,
                     "hidden/kernel             f32[4, 8]                            32  no  **\n");
  CHECK_STR_CONTAINS(text, "all                    67 elements, 268 B\n");
  CHECK_STR_CONTAINS(text, "trained                27 elements, 108 B\n");
  CHECK_EQ_INT(mica_store_summary(store, text, 10), length);
  CHECK_EQ_INT(strlen(text), 9);
  mica_store_destroy(store);
}

/* ---- initial values ------------------------------------------------------------------------------------------- */

static const struct {
  const char *name;
  double mean, deviation, least, most;
} expected[] = {{"constant", 3, 0, 3, 3},
                {"uniform", 1, 2 / 3.4641016, -0.0001, 2.0001},
                {"normal", 2, 0.5, -1, 5},
                {"truncated", 1, 0.5 * 0.87962566, -0.0001, 2.0001},
                {"glorot_uniform", 0, 0.158113883, -0.273862, 0.273862},
                {"glorot_normal", 0, 0.158113883, -1, 1},
                {"he_uniform", 0, 0.25, -0.433013, 0.433013},
                {"he_normal", 0, 0.25, -2, 2},
                {"lecun_uniform", 0, 0.176776695, -0.306187, 0.306187},
                {"lecun_normal", 0, 0.176776695, -1, 1}};
enum { INITIALIZERS = sizeof expected / sizeof expected[0] };

static mica_value initial_values(mica_scope *s, const mica_value *in) {
  mica_initializer all[INITIALIZERS] = {
      mica_init_constant(3),      mica_init_uniform(0, 2),
      mica_init_normal(2, 0.5),   mica_init_truncated_normal(1, 0.5),
      mica_init_glorot_uniform(), mica_init_glorot_normal(),
      mica_init_he_uniform(),     mica_init_he_normal(),
      mica_init_lecun_uniform(),  mica_init_lecun_normal()};
  mica_type type = {MICA_F32, MICA_DIMS(32, 48)};
  for (int i = 0; i < INITIALIZERS; i++) mica_scope_variable(s, expected[i].name, type, all[i]);
  mica_scope_variable(s, "tall", (mica_type){MICA_F32, MICA_DIMS(3, 4, 5)},
                      mica_init_orthogonal(2));
  mica_scope_variable(s, "wide", (mica_type){MICA_F32, MICA_DIMS(3, 7)}, mica_init_orthogonal(1));
  mica_scope_variable(s, "ones", (mica_type){MICA_F32, MICA_DIMS(2, 2)}, mica_init_ones());
  mica_scope_variable(s, "steps", (mica_type){MICA_F32, MICA_DIMS(2, 5)},
                      mica_init_linspace(-1, 3));
  mica_tensor *mine = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(2), (const double[]){5, 6});
  mica_scope_variable(s, "mine", (mica_type){MICA_F32, MICA_DIMS(2)}, mica_init_tensor(mine));
  mica_tensor_release(mine);
  return in[0];
}

TEST(initializers) {
  mica_store *store = mica_store_create(device, 11);
  mica_tensor *out;
  mica_error error = {0};
  if (!CHECK_OK_ERROR(run_model(store, initial_values, false, 2, &out, &error), &error)) return;
  mica_tensor_release(out);
  double v[32 * 48];
  for (int i = 0; i < INITIALIZERS; i++) {
    mica_tensor *tensor = value_of(store, expected[i].name);
    CHECK_OK(mica_tensor_read_doubles(tensor, v, 1536, NULL));
    double sum = 0, squares = 0, least = INFINITY, most = -INFINITY;
    for (int k = 0; k < 1536; k++) sum += v[k], least = fmin(least, v[k]), most = fmax(most, v[k]);
    for (int k = 0; k < 1536; k++) squares += (v[k] - sum / 1536) * (v[k] - sum / 1536);
    /* Four standard errors of mean and deviation. */
    if (fabs(sum / 1536 - expected[i].mean) > 0.11 * expected[i].deviation ||
        fabs(sqrt(squares / 1536) - expected[i].deviation) > 0.08 * expected[i].deviation ||
        least < expected[i].least || most > expected[i].most)
      CHECK_FAIL("%s: mean %g deviation %g from %g to %g", expected[i].name, sum / 1536,
                 sqrt(squares / 1536), least, most);
    mica_tensor_release(tensor);
  }
  mica_tensor *tall = value_of(store, "tall"), *wide = value_of(store, "wide"),
              *mine = value_of(store, "mine");
  CHECK_OK(mica_tensor_read_doubles(tall, v, 60, NULL));
  for (int a = 0; a < 5; a++)
    for (int b = 0; b < 5; b++) {
      double sum = 0;
      for (int k = 0; k < 12; k++) sum += v[k * 5 + a] * v[k * 5 + b];
      CHECK_NEAR(sum, a == b ? 4 : 0, 1e-5);
    }
  CHECK_OK(mica_tensor_read_doubles(wide, v, 21, NULL));
  for (int a = 0; a < 3; a++)
    for (int b = 0; b < 3; b++) {
      double sum = 0;
      for (int k = 0; k < 7; k++) sum += v[a * 7 + k] * v[b * 7 + k];
      CHECK_NEAR(sum, a == b ? 1 : 0, 1e-5);
    }
  CHECK_EQ_INT(((const float *)mica_tensor_data(mine))[1], 6);
  mica_tensor *ones = value_of(store, "ones"), *steps = value_of(store, "steps");
  for (int i = 0; i < 4; i++) CHECK_NEAR(((const float *)mica_tensor_data(ones))[i], 1, 0);
  for (int i = 0; i < 10; i++)
    CHECK_NEAR(((const float *)mica_tensor_data(steps))[i], i % 5 - 1, 1e-6);
  mica_tensor_release(ones), mica_tensor_release(steps);
  mica_tensor_release(tall), mica_tensor_release(wide), mica_tensor_release(mine);
  mica_store_destroy(store);
}

/* ---- averages, adapters ------------------------------------------------------------------------------------------- */

static mica_value normed(mica_scope *s, const mica_value *in) {
  mica_value x = mica_add(in[0], mica_iota(mica_scope_graph(s), mica_type_of(in[0]), 0));
  return mica_nn_batch_norm(mica_scope_in(s, "norm"), x);
}

TEST(averages) {
  mica_store *store = mica_store_create(device, 1);
  mica_error error = {0};
  mica_tensor *out;
  CHECK_OK(mica_store_set_flag(store, "average_all", true, NULL));
  CHECK_OK_ERROR(run_model(store, normed, true, 3, &out, &error), &error); /* mean 1 */
  mica_tensor_release(out);
  CHECK_OK_ERROR(run_model(store, normed, true, 7, &out, &error), &error); /* mean 3 */
  mica_tensor_release(out);
  mica_tensor *mean = value_of(store, "norm/mean"), *variance = value_of(store, "norm/variance");
  CHECK_NEAR(((const float *)mica_tensor_data(mean))[0], 2, 1e-6);
  CHECK_NEAR(((const float *)mica_tensor_data(variance))[0], (1 + 28 / 6.0) / 2, 1e-6);
  mica_tensor_release(mean), mica_tensor_release(variance);
  CHECK_OK_ERROR(mica_store_reset_averages(store, &error), &error);
  CHECK_OK_ERROR(run_model(store, normed, true, 7, &out, &error), &error);
  mica_tensor_release(out);
  mean = value_of(store, "norm/mean");
  CHECK_NEAR(((const float *)mica_tensor_data(mean))[0], 3, 1e-6);
  mica_tensor_release(mean);
  mica_store_destroy(store);
}

static mica_value adapted(mica_scope *s, const mica_value *in) {
  return mica_nn_dense(mica_scope_in(s, "d"), mica_add(in[0], 1), .units = 3);
}

TEST(adapters) {
  mica_store *store = mica_store_create(device, 1);
  mica_error error = {0};
  mica_tensor *out, *merged;
  CHECK_OK(mica_store_set_integer(store, "lora_rank", 2, NULL));
  CHECK_OK(mica_store_set_number(store, "lora_alpha", 6, NULL));
  mica_tensor *b =
      mica_tensor_from_doubles(MICA_F32, MICA_DIMS(2, 3), (const double[]){1, 2, 3, 4, 5, 6});
  CHECK_OK(mica_store_put(store, "d/kernel_lora_b", b, true, NULL));
  mica_tensor_release(b);
  CHECK_OK_ERROR(run_model(store, adapted, false, 2, &out, &error), &error);
  mica_tensor *before = value_of(store, "d/kernel");
  size_t count = 0;
  CHECK_OK_ERROR(mica_store_lora_merge(store, 6, &count, &error), &error);
  CHECK_EQ_INT(count, 1);
  CHECK_OK(mica_store_lora_merge(store, 6, &count, &error));
  CHECK_EQ_INT(count, 0);
  mica_tensor *after = value_of(store, "d/kernel");
  CHECK(!mica_tensor_equal(before, after));
  mica_tensor_release(after);
  CHECK_OK_ERROR(run_model(store, adapted, false, 2, &merged, &error), &error);
  mica_closeness closeness;
  CHECK_OK(mica_tensor_compare(out, merged, 1e-5, 1e-5, &closeness, NULL));
  CHECK(closeness.close);
  CHECK_OK_ERROR(mica_store_lora_unmerge(store, 6, &count, &error), &error);
  CHECK_EQ_INT(count, 1);
  after = value_of(store, "d/kernel");
  CHECK_OK(mica_tensor_compare(before, after, 1e-5, 1e-5, &closeness, NULL));
  CHECK(closeness.close);
  mica_tensor_release(out), mica_tensor_release(merged), mica_tensor_release(before),
      mica_tensor_release(after);
  mica_store_destroy(store);
}

/* ---- several traces at once -------------------------------------------------------------------------------------- */

enum { TRACERS = 4 };
typedef struct {
  mica_jit *jit;
  int64_t rows;
  mica_status status;
  mica_error error;
  mica_tensor *out;
} tracer;

static void trace_once(void *context) {
  tracer *t = context;
  mica_tensor *x = mica_tensor_from(MICA_F32, MICA_DIMS(t->rows, 4), NULL);
  t->status = mica_jit_call(t->jit, &x, 1, &t->out, 1, &t->error);
  mica_tensor_release(x);
}

static mica_value with_bias(mica_scope *s, const mica_value *in) {
  mica_value x = mica_add(two_layers(s, in), 1);
  return mica_reduce_sum(
      mica_scope_variable(mica_scope_in(s, "more"), "b", mica_type_of(mica_slice(x, "0")),
                          mica_init_normal(0, 1)),
      MICA_ALL);
}

TEST(threads) {
  for (int round = 0; round < 5; round++) {
    mica_store *shared_store = mica_store_create(device, 1);
    program p = {shared_store, with_bias, false};
    mica_jit *jit = mica_jit_create(device, build_program, .inputs = 1, .outputs = 1, .user = &p);
    tracer t[TRACERS];
    mica_thread_handle handle[TRACERS];
    bool started[TRACERS];
    for (int i = 0; i < TRACERS; i++) {
      t[i] = (tracer){.jit = jit, .rows = i + 1};
      started[i] = mica_thread_start(&handle[i], trace_once, &t[i]) == 0;
      if (!started[i]) trace_once(&t[i]); /* no threads here */
    }
    for (int i = 0; i < TRACERS; i++)
      if (started[i]) mica_thread_join(handle[i]);
    for (int i = 0; i < TRACERS; i++) {
      CHECK_OK_ERROR(t[i].status, &t[i].error);
      CHECK(t[i].out && mica_tensor_equal(t[i].out, t[0].out));
      if (i > 0) mica_tensor_release(t[i].out);
    }
    mica_tensor_release(t[0].out);
    CHECK_EQ_INT(mica_store_count(shared_store), 5);
    mica_jit_destroy(jit);
    mica_store_destroy(shared_store);
  }
}

int main(int argc, char **argv) {
  static const check_case cases[] = {
      TEST_CASE(variables), TEST_CASE(sharing),  TEST_CASE(random),
      TEST_CASE(settings),  TEST_CASE(groups),   TEST_CASE(initializers),
      TEST_CASE(averages),  TEST_CASE(adapters), TEST_CASE(threads)};
  mica_device_options options = {.struct_size = sizeof options, .threads = check_threads(2)};
  device = mica_device_open(&options, NULL);
  int code = check_main(argc, argv, cases, (int)(sizeof cases / sizeof cases[0]));
  mica_device_release(device);
  return code;
}
