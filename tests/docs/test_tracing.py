"""docs/tracing.md is held to the code: names of spans, attributes, OpenTelemetry's variables."""

from __future__ import annotations

import re
from pathlib import Path

from shared import spans
from shared.otel_settings import OtelSettings

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tracing.md").read_text(encoding="utf-8")
OURS = "vsrt."


def rows(heading: str) -> list[str]:
    """Return the first cells of the first table after a heading that begins so."""
    section = PAGE.partition(f"\n## {heading}")[2]
    table = re.search(r"^\|.+?\n\|[- |]+\n((?:\|.*\n)+)", section, re.MULTILINE)
    assert table is not None
    return [line.split("|")[1].strip() for line in table[1].splitlines()]


def named_attributes() -> set[str]:
    """Return our attributes in the page's tables; ``.failed`` after ``….sockets.written`` means its neighbour."""
    found = set()
    for cell in re.findall(r"^\| (`vsrt\..+?) \|", PAGE, re.MULTILINE):
        first, *others = re.findall(r"`([^`]+)`", cell)
        found.add(first)
        for other in others:
            depth = other.removeprefix(".").count(".") + 1
            found.add(other if other.startswith(OURS) else ".".join(first.split(".")[:-depth]) + other)
    return found


def in_code(text: str) -> set[str]:
    return set(re.findall(r"\"(vsrt\.[a-z_.]+[a-z])\"", text))


def test_every_span_is_in_the_table() -> None:
    named = {name for cell in rows("The spans") for name in re.findall(r"`([^`]+)`", cell)}
    routers = {
        f"{spans.SEND} <audience>",
        f"{spans.PROCESS} <audience>",
        spans.CONNECT,
        spans.DRAIN,
        spans.DISPLAY,
        spans.TAKE,
    }
    sdks = {"send notifications", "send messages", "GET /api/v1/stats"}
    assert named == routers | sdks | {"<METHOD> <route>"}


def test_every_event_is_told() -> None:
    assert f"event `{spans.RETRIED}`" in PAGE
    assert f"event `{spans.DELIVERED}`" in PAGE


def test_every_attribute_of_ours_is_told_and_no_other() -> None:
    services = {value for value in vars(spans).values() if isinstance(value, str) and value.startswith(OURS)} - {OURS}
    sdk = in_code((ROOT / "sdk/src/videosite_realtime/_tracing.py").read_text())
    assert named_attributes() == services | sdk


def test_the_terminal_shows_attributes_that_exist() -> None:
    waterfall = (ROOT / "cli/src/videosite_realtime_cli/traces/waterfall.py").read_text()
    shown = {f"{OURS}{name}" for name in re.findall(r"_OURS \+ \"([a-z_.]+)\"", waterfall)}
    assert len(shown) > 10
    assert shown <= named_attributes()


def test_the_sdk_and_the_services_call_alike_what_is_alike() -> None:
    sdk = (ROOT / "sdk/src/videosite_realtime/_tracing.py").read_text()
    assert f'add_event("{spans.RETRIED}"' in sdk
    services = {value for value in vars(spans).values() if isinstance(value, str)}
    shared = {"vsrt.nodes", "vsrt.online", "messaging.message.id", "error.type"}
    assert shared <= services
    assert all(f'"{name}"' in sdk for name in shared)


def test_every_variable_that_is_read_here_is_told() -> None:
    named = {name for cell in rows("Send them") for name in re.findall(r"`(OTEL_[A-Z_]+)`", cell)}
    assert {name.upper() for name in OtelSettings.model_fields} <= named


def test_defaults_are_told_as_they_are() -> None:
    fields = OtelSettings.model_fields
    assert f"by default `{fields['otel_traces_sampler'].default}`" in PAGE
    numbers = [
        fields[f"otel_bsp_{name}"].default for name in ("schedule_delay", "max_queue_size", "max_export_batch_size")
    ]
    assert "by default {} ms, {} and {} spans".format(*numbers) in PAGE
    assert f"by default every {fields['otel_metric_export_interval'].default} ms" in PAGE
