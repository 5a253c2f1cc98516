"""Referrals: by whose personal link a person came."""

from nurture.domain.referral.fold import (
    CODE,
    REFERRER,
    combine_referrals,
    fold_referral,
    is_referral,
    referral_context,
)

__all__ = ["CODE", "REFERRER", "combine_referrals", "fold_referral", "is_referral", "referral_context"]
