"""The evaluation as one HTML page that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, Final

from faceaffect.labels import EXPRESSION_NAMES
from training.evaluation import report_plots
from training.evaluation.dataset_metrics import VA_NAMES

Figures = dict[str, Any]

_STYLE: Final = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: .6rem 0 1.2rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
caption { text-align: left; color: #555; padding-bottom: .3rem; }
svg { max-width: 100%; height: auto; }
.scroll { max-height: 30rem; overflow-y: auto; }
.interval { color: #666; font-size: .85em; white-space: nowrap; }
table.facts td { text-align: left; overflow-wrap: anywhere; }
"""

_SCORE_ROWS: Final = (
    ("action_units", "Action units", (("score", "S_AU = 0.5 F1 + 0.5 accuracy"), ("f1_mean", "mean F1"),
     ("accuracy", "accuracy over all decisions"), ("exact_match", "all AUs of a frame right"))),
    ("expression", "Expression", (("score", "S_EXPR = 0.67 macro-F1 + 0.33 accuracy"), ("macro_f1", "macro-F1"),
     ("accuracy", "accuracy"))),
    ("valence_arousal", "Valence and arousal", (("score", "S_VA = mean CCC"),)),
)  # fmt: skip


def report_page(figures: Figures) -> str:
    """HTML of the figures that `figures.json` holds."""
    sections = [_frames(figures["frames"]), _scores(figures)]
    writers = {
        "action_units": _action_units,
        "expression": _expression,
        "valence_arousal": _valence_arousal,
    }
    sections += [
        write(figures[name]) for name, write in writers.items() if figures[name] is not None
    ]
    sections.append(_videos(figures["videos"]))
    notes = "".join(f"<li>{escape(note)}</li>" for note in figures["notes"])
    origin = figures["origin"]
    title = f"{origin['model']} on {origin['data']}"
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>"
        for name, value in origin.items()
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
        f'<table class="facts">{rows}</table>\n'
        + (f"<h2>Read this first</h2>\n<ul>{notes}</ul>\n" if notes else "")
        + "\n".join(sections)
        + "\n</body>\n</html>\n"
    )


def _frames(frames: Figures) -> str:
    rows = [
        [task, frames["labeled"][task], frames["labeled_but_not_predicted"][task]]
        for task in frames["labeled"]
    ]
    return (
        "<h2>Frames</h2>\n"
        f"<p>{frames['videos']} videos, {frames['all']} frames, {frames['predicted']} with a prediction. "
        f"{escape(frames['rule']['text'])}</p>\n"
        + _table(["task", "labeled", "of them not predicted"], rows)
    )


def _scores(figures: Figures) -> str:
    rows = []
    for section, title, measures in _SCORE_ROWS:
        part = figures[section]
        for name, text in measures if part is not None else ():
            rows.append(
                [f"{title}: {text}", _interval(part[name]), _cell(part["where_predicted"][name])]
            )
        if section == "valence_arousal" and part is not None:
            rows += [
                [f"{title}: CCC of {name}", _interval(part[name]["ccc"]), ""] for name in VA_NAMES
            ]
    caption = "Pooled over all frames; 95 % intervals by drawing whole videos anew"
    return "<h2>Scores of ABAW2</h2>\n" + _table(["", "value", "where predicted"], rows, caption)


def _action_units(part: Figures) -> str:
    rows = [
        [
            name, au["frames"], _cell(au["share_on"]), _cell(au["share_called"]), _interval(au["f1"]),
            _cell(au["f1_at_best_threshold"]), _cell(au["f1_always_on"]), _cell(au["auroc"]),
            _cell(au["average_precision"]), _cell(au["calibration_error"]),
        ]
        for name, au in part["by_au"].items()
    ]  # fmt: skip
    header = [
        "AU",
        "frames",
        "on",
        "called",
        "F1",
        "F1 at best threshold",
        "F1 if always called",
        "AUROC",
        "AP",
        "ECE",
    ]
    caption = (
        "The F1 at the threshold that suits these very frames best is no result, it says what a better threshold could "
        "give. AUROC, average precision (AP) and expected calibration error (ECE) are of predicted frames only."
    )
    return (
        "<h2>Action units</h2>\n"
        + report_plots.f1_plot(part["by_au"])
        + _table(header, rows, caption)
        + f"<p>Mean expected calibration error {_cell(part['calibration_error_mean'])}.</p>\n"
        + "<h3>Precision and recall</h3>\n"
        + report_plots.precision_recall_plot(part["by_au"])
        + "<h3>Calibration</h3>\n"
        + report_plots.reliability_plot(part["by_au"])
    )


def _expression(part: Figures) -> str:
    rows = [
        [name, row["frames"], row["called"], _interval(row["f1"])]
        for name, row in part["by_class"].items()
    ]
    return (
        "<h2>Expression</h2>\n"
        + _table(["class", "labeled", "predicted", "F1"], rows)
        + report_plots.confusion_plot(part["confusion"], list(EXPRESSION_NAMES))
        + report_plots.reliability_plot({"most probable class": part})
    )


def _valence_arousal(part: Figures) -> str:
    measures = ("ccc", "pearson", "rmse", "sign_agreement")
    rows = [[name, *(_interval(part[name][measure]) for measure in measures)] for name in VA_NAMES]
    return (
        "<h2>Valence and arousal</h2>\n"
        + _table(["", "CCC", "Pearson", "RMSE", "sign agreement"], rows)
        + report_plots.density_plot(part, VA_NAMES)
    )


def _videos(videos: list[Figures]) -> str:
    names = (
        "frames",
        "predicted",
        "au_accuracy",
        "expression_accuracy",
        "valence_rmse",
        "arousal_rmse",
    )
    rows = [[row["video"], *(_cell(row[name]) for name in names)] for row in videos]
    header = [
        "video",
        "frames",
        "predicted",
        "AU accuracy",
        "expression accuracy",
        "valence RMSE",
        "arousal RMSE",
    ]
    return '<h2>Videos</h2>\n<div class="scroll">' + _table(header, rows) + "</div>"


def _cell(value: float | int | None) -> str:
    if value is None:
        return "&ndash;"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _interval(figure: Figures) -> str:
    """A value, and its interval where there is one; HTML."""
    if figure["low"] is None:
        return _cell(figure["value"])
    return f'{_cell(figure["value"])} <span class="interval">{figure["low"]:.3f} … {figure["high"]:.3f}</span>'


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> str:
    """Cells may hold HTML, but names of the first column are text."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "\n".join(
        "<tr>"
        + "".join(f"<td>{escape(str(cell)) if k == 0 else cell}</td>" for k, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>\n"
