/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics against scikit-learn (tests/golden/metrics.npz, made by tests/golden/metrics.py): batches are scanned over, their
 * states carried, and the result is that of all of them together. Sums differ in order: 1e-12. */
#include "mica/train/metrics.h"
#include "unit/train/train_testing.h"

/* The result over batches along axis 0 of in[0 .. 2]: prediction, target, weights. */
static mica_value over_batches(mica_graph *g, const mica_value *in, mica_metric_definition metric) {
  mica_value state[MICA_METRIC_MOST_STATES], last[MICA_METRIC_MOST_STATES];
  size_t count = mica_metric_state(&metric, (mica_metric_slot[MICA_METRIC_MOST_STATES]){{0}}, NULL);
  mica_metric_begin(&metric, g, state);
  mica_region scan = mica_scan_begin(state, count, in, 3);
  for (size_t i = 0; i < count; i++) state[i] = mica_argument(scan, i);
  mica_metric_args args = {.struct_size = sizeof args,
                           .prediction = mica_argument(scan, count),
                           .target = mica_argument(scan, count + 1),
                           .weights = mica_argument(scan, count + 2)};
  if (metric.number[0] == -1) { /* without a target */
    metric.number[0] = 0;
    args.target = (mica_value){0};
  }
  mica_metric_update_with(&metric, &args, state, state);
  mica_scan_end(scan, state, NULL, 0, last, NULL);
  return mica_metric_result(&metric, last);
}
#define OVER(i, metric, ...) out[i] = over_batches(g, in, mica_metric_##metric(__VA_ARGS__))

GOLDEN(accuracy, OVER(0, accuracy, .k = 0))
GOLDEN(top_k, OVER(0, top_k_accuracy, .k = 2))
GOLDEN(confusion, OVER(0, confusion, .classes = 4))
#define SHARES(name, ...)                                                     \
  GOLDEN(name, OVER(0, precision, __VA_ARGS__); OVER(1, recall, __VA_ARGS__); \
         OVER(2, f, __VA_ARGS__); OVER(3, f, .beta = 2, __VA_ARGS__))
SHARES(shares_macro, .classes = 4)
SHARES(shares_micro, .classes = 4, .average = MICA_AVERAGE_MICRO)
SHARES(shares_weighted, .classes = 4, .average = MICA_AVERAGE_WEIGHTED)
SHARES(shares_none, .classes = 4, .average = MICA_AVERAGE_NONE)
SHARES(binary_shares, .threshold = 0.3)
SHARES(multilabel, .multilabel = true, .classes = 4)
GOLDEN(binary_accuracy, OVER(0, binary_accuracy, .threshold = 0))
GOLDEN(binary_accuracy_logits, OVER(0, binary_accuracy, .logits = true))
GOLDEN(binned_areas, OVER(0, roc_auc, .bins = 64); OVER(1, average_precision, .bins = 64))
GOLDEN(binned_areas_logits, OVER(0, roc_auc, .bins = 64, .logits = true);
       OVER(1, average_precision, .bins = 64, .logits = true))
GOLDEN(exact_areas, mica_value flat[3];
       for (int i = 0; i < 3; i++) flat[i] = mica_flatten(in[i], 0);
       out[0] = mica_roc_auc(flat[0], flat[1], .weights = flat[2]);
       out[1] = mica_average_precision(flat[0], flat[1], .weights = flat[2]))
GOLDEN(regression, OVER(0, absolute_error, .k = 0); OVER(1, squared_error, .k = 0);
       OVER(2, root_squared_error, .k = 0); OVER(3, r2, .k = 0))
GOLDEN(perplexity, OVER(0, perplexity, .k = 0))
static mica_metric_definition targetless(mica_metric_definition metric) {
  metric.number[0] = -1;
  return metric;
}
GOLDEN(means, out[0] = over_batches(g, in, targetless(mica_metric_mean(.k = 0)));
       out[1] = over_batches(g, in, targetless(mica_metric_median(.window = 90))))

static const golden_case metrics[] = {
    {"accuracy", build_accuracy, 3, 1, 1e-12},
    {"accuracy_one_hot", build_accuracy, 3, 1, 1e-12},
    {"top_k", build_top_k, 3, 1, 1e-12},
    {"confusion", build_confusion, 3, 1, 1e-12},
    {"shares_macro", build_shares_macro, 3, 4, 1e-12},
    {"shares_micro", build_shares_micro, 3, 4, 1e-12},
    {"shares_weighted", build_shares_weighted, 3, 4, 1e-12},
    {"shares_none", build_shares_none, 3, 4, 1e-12},
    {"shares_missing", build_shares_macro, 3, 4, 1e-12},
    {"binary_accuracy", build_binary_accuracy, 3, 1, 1e-12},
    {"binary_accuracy_logits", build_binary_accuracy_logits, 3, 1, 1e-12},
    {"binary_shares", build_binary_shares, 3, 4, 1e-12},
    {"multilabel", build_multilabel, 3, 4, 1e-12},
    {"exact_areas", build_exact_areas, 3, 2, 1e-12},
    {"binned_areas", build_binned_areas, 3, 2, 1e-12},
    {"binned_areas_logits", build_binned_areas_logits, 3, 2, 1e-12},
    {"regression", build_regression, 3, 4, 1e-12},
    {"perplexity", build_perplexity, 3, 1, 1e-12},
    {"means", build_means, 3, 2, 1e-12},
};

TEST(reference_gives_the_golden_values) {
  check_golden_file("reference", "metrics.npz", metrics, sizeof metrics / sizeof metrics[0]);
}
TEST(cpu_gives_the_golden_values) {
  check_golden_file("cpu", "metrics.npz", metrics, sizeof metrics / sizeof metrics[0]);
}

TEST_MAIN(TEST_CASE(reference_gives_the_golden_values), TEST_CASE(cpu_gives_the_golden_values))
