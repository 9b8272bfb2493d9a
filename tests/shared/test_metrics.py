"""How metrics are declared, and what becomes of them in Prometheus' text."""

from __future__ import annotations

import pytest
from opentelemetry.trace import SpanContext
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from shared.exposition import Exposition
from shared.metrics import Buckets, Metric, Metrics, Values, counter, gauge, histogram


class Kitchen(Metrics):
    """What a kitchen might tell."""

    def __init__(self) -> None:
        super().__init__({"service.name": "kitchen", "service.version": "1", "service.instance.id": "a"})
        self.times = Buckets((0.5, 1.0))

    @counter("kitchen.served", "{dish}", "Dishes.", "dish.kind")
    def served(self) -> Values:
        return {"soup": 3, '"hot"\n': 1}

    @gauge("kitchen.oven.heat", "s", "How long it has been hot.")
    def heat(self) -> Values:
        return 2.5

    @gauge("kitchen.guests", "{guest}", "Nobody has counted them yet.")
    def guests(self) -> Values:
        return None

    @histogram("kitchen.cooking.duration", "s", "Time of a dish.", bounds=(0.5, 1.0))
    def cooking(self) -> Buckets:
        return self.times


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (Metric("a.lease.age", "gauge", "s", ""), "a_lease_age_seconds"),
        (Metric("process.cpu.time", "counter", "s", ""), "process_cpu_time_seconds_total"),
        (Metric("process.memory.usage", "gauge", "By", ""), "process_memory_usage_bytes"),
        (Metric("a.drain.progress", "gauge", "1", ""), "a_drain_progress_ratio"),
        (Metric("a.sent.messages", "counter", "{message}", ""), "a_sent_messages_total"),
        (Metric("a.batch.size", "histogram", "{message}", ""), "a_batch_size"),
        (Metric("a.deaf", "gauge", "", ""), "a_deaf"),
    ],
)
def test_prometheus_names_follow_from_opentelemetrys(metric: Metric, name: str) -> None:
    assert metric.prometheus == name


def test_a_bound_belongs_to_its_bucket() -> None:
    buckets = Buckets((0.5, 1.0))
    for value in (0.1, 0.5, 0.6, 1.0, 7):
        buckets.add(value)
    assert (buckets.counts, buckets.count, buckets.sum) == ([2, 2, 1], 5, pytest.approx(9.2))


def test_declarations_are_known_without_an_instance() -> None:
    assert [declared.metric.name for declared in Kitchen.declared()] == [
        "kitchen.served",
        "kitchen.oven.heat",
        "kitchen.guests",
        "kitchen.cooking.duration",
    ]


async def test_the_text_is_what_prometheus_reads() -> None:
    kitchen = Kitchen()
    kitchen.times.add(0.7)
    text, media_type = await Exposition(kitchen).render()
    assert media_type.startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
    assert samples == {
        (
            "target_info",
            (("service_instance_id", "a"), ("service_name", "kitchen"), ("service_version", "1")),
        ): 1,
        ("kitchen_served_total", (("dish_kind", "soup"),)): 3,
        ("kitchen_served_total", (("dish_kind", '"hot"\n'),)): 1,
        ("kitchen_oven_heat_seconds", ()): 2.5,
        ("kitchen_cooking_duration_seconds_bucket", (("le", "0.5"),)): 0,
        ("kitchen_cooking_duration_seconds_bucket", (("le", "1.0"),)): 1,
        ("kitchen_cooking_duration_seconds_bucket", (("le", "+Inf"),)): 1,
        ("kitchen_cooking_duration_seconds_count", ()): 1,
        ("kitchen_cooking_duration_seconds_sum", ()): 0.7,
    }


async def test_who_asks_for_openmetrics_gets_the_newest_trace_of_each_bucket() -> None:
    kitchen = Kitchen()
    for value, trace_id in ((0.7, 1), (0.8, 2), (7.0, 3)):
        kitchen.times.add(value)
        kitchen.times.exemplify(value, SpanContext(trace_id, 0xAB, is_remote=False))
    text, media_type = await Exposition(kitchen).render("application/openmetrics-text;version=1.0.0,*/*;q=0.1")
    assert media_type.startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in openmetrics_families(text.decode())}
    assert families["kitchen_served"].type == "counter"
    assert {
        sample.labels["le"]: (
            sample.exemplar.labels["trace_id"],
            sample.exemplar.labels["span_id"],
            sample.exemplar.value,
        )
        for sample in families["kitchen_cooking_duration_seconds"].samples
        if sample.exemplar is not None
    } == {"1.0": (f"{2:032x}", f"{0xAB:016x}", 0.8), "+Inf": (f"{3:032x}", f"{0xAB:016x}", 7.0)}
    plain, _ = await Exposition(kitchen).render()
    assert b"trace_id" not in plain


@pytest.mark.parametrize("accept", ['application/openmetrics-text; version="1.0.0"', "text/plain;version=newest"])
async def test_who_asks_for_a_version_that_is_no_number_gets_the_usual_text(accept: str) -> None:
    assert await Exposition(Kitchen()).render(accept) == await Exposition(Kitchen()).render()
