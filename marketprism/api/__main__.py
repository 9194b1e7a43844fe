"""Run the API process (`python -m marketprism.api`)."""

import sys

from marketprism.api.app import create_app
from marketprism.api.server import main

if __name__ == "__main__":
    sys.exit(main("api", create_app, "the API"))
