# SPDX-License-Identifier: Apache-2.0
"""Writes deflated.golden: data that tests/unit/core/test_inflate.c makes again by name, deflated by zlib.

    python3 tests/golden/make_deflated.py > tests/golden/deflated.golden

Each line: NAME SIZE CRC HEX, without zlib's header. Levels, strategies and sizes are chosen so that every kind of
block, long words, far references, runs and several blocks occur.
"""
import zlib

MASK = (1 << 64) - 1


def randoms(count, state=1):
    out = bytearray()
    while len(out) < count:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        out.append((z ^ (z >> 31)) & 0xFF)
    return bytes(out)


def data(name, size):
    if name == "zeros":
        return bytes(size)
    if name == "random":
        return randoms(size)
    if name == "squares":
        return bytes((i * i >> 3) & 0xFF for i in range(size))
    if name == "skewed":  # rare bytes get long words
        return bytes(31 & ((b & -b).bit_length() * 3 + (b >> 6)) if b else 77 for b in randoms(size))
    if name == "far":  # the same bytes at both ends, nearly a window apart
        return randoms(100) + bytes(size - 200) + randoms(100)
    raise ValueError(name)


def main():
    cases = [(name, size, level, zlib.Z_DEFAULT_STRATEGY) for name, size in (
        ("zeros", 0), ("zeros", 1), ("zeros", 258), ("zeros", 100000), ("random", 1), ("random", 300),
        ("squares", 2000), ("skewed", 1500), ("far", 32800)) for level in (0, 1, 6, 9) if size < 3000 or level > 0]
    cases += [("squares", 700, 6, zlib.Z_FIXED), ("skewed", 700, 6, zlib.Z_HUFFMAN_ONLY), ("zeros", 700, 6, zlib.Z_RLE),
              ("zeros", 300, 6, zlib.Z_HUFFMAN_ONLY)]
    for name, size, level, strategy in cases:
        plain = data(name, size)
        compress = zlib.compressobj(level, zlib.DEFLATED, -15, 1, strategy)
        packed = compress.compress(plain[: size // 2])
        if size % 2 == 0:
            packed += compress.flush(zlib.Z_FULL_FLUSH)  # an empty stored block in between
        packed += compress.compress(plain[size // 2 :]) + compress.flush()
        print(name, size, f"{zlib.crc32(plain):08x}", packed.hex())


main()
