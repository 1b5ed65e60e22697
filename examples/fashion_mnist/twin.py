#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same models, optimizers, schedules and augmentation in PyTorch, on the same images; what README.md compares with. Like the
program it tells the seconds of training alone, so that the two can be compared on one machine.

  twin.py [--data DIR] [--model small|large] [--seeds 3] [--epochs N] [--limit N] [--device cpu|cuda] [--threads N]
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


def he(layer):
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def logits_layer(inputs):
    layer = nn.Linear(inputs, 10)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def small(dropout):
    return nn.Sequential(he(nn.Conv2d(1, 32, 3, padding=1)), nn.ReLU(), nn.MaxPool2d(2),
                         he(nn.Conv2d(32, 64, 3, padding=1)), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         he(nn.Linear(3136, 128)), nn.ReLU(), nn.Dropout(dropout), logits_layer(128))


def large(dropout, width):
    def block(inputs, outputs):
        return [he(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)), nn.BatchNorm2d(outputs), nn.ReLU()]

    return nn.Sequential(*block(1, width), nn.MaxPool2d(2), *block(width, 2 * width), *block(2 * width, 2 * width),
                         nn.MaxPool2d(2), *block(2 * width, 4 * width), *block(4 * width, 4 * width), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Dropout(dropout), logits_layer(9 * 4 * width))


def augment(x, shift, flip):
    """Each image mirrored with probability `flip`, and moved by up to `shift` either way, zeros coming in."""
    count = x.shape[0]
    x = torch.where(torch.rand(count, 1, 1, 1, device=x.device) < flip, x.flip(3), x)
    padded = functional.pad(x, (shift,) * 4)
    grid = torch.arange(28, device=x.device)
    rows = torch.randint(0, 2 * shift + 1, (count, 1), device=x.device) + grid
    columns = torch.randint(0, 2 * shift + 1, (count, 1), device=x.device) + grid
    return padded[torch.arange(count, device=x.device)[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None]


def train(args, seed):
    torch.manual_seed(seed)
    big = args.model == "large"
    epochs = args.epochs or (12 if big else 6)
    device = torch.device(args.device)
    images, labels = (t.to(device) for t in load_images(args.data, "train", args.limit))
    if args.validate:  # the last sixth of the training images measures; for choices
        cut = len(images) * 5 // 6
        images, test_images, labels, test_labels = images[:cut], images[cut:], labels[:cut], labels[cut:]
    else:
        test_images, test_labels = (t.to(device) for t in load_images(args.data, "t10k", args.limit))
    model = (large(args.dropout, args.width) if big else small(args.dropout)).to(device)
    decayed = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() == 1]
    if big:
        groups = [{"params": decayed, "weight_decay": args.decay}, {"params": rest, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=args.rate)
    else:
        optimizer = torch.optim.Adam(model.parameters())
    per_epoch = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.rate if big else 3e-3, total_steps=per_epoch * epochs + 1,
                                                   pct_start=0.3, cycle_momentum=False)
    began = time.time()
    for _ in range(epochs):
        model.train()
        order = torch.randperm(len(images), device=device)
        for step in range(per_epoch):
            rows = order[step * BATCH:(step + 1) * BATCH]
            x = images[rows].float() / 255
            if big:
                x = augment(x, args.shift, args.flip)
            loss = functional.cross_entropy(model(x), labels[rows], label_smoothing=args.smoothing if big else 0.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    seconds = time.time() - began
    model.eval()
    with torch.no_grad():
        found = []
        for part in test_images.split(500):
            x = part.float() / 255  # the large model: the mean for an image and its mirror image
            found.append((model(x) + model(x.flip(3)) if big else model(x)).argmax(1))
        found = torch.cat(found)
    accuracy = 100 * (found == test_labels).double().mean().item()
    print(f"twin: {args.model}, seed {seed}, test accuracy {accuracy:.2f} %, {seconds:.1f} s", flush=True)
    return accuracy


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--model", default="small", choices=["small", "large"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--decay", type=float, default=0.02)
    parser.add_argument("--smoothing", type=float, default=0.05)
    parser.add_argument("--shift", type=int, default=1)
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--validate", action="store_true", help="measure on a part of the training images")
    parser.add_argument("--flip", type=float, default=0.5)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    results = [train(args, seed) for seed in range(1, args.seeds + 1)]
    print(f"twin: {args.model}: mean of {args.seeds}: {numpy.mean(results):.2f} %")


if __name__ == "__main__":
    main()
