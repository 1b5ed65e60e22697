/* SPDX-License-Identifier: Apache-2.0 */
/* moves_internal.h: steps that move elements. */
#ifndef MICA_BACKEND_CPU_MOVES_INTERNAL_H
#define MICA_BACKEND_CPU_MOVES_INTERNAL_H
#include "backend/cpu/plan_internal.h"

bool mica_plan_move(mica_plan *plan, uint32_t id);       /* concatenate, pad, dynamic slices */
bool mica_plan_indexed(mica_plan *plan, uint32_t id);    /* gather, scatter */
bool mica_plan_draw(mica_plan *plan, uint32_t id);       /* random bits, places of extremes */
bool mica_plan_cumulative(mica_plan *plan, uint32_t id); /* cumulative, linear_recurrence */
bool mica_plan_sort(mica_plan *plan, uint32_t id);       /* sort, top_k */
bool mica_plan_search(mica_plan *plan, uint32_t id);     /* search_sorted */
bool mica_plan_window(mica_plan *plan, uint32_t id);     /* reduce_window, select_and_scatter */
bool mica_plan_fourier(mica_plan *plan, uint32_t id);    /* fft */

#endif
