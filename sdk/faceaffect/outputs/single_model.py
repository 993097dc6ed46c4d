"""A model that predicts each frame independently."""

from __future__ import annotations

from faceaffect import kernels
from faceaffect.bundle.model_spec import BundleError, ModelSpec
from faceaffect.kernels import GcnWeights
from faceaffect.outputs.affect_decoder import AffectLogits
from faceaffect.system.stage_timer import StageTimer
from faceaffect.tracking.located_faces import LocatedFaces
from faceaffect.types import Frame


class SingleModel:
    """Adds the graph layer over AU nodes to the heads with which the faces were located."""

    def __init__(
        self, spec: ModelSpec, weights: GcnWeights, node_width: int, timer: StageTimer
    ) -> None:
        """Check that graph and network fit together.

        Args:
            spec: Of the model.
            weights: Of the graph layer.
            node_width: Size of the nodes that the network outputs.
            timer: Books the stage "graph".

        Raises:
            BundleError: The graph takes nodes of another size.
        """
        if weights.width != node_width:
            raise BundleError(
                "graph.safetensors must take nodes of the width that model.onnx gives, "
                f"{node_width}, got {weights.width}; export the model again"
            )
        self.spec = spec
        self._weights = weights
        self._timer = timer

    def predict(self, frame: Frame, faces: LocatedFaces) -> AffectLogits:
        """Logits of the faces [N] of `frame`."""
        self._timer.enter("graph")
        heads = faces.outputs.heads
        au_logit = heads.get("au_logit")  # backends on the GPU run the graph layer themselves
        if au_logit is None:
            au_logit = kernels.au_gcn(heads["au_nodes"], self._weights)
        return AffectLogits(au_logit, heads["expression_logit"], heads["va_raw"], is_va_raw=True)

    def reset(self) -> None:
        """Do nothing: no frame depends on another one."""
