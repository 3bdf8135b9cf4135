"""The lab's account without servers, processes and threads: everything in one thread, in the scheduler's time.

Owns what differs from lab/aws/account.py: functions run in this process, from the same source that is bundled; alarms
and schedules fire when a scenario says so.
"""

import importlib
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_aws_sdk
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import boto_client

import lambdas
from lab.aws import json_path
from lab.aws.account import LabAccount
from lab.aws.lambda_pool import FunctionSpec, Outcome
from lab.aws.state import Clock
from lab.machines.machine import Machine
from lab.simulator.scheduler import Activity, Killed, scheduler
from lambdas.runtime import observability

LAMBDAS = Path(lambdas.__file__).parent
# The guest's network has its own name for S3, as in the lab.
UPLOAD_ENDPOINT = "http://10.0.2.100"


class Context:
    """A handler's second argument."""

    def __init__(self, spec: FunctionSpec, request_id: str, deadline: float) -> None:
        self.function_name = spec.name
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = spec.memory_mib
        self.invoked_function_arn = spec.arn
        self.aws_request_id = request_id
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - scheduler.now) * 1000))


class InProcessPool:
    """Stands where LambdaPool does. A function that is out of time is dead: nothing of it reaches AWS any more."""

    def invoke(self, spec: FunctionSpec, event: Any, *, request_id: str) -> Outcome:
        handler = _handler(spec.handler)
        deadline = scheduler.now + spec.timeout_seconds
        ended: list[Outcome] = []

        def run() -> None:
            try:
                result = handler(json.loads(json.dumps(event)), Context(spec, request_id, deadline))
                ended.append(Outcome(json.dumps(result), is_error=False))
            except Died as error:
                ended.append(_failed("Runtime.ExitError", str(error)))
            except Exception as error:
                ended.append(_failed(type(error).__name__, str(error)))

        activity: Activity = scheduler.spawn(run)
        activity.context = {"function": spec.name.removeprefix("Hangdump-")}
        activity.ended.wait(spec.timeout_seconds)
        if not activity.is_over:
            activity.kill()
            return _failed("Sandbox.Timedout", f"Task timed out after {spec.timeout_seconds:.2f} seconds")
        return ended[0] if ended else _failed("Runtime.ExitError", "Runtime exited")

    def close(self) -> None:
        pass


class Died(Killed):
    """The function's process ended in the middle."""


def _failed(error_type: str, message: str) -> Outcome:
    return Outcome(json.dumps({"errorType": error_type, "errorMessage": message, "stackTrace": []}), is_error=True)


@cache
def _handler(path: str) -> Callable[[Any, Any], Any]:
    module, _, name = path.rpartition(".")
    handler: Callable[[Any, Any], Any] = getattr(importlib.import_module(module), name)
    return handler


def import_handlers() -> None:
    """Everything that functions import, before the time is exchanged."""
    for path in sorted(LAMBDAS.rglob("*.py")):
        name = ".".join(path.relative_to(LAMBDAS.parent).with_suffix("").parts)
        importlib.import_module(name.removesuffix(".__init__"))


def _forget_other_accounts() -> None:
    """What handlers keep for the life of their process, clients above all, is of whoever used this process before."""
    for name, module in list(sys.modules.items()):
        if name.startswith("lambdas"):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
    client.cache_clear()


class Metric:
    """What a function measured, with its dimensions."""

    def __init__(self, name: str, value: float) -> None:
        self.name, self.value = name, value
        self.dimensions: dict[str, str] = {}

    def add_dimension(self, name: str, value: str) -> None:
        self.dimensions[name] = value

    def __enter__(self) -> "Metric":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class OneThreadAccount(LabAccount):
    """Enter it inside virtual_time()."""

    def __init__(self) -> None:
        super().__init__(time_scale=1.0)
        self._state.clock = Clock(1.0, settle_seconds=2.0)
        self.metrics: list[Metric] = []
        self._environment = dict(os.environ)

    def __enter__(self) -> Self:
        _forget_other_accounts()
        self._mock.start()
        self._pool = InProcessPool()  # type: ignore[assignment]
        logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
        observability.logger.setLevel(logging.CRITICAL)
        os.environ.update(
            AWS_ACCESS_KEY_ID="ASIALABFUNCTION",
            AWS_SECRET_ACCESS_KEY="lab-function-secret",  # noqa: S106 - opens nothing
            AWS_DEFAULT_REGION=self.region,
            AWS_REGION=self.region,
        )
        os.environ.pop("AWS_ENDPOINT_URL", None)
        self._state.secrets["ASIALABFUNCTION"] = "lab-function-secret"
        self._install()
        self._install_speed()
        self._patches.replace(observability, "single_metric", lambda _original: self._measure)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What of it still waits, in the time of the next account, ends without a word.
        self._state.closing.set()
        self._patches.undo()
        self._mock.stop()
        _forget_other_accounts()
        os.environ.clear()
        os.environ.update(self._environment)

    def _context(self) -> dict[str, Any]:
        return scheduler.current_context()

    def deploy(self, template: dict[str, Any], assembly_dir: Path, *, stack_name: str = "Hangdump") -> dict[str, str]:
        outputs = super().deploy(template, assembly_dir, stack_name=stack_name)
        os.environ.update(self._function_environment())
        return outputs

    def _function_environment(self) -> Mapping[str, str]:
        """All functions share this process's environment: possible as long as no two mean different things."""
        together: dict[str, str] = {}
        for function in self._state.backend("lambda").list_functions():
            for name, value in function.environment_vars.items():
                if together.setdefault(name, str(value)) != str(value):
                    raise AssertionError(f"{name} is {value!r} for {function.function_name}, {together[name]!r} before")
        return together

    def add_instance(self, machine: Machine, **properties: Any) -> str:
        instance_id = super().add_instance(machine, **properties)
        self.check_status_now(instance_id)
        return instance_id

    @property
    def state(self) -> Any:
        return self._state

    def client(self, service: str, config: Any = None) -> Any:
        return client(service, self.region)

    def _measure(self, *, name: str, value: float, **_: Any) -> Metric:
        metric = Metric(name, value)
        self.metrics.append(metric)
        return metric

    def _install_speed(self) -> None:
        """What the interpreter does again at each start or call, without which it is a hundred times slower."""
        patches = self._patches
        patches.replace(AmazonStateLanguageParser, "parse", lambda original: staticmethod(cache(original)))
        patches.replace(json_path, "parse", cache)

        def cached(_original: Any) -> Any:
            return lambda region, service, state_credentials=None: client(service, region)

        for module in (boto_client, lambda_eval_utils, state_task_service_aws_sdk):
            patches.replace(module, "boto_client_for", cached)


@cache
def client(service: str, region: str) -> Any:
    """One client for a service: making one costs more than a hundred calls."""
    return boto3.client(service, region_name=region)  # type: ignore[call-overload]
