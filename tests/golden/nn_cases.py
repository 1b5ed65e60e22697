# SPDX-License-Identifier: Apache-2.0
# What nn_layers.py, nn_networks.py and nn_sequences.py make their files with: cases by PyTorch in f64. For each case: inputs
# in0.., parameters p.<path>, the output out, a cotangent w, and the gradients of sum(out * w): gin0.. and g.<path>. States
# before: t.<path>, after a training step: s.<path>.
import os

import numpy as np
import torch

torch.set_default_dtype(torch.float64)


class Cases:
    """The arrays of one file, and the random numbers that they are made from."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.arrays = {}

    def normal(self, *shape):
        return torch.tensor(self.rng.normal(size=shape))

    def case(self, name, inputs, parameters, build, states=None, put=None):
        """build(inputs, parameters) -> out; put: states that the store holds before."""
        xs = [x.clone().requires_grad_(x.dtype == torch.float64) for x in inputs]
        ps = {k: v.clone().requires_grad_(True) for k, v in parameters.items()}
        out = build(xs, ps)
        w = self.normal(*out.shape)
        wanted = [x for x in xs if x.requires_grad] + list(ps.values())
        grads = list(torch.autograd.grad((out * w).sum(), wanted, allow_unused=True)) if wanted else []
        for i, x in enumerate(xs):
            self.arrays[f"{name}.in{i}"] = x.detach().numpy()
            if x.requires_grad:
                g = grads.pop(0)
                self.arrays[f"{name}.gin{i}"] = (torch.zeros_like(x) if g is None else g).numpy()
        for k, v in ps.items():
            self.arrays[f"{name}.p.{k}"] = v.detach().numpy()
            g = grads.pop(0)
            self.arrays[f"{name}.g.{k}"] = (torch.zeros_like(v) if g is None else g).numpy()
        for k, v in (put or {}).items():
            self.arrays[f"{name}.t.{k}"] = v.detach().numpy()
        for k, v in (states() if states else {}).items():
            self.arrays[f"{name}.s.{k}"] = v.detach().numpy()
        self.arrays[f"{name}.out"], self.arrays[f"{name}.w"] = out.detach().numpy(), w.numpy()

    def save(self, name):
        """Into the folder of this file."""
        np.savez_compressed(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), **self.arrays)
        print(len(self.arrays), "arrays")
