"""Looking at one mail of a playbook: does it compile, does it read only what is there, does its sample render."""

from collections.abc import Iterator
from typing import Final

import jinja2

from nurture.rendering.errors import TemplateFault, TemplateProblem
from nurture.rendering.lint import lint
from nurture.rendering.render import render_parts, to_bytes
from nurture.rendering.sample import sample_frozen
from nurture.rendering.sandbox import Sandbox
from nurture.rendering.template_analysis import free_names, line_of
from nurture.rendering.template_files import path_of, read_source
from nurture.rendering.templates import Templates
from nurture.rendering.tracing.cache import Parts

#: Names that every template has besides its measure's `let` and `objects`.
COMMON_NAMES: Final = frozenset(
    {
        "brand", "contact", "entity", "entity_key", "event", "generation", "links", "locale", "preheader", "range",
        "strings", "subject",
    }
)  # fmt: skip


class Inspector:
    """Looks at the mails of a playbook, one after the other; at each layout once per measure's names."""

    def __init__(self, templates: Templates) -> None:
        """Have seen nothing yet."""
        self._templates = templates
        self._seen: set[tuple[str, str, str, frozenset[str]]] = set()

    def look(
        self,
        *,
        measure: str,
        step: str,
        mail: str,
        variant: str,
        locale: str,
        purpose: str,
        topic: str | None,
    ) -> tuple[Parts | None, list[TemplateProblem]]:
        """Return the mail rendered from its sample (None when that fails) and everything wrong with it.

        May run for as long, and use as much, as the template makes it: see `nurture.rendering.template_check`.
        """
        problems: list[TemplateProblem] = []
        try:
            for problem in self._problems(measure, mail, variant, locale):
                problems.append(problem)  # noqa: PERF402 - what was found before a fault counts
            frozen = sample_frozen(
                self._templates,
                measure=measure,
                step=step,
                mail=mail,
                variant=variant,
                locale=locale,
                purpose=purpose,
                topic=topic,
            )
            parts = render_parts(self._templates, frozen, reference=True)
            to_bytes(self._templates, frozen, parts)
        except TemplateFault as fault:
            return None, [*problems, fault.problem]
        return parts, problems

    def _problems(self, measure: str, mail: str, variant: str, locale: str) -> Iterator[TemplateProblem]:
        templates = self._templates
        path, text_path = (path_of(measure, mail, variant, locale, part) for part in ("mjml", "txt"))
        # Compiles all parts: a fault here ends the look.
        templates.template(measure, mail, variant, locale)
        source = read_source(path, templates.files[path])
        parts = (
            (templates.plain, path, source.subject),
            (templates.plain, path, source.preheader),
            (templates.markup, path, source.body),
            (templates.plain, text_path, templates.files[text_path]),
        )
        known = COMMON_NAMES | set(templates.imprint.names.get(measure, ()))
        for env, top, given in parts:
            for where, text, _ in templates.family(env, top, given):
                key = (where, text, locale, known)
                if key in self._seen:
                    continue
                self._seen.add(key)
                yield from self._names(env, where, text, known=known, locale=locale)
                if env is templates.markup:
                    yield from lint(where, text)

    def _names(
        self, env: Sandbox, path: str, text: str, *, known: frozenset[str], locale: str
    ) -> Iterator[TemplateProblem]:
        tree = env.parse(text, name=path, filename=path)
        try:
            free = list(free_names(tree))
        except jinja2.TemplateSyntaxError as error:
            # Unknown filters and tests show only here.
            change = "see docs/delivery.md, Templates"
            yield TemplateProblem(path, error.lineno, error.message or "does not compile", change)
            return
        for name, line in free:
            if name not in known:
                shown = ", ".join(sorted(known - {"range"}))
                yield TemplateProblem(path, line, f"no `{name}` here", f"known: {shown}")
        words = self._templates.strings(locale)
        for need in sorted(self._templates.anatomy(env, path, text).needs):
            if need[0] == "strings" and len(need) > 1 and need[1] not in words:
                change = f"add it to _layout/strings.{locale}.yaml"
                yield TemplateProblem(path, line_of(tree, need), f"no words `{need[1]}` in {locale}", change)
