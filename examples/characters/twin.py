#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The twin of characters.c, and with --bible of lora.c behind it, in PyTorch: the same model, windows of text, optimizer,
schedule, steps and first distributions of parameters.

  twin.py [--seed N] [--data DIR] [--steps N] [--threads N] [--bible DIR]
"""
import argparse
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

BATCH, CHARACTERS = 32, 96


def load(folder, part, context):
    with open(os.path.join(folder, part + ".txt"), "rb") as file:
        text = np.frombuffer(file.read(), np.uint8).astype(np.int64)
    ids = torch.tensor(np.where(text == 10, 0, text - 31))
    rows = (len(ids) - 1) // context
    return ids[:rows * context].view(rows, context), ids[1:rows * context + 1].view(rows, context)


def kernel(i, o):
    layer = nn.Linear(i, o, bias=False)
    nn.init.xavier_uniform_(layer.weight)
    return layer


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6) * self.scale


def rope(x):  # [batch, heads, time, d]
    d, length = x.shape[-1], x.shape[-2]
    angle = torch.arange(length)[:, None] / 10000 ** (torch.arange(0, d, 2) / d)
    a, b = x.chunk(2, -1)
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.norm1, self.norm2 = heads, RmsNorm(width), RmsNorm(width)
        self.query, self.key, self.value, self.out = (kernel(width, width) for _ in range(4))
        self.up, self.down = kernel(width, 4 * width), kernel(4 * width, width)

    def forward(self, x):
        def split(y):
            return y.view(*y.shape[:2], self.heads, -1).transpose(1, 2)
        y = self.norm1(x)
        y = F.scaled_dot_product_attention(rope(split(self.query(y))), rope(split(self.key(y))), split(self.value(y)),
                                           is_causal=True)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Model(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.table = nn.Embedding(CHARACTERS, o.width)
        nn.init.normal_(self.table.weight, 0, 0.02)
        self.blocks = nn.ModuleList(Block(o.width, o.heads) for _ in range(o.layers))
        self.norm = RmsNorm(o.width)

    def forward(self, ids):
        x = self.table(ids)
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ self.table.weight.T


class Lora(nn.Module):
    def __init__(self, layer, rank, alpha):
        super().__init__()
        self.layer, self.scale = layer, alpha / rank
        limit = math.sqrt(6 / layer.in_features)
        self.a = nn.Parameter(torch.empty(layer.in_features, rank).uniform_(-limit, limit))
        self.b = nn.Parameter(torch.zeros(rank, layer.out_features))

    def forward(self, x):
        return self.layer(x) + self.scale * (x @ self.a) @ self.b


def train(model, parameters, data, steps, lr, decay):
    optimizer = torch.optim.AdamW(parameters, lr=lr, weight_decay=decay)
    x, y = data
    order, at = [], 0
    for step in range(steps):
        if at + BATCH > len(order):
            order, at = torch.randperm(len(x)), 0
        rows, at = order[at:at + BATCH], at + BATCH
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, steps, lr, 0.1)
        loss = F.cross_entropy(model(x[rows]).flatten(0, 1), y[rows].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()


def bits(model, data):
    total = 0.0
    with torch.no_grad():
        for at in range(0, len(data[0]), 64):
            total += F.cross_entropy(model(data[0][at:at + 64]).flatten(0, 1), data[1][at:at + 64].flatten(),
                                     reduction="sum").item()
    return total / data[1].numel() / math.log(2)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--steps", type=int, default=2000)
    options.add_argument("--lr", type=float, default=3e-3)
    options.add_argument("--weight-decay", type=float, default=0.01)
    options.add_argument("--context", type=int, default=128)
    options.add_argument("--layers", type=int, default=3)
    options.add_argument("--width", type=int, default=128)
    options.add_argument("--heads", type=int, default=4)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--validate", action="store_true")
    options.add_argument("--data", default=os.path.expanduser("~/.cache/mica/austen"))
    options.add_argument("--bible")
    o = options.parse_args()
    torch.set_num_threads(o.threads)
    torch.manual_seed(o.seed)
    part = "valid" if o.validate else "test"
    model = Model(o)
    test, began = load(o.data, part, o.context), time.time()
    train(model, list(model.parameters()), load(o.data, "train", o.context), o.steps, o.lr, o.weight_decay)
    seconds = time.time() - began
    print(f"characters twin: {part} {bits(model, test):.4f} bits a character after {seconds:.0f} s", flush=True)
    if not o.bible:
        return
    bible = load(o.bible, "test", o.context)
    print(f"lora twin: before: bible {bits(model, bible):.4f}", flush=True)
    for p in model.parameters():
        p.requires_grad = False
    for block in model.blocks:
        for name in ("query", "key", "value", "out", "up", "down"):
            setattr(block, name, Lora(getattr(block, name), 8, 16))
    adapters = [p for p in model.parameters() if p.requires_grad]
    train(model, adapters, load(o.bible, "train", o.context), 500, 5e-3, 0)
    print(f"lora twin: after: bible {bits(model, bible):.4f}, austen {bits(model, test):.4f} bits a character, "
          f"{sum(p.numel() for p in adapters)} parameters trained")


main()
