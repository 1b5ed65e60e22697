/* SPDX-License-Identifier: Apache-2.0 */
/* augment.c: augmentations of single images on the host, and mixup of batches.
 *
 * An image is turned into doubles once, goes through the stages that are asked for, and back at the end. Random
 * numbers are words of mica_map_random, each stage having draws of its own, so that switching one on leaves the
 * others as they were. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "data/dataset.h"

enum { DRAW_ROTATE, DRAW_CROP, DRAW_FLIP, DRAW_COLOR, DRAW_CUTOUT };

typedef struct {
  int64_t height, width, channels;
  double *pixels, *other; /* other: as large as pixels, to write to */
  size_t size;
} picture;

static double unit_of(uint32_t word) { return word / 4294967296.0; } /* [0, 1) */

static void swap_pixels(picture *p) {
  double *kept = p->pixels;
  p->pixels = p->other;
  p->other = kept;
}

/* Inverse mapping around the middle, bilinear, zero outside. */
static void rotate_picture(picture *p, double degrees) {
  double angle = degrees * 0.017453292519943295, c = cos(angle), s = sin(angle);
  double middle_y = (double)(p->height - 1) / 2, middle_x = (double)(p->width - 1) / 2;
  for (int64_t y = 0; y < p->height; y++)
    for (int64_t x = 0; x < p->width; x++) {
      double dy = (double)y - middle_y, dx = (double)x - middle_x;
      double from_y = middle_y + c * dy - s * dx, from_x = middle_x + s * dy + c * dx;
      double low_y = floor(from_y), low_x = floor(from_x);
      for (int64_t k = 0; k < p->channels; k++) {
        double sum = 0;
        for (int corner = 0; corner < 4; corner++) {
          double at_y = low_y + corner / 2, at_x = low_x + corner % 2;
          double weight = (1 - fabs(from_y - at_y)) * (1 - fabs(from_x - at_x));
          if (at_y < 0 || at_x < 0 || at_y >= (double)p->height || at_x >= (double)p->width)
            continue;
          sum += weight * p->pixels[((int64_t)at_y * p->width + (int64_t)at_x) * p->channels + k];
        }
        p->other[(y * p->width + x) * p->channels + k] = sum;
      }
    }
  swap_pixels(p);
}

/* The window [height, width] whose corner is at (top, left), which may lie outside. */
static void crop_picture(picture *p, int64_t top, int64_t left, int64_t height, int64_t width) {
  for (int64_t y = 0; y < height; y++)
    for (int64_t x = 0; x < width; x++) {
      int64_t from_y = y + top, from_x = x + left;
      bool inside = from_y >= 0 && from_y < p->height && from_x >= 0 && from_x < p->width;
      for (int64_t k = 0; k < p->channels; k++)
        p->other[(y * width + x) * p->channels + k] =
            inside ? p->pixels[(from_y * p->width + from_x) * p->channels + k] : 0;
    }
  p->height = height, p->width = width;
  swap_pixels(p);
}

static void flip_picture(picture *p, bool horizontal, bool vertical) {
  for (int64_t y = 0; y < p->height; y++)
    for (int64_t x = 0; x < p->width; x++) {
      int64_t from_y = vertical ? p->height - 1 - y : y, from_x = horizontal ? p->width - 1 - x : x;
      memcpy(p->other + (y * p->width + x) * p->channels,
             p->pixels + (from_y * p->width + from_x) * p->channels,
             (size_t)p->channels * sizeof(double));
    }
  swap_pixels(p);
}

static double gray_of(const double *pixel) {
  return 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
}

static void color_picture(picture *p, const mica_augment_options *o, const uint32_t words[4]) {
  double factor[3];
  const double width[3] = {o->brightness, o->contrast, o->saturation};
  for (int i = 0; i < 3; i++) factor[i] = 1 + width[i] * (2 * unit_of(words[i]) - 1);
  int64_t count = p->height * p->width * p->channels;
  double mean = 0;
  for (int64_t i = 0; i < count; i++) p->pixels[i] *= factor[0];
  for (int64_t i = 0; i < count; i++) mean += p->pixels[i];
  mean = count > 0 ? mean / (double)count : 0;
  for (int64_t i = 0; i < count; i++) p->pixels[i] = mean + (p->pixels[i] - mean) * factor[1];
  if (p->channels != 3 || (o->saturation <= 0 && o->hue <= 0)) return;
  double angle = o->hue * 6.283185307179586 * (2 * unit_of(words[3]) - 1), c = cos(angle),
         s = sin(angle);
  for (double *pixel = p->pixels; pixel < p->pixels + count; pixel += 3) {
    double gray = gray_of(pixel);
    for (int k = 0; k < 3; k++) pixel[k] = gray + (pixel[k] - gray) * factor[2];
    /* YIQ (NTSC, 1953): the plane of color is turned, the brightness stays */
    double i = 0.595716 * pixel[0] - 0.274453 * pixel[1] - 0.321263 * pixel[2],
           q = 0.211456 * pixel[0] - 0.522591 * pixel[1] + 0.311135 * pixel[2];
    double turned_i = c * i - s * q, turned_q = s * i + c * q;
    pixel[0] = gray + 0.9563 * turned_i + 0.6210 * turned_q;
    pixel[1] = gray - 0.2721 * turned_i - 0.6474 * turned_q;
    pixel[2] = gray - 1.1070 * turned_i + 1.7046 * turned_q;
  }
}

static void cut_picture(picture *p, int32_t size, const uint32_t words[4]) {
  int64_t top = (int64_t)(unit_of(words[0]) * (double)p->height) - size / 2,
          left = (int64_t)(unit_of(words[1]) * (double)p->width) - size / 2;
  for (int64_t y = top < 0 ? 0 : top; y < top + size && y < p->height; y++)
    for (int64_t x = left < 0 ? 0 : left; x < left + size && x < p->width; x++)
      for (int64_t k = 0; k < p->channels; k++) p->pixels[(y * p->width + x) * p->channels + k] = 0;
}

static void augment_picture(picture *p, const mica_augment_options *o, mica_map_position at) {
  uint32_t words[4];
  if (o->rotate > 0) {
    mica_map_random(o->seed, at, DRAW_ROTATE, words);
    rotate_picture(p, o->rotate * (2 * unit_of(words[0]) - 1));
  }
  int64_t height = p->height + 2 * (int64_t)o->pad, width = p->width + 2 * (int64_t)o->pad;
  if (o->crop[0] > 0) {
    int64_t free_y = height - o->crop[0], free_x = width - o->crop[1];
    mica_map_random(o->seed, at, DRAW_CROP, words);
    int64_t top = o->crop_center ? free_y / 2 : (int64_t)(unit_of(words[0]) * (double)(free_y + 1)),
            left =
                o->crop_center ? free_x / 2 : (int64_t)(unit_of(words[1]) * (double)(free_x + 1));
    crop_picture(p, top - o->pad, left - o->pad, o->crop[0], o->crop[1]);
  } else if (o->pad > 0) {
    crop_picture(p, -o->pad, -o->pad, height, width);
  }
  mica_map_random(o->seed, at, DRAW_FLIP, words);
  bool horizontal = unit_of(words[0]) < o->flip_horizontal,
       vertical = unit_of(words[1]) < o->flip_vertical;
  if (horizontal || vertical) flip_picture(p, horizontal, vertical);
  if (o->brightness > 0 || o->contrast > 0 || o->saturation > 0 || o->hue > 0) {
    mica_map_random(o->seed, at, DRAW_COLOR, words);
    color_picture(p, o, words);
  }
  if (o->cutout > 0) {
    mica_map_random(o->seed, at, DRAW_CUTOUT, words);
    cut_picture(p, o->cutout, words);
  }
}

static mica_status check_picture(const mica_augment_options *o, mica_type type, mica_error *error) {
  char text[160];
  mica_type_format(type, text, sizeof text);
  if (type.shape.rank != 3 || type.shape.dim[2] < 1 || type.shape.dim[2] > 4 ||
      (type.dtype != MICA_U8 && type.dtype != MICA_F32))
    return mica_error_set(error, MICA_INVALID,
                          "augment: tensor %" PRId32
                          " is %s: expected u8 or f32 [height, width, 1 to 4]",
                          o->key, text);
  if ((o->saturation > 0 || o->hue > 0) && type.shape.dim[2] != 3)
    return mica_error_set(error, MICA_INVALID,
                          "augment: saturation and hue need 3 channels, not %s", text);
  if (o->pad < 0 || o->pad > 1 << 14 || o->crop[0] < 0 || o->crop[1] < 0 ||
      (o->crop[0] > 0) != (o->crop[1] > 0) || o->crop[0] > type.shape.dim[0] + 2 * o->pad ||
      o->crop[1] > type.shape.dim[1] + 2 * o->pad)
    return mica_error_set(error, MICA_INVALID,
                          "augment: a crop of [%" PRId32 ", %" PRId32
                          "] does not fit %s with a pad of %" PRId32,
                          o->crop[0], o->crop[1], text, o->pad);
  return MICA_OK;
}

mica_status mica_augment(void *user, mica_map_position position, const mica_batch *in,
                         mica_batch *out, mica_error *error) {
  const mica_augment_options *o = user;
  if (o == NULL || o->key < 0 || o->key >= in->count)
    return mica_error_set(error, MICA_INVALID,
                          "augment: options are missing, or there is no tensor of their key");
  mica_type type = mica_tensor_type(in->tensor[o->key]);
  mica_status status = check_picture(o, type, error);
  if (status != MICA_OK) return status;
  picture p = {
      .height = type.shape.dim[0], .width = type.shape.dim[1], .channels = type.shape.dim[2]};
  mica_type largest = type;
  largest.dtype = MICA_F64;
  largest.shape.dim[0] += 2 * (int64_t)o->pad, largest.shape.dim[1] += 2 * (int64_t)o->pad;
  if (!mica_type_byte_size(largest, &p.size))
    return mica_error_set(error, MICA_INVALID, "augment: the image is too large");
  double *first = mica_allocate(NULL, p.size), *second = mica_allocate(NULL, p.size);
  mica_tensor *made = NULL;
  if (first == NULL || second == NULL)
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "augment: out of memory");
  if (status == MICA_OK) {
    p.pixels = first, p.other = second;
    status =
        mica_tensor_read_doubles(in->tensor[o->key], p.pixels, mica_shape_count(type.shape), error);
  }
  if (status == MICA_OK) {
    augment_picture(&p, o, position);
    int64_t count = p.height * p.width * p.channels;
    /* to the nearest; converting alone would cut off */
    for (int64_t i = 0; i < count && type.dtype == MICA_U8; i++)
      p.pixels[i] = floor(p.pixels[i] + 0.5);
    made = mica_tensor_from_doubles(type.dtype, MICA_DIMS(p.height, p.width, p.channels), p.pixels);
    if (made == NULL) status = mica_error_set(error, MICA_OUT_OF_MEMORY, "augment: out of memory");
  }
  if (first != NULL) mica_free(NULL, first, p.size);
  if (second != NULL) mica_free(NULL, second, p.size);
  if (status != MICA_OK) return status;
  out->count = in->count;
  for (int32_t i = 0; i < in->count; i++)
    out->tensor[i] = i == o->key ? made : mica_tensor_retain(in->tensor[i]);
  return MICA_OK;
}

/* ---- mixup ----------------------------------------------------------------------------------- */

/* A draw of a symmetric beta distribution by Johnk's method (1964) for alpha up to 1, and beyond it by the ratio of
 * two gamma variables (Marsaglia and Tsang, 2000). Words come from a counter, so that rejection stays a function
 * of the position. */
typedef struct {
  uint64_t seed;
  mica_map_position position;
  uint32_t draw, words[4];
  int used;
} mixup_words;

static double mixup_unit(mixup_words *w) { /* (0, 1) */
  if (w->used == 0) mica_map_random(w->seed, w->position, 16 + w->draw++, w->words);
  uint32_t word = w->words[w->used];
  w->used = (w->used + 1) % 4;
  return (word + 0.5) / 4294967296.0;
}

static double mixup_gamma(mixup_words *w, double shape) { /* shape above 1 */
  double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
  for (int i = 0; i < 1000; i++) {
    double normal = sqrt(-2 * log(mixup_unit(w))) * cos(6.283185307179586 * mixup_unit(w)),
           v = 1 + c * normal;
    v = v * v * v;
    if (v > 0 && log(mixup_unit(w)) < normal * normal / 2 + d - d * v + d * log(v)) return d * v;
  }
  return d;
}

static double draw_beta(mixup_words *w, double alpha) {
  if (alpha > 1) {
    double a = mixup_gamma(w, alpha), b = mixup_gamma(w, alpha);
    return a / (a + b);
  }
  for (int i = 0; i < 1000; i++) {
    double a = pow(mixup_unit(w), 1 / alpha), b = pow(mixup_unit(w), 1 / alpha);
    if (a + b > 0 && a + b <= 1) return a / (a + b);
  }
  return mixup_unit(w) < 0.5 ? 0 : 1; /* as small an alpha has it */
}

static mica_tensor *mix_rows(const mica_tensor *tensor, double l) {
  mica_type type = mica_tensor_type(tensor);
  mica_tensor *made = NULL;
  if (mica_tensor_create_uninitialized(NULL, type, &made, NULL) != MICA_OK) return NULL;
  const float *x = mica_tensor_data(tensor);
  float *out = mica_tensor_mutable_data(made);
  int64_t rows = type.shape.dim[0], row = rows > 0 ? mica_shape_count(type.shape) / rows : 0;
  for (int64_t r = 0; r < rows; r++) {
    const float *a = x + r * row, *b = x + (r > 0 ? r - 1 : rows - 1) * row;
    for (int64_t i = 0; i < row; i++)
      out[r * row + i] = (float)(l * (double)a[i] + (1 - l) * (double)b[i]);
  }
  return made;
}

mica_status mica_mixup(void *user, mica_map_position position, const mica_batch *in,
                       mica_batch *out, mica_error *error) {
  const mica_mixup_options *o = user;
  if (o == NULL || !(o->alpha > 0) || o->images < 0 || o->labels < 0 || o->images >= in->count ||
      o->labels >= in->count || o->images == o->labels)
    return mica_error_set(error, MICA_INVALID,
                          "mixup: two tensors of the batch and an alpha above 0 are needed");
  mica_type images = mica_tensor_type(in->tensor[o->images]),
            labels = mica_tensor_type(in->tensor[o->labels]);
  if (images.dtype != MICA_F32 || labels.dtype != MICA_F32 || images.shape.rank < 1 ||
      labels.shape.rank != 2 || images.shape.dim[0] != labels.shape.dim[0]) {
    char a[160], b[160];
    mica_type_format(images, a, sizeof a), mica_type_format(labels, b, sizeof b);
    return mica_error_set(
        error, MICA_INVALID,
        "mixup: images %s and labels %s: expected f32 [n, ...] and f32 [n, classes]", a, b);
  }
  mixup_words words = {.seed = o->seed, .position = position};
  double l = draw_beta(&words, o->alpha);
  out->count = in->count;
  for (int32_t i = 0; i < in->count; i++) {
    bool mixed = i == o->images || i == o->labels;
    out->tensor[i] = mixed ? mix_rows(in->tensor[i], l) : mica_tensor_retain(in->tensor[i]);
    if (out->tensor[i] == NULL)
      return mica_error_set(error, MICA_OUT_OF_MEMORY, "mixup: out of memory");
  }
  return MICA_OK;
}
