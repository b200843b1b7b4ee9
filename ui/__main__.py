"""`python -m ui` is `phototag`."""

from ui.cli import main

main()
