#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What scikit-learn's models reach on the mails of spam.c: settings are chosen on the validation set, then the test set is
measured once, the mean over 3 seeds where there is chance.

  plain.py [--data DIR]
"""
import argparse
import os
import re

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.svm import LinearSVC

options = argparse.ArgumentParser()
options.add_argument("--data", default=os.path.expanduser("~/.cache/mica/spam"))
folder = options.parse_args().data


def load(part):
    with open(os.path.join(folder, part + ".tsv"), encoding="ascii") as lines:
        pairs = [line.rstrip("\n").split("\t", 1) for line in lines]
    return [text for _, text in pairs], np.array([label == "spam" for label, _ in pairs])


parts = {part: load(part) for part in ("train", "valid", "test")}
words = re.compile(r"[a-z0-9]+|[^\sa-z0-9]").findall
common = {"tokenizer": words, "token_pattern": None, "min_df": 2}
tables = {"tf-idf": TfidfVectorizer(sublinear_tf=True, **common),
          "tf-idf of pairs too": TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), **common),
          "counts": CountVectorizer(**common), "presence": CountVectorizer(binary=True, **common)}
models = {"LinearSVC": (LinearSVC, [{"C": c, "max_iter": 20000} for c in (0.1, 0.3, 1, 3, 10)]),
          "LogisticRegression": (LogisticRegression, [{"C": c, "max_iter": 3000} for c in (1, 10, 100)]),
          "MultinomialNB": (MultinomialNB, [{"alpha": a} for a in (0.01, 0.1, 1)]),
          "ComplementNB": (ComplementNB, [{"alpha": a} for a in (0.01, 0.1, 1)]),
          "SGDClassifier": (SGDClassifier, [{"alpha": a, "random_state": s} for a in (1e-5, 1e-4) for s in (1,)]),
          "RandomForest": (RandomForestClassifier, [{"n_estimators": 300, "random_state": 1, "n_jobs": 2}]),
          "ExtraTrees": (ExtraTreesClassifier, [{"n_estimators": 300, "random_state": 1, "n_jobs": 2}])}
for table, vectorizer in tables.items():
    train = vectorizer.fit_transform(parts["train"][0])
    valid, test = (vectorizer.transform(parts[part][0]) for part in ("valid", "test"))
    for name, (model, settings) in models.items():
        if name in ("RandomForest", "ExtraTrees") and table != "counts":
            continue
        fitted = [model(**s).fit(train, parts["train"][1]) for s in settings]
        scores = [m.score(valid, parts["valid"][1]) for m in fitted]
        best = int(np.argmax(scores))
        seeds = [fitted[best]]
        if "random_state" in settings[best]:
            seeds += [model(**{**settings[best], "random_state": s}).fit(train, parts["train"][1]) for s in (2, 3)]
        result = 100 * np.mean([m.score(test, parts["test"][1]) for m in seeds])
        print(f"{name} on {table} {settings[best]}: validation {100 * scores[best]:.2f} %, test {result:.2f} %", flush=True)
