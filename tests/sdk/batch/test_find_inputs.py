"""Tests of find_inputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceaffect.batch import Input, find_inputs
from faceaffect.sources.source import SourceError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_find_inputs_folder_lists_videos_below_it(tmp_path: Path) -> None:
    touch(tmp_path, "b/10.mp4", "b/2.MOV", "a.mkv", "c.GIF", "notes.txt", ".cache/x.mp4")
    assert [(one.uri, one.name) for one in find_inputs([str(tmp_path)]).inputs] == [
        (str(tmp_path / name), name) for name in ("a.mkv", "b/2.MOV", "b/10.mp4", "c.GIF")
    ]


def test_find_inputs_pattern_names_videos_from_first_wildcard(tmp_path: Path) -> None:
    touch(tmp_path, "2024/a.mp4", "2024/deep/a.mp4", "2025/a.mp4", "2025/readme.md")
    assert [one.name for one in find_inputs([f"{tmp_path}/2024/**/*.mp4"]).inputs] == [
        "a.mp4",
        "deep/a.mp4",
    ]
    assert [one.name for one in find_inputs([f"{tmp_path}/*/a.mp4"]).inputs] == [
        "2024/a.mp4",
        "2025/a.mp4",
    ]


def test_find_inputs_name_does_not_depend_on_other_inputs(tmp_path: Path) -> None:
    touch(tmp_path, "a/one.mp4", "a/b/two.mp4")
    before = find_inputs([str(tmp_path)]).inputs
    touch(tmp_path, "0/zero.mp4", "z.mp4")
    assert set(before) < set(find_inputs([str(tmp_path)]).inputs)


def test_find_inputs_image_folder_is_one_input(tmp_path: Path) -> None:
    touch(tmp_path, "v1/1.jpg", "v1/2.jpg", "v2/1.png", "empty/notes.txt")
    expected = [Input(str(tmp_path / name), name) for name in ("v1", "v2")]
    assert find_inputs([str(tmp_path)]).inputs == expected
    assert find_inputs([f"{tmp_path}/*"]).inputs == expected
    assert find_inputs([f"{tmp_path}/v1/*.jpg"]).inputs == [Input(f"{tmp_path}/v1/*.jpg", "v1")]


def test_find_inputs_drops_duplicates_and_keeps_missing_file(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    clip = str(tmp_path / "a.mp4")
    assert [one.name for one in find_inputs([clip, str(tmp_path / "none.mp4"), clip]).inputs] == [
        "a.mp4",
        "none.mp4",
    ]


@pytest.mark.parametrize("pattern", ["", "*.mp4"])
def test_find_inputs_keeps_dangling_link(tmp_path: Path, pattern: str) -> None:
    touch(tmp_path, "a.mp4")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (tmp_path / "folder.mp4").mkdir()
    assert [one.name for one in find_inputs([str(tmp_path / pattern)]).inputs] == [
        "a.mp4",
        "gone.mp4",
    ]


def test_find_inputs_same_output_name_raises(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.mp4", "b/x.mp4")
    with pytest.raises(
        SourceError, match=r"a/x\.mp4 and .*b/x\.mp4 would both be written to x\.mp4"
    ):
        find_inputs([str(tmp_path / "a/x.mp4"), str(tmp_path / "b/x.mp4")])


@pytest.mark.parametrize("uri", ["", "*.mp4"])
def test_find_inputs_empty_raises(tmp_path: Path, uri: str) -> None:
    with pytest.raises(SourceError, match="found none"):
        find_inputs([f"{tmp_path}/{uri}"])


def test_find_inputs_remote_names_equal_local_names() -> None:
    fsspec = pytest.importorskip("fsspec")
    system = fsspec.filesystem("memory")
    for name in ("2024/a.mp4", "2024/deep/b.mov", "2024/notes.txt"):
        system.pipe_file(f"/videos/{name}", b"x")
    try:
        assert [one.name for one in find_inputs(["memory://videos"]).inputs] == [
            "2024/a.mp4",
            "2024/deep/b.mov",
        ]
        inputs = find_inputs(["memory://videos/2024/**/*.mp4"]).inputs
        assert inputs == [Input("memory:///videos/2024/a.mp4", "a.mp4")]
        assert find_inputs(["memory://videos/2024/a.mp4"]).inputs[0].name == "a.mp4"
        with pytest.raises(SourceError, match="found none"):
            find_inputs(["memory://videos/2023/*.mp4"])
    finally:
        system.rm("/videos", recursive=True)
