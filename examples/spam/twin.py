#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The twin of spam.c in PyTorch: the same models, words, optimizer, schedule, epochs and first distributions of parameters.

  twin.py [--seed N] [--model bag|cnn|transformer|all] [--data DIR] [--epochs N] [--threads N]
"""
import argparse
import collections
import os
import pathlib
import re
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from twins import rate_at  # noqa: E402

WORDS, RUNS, LENGTH, UNITS, WIDTH, CHANNELS, LAYERS, HEADS, BATCH = 20000, 60000, 128, 8, 64, 64, 2, 4, 32
MEMBERS = 8
NORM_EPSILON = 1e-5


def load(folder, part):
    labels, texts = [], []
    with open(os.path.join(folder, part + ".tsv"), encoding="ascii") as lines:
        for line in lines:
            label, text = line.rstrip("\n").split("\t", 1)
            labels.append(int(label == "spam"))
            texts.append([w[:64] for w in re.findall(r"[a-z0-9]+|[^\sa-z0-9]", text.lower())])
    return texts, np.array(labels)


def runs_of(text):  # words and pairs of them, in the order in which they end
    return [run for i in range(len(text)) for run in ([text[i - 1] + " " + text[i]] if i else []) + [text[i]]]


def vocabulary(texts, most):
    counts = collections.Counter()
    for text in texts:
        counts.update(dict.fromkeys(text, 1))
    kept = sorted((w for w in counts if counts[w] >= 2), key=lambda w: -counts[w])[:most]  # stable: first ones first
    return {w: i for i, w in enumerate(kept)}, np.array([counts[w] for w in kept])


def ids_of(texts, words):
    ids = np.zeros((len(texts), LENGTH), np.int64)
    for row, text in zip(ids, texts):
        for i, w in enumerate(text[:LENGTH]):
            row[i] = words.get(w, -1) + 2
    return torch.tensor(ids)


def bags_of(texts, words, uses, mails):
    idf = 1 + np.log((1 + mails) / (1 + uses))
    rows = []
    for text in texts:
        counts = collections.Counter(words[w] for w in runs_of(text) if w in words)
        at = np.fromiter(counts.keys(), np.int64, len(counts))
        x = (1 + np.log(np.fromiter(counts.values(), np.float64, len(counts)))) * idf[at]
        rows.append((at, (x / max(np.sqrt((x * x).sum()), 1e-30)).astype(np.float32)))
    return rows


def dense_bags(rows, count):
    out = np.zeros((len(rows), count), np.float32)
    for i, (at, x) in enumerate(rows):
        out[i, at] = x
    return torch.tensor(out)


def dense(i, o):
    layer = nn.Linear(i, o)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def embedding(count, width):
    table = nn.Embedding(count, width)
    nn.init.normal_(table.weight, 0, width ** -0.5)
    return table


class Bag(nn.Module):  # several small networks side by side
    def __init__(self, words):
        super().__init__()
        self.hidden = dense(words, MEMBERS * UNITS)
        self.kernel = nn.Parameter(torch.randn(MEMBERS, UNITS, 2) * (2 / UNITS) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(MEMBERS, 1, 2))

    def forward(self, bag, ids):
        x = F.dropout(F.relu(self.hidden(bag * 10)), 0.5, self.training)
        x = x.view(len(x), MEMBERS, UNITS).transpose(0, 1)
        return (x @ self.kernel + self.bias).transpose(0, 1)


class Cnn(nn.Module):
    def __init__(self, words):
        super().__init__()
        self.words = embedding(words + 2, WIDTH)
        self.convs = nn.ModuleList(nn.Conv1d(WIDTH, CHANNELS, k) for k in (1, 2, 3))
        for conv in self.convs:
            nn.init.kaiming_normal_(conv.weight)
            nn.init.zeros_(conv.bias)
        self.out = dense(3 * CHANNELS, 2)

    def forward(self, bag, ids):
        x = F.dropout(self.words(ids), 0.5, self.training).transpose(1, 2)
        there = (ids != 0).unsqueeze(1)
        found = []
        for k, conv in enumerate(self.convs):
            y = F.relu(conv(F.pad(x, (k // 2, k - k // 2))))
            found.append(torch.where(there, y, 0).amax(2))
        return self.out(F.dropout(torch.cat(found, 1), 0.5, self.training))[:, None]


def rope(x):  # [batch, heads, time, d]
    d, time_ = x.shape[-1], x.shape[-2]
    angle = torch.arange(time_)[:, None] / 10000 ** (torch.arange(0, d, 2) / d)
    a, b = x.chunk(2, -1)
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, eps=NORM_EPSILON), nn.LayerNorm(WIDTH, eps=NORM_EPSILON)
        self.q, self.k, self.v, self.o = (dense(WIDTH, WIDTH) for _ in range(4))
        self.up, self.down = dense(WIDTH, 2 * WIDTH), dense(2 * WIDTH, WIDTH)

    def forward(self, x, there):
        def heads(y):
            return y.view(*y.shape[:2], HEADS, -1).transpose(1, 2)
        y = self.norm1(x)
        y = F.scaled_dot_product_attention(rope(heads(self.q(y))), rope(heads(self.k(y))), heads(self.v(y)),
                                           attn_mask=there[:, None, None, :])
        x = x + F.dropout(self.o(y.transpose(1, 2).flatten(2)), 0.1, self.training)
        return x + F.dropout(self.down(F.gelu(self.up(self.norm2(x)))), 0.1, self.training)


class Transformer(nn.Module):
    def __init__(self, words):
        super().__init__()
        self.words = embedding(words + 2, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm, self.out = nn.LayerNorm(WIDTH, eps=NORM_EPSILON), dense(WIDTH, 2)

    def forward(self, bag, ids):
        there = ids != 0
        x = F.dropout(self.words(ids), 0.1, self.training)
        for block in self.blocks:
            x = block(x, there)
        weight = there.unsqueeze(-1).float()
        return self.out(self.norm((x * weight).sum(1) / (weight.sum(1) + 1e-6)))[:, None]


KINDS = {"bag": Bag, "cnn": Cnn, "transformer": Transformer}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--model", default="bag")
    options.add_argument("--epochs", type=int, default=8)
    options.add_argument("--lr", type=float, default=2e-3)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--validate", action="store_true")
    options.add_argument("--data", default=os.path.expanduser("~/.cache/mica/spam"))
    o = options.parse_args()
    torch.set_num_threads(o.threads)
    torch.manual_seed(o.seed)
    texts, labels = load(o.data, "train")
    words, _ = vocabulary(texts, WORDS)
    runs, uses = vocabulary([runs_of(text) for text in texts], RUNS)
    ids, bags = ids_of(texts, words), bags_of(texts, runs, uses, len(texts))
    labels = torch.tensor(labels)
    models = [make(len(runs if kind == "bag" else words)) for kind, make in KINDS.items() if o.model in (kind, "all")]
    parameters = [p for m in models for p in m.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=o.lr)
    steps, step, began = o.epochs * (len(texts) // BATCH), 0, time.time()
    for _ in range(o.epochs):
        order = torch.randperm(len(texts))
        for at in range(0, len(texts) - BATCH + 1, BATCH):
            rows = order[at:at + BATCH]
            bag = dense_bags([bags[i] for i in rows], len(runs))
            for group in optimizer.param_groups:
                group["lr"] = rate_at(step, steps, o.lr)
            logits = torch.cat([m(bag, ids[rows]) for m in models], 1)
            members = logits.shape[1]
            loss = members * F.cross_entropy(logits.flatten(0, 1), labels[rows].repeat_interleave(members))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            step += 1
    seconds = time.time() - began
    part = "valid" if o.validate else "test"
    texts, labels = load(o.data, part)
    ids, bags = ids_of(texts, words), bags_of(texts, runs, uses, len(bags))
    right = 0
    for m in models:
        m.eval()
    with torch.no_grad():
        for at in range(0, len(texts), 64):
            bag = dense_bags(bags[at:at + 64], len(runs))
            p = F.log_softmax(torch.cat([m(bag, ids[at:at + 64]) for m in models], 1), -1).mean(1)
            right += int((p.argmax(1).numpy() == labels[at:at + 64]).sum())
    print(f"spam twin: {part} accuracy {100 * right / len(texts):.2f} % after {seconds:.0f} s")


main()
