/* SPDX-License-Identifier: Apache-2.0 */
/* statistics.c: what commands tell of the numbers in a tensor. */
#include <math.h>

#include "command.h"

enum { CHUNK = 1 << 14 };

/* Elements from `at` on as numbers, of complex ones the real parts; how many. */
static int64_t read_chunk(const mica_tensor *tensor, int64_t at, double values[CHUNK]) {
  mica_type type = mica_tensor_type(tensor);
  const char *bytes = mica_tensor_data(tensor);
  int64_t left = mica_shape_count(type.shape) - at, count = left < CHUNK ? left : CHUNK;
  size_t offset = (size_t)at * (size_t)mica_dtype_bits(type.dtype) / 8;
  if (count <= 0 || bytes == NULL ||
      mica_convert_elements(MICA_F64, values, type.dtype, bytes + offset, count) != MICA_OK)
    return 0;
  return count;
}

static void count_element(cli_statistics *s, double x) {
  s->nan += x != x;
  s->infinite += x - x != 0 && x == x;
  s->zero += x == 0;
  if (s->whole && x >= 0 && x < CLI_CLASSES)
    s->classes[(int)x]++;
  else
    s->whole = false;
}

void cli_find_statistics(const mica_tensor *tensor, cli_statistics *s) {
  static double values[CHUNK];
  mica_type type = mica_tensor_type(tensor);
  int64_t finite = 0, count;
  double sum = 0, squares = 0;
  *s = (cli_statistics){.count = mica_shape_count(type.shape),
                        .least = NAN,
                        .greatest = NAN,
                        .mean = NAN,
                        .deviation = NAN};
  s->whole = mica_dtype_is_integer(type.dtype) || type.dtype == MICA_BOOL;
  for (int64_t at = 0; (count = read_chunk(tensor, at, values)) > 0; at += count)
    for (int64_t i = 0; i < count; i++) {
      double x = values[i];
      count_element(s, x);
      if (x - x != 0) continue;
      if (finite++ == 0) s->least = s->greatest = x;
      if (x < s->least) s->least = x;
      if (x > s->greatest) s->greatest = x;
      sum += x;
    }
  if (finite == 0) return;
  s->mean = sum / (double)finite;
  for (int64_t at = 0; (count = read_chunk(tensor, at, values)) > 0; at += count)
    for (int64_t i = 0; i < count; i++)
      if (values[i] - values[i] == 0) squares += (values[i] - s->mean) * (values[i] - s->mean);
  s->deviation = sqrt(squares / (double)finite);
}
