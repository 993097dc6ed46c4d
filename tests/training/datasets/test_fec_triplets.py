"""FEC reader on synthetic files."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.datasets.synthetic_affwild2 import JPG, write
from training.datasets.broken_data import BrokenFileError
from training.datasets.fec_triplets import KINDS, file_name, read_fec


def image(name: str, box: str = "0.1,0.5,0.2,0.9") -> str:
    return f'"http://farm5.staticflickr.com/1/{name}",{box}'


def line(
    kind: str, *answers: int, names: tuple[str, str, str] = ("a.jpg", "b.jpg", "c.jpg")
) -> str:
    votes = ",".join(f"annotator{k},{answer}" for k, answer in enumerate(answers))
    return ",".join([*(image(name) for name in names), kind, votes])


@pytest.fixture
def path(tmp_path):
    lines = [
        line(KINDS[0], 1, 1, 1, 2, 1, 1),
        line(KINDS[2], 3, 3, 2, 2, 1, 3),
        line(KINDS[1], 1, 1, 1, 3, 3, 3),
        line(KINDS[1], 2, 2, 2, 2, 2, 2, names=("a.jpg", "b.jpg", "gone.jpg")),
    ]
    for name in "abc":
        write(tmp_path / f"images/{name}.jpg", JPG.decode("latin1"))
    return write(tmp_path / "faceexp-comparison-data-train-public.csv", "\n".join(lines))


def test_odd_is_majority_vote(path):
    table = read_fec(path, progress=False)
    assert table.votes.tolist() == [[5, 1, 0], [1, 2, 3], [3, 0, 3], [0, 6, 0]]
    assert table.odd.tolist() == [0, 2, -1, 1]
    assert table.agreement == pytest.approx([5 / 6, 0.5, 0.5, 1])
    assert table.kind.tolist() == [0, 2, 1, 1]
    assert table.boxes[0, 2] == pytest.approx(
        [0.1, 0.2, 0.5, 0.9]
    )  # the file says left right top bottom


def test_usable_triplets_have_clear_answer_and_images(path):
    table = read_fec(path, progress=False)
    assert table.usable().tolist() == [0]
    assert table.usable(0.5).tolist() == [0, 1]
    assert [name != "" for name in table.paths[3]] == [True, True, False]
    assert table.report.skipped["missing image"].count == 1
    assert table.report.counts["triplets"] == 4


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (line("FOUR_CLASS_TRIPLET", 1, 1), "the kind must be one of"),
        (line(KINDS[0], 4, 1), "an answer must be a number from 1 to 3, got '4'"),
        (line(KINDS[0], 1).replace("0.1,0.5", "0.5,0.1"), "a box must be left, right, top, bottom"),
        (line(KINDS[0], 1).rpartition(",")[0], "pairs of answers"),
        ("a,b,c", "got 3 fields"),
    ],
)
def test_reader_with_broken_line_names_it(path, bad, problem):
    path.write_text(line(KINDS[0], 1) + "\n" + bad + "\n")
    with pytest.raises(BrokenFileError, match=problem) as raised:
        read_fec(path, progress=False)
    assert (raised.value.path, raised.value.line) == (path, 2)


def test_file_name_is_last_url_part():
    assert file_name("http://a.b/c/12345_abc_o.jpg?x=1") == "12345_abc_o.jpg"
    assert file_name(" http://a.b/c/a%20b.jpg ") == "a b.jpg"


def test_odd_and_agreement_match_counting():
    random = np.random.default_rng(0)
    from training.datasets.fec_triplets import TripletTable

    votes = random.integers(0, 7, (50, 3)).astype(np.int16)
    none = np.full((50, 3), "")
    table = TripletTable(none, none, np.zeros((50, 3, 4), np.float32), np.zeros(50, np.int8), votes)
    for k, row in enumerate(votes.tolist()):
        best = [j for j in range(3) if row[j] == max(row)]
        assert table.odd[k] == (best[0] if len(best) == 1 else -1)
        assert table.agreement[k] == pytest.approx(max(row) / max(sum(row), 1))
