"""Names of measures as people read them: the present path, whatever path runs and messages were stored under.

The ledger keeps a renamed measure under its first path (`Measure.root`), so that people in flight, `once` and caps
follow it.
"""

from collections.abc import Mapping

from nurture.domain.measure import Measure


class MeasureNames:
    """Translates between the stored and the present paths of measures."""

    def __init__(self, measures: Mapping[str, Measure]) -> None:
        """measures: those of the playbook whose names are shown."""
        self._measures = measures

    def shown(self, path: str) -> str:
        """Return the present path; the path itself of a measure that the playbook does not have."""
        measure = self._measures.get(path)
        return path if measure is None else measure.path

    def stored(self, path: str) -> str:
        """Return the path that runs, messages and switches have; the path itself of an unknown measure."""
        measure = self._measures.get(path)
        return path if measure is None else measure.root
