from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from faceaffect.drawing.annotator import FaceAnnotator
from faceaffect.drawing.label_placement import Box, overlap_px, place_label
from faceaffect.sinks import OverwritePolicy, SinkError
from faceaffect.sinks.background_overlay import BackgroundOverlay
from faceaffect.sinks.open_overlay import check_overlay, open_overlay, overlay_stems
from faceaffect.sinks.overlay_video import OverlayVideo, fit_into
from faceaffect.sources import open_source
from faceaffect.types import Affect, Faces, Frame, PixelFormat
from tests.sdk.sinks.synthetic_results import synthetic_result

OVERWRITE, REFUSE, RESUME = (
    OverwritePolicy.OVERWRITE,
    OverwritePolicy.REFUSE,
    OverwritePolicy.RESUME,
)


def blank(width: int, height: int, index: int = 0, time_s: float = 0.0) -> Frame:
    return Frame(
        np.full((height, width, 3), 90, np.uint8), index=index, time_s=time_s, source="clip.mp4"
    )


def face_at(*box_xyxy: float) -> tuple[Faces, Affect]:
    _, faces, affect = synthetic_result(1)
    faces.box_xyxy[0], faces.landmarks_xy[0] = box_xyxy, box_xyxy[:2]
    return faces, affect


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 360), (640, 360)),
        ((112, 112), (635, 448)),
        ((1, 1), (510, 360)),
        ((360, 640), (627, 640)),
    ],
)
def test_size_depends_on_the_frame_only(size: tuple[int, int], expected: tuple[int, int]) -> None:
    shapes = {
        FaceAnnotator().draw(blank(*size), *synthetic_result(2, count)[1:]).shape
        for count in (0, 1, 3)
    }
    assert {(width, height) for height, width, _ in shapes} == {expected}
    assert len(shapes) == 1


@pytest.mark.parametrize(
    ("box", "side"), [((20, 60, 200, 260), "right"), ((430, 60, 620, 260), "left")]
)
def test_panel_keeps_away_from_the_face(box: tuple[int, int, int, int], side: str) -> None:
    drawn = FaceAnnotator().draw(blank(640, 360), *face_at(*box))
    untouched = (drawn == 90).all(axis=2).mean(axis=0)  # share per column
    panel, away = (
        (untouched[:150], untouched[-15:]) if side == "left" else (untouched[-150:], untouched[:15])
    )
    assert panel.max() < 0.05
    assert away.min() > 0.95
    middle = drawn[box[1] + 20 : box[3] - 20, box[0] + 20 : box[2] - 20]
    assert (middle == 90).all()


def test_labels_cover_neither_faces_nor_each_other() -> None:
    faces: list[Box] = [(100, 100, 160, 160), (165, 105, 225, 165), (110, 30, 170, 90)]
    taken = list(faces)
    for face in faces:
        taken.append(place_label(face, (70, 20), (320, 240), taken))
    for place in taken[3:]:
        assert [
            other for other in taken if other is not place and overlap_px(place, other) > 0
        ] == []
        assert min(place) >= 0
        assert place[2] <= 320
        assert place[3] <= 240


def test_active_units_are_highlighted() -> None:
    faces, affect = face_at(20, 60, 200, 260)
    affect.au_probability[:], affect.au_active[:] = 0.9, False
    off = FaceAnnotator().draw(blank(640, 360), faces, affect)
    affect.au_active[0, 3] = True
    on = FaceAnnotator().draw(blank(640, 360), faces, affect)
    rows = np.flatnonzero((off != on).any(axis=(1, 2)))
    assert 35 <= rows.min() < rows.max() <= 60  # the fourth row of bars, and no other


@pytest.mark.parametrize("layout", list(PixelFormat))
def test_every_layout_is_drawn_and_the_frame_left_alone(layout: PixelFormat) -> None:
    shape = {PixelFormat.GRAY: (240, 320), PixelFormat.NV12: (360, 320)}.get(layout, (240, 320, 3))
    pixels = np.full(shape, 128, np.uint8)
    drawn = FaceAnnotator().draw(Frame(pixels, layout), *synthetic_result(1)[1:])
    assert drawn.shape[2] == 3
    assert (pixels == 128).all()


@pytest.mark.parametrize("name", ["out.mp4", "out.webm", "out.avi"])
def test_video_plays_with_the_rate_of_its_source(tmp_path: Path, name: str) -> None:
    video = OverlayVideo(tmp_path / name, 24000 / 1001)
    for index in range(20):
        video.write(
            blank(63, 47, index, index * 1001 / 24000), np.full((47, 63, 3), 8 * index, np.uint8)
        )
    video.close()
    with open_source(tmp_path / name) as source:
        frames = list(source)
    assert len(frames) == 20
    assert source.fps == pytest.approx(23.976, abs=0.01)
    assert frames[0].pixels.shape == (48, 64, 3)


def test_video_keeps_the_time_of_a_source_with_gaps(tmp_path: Path) -> None:
    video = OverlayVideo(tmp_path / "out.mp4", 10)
    for index, time_s in enumerate((5.0, 5.1, 5.5, 5.6)):
        video.write(blank(64, 48, index, time_s), np.zeros((48, 64, 3), np.uint8))
    video.close()
    with open_source(tmp_path / "out.mp4") as source:
        assert len(list(source)) == 7


def test_other_size_is_fitted_not_dropped() -> None:
    fitted = fit_into(np.full((100, 50, 3), 9, np.uint8), (64, 48))
    assert fitted.shape == (48, 64, 3)
    assert (fitted[:, :24] == 9).all()
    assert (fitted[:, 24:] == 0).all()


def write_image(path: Path) -> Path:
    path.write_bytes(cv2.imencode(".png", np.zeros((90, 120, 3), np.uint8))[1].tobytes())
    return path


def overlay_all(path: Path, source_path: Path, when: OverwritePolicy = REFUSE) -> None:
    with open_source(source_path) as source:
        overlay = open_overlay(path, source, when, (0.5,) * 12)
        for frame in source:
            overlay.write(frame, *synthetic_result(frame.index)[1:])
        overlay.close()


def test_image_sources_become_images(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    write_image(folder / "a.png"), write_image(folder / "b.png")
    overlay_all(tmp_path / "one.jpg", folder / "a.png")
    overlay_all(tmp_path / "drawn", folder)
    assert (tmp_path / "one.jpg").is_file()
    assert sorted(path.name for path in (tmp_path / "drawn" / "photos").iterdir()) == [
        "a.png",
        "b.png",
    ]
    with pytest.raises(SinkError, match="one image only"):
        overlay_all(tmp_path / "two.png", folder)


def test_existing_overlay_is_kept_and_a_resume_writes_a_second_part(tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png")
    overlay_all(tmp_path / "out.mp4", image)
    with pytest.raises(SinkError, match="exists already"):
        check_overlay(tmp_path / "out.mp4", 1, REFUSE)
    overlay_all(tmp_path / "out.mp4", image, RESUME)
    assert (tmp_path / "out.part2.mp4").is_file()


@pytest.mark.parametrize(
    ("name", "count", "message"), [("o.gif", 1, "must end in"), ("o.mp4", 2, "cannot show 2")]
)
def test_overlays_that_cannot_be(tmp_path: Path, name: str, count: int, message: str) -> None:
    with pytest.raises(SinkError, match=message):
        check_overlay(tmp_path / name, count, REFUSE)


def test_sources_of_one_name_get_overlays_of_their_own() -> None:
    stems = overlay_stems(
        ["a/clip.mp4", "b/clip.mov", "b/clip_2.mp4", "c/other.mp4", "d/bad\udcff.mp4"]
    )
    assert list(stems.values()) == ["clip", "clip_2", "clip_2_2", "other", "bad\\udcff"]


def test_an_input_is_never_drawn_over(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    image = write_image(folder / "a.png")
    before = image.read_bytes()
    with open_source(image) as source, pytest.raises(SinkError, match="is an input"):
        open_overlay(folder, source, OverwritePolicy.OVERWRITE, (0.5,) * 12)
    other = write_image(tmp_path / "b.png")
    with open_source(other) as source, pytest.raises(SinkError, match="is an input"):
        open_overlay(
            image, source, OverwritePolicy.OVERWRITE, (0.5,) * 12, inputs=[str(other), str(image)]
        )
    with pytest.raises(SinkError, match="is an input"):
        overlay_all(tmp_path, folder)
    assert image.read_bytes() == before


def test_a_place_that_cannot_be_written_is_known_before_anything_is_analyzed(
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


def test_a_video_that_the_disk_had_no_room_for_is_told(tmp_path: Path) -> None:
    """OpenCV itself says nothing: the file is cut short here as a full disk would."""
    video = OverlayVideo(tmp_path / "out.mp4", 25)
    for index in range(20):
        video.write(blank(64, 48, index, index / 25), np.zeros((48, 64, 3), np.uint8))
    real, video._writer = video._writer, _Torn(video._writer, tmp_path / "out.mp4")
    with pytest.raises(SinkError, match="only a part could be written"):
        video.close()
    assert not real.isOpened()


class _Torn:
    def __init__(self, writer: Any, path: Path) -> None:
        self._writer, self._path = writer, path

    def release(self) -> None:
        self._writer.release()
        self._path.write_bytes(self._path.read_bytes()[:600])


def test_error_in_the_background_reaches_the_caller_and_hangs_nobody(tmp_path: Path) -> None:
    class Broken(OverlayVideo):
        def write(self, frame: Frame, image: np.ndarray) -> None:
            raise SinkError("broken")

    overlay = BackgroundOverlay(Broken(tmp_path / "out.mp4", 25), FaceAnnotator())

    def run() -> None:
        for index in range(50):
            overlay.write(*synthetic_result(index))

    with pytest.raises(SinkError, match="broken"):
        run()
    with pytest.raises(SinkError, match="broken"):
        overlay.close()
    assert not overlay._thread.is_alive()


@pytest.mark.parametrize("count", [1, 2])
def test_what_the_model_does_not_read_is_left_out(count: int) -> None:
    frame, faces, whole = blank(640, 360), *synthetic_result(3, count)[1:]
    nan = np.float32(np.nan)
    empty = Affect(
        nan * whole.au_probability,
        whole.au_active & False,
        nan * whole.expression_probability,
        nan * whole.valence,
        nan * whole.arousal,
    )
    drawn, full = (
        FaceAnnotator().draw(frame, faces, empty),
        FaceAnnotator().draw(frame, faces, whole),
    )
    assert drawn.shape == full.shape
    colors = {(60, 190, 255), (120, 220, 120)}  # of what is on, and of the best expression
    seen = {color for color in colors if (full == color).all(axis=2).any()}
    assert seen if count == 1 else True
    panel = drawn[:, -150:]
    assert not any((panel == color).all(axis=2).any() for color in seen)
