"""A smoke run of the fuzz targets of JSON, of signing in, of event bodies, STUN and sound."""

from __future__ import annotations

import pytest

from tests.fuzz import event_body_target as event
from tests.fuzz import json_target as answer
from tests.fuzz import octet_target as octet
from tests.fuzz import sign_in_target as sign_in
from tests.fuzz.mutation import mutated, prefixes

TARGETS = {
    answer.check_authorization: answer.AUTHORIZATION,
    answer.check_bot: answer.BOTS,
    answer.check_frames: answer.FRAMES,
    event.check_bodies: event.BODIES,
    octet.check_sound: octet.SOUNDS,
    octet.check_stun: octet.STUN,
    sign_in.check_challenges: sign_in.CHALLENGES,
    sign_in.check_cookie: sign_in.COOKIES,
    sign_in.check_redirect: sign_in.REDIRECTS,
    sign_in.check_starttls: sign_in.STARTTLS,
}


@pytest.mark.parametrize("check", TARGETS, ids=lambda check: check.__name__)
def test_prefixes_and_mutations(check):
    corpus = TARGETS[check]
    for data in corpus:
        for changed in (data, *list(prefixes(data))[::7]):
            check(changed)
    for data in mutated(corpus, 300, seed=7304):
        check(data)
