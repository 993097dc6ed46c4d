"""`--min-quality`: rows without affect for faces below it, and the same option of the server."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from faceaffect.cli.command_line import faceaffect
from faceaffect.cli.server_options import live_settings, server_options
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from tests.sdk.tiny_bundle import write_tiny_bundle


def _row(folder: Path, min_quality: float) -> dict[str, str]:
    """The row of one bright crop."""
    out = folder / "rows.csv"
    arguments = ["analyze", str(folder / "crop.png"), "--model", str(folder / "tiny")]
    arguments += ["--aligned-crops", "--columns", "all", "--overwrite", "--quiet"]
    arguments += ["--out", str(out), "--min-quality", str(min_quality)]
    result = CliRunner().invoke(faceaffect, arguments)
    assert result.exit_code == 0, result.output
    with out.open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    return row


def test_analyze_with_min_quality_leaves_affect_empty_and_lists_the_face(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path / "tiny")
    cv2.imwrite(str(tmp_path / "crop.png"), np.full((112, 112, 3), 200, np.uint8))
    plain = _row(tmp_path, 0)
    quality = float(plain["quality"])
    assert 0 < quality < 0.99
    assert _row(tmp_path, quality - 0.01) == plain
    hidden = _row(tmp_path, quality + 0.01)
    affect = {*AU_NAMES, *(f"{name}_on" for name in AU_NAMES), *EXPRESSION_NAMES}
    affect |= {"expression", "valence", "arousal"}
    assert {name for name in plain if plain[name] and not hidden[name]} == affect
    assert {name: cell for name, cell in plain.items() if name not in affect} == {
        name: cell for name, cell in hidden.items() if name not in affect
    }


def test_server_options_with_min_quality_reach_the_pipeline() -> None:
    pytest.importorskip("fastapi")

    @click.command()
    @server_options
    @click.pass_context
    def serve(context: click.Context, **options: Any) -> None:
        context.obj.append(live_settings(options).pipeline["min_quality"])

    seen: list[float] = []
    for arguments in ([], ["--min-quality", "0.3"]):
        assert CliRunner().invoke(serve, arguments, obj=seen).exit_code == 0
    assert seen == [0.0, 0.3]
    assert CliRunner().invoke(serve, ["--min-quality", "2"], obj=seen).exit_code == 2
