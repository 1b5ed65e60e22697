# SPDX-License-Identifier: Apache-2.0
"""Writes programs of Mica's text form as Python for JAX, runs them and compares.

    mkdir FOLDER
    build/release/tests/random.programs --write FOLDER 230 5000000 250
    python tests/random/to_jax.py FOLDER

The first line writes the 230 programs from seed 5000000 on that have at most 250 nodes (XLA takes a minute for some
of those with thousands), the second prints how many of them agree with JAX; a few are skipped, with the reason.

Each FOLDER/N.mica becomes FOLDER/N.py: one function for the program and one for each region, a line for each
statement, which calls the operator's function of jax_primitives.py or jax_composites.py. FOLDER/N.npz has inputs,
the reference's results and the tolerance of each element (noise.h). Programs with operators that JAX lacks are
skipped and counted.
"""
import pathlib
import re
import sys

from jax_primitives import *  # first: it sets XLA up
from jax_composites import *

import jax
import jax.numpy as jnp
import numpy as np


# ---- from the text form to Python -----------------------------------------------------------------------------------

STATEMENT = re.compile(r"^(%[%\d, ]*) = (\w+)\(([^)]*)\)(?: \{(.*?)\})? : (.*)$")


def literal(text):
    """Attributes as keyword arguments of Python."""
    out = []
    for name, value in re.findall(r"(\w+)=(\"(?:[^\"\\]|\\.)*\"|\[[^\]]*\]|[^,]+)", text):
        value = value.strip()
        if value in ("true", "false"):
            value = value.capitalize()
        elif re.match(r"^[a-z_]", value) and value not in ("inf", "nan"):
            value = repr(value)
        out.append(f"{name}={value}")
    return out


def constant(text):
    dtype, shape, value = re.match(r"value=(\w+)\[([\d, ]*)\] (.*)$", text).groups()
    shape = [int(n) for n in shape.split(",") if n.strip()]
    np_dtype = np.dtype(dtype_of(dtype))
    if value.startswith("0x"):
        array = np.frombuffer(bytes.fromhex(value[2:]), np_dtype).reshape(shape)
        return f"from_bytes({value[2:]!r}, {dtype!r}, {shape})", array
    return f"full({value.capitalize() if dtype == 'bool' else value!r}, {dtype!r}, {shape})", None


def from_bytes(digits, dtype, shape):
    return jnp.asarray(np.frombuffer(bytes.fromhex(digits), np.dtype(DTYPES[dtype])).reshape(shape))


def full(value, dtype, shape):
    if isinstance(value, str):
        value = complex(value.replace("i", "j")) if dtype[0] == "c" else (float(value) if dtype[0] in "fb" else int(value))
    return jnp.full(shape, np.array(value).astype(DTYPES[dtype]))


class Writer:
    def __init__(self, lines_of_text):
        self.lines = [line.strip() for line in lines_of_text]
        self.at = 0
        self.functions = []
        self.inputs = 0

    def block(self, name, arguments):
        body, result = [], ""
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            if line.startswith("return"):
                result = line[6:].replace("%", "v").strip()
                continue
            if line == "}":
                break
            if line:
                body.append(self.statement(line))
        self.functions.append(f"def {name}({', '.join(arguments)}):\n" + "".join(f"    {b}\n" for b in body) +
                              f"    return ({result}{',' if result else ''})\n")

    def statement(self, line):
        opens = line.endswith("{")
        if opens:
            line = line[:-1].rstrip()
        line = re.sub(r' @"[^"]*"$', "", line)
        results, name, operands, attributes, _ = STATEMENT.match(line).groups()
        attributes = attributes or ""
        target = results.replace("%", "v")
        if name == "parameter":
            self.inputs += 1
            return f"{target} = inputs[{self.inputs - 1}]"
        if name == "constant":
            return f"{target} = {constant(attributes)[0]}"
        groups = [[v.strip().replace("%", "v") for v in part.split(",") if v.strip()] for part in operands.split(";")]
        arguments = groups[0] + literal(attributes)
        if opens:
            regions = []
            while self.lines[self.at].startswith("region("):
                head = self.lines[self.at][len("region("):-len(") {")]
                self.at += 1
                names = [f"v{n}" for n in re.findall(r"%(\d+):", head)]
                region = f"region_{target.split(',')[0]}_{len(regions)}"
                self.block(region, names)
                regions.append(region)
            self.at += 1  # the owner's brace
            captures = groups[1:] + [[]] * (len(regions) - len(groups) + 1)
            arguments.append("captures=[" + ", ".join("[" + ", ".join(c) + "]" for c in captures) + "]")
            arguments.append(f"regions=[{', '.join(regions)}]")
            if "," not in target:
                target += ","
        if f"op_{name}" not in globals():
            raise Missing("operator " + name)
        return f"{target} = op_{name}({', '.join(arguments)})"


def translate(text):
    writer = Writer(text.splitlines()[1:])
    writer.block("program", ["inputs"])
    return "\n".join(writer.functions)


# ---- comparing -------------------------------------------------------------------------------------------------------

def parts(x):
    x = np.asarray(x)
    if x.dtype.kind == "c":
        return np.stack([x.real, x.imag], -1).ravel().astype(np.float64)
    return x.ravel().astype(np.float64)


UNITS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "complex64": 2.0**-23}


def compare(got, wanted, tolerance):
    got = np.asarray(got)
    if got.shape != wanted.shape or got.dtype != wanted.dtype:
        return f"{got.dtype}{got.shape}, wanted {wanted.dtype}{wanted.shape}"
    exact = got.dtype.kind in "biu"
    a, b = parts(got), parts(wanted)
    slack = 0 if exact else 64 * UNITS.get(got.dtype.name, 2.0**-52) * np.abs(b)
    with np.errstate(all="ignore"):
        bad = (tolerance >= 0) & (a != b) & ~(~np.isfinite(a) & ~np.isfinite(b))
        bad &= ~(np.abs(a - b) <= 4 * tolerance + slack)
    if not bad.any():
        return None
    k = int(np.argmax(np.where(bad, np.abs(a - b), -1)))
    return f"element {k}: {a[k]:.17g}, wanted {b[k]:.17g} +- {tolerance[k]:.3g}"


def differences(name, out, arrays):
    problems = []
    for j, got in enumerate(out):
        wanted = arrays[f"out{j}"]
        if wanted.dtype.kind == "V":
            wanted = wanted.view(np.asarray(got).dtype)
        problem = compare(got, wanted, arrays[f"tolerance{j}"])
        if problem:
            problems.append(f"{name}: output {j}: {problem}")
    return problems


def main():
    folder = pathlib.Path(sys.argv[1])
    same, skipped, failed = 0, {}, 0
    for path in sorted(folder.glob("*.mica"), key=lambda p: int(p.stem)):
        arrays = np.load(path.with_suffix(".npz"))
        text = path.read_text()
        try:
            source = translate(text)
            path.with_suffix(".py").write_text("from to_jax import *\n\n\n" + source)
            names = dict(globals())
            exec(compile(source, str(path), "exec"), names)
            types = re.findall(r"= parameter\(\) \{index=\d+, dtype=(\w+)", text)
            inputs = []
            for i, name in enumerate(types):
                array = arrays[f"in{i}"]
                inputs.append(jnp.asarray(array.view(dtype_of(name)) if array.dtype.kind == "V" else array))
            problems = differences(path.stem, jax.jit(names["program"])(inputs), arrays)
            if problems:  # XLA's passes over whole programs have mistakes too: then operator by operator
                with jax.disable_jit():
                    problems = differences(path.stem, names["program"](inputs), arrays)
                if not problems:
                    print(f"{path.stem}: agrees operator by operator, XLA's compiled program does not")
        except Missing as reason:
            skipped[str(reason)] = skipped.get(str(reason), 0) + 1
            continue
        except Exception as error:  # a mistake of the translation, or a program that JAX refuses
            print(f"{path.stem}: {type(error).__name__}: {str(error)[:600]}")
            failed += 1
            continue
        print("\n".join(problems), end="\n" if problems else "")
        failed += bool(problems)
        same += not problems
    print(f"{same} programs agree with JAX {jax.__version__}, {failed} do not, "
          f"{sum(skipped.values())} skipped: {skipped}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
