# SPDX-License-Identifier: Apache-2.0
# Makes fft.npz: for a set of lengths, some values of the transform of a fixed pseudo-random row to long double
# (as a sum of two doubles), and the error of pocketfft (scipy.fft) at these places in f32 and f64, relative
# to the root mean square of the values. tests/unit/backend/cpu/test_fft.c holds the engine to twice that.
import os

import numpy as np
import scipy.fft

LENGTHS = [2, 3, 4, 5, 7, 8, 11, 13, 16, 17, 30, 64, 74, 100, 101, 128, 243, 256, 343, 999, 1000, 1001, 1024, 2074, 2187,
           4096, 6561, 10007, 14641, 28561, 32768, 59049, 65536, 65537, 100000, 131071, 1048573, 1048576]
PLACES = 48


def mixed(z):  # splitmix64 (Steele et al. 2014)
    with np.errstate(over="ignore"):
        z = z + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def numbers(count, seed):  # in [-1, 1), exact in f32
    bits = mixed(np.arange(count, dtype=np.uint64) + (np.uint64(seed) << np.uint64(32))) >> np.uint64(40)
    return bits.astype(np.float64) / 2**23 - 1


def error(got, wanted):
    return float(np.sqrt(np.mean(np.abs(got - wanted) ** 2) / np.mean(np.abs(wanted) ** 2)))


high, low, errors, places = [], [], [], []
for n in LENGTHS:
    x = numbers(2 * n, n)
    z = x[0::2] + 1j * x[1::2]
    at = (np.arange(PLACES) * 7919 + 1) % n
    exact = scipy.fft.fft(z.astype(np.clongdouble))[at]
    errors.append([error(scipy.fft.fft(z.astype(np.complex64))[at].astype(np.clongdouble), exact),
                   error(scipy.fft.fft(z)[at].astype(np.clongdouble), exact)])
    parts = np.stack([exact.real, exact.imag], -1)
    high.append(parts.astype(np.float64))
    low.append((parts - parts.astype(np.float64)).astype(np.float64))
np.savez(os.path.join(os.path.dirname(os.path.abspath(__file__)), "fft.npz"), lengths=np.array(LENGTHS, np.int64),
         high=np.array(high), low=np.array(low), errors=np.array(errors))
print(np.c_[LENGTHS, np.array(errors)])
