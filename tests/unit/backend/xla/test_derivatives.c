/* SPDX-License-Identifier: Apache-2.0 */
/* Derivatives that divide by gaps between eigenvalues or singular values: XLA computes a value twice where that saves
 * memory, and contracts one of them, so that w_i - w_i need not be zero there. On a real plugin against the
 * reference. */
#include <math.h>
#include <stdio.h>

#include "unit/backend/xla/real.h"

enum { SIZE = 5 };

static void of_eigenvectors(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph, (void)user;
  mica_value values, vectors, weights = mica_mul(in[0], in[0]);
  mica_eigh(in[0], &values, &vectors);
  mica_value loss = mica_reduce_sum(mica_mul(mica_mul(vectors, vectors), weights), MICA_ALL);
  mica_gradients(loss, in, 1, &out[0]);
}

static void of_singular_vectors(mica_graph *graph, const mica_value *in, mica_value *out,
                                void *user) {
  (void)graph, (void)user;
  mica_value u, values, v, weights = mica_mul(in[0], in[0]);
  mica_svd(in[0], false, &u, &values, &v);
  mica_value loss = mica_reduce_sum(mica_mul(mica_mul(u, u), weights), MICA_ALL);
  mica_gradients(loss, in, 1, &out[0]);
}

static void check(const char *what, mica_build *build) {
  float x[SIZE * SIZE];
  mica_error error = {0};
  mica_device *xla = open_xla("");
  if (xla == NULL) return;
  mica_device *reference = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = "reference"},
      &error);
  for (int i = 0; i < SIZE; i++)
    for (int j = 0; j < SIZE; j++)
      x[i * SIZE + j] = (float)(i == j ? i + 1 : 0) + 0.25f * sinf((float)(7 * (i + j) + i * j));
  mica_device *devices[2] = {reference, xla};
  double got[2][SIZE * SIZE] = {{0}};
  for (int d = 0; d < 2; d++) {
    mica_jit *jit = mica_jit_create(devices[d], build, .inputs = 1, .outputs = 1);
    mica_tensor *in = mica_tensor_from(MICA_F32, MICA_DIMS(SIZE, SIZE), x), *out = NULL;
    if (CHECK_OK_ERROR(mica_jit_call(jit, &in, 1, &out, 1, &error), &error))
      CHECK_OK(mica_tensor_read_doubles(out, got[d], SIZE * SIZE, NULL));
    mica_tensor_release(in), mica_tensor_release(out);
    mica_jit_destroy(jit);
  }
  for (int i = 0; i < SIZE * SIZE; i++)
    if (fabs(got[0][i] - got[1][i]) > 1e-4)
      CHECK_FAIL("%s: element %d is %g, wanted %g", what, i, got[1][i], got[0][i]);
  mica_device_release(reference), mica_device_release(xla);
}

TEST(eigenvectors) { check("eigh", of_eigenvectors); }

TEST(singular_vectors) { check("svd", of_singular_vectors); }

TEST_MAIN(TEST_CASE(eigenvectors), TEST_CASE(singular_vectors))
