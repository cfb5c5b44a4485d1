"""A small OpenTelemetry collector on loopback: it keeps what is posted, as it came."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from softphone.trust import TlsCredential
from tests.support.certificates import raw_server_context


@dataclass
class OtlpReceiver:
    """A context; `statuses` are those of the next answers, then 200, with `answer` as the body."""

    statuses: list[int] = field(default_factory=list)
    answer: bytes = b""
    credential: TlsCredential | None = None
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def __enter__(self):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): text for name, text in self.headers.items()}
                receiver.requests.append((self.path, headers, body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Content-Length", str(len(receiver.answer)))
                self.end_headers()
                self.wfile.write(receiver.answer)

            def log_message(self, *words):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        scheme = "http"
        if self.credential is not None:
            scheme = "https"
            context = raw_server_context(self.credential)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._server.handle_error = lambda *given: None  # who refuses us ends the handshake
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *exc_info):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def bodies(self, path: str) -> list[bytes]:
        """What was posted to a path."""
        return [body for at, _, body in self.requests if at == path]

    def spans(self) -> list[tuple[dict[str, Any], Any]]:
        """Each span that came, with the attributes of its resource."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        return [
            (attributes(whole.resource), span)
            for body in self.bodies("/v1/traces")
            for whole in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in whole.scope_spans
            for span in scope.spans
        ]

    def metrics(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The attributes of the resource, and the metrics by name, of the last export."""
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
            ExportMetricsServiceRequest,
        )

        last = ExportMetricsServiceRequest.FromString(self.bodies("/v1/metrics")[-1])
        whole = last.resource_metrics[-1]
        found = {each.name: each for scope in whole.scope_metrics for each in scope.metrics}
        return attributes(whole.resource), found


def attributes(owner: Any) -> dict[str, Any]:
    """The attributes of a resource, a span or a point."""
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in owner.attributes
    }
