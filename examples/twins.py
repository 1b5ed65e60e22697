# SPDX-License-Identifier: Apache-2.0
"""What the twins of several examples share: images in MNIST's format, and the schedule of those that count steps themselves."""
import gzip
import math
import os

import numpy
import torch


def load_images(folder, part, limit):
    """Bytes [count, 1, 28, 28] and labels [count] of part "train" or "t10k", with or without .gz."""
    def read(name, skip):
        path = os.path.join(folder, name)
        with gzip.open(path + ".gz", "rb") if os.path.exists(path + ".gz") else open(path, "rb") as file:
            return numpy.frombuffer(file.read(), numpy.uint8, offset=skip)

    images = read(f"{part}-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28)[:limit]
    labels = read(f"{part}-labels-idx1-ubyte", 8)[:limit]
    return torch.tensor(images), torch.tensor(labels.astype(numpy.int64))


def rate_at(step, steps, most, warmup=0.3):
    """As mica_schedule_one_cycle."""
    up = int(warmup * steps)
    low, end = most / 25, most / 25 / 1e4
    if step < up:
        return low + (most - low) * (1 - math.cos(math.pi * step / up)) / 2
    return end + (most - end) * (1 + math.cos(math.pi * (step - up) / max(steps - up, 1))) / 2
