"""The bound of a function's complexity names a function above it, and a known one that is not."""

from tests.architecture.complexity import COMPLEXITY_MAX, complex_functions, unneeded


def function_with(branches: int) -> str:
    lines = ["def decide(number: int) -> int:"]
    lines += [f"    if number == {branch}:\n        return {branch}" for branch in range(branches)]
    return "\n".join([*lines, "    return 0", ""])


def test_a_function_above_the_bound_is_named_with_its_place() -> None:
    file = "nurture/domain/example.py"
    assert complex_functions(file, function_with(COMPLEXITY_MAX - 1)) == []
    assert complex_functions(file, function_with(COMPLEXITY_MAX)) == [
        "nurture/domain/example.py:1: decide: complexity 21, at most 20"
    ]


def test_a_known_function_below_the_bound_is_named() -> None:
    known = frozenset({"a.py:decide", "b.py:decide", "c.py:decide"})
    texts = {"a.py": function_with(COMPLEXITY_MAX), "b.py": function_with(COMPLEXITY_MAX - 1)}
    assert unneeded(known, texts) == [
        "b.py:decide: take it out of KNOWN, it is below the bound",
        "c.py:decide: take it out of KNOWN, it is below the bound",
    ]
