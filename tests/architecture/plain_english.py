"""Print every word that plain_english.toml replaces, as `file:line: word: write ...`, and fail when there is one.

Read are identifiers, docstrings, comments and texts of Python files, and the prose of Markdown pages.
Run it as `python -m tests.architecture.plain_english [FILE ...]`. Without files it reads every tracked file.
"""

import ast
import io
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.architecture.sources import ROOT, name, tracked

WORDS = Path(__file__).with_suffix(".toml")
#: Texts in tests are often sample data: there only docstrings and comments are read.
_CHECKED_TEXTS = ("nurture/", "workers/", "bench/", "docs/")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_FENCE = re.compile(r"^\s*(```|~~~)")
_CODE = re.compile(r"`[^`]*`|\]\([^)]*\)|<[^>]*>|\{[^}]*\}")
#: A sentence begins a text, or follows an end of sentence; list markers and quotes may stand before it.
_SENTENCE = re.compile(r"(?:^[\s>*\-\d.|\"'(]*|[.!?:;]\s+)(Who|What|Whoever)\s+([a-z`][^.?!]*)([.?!]|$)")


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A word that is not to be used, and where it stands."""

    file: str
    line: int
    word: str
    instead: str

    def __str__(self) -> str:
        """Return the line that is printed."""
        return f"{self.file}:{self.line}: {self.word}: write {self.instead}"


@dataclass(frozen=True, slots=True)
class WordList:
    """The words of plain_english.toml by where they are looked for."""

    parts: dict[str, str]
    names: dict[str, str]
    loop_variables: dict[str, str]
    prose: dict[str, str]
    openings: dict[str, str]
    test_names: dict[str, str]
    #: (beginning of a path, word) of each exception.
    allowed: frozenset[tuple[str, str]]

    def allows(self, finding: Finding) -> bool:
        """Return whether an exception covers the finding."""
        return any(finding.file.startswith(path) and word == finding.word for path, word in self.allowed)


def read_words(path: Path = WORDS) -> WordList:
    """Return the word list of a TOML file."""
    content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    exceptions = content.get("allowed", [])
    return WordList(
        parts=content["parts"],
        names=content["names"],
        loop_variables=content["loop_variables"],
        prose=content["prose"],
        openings=content["openings"],
        test_names=content["test_names"],
        allowed=frozenset((item["path"], word) for item in exceptions for word in item["words"]),
    )


def check_file(file: str, text: str, words: WordList) -> list[Finding]:
    """Return the findings of a file; `file` is its path below the repository, `text` its content."""
    findings = _check_python(file, text, words) if file.endswith(".py") else _check_page(file, text, words)
    return sorted({finding for finding in findings if not words.allows(finding)})


def _check_python(file: str, text: str, words: WordList) -> Iterator[Finding]:
    comment: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        line = token.start[0]
        if token.type == tokenize.NAME:
            yield from _check_identifier(file, line, token.string, words)
        elif token.type == tokenize.COMMENT:
            comment.append((line, token.string.lstrip("#: ")))
        elif token.type not in {tokenize.NL, tokenize.COMMENT}:
            yield from _check_prose(file, comment, words)
            comment = []
    tree = ast.parse(text)
    docstrings = set(_docstrings(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            yield from _check_loop(file, node.target, words)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            lines = list(enumerate(node.value.splitlines(), start=node.lineno))
            if node in docstrings:
                yield from _check_prose(file, lines, words)
            elif file.startswith(_CHECKED_TEXTS):
                yield from _check_sentences(file, lines, words)


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value


def _check_loop(file: str, target: ast.expr, words: WordList) -> Iterator[Finding]:
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and node.id in words.loop_variables:
            yield Finding(file, node.lineno, node.id, words.loop_variables[node.id])


def _check_identifier(file: str, line: int, identifier: str, words: WordList) -> Iterator[Finding]:
    parts = [part.lower() for part in _PARTS.findall(identifier)]
    bare = identifier.strip("_")
    for part in parts:
        if part in words.parts:
            yield Finding(file, line, part, words.parts[part])
    if bare in words.names:
        yield Finding(file, line, bare, words.names[bare])
    if parts[:1] == ["test"] and len(parts) > 1 and parts[1] in words.test_names:
        yield Finding(file, line, f"test_{parts[1]}", words.test_names[parts[1]])


def _check_page(file: str, text: str, words: WordList) -> Iterator[Finding]:
    """Check the prose of a Markdown page; headings and fenced code are no sentences."""
    paragraph: list[tuple[int, str]] = []
    fenced = False
    for number, line in enumerate(text.splitlines(), start=1):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and line.strip() and not line.startswith(("#", "    ")):
            is_item = line.lstrip().startswith(
                ("-", "*", "|", ">", "1", "2", "3", "4", "5", "6", "7", "8", "9")
            )
            if is_item:
                yield from _check_prose(file, paragraph, words)
                paragraph = []
            paragraph.append((number, line))
            continue
        yield from _check_prose(file, paragraph, words)
        paragraph = []
    yield from _check_prose(file, paragraph, words)


def _check_prose(file: str, lines: list[tuple[int, str]], words: WordList) -> Iterator[Finding]:
    for number, line in lines:
        for word in re.findall(r"[A-Za-z]+", _CODE.sub(" ", line)):
            if word.lower() in words.prose:
                yield Finding(file, number, word.lower(), words.prose[word.lower()])
    yield from _check_sentences(file, lines, words)


def _check_sentences(file: str, lines: list[tuple[int, str]], words: WordList) -> Iterator[Finding]:
    text = "\n".join(line for _, line in lines)
    for match in _SENTENCE.finditer(text):
        if match[3] != "?" and match[1] in words.openings:
            number = lines[0][0] + text.count("\n", 0, match.start(1))
            yield Finding(file, number, match[1], words.openings[match[1]])


def _written(path: Path) -> str:
    """Return the path below the repository, or all of it elsewhere."""
    return name(path) if path.is_relative_to(ROOT) else path.as_posix()


def main(files: list[str]) -> int:
    """Print the findings of the files named, else of every tracked file, and return 1 when there are any."""
    words = read_words()
    paths = [Path(file).resolve() for file in files] or tracked()
    findings = [
        finding
        for path in paths
        if path.suffix in {".py", ".md"}
        for finding in check_file(_written(path), path.read_text(encoding="utf-8"), words)
    ]
    for finding in findings:
        print(finding)  # noqa: T201
    return min(len(findings), 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
