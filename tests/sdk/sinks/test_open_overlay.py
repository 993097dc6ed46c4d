"""Selection of an overlay sink by its path, and checks before anything is drawn."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from faceaffect.sinks import OverwritePolicy, SinkError
from faceaffect.sinks.open_overlay import check_overlay, open_overlay, overlay_stems
from faceaffect.sources import open_source
from tests.sdk.sinks.synthetic_results import synthetic_result

OVERWRITE = OverwritePolicy.OVERWRITE
REFUSE = OverwritePolicy.REFUSE
RESUME = OverwritePolicy.RESUME


def write_image(path: Path) -> Path:
    path.write_bytes(cv2.imencode(".png", np.zeros((90, 120, 3), np.uint8))[1].tobytes())
    return path


def write_overlay(path: Path, source_path: Path, when: OverwritePolicy = REFUSE) -> None:
    with open_source(source_path) as source:
        overlay = open_overlay(path, source, when, (0.5,) * 12)
        for frame in source:
            overlay.write(frame, *synthetic_result(frame.index)[1:])
        overlay.close()


def test_overlay_of_images_is_images(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    write_image(folder / "a.png")
    write_image(folder / "b.png")
    write_overlay(tmp_path / "one.jpg", folder / "a.png")
    write_overlay(tmp_path / "drawn", folder)
    assert (tmp_path / "one.jpg").is_file()
    assert sorted(path.name for path in (tmp_path / "drawn" / "photos").iterdir()) == [
        "a.png",
        "b.png",
    ]
    with pytest.raises(SinkError, match="one image only"):
        write_overlay(tmp_path / "two.png", folder)


def test_existing_overlay_is_refused_and_resume_writes_second_part(tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png")
    write_overlay(tmp_path / "out.mp4", image)
    with pytest.raises(SinkError, match="exists already"):
        check_overlay(tmp_path / "out.mp4", 1, REFUSE)
    write_overlay(tmp_path / "out.mp4", image, RESUME)
    assert (tmp_path / "out.part2.mp4").is_file()


@pytest.mark.parametrize(
    ("name", "count", "message"), [("o.gif", 1, "must end in"), ("o.mp4", 2, "cannot show 2")]
)
def test_check_overlay_with_impossible_path_raises_sink_error(
    tmp_path: Path, name: str, count: int, message: str
) -> None:
    with pytest.raises(SinkError, match=message):
        check_overlay(tmp_path / name, count, REFUSE)


def test_overlay_stems_of_equal_names_are_unique() -> None:
    stems = overlay_stems(
        ["a/clip.mp4", "b/clip.mov", "b/clip_2.mp4", "c/other.mp4", "d/bad\udcff.mp4"]
    )
    assert list(stems.values()) == ["clip", "clip_2", "clip_2_2", "other", "bad\\udcff"]


def test_open_overlay_never_overwrites_an_input(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    image = write_image(folder / "a.png")
    before = image.read_bytes()
    with open_source(image) as source, pytest.raises(SinkError, match="is an input"):
        open_overlay(folder, source, OVERWRITE, (0.5,) * 12)
    other = write_image(tmp_path / "b.png")
    with open_source(other) as source, pytest.raises(SinkError, match="is an input"):
        open_overlay(image, source, OVERWRITE, (0.5,) * 12, inputs=[str(other), str(image)])
    with pytest.raises(SinkError, match="is an input"):
        write_overlay(tmp_path, folder)
    assert image.read_bytes() == before


def test_check_overlay_with_unwritable_path_raises_sink_error(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.mp4").mkdir()
    for path in (tmp_path / "file" / "sub", tmp_path / "file", tmp_path / "folder.mp4"):
        with pytest.raises(SinkError, match="cannot be written"):
            check_overlay(path, 1, REFUSE)
    with pytest.raises(SinkError, match="in UTF-8"):
        check_overlay(tmp_path / "bad\udcff.mp4", 1, REFUSE)
    check_overlay(tmp_path / "new" / "deep", 2, REFUSE)
