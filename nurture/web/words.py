"""The words of the public pages, in English and Simplified Chinese. One brand's own words come from its playbook."""

from collections.abc import Mapping

ENGLISH: Mapping[str, str] = {
    "lang": "en",
    "transactional_note": "Mail about your orders, appointments and account still reaches you.",
    "choose_instead": "Choose what you receive instead",
    "everything": "all newsletters and offers",
    "your_address": "your address",
    # ---- unsubscribe
    "unsubscribe_title": "Unsubscribe",
    "unsubscribe_question": "Stop “{topic}” to {address}?",
    "unsubscribe_lead": "Nothing has changed yet. One click and it stops, at once.",
    "unsubscribe_topic": "Stop “{topic}”",
    "unsubscribe_all": "Stop all newsletters and offers",
    "unsubscribed_title": "Done",
    "unsubscribed_topic": "{address} gets no more “{topic}”.",
    "unsubscribed_all": "{address} gets no more newsletters and offers.",
    "changed_mind": "Clicked by mistake? Change it here",
    # ---- confirm
    "confirm_title": "One last click",
    "confirm_question": "Send “{topic}” to {address}?",
    "confirm_lead": "Somebody, hopefully you, asked for it. If it was not you, close this page and nothing happens.",
    "confirm_button": "Yes, send it to me",
    "confirmed_title": "Welcome",
    "confirmed_lead": "“{topic}” now comes to {address}. Every mail has a link to stop it.",
    # ---- preferences
    "preferences_title": "What may we send you?",
    "preferences_lead": "For {address}. Tick what you like to get, leave the rest.",
    "preferences_save": "Save",
    "preferences_none": "Stop all of it",
    "preferences_saved": "Saved.",
    "preferences_empty": "There is nothing to choose from yet.",
    "pending_note": "asked for, waiting for your yes",
    # ---- survey
    "survey_title": "A question",
    "survey_score": "How likely is it that you recommend {brand} to a friend or colleague?",
    "survey_low": "not at all likely",
    "survey_high": "very likely",
    "survey_answer": "Your answer:",
    "survey_why": "What is the main reason? (if you like)",
    "survey_send": "Send my answer",
    "survey_missing": "Please choose a number first.",
    "surveyed_title": "Thank you",
    "surveyed_lead": "Your answer is with us, and a person reads it.",
    # ---- links that lead nowhere
    "invalid_title": "This link does not work",
    "invalid_lead": "It may be incomplete: some mail programs break long links in two. Try it again from the mail, "
    "or answer the mail and a person takes care of it. Nothing was changed.",
    "gone_title": "Nothing to do",
    "gone_lead": "We no longer hold this address and send nothing to it.",
    "away_title": "Just a moment",
    "away_lead": "This page cannot be reached right now. Please try again in a minute; nothing was changed.",
}

CHINESE: Mapping[str, str] = {
    "lang": "zh-CN",
    "transactional_note": "与您的订单、预约和账户有关的邮件仍会照常送达。",
    "choose_instead": "改为选择想收到的内容",
    "everything": "所有资讯和优惠邮件",
    "your_address": "您的邮箱",
    "unsubscribe_title": "退订",
    "unsubscribe_question": "不再向 {address} 发送“{topic}”？",
    "unsubscribe_lead": "目前还没有任何改动。点击一次，立即停止。",
    "unsubscribe_topic": "停止“{topic}”",
    "unsubscribe_all": "停止所有资讯和优惠邮件",
    "unsubscribed_title": "已退订",
    "unsubscribed_topic": "{address} 不会再收到“{topic}”。",
    "unsubscribed_all": "{address} 不会再收到资讯和优惠邮件。",
    "changed_mind": "点错了？在这里更改",
    "confirm_title": "最后一步",
    "confirm_question": "向 {address} 发送“{topic}”？",
    "confirm_lead": "有人（想必是您）订阅了它。如果不是您本人，关闭此页即可，不会有任何改动。",
    "confirm_button": "是的，请发给我",
    "confirmed_title": "欢迎",
    "confirmed_lead": "“{topic}”将发送到 {address}。每封邮件里都有停止接收的链接。",
    "preferences_title": "您想收到哪些邮件？",
    "preferences_lead": "邮箱：{address}。勾选想收到的，其余留空即可。",
    "preferences_save": "保存",
    "preferences_none": "全部停止",
    "preferences_saved": "已保存。",
    "preferences_empty": "目前还没有可选的内容。",
    "pending_note": "已申请，等待您确认",
    "survey_title": "一个问题",
    "survey_score": "您有多大可能向朋友或同事推荐 {brand}？",
    "survey_low": "完全不可能",
    "survey_high": "非常可能",
    "survey_answer": "您的回答：",
    "survey_why": "主要原因是什么？（选填）",
    "survey_send": "提交",
    "survey_missing": "请先选择一个分数。",
    "surveyed_title": "谢谢您",
    "surveyed_lead": "我们已收到您的回答，会有专人阅读。",
    "invalid_title": "此链接无效",
    "invalid_lead": "链接可能不完整：有些邮件程序会把长链接断开。请从邮件中重新打开，或直接回复邮件，会有专人处理。"
    "没有任何改动。",
    "gone_title": "无需操作",
    "gone_lead": "我们已不再保存此邮箱，也不会再向它发送邮件。",
    "away_title": "请稍候",
    "away_lead": "暂时无法打开此页面，请过一分钟再试。没有任何改动。",
}


def words_for(locale: str | None, accept_language: str = "") -> Mapping[str, str]:
    """Return the words in the contact's language, else in the one the browser asks for first, else English."""
    wanted = locale or accept_language.split(",", 1)[0]
    return CHINESE if wanted.strip().lower().startswith("zh") else ENGLISH
