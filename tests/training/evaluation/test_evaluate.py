"""Command `evaluate` on an Aff-Wild2 folder, synthetic images and prediction files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from faceaffect.geometry import estimate_crop_to_frame, invert_transforms, keypoints_from_landmarks
from faceaffect.pipeline import open_pipeline
from faceaffect.types import Frame, PixelFormat
from tests.sdk.tiny_bundle import face_shape, write_tiny_bundle
from tests.training.evaluation.synthetic_data import write_affwild2, write_synthetic_images
from training.__main__ import main
from training.datasets.affwild2_annotations import read_task_file

pytestmark = pytest.mark.train


REQUIRES = ("matplotlib",)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_affwild2(tmp_path_factory.mktemp("affwild2"))


@pytest.fixture(scope="module")
def out(bundle: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "first"
    result = run(bundle, data, "--out", folder, "--workers", 2)
    assert result.exit_code == 0, result.output
    assert "action_units score" in result.output
    return folder


def test_evaluate_affwild2_folder_writes_metrics(out: Path) -> None:
    results = json.loads((out / "metrics.json").read_text())
    assert results["frames"]["videos"] == 4
    assert results["frames"]["labeled"] == {"AU_Set": 7, "EXPR_Set": 7, "VA_Set": 4}
    assert results["frames"]["labeled_but_not_predicted"] == {
        "AU_Set": 3,
        "EXPR_Set": 3,
        "VA_Set": 3,
    }
    # The synthetic network always predicts surprise; the first frame of "one" has no face and
    # counts as neutral, as labeled.
    assert results["expression"]["accuracy"]["value"] == pytest.approx(4 / 7)
    assert results["expression"]["predicted_only"]["accuracy"] == pytest.approx(2 / 4)
    assert any("00003.jpg" in note and "skipped" in note for note in results["notes"])
    assert (out / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_evaluate_writes_submission_with_one_row_per_frame(out: Path) -> None:
    files = {
        str(path.relative_to(out / "submission")): path
        for path in sorted((out / "submission").rglob("*.txt"))
    }
    assert list(files) == [
        "AU_Set/12-30-9x9.txt",
        "AU_Set/one.txt",
        "AU_Set/unseen.txt",
        "EXPR_Set/12-30-9x9.txt",
        "EXPR_Set/one.txt",
        "VA_Set/12-30-9x9.txt",
        "VA_Set/two_left.txt",
    ]
    rows = {name: read_task_file(path, name.split("_")[0]).values for name, path in files.items()}
    assert [len(values) for values in rows.values()] == [6, 5, 1, 6, 5, 6, 2]
    assert rows["EXPR_Set/one.txt"][:, 0].tolist() == [0, 6, 6, 6, 6]
    assert not rows["VA_Set/two_left.txt"].any()  # never a face
    va = rows["VA_Set/12-30-9x9.txt"]
    np.testing.assert_array_equal(va[1], va[2])  # the damaged crop
    assert (va[3] != va[2]).all()
    np.testing.assert_array_equal(va[[3, 3]], va[4:])


def test_evaluate_of_saved_predictions_reproduces_metrics(
    out: Path, data: Path, bundle: Path, tmp_path: Path
) -> None:
    result = run("-", out / "predictions.csv", "--labels", data, "--out", tmp_path / "again")
    assert result.exit_code == 0, result.output
    first, again = (
        json.loads((folder / "metrics.json").read_text()) for folder in (out, tmp_path / "again")
    )
    for task in ("action_units", "expression", "valence_arousal"):
        assert again[task]["score"]["value"] == pytest.approx(
            first[task]["score"]["value"], abs=1e-5
        )
    for path in (out / "submission").rglob("*.txt"):
        assert path.read_text() == (tmp_path / "again" / path.relative_to(out)).read_text()


def test_evaluate_synthetic_images_matches_pipeline(bundle: Path, tmp_path: Path) -> None:
    landmarks = (face_shape() + 24).astype(np.float32)
    folder = write_synthetic_images(tmp_path / "images", landmarks)
    result = run(bundle, folder, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    results = json.loads((tmp_path / "out" / "metrics.json").read_text())
    with np.load(folder / "faces_0000.npz") as arrays:
        identity, on = arrays["identity"], arrays["au_intensity"] > 0.3
        images = arrays["image"]
    evaluated = identity % 20 == 10  # held out, and not in the half for choosing thresholds
    assert evaluated.sum() > 10
    by_au = results["action_units"]["by_au"]
    assert by_au["AU1"]["frames"] == evaluated.sum() == results["action_units"]["frames"]
    assert by_au["AU23"]["frames"] == (evaluated & (identity % 3 > 0)).sum() < evaluated.sum()
    assert results["frames"]["videos"] == len(np.unique(identity[evaluated]))
    assert by_au["AU12"]["active_fraction"] == pytest.approx(on[evaluated, 6].mean())
    assert results["expression"] is None
    assert not (tmp_path / "out" / "submission").exists()
    # The decisions agree with those of the SDK on the same crops.
    inside = np.round(
        invert_transforms(estimate_crop_to_frame(keypoints_from_landmarks(landmarks[None])))[
            0, :, 2
        ]
    ).astype(int)
    active = []
    with open_pipeline(bundle, aligned_crops=True) as pipeline:
        for image in images[evaluated]:
            crop = np.ascontiguousarray(
                image[-inside[1] : 112 - inside[1], -inside[0] : 112 - inside[0]]
            )
            active.append(pipeline.analyze(Frame(crop, PixelFormat.RGB))[1].au_active[0])
    fractions = [by_au[name]["predicted_fraction"] for name in by_au]
    assert np.abs(np.mean(active, axis=0) - fractions).max() < 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{bundle}", "{empty}"), "expected a folder in the layout of Aff-Wild2"),
        (("{bundle}", "{empty}"), "got an empty folder"),
        (("-", "{data}"), "BUNDLE may be - only"),
        (("{bundle}", "{data}", "--labels", "{data}"), "--labels is for prediction files"),
        (("-", "{csv}"), "add --labels FOLDER"),
        (
            ("-", "{text}", "--labels", "{data}"),
            "expected a prediction file ending in .csv or .parquet",
        ),
        (("no such model", "{data}"), "model must be a bundle folder"),
        (
            ("{bundle}", "{data}", "--out", "{out}"),
            "already contains an evaluation; add --overwrite",
        ),
    ],
)
def test_evaluate_of_invalid_arguments_reports_remedy(
    arguments, message, bundle, data, out, tmp_path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("")
    names = {
        "bundle": bundle,
        "data": data,
        "out": out,
        "empty": tmp_path / "empty",
        "text": tmp_path / "notes.txt",
    }
    names["csv"] = out / "predictions.csv"
    before = (out / "metrics.json").read_bytes()
    argv = [argument.format(**names) for argument in arguments]
    if "--out" not in argv:
        argv += ["--out", str(tmp_path / "new")]
    result = run(*argv)
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())
    assert (out / "metrics.json").read_bytes() == before
    assert not (tmp_path / "new").exists()


def test_evaluate_with_overwrite_replaces_evaluation(
    bundle: Path, data: Path, tmp_path: Path
) -> None:
    arguments = (bundle, data, "--out", tmp_path, "--missing", "drop")
    assert run(*arguments).exit_code == 0
    assert run(*arguments).exit_code == 1
    assert run(*arguments, "--overwrite").exit_code == 0
    assert "-5.0000" in (tmp_path / "submission" / "VA_Set" / "two_left.txt").read_text()
