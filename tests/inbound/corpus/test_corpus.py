"""Every shape of the corpus is read rightly."""

import pytest

from nurture.inbound.inbound_mail import read
from tests.inbound.corpus import written_after, written_with_the_rules
from tests.inbound.corpus.shape import Shape

ALL = written_with_the_rules.SHAPES + written_after.SHAPES


@pytest.mark.parametrize("shape", ALL, ids=lambda shape: shape.name)
def test_a_shape_is_read_rightly(shape: Shape) -> None:
    mail = read(shape.data, envelope_sender=shape.sender)
    assert (mail.nature, mail.severity) == (shape.nature, shape.severity)
    if shape.text is not None:
        assert mail.text == shape.text
