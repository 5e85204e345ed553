"""JSON values → column types. The shape of a column is what its values have in common; it gives the Polars type.

The types are those of the table; templates see each row as it stands in the file. Whole numbers and fractions together
become Float64. A column stays JSON text if no type can hold it: an inner field is a string in one row and a list in
another, objects have too many different keys, numbers exceed 64 bits, or a whole number beside fractions exceeds 2^53,
above which Float64 skips whole numbers. Values of different kinds in one column, such as a string and a list, are the
user's mistake; the caller reports it.
"""

from __future__ import annotations

import polars as pl

from batchfree.core.chat import Json

MOST_FIELDS = 1_000
"""An object with more keys than this over all rows counts as a map and not as a struct."""
INT64, UINT64 = 1 << 63, 1 << 64
EXACT = 1 << 53
"""Float64 holds every whole number up to this one."""

KINDS: dict[type, str] = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


class Shape:
    """What all values at one place have in common: their kinds, the range of whole numbers, the shapes inside."""

    __slots__ = ("fields", "high", "item", "kinds", "low", "open")

    def __init__(self) -> None:
        self.kinds: set[type] = set()
        self.low = self.high = 0
        self.item: Shape | None = None
        self.fields: dict[str, Shape] = {}
        self.open = False

    def see(self, value: Json) -> None:
        """Adds one value and everything inside it."""
        kind = value.__class__
        if kind is int:
            if value < self.low:
                self.low = value
            elif value > self.high:
                self.high = value
        elif kind is dict:
            self._see_fields(value)
        elif kind is list:
            if self.item is None:
                self.item = Shape()
            for each in value:
                self.item.see(each)
        elif value is None:
            return
        self.kinds.add(kind)

    def _see_fields(self, value: dict[str, Json]) -> None:
        if self.open:
            return
        fields = self.fields
        for key, each in value.items():
            field = fields.get(key)
            if field is None:
                field = fields[key] = Shape()
            field.see(each)
        if len(fields) > MOST_FIELDS:
            self.open, self.fields = True, {}

    def clash(self, value: Json) -> str | None:
        """The kind seen before, in words, if `value` is of a kind that can't share a column with it; else None."""
        if value is None or not self.kinds or value.__class__ in self.kinds:
            return None
        before = KINDS[next(iter(self.kinds))]
        return before if KINDS[value.__class__] != before else None

    def dtype(self) -> pl.DataType | None:
        """The type that holds all values; None if there is none. It is text if all values are null."""
        if not self.kinds:
            return pl.String()
        if self.kinds <= {int, float}:
            return self._number()
        if len(self.kinds) > 1:
            return None
        kind = next(iter(self.kinds))
        if kind is list:
            inner = self.item.dtype() if self.item is not None else None
            return pl.List(inner) if inner is not None else None
        if kind is dict:
            return self._struct()
        return pl.Boolean() if kind is bool else pl.String()

    def is_mixed(self) -> bool:
        """Whether the values are whole numbers and fractions."""
        return self.kinds == {int, float}

    def widened(self) -> bool:
        """Whether some place inside the values holds a whole number in one row and a fraction in another."""
        inner = [*self.fields.values(), *([self.item] if self.item else [])]
        return any(len(shape.kinds) > 1 or shape.widened() for shape in inner)

    def _number(self) -> pl.DataType | None:
        signed = self.low >= -INT64 and self.high < INT64
        if not signed and (self.low < 0 or self.high >= UINT64):
            return None
        if float in self.kinds:
            return pl.Float64() if self.low >= -EXACT and self.high <= EXACT else None
        return pl.Int64() if signed else pl.UInt64()

    def _struct(self) -> pl.DataType | None:
        if self.open or not self.fields:
            return None
        inner = {key: field.dtype() for key, field in self.fields.items()}
        fields = [pl.Field(key, dtype) for key, dtype in inner.items() if dtype is not None]
        return pl.Struct(fields) if len(fields) == len(inner) else None


def widen(value: Json, dtype: pl.DataType) -> Json:
    """The value with whole numbers turned into floats wherever its type has floats."""
    if value is None:
        return None
    if isinstance(dtype, pl.List):
        return [widen(each, _known(dtype.inner)) for each in value]
    if isinstance(dtype, pl.Struct):
        types = {field.name: _known(field.dtype) for field in dtype.fields}
        return {key: widen(each, types[key]) for key, each in value.items()}
    return float(value) if isinstance(dtype, pl.Float64) else value


def _known(dtype: object) -> pl.DataType:
    """An inner type as an instance, which the types made here always are."""
    assert isinstance(dtype, pl.DataType)
    return dtype
