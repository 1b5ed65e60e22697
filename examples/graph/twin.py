#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The twin of graph.c in PyTorch, and scikit-learn's label spreading over the same graph.

  twin.py [--seed N]
"""
import argparse
import csv
import pathlib

import numpy as np
import torch
from torch.nn import functional as F

UNITS, STEPS = 16, 100


def rows(name):
    with open(pathlib.Path(__file__).parent / name, encoding="ascii") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


options = argparse.ArgumentParser()
options.add_argument("--seed", type=int, default=1)
torch.manual_seed(options.parse_args().seed)
members = rows("members.csv")
known = torch.tensor([m["known"] == "1" for m in members])
classes = torch.tensor([int(m["club"] == "Officer") for m in members])
friends = torch.zeros(len(members), len(members))
for pair in rows("friends.csv"):
    friends[int(pair["from"]), int(pair["to"])] = friends[int(pair["to"]), int(pair["from"])] = 1
links = friends + torch.eye(len(members))
factor = links.sum(0).rsqrt()
links = factor[:, None] * links * factor
first = torch.nn.init.xavier_uniform_(torch.empty(len(members), UNITS)).requires_grad_()
second = torch.nn.init.xavier_uniform_(torch.empty(UNITS, 2)).requires_grad_()
optimizer = torch.optim.Adam([first, second], lr=0.02, weight_decay=1e-3)
for _ in range(STEPS):
    logits = links @ torch.tanh(links @ first) @ second
    optimizer.zero_grad()
    F.cross_entropy(logits[known], classes[known]).backward()
    optimizer.step()
right = (logits.argmax(1) == classes)[~known].sum().item()
print(f"graph twin: {right} of {len(members) - int(known.sum())} members right")

try:
    from sklearn.semi_supervised import LabelPropagation, LabelSpreading
except ImportError:
    print("graph: scikit-learn is not there")
else:
    told = np.where(known.numpy(), classes.numpy(), -1)
    for model in (LabelPropagation, LabelSpreading):
        guess = model(kernel=lambda a, b: friends.numpy() + np.eye(len(members))).fit(
            np.arange(len(members))[:, None], told).transduction_
        print(f"graph: {model.__name__}: {(guess == classes.numpy())[~known.numpy()].sum()} right")
