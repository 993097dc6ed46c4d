"""docs/affwild2.md, walked through on a synthetic copy of the official layout."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from faceaffect.labels import EXPRESSION_NAMES
from tests.training.datasets.synthetic_affwild2 import HEADER_AU, HEADER_EXPR, HEADER_VA
from tests.training.methods.network_cases import SMALL
from training.__main__ import main
from training.methods.recipe_lookup import RECIPES, find_recipe

pytestmark = [pytest.mark.train, pytest.mark.timeout(300)]

PAGE = Path(__file__).parents[2] / "docs" / "affwild2.md"
FRAMES = 14
SPLITS = {
    "Train_Set": ("1", "2-30-640x360_left", "2-30-640x360_right", "7"),
    "Validation_Set": ("4",),
}
TEST_VIDEO = "9-24-1920x1080"
LOOKING_AHEAD = {
    "M2": ["net.causal=false"],
    "M5": ["net.clip=3d", "net.base=8", "sampling.every=3"],
    "M7": ["net.causal=false", "sampling.pairs=12", "epochs=1"],
    "M8": ["net.recurrence=both", "net.window=6", "sampling.drop_gaps=false"],
}
"""The published forms of the networks that have no streaming form, or another one."""


YEARS: dict[str, dict[str, str]] = {
    "annotations": {task: task for task in ("AU_Set", "EXPR_Set", "VA_Set")},
    "7th_ABAW_Annotations": {
        "AU_Set": "AU_Detection_Challenge",
        "EXPR_Set": "EXPR_Classification_Challenge",
        "VA_Set": "VA_Estimation_Challenge",
    },
}
"""Annotation folders of ABAW2 and of a later year, by task."""


def write_copy(root: Path, year: str = "annotations") -> Path:
    """Videos with all labels of their split, of which some frames lack a crop, and a test video."""
    random = np.random.default_rng(0)
    later = year != "annotations"
    header_expr = f"{HEADER_EXPR},Other" if later else HEADER_EXPR
    for split, videos in SPLITS.items():
        for video in videos:
            au = (random.random((FRAMES, 12)) < 0.5).astype(int)
            rows = {
                "AU_Set": (HEADER_AU, [",".join(map(str, row)) for row in au]),
                "EXPR_Set": (header_expr, [str(k) for k in random.integers(0, 7 + later, FRAMES)]),
                "VA_Set": (
                    HEADER_VA,
                    [f"{v:.3f},{a:.3f}" for v, a in random.uniform(-1, 1, (FRAMES, 2))],
                ),
            }
            for task, (header, lines) in rows.items():
                path = root / year / YEARS[year][task] / split / f"{video}.txt"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("\n".join([header, *lines]) + "\n")
            write_crops(root, video, [k for k in range(1, FRAMES + 1) if k != 3], random)
    write_crops(root, TEST_VIDEO, [2, 3, 4, 5, 7], random)
    if later:
        lists = root / "names_of_videos_in_each_test_set"
        lists.mkdir()
        (lists / "MTL_Challenge_test_set_release.txt").write_text(
            "Image\n" + "".join(f"{TEST_VIDEO}/{k:05d}.jpg\n" for k in (3, 2, 7))
        )
        for name in ("Action_Unit_Detection", "Expression_Recognition", "Valence_Arousal"):
            (lists / f"{name}_Challenge_test_set_release.txt").write_text(f"{TEST_VIDEO}\n")
    for task in () if later else ("AU", "Expr", "VA"):
        (root / f"test_set_{task}_Challenge.txt").write_text(f"{TEST_VIDEO}\n")
    return root


def write_crops(root: Path, video: str, frames: list[int], random: np.random.Generator) -> None:
    for frame in frames:
        path = root / "cropped_aligned" / video / f"{frame:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = random.integers(0, 256, (7, 7, 3)).astype(np.uint8)
        cv2.imwrite(str(path), cv2.resize(coarse, (112, 112)))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_copy(tmp_path_factory.mktemp("affwild2"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def command(start: str) -> list[str]:
    """The page's command that starts so, without options that need a GPU or public weights."""
    (line,) = (text for text in PAGE.read_text().splitlines() if text.startswith(start))
    line = re.sub(r" --set trunk_weights=\S+| --bf16| --device cuda", "", line)
    return shlex.split(line)[3:]


def call(arguments: list[str], copy: Path) -> str:
    filled = [text.replace("$AFFWILD2", str(copy)) for text in arguments]
    result = CliRunner().invoke(main, filled, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_scan_command_of_page_lists_the_copy(copy: Path, cache: Path) -> None:
    output = call([*command("python -m training data scan"), "--cache", str(cache)], copy)
    assert "Train" in output or "train" in output


@pytest.mark.parametrize("paper", [f"M{k}" for k in range(1, 9)])
def test_commands_of_page_lead_to_submission_files(
    paper: str, copy: Path, cache: Path, tmp_path: Path
) -> None:
    name = RECIPES[int(paper[1]) - 1]
    small = ["--preset", "compact", "--steps", "2", "--cache", str(cache)]
    options = [*SMALL[name], "batch=4", *LOOKING_AHEAD.get(paper, [])]
    if paper == "M1":
        options += ["first_stage.batch=4"]
    small += [part for option in options for part in ("--set", option)]
    train = command(f"python -m training train {paper} ")
    out = train.index("--out") + 1
    assert train[out] == f"runs/{paper}"
    train[out] = str(tmp_path / paper)
    call([*train, *small], copy)
    evaluate = command("python -m training evaluate runs/M1")
    evaluate[1], evaluate[-1] = str(tmp_path / paper), str(tmp_path / "test")
    call([*evaluate, "--cache", str(cache), "--smooth", "auto"], copy)
    labels = {term.label for term in find_recipe(paper).losses}
    folder = tmp_path / "test" / "submission"
    columns = {
        "AU_Set": ("au", HEADER_AU, 12),
        "EXPR_Set": ("expression", HEADER_EXPR, 1),
        "VA_Set": ("va", HEADER_VA, 2),
    }
    expected = {task for task, (label, _, _) in columns.items() if label in labels}
    assert {path.parent.name for path in folder.glob("*/*.txt")} == expected
    for task in expected:
        (path,) = (folder / task).glob("*.txt")
        assert path.stem == TEST_VIDEO
        header, *rows = path.read_text().splitlines()
        assert header == columns[task][1]
        assert len(rows) == 7, "a row for every frame up to the last crop"
        values = np.array([row.split(",") for row in rows], float)
        assert values.shape[1] == columns[task][2]
        assert (values[5] == values[4]).all(), "a frame without a crop repeats the one before"
    shutil.rmtree(tmp_path / paper)


def test_commands_of_page_lead_to_files_of_later_years(tmp_path: Path) -> None:
    later = write_copy(tmp_path / "affwild2", "7th_ABAW_Annotations")
    train = command("python -m training train feature_pyramid ")
    train[train.index("--out") + 1] = str(tmp_path / "run")
    small = [*SMALL["feature_pyramid"], "batch=4", "targets=ignore"]
    options = ["--preset", "compact", "--steps", "2", "--cache", str(tmp_path / "cache")]
    call([*train, *options, *(part for each in small for part in ("--set", each))], later)
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert "other" in json.dumps(scores)
    evaluate = command("python -m training evaluate runs/M6-eight")
    evaluate[1], evaluate[-1] = str(tmp_path / "run"), str(tmp_path / "test")
    call([*evaluate, "--cache", str(tmp_path / "cache")], later)
    folder = tmp_path / "test" / "submission"
    header, *rows = (folder / "predictions.txt").read_text().splitlines()
    assert header == "image,valence,arousal,expression,aus"
    assert [row.split(",")[0] for row in rows] == [
        f"{TEST_VIDEO}/{k:05d}.jpg" for k in (3, 2, 7)
    ], "the images of the list, in its order"
    values = np.array([row.split(",")[1:] for row in rows], float)
    assert values.shape == (3, 2 + 1 + 12)
    header, *rows = (folder / "EXPR_Set" / "predictions.txt").read_text().splitlines()
    assert header == f"image_location,{HEADER_EXPR},Other"
    assert len(rows) == 7
    assert [float(row.split(",")[1]) for row in rows][2] == values[0, 2], "frame 3 in both files"


def test_default_network_gives_submission_files_and_scores_of_abaw3(tmp_path: Path) -> None:
    later = write_copy(tmp_path / "affwild2", "7th_ABAW_Annotations")
    evaluate = command("python -m training evaluate default")
    evaluate[-1] = str(tmp_path / "out")
    call([*evaluate, "--bootstrap-samples", "100"], later)
    results = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert results["origin"]["rules"] == "abaw3"
    assert set(results["expression"]["by_class"]) == {*EXPRESSION_NAMES, "other"}
    assert results["expression"]["by_class"]["other"]["frames"] > 0
    assert results["expression"]["by_class"]["other"]["f1"]["value"] == 0
    parts = [
        results[k]["score"]["value"] for k in ("action_units", "expression", "valence_arousal")
    ]
    assert results["multi_task_score"] == pytest.approx(sum(parts))
    assert results["action_units"]["score"] == results["action_units"]["f1_mean"]
    texts = {path.parent.name: path.read_text() for path in tmp_path.glob("out/submission/*/4.txt")}
    assert texts["EXPR_Set"].startswith(f"{HEADER_EXPR},Other\n")
    assert texts["AU_Set"].startswith(f"{HEADER_AU}\n")
    assert texts["VA_Set"].startswith(f"{HEADER_VA}\n")
