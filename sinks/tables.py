"""Render a ClickHouse table from an event model: its columns, its entry table, and the view that parses its events.

The sink inserts records unparsed into an entry table, which stores nothing (`sinks/names.py`). A materialized view
extracts a tuple of Nullable fields from each record's JSON. A missing or malformed field becomes NULL, which no column
takes unless the model says `| None`: ClickHouse rejects the block.
"""

from collections.abc import Iterable
from types import NoneType
from typing import Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from schemas.events import Event
from schemas.fields import Exact, Level, LowCardinality, MayBeEmpty, Micros, PlainDecimal, SignedDecimal, Time
from schemas.trade_kinds import ON_BOOK_SQL
from sinks.names import entry_of, parse_of


class Column(NamedTuple):
    """One column. `value` is its expression over the parsed `event`; it is empty where ClickHouse takes the default."""

    name: str
    type: str
    codec: str = "ZSTD"
    comment: str = ""
    value: str = ""
    default: str = ""

    def definition(self) -> str:
        """Return the column as CREATE TABLE and ALTER TABLE take it."""
        default = f" DEFAULT {self.default}" if self.default else ""
        codec = f" CODEC({self.codec})" if self.codec else ""
        return f"`{self.name}` {self.type}{default}{codec} COMMENT {quoted(self.comment)}"

    def selected(self) -> str:
        """Return the column as the view selects it."""
        return self.name if self.value == self.name else f"{self.value} AS `{self.name}`"


class Table(NamedTuple):
    """One event model's table. `select` is the query of the view that `create_view` creates."""

    name: str
    comment: str
    columns: list[Column]
    create: str
    create_entry: str
    create_view: str
    select: str


class _Type(NamedTuple):
    """How a value is stored, how it is parsed, and how the parsed value is converted."""

    stored: str
    parsed: str
    codec: str = "ZSTD"
    conversion: str = "{}"


class _Field(NamedTuple):
    """One field of the parsed tuple, its columns, and conditions on which a row is rejected, with the reasons."""

    parsed: str
    columns: list[Column]
    checks: list[tuple[str, str]]


class _Extra(NamedTuple):
    """What a table has beyond its model's fields. Values of `increasing` columns grow along the sort order."""

    columns: tuple[Column, ...] = ()
    definitions: tuple[str, ...] = ()
    increasing: tuple[str, ...] = ()


# 18 decimal places are the finest that any exchange or contract conversion yields, and 20 digits before the point hold
# the supply of every coin: parsing as Decimal(38, 18) bounds what is stored. Decimal(76, 18) leaves digits for what is
# computed. A product of any two values is exact, and so are sums of products below 5.7e40. A quotient is cut off after
# as many decimals as its dividend has: 18 for a ratio of prices, 36 for a VWAP, whose notional must stay below 5.7e22.
# Beyond these bounds ClickHouse wraps around without an error. `divideDecimal` divides sums of any size, and
# `multiplyDecimal` reports a product of three that does not fit.
_DECIMAL = _Type("Decimal(76, 18)", "Decimal(38, 18)")
_LABEL = _Type("LowCardinality(String)", "String", codec="")
_MARKED = {
    Exact: _DECIMAL,
    LowCardinality: _LABEL,
    Time: _Type("DateTime64(6, 'UTC')", "Int64", "Delta, ZSTD", "fromUnixTimestamp64Micro({}, 'UTC')"),
}
_PLAIN: dict[object, _Type] = {
    str: _Type("String", "String"),
    int: _Type("Int64", "Int64"),
    float: _Type("Float64", "Float64"),  # ZSTD alone: Gorilla pays only where neighbours are alike
    bool: _Type("Bool", "Bool"),
}
_NOT_NEGATIVE = _Type("UInt64", "UInt64")
# These describe the JSON, not the column.
_DESCRIPTIONS_OF_TYPES = {FieldInfo.from_annotation(each).description for each in (PlainDecimal, SignedDecimal, Micros)}

_LEVEL = (("price", "quote"), ("amount", "base"))  # the parts of a level, and their units
_ORDER = "(timestamp, local_timestamp, _offset)"
_EXTRAS = {
    "trades": _Extra(
        columns=(
            Column(
                "on_book",
                "Bool",
                comment="executed on the order book; candles are made of these trades",
                default=ON_BOOK_SQL,
            ),
        ),
        definitions=(
            "INDEX timestamp_range timestamp TYPE minmax GRANULARITY 1",
            f"""PROJECTION candles_by_minute
    (
        SELECT
            exchange, symbol, toStartOfMinute(timestamp), on_book,
            argMin(price, {_ORDER}), max(price), min(price),
            argMax(price, {_ORDER}),
            sum(amount), sum(price * amount), count(), sumIf(amount, side = 'buy')
        GROUP BY exchange, symbol, toStartOfMinute(timestamp), on_book
    )""",
        ),
    ),
    "books": _Extra(increasing=("sequence", "previous")),
    "quotes": _Extra(
        columns=tuple(
            Column(
                f"{side}_{part}",
                f"Nullable({_DECIMAL.stored})",
                comment=f"{part} of the best {side}, {unit} units; NULL: the side is empty",
                value=f"event.{side}s[1][{index}]",
            )
            for side in ("bid", "ask")
            for index, (part, unit) in enumerate(_LEVEL, 1)
        ),
        increasing=("sequence",),
    ),
}
_PLACE = (
    Column("_partition", "UInt16", comment="of the event's topic", value="_partition"),
    Column("_offset", "UInt64", "Delta, ZSTD", "in the partition of the event's topic", value="_offset"),
    Column("_inserted", "DateTime64(3, 'UTC')", "Delta, ZSTD", "when the row was stored", default="now64(3, 'UTC')"),
)

# The sink resumes from the highest offset of each partition and origin, and the source there. The projection holds
# them. Stored sources only grow with the offset, so the source at the highest offset is the highest.
_ORIGIN = "substringIndex(source, ':', 2)"
_HELD = f"""PROJECTION held
    (
        SELECT _partition, {_ORIGIN}, max(_offset), argMax(source, _offset)
        GROUP BY _partition, {_ORIGIN}
    )"""
_NO_SOURCE = """NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"')"""
_TOO_FINE = """match(value, '"-?[0-9]+[.][0-9]{19}')"""


def render(model: type[Event], database: str) -> Table:
    """Return the table of an event model. Raise `TypeError` for a field type that has no column type."""
    name, extra = f"{database}.{model.table_name}", _EXTRAS.get(model.table_name, _Extra())
    fields = _fields(model)
    source, *columns = [column for field in fields for column in field.columns]
    columns = [each._replace(codec="Delta, ZSTD") if each.name in extra.increasing else each for each in columns]
    columns += [*extra.columns, source, *_PLACE]
    definitions = [column.definition() for column in columns] + [*extra.definitions, _HELD]
    # A daily partition makes a block of one UTC day one part, which is written whole or not at all.
    create = f"""CREATE TABLE IF NOT EXISTS {name}
(
    {_lines(definitions)}
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(local_timestamp)
ORDER BY ({"exchange, " if "exchange" in model.model_fields else ""}symbol, local_timestamp, _offset)
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1
COMMENT {quoted(model.meaning)}"""
    entry = entry_of(name)
    create_entry = f"CREATE TABLE IF NOT EXISTS {entry} (value String, _partition UInt16, _offset UInt64) ENGINE = Null"
    select = _select(entry, fields, columns)
    view = f"CREATE MATERIALIZED VIEW IF NOT EXISTS {parse_of(name)} TO {name} AS\n{select}"
    return Table(model.table_name, model.meaning, columns, create, create_entry, view, select)


def held_query(table: str, partition: int) -> str:
    """Return the query for what `table` (`database.table`) holds of a topic partition: origin, offset, source."""
    return (
        f"SELECT {_ORIGIN} AS origin, max(_offset) AS offset, argMax(source, _offset) AS highest_source FROM {table} "
        f"WHERE _partition = {partition} GROUP BY _partition, origin"
    )


def quoted(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _select(entry: str, fields: list[_Field], columns: list[Column]) -> str:
    checks = [(_NO_SOURCE, "source does not come first")]
    if any("Decimal(" in column.type for column in columns):
        checks.append((_TOO_FINE, "a decimal has more than 18 decimal places"))
    checks += [check for field in fields for check in field.checks]
    conditions = [f"throwIf({condition}, {quoted(reason)}) = 0" for condition, reason in checks]
    values = [column.selected() for column in columns if column.value]
    parsed = quoted(f"Tuple(\n    {_lines(field.parsed for field in fields)})")
    where = "\n    AND ".join(conditions)
    return f"WITH JSONExtract(value, {parsed}) AS event\nSELECT\n    {_lines(values)}\nFROM {entry}\nWHERE {where}"


def _fields(model: type[BaseModel], parents: tuple[str, ...] = ()) -> list[_Field]:
    return [_field((*parents, name), info) for name, info in model.model_fields.items()]


def _field(path: tuple[str, ...], info: FieldInfo) -> _Field:
    """Return one field's columns. Columns of a nested model are prefixed with the name of the field that holds it."""
    annotation, value = info.annotation, ".".join(("event", *path))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        inner = _fields(annotation, path)
        parsed = f"{path[-1]} Tuple(\n        {_lines((field.parsed for field in inner), 8)})"
        checks = [check for field in inner for check in field.checks]
        columns = [column for field in inner for column in field.columns]
        return _Field(parsed, [each._replace(comment=f"{_comment(info)}: {each.comment}") for each in columns], checks)
    if get_origin(annotation) is list and len(path) == 1:
        return _array(path[0], info)
    required, checks = _required(info), []
    kind = _type(required, path)
    raw, name = f"JSONExtractRaw(value, {', '.join(map(quoted, path))})", ".".join(path)
    if required is not info:
        kind = kind._replace(stored=_nullable(kind.stored))
        if info.is_required():
            checks.append((f"{value} IS NULL AND {raw} != 'null'", f"{name} is missing or malformed"))
        else:  # older events lack it
            checks.append((f"{value} IS NULL AND {raw} NOT IN ('', 'null')", f"{name} is malformed"))
    elif not info.is_required():
        checks.append((f"{value} IS NULL AND {raw} != ''", f"{name} is malformed"))
        value = f"ifNull({value}, {_literal(info.default)})"
    column = Column("_".join(path), kind.stored, kind.codec, _comment(info), kind.conversion.format(value))
    return _Field(f"{path[-1]} Nullable({kind.parsed})", [column], checks)


def _array(name: str, info: FieldInfo) -> _Field:
    [item], comment = get_args(info.annotation), _comment(info)
    # A missing array would be parsed as an empty one. No text can look like the key: JSON escapes its quotes.
    checks = [(f"position(value, '\"{name}\":[') = 0", f"{name} is missing or not an array")]
    if not info.is_required():  # older events lack it
        checks = [(f"JSONHas(value, {quoted(name)}) AND {checks[0][0]}", f"{name} is not an array")]
    if item == Level:
        columns = [
            Column(
                f"{name}.{part}",
                f"Array({_DECIMAL.stored})",
                comment=f"{part}s, {unit} units: {comment}",
                value=f"arrayMap(level -> level[{index}], event.{name})",
            )
            for index, (part, unit) in enumerate(_LEVEL, 1)
        ]
        return _Field(f"{name} Array(Array(Nullable({_DECIMAL.parsed})))", columns, checks)
    inner = FieldInfo.from_annotation(item)
    kind = _type(inner, (name,))
    stored = _nullable(kind.stored) if MayBeEmpty in inner.metadata else kind.stored
    value = f"event.{name}"
    if kind.conversion != "{}":
        value = f"arrayMap(item -> {kind.conversion.format('item')}, {value})"
    column = Column(name, f"Array({stored})", kind.codec or "ZSTD", comment, value)
    return _Field(f"{name} Array(Nullable({kind.parsed}))", [column], checks)


def _type(info: FieldInfo, path: tuple[str, ...]) -> _Type:
    if get_origin(info.annotation) is Literal:
        return _LABEL
    kind = next((kind for mark, kind in _MARKED.items() if mark in info.metadata), None)
    if kind is None and info.annotation is int and any(getattr(mark, "ge", None) == 0 for mark in info.metadata):
        return _NOT_NEGATIVE
    kind = kind or _PLAIN.get(info.annotation)
    if kind is None:
        raise TypeError(f"field {'.'.join(path)}: no column type for {info.annotation}")
    return kind


def _required(info: FieldInfo) -> FieldInfo:
    """Return the field without `| None`."""
    types = get_args(info.annotation)
    return FieldInfo.from_annotation(types[0]) if len(types) == 2 and types[1] is NoneType else info


def _nullable(stored: str) -> str:
    return stored.replace("(String)", "(Nullable(String))") if stored == _LABEL.stored else f"Nullable({stored})"


def _comment(info: FieldInfo) -> str:
    return "" if info.description in _DESCRIPTIONS_OF_TYPES else info.description or ""


def _literal(value: str | int) -> str:
    return quoted(value) if isinstance(value, str) else str(value)


def _lines(items: Iterable[str], indent: int = 4) -> str:
    return (",\n" + " " * indent).join(items)
