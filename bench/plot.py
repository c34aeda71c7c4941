"""One small SVG: bars of two ways, one panel a figure, by a logarithmic scale (a tenfold is a step to the right)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

Bar = tuple[str, str, float, float, float]
"""Case, way, seconds on the wall, seconds of CPU, bytes on the wire."""

_PANELS = (("wall, seconds", 2), ("CPU of both ends, seconds", 3), ("on the wire, bytes", 4))
_COLOURS = ("#9aa5b1", "#0066cc")
_LEFT, _WIDTH, _GAP, _BAR, _TOP = 230, 230, 40, 13, 64


def plot(title: str, bars: Sequence[Bar]) -> str:
    """Given bars, those of one case side by side, return them as SVG."""
    ways = list(dict.fromkeys(bar[1] for bar in bars))
    cases = list(dict.fromkeys(bar[0] for bar in bars))
    height = _TOP + len(cases) * (_BAR * len(ways) + 14) + 20
    width = _LEFT + len(_PANELS) * (_WIDTH + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="11" fill="#222"><rect width="100%" height="100%" fill="white"/>',
        f'<text x="12" y="22" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
    for number, way in enumerate(ways):
        x = 12 + number * 100
        parts.append(f'<rect x="{x}" y="34" width="12" height="12" fill="{_COLOURS[number % 2]}"/>')
        parts.append(f'<text x="{x + 17}" y="44">{escape(way)}</text>')
    for number, case in enumerate(cases):
        parts.append(
            f'<text x="{_LEFT - 10}" y="{_row(number, len(ways)) + 17}" text-anchor="end">{escape(case)}</text>'
        )
    for number, (name, column) in enumerate(_PANELS):
        values = [(cases.index(bar[0]), ways.index(bar[1]), float(bar[column])) for bar in bars]
        parts += _panel(_LEFT + number * (_WIDTH + _GAP), name, values, len(ways))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _row(case: int, ways: int) -> int:
    return _TOP + case * (_BAR * ways + 14)


def _panel(x: int, name: str, values: Sequence[tuple[int, int, float]], ways: int) -> list[str]:
    lowest = math.floor(math.log10(min(value for _, _, value in values)))
    highest = math.log10(max(value for _, _, value in values))
    step = (_WIDTH - 50) / max(highest - lowest, 1.0)
    parts = [f'<text x="{x}" y="{_TOP - 8}" font-weight="bold">{escape(name)}</text>']
    for case, way, value in values:
        y, length = _row(case, ways) + way * _BAR, max((math.log10(value) - lowest) * step, 1.0)
        parts.append(f'<rect x="{x}" y="{y}" width="{length:.1f}" height="{_BAR - 2}" fill="{_COLOURS[way % 2]}"/>')
        parts.append(f'<text x="{x + length + 4:.1f}" y="{y + 10}">{_short(value)}</text>')
    return parts


def _short(value: float) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"
