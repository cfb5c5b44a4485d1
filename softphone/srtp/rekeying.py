"""When an SDES key is kept and when it is renewed during a call (RFC 4568 section 7.1.4).

RFC 4568 leaves it to the parties whether a re-offer brings a new key.  These rules work with the
far ends in the field:

* the first offer or answer of a stream takes a fresh key, and so does the first one after a time
  in clear;
* our re-offer repeats the active line, with its tag and key, and offers nothing else: some peers
  change suites when a re-offer has several, others refuse it.  If the active suite is no longer
  allowed, a new offer is made.  A full offer, which a re-INVITE without SDP asks for (RFC 3261
  section 14.2), lists the other suites after the active line, because the server may by then have
  connected another far end;
* when answering, we keep the suite in force where it is offered, unless another party offers: one
  with another media address, and without the remote key in force;
* when answering, we keep our key unless the remote media address has changed to another one
  (hold's 0.0.0.0 does not count), the stream comes back from inactive, or the suite or the master
  key identifier differs;
* the answer to our offer never changes a key that we offered;
* only a new remote key makes a new receive context; a remote key may come back to its own stream,
  never to another one, and our keys are never accepted from the far end (`KeyHistory`).
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
    same_identifier,
    same_key,
)

_UNSPECIFIED = ("0.0.0.0", "::")


@fast_init
@dataclass(frozen=True, slots=True)
class SdesAgreement:
    """The keys of both directions, and whether each one was renewed (then: a new context).

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

    @property
    def send_mki(self) -> bytes:
        """The master key identifier in every packet that we send; b"" for none."""
        return self.local.key_params[0].mki_octets

    @property
    def receive_mki(self) -> bytes:
        """The master key identifier in every packet that the remote sends; b"" for none."""
        return self.remote.key_params[0].mki_octets


@dataclass(frozen=True, slots=True)
class _AgreedState:
    """The agreement in force: keys, remote media address and direction."""

    agreement: SdesAgreement
    remote: Address
    direction: Direction


class SdesNegotiation:
    """The SDES keys of one media stream during a call.

    offering:   lines = plan.make_offer();              result = plan.apply_answer(lines, ...)
    answering:  choice = plan.choose_line(lines)
                result = plan.make_answer(choice, ...)  print its `local`, then plan.commit()

    Call `plan.rollback()` when the exchange failed.  `current` is the agreement in force.  The
    renewals in an agreement are relative to the agreement before it.
    """

    def __init__(
        self,
        suites: Sequence[CryptoSuite],
        *,
        entropy: Entropy,
        media: str = "audio",
        history: KeyHistory | None = None,
    ) -> None:
        """`history` is the call's, shared by all of its streams; None makes one for this stream."""
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
        """The agreement in force; None while the stream is not SRTP."""
        return self._state.agreement if self._state else None

    def set_suites(self, suites: Sequence[CryptoSuite]) -> None:
        """Offer and accept these suites from now on.

        The next offer drops an active suite that is not among them.  A server that connects another
        far end, such as a music server, changes suites in this way.
        """
        self._suites = tuple(suites)

    def make_offer(
        self, *, full: bool = False, direction: Direction = Direction.SENDRECV
    ) -> tuple[Crypto, ...]:
        """The crypto lines to offer, by the module's rules; `full` answers an INVITE without SDP.

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
        """Fresh lines for the other suites, with tags that the active line does not use."""
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
        """Judge the answer to our lines; `remote` and `direction` are the negotiated ones.

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

    def choose_line(
        self,
        lines: Sequence[CryptoLine],
        others: Sequence[CryptoLine] = (),
        *,
        remote: Address | None = None,
    ) -> CryptoChoice:
        """Judge an offer: choose the active suite if offered, else the first of our preference.

        The preference decides, too, when the offer is that of another party, with a media address
        `remote` and keys that are not those in force: a music source that was heard on hold leaves
        no weaker suite behind.  `others` are the crypto lines of the offer's other kinds of media.
        """
        check_key = partial(self._history.find_fault, self._media, others=others)
        if self._state is not None and not self._is_another(self._state, lines, remote):
            active = choose_crypto(
                lines, allowed=(self._state.agreement.suite,), check_key=check_key
            )
            if active.crypto is not None:
                return active
        return choose_crypto(lines, allowed=self._suites, check_key=check_key)

    def _is_another(
        self, state: _AgreedState, lines: Sequence[CryptoLine], remote: Address | None
    ) -> bool:
        """Whether an offer is that of another party than the one that the stream is with."""
        if remote is None or not _moved(state.remote, remote):
            return False
        active = state.agreement.remote
        return not any(isinstance(line, Crypto) and same_key(line, active) for line in lines)

    def make_answer(
        self, choice: CryptoChoice, *, remote: Address, direction: Direction
    ) -> SdesAgreement:
        """Make our line for a chosen one, with the key kept or renewed by the module's rules.

        `direction` is the one that we answer.  The agreement is in force only after `commit`.
        Raises LocalProtocolError when no line was chosen.
        """
        if choice.crypto is None or choice.suite is None:
            raise LocalProtocolError("no crypto line was chosen")
        local = self._line_for(choice.crypto, choice.suite, remote, direction)
        self._history.note_ours((local,))
        agreement = self._agreement(choice.suite, local, choice.crypto)
        self._answered = self._next_state(agreement, remote, direction)
        return agreement

    def _line_for(
        self, chosen: Crypto, suite: CryptoSuite, remote: Address, direction: Direction
    ) -> Crypto:
        state = self._state
        if (
            state is None
            or suite is not state.agreement.suite
            or not same_identifier(state.agreement.local, chosen)
            or _wakes(state.direction, direction)
            or _moved(state.remote, remote)
        ):
            return make_crypto_answer(chosen, entropy=self._entropy)
        return replace(
            state.agreement.local,
            tag=chosen.tag,
            suite_name=chosen.suite_name,
            tag_digits=chosen.tag_digits,
        )

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
        """The next state; a hold keeps the last remote address that was not unspecified."""
        if self._state is not None and remote[0] in _UNSPECIFIED:
            remote = self._state.remote
        return _AgreedState(agreement, remote, direction)

    def commit(self) -> None:
        """Put the answer that was sent in force.  Raises LocalProtocolError if there is none."""
        if self._answered is None:
            raise LocalProtocolError("there is no answer to commit")
        self._history.note_theirs(self._media, self._answered.agreement.remote)
        self._state, self._answered, self._offered = self._answered, None, ()

    def rollback(self) -> None:
        """Undo a failed exchange: the agreement before it stays; early answers are forgotten."""
        if self._offered:
            self._state = self._before
        self._offered, self._answered = (), None

    def clear(self) -> None:
        """Record that RTP in clear was agreed: the next SRTP exchange takes fresh keys."""
        self._state = self._answered = None
        self._offered = ()


def _wakes(before: Direction, now: Direction) -> bool:
    return before is Direction.INACTIVE and now is not Direction.INACTIVE


def _moved(before: Address, now: Address) -> bool:
    """Whether media goes to another address; an unspecified one is hold and does not count."""
    return now != before and now[0] not in _UNSPECIFIED
