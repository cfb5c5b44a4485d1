"""softphone.messaging.delivery."""

from __future__ import annotations

from softphone.messaging.delivery.message_processor import MessageProcessor

__all__ = ["MessageProcessor"]
