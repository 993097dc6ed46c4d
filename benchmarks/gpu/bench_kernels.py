"""CUDA kernels on a GPU: outputs against the NumPy definition, times against floor and PyTorch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.gpu.cvcuda_crop import time_cvcuda
from benchmarks.gpu.part import (
    NotRunError,
    Session,
    device_time_us,
    require_gpu,
    require_torch,
    run_section,
)
from benchmarks.kernel_cases import (
    CASES,
    MEAN,
    STD,
    TIMED_CROPS,
    KernelCase,
    frame_of,
    graph_weights,
    similarity,
)
from faceaffect.kernels import reference
from faceaffect.kernels.reference_face_ops import sample_grid
from faceaffect.types import Frame, PixelFormat

HALF_TOLERANCE = 2.0**-10
CHECK_TIMEOUT_S = 120


def upload(cuda: Any, array: np.ndarray) -> Any:
    """Copy an array to the GPU. The caller keeps the result until the work on it has finished."""
    array = np.ascontiguousarray(array)
    typestr = {"float32": "<f4", "float16": "<f2", "uint8": "|u1"}[array.dtype.name]
    view = cuda.DeviceBuffer(max(1, array.nbytes)).view(list(array.shape), typestr)
    if array.nbytes:
        cuda.copy_bytes(view.address, array.ctypes.data, array.nbytes, None)
        synchronize(cuda)
    return view


def download(cuda: Any, view: Any, dtype: Any) -> np.ndarray:
    out = np.empty(view.shape, dtype)
    if out.nbytes:
        cuda.copy_bytes(out.ctypes.data, view.address, out.nbytes, None)
        synchronize(cuda)
    return out


def synchronize(cuda: Any) -> None:
    event = cuda.Event()
    event.record(None)
    event.synchronize()


def on_gpu(cuda: Any, case: KernelCase, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Outputs of the kernel, written over NaN, and of the definition."""
    arguments = case.make()
    expected = getattr(reference, case.op)(**arguments)
    out_type = np.float32 if case.op == "au_gcn" else dtype
    out = upload(cuda, np.full(expected.shape, np.nan, out_type))
    if case.op == "crop_face":
        image = arguments["frame"]
        planes = image.planes
        is_tuple = isinstance(planes, tuple)
        frame = tuple(upload(cuda, p) for p in planes) if is_tuple else upload(cuda, planes)
        maps = upload(cuda, np.asarray(arguments["crop_to_frame"], np.float32))
        if expected.size:
            cuda.crop_face_cuda(
                frame,
                image.pixel_format.value,
                maps,
                arguments["mean"],
                arguments["std"],
                out,
                None,
                image.color.coefficients,
            )
    elif case.op == "normalize":
        pixels = upload(cuda, arguments["pixels"])
        cuda.normalize_cuda(pixels, arguments["mean"], arguments["std"], out, None)
    else:
        packed = arguments["weights"].packed
        nodes = upload(cuda, arguments["nodes"].astype(dtype))
        weights = upload(cuda, packed.flat().astype(dtype))
        cuda.au_gcn_cuda(nodes, weights, packed.widths, out, None)
    return download(cuda, out, out_type).astype(np.float32), expected


def uploaded_crop_on_gpu(cuda: Any, case: KernelCase, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """The same crop as in the pipeline: only the pixels of faces are uploaded, and the last face is
    repeated in the empty slots.
    """
    arguments = case.make()
    frame, maps, side = (
        arguments["frame"],
        np.asarray(arguments["crop_to_frame"], np.float32),
        arguments["size_px"],
    )
    if not len(maps):
        return np.empty(0), np.empty(0)
    slots = len(maps) + 1
    request = (frame.planes, frame.pixel_format.value, maps, slots, side)
    color = frame.color.coefficients
    nbytes = cuda.pack_upload(*request, 0, 0, 0, color)
    pinned, block = cuda.PinnedBuffer(nbytes), cuda.DeviceBuffer(nbytes)
    cuda.pack_upload(*request, pinned.address, block.address, nbytes, color)
    cuda.copy_bytes(block.address, pinned.address, nbytes, None)
    out = upload(cuda, np.full((slots, 3, side, side), np.nan, dtype))
    cuda.crop_jobs_cuda(block.view([nbytes], "|u1"), arguments["mean"], arguments["std"], out, None)
    expected = reference.crop_face(**arguments)
    return download(cuda, out, dtype).astype(np.float32), np.concatenate([expected, expected[-1:]])


def appearance_grid_on_gpu(
    cuda: Any, case: KernelCase, dtype: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Appearance grids of the crops of `case`."""
    crops = reference.crop_face(**case.make()).astype(dtype)
    if not len(crops) or crops.shape[2] < 28:
        return np.empty(0), np.empty(0)
    out = upload(cuda, np.full((len(crops), 3, 12, 12), np.nan, np.float32))
    on_device = upload(cuda, crops)
    cuda.appearance_grid_cuda(on_device, out, None)
    return download(cuda, out, np.float32), sample_grid(crops.astype(np.float32))


def random_cases(seed: int) -> list[KernelCase]:
    """Random cases, for which nothing was tuned."""
    random, cases = np.random.default_rng(seed), list[KernelCase]()
    for i in range(6):
        pixel_format, side = list(PixelFormat)[i % 5], int(random.integers(1, 140))
        height, width = (2 * int(n) for n in random.integers(1, 200, 2))
        places = random.uniform(-0.2, 1.2, (int(random.integers(1, 9)), 2)) * (width, height)
        maps = [
            similarity(
                side, float(random.uniform(0.2, 12)), float(random.uniform(-180, 180)), (x, y)
            )
            for x, y in places
        ]
        crop = {
            "frame": frame_of(pixel_format, height, width, seed + i),
            "crop_to_frame": np.concatenate(maps),
            "size_px": side,
        }
        cases.append(
            KernelCase("crop_face", f"random {i}", partial(dict, crop, mean=MEAN, std=STD))
        )
        pixels = random.integers(0, 256, (*random.integers(1, 70, 3), 3), dtype=np.uint8)
        cases.append(
            KernelCase("normalize", f"random {i}", partial(dict, pixels=pixels, mean=MEAN, std=STD))
        )
        width, layers = int(random.integers(1, 129)), int(random.integers(0, 5))
        nodes = random.standard_normal((int(random.integers(1, 20)), 12, width)).astype(np.float32)
        cases.append(
            KernelCase(
                "au_gcn",
                f"random {i}",
                partial(dict, nodes=nodes, weights=graph_weights(width, layers)),
            )
        )
    return cases


RUNNERS: dict[str, tuple[str, Callable[[Any, KernelCase, Any], tuple[np.ndarray, np.ndarray]]]] = {
    "crop_face": ("crop_face", on_gpu),
    "crop_face, staged": ("crop_face", uploaded_crop_on_gpu),
    "appearance_grid": ("crop_face", appearance_grid_on_gpu),
    "normalize": ("normalize", on_gpu),
    "au_gcn": ("au_gcn", on_gpu),
}


def check(session: Session) -> Iterator[str]:
    """Check all cases of the kernel tests and random ones in both precisions."""
    cuda = require_gpu()
    seed = int(np.random.SeedSequence().generate_state(1)[0])
    yield from (f"- seed of the random cases: {seed}", "")
    yield from (
        "| kernel | precision | cases | largest difference | wrong |",
        "|---|---|---|---|---|",
    )
    all_cases = [*CASES, *random_cases(seed)]
    for name, (op, runner) in RUNNERS.items():
        for dtype in (np.float32, np.float16):
            cases, worst, wrong = [case for case in all_cases if case.op == op], 0.0, []
            for case in cases:
                actual, expected = runner(cuda, case, dtype)
                # weights and nodes rounded to float16 change a sum of hundreds of products
                half = 3e-2 if op == "au_gcn" else HALF_TOLERANCE
                tolerance = case.tolerance if dtype is np.float32 else max(half, case.tolerance)
                if not np.allclose(actual, expected, rtol=tolerance, atol=tolerance):
                    wrong.append(case.name)
                worst = max(worst, float(np.abs(actual - expected).max()) if actual.size else 0.0)
            session.metrics[f"wrong {name} {np.dtype(dtype).name}"] = len(wrong)
            row = (name, np.dtype(dtype).name, len(cases), f"{worst:.2e}", ", ".join(wrong))
            yield f"| {' | '.join(map(str, row))}{'' if wrong else 'none'} |"


def sanitize(session: Session) -> Iterator[str]:
    """Run the same cases under each tool of compute-sanitizer."""
    require_gpu()
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        raise NotRunError("compute-sanitizer is not on PATH")
    code = (
        "from benchmarks.gpu.bench_kernels import check; from benchmarks.gpu.part import Session; "
        "list(check(Session(None)))"
    )

    def run(kind: str) -> list[str]:
        command = [tool, "--tool", kind, "--error-exitcode", "9", sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_TIMEOUT_S)
        last = [line for line in done.stdout.splitlines() if "SUMMARY" in line]
        verdict = "clean" if done.returncode == 0 else "ERRORS"
        return [f"- {kind}: {verdict}; {last[-1] if last else done.stderr[-200:]}"]

    for kind in ("memcheck", "racecheck"):
        yield from run_section(kind, partial(run, kind))


def time_kernels(session: Session) -> Iterator[str]:
    """Time kernels against their floor: moving their bytes, or a launch if that takes longer."""
    cuda = require_gpu()
    bandwidth = copy_bandwidth(cuda, session.repeats)
    pixel, planes = (
        upload(cuda, np.zeros((1, 1, 1, 3), np.uint8)),
        upload(cuda, np.zeros((1, 3, 1, 1), np.float32)),
    )
    launch_us = device_time_us(
        cuda, lambda stream: cuda.normalize_cuda(pixel, MEAN, STD, planes, stream), session.repeats
    )
    yield f"- copy bandwidth: {bandwidth / 1e9:.0f} GB/s"
    yield from (f"- launch of a kernel of one pixel, in a graph: {launch_us:.2f} us", "")
    yield from ("| kernel | us | floor, us | times the floor |", "|---|---|---|---|")
    for case in TIMED_CROPS:
        arguments = case.make()
        frame, maps = (
            upload(cuda, arguments["frame"].pixels),
            upload(cuda, arguments["crop_to_frame"]),
        )
        side = arguments["size_px"]
        out = upload(cuda, np.zeros((1, 3, side, side), np.float32))
        pixel_format = arguments["frame"].pixel_format.value

        def crop(stream: Any, call: Any = (frame, pixel_format, maps, MEAN, STD, out)) -> None:
            cuda.crop_face_cuda(*call, stream)

        step = float(np.abs(arguments["crop_to_frame"][0, :, :2]).sum(axis=1).max())
        read = min(arguments["frame"].pixels.nbytes, int((side * step) ** 2 * 3))
        time_us = device_time_us(cuda, crop, session.repeats)
        yield _row(session, case.name, time_us, 12 * side * side + read, bandwidth, launch_us)
    weights = graph_weights(64, 2)
    nodes, flat = (
        upload(cuda, np.zeros((1, 12, 64), np.float32)),
        upload(cuda, weights.packed.flat()),
    )
    logits, widths = upload(cuda, np.zeros((1, 12), np.float32)), weights.packed.widths

    def graph(stream: Any) -> None:
        cuda.au_gcn_cuda(nodes, flat, widths, logits, stream)

    nbytes = weights.packed.flat().nbytes + 12 * 64 * 4
    yield _row(
        session,
        "au_gcn, one face",
        device_time_us(cuda, graph, session.repeats),
        nbytes,
        bandwidth,
        launch_us,
    )
    yield from ("", *run_section("torch grid_sample and normalize", lambda: torch_crop(session)))
    yield from run_section("CV-CUDA", lambda: time_cvcuda(session))


def _row(
    session: Session, name: str, time_us: float, nbytes: int, bandwidth: float, launch_us: float
) -> str:
    floor_us = max(launch_us, nbytes / bandwidth * 1e6)
    session.metrics[f"times the floor: {name}"] = time_us / floor_us
    return f"| {name} | {time_us:.2f} | {floor_us:.2f} | {time_us / floor_us:.2f} |"


def copy_bandwidth(cuda: Any, repeats: int) -> float:
    """Bytes per second, read and written, of a copy of 256 MiB on the device."""
    nbytes = 1 << 28
    first, second = cuda.DeviceBuffer(nbytes), cuda.DeviceBuffer(nbytes)
    time_us = device_time_us(
        cuda,
        lambda stream: cuda.copy_bytes(second.address, first.address, nbytes, stream),
        min(repeats, 60),
    )
    return 2 * nbytes / time_us * 1e6


def torch_crop(session: Session) -> list[str]:
    """Time the usual PyTorch code: frame to float, grid_sample, normalize."""
    torch = require_torch()
    case = TIMED_CROPS[0]
    arguments = case.make()
    step = torch_cropper(
        torch, arguments["frame"], arguments["crop_to_frame"], arguments["size_px"]
    )
    pixels = torch.from_numpy(np.ascontiguousarray(arguments["frame"].pixels)).cuda()
    for _ in range(30):
        step(pixels)
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(session.repeats):
        step(pixels)
    end.record()
    end.synchronize()
    time_us = start.elapsed_time(end) * 1e3 / session.repeats
    return [f"- torch grid_sample and normalize, {case.name}: {time_us:.1f} us"]


def torch_cropper(torch: Any, frame: Frame, maps: np.ndarray, size_px: int) -> Any:
    """A function that maps BGR pixels [H, W, 3] on the GPU to normalized crops [N, 3, S, S]."""
    if frame.pixel_format is not PixelFormat.BGR:
        raise NotRunError("the baseline supports BGR frames only")
    height, width = frame.height_px, frame.width_px
    grid_y, grid_x = torch.meshgrid(
        *[torch.arange(size_px, dtype=torch.float32, device="cuda")] * 2, indexing="ij"
    )
    points = torch.stack([grid_x, grid_y, torch.ones_like(grid_x)], dim=-1)
    at = torch.einsum("nij,hwj->nhwi", torch.from_numpy(maps).cuda(), points)
    grid = (2 * at + 1) / torch.tensor([width, height], device="cuda") - 1
    mean, std = (torch.tensor(values, device="cuda").view(1, 3, 1, 1) for values in (MEAN, STD))

    def crop(pixels: Any) -> Any:
        image = pixels.permute(2, 0, 1).flip(0)[None].float().expand(len(maps), -1, -1, -1)
        return (
            torch.nn.functional.grid_sample(image, grid, align_corners=False) / 255 - mean
        ) / std

    return crop
