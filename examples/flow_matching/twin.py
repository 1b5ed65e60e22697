#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same network, paths, optimizer, schedule and averaging in PyTorch on the same images; prints the same test loss.

  twin.py [--data DIR] [--seeds 1] [--epochs 12] [--width 32] [--limit N] [--device cpu|cuda]
"""
import argparse
import copy
import math
import pathlib
import sys
import time

import numpy
import torch
from torch import nn
from torch.nn import functional

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from twins import load_images  # noqa: E402

BATCH, CLASSES, EMBEDDING = 128, 10, 128


def dense(inputs, outputs):
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def conv(inputs, outputs, kernel=3, stride=1, zero=False):
    layer = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
    if zero:
        nn.init.zeros_(layer.weight)
    else:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer


class Residual(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(8, inputs), conv(inputs, outputs)
        self.told = dense(EMBEDDING, outputs)
        self.norm2, self.conv2 = nn.GroupNorm(8, outputs), conv(outputs, outputs, zero=True)
        self.skip = conv(inputs, outputs, kernel=1) if inputs != outputs else nn.Identity()

    def forward(self, x, told):
        y = self.conv1(functional.silu(self.norm1(x))) + self.told(told)[:, :, None, None]
        return self.skip(x) + self.conv2(functional.silu(self.norm2(y)))


class Velocity(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.time, self.told = dense(EMBEDDING, EMBEDDING), dense(EMBEDDING, EMBEDDING)
        self.classes = nn.Embedding(CLASSES + 1, EMBEDDING)
        nn.init.normal_(self.classes.weight, std=EMBEDDING ** -0.5)
        self.enter, self.half1 = conv(4, width), Residual(width, width)
        self.down = conv(width, 2 * width, stride=2)
        self.quarter1, self.quarter2 = Residual(2 * width, 2 * width), Residual(2 * width, 2 * width)
        self.half2, self.half3 = Residual(3 * width, width), Residual(width, width)
        self.norm, self.leave = nn.GroupNorm(8, width), conv(width, 4, zero=True)
        self.register_buffer("rates", torch.exp(-math.log(10000) * torch.arange(0, EMBEDDING, 2) / EMBEDDING))

    def forward(self, x, time_, classes):
        angles = 1000 * time_[:, None] * self.rates
        told = functional.silu(self.time(torch.cat([angles.sin(), angles.cos()], 1)))
        told = functional.silu(self.told(told + self.classes(classes)))
        cells = self.enter(functional.pixel_unshuffle(x, 2))
        half = self.half1(cells, told)
        quarter = self.quarter2(self.quarter1(self.down(half), told), told)
        half = self.half2(torch.cat([functional.interpolate(quarter, scale_factor=2), half], 1), told)
        half = self.half3(half + cells, told)
        return functional.pixel_shuffle(self.leave(functional.silu(self.norm(half))), 2)


def flow_loss(model, images, labels):
    x = images.float() * (2 / 255) - 1
    noise, time_ = torch.randn_like(x), torch.rand(len(x), device=x.device)
    classes = torch.where(torch.rand(len(x), device=x.device) < 0.1, CLASSES, labels)
    at = noise + time_[:, None, None, None] * (x - noise)
    return functional.mse_loss(noise + model(at, time_, classes), x)


def train(args, seed):
    torch.manual_seed(seed)
    device = torch.device(args.device)
    images, labels = (t.to(device) for t in load_images(args.data, "train", args.limit))
    test_images, test_labels = (t.to(device) for t in load_images(args.data, "t10k", args.limit))
    model = Velocity(args.width).to(device)
    average = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-3)
    per_epoch = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=per_epoch * args.epochs + 1, pct_start=0.1,
                                                   cycle_momentum=False)
    began, step = time.time(), 0
    for _ in range(args.epochs):
        order = torch.randperm(len(images), device=device)
        for at in range(per_epoch):
            rows = order[at * BATCH:(at + 1) * BATCH]
            loss = flow_loss(model, images[rows], labels[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                decay = min(0.999, (1 + step) / (10 + step))
                for kept, new in zip(average.parameters(), model.parameters()):
                    kept.lerp_(new, 1 - decay)
            step += 1
    with torch.no_grad():
        losses = [flow_loss(average, part, of).item() for part, of in zip(test_images.split(500), test_labels.split(500))]
    result = float(numpy.mean(losses))
    count = sum(p.numel() for p in model.parameters())
    print(f"twin: {count} parameters, seed {seed}, test loss {result:.4f}, {time.time() - began:.1f} s", flush=True)
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    results = [train(args, seed) for seed in range(1, args.seeds + 1)]
    print(f"twin: flow matching: mean test loss of {args.seeds}: {numpy.mean(results):.4f}")


if __name__ == "__main__":
    main()
