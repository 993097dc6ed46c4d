import pytest

from benchmarks.segment_parity import difference
from tests.sdk.segments.results import result

REQUIRES = ("onnx",)


def test_difference_reports_changed_values() -> None:
    one = [result(i, (1, 10.0)) for i in range(11)]
    other = [result(i, (1, 10.0)) for i in range(10)] + [result(10, (2, 10.0))]
    other[0].faces.box_xyxy[:] += 99  # before the boundary
    other[4].faces.box_xyxy[0, 0] += 3.6
    other[2].affect.au_probability[0, 3] += 0.09
    other[2].affect.au_active[0, 5] ^= True
    other[7].affect.valence[0] -= 0.9
    row = [cell.strip() for cell in difference("clip.mp4", 1, one, other).strip("|").split("|")]
    assert row == [
        "clip.mp4",
        "11",
        "10",
        "9",
        "0.100 (3.60)",
        "0.0100 (0.090)",
        "0.1000, 0.0000",
        "1 of 9",
    ]


def test_difference_of_other_frames_raises() -> None:
    one = [result(i, (1, 10.0)) for i in range(5)]
    with pytest.raises(ValueError, match="got 4 of 5"):
        difference("clip.mp4", 1, one, one[:4])
    with pytest.raises(ValueError, match="with faces in both"):
        difference("clip.mp4", 0, [result(0)], [result(0)])
