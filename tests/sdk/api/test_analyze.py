"""`analyze` takes what people have, and says what to do about the rest."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import faceaffect as fa
from faceaffect.api import image_workers
from faceaffect.api.progress import NotebookBar, TerminalBar, open_bar

REQUIRES = ("PIL",)


def by_hand(frames: list[np.ndarray], *, unrelated: bool = False) -> list[np.ndarray]:
    """AU probabilities of each frame, by a pipeline and frames made here."""
    probabilities = []
    with fa.open_pipeline() as pipeline:
        for index, pixels in enumerate(frames):
            if unrelated:
                pipeline.reset()
            frame = fa.Frame(pixels, fa.PixelFormat.BGR, index / 30, index)
            probabilities.append(pipeline.analyze(frame)[1].au_probability)
    return probabilities


def test_video_file_gives_each_frame(result: fa.Result, frames: list[np.ndarray]) -> None:
    assert [view.index for view in result] == list(range(len(frames)))
    np.testing.assert_allclose(result.time_s, np.arange(len(frames)) / 30, atol=1e-3)
    smile = result.affect.au_probability[-1, fa.AU_NAMES.index("AU12")]
    assert smile > 0.5 > result.affect.au_probability[0, fa.AU_NAMES.index("AU12")]


def test_iterator_of_arrays_is_a_video(frames: list[np.ndarray]) -> None:
    got = fa.analyze(iter(frames), fps=30)
    np.testing.assert_array_equal(got.affect.au_probability, np.concatenate(by_hand(frames)))
    assert set(got.faces.track_id.tolist()) == {1}


@pytest.mark.parametrize("jobs", [1, 3])
def test_list_of_arrays_is_unrelated_images(frames: list[np.ndarray], jobs: int) -> None:
    some = frames[::6]
    got = fa.analyze(some, jobs=jobs)
    expected = np.concatenate(by_hand(some, unrelated=True))
    np.testing.assert_array_equal(got.affect.au_probability, expected)
    assert got.faces.track_id.tolist() == list(range(1, len(some) + 1)), "every face is new"
    assert [view.source for view in got] == [f"image_{k}" for k in range(len(some))]


def test_unrelated_images_use_several_threads(
    frames: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three images wait for each other, so that one thread alone would time out."""
    barrier = threading.Barrier(3)
    original = fa.Pipeline.analyze
    threads: set[int] = set()

    def analyze_together(self: fa.Pipeline, frame: Any, **options: Any) -> Any:
        barrier.wait(60)
        threads.add(threading.get_ident())
        return original(self, frame, **options)

    monkeypatch.setattr(fa.Pipeline, "analyze", analyze_together)
    monkeypatch.setattr(image_workers, "cpu_count", lambda: 3)
    assert len(fa.analyze(frames[-3:])) == 3
    assert len(threads) == 3


def test_folder_of_images_is_unrelated_images(tmp_path: Path, frames: list[np.ndarray]) -> None:
    import cv2

    for k in range(3):
        cv2.imwrite(str(tmp_path / f"{k}.png"), frames[20 * k])
    got = fa.analyze(tmp_path)
    expected = np.concatenate(by_hand(frames[:60:20], unrelated=True))
    np.testing.assert_array_equal(got.affect.au_probability, expected)
    assert [Path(view.source).name for view in got] == ["0.png", "1.png", "2.png"]


def test_list_may_mix_paths_and_images(clip: Path, frames: list[np.ndarray]) -> None:
    got = fa.analyze([clip, frames[-1], str(clip.with_name("face.jpg"))])
    assert len(got) == len(frames) + 2
    assert got[-2].source == "image_1"
    ids = got.faces.track_id
    assert len(set(ids[:60].tolist())) == 1
    assert len({*ids[-3:].tolist()}) == 3, "inputs share no face"


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_pil_image_is_the_same_as_its_array(frames: list[np.ndarray], mode: str) -> None:
    from PIL import Image

    rgb = np.ascontiguousarray(frames[-1][:, :, ::-1])
    image = Image.fromarray(rgb).convert(mode)
    expected = fa.analyze(
        np.asarray(image)[:, :, :3] if mode != "L" else np.asarray(image), pixel_format="RGB"
    )
    got = fa.analyze(image)
    assert len(got.faces) == 1
    np.testing.assert_array_equal(got.affect.au_probability, expected.affect.au_probability)


def test_pil_image_is_turned_as_its_exif_data_says(frames: list[np.ndarray]) -> None:
    from PIL import Image

    upright = Image.fromarray(np.ascontiguousarray(frames[-1][:, :, ::-1]))
    turned = upright.rotate(90, expand=True)
    turned.getexif()[0x0112] = 6  # rotate 90 degrees clockwise to view
    got = fa.analyze(turned)
    np.testing.assert_array_equal(got.faces.box_xyxy, fa.analyze(upright).faces.box_xyxy)


def test_order_of_channels_matters(frames: list[np.ndarray]) -> None:
    rgb = np.ascontiguousarray(frames[-1][:, :, ::-1])
    bgr, told = fa.analyze(frames[-1]), fa.analyze(rgb, pixel_format="RGB")
    np.testing.assert_array_equal(told.affect.valence, bgr.affect.valence)
    assert fa.analyze(rgb).affect.valence != bgr.affect.valence


def test_pipeline_takes_arrays(frames: list[np.ndarray]) -> None:
    gray = frames[-1].mean(axis=2).astype(np.uint8)
    with fa.open_pipeline() as pipeline:
        _, color = pipeline.analyze(frames[-1])
        pipeline.reset()
        faces, _ = pipeline.analyze(gray)
        pipeline.reset()
        rgb = np.ascontiguousarray(frames[-1][:, :, ::-1])
        _, told = pipeline.analyze(rgb, pixel_format="RGB")
    assert len(faces) == 1
    np.testing.assert_array_equal(color.au_probability, told.au_probability)


@pytest.mark.parametrize(
    ("value", "expected", "remedy"),
    [
        (3.5, "got float", "pass a path"),
        (None, "got NoneType", "check the path"),
        (b"bytes", "got bytes", "cv2.imdecode"),
        ({"a": 1}, "got dict", "list(images.values())"),
        ([None], "at position 0 of the list, got NoneType", "check the path"),
        (np.zeros((9, 9, 3), np.float32), "got float32 (9, 9, 3)", "scale it to 0 to 255"),
        (np.zeros((9, 9, 3), np.int64), "got int64 (9, 9, 3)", "astype(numpy.uint8)"),
        (np.zeros((9, 9, 4), np.uint8), "got uint8 (9, 9, 4)", "image[..., :3]"),
        (np.zeros((9, 9, 1), np.uint8), "got uint8 (9, 9, 1)", "image[..., 0]"),
        (np.zeros((3, 9, 9), np.uint8), "got uint8 (3, 9, 9)", "transpose(1, 2, 0)"),
        (np.zeros((5, 9, 9, 3), np.uint8), "got uint8 (5, 9, 9, 3)", "iter(array)"),
        (iter(["a.jpg"]), "got str", "pass its path"),
        (SimpleNamespace(detach=0, __iter__=0), "got types.SimpleNamespace", "pass tensor.permute"),
    ],
)
def test_wrong_types_name_a_remedy(
    value: object, expected: str, remedy: str, trained: None
) -> None:
    with pytest.raises(fa.InputError) as caught:
        fa.analyze(value)  # type: ignore[arg-type]
    assert expected in str(caught.value)
    assert remedy in str(caught.value)


@pytest.mark.parametrize("source", [0, "0", "rtsp://host/live"])
def test_live_sources_are_sent_to_stream(source: Any) -> None:
    with pytest.raises(fa.SourceError, match=r"faceaffect\.stream"):
        fa.analyze(source)


def test_no_face_and_no_frame_are_results(tmp_path: Path, trained: None) -> None:
    got = fa.analyze(np.zeros((90, 90, 3), np.uint8))
    assert (len(got), len(got.faces), len(got[0])) == (1, 0, 0)
    assert "No face was found" in got._repr_html_()
    empty = fa.analyze([])
    assert (len(empty), len(empty.to_pandas())) == (0, 0)
    assert list(empty.to_pandas().columns) == list(got.columns())


def test_progress_calls_back_with_growing_numbers(frames: list[np.ndarray], clip: Path) -> None:
    calls: list[fa.Progress] = []
    fa.analyze([clip] * 3, progress=calls.append, jobs=1)
    counts = [one.frames for one in calls]
    assert counts == sorted(counts)
    assert (counts[-1], calls[-1].faces) == (180, 180)


def test_progress_bar_is_shown_in_terminals_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert open_bar() is None, "standard error is captured"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    bar = open_bar()
    assert isinstance(bar, TerminalBar)
    bar(fa.Progress(1, 100, 1, 0.1))
    assert capsys.readouterr().err == "", "short runs show nothing"
    bar(fa.Progress(50, 100, 50, 2.0))
    bar.close()
    assert "50/100" in capsys.readouterr().err


def test_progress_bar_of_notebooks(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, html: str) -> None:
            shown.append(html)

    display = SimpleNamespace(HTML=str, display=lambda html, display_id: Handle())
    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    bar = open_bar()
    assert isinstance(bar, NotebookBar)
    bar(fa.Progress(50, 200, 50, 2.0))
    bar.close()
    assert 'value="50" max="200"' in shown[0]
    assert "25 per second" in shown[0]
    assert shown[-1] == ""


def test_library_prints_nothing(
    clip: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        fa.analyze(clip)
    assert capfd.readouterr() == ("", "")


def test_notes_of_sources_are_warnings(tmp_path: Path, clip: Path) -> None:
    """A file that ends in the middle of its data."""
    damaged = tmp_path / "damaged.mp4"
    content = bytearray(clip.read_bytes())
    middle = len(content) // 3
    content[middle : middle + 6000] = bytes(6000)
    damaged.write_bytes(content)
    with pytest.warns(UserWarning, match=r"damaged\.mp4"):
        got = fa.analyze(damaged)
    assert any("damaged.mp4" in note for note in got.notes)


@pytest.mark.parametrize("call", [fa.analyze, fa.stream])
def test_options_of_the_pipeline_are_passed_on(
    call: Callable[..., Any], clip: Path, trained: None
) -> None:
    with pytest.raises(ValueError, match="max_faces >= 1"):
        call(clip, max_faces=0)
    with pytest.raises(TypeError, match="no_such_option"):
        call(clip, no_such_option=1)
