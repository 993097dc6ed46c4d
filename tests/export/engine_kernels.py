"""Counts the kernels of an engine by the build log of TensorRT for RTX, which needs no GPU."""

from __future__ import annotations

import collections
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.sdk.backends.test_tensorrt_types import rtx_environment

# In a child process: TensorRT may abort the process.
BUILD = """
import json, sys
import tensorrt_rtx as trt
class Logger(trt.ILogger):
    def __init__(self):
        trt.ILogger.__init__(self)
        self.messages = []
    def log(self, severity, message):
        self.messages.append(message)
logger = Logger()
builder = trt.Builder(logger)
network, config = builder.create_network(0), builder.create_builder_config()
parser = trt.OnnxParser(network, logger)
assert parser.parse(open(sys.argv[1], "rb").read()), parser.get_error(0)
config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
profile = builder.create_optimization_profile()
one = (3, 112, 112)
profile.set_shape("crops", (1, *one), (1, *one), (8, *one))
config.add_optimization_profile(profile)
assert builder.build_serialized_network(network, config) is not None, logger.messages[-1]
text = "\\n".join(logger.messages)
print(json.dumps(text[text.rfind("Layers:"):].split("\\n")))
"""

SYNCHRONIZATION = ("signal", "wait")
NOT_KERNELS = (*SYNCHRONIZATION, "shape_call")


@dataclass(frozen=True)
class EngineLayers:
    names: list[str]
    counts: collections.Counter[str]

    @property
    def kernels(self) -> int:
        return sum(count for kind, count in self.counts.items() if kind not in NOT_KERNELS)

    @property
    def synchronizations(self) -> int:
        return sum(self.counts[kind] for kind in SYNCHRONIZATION)


def engine_layers(network: bytes, folder: Path) -> EngineLayers:
    """Build an engine for up to 8 crops; skips the test without TensorRT for RTX."""
    file = folder / "network.onnx"
    file.write_bytes(network)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(file)],
        capture_output=True,
        text=True,
        env=rtx_environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line for line in json.loads(done.stdout.splitlines()[-1]) if line.startswith("Name:")]
    assert lines, "the build log lists the layers"
    kinds = [line.partition("LayerType: ")[2].partition(",")[0] for line in lines]
    return EngineLayers(lines, collections.Counter(kinds))
