"""Comes between whoever calls AWS and the account, and makes one call, or all of its kind, go wrong."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError, ReadTimeoutError

from lab.aws.patches import Patches
from lab.simulator.one_thread_account import Died
from lab.simulator.scheduler import scheduler

_SERVERS_FAULT = re.compile("Internal|Unavailable|Service(Exception|Fault)")
# Beyond every time-out of a state and of a function.
FOR_EVER = 7200.0


@dataclass(frozen=True, order=True)
class Site:
    """Who calls what: `CollectVmcore / Find vmcore` or `plan_upload`, and `ssm:SendCommand`."""

    caller: str
    call: str

    @property
    def service(self) -> str:
        return self.call.split(":")[0]

    @property
    def operation(self) -> str:
        return self.call.split(":")[1]

    @property
    def is_state(self) -> bool:
        return " / " in self.caller


@dataclass(frozen=True, order=True)
class Fault:
    """`how`: refused (an error before the call), lost (done, the answer is not heard), slow (done, but the answer comes
    after every time-out), dies (the function's process ends when the call is done).

    From the `nth` call of the site on, for `times` calls.
    """

    site: Site
    how: str
    code: str = ""
    times: int = 1
    nth: int = 1

    def __str__(self) -> str:
        often = {1: "", ALWAYS: ", always"}.get(self.times, f", {self.times} times")
        nth = "" if self.nth == 1 else f" (call {self.nth})"
        return f"{self.site.caller}, {self.site.call}{nth}: {self.how}{' ' + self.code if self.code else ''}{often}"


ALWAYS = 10**6


class SdkClientException(ClientError):
    """What the SDK for Java calls an answer that did not come; Step Functions gives it under this name."""


class Injection:
    """Install it once in an account; `faults` is what goes wrong from now on."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.seen: dict[Site, int] = {}
        self.hit: set[Fault] = set()
        # Called with a place where nothing has been called before in this run, before the call.
        self.at_new_site: Callable[[Site], None] = lambda _: None

    def begin(self, faults: list[Fault]) -> None:
        self.faults, self.seen, self.hit = faults, {}, set()
        self.at_new_site = lambda _: None

    def install(self, patches: Patches) -> None:
        injection = self

        def make_call(original: Any) -> Any:
            def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
                scheduler.check_alive()
                site = call_site(client, operation)
                if site is None:
                    return original(client, operation, parameters)
                return injection.answer(site, client, lambda: original(client, operation, parameters))

            return call

        patches.replace(BaseClient, "_make_api_call", make_call)

    def answer(self, site: Site, client: BaseClient, forward: Any) -> Any:
        if site not in self.seen:
            self.seen[site] = 0
            self.at_new_site(site)
        count = self.seen[site] = self.seen[site] + 1
        for fault in self.faults:
            if fault.site == site and fault.nth <= count < fault.nth + fault.times:
                self.hit.add(fault)
                return _go_wrong(fault, client, forward)
        return forward()


def _go_wrong(fault: Fault, client: BaseClient, forward: Any) -> Any:
    if fault.how == "refused":
        raise _error(client, fault.site, fault.code)
    answer = forward()
    if fault.how == "dies":
        raise Died(fault.site.call)
    if fault.how == "slow":
        scheduler.sleep(FOR_EVER)
        return answer
    if fault.site.is_state:
        raise SdkClientException(_response("SdkClientException"), fault.site.operation)
    raise ReadTimeoutError(endpoint_url=f"https://{fault.site.service}")


def _error(client: BaseClient, site: Site, code: str) -> ClientError:
    modelled: Any = client.exceptions.from_code(code)
    kind: type[ClientError] = modelled or ClientError
    return kind(_response(code), site.operation)


def _response(code: str) -> Any:
    return {
        "Error": {"Code": code, "Message": f"{code}, as injected"},
        "ResponseMetadata": {"HTTPStatusCode": 500 if _SERVERS_FAULT.search(code) else 400, "RequestId": "injected"},
        "CancellationReasons": [],
    }


def call_site(client: BaseClient, operation: str) -> Site | None:
    """None: neither a function nor a state calls, but the lab itself."""
    context = scheduler.current_context()
    caller = context.get("state") or context.get("function")
    return Site(caller, f"{client.meta.service_model.service_name}:{operation}") if caller else None
