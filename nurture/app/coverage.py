"""The map of a programme's folder: stages, touchpoints, topics, triggers, and where nothing serves them."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nurture.app.installation import programme_folder
from nurture.playbook import load_files, rebuild
from nurture.playbook.check.touchpoints import events_without_touchpoint
from nurture.playbook.coverage import personas_of, stage_rows, topic_rows, touchpoint_rows, twin_rows
from nurture.playbook.loaded_playbook import find_starved
from nurture.runtime.settings import load_settings


def coverage(folder: Path | None) -> dict[str, Any]:
    """Return the rows of each map by its name. Raises PlaybookError for a folder that cannot be read.

    A folder with faults of the check is shown all the same: the holes are what somebody looks for.
    """
    files = load_files(folder if folder is not None else programme_folder(load_settings()))
    playbook = rebuild(files, id_=0).playbook
    return {
        "personas": list(personas_of(playbook)),
        "stages": _rows(stage_rows(playbook)),
        "touchpoints": _rows(touchpoint_rows(playbook)),
        "topics": _rows(topic_rows(playbook)),
        "one_track_only": _rows(twin_rows(playbook)),
        "starved": [
            {
                "measure": fault.path.rpartition("/")[0],
                "line": fault.line,
                "reason": fault.what,
                "change": fault.change,
            }
            for fault in find_starved(files)
        ],
        "events_without_touchpoint": [
            {"event": name, "used_by": user} for name, user in events_without_touchpoint(playbook)
        ],
    }


def _rows(rows: Iterable[Any]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]
