/* SPDX-License-Identifier: Apache-2.0 */
/* metric_names.c: metrics by name, for settings. */
#include <string.h>

#include "mica/train/metrics.h"

static const struct {
  const char *name;
  mica_metric_function *function;
} metric_names[] = {
    {"absolute_error", mica_metric_absolute_error_with},
    {"accuracy", mica_metric_accuracy_with},
    {"average_precision", mica_metric_average_precision_with},
    {"binary_accuracy", mica_metric_binary_accuracy_with},
    {"confusion", mica_metric_confusion_with},
    {"f", mica_metric_f_with},
    {"mean", mica_metric_mean_with},
    {"median", mica_metric_median_with},
    {"moving_mean", mica_metric_moving_mean_with},
    {"perplexity", mica_metric_perplexity_with},
    {"precision", mica_metric_precision_with},
    {"r2", mica_metric_r2_with},
    {"recall", mica_metric_recall_with},
    {"roc_auc", mica_metric_roc_auc_with},
    {"root_squared_error", mica_metric_root_squared_error_with},
    {"squared_error", mica_metric_squared_error_with},
    {"top_k_accuracy", mica_metric_top_k_accuracy_with},
};
mica_metric_function *mica_metric_find(const char *name) {
  for (size_t i = 0; name && i < sizeof metric_names / sizeof metric_names[0]; i++)
    if (!strcmp(metric_names[i].name, name)) return metric_names[i].function;
  return NULL;
}
const char *mica_metric_name(size_t index) {
  return index < sizeof metric_names / sizeof metric_names[0] ? metric_names[index].name : NULL;
}
