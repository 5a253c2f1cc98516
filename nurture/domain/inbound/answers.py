"""Answers that a person of the house must read: words, low scores and bad reviews."""

from typing import Final

from nurture.domain.event import Event
from nurture.domain.values import read_decimal

SURVEY_ANSWERED: Final = "Survey Answered"
PRODUCT_REVIEWED: Final = "Product Reviewed"
#: The highest score, 0 to 10, of somebody who would rather advise against (Reichheld 2003).
LOW_SCORE: Final = 6
#: The highest rating, 1 to 5 stars, of somebody who is not content.
LOW_RATING: Final = 3


def needs_reader(event: Event) -> bool:
    """Tell whether somebody of the house must read this answer.

    A survey's comment, a score of 6 or less, a review of three stars or less. History that is imported needs nobody.
    """
    if event.historic:
        return False
    values = event.properties
    if event.name == SURVEY_ANSWERED:
        comment = values.get("comment")
        score = read_decimal(values.get("score"))
        has_words = isinstance(comment, str) and bool(comment.strip())
        return has_words or (score is not None and 0 <= score <= LOW_SCORE)
    if event.name == PRODUCT_REVIEWED:
        rating = read_decimal(values.get("rating"))
        return rating is not None and 0 <= rating <= LOW_RATING
    return False
