"""Images per second and core that the loader of each method's published preset delivers.

`python -m benchmarks.training_loader` writes `benchmarks/results/training_loader.json`. A core is a
second of CPU time of one thread, so that other work on the machine does not count. The loader
reads stored crops of 112 px from a memory-mapped file and draws the augmentation; resizing,
warping, color and normalization run on the device and are timed apart, here on the CPU.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import pyarrow as pa
import torch

from faceaffect.geometry import TEMPLATE_SIZE_PX
from faceaffect.labels import AU_NAMES, LANDMARK_COUNT
from training.ablations.records import machine_name
from training.datasets.frame_table import SPLITS, FrameTable
from training.datasets.image_store import ImageStore
from training.methods.batch_builder import InputSpec
from training.methods.batch_loader import BatchLoader
from training.methods.data import MethodData
from training.methods.recipe_lookup import RECIPES, find_recipe
from training.models.cost import on_meta
from training.models.mean_shape import MEAN_SHAPE_PX
from training.models.networks.build_network import build_network
from training.models.stages import MethodNet

OUT: Final = Path(__file__).parent / "results" / "training_loader.json"
_VIDEOS: Final = 40


def random_data(folder: Path, frames: int) -> MethodData:
    """Labeled videos of random crops of 112 px in a memory-mapped file, without audio."""
    random = np.random.default_rng(0)
    count = _VIDEOS * frames
    shape = (count, TEMPLATE_SIZE_PX, TEMPLATE_SIZE_PX, 3)
    array = np.lib.format.open_memmap(folder / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
    for k in range(0, count, 256):
        array[k : k + 256] = random.integers(0, 256, array[k : k + 256].shape, dtype=np.uint8)
    names = tuple(f"video{k}" for k in range(_VIDEOS))
    video = np.repeat(np.arange(_VIDEOS, dtype=np.int32), frames)
    frame = np.tile(np.arange(1, frames + 1, dtype=np.int32), _VIDEOS)
    paths = [f"/{names[v]}/{f:05d}.jpg" for v, f in zip(video, frame, strict=True)]
    table = FrameTable(
        root=Path("/"),
        videos=names,
        sources=("random",) * _VIDEOS,
        groups=names,
        media=("",) * _VIDEOS,
        splits=np.full((_VIDEOS, 3), SPLITS.index("train"), np.int8),
        video=video,
        frame=frame,
        path=pa.array(paths, pa.string()),
        au=(random.random((count, len(AU_NAMES))) < 0.3).astype(np.float32),
        au_mask=np.ones((count, len(AU_NAMES)), bool),
        expression=random.integers(0, 7, count).astype(np.int8),
        expression_mask=np.ones(count, bool),
        va=random.uniform(-1, 1, (count, 2)).astype(np.float32),
        va_mask=np.ones(count, bool),
        audio_offset_s=np.full(count, np.nan),
    )
    points = np.broadcast_to(MEAN_SHAPE_PX.astype(np.float32), (count, LANDMARK_COUNT, 2))
    return MethodData(table, table, ImageStore(paths, array, points))


def measure(name: str, data: MethodData, images: int) -> dict[str, Any]:
    """Rates of one published preset over at least `images` images."""
    options = ["sampling.every=1"]
    recipe = find_recipe(name, overrides=options)
    net = on_meta(lambda: build_network(recipe.net))
    assert isinstance(net, MethodNet)
    form = InputSpec.of(net, "frames" if recipe.sampler == "pairs" else recipe.sampling.form)
    loader = BatchLoader(recipe, data, form)
    loader.build(0)  # the order of the epoch is drawn once
    done, step, finish_s = 0, 0, 0.0
    started_s = time.thread_time()
    while done < images:
        batches = loader.build(step)
        for batch in batches:
            done += sum(
                int(np.prod(value.shape[:-3]))
                for key, value in batch.items()
                if key.endswith("pixels")
            )
        step += 1
    load_s = time.thread_time() - started_s
    finished = 0
    for batch in batches[:1]:
        started_s = time.thread_time()
        loader.finish(batch)
        finish_s += time.thread_time() - started_s
        finished += sum(
            int(np.prod(value.shape[:-3])) for key, value in batch.items() if key.endswith("pixels")
        )
    loader.close()
    return {
        "method": recipe.paper,
        "input": form.form,
        "size_px": form.size_px,
        "images": done,
        "loader_images_per_core_second": round(done / load_s),
        "device_part_on_cpu_images_per_core_second": round(finished / finish_s),
    }


@click.command()
@click.option("--images", type=click.IntRange(1), default=4000, show_default=True)
@click.option("--frames", type=click.IntRange(60), default=100, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=OUT)
def main(images: int, frames: int, out: Path) -> None:
    """Measure all eight methods and write the record."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = random_data(Path(folder), frames)
        rows = [measure(name, data, images) for name in RECIPES]
    record = {"machine": machine_name(), "stored_px": TEMPLATE_SIZE_PX, "methods": rows}
    out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        click.echo(" ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
