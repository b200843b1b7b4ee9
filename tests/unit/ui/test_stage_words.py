"""Stages of a training: the command line and the page have words for the same."""

import re

from ui.programs import PACKAGES_ROOT
from ui.train_words import STAGES


def test_the_page_has_words_for_each_stage() -> None:
    """One without shows its bare name."""
    script = (PACKAGES_ROOT / "ui" / "pages" / "models_words.js").read_text(encoding="utf-8")
    of_page = re.search(r"export const STAGES = \{(.*?)\};", script, re.DOTALL)

    assert of_page is not None
    assert set(STAGES) <= set(re.findall(r'(?:^|, |\s)"?(\w*)"?: "', of_page[1]))
