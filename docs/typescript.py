"""What nodes say, for the browser: TypeScript types, and the shapes by which frames are checked, from the models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel

from docs.node_messages import NODES_OWN, ConnectionStats
from node import inbox_bodies
from shared import close_codes
from shared.close_codes import CloseCode
from shared.messages import TYPED, TranscodeProgress

_WRITTEN: Final = "// Written by docs/generate.py from {source} (make docs). Do not edit.\n"
_PRIMITIVES: Final = {
    "integer": "number",
    "number": "number",
    "string": "string",
    "boolean": "boolean",
    "null": "null",
}
_TEXT: Final = {"type": "string"}
_LIMITS: Final = {
    "minimum": "min",
    "maximum": "max",
    "exclusiveMinimum": "above",
    "minLength": "minLength",
    "enum": "oneOf",
    # What pydantic says of a union's limits.
    "ge": "min",
    "le": "max",
}
_IMPLIED: Final = (-(2**53) + 1, 2**53 - 1)  # every integer in the browser is within these

_TAIL: Final = """
/** A message of the platform's own: any object with a `type`; an event has an `id`. */
export interface CustomMessage {
  type: string;
  [field: string]: unknown;
}

export interface KnownMessages {
%(known)s}

export type KnownType = keyof KnownMessages;
export type KnownMessage = KnownMessages[KnownType];
export type TranscodeMessage = TranscodeProgress | TranscodeComplete | TranscodeFailed;
export type ServerMessage = KnownMessage | CustomMessage;

/** What a field must be; several kinds where it may be one of them. */
export interface FieldShape {
  kinds: readonly ('integer' | 'number' | 'string' | 'boolean' | 'null' | 'object' | 'array')[];
  optional?: true;
  min?: number;
  max?: number;
  above?: number;
  minLength?: number;
  oneOf?: readonly string[];
  fields?: Readonly<Record<string, FieldShape>>;
  /** What each of an array's elements, or each value of an object of any keys, must be. */
  each?: FieldShape;
}

export const SHAPES: Readonly<Record<KnownType, Readonly<Record<string, FieldShape>>>> = {
%(shapes)s};

/** Tell whether a message is of a known type; what arrived was checked, so its fields are there. */
export function isMessage<K extends KnownType>(message: ServerMessage, type: K): message is KnownMessages[K] {
  return message.type === type;
}
"""


def messages_ts() -> str:
    models: dict[str, type[BaseModel]] = {**TYPED, **NODES_OWN}
    shapes = {kind: dict(_fields(model)) for kind, model in models.items()}
    parts = [_WRITTEN.format(source="shared/messages.py and docs/node_messages.py")]
    parts.append(_interface(ConnectionStats.__name__, dict(_fields(ConnectionStats))))
    parts += [_interface(model.__name__, shapes[kind]) for kind, model in models.items()]
    known = "".join(f"  {kind}: {model.__name__};\n" for kind, model in models.items())
    parts.append(_TAIL % {"known": known, "shapes": "".join(_shape_lines(shapes))})
    return "".join(parts)


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each field as its JSON schema, and whether it may be missing; with what router and node add."""
    schema = model.model_json_schema()
    for name, field in sorted(schema["properties"].items(), key=lambda item: item[0] != "type"):
        inlined = schema["$defs"][ConnectionStats.__name__] if "$ref" in field else field
        # What has a default is written by the router all the same: only the nodes' own really leave something out.
        yield name, inlined | {"optional": model in NODES_OWN.values() and name not in schema["required"]}
    if model in TYPED.values():
        yield "timestamp", {**_TEXT, "optional": False}
        if model is not TranscodeProgress:
            # Polled, the end of a transcode has none.
            yield "id", {**_TEXT, "optional": model.__name__ != "SystemMessage"}


_INBOX: Final = (
    inbox_bodies.Notification,
    inbox_bodies.NotificationPage,
    inbox_bodies.UnreadCount,
    inbox_bodies.MarkResult,
)

_INBOX_TAIL: Final = """
export interface InboxAnswers {
%(known)s}

export const INBOX_SHAPES: Readonly<Record<keyof InboxAnswers, Readonly<Record<string, FieldShape>>>> = {
%(shapes)s};
"""


def inbox_ts() -> str:
    """What the inbox's calls answer. The names say whose they are: browsers have a ``Notification`` of their own."""
    shapes = {f"Inbox{model.__name__}": dict(_answered(model)) for model in _INBOX}
    parts = [_WRITTEN.format(source="node/inbox_bodies.py"), "\nimport type { FieldShape } from './messages';\n"]
    parts += [_interface(name, fields) for name, fields in shapes.items()]
    known = "".join(f"  {name}: {name};\n" for name in shapes)
    parts.append(_INBOX_TAIL % {"known": known, "shapes": "".join(_shape_lines(shapes))})
    return "".join(parts)


def _answered(model: type[BaseModel]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each field of an answer as its JSON schema: what has a default is written all the same."""
    schema = model.model_json_schema()
    for name, field in schema["properties"].items():
        yield name, _inlined(field, schema.get("$defs", {})) | {"optional": False}


def _inlined(field: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in field:
        inner = definitions[field["$ref"].rpartition("/")[2]]
        return inner | {"title": f"Inbox{inner['title']}"}
    return field | ({"items": _inlined(field["items"], definitions)} if "items" in field else {})


def _interface(title: str, fields: dict[str, dict[str, Any]]) -> str:
    lines = [f"\nexport interface {title} {{\n"]
    for name, field in fields.items():
        lines.append(f"  {name}{'?' if field['optional'] else ''}: {_type(field)};\n")
    return "".join([*lines, "}\n"])


def _type(field: dict[str, Any]) -> str:
    if "const" in field:
        return _quoted(field["const"])
    if "enum" in field:
        return " | ".join(map(_quoted, field["enum"]))
    if field.get("type") == "object":
        return str(field["title"]) if "properties" in field else f"Readonly<Record<string, {_value(field)}>>"
    if field.get("type") == "array":
        return f"readonly {_type(field['items'])}[]"
    return " | ".join(dict.fromkeys(_PRIMITIVES[kind] for kind in _kinds(field)))


def _value(field: dict[str, Any]) -> str:
    return _type(values) if isinstance(values := field["additionalProperties"], dict) else "unknown"


def _kinds(field: dict[str, Any]) -> list[str]:
    found = [option["type"] for option in field.get("anyOf", [field])]
    return [kind for kind in found if not (kind == "integer" and "number" in found)]


def _shape_lines(shapes: dict[str, dict[str, dict[str, Any]]]) -> Iterator[str]:
    for kind, fields in shapes.items():
        yield f"  {kind}: {{\n"
        for name, field in fields.items():
            if name != "type" or "const" not in field:
                yield from _shape(name, field, "    ")
        yield "  },\n"


def _shape(name: str, field: dict[str, Any], indent: str) -> Iterator[str]:
    if "properties" in field:
        yield f"{indent}{name}: {{\n{indent}  kinds: ['object'],\n{indent}  fields: {{\n"
        for inner, shape in field["properties"].items():
            yield from _shape(inner, shape, indent + "    ")
        yield f"{indent}  }},\n{indent}}},\n"
    elif "properties" in field.get("items", ()):
        yield f"{indent}{name}: {{\n{indent}  kinds: ['array'],\n"
        yield from _shape("each", field["items"], indent + "  ")
        yield f"{indent}}},\n"
    else:
        yield f"{indent}{name}: {{ {', '.join(_facts(field))} }},\n"


def _facts(field: dict[str, Any]) -> Iterator[str]:
    yield f"kinds: [{', '.join(map(_quoted, _kinds(field)))}]"
    if field.get("optional"):
        yield "optional: true"
    schemas = [field, *field.get("anyOf", [])]
    found = {ours: schema[theirs] for schema in schemas for theirs, ours in _LIMITS.items() if theirs in schema}
    yield from (f"{ours}: {_literal(value)}" for ours, value in found.items() if value not in _IMPLIED)
    each = field.get("items", field.get("additionalProperties"))
    if isinstance(each, dict):
        yield f"each: {{ {', '.join(_facts(each))} }}"


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_quoted, value))}]"
    return str(int(value)) if value == int(value) else str(value)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def close_codes_ts() -> str:
    names = "".join(f"  {code.name}: {int(code)},\n" for code in CloseCode)
    meanings = "".join(f"  {code}: {{ meaning: {_text(m)}, client: {_text(c)} }},\n" for code, m, c in _rows())
    return (
        _WRITTEN.format(source="shared/close_codes.py")
        + f"\nexport const CloseCode = {{\n{names}}} as const;\n"
        + "\nexport type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];\n"
        + "\n/** Why a node closes, and what a client does about it: for people who read the code or a log. */\n"
        + "// prettier-ignore\n"
        + "export const CLOSE_CODES: Readonly<Record<number, { meaning: string; client: string }>> = {\n"
        + f"{meanings}}};\n"
    )


def _rows() -> Iterator[tuple[int, str, str]]:
    """Yield the table in the docstring of ``shared/close_codes.py``, a row per code."""
    table = re.findall(r"^\| ([\d, ]+) \| (.+) \| (.+) \|$", close_codes.__doc__ or "", re.MULTILINE)
    for codes, meaning, client in table:
        for code in codes.split(", "):
            yield int(code), meaning, client.replace("``", "")


def _text(text: str) -> str:
    return _quoted(text) if "'" not in text else json.dumps(text, ensure_ascii=False)
