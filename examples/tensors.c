/* SPDX-License-Identifier: Apache-2.0 */
/* tensors.c: values in and out: make, print, compare, save and load. */
#include <stdio.h>
#include <stdlib.h>

#include "mica/core.h"

int main(void) {
  mica_error error = {0};
  mica_tensor *a = mica_tensor_from(MICA_F32, MICA_DIMS(2, 3), (float[]){1, 2, 3, 4, 5.5f, -6});
  mica_tensor *b =
      mica_tensor_from_doubles(MICA_BF16, MICA_DIMS(2, 3), (double[]){1, 2, 3, 4, 5.3, -6});
  char text[512];
  mica_tensor_format(a, NULL, text, sizeof text);
  printf("%s\n", text);

  /* Which element differs most, and by how much. */
  mica_closeness closeness;
  if (mica_tensor_compare(b, a, 1e-3, 0, &closeness, &error) == MICA_OK) {
    mica_closeness_format(&closeness, MICA_DIMS(2, 3), text, sizeof text);
    printf("close: %s; %s\n", closeness.close ? "yes" : "no", text);
  }

  /* numpy reads this file, and Mica reads numpy's. */
  const char *path = "tensors_example.npy";
  mica_tensor *again = NULL;
  if (mica_npy_save(path, a, &error) == MICA_OK && mica_npy_load(path, &again, &error) == MICA_OK)
    printf("read back equal: %s\n", mica_tensor_equal(a, again) ? "yes" : "no");
  remove(path);
  if (error.status) fprintf(stderr, "%s\n", error.message);
  mica_tensor_release(a), mica_tensor_release(b), mica_tensor_release(again);
  return error.status != MICA_OK;
}
