from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.methods import ClipRun, clip_runs, write_clip_runs
from training.ablations.one_run import RunPaths
from training.engine.checkpoint import RUN_FILE
from training.methods.recipe_lookup import find_recipe

REQUIRES = ("torch",)

pytestmark = pytest.mark.train

ASSETS = Path(__file__).resolve().parents[2] / "assets"


def test_clip_runs_exports_and_analyzes(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from training.models.networks.build_network import build_network

    torch.manual_seed(0)
    recipe = find_recipe("M3", "compact", ["net.size_px=64"])
    paths = RunPaths((), tmp_path)
    folder = paths.run("M3-original_annotations-full-s1", 1.0)
    folder.mkdir(parents=True)
    net = build_network(recipe.net)
    save_file(
        {name: value.contiguous() for name, value in net.state_dict().items()},
        folder / "weights.safetensors",
    )
    (folder / RUN_FILE).write_text(json.dumps({"recipe": json.loads(recipe.to_json()), "step": 1}))
    messages: list[str] = []
    (run,) = clip_runs(paths, [ASSETS / "demo.mp4"], messages.append)
    assert run.tasks == ("AU", "EXPR")
    assert run.rows > 20
    assert 0 <= run.first["happiness"] <= 1
    assert run.first["valence"] != run.first["valence"], "M3 does not predict valence"
    assert sum("skipped" in line for line in messages) == 7


def test_write_clip_runs_writes_json_and_markdown(tmp_path: Path) -> None:
    unknown = float("nan")
    run = ClipRun(
        "M4",
        "a.mp4",
        7,
        ("AU",),
        {"AU12": 0.1, "valence": unknown},
        {"AU12": 0.8, "valence": unknown},
    )
    write_clip_runs([run], tmp_path)
    assert json.loads((tmp_path / "clips.json").read_text())[0]["last"] == {
        "AU12": 0.8,
        "valence": None,
    }
    assert "| M4 | a.mp4 | 7 | AU | 0.10 to 0.80 |  |  |" in (tmp_path / "clips.md").read_text()
