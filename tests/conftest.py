"""What tests of every folder use: the faces and clips that lie beside the repository."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from faceaffect.pipeline import Pipeline, open_pipeline

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of faces and clips; a test that needs it carries the mark `shared`."""
    if not (SHARED / "data" / "videos").is_dir():
        pytest.skip(f"needs the clips in {SHARED.name}/data/videos beside the repository, which are not there")
    return SHARED


@pytest.fixture(scope="session")
def trained() -> None:
    """For tests that need the shipped, trained model; skips where this checkout holds none."""
    from faceaffect.bundle.bundle import DEFAULT_NAME, SHIPPED_FOLDER

    if not (SHIPPED_FOLDER / DEFAULT_NAME).is_dir():
        pytest.skip("needs the shipped model, sdk/faceaffect/models/default, which is not there")


@pytest.fixture(scope="module")
def opened(trained: None) -> Iterator[Pipeline]:
    with open_pipeline() as pipeline:
        yield pipeline


@pytest.fixture
def pipeline(opened: Pipeline) -> Pipeline:
    """The trained pipeline, without memory of the test before."""
    opened.reset()
    return opened
