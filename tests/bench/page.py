# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures as one page, with its plots in it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
from measures import OTHERS
from sampling import HOSTS

mpl.use("svg")
from matplotlib import pyplot as plt

Row = dict[str, Any]
OURS, THEIRS, BASE = "#0b6e6e", "#b8560f", "#8a8f98"
_STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none"}


def _svg(figure: Any) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", bbox_inches="tight")
    plt.close(figure)
    return text.getvalue().partition("<svg")[1] + text.getvalue().partition("<svg")[2]


def bars(rows: list[Row], key: str, label: str, scale: float = 1.0) -> str:
    """One figure of every action over the first carrier."""
    carrier = rows[0]["carrier"]
    chosen = [each for each in rows if each["carrier"] == carrier]
    names = [each["action"] for each in chosen]
    colours = [BASE if n == "floor" else THEIRS if n in OTHERS else OURS for n in names]
    figure, axes = plt.subplots(figsize=(7, 0.32 * len(names) + 0.6))
    drawn = axes.barh(names, [each[key] * scale for each in chosen], color=colours)
    axes.bar_label(drawn, fmt="%.3g", padding=3)
    axes.invert_yaxis()
    axes.set_xlabel(f"{label} ({carrier})")
    return _svg(figure)


def lines(rows: list[Row], key: str, label: str) -> str:
    """One figure of the floor and of info over fleets, by forks."""
    figure, axes = plt.subplots(figsize=(7, 3))
    styles = dict(zip(sorted({each["forks"] for each in rows}), ("-", "--", ":"), strict=False))
    for name, colour in (("floor", BASE), ("info", OURS)):
        for forks, style in styles.items():
            chosen = [each for each in rows if each["forks"] == forks]
            hosts = [each["hosts"] for each in chosen]
            figures = [each[name][key] / (each["hosts"] if key == "cpu" else 1) for each in chosen]
            axes.plot(hosts, figures, style, color=colour, marker="o", markersize=3, label=f"{name}, {forks} forks")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("hosts")
    axes.set_ylabel(label)
    if key == "wall":  # what grows with hosts is a straight line on two logarithmic axes
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return _svg(figure)


def growth(rows: list[Row]) -> str:
    """How one figure grows with the number of something."""
    figure, axes = plt.subplots(figsize=(7, 2.2))
    numbers = [each["number"] for each in rows]
    axes.plot(numbers, [each["wall"] for each in rows], color=OURS, marker="o", markersize=3, label="wall")
    axes.plot(
        numbers, [each["cpu"] for each in rows], "--", color=OURS, marker="o", markersize=3, label="controller CPU"
    )
    axes.set_xlabel(rows[0]["what"])
    axes.set_ylabel("seconds")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return _svg(figure)


def write(found: dict[str, Any], path: Path) -> None:
    """Write the page."""
    plots: list[tuple[str, str]] = []
    with mpl.rc_context(_STYLE):
        if found.get("actions"):
            plots += [
                ("Bytes up", bars(found["actions"], "bytes_up", "KB sent to a host", 1 / 1000)),
                ("HTTP requests", bars(found["actions"], "operations", "requests, authentication aside")),
                ("Controller CPU", bars(found["actions"], "cpu", "ms of a host, start of Ansible left out", 1000)),
            ]
        if found.get("fleets"):
            plots += [
                ("Fleets: wall time", lines(found["fleets"], "wall", "seconds")),
                ("Fleets: controller CPU", lines(found["fleets"], "cpu", "seconds a host")),
                ("Fleets: controller memory", lines(found["fleets"], "memory", "MB")),
            ]
        plots += [(found[part][0]["what"].capitalize(), growth(found[part]))
                  for part in ("copies", "writers", "files") if found.get(part)]  # fmt: skip
    here = jinja2.FileSystemLoader(Path(__file__).parent)
    template = jinja2.Environment(loader=here, autoescape=True).get_template("page.html.j2")
    path.write_text(template.render(found=found, plots=plots, hosts=HOSTS), encoding="utf-8")
