"""Validation scores of a stage of training, and the weights of its best epoch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, Final

from safetensors.torch import load_file

from training.engine.checkpoint import WEIGHTS_FILE, write_json, write_weights
from training.engine.trainer import TrainerConfig
from training.methods.scores import scores_text
from training.models.stages import MethodNet

SCORES_FILE: Final = "scores.json"
BEST_FILE: Final = "best.safetensors"
TRAINED: Final = "trained"
AVERAGE: Final = "moving average"

Evaluate = Callable[[MethodNet], dict[str, Any]]
"""Scores of a network; `total`, if any, chooses the best epoch (higher is better)."""


class ScoreLog:
    """Keeps `scores.json` and `best.safetensors` in the folder of a stage.

    Networks with a moving average of their weights are judged twice, and the better of the two is
    kept.
    """

    def __init__(self, evaluate: Evaluate, config: TrainerConfig, patience: int = 0) -> None:
        """`patience` is the number of epochs without a better one after which training stops; 0
        never stops.
        """
        self._evaluate, self._config, self._patience = evaluate, config, patience
        self.path = config.folder / SCORES_FILE
        self._content = self._read() if config.resume else {}

    def after_epoch(self, epoch: int, net: MethodNet, average: MethodNet | None) -> bool:
        """Judge the networks; returns whether training should stop."""
        # A run resumed from its last save comes to an epoch twice.
        epochs = [entry for entry in self._content.get("epochs", []) if entry["epoch"] < epoch]
        entry: dict[str, Any] = {"epoch": epoch}
        best = self._content.get("best")
        for name, key, model in ((TRAINED, "scores", net), (AVERAGE, "average_scores", average)):
            if model is None:
                continue
            entry[key] = scores = self._evaluate(model)
            self._config.echo(f"epoch {epoch}, {name}: {scores_text(scores)}")
            total = scores.get("total")
            # Without scores, the last epoch is kept.
            if best is None or best["total"] is None or (total or -math.inf) > best["total"]:
                best = {"epoch": epoch, "network": name, "total": total}
                write_weights(self._config.folder / BEST_FILE, model)
                self._content["final"] = scores
        assert best is not None
        self._content |= {"epochs": [*epochs, entry], "best": best}
        write_json(self.path, self._content)
        return 0 < self._patience <= epoch - int(best["epoch"])

    def restore_best(self, net: MethodNet, is_first: bool = True) -> None:
        """Give the network the weights of the best epoch; the first process saves them."""
        best = self._config.folder / BEST_FILE
        if not best.is_file():
            return
        net.load_state_dict(load_file(best))
        if is_first:
            write_weights(self._config.folder / WEIGHTS_FILE, net)

    def at_end(self, net: MethodNet, average: MethodNet | None) -> None:
        """Judge a trained network, and the moving average of its weights if it has one."""
        self._content["final"] = self._evaluate(net)
        self._config.echo(f"{TRAINED}: {scores_text(self._content['final'])}")
        if average is not None:
            self._content["average"] = self._evaluate(average)
            self._config.echo(f"{AVERAGE}: {scores_text(self._content['average'])}")
        write_json(self.path, self._content)

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}
