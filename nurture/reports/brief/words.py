"""The words of a brief in English and Chinese; `{name}` is filled in."""

from collections.abc import Mapping
from typing import Any, Final

from nurture.domain.errors import InputError

_ENGLISH: Final = {
    "title": "Monday brief",
    "subject": "Monday brief, {days}: {needs}, {stops}",
    "needs_0": "nothing needs you",
    "needs_1": "one thing needs you",
    "needs_n": "{n} things need you",
    "stops_0": "nothing was stopped",
    "stops_1": "one thing was stopped",
    "stops_n": "{n} things were stopped",
    "intro": "{brand}, {days}, beside the seven days before.",
    "for": "For {name}.",
    # ---- headings
    "moved": "Changes of the week",
    "stages": "People who came to a stage",
    "stopped": "Stopped, and why",
    "learnt": "Results of comparisons",
    "person": "Needs a person",
    "thanks": "Thanks from customers",
    # ---- figures
    "people": "People seen for the first time",
    "customers": "People who became customers",
    "orders": "Orders, less what was cancelled",
    "amount": "Amount of orders, less refunds",
    "mails": "Mails sent",
    "withdrawals": "People who unsubscribed from a topic or from all",
    "complaints": "People who reported a mail as spam",
    "this_week": "these seven days",
    "week_before": "before",
    "no_figures": "Nothing happened in these two weeks. Figures come with the first events:"
    " docs/howto/connect-a-shop.md and nurture import.",
    "no_moves": "Nobody moved to another stage.",
    # ---- verdicts
    "did_stopped": "is stopped: nobody gets its mails any more",
    "did_sent_back": "is sent back: nobody enters it any more, people in it finish",
    "did_shrunk": "works, so fewer people are kept without it from now on",
    "did_ended": "ends the variant {variant}: another one, or no mail, is shown to be better",
    "did_won": "keeps the variant {variant}: everybody who enters gets it",
    "is_works": "works",
    "is_harms": "does harm",
    "is_misses": "does not keep its promise",
    "is_reaches": "keeps its promise",
    "is_split": "has arms that are not split as meant, so no figure of it can be trusted",
    "is_variant": "compares variants",
    "goes_on": "it goes on, because people need its mail",
    "programme": "all marketing together",
    "points": "{value} points",
    "a_person": "{value} a person",
    "figures": "{difference}; {treated} people with it, {control} without",
    "figures_level": "{treated} people",
    "guard_unsubscribed": "{count} of {mails} mails were unsubscribed from",
    "guard_complained": "{count} of {mails} mails were reported as spam",
    "paused_by": "paused by {actor} on {at}: {reason}",
    "closed_by": "closed to new people by {actor} on {at}: {reason}",
    "no_reason": "no reason was given",
    "by_verdict": "because of its figures (see below)",
    "nothing_stopped": "Nothing.",
    "compared": "Measures that are compared now: {n}.",
    "compared_none": "No measure is compared yet. It takes a holdout, and somebody who has entered.",
    "first_figures": "First figures of {measure} on {at}.",
    "weeks_to_go": "The nearest verdict, on {measure}, takes about {weeks} more weeks.",
    # ---- a person
    "cases": "Open cases: {open}. Overdue: {overdue}.",
    "case": "{case} of {owner}, due {at}",
    "mine": "yours",
    "more": "and {n} more",
    "paused_now": "Paused now: {name}, since {at}, by {actor}: {reason}",
    "approvals": "Sends that wait for a second operator: {n}. They are listed by: nurture sends",
    "problems": "Problems of the installation: {n}. They are listed by: nurture status",
    "nothing_open": "Nothing is open, overdue or paused.",
    "replies": "Replies and answers that opened a case: {opened}. Answered: {answered}. Late: {late}.",
    "replies_median": "Half of the answers left within {time}.",
    "hours": "{n} hours",
    "minutes": "{n} minutes",
    "no_thanks": "Nobody was thanked by name in an answer this week.",
    "contact": "contact {n}",
    "all_figures": "All figures: nurture report measures --from {since} --to {until}",
}
#: Punctuation between the parts of a line.
_ENGLISH_SIGNS: Final = {"comma": ", ", "semicolon": "; ", "colon": ": ", "open": " (", "close": ")"}
_CHINESE_SIGNS: Final = {"comma": "，", "semicolon": "；", "colon": "：", "open": "（", "close": "）"}
#: Names of the usual stages; others are shown as the playbook calls them.
_CHINESE_STAGES: Final = {
    "stage_aware": "认知（aware）",
    "stage_engage": "互动（engage）",
    "stage_subscribe": "订阅（subscribe）",
    "stage_convert": "试用（convert）",
    "stage_excite": "首购（excite）",
    "stage_ascend": "复购（ascend）",
    "stage_advocate": "口碑（advocate）",
    "stage_promote": "推荐（promote）",
}
_CHINESE: Final = {
    "title": "周一简报",
    "subject": "周一简报（{days}）：{needs}，{stops}",
    "needs_0": "没有待处理事项",
    "needs_1": "1 件事待处理",
    "needs_n": "{n} 件事待处理",
    "stops_0": "没有停用",
    "stops_1": "停用 1 项",
    "stops_n": "停用 {n} 项",
    "intro": "{brand}，{days}，与之前七天对照。",
    "for": "{name}，请查收。",
    "moved": "本周变化",
    "stages": "进入各阶段的人数",
    "stopped": "停用了什么，为什么",
    "learnt": "对照结果",
    "person": "需要人处理的事",
    "thanks": "客户的感谢",
    "people": "首次出现的人",
    "customers": "成为客户的人",
    "orders": "订单数（扣除已取消）",
    "amount": "订单金额（扣除退款）",
    "mails": "已发送邮件",
    "withdrawals": "退订某个主题或全部的人",
    "complaints": "举报为垃圾邮件的人",
    "this_week": "这七天",
    "week_before": "之前",
    "no_figures": "这两周没有任何数据。收到第一批事件后就会有数字：见 docs/howto/connect-a-shop.md 和 nurture import。",
    "no_moves": "没有人进入新的阶段。",
    "did_stopped": "已停用，不再发送其邮件",
    "did_sent_back": "已退回：不再有新的人进入，已进入的人照常走完",
    "did_shrunk": "有效，因此今后不收邮件的对照人群会减少",
    "did_ended": "停用版本 {variant}：另一版本或不发邮件更好",
    "did_won": "保留版本 {variant}：今后进入的人都收到它",
    "is_works": "有效",
    "is_harms": "有害",
    "is_misses": "没有达到预期",
    "is_reaches": "达到预期",
    "is_split": "分组比例与设定不符，其数字都不可信",
    "is_variant": "正在比较版本",
    "goes_on": "它会继续，因为人们需要这些邮件",
    "programme": "全部营销邮件",
    "points": "{value} 个百分点",
    "a_person": "每人 {value}",
    "figures": "{difference}；有邮件 {treated} 人，无邮件 {control} 人",
    "figures_level": "{treated} 人",
    "guard_unsubscribed": "{mails} 封邮件中有 {count} 封引起退订",
    "guard_complained": "{mails} 封邮件中有 {count} 封被举报为垃圾邮件",
    "paused_by": "{actor} 于 {at} 暂停：{reason}",
    "closed_by": "{actor} 于 {at} 停止新的人进入：{reason}",
    "no_reason": "没有写明原因",
    "by_verdict": "依据对照数字，见下文",
    "nothing_stopped": "没有。",
    "compared": "正在对照的活动：{n} 个。",
    "compared_none": "还没有正在对照的活动。活动设了对照组并有人进入后，才会开始对照。",
    "first_figures": "{measure} 的第一批数字将在 {at} 出来。",
    "weeks_to_go": "最近的结论是 {measure}，大约还需 {weeks} 周。",
    "cases": "未结工单：{open} 个，其中逾期 {overdue} 个。",
    "case": "{case}，负责人 {owner}，应于 {at} 答复",
    "mine": "由您负责",
    "more": "另有 {n} 个",
    "paused_now": "目前暂停：{name}，{at} 起，{actor}：{reason}",
    "approvals": "等待第二位操作员批准的发送：{n} 个。查看：nurture sends",
    "problems": "系统问题：{n} 个。查看：nurture status",
    "nothing_open": "没有未结、逾期或暂停的事项。",
    "replies": "引出工单的回复和答卷：{opened} 个，已答复 {answered} 个，逾期 {late} 个。",
    "replies_median": "一半的答复在 {time}内发出。",
    "hours": "{n} 小时",
    "minutes": "{n} 分钟",
    "no_thanks": "本周没有客户在回复中点名感谢。",
    "contact": "联系人 {n}",
    "all_figures": "全部数字：nurture report measures --from {since} --to {until}",
}
LANGUAGES: Final[Mapping[str, Mapping[str, str]]] = {
    "en": _ENGLISH | _ENGLISH_SIGNS,
    "zh-CN": _CHINESE | _CHINESE_SIGNS | _CHINESE_STAGES,
}


def language_of(locale: str) -> str:
    """Return the language in which a brief for this locale is written; English where there is no other."""
    return "zh-CN" if locale.lower().startswith("zh") else "en"


def check_language(language: str, where: str) -> str:
    """Return the language. Raises InputError for one that briefs are not written in."""
    if language not in LANGUAGES:
        raise InputError(f"{where}: a brief is written in {' or '.join(LANGUAGES)}, not in {language!r}")
    return language


def word(language: str, key: str, **values: Any) -> str:
    """Return one text, filled in."""
    return LANGUAGES[language][key].format(**values)


def stage_name(language: str, stage: str) -> str:
    """Return the name of a stage in this language."""
    return LANGUAGES[language].get(f"stage_{stage}", stage)


def counted(language: str, key: str, number: int) -> str:
    """Return a text that depends on a number: none, one or more."""
    return word(language, f"{key}_{number if number < 2 else 'n'}", n=number)
