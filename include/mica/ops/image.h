/* SPDX-License-Identifier: Apache-2.0 */
/* image.h: images [batch, spatial..., channels]: sizes, sampling, patches, borders, and forms of
 * convolution. Pools are in reduce.h, mica_conv in product.h. */
#ifndef MICA_OPS_IMAGE_H
#define MICA_OPS_IMAGE_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* ---- sizes ------------------------------------------------------------------------------------- */

/* Keys' cubic (IEEE Trans. ASSP 29, 1981) has a = -3/4 as in PyTorch and OpenCV, with antialias -1/2 as
 * in Pillow. Area: the mean of the cells that mica_adaptive_mean_pool takes. */
typedef enum {
  MICA_RESIZE_NEAREST,
  MICA_RESIZE_LINEAR,
  MICA_RESIZE_CUBIC,
  MICA_RESIZE_AREA
} mica_resize_method;
/* x [batch, spatial..., channels] -> [batch, sizes..., channels], 1 to 6 spatial axes, one after the
 * other. Cell i of m lies at (i + 1/2) n / m - 1/2 of the n cells, or with align_corners at i (n - 1) /
 * (m - 1), or asymmetric at i n / m (TensorFlow's and ONNX's old rule); beyond the border its cells are
 * repeated. Nearest: halfway, the higher one, asymmetric: the one in front (PyTorch's "nearest"); any dtype. The
 * others: floats (f16, bf16 in f32). antialias, of linear and cubic: where the size shrinks, the
 * kernel is as much wider, cut at the border and made to sum to 1; not with align_corners, asymmetric. */
typedef struct {
  size_t struct_size;
  mica_value x;
  mica_shape sizes;
  const struct mica_names_only *named_;
  mica_resize_method method;
  bool antialias, align_corners, asymmetric;
} mica_resize_args;
MICA_API mica_value mica_resize_with(const mica_resize_args *args);
#define mica_resize(...) \
  mica_resize_with(&(mica_resize_args){.struct_size = sizeof(mica_resize_args), __VA_ARGS__})

/* x [batch, h, w, channels], grid [batch, a, b, 2] of (x, y) in [-1, 1] -> [batch, a, b, channels]; or
 * with a third spatial axis, grid [batch, a, b, c, 3] of (x, y, z). -1 and 1 are the borders of the outer
 * cells, with align_corners their centers. Linear: of the 2^k cells around (gradients by x and grid);
 * nearest: ties to the even cell (none by grid). Outside: zeros, the border's cells, or x reflected at
 * the border. Floats (Jaderberg et al., "Spatial transformer networks", 2015). */
typedef enum { MICA_SAMPLE_LINEAR, MICA_SAMPLE_NEAREST } mica_sample_method;
typedef enum { MICA_OUTSIDE_ZEROS, MICA_OUTSIDE_BORDER, MICA_OUTSIDE_REFLECTION } mica_outside;
typedef struct {
  size_t struct_size;
  mica_value x, grid;
  const struct mica_names_only *named_;
  mica_sample_method method;
  mica_outside outside;
  bool align_corners;
} mica_grid_sample_args;
MICA_API mica_value mica_grid_sample_with(const mica_grid_sample_args *args);
#define mica_grid_sample(...) \
  mica_grid_sample_with(      \
      &(mica_grid_sample_args){.struct_size = sizeof(mica_grid_sample_args), __VA_ARGS__})
/* theta [batch, 2, 3] and sizes [h, w] -> the grid [batch, h, w, 2] that theta (x, y, 1) makes of the
 * places of the cells; or [batch, 3, 4], [d, h, w] -> [batch, d, h, w, 3]. */
MICA_API mica_value mica_affine_grid(mica_value theta, mica_shape sizes, bool align_corners);

/* ---- patches ----------------------------------------------------------------------------------- */

/* unfold (im2col): x [batch, spatial..., channels] -> [batch, places..., cells channels]: the cells of
 * each window, row-major, each with its channels; 1 to 3 spatial axes. fold (col2im), its transpose: x
 * [batch, places..., cells channels] and sizes [spatial...] -> [batch, sizes..., channels]: the sums of
 * what lies on each cell. Padding cells are 0, and are dropped. */
typedef struct {
  size_t struct_size;
  mica_value x;
  mica_shape sizes; /* fold only: the spatial sizes */
  const struct mica_names_only *named_;
  int32_t window[3];              /* each at least 1 */
  int32_t stride[3], dilation[3]; /* 0: 1 */
  int32_t low[3], high[3];        /* padding, at least 0 */
} mica_unfold_args;
MICA_API mica_value mica_unfold_with(const mica_unfold_args *args);
MICA_API mica_value mica_fold_with(const mica_unfold_args *args);
#define MICA_UNFOLD_ARGS(...) \
  (&(mica_unfold_args){.struct_size = sizeof(mica_unfold_args), __VA_ARGS__})
#define mica_unfold(...) mica_unfold_with(MICA_UNFOLD_ARGS(__VA_ARGS__))
#define mica_fold(...)   mica_fold_with(MICA_UNFOLD_ARGS(__VA_ARGS__))

/* x [batch, spatial..., c r^k] -> [batch, r spatial..., c], k spatial axes, 1 to 3: channel (c r + i) r +
 * j goes to row i, column j of a cell (PyTorch's order; Shi et al. 2016). And back. */
MICA_API mica_value mica_pixel_shuffle(mica_value x, int32_t r);
MICA_API mica_value mica_pixel_unshuffle(mica_value x, int32_t r);

/* ---- borders ----------------------------------------------------------------------------------- */

/* numpy.pad: reflect abc -> cb|abc|ba, symmetric ba|abc|cb, edge aa|abc|cc, wrap bc|abc|ab, as often as
 * the padding asks for. */
typedef enum { MICA_PAD_REFLECT, MICA_PAD_SYMMETRIC, MICA_PAD_EDGE, MICA_PAD_WRAP } mica_pad_mode;
/* low and high: of x's rank, at least 0 (NULL: zeros). An axis that is padded is not empty. */
MICA_API mica_value mica_pad_with_mode(mica_value x, const int64_t *low, const int64_t *high,
                                       mica_pad_mode mode);

/* ---- forms of convolution ---------------------------------------------------------------------- */

/* The transpose of a convolution: x [batch, spatial..., in], kernel [spatial..., out / groups, in] ->
 * [batch, spatial..., out], the gradient of the convolution whose kernel it is by its operand. Sizes:
 * same (the default): stride times x's; else (n - 1) stride - low - high + dilation (window - 1) + 1 +
 * output_padding, which is below the stride or the dilation. */
typedef struct {
  size_t struct_size;
  mica_value x, kernel;
  const struct mica_names_only *named_;
  int32_t stride[3], dilation[3]; /* 0: 1 */
  int32_t groups;                 /* 0: 1 */
  mica_padding padding;           /* 0: same */
  int32_t low[3], high[3];        /* MICA_EXPLICIT: cut from the full result, at least 0 */
  int32_t output_padding[3];      /* not with same */
} mica_conv_transpose_args;
MICA_API mica_value mica_conv_transpose_with(const mica_conv_transpose_args *args);
#define mica_conv_transpose(...) \
  mica_conv_transpose_with(      \
      &(mica_conv_transpose_args){.struct_size = sizeof(mica_conv_transpose_args), __VA_ARGS__})

#ifdef __cplusplus
}
#endif
#endif
