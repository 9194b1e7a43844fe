"""Where the client finds the broker and the topics."""

from schemas.settings import Settings, load_settings


def settings_of(kafka: str | None, topic_prefix: str | None) -> Settings:
    """Return the settings (environment, marketprism.toml, defaults) with what was given instead."""
    given = {"kafka": kafka, "topic_prefix": topic_prefix}
    return load_settings(**{name: value for name, value in given.items() if value is not None})
