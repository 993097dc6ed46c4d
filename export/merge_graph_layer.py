"""`python -m export.merge_graph_layer BUNDLE --to FILE.onnx`: merges the graph layer.

The file uses standard operators and runs without this SDK: the output `au_nodes` is replaced by
`au_logit` [N, 12]. With `--plugin` the layer is one node for the TensorRT plugin of
`csrc/tensorrt_plugin` instead. With `--triton FOLDER` the file is written as a model repository of
Triton Inference Server.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from faceaffect.bundle.bundle import Bundle, model_bytes, open_bundle
from faceaffect.bundle.model_spec import HEADS, PRECISIONS
from faceaffect.kernels import GcnWeights
from faceaffect.labels import AU_NAMES

_PREFIX: Final = "au_graph."
PLUGIN_DOMAIN: Final = "trt.plugins"  # domain of plugins in TensorRT's parser and ONNX Runtime
PLUGIN_NAME: Final = "FaceaffectAuGraph"  # as in csrc/tensorrt_plugin
PLUGIN_VERSION: Final = "1"
_AU_LOGIT: Final[dict[str, tuple[int, ...]]] = {"au_logit": (len(AU_NAMES),)}


def merge_graph_layer(onnx_bytes: bytes, weights: GcnWeights) -> bytes:
    """Append the graph layer in standard operators to the output `au_nodes`."""
    model = onnx.load_from_string(onnx_bytes)
    nodes, constants = _graph_nodes(weights)
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(
        numpy_helper.from_array(array, _PREFIX + name) for name, array in constants.items()
    )
    _replace_output(model)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def merge_graph_plugin(onnx_bytes: bytes, weights: GcnWeights) -> bytes:
    """Append the graph layer as a TensorRT plugin node; needs the native kernels (ValueError)."""
    if weights.packed is None:
        raise ValueError(
            "the native kernels pack the plugin's weights: install faceaffect with them"
        )
    model = onnx.load_from_string(onnx_bytes)
    attributes = {"widths": list(weights.packed.widths), "weights": weights.packed.flat().tolist()}
    attributes |= {"plugin_version": PLUGIN_VERSION, "plugin_namespace": ""}
    model.graph.node.append(
        helper.make_node(
            PLUGIN_NAME,
            ["au_nodes"],
            ["au_logit"],
            name=_PREFIX + "plugin",
            domain=PLUGIN_DOMAIN,
            **attributes,
        )
    )
    model.opset_import.append(helper.make_opsetid(PLUGIN_DOMAIN, 1))
    _replace_output(model)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _replace_output(model: onnx.ModelProto) -> None:
    outputs = [output for output in model.graph.output if output.name != "au_nodes"]
    logit = helper.make_tensor_value_info("au_logit", TensorProto.FLOAT, ["N", len(AU_NAMES)])
    del model.graph.output[:]
    model.graph.output.extend([logit, *outputs])


def _graph_nodes(weights: GcnWeights) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """Nodes of H = relu(A H W + b) for each layer, then the sum over features of H * R, plus c."""
    constants = {"A": weights.adjacency, "R": weights.readout_weight, "c": weights.readout_bias}
    constants["features"] = np.array([2], np.int64)
    nodes, hidden = [], "au_nodes"

    def add(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        name = output if output == "au_logit" else _PREFIX + output
        nodes.append(helper.make_node(kind, inputs, [name], name=_PREFIX + output, **attributes))
        return name

    for i, (weight, bias) in enumerate(
        zip(weights.layer_weights, weights.layer_biases, strict=True)
    ):
        constants |= {f"W{i}": weight, f"b{i}": bias}
        mixed = add("MatMul", [_PREFIX + "A", hidden], f"mixed{i}")
        summed = add(
            "Add",
            [add("MatMul", [mixed, f"{_PREFIX}W{i}"], f"product{i}"), f"{_PREFIX}b{i}"],
            f"sum{i}",
        )
        hidden = add("Relu", [summed], f"H{i}")
    weighted = add("Mul", [hidden, _PREFIX + "R"], "weighted")
    total = add("ReduceSum", [weighted, _PREFIX + "features"], "total", keepdims=0)
    add("Add", [total, _PREFIX + "c"], "au_logit")
    return nodes, constants


def write_triton_repository(
    bundle: Bundle, folder: Path, precision: str = "fp32", max_batch: int = 16
) -> Path:
    """Write a Triton repository with version 1 of the model `faceaffect_<name>`.

    Returns:
        The folder of the model.
    """
    model = folder / f"faceaffect_{bundle.spec.name}"
    (model / "1").mkdir(parents=True, exist_ok=True)
    content = merge_graph_layer(model_bytes(bundle, precision), bundle.graph)
    (model / "1" / "model.onnx").write_bytes(content)
    crop_type = "TYPE_FP16" if precision == "fp16" else "TYPE_FP32"
    side = bundle.spec.crop.size_px
    shapes = _AU_LOGIT | {name: shape for name, shape in HEADS.items() if name != "au_nodes"}
    outputs = ",\n".join(_triton_output(name, shape) for name, shape in shapes.items())
    (model / "config.pbtxt").write_text(
        f'name: "{model.name}"\nplatform: "onnxruntime_onnx"\nmax_batch_size: {max_batch}\n'
        f'input [\n  {{ name: "crops" data_type: {crop_type} dims: [ 3, {side}, {side} ] }}\n]\n'
        f"output [\n{outputs}\n]\ndynamic_batching {{ max_queue_delay_microseconds: 500 }}\n",
        encoding="utf-8",
    )
    return model


def _triton_output(name: str, shape: tuple[int | str, ...]) -> str:
    """Describe an output; one scalar per face is a reshape of [1] in Triton's format."""
    if not shape:
        return f'  {{ name: "{name}" data_type: TYPE_FP32 dims: [ 1 ] reshape: {{ shape: [ ] }} }}'
    return f'  {{ name: "{name}" data_type: TYPE_FP32 dims: [ {", ".join(map(str, shape))} ] }}'


@click.command()
@click.argument("folder", metavar="BUNDLE")
@click.option(
    "--to", "target", type=click.Path(path_type=Path, dir_okay=False), help="ONNX file to write."
)
@click.option(
    "--plugin",
    is_flag=True,
    help="Write the graph layer as a TensorRT plugin node.",
)
@click.option(
    "--triton",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the model repository.",
)
@click.option("--precision", type=click.Choice(list(PRECISIONS)), default="fp32", show_default=True)
def main(
    folder: str, target: Path | None, plugin: bool, triton: Path | None, precision: str
) -> None:
    """Write the model of BUNDLE as one ONNX file, as a Triton model repository, or both."""
    if target is None and triton is None:
        raise click.UsageError("nothing to write: give --to FILE.onnx or --triton FOLDER")
    if plugin and target is None:
        raise click.UsageError("--plugin needs --to FILE.onnx")
    bundle = open_bundle(folder)
    if target is not None:
        write = merge_graph_plugin if plugin else merge_graph_layer
        target.write_bytes(write(model_bytes(bundle, precision), bundle.graph))
        click.echo(f"wrote {target}")
    if triton is not None:
        click.echo(f"wrote {write_triton_repository(bundle, triton, precision)}")


if __name__ == "__main__":
    main()
