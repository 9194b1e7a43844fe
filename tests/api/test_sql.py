"""SQL of users: cells, limits, and errors in ClickHouse's words."""

import csv
import io
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from marketprism.api import sql_answers
from marketprism.api.questions import INSTALLED, questions
from tests.api.history_data import Api, Prism, prism, settings_in
from tests.sinks.events import event

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    """Store two trades."""
    with prism(tmp_path_factory.mktemp("sql")) as made:
        made.store("trades", [event("market.trades", f"binance:0:{n}:0:0", id=str(n)) for n in range(2)])
        yield made


async def ask(api: Api, query: str, **parameters: str) -> httpx.Response:
    return await api.request("POST", "sql", params=parameters, json={"query": query})


async def rows(api: Api, query: str) -> Any:
    answer = await ask(api, query)
    assert answer.status_code == 200, answer.text
    return answer.json()["rows"]


async def test_columns_and_rows(stored: Prism) -> None:
    """The answer names columns and types; decimals are exact texts."""
    answer = (await ask(stored, "SELECT id, price, local_timestamp FROM trades ORDER BY id")).json()
    assert answer.pop("seconds") > 0
    assert answer == {
        "columns": [
            {"name": "id", "type": "String"},
            {"name": "price", "type": "Decimal(76, 18)"},
            {"name": "local_timestamp", "type": "DateTime64(6, 'UTC')"},
        ],
        "rows": [[n, "0.000000000000000001", "2024-08-08 00:00:01.000002"] for n in ("0", "1")],
        "truncated": False,
    }


@pytest.mark.parametrize(
    ("expression", "cell"),
    [
        ("1", 1),
        ("-9007199254740991", -9007199254740991),
        ("9007199254740992", "9007199254740992"),
        ("toUInt64(18446744073709551615)", "18446744073709551615"),
        ("toInt256('-57896044618658097711785492504343953926634992332820282019728792003956564819968')",
         "-57896044618658097711785492504343953926634992332820282019728792003956564819968"),
        ("0.1", 0.1),
        ("toFloat32(1.5)", 1.5),
        ("nan", None),
        ("-1 / 0", None),
        ("NULL", None),
        ("CAST(NULL, 'Nullable(Float64)')", None),
        ("CAST(NULL, 'LowCardinality(Nullable(String))')", None),
        ("toLowCardinality('a')", "a"),
        ("toNullable(toUInt64(9007199254740993))", "9007199254740993"),
        ("toDecimal128('-1.50', 8)", "-1.5"),
        ("true", True),
        ("CAST(false, 'Nullable(Bool)')", False),
        ("''", ""),
        ("'\\\\N'", "\\N"),
        ("'NULL'", "NULL"),
        ("'a\\tb\\nc\\\\d\\'e\\0f\\rg'", "a\tb\nc\\d'e\0f\rg"),
        ("'🦀'", "🦀"),
        ("unhex('ff')", "\N{REPLACEMENT CHARACTER}"),
        ("[1, NULL]", "[1,NULL]"),
        ("('a', 1)", "('a',1)"),
        ("map('a', 1)", "{'a':1}"),
        ("toDate('2026-11-26')", "2026-11-26"),
        ("toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')", "61f0c404-5cb3-11e7-907b-a6006ad3dba0"),
        ("toIPv4('1.2.3.4')", "1.2.3.4"),
    ],
)  # fmt: skip
async def test_cells_of_any_type(stored: Prism, expression: str, cell: Any) -> None:
    """No number is rounded, and no text is mistaken for NULL."""
    assert await rows(stored, f"SELECT {expression} AS cell") == [[cell]]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1;",
        "  select 1 ; \n;",
        "-- why not\nSELECT 1 -- at the end",
        "/* ; */ SELECT 1; -- FORMAT CSV",
        "(SELECT 1)",
        "WITH 1 AS x SELECT x",
        "FROM numbers(1, 1) SELECT number",
        "SELECT 1 AS format ORDER BY format DESC",
        "# a comment\nSELECT 1",
    ],
)
async def test_spellings_of_a_query(stored: Prism, query: str) -> None:
    """Comments, semicolons and parentheses change nothing."""
    assert await rows(stored, query) == [[1]]


@pytest.mark.parametrize("text", ["-- a", "/* a", "; b", "FORMAT CSV", "it''s", 'a "b', "# a", "$$ -- $$"])
async def test_literals_stay_as_they_are(stored: Prism, text: str) -> None:
    """What looks like a comment within quotes is none."""
    assert await rows(stored, f"SELECT '{text}' -- '") == [[text.replace("''", "'")]]


@pytest.mark.parametrize("query", ["SHOW TABLES", "DESCRIBE trades", "EXISTS trades", "EXPLAIN SELECT 1"])
async def test_other_statements(stored: Prism, query: str) -> None:
    """What is no SELECT, but only reads, is answered, too."""
    assert await rows(stored, query)


async def test_of_many_rows_the_first(stored: Prism) -> None:
    """A thousand rows in the query's order, and a mark that there are more. The rest is not even read."""
    begin = time.perf_counter()
    answer = (await ask(stored, "SELECT number FROM numbers(10000000000)")).json()
    assert answer["rows"] == [[n] for n in range(1_000)]
    assert answer["truncated"]
    assert time.perf_counter() - begin < 10
    answer = (await ask(stored, "SELECT number FROM numbers(5000) ORDER BY number DESC LIMIT 1000")).json()
    assert answer["rows"] == [[n] for n in range(4999, 3999, -1)]
    assert not answer["truncated"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELEC 1", "Code: 62. DB::Exception: Syntax error: failed at position 7 (1)"),
        ("SELECT\n  1 +", "Code: 62."),
        ("SELECT 1) UNION ALL (SELECT 2", "Code: 62."),
        ("SELECT x", "Code: 47."),
        ("SELECT * FROM nothing", "Code: 60."),
        ("SELECT 1; SELECT 2", "Multi-statements are not allowed"),
        ("DROP TABLE trades", "READONLY"),
        ("INSERT INTO trades SELECT * FROM trades", "READONLY"),
        ("SELECT * FROM file('/etc/passwd')", "READONLY"),
        ("SELECT * FROM url('http://127.0.0.1:1', CSV, 'a String')", "READONLY"),
        ("SELECT 1 INTO OUTFILE '/tmp/out'", "READONLY"),
        ("SELECT 1 FORMAT CSV", "leave out FORMAT"),
        ("SHOW TABLES FORMAT JSON;", "leave out FORMAT"),
        ("SELECT {x:String}", "Code: 456."),
        ("SELECT '\0'", "NUL"),
        ("-- nothing", "the query is empty"),
        (" ; ", "the query is empty"),
        ("SELECT throwIf(1, '🦀')", "Code: 395."),
        ("SELECT '", "Code: 62."),
        ("SELECT \\", "Code: 62."),
        ("SELECT '" + "\\'" * 2_400 + "\\", "Code: 62."),
        ("/*" * 2_400, "Code: 62."),
        ("$a$" * 1_600, "Code: 62."),
    ],
)
@pytest.mark.parametrize("format", ["json", "csv"])
async def test_what_clickhouse_refuses(stored: Prism, query: str, words: str, format: str) -> None:
    """The answer is 400 with ClickHouse's words, and places in the user's own text."""
    begin = time.perf_counter()
    answer = await ask(stored, query, format=format)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert words in answer.json()["detail"]
    assert time.perf_counter() - begin < 5


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"query":"\\ud800"}', "query"),
        (b'{"query":""}', "query"),
        (b'{"query":1}', "query"),
        (b"{}", "query"),
        (b"[]", ""),
        (b"{", "JSON"),
        (b'{"query":"\xff"}', ""),
        (b'{"query":"' + b" " * 5_001 + b'"}', "5000"),
    ],
)
async def test_what_is_no_query(stored: Prism, body: bytes, words: str) -> None:
    """A malformed body is a problem of the request."""
    answer = await stored.request("POST", "sql", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["detail"]


async def test_csv(stored: Prism) -> None:
    """A file with a header, which spreadsheets read."""
    answer = await ask(stored, "SELECT id, 'a\"b\nc' AS text, NULL AS none FROM trades ORDER BY id", format="csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="marketprism.csv"'
    assert list(csv.reader(io.StringIO(answer.text))) == [
        ["id", "text", "none"], ["0", 'a"b\nc', "\\N"], ["1", 'a"b\nc', "\\N"],
    ]  # fmt: skip


@pytest.mark.parametrize(("count", "status"), [(5, 200), (6, 400)])
async def test_a_csv_is_whole_or_refused(
    stored: Prism, monkeypatch: pytest.MonkeyPatch, count: int, status: int
) -> None:
    """A file never lacks rows without a word. Newlines within cells are no rows."""
    monkeypatch.setattr(sql_answers, "MOST_CSV_ROWS", 5)
    answer = await ask(stored, f"SELECT 'a\n\"\nb' FROM numbers({count})", format="csv")
    assert answer.status_code == status


async def test_without_clickhouse(tmp_path: Path) -> None:
    """Where there is no database, the answer is 503: it is not the query's fault."""
    api = Api(settings_in(tmp_path))
    for answer in (await ask(api, "SELECT 1"), await api.answer("trades/history"), await api.answer("quality/map")):
        assert answer.status_code == 503
        assert "there is no ClickHouse data" in answer.json()["detail"]


def test_the_wheel_has_the_questions() -> None:
    """An installed package finds the page where the wheel puts it."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))
    (placed,) = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"].items()
    assert placed == ("docs/queries.md", str(INSTALLED.relative_to(_ROOT)))


async def test_ready_made_questions(stored: Prism) -> None:
    """Every question of the page is offered, and its query is answered."""
    found = await stored.get("sql/questions")
    assert [each["title"] for each in found] == [each.title for each in questions()]
    assert found[0]["question"].startswith("At which average price was an instrument traded in each minute?")
    for each in found:
        assert await rows(stored, each["query"]) == []
