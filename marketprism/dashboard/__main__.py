"""Run the page with the API (`python -m marketprism.dashboard`)."""

import sys

from marketprism.api.server import serve
from marketprism.dashboard.app import create_app
from schemas.errors import MarketPrismError
from schemas.settings import load_settings


def main() -> int:
    try:
        settings = load_settings()
        serve(settings, create_app(settings), "the page")
    except MarketPrismError as error:
        sys.stderr.write(f"marketprism dashboard: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
