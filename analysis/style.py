"""Colours, axis settings and file formats of all figures.

Figures are built on matplotlib's Figure directly: without pyplot there is no global state to set, leak or close. The
same data give the same bytes.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager, get_font
from matplotlib.text import Text

_OTHER_SCRIPTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "WenQuanYi Zen Hei",
    "IPAGothic",
    "Unifont",
    "Arial Unicode MS",
)
"""Fonts for names that DejaVu Sans cannot show, if they are installed."""
_FONTS = ["DejaVu Sans", *(name for name in _OTHER_SCRIPTS if name in fontManager.get_font_names())]

_SETTINGS = {
    **sns.axes_style("ticks"),
    **sns.plotting_context("paper"),
    "font.family": "sans-serif",
    "font.sans-serif": _FONTS,  # the first comes with matplotlib, so layouts are the same on every machine
    "axes.edgecolor": "#6b7280",
    "axes.labelcolor": "#374151",
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "axes.titlecolor": "#111827",
    "axes.labelsize": 9,
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "xtick.color": "#6b7280",
    "ytick.color": "#6b7280",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "pdf.fonttype": 42,  # TrueType, which journals ask for
    "svg.fonttype": "none",  # text stays text: smaller files, searchable
    "svg.hashsalt": "lip",  # the same data give the same bytes
}

DENSE_COLOR = "#4b5563"
DASHED = (0, (5, 3))
"""Line style of the dense prior."""


@dataclass(frozen=True)
class Style:
    """Colour and marker of a line; they always go together."""

    color: str
    marker: str


DENSE_STYLE = Style(DENSE_COLOR, "P")
PRUNER_STYLES = {
    "imp": Style("#0173b2", "o"),
    "random": Style("#029e73", "s"),
    "snip": Style("#de8f05", "^"),
}
PURPLE, BROWN, SKY = Style("#cc78bc", "D"), Style("#ca9161", "v"), Style("#56b4e9", "<")

_OTHERS = [PURPLE, BROWN, SKY, Style("#d55e00", "X"), Style("#949494", "p"), Style("#b8a500", "*")]


def assign_styles(names: Sequence[str], fixed: Mapping[str, Style] = PRUNER_STYLES) -> dict[str, Style]:
    """Give every name its fixed style, or one of the remaining colour-blind-safe ones in order."""
    rest = [name for name in names if name not in fixed]
    return {**fixed, **{name: _OTHERS[i % len(_OTHERS)] for i, name in enumerate(rest)}}


@contextmanager
def style_context() -> Iterator[None]:
    """Apply the common settings while a figure is built or saved."""
    with mpl.rc_context(_SETTINGS):
        yield


def has_pictures(figure: Figure) -> bool:
    """Tell whether a figure shows pictures rather than lines."""
    return any(ax.images for ax in figure.axes)


def jpeg(figure: Figure) -> bytes:
    """Return a figure of pictures as JPEG, small enough for a page."""
    buffer = io.BytesIO()
    with style_context(), _legible(figure):
        figure.savefig(buffer, format="jpg", dpi=130, pil_kwargs={"quality": 85, "optimize": True})
    return buffer.getvalue()


def svg(figure: Figure) -> bytes:
    """Return a figure as SVG, without date: the same figure gives the same bytes."""
    return _save(figure, "svg", {"Date": None})


def png(figure: Figure) -> bytes:
    """Return a figure as PNG at 160 dots per inch."""
    return _save(figure, "png", {"Software": None})


def pdf(figure: Figure) -> bytes:
    """Return a figure as PDF, without date."""
    return _save(figure, "pdf", {"CreationDate": None})


def _save(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    buffer = io.BytesIO()
    with style_context(), _as_text() if kind == "svg" else _legible(figure):
        figure.savefig(buffer, format=kind, dpi=160, metadata=metadata)
    figure.set_layout_engine("none")  # lay out once for all files
    return buffer.getvalue()


@contextmanager
def _as_text() -> Iterator[None]:
    """Leave it to the reader's fonts to show text."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        yield


@contextmanager
def _legible(figure: Figure) -> Iterator[None]:
    r"""Write characters that no font can show as \u732b, so that names can be told apart."""
    texts = [(text, text.get_text()) for text in figure.findobj(Text)]
    fonts = [get_font(findfont(name)) for name in _FONTS]
    try:
        for text, words in texts:
            if not words.isascii():
                text.set_text(
                    "".join(c if any(font.get_char_index(ord(c)) for font in fonts) else _escaped(c) for c in words)
                )
        yield
    finally:
        for text, words in texts:
            text.set_text(words)


def _escaped(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode()
