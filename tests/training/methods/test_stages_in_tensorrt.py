"""TensorRT for RTX builds the stages of all compact networks, if it is installed.

The results do not apply to other variants of TensorRT.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.sdk.backends.test_tensorrt_types import rtx_environment
from training.methods.recipe_lookup import RECIPES, find_recipe
from training.methods.stage_to_onnx import stage_to_onnx
from training.models.networks.build_network import build_network

pytestmark = pytest.mark.train

# Runs in a child process, since TensorRT may abort on unsupported networks. Prints a line per file.
BUILD = """
import json, sys
from pathlib import Path
import tensorrt_rtx as trt
logger = trt.Logger(trt.Logger.ERROR)
builder = trt.Builder(logger)
for file in map(Path, sys.argv[1:]):
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    answer = {"file": file.stem, "errors": [], "bytes": 0}
    if parser.parse(file.read_bytes()):
        config, profile = builder.create_builder_config(), builder.create_optimization_profile()
        for i in range(network.num_inputs):
            tensor = network.get_input(i)
            one, most = ([faces if side < 0 else side for side in tensor.shape] for faces in (1, 4))
            profile.set_shape(tensor.name, one, one, most)
        config.add_optimization_profile(profile)
        plan = builder.build_serialized_network(network, config)
        answer["bytes"] = 0 if plan is None else plan.nbytes
    else:
        answer["errors"] = [str(parser.get_error(i)) for i in range(parser.num_errors)]
    print(json.dumps(answer), flush=True)
"""


def build_all(files: list[Path]) -> tuple[list[dict[str, object]], str]:
    """Results of the files up to the end of the child process, and its stderr."""
    command = [sys.executable, "-c", BUILD, *map(str, files)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=rtx_environment(), timeout=280
    )
    return [
        json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")
    ], done.stderr[-2000:]


@pytest.mark.parametrize("name", RECIPES)
def test_tensorrt_builds_stages_of_each_method(name: str, tmp_path: Path) -> None:
    rtx_environment()
    torch.manual_seed(0)
    files = []
    for stage in build_network(find_recipe(name, "compact").net).eval().stages():
        files.append(tmp_path / f"{stage.name}.onnx")
        files[-1].write_bytes(stage_to_onnx(stage))
    answers, errors = build_all(files)
    assert [answer["file"] for answer in answers] == [file.stem for file in files], errors
    failed = [answer for answer in answers if answer["errors"] or not answer["bytes"]]
    assert failed == [], errors


def test_tensorrt_of_unsupported_stage_reports_error(tmp_path: Path) -> None:
    rtx_environment()
    from onnx import TensorProto, helper

    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("in", "out")
    ]
    graph = helper.make_graph(
        [helper.make_node("Unique", ["in"], ["out"])], "bad", values[:1], values[1:]
    )
    file = tmp_path / "bad.onnx"
    file.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
    )
    (answer,), _ = build_all([file])
    assert answer["errors"] or not answer["bytes"]
