"""What the emulated services share: who the account is, its computers, its clock, its threads. Owns no service."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from moto.awslambda_simple.models import lambda_simple_backends
from moto.backends import get_backend

from lab.aws.event_log import EventStream
from lab.machines.machine import Machine

if TYPE_CHECKING:
    from lab.aws.iam.policy import Caller
    from lab.aws.presigned import Session

# moto's account for credentials that it does not know.
ACCOUNT_ID = "123456789012"

log = logging.getLogger("lab.aws")


@dataclass
class Computer:
    """An instance and the machine behind it, with what AWS has observed of it so far."""

    instance_id: str
    machine: Machine
    in_ssm: bool = True
    agent_version: str = "3.3.3270.0"
    platform_type: str = "Linux"
    platform_name: str = "Debian GNU/Linux"
    platform_version: str = "12"
    # ok | impaired | initializing; what DescribeInstanceStatus says until the next check.
    instance_check: str = "initializing"
    # Set by tests: the lab has no host that could fail. A volume that stalls makes its check impaired as well.
    system_check: str = "ok"
    attached_ebs_check: str = "ok"
    has_stalled_volume: bool = False
    # An error code that StartInstances answers with; set by tests.
    refuses_to_start: str = ""
    # Its volumes go with it, at once.
    is_ending: bool = False
    impaired_since: datetime | None = None
    is_agent_silent: bool = False
    last_ping: datetime | None = None
    # Of all State Manager associations together; "" before the first has run.
    association_status: str = ""
    posted_console: str = ""
    # By so much stretch_past has moved its boot back; the console says when it was.
    boot_moved_back: timedelta = timedelta()
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def attached_ebs_status(self) -> str:
        return "impaired" if self.has_stalled_volume else self.attached_ebs_check


@dataclass(frozen=True)
class Clock:
    """Shrinks AWS's slow periods: a 60 s alarm period takes 60 * `scale` seconds here. Time-outs are never shrunk."""

    scale: float = 0.1
    # How long a volume is "creating", an attachment "attaching" and a command invocation unknown.
    settle_seconds: float = 0.4

    def scaled(self, seconds: float) -> float:
        return seconds * self.scale


class CallGate(Protocol):
    """Forwards a call if its caller may make it, and raises ClientError otherwise (iam/enforcement.py)."""

    def call(
        self,
        caller: "Caller",
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        forward: Callable[[], Any],
    ) -> Any: ...

    def roles(self) -> Iterator[tuple[str, str, list[dict[str, Any]]]]: ...

    def denied_to_publish(self, principal: str, source_arn: str, topic_arn: str) -> str | None: ...


class AccountState:
    """One emulated account in one Region."""

    def __init__(self, *, region: str, clock: Clock) -> None:
        self.account_id = ACCOUNT_ID
        self.region = region
        self.clock = clock
        # AWS delivers an asynchronous event at least once; tests make it twice.
        self.alarm_deliveries = 1
        self.events = EventStream()
        self.computers: dict[str, Computer] = {}
        # Volume -> the machine that has its disk, also after it was detached.
        self.disk_owners: dict[str, Machine] = {}
        # API action -> the error code that it answers with; and whether snapshots go to `error`. Set by tests.
        self.refusals: dict[str, str] = {}
        # Service Quotas: code -> a value other than AWS's default.
        self.quotas: dict[str, float] = {}
        self.snapshots_break = False
        self.endpoint_url = ""
        self.xray_address = ""
        self.logs: dict[str, list[str]] = {}
        # Access key -> secret, of every key this account gave out; presigned requests are verified with it.
        self.secrets: dict[str, str] = {}
        # Access key -> the session or the function that it belongs to; a key without one is a user's.
        self.sessions: dict[str, Session] = {}
        self.callers: dict[str, Caller] = {}
        # Set by the account as it starts.
        self.permissions: CallGate
        # A machine that fell silent is looked at more often than a minute would allow, so that its return is seen at
        # once: a real agent reports in as soon as it starts.
        self.silent_check_seconds = 2.0
        self.closing = threading.Event()
        self._threads: list[threading.Thread] = []

    def backend(self, service: str) -> Any:
        """moto's own object for a service; Lambda's is the one that runs no containers."""
        if service == "lambda":
            return lambda_simple_backends[self.account_id][self.region]
        return get_backend(service)[self.account_id][self.region]

    def spawn(self, name: str, function: Callable[..., None], *args: Any) -> None:
        """Run in the background until done; what it raises is logged and shown in the timeline, never lost."""

        def run() -> None:
            try:
                function(*args)
            except Exception as error:
                if not self.closing.is_set():
                    log.exception("%s failed", name)
                    self.events.emit("lab", name, f"failed: {error!r}")

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads = [*(t for t in self._threads if t.is_alive()), thread]
        thread.start()

    def pause(self, seconds: float) -> bool:
        """Sleep unless the account closes; False when it did."""
        return not self.closing.wait(seconds)

    def join(self, timeout_seconds: float) -> list[str]:
        """Wait for the background to end; the names of those that did not."""
        deadline = time.monotonic() + timeout_seconds
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        return [thread.name for thread in self._threads if thread.is_alive()]


def utc_now() -> datetime:
    return datetime.now(UTC)
