"""Reads a request's header fields; one that is given several times is seen to be (RFC 9110, section 5.3)."""

from __future__ import annotations

from collections.abc import Sequence

Fields = Sequence[tuple[bytes, bytes]]


def by_name(fields: Fields) -> dict[bytes, bytes]:
    """Return the fields' values by name; names are in lower case, as ASGI has them.

    Several values of one name are joined by commas, as proxies do it too; if they are all equal, it is one value.
    """
    found = dict(fields)
    return found if len(found) == len(fields) else {name: b", ".join(values_of(fields, name)) for name in found}


def values_of(fields: Fields, name: bytes) -> list[bytes]:
    """Return all values of one name; a single one if they are all equal."""
    values = [value for other, value in fields if other == name]
    return values if len(set(values)) > 1 else values[:1]


def header(fields: Fields, name: bytes) -> str | None:
    """Return the value of one name, as ``by_name`` does; None if there is none."""
    values = values_of(fields, name)
    return b", ".join(values).decode("latin-1") if values else None
