"""The templates of a playbook: its files, compiled when they are first needed and kept.

`Templates.of(files, playbook)` is cheap; each mail compiles on its first use (some milliseconds). Several threads may
use one instance.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import jinja2
from markupsafe import escape

from nurture.domain.playbook import Playbook
from nurture.rendering.errors import TemplateFault, TemplateProblem
from nurture.rendering.html_cache import HtmlCache
from nurture.rendering.images import Image, read_images
from nurture.rendering.sandbox import Namespace, Sandbox
from nurture.rendering.shared_values import SharedValues, shared_values_of
from nurture.rendering.template_analysis import ReadNames, TemplateAnalysis, analyze, group_reads, is_fixed
from nurture.rendering.template_files import (
    LAYOUT,
    Source,
    layout_path,
    loader,
    path_of,
    read_source,
    read_yaml,
)
from nurture.rendering.tracing.cache import Recordings
from nurture.rendering.tracing.sandbox import TracingSandbox

#: Characters of one file; a longer one is refused.
SOURCE_LENGTH_MAX: Final = 200_000
#: Choices of variant and locale that are kept.
CHOICES_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class Template:
    """One mail in one locale, compiled."""

    # The MJML file; the text part is in the `.txt` file beside it.
    path: str
    locale: str
    subject: jinja2.Template
    preheader: jinja2.Template
    markup: jinja2.Template
    text: jinja2.Template
    # Names that it and its layouts read.
    reads: ReadNames
    # Text that is the same in every mail of this template: brand, strings, literals; as is and escaped. None: its
    # values cannot be marked, so MRML runs for every mail.
    fixed: frozenset[str] | None
    # Hash of everything it is made from.
    digest: str
    # Path and text of subject, preheader, markup and text.
    sources: Mapping[str, tuple[str, str]]
    # Its recorded runs; see `nurture.rendering.tracing`.
    recordings: Recordings


@dataclass(frozen=True, slots=True)
class Expression:
    """A short text template inside another file: a link, a calendar's summary."""

    template: jinja2.Template
    reads: ReadNames
    # It prints only text, brand, strings and locale: the same in every mail of a locale.
    is_fixed: bool
    # The result of a fixed one, by locale.
    results: dict[str, str] = field(default_factory=dict)


class Templates:
    """All templates of a playbook."""

    def __init__(self, files: Mapping[str, str], shared: SharedValues, *, has_cache: bool = True) -> None:
        """Keep files ({path: text}) and shared values; compile nothing yet.

        has_cache: False takes the reference path for every mail (setting TEMPLATE_CACHE).
        """
        self.files = files
        self.has_cache = has_cache
        self.shared = shared
        self.brand = Namespace("brand", shared.brand)
        self.offers = Namespace(
            "offers", {name: Namespace(f"offers.{name}", offer) for name, offer in shared.offers.items()}
        )
        self.markup = Sandbox(loader(files, part="mjml"), markup=True)
        self.plain = Sandbox(loader(files, part="txt"), markup=False)
        self.html_cache = HtmlCache()
        self._templates: dict[tuple[str, str, str, str], Template] = {}
        self._analyses: dict[tuple[str, str], TemplateAnalysis] = {}
        self._strings: dict[str, Namespace] = {}
        self._expressions: dict[tuple[str, str], Expression] = {}
        # By the MJML file.
        self._traced: dict[str, dict[str, jinja2.Template]] = {}
        self._choices: dict[tuple[str, str, str, str | None], tuple[str, str, Template]] = {}

    @classmethod
    def of(cls, files: Mapping[str, str], playbook: Playbook, *, has_cache: bool = True) -> "Templates":
        """Return the templates of a built playbook and the files that it was built from."""
        return cls(files, shared_values_of(playbook), has_cache=has_cache)

    @cached_property
    def images(self) -> Mapping[str, Image]:
        """Return name -> image of the playbook's mails."""
        return read_images(self.files)

    @cached_property
    def _locales(self) -> Mapping[tuple[str, str, str], tuple[str, ...]]:
        """Return (measure, mail, variant) -> locales of its MJML files."""
        locales: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        for path in sorted(self.files):
            measure, _, name = path.rpartition("/")
            stem, _, part = name.rpartition(".")
            if part == "mjml" and not path.startswith(LAYOUT):
                mail, _, locale = stem.partition(".")
                mail, _, variant = mail.partition("@")
                locales[measure, mail, variant].append(locale)
        return {key: tuple(tags) for key, tags in locales.items()}

    def mails(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield (measure, mail, variant, locale) of every mail that has a file."""
        for (measure, mail, variant), locales in self._locales.items():
            for locale in locales:
                yield measure, mail, variant, locale

    def variant_for(self, measure: str, mail: str, variant: str) -> str:
        """Return the variant if it has a template of its own, else "" for the plain mail."""
        return variant if (measure, mail, variant) in self._locales else ""

    def locale_for(self, measure: str, mail: str, variant: str, wanted: str | None) -> str:
        """Return the locale of the mail's files that fits best: the same tag, else the same language, else the default.

        wanted: the contact's locale (BCP 47); None when unknown.
        """
        existing = self._locales.get((measure, mail, self.variant_for(measure, mail, variant)), ())
        tag = (wanted or "").replace("_", "-").lower()
        for locale in existing:
            if locale.lower() == tag:
                return locale
        language = tag.partition("-")[0]
        for locale in existing:
            if locale.lower().partition("-")[0] == language:
                return locale
        return self.shared.default_locale

    def template(self, measure: str, mail: str, variant: str, locale: str) -> Template:
        """Return the compiled mail; a variant without files is the plain mail.

        Raises TemplateFault when a file is missing or does not compile.
        """
        key = (measure, mail, self.variant_for(measure, mail, variant), locale)
        template = self._templates.get(key)
        if template is None:
            template = self._templates[key] = self._compile(*key)
        return template

    def for_context(self, context: Mapping[str, Any]) -> Template:
        """Return the template of a frozen context. Raises as `template` does."""
        return self.template(context["measure"], context["mail"], context["variant"], context["locale"])

    def traced(self, template: Template) -> dict[str, jinja2.Template]:
        """Return subject, preheader, markup and text, compiled to run with traced values."""
        parts = self._traced.get(template.path)
        if parts is None:
            markup, plain = self._tracing_sandboxes
            parts = self._traced[template.path] = {
                name: self._compile_source(markup if name == "markup" else plain, path, text)
                for name, (path, text) in template.sources.items()
            }
        return parts

    @cached_property
    def _tracing_sandboxes(self) -> tuple[Sandbox, Sandbox]:
        """Return the sandboxes for traced values: MJML, and plain text."""
        return (
            TracingSandbox(loader(self.files, part="mjml"), markup=True),
            TracingSandbox(loader(self.files, part="txt"), markup=False),
        )

    def strings(self, locale: str) -> Namespace:
        """Return the layout's strings in a locale, or in the default locale when it has none."""
        words = self._strings.get(locale)
        if words is None:
            path = f"{LAYOUT}/strings.{locale}.yaml"
            if path not in self.files:
                path = f"{LAYOUT}/strings.{self.shared.default_locale}.yaml"
            texts = read_yaml(path, self.files[path]) if path in self.files else {}
            words = self._strings[locale] = Namespace("strings", texts)
        return words

    def choose(self, measure: str, mail: str, variant: str, wanted: str | None) -> tuple[str, str, Template]:
        """Return the variant and the locale to send, and their template. Raises as `template` does.

        variant, wanted: the contact's.
        """
        key = (measure, mail, variant, wanted)
        choice = self._choices.get(key)
        if choice is None:
            if len(self._choices) >= CHOICES_MAX:
                # Devices report any text as their locale, so the number of keys has no bound.
                self._choices.clear()
            real = self.variant_for(measure, mail, variant)
            locale = self.locale_for(measure, mail, real, wanted)
            choice = self._choices[key] = (real, locale, self.template(measure, mail, real, locale))
        return choice

    def expression(self, path: str, text: str) -> Expression:
        """Return a short text template of another file, compiled. Raises TemplateFault when it does not compile."""
        key = (path, text)
        expression = self._expressions.get(key)
        if expression is None:
            template = self._compile_source(self.plain, path, text)
            reads, fixed = (
                group_reads(self.analyze(self.plain, path, text).needs),
                is_fixed(self.plain.parse(text)),
            )
            expression = self._expressions[key] = Expression(template, reads, fixed)
        return expression

    def analyze(self, env: Sandbox, path: str, text: str) -> TemplateAnalysis:
        """Return the analysis of one source. Raises TemplateFault when it does not parse or breaks a rule."""
        key = (path, text)
        analysis = self._analyses.get(key)
        if analysis is None:
            if len(text) > SOURCE_LENGTH_MAX:
                raise _fault(path, 1, f"{len(text)} characters", f"a mail has at most {SOURCE_LENGTH_MAX}")
            try:
                analysis = analyze(env.parse(text, name=path, filename=path))
            except jinja2.TemplateSyntaxError as error:
                raise _syntax(path, error) from error
            for violation in analysis.violations:
                raise _fault(path, violation.line, violation.what, violation.change)
            self._analyses[key] = analysis
        return analysis

    # ---- compiling -------------------------------------------------------------------------------------

    def _compile(self, measure: str, mail: str, variant: str, locale: str) -> Template:
        path = path_of(measure, mail, variant, locale, "mjml")
        text_path = path_of(measure, mail, variant, locale, "txt")
        source = read_source(path, self._file(path))
        text = self._file(text_path)
        parts = [
            *self.with_layouts(self.plain, path, source.subject),
            *self.with_layouts(self.plain, path, source.preheader),
            *self.with_layouts(self.markup, path, source.body),
            *self.with_layouts(self.plain, text_path, text),
        ]
        link = self.shared.links.get(measure, "")
        return Template(
            path=path,
            locale=locale,
            subject=self._compile_source(self.plain, path, source.subject),
            preheader=self._compile_source(self.plain, path, source.preheader),
            markup=self._compile_source(self.markup, path, source.body),
            text=self._compile_source(self.plain, text_path, text),
            reads=group_reads(frozenset().union(*(part.needs for _, _, part in parts))),
            fixed=self._fixed_texts(source, parts, locale),
            sources={
                "subject": (path, source.subject),
                "preheader": (path, source.preheader),
                "markup": (path, source.body),
                "text": (text_path, text),
            },
            recordings=Recordings(),
            digest=self._digest(
                locale,
                link,
                [source_text for _, source_text, _ in parts],
                reads_offers=any("offers" in need for _, _, part in parts for need in part.needs),
            ),
        )

    def _file(self, path: str) -> str:
        if path not in self.files:
            raise _fault(path, 1, "the file is missing", "add it, or take its mail out of the measure")
        return self.files[path]

    def with_layouts(self, env: Sandbox, path: str, text: str) -> list[tuple[str, str, TemplateAnalysis]]:
        """Return (path, text, analysis) of a source and of every layout that it names, directly or through another."""
        part = "mjml" if env is self.markup else "txt"
        waiting, seen, sources = [(path, text)], set[str](), list[tuple[str, str, TemplateAnalysis]]()
        while waiting:
            here, source = waiting.pop()
            analysis = self.analyze(env, here, source)
            sources.append((here, source, analysis))
            for name in sorted(analysis.references):
                layout = layout_path(self.files, name, part=part)
                if layout is None:
                    raise _fault(
                        here, 1, f"no layout `{name}`", f"add {LAYOUT}/{name}.{part}, or name another"
                    )
                if layout not in seen:
                    seen.add(layout)
                    waiting.append((layout, self.files[layout]))
        return sources

    def _compile_source(self, env: Sandbox, path: str, text: str) -> jinja2.Template:
        try:
            code = env.compile(text, path, path)
        except jinja2.TemplateSyntaxError as error:
            raise _syntax(path, error) from error
        return jinja2.Template.from_code(env, code, env.make_globals(None))

    def _fixed_texts(
        self, source: Source, parts: list[tuple[str, str, TemplateAnalysis]], locale: str
    ) -> frozenset[str] | None:
        if any(part.is_introspective for _, _, part in parts):
            return None
        """Return all text that is the same in every mail of a template; None when its values cannot be marked."""
        texts: set[str] = {locale, source.subject.strip(), source.preheader.strip()}
        for values in (self.brand, self.strings(locale)):
            texts.update(value for value in values.values() if isinstance(value, str))
        for _, _, part in parts:
            texts |= part.literals
        return frozenset(texts | {str(escape(text)) for text in texts})

    def _digest(self, locale: str, link: str, sources: list[str], *, reads_offers: bool) -> str:
        whole = [locale, link, sources, self.brand, self.strings(locale)]
        if reads_offers:
            whole.append(self.offers)
        text = json.dumps(whole, ensure_ascii=False, sort_keys=True, default=str)
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def namespaces(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with each mapping as a Namespace of its name, so that errors name `contact.first_name`."""
    return {
        name: Namespace(name, value) if isinstance(value, dict) else value for name, value in values.items()
    }


def _fault(path: str, line: int, what: str, change: str) -> TemplateFault:
    return TemplateFault(TemplateProblem(path, line, what, change))


def _syntax(path: str, error: jinja2.TemplateSyntaxError) -> TemplateFault:
    # An error inside a layout names the layout's file.
    where = error.filename or path
    what = (error.message or "does not compile").rstrip(".")
    return _fault(where, error.lineno, what, "see docs/delivery.md, Templates")
