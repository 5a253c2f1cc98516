"""The names of measures by the active playbook."""

import sqlalchemy as sa

from nurture.domain.cells.measure_names import MeasureNames
from nurture.playbook.publishing import PlaybookSource


def load_measure_names(playbooks: PlaybookSource, connection: sa.Connection) -> MeasureNames:
    """Return the names by the active playbook; before the first is published, paths are shown as they are stored."""
    if playbooks.active_id(connection) is None:
        return MeasureNames({})
    return MeasureNames(playbooks.active(connection).playbook.measures)
