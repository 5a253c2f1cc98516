"""Arrange a programme for a test: nobody in a holdout and the first variant for everybody, unless the test says so."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from nurture.domain.errors import InputError
from nurture.domain.measure import Measure, Variant
from nurture.domain.sampling import SHARES
from nurture.playbook import LoadedPlaybook


def arrange(
    loaded: LoadedPlaybook, *, holdout: Collection[str] = (), variants: Mapping[str, str] | None = None
) -> LoadedPlaybook:
    """Return the programme with sure draws: its rules and words stay.

    holdout: measures in whose holdout everybody is. variants: measure -> the variant of everybody.
    Raises InputError for an unknown measure or variant.
    """
    chosen = variants or {}
    measures = loaded.playbook.measures
    for path in (*holdout, *chosen):
        if path not in measures:
            raise InputError(f"no measure {path!r} in the programme; it has {', '.join(sorted(measures))}")
    arranged = {
        path: replace(
            measure,
            holdout=SHARES if path in holdout else 0,
            variants=_only(measure, chosen.get(path)),
        )
        for path, measure in measures.items()
    }
    return replace(loaded, playbook=replace(loaded.playbook, measures=arranged))


def _only(measure: Measure, name: str | None) -> tuple[Variant, ...]:
    if not measure.variants:
        if name is not None:
            raise InputError(f"{measure.path} has no variants; leave {name!r} out")
        return ()
    names = [variant.name for variant in measure.variants]
    if name is not None and name not in names:
        raise InputError(f"{measure.path} has no variant {name!r}; it has {', '.join(names)}")
    return (Variant(name or names[0], 100),)
