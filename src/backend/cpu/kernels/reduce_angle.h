/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of sine and cosine too large for the vector kernels. */
#ifndef MICA_BACKEND_CPU_KERNELS_REDUCE_ANGLE_H
#define MICA_BACKEND_CPU_KERNELS_REDUCE_ANGLE_H
#include <stdint.h>

/* x - quadrant * pi / 2 for a finite |x| >= 2, in [-pi/4, pi/4] and exact to 2^-40 of itself; the
 * quadrant modulo 4. */
double mica_reduce_angle(float x, int32_t *quadrant);

#endif
