# SPDX-License-Identifier: Apache-2.0
# Makes nn_sequences.npz: attention, positions, transformer blocks and recurrent layers by PyTorch in f64 (nn_cases.py).
import math

import torch
import torch.nn.functional as F

import nn_cases

cases = nn_cases.Cases(23)
normal, case = cases.normal, cases.case


# ---- rotary positions
def frequencies(d, base=10000.0, scaling=None, factor=1.0, original=64.0):
    if scaling == "ntk":
        base *= factor ** (d / (d - 2))
    i = torch.arange(0, d, 2).double()
    f = base ** (-i / d)
    if scaling == "linear":
        return f / factor, 1
    if scaling == "llama3":
        wave = 2 * math.pi / f
        smooth = (original / wave - 1) / 3
        mixed = (1 - smooth) * f / factor + smooth * f
        return torch.where(wave > original, f / factor, torch.where(wave < original / 4, f, mixed)), 1
    if scaling == "yarn":  # as transformers' _compute_yarn_parameters
        def dim(turns):
            return d * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(base))
        low, high = max(math.floor(dim(32)), 0), min(math.ceil(dim(1)), d - 1)
        slow = ((torch.arange(d // 2).double() - low) / (high - low if high != low else 0.001)).clamp(0, 1)
        return f / factor * slow + f * (1 - slow), 0.1 * math.log(factor) + 1
    return f, 1


def rope(x, positions, size=None, interleaved=False, **o):
    d = size or x.shape[-1]
    f, scale = frequencies(d, **o)
    angle = positions.double()[..., None, None] * f
    c, s = angle.cos() * scale, angle.sin() * scale
    y = x[..., :d]
    if interleaved:
        a, b = y[..., 0::2], y[..., 1::2]
        y = torch.stack([a * c - b * s, b * c + a * s], -1).flatten(-2)
    else:
        a, b = y[..., :d // 2], y[..., d // 2:]
        y = torch.cat([a * c - b * s, b * c + a * s], -1)
    return torch.cat([y, x[..., d:]], -1)


x = normal(2, 5, 2, 8)
at = torch.tensor([0, 1, 2, 10, 70], dtype=torch.int32)
each = torch.tensor([[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]], dtype=torch.int32)
case("rope", [x, at], {}, lambda i, p: rope(i[0], i[1]))
case("rope_each", [x, each], {}, lambda i, p: rope(i[0], i[1], base=500.0))
case("rope_interleaved", [x, at], {}, lambda i, p: rope(i[0], i[1], interleaved=True))
case("rope_part", [x, at], {}, lambda i, p: rope(i[0], i[1], size=4))
for kind in ["linear", "ntk", "yarn", "llama3"]:
    case("rope_" + kind, [x, at], {}, lambda i, p: rope(i[0], i[1], base=100.0, scaling=kind, factor=4.0))


def sinusoidal(t, width):
    angle = t.double()[..., None] * 10000 ** (-torch.arange(0, width, 2).double() / width)
    return torch.cat([angle.sin(), angle.cos()], -1)


case("sinusoidal", [at], {}, lambda i, p: sinusoidal(i[0], 6))
case("learned", [normal(2, 3, 4)], {"positions": normal(6, 4)}, lambda i, p: i[0] + p["positions"][:3])


# ---- attention
def weights(width, heads, size, kv=None, memory=None, out=None, norm=False):
    kv, memory, out = kv or heads, memory or width, out or width
    p = {"query": normal(width, heads * size), "query_bias": normal(heads * size), "key": normal(memory, kv * size),
         "key_bias": normal(kv * size), "value": normal(memory, kv * size), "value_bias": normal(kv * size),
         "out": normal(heads * size, out), "out_bias": normal(out)}
    if norm:
        p.update({"query_norm": normal(size), "key_norm": normal(size)})
    return p


def attention(x, p, heads, kv=None, memory=None, mask=None, bias=None, cap=0, turn=None, scale=None, prefix=""):
    kv, memory = kv or heads, x if memory is None else memory
    g = lambda n: p[prefix + n]
    bias_of = lambda n: p.get(prefix + n + "_bias", 0)
    b, t, s = x.shape[0], x.shape[1], memory.shape[1]
    d = g("query").shape[1] // heads
    q = (x @ g("query") + bias_of("query")).reshape(b, t, heads, d)
    k = (memory @ g("key") + bias_of("key")).reshape(b, s, kv, d)
    v = (memory @ g("value") + bias_of("value")).reshape(b, s, kv, d)
    if prefix + "query_norm" in p:
        q, k = F.rms_norm(q, (d,), g("query_norm"), 1e-6), F.rms_norm(k, (d,), g("key_norm"), 1e-6)
    if turn:
        q, k = turn(q, torch.arange(t)), turn(k, torch.arange(s))
    k, v = (z.repeat_interleave(heads // kv, 2).transpose(1, 2) for z in (k, v))
    score = q.transpose(1, 2) @ k.transpose(2, 3) * (scale or 1 / math.sqrt(d))
    if cap:
        score = cap * torch.tanh(score / cap)
    if bias is not None:
        score = score + bias
    if mask is not None:
        score = score.masked_fill(~mask, float("-inf"))
    y = F.softmax(score, -1) @ v
    return y.transpose(1, 2).reshape(b, t, heads * d) @ g("out") + bias_of("out")


causal = torch.ones(5, 5).tril().bool()
x = normal(2, 5, 8)
case("attention", [x], weights(8, 2, 4), lambda i, p: attention(i[0], p, 2))
case("attention_causal", [x], weights(8, 2, 4), lambda i, p: attention(i[0], p, 2, mask=causal))
case("attention_gqa", [x], weights(8, 4, 2, 2), lambda i, p: attention(i[0], p, 4, 2, mask=causal))
case("attention_mqa", [x], weights(8, 4, 3, 1, out=6), lambda i, p: attention(i[0], p, 4, 1, scale=0.3))
window = causal & ~torch.ones(5, 5).tril(-2).bool()
case("attention_window", [x], weights(8, 2, 4), lambda i, p: attention(i[0], p, 2, mask=window))
key_mask = torch.tensor([[True] * 5, [True, True, False, True, False]])
case("attention_key_mask", [x, key_mask], weights(8, 2, 4), lambda i, p: attention(i[0], p, 2, mask=i[1][:, None, None]))
case("attention_cap", [x], weights(8, 2, 4), lambda i, p: attention(i[0], p, 2, mask=causal, cap=2.0))
case("attention_bias", [x, normal(2, 5, 5)], weights(8, 2, 4), lambda i, p: attention(i[0], p, 2, bias=i[1]))
distance = (torch.arange(5)[:, None] - torch.arange(5)).abs()
slopes = 2.0 ** (-8 * torch.arange(1, 5).double() / 4)
case("attention_alibi", [x], weights(8, 4, 2),
     lambda i, p: attention(i[0], p, 4, mask=causal, bias=-slopes[:, None, None] * distance))
case("attention_rope", [x], weights(8, 2, 4, norm=True), lambda i, p: attention(i[0], p, 2, mask=causal, turn=rope))
case("attention_cross", [x, normal(2, 3, 6)], weights(8, 2, 4, memory=6), lambda i, p: attention(i[0], p, 2, memory=i[1]))


# ---- blocks
def block_weights(width, hidden, gated=False, cross=None, bias=True):
    p = {"attention/" + k: v for k, v in weights(width, 2, width // 2).items() if bias or "_bias" not in k}
    for n in ["norm1", "norm2"] + (["norm3"] if cross else []):
        p[n + "/scale"] = normal(width)
        if bias:
            p[n + "/bias"] = normal(width)
    if cross:
        p.update({"cross/" + k: v for k, v in weights(width, 2, width // 2, memory=cross).items()})
    p["up/kernel"], p["down/kernel"] = normal(width, hidden * (2 if gated else 1)), normal(hidden, width)
    if bias:
        p["up/bias"], p["down/bias"] = normal(hidden * (2 if gated else 1)), normal(width)
    return p


def layer_norm(x, p, n):
    return F.layer_norm(x, x.shape[-1:], p[n + "/scale"], p[n + "/bias"], 1e-5)


def block(x, p, memory=None, post=False):
    feed = lambda x: F.gelu(x @ p["up/kernel"] + p["up/bias"]) @ p["down/kernel"] + p["down/bias"]
    heads = lambda x: attention(x, p, 2, mask=causal, prefix="attention/")
    if post:
        x = layer_norm(x + heads(x), p, "norm1")
        return layer_norm(x + feed(x), p, "norm2")
    x = x + heads(layer_norm(x, p, "norm1"))
    if memory is not None:
        x = x + attention(layer_norm(x, p, "norm3"), p, 2, memory=memory, prefix="cross/")
    return x + feed(layer_norm(x, p, "norm2"))


def modern(x, p):
    norm = lambda x, n: F.rms_norm(x, x.shape[-1:], p[n + "/scale"], 1e-6)
    x = x + attention(norm(x, "norm1"), p, 2, mask=causal, turn=rope, prefix="attention/")
    a, b = (norm(x, "norm2") @ p["up/kernel"]).chunk(2, -1)
    return x + (a * F.silu(b)) @ p["down/kernel"]


case("block", [x], block_weights(8, 32), lambda i, p: block(i[0], p))
case("block_recompute", [x], block_weights(8, 32), lambda i, p: block(i[0], p))
case("block_post", [x], block_weights(8, 12), lambda i, p: block(i[0], p, post=True))
case("block_cross", [x, normal(2, 3, 6)], block_weights(8, 12, cross=6), lambda i, p: block(i[0], p, i[1]))
case("block_modern", [x], block_weights(8, 12, gated=True, bias=False), lambda i, p: modern(i[0], p))


# ---- recurrent layers
def cells(module, units, gates, both=False, gru=False):
    names = [""] + (["_backward"] if both else [])
    p = {}
    for n in names:
        p.update({"kernel" + n: normal(3, gates * units), "recurrent" + n: normal(units, gates * units),
                  "bias" + n: normal(gates * units)})
        if gru:
            p["recurrent_bias" + n] = normal(units)
    return p


def recurrent(kind, x, p, units, both=False, lengths=None, state=None, relu=False, want="all"):
    options = dict(batch_first=True, bidirectional=both)
    module = {"rnn": lambda: torch.nn.RNN(3, units, nonlinearity="relu" if relu else "tanh", **options),
              "gru": lambda: torch.nn.GRU(3, units, **options), "lstm": lambda: torch.nn.LSTM(3, units, **options)}[kind]()
    new = {}
    for n, tail in [("", "")] + ([("_backward", "_reverse")] if both else []):
        new["weight_ih_l0" + tail] = p["kernel" + n].T
        new["weight_hh_l0" + tail] = p["recurrent" + n].T
        new["bias_ih_l0" + tail] = p["bias" + n]
        zero = torch.zeros_like(p["bias" + n])
        new["bias_hh_l0" + tail] = torch.cat([zero[:2 * units], p["recurrent_bias" + n]]) if kind == "gru" else zero
    given = x if lengths is None else torch.nn.utils.rnn.pack_padded_sequence(x, lengths, True, False)
    y, final = torch.func.functional_call(module, new, (given,) if state is None else (given, state))
    if lengths is not None:
        y = torch.nn.utils.rnn.pad_packed_sequence(y, True, total_length=x.shape[1])[0]
    if want == "final":
        h, c = final if kind == "lstm" else (final, final)
        return torch.cat([h.transpose(0, 1).flatten(1), c.transpose(0, 1).flatten(1)], 1)
    return y


x, lengths = normal(3, 6, 3), torch.tensor([6, 2, 4], dtype=torch.int32)
case("rnn", [x], cells("rnn", 4, 1), lambda i, p: recurrent("rnn", i[0], p, 4))
case("rnn_relu", [x], cells("rnn", 4, 1), lambda i, p: recurrent("rnn", i[0], p, 4, relu=True))
case("gru", [x], cells("gru", 4, 3, gru=True), lambda i, p: recurrent("gru", i[0], p, 4))
case("gru_both", [x, lengths], cells("gru", 4, 3, True, True),
     lambda i, p: recurrent("gru", i[0], p, 4, True, lengths.long()))
case("lstm", [x], cells("lstm", 4, 4), lambda i, p: recurrent("lstm", i[0], p, 4))
case("lstm_both", [x, lengths], cells("lstm", 4, 4, True), lambda i, p: recurrent("lstm", i[0], p, 4, True, lengths.long()))
case("lstm_final", [x, lengths], cells("lstm", 4, 4, True),
     lambda i, p: recurrent("lstm", i[0], p, 4, True, lengths.long(), want="final"))
case("lstm_state", [x, normal(3, 4), normal(3, 4)], cells("lstm", 4, 4),
     lambda i, p: recurrent("lstm", i[0], p, 4, state=(i[1][None], i[2][None])))


def peephole(x, p):  # by the formula
    h = c = torch.zeros(3, 4)
    out = []
    for t in reversed(range(x.shape[1])):
        i, f, g, o = (x[:, t] @ p["kernel"] + p["bias"] + h @ p["recurrent"]).chunk(4, 1)
        w = p["peephole"]
        i, f = torch.sigmoid(i + w[0] * c), torch.sigmoid(f + 1 + w[1] * c)
        c = f * c + i * torch.tanh(g)
        h = torch.sigmoid(o + w[2] * c) * torch.tanh(c)
        out.insert(0, h)
    return torch.stack(out, 1)


case("lstm_peephole", [x], {**cells("lstm", 4, 4), "peephole": normal(3, 4)}, lambda i, p: peephole(i[0], p))


# ---- options of attention
x = normal(2, 5, 8)
free = torch.tensor(cases.rng.random((2, 1, 5, 5)) < 0.5) | torch.eye(5).bool()
case("attention_mask", [x, free], weights(8, 2, 4), lambda i, p: attention(i[0], p, 2, mask=i[1]))
window3 = causal & ~torch.ones(5, 5).tril(-3).bool()
case("attention_mixed", [x, normal(4, 5, 5), free], weights(8, 4, 2, 2, norm=True),
     lambda i, p: attention(i[0], p, 4, 2, mask=window3 & i[2], bias=i[1], cap=3.0, scale=0.4))
case("attention_cross_mask", [x, normal(2, 3, 6), torch.tensor([[True, False, True], [True, True, False]])],
     weights(8, 2, 4, memory=6), lambda i, p: attention(i[0], p, 2, memory=i[1], mask=i[2][:, None, None]))
sinks = causal & (~torch.ones(5, 5).tril(-2).bool() | (torch.arange(5) < 1))
case("attention_sinks", [x], weights(8, 2, 4), lambda i, p: attention(i[0], p, 2, mask=sinks))


def attention_weights(x, p, heads, mask):
    d = p["query"].shape[1] // heads
    split = lambda n: (x @ p[n] + p[n + "_bias"]).reshape(2, 5, heads, d).transpose(1, 2)
    score = (split("query") @ split("key").transpose(2, 3) / math.sqrt(d)).masked_fill(~mask, float("-inf"))
    return F.softmax(score, -1)


case("attention_weights", [x], weights(8, 2, 4), lambda i, p: attention_weights(i[0], p, 2, causal))

cases.save("nn_sequences.npz")
