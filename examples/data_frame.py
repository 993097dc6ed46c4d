"""Rows as a data frame, with statistics: `python examples/data_frame.py clip.mp4` (needs pandas).

Rows that `faceaffect analyze` wrote are read by `pandas.read_csv("rows.csv")` and look the same.
"""

from __future__ import annotations

import sys

import pandas

import faceaffect as fa


def share_of_smiles(rows: pandas.DataFrame) -> pandas.Series:
    """Return the share of frames in which each face smiles with its eyes: AU6 and AU12."""
    smiles = (rows["AU6_on"] == 1) & (rows["AU12_on"] == 1)
    return smiles.groupby(rows["track_id"]).mean()


def main(video: str) -> None:
    """Print seconds of each expression, means per second, and how AUs go together."""
    rows = fa.analyze(video).to_pandas()
    per_second = rows.groupby(["track_id", rows["time_s"].astype(int).rename("second")])
    print(per_second[["valence", "arousal", "AU12"]].mean().round(2))
    print(rows.groupby("track_id")["expression"].value_counts())
    print(share_of_smiles(rows).rename("smiles").round(2))
    decisions = rows[[f"{name}_on" for name in fa.AU_NAMES]]
    seen = decisions.loc[:, decisions.nunique() > 1]
    print(seen.corr().round(2))


if __name__ == "__main__":
    main(sys.argv[1])
