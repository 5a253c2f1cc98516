"""Build a metric from its file."""

from nurture.domain.measure import Metric
from nurture.playbook.schema.essentials import MetricFile


def build_metric(model: MetricFile | None) -> Metric | None:
    """Return the metric of a measure or a touchpoint; None when the file has none."""
    if model is None:
        return None
    return Metric(
        model.event or "",
        model.within,
        model.expect,
        entity=model.count or model.of or "",
        is_sum=model.sum is not None,
        is_net_of_incentive=model.net_of is not None,
    )
