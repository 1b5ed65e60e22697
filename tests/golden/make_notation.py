# SPDX-License-Identifier: Apache-2.0
# Writes notation.npz: what numpy gives for einsum equations and slices, and einops for patterns. Every
# case is a text, named in its entries: kind|text|options|0, 1, ... are the operands, kind|text|options|out
# the result. tests/unit/graph/test_notation.c walks through them.
#
#   python3 tests/golden/make_notation.py     (numpy 2, einops 0.8)
import os

import einops
import numpy

random = numpy.random.default_rng(7)
entries = {}


def add(kind, text, options, operands, result):
    name = f"{kind}|{text}|{options}|"
    assert name + "out" not in entries, name
    for i, operand in enumerate(operands):
        entries[name + str(i)] = operand
    entries[name + "out"] = numpy.array(result, order="C")


def array(*shape):
    return numpy.asarray(numpy.round(random.uniform(-2, 2, shape), 3))


for equation, *shapes in [
    ("i->", (5,)),
    ("i->i", (5,)),
    ("ij->ji", (2, 3)),
    ("ij->", (2, 3)),
    ("ij->j", (2, 3)),
    ("ba", (2, 3)),
    ("ii", (4, 4)),
    ("ii->i", (4, 4)),
    ("iij->ji", (3, 3, 2)),
    ("iii->i", (3, 3, 3)),
    ("iijj->ij", (2, 2, 3, 3)),
    ("ijij->", (2, 3, 2, 3)),
    ("ijji->j", (2, 3, 3, 2)),
    ("...", (2, 3)),
    ("...ij->...ji", (4, 2, 3)),
    ("i...->...", (4, 2, 3)),
    ("i...->i...", (4, 2, 3)),
    ("i,i", (6,), (6,)),
    ("i,i->i", (6,), (6,)),
    ("i,j", (2,), (3,)),
    ("j,i", (2,), (3,)),
    (",", (), ()),
    (",ij", (), (2, 3)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ij,jk->ki", (2, 3), (3, 4)),
    ("ij,kj->ik", (2, 3), (4, 3)),
    ("ji,jk->ik", (3, 2), (3, 4)),
    ("ij,ij", (2, 3), (2, 3)),
    ("ij,ij->i", (2, 3), (2, 3)),
    ("ij,ij->ij", (2, 3), (2, 3)),
    ("ij,ji->i", (2, 3), (3, 2)),
    ("ij,j->i", (2, 3), (3,)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
    ("bqhd,bkhd->bhqk", (2, 3, 2, 4), (2, 5, 2, 4)),
    ("bhqk,bkhd->bqhd", (2, 2, 3, 5), (2, 5, 2, 4)),
    ("ij,kl->ijkl", (2, 3), (2, 2)),
    ("ij,kl->ljki", (2, 3), (2, 2)),
    ("ij,kl->", (2, 3), (2, 2)),
    ("ij,kl->il", (2, 3), (2, 2)),
    ("ijk,jil->kl", (3, 4, 5), (4, 3, 2)),
    ("...ij,...jk->...ik", (2, 3, 4), (4, 5)),
    ("...ij,...jk", (2, 1, 3, 4), (3, 4, 2)),
    ("...,...", (2, 3), (3,)),
    ("...,...->...", (2, 1), (1, 3)),
    ("i...,i...->...", (4, 2, 1), (4, 3)),
    ("...i,i", (2, 3, 4), (4,)),
    ("ij...,jk...->ik...", (2, 3, 5), (3, 4, 1)),
    ("...->...", (1, 1)),
    ("ij,jk,kl", (2, 3), (3, 4), (4, 5)),
    ("ij,jk,kl->lij", (2, 3), (3, 4), (4, 5)),
    ("i,ij,j", (3,), (3, 4), (4,)),
    ("i,i,i->i", (3,), (3,), (3,)),
    ("i,i,i->", (3,), (3,), (3,)),
    ("ab,bc,cd,da->", (2, 3), (3, 4), (4, 5), (5, 2)),
    ("abc,bd,ce,af->def", (2, 3, 4), (3, 2), (4, 3), (2, 5)),
    ("bld,bsd,bsv->blv", (2, 3, 4), (2, 5, 4), (2, 5, 3)),
    ("ii,jj,kk->ijk", (2, 2), (3, 3), (4, 4)),
    ("ab,ac,ad,ae->bcde", (3, 2), (3, 2), (3, 2), (3, 2)),
    ("a,b,c,d,e,f->fedcba", (2,), (2,), (2,), (2,), (2,), (2,)),
    ("aB,Bc,cD,De,eF,Fg,gH,Hi,iJ->aJ", *[(2, 3), (3, 2)] * 4, (2, 2)),
    ("ab,bc,cd,de,ef,fg,gh,hi,ij,jk->ak", *[(2, 2)] * 10),
    ("abcd,efgh,abcdefgh->", (2, 1, 2, 1), (2, 1, 2, 2), (2, 1, 2, 1, 2, 1, 2, 2)),
    ("i,i->", (0,), (0,)),
    ("ij,jk->ik", (2, 0), (0, 3)),
    ("ij,jk->ik", (0, 2), (2, 3)),
    ("i j , j k -> i k", (2, 3), (3, 1)),
    ("ij,jk->ik", (1, 3), (3, 1)),
]:
    operands = [array(*shape) for shape in shapes]
    label = ";".join("x".join(map(str, shape)) for shape in shapes)
    add("einsum", equation, label, operands, numpy.einsum(equation, *operands))

for pattern, shape, sizes, reduce in [
    ("h w -> w h", (2, 3), {}, None),
    ("h w -> (h w)", (2, 3), {}, None),
    ("h w -> (w h)", (2, 3), {}, None),
    ("(h w) -> h w", (6,), {"w": 3}, None),
    ("(h w) -> w h", (6,), {"h": 3}, None),
    ("b h w c -> b (h w) c", (2, 3, 2, 2), {}, None),
    ("b c (h p) (w q) -> b (h w) (p q c)", (2, 2, 4, 6), {"p": 2, "q": 3}, None),
    ("b (h w) (p q c) -> b c (h p) (w q)", (2, 4, 12), {"p": 2, "q": 3, "h": 2}, None),
    ("b c (t pt) (h ph) (w pw) -> b (t h w) (pt ph pw c)", (1, 2, 4, 4, 2), {"pt": 2, "ph": 2, "pw": 2}, None),
    ("(a b c d) (e f g h) -> (h g d c) (f e b a)", (16, 16), dict(a=2, b=2, c=2, e=2, f=2, g=2), None),
    ("... c -> c ...", (2, 3, 4), {}, None),
    ("b ... -> b (...)", (2, 3, 4), {}, None),
    ("b ... -> (b ...)", (2, 3, 4), {}, None),
    ("... -> ...", (2, 3), {}, None),
    ("b ... c -> ... (c b)", (2, 3, 2, 4), {}, None),
    ("h w -> 1 h () w", (2, 3), {}, None),
    ("1 h 1 w -> h w", (1, 2, 1, 3), {}, None),
    ("b h w c -> b c", (2, 3, 4, 2), {}, "mean"),
    ("b h w c -> b () () c", (2, 3, 4, 2), {}, "max"),
    ("b c (h 2) (w 2) -> b c h w", (1, 2, 4, 6), {}, "max"),
    ("(h k) -> h", (12,), {"k": 3}, "min"),
    ("h w -> w", (3, 2), {}, "prod"),
    ("h w ->", (3, 2), {}, "sum"),
    ("b ... c -> b c", (2, 3, 4, 2), {}, "sum"),
    ("h w -> h w copies", (2, 3), {"copies": 3}, "repeat"),
    ("h w -> h (w copies)", (2, 3), {"copies": 3}, "repeat"),
    ("h w -> (copies h) w", (2, 3), {"copies": 3}, "repeat"),
    ("h w -> a h b w", (2, 3), {"a": 2, "b": 4}, "repeat"),
    ("h w -> (h 2) (w 3)", (2, 3), {}, "repeat"),
    ("... -> ... 2", (2, 3), {}, "repeat"),
    ("-> n", (), {"n": 4}, "repeat"),
    ("h w -> w h", (0, 3), {}, None),
]:
    x = array(*shape)
    if reduce is None:
        result = einops.rearrange(x, pattern, **sizes)
    elif reduce == "repeat":
        result = einops.repeat(x, pattern, **sizes)
    else:
        result = einops.reduce(x, pattern, reduce, **sizes)
    options = ",".join([f"{n}={s}" for n, s in sizes.items()] + ([reduce] if reduce not in (None, "repeat") else []))
    label = "x".join(map(str, shape))
    add("rearrange", pattern, options + ";" + label, [x], result)

x = array(5, 4, 3)
for text in [
    "1:", "::-1", "3, ..., None", "None, ..., ::-1", "3::-2", "-1:-4:-1, 1", ":1:-1", "2:2:-1", "99:-99:-3",
    "-99:99:-1", "..., None, 0", "0, None, ..., None, -1", "1:4:2, ::-3, None, 0:2", "None", "..., ::-2",
    "0, 1, 2", "None, 0, None, 1, None, 2, None", "4:0:-1, 3:0:-2, 2:0:-1", "::7", "::-7", "-2::-1",
    "0:0", "None, ::2, None, ...",
]:
    add("slice", text, "", [x], eval(f"x[{text}]"))

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "notation.npz")
numpy.savez_compressed(path, **entries)
print(len([n for n in entries if n.endswith("|out")]), "cases,", os.path.getsize(path), "bytes")
