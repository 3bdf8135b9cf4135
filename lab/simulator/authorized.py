"""Every call of a function or a state goes to the account only if the role that it runs under may make it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.client import BaseClient
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from lab.aws.iam.enforcement import Permissions
from lab.aws.iam.policy import Caller
from lab.aws.patches import Patches
from lab.aws.state import AccountState
from lab.simulator.injection import call_site
from lab.simulator.scheduler import scheduler


def install(patches: Patches, state: AccountState, permissions: Permissions) -> None:
    """Install it before the faults: a call that goes wrong before it reaches the account is not looked at."""
    state.permissions = permissions

    def make(original: Any) -> Any:
        def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
            site = call_site(client, operation)
            if site is None or scheduler.current_context().get("isByNobody"):
                return original(client, operation, parameters)

            def forward() -> Any:
                with by_nobody():
                    return original(client, operation, parameters)

            return permissions.call(_caller(state, site.caller), site.service, operation, parameters, forward)

        return call

    patches.replace(BaseClient, "_make_api_call", make)


@contextmanager
def by_nobody() -> Iterator[None]:
    """What the account or a scenario does in the middle of somebody's call, no role does."""
    context = scheduler.current_context()
    context["isByNobody"] = True
    try:
        yield
    finally:
        del context["isByNobody"]


def _caller(state: AccountState, name: str) -> Caller:
    """`plan_upload` is a function, `CollectVmcore / Find vmcore` a state."""
    machine, _, is_state = name.partition(" / ")
    if is_state:
        machines = stepfunctions_parser_backends[state.account_id][state.region].state_machines
        return Caller(machine, next(str(each.roleArn) for each in machines if each.name == machine))
    return Caller(name, str(state.backend("lambda").get_function(f"Hangdump-{name}").role))
