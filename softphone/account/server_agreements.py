"""Where an account stands with its servers: what each has agreed to, and whose word counts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from softphone.account.signaling import AnyRegistration
from softphone.events import RegistrationState
from softphone.personas import StandardPersona
from softphone.sans_io import Flow
from softphone.sip import Response, SipUri
from softphone.sip.registration import NodeRegistration

__all__ = ["ServerAgreements"]

MAXIMUM_SERVERS = 16
"""Servers whose word is remembered."""


@dataclass(frozen=True, slots=True)
class _Agreement:
    """What a server has said in the 2xx to a REGISTER."""

    vouches: bool
    supported: frozenset[str]


def _name_of(flow: Flow) -> str:
    """Who is at the other end: the certificate where there is one, else the address."""
    return flow.remote[0] if flow.identity is None else flow.identity.fingerprint


class ServerAgreements:
    """`registration` gives the account's, if it has one.

    `flow` is the connection that dialogs live on: that of the last binding.
    """

    def __init__(
        self, persona: StandardPersona, registration: Callable[[], AnyRegistration | None]
    ) -> None:
        self._persona = persona
        self._registration = registration
        self._words: OrderedDict[str, _Agreement] = OrderedDict()
        self.flow: Flow | None = None

    def record_grant(self, flow: Flow | None, response: Response) -> None:
        """A binding was granted over `flow`."""
        if flow is None:
            return
        vouches = flow.identity is not None and self._persona.vouches(response)
        supported = frozenset(tag.lower() for tag in response.supported)
        self._words[_name_of(flow)] = _Agreement(vouches, supported)
        self._words.move_to_end(_name_of(flow))
        while len(self._words) > MAXIMUM_SERVERS:
            self._words.popitem(last=False)

    def vouches(self, flow: Flow | None) -> bool:
        """Whether a verified registrar that speaks for far ends is at the other end of a flow."""
        if flow is None or flow.identity is None:
            return False
        word = self._words.get(_name_of(flow))
        return word is not None and word.vouches

    def supported_tags(self, flow: Flow) -> frozenset[str]:
        """The option tags, in lower case, of the server at the other end, if it registered us."""
        word = self._words.get(_name_of(flow))
        return frozenset() if word is None else word.supported

    def bypasses_registered_flow(self, flow: Flow | None) -> bool:
        """Whether a new request comes past the registered connection, where only that counts."""
        if not self._persona.registered_connection_only:
            return False
        registration = self._registration()
        return registration is not None and (flow is None or flow != registration.flow)

    def take_flow_change(self) -> tuple[Flow | None, Flow] | None:
        """The connection that dialogs have lived on, and the one of the binding, if it is new."""
        registration = self._registration()
        if registration is None or registration.state is not RegistrationState.REGISTERED:
            return None
        flow = registration.flow
        if flow is None or flow == self.flow:
            return None
        before, self.flow = self.flow, flow
        return before, flow

    @property
    def home_server(self) -> SipUri | None:
        """The server of a list that holds our binding; None where there is no list."""
        registration = self._registration()
        return registration.home if isinstance(registration, NodeRegistration) else None
