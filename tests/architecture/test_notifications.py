"""Every path that accepts events notifies: no transaction begins outside `Database`, no inbox row outside `accept`."""

import ast
from functools import cache

from tests.architecture.sources import name, parsed, python_files

#: The methods that open a connection or a transaction without a note of what it touches.
_OPENING = {"begin", "begin_nested", "connect", "raw_connection", "create_engine"}
_ENGINES = {"writer", "reader", "looker", "engine"}


@cache
def _calls() -> list[tuple[str, ast.Call]]:
    """Return every call in the product with its file."""
    return [
        (name(path), node)
        for path in python_files("nurture", "workers")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
    ]


def test_only_the_database_opens_transactions() -> None:
    places = {
        f"{file}:{call.lineno}"
        for file, call in _calls()
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in _OPENING
        and not file.startswith("nurture/database/")
        and _is_engine(call.func.value)
    }
    assert places == set()


def _is_engine(node: ast.expr) -> bool:
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    names |= {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
    return bool(names & (_ENGINES | {"sa", "sqlalchemy"}))


def test_only_accept_inserts_into_the_inbox() -> None:
    functions = _inserts_of_the_inbox()
    qualified = {f"inbox_queries.{function}" for function in functions}
    inserting = {
        file
        for file, call in _calls()
        if _called(call).startswith("insert")
        and any(isinstance(argument, ast.Name) and argument.id == "inbox" for argument in call.args)
    }
    assert inserting == {"nurture/contacts/inbox_queries.py"}
    importing = {
        name(path)
        for path in python_files("nurture", "workers")
        if "inbox_queries import" in path.read_text(encoding="utf-8")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and node.module == "nurture.contacts.inbox_queries"
        if any(alias.name in functions for alias in node.names)
    }
    assert importing == {"nurture/contacts/accept.py"}
    elsewhere = {f"{file}:{call.lineno}" for file, call in _calls() if ast.unparse(call.func) in qualified}
    assert elsewhere == set()


def _inserts_of_the_inbox() -> set[str]:
    """Return the functions of inbox_queries that insert into the inbox."""
    (path,) = (path for path in python_files("nurture/contacts") if path.stem == "inbox_queries")
    return {
        node.name
        for node in parsed(path).body
        if isinstance(node, ast.FunctionDef)
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and _called(call) == "insert"
        if any(isinstance(argument, ast.Name) and argument.id == "inbox" for argument in call.args)
    }


def test_bulk_work_that_defers_its_notification_notes_the_inbox_itself() -> None:
    deferring = {
        file
        for file, call in _calls()
        if _called(call) == "accept" and any(keyword.arg == "notify" for keyword in call.keywords)
    }
    noting = {file for file, call in _calls() if _called(call) == "note_inbox"}
    assert deferring == noting == {"nurture/app/importing/store.py", "nurture/app/sends/hand_in.py"}


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
