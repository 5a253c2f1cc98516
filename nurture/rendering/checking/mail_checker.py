"""Check one mail of a playbook: it compiles, it reads only known names, it renders with its sample."""

from collections.abc import Iterator
from math import ceil
from typing import Final

import jinja2

from nurture.rendering.checking.mjml_lint import find_bad_markup
from nurture.rendering.errors import TemplateFault, TemplateProblem
from nurture.rendering.images import MAIL_BYTES_MAX
from nurture.rendering.mail_parts import MailParts
from nurture.rendering.owner_mail import OWNER_MAIL_NAMES, owner_mail_path, render_owner_sample
from nurture.rendering.render import render_parts, to_bytes
from nurture.rendering.sample import read_sample, sample_context
from nurture.rendering.sandbox import Sandbox
from nurture.rendering.template_analysis import free_names, line_of, reads_only
from nurture.rendering.template_files import path_of, read_owner_source, read_source
from nurture.rendering.templates import Templates

#: Names that every template may read, besides its measure's `let` and `objects`.
COMMON_NAMES: Final = frozenset(
    {
        "brand", "contact", "entity", "entity_key", "event", "generation", "links", "locale", "offers", "owner",
        "preheader", "range", "run_id", "strings", "subject",
    }
)  # fmt: skip


class MailChecker:
    """Checks the mails of a playbook, one after the other; each layout once per locale and measure's names."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates
        self._checked: set[tuple[str, str, str, frozenset[str]]] = set()
        # Path and text of a source -> the names that it reads without defining them.
        self._free: dict[tuple[str, str], list[tuple[str, int]]] = {}

    def check(
        self,
        *,
        measure: str,
        step: str,
        mail: str,
        variant: str,
        locale: str,
        purpose: str,
        topic: str | None,
        to_owner: bool = False,
        sample: str = "",
    ) -> tuple[MailParts | None, list[TemplateProblem]]:
        """Return the mail rendered from a sample (None when that fails) and all of its problems.

        sample: the name of another sample than sample.json.
        Neither time nor memory is limited here; `nurture.rendering.checking.template_check` limits the process.
        """
        problems: list[TemplateProblem] = []
        if to_owner:
            return self._check_owner_mail(measure, mail)
        try:
            for problem in self._problems(measure, mail, variant, locale):
                problems.append(problem)  # noqa: PERF402 - a fault must not lose the problems before it
            context = sample_context(
                self._templates,
                measure=measure,
                step=step,
                mail=mail,
                variant=variant,
                locale=locale,
                purpose=purpose,
                topic=topic,
                sample=read_sample(self._templates.files, measure, sample, locale=locale),
            )
            parts = render_parts(self._templates, context, reference=True)
            to_bytes(self._templates, context, parts)
            problems += self._heavy_pictures(measure, mail, variant, locale, parts.html)
        except TemplateFault as fault:
            problem = fault.problem
            if sample:
                problem = problem._replace(what=f"{problem.what} (with sample.{sample}.json)")
            return None, [*problems, problem]
        return parts, problems

    def _heavy_pictures(
        self, measure: str, mail: str, variant: str, locale: str, html: str
    ) -> Iterator[TemplateProblem]:
        """Yield a problem when the playbook's pictures in a mail are too large together."""
        images = self._templates.images
        shown = {image.hash: name for name, image in images.items() if f"/a/{image.hash}" in html}
        size = sum(len(images[name].data) for name in shown.values())
        if size > MAIL_BYTES_MAX:
            path = path_of(measure, mail, variant, locale, "mjml")
            largest = max(shown.values(), key=lambda name: len(images[name].data))
            what = f"its pictures have {ceil(size / 1000)} kB together"
            change = (
                f"at most {MAIL_BYTES_MAX // 1000} kB; the largest is {largest}: save it with fewer colours"
            )
            yield TemplateProblem(path, 1, what, change)

    def _check_owner_mail(self, measure: str, mail: str) -> tuple[MailParts | None, list[TemplateProblem]]:
        """Return a mail to owners, rendered from the sample, and all of its problems."""
        templates, problems = self._templates, list[TemplateProblem]()
        path = owner_mail_path(templates, measure, mail)
        try:
            source = read_owner_source(path, templates.files[path])
            known = OWNER_MAIL_NAMES | set(templates.shared.names.get(measure, ()))
            for text in (source.subject, source.body):
                analysis = templates.analyze(templates.plain, path, text)
                problems += self._names(
                    templates.plain, path, text, known=known, locale=templates.shared.default_locale
                )
                problems += [
                    TemplateProblem(
                        path, 1, f"it uses the layout `{name}`", "write plain text: it goes to owners"
                    )
                    for name in sorted(analysis.references)
                ]
            if problems:
                return None, problems
            rendered = render_owner_sample(templates, measure=measure, mail=mail)
        except TemplateFault as fault:
            return None, [*problems, fault.problem]
        return MailParts(rendered.subject, "", "", rendered.text), problems

    def _problems(self, measure: str, mail: str, variant: str, locale: str) -> Iterator[TemplateProblem]:
        templates = self._templates
        path, text_path = (path_of(measure, mail, variant, locale, part) for part in ("mjml", "txt"))
        # Compiles all parts; a fault ends the check of this mail.
        templates.template(measure, mail, variant, locale)
        source = read_source(path, templates.files[path])
        parts = (
            (templates.plain, path, source.subject),
            (templates.plain, path, source.preheader),
            (templates.markup, path, source.body),
            (templates.plain, text_path, templates.files[text_path]),
        )
        known = COMMON_NAMES | set(templates.shared.names.get(measure, ()))
        for env, top, source_text in parts:
            for where, text, _ in templates.with_layouts(env, top, source_text):
                key = (where, text, locale, known)
                if key in self._checked:
                    continue
                self._checked.add(key)
                yield from self._names(env, where, text, known=known, locale=locale)
                if env is templates.markup:
                    yield from find_bad_markup(where, text)

    def _names(
        self, env: Sandbox, path: str, text: str, *, known: frozenset[str], locale: str
    ) -> Iterator[TemplateProblem]:
        try:
            free = self._free_names(env, path, text, known)
        except jinja2.TemplateSyntaxError as error:
            # Jinja reports unknown filters and tests only when it compiles.
            change = "see docs/delivery.md, Templates"
            yield TemplateProblem(path, error.lineno, error.message or "does not compile", change)
            return
        for name, line in free:
            if name not in known:
                shown = ", ".join(sorted(known - {"range"}))
                yield TemplateProblem(path, line, f"no `{name}` here", f"known: {shown}")
        words = self._templates.strings(locale)
        for need in sorted(self._templates.analyze(env, path, text).needs):
            if need[0] == "strings" and len(need) > 1 and need[1] not in words:
                change = f"add it to _layout/strings.{locale}.yaml"
                tree = env.parse(text, name=path, filename=path)
                yield TemplateProblem(path, line_of(tree, need), f"no words `{need[1]}` in {locale}", change)

    def _free_names(self, env: Sandbox, path: str, text: str, known: frozenset[str]) -> list[tuple[str, int]]:
        """Return names that a source reads without defining them, each with its line; [] where all are known."""
        free = self._free.get((path, text))
        if free is None:
            tree = env.parse(text, name=path, filename=path)
            if reads_only(tree, known, env):
                return []
            free = self._free[path, text] = list(free_names(tree))
        return free
