"""One answer that revokes is enough, whatever stands beside it: an old good one, a forgery, junk.

Whoever sits on the way to a revocation server adds what he likes, and takes away what he likes.
"""

from __future__ import annotations

import pytest

from softphone.errors import CertificateRevoked
from tests.trust.verification.test_revocation import FAILED, INVALID, Case


@pytest.mark.parametrize("allow", [(), INVALID])
@pytest.mark.parametrize("other", ["good", "forged", "junk", "missing"])
def test_of_two_answers_a_revocation_counts(other, allow):
    case = Case()
    good, forged = case.answers(), Case().answers().values()
    case.authority.revoke(case.issued)
    revoked = case.answers()
    for index, fetch in enumerate(case.wanted):
        beside = {
            "good": good[fetch],
            "forged": list(forged)[index],
            "junk": b"x",
            "missing": FAILED,
        }[other]
        with pytest.raises(CertificateRevoked):
            case.judge({**revoked, fetch: beside}, allow=allow)
