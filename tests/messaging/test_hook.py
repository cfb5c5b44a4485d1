"""The question of the compliance hook: typed, and silent about the text."""

from __future__ import annotations

from softphone.messaging.hook import Question, Redact
from softphone.messaging.message import Direction, Reach


def test_neither_question_nor_answer_shows_the_text():
    question = Question(
        Direction.SENT, "a@b", "c@d", "a@b", "1", False, Reach.CLIENT_TO_SERVER, 10, "the secret"
    )
    assert "the secret" not in repr(question) + repr(Redact("the secret"))
    assert question.body == "the secret"
