"""A refusal is judged by the words and the code nearest to the receiving server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.domain.inbound.refusals import judge_refusal, severity_of

REFUSALS = [
    # the sender is refused, whatever the code says of the address
    ("5.1.1", "550 5.1.1 you are not allowed to send mail from this address: SPF", "policy"),
    ("5.1.1", "550 5.1.1 DKIM signature missing", "policy"),
    ("5.1.1", "550 5.1.1 message violates our policy", "policy"),
    ("5.1.3", "550 5.1.3 see http://www.spamhaus.org/query/bl?ip=192.0.2.1", "policy"),
    ("5.1.1", "550 5.1.1 rejected, see https://bl.spamcop.net/", "policy"),
    ("5.1.2", "550 5.1.2 listed in dnsbl.example.net", "policy"),
    ("5.1.1", "550 5.1.1 sender rejected", "policy"),
    ("5.1.1", "550 5.1.1 Sender address rejected: Domain not found", "policy"),
    ("5.1.0", "550 5.1.0 blocked sender", "policy"),
    ("5.1.1", "550 5.1.1 your IP address is denied", "policy"),
    ("5.1.1", "550 5.1.1 relaying denied", "policy"),
    ("", "550 Administrative prohibition", "policy"),
    ("5.1.1", "550 5.1.1 Sorry, I'm not accepting mail from your host", "policy"),
    ("5.1.1", "550 5.1.1 mail from 192.0.2.1 refused", "policy"),
    # the sender is too fast
    ("5.1.1", "550 5.1.1 service refused: connection limit exceeded", "policy"),
    ("5.1.1", "550 5.1.1 Sorry, you have sent to too many recipients this hour", "policy"),
    ("5.1.1", "550 5.1.1 hourly limit reached", "policy"),
    ("5.2.0", "550 5.2.0 rate limit exceeded", "policy"),
    ("5.4.5", "550 5.4.5 Daily sending quota exceeded", "policy"),
    # quota, and the inner code of a wrapper
    ("5.1.0", "5.1.0 - Unknown address error 550-'5.2.2 <a@b.example> Mailbox Full'", "soft"),
    ("5.1.1", "550 5.1.1 relay said: 552 5.2.2 over limit", "soft"),
    ("5.1.1", "550 5.1.1 quota exceeded", "soft"),
    ("5.0.0", "554 The inbox is full", "soft"),
    ("5.1.0", "5.1.0 address error 550-'5.7.1 no'", "policy"),
    ("5.0.0", "host said: 550 5.1.1 no", "hard"),
    # missing and closed mailboxes in any code
    ("5.0.0", "554 delivery error: dd This user doesn't have a yahoo.com account (ada@yahoo.com)", "hard"),
    ("5.5.0", "550 5.5.0 Requested action not taken: mailbox unavailable", "hard"),
    ("", "550 this account has been frozen", "hard"),
    ("", "542 ada@example.com Rejected", "hard"),
    ("5.2.0", "550 5.2.0 User unknown", "hard"),
    ("5.4.1", "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", "hard"),
    ("5.2.1", "550 5.2.1 account disabled", "hard"),
    ("5.3.0", "553 5.3.0 no such user here", "hard"),
    ("5.7.1", "550 5.7.1 recipient not found", "hard"),
    ("5.2.1", "550 5.2.1 mailbox is no longer active", "hard"),
    ("", "User ada (ada@example.com) not listed in Domino Directory", "hard"),
    # reputation for now
    ("", "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred", "policy"),
    ("4.0.0", "451 rate limited due to IP reputation", "policy"),
    ("4.4.7", "expired; last error 450 blocked using dnsbl.example.net", "policy"),
    ("", "451 unexpected volume of mail", "policy"),
    ("4.4.7", "expired; 450 4.2.0 greylisted", "soft"),
    # parts of addresses and host names are no words
    ("5.1.1", "550 5.1.1 <spam.policy@example.com>: user unknown", "hard"),
    ("5.1.1", "host mx.antispam.example said: 550 5.1.1 no such user", "hard"),
    ("5.1.1", "550 5.1.1 no such user, see https://example.com/policy/spam", "hard"),
    # nothing tells
    ("", "554 Exim 4.94.2 says nothing", "undetermined"),
    ("5.6.1", "554 5.6.1 content not accepted", "undetermined"),
    ("", "550 unavailable", "undetermined"),
    ("", "", "undetermined"),
    ("2.0.0", "250 ok", "undetermined"),
]


@pytest.mark.parametrize(("code", "text", "severity"), REFUSALS)
def test_a_refusal_is_judged(code: str, text: str, severity: str) -> None:
    assert severity_of(code, text) == severity


@pytest.mark.parametrize(
    ("text", "slow", "full"),
    [
        ("550 5.1.1 too many recipients this hour", True, False),
        ("421 4.7.0 [TSS04] deferred", True, False),
        ("552 5.2.2 mailbox full", False, True),
        ("550 5.2.1 user is receiving mail too quickly", False, True),
        ("550 5.7.1 spam", False, False),
    ],
)
def test_a_refusal_slows_the_lane_or_waits_for_the_mailbox(text: str, slow: bool, full: bool) -> None:
    refusal = judge_refusal("", text)
    assert (refusal.slow, refusal.full) == (slow, full)


@given(code=st.text(max_size=12), text=st.text(max_size=300))
def test_nothing_makes_it_raise(code: str, text: str) -> None:
    assert severity_of(code, text) in ("hard", "soft", "policy", "undetermined")
