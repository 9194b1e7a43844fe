"""Typed events of a running system: `async for trade in trades("BTC-USDT", exchange="okx"): print(trade.price)`."""

from marketprism.client import events as events
from marketprism.client.kinds import EventKind
from marketprism.client.kinds import books as books
from marketprism.client.level import Level as Level
from marketprism.client.order_book import OrderBook as OrderBook
from marketprism.client.order_book import Side as Side

trades = EventKind(events.Trade)
book_events = EventKind(events.Book)  # snapshots and updates; `books` rebuilds the books from them
quotes = EventKind(events.Quote)
tickers = EventKind(events.Ticker)
candles = EventKind(events.Candle)
funding = EventKind(events.Funding)
mark_prices = EventKind(events.MarkPrice)
open_interest = EventKind(events.OpenInterest)
liquidations = EventKind(events.Liquidation)
long_short_ratios = EventKind(events.LongShortRatio)
options = EventKind(events.OptionSummary)
instruments = EventKind(events.InstrumentChange)
gaps = EventKind(events.Gap)
quality = EventKind(events.Quality)
status = EventKind(events.Status)
signals = EventKind(events.Signal)
dead_letters = EventKind(events.DeadLetter)
