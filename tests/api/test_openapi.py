"""The OpenAPI document tells the truth: no request is answered otherwise, and none with a 500."""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from marketprism.api.app import create_app
from marketprism.api.market import Market
from schemas.settings import load_settings
from tests.api.market_data import fill

KNOWN = {"exchange": "okx", "symbol": "BTC-USDT"}
_EXAMPLES = 15  # of each operation; more by hand: st run http://127.0.0.1:8080/api/openapi.json


def app() -> Any:
    """Return an API with some instruments, but neither a broker nor ClickHouse."""
    made = create_app(load_settings(kafka="127.0.0.1:9", api_requests_per_s=0, api_hosts=["testserver"]))
    market: Market = made.state.context.market
    fill(market)
    made.state.context.follower.is_current = True
    return made


schema = schemathesis.openapi.from_asgi("/api/openapi.json", app())


@schema.parametrize()
@settings(max_examples=_EXAMPLES, suppress_health_check=list(HealthCheck))
def test_answers_are_as_documented(case: Any) -> None:
    """Every answer has a documented status, content type and shape, for valid and invalid requests.

    A document cannot say which texts are times, or that one of two parameters is needed: such requests may be rejected.
    """
    case.call_and_validate(excluded_checks=[positive_data_acceptance])


@schema.parametrize()
@settings(max_examples=_EXAMPLES, suppress_health_check=list(HealthCheck))
def test_answers_about_known_instruments(case: Any) -> None:
    """The same holds for requests about instruments that exist."""
    for name in set(case.path_parameters) & set(KNOWN):
        case.path_parameters[name] = KNOWN[name]
    case.call_and_validate(excluded_checks=[positive_data_acceptance, negative_data_rejection])
