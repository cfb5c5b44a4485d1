"""The blocking classes: each wraps the asynchronous class of the same name.

Made by `python -m tests.blocking.generate --write`; change the asynchronous class instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from softphone.account.account import Account as AsyncAccount
from softphone.account.watch import PresenceWatch as AsyncPresenceWatch
from softphone.account.watch import Watch as AsyncWatch
from softphone.blocking.background import (
    EventStream,
    Wrapper,
    acquire_loop,
    inner_of,
    release_loop,
    running_loop,
)
from softphone.call.audio_stream import AudioStream as AsyncAudioStream
from softphone.call.audio_stream import Detection as AsyncDetection
from softphone.call.call import Call as AsyncCall
from softphone.call.conference import Conference as AsyncConference
from softphone.call.incoming import IncomingCall as AsyncIncomingCall
from softphone.call.outgoing import OutgoingCall as AsyncOutgoingCall
from softphone.errors import LocalProtocolError
from softphone.media.audio.pcm_output import PlaybackMark as AsyncPlaybackMark
from softphone.media.recording.recording import Recording as AsyncRecording
from softphone.phone.phone import Phone as AsyncPhone

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from softphone.call import ExtraHeaders
    from softphone.call.audio_stream import PcmLike
    from softphone.call.call_stream import CallItem
    from softphone.call.conference import ConferenceChanged
    from softphone.call.dialed_address import DialedAddress
    from softphone.call.identity import FarEndIdentity
    from softphone.call.leg import DigitMethod
    from softphone.config import AccountConfig, UnregisterOrder
    from softphone.contacts import Contact
    from softphone.device import DeviceTokens, RenewalTimes
    from softphone.events import (
        AccountEvent,
        CallEnded,
        CallEvent,
        CallState,
        Direction,
        PacketCounts,
        Presence,
        RegistrationState,
        StreamStatistics,
        TrunkState,
        WatchedDialog,
        WatchEvent,
    )
    from softphone.media import MediaConfig, Sink, Source
    from softphone.media.audio import ReceivedAudio
    from softphone.media.processing import VoiceProcessing
    from softphone.media.tracks import MediaTrack
    from softphone.provisioning import BootPlan
    from softphone.sans_io import Transport
    from softphone.security import (
        MediaSecurity,
        SecurityLevel,
        SecurityPolicy,
        SecurityState,
        Shortfall,
        SignalingSecurity,
        SrtpPolicy,
    )
    from softphone.sip import Headers, NameAddr, SessionId, UserToUser
    from softphone.trust import TrustStore
    from softphone.trust.fips import FipsMode
    from softphone.trust.stir import Attestation


class Phone(Wrapper[AsyncPhone]):
    """A context manager that owns accounts and media; a process may hold several.

    `policy` applies to every account's calls, in place of the policies of the accounts'
    configurations; `trust` is used by accounts that name no certificate authority of their own.
    A server whose certificate cannot be verified is refused.  `fips` is a bootstrap setting: the
    phone opens only in a process that runs in the resulting mode.
    """

    def __init__(
        self,
        *,
        policy: SecurityPolicy | None = None,
        trust: TrustStore | None = None,
        media: MediaConfig | None = None,
        fips: bool | None = None,
    ) -> None:
        super().__init__(None, AsyncPhone(policy=policy, trust=trust, media=media, fips=fips))

    def __enter__(self) -> Self:
        """Enter the phone.  Raises FipsUnavailable when the process runs in another mode."""
        if self._background is not None:
            raise LocalProtocolError("the phone has been entered already")
        self._background = acquire_loop(self._leave)
        try:
            self._wait(self._inner.__aenter__)
        except BaseException:
            release_loop(self._leave)
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close all accounts, then the media.  Raises the first failure."""
        try:
            self._wait(lambda: self._inner.__aexit__(*exc_info))
        finally:
            release_loop(self._leave)

    def _leave(self) -> None:
        self.__exit__(None, None, None)

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The open accounts."""
        return tuple(Account(self._loop, each) for each in self._call(lambda: self._inner.accounts))

    @property
    def fips(self) -> FipsMode:
        """The mode that this phone runs in, and what decided it."""
        return self._call(lambda: self._inner.fips)

    def register(self, config: AccountConfig) -> Account:
        """Start an account: connect and register, or listen; return it once that is done.

        Raises LocalProtocolError unless the phone is open, ConfigurationError before anything is
        sent, and FipsUnavailable for an account that needs another mode than the process runs in;
        TransportError, CertificateError or a subclass of them, RegistrationRefused,
        AuthenticationFailed or RegistrationTimeout by cause.
        """
        return Account(self._loop, self._wait(lambda: self._inner.register(config)))

    def boot(
        self,
        plan: BootPlan,
        *,
        renewal: RenewalTimes | None = None,
        tokens: DeviceTokens | None = None,
    ) -> list[Account]:
        """Boot a device from its name alone, and register its lines.

        Call servers are verified by the trust lists only; `tokens` are for a device that registers
        with them.  While the phone is open, the device's
        certificate is renewed before it expires, and its configuration is fetched again when its
        server asks for that: `accounts` then follows its lines.  Raises what
        `provisioning.boot_device` and `register` raise; then no line stays registered.
        """
        return [
            Account(self._loop, each)
            for each in self._wait(lambda: self._inner.boot(plan, renewal=renewal, tokens=tokens))
        ]

    @property
    def draining(self) -> bool:
        """Whether `drain` has begun."""
        return self._call(lambda: self._inner.draining)

    def drain(
        self, *, timeout: float | None = None, unregister: UnregisterOrder | None = None
    ) -> bool:
        """Drain all accounts at once: see `Account.drain`.  No account can be added any more.

        Returns whether all calls ended by themselves.
        """
        return self._wait(lambda: self._inner.drain(timeout=timeout, unregister=unregister))

    def reload_certificates(self) -> None:
        """Read the files of certificates, keys and authorities again, for new connections.

        Calls and open connections stay; a registrar sees a renewed certificate with the next
        connection.  Raises ConfigurationError if a file cannot be used, and then changes nothing.
        """
        self._wait(lambda: self._inner.reload_certificates())

    def close(self, account: Account) -> None:
        """Close one account: its calls, its binding, its connection."""
        self._wait(lambda: self._inner.close(inner_of(account)))


class Account(Wrapper[AsyncAccount]):
    """One account: an address of record, its registration and its calls."""

    @property
    def config(self) -> AccountConfig:
        """The configuration."""
        return self._call(lambda: self._inner.config)

    @property
    def digest_algorithms(self) -> Mapping[str, str]:
        """The strongest digest algorithm that our servers have accepted, by realm."""
        return self._call(lambda: self._inner.digest_algorithms)

    @property
    def aor(self) -> str:
        """The address of record."""
        return self._call(lambda: self._inner.aor)

    @property
    def registration(self) -> RegistrationState:
        """The state of the registration; UNREGISTERED without a registrar."""
        return self._call(lambda: self._inner.registration)

    @property
    def trunk(self) -> TrunkState | None:
        """Whether a server that the account does not register with takes calls, by OPTIONS.

        None without `options_interval`, and once the account drains.
        """
        return self._call(lambda: self._inner.trunk)

    @property
    def signaling(self) -> SignalingSecurity | None:
        """The security of the connection that the registration holds; None without one."""
        return self._call(lambda: self._inner.signaling)

    @property
    def draining(self) -> bool:
        """Whether the account takes no more calls: `drain` has begun, or it is being closed."""
        return self._call(lambda: self._inner.draining)

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls that are up."""
        return tuple(Call(self._loop, each) for each in self._call(lambda: self._inner.calls))

    @property
    def certificate_expiries(self) -> dict[str, float]:
        """When certificates expire, in seconds since 1970: "ours", and the "server"'s over TLS.

        Of two that are ours, for clients and for servers, the first to expire counts; one that
        cannot be read has expired at 0.
        """
        return self._call(lambda: self._inner.certificate_expiries)

    def events(self) -> EventStream[AccountEvent]:
        """Iterate over events of registration, connection and messages, from the start."""
        loop = self._loop
        return EventStream(loop, loop.call(lambda: self._inner.events()), lambda each: each)

    def incoming(self) -> EventStream[IncomingCall]:
        """Iterate over incoming calls, first those that wait already.

        At most 64 wait for an answer or a refusal, and 16 from one unknown address; further calls
        get 486.
        """
        loop = self._loop
        return EventStream(
            loop, loop.call(lambda: self._inner.incoming()), lambda each: IncomingCall(loop, each)
        )

    def unregister(self) -> None:
        """Start to remove the binding; calls go on."""
        self._wait(lambda: self._inner.unregister())

    def wait_until_idle(self) -> None:
        """Wait until no call is up, being set up or ringing."""
        self._wait(lambda: self._inner.wait_until_idle())

    def drain(
        self, *, timeout: float | None = None, unregister: UnregisterOrder | None = None
    ) -> bool:
        """Refuse new calls, wait until the present ones have ended, and unregister.

        New calls get 503 with Retry-After, but not one that replaces a call of ours.  Calls that
        ring may still be answered, and the connection and Contact of calls that are up stay.
        After `timeout` seconds those left are hung up.  Both arguments override `config.drain`.
        Returns whether all calls ended before that.  The account stays open, and takes no calls:
        close it.  To hasten the end, close it at any time.  Raises ConfigurationError.
        """
        return self._wait(lambda: self._inner.drain(timeout=timeout, unregister=unregister))

    def renew_credential(self) -> None:
        """Register over a new connection with the certificate that the files now hold.

        Calls stay up.  Raises RegistrationError, TransportError or CertificateError by cause, and
        LocalProtocolError unless the account registers along a list of nodes; then nothing changes.
        """
        self._wait(lambda: self._inner.renew_credential())

    def drop_connection(self) -> None:
        """Close the connection at once, as a network failure would; it is opened again."""
        self._call(lambda: self._inner.drop_connection())

    def close(self) -> None:
        """Hang up, unregister (waiting a little for the answers), and close the connection.

        Everything is released even when the wait is canceled.
        """
        self._wait(lambda: self._inner.close())

    def __enter__(self) -> Self:
        self._wait(self._inner.__aenter__)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wait(lambda: self._inner.__aexit__(kind, error, trace))

    def dial(
        self,
        target: str,
        *,
        srtp: SrtpPolicy | None = None,
        replaces: str | None = None,
        headers: ExtraHeaders = (),
        delayed_offer: bool = False,
        video: bool = False,
        follows: Call | IncomingCall | OutgoingCall | None = None,
        allow_clear: bool = False,
    ) -> OutgoingCall:
        """Call `target`: a SIP URI, `bob@example.test`, or a user of our own domain ("600").

        The INVITE goes out when the `with` block is entered, or `answered` called; the
        account's dial policy judges it then.  `srtp` overrides the account's demand on the media
        for this call.  With `delayed_offer` the far end makes the offer (RFC 3261 section 13.2.1).
        `replaces` is the value of a Replaces header field (RFC 3891).  `headers` go into the
        INVITE: values by name, or pairs of both; those that softphone writes itself are refused.
        `video` offers video with the account's video codecs.  `follows` is the call that this one
        replaces, such as one that was redirected: its policy applies here, too, and secure
        signaling must stay secure unless `allow_clear`.
        Raises ConfigurationError for a bad URI or header field, and for video without codecs,
        LocalProtocolError when `follows` has not been started.
        """
        return OutgoingCall(
            self._loop,
            self._call(
                lambda: self._inner.dial(
                    target,
                    srtp=srtp,
                    replaces=replaces,
                    headers=headers,
                    delayed_offer=delayed_offer,
                    video=video,
                    follows=inner_of(follows),
                    allow_clear=allow_clear,
                )
            ),
        )

    def send_message(
        self,
        target: str,
        body: bytes | str,
        *,
        content_type: str = "text/plain;charset=UTF-8",
        headers: ExtraHeaders = (),
    ) -> None:
        """Send a MESSAGE outside any call, and wait until it was taken (RFC 3428).

        `target` and `headers` are those of `dial`; text is sent as UTF-8, at most 16384 octets over
        TCP and TLS, 900 over UDP.  An account whose calls must be secure sends none in clear.
        Raises CallError with the status of a refusal, ConfigurationError for what cannot be sent,
        SecurityShortfall when the connection cannot meet the policy, TransportError or
        CertificateError when the first hop cannot be reached.
        """
        self._wait(
            lambda: self._inner.send_message(
                target, body, content_type=content_type, headers=headers
            )
        )

    def accept_transfer(self, call: Call, *, allow_clear: bool = False) -> OutgoingCall:
        """Accept the transfer that `TransferRequested` reported: call its target, and report back.

        The new call must meet the account's policy and that of `call`.  Its signaling must be at
        least as secure as that of `call`, unless `allow_clear`.  Raises DialRefused when the
        account's dial policy forbids the target (the far end then gets 403), LocalProtocolError
        when no transfer is pending.
        """
        return OutgoingCall(
            self._loop,
            self._call(
                lambda: self._inner.accept_transfer(inner_of(call), allow_clear=allow_clear)
            ),
        )

    def pick_up(
        self, user: str, dialog: WatchedDialog | None = None, *, srtp: SrtpPolicy | None = None
    ) -> OutgoingCall:
        """Take a call that rings at another user, a target as `dial` takes it.

        A `dialog` of a watch that tells enough is taken over by an INVITE to its far end, with
        Replaces and early-only (RFC 3891); otherwise the account's feature code `pickup` is dialed.
        Keep the watch until the answer: a server may let only watchers take a call.  The account's
        policy applies as to any call.  Raises ConfigurationError where neither is possible.
        """
        return OutgoingCall(
            self._loop, self._call(lambda: self._inner.pick_up(user, dialog, srtp=srtp))
        )

    def watch(self, user: str) -> Watch:
        """Watch the calls of another user, a target as `dial` takes it (RFC 4235).

        The subscription begins when the `with` block is entered.  Raises ConfigurationError
        for a bad URI.
        """
        return Watch(self._loop, self._call(lambda: self._inner.watch(user)))

    def watch_presence(self, user: str) -> PresenceWatch:
        """Watch the presence of another user, a target as `dial` takes it (RFC 3856).

        The subscription begins when the `with` block is entered.  Raises ConfigurationError
        for a bad URI.
        """
        return PresenceWatch(self._loop, self._call(lambda: self._inner.watch_presence(user)))

    def follow_address(self) -> bool:
        """Register again, at once, if this host's address towards the server has changed.

        Return whether it has.  Live calls then go on over the new connection, with their media at
        the new address (RFC 3261 section 14).  A listener at an address that this host has no
        longer listens at the one that leads to its calls, or out of the host, and calls go on from
        there, but for those over a connection that the far end has opened.  With `advertised =
        "auto:..."` the STUN server is asked again first.  The phone looks every ten seconds; call
        this when the system tells of a change.
        """
        return self._call(lambda: self._inner.follow_address())

    @property
    def listening(self) -> tuple[Transport, str, int] | None:
        """Transport, address and port where it listens; None where it registers only."""
        return self._call(lambda: self._inner.listening)


class Watch(Wrapper[AsyncWatch]):
    """A watch on the calls of one user; an async context.

    Leaving the context ends the subscription.
    """

    @property
    def user(self) -> str:
        """The URI of the user who is watched."""
        return self._call(lambda: self._inner.user)

    @property
    def active(self) -> bool:
        """Whether the user's calls are known: the subscription is active."""
        return self._call(lambda: self._inner.active)

    def events(self) -> EventStream[WatchEvent]:
        """Iterate over the events from the start, until the watch has ended."""
        loop = self._loop
        return EventStream(loop, loop.call(lambda: self._inner.events()), lambda each: each)

    def __enter__(self) -> Self:
        self._wait(self._inner.__aenter__)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wait(lambda: self._inner.__aexit__(kind, error, trace))

    def close(self) -> None:
        """End the subscription, without waiting for the last NOTIFY."""
        self._call(lambda: self._inner.close())

    @property
    def dialogs(self) -> tuple[WatchedDialog, ...]:
        """The user's calls; () while the watch is not active."""
        return self._call(lambda: self._inner.dialogs)

    def ringing(self, *, timeout: float = 5.0) -> WatchedDialog | None:
        """Return a call that rings at the user, once the first full state is here; None without.

        None, too, when no state comes within `timeout` seconds, or the watch is refused.
        """
        return self._wait(lambda: self._inner.ringing(timeout=timeout))


class PresenceWatch(Wrapper[AsyncPresenceWatch]):
    """A watch on the presence of one user; an async context.

    Leaving the context ends the subscription.
    """

    @property
    def user(self) -> str:
        """The URI of the user who is watched."""
        return self._call(lambda: self._inner.user)

    @property
    def active(self) -> bool:
        """Whether the user's calls are known: the subscription is active."""
        return self._call(lambda: self._inner.active)

    def events(self) -> EventStream[WatchEvent]:
        """Iterate over the events from the start, until the watch has ended."""
        loop = self._loop
        return EventStream(loop, loop.call(lambda: self._inner.events()), lambda each: each)

    def __enter__(self) -> Self:
        self._wait(self._inner.__aenter__)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wait(lambda: self._inner.__aexit__(kind, error, trace))

    def close(self) -> None:
        """End the subscription, without waiting for the last NOTIFY."""
        self._call(lambda: self._inner.close())

    @property
    def presence(self) -> Presence | None:
        """The user's presence; None while it is not known."""
        return self._call(lambda: self._inner.presence)


class OutgoingCall(Wrapper[AsyncOutgoingCall]):
    """A call that is not answered yet; leaving the `with` block ends it."""

    @property
    def id(self) -> str:
        """The Call-ID; "" before the start."""
        return self._call(lambda: self._inner.id)

    @property
    def log_fields(self) -> dict[str, str]:
        """The fields that log records about the call have, for `logging.LoggerAdapter`."""
        return self._call(lambda: self._inner.log_fields)

    @property
    def peer(self) -> NameAddr:
        """The address that is called, until the account's server names who rings or answers."""
        return self._call(lambda: self._inner.peer)

    @property
    def caller(self) -> NameAddr:
        """The caller's address: From of the INVITE, without tag.

        What it says is the caller's own claim: see `asserted_identity`.  Raises LocalProtocolError
        before the start.
        """
        return self._call(lambda: self._inner.caller)

    @property
    def called(self) -> NameAddr:
        """The address that was called: To of the INVITE, without tag.

        Raises LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.called)

    @property
    def dialed(self) -> DialedAddress:
        """The number or address that was dialed, and the header fields that name it.

        Raises LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.dialed)

    @property
    def headers(self) -> Headers:
        """Every header field of the INVITE, sent or received, in order, without credentials.

        They are as they came: none of them is to be trusted.  Raises LocalProtocolError before the
        start.
        """
        return self._call(lambda: self._inner.headers)

    @property
    def answer_headers(self) -> Headers:
        """The header fields of the far end's answer; none before it, and none where we answer.

        Raises LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.answer_headers)

    @property
    def asserted_identity(self) -> FarEndIdentity:
        """The identity of the far end, and the assurance for it.

        It follows transfers as `peer` does.  Raises LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.asserted_identity)

    @property
    def user_to_user(self) -> tuple[UserToUser, ...]:
        """The application's data in the far end's INVITE or answer (RFC 7433).

        Raises LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.user_to_user)

    @property
    def session_id(self) -> SessionId | None:
        """The identifier of the session from end to end (RFC 7989): our UUID, and the far end's.

        Ours stays through holds and transfers.  None before the start.
        """
        return self._call(lambda: self._inner.session_id)

    @property
    def contact(self) -> Contact | None:
        """The peer's directory entry; None until a lookup succeeds (`PeerNamed` reports it)."""
        return self._call(lambda: self._inner.contact)

    @property
    def attestation(self) -> Attestation | None:
        """What the caller's carrier attests of the number in `peer`, or why not (STIR).

        None until that is verified (`CallerAttested` reports it, `IncomingCall.attested` waits for
        it), where the account verifies no callers, and once another party has taken over.  It is a
        claim of the carrier, and raises no security level.
        """
        return self._call(lambda: self._inner.attestation)

    @property
    def state(self) -> CallState:
        """The state (RFC 4235)."""
        return self._call(lambda: self._inner.state)

    @property
    def security(self) -> SecurityState:
        """The security state in force; after the end of the call, the last one.

        Raises LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.security)

    @property
    def statistics(self) -> StreamStatistics:
        """Statistics of the audio stream, early media included; after the end, the last ones."""
        return self._call(lambda: self._inner.statistics)

    @property
    def refused(self) -> tuple[Shortfall, ...]:
        """The shortfalls for which we refused or ended the call; () if we did not."""
        return self._call(lambda: self._inner.refused)

    @property
    def explanation(self) -> str:
        """Why the call was refused or failed, as a sentence; "" if it was not."""
        return self._call(lambda: self._inner.explanation)

    def events(self) -> EventStream[CallEvent]:
        """Start the call if needed, and iterate over its events from the start."""
        loop = self._loop
        return EventStream(loop, loop.call(lambda: self._inner.events()), lambda each: each)

    @property
    def early_audio(self) -> AudioStream | None:
        """The early audio; None before `EarlyMediaStarted`."""
        found = self._call(lambda: self._inner.early_audio)
        return None if found is None else AudioStream(self._loop, found)

    def answered(self, timeout: float | None = None) -> Call:
        """Wait for the answer, for at most `timeout` seconds; then the call is canceled.

        A far end that hangs up at once may have ended the call by the time it is returned.

        Raises Busy, Declined, NotFound, NoAnswer, NotAcceptable, Redirected or CallFailed,
        depending on the refusal, DialRefused when the account's dial policy forbids the call,
        SecurityShortfall when we refused the answer, NoAnswer on time-out, Canceled when we gave
        the call up.
        """
        return Call(self._loop, self._wait(lambda: self._inner.answered(timeout)))

    def send_digits(self, digits: str) -> None:
        """Report digits to a server that still collects them (overlap dialing, RFC 4730).

        Raises ConfigurationError for a character that is no digit, LocalProtocolError when the
        server has no KPML subscription, DialRefused where a dial policy has judged the number.
        """
        self._call(lambda: self._inner.send_digits(digits))

    def cancel(
        self, *, status: int = 0, q850_cause: int = 0, reason: str = "", headers: ExtraHeaders = ()
    ) -> None:
        """Cancel the call; does nothing once it is over.  The arguments are those of `Call.hangup`.

        Raises ConfigurationError for a cause or `headers` that cannot be sent.
        """
        self._call(
            lambda: self._inner.cancel(
                status=status, q850_cause=q850_cause, reason=reason, headers=headers
            )
        )

    def __enter__(self) -> Self:
        self._wait(self._inner.__aenter__)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wait(lambda: self._inner.__aexit__(kind, error, trace))


class IncomingCall(Wrapper[AsyncIncomingCall]):
    """A call that waits for our answer.  Calls refused on security grounds are never offered here.

    `replaces` is our call that this one is to replace (RFC 3891): answering this one ends it.
    """

    @property
    def id(self) -> str:
        """The Call-ID; "" before the start."""
        return self._call(lambda: self._inner.id)

    @property
    def log_fields(self) -> dict[str, str]:
        """The fields that log records about the call have, for `logging.LoggerAdapter`."""
        return self._call(lambda: self._inner.log_fields)

    @property
    def peer(self) -> NameAddr:
        """The far end's address: as the account's own verified server says, else as signaled.

        It follows transfers, pickups and forwards (`PeerChanged` reports it).  Raises
        LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.peer)

    @property
    def caller(self) -> NameAddr:
        """The caller's address: From of the INVITE, without tag.

        What it says is the caller's own claim: see `asserted_identity`.  Raises LocalProtocolError
        before the start.
        """
        return self._call(lambda: self._inner.caller)

    @property
    def called(self) -> NameAddr:
        """The address that was called: To of the INVITE, without tag.

        Raises LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.called)

    @property
    def dialed(self) -> DialedAddress:
        """The number or address that was dialed, and the header fields that name it.

        Raises LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.dialed)

    @property
    def headers(self) -> Headers:
        """Every header field of the INVITE, sent or received, in order, without credentials.

        They are as they came: none of them is to be trusted.  Raises LocalProtocolError before the
        start.
        """
        return self._call(lambda: self._inner.headers)

    @property
    def answer_headers(self) -> Headers:
        """The header fields of the far end's answer; none before it, and none where we answer.

        Raises LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.answer_headers)

    @property
    def asserted_identity(self) -> FarEndIdentity:
        """The identity of the far end, and the assurance for it.

        It follows transfers as `peer` does.  Raises LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.asserted_identity)

    @property
    def user_to_user(self) -> tuple[UserToUser, ...]:
        """The application's data in the far end's INVITE or answer (RFC 7433).

        Raises LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.user_to_user)

    @property
    def session_id(self) -> SessionId | None:
        """The identifier of the session from end to end (RFC 7989): our UUID, and the far end's.

        Ours stays through holds and transfers.  None before the start.
        """
        return self._call(lambda: self._inner.session_id)

    @property
    def contact(self) -> Contact | None:
        """The peer's directory entry; None until a lookup succeeds (`PeerNamed` reports it)."""
        return self._call(lambda: self._inner.contact)

    @property
    def attestation(self) -> Attestation | None:
        """What the caller's carrier attests of the number in `peer`, or why not (STIR).

        None until that is verified (`CallerAttested` reports it, `IncomingCall.attested` waits for
        it), where the account verifies no callers, and once another party has taken over.  It is a
        claim of the carrier, and raises no security level.
        """
        return self._call(lambda: self._inner.attestation)

    @property
    def state(self) -> CallState:
        """The state (RFC 4235)."""
        return self._call(lambda: self._inner.state)

    @property
    def security(self) -> SecurityState:
        """The security state in force; after the end of the call, the last one.

        Raises LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.security)

    @property
    def statistics(self) -> StreamStatistics:
        """Statistics of the audio stream, early media included; after the end, the last ones."""
        return self._call(lambda: self._inner.statistics)

    @property
    def refused(self) -> tuple[Shortfall, ...]:
        """The shortfalls for which we refused or ended the call; () if we did not."""
        return self._call(lambda: self._inner.refused)

    @property
    def explanation(self) -> str:
        """Why the call was refused or failed, as a sentence; "" if it was not."""
        return self._call(lambda: self._inner.explanation)

    def events(self) -> EventStream[CallEvent]:
        """Iterate over all events of the call, from its start."""
        loop = self._loop
        return EventStream(loop, loop.call(lambda: self._inner.events()), lambda each: each)

    @property
    def unanswered(self) -> bool:
        """Whether the call still waits to be answered, rejected or redirected."""
        return self._call(lambda: self._inner.unanswered)

    def attested(self) -> Attestation | None:
        """Wait, for 2 s at most, until the caller's attestation (STIR) is verified; return it.

        None where the account verifies no callers (`[stir]`).
        """
        return self._wait(lambda: self._inner.attested())

    def ring(self, *, headers: ExtraHeaders = ()) -> None:
        """Send 180 Ringing, with `headers`.

        Raises LocalProtocolError when the call is over, ConfigurationError for `headers` as
        `Account.dial` does.
        """
        self._call(lambda: self._inner.ring(headers=headers))

    @property
    def early_audio(self) -> AudioStream | None:
        """The early audio; None before `EarlyMediaStarted`."""
        found = self._call(lambda: self._inner.early_audio)
        return None if found is None else AudioStream(self._loop, found)

    def stream(self) -> EventStream[CallItem]:
        """Iterate over the caller's sound and the call's events in one order, from early media on.

        It replaces `Call.stream`: it continues through the answer, and
        `CallEnded` is the last item, also of a call that is not answered.  Raises
        LocalProtocolError before `early_media`.
        """
        loop = self._loop
        return EventStream(loop, loop.call(lambda: self._inner.stream()), lambda each: each)

    def early_media(self, *, headers: ExtraHeaders = ()) -> AudioStream:
        """Send 183 Session Progress with our session description; return the audio once it is open.

        `headers` go into the 183.  The caller hears what is played and is heard, with digits,
        before the answer; `answer` then goes on with the same sound and keys.  The 183 is reliable
        (RFC 3262) where the caller supports that, and `answer` waits for its PRACK.  Media is
        judged as in the answer: nothing flows before the policy is met.  A second call sends
        nothing more.

        Raises SecurityShortfall when the policy is not met, Canceled when the caller gave up,
        CallFailed when no media port is left or no PRACK came: the call has then ended.  Raises
        NotAcceptable, and the call goes on, when the caller made no offer and lacks 100rel;
        ConfigurationError for `headers` as `Account.dial` does, LocalProtocolError when the call
        was answered already.
        """
        return AudioStream(self._loop, self._wait(lambda: self._inner.early_media(headers=headers)))

    def answer(self, *, keep: float | None = None, headers: ExtraHeaders = ()) -> Call:
        """Answer, and wait until the ACK has arrived and media is open; `headers` go into the 200.

        A caller that hangs up at once may have ended the call by the time it is returned.

        With `keep`, the caller's first words are kept in memory, from the answer on and never from
        before it: the first `audio.read` or `stream` within `keep` seconds (30 at most) gets them,
        and then what follows.  No other reader gets them.  After that time, and at the end of the
        call, they are overwritten.  Where SRTP is required, only authenticated sound is kept.
        Nothing is kept where something records already.

        Raises ConfigurationError for another `keep` and for `headers` as `Account.dial` does,
        SecurityShortfall when the answer to our offer, or the far end, does not meet the policy,
        Canceled when the caller gave up, CallFailed when no ACK came or no media port is left,
        LocalProtocolError when the call was answered already.
        """
        return Call(self._loop, self._wait(lambda: self._inner.answer(keep=keep, headers=headers)))

    def reject(
        self,
        status: int | None = None,
        reason: str = "",
        *,
        q850_cause: int = 0,
        headers: ExtraHeaders = (),
    ) -> None:
        """Refuse the call: 486 Busy Here, 603 Decline, 480 Temporarily Unavailable, ...

        `q850_cause` goes into Reason (RFC 6432), and determines a status that is None (RFC 3398);
        without both the status is 486.  `headers` go into the response.  Raises LocalProtocolError
        for a status that is no refusal, and when the call is over; ConfigurationError for a cause
        or reason that cannot be sent, words in the place of the status, and for `headers` as
        `Account.dial` does.
        """
        self._call(
            lambda: self._inner.reject(status, reason, q850_cause=q850_cause, headers=headers)
        )

    def redirect(self, *contacts: str, status: int = 302, headers: ExtraHeaders = ()) -> None:
        """Redirect the caller to other addresses; `headers` go into the response.

        Each is a target as `Account.dial` takes it.  Raises ConfigurationError for a contact that
        is no SIP URI and for `headers` as `Account.dial` does, DialRefused when the account's dial
        policy forbids a contact, LocalProtocolError when the call is over.
        """
        self._call(lambda: self._inner.redirect(*contacts, status=status, headers=headers))

    @property
    def replaces(self) -> Call | None:
        """Our call that this one is to replace (RFC 3891); None for most."""
        replaced = self._call(lambda: self._inner.replaces)
        return None if replaced is None else Call(self._loop, replaced)

    def ended(self) -> CallEnded:
        """Wait for the end of the call, also when the caller cancels; return how it ended."""
        return self._wait(lambda: self._inner.ended)


class Call(Wrapper[AsyncCall]):
    """A confirmed call.  Leaving a `with` block hangs it up.

    Use `call.security.require(SecurityLevel.ENCRYPTED)` before anything that must not go in clear.
    """

    @property
    def id(self) -> str:
        """The Call-ID; "" before the start."""
        return self._call(lambda: self._inner.id)

    @property
    def log_fields(self) -> dict[str, str]:
        """The fields that log records about the call have, for `logging.LoggerAdapter`."""
        return self._call(lambda: self._inner.log_fields)

    @property
    def peer(self) -> NameAddr:
        """The far end's address: as the account's own verified server says, else as signaled.

        It follows transfers, pickups and forwards (`PeerChanged` reports it).  Raises
        LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.peer)

    @property
    def caller(self) -> NameAddr:
        """The caller's address: From of the INVITE, without tag.

        What it says is the caller's own claim: see `asserted_identity`.  Raises LocalProtocolError
        before the start.
        """
        return self._call(lambda: self._inner.caller)

    @property
    def called(self) -> NameAddr:
        """The address that was called: To of the INVITE, without tag.

        Raises LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.called)

    @property
    def dialed(self) -> DialedAddress:
        """The number or address that was dialed, and the header fields that name it.

        Raises LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.dialed)

    @property
    def headers(self) -> Headers:
        """Every header field of the INVITE, sent or received, in order, without credentials.

        They are as they came: none of them is to be trusted.  Raises LocalProtocolError before the
        start.
        """
        return self._call(lambda: self._inner.headers)

    @property
    def answer_headers(self) -> Headers:
        """The header fields of the far end's answer; none before it, and none where we answer.

        Raises LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.answer_headers)

    @property
    def asserted_identity(self) -> FarEndIdentity:
        """The identity of the far end, and the assurance for it.

        It follows transfers as `peer` does.  Raises LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.asserted_identity)

    @property
    def user_to_user(self) -> tuple[UserToUser, ...]:
        """The application's data in the far end's INVITE or answer (RFC 7433).

        Raises LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.user_to_user)

    @property
    def session_id(self) -> SessionId | None:
        """The identifier of the session from end to end (RFC 7989): our UUID, and the far end's.

        Ours stays through holds and transfers.  None before the start.
        """
        return self._call(lambda: self._inner.session_id)

    @property
    def contact(self) -> Contact | None:
        """The peer's directory entry; None until a lookup succeeds (`PeerNamed` reports it)."""
        return self._call(lambda: self._inner.contact)

    @property
    def attestation(self) -> Attestation | None:
        """What the caller's carrier attests of the number in `peer`, or why not (STIR).

        None until that is verified (`CallerAttested` reports it, `IncomingCall.attested` waits for
        it), where the account verifies no callers, and once another party has taken over.  It is a
        claim of the carrier, and raises no security level.
        """
        return self._call(lambda: self._inner.attestation)

    @property
    def state(self) -> CallState:
        """The state (RFC 4235)."""
        return self._call(lambda: self._inner.state)

    @property
    def security(self) -> SecurityState:
        """The security state in force; after the end of the call, the last one.

        Raises LocalProtocolError before the start.
        """
        return self._call(lambda: self._inner.security)

    @property
    def statistics(self) -> StreamStatistics:
        """Statistics of the audio stream, early media included; after the end, the last ones."""
        return self._call(lambda: self._inner.statistics)

    @property
    def refused(self) -> tuple[Shortfall, ...]:
        """The shortfalls for which we refused or ended the call; () if we did not."""
        return self._call(lambda: self._inner.refused)

    @property
    def explanation(self) -> str:
        """Why the call was refused or failed, as a sentence; "" if it was not."""
        return self._call(lambda: self._inner.explanation)

    def events(self) -> EventStream[CallEvent]:
        """Iterate over all events of the call, from its start."""
        loop = self._loop
        return EventStream(loop, loop.call(lambda: self._inner.events()), lambda each: each)

    @property
    def audio(self) -> AudioStream:
        """The audio stream."""
        return AudioStream(self._loop, self._call(lambda: self._inner.audio))

    def stream(self) -> EventStream[CallItem]:
        """Iterate over the far end's sound and the call's events in one order, for one task.

        Items are `ReceivedAudio`, as `audio.read` gives them, and what `events` gives, from the
        start of the call: digits, changes of security, speech where `audio.detect` runs.  Each
        comes after all that came before it; sound comes when it is due for playing, up to the
        playout delay after it arrived.  `CallEnded` is the last item.  Sound is buffered from this
        call on, with what `IncomingCall.answer` kept.  A slow reader loses the oldest sound beyond
        two seconds (`audio.unread_samples_dropped`) and the oldest of 256 events, and never the
        order.  Takes the place of `audio.read`; use one of them.
        """
        loop = self._loop
        return EventStream(loop, loop.call(lambda: self._inner.stream()), lambda each: each)

    @property
    def held(self) -> bool:
        """Whether we hold the far end."""
        return self._call(lambda: self._inner.held)

    def ended(self) -> CallEnded:
        """Wait for the end of the call and return how it ended."""
        return self._wait(lambda: self._inner.ended())

    def hold(self, *, music: bool = True, headers: ExtraHeaders = ()) -> None:
        """Put the far end on hold: nothing is received, and only what is played is sent.

        With `music`, and `music_on_hold` in the account, it hears that source in place of what is
        played (RFC 7088); where that fails, `MusicOnHoldFailed` says why, and the hold is one
        without music.  `headers` go into the re-INVITE.  Raises CallError when the far end refuses;
        the session then stays as it was.  Raises ConfigurationError for `headers` as `Account.dial`
        does.
        """
        self._wait(lambda: self._inner.hold(music=music, headers=headers))

    def resume(self, *, headers: ExtraHeaders = ()) -> None:
        """Take the far end off hold, with a full offer; `headers` go into the re-INVITE.

        Raises CallError when the far end refuses, SecurityShortfall when the call was put on
        hold for falling below its policy and still does not meet it, ConfigurationError for
        `headers` as `Account.dial` does.
        """
        self._wait(lambda: self._inner.resume(headers=headers))

    def send_digits(
        self, digits: str, *, duration_ms: int = 100, method: DigitMethod | str | None = None
    ) -> None:
        """Send DTMF digits: as telephone-events (RFC 4733) if agreed, else by INFO, else as tones.

        `method` ("rtp", "info", "inband", "auto") overrides the account's.  A KPML subscriber gets
        a report of each digit (RFC 4730), and then no INFO.  "," is a pause.  Returns when all
        digits have been sent.  Raises ConfigurationError for a character that is no digit, before
        anything is sent, NotAcceptable for "rtp" when it was not agreed, and LocalProtocolError
        once the call is over.
        """
        self._wait(lambda: self._inner.send_digits(digits, duration_ms=duration_ms, method=method))

    def send_info(
        self, content_type: str, body: bytes | str, *, package: str = "", headers: ExtraHeaders = ()
    ) -> None:
        """Send INFO with a body, and wait until the far end has taken it (RFC 6086).

        Text is sent as UTF-8.  `package` names an Info Package, for Info-Package.  At most 16384
        octets go over TCP and TLS, 900 over UDP.  Raises CallError with the status of a refusal,
        and the call goes on; ConfigurationError for what cannot be sent; LocalProtocolError once
        the call is over.
        """
        self._wait(
            lambda: self._inner.send_info(content_type, body, package=package, headers=headers)
        )

    def send_message(
        self,
        body: bytes | str,
        *,
        content_type: str = "text/plain;charset=UTF-8",
        headers: ExtraHeaders = (),
    ) -> None:
        """Send MESSAGE within the call, and wait until the far end has taken it (RFC 3428).

        Sizes and errors are those of `send_info`.
        """
        self._wait(
            lambda: self._inner.send_message(body, content_type=content_type, headers=headers)
        )

    def transfer(self, target: str | Call, *, headers: ExtraHeaders = ()) -> None:
        """Transfer the far end: blind to a target, or attended to the peer of another call.

        `headers` go into the REFER.  A target is what `Account.dial` takes: "601",
        `bob@example.test`, a URI.  Returns when the far end reports success, or hangs up with no
        report but 100 (RFC 5589 section 6.1); the call is then hung up.  Raises CallError with the
        status of a refusal, and the call goes on, or with the last status reported when the call
        ends before a final one; ConfigurationError for a target that is no SIP URI, and for
        `headers` as `Account.dial` does;
        DialRefused when the account's dial policy forbids the target;
        SecurityShortfall when one of the two calls does not meet the other's policy;
        LocalProtocolError once the call is over.
        """
        self._wait(lambda: self._inner.transfer(inner_of(target), headers=headers))

    def confer(self, other: Call) -> None:
        """Have the call server join `other` to this call (Cisco's Conference soft key).

        Returns when the server has done so; it then hangs up `other`.  From then on this call
        must meet the policies of both.  Raises CallError with the status of a refusal, and both
        calls go on; SecurityShortfall when one call does not meet the other's policy;
        LocalProtocolError once one of them is over.
        """
        self._wait(lambda: self._inner.confer(inner_of(other)))

    @property
    def transfer_requested(self) -> bool:
        """Whether the far end waits for an answer to its REFER."""
        return self._call(lambda: self._inner.transfer_requested)

    def reject_transfer(self, status: int = 603) -> None:
        """Refuse the transfer that `TransferRequested` reported.

        Raises LocalProtocolError when no request is pending.
        """
        self._call(lambda: self._inner.reject_transfer(status))

    def hangup(
        self, *, status: int = 0, q850_cause: int = 0, reason: str = "", headers: ExtraHeaders = ()
    ) -> None:
        """End the call; does nothing once it is over.

        `status` (SIP), `q850_cause` (ITU-T Q.850) and `reason`, in words, tell the far end why
        (RFC 3326); `headers` go into the BYE.  Raises ConfigurationError for a cause or reason that
        cannot be sent, and for `headers` as `Account.dial` does.
        """
        self._call(
            lambda: self._inner.hangup(
                status=status, q850_cause=q850_cause, reason=reason, headers=headers
            )
        )

    def __enter__(self) -> Self:
        self._wait(self._inner.__aenter__)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wait(lambda: self._inner.__aexit__(kind, error, trace))


class AudioStream(Wrapper[AsyncAudioStream]):
    """One audio stream of a call.

    Methods that change it raise LocalProtocolError once the call is over.
    """

    @property
    def codec(self) -> str:
        """The name ("PCMU", "L16/16000") of the codec that we send with; "" before negotiation."""
        return self._call(lambda: self._inner.codec)

    @property
    def direction(self) -> Direction:
        """The direction from our point of view (RFC 3264); INACTIVE before negotiation."""
        return self._call(lambda: self._inner.direction)

    @property
    def ssrc(self) -> int:
        """The SSRC that we send with now; it changes with each new key of ours."""
        return self._call(lambda: self._inner.ssrc)

    @property
    def security(self) -> MediaSecurity | None:
        """Profile, suite and key exchange; None while no audio is negotiated."""
        return self._call(lambda: self._inner.security)

    @property
    def statistics(self) -> StreamStatistics:
        """A snapshot of the statistics; after the call, the last one."""
        return self._call(lambda: self._inner.statistics)

    @property
    def packet_counts(self) -> PacketCounts:
        """The packets counted in `statistics`, at a small part of their cost: to be asked often."""
        return self._call(lambda: self._inner.packet_counts)

    def play(self, source: Source | MediaTrack | str | os.PathLike[str] | None) -> None:
        """Send `source` from the next frame on; None sends silence.

        `source` may also be an aiortc track or the path of a WAV file.  Discards what was written
        and not yet sent.  Raises ConfigurationError for a track that is not audio, or a file that
        cannot be played.
        """
        self._call(lambda: self._inner.play(source))

    def use_rates(self, *, read_hz: int | None = None, write_hz: int | None = None) -> None:
        """Set the sample rates of `read` and `write`: 8,000, 16,000 (default), 24,000 or 48,000 Hz.

        They are independent of the codec's.  Raises ConfigurationError for another rate,
        LocalProtocolError once that direction is in use.
        """
        self._call(lambda: self._inner.use_rates(read_hz=read_hz, write_hz=write_hz))

    def read(self, samples: int | None = None) -> ReceivedAudio:
        """Return the next received audio, as it arrives (about 20 ms), or exactly `samples`.

        Audio is buffered from the first call on, up to two seconds; a slower reader loses the
        oldest samples (`unread_samples_dropped`).  The first call also gets what
        `IncomingCall.answer` kept.  The result is empty at the end of the call.  Replaces the sink
        of `record`.
        """
        return self._wait(lambda: self._inner.read(samples))

    def __iter__(self) -> EventStream[ReceivedAudio]:
        """Iterate over what `read` returns until the end of the call."""
        loop = self._loop
        return EventStream(loop, loop.call(lambda: self._inner.__aiter__()), lambda each: each)

    def write(self, pcm: PcmLike, *, lead: float | None = None) -> None:
        """Send int16[n] samples, or their bytes, of any length, after what was written before.

        Waits while ten seconds of audio are queued.  With `lead`, waits while more than so many
        seconds are (0.02 to 10, and no less than a packet): the write takes as long as its sound,
        `flush` drops the rest of it, and a canceled one leaves at most the lead.  Replaces the
        source of `play`.  Raises ConfigurationError for another lead, LocalProtocolError once the
        call is over.
        """
        self._wait(lambda: self._inner.write(pcm, lead=lead))

    def mark(self) -> PlaybackMark:
        """Return a mark behind all that was written; `mark.played()` waits until then."""
        return PlaybackMark(self._loop, self._call(lambda: self._inner.mark()))

    def flush(self) -> int:
        """Discard what was written and not sent; return the number of samples discarded."""
        return self._call(lambda: self._inner.flush())

    @property
    def unread_samples_dropped(self) -> int:
        """The number of received samples that were dropped because `read` was too slow.

        Kept ones that nobody has read in time count at the codec's rate.
        """
        return self._call(lambda: self._inner.unread_samples_dropped)

    def played(self) -> None:
        """Wait until the playing source has ended, or what was written has been sent or flushed.

        Returns at once when nothing is playing, and also at the end of the call.
        """
        self._wait(lambda: self._inner.played())

    def record(self, sink: Sink | str | os.PathLike[str] | None) -> None:
        """Deliver received audio to `sink`, or to a new WAV file by its path; None stops.

        The file has mode 0600 and appears complete when another sink is set or the call ends;
        `RecordingFailed` reports a full disk.  For a path, raises SecurityShortfall for an
        encrypted call whose policy forbids recording, ConfigurationError for a file that cannot
        be created.
        """
        self._call(lambda: self._inner.record(sink))

    def check_recording(self) -> None:
        """Raise SecurityShortfall if the call is encrypted and its policy forbids recording."""
        self._call(lambda: self._inner.check_recording())

    def record_both(self, path: str | os.PathLike[str] | Recording) -> Recording:
        """Record both sides to a new file: ours left, theirs right, aligned by media time.

        The format is WAV, or by its name .ogg, .opus, .webm, .mka, .mkv, .mp4, .m4a, .flac or .mp3
        (PyAV).  The file has mode 0600 and appears complete when the recording is closed or the
        call ends.  `pause` and `resume` put silence in the place of secrets.  `RecordingFailed`
        reports a full disk.  Raises SecurityShortfall for an encrypted call whose policy forbids
        recording, ConfigurationError for a file that cannot be created.
        """
        return Recording(self._loop, self._call(lambda: self._inner.record_both(inner_of(path))))

    def mute(self, muted: bool = True) -> None:
        """Send silence in place of the source."""
        self._call(lambda: self._inner.mute(muted))

    def pause(self) -> None:
        """Send silence from the next frame on; `resume` goes on where the sound was.

        What is played or written waits, with its marks; writing waits once its queue is full, and
        `flush` drops what is queued.  Digits are sent meanwhile, but not as tones.  A source that
        other calls play, too, goes on.
        """
        self._call(lambda: self._inner.pause())

    def resume(self) -> None:
        """Go on with what is played or written, where `pause` stopped it."""
        self._call(lambda: self._inner.resume())

    @property
    def paused(self) -> bool:
        """Whether what is played or written is paused."""
        return self._call(lambda: self._inner.paused)

    def process(self, processing: VoiceProcessing | None) -> None:
        """Remove our echo and noise from received audio from now on; None: nothing any more.

        It is then about 10 ms late.  Both sides are recorded as received, and so are digits and
        tones detected, by detections that start after this.  By default it is what the account
        demands (`echo_cancellation`, `noise_suppression`).
        """
        self._call(lambda: self._inner.process(processing))

    def detect(
        self,
        *,
        digits: bool = False,
        voice: bool = False,
        tones: bool = False,
        answer: bool = False,
    ) -> Detection:
        """Detect in the received audio from now on, and report in the call's events.

        `digits`: DTMF tones.  `voice`: start and end of speech, and whether we were playing then.
        `tones`: call progress, fax and beeps.  `answer`: whether a human or a machine answered,
        counted from now.  Received audio is decoded while a detection runs.  Raises
        LocalProtocolError when none is chosen.
        """
        return Detection(
            self._loop,
            self._call(
                lambda: self._inner.detect(digits=digits, voice=voice, tones=tones, answer=answer)
            ),
        )

    def send_digits(self, digits: str, *, duration_ms: int = 100) -> None:
        """Send DTMF digits as telephone-events (RFC 4733)."""
        self._call(lambda: self._inner.send_digits(digits, duration_ms=duration_ms))

    def write_all(self, pieces: Iterable[PcmLike]) -> PlaybackMark:
        """Write what an iterable yields; return the mark behind it."""
        for pcm in pieces:
            self.write(pcm)
        return self.mark()


class PlaybackMark(Wrapper[AsyncPlaybackMark]):
    """A position in the written samples, after the first `position` of them.

    `played()` returns True once all samples before it have been sent, and False if some never will
    be, after a flush or the end of the call.
    """

    @property
    def done(self) -> bool:
        """Whether the mark has been resolved."""
        return self._call(lambda: self._inner.done)

    def played(self) -> bool:
        """Wait for the outcome: whether all samples before the mark were sent."""
        return self._wait(lambda: self._inner.played())

    @property
    def position(self) -> int:
        """The number of written samples before it."""
        return self._inner.position


class Detection(Wrapper[AsyncDetection]):
    """Detectors on one stream, running until `stop` or the end of the call."""

    def stop(self) -> None:
        """Stop detecting; a second call does nothing."""
        self._call(lambda: self._inner.stop())


class Recording(Wrapper[AsyncRecording]):
    """A recording of both sides of a call; `AudioStream.record_both` makes it."""

    @property
    def path(self) -> Path:
        """The path of the finished file."""
        return self._call(lambda: self._inner.path)

    @property
    def seconds(self) -> float:
        """The duration recorded so far."""
        return self._call(lambda: self._inner.seconds)

    def pause(self) -> None:
        """Record silence in place of both sides from now on, for what must not be kept."""
        self._call(lambda: self._inner.pause())

    def resume(self) -> None:
        """Record both sides again."""
        self._call(lambda: self._inner.resume())

    def close(self) -> None:
        """Write the rest and rename the file to `path`; a second call does nothing.

        Raises MediaError when the recording is cut short or its file cannot be completed; a file
        that cannot be completed stays as `path` + ".part".
        """
        self._call(lambda: self._inner.close())

    def discard(self) -> None:
        """Stop the recording and delete its file.  After `close` this does nothing."""
        self._call(lambda: self._inner.discard())

    @property
    def problem(self) -> str:
        """Why the recording has stopped; "" while it runs."""
        return self._call(lambda: self._inner.problem)


class Conference(Wrapper[AsyncConference]):
    """Calls on one mixer; leaving the `with` block removes all of them and hangs up none.

    With `minimum`, a call below that level cannot join, and a member that falls below is removed.
    Without it, every member must meet the policies of all: a call that does not meet a member's
    policy, or whose policy a member does not meet, cannot join, and a member that falls below is
    removed.
    """

    def __init__(
        self, *, clock_rate_hz: int = 16_000, minimum: SecurityLevel | None = None
    ) -> None:
        loop = running_loop()
        made = loop.call(lambda: AsyncConference(clock_rate_hz=clock_rate_hz, minimum=minimum))
        super().__init__(loop, made)

    @property
    def calls(self) -> tuple[Call, ...]:
        """The members."""
        return tuple(Call(self._loop, each) for each in self._call(lambda: self._inner.calls))

    @property
    def security_level(self) -> SecurityLevel:
        """The lowest level of all members; NOT_SECURE without members."""
        return self._call(lambda: self._inner.security_level)

    def events(self) -> EventStream[ConferenceChanged]:
        """Iterate over the conference's events until it is closed."""
        loop = self._loop
        return EventStream(loop, loop.call(lambda: self._inner.events()), lambda each: each)

    def join(self, call: Call) -> None:
        """Add a call: it hears the other members instead of what was played to it.

        Raises LocalProtocolError for a call that is over or a member already, SecurityShortfall
        for one below `minimum`, or, without `minimum`, where its policy and the members' conflict.
        """
        self._call(lambda: self._inner.join(inner_of(call)))

    def part(self, call: Call) -> None:
        """Remove a call; it stays up and is sent silence.

        Raises LocalProtocolError for a call that is not a member.
        """
        self._call(lambda: self._inner.part(inner_of(call)))

    def mute(self, call: Call, muted: bool = True) -> None:
        """Mute a member for all others; it still hears them.

        Raises LocalProtocolError for a call that is not a member.
        """
        self._call(lambda: self._inner.mute(inner_of(call), muted))

    def announce(self, source: Source | str | os.PathLike[str] | None) -> None:
        """Play a source, or a WAV file by its path, to all members, mixed with them; None stops it.

        Raises ConfigurationError for a file that cannot be played.
        """
        self._call(lambda: self._inner.announce(source))

    def whisper(self, call: Call, source: Source | str | os.PathLike[str] | None) -> None:
        """Play a source, or a WAV file by its path, to one member only; None stops it.

        Raises LocalProtocolError for a call that is not a member, and ConfigurationError for a
        file that cannot be played.
        """
        self._call(lambda: self._inner.whisper(inner_of(call), source))

    def close(self) -> None:
        """Remove all members and end `events()`; no call is hung up."""
        self._call(lambda: self._inner.close())

    def __enter__(self) -> Self:
        self._wait(self._inner.__aenter__)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wait(lambda: self._inner.__aexit__(kind, error, trace))
