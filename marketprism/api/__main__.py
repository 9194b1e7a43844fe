"""Run the API process (`python -m marketprism.api`)."""

import sys

from marketprism.api.app import create_app
from marketprism.api.server import serve
from schemas.errors import MarketPrismError
from schemas.settings import load_settings


def main() -> int:
    try:
        settings = load_settings()
        serve(settings, create_app(settings), "the API")
    except MarketPrismError as error:
        sys.stderr.write(f"marketprism api: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
