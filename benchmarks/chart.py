"""Horizontal bars as plain SVG text, on a ground of its own that follows light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH = 760
_LEFT = 200  # of the bars; labels end before it
_LONGEST = 270
_TOP = 64
_ROW = 34
_BAR = 18
_FOOT = 34


@dataclass(frozen=True)
class Bar:
    """One bar.

    Args:
        label: what was measured.
        value: its length, in the unit of the chart.
        text: the value as people read it.
        target: where a mark stands, or None.
        is_ours: whether it is our own work, and not a peer or a limit.
    """

    label: str
    value: float
    text: str
    target: float | None = None
    is_ours: bool = True


@dataclass(frozen=True)
class Chart:
    """Bars under a title.

    Args:
        title: what the picture shows.
        note: how it was measured.
        bars: from top to bottom.
    """

    title: str
    note: str
    bars: Sequence[Bar]

    def description(self) -> str:
        """Say the same in words, for whoever cannot see it."""
        return "; ".join(f"{bar.label}: {bar.text}" for bar in self.bars)

    def svg(self) -> str:
        """Draw."""
        height = _TOP + _ROW * len(self.bars) + _FOOT
        scale = _LONGEST / max(max(bar.value, bar.target or 0) for bar in self.bars)
        rows = [_row(bar, _TOP + _ROW * number, scale) for number, bar in enumerate(self.bars)]
        return _PICTURE.format(
            width=_WIDTH,
            height=height,
            style=_STYLE,
            title=escape(self.title),
            description=escape(self.description()),
            note=escape(self.note),
            rows="\n".join(rows),
            legend_y=height - 14,
            legend_x=_LEFT,
        )


def _row(bar: Bar, top: int, scale: float) -> str:
    width = max(1.0, bar.value * scale)
    middle = top + _BAR - 5
    kind = "ours" if bar.is_ours else "other"
    mark = bar.value if bar.target is None else max(bar.value, bar.target)
    parts = [
        f'<text class="label" x="{_LEFT - 10}" y="{middle}">{escape(bar.label)}</text>',
        f'<rect class="{kind}" x="{_LEFT}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="3"/>',
        f'<text x="{_LEFT + mark * scale + 10:.1f}" y="{middle}">{escape(bar.text)}</text>',
    ]
    if bar.target is not None:
        at = _LEFT + bar.target * scale
        parts.append(
            f'<path class="target" d="M{at:.1f} {top - 4}V{top + _BAR + 4}"/>',
        )
    return "\n".join(parts)


_STYLE = """
svg { color-scheme: light dark; }
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.label { text-anchor: end; }
.title { font-size: 16px; font-weight: 600; }
.note { fill: #59636e; }
.ground { fill: #ffffff; stroke: #d1d9e0; }
.ours { fill: #0969da; }
.other { fill: #818b98; }
.target { stroke: #cf222e; stroke-width: 2; fill: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .note { fill: #9198a1; }
  .ground { fill: #0d1117; stroke: #3d444d; }
  .ours { fill: #4493f8; }
  .other { fill: #9198a1; }
  .target { stroke: #f85149; }
}
"""
_PICTURE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" \
height="{height}" role="img" aria-labelledby="title description">
<title id="title">{title}</title>
<desc id="description">{description}</desc>
<style>{style}</style>
<rect class="ground" x="0.5" y="0.5" width="{width}" height="{height}" rx="6" \
transform="scale(0.998)"/>
<text class="title" x="20" y="28">{title}</text>
<text class="note" x="20" y="48">{note}</text>
{rows}
<path class="target" d="M{legend_x} {legend_y}v-12"/>
<text class="note" x="{legend_x}" y="{legend_y}" dx="10" dy="-2">target</text>
</svg>
"""
