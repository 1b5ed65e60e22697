# SPDX-License-Identifier: Apache-2.0
# Makes image.npz: what PyTorch and numpy give for images and signals, in f64, from the inputs stored with it.
# tests/unit/graph/test_image_values.c compares the builders with it. PyTorch has channels first: arrays are
# turned to channels last here.
import os

import numpy as np
import scipy.signal
import torch
import torch.nn.functional as F

rng = np.random.default_rng(7)
x1, x2, x3 = (rng.standard_normal(s) for s in ((2, 13, 3), (2, 9, 7, 3), (1, 4, 5, 6, 2)))
out = {"x1": x1, "x2": x2, "x3": x3}


def first(x):  # channels last to first
    return torch.from_numpy(np.moveaxis(x, -1, 1).copy())


def last(t):
    return np.ascontiguousarray(np.moveaxis(t.numpy(), 1, -1))


t1, t2, t3 = first(x1), first(x2), first(x3)
for size in ((14, 5), (4, 16)):
    tag = f"{size[0]}x{size[1]}"
    out["nearest_" + tag] = last(F.interpolate(t2, size, mode="nearest-exact"))
    out["nearest_asymmetric_" + tag] = last(F.interpolate(t2, size, mode="nearest"))
    out["area_" + tag] = last(F.interpolate(t2, size, mode="area"))
    for name, mode in (("linear", "bilinear"), ("cubic", "bicubic")):
        out[f"{name}_{tag}"] = last(F.interpolate(t2, size, mode=mode, align_corners=False))
        out[f"{name}_corners_{tag}"] = last(F.interpolate(t2, size, mode=mode, align_corners=True))
        out[f"{name}_antialias_{tag}"] = last(F.interpolate(t2, size, mode=mode, antialias=True))
at = np.minimum(np.arange(9) * 13 / 9, 12)  # ONNX's "asymmetric"
low = np.floor(at).astype(int)
part = (at - low)[:, None]
out["linear_asymmetric"] = x1[:, low] * (1 - part) + x1[:, np.minimum(low + 1, 12)] * part
out["linear_1"] = last(F.interpolate(t1, 31, mode="linear", align_corners=False))
out["linear_3"] = last(F.interpolate(t3, (3, 9, 4), mode="trilinear", align_corners=True))

grid2, grid3 = rng.uniform(-1.7, 1.7, (2, 4, 5, 2)), rng.uniform(-1.3, 1.3, (1, 2, 3, 2, 3))
out["grid2"], out["grid3"] = grid2, grid3
for mode in ("bilinear", "nearest"):
    for padding in ("zeros", "border", "reflection"):
        for corners in (False, True):
            out[f"sample_{mode}_{padding}_{int(corners)}"] = last(
                F.grid_sample(t2, torch.from_numpy(grid2), mode, padding, corners))
out["sample_3"] = last(F.grid_sample(t3, torch.from_numpy(grid3), "bilinear", "zeros", False))
theta2, theta3 = rng.standard_normal((2, 2, 3)), rng.standard_normal((1, 3, 4))
out["theta2"], out["theta3"] = theta2, theta3
out["affine_2"] = F.affine_grid(torch.from_numpy(theta2), (2, 3, 4, 5), align_corners=False).numpy()
out["affine_3"] = F.affine_grid(torch.from_numpy(theta3), (1, 2, 3, 4, 5), align_corners=True).numpy()

out["max_2"] = last(F.max_pool2d(t2, (3, 2), (2, 2), (1, 1), (2, 1), ceil_mode=True))
out["mean_count_2"] = last(F.avg_pool2d(t2, (3, 2), (2, 3), (1, 1), ceil_mode=True, count_include_pad=True))
out["mean_real_2"] = last(F.avg_pool2d(t2, (3, 2), (2, 3), (1, 1), ceil_mode=True, count_include_pad=False))
out["mean_3"] = last(F.avg_pool3d(t3, 2, 1))
out["lp_2"] = last(F.lp_pool2d(t2.abs(), 3.0, (2, 3), (2, 2)))
out["adaptive_mean_2"] = last(F.adaptive_avg_pool2d(t2, (4, 3)))
out["adaptive_max_2"] = last(F.adaptive_max_pool2d(t2, (4, 3)))
out["adaptive_max_3"] = last(F.adaptive_max_pool3d(t3, (3, 5, 4)))

# PyTorch's unfold has channels outermost: [c cells, places] -> [places, cells c].
u = F.unfold(t2, (3, 2), (1, 2), (1, 0), (2, 3)).numpy()
places = ((9 + 2 - 1 - 2) // 2 + 1, (7 - 2 - 1) // 3 + 1)
out["unfold_2"] = np.ascontiguousarray(u.reshape(2, 3, 6, *places).transpose(0, 3, 4, 2, 1).reshape(2, *places, 18))
out["fold_2"] = last(F.fold(torch.from_numpy(u), (9, 7), (3, 2), (1, 2), (1, 0), (2, 3)))
shuffled = rng.standard_normal((1, 2, 3, 12))
out["shuffle_in"] = shuffled
out["shuffle"] = last(F.pixel_shuffle(first(shuffled), 2))
for mode in ("reflect", "symmetric", "edge", "wrap"):
    out["pad_" + mode] = np.pad(x2, ((0, 0), (2, 11), (9, 0), (3, 1)), mode)

kernel = rng.standard_normal((3, 2, 4, 3))  # [h, w, out, in]
out["kernel"] = kernel
w = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
out["conv_transpose"] = last(F.conv_transpose2d(t2, w, stride=(2, 3), padding=(1, 1), output_padding=(1, 2), dilation=(2, 1)))

wave = rng.standard_normal((2, 60))
out["wave"] = wave
for name, length, hop, window, center, pad in (("reflect", 16, 4, "hann", True, "reflect"),
                                               ("zeros", 15, 5, "hamming", True, "constant"),
                                               ("inside", 12, 6, "blackman", False, "reflect")):
    win = getattr(torch, window + "_window")(length, dtype=torch.float64)
    s = torch.stft(torch.from_numpy(wave), length, hop, length, win, center, pad, return_complex=True)
    out["stft_" + name] = np.ascontiguousarray(s.numpy().transpose(0, 2, 1))
    if center:
        out["istft_" + name] = torch.istft(s, length, hop, length, win, center).numpy()
for name in ("hann", "hamming", "blackman", "bartlett"):
    out[name + "_periodic"] = getattr(torch, name + "_window")(9, periodic=True, dtype=torch.float64).numpy()
    out[name + "_symmetric"] = getattr(torch, name + "_window")(9, periodic=False, dtype=torch.float64).numpy()
short = rng.standard_normal((2, 7))
out["short"] = short
for mode in ("full", "same", "valid"):
    out["convolve_" + mode] = np.stack([scipy.signal.convolve(wave[i], short[i], mode, "direct") for i in range(2)])
np.savez_compressed(os.path.join(os.path.dirname(os.path.abspath(__file__)), "image.npz"), **out)
print(len(out), sum(v.nbytes for v in out.values()))
