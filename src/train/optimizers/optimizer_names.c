/* SPDX-License-Identifier: Apache-2.0 */
/* optimizer_names.c: optimizers by name, for settings. */
#include <string.h>

#include "mica/train/optimizers.h"

static const struct {
  const char *name;
  mica_optimizer_function *function;
} optimizer_names[] = {
    {"adadelta", mica_optimizer_adadelta_with}, {"adafactor", mica_optimizer_adafactor_with},
    {"adagrad", mica_optimizer_adagrad_with},   {"adam", mica_optimizer_adam_with},
    {"adamax", mica_optimizer_adamax_with},     {"adamw", mica_optimizer_adamw_with},
    {"amsgrad", mica_optimizer_amsgrad_with},   {"lamb", mica_optimizer_lamb_with},
    {"lion", mica_optimizer_lion_with},         {"muon", mica_optimizer_muon_with},
    {"nadam", mica_optimizer_nadam_with},       {"rmsprop", mica_optimizer_rmsprop_with},
    {"sgd", mica_optimizer_sgd_with},
};
mica_optimizer_function *mica_optimizer_find(const char *name) {
  for (size_t i = 0; name && i < sizeof optimizer_names / sizeof optimizer_names[0]; i++)
    if (!strcmp(optimizer_names[i].name, name)) return optimizer_names[i].function;
  return NULL;
}
const char *mica_optimizer_name(size_t index) {
  return index < sizeof optimizer_names / sizeof optimizer_names[0] ? optimizer_names[index].name
                                                                    : NULL;
}
