"""Results as built-in types, and names that tell nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import faceaffect as fa
from faceaffect.drawing.palette import EXPRESSION_COLORS
from faceaffect.live.results import face_results, model_result, source_label

REQUIRES = ("fastapi",)


def test_results_are_the_arrays_rounded(demo: Path) -> None:
    frame = fa.analyze(str(demo))[100]
    (face,) = face_results(frame.face_arrays, frame.affect_arrays)
    np.testing.assert_allclose(face["landmarks"], frame.face_arrays.landmarks_xy[0], atol=0.06)
    np.testing.assert_allclose(face["box"], frame.face_arrays.box_xyxy[0], atol=0.06)
    probabilities = [face["action_units"][name] for name in fa.AU_NAMES]
    np.testing.assert_allclose(
        probabilities, frame.affect_arrays.au_probability[0], atol=6e-5, rtol=0
    )
    assert face["active_aus"] == frame.faces[0].active_aus
    assert face["expression"] == frame.faces[0].expression
    json.dumps(face, allow_nan=False)


def test_the_model_has_one_color_per_expression(trained: None) -> None:
    with fa.open_pipeline() as pipeline:
        model = model_result(pipeline, None, {})
        thresholds = pipeline.spec.au_thresholds
    names = [one["name"] for one in model["expressions"]]
    assert names == list(fa.EXPRESSION_NAMES)
    assert [one["color"] for one in model["expressions"]] == list(EXPRESSION_COLORS)
    np.testing.assert_allclose(
        [one["threshold"] for one in model["action_units"]], thresholds, atol=6e-5
    )


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("0", "camera 0"),
        ("/home/ann/private/clip.mp4", "clip.mp4"),
        ("v4l2:///dev/video2", "video2"),
        ("rtsp://user:secret@10.0.0.3/door", "rtsp stream"),
        ("https://host/path?key=secret", "https stream"),
        ("/", "source"),
    ],
)
def test_names_of_sources_tell_no_secrets(name: str, label: str) -> None:
    assert source_label(name) == label
