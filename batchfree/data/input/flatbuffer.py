"""Reads flatbuffers, in which Arrow files describe themselves: https://flatbuffers.dev/internals/."""

from __future__ import annotations

import struct
from collections.abc import Iterator


class FlatTable:
    """A table of a flatbuffer. Fields are numbered from zero and found through offsets in the table's vtable.

    Every method raises `struct.error` if the bytes are not a flatbuffer.
    """

    def __init__(self, data: bytes, at: int) -> None:
        """`at` is the place of the table in `data`."""
        self._data, self._at = data, at
        self._vtable = at - self._unpack("<i", at)
        self._size = self._unpack("<H", self._vtable)

    @classmethod
    def root(cls, data: bytes) -> FlatTable:
        """The table that the whole buffer stands for."""
        return cls(data, struct.unpack_from("<I", data, 0)[0])

    def number(self, field: int, form: str, default: int = 0) -> int:
        """The number in a field, `default` if it is left out. `form` is a format of the module `struct`."""
        offset = self._offset(field)
        return self._unpack(form, self._at + offset) if offset else default

    def table(self, field: int) -> FlatTable | None:
        """The table that a field refers to; None if it is left out."""
        at = self._target(field)
        return None if at is None else FlatTable(self._data, at)

    def tables(self, field: int) -> Iterator[FlatTable]:
        """The tables of a vector; none if it is left out."""
        at = self._target(field)
        for place in range(0 if at is None else self._unpack("<I", at)):
            entry = (at or 0) + 4 + 4 * place
            yield FlatTable(self._data, entry + self._unpack("<I", entry))

    def structs(self, field: int, form: str) -> Iterator[tuple[int, ...]]:
        """The structs of a vector, each unpacked by the format `form` of `struct`; none if it is left out."""
        at = self._target(field)
        for place in range(0 if at is None else self._unpack("<I", at)):
            yield struct.unpack_from(form, self._data, (at or 0) + 4 + struct.calcsize(form) * place)

    def text(self, field: int) -> str:
        """The text of a field, empty if it is left out."""
        at = self._target(field)
        if at is None:
            return ""
        return self._data[at + 4 : at + 4 + self._unpack("<I", at)].decode(errors="replace")

    def _target(self, field: int) -> int | None:
        offset = self._offset(field)
        at = self._at + offset
        return at + self._unpack("<I", at) if offset else None

    def _offset(self, field: int) -> int:
        entry = 4 + 2 * field
        return self._unpack("<H", self._vtable + entry) if entry < self._size else 0

    def _unpack(self, form: str, at: int) -> int:
        if at < 0:
            raise struct.error("negative offset")
        return int(struct.unpack_from(form, self._data, at)[0])
