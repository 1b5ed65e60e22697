# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/metrics.npz: metrics by scikit-learn. A case has batches of prediction, target and weights along its
inputs' axis 0, and what scikit-learn says of all of them together; the table of
tests/unit/train/metrics/test_metrics_golden.c says which metric it is. Run by any Python with scikit-learn."""
import os
import warnings

import numpy as np
from sklearn import metrics

warnings.simplefilter("ignore")
rng = np.random.default_rng(21)
arrays = {}
batches, n, c = 5, 40, 4


def save(name, x, t, w, *results):
    for i, value in enumerate((x, t, w)):
        arrays[f"{name}.in{i}"] = np.asarray(value, order="C")
    for i, value in enumerate(results):
        arrays[f"{name}.out{i}"] = np.asarray(value, np.float64)


flat = lambda a: a.reshape((-1,) + a.shape[2:])
scores = rng.normal(size=(batches, n, c))
labels = rng.integers(0, c, (batches, n)).astype(np.int32)
scores[np.arange(batches)[:, None], np.arange(n), labels] += 1.0
w = rng.uniform(0.1, 2, (batches, n))
w[1, :7] = 0
called = flat(scores).argmax(-1)
fl, fw = flat(labels), flat(w)
one_hot = np.eye(c)[labels]

save("accuracy", scores, labels, w, metrics.accuracy_score(fl, called, sample_weight=fw))
save("accuracy_one_hot", scores.astype(np.float32), one_hot.astype(np.float32), w,
     metrics.accuracy_score(fl, called, sample_weight=fw))
save("top_k", scores, labels, w, metrics.top_k_accuracy_score(fl, flat(scores), k=2, sample_weight=fw))
save("confusion", scores, labels, w, metrics.confusion_matrix(fl, called, sample_weight=fw))


def shares(t, called, **more):
    """Precision, recall, F1 and F2."""
    more = dict(sample_weight=fw, zero_division=0, **more)
    of = [metrics.precision_recall_fscore_support(t, called, beta=beta, **more) for beta in (1, 2)]
    return *of[0][:3], of[1][2]


for average in ("macro", "micro", "weighted", None):
    save(f"shares_{average or 'none'}", scores, labels, w, *shares(fl, called, average=average))
# A class that is never there and never called.
rare = np.where(labels == 3, 0, labels)
few = scores.copy()
few[..., 3] = -9
save("shares_missing", few, rare, w, *shares(flat(rare), flat(few).argmax(-1), labels=range(4), average="macro"))

logits = rng.normal(size=(batches, n))
truth = (logits + rng.normal(size=(batches, n)) > 0.3).astype(np.int32)
chance = 1 / (1 + np.exp(-logits))
ft, fc = flat(truth), flat(chance)
save("binary_accuracy", chance, truth, w, metrics.accuracy_score(ft, fc > 0.5, sample_weight=fw))
save("binary_accuracy_logits", logits, truth, w, metrics.accuracy_score(ft, fc > 0.5, sample_weight=fw))
save("binary_shares", chance, truth, w, *shares(ft, fc > 0.3, average="binary"))
several = (rng.uniform(size=(batches, n, c)) < 0.4).astype(np.int32)
save("multilabel", scores, several, w, *shares(flat(several), flat(scores) > 0.5, average="macro"))

ties = np.round(chance, 1)
save("exact_areas", ties, truth, w, metrics.roc_auc_score(ft, flat(ties), sample_weight=fw),
     metrics.average_precision_score(ft, flat(ties), sample_weight=fw))
binned = np.floor(chance * 64) / 64
save("binned_areas", chance, truth, w, metrics.roc_auc_score(ft, flat(binned), sample_weight=fw),
     metrics.average_precision_score(ft, flat(binned), sample_weight=fw))
save("binned_areas_logits", logits, truth, w, metrics.roc_auc_score(ft, flat(binned), sample_weight=fw),
     metrics.average_precision_score(ft, flat(binned), sample_weight=fw))

x, t = 100 + rng.normal(size=(batches, n)), 100 + rng.normal(size=(batches, n))
x = 0.5 * (x + t)
fx, fy = flat(x), flat(t)
save("regression", x, t, w, metrics.mean_absolute_error(fy, fx, sample_weight=fw),
     metrics.mean_squared_error(fy, fx, sample_weight=fw), metrics.root_mean_squared_error(fy, fx, sample_weight=fw),
     metrics.r2_score(fy, fx, sample_weight=fw))
log_p = flat(scores) - np.log(np.exp(flat(scores)).sum(-1, keepdims=True))
loss = -log_p[np.arange(batches * n), fl]
save("perplexity", scores, labels, w, np.exp(metrics.log_loss(fl, np.exp(log_p), sample_weight=fw, labels=range(c))))
save("means", x, t, w, np.average(fx, weights=fw), np.median(np.concatenate([b[u != 0] for b, u in zip(x, w)])[-90:]))

np.savez_compressed(os.path.join(os.path.dirname(__file__), "metrics.npz"), **arrays)
print(len(arrays), "arrays")
