#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What scikit-learn's models reach on the survey of income.c: of each kind the settings with the best area on the validation
set, then the test set, the mean over 3 seeds.

  plain.py [--data DIR]
"""
import argparse
import csv
import os

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC

options = argparse.ArgumentParser()
options.add_argument("--data", default=os.path.expanduser("~/.cache/mica/income"))
folder = options.parse_args().data
NUMBERS = ("age", "education", "area", "household_size", "under18")


def load(part):
    with open(os.path.join(folder, part + ".csv"), encoding="ascii") as file:
        rows = list(csv.reader(file))
    names = rows.pop(0)[1:]
    table = np.empty((len(rows), len(names)), object)
    for i, row in enumerate(rows):
        for j, cell in enumerate(row[1:]):
            table[i, j] = (float(cell) if cell else np.nan) if names[j] in NUMBERS else cell or "missing"
    return table, np.array([row[0].startswith(("[50.000", "[75.000")) for row in rows]), names


parts = {part: load(part)[:2] for part in ("train", "valid", "test")}
names = load("train")[2]
numbers = [i for i, name in enumerate(names) if name in NUMBERS]
others = [i for i, name in enumerate(names) if name not in NUMBERS]


def table(kind):
    one_hot = OneHotEncoder(handle_unknown="ignore")
    if kind == "ordinal":
        return ColumnTransformer([("c", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), others),
                                  ("n", "passthrough", numbers)])
    if kind == "one hot":
        coded = make_pipeline(SimpleImputer(strategy="constant", fill_value=-1), OneHotEncoder(handle_unknown="ignore"))
        return ColumnTransformer([("c", one_hot, others), ("n", coded, numbers)])
    scaled = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    return ColumnTransformer([("c", one_hot, others), ("n", scaled, numbers)])


def grid(**lists):
    settings = [{}]
    for name, values in lists.items():
        settings = [{**s, name: v} for s in settings for v in values]
    return settings


models = {
    "LogisticRegression": (LogisticRegression, ("scaled", "one hot"), grid(C=(0.03, 0.1, 0.3, 1), max_iter=(3000,))),
    "HistGradientBoosting": (HistGradientBoostingClassifier, ("ordinal",),
                             grid(learning_rate=(0.03, 0.06), max_iter=(100, 200, 300), max_leaf_nodes=(5, 8, 15),
                                  l2_regularization=(3,), categorical_features=(list(range(len(others))),), random_state=(1,))),
    "RandomForest": (RandomForestClassifier, ("scaled",),
                     grid(n_estimators=(300,), min_samples_leaf=(3, 5, 8), random_state=(1,), n_jobs=(2,))),
    "ExtraTrees": (ExtraTreesClassifier, ("scaled",),
                   grid(n_estimators=(300,), min_samples_leaf=(2, 4, 7), random_state=(1,), n_jobs=(2,))),
    "SVC": (SVC, ("scaled", "one hot"), grid(C=(0.3, 1), gamma=(0.01, 0.03))),
    "MLP": (MLPClassifier, ("scaled", "one hot"),
            grid(hidden_layer_sizes=((64,),), alpha=(0.3, 1, 3), learning_rate_init=(1e-3,), max_iter=(40,), random_state=(1,))),
}
for name, (model, kinds, settings) in models.items():
    tried = []
    for kind in kinds:
        for s in settings:
            def fit(seed, kind=kind, s=s):
                s = {**s, "random_state": seed} if "random_state" in s else s
                pipe = make_pipeline(table(kind), model(**s)).fit(*parts["train"])
                score = pipe.decision_function if hasattr(pipe, "decision_function") else lambda x: pipe.predict_proba(x)[:, 1]
                return [v for part in ("valid", "test") for v in
                        (100 * pipe.score(*parts[part]), roc_auc_score(parts[part][1], score(parts[part][0])))]
            tried.append((fit(1), kind, s, fit))
    first, kind, s, fit = max(tried, key=lambda t: t[0][1])
    runs = [first] + ([fit(2), fit(3)] if "random_state" in s else [])
    mean = np.mean(runs, 0)
    s.pop("categorical_features", None)
    print(f"{name} on {kind} {s}: validation {mean[0]:.2f} % {mean[1]:.4f}, test {mean[2]:.2f} % {mean[3]:.4f}", flush=True)
