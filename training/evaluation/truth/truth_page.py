"""Writes measurements of one or more bundles as a Markdown page, one column for each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from faceaffect.labels import AU_NAMES

Record = dict[str, Any]
_SHADOW_UNITS = ("AU4", "AU7", "AU10", "AU15", "AU23", "AU24")


def write_page(path: Path, records: Sequence[Path]) -> None:
    """Writes the page of records [JSON files]; columns are named by the file names."""
    loaded = {each.stem: json.loads(each.read_text(encoding="utf-8")) for each in records}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(format_page(loaded), encoding="utf-8")


def format_page(records: dict[str, Record]) -> str:
    """Returns the page of records by column name."""
    names = list(records)
    lines = [
        "# Action units on real people",
        "",
        "Written by `python -m training.evaluation.truth`. Held-out faces: FER+ faces that no",
        "version of the model was trained on, held-out web faces, and people of the validation",
        "split of [training.real_skin](../../../training/real_skin/README.md). No FACS-coded real",
        "faces were available.",
        "",
        *_table(
            "figure", names, [(label, [get(r) for r in records.values()]) for label, get in _ROWS]
        ),
    ]
    lines += ["", "## A known action among a person's own images (AUROC at 0.9)", ""]
    lines += _by_unit(records, lambda r, au: r["known_actions"]["by_unit"][au]["auroc 0.9"])
    lines += ["", "## The same at strength 0.5", ""]
    lines += _by_unit(records, lambda r, au: r["known_actions"]["by_unit"][au]["auroc 0.5"])
    lines += ["", "## Active at rest / at 0.5 / at 0.9", ""]
    lines += _by_unit(records, lambda r, au: _activity(r["known_actions"]["by_unit"][au]))
    lines += ["", "## Share of the logit's variance that the expression scores explain", ""]
    lines += _by_unit(records, lambda r, au: r["real_faces"]["shadow_r2"][au])
    lines += ["", "## Active AUs on a neutral face, by source", ""]
    sources = list(next(iter(records.values()))["real_faces"]["neutral"])
    rows = [
        (
            f"{source} ({_neutral(next(iter(records.values())), source, 'faces')} faces)",
            [_text(_neutral(r, source, "per_face")) for r in records.values()],
        )
        for source in sources
    ]
    lines += _table("source", names, rows)
    for name, record in records.items():
        lines += _intensities(name, record) + _robustness(name, record)
    return "\n".join([*lines, ""])


def _intensities(name: str, record: Record) -> list[str]:
    """Returns the section of intensities of one record; empty if they were not measured."""
    if "intensity" not in record:
        return []
    sets = record["intensity"]
    rows = [
        (
            au,
            [f"{one['by_unit'][au]['mae']:.2f} / {one['by_unit'][au]['icc']:.2f}" for one in parts],
        )
        for parts in [list(sets.values())]
        for au in AU_NAMES
    ]
    heads = [f"{label} ({one['faces']})" for label, one in sets.items()]
    return [
        "",
        f"## Intensity, 0 to 5: mean absolute error / ICC(3, 1), {name}",
        "",
        *_table("unit", heads, rows),
    ]


def _robustness(name: str, record: Record) -> list[str]:
    """Returns the section of degraded faces of one record; empty if they were not measured."""
    if "robustness" not in record:
        return []
    rows = [
        (
            change,
            [
                f"{100 * row['au decisions']:.0f} %",
                f"{100 * row['expressions']:.0f} %",
                f"{row['quality after']:.2f}",
                f"{row['quality auroc']:.2f}",
                f"{100 * row['below 0.3 after']:.0f} %",
            ],
        )
        for change, row in record["robustness"]["changes"].items()
    ]
    plain = next(iter(record["robustness"]["changes"].values()))
    heads = [
        "AU decisions changed",
        "expressions changed",
        "mean quality",
        "AUROC of quality",
        "below 0.3",
    ]
    return [
        "",
        f"## Degraded and covered faces, {name}",
        "",
        f"{record['robustness']['faces']} held-out photographs against the same ones changed.",
        f"Quality of the unchanged ones is {plain['quality before']:.2f} on average, below 0.3 on "
        f"{100 * plain['below 0.3 before']:.0f} % of them.",
        "",
        *_table("change", heads, rows),
    ]


def _table(head: str, names: list[str], rows: list[tuple[str, list[str]]]) -> list[str]:
    return [
        f"| {head} | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
        *(f"| {label} | " + " | ".join(values) + " |" for label, values in rows),
    ]


def _by_unit(records: dict[str, Record], get: Any) -> list[str]:
    rows = [(au, [_text(_or_none(get, r, au)) for r in records.values()]) for au in AU_NAMES]
    return _table("unit", list(records), rows)


def _or_none(get: Any, record: Record, au: str) -> Any:
    try:
        return get(record, au)
    except KeyError:
        return None


def _text(value: Any) -> str:
    if value is None:
        return "not measured"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _activity(row: Record) -> str:
    return " / ".join(f"{row[name]:.2f}" for name in ("on at rest", "on 0.5", "on 0.9"))


def _neutral(record: Record, source: str, field: str) -> Any:
    return record["real_faces"]["neutral"].get(source, {}).get(field)


def _shadows(record: Record) -> str:
    values = record["real_faces"]["shadow_r2"]
    return ", ".join(f"{au} {values[au]:.2f}" for au in _SHADOW_UNITS)


def _worst_source(record: Record) -> str:
    rates = {name: row["per_face"] for name, row in record["real_faces"]["neutral"].items()}
    worst = max(rates, key=lambda name: rates[name])
    return f"{rates[worst]:.2f} ({worst})"


def _contrast(record: Record) -> str:
    values = record["real_faces"]["contrast_with_neutral"]
    return ", ".join(f"{name} {value:.2f}" for name, value in values.items())


def _expression(key: str) -> Any:
    def get(record: Record) -> str:
        row = record["real_faces"]["expression"][key]
        return f"{100 * row['accuracy']:.1f} %, {row['macro_f1']:.3f} ({row['faces']} faces)"

    return get


def _speech(record: Record) -> str:
    mean = record["speech"]["mean"]
    return f"{mean['AU25']:.2f}, {mean['lip gap of the landmarks']:.2f}"


def _known(record: Record) -> str:
    if "known_actions" not in record:
        return "not measured"
    rows = record["known_actions"]["by_unit"]
    least = min(rows, key=lambda au: rows[au]["auroc 0.9"])
    return f"{rows[least]['auroc 0.9']:.2f} ({least})"


def _cheek(record: Record) -> str:
    if "known_actions" not in record:
        return "not measured"
    return f"{record['known_actions']['AU6 raised by AU12']:+.2f}"


def _eyes(record: Record) -> str:
    if "eyes" not in record:
        return "not measured"
    row = record["eyes"]
    found = f", F1 {row['f1']:.2f}" if "f1" in row else ""
    return (
        f"{row['correlation']:.2f}, {row['auroc']:.2f}{found} "
        f"({row['closed']} of {row['faces']} closed)"
    )


def _intensity(record: Record) -> str:
    if "intensity" not in record:
        return "not measured"
    return ", ".join(
        f"{name} {row['mae']:.2f} / {row['icc']:.2f}" for name, row in record["intensity"].items()
    )


def _renderwild(record: Record) -> str:
    if "renderwild" not in record:
        return "not measured"
    row = record["renderwild"]
    return (
        f"{row['au']['f1_mean']['value']:.3f}, {row['expression']['macro_f1']['value']:.3f}, "
        f"{row['ccc']['valence']['value']:.3f} / {row['ccc']['arousal']['value']:.3f}"
    )


_ROWS = (
    ("known action among own images, least unit (AUROC, 0.9)", _known),
    ("AU6 raised by AU12 alone (probability)", _cheek),
    ("R2 of the logit on the expression scores", _shadows),
    ("expression against neutral faces (AUROC)", _contrast),
    ("active AUs per neutral face, worst source", _worst_source),
    ("voice's energy: AU25, lip gap of the landmarks (r)", _speech),
    (
        "FER+ left out by every version: accuracy, macro-F1",
        _expression("rows left out by every version"),
    ),
    ("FER+ validation split: accuracy, macro-F1", _expression("validation split")),
    ("eye openness against blinks by the teacher: r, AUROC and F1 (AU45) of closed eyes", _eyes),
    ("intensity, 0 to 5: mean absolute error / ICC(3, 1), means of the AUs", _intensity),
    ("RenderWild validation: F1 of AUs, macro-F1 of expressions, CCC", _renderwild),
)
