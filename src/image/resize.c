/* SPDX-License-Identifier: Apache-2.0 */
/* resize.c: resizing by a triangle filter, first along rows, then along columns. When an image shrinks the triangle
 * is as wide as what becomes one pixel, so that nothing is left out. */
#include <math.h>
#include <stdlib.h>

#include "image_internal.h"

/* The weights of the source pixels [*out_first, *out_first + count) for one target pixel. */
static int64_t weights_at(int64_t at, int64_t from, int64_t to, double *weights,
                          int64_t *out_first) {
  double scale = (double)from / (double)to, support = scale > 1 ? scale : 1;
  double middle = ((double)at + 0.5) * scale;
  int64_t first = (int64_t)floor(middle - support), last = (int64_t)ceil(middle + support),
          count = 0;
  if (first < 0) first = 0;
  if (last > from) last = from;
  double sum = 0;
  for (int64_t i = first; i < last; i++) {
    double distance = fabs(((double)i + 0.5 - middle) / support);
    weights[count] = distance < 1 ? 1 - distance : 0;
    sum += weights[count++];
  }
  for (int64_t i = 0; i < count; i++) weights[i] /= sum;
  *out_first = first;
  return count;
}

/* out[outer][to][inner] of in[outer][from][inner] */
static void resize_axis(const float *in, float *out, int64_t outer, int64_t from, int64_t to,
                        int64_t inner, double *weights) {
  for (int64_t t = 0; t < to; t++) {
    int64_t first, count = weights_at(t, from, to, weights, &first);
    for (int64_t o = 0; o < outer; o++)
      for (int64_t i = 0; i < inner; i++) {
        double sum = 0;
        for (int64_t k = 0; k < count; k++)
          sum += weights[k] * (double)in[(o * from + first + k) * inner + i];
        out[(o * to + t) * inner + i] = (float)sum;
      }
  }
}

mica_status mica_image_resize(image_pixels *image, int64_t height, int64_t width,
                              mica_error *error) {
  int64_t h = image->height, w = image->width, c = image->channels;
  if (h == height && w == width) return MICA_OK;
  float *whole = malloc((size_t)(h * w * c) * sizeof *whole),
        *narrow = malloc((size_t)(h * width * c) * sizeof *narrow),
        *final = malloc((size_t)(height * width * c) * sizeof *final);
  double *weights = malloc((size_t)(2 * (h > w ? h : w) + 8) * sizeof *weights);
  uint8_t *pixels = malloc((size_t)(height * width * c));
  mica_status status = MICA_OK;
  if (whole == NULL || narrow == NULL || final == NULL || weights == NULL || pixels == NULL) {
    free(pixels);
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "image: out of memory");
  } else {
    for (int64_t i = 0; i < h * w * c; i++) whole[i] = image->pixels[i];
    resize_axis(whole, narrow, h, w, width, c, weights);
    resize_axis(narrow, final, 1, h, height, width * c, weights);
    for (int64_t i = 0; i < height * width * c; i++) {
      float value = final[i] + 0.5f;
      pixels[i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
    free(image->pixels);
    *image = (image_pixels){height, width, c, pixels};
  }
  free(whole), free(narrow), free(final), free(weights);
  return status;
}
