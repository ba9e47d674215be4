"""``python -m mdlite``, and the command ``mdlite``: the command line."""

import sys


def main() -> None:
    """The command line, also where Ctrl-C comes while it is being imported."""
    try:
        from mdlite.cli.main import main as run
    except KeyboardInterrupt:
        print("error: interrupted; nothing had begun", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
