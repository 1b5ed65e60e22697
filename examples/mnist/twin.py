#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same models, optimizer and schedule in PyTorch on the same digits.

  twin.py [--data DIR] [--model cnn|linear] [--seeds 3] [--epochs 10] [--limit N] [--device cpu|cuda] [--threads N]
"""
import argparse
import os
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


def he(layer):
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer


def logits_layer(inputs):
    layer = nn.Linear(inputs, 10)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def cnn():
    return nn.Sequential(he(nn.Conv2d(1, 32, 3, padding=1)), nn.ReLU(), nn.MaxPool2d(2),
                         he(nn.Conv2d(32, 64, 3, padding=1)), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         he(nn.Linear(3136, 128)), nn.ReLU(), nn.Dropout(0.4), logits_layer(128))


def linear():
    return nn.Sequential(nn.Flatten(), logits_layer(784))


def train(args, seed):
    torch.manual_seed(seed)
    device = torch.device(args.device)
    images, labels = (t.to(device) for t in load_images(args.data, "train", args.limit))
    test_images, test_labels = (t.to(device) for t in load_images(args.data, "t10k", args.limit))
    model = (linear() if args.model == "linear" else cnn()).to(device)
    optimizer = torch.optim.Adam(model.parameters())
    per_epoch = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=per_epoch * args.epochs + 1,
                                                   pct_start=0.3, cycle_momentum=False)
    began = time.time()
    for _ in range(args.epochs):
        model.train()
        order = torch.randperm(len(images), device=device)
        for step in range(per_epoch):
            rows = order[step * BATCH:(step + 1) * BATCH]
            loss = functional.cross_entropy(model(images[rows].float() / 255), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        found = torch.cat([model(part.float() / 255).argmax(1) for part in test_images.split(500)])
    accuracy = 100 * (found == test_labels).double().mean().item()
    print(f"twin: {args.model}, seed {seed}, test accuracy {accuracy:.2f} %, {time.time() - began:.1f} s", flush=True)
    return accuracy


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default=os.path.expanduser("~/.cache/mica/mnist"))
    parser.add_argument("--model", default="cnn", choices=["cnn", "linear"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    results = [train(args, seed) for seed in range(1, args.seeds + 1)]
    print(f"twin: {args.model}: mean of {args.seeds}: {numpy.mean(results):.2f} %")


if __name__ == "__main__":
    main()
