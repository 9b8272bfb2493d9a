"""How metrics are declared, and what becomes of them in Prometheus' text."""

from __future__ import annotations

import pytest
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
    text = (await Exposition(kitchen).render()).decode()
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
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
