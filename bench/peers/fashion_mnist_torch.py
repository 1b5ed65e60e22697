#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The PyTorch twin of examples/fashion_mnist.c: the same network, schedule, batches and epochs.

    python fashion_mnist_torch.py [--seed N] [--epochs N] [--data DIR] [--threads N]

Ends with `twin: test accuracy NN.NN %, NN.N s`, the seconds of training alone, so that the two programs can be
compared when they run in turns on one machine.
"""
import argparse
import gzip
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def read_idx(path):
    data = gzip.open(path).read()
    rank = data[3]
    shape = [int.from_bytes(data[4 + 4 * i:8 + 4 * i], "big") for i in range(rank)]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1)
        self.dense, self.logits = nn.Linear(64 * 7 * 7, 128), nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.dropout(F.relu(self.dense(x.flatten(1))), 0.3, self.training)
        return self.logits(x)


def learning_rate(step, steps, most=3e-3):
    up, begin, end = 0.3 * steps, most / 25, most / 1e4
    if step < up:
        return begin + (most - begin) * 0.5 * (1 - math.cos(math.pi * step / up))
    return end + (most - end) * 0.5 * (1 + math.cos(math.pi * (step - up) / (steps - up)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    images, labels, test_images, test_labels = [
        torch.from_numpy(read_idx(Path(args.data) / f"{name}-ubyte.gz").copy())
        for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")]
    labels, test_labels = labels.long(), test_labels.long()
    network = Network().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    batch = 128
    per_epoch = len(images) // batch
    steps, step, seconds = per_epoch * args.epochs, 0, 0.0
    for _ in range(args.epochs):
        network.train()
        begin = time.perf_counter()
        order = torch.randperm(len(images))
        for i in range(per_epoch):
            pick = order[i * batch:(i + 1) * batch]
            x = (images[pick].float() / 255).unsqueeze(1).contiguous(memory_format=torch.channels_last)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, steps)
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(network(x), labels[pick])
            loss.backward()
            optimizer.step()
            loss.item()
            step += 1
        seconds += time.perf_counter() - begin
    network.eval()
    right = 0
    with torch.no_grad():
        for i in range(0, len(test_images), 500):
            x = (test_images[i:i + 500].float() / 255).unsqueeze(1)
            right += (network(x).argmax(1) == test_labels[i:i + 500]).sum().item()
    print(f"twin: test accuracy {100 * right / len(test_images):.2f} %, {seconds:.1f} s")


if __name__ == "__main__":
    main()
