# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/special.npz: values of special functions, by mpmath with 60 digits, at ordinary and awkward
arguments, for test_special_golden.c; and, by numpy and JAX, of operators whose values are conventions.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install numpy scipy mpmath jax
    JAX_ENABLE_X64=1 /tmp/venv/bin/python tests/golden/make_special.py tests/golden/special.npz

For each function `name.x`, f64 [operands, n], and `name.y`, f64 [n], nearest to the exact value; where there is none, as at
poles, what scipy or C say. `bits.*` and `convention.*` hold integers and floats of the dtype itself.
"""
import math
import sys
import time

import mpmath as mp
import numpy as np

mp.mp.dps = 60
INF, NAN = math.inf, math.nan
TINY, MOST, LEAST = 5e-324, sys.float_info.max, sys.float_info.min
EVERYWHERE = [0.0, -0.0, INF, -INF, NAN, TINY, -TINY, LEAST, -LEAST]


def nearest(value):
    if isinstance(value, float):
        return value
    if mp.isnan(value):
        return NAN
    return float(mp.mpf(value))


def lgamma(x):
    if math.isinf(x):
        return INF
    if x <= 0 and x == math.floor(x):
        return INF
    return mp.log(abs(mp.gamma(mp.mpf(x)))) if x < 1e6 else mp.loggamma(mp.mpf(x))


def digamma(x):
    if x == 0:
        return -math.copysign(INF, x)
    if x == -INF or (x < 0 and x == math.floor(x)):
        return NAN
    return INF if x == INF else mp.digamma(mp.mpf(x))


def polygamma(order):
    def value(x):
        if x == INF:
            return -0.0 if order % 2 == 0 else 0.0
        if x == -INF:
            return NAN
        if x <= 0 and x == math.floor(x):
            return INF if order % 2 else -INF
        return mp.polygamma(order, mp.mpf(x))

    return value


def erf_inv(x):
    if abs(x) >= 1:
        return math.copysign(INF, x) if abs(x) == 1 else NAN
    return x if x == 0 else mp.erfinv(mp.mpf(x))


def bessel(order, scaled):
    def value(x):
        if math.isinf(x):
            if scaled:
                return math.copysign(0.0, x) if order else 0.0
            return x if order else INF
        if x == 0:
            return 1.0 if order == 0 else x
        z = mp.mpf(x)
        return mp.besseli(order, z) * (mp.exp(-abs(z)) if scaled else 1)

    return value


def igamma(a, x):
    if math.isnan(a) or math.isnan(x) or not a > 0 or not x >= 0 or (math.isinf(a) and math.isinf(x)):
        return NAN
    if math.isinf(x):
        return 1.0
    if x == 0 or math.isinf(a):
        return 0.0
    return gamma_series(a, x)


def gamma_series(a, x):
    """A series of positive terms (DLMF 8.7.1), in so many digits that 1 minus it has some left."""
    with mp.workdps(420):
        a, x = mp.mpf(a), mp.mpf(x)
        term = total = mp.mpf(1)
        n = 0
        while term > total * mp.mpf(10) ** -410:
            n += 1
            term *= x / (a + n)
            total += term
        return total * mp.exp(a * mp.log(x) - x - mp.loggamma(a + 1))


def igammac(a, x):
    lower = igamma(a, x)
    if isinstance(lower, float):
        return 1 - lower
    with mp.workdps(420):
        return 1 - lower


def beta_series(a, b, x):
    """A series of positive terms (DLMF 8.17.8)."""
    if x > 0.9 or (x > a / (a + b) and x >= 0.1):
        return 1 - beta_series(b, a, 1 - x)
    term = total = mp.mpf(1)
    n = 0
    while term > total * mp.mpf(10) ** -55:
        term *= (a + b + n) * x / (a + 1 + n)
        total += term
        n += 1
    return total * x**a * (1 - x) ** b / (a * mp.beta(a, b))


def betainc(a, b, x):
    if not (a > 0 and b > 0 and 0 <= x <= 1) or math.isinf(a) or math.isinf(b):
        return NAN
    if x in (0, 1):
        return float(x)
    return beta_series(mp.mpf(a), mp.mpf(b), mp.mpf(x))


def sinc(x):
    if math.isinf(x):
        return 0.0
    return 1.0 if x == 0 else mp.sincpi(mp.mpf(x))


def logit(x):
    if not 0 <= x <= 1:
        return NAN
    if x in (0, 1):
        return INF if x == 1 else -INF
    return mp.log(mp.mpf(x)) - mp.log1p(-mp.mpf(x))


def logaddexp(x, y):
    if math.isnan(x) or math.isnan(y):
        return NAN
    if math.isinf(x) or math.isinf(y):
        return max(x, y) + 0.0
    high, low = mp.mpf(max(x, y)), mp.mpf(min(x, y))
    return high + mp.log1p(mp.exp(low - high))


def xlogy(x, y):
    if math.isnan(x) or math.isnan(y):
        return NAN
    if x == 0:
        return 0.0
    if y == 0:
        return -math.copysign(INF, x)
    if y < 0 or math.isinf(x) or math.isinf(y):
        return float(np.float64(x) * np.log(np.float64(y)))
    return mp.mpf(x) * mp.log(mp.mpf(y))


def main(path):
    started = time.time()
    np.seterr(all="ignore")
    random = np.random.default_rng(7)
    arrays = {}

    def uniform(low, high, count=40):
        return list(random.uniform(low, high, count))

    def sizes(low, high, count=40):
        return list(10.0 ** random.uniform(low, high, count))

    def add(name, function, columns):
        x = np.array(columns, dtype=np.float64)
        y = [NAN if any(math.isnan(v) for v in row) and name != "hypot" else nearest(function(*map(float, row)))
             for row in x.T]
        arrays[name + ".x"], arrays[name + ".y"] = x, np.array(y, dtype=np.float64)
        print(f"{time.time() - started:6.1f} s {name}", flush=True)

    def pairs(first, second):
        cells = [(a, b) for a in first for b in second]
        return [list(column) for column in zip(*cells)]

    wholes = [1.0, 2.0, 3.0, 10.0, 171.0, 1e5, -1.0, -2.0, -3.0, -171.0]
    near = [1 + 2.0**-k for k in (10, 20, 30, 52)] + [2 - 2.0**-k for k in (10, 20, 30, 51)]
    gamma = [EVERYWHERE + wholes + near + uniform(0, 12) + sizes(-10, 15) + uniform(-20, 0)]
    add("lgamma", lgamma, gamma)
    add("digamma", digamma, gamma)
    add("polygamma_1", polygamma(1), gamma)
    add("polygamma_4", polygamma(4), [EVERYWHERE + wholes + uniform(0.1, 12) + uniform(-6, 0)])
    ends = [1.0, -1.0, 1.5, -2.0, 1 - 2.0**-53, -1 + 2.0**-30]
    add("erf_inv", erf_inv, [EVERYWHERE + ends + uniform(-1, 1) + sizes(-300, -1) + [1 - v for v in sizes(-15, -1)]])
    add("erfc", lambda x: (2.0 if x < 0 else 0.0) if math.isinf(x) else mp.erfc(mp.mpf(x)),
        [EVERYWHERE + uniform(-3, 3) + uniform(3, 26)])
    for order in (0, 1):
        add(f"bessel_i{order}e", bessel(order, True), [EVERYWHERE + uniform(-30, 30) + sizes(-8, 3) + [MOST]])
        add(f"bessel_i{order}", bessel(order, False), [EVERYWHERE + uniform(-30, 30) + sizes(-8, 2.8) + [-712.0]])
    a = [0.0, -1.0, INF, NAN, 1e-5, 0.5, 1.0, 1.5, 9.9, 10.0, 100.5, 1e4]
    x = [0.0, -1.0, INF, NAN, 1e-3, 0.5, 1.0, 2.5, 11.0, 80.0, 100.0, 130.0, 9.9e3, 1e4, 1.02e4]
    add("igamma", igamma, pairs(a, x))
    add("igammac", igammac, pairs(a, x))
    corners = [(p, q, r) for p in (-1.0, 0.0, 0.5, 2.0, NAN, INF) for q in (0.0, 0.5, 3.0, INF)
               for r in (-0.1, 0.0, 0.25, 0.5, 0.9, 1.0, 1.1, NAN)]
    inner = [(p, q, min(max(p / (p + q) + d * math.sqrt(p * q / (p + q + 1)) / (p + q), 1e-9), 1 - 1e-9))
             for p in (0.01, 0.7, 3.0, 9.9, 12.0, 300.0, 5e3) for q in (0.02, 0.8, 5.0, 11.0, 450.0, 7e3)
             for d in (-2.0, -0.3, 0.4, 1.7)]
    add("betainc", betainc, [list(c) for c in zip(*(corners + inner))])
    add("sinc", sinc, [EVERYWHERE + [0.25, -0.25, 0.24999, 1.0, 2.5] + uniform(-4, 4) + sizes(-9, 0)])
    add("logit", logit, [EVERYWHERE + [1.0, 0.5, 0.3125, 0.6875, -0.1, 1.1] + uniform(0, 1) + sizes(-20, 0)
                         + [0.5 + v for v in sizes(-12, -1)]])
    plain = [0.0, -0.0, 1.0, -1.0, 30.0, -700.0, 1e300, INF, -INF, NAN, 0.3, TINY]
    add("logaddexp", logaddexp, pairs(plain, plain))
    add("xlogy", xlogy, pairs(plain, plain))
    add("softplus", lambda x: (x if x > 0 else 0.0) if math.isinf(x) else mp.log1p(mp.exp(mp.mpf(x))),
        [EVERYWHERE + uniform(-40, 40) + [-700.0, 700.0, 1e300]])
    add("atan2", lambda y, x: float(np.arctan2(y, x)), pairs(plain, plain))
    add("hypot", lambda y, x: float(np.hypot(y, x)), pairs(plain, plain))
    add("cbrt", lambda x: float(np.cbrt(x)), [EVERYWHERE + uniform(-9, 9) + [27.0, -64.0, MOST]])

    # What division, remainders and whole numbers are by numpy.
    divided = pairs([7.0, -7.0, 5.5, -5.5, 0.0, -0.0, 6.0, -6.0, INF, NAN, 1e300, 0.3], [2.0, -2.0, 3.0, -3.0, 0.1, INF, -INF, NAN, 0.0])
    arrays["mod.x"] = arrays["floor_divide.x"] = np.array(divided)
    arrays["mod.y"], arrays["floor_divide.y"] = np.mod(*arrays["mod.x"]), np.floor_divide(*arrays["mod.x"])
    whole = np.array(pairs([7, -7, 6, -6, 0, 2**31 - 1, -2**31], [2, -2, 3, -3, -1, 2**31 - 1]), dtype=np.int32)
    arrays["bits.whole"] = whole
    arrays["bits.mod"] = np.mod(*whole)
    arrays["bits.floor_divide"] = np.floor_divide(*whole)

    # Bits by JAX, which is StableHLO's meaning.
    import jax
    import jax.numpy as jnp
    from jax import lax
    jax.config.update("jax_enable_x64", True)
    for dtype in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"):
        info = np.iinfo(dtype)
        values = [info.min, info.max, 0, 1, info.max // 3, info.min + 5] + ([-1, -77] if info.min else [77])
        amounts = [0, 1, 3, info.bits - 1, info.bits, info.bits + 1, 100] + ([-1] if info.min else [info.max])
        p, q = (np.array(c, dtype=dtype) for c in zip(*[(v, w) for v in values for w in amounts]))
        arrays[f"bits.{dtype}.x"], arrays[f"bits.{dtype}.y"] = p, q
        arrays[f"bits.{dtype}.shift_left"] = np.asarray(lax.shift_left(p, q))
        arrays[f"bits.{dtype}.shift_right_logical"] = np.asarray(lax.shift_right_logical(p, q))
        arrays[f"bits.{dtype}.shift_right_arithmetic"] = np.asarray(lax.shift_right_arithmetic(p, q))
        arrays[f"bits.{dtype}.popcount"] = np.asarray(lax.population_count(p))
        arrays[f"bits.{dtype}.count_leading_zeros"] = np.asarray(lax.clz(p))
    for dtype, most in (("float16", 65504.0), ("float32", 3.4028234663852886e38), ("float64", MOST)):
        values = np.array([0.0, -0.0, 1.0, -1.0, 1.06, 1.07, 15.6, 15.5, 448.0, -465.0, 61439.0, 0.0156, 0.0154, 2.0**-14, 2.0**-15,
                           most, -most, INF, -INF, NAN, 3.0, 3.5, 0.1, 1e-7, 2.0**-24], dtype=dtype)
        arrays[f"bits.{dtype}.x"] = values
        for e, m in ((5, 10), (4, 3), (5, 2), (8, 7), (2, 0), (8, 23), (11, 52)):
            arrays[f"bits.{dtype}.reduce_{e}_{m}"] = np.asarray(lax.reduce_precision(values, e, m))
        ends = np.array([0.0, -0.0, 1.0, -1.0, most, -most, INF, -INF, NAN, np.finfo(dtype).smallest_subnormal,
                         np.finfo(dtype).tiny], dtype=dtype)
        p, q = (np.array(c, dtype=dtype) for c in zip(*[(v, w) for v in ends for w in ends]))
        arrays[f"bits.{dtype}.from"], arrays[f"bits.{dtype}.to"] = p, q
        arrays[f"bits.{dtype}.nextafter"] = np.nextafter(p, q)
        arrays[f"bits.{dtype}.copysign"] = np.copysign(p, q)
    z = np.array([complex(a, b) for a in (0.5, -2.0, 0.0, 3.0) for b in (1.0, -0.25, 0.0, -3.0)])[:-1]
    arrays["complex.z"] = z
    for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "abs", "angle", "conj", "expm1", "log1p", "sign"):
        arrays["complex." + name] = getattr(np, name)(z)
    arrays["complex.pow"] = np.power(z, np.roll(z, 1) + 0.5)
    arrays["complex.exponent"] = np.roll(z, 1) + 0.5
    np.savez_compressed(path, **arrays)


main(sys.argv[1])
