"""Words of customers that thank staff by name: English and Chinese, and words that only look like it."""

import pytest

from nurture.domain.figures.thanks import Thanks, all_thanks, find_thanks

OWNERS = {"support": "Tom Adler", "sales": "Jana Roth", "chen": "陈晓"}


@pytest.mark.parametrize(
    ("text", "thanked"),
    [
        ("It came late. Thank you Tom Adler, so quick!", [("support", "Thank you Tom Adler, so quick!")]),
        ("Jana was very patient with me", [("sales", "Jana was very patient with me")]),
        ("tom is great", []),
        ("Tomorrow would be great. Thanks", []),
        ("Tom did not help, thanks for nothing", []),
        ("Tom couldn't have been less helpful", []),
        ("Thanks! Jana Roth has my number.", []),
        ("感谢陈晓，很耐心。", [("chen", "感谢陈晓，很耐心。")]),
        ("陈晓没有回复。谢谢。", []),
        ("Tom and Jana: great.", [("support", "Tom and Jana: great."), ("sales", "Tom and Jana: great.")]),
        ("Thanks Tom.\nThanks again, Tom!", [("support", "Thanks Tom.")]),
        ("谢谢Tom的帮助", [("support", "谢谢Tom的帮助")]),
        ("Tom, it would be great if you called", []),
        ("What kind of grinder did Tom mean", []),
        ("", []),
    ],
)  # fmt: skip
def test_a_sentence_with_thanks_and_a_name_counts(text: str, thanked: list[tuple[str, str]]) -> None:
    assert find_thanks(text, OWNERS) == [Thanks(*row) for row in thanked]


def test_a_first_name_that_two_share_names_neither() -> None:
    two = {"a": "Tom Adler", "b": "Tom Berg", "c": ""}
    assert find_thanks("Thanks, Tom!", two) == []
    assert [row.owner for row in find_thanks("Thanks, Tom Berg!", two)] == ["b"]


def test_a_long_sentence_is_cut_and_the_list_is_bounded() -> None:
    found = all_thanks([(1, "Thanks Tom " + "x" * 500), (2, "Thanks Jana")], OWNERS, limit=1)
    ((contact, thanks),) = found
    assert (contact, len(thanks.quote), thanks.quote[-1]) == (1, 200, "…")
