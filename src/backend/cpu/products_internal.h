/* SPDX-License-Identifier: Apache-2.0 */
/* products_internal.h: steps that run a matrix product or a convolution. */
#ifndef MICA_BACKEND_CPU_PRODUCTS_INTERNAL_H
#define MICA_BACKEND_CPU_PRODUCTS_INTERNAL_H
#include "backend/cpu/kernels/conv.h"
#include "backend/cpu/plan_internal.h"

bool mica_plan_dot(mica_plan *plan, uint32_t id);
bool mica_plan_convolution(mica_plan *plan, uint32_t id);
/* Whether the kernels take a convolution or one of its transposes as it is. */
bool mica_convolution_fits(const mica_graph *graph, uint32_t id);

#endif
