from __future__ import annotations

from pathlib import Path

import pytest

from faceaffect.batch import Input, find_inputs
from faceaffect.sources.source import SourceError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_a_folder_stands_for_the_videos_below_it(tmp_path: Path) -> None:
    touch(
        tmp_path, "b/10.mp4", "b/2.MOV", "a.mkv", "c.GIF", "notes.txt", "still.png", ".cache/x.mp4"
    )
    assert [(one.uri, one.name) for one in find_inputs([str(tmp_path)])] == [
        (str(tmp_path / name), name) for name in ("a.mkv", "b/2.MOV", "b/10.mp4", "c.GIF")
    ]


def test_a_pattern_names_its_videos_from_where_it_begins_to_vary(tmp_path: Path) -> None:
    touch(tmp_path, "2024/a.mp4", "2024/deep/a.mp4", "2025/a.mp4", "2025/readme.md")
    assert [one.name for one in find_inputs([f"{tmp_path}/2024/**/*.mp4"])] == [
        "a.mp4",
        "deep/a.mp4",
    ]
    assert [one.name for one in find_inputs([f"{tmp_path}/*/a.mp4"])] == [
        "2024/a.mp4",
        "2025/a.mp4",
    ]


def test_a_name_does_not_depend_on_the_other_inputs(tmp_path: Path) -> None:
    touch(tmp_path, "a/one.mp4", "a/b/two.mp4")
    before = find_inputs([str(tmp_path)])
    touch(tmp_path, "0/zero.mp4", "z.mp4")
    assert set(before) < set(find_inputs([str(tmp_path)]))


def test_folders_of_images_are_one_input_each(tmp_path: Path) -> None:
    touch(tmp_path, "v1/1.jpg", "v1/2.jpg", "v2/1.png", "empty/notes.txt")
    wanted = [Input(str(tmp_path / name), name) for name in ("v1", "v2")]
    assert find_inputs([str(tmp_path)]) == wanted
    assert find_inputs([f"{tmp_path}/*"]) == wanted
    assert find_inputs([f"{tmp_path}/v1/*.jpg"]) == [Input(f"{tmp_path}/v1/*.jpg", "v1")]


def test_each_input_comes_once_and_a_missing_file_is_left_to_fail_alone(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    clip = str(tmp_path / "a.mp4")
    assert [one.name for one in find_inputs([clip, str(tmp_path / "none.mp4"), clip])] == [
        "a.mp4",
        "none.mp4",
    ]


@pytest.mark.parametrize("given", ["", "*.mp4"])
def test_a_link_to_a_video_that_is_gone_is_left_to_fail_by_name(tmp_path: Path, given: str) -> None:
    touch(tmp_path, "a.mp4")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (tmp_path / "folder.mp4").mkdir()
    assert [one.name for one in find_inputs([str(tmp_path / given)])] == ["a.mp4", "gone.mp4"]


def test_two_inputs_of_one_name_are_refused_with_both(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.mp4", "b/x.mp4")
    with pytest.raises(SourceError, match=r"a/x\.mp4 and .*b/x\.mp4 would both be x\.mp4"):
        find_inputs([str(tmp_path / "a/x.mp4"), str(tmp_path / "b/x.mp4")])


@pytest.mark.parametrize("uri", ["", "*.mp4"])
def test_nothing_found_is_an_error(tmp_path: Path, uri: str) -> None:
    with pytest.raises(SourceError, match="none are there"):
        find_inputs([f"{tmp_path}/{uri}"])


def test_remote_folders_and_patterns_are_named_like_local_ones() -> None:
    fsspec = pytest.importorskip("fsspec")
    system = fsspec.filesystem("memory")
    for name in ("2024/a.mp4", "2024/deep/b.mov", "2024/notes.txt"):
        system.pipe_file(f"/archive/{name}", b"x")
    try:
        assert [one.name for one in find_inputs(["memory://archive"])] == [
            "2024/a.mp4",
            "2024/deep/b.mov",
        ]
        found = find_inputs(["memory://archive/2024/**/*.mp4"])
        assert found == [Input("memory:///archive/2024/a.mp4", "a.mp4")]
        assert find_inputs(["memory://archive/2024/a.mp4"])[0].name == "a.mp4"
        with pytest.raises(SourceError, match="none are there"):
            find_inputs(["memory://archive/2023/*.mp4"])
    finally:
        system.rm("/archive", recursive=True)
