"""The OpenAPI document of the REST interface, and the form fields that its operations take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from softphone.agents.agent_call import API_VERSION

CALLS_PATH: Final = f"/{API_VERSION}/Accounts/{{account}}/Calls.json"
CALL_PATH: Final = f"/{API_VERSION}/Accounts/{{account}}/Calls/{{call}}.json"
DOCUMENT_PATH: Final = "/openapi.json"

CREATE_FIELDS: Final[Mapping[str, str]] = {
    "To": "The callee: a number, a SIP URI, or a user of the account's domain.",
    "From": "The account's own address or user; another caller is refused.",
    "Url": "The URL to fetch TwiML from at the answer, on the server of the voice URL.",
    "Method": "POST.",
    "Twiml": "A TwiML document, in place of Url.",
    "Timeout": "Seconds of ringing: 60 unless given, 600 at most.",
}
UPDATE_FIELDS: Final[Mapping[str, str]] = {
    "Status": "`completed` ends the call, `canceled` one that was not answered.",
    "Url": "The URL to fetch TwiML from, with which the call goes on; on the voice URL's server.",
    "Method": "POST.",
    "Twiml": "A TwiML document that the call goes on with, in place of Url.",
}
STATUSES: Final = ("queued", "ringing", "in-progress", "completed", "canceled")
"""The statuses of a call; the last two only in the answer to the request that ends it."""

_TEXT: Final = {"type": "string"}
_DATE: Final = {"type": ["string", "null"], "description": "RFC 5322, in UTC"}
CALL_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "sid": {"type": "string", "pattern": "^CA[0-9a-f]{32}$"},
        "account_sid": {"type": "string", "pattern": "^AC[0-9a-f]{32}$"},
        "api_version": {"const": API_VERSION},
        "to": _TEXT,
        "from": _TEXT,
        "status": {"enum": list(STATUSES)},
        "direction": {"enum": ["inbound", "outbound-api"]},
        "date_created": _DATE,
        "start_time": {**_DATE, "description": "the answer, RFC 5322, in UTC"},
        "uri": _TEXT,
    },
    "required": [
        *("sid", "account_sid", "api_version", "to", "from", "status", "direction"),
        *("date_created", "start_time", "uri"),
    ],
    "additionalProperties": False,
}
ERROR_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "code": {"type": "integer", "description": "as Twilio numbers its errors"},
        "message": _TEXT,
        "more_info": _TEXT,
        "status": {"type": "integer"},
    },
    "required": ["code", "message", "more_info", "status"],
    "additionalProperties": False,
}


def openapi_document(version: str) -> dict[str, Any]:
    """Return the document, in OpenAPI 3.1; `version` is softphone's."""
    account = _in_path("account", "The accountSid, which is also the user of Basic authentication.")
    call = _in_path("call", "The callSid.")
    answers = {**_answer("200", "The call.", "Call"), **_failures("400", "401", "404", "413")}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Calls of an agent server", "version": version},
        "security": [{"basic": []}],
        "paths": {
            CALLS_PATH: {
                "parameters": [account],
                "post": {
                    "operationId": "createCall",
                    "summary": "Place a call, if the account's dial policy allows it.",
                    "requestBody": _form(CREATE_FIELDS, ["To"]),
                    "responses": {
                        **_answer("201", "The call, which is under way.", "Call"),
                        **_failures("400", "401", "404", "413", "429", "503"),
                    },
                },
            },
            CALL_PATH: {
                "parameters": [account, call],
                "get": {
                    "operationId": "fetchCall",
                    "summary": "Return a call that is not over.",
                    "responses": answers,
                },
                "post": {
                    "operationId": "updateCall",
                    "summary": "End a call, or have it go on with another document.",
                    "requestBody": _form(UPDATE_FIELDS, []),
                    "responses": answers,
                },
            },
            DOCUMENT_PATH: {
                "get": {
                    "operationId": "fetchDocument",
                    "summary": "Return this document.",
                    "security": [],
                    "responses": {"200": {"description": "OpenAPI 3.1."}},
                }
            },
        },
        "components": {
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
            "schemas": {"Call": CALL_SCHEMA, "Error": ERROR_SCHEMA},
        },
    }


def _in_path(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
    }


def _form(fields: Mapping[str, str], required: list[str]) -> dict[str, Any]:
    properties = {name: {**_TEXT, "description": text} for name, text in fields.items()}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return {
        "required": True,
        "content": {"application/x-www-form-urlencoded": {"schema": schema}},
    }


def _answer(status: str, description: str, schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {status: {"description": description, "content": content}}


def _failures(*statuses: str) -> dict[str, Any]:
    """Return the same description for each status of a failure."""
    found: dict[str, Any] = {}
    for status in statuses:
        found |= _answer(status, "Refused; nothing was changed.", "Error")
    return found
