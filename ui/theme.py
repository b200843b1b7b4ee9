"""The one theme of all Gradio pages: system fonts and the colours of static/base.css."""

from gradio.themes import Base
from gradio.themes.utils import colors

# The same values stand in static/base.css, for what our own modules draw.
PAPER, PAPER_DARK = "#faf9f7", "#141416"
CARD, CARD_DARK = "#ffffff", "#1d1d20"
INK, INK_DARK = "#1f2023", "#ececee"
LINE, LINE_DARK = "#e5e2dd", "#303035"


def make_theme() -> Base:
    """No font is fetched: pages must look right without a network, and the policy forbids other hosts."""
    theme = Base(
        primary_hue=colors.teal,
        neutral_hue=colors.stone,
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "SF Mono", "Consolas", "monospace"],
    )
    return theme.set(
        body_background_fill=PAPER,
        body_background_fill_dark=PAPER_DARK,
        body_text_color=INK,
        body_text_color_dark=INK_DARK,
        background_fill_primary=CARD,
        background_fill_primary_dark=CARD_DARK,
        border_color_primary=LINE,
        border_color_primary_dark=LINE_DARK,
    )
