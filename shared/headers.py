"""A request's header fields, of which a repeated one is seen to be repeated (RFC 9110, section 5.3)."""

from __future__ import annotations

from collections.abc import Sequence

Fields = Sequence[tuple[bytes, bytes]]


def by_name(fields: Fields) -> dict[bytes, bytes]:
    """Return what fields say by their names, as ASGI has them: in lower case.

    Lines of one name are one list, as proxies would make of them too; those that all say the same are one line.
    """
    found = dict(fields)
    return found if len(found) == len(fields) else {name: b", ".join(said(fields, name)) for name in found}


def said(fields: Fields, name: bytes) -> list[bytes]:
    """Return what the lines of one name say; one value if they all say the same."""
    values = [value for other, value in fields if other == name]
    return values if len(set(values)) > 1 else values[:1]


def header(fields: Fields, name: bytes) -> str | None:
    """Return what fields say under a name, as ``by_name`` does; None if it is not among them."""
    values = said(fields, name)
    return b", ".join(values).decode("latin-1") if values else None
