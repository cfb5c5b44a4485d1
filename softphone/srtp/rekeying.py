"""When an SDES key stays and when it is renewed, over the life of a call (RFC 4568 7.1.4).

RFC 4568 leaves to the parties when a re-offer brings a new key.  The rules here are those that
real far ends live with:

* the first offer or answer of a stream takes a fresh key, and so does the first after a time in
  clear;
* a re-offer of ours repeats the active line, with its tag and key, and offers nothing else (unless
  its suite is not to be used any more: then the offer is made anew): some
  peers take a re-offer of several suites as a reason to change, others refuse it.  A full offer,
  which a re-INVITE without SDP asks for (RFC 3261 section 14.2), lists the other suites behind it,
  because the far end behind a server may by then be another one;
* an offer of theirs keeps our key, unless the address of their media has changed to another one
  (hold's 0.0.0.0 is none) or the stream comes back from inactive, or the suite is another;
* the answer to an offer of ours never changes a key that we printed in it;
* a new key of theirs, and only that, makes a new receive context; a key of theirs may come back
  to its own stream, never to another one, and one of ours is never theirs (`KeyHistory`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from softphone.errors import LocalProtocolError
from softphone.events import Direction
from softphone.fast_dataclass import fast_init
from softphone.sans_io import Address, Entropy
from softphone.sdp import Crypto, CryptoLine
from softphone.security import CryptoSuite, KeyMaterial
from softphone.srtp.key_history import KeyHistory
from softphone.srtp.sdes import (
    CryptoChoice,
    CryptoRefusal,
    check_crypto_answer,
    choose_crypto,
    make_crypto_answer,
    make_crypto_offer,
    same_key,
)

_UNSPECIFIED = ("0.0.0.0", "::")


@fast_init
@dataclass(frozen=True, slots=True)
class SdesAgreement:
    """Keys in both directions, and whether each differs from before (then: a new context).

    With `send_renewed` the sender also takes a new SSRC and a first sequence number below 2^15,
    so that its rollover counter is 0 however the peer reads RFC 3711 section 3.3.1.
    """

    suite: CryptoSuite
    local: Crypto
    remote: Crypto
    send_renewed: bool
    receive_renewed: bool

    @property
    def send_key(self) -> KeyMaterial:
        """The master key and salt that we send with."""
        return self.local.key_params[0].key

    @property
    def receive_key(self) -> KeyMaterial:
        """The master key and salt that the remote sends with."""
        return self.remote.key_params[0].key


@dataclass(frozen=True, slots=True)
class _AgreedState:
    """What is in force: keys, where their media goes, and in which direction."""

    agreement: SdesAgreement
    remote: Address
    direction: Direction


class SdesNegotiation:
    """The SDES keys of one media stream over the life of a call: what stays, what is renewed.

    offering:   lines = plan.make_offer();              result = plan.apply_answer(lines, ...)
    answering:  result = plan.make_answer(lines, ...)   print its `local`, then plan.commit()

    and `plan.rollback()` when the exchange failed.  `current` is the agreement in force.  The
    renewals in an agreement are against what was in force before it.
    """

    def __init__(
        self,
        suites: Sequence[CryptoSuite],
        *,
        entropy: Entropy,
        media: str = "audio",
        history: KeyHistory | None = None,
    ) -> None:
        """`history` is that of the call, which all of its streams share; None: of this one."""
        self._media = media
        self._history = history or KeyHistory()
        self._suites = tuple(suites)
        self._entropy = entropy
        self._state: _AgreedState | None = None
        self._before: _AgreedState | None = None
        self._offered: tuple[Crypto, ...] = ()
        self._answered: _AgreedState | None = None

    @property
    def current(self) -> SdesAgreement | None:
        """The agreement in force, None while the stream is not SRTP."""
        return self._state.agreement if self._state else None

    def set_suites(self, suites: Sequence[CryptoSuite]) -> None:
        """Offer and accept these from now on; the next offer gives an active one up that is none.

        So does a server that has another take over, such as one that plays music.
        """
        self._suites = tuple(suites)

    def make_offer(
        self, *, full: bool = False, direction: Direction = Direction.SENDRECV
    ) -> tuple[Crypto, ...]:
        """The lines to offer: see the rules of the module; `full` answers an INVITE without SDP.

        `direction` is the one offered.  Raises ConfigurationError when there is no suite.
        """
        self._before = self._state
        if self._state is None or self._state.agreement.suite not in self._suites:
            self._offered = make_crypto_offer(self._suites, entropy=self._entropy)
        else:
            active = self._state.agreement.local
            if _wakes(self._state.direction, direction):
                active = make_crypto_answer(active, entropy=self._entropy)
            self._offered = (active, *(self._others(active) if full else ()))
        self._history.note_ours(self._offered)
        return self._offered

    def _others(self, active: Crypto) -> tuple[Crypto, ...]:
        """Fresh lines for the other suites, with tags that the active line leaves free."""
        in_force = CryptoSuite.named(active.suite_name)
        suites = [suite for suite in self._suites if suite is not in_force]
        if not suites:
            return ()
        fresh = make_crypto_offer(suites, entropy=self._entropy)
        tags = [tag for tag in range(1, len(fresh) + 2) if tag != active.tag]
        return tuple(replace(line, tag=tag) for line, tag in zip(fresh, tags, strict=False))

    def apply_answer(
        self,
        lines: Sequence[CryptoLine],
        *,
        remote: Address,
        direction: Direction,
        final: bool = True,
        others: Sequence[CryptoLine] = (),
    ) -> SdesAgreement | tuple[CryptoRefusal, ...]:
        """Judge the answer to our lines; `remote` and `direction` as negotiated.

        With `final` False (an answer in an unreliable provisional response) the offer stays open.
        `others` are the crypto lines of the answer's other kinds of media.
        Raises LocalProtocolError when nothing was offered.
        """
        if not self._offered:
            raise LocalProtocolError("no crypto line was offered")
        check_key = partial(self._history.find_fault, self._media, others=others)
        choice = check_crypto_answer(self._offered, lines, check_key=check_key)
        if choice.crypto is None or choice.suite is None:
            return choice.refusals
        local = next(line for line in self._offered if line.tag == choice.crypto.tag)
        agreement = self._agreement(choice.suite, local, choice.crypto)
        self._state = self._next_state(agreement, remote, direction)
        self._history.note_theirs(self._media, agreement.remote)
        if final:
            self._offered = ()
        return agreement

    def make_answer(
        self,
        lines: Sequence[CryptoLine],
        *,
        remote: Address,
        direction: Direction,
        others: Sequence[CryptoLine] = (),
    ) -> SdesAgreement | tuple[CryptoRefusal, ...]:
        """Judge an offer and make our line, with the key kept or renewed by the rules above.

        `direction` is the one that we answer, `others` are the crypto lines of the offer's other
        kinds of media.  In force only after `commit`.
        """
        choice = self._choose_line(lines, others)
        if choice.crypto is None or choice.suite is None:
            return choice.refusals
        local = self._line_for(choice.crypto, choice.suite, remote, direction)
        self._history.note_ours((local,))
        agreement = self._agreement(choice.suite, local, choice.crypto)
        self._answered = self._next_state(agreement, remote, direction)
        return agreement

    def _choose_line(
        self, lines: Sequence[CryptoLine], others: Sequence[CryptoLine]
    ) -> CryptoChoice:
        """The active suite if it is offered still, else by preference."""
        check_key = partial(self._history.find_fault, self._media, others=others)
        if self._state is not None:
            active = choose_crypto(
                lines, allowed=(self._state.agreement.suite,), check_key=check_key
            )
            if active.crypto is not None:
                return active
        return choose_crypto(lines, allowed=self._suites, check_key=check_key)

    def _line_for(
        self, chosen: Crypto, suite: CryptoSuite, remote: Address, direction: Direction
    ) -> Crypto:
        state = self._state
        if (
            state is None
            or suite is not state.agreement.suite
            or _wakes(state.direction, direction)
            or _moved(state.remote, remote)
        ):
            return make_crypto_answer(chosen, entropy=self._entropy)
        return replace(state.agreement.local, tag=chosen.tag, tag_digits=chosen.tag_digits)

    def _agreement(self, suite: CryptoSuite, local: Crypto, remote: Crypto) -> SdesAgreement:
        before = self.current
        return SdesAgreement(
            suite=suite,
            local=local,
            remote=remote,
            send_renewed=before is None or not same_key(before.local, local),
            receive_renewed=before is None or not same_key(before.remote, remote),
        )

    def _next_state(
        self, agreement: SdesAgreement, remote: Address, direction: Direction
    ) -> _AgreedState:
        """The state to come; on hold the address is still the last one that was a place."""
        if self._state is not None and remote[0] in _UNSPECIFIED:
            remote = self._state.remote
        return _AgreedState(agreement, remote, direction)

    def commit(self) -> None:
        """The answer that we made has been sent.  Raises LocalProtocolError if there is none."""
        if self._answered is None:
            raise LocalProtocolError("there is no answer to commit")
        self._history.note_theirs(self._media, self._answered.agreement.remote)
        self._state, self._answered, self._offered = self._answered, None, ()

    def rollback(self) -> None:
        """The exchange failed: what was agreed before it stays, early answers are forgotten."""
        if self._offered:
            self._state = self._before
        self._offered, self._answered = (), None

    def clear(self) -> None:
        """The stream was agreed as RTP in clear: the next SRTP exchange starts anew."""
        self._state = self._answered = None
        self._offered = ()


def _wakes(before: Direction, now: Direction) -> bool:
    return before is Direction.INACTIVE and now is not Direction.INACTIVE


def _moved(before: Address, now: Address) -> bool:
    """Whether media goes to another place; an unspecified address is hold, not a place."""
    return now != before and now[0] not in _UNSPECIFIED
