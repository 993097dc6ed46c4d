"""Options and errors of the export of a method."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from export.__main__ import main as export_main
from faceaffect.bundle.bundle import CARD_FILE
from faceaffect.bundle.model_spec import ModelSpec
from faceaffect.labels import AU_NAMES
from tests.export.method_runs import write_run

REQUIRES = ("av",)

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("trained")]


def test_export_method_uses_thresholds_terms_and_crops(tmp_path: Path) -> None:
    write_run("incomplete_labels", tmp_path / "run")  # untrained
    chosen = {name: round(0.3 + 0.01 * k, 2) for k, name in enumerate(AU_NAMES)}
    (tmp_path / "t.json").write_text(json.dumps(chosen))
    order = [
        str(tmp_path / "run"),
        "--to",
        str(tmp_path / "bundle"),
        "--thresholds",
        str(tmp_path / "t.json"),
    ]
    done = CliRunner().invoke(
        export_main,
        [*order, "--trained-on", "affwild2", "--trained-on", "my own", "--affwild2-crops"],
    )
    assert done.exit_code == 0, done.output
    spec = ModelSpec.load(tmp_path / "bundle")
    assert spec.au_thresholds == tuple(chosen.values())
    assert spec.crop.offset_y_px == 10
    card = (tmp_path / "bundle" / CARD_FILE).read_text()
    assert "AU26 0.41" in card
    assert "non-commercial research" in card
    assert "- my own" in card


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--use-ema"], "ema.safetensors does not exist"),
        (["--thresholds", "bad"], "12 numbers"),
    ],
)
def test_export_method_with_unusable_option_fails(
    options: list[str], message: str, tmp_path: Path
) -> None:
    write_run("incomplete_labels", tmp_path / "run")
    (tmp_path / "bad.json").write_text("[0.5, 2]")
    arguments = [option.replace("bad", str(tmp_path / "bad.json")) for option in options]
    done = CliRunner().invoke(
        export_main, [str(tmp_path / "run"), "--to", str(tmp_path / "bundle"), *arguments]
    )
    assert done.exit_code == 1
    assert message in done.output
    assert not (tmp_path / "bundle" / "spec.json").exists()


@pytest.mark.parametrize(
    "option", ["multi_database net.recurrence=both", "multimodal_transformer net.causal=false"]
)
def test_export_of_non_causal_method_fails(option: str, tmp_path: Path) -> None:
    name, changed = option.split(" ")
    write_run(name, tmp_path / "run", changed)
    done = CliRunner().invoke(
        export_main, [str(tmp_path / "run"), "--to", str(tmp_path / "bundle")]
    )
    assert done.exit_code == 1
    assert "on video" in done.output


def test_export_of_damaged_run_fails_without_traceback(tmp_path: Path) -> None:
    write_run("incomplete_labels", tmp_path / "run")
    (tmp_path / "run" / "weights.safetensors").write_bytes(b"broken")
    done = CliRunner().invoke(
        export_main, [str(tmp_path / "run"), "--to", str(tmp_path / "bundle")]
    )
    assert done.exit_code == 1
    assert "weights.safetensors cannot be used" in done.output


def test_export_of_network_with_eight_expressions_names_the_way(tmp_path: Path) -> None:
    write_run("incomplete_labels", tmp_path / "run", "net.expressions=8")
    done = CliRunner().invoke(
        export_main, [str(tmp_path / "run"), "--to", str(tmp_path / "bundle")]
    )
    assert done.exit_code == 1
    assert "bundles report 7 expressions" in done.output
    assert "evaluate it as a run folder" in done.output
