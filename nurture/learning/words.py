"""The reasons of a number in words, in the languages that reports speak."""

from collections.abc import Mapping
from typing import Final

from nurture.learning.results import Reason

#: Begins the feature that counts the events of one name.
EVENT: Final = "event:"
LANGUAGES: Final = ("en", "zh-CN")

#: Language -> feature -> its value and the usual one in words.
_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "silence": "{value} days since the last one (usual: {usual})",
        "orders": "bought {value} times (usual: {usual})",
        "mean_value": "spends {value} per purchase (usual: {usual})",
        "tenure": "known for {value} days (usual: {usual})",
        "silence_by_orders": "silence weighed by purchases: {value} (usual: {usual})",
        "silence_by_interval": "silent for {value} times the own interval (usual: {usual})",
        "orders_8_weeks": "bought {value} times in the last 8 weeks (usual: {usual})",
        "orders_13_weeks": "bought {value} times in the last 13 weeks (usual: {usual})",
        "orders_26_weeks": "bought {value} times in the last 26 weeks (usual: {usual})",
        "acts": "{value} events in all (usual: {usual})",
        "acts_7_days": "{value} events in the last 7 days (usual: {usual})",
        "acts_28_days": "{value} events in the last 28 days (usual: {usual})",
        "acts_91_days": "{value} events in the last 91 days (usual: {usual})",
        EVENT: "{name}: {value} times (usual: {usual})",
        "expected_orders": "{value} purchases expected (usual: {usual})",
        "expected_amount": "{value} per purchase (usual: {usual})",
        "still_buys": "still buys with a probability of {value} (usual: {usual})",
    },
    "zh-CN": {
        "silence": "距上次已有 {value} 天（通常 {usual}）",
        "orders": "购买过 {value} 次（通常 {usual}）",
        "mean_value": "每次消费 {value}（通常 {usual}）",
        "tenure": "相识 {value} 天（通常 {usual}）",
        "silence_by_orders": "按购买次数加权的沉默：{value}（通常 {usual}）",
        "silence_by_interval": "沉默时间是自己购买间隔的 {value} 倍（通常 {usual}）",
        "orders_8_weeks": "最近 8 周购买 {value} 次（通常 {usual}）",
        "orders_13_weeks": "最近 13 周购买 {value} 次（通常 {usual}）",
        "orders_26_weeks": "最近 26 周购买 {value} 次（通常 {usual}）",
        "acts": "共有 {value} 个事件（通常 {usual}）",
        "acts_7_days": "最近 7 天有 {value} 个事件（通常 {usual}）",
        "acts_28_days": "最近 28 天有 {value} 个事件（通常 {usual}）",
        "acts_91_days": "最近 91 天有 {value} 个事件（通常 {usual}）",
        EVENT: "{name}：{value} 次（通常 {usual}）",
        "expected_orders": "预计购买 {value} 次（通常 {usual}）",
        "expected_amount": "每次 {value}（通常 {usual}）",
        "still_buys": "仍会购买的概率为 {value}（通常 {usual}）",
    },
}
#: Language -> the direction in which a reason moves the number: up, down.
_DIRECTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "en": ("higher: ", "lower: "),
    "zh-CN": ("升高：", "降低："),
}


def in_words(reason: Reason, language: str) -> str:
    """Return a reason as a person reads it."""
    words = _WORDS[language]
    name = reason.feature.removeprefix(EVENT)
    form = words[EVENT] if reason.feature.startswith(EVENT) else words[reason.feature]
    up, down = _DIRECTIONS[language]
    direction = "" if not reason.effect else up if reason.effect > 0 else down
    return direction + form.format(name=name, value=_number(reason.value), usual=_number(reason.usual))


def _number(value: float) -> str:
    """Return at most three digits that say something."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
