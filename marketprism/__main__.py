"""`marketprism`, or `python -m marketprism`: the command line."""

import sys


def main() -> None:
    """Run the command line. Ctrl-C ends it without a traceback, even while it is still being imported."""
    try:
        from marketprism.cli import app

        app()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
