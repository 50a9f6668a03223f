"""Draw the data flow of ABN, LABN and saliency guided training: docs/networks.png.

python examples/draw_networks.py --out docs/networks.png
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

COLOURS = {"data": "#eef2f7", "shared": "#d9e6f5", "attention": "#fbe3d6", "perception": "#dcefdc", "loss": "#f6eebc"}
HEIGHT = 0.62


@dataclass(frozen=True)
class Box:
    """A part of a network: its place, width, kind and text."""

    x: float
    y: float
    width: float
    kind: str
    text: str

    @property
    def left(self) -> tuple[float, float]:
        return self.x, self.y

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.width, self.y

    @property
    def top(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + HEIGHT / 2

    @property
    def bottom(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y - HEIGHT / 2


def draw(axes: Axes, boxes: dict[str, Box], title: str) -> None:
    for box in boxes.values():
        corner = (box.x, box.y - HEIGHT / 2)
        style = FancyBboxPatch(
            corner, box.width, HEIGHT, "round,pad=0,rounding_size=0.08", facecolor=COLOURS[box.kind], edgecolor="#555"
        )
        axes.add_patch(style)
        axes.text(box.x + box.width / 2, box.y, box.text, ha="center", va="center", fontsize=8)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlim(-0.1, 14.1)
    axes.set_ylim(-0.5, 2.5)
    axes.set_aspect("equal")
    axes.set_axis_off()


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], text: str = "", bend: float = 0.0) -> None:
    style = {"arrowstyle": "-|>", "color": "#333", "linewidth": 1.0, "connectionstyle": f"arc3,rad={bend}"}
    axes.annotate("", end, start, arrowprops=style)
    if text:
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.13)
        axes.text(*middle, text, ha="center", va="bottom", fontsize=7.5, color="#333")


def branches(axes: Axes, title: str, texts: dict[str, str]) -> None:
    """The shape that ABN and LABN share."""
    boxes = {
        "image": Box(0, 0.3, 1.2, "data", "image x"),
        "features": Box(2.0, 0.3, 2.6, "shared", texts["features"]),
        "attention": Box(5.4, 1.9, 3.2, "attention", texts["attention"]),
        "map": Box(9.4, 1.9, 1.3, "attention", "map α\n(1, h, w)"),
        "scores": Box(11.6, 1.9, 2.4, "attention", "logits, pooled\n→ L_att"),
        "gate": Box(6.0, 0.3, 2.0, "perception", texts["gate"]),
        "perception": Box(8.8, 0.3, 2.2, "perception", texts["perception"]),
        "logits": Box(11.6, 0.3, 2.4, "perception", "logits f(x)\n→ L_per"),
    }
    draw(axes, boxes, title)
    arrow(axes, boxes["image"].right, boxes["features"].left)
    arrow(axes, boxes["features"].right, boxes["gate"].left, "h")
    arrow(axes, boxes["features"].top, boxes["attention"].left, bend=-0.25)
    arrow(axes, boxes["attention"].right, boxes["map"].left)
    arrow(axes, boxes["attention"].top, boxes["scores"].top, bend=-0.12)
    arrow(axes, boxes["map"].bottom, boxes["gate"].top, bend=-0.15)
    arrow(axes, boxes["gate"].right, boxes["perception"].left)
    arrow(axes, boxes["perception"].right, boxes["logits"].left)


def guided(axes: Axes) -> None:
    """Saliency guided training of any network."""
    boxes = {
        "image": Box(0, 1.5, 1.2, "data", "image x"),
        "network": Box(2.0, 1.5, 2.0, "shared", "network"),
        "rank": Box(5.0, 1.5, 3.0, "attention", "importance: map α,\nor input gradient"),
        "mask": Box(5.0, 0.2, 3.0, "data", "x′: top share of x,\nthe rest bias image"),
        "again": Box(8.9, 0.2, 2.0, "shared", "same network"),
        "loss": Box(11.6, 1.0, 2.4, "loss", "L_KL =\nKL(f(x) ‖ f(x′))"),
    }
    draw(axes, boxes, "Saliency guided training (any classifier): L = L_per + α₁ L_att + α₂ L_KL")
    arrow(axes, boxes["image"].right, boxes["network"].left)
    arrow(axes, boxes["network"].right, boxes["rank"].left)
    arrow(axes, boxes["rank"].bottom, boxes["mask"].top, "")
    arrow(axes, boxes["image"].bottom, boxes["mask"].left, bend=0.2)
    arrow(axes, boxes["mask"].right, boxes["again"].left)
    arrow(axes, boxes["again"].right, boxes["loss"].bottom, bend=0.2)
    arrow(axes, boxes["network"].top, boxes["loss"].top, bend=-0.2)
    axes.text(9.4, 2.05, "f(x)", fontsize=7.5, color="#333")
    axes.text(11.6, -0.1, "f(x′)", fontsize=7.5, color="#333")


def figure() -> Figure:
    fig = Figure(figsize=(9.6, 6.9), layout="constrained")
    FigureCanvasAgg(fig)
    panels = fig.subplots(3, 1)
    branches(
        panels[0],
        "ABN: any ResNet cut before its last stage",
        {
            "features": "stem and stages\nbut the last",
            "attention": "copy of the last stage, stride 1,\none channel per class",
            "gate": "(1 + α) ⊙ h",
            "perception": "last stage,\npooling, linear",
        },
    )
    branches(
        panels[1],
        "LABN: lambda layers, and no way around the map",
        {
            "features": "lambda feature\nextractor",
            "attention": "two bottlenecks,\nten channels of evidence",
            "gate": "α ⊙ h, α ≤ θ → 0",
            "perception": "lambda blocks,\npooling, linear",
        },
    )
    guided(panels[2])
    return fig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("networks.png"))
    options = parser.parse_args()
    figure().savefig(options.out, dpi=110)
    print(options.out)


if __name__ == "__main__":
    main()
