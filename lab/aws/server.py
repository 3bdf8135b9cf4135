"""The account's HTTP servers on loopback: one for everything, one that instances may reach, which is S3 and no more."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from xml.sax.saxutils import escape

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from lab.aws.iam.over_http import Wsgi, enforced, read_to_end
from lab.aws.presigned import Refusal, Request, is_presigned, session_refusal, verify
from lab.aws.state import AccountState, utc_now


class Servers:
    """Real: one endpoint for each service, signatures verified. moto: one for all, signatures ignored.

    Here presigned requests are verified as S3 does; of signed requests the access key counts, not the signature.
    `answer_seconds` is how long each answer takes at least, as over a network; requests wait side by side.
    """

    def __init__(self, state: AccountState, *, answer_seconds: float = 0.0) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._state = state
        app = _paced(enforced(DomainDispatcherApplication(create_backend_app), state), answer_seconds)
        self._servers = [
            make_server("127.0.0.1", 0, self._verified(wsgi), threaded=True, request_handler=MotoRequestHandler)
            for wsgi in (app, presigned_only(app))
        ]
        self._threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
            for server in self._servers
        ]

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def instance_port(self) -> int:
        """Where the guests' network ends: presigned S3 requests only."""
        return int(self._servers[1].server_port)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    def _verified(self, app: Wsgi) -> Wsgi:
        def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            if is_presigned(environ.get("QUERY_STRING", "")):
                request = _request(environ)
                refusal = verify(request, self._state.secrets, now=utc_now())
                refusal = refusal or session_refusal(request, self._state.sessions, now=utc_now())
                if refusal is not None:
                    self._state.events.emit(
                        "s3", environ.get("PATH_INFO", ""), f"403 {refusal.code}: {refusal.message}"
                    )
                    return _refuse(environ, start_response, refusal)
                # moto would take a body that calls itself a form for an API call; here it is an object.
                environ["CONTENT_TYPE"] = "application/octet-stream"
            return app(environ, start_response)

        return serve


def _paced(app: Wsgi, seconds: float) -> Wsgi:
    """Time that the account itself takes counts: only the rest is waited for."""

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        due = time.monotonic() + seconds
        answer = app(environ, start_response)
        time.sleep(max(0.0, due - time.monotonic()))
        return answer

    return serve if seconds else app


def presigned_only(app: Wsgi) -> Wsgi:
    """The network of an instance without credentials: anything but a presigned request is turned away."""

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not is_presigned(environ.get("QUERY_STRING", "")) or "HTTP_AUTHORIZATION" in environ:
            return _refuse(environ, start_response, Refusal("AccessDenied", "Access Denied"))
        return app(environ, start_response)

    return serve


def _request(environ: dict[str, Any]) -> Request:
    path, _, query = environ["RAW_URI"].partition("?")
    headers = {k[5:].replace("_", "-").lower(): str(v) for k, v in environ.items() if k.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    return Request(environ["REQUEST_METHOD"], path, query, headers)


def _refuse(environ: dict[str, Any], start_response: Callable[..., Any], refusal: Refusal) -> Iterable[bytes]:
    read_to_end(environ)
    body = f"<Error><Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message></Error>".encode()
    start_response("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]
