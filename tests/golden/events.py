# SPDX-License-Identifier: Apache-2.0
"""TensorBoard's own writer and reader as the oracle of event files (pip install tensorboard).

  events.py write              tests/golden/tensorboard.tfevents: scalars of every form that is read
  events.py check FOLDER...    TensorBoard reads what unit.ui.events or examples/plots wrote there

unit.ui.events compares what Mica writes with tests/golden/mica.tfevents, but for the times: a file of
its own that `check` has read. After a change on purpose: run that test, `check` the folder that it names,
copy its file there.
"""
import pathlib
import sys

import numpy as np
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

HERE = pathlib.Path(__file__).parent


def write():
    with open(HERE / "tensorboard.tfevents", "wb") as file:
        writer = RecordWriter(file)

        def put(**fields):
            writer.write(event_pb2.Event(**fields).SerializeToString())

        def summary(tag, **fields):
            return summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=tag, **fields)])

        put(wall_time=1000.0, file_version="brain.Event:2")
        for step in range(1, 4):
            put(wall_time=1000.0 + step, step=step, summary=summary("train/loss", simple_value=1 / step))
            put(wall_time=1000.0 + step, step=step, summary=summary("accuracy/test", simple_value=step / 4))
        content = np.array([0.1], np.float64).tobytes()
        put(wall_time=1004.5, step=4, summary=summary("rate", tensor=tensor_pb2.TensorProto(
            dtype=types_pb2.DT_DOUBLE, tensor_content=content)))
        put(wall_time=1004.5, step=5, summary=summary("rate", tensor=tensor_pb2.TensorProto(
            dtype=types_pb2.DT_FLOAT, float_val=[0.25])))
        put(wall_time=1004.5, step=6, summary=summary("rate", tensor=tensor_pb2.TensorProto(
            dtype=types_pb2.DT_DOUBLE, double_val=[0.125])))
        put(wall_time=1005.0, step=7, summary=summary("a/b/c", simple_value=float("nan")))
        put(wall_time=1005.0, step=7, summary=summary("words", tensor=tensor_pb2.TensorProto(
            dtype=types_pb2.DT_STRING, string_val=[b"text"])))
        writer.flush()


def check(folder):
    data = event_accumulator.EventAccumulator(folder, size_guidance={"scalars": 0, "images": 0, "histograms": 0})
    data.Reload()
    tags = data.Tags()
    print(folder, {kind: tags[kind] for kind in ("scalars", "images", "histograms", "graph")})
    for tag in tags["scalars"]:
        points = data.Scalars(tag)
        print(f"  {tag}: {len(points)} points, {[(p.step, round(p.value, 6)) for p in points[:4]]}")
    for tag in tags["images"]:
        for image in data.Images(tag):
            from PIL import Image
            import io
            picture = Image.open(io.BytesIO(image.encoded_image_string))
            picture.load()
            assert picture.size == (image.width, image.height), (picture.size, image)
            print(f"  {tag}: {picture.mode} {picture.size}, first {np.asarray(picture).reshape(-1)[:6].tolist()}")
    for tag in tags["histograms"]:
        h = data.Histograms(tag)[0].histogram_value
        assert len(h.bucket) == len(h.bucket_limit) and sum(h.bucket) == h.num
        print(f"  {tag}: {int(h.num)} values from {h.min:.4g} to {h.max:.4g} in {len(h.bucket)} buckets, sum {h.sum:.6g}")
    if tags["graph"]:
        graph = data.Graph()
        names = {node.name for node in graph.node}
        assert len(names) == len(graph.node), "names are unique"
        for node in graph.node:
            for name in node.input:
                assert name.split(":")[0] in names, name
        print(f"  graph: {len(graph.node)} nodes, {sorted(names)[:4]}")
    assert tags["scalars"] and tags["images"] and tags["histograms"] and tags["graph"]


if __name__ == "__main__":
    if sys.argv[1:] == ["write"]:
        write()
    elif sys.argv[1:2] == ["check"] and len(sys.argv) > 2:
        for folder in sys.argv[2:]:
            check(folder)
    else:
        sys.exit(__doc__)
