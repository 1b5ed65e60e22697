#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Adds up what the parts of random.programs.long were made of (MICA_RANDOM_TALLY) and judges the sums.

  for k in $(seq 0 15); do
    MICA_TEST_PART=$k/16 MICA_RANDOM_TALLY=part$k.txt build/release/tests/random.programs.long > part$k.log &
  done; wait
  tests/random/add_parts.py part*.txt

--complete N: how many programs there have to be (10,000); each operator and block is in 50 of 10,000."""
import argparse
import collections
import sys


def median(sizes, programs):
    below = 0
    for size in sorted(sizes):
        below += sizes[size]
        if below * 2 > programs:
            return size
    return 0


def columns(title, tallies):
    print(title + ":")
    rows = sorted(tallies.items(), key=lambda row: (row[1], row[0]))
    for i in range(0, len(rows), 4):
        print("".join(f"{name:>30} {count:5}" for name, count in rows[i:i + 4]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--complete", type=int, default=10000)
    parser.add_argument("files", nargs="+")
    given = parser.parse_args()
    sums = collections.defaultdict(lambda: collections.defaultdict(int))
    for path in given.files:
        with open(path, encoding="utf-8") as file:
            for line in file:
                kind, name, count = line.split()
                sums[kind][name] += int(count)
    of = sums["all"]
    programs, depth = of["programs"], {int(d): n for d, n in sums["depth"].items()}
    size = median({int(s): n for s, n in sums["size"].items()}, programs)
    columns("programs with each operator", sums["operator"])
    columns("uses of blocks and derivatives", sums["block"])
    print("programs by depth of blocks:", *(f"{d}: {depth[d]}" for d in sorted(depth)))
    print(f"median size {size} nodes; {of['floats']} outputs of floats, {of['weak']} with a tolerance above 1e-3")
    print(f"derivatives: {of['slopes']} outputs against differences ({of['rough']} rough, {of['not_finite']} not "
          f"finite), {of['transposed']} programs forward against reverse, {of['large']} too large; "
          f"vmap: {of['batched']} programs")
    print(f"{programs} programs in {len(given.files)} parts, {of['failures']} failures")
    wrong = []
    if programs < given.complete:
        wrong.append(f"{programs} programs: expected {given.complete}")
    if of["failures"]:
        wrong.append(f"{of['failures']} programs fail")
    for kind in ("operator", "block"):
        for name, count in sums[kind].items():
            if count < 50:
                wrong.append(f"{name} is in {count} programs: expected 50")
    if size < 12:
        wrong.append(f"the median program has {size} nodes: expected 12")
    if depth[max(depth)] < 50:
        wrong.append(f"{depth[max(depth)]} programs of the deepest blocks: expected 50")
    if of["weak"] * 5 > of["floats"] or of["slopes"] * 4 < programs:
        wrong.append("too many tolerances are wide, or too few derivatives were compared")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
