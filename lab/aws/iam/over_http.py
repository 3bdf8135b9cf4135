"""Requests over HTTP pass only if the role whose key signed them may make them.

Reads operation and parameters by botocore's models and refuses in the service's own shape. Decides nothing itself.
"""

import io
import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

from botocore.awsrequest import HeadersDict
from botocore.exceptions import ClientError, UnknownServiceError
from botocore.model import OperationModel, OperationNotFoundError
from botocore.parsers import create_parser
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.utils import get_service_model

from lab.aws.iam.actions import NoSuchRequest
from lab.aws.iam.policy import Caller
from lab.aws.state import AccountState

Environ = dict[str, Any]
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

log = logging.getLogger("lab.aws")
# In `Authorization: AWS4-HMAC-SHA256 Credential=AKIA…/20261123/eu-central-1/monitoring/aws4_request, …`, or in a query.
_SCOPE = re.compile(r"Credential=([^/]+)/\d{8}/[^/]+/([^/]+)/aws4_request")
# Name in the signature -> boto3's, where they differ.
_SERVICES = {"monitoring": "cloudwatch", "states": "stepfunctions"}


def enforced(app: Wsgi, state: AccountState) -> Wsgi:
    """The application behind the permissions. A user's key may do everything; a key that nobody gave out, nothing."""

    def serve(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        key, service = _signer(environ)
        caller = _caller(state, key)
        if caller is None and key in state.secrets:
            return app(environ, start_response)
        try:
            if caller is None:
                raise _error("InvalidClientTokenId", 403, f"nobody gave out the access key {key!r}")
            operation, parameters = _read(environ, service)
            answer: _Answer = state.permissions.call(
                caller, service, operation.name, parameters, lambda: _forward(app, environ, operation)
            )
        except _Failed as failed:
            answer = failed.answer
        except ClientError as refused:
            answer = _refusal(environ, service, refused)
        except (NotImplementedError, NoSuchRequest, OperationNotFoundError, UnknownServiceError) as unknown:
            log.exception("cannot decide a request of %s", key)
            state.events.emit("iam", key, f"cannot decide a request: {unknown}")
            answer = _refusal(environ, service, _error("NotImplemented", 501, f"the lab cannot decide: {unknown}"))
        start_response(answer.status, answer.headers)
        return answer.body

    return serve


def _signer(environ: Environ) -> tuple[str, str]:
    """Access key and service, of which an anonymous request has none: only S3 takes such."""
    found = _SCOPE.search(environ.get("HTTP_AUTHORIZATION") or unquote(environ.get("QUERY_STRING", "")))
    if found is None:
        return "", "s3"
    key, service = found.groups()
    return key, _SERVICES.get(service, service)


def _caller(state: AccountState, key: str) -> Caller | None:
    session = state.sessions.get(key)
    return Caller("signer", session.role_arn, session.policy) if session else state.callers.get(key)


# ---- what a request asks for


def _read(environ: Environ, service: str) -> tuple[OperationModel, Mapping[str, Any]]:
    """The operation and its parameters under boto3's names; the body of a REST request is left alone."""
    model = _model(service)
    protocol = model.resolved_protocol
    if protocol.startswith("rest-"):
        return _read_rest(environ, service)
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    environ["wsgi.input"] = io.BytesIO(body)
    if protocol == "json":
        return model.operation_model(environ["HTTP_X_AMZ_TARGET"].rpartition(".")[2]), json.loads(body)
    values = dict(parse_qsl(body.decode(), keep_blank_values=True))
    operation = model.operation_model(values["Action"])
    return operation, PROTOCOL_PARSERS[protocol](operation).parse({"values": values})


@dataclass(frozen=True)
class _Route:
    """An operation of a REST service; `marks`: what a request must have in its query and headers to be one."""

    operation: OperationModel
    path: re.Pattern[str]
    marks: frozenset[str]


def _read_rest(environ: Environ, service: str) -> tuple[OperationModel, Mapping[str, Any]]:
    path, _, raw_query = environ["RAW_URI"].partition("?")
    query = dict(parse_qsl(raw_query, keep_blank_values=True))
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    present = {*query, *(f"{name}={value}" for name, value in query.items()), *headers}
    routes = [
        (route, matched)
        for route in _routes(service, environ["REQUEST_METHOD"])
        if route.marks <= present and (matched := route.path.fullmatch(path))
    ]
    # PutObject's are UploadPart's too, but for its marks.
    most = max((len(route.marks) for route, _ in routes), default=0)
    found = [each for each in routes if len(each[0].marks) == most]
    if len(found) != 1:
        raise NotImplementedError(f"which operation of {service} is {environ['REQUEST_METHOD']} {path}")
    ((route, matched),) = found
    # location in botocore's models -> what the request has there
    sent = {"uri": matched.groupdict(), "querystring": query, "header": headers}
    parameters = {
        name: unquote(value) if location == "uri" else value
        for name, location, sent_name in _members(route.operation)
        if (value := sent.get(location, {}).get(sent_name)) is not None
    }
    return route.operation, parameters


@cache
def _routes(service: str, method: str) -> list[_Route]:
    operations = [_model(service).operation_model(name) for name in _model(service).operation_names]
    return [_route(each) for each in operations if each.http["method"] == method]


def _route(operation: OperationModel) -> _Route:
    path, _, query = operation.http["requestUri"].partition("?")
    # /{Bucket}/{Key+}: a plus stands for slashes as well.
    pattern = re.sub(r"\\\{(\w+)(\\\+)?\\\}", lambda m: f"(?P<{m[1]}>{'.+' if m[2] else '[^/]+'})", re.escape(path))
    required = operation.input_shape.required_members if operation.input_shape else []
    marks = {sent for name, location, sent in _members(operation) if name in required and location != "uri"}
    return _Route(operation, re.compile(pattern), frozenset(marks | {each for each in query.split("&") if each}))


@cache
def _members(operation: OperationModel) -> list[tuple[str, str, str]]:
    """(name, location, name there) of each parameter that is not in the body."""
    members = operation.input_shape.members if operation.input_shape else {}
    placed = [(name, shape.serialization) for name, shape in members.items()]
    return [
        (name, place["location"], place["name"].lower() if place["location"] == "header" else place["name"])
        for name, place in placed
        if place.get("location") in ("uri", "querystring", "header")
    ]


@cache
def _model(service: str) -> Any:
    return get_service_model(service)


# ---- what is answered


@dataclass
class _Answer:
    """`answer["VolumeId"]` reads the body."""

    status: str
    headers: list[tuple[str, str]]
    body: Iterable[bytes]
    operation: OperationModel | None = None

    def parsed(self) -> Any:
        self.body = [b"".join(self.body)]
        assert self.operation is not None  # noqa: S101 - a refusal of ours is never read
        parser: Any = create_parser(self.operation.service_model.resolved_protocol)
        answered = {
            "status_code": int(self.status[:3]),
            "headers": HeadersDict(dict(self.headers)),
            "body": self.body[0],
        }
        return parser.parse(answered, self.operation.output_shape)

    def __getitem__(self, name: str) -> Any:
        return self.parsed()[name]


class _Failed(ClientError):
    """The account's own error: it is passed on as it came."""

    def __init__(self, answer: _Answer, operation: str) -> None:
        super().__init__(answer.parsed(), operation)
        self.answer = answer


def _forward(app: Wsgi, environ: Environ, operation: OperationModel) -> _Answer:
    started: list[tuple[str, list[tuple[str, str]]]] = []
    body = app(environ, lambda status, headers, *_: started.append((status, headers)))
    answer = _Answer(*started[-1], body, operation)
    if int(answer.status[:3]) >= 400:
        raise _Failed(answer, operation.name)
    return answer


def _refusal(environ: Environ, service: str, error: ClientError) -> _Answer:
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    read_to_end(environ)
    xml = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    shapes = {
        "ec2": f"<Response><Errors>{xml}</Errors><RequestID>denied</RequestID></Response>",
        "query": f"<ErrorResponse>{xml}<RequestId>denied</RequestId></ErrorResponse>",
        "rest-xml": xml,
    }
    text = shapes.get(_protocol(service)) or json.dumps({"__type": code, "message": message})
    body = b"" if environ["REQUEST_METHOD"] == "HEAD" else text.encode()
    status = f"{error.response['ResponseMetadata']['HTTPStatusCode']} {code}"
    return _Answer(status, [("Content-Length", str(len(body))), ("x-amzn-ErrorType", code)], [body])


def _protocol(service: str) -> str:
    try:
        return str(_model(service).resolved_protocol)
    except UnknownServiceError:
        return "json"


def read_to_end(environ: Environ) -> None:
    """What was sent must be read: closing early resets the connection, and curl never sees the answer."""
    remaining = int(environ.get("CONTENT_LENGTH") or 0)
    while remaining > 0 and (chunk := environ["wsgi.input"].read(min(remaining, 1 << 20))):
        remaining -= len(chunk)


def _error(code: str, status: int, message: str) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "")
