#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The dense network, the CNN and ResNet-9 in PyTorch on Fashion-MNIST padded to [32, 32, 3]: what README.md compares with.

  twin.py [--data DIR] [--model fnn|cnn|resnet9] [--seeds 1] [--epochs 10] [--width 24] [--limit N] [--device cpu|cuda]
"""
import argparse
import pathlib
import sys
import time

import numpy
import torch
from torch import nn
from torch.nn import functional

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from twins import load_images  # noqa: E402

BATCH = 128


class Hidden(nn.Linear):
    """A hidden layer of the dense network."""


def start(module):
    """He's normal kernels of convolutions and hidden layers, Glorot's uniform ones elsewhere, biases zero: as in cifar.c."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    if isinstance(module, nn.Linear):
        if isinstance(module, Hidden):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        else:
            nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def block(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.inner = nn.Sequential(block(channels, channels), block(channels, channels))

    def forward(self, x):
        return x + self.inner(x)


class Scaled(nn.Linear):
    def forward(self, x):
        return super().forward(x) * 0.125


def fnn(_):
    layers = [nn.Flatten()]
    for inputs in (3072, 256, 256):
        layers += [Hidden(inputs, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, nn.Linear(256, 10))


def cnn(width):
    layers = []
    for stage in range(3):
        inputs, outputs = (3 if stage == 0 else width << (stage - 1)), width << stage
        layers += [block(inputs, outputs), block(outputs, outputs), nn.MaxPool2d(2), nn.Dropout(0.15)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * 4 * width, 4 * width), nn.ReLU(), nn.Dropout(0.3),
                         nn.Linear(4 * width, 10))


def resnet9(width):
    return nn.Sequential(block(3, width), block(width, 2 * width), nn.MaxPool2d(2), Residual(2 * width),
                         block(2 * width, 4 * width), nn.MaxPool2d(2), block(4 * width, 8 * width), nn.MaxPool2d(2),
                         Residual(8 * width), nn.MaxPool2d(4), nn.Flatten(), Scaled(8 * width, 10, bias=False))


def padded(x):
    """Bytes [batch, 1, 28, 28] -> [batch, 3, 32, 32] in [-1, 1]."""
    return functional.pad(x.float() / 255, (2, 2, 2, 2)).expand(-1, 3, -1, -1) * 2 - 1


def augment(x):
    """Mirrored one time in two, moved by up to 2 pixels either way."""
    count, device = x.shape[0], x.device
    x = torch.where(torch.rand(count, 1, 1, 1, device=device) < 0.5, x.flip(3), x)
    x = functional.pad(x, (2, 2, 2, 2))
    grid = torch.arange(28, device=device)
    rows = torch.randint(0, 5, (count, 1), device=device) + grid
    columns = torch.randint(0, 5, (count, 1), device=device) + grid
    return x[torch.arange(count, device=device)[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None]


def train(args, seed):
    torch.manual_seed(seed)
    device = torch.device(args.device)
    images, labels = (t.to(device) for t in load_images(args.data, "train", args.limit))
    test_images, test_labels = (t.to(device) for t in load_images(args.data, "t10k", args.limit))
    model = {"fnn": fnn, "cnn": cnn, "resnet9": resnet9}[args.model](args.width)
    model.apply(start)
    model.to(device)
    rate = 1e-3 if args.model == "fnn" else 3e-3
    groups = [{"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.02},
              {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate)
    per_epoch = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=per_epoch * args.epochs + 1, pct_start=0.3,
                                                   cycle_momentum=False)
    began = time.time()
    for _ in range(args.epochs):
        model.train()
        order = torch.randperm(len(images), device=device)
        for step in range(per_epoch):
            rows = order[step * BATCH:(step + 1) * BATCH]
            x = images[rows] if args.model == "fnn" else augment(images[rows])
            loss = functional.cross_entropy(model(padded(x)), labels[rows], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        found = torch.cat([model(padded(part)).argmax(1) for part in test_images.split(250)])
    accuracy = 100 * (found == test_labels).double().mean().item()
    print(f"twin: {args.model}, seed {seed}, test accuracy {accuracy:.2f} %, {time.time() - began:.1f} s", flush=True)
    return accuracy


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--model", default="cnn", choices=["fnn", "cnn", "resnet9"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    results = [train(args, seed) for seed in range(1, args.seeds + 1)]
    print(f"twin: {args.model}, width {args.width}, {args.epochs} epochs: mean of {args.seeds}: {numpy.mean(results):.2f} %")


if __name__ == "__main__":
    main()
