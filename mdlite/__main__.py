"""``python -m mdlite``: the command line."""

from mdlite.cli import main

main()
