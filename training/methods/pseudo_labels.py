"""Labels for frames that lack them, written once by models of single tasks (M6)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

VA_LIMIT = 0.99


@torch.no_grad()
def pseudo_labels(batch: Mapping[str, Tensor], models: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The batch with the labels that its frames lack, by the model of each task (`au`, `expression`, `va`).

    Hard labels, as published: the likeliest expression, AUs whose logit is above 0 (the published 0.5 on logits was a
    slip), valence and arousal within +-0.99. True labels stay, AU by AU; masks of predicted tasks become 1. Models are
    put into evaluation mode. ValueError for a model that does not answer its task.
    """
    found = dict(batch)
    outputs = {"au": "au_logit", "expression": "expression_logit", "va": "va"}
    for task, model in models.items():
        if task not in outputs:
            raise ValueError(f"pseudo labels are for {sorted(outputs)}, got a model for {task!r}")
        said = model.eval()(batch)
        if outputs[task] not in said:
            raise ValueError(f"the model for {task!r} must give {outputs[task]!r}, it gives {sorted(said)}")
        answer = said[outputs[task]]
        if task == "au":
            answer = (answer > 0).float()
        elif task == "expression":
            answer = answer.argmax(dim=-1)
        else:
            answer = answer.clamp(-VA_LIMIT, VA_LIMIT)
        mask = batch.get(f"{task}_mask", torch.zeros(answer.shape if task == "au" else answer.shape[: crops_lead(batch)]))
        if task in batch:
            known = mask > 0 if mask.ndim == answer.ndim else (mask > 0)[..., None].expand_as(answer)
            answer = torch.where(known, batch[task].to(answer.dtype), answer)
        found[task], found[f"{task}_mask"] = answer, torch.ones_like(mask, dtype=torch.float32)
    return found


def crops_lead(batch: Mapping[str, Tensor]) -> int:
    """Axes of frames before a crop's own three: 1 for pictures, 2 for sequences."""
    return batch["crops"].ndim - 3
