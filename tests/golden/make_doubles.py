# SPDX-License-Identifier: Apache-2.0
"""Writes doubles.golden: doubles by their bits and Python's repr of them, for tests/unit/core/test_decimal.c.

    python3 tests/golden/make_doubles.py > tests/golden/doubles.golden

Python prints the shortest digits that read back, and of those the closest (David Gay's algorithm, another one than
ours). Powers of two stand at the borders where the distance between doubles changes, powers of ten where
decimals do.
"""
import random
import struct


def bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def number(pattern):
    return struct.unpack("<d", struct.pack("<Q", pattern))[0]


values = [2.0**k for k in range(-1074, 1024, 9)] + [2.0**-44, 9007199254740993.0, 5e-324]
for k in range(-323, 309, 7):
    near = bits(float(f"1e{k}"))
    values += [number(near - 1), number(near), number(near + 1)]
values += [0.1, 0.3, 1 / 3, 9.5, 99.5, 0.0001, 0.00012345, 1e-5, 123456.789, 1e15, 1e16, 123456789012345680.0,
           1.7976931348623157e308, 2.2250738585072014e-308, 2.225073858507201e-308, 4.35, 100.0, 1e22, 1e23]
generator = random.Random(7)
values += [number(generator.getrandbits(63)) for _ in range(200)]
for value in values:
    if value == value and value not in (0.0, float("inf")):
        text = repr(value)
        print(f"{bits(value):016x} {text[:-2] if text.endswith('.0') else text}")
