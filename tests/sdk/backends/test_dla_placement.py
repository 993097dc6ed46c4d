"""Layers on a DLA by a double of the engine inspector."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from faceaffect.backends import BackendError
from faceaffect.backends.dla_placement import LayerPlacement, check_dla, layer_placement
from faceaffect.backends.tensorrt_compat import use_dla

MODULE = SimpleNamespace(LayerInformationFormat=SimpleNamespace(JSON="json"))


def engine(layers: list[Any]) -> Any:
    def information(kind: str) -> str:
        assert kind == "json"
        return json.dumps({"Layers": layers, "Bindings": ["crops"]})

    inspector = SimpleNamespace(get_engine_information=information)
    return SimpleNamespace(create_engine_inspector=lambda: inspector)


DLA = {"Name": "{ForeignNode[trunk]}", "LayerType": "DLA"}
GPU = {"Name": "softmax", "LayerType": "SoftMax"}


def test_layer_placement_counts_dla_and_gpu() -> None:
    assert layer_placement(MODULE, engine([DLA, GPU, GPU])) == LayerPlacement(1, 2)


@pytest.mark.parametrize("layers", [[], ["{ForeignNode[trunk]}"], [{"Name": "conv"}]])
def test_layer_placement_without_details_is_unknown(
    layers: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert layer_placement(MODULE, engine(layers)) is None
    assert layer_placement(MODULE, object()) is None
    check_dla(MODULE, engine(layers))
    assert "unknown which layers" in caplog.text


def test_check_dla_with_all_layers_on_gpu_raises() -> None:
    with pytest.raises(BackendError, match="expected layers on the DLA, got all 2 on the GPU"):
        check_dla(MODULE, engine([GPU, GPU]))


def test_check_dla_with_dla_layers_logs_placement(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check_dla(MODULE, engine([DLA, GPU]))
    assert "1 parts of the engine run on the DLA, 1 layers on the GPU" in caplog.text


def test_use_dla_builds_engines_with_details() -> None:
    module = SimpleNamespace(
        DeviceType=SimpleNamespace(DLA="dla"),
        BuilderFlag=SimpleNamespace(GPU_FALLBACK="fallback", FP16="fp16"),
        ProfilingVerbosity=SimpleNamespace(DETAILED="detailed"),
    )
    flags: list[str] = []
    config = SimpleNamespace(set_flag=flags.append, can_run_on_DLA=lambda layer: layer == 0)
    network = SimpleNamespace(num_layers=2, get_layer=lambda index: index)
    assert use_dla(module, SimpleNamespace(num_DLA_cores=2), network, config, 1, ["fp16"]) == ""
    assert (config.DLA_core, config.profiling_verbosity) == (1, "detailed")
    assert flags == ["fallback", "fp16"]
