from __future__ import annotations

from benchmarks.packaging import Package, read_tag, record

AUDIT = """
faceaffect-0.1.0-cp311-cp311-linux_x86_64.whl is consistent with the
following platform tag: "manylinux_2_35_x86_64".

The wheel references external versioned symbols in these system-provided shared libraries.
"""


def test_read_tag_finds_the_tag_across_lines() -> None:
    assert read_tag(AUDIT) == "manylinux_2_35_x86_64"
    assert read_tag(AUDIT.replace("the\nfollowing", "the following")) == "manylinux_2_35_x86_64"
    assert read_tag("nothing to repair") == "unknown"


def test_record_has_a_row_per_interpreter_and_command() -> None:
    sizes = {"faceaffect": 13_800_000, "numpy": 70_000_000, "pip": 12_000_000}
    packages = [
        Package(python, "w.whl", 8_800_000, "tag", 9.2, sizes, 0.008, 0.273, {"doctor": 0.31})
        for python in ("3.11.7", "3.13.5")
    ]
    text = record(packages)
    assert "| 3.11.7 | 8.8 | tag | 9 | 84 | 13.8 | 0.008 | 0.273 |" in text
    assert "| 3.13.5 | 0.3 |" in text
    assert "numpy 70 MB" in text
