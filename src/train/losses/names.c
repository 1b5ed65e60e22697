/* SPDX-License-Identifier: Apache-2.0 */
/* names.c: losses by name, for settings. */
#include <string.h>

#include "train/losses/losses.h"

static const struct {
  const char *name;
  mica_loss_function *function;
} loss_names[] = {
    {"absolute_error", mica_loss_absolute_error_with},
    {"adaptive_power", mica_loss_adaptive_power_with},
    {"bce", mica_loss_binary_cross_entropy_logits_with},
    {"binary_cross_entropy", mica_loss_binary_cross_entropy_with},
    {"binary_cross_entropy_logits", mica_loss_binary_cross_entropy_logits_with},
    {"binary_focal", mica_loss_binary_focal_with},
    {"contrastive", mica_loss_contrastive_with},
    {"cosine", mica_loss_cosine_with},
    {"cross_entropy", mica_loss_cross_entropy_with},
    {"cross_entropy_logits", mica_loss_cross_entropy_logits_with},
    {"ctc", mica_loss_ctc_with},
    {"dice", mica_loss_dice_with},
    {"euclidean", mica_loss_euclidean_with},
    {"focal", mica_loss_focal_with},
    {"hinge", mica_loss_hinge_with},
    {"huber", mica_loss_huber_with},
    {"info_nce", mica_loss_info_nce_with},
    {"kl_divergence", mica_loss_kl_divergence_with},
    {"log_cosh", mica_loss_log_cosh_with},
    {"mae", mica_loss_absolute_error_with},
    {"mse", mica_loss_squared_error_with},
    {"multiclass_hinge", mica_loss_multiclass_hinge_with},
    {"poisson", mica_loss_poisson_with},
    {"squared_error", mica_loss_squared_error_with},
    {"squared_euclidean", mica_loss_squared_euclidean_with},
    {"squared_hinge", mica_loss_squared_hinge_with},
    {"triplet", mica_loss_triplet_with},
    {"triplet_mining", mica_loss_triplet_mining_with},
};

mica_loss_function *mica_loss_find(const char *name) {
  for (size_t i = 0; name && i < sizeof loss_names / sizeof loss_names[0]; i++)
    if (!strcmp(loss_names[i].name, name)) return loss_names[i].function;
  return NULL;
}
const char *mica_loss_name(size_t index) {
  return index < sizeof loss_names / sizeof loss_names[0] ? loss_names[index].name : NULL;
}
