"""The registries fit together: a feed, a channel or a kind that one of them lacks is found here."""

from typing import get_args

from ingest.exchanges import CONNECTORS
from ingest.exchanges.polls import PollRow
from marketprism.simulator.market.listings import LISTINGS
from marketprism.simulator.simulators import SERVERS
from schemas.channels import CHANNELS, CORE_CHANNELS, POLLS
from schemas.events import EVENTS, KINDS, TABLES
from schemas.feeds import EXCHANGES, FEEDS, feed_of, from_exchange, to_exchange
from schemas.settings import load_settings
from schemas.symbols import Kind, parse_symbol
from schemas.topics import STORED_TOPICS, TOPICS, raw_topic
from streams.books.continuity import RULES
from streams.instrument_processor import InstrumentProcessor
from streams.normalize import ANSWERS, NORMALIZERS
from streams.normalize.messages import Normalized
from tests.frames.binance import SPOT
from tests.sinks.events import BODIES


def test_every_feed_is_everywhere() -> None:
    """Each feed has a connector, a continuity rule, a simulated exchange that lists something, and a normalizer."""
    for registry in (CONNECTORS, RULES, SERVERS):
        assert set(registry) == set(FEEDS)
    assert {listing.feed for listing in LISTINGS} == set(FEEDS)
    assert set(NORMALIZERS) == set(EXCHANGES) == {feed.exchange for feed in FEEDS.values()}
    assert all(raw_topic(exchange) in TOPICS for exchange in EXCHANGES)


def test_names_belong_to_one_feed() -> None:
    """Every listed symbol has one feed at its exchange, and its name leads back to it."""
    for listing in LISTINGS:
        feed = FEEDS[listing.feed]
        carriers = [each.name for each in FEEDS.values() if each.carries(parse_symbol(listing.symbol))]
        assert [name for name in carriers if FEEDS[name].exchange == feed.exchange] == [feed.name]
        assert feed_of(feed.exchange, listing.symbol) == feed
        assert from_exchange(feed.name, to_exchange(feed.name, listing.symbol)) == listing.symbol


def test_channels_are_known() -> None:
    """Connectors subscribe to known channels only, every channel is subscribed to, and all feeds have the core ones."""
    rows = [(connector, name, row) for connector in CONNECTORS.values() for name, row in connector.channels.items()]
    polled = {name for connector in CONNECTORS.values() for name in connector.polls}
    assert {name for _, name, _ in rows} | polled == set(CHANNELS)
    assert all(set(CORE_CHANNELS) <= set(connector.channels) for connector in CONNECTORS.values())
    assert set(load_settings().channel_timeout_s) == set(CHANNELS)
    for connector, name, row in rows:
        assert set(row.kinds or (name,)) <= set(KINDS), (connector.name, name)
        assert set(row.of) <= {*get_args(Kind)}, (connector.name, name)
        assert len([each for each in connector.channels.values() if each.name == row.name]) == 1


def test_a_kind_selects_its_channels() -> None:
    """Each feed subscribes to the channels, and polls the endpoints, that carry a wanted kind, and no others."""
    for connector in CONNECTORS.values():
        for kind in KINDS:
            only = connector((kind,))
            found = {name for path in only.paths for name in only.channels_on(path)}
            assert found == {name for name, row in connector.channels.items() if kind in (row.kinds or (name,))}
            assert set(only.polled) == {name for name, row in connector.polls.items() if kind in row.kinds}


def test_every_feed_carries_each_kind_or_says_why_not() -> None:
    """A kind that a feed has neither live nor by polls has a reason, and only such a kind."""
    for connector in CONNECTORS.values():
        live = {kind for name, row in connector.channels.items() for kind in row.kinds or (name,)}
        polled = {kind for row in connector.polls.values() for kind in row.kinds}
        assert set(connector.without) == set(KINDS) - live - polled, connector.name
        assert all(connector.without.values())


def test_polls_are_known() -> None:
    """Polls have a period by default, are of known kinds, and every poll of the registry is some feed's.

    Where an answer holds past periods, it is known how far these are apart, and the time of the newest can be read:
    else periods would be lost, or all would be asked for each time.
    """
    rows = [(connector, name, row) for connector in CONNECTORS.values() for name, row in connector.polls.items()]
    assert {name for _, name, _ in rows} == set(POLLS) == set(load_settings().poll_s)
    for connector, name, row in rows:
        assert set(row.kinds) <= set(KINDS), (connector.name, name)
        assert set(row.of) <= set(FEEDS[connector.name].kinds), (connector.name, name)
        assert (row.most > 0) == (row.newest is not PollRow._field_defaults["newest"]), (connector.name, name)
        assert (row.most > 0) == (row.row_s > 0), (connector.name, name)
        assert row.path in ANSWERS[FEEDS[connector.name].exchange], (connector.name, name)


def test_best_levels_are_known() -> None:
    """What is asked for while a book's socket fails is a request that a normalizer can read the answer of."""
    for connector in CONNECTORS.values():
        row = connector.best_levels
        assert row.path in ANSWERS[FEEDS[connector.name].exchange], connector.name
        assert row.query("BTC"), connector.name


def test_every_event_is_everywhere() -> None:
    """Each event model has a topic, a table of its own and a sample event."""
    assert set(EVENTS) == set(STORED_TOPICS) == set(TABLES) == set(BODIES) <= set(TOPICS)
    assert len(set(TABLES.values())) == len(TABLES)
    assert all(model.topic_name == topic and model.meaning for topic, model in EVENTS.items())


def test_every_message_has_a_handler() -> None:
    """A type of message without a handler would be lost, or crash the worker."""
    assert set(InstrumentProcessor(SPOT, load_settings()).handlers) == set(get_args(Normalized))
