"""The fixed validation split of FER+."""

from __future__ import annotations

import hashlib

import numpy as np

from training.datasets.ferplus_split import is_validation, training_and_validation

NAMES = np.array([f"fer{i:07d}.png" for i in range(5000)])


def test_split_is_a_tenth_of_training_and_depends_on_the_name_alone() -> None:
    usage = np.where(np.arange(5000) < 4000, "Training", "PublicTest")
    training, validation = training_and_validation(NAMES, usage)
    assert sorted([*training, *validation]) == list(range(4000))
    assert 0.08 < len(validation) / 4000 < 0.12
    shuffled = np.random.default_rng(0).permutation(5000)
    again = training_and_validation(NAMES[shuffled], usage[shuffled])[1]
    assert set(NAMES[shuffled][again]) == set(NAMES[validation])


def test_split_follows_the_published_hash() -> None:
    for name in NAMES[:50]:
        digest = hashlib.sha256(f"ferplus validation {name}".encode()).hexdigest()
        assert is_validation(str(name)) == (int(digest[:8], 16) % 100 < 10)
