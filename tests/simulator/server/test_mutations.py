"""Mutated messages differ from the original, are bounded in size, and are determined by the seed."""

import gzip
import hashlib
from collections import Counter
from random import Random

import aiohttp
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketprism.simulator import Mutate, Simulators
from marketprism.simulator.server.damages import DAMAGES, LONG, STRUCTURAL, WEIGHTS
from marketprism.simulator.server.mutations import Mutator

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), 1 << 63) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
MESSAGES = st.binary(max_size=200) | JSON.map(lambda value: orjson.dumps(value))
TRADE = (
    b'{"stream":"btcusdt@trade","data":{"s":"BTCUSDT","t":5,"p":"1.5","q":"2e3","T":1790000000000,"m":true,'
    b'"b":[["1","2"]]}}'
)


@given(MESSAGES, st.sampled_from(sorted(DAMAGES)), st.integers(0, 1 << 32))
def test_each_damage(message: bytes, name: str, seed: int) -> None:
    """Every damage of any bytes terminates, keeps to the size limit, and is the same for the same seed."""
    sent = DAMAGES[name](message, Random(seed))
    assert sent == DAMAGES[name](message, Random(seed))
    assert len(sent) <= 2
    assert all(len(each) <= 2 * len(message) + LONG + 20_000 for each in sent)


@given(MESSAGES, st.sampled_from(["data", "control", "snapshot", "ping", "rest"]), st.integers(0, 1 << 32))
def test_mutation_differs_from_the_original(message: bytes, kind: str, seed: int) -> None:
    """At rate 1 every message is replaced and the replacement recorded; a REST body is replaced by one body."""
    mutator = Mutator(str(seed), 1.0, 1.0)
    sent = mutator.replace(kind, message)  # type: ignore[arg-type]
    assert sent != [message]
    assert kind != "rest" or len(sent) == 1
    [mutation] = mutator.recorded
    assert [each["sha256"] for each in mutation["sent"]] == [hashlib.sha256(each).hexdigest() for each in sent]
    orjson.dumps(mutation)


def test_every_damage_occurs() -> None:
    """Many mutations of one frame include every damage, those of values most often."""
    mutator = Mutator("1", 1.0, 1.0)
    for _ in range(3_000):
        mutator.replace("data", TRADE)
    assert set(mutator.damages) == set(DAMAGES)
    assert mutator.damages["dropped"] > 2 * mutator.damages["padded"] > 0
    assert set(WEIGHTS) == set(DAMAGES)


def test_structural_damage_spares_the_rest() -> None:
    """The rest of the message stays as it was written, including exponents and trailing zeros."""
    changed = Counter(
        b'"q":"2e3"' in sent and b'"T":1790000000000' in sent
        for seed in range(300)
        for sent in STRUCTURAL["nulled"](TRADE, Random(seed))
    )
    assert changed[True] > changed[False]


def test_rates() -> None:
    """Data messages and the others have separate rates; at rate 0 nothing is replaced."""
    mutator = Mutator("1", 0.0, 1.0)
    assert mutator.replace("data", TRADE) == [TRADE]
    assert mutator.replace("ping", b"1790000000000") != [b"1790000000000"]
    mutator = Mutator("1", 0.01, 0.0)
    replaced = sum(mutator.replace("data", TRADE) != [TRADE] for _ in range(20_000))
    assert 120 < replaced < 280


def test_compressed_messages() -> None:
    """Messages are mutated before, and sometimes after compression; the record then includes the original."""
    mutator = Mutator("3", 1.0, 1.0)
    for _ in range(400):
        mutator.replace("data", TRADE, gzip.compress)
    on_wire = [mutation for mutation in mutator.recorded if mutation["damage"].endswith("on the wire")]
    assert 10 < len(on_wire) < 100
    original = hashlib.sha256(TRADE).hexdigest()
    assert all(mutation["sent"][-1]["sha256"] == original for mutation in on_wire)


@pytest.mark.parametrize("feed", ["binance-spot", "htx-spot"])
async def test_planted_mutations(feed: str) -> None:
    """While the fault lasts, REST bodies are mutated, and the result has every mutation."""
    async with Simulators([feed]) as sims:
        planted = await sims.plant(Mutate(feed=feed, seed=4, rate=0.5, seconds=1.0))
        async with aiohttp.ClientSession() as http:
            path = {"binance-spot": "/api/v3/time", "htx-spot": "/v1/common/timestamp"}[feed]
            bodies = []
            for _ in range(40):
                async with http.get(sims.endpoints[feed]["rest"] + path) as answer:
                    bodies.append(await answer.read())
        await planted.over()
        result = planted.result
        assert 0 < result["mutated"] < result["messages"]
        assert result["whats"]["rest"] > 5
        digests = {sent["sha256"] for mutation in result["mutations"] for sent in mutation["sent"]}
        mutated = [body for body in bodies if hashlib.sha256(body).hexdigest() in digests]
        assert len(mutated) == result["whats"]["rest"]
