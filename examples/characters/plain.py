#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What scikit-learn's models reach on the text of characters.c: the next character from the last ones, in bits a character.

  plain.py [--data DIR]
"""
import argparse
import math
import os

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import SGDClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neural_network import MLPClassifier

options = argparse.ArgumentParser()
options.add_argument("--data", default=os.path.expanduser("~/.cache/mica/austen"))
folder = options.parse_args().data


def load(part):
    with open(os.path.join(folder, part + ".txt"), "rb") as file:
        text = np.frombuffer(file.read(), np.uint8).astype(np.int64)
    return np.where(text == 10, 0, text - 31)


def features(ids, at, window):  # one-hot of each of the last characters
    columns = np.stack([ids[at - k - 1] + 96 * k for k in range(window)], 1)
    rows = np.repeat(np.arange(len(at)), window)
    return csr_matrix((np.ones(columns.size, np.float32), (rows, columns.ravel())), (len(at), 96 * window))


def bits(p, target):
    return -np.log2(np.maximum(p[np.arange(len(target)), target], 1e-9)).mean()


train, test = load("train"), load("test")
random = np.random.RandomState(1)
asked = np.arange(16, len(test), 7)
for window in (4, 8):
    at = np.arange(16, len(train))
    model = MultinomialNB(alpha=0.1)
    for part in np.array_split(at, 8):
        model.partial_fit(features(train, part, window), train[part], classes=np.arange(96))
    print(f"MultinomialNB of the last {window}: {bits(model.predict_proba(features(test, asked, window)), test[asked]):.4f}",
          flush=True)
for window in (8,):
    model = SGDClassifier(loss="log_loss", alpha=1e-6, learning_rate="adaptive", eta0=0.02)
    for part in np.array_split(random.permutation(np.arange(16, len(train))), 16):
        model.partial_fit(features(train, part, window), train[part], classes=np.arange(96))
    print(f"SGDClassifier (logistic) of the last {window}: "
          f"{bits(model.predict_proba(features(test, asked, window)), test[asked]):.4f}", flush=True)
for window, units in ((16, (512,)),):
    model = MLPClassifier(units, alpha=0, batch_size=1024, learning_rate_init=1e-3, random_state=1)
    for epoch in range(2):
        model.learning_rate_init = 1e-3 if epoch == 0 else 2e-4
        for part in np.array_split(random.permutation(np.arange(16, len(train))), 32):
            model.partial_fit(features(train, part, window), train[part], classes=np.arange(96))
        print(f"MLPClassifier {units} of the last {window}, {epoch + 1} epochs: "
              f"{bits(model.predict_proba(features(test, asked, window)), test[asked]):.4f}", flush=True)
