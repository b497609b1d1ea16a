"""``python -m cli.spans`` keeps the spans of the local stack: it takes OTLP over HTTP and answers with JSON.

On the loopback only. See decision 12 for why it is here.
"""

from __future__ import annotations

import argparse
import json
import signal
import sqlite3
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cli.traces import Span

MOST = 200_000
"""How many spans are kept, of some 5000 orders; the oldest make room for new ones. About 200 MB at most."""
LARGEST = 16 * 2**20
"""How many bytes one request may have, packed and unpacked; the 512 spans of a batch have about 500 kB."""
HOST = "127.0.0.1"
_PROTOBUF = "application/x-protobuf"
_SCHEMA = """
pragma journal_mode = wal;
pragma synchronous = off;  -- what a power cut may take is no loss
create table if not exists spans (
    n integer primary key, trace_id text not null, span_id text not null, span text not null, unique (trace_id, span_id)
);
"""


class Spans:
    """A file with the latest spans."""

    def __init__(self, file: Path | str, most: int = MOST) -> None:
        self._most = most
        self._database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._database.executescript(_SCHEMA)

    def add(self, spans: Iterable[Span]) -> None:
        """Keep spans; one that is sent again, because the answer was lost, is kept once."""
        rows = [(span["trace_id"], span["span_id"], json.dumps(span)) for span in spans]
        with self._database:
            self._database.execute("begin")
            insert = "insert into spans (trace_id, span_id, span) values (?, ?, ?) on conflict do nothing"
            self._database.executemany(insert, rows)
            self._database.execute("delete from spans where n <= (select max(n) from spans) - ?", (self._most,))

    def of(self, trace_id: str) -> list[Span]:
        """Give the spans of a trace, by their start."""
        found = self._database.execute("select span from spans where trace_id = ?", (trace_id,))
        # JSON for others has no infinite numbers, nor NaN: those are given as strings.
        read = (json.loads(span, parse_constant=str) for (span,) in found)
        return sorted(read, key=lambda span: span["start"])

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def receiver(spans: Spans, largest: int = LARGEST) -> Starlette:
    """Make the application that takes spans (OpenTelemetry Protocol, "OTLP/HTTP") and gives them back."""

    async def take_spans(request: Request) -> Response:
        # A page in a browser can't send this type without asking first, and is not answered then.
        if request.headers.get("Content-Type") != _PROTOBUF:
            return Response(f"only {_PROTOBUF} is taken here\n", 415)
        body = await _body(request, largest)
        try:
            if request.headers.get("Content-Encoding") == "gzip":
                body = _unpacked(body, largest)
            sent = ExportTraceServiceRequest.FromString(body)
        except (DecodeError, EOFError, zlib.error) as error:
            return Response(f"these are no spans: {error}\n", 400)
        spans.add(_read(sent))
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type=_PROTOBUF)

    async def drop(request: Request) -> Response:
        await _body(request, largest)
        return Response(media_type=_PROTOBUF)

    async def give_spans(request: Request) -> Response:
        return JSONResponse(spans.of(request.path_params["trace_id"]))

    routes = [
        Route("/v1/traces", take_spans, methods=["POST"]),
        # Metrics are at /metrics here, and logs in files; who sends them all the same is not to log errors for it.
        Route("/v1/metrics", drop, methods=["POST"]),
        Route("/v1/logs", drop, methods=["POST"]),
        Route("/traces/{trace_id}", give_spans),
    ]
    # A name that leads here by a trick is refused: a web page must not read what is kept.
    return Starlette(
        routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost", "[::1]"])]
    )


async def _body(request: Request, largest: int) -> bytes:
    # A length that is no number does not get here: h11 and httptools refuse it.
    if int(request.headers.get("Content-Length", 0)) > largest:
        raise _too_large(largest)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > largest:
            raise _too_large(largest)
    return bytes(body)


def _unpacked(body: bytes, largest: int) -> bytes:
    gzip = zlib.decompressobj(wbits=31)
    unpacked = gzip.decompress(body, largest + 1)
    if len(unpacked) > largest:
        raise _too_large(largest)
    if not gzip.eof or gzip.unused_data:
        raise EOFError("it is not one gzip file")
    return unpacked


def _too_large(largest: int) -> HTTPException:
    return HTTPException(413, f"more than {largest} bytes are not taken\n")


def _read(sent: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in sent.resource_spans:
        service = str(_values(resource.resource.attributes).get("service.name", ""))
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield _span(span, service)


def _span(span: trace_pb2.Span, service: str) -> Span:
    return {
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_id": span.parent_span_id.hex() or None,
        "name": span.name,
        "kind": trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        "service": service,
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "status": trace_pb2.Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_").lower(),
        "message": span.status.message,
        "attributes": _values(span.attributes),
        "events": [
            {"name": event.name, "at": event.time_unix_nano, "attributes": _values(event.attributes)}
            for event in span.events
        ],
        "links": [
            {
                "trace_id": link.trace_id.hex(),
                "span_id": link.span_id.hex(),
                "attributes": _values(link.attributes),
            }
            for link in span.links
        ],
    }


def _values(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    return {attribute.key: _value(attribute.value) for attribute in attributes}


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(each) for each in value.array_value.values]
        case "kvlist_value":
            return _values(value.kvlist_value.values)
        case "bytes_value":
            return value.bytes_value.hex()
        case kind:
            return getattr(value, kind)


def main() -> int:
    """Receive until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m cli.spans", description="Keeps spans until SIGTERM.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True, help="where they are kept")
    wanted = parser.parse_args()
    spans = Spans(wanted.file)
    # Uvicorn, once it has drained, sends itself the signal that told it to: that one is not to count.
    signal.signal(signal.SIGTERM, lambda *_: None)
    config = uvicorn.Config(receiver(spans), host=HOST, port=wanted.port, log_level="warning", access_log=False)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run()
    spans.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
