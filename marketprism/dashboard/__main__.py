"""Run the page with the API (`python -m marketprism.dashboard`)."""

import sys

from marketprism.api.server import main
from marketprism.dashboard.app import create_app

if __name__ == "__main__":
    sys.exit(main("dashboard", create_app, "the page"))
