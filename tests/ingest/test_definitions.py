"""Comparison of listings: what is new, changed and gone, and which listings are not believed."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.definitions import Changes, Definitions
from ingest.exchanges.listing import Listing
from schemas.instruments import Instrument, defined_instrument

SYMBOLS = [f"C{number}-USDT-PERP" for number in range(20)]


def contract(symbol: str, **changes: str) -> Instrument:
    return defined_instrument("okx", "okx", symbol, **{"contract_size": "0.01", **changes})


def listing(*instruments: Instrument, skipped: tuple[str, ...] = (), size: int = 100) -> Listing:
    made = Listing((each.symbol, each) for each in instruments)
    made.skipped = set(skipped)
    made.sizes.update({"SWAP": size})
    return made


def started(*symbols: str) -> Definitions:
    made = Definitions()
    first = listing(*map(contract, symbols))
    assert made.plausible(first)
    assert len(made.compare(first).listed) == len(symbols)
    return made


def test_listed_and_changed() -> None:
    """A new and a changed instrument are reported once; closed ones are not listed."""
    definitions = started(*SYMBOLS[:2])
    now = listing(
        contract(SYMBOLS[0]), contract(SYMBOLS[1], contract_size="1"), contract(SYMBOLS[2], status="halted"),
        contract(SYMBOLS[3], status="closed"),
    )  # fmt: skip
    changes = definitions.compare(now)
    assert [each.symbol for each in changes.listed] == [SYMBOLS[2]]
    assert [(each.symbol, each.contract_size) for each in changes.changed] == [(SYMBOLS[1], "1")]
    assert definitions.compare(now) == Changes([], [], [])


def test_delisted() -> None:
    """Closed instruments are delisted at once, missing ones the second time in a row. Both can be listed again."""
    definitions = started(*SYMBOLS[:3])
    now = listing(contract(SYMBOLS[0]), contract(SYMBOLS[1], status="closed"))
    assert [(each.symbol, why) for each, why in definitions.compare(now).delisted] == [(SYMBOLS[1], "closed")]
    assert definitions.doubtful
    assert [each.symbol for each, _ in definitions.compare(now).delisted] == [SYMBOLS[2]]
    assert not definitions.doubtful
    back = definitions.compare(listing(*map(contract, SYMBOLS[:3])))
    assert [each.symbol for each in back.listed] == SYMBOLS[1:3]


def test_missing_once() -> None:
    """An instrument that only every second listing contains is never delisted."""
    definitions = started(*SYMBOLS[:2])
    for _ in range(5):
        for symbols in (SYMBOLS[:1], SYMBOLS[:2]):
            assert definitions.compare(listing(*map(contract, symbols))) == Changes([], [], [])


def test_unusable_entry() -> None:
    """An instrument whose entry cannot be used keeps its definition, however long."""
    definitions = started(*SYMBOLS[:2])
    for _ in range(5):
        unusable = listing(contract(SYMBOLS[0]), skipped=(contract(SYMBOLS[1]).exchange_symbol,))
        assert definitions.compare(unusable) == Changes([], [], [])


def test_renamed() -> None:
    """A new name at the exchange is a new subscription: the instrument is delisted and listed."""
    definitions = started(SYMBOLS[0])
    changes = definitions.compare(listing(contract(SYMBOLS[0], exchange_symbol="C0-NEW")))
    assert len(changes.listed) == len(changes.delisted) == 1
    assert not changes.changed


def test_implausible() -> None:
    """An empty listing is never believed, one of less than half the size only the second time."""
    definitions = started(*SYMBOLS)
    assert not any(definitions.plausible(listing(size=0)) for _ in range(5))
    assert not definitions.plausible(listing(size=49))
    assert definitions.plausible(listing(size=49))
    assert definitions.plausible(listing(size=100))
    assert definitions.known


@given(st.lists(st.sets(st.sampled_from(SYMBOLS)), max_size=8))
def test_changes_add_up(listings: list[set[str]]) -> None:
    """The reported changes add up to the known instruments, which include everything listed."""
    definitions = started(*SYMBOLS[:5])
    known = set(SYMBOLS[:5])
    for symbols in listings:
        changes = definitions.compare(listing(*map(contract, symbols)))
        known |= {each.symbol for each in changes.listed}
        known -= {each.symbol for each, _ in changes.delisted}
        assert known == set(definitions.known)
        assert symbols <= known
