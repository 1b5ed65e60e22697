# SPDX-License-Identifier: Apache-2.0
# Makes words.npz: words, numbers and bags of a few texts by Python's re and scikit-learn. The texts are in the file too, as bytes
# behind each other with their places.
import os
import re

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

texts = [
    b"The cat sat on the mat. The CAT!",
    b"  A mat,\ta cat -- and 2 dogs\x01\x7f; dogs' day   ",
    b"dogs dogs dogs dogs dogs $$$ free $$$",
    "Caf\u00e9 \u4e16\u754c caf\u00e9 na\u00efve Caf\u00c9".encode(),
    b"x" * 63 + b"Y" + b"Z" * 40 + b" end",
    b" \n\t ",
]
asked = [texts[0], b"free cat unknown cat the $", b"nothing known", b""]  # with words that are not in the texts
read = [text.decode("latin-1") for text in texts]  # which keeps bytes as they are


def words(text):
    found = re.findall(r"[A-Za-z0-9\x80-\xff]+|[^\x00-\x20\x7f]", text)
    return [re.sub("[A-Z]", lambda c: c.group().lower(), w)[:64] for w in found]


def pairs(text):  # in the order in which they end
    found = words(text)
    return [run for i in range(len(found)) for run in ([" ".join(found[i - 1:i + 1])] if i else []) + [found[i]]]


order, pair_order = [], []
for text in read:
    for w in dict.fromkeys(words(text)):
        if w not in order:
            order.append(w)
for text in read:
    for w in dict.fromkeys(pairs(text)):
        if w not in pair_order:
            pair_order.append(w)
pair_uses = [sum(w in pairs(t) for t in read) for w in pair_order]
paired = TfidfVectorizer(sublinear_tf=True, analyzer=pairs, vocabulary={w: i for i, w in enumerate(pair_order)},
                         lowercase=False).fit(read)
uses = [sum(w in words(t) for t in read) for w in order]
vocabulary = {w: i for i, w in enumerate(order)}
options = dict(analyzer=words, vocabulary=vocabulary, lowercase=False)
plain = CountVectorizer(**options).fit(read)
weighted = TfidfVectorizer(sublinear_tf=True, **options).fit(read)
bytes_ = b"".join(texts)
places = np.cumsum([0] + [len(t) for t in texts])
joined = "\n".join(order).encode("latin-1")
ids = np.zeros((len(asked), 12), np.int32)
for row, text in zip(ids, asked):
    for i, w in enumerate(words(text.decode("latin-1"))[:12]):
        row[i] = vocabulary.get(w, -1) + 2
np.savez(
    os.path.join(os.path.dirname(__file__), "words.npz"),
    texts=np.frombuffer(bytes_, np.uint8), places=places.astype(np.int64),
    words=np.frombuffer(joined, np.uint8), uses=np.array(uses, np.int64),
    asked=np.frombuffer(b"".join(asked), np.uint8), asked_places=np.cumsum([0] + [len(t) for t in asked]).astype(np.int64),
    ids=ids, counts=plain.transform(t.decode("latin-1") for t in asked).toarray().astype(np.float32),
    pairs=np.frombuffer("\n".join(pair_order).encode("latin-1"), np.uint8), pair_uses=np.array(pair_uses, np.int64),
    pair_tfidf=paired.transform(t.decode("latin-1") for t in asked).toarray().astype(np.float32),
    tfidf=weighted.transform(t.decode("latin-1") for t in asked).toarray().astype(np.float32))
