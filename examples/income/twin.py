#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The twin of income.c in PyTorch: the same features, models, optimizer, schedule, epochs and first distributions of
parameters. numpy and torch are all it needs.

  twin.py [--seed N] [--model fnn|kan] [--data DIR] [--epochs N] [--threads N]
"""
import argparse
import csv
import math
import os
import pathlib
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from twins import rate_at  # noqa: E402

NUMBERS = ("age", "education", "area", "household_size", "under18")
LEVELS = ("-10", "[10", "[15", "[20", "[25", "[30", "[40", "[50", "[75")  # of income, how they begin
BATCH, KEYPOINTS, HIGH = 64, 16, 7


def load(folder, part, vocabularies):
    with open(os.path.join(folder, part + ".csv"), encoding="ascii") as file:
        rows = list(csv.reader(file))
    names = rows.pop(0)
    levels = np.array([[r[0].startswith(level) for level in LEVELS].index(True) for r in rows], np.int64)
    numbers = np.array([[float(r[names.index(n)] or "nan") for n in NUMBERS] for r in rows], np.float32)
    categories = []
    for at, name in enumerate(names):
        if name in NUMBERS or at == 0:
            continue
        known = vocabularies.setdefault(name, {})
        if part == "train":
            for r in rows:
                if r[at]:
                    known.setdefault(r[at], len(known) + 1)
        categories.append([known.get(r[at], 0) for r in rows])
    return torch.tensor(np.array(categories).T), torch.tensor(numbers), torch.tensor(levels)


def keypoints_of(numbers):
    points = []
    for column in numbers.numpy().T:
        found = np.unique(np.quantile(column[~np.isnan(column)], np.linspace(0, 1, KEYPOINTS)))
        more = found[-1] + np.arange(1, KEYPOINTS - len(found) + 1)
        points.append(np.concatenate([found, more]))
    return torch.tensor(np.array(points), dtype=torch.float32)


class Features(nn.Module):
    def __init__(self, words, keypoints, width):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(count + 1, width) for count in words)
        for table in self.tables:
            nn.init.normal_(table.weight, 0, width ** -0.5)
        self.register_buffer("points", keypoints)
        self.places = nn.ModuleList(nn.Embedding(KEYPOINTS + 1, width) for _ in keypoints)
        for table in self.places:
            nn.init.normal_(table.weight, 0, width ** -0.5)
        self.outputs = nn.Parameter(torch.linspace(-1, 1, KEYPOINTS).repeat(len(keypoints), 1))
        self.width = width * (len(words) + len(keypoints)) + 2 * len(keypoints)

    def forward(self, categories, numbers):
        missing = numbers.isnan()
        x = torch.where(missing, 0, numbers)
        left, right = self.points[:, :-1], self.points[:, 1:]
        share = ((x[..., None] - left) / (right - left)).clamp(0, 1)
        y = (share * (self.outputs[:, 1:] - self.outputs[:, :-1])).sum(-1) + self.outputs[:, 0]
        parts = [table(categories[:, i]) for i, table in enumerate(self.tables)]
        place = (numbers[..., None] >= self.points).sum(-1)  # 0: missing
        parts += [table(place[:, i]) for i, table in enumerate(self.places)]
        return torch.cat(parts + [torch.where(missing, 0, y), missing.float()], -1)


class Members(nn.Module):  # a layer of several networks
    def __init__(self, members, i, o):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(members, i, o) * math.sqrt(2 / i))
        self.bias = nn.Parameter(torch.zeros(members, 1, o))

    def forward(self, x):
        return x @ self.kernel + self.bias


class Fnn(nn.Module):
    def __init__(self, features, o):
        super().__init__()
        self.features, self.members, self.dropout = features, o.members, o.dropout
        sizes = [features.width] + [o.units] * o.layers + [len(LEVELS)]
        self.layers = nn.ModuleList(Members(o.members, a, b) for a, b in zip(sizes, sizes[1:]))

    def forward(self, categories, numbers):
        x = self.features(categories, numbers).expand(self.members, -1, -1)
        for layer in self.layers[:-1]:
            x = F.dropout(F.relu(layer(x)), self.dropout, self.training)
        return self.layers[-1](x).transpose(0, 1)


class Kan(nn.Module):
    def __init__(self, i, o, low, high, intervals=8, degree=3):
        super().__init__()
        self.low, self.high, self.intervals, self.degree = low, high, intervals, degree
        self.coefficients = nn.Parameter(0.1 * torch.randn(i * (intervals + degree), o))
        self.base = nn.Parameter(nn.init.xavier_uniform_(torch.empty(i, o)))

    def forward(self, x):
        n, p = self.intervals, self.degree
        u = ((x - self.low) * n / (self.high - self.low)).clamp(0, n)[..., None] + p
        place = torch.arange(n + 2 * p)
        basis = (u.floor().clamp(max=n + p - 1) == place).float()
        for k in range(1, p + 1):
            at = place[:n + 2 * p - k]
            basis = ((u - at) * basis[..., :-1] + (at + k + 1 - u) * basis[..., 1:]) / k
        return basis.flatten(1) @ self.coefficients + F.silu(x) @ self.base


class KanModel(nn.Module):
    def __init__(self, features, o):
        super().__init__()
        self.features, self.dropout = features, o.kan_dropout
        self.kan0, self.kan1 = Kan(features.width, o.kan_units, -2, 2), Kan(o.kan_units, 2, -1, 1)

    def forward(self, categories, numbers):
        x = F.dropout(self.features(categories, numbers), self.dropout, self.training)
        return self.kan1(torch.tanh(self.kan0(x)))[:, None]


def sides(logits):
    p = F.log_softmax(logits, -1)
    if p.shape[-1] == 2:
        return p
    return torch.stack([p[..., :HIGH].logsumexp(-1), p[..., HIGH:].logsumexp(-1)], -1)


def loss_of(logits, levels, share):  # the sum of the members' losses; the last ones learn levels, the others sides
    split = logits.shape[1] - int(share * logits.shape[1])
    sided, leveled = sides(logits[:, :split]), logits[:, split:]
    loss = 0
    for z, target in ((sided, (levels >= HIGH).long()), (leveled, levels)):
        if z.shape[1]:
            loss = loss + z.shape[1] * F.cross_entropy(z.flatten(0, 1), target.repeat_interleave(z.shape[1]))
    return loss


def area(score, target):  # ties count one half
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive = target == 1
    n, m = positive.sum(), (~positive).sum()
    return (rank[positive].sum() - n * (n + 1) / 2) / (n * m)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--model", default="fnn")
    options.add_argument("--epochs", type=int, default=20)
    options.add_argument("--lr", type=float, default=2e-3)
    options.add_argument("--weight-decay", type=float, default=0.01)
    options.add_argument("--level-share", type=float, default=0.25)
    options.add_argument("--embedding", type=int, default=8)
    options.add_argument("--members", type=int, default=32)
    options.add_argument("--layers", type=int, default=2)
    options.add_argument("--units", type=int, default=64)
    options.add_argument("--dropout", type=float, default=0.3)
    options.add_argument("--kan-units", type=int, default=8)
    options.add_argument("--kan-dropout", type=float, default=0.1)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--validate", action="store_true")
    options.add_argument("--data", default=os.path.expanduser("~/.cache/mica/income"))
    o = options.parse_args()
    torch.set_num_threads(o.threads)
    torch.manual_seed(o.seed)
    vocabularies = {}
    categories, numbers, labels = load(o.data, "train", vocabularies)
    features = Features([len(v) for v in vocabularies.values()], keypoints_of(numbers), o.embedding)
    model = (Fnn if o.model == "fnn" else KanModel)(features, o)
    optimizer = torch.optim.AdamW(model.parameters(), lr=o.lr, weight_decay=o.weight_decay)
    steps, step, began = o.epochs * (len(labels) // BATCH), 0, time.time()
    for _ in range(o.epochs):
        order = torch.randperm(len(labels))
        for at in range(0, len(labels) - BATCH + 1, BATCH):
            rows = order[at:at + BATCH]
            for group in optimizer.param_groups:
                group["lr"] = rate_at(step, steps, o.lr)
            loss = loss_of(model(categories[rows], numbers[rows]), labels[rows], o.level_share)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    seconds = time.time() - began
    model.eval()
    part = "valid" if o.validate else "test"
    categories, numbers, labels = load(o.data, part, vocabularies)
    with torch.no_grad():
        p = sides(model(categories, numbers)).mean(1)
    labels = (labels >= HIGH).long()
    accuracy = (p.argmax(1) == labels).float().mean().item()
    name = "validation" if o.validate else "test"
    print(f"income twin: {name} accuracy {100 * accuracy:.2f} %, "
          f"area under the curve {area(p[:, 1].numpy(), labels.numpy()):.4f} after {seconds:.0f} s")


main()
