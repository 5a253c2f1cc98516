"""The content of a brief as blocks of text, from which its two parts are made."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from babel.dates import format_date, format_datetime, format_interval
from babel.numbers import format_currency, format_decimal

from nurture.domain.experiment.programme import PROGRAMME
from nurture.domain.instant import Instant
from nurture.domain.timing import to_local
from nurture.measurement.restart import ACTOR
from nurture.rendering.formats import babel_locale
from nurture.reports.brief.collect import Brief, Moved, Stop, Verdict
from nurture.reports.brief.words import counted, stage_name, word


class Bar(NamedTuple):
    """A figure with its bar and the bar of the week before, as shares of the longest of both."""

    label: str
    now: str
    earlier: str
    share: float
    share_earlier: float


@dataclass(slots=True)
class Block:
    """A heading with figures, lines, or both."""

    heading: str
    bars: list[Bar] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    # Something in it needs a person.
    is_urgent: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A brief in one language."""

    language: str
    subject: str
    title: str
    intro: str
    blocks: list[Block]
    footer: str
    # The words over the two bars.
    legend: tuple[str, str]


def page_of(brief: Brief, language: str) -> Page:
    """Return the brief in this language."""
    return _Writer(brief, language).page()


@dataclass(frozen=True, slots=True)
class _Writer:
    brief: Brief
    language: str

    def page(self) -> Page:
        brief = self.brief
        days = self._days()
        intro = self._word("intro", brand=brief.brand, days=days)
        return Page(
            language=self.language,
            subject=self._word(
                "subject",
                days=days,
                needs=counted(self.language, "needs", brief.needs),
                stops=counted(self.language, "stops", brief.stops),
            ),
            title=self._word("title"),
            intro=f"{self._word('for', name=brief.recipient)} {intro}" if brief.recipient else intro,
            blocks=[
                self._needs(),
                self._moved(),
                self._stages(),
                self._stopped(),
                self._learnt(),
                self._thanks(),
            ],
            footer=self._word(
                "all_figures", since=self._iso(brief.week.since), until=self._iso(brief.week.until - 1)
            ),
            legend=(self._word("this_week"), self._word("week_before")),
        )

    # ---- blocks --------------------------------------------------------------------------------------

    def _needs(self) -> Block:
        brief = self.brief
        block = Block(self._word("person"), is_urgent=bool(brief.needs))
        if brief.open_cases:
            block.lines.append(
                self._word("cases", open=self._number(brief.open_cases), overdue=self._number(brief.overdue))
            )
        for case in brief.late:
            line = self._word("case", case=case.case, owner=case.owner, at=self._time(case.due_at))
            block.lines.append(f"{line}{self._aside(self._word('mine'))}" if case.is_mine else line)
        if brief.overdue > len(brief.late):
            block.lines.append(self._word("more", n=self._number(brief.overdue - len(brief.late))))
        for stop in brief.open_pauses:
            block.lines.append(self._word("paused_now", name=stop.name, **self._by(stop)))
        for key, number in (("approvals", brief.approvals), ("problems", brief.problems)):
            if number:
                block.lines.append(self._word(key, n=self._number(number)))
        block.lines = block.lines or [self._word("nothing_open")]
        replies = brief.replies
        if replies.opened:
            block.lines.append(self._word("replies", **self._numbers(replies, "opened", "answered", "late")))
        if replies.median_minutes is not None:
            block.lines.append(self._word("replies_median", time=self._length(replies.median_minutes)))
        return block

    def _moved(self) -> Block:
        block = Block(self._word("moved"))
        if not any(row.now or row.earlier for row in self.brief.moved):
            block.lines.append(self._word("no_figures"))
            return block
        block.bars = [self._bar(self._word(row.name), row) for row in self.brief.moved]
        return block

    def _stages(self) -> Block:
        rows = self.brief.stages
        longest = max((max(row.now, row.earlier) for row in rows), default=0)
        bars = [self._bar(stage_name(self.language, row.about), row, longest) for row in rows]
        return Block(self._word("stages"), bars, [] if bars else [self._word("no_moves")])

    def _stopped(self) -> Block:
        brief = self.brief
        lines = [self._verdict(row) for row in brief.stopped]
        lines += [
            stop.name
            + self._word("colon")
            + self._word("closed_by" if stop.entries_only else "paused_by", **self._by(stop))
            for stop in brief.pauses
        ]
        return Block(self._word("stopped"), lines=lines or [self._word("nothing_stopped")])

    def _learnt(self) -> Block:
        compared = self.brief.compared
        lines = [self._verdict(row) for row in self.brief.verdicts]
        if not compared.measures:
            lines.append(self._word("compared_none"))
        else:
            lines.append(self._word("compared", n=self._number(compared.measures)))
        if compared.first_figures is not None:
            day = self._day(compared.first_figures)
            lines.append(self._word("first_figures", measure=compared.first_measure, at=day))
        if compared.weeks is not None:
            lines.append(
                self._word("weeks_to_go", measure=compared.weeks_measure, weeks=self._number(compared.weeks))
            )
        return Block(self._word("learnt"), lines=lines)

    def _thanks(self) -> Block:
        lines = [
            f"{thanked.name}{self._word('colon')}“{thanked.quote}”"
            + self._aside(self._word("contact", n=thanked.contact))
            for thanked in self.brief.thanks
        ]
        return Block(self._word("thanks"), lines=lines or [self._word("no_thanks")])

    # ---- parts of lines ------------------------------------------------------------------------------

    def _verdict(self, row: Verdict) -> str:
        """Return what was decided, and the figures that it rests on."""
        name = self._word("programme") if row.measure == PROGRAMME else row.measure
        action, _, variant = row.action.partition(":")
        parts = [f"{name} {self._word(f'is_{row.verdict}')}"]
        if action == "told":
            parts += [] if row.verdict == "split" or row.measure == PROGRAMME else [self._word("goes_on")]
        elif action:
            done = self._word(f"did_{action}", variant=variant)
            is_same = row.verdict in ("variant", "works")
            parts = [f"{name} {done}"] if is_same else [parts[0] + self._word("semicolon") + done]
        return self._word("semicolon").join(parts) + self._aside(self._figures(row))

    def _aside(self, words: str) -> str:
        return self._word("open") + words + self._word("close")

    def _figures(self, row: Verdict) -> str:
        if row.guard:
            count, mails = self._number(row.guarded), self._number(row.mails)
            return self._word(f"guard_{row.guard}", count=count, mails=mails)
        treated = self._number(row.treated)
        if row.difference is None:
            return self._word("figures_level", treated=treated)
        control = self._number(row.control)
        return self._word("figures", difference=self._difference(row), treated=treated, control=control)

    def _difference(self, row: Verdict) -> str:
        value = row.difference or 0.0
        sign = "+" if value > 0 else "\u2212" if value < 0 else ""
        if row.is_amount:
            return self._word("a_person", value=sign + self._money(abs(value), row.currency))
        return self._word("points", value=f"{sign}{self._decimal(abs(100 * value), '0.00')}")

    def _by(self, stop: Stop) -> dict[str, str]:
        return {
            "actor": stop.actor,
            "at": self._time(stop.since),
            "reason": self._word("by_verdict")
            if stop.actor == ACTOR
            else stop.reason or self._word("no_reason"),
        }

    def _bar(self, label: str, row: Moved, longest: int = 0) -> Bar:
        most = longest or max(abs(row.now), abs(row.earlier)) or 1
        now, earlier = (
            self._money(value, row.currency) if row.currency else self._number(value)
            for value in (row.now, row.earlier)
        )
        return Bar(label, now, earlier, max(row.now, 0) / most, max(row.earlier, 0) / most)

    # ---- numbers and times ---------------------------------------------------------------------------

    def _word(self, key: str, **values: Any) -> str:
        return word(self.language, key, **values)

    def _number(self, value: int) -> str:
        return self._decimal(value, "#,##0")

    def _numbers(self, row: Any, *names: str) -> dict[str, str]:
        return {name: self._number(getattr(row, name)) for name in names}

    def _decimal(self, value: float, pattern: str) -> str:
        return str(format_decimal(value, format=pattern, locale=babel_locale(self.language)))

    def _money(self, minor: float, currency: str) -> str:
        if not currency:
            return self._decimal(minor / 100, "#,##0.00")
        return str(format_currency(minor / 100, currency, locale=babel_locale(self.language)))

    def _length(self, minutes: int) -> str:
        if minutes < 120:
            return self._word("minutes", n=self._number(minutes))
        return self._word("hours", n=self._number(round(minutes / 60)))

    def _time(self, at: Instant) -> str:
        pattern = "M月d日 EEE HH:mm" if self.language == "zh-CN" else "EEE MMM d, HH:mm"
        return str(
            format_datetime(to_local(at, self.brief.zone), pattern, locale=babel_locale(self.language))
        )

    def _day(self, at: Instant) -> str:
        day = to_local(at, self.brief.zone).date()
        return str(format_date(day, format="long", locale=babel_locale(self.language)))

    def _iso(self, at: Instant) -> str:
        return to_local(at, self.brief.zone).date().isoformat()

    def _days(self) -> str:
        first, last = (
            to_local(at, self.brief.zone).date() for at in (self.brief.week.since, self.brief.week.until - 1)
        )
        return str(format_interval(first, last, "MMMd", locale=babel_locale(self.language)))
