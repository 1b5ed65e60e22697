/* SPDX-License-Identifier: Apache-2.0 */
/* A program that uses Mica from outside: it sees public headers only, and is built against the installed
 * tree, by the one-command build and with the amalgamation. It exits with 0 if what it computes is right. */
#include <stdio.h>
#include <string.h>

#include "mica/mica.h"

int main(void) {
  const double values[6] = {1, 2, 3, 4, 5, 6};
  mica_error error = {0};
  mica_shape shape = {.rank = 2, .dim = {2, 3}};
  mica_tensor *tensor = mica_tensor_from_doubles(MICA_F32, shape, values);
  double read[6] = {0};
  mica_status status = mica_tensor_read_doubles(tensor, read, 6, &error);
  mica_tensor_release(tensor);
  if (status != MICA_OK) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  if (memcmp(values, read, sizeof values) != 0) return 2;
  printf("mica %s: a program runs\n", mica_version());
  return strcmp(mica_version(), "") == 0;
}
