"""A playbook's files as plain rules."""

import dataclasses
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from .calendars import Calendar, Moment
from .clock import Slot, time_of_day, zone
from .conditions import NOTHING, Answer, Condition, Names, View, compile_condition, compile_table
from .values import as_list, seconds, typed

Rank = tuple[int, str, str]
MARKETING = frozenset({"nurture", "sales", "advocacy", "survey"})


@dataclasses.dataclass(slots=True)
class Event:
    """One event of the history."""

    name: str
    occurred: int
    arrived: int
    number: int
    source: str
    message: str
    properties: dict[str, Any]
    traits: dict[str, Any]
    context: dict[str, Any]
    typed: dict[str, Any] = dataclasses.field(default_factory=dict)
    historic: bool = False
    hint: bool = False
    # A word about consent that was not kept: a browser key asked for what was granted already.
    is_dropped: bool = False

    @property
    def rank(self) -> "Rank":
        """Which of two events is the newer one."""
        return self.occurred, self.source, self.message


class Events:
    """Named events, some with a condition over their own properties."""

    def __init__(self, spec: Any, where: Any = None) -> None:
        self.parts: list[tuple[frozenset[str], Condition | None]] = []
        for part in as_list(spec):
            if isinstance(part, dict):
                condition = compile_condition(part["where"], bare="event") if "where" in part else None
                self.parts.append((frozenset(as_list(part["event"])), condition))
            else:
                self.parts.append((frozenset({part}), None))
        self.where = compile_condition(where, bare="event") if where is not None else None
        self.names = frozenset(name for names, _ in self.parts for name in names)
        self.plain = self.where is None and all(condition is None for _, condition in self.parts)

    def match(self, event: Event) -> bool:
        """Whether it is one of these events."""
        if event.name not in self.names or self.plain:
            return event.name in self.names
        view = View(NOTHING, event.occurred, zone("UTC"), {"event": event.typed})
        if self.where is not None and not self.where.yes(view):
            return False
        return any(
            event.name in names and (condition is None or condition.yes(view))
            for names, condition in self.parts
        )


NO_EVENTS = Events([])


@dataclasses.dataclass(slots=True)
class Lines:
    """The list inside an entity."""

    key: str
    inside: str = ""
    added_by: frozenset[str] = frozenset()
    removed_by: frozenset[str] = frozenset()
    removed_by_lines: tuple[str, ...] = ()


@dataclasses.dataclass(slots=True)
class Kind:
    """A kind of entity."""

    name: str
    key: tuple[str, ...]
    of: Events | None
    of_lines: str = ""
    counts_from: Events | None = None
    amount: str = ""
    lines: Lines | None = None
    closed_by: dict[str, str] = dataclasses.field(default_factory=dict)
    reversed_by: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    restored_by: frozenset[str] = frozenset()
    within: str = ""
    due: tuple[int, int] | None = None
    keep: int = 200
    remember: int = 0
    keyless: bool = False


@dataclasses.dataclass(slots=True)
class Hold:
    """A reason to withhold mail."""

    name: str
    start: Events
    end: Events | None
    key: str
    at_most: int
    stops: frozenset[str]


@dataclasses.dataclass(slots=True)
class Cap:
    """So many runs, or mails, within a span."""

    name: str
    purposes: frozenset[str]
    at_most: int
    within: int
    gap: int
    mails: bool
    offers: bool


@dataclasses.dataclass(slots=True)
class Milestone:
    """A dated fact of a person."""

    name: str
    of: Events | None
    entity: str
    per: str
    nth: int


@dataclasses.dataclass(slots=True)
class Watched:
    """A kind of object, and who watches it."""

    name: str
    key: str
    of: frozenset[str]
    watched_from: frozenset[str]
    watched_until: frozenset[str]
    wakes: frozenset[str]
    watch_for: int
    # Lists with names; each is a kind of its own, and only one that is asked for is answered.
    lists: "dict[str, Watched]" = dataclasses.field(default_factory=dict)
    standing: bool = False


@dataclasses.dataclass(slots=True)
class Step:
    """A mail, a wait, a branch or an action."""

    id: str
    mail: str
    when: Condition | None
    slot: Slot | None
    valid_for: int
    send_if: Condition | None
    wait: Any
    wait_for: Events | None = None
    # The duration that a table gives.
    table: Answer | None = None
    # The cases of a branch: a condition, None for `else`, and the steps.
    cases: list[tuple[Condition | None, list["Step"]]] = dataclasses.field(default_factory=list)
    emit: dict[str, Any] | None = None
    end_topic: str = ""
    index: int = 0
    # The place to which a run goes on from here: the number of all steps for none.
    behind: int = 0

    def is_action(self) -> bool:
        """Whether it does something else than mail."""
        return self.emit is not None or bool(self.end_topic)


@dataclasses.dataclass(slots=True)
class Exit:
    """An exit: it ends a run."""

    events: Events | None
    when: Condition | None
    key: str
    reason: str


@dataclasses.dataclass(slots=True)
class Measure:
    """One measure."""

    path: str
    track: str
    # Every stage that it is for; "any" stands for all of them.
    stages: frozenset[str]
    audience: Condition
    purpose: str
    topic: str
    trigger: Any
    trigger_events: Events | None
    slot: Slot | None
    per: str
    gap: int | None
    again_after: int | None
    again_on: frozenset[str]
    entity: str
    while_open: bool
    exits: list[Exit]
    let: dict[str, dict[str, Any]]
    objects: dict[str, dict[str, Any]]
    priority: int
    valid_for: int
    horizon: int
    forwards: bool
    handover: str
    series: bool
    holdable: bool
    asked_for: bool
    steps: list[Step]
    root: str = ""
    sender: str = ""
    in_holdout: bool = False

    def mail_ids(self) -> list[str]:
        """The ids of its mails."""
        return [step.id for step in self.steps if step.mail]


class Playbook:
    """All rules of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spec: dict[str, Any] = YAML(typ="safe").load((folder / "playbook.yaml").read_text("utf-8"))
        spec = self.spec
        self.default_zone: str = spec["default_zone"]
        quiet = spec.get("quiet_hours") or {"from": "21:00", "to": "08:00", "except": ["transactional"]}
        self.quiet = (time_of_day(quiet["from"]), time_of_day(quiet["to"]))
        self.quiet_except = frozenset(quiet.get("except", []))
        self.send_at = time_of_day(spec.get("default_send_at", "10:00"))
        self.arbitration = seconds(spec.get("arbitration", "4h"))
        self.properties: dict[str, str] = spec.get("properties", {})
        self.requests = frozenset(spec.get("requests", []))
        self.currencies: list[str] = spec["brand"].get("currencies", [])
        self.double = {
            name: bool((topic or {}).get("double_opt_in")) for name, topic in spec.get("topics", {}).items()
        }
        self.moments = {name: Moment(moment) for name, moment in spec.get("moments", {}).items()}
        self.calendars = {
            name: Calendar(calendar, self.moments) for name, calendar in spec.get("calendars", {}).items()
        }
        self.owners: dict[str, dict[str, Any]] = spec.get("owners", {})
        self.tables: dict[str, dict[str, Any]] = spec.get("tables", {})
        self.compiled: dict[str, Events] = {}
        self.wheres: dict[Any, Condition] = {}
        self.facts: dict[str, dict[str, Any]] = {}
        self.kinds: dict[str, Kind] = {}
        self.read_kinds()
        self.windows = {
            name: seconds(fact["within"])
            for name, fact in self.facts.items()
            if "count" in fact and "within" in fact
        }
        everybody = {"track", "stage", "locale", "zone"}
        self.names = Names(
            self.windows, spec.get("segments", {}), self.tables, frozenset({*self.facts, *everybody})
        )
        self.looked_up = {name: compile_table(name, self.names) for name in self.tables}
        self.conversion = spec["conversion"]
        self.stages = {
            track: [(name, self.condition(stage["when"])) for name, stage in stages.items()]
            for track, stages in spec["stages"].items()
        }
        self.holds = [self.read_hold(name, hold) for name, hold in spec.get("holds", {}).items()]
        self.caps = [self.read_cap(name, cap) for name, cap in spec.get("caps", {}).items()]
        self.milestones = [
            self.read_milestone(name, result) for name, result in spec.get("milestones", {}).items()
        ]
        self.watched = {
            name: self.read_object(name, result) for name, result in spec.get("objects", {}).items()
        }
        self.personas = {name: Events(of) for name, of in spec.get("personas", {}).items()}
        self.measures = self.read_measures()
        self.has_condition_exits = any(result.when for measure in self.measures for result in measure.exits)
        self.has_timed_exits = any(
            result.when is not None and result.when.by_time
            for measure in self.measures
            for result in measure.exits
        )
        self.has_series = any(measure.series for measure in self.measures)
        self.by_path = {measure.path: measure for measure in self.measures}

    def condition(self, text: Any) -> Condition:
        """Compile a condition over the facts."""
        return compile_condition(text, self.names)

    def events(self, of: Any) -> Events:
        """Named events; each way of naming them is compiled once."""
        text = repr(of)
        if text not in self.compiled:
            self.compiled[text] = Events(of)
        return self.compiled[text]

    def where(self, text: Any) -> Condition:
        """A condition over the properties of an event, an entity or a line."""
        if text not in self.wheres:
            self.wheres[text] = compile_condition(text, bare="event")
        return self.wheres[text]

    def type_properties(self, properties: dict[str, Any]) -> dict[str, Any]:
        """Read an event's properties by the types that the playbook gives them."""
        return {
            name: typed(value, self.properties[name]) if name in self.properties else value
            for name, value in properties.items()
        }

    def read_kinds(self) -> None:
        """Sort entities from facts, whichever way they are written."""
        for name, spec in self.spec.get("entities", {}).items():
            self.kinds[name] = self.read_kind(name, spec)
        for name, spec in self.spec.get("facts", {}).items():
            if "entity" in spec:
                self.kinds[name] = self.read_kind(name, {**spec, "key": spec["entity"]})
            else:
                self.facts[name] = spec

    def read_kind(self, name: str, spec: dict[str, Any]) -> Kind:
        """One kind of entity."""
        of = spec["of"]
        over_lines = of.split(".")[0] if isinstance(of, str) and of.endswith(".lines") else ""
        kind = Kind(name, tuple(as_list(spec["key"])), None if over_lines else Events(of), over_lines)
        if "counts_from" in spec:
            kind.counts_from = Events(spec["counts_from"])
        kind.amount = spec.get("amount", "")
        kind.closed_by = spec.get("closed_by", {})
        kind.within = spec.get("within", "")
        for event, how in spec.get("reversed_by", {}).items():
            kind.reversed_by[event] = ("", "") if how == "full" else (how["amount"], how.get("key", ""))
        kind.restored_by = frozenset(as_list(spec.get("restored_by")))
        if "lines" in spec:
            kind.lines = self.read_lines(spec["lines"])
        if "due" in spec:
            kind.due = (seconds(spec["due"]["usual"]), spec["due"].get("weight", 3))
        kind.keep = spec.get("keep", 200)
        kind.remember = seconds(spec.get("remember", "30d"))
        kind.keyless = "counts_from" in spec or name in as_list(self.spec["conversion"]["by"])
        return kind

    @staticmethod
    def read_lines(spec: dict[str, Any]) -> Lines:
        """The list inside an entity."""
        removed = spec.get("removed_by", [])
        return Lines(
            spec["key"],
            spec.get("in", ""),
            frozenset(spec.get("added_by", [])),
            frozenset(name for name in removed if not name.endswith(".lines")),
            tuple(name.split(".")[0] for name in removed if name.endswith(".lines")),
        )

    @staticmethod
    def read_hold(name: str, spec: dict[str, Any]) -> Hold:
        """One hold."""
        end = Events(spec["until"]) if "until" in spec else None
        start = Events(spec.get("from"))
        return Hold(name, start, end, spec.get("key", ""), seconds(spec["at_most"]), frozenset(spec["stops"]))

    @staticmethod
    def read_cap(name: str, spec: dict[str, Any]) -> Cap:
        """One cap."""
        return Cap(
            name,
            frozenset(spec.get("purposes", [])),
            spec["at_most"],
            seconds(spec["within"]),
            seconds(spec.get("gap", "0s")),
            spec.get("count") == "mails",
            "offers" in spec,
        )

    def read_milestone(self, name: str, spec: dict[str, Any]) -> Milestone:
        """One milestone, of events or of an entity."""
        entity = spec["of"] if isinstance(spec["of"], str) and spec["of"] in self.kinds else ""
        of = None if entity else Events(spec["of"])
        return Milestone(name, of, entity, spec.get("per", ""), spec.get("nth", 0))

    @staticmethod
    def read_object(name: str, spec: dict[str, Any]) -> Watched:
        """One kind of object."""
        of, wakes = frozenset(as_list(spec["of"])), frozenset(spec.get("wakes", []))
        lists = {
            title: Watched(
                f"{name}/{title}",
                spec["key"],
                of,
                frozenset(as_list(entry["from"])),
                frozenset(as_list(entry.get("until", []))),
                wakes,
                seconds(entry["for"]),
                standing=not entry.get("asked_for"),
            )
            for title, entry in spec.get("watchers", {}).items()
        }
        return Watched(
            name,
            spec["key"],
            of,
            frozenset(spec.get("watched_from", [])),
            frozenset(spec.get("watched_until", [])),
            wakes,
            seconds(spec.get("watch_for", "180d")),
            lists,
        )

    def read_measures(self) -> list[Measure]:
        """All measures in the order of their paths."""
        result = []
        for file in self.folder.rglob("measure.yaml"):
            path = file.parent.relative_to(self.folder).as_posix()
            result.append(self.read_measure(path, YAML(typ="safe").load(file.read_text("utf-8"))))
        return sorted(result, key=lambda measure: measure.path)

    def stages_of(self, track: str, place: str) -> frozenset[str]:
        """The stages of a folder: `any`, one stage, or with + behind it all later ones too."""
        if not place.endswith("+"):
            return frozenset({place})
        names = [name for name, _ in self.stages[track]]
        return frozenset(names[names.index(place[:-1]) :])

    def read_measure(self, path: str, spec: dict[str, Any]) -> Measure:
        """One measure."""
        places = path.split("/")
        track, stage = (places[0], places[1]) if len(places) == 3 else ("any", "any")
        trigger = spec["trigger"]
        once = self.read_once(spec, trigger)
        quiet = isinstance(trigger, dict) and "quiet" in trigger
        dated = self.dated_kind(trigger)
        entity = spec.get("entity") or (trigger["entity"] if quiet else dated)
        valid_for = seconds(spec.get("valid_for", "3d"))
        return Measure(
            path=path,
            track=track,
            stages=self.stages_of(track, stage),
            audience=self.condition(spec["audience"]),
            purpose=spec["purpose"],
            topic=spec.get("topic", ""),
            trigger=trigger,
            trigger_events=Events(trigger["event"], trigger.get("where")) if "event" in trigger else None,
            slot=Slot(trigger["schedule"]) if "schedule" in trigger else None,
            per=once["per"],
            gap=seconds(once["gap"]) if "gap" in once else None,
            again_after=seconds(once["again_after"]) if "again_after" in once else None,
            again_on=frozenset(once.get("again_on", [])),
            entity=entity,
            while_open=spec.get("while", "open" if quiet or dated else "any") == "open",
            exits=[self.read_exit(result) for result in spec.get("exit", [])],
            let=spec.get("let", {}),
            objects=spec.get("objects", {}),
            priority=spec.get("priority", 50),
            valid_for=valid_for,
            horizon=seconds(spec.get("horizon", "3d")),
            forwards=spec.get("on_stage_change") == "continue",
            handover=spec.get("handover", ""),
            series=bool(spec.get("series")),
            holdable=spec.get("holdable", True),
            asked_for=bool(spec.get("asked_for")),
            steps=StepReader(self, valid_for).read(spec["steps"]),
            root=as_list(spec.get("was", path))[0],
            sender=spec.get("sender", ""),
            in_holdout="holdout" in spec,
        )

    def dated_kind(self, trigger: Any) -> str:
        """The kind of entity whose date is the trigger, if one is."""
        first, _, field = str(trigger.get("date", "") if isinstance(trigger, dict) else "").partition(".")
        return first if field and first in self.kinds else ""

    def read_once(self, spec: dict[str, Any], trigger: Any) -> dict[str, Any]:
        """How often, as a mapping with `per`."""
        once = spec.get("once")
        if isinstance(once, str):
            return {"per": once.removeprefix("per ").strip()}
        return {"per": self.usual_key(trigger), **(once or {})}

    def usual_key(self, trigger: Any) -> str:
        """The key of a run where the measure does not say."""
        if not isinstance(trigger, dict):
            return "contact"
        if "watchers" in trigger:
            return str(self.spec["objects"][trigger["object"]]["key"])
        if "quiet" in trigger:
            return "entity"
        return "occasion" if self.dated_kind(trigger) or "moment" in trigger else "contact"

    def read_exit(self, spec: Any) -> Exit:
        """One exit."""
        if isinstance(spec, str):
            return Exit(Events(spec), None, "", "exit")
        reason = spec.get("reason", "exit")
        if "when" in spec:
            return Exit(None, self.condition(spec["when"]), "", reason)
        return Exit(Events(spec["event"]), None, spec.get("key", ""), reason)


class StepReader:
    """Reads the steps of a measure, those of branches too, in the order of the file."""

    def __init__(self, book: Playbook, valid_for: int) -> None:
        self.book = book
        self.valid_for = valid_for
        self.counts: dict[str, int] = {}
        self.flat: list[Step] = []

    def read(self, specs: list[dict[str, Any]]) -> list[Step]:
        """All steps; each knows its place and the one behind it."""
        steps = self.list_of(specs)
        self.link(steps, len(self.flat))
        return self.flat

    def list_of(self, specs: list[dict[str, Any]]) -> list[Step]:
        """One list of steps."""
        return [self.step(spec) for spec in specs]

    def step(self, spec: dict[str, Any]) -> Step:
        """One step."""
        kind = next(word for word in ("mail", "wait", "branch", "emit", "end_topic") if word in spec)
        self.counts[kind] = self.counts.get(kind, 0) + 1
        wait, send_at, condition = spec.get("wait"), spec.get("send_at", "now"), self.book.condition
        step = Step(
            id=(as_list(spec["was"])[0] if "was" in spec else spec.get("id"))
            or spec.get("mail")
            or f"{kind}{self.counts[kind]}",
            mail=spec.get("mail", ""),
            when=condition(spec["when"]) if "when" in spec else None,
            slot=None if send_at == "now" else Slot(send_at),
            valid_for=seconds(spec["valid_for"]) if "valid_for" in spec else self.valid_for,
            send_if=condition(spec["send_if"]) if "send_if" in spec else None,
            wait=wait,
            emit=spec.get("emit"),
            end_topic=spec.get("end_topic", ""),
            index=len(self.flat),
        )
        self.flat.append(step)
        if isinstance(wait, dict) and "for" in wait:
            step.wait_for = Events(wait["for"])
        if isinstance(wait, str) and wait.startswith("table("):
            step.table = self.book.looked_up[wait.removeprefix("table(").removesuffix(")")]
        for case in spec.get("branch", ()):
            when = condition(case["when"]) if "when" in case else None
            step.cases.append((when, self.list_of(case["else"] if when is None else case["steps"])))
        return step

    def link(self, steps: list[Step], behind: int) -> None:
        """Tell each step of a list the place behind it."""
        if not steps:
            return
        for step, following in zip(steps, [*(step.index for step in steps[1:]), behind], strict=True):
            step.behind = following
            for _, inside in step.cases:
                self.link(inside, following)
