"""What is written of clips is what the rows say; a bundle that cannot run is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.methods import ClipRun, clip_runs, write_clip_runs
from training.ablations.one_run import RunPaths
from training.methods.recipe_lookup import find_recipe
from training.engine.checkpoint import RUN_FILE

REQUIRES = ("torch",)

pytestmark = pytest.mark.train

ASSETS = Path(__file__).resolve().parents[2] / "assets"


def test_a_run_is_exported_and_analyzes_a_clip(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from training.models.networks.build_network import build_network

    torch.manual_seed(0)
    recipe = find_recipe("M3", "compact", ["net.size_px=64"])
    places = RunPaths((), tmp_path)
    folder = places.run("M3-as_annotated-full-s1", 1.0)
    folder.mkdir(parents=True)
    net = build_network(recipe.net)
    save_file(
        {name: value.contiguous() for name, value in net.state_dict().items()},
        folder / "weights.safetensors",
    )
    (folder / RUN_FILE).write_text(json.dumps({"recipe": json.loads(recipe.to_json()), "step": 1}))
    said: list[str] = []
    (found,) = clip_runs(places, [ASSETS / "demo.mp4"], said.append)
    assert found.columns == ("AU", "EXPR")
    assert found.rows > 20
    assert 0 <= found.first["happiness"] <= 1
    assert found.first["valence"] != found.first["valence"], "M3 reads no valence"
    assert sum("left out" in line for line in said) == 7


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    nothing = float("nan")
    run = ClipRun(
        "M4",
        "a.mp4",
        7,
        ("AU",),
        {"AU12": 0.1, "valence": nothing},
        {"AU12": 0.8, "valence": nothing},
    )
    write_clip_runs([run], tmp_path)
    assert json.loads((tmp_path / "clips.json").read_text())[0]["last"] == {
        "AU12": 0.8,
        "valence": None,
    }
    assert "| M4 | a.mp4 | 7 | AU | 0.10 to 0.80 |  |  |" in (tmp_path / "clips.md").read_text()
