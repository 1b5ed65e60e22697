# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/losses.npz: losses and their gradients by PyTorch, optax and JAX. A case has its inputs (prediction,
target, weights, ..), and as outputs the elements, their weighted mean, and its gradient by the prediction; the table of
tests/unit/train/losses/test_losses_golden.c says what is built. Run by /opt/peers/venv/bin/python or any Python with
optax and torch."""
import os

os.environ["JAX_PLATFORMS"] = "cpu"
import jax
import numpy as np
import optax
import torch
import torch.nn.functional as F

jax.config.update("jax_enable_x64", True)
jnp = jax.numpy
arrays = {}
rng = np.random.default_rng(11)


def save(name, inputs, outputs):
    for kind, values in (("in", inputs), ("out", outputs)):
        for i, value in enumerate(values):
            arrays[f"{name}.{kind}{i}"] = np.asarray(value, order="C")


def leading(w, e):
    return w.reshape(w.shape + (1,) * (e.ndim - w.ndim))


def by_torch(name, x, t, w, function, more=()):
    x = torch.tensor(x, requires_grad=True)
    e = function(x, torch.tensor(t))
    wide = (torch.tensor(leading(w, e)) * torch.ones_like(e))
    mean = (wide * e).sum() / wide.sum()
    (g,) = torch.autograd.grad(mean, x)
    save(name, [x.detach(), t, w, *more], [e.detach(), mean.detach(), g])


def by_jax(name, x, t, w, function, more=(), mean_of=None):
    def mean(x):
        e = function(x, jnp.array(t))
        wide = leading(w, e) * jnp.ones_like(e)
        if mean_of is not None:
            wide = wide * mean_of(x, jnp.array(t))
        return jnp.sum(wide * e) / jnp.sum(wide)

    value, g = jax.value_and_grad(mean)(jnp.array(x))
    save(name, [x, t, w, *more], [function(jnp.array(x), jnp.array(t)), value, g])


n, c = 5, 4
x, t = rng.normal(size=(n, c)), rng.normal(size=(n, c))
w = rng.uniform(0.1, 2, n)
logits = rng.normal(scale=3, size=(n, c))
probabilities = np.exp(logits / 3) / np.exp(logits / 3).sum(1, keepdims=True)
soft = rng.dirichlet(np.ones(c), n)
soft[1] = [0, 1, 0, 0]
labels = np.array([0, 3, 1, 1, 2], np.int32)
hard = rng.integers(0, 2, (n, c)).astype(np.int32)
chance = rng.uniform(0.02, 0.98, (n, c))
none = dict(reduction="none")

by_torch("squared_error", x, t, w, lambda x, t: F.mse_loss(x, t, **none))
by_torch("absolute_error", x, t, w, lambda x, t: F.l1_loss(x, t, **none))
by_torch("huber", 2 * x, t, w, lambda x, t: F.huber_loss(x, t, delta=0.7, **none))
by_jax("log_cosh", 3 * x, t, w, optax.log_cosh)
by_torch("poisson", np.abs(x) + 0.1, np.abs(hard * 3), w, lambda x, t: x - t * torch.log(x))
by_torch("poisson_log", x, np.abs(hard * 3), w, lambda x, t: F.poisson_nll_loss(x, t.double(), log_input=True, **none))
by_torch("euclidean", x, t, w, lambda x, t: (x - t).pow(2).sum(-1).sqrt())
by_torch("squared_euclidean", x, t, w, lambda x, t: (x - t).pow(2).sum(-1))
by_jax("cosine", x, t, w, lambda x, t: optax.cosine_distance(x, t, epsilon=1e-8))


def adaptive(x, t, near=2.5, far=1.25, middle=0.8, sharpness=0.5):
    d = jnp.abs(x - t)
    p = far + (near - far) / (1 + (d / middle) ** ((near - far) / sharpness))
    return d ** jax.lax.stop_gradient(p)


by_jax("adaptive_power", x, t, w, adaptive)

by_torch("bce_logits", logits, hard, w, lambda x, t: F.binary_cross_entropy_with_logits(x, t.double(), **none))
by_torch("bce_logits_weighted", logits, hard, w,
         lambda x, t: F.binary_cross_entropy_with_logits(
             x, 0.9 * t.double() + 0.05, pos_weight=torch.tensor(3.0, dtype=torch.float64), **none))
by_torch("bce", chance, hard, w, lambda x, t: F.binary_cross_entropy(x, t.double(), **none))
by_torch("cross_entropy_logits", logits, labels, w, lambda x, t: F.cross_entropy(x, t.long(), **none))
by_torch("cross_entropy_logits_dense", logits, soft, w, lambda x, t: F.cross_entropy(x, t, **none))
by_torch("cross_entropy_logits_smooth", logits, labels, w,
         lambda x, t: F.cross_entropy(x, t.long(), label_smoothing=0.2, **none))
by_torch("cross_entropy_logits_dense_smooth", logits, soft, w,
         lambda x, t: F.cross_entropy(x, t, label_smoothing=0.2, **none))
by_torch("cross_entropy", probabilities, labels, w, lambda x, t: F.nll_loss(torch.log(x), t.long(), **none))
by_torch("cross_entropy_dense", probabilities, soft, w, lambda x, t: -(t * torch.log(x)).sum(-1))

# Weights of classes: elements are weighted, the mean is by their sum, as PyTorch's.
cw = np.array([0.5, 2, 1, 3.0])
xt = torch.tensor(logits, requires_grad=True)
mean = F.cross_entropy(xt, torch.tensor(labels).long(), weight=torch.tensor(cw))
e = F.cross_entropy(xt, torch.tensor(labels).long(), weight=torch.tensor(cw), **none)
save("cross_entropy_class_weights", [logits, labels, cw], [e.detach(), mean.detach(), torch.autograd.grad(mean, xt)[0]])

by_jax("binary_focal", logits, hard, w, lambda x, t: optax.sigmoid_focal_loss(x, t, gamma=1.5))
by_jax("binary_focal_alpha", logits, hard, w, lambda x, t: optax.sigmoid_focal_loss(x, t, alpha=0.25, gamma=2.0))


def focal(x, t):
    p = jax.nn.softmax(x)
    own = jnp.take_along_axis(p, t[:, None], 1)[:, 0]
    return -((1 - own) ** 3) * jnp.log(own)


by_jax("focal", logits, labels, w, focal)
log_p = np.log(probabilities)
by_torch("kl_divergence", log_p, soft, w, lambda x, t: F.kl_div(x, t, **none).sum(-1))
by_torch("kl_divergence_log", log_p, np.log(soft * 0.9 + 0.025), w,
         lambda x, t: F.kl_div(x, t, log_target=True, **none).sum(-1))
by_jax("hinge", x, 2.0 * hard - 1, w, optax.hinge_loss)
by_jax("squared_hinge", x, 2.0 * hard - 1, w, lambda x, t: optax.hinge_loss(x, t) ** 2)
by_jax("multiclass_hinge", x, labels, w, optax.losses.multiclass_hinge_loss)

maps = rng.normal(size=(2, 3, 2, c))
maps = np.exp(maps) / np.exp(maps).sum(-1, keepdims=True)
areas = rng.integers(0, c, (2, 3, 2)).astype(np.int64)


def dice(x, t):
    t = jax.nn.one_hot(t, c)
    return 1 - (2 * (x * t).sum((1, 2)) + 0.5) / (x.sum((1, 2)) + t.sum((1, 2)) + 0.5)


by_jax("dice", maps, areas, w[:2], dice)

y = np.array([1, 0, 1, 0, 0], np.int32)
d = lambda x, t: jnp.sqrt(jnp.sum((x - t) ** 2, -1))
by_jax("contrastive", x, t, w,
       lambda x, t: (y * d(x, t) ** 2 + (1 - y) * jnp.maximum(4 - d(x, t), 0) ** 2) / 2, [y])


def similarity(x, t):
    u, v = (z / jnp.linalg.norm(z, axis=1, keepdims=True) for z in (x, t))
    return u @ v.T / 0.3


own = np.arange(n)
ce = optax.softmax_cross_entropy_with_integer_labels
by_jax("info_nce", x, t, w, lambda x, t: ce(similarity(x, t), own))
by_jax("info_nce_symmetric", x, t, w, lambda x, t: (ce(similarity(x, t), own) + ce(similarity(x, t).T, own)) / 2)
negative = rng.normal(size=(n, c))
by_torch("triplet", x, t, w,
         lambda x, t: F.triplet_margin_loss(x, t, torch.tensor(negative), margin=1.5, eps=0, **none), [negative])
by_torch("triplet_cosine", x, t, w, lambda x, t: torch.relu(
    torch.cosine_similarity(x, torch.tensor(negative)) - torch.cosine_similarity(x, t) + 0.5), [negative])

# Mining, triplet by triplet.
m = 7
ex, el = rng.normal(size=(m, 3)), np.array([0, 1, 0, 2, 1, 0, 9], np.int32)


def mined(kind):
    def loss(x, t):
        D = jnp.sqrt(jnp.sum((x[:, None] - x[None]) ** 2, -1) + jnp.eye(m))
        e, count = [], 0
        for a in range(m):
            pos = [j for j in range(m) if el[j] == el[a] and j != a]
            neg = [j for j in range(m) if el[j] != el[a]]
            if kind == "all":
                for p in range(m):
                    for q in range(m):
                        e.append(jax.nn.relu(D[a, p] - D[a, q] + 1) if p in pos and q in neg else 0.0)
            elif kind == "hard":
                e.append(jax.nn.relu(max(D[a, p] for p in pos) - min(D[a, q] for q in neg) + 1) if pos else 0.0)
            else:
                for p in range(m):
                    if p not in pos:
                        e.append(0.0)
                        continue
                    farther = [D[a, q] for q in neg if D[a, q] > D[a, p]]
                    e.append(jax.nn.relu(D[a, p] - (min(farther) if farther else max(D[a, q] for q in neg)) + 1))
        shape = {"all": (m, m, m), "hard": (m,), "semi": (m, m)}[kind]
        return jnp.array(e).reshape(shape)

    def counts(x, t):
        same = el[:, None] == el[None]
        positive = same & ~np.eye(m, dtype=bool)
        if kind == "all":
            return (positive[:, :, None] & ~same[:, None, :] & (np.asarray(loss(ex, el)) > 0)).astype(float)
        return positive.any(1).astype(float) if kind == "hard" else positive.astype(float)

    def mean(x):
        e = loss(x, None)
        wide = leading(mw, e) * counts(x, None)
        return jnp.sum(wide * e) / jnp.sum(wide)

    value, g = jax.value_and_grad(mean)(jnp.array(ex))
    elements = loss(ex, None) * counts(ex, None)
    save(f"mining_{kind}", [ex, el, mw], [elements, value, g])


mw = rng.uniform(0.1, 2, m)
for kind in ("all", "hard", "semi"):
    mined(kind)

# CTC: lengths, repeated classes, an empty target, blank 0 and 2.
T, B, C, L = 9, 4, 5, 3
cl = rng.normal(scale=2, size=(B, T, C))
ct = np.array([[1, 2, 2], [3, 3, 4], [1, 4, -1], [4, 1, 3]], np.int32)
cw4 = w[:4]
for blank, ct in ((0, ct), (2, np.where(ct == 2, 0, ct))):
    lengths, sizes = np.array([9, 7, 4, 5], np.int32), np.array([3, 3, 2, 0], np.int32)
    by_torch(f"ctc_{blank}", cl, ct.astype(np.int32), cw4, lambda x, t: F.ctc_loss(
        F.log_softmax(x, -1).transpose(0, 1), t.long().clamp(0), torch.tensor(lengths).long(),
        torch.tensor(sizes).long(), blank=blank, **none), [lengths, sizes])
by_jax("ctc_full", cl[:, :, :], np.array([[1, 2, 2], [3, 3, 4], [1, 4, 1], [4, 1, 3]], np.int32), cw4,
       lambda x, t: optax.ctc_loss(x, jnp.zeros((B, T)), t, jnp.zeros((B, L)), log_epsilon=-1e30))

# Half precision: computed in f32.
hx = rng.normal(size=(n, c)).astype(np.float16)
save("half", [hx, labels], [F.cross_entropy(torch.tensor(hx).float(), torch.tensor(labels).long())])

np.savez_compressed(os.path.join(os.path.dirname(__file__), "losses.npz"), **arrays)
print(len(arrays), "arrays")
