"""Build a metric from its file."""

from nurture.domain.measure import Metric
from nurture.playbook.schema.essentials import MetricFile


def build_metric(model: MetricFile | None) -> Metric | None:
    """Return the metric of a measure or a touchpoint; None when the file has none."""
    return None if model is None else Metric(model.event, model.within, model.expect)
