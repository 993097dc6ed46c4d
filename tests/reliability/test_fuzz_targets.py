"""A short deterministic run of every fuzz target."""

from __future__ import annotations

import pytest

from benchmarks.mutate_bytes import mutate
from tests.reliability.fuzz.targets import TARGETS

REQUIRES = ["onnx"]
MUTATIONS = {"onnx": 60, "delta": 100, "engine": 60, "parquet": 60, "kernels": 600}


@pytest.mark.parametrize("name", TARGETS)
def test_target_survives_mutations(name: str) -> None:
    target = TARGETS[name]
    content = target.seed()
    target.run(content)
    for index in range(MUTATIONS.get(name, 150)):
        try:
            target.run(mutate(content, index))
        except Exception as error:
            raise AssertionError(f"mutation {index} of {name}: {error!r}") from error


def test_mutations_are_reproducible_and_different() -> None:
    content = bytes(100)
    assert mutate(content, 5) == mutate(content, 5)
    assert len({mutate(content, index) for index in range(50)}) > 40
