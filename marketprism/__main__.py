"""`python -m marketprism`: the command line."""

from marketprism.cli import app

app()
