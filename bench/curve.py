#!/usr/bin/env python3
"""Draws how the cost of graymeshd grows: what `bench/load.py --curve --json FILE` measured, as docs/curve.svg.
Needs Debian's python3-matplotlib.

    bench/load.py --curve --json curve.json && bench/curve.py curve.json
"""

import json
import pathlib
import sys

import matplotlib
from load import look_up

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
MEASURES = (  # heading, where
    ("all synced from cold, s", "cold.synced_last_s"), ("CPU of graymeshd for it, s", "cold.cpu_s"),
    ("memory, most ever, MB", "peak_mb"), ("one endpoint, p99, ms", "endpoint.p99"),
    ("one route, p99, ms", "route.p99"), ("kill -9, all current, s", "crash.current_s"))
SERIES = (  # what grows, what stays, how it is told
    ("services", ("streams", 100), "services, at 100 streams"), ("streams", ("services", 700), "streams, at 700 services"))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    columns = json.loads(pathlib.Path(sys.argv[1]).read_text())
    # The same drawing from the same figures, byte for byte.
    pyplot.rcParams.update({"svg.hashsalt": "graymesh", "svg.fonttype": "none", "font.family": "sans-serif",
                            "font.size": 9})
    figure, axes = pyplot.subplots(2, 3, figsize=(10, 5.6), layout="constrained")
    for axis, (heading, path) in zip(axes.flat, MEASURES):
        for grows, (stays, value), label in SERIES:
            points = sorted((column[grows], look_up(column, path)) for column in columns if column[stays] == value)
            axis.plot(*zip(*points), marker="o", markersize=3.5, label=label)
            last = points[-1][1]
            axis.annotate(f"{last:.0f}" if last >= 100 else f"{last:.2g}", points[-1], textcoords="offset points",
                          xytext=(0, 5), ha="center")
        axis.set(title=heading, xscale="log", yscale="log")
        axis.margins(0.12, 0.18)
        axis.grid(alpha=0.3)
    axes.flat[0].legend(fontsize=8)
    figure.savefig(ROOT / "docs/curve.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
