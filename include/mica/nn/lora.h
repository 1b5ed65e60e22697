/* SPDX-License-Identifier: Apache-2.0 */
/* lora.h: low-rank adaptation of kernels (Hu et al. 2021, arXiv 2106.09685).
 *
 * Where the setting "lora_rank" (integer) is above 0, every kernel W of dense layers, convolutions and attention is
 * used as W + alpha / rank on A B, with variables W_lora_a [in, rank] (He uniform), W_lora_b [rank, out] (zeros), and a
 * state W_lora_on [] that is 1; "lora_alpha" (number) is the rank unless set. W itself is not trained then; what else
 * shall rest is said by groups. */
#ifndef MICA_NN_LORA_H
#define MICA_NN_LORA_H
#include "mica/nn/store.h"
#ifdef __cplusplus
extern "C" {
#endif

/* Adds each adapter to its kernel and turns it off, or takes it back and turns it on again; adapters that are so already
 * stay. `alpha` as the setting (0: the rank). *out_count, if wanted: how many changed. */
MICA_API mica_status mica_store_lora_merge(mica_store *store, double alpha, size_t *out_count,
                                           mica_error *error);
MICA_API mica_status mica_store_lora_unmerge(mica_store *store, double alpha, size_t *out_count,
                                             mica_error *error);

#ifdef __cplusplus
}
#endif
#endif
