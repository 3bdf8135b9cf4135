"""Warm processes of Lambda functions, one per concurrent invocation. Owns processes and time-outs, not the API."""

import json
import os
import select
import subprocess
import sys
import threading
import time
import uuid
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.aws.iam.policy import Caller
from lab.aws.state import AccountState
from lambdas.runtime.tags import STACK

RUNNER = Path(__file__).with_name("lambda_runner.py")
# AWS gives the initialization ten seconds of its own; importing on two shared processors can take longer.
INIT_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class FunctionSpec:
    """What CloudFormation deployed, as far as running it needs to know."""

    name: str
    arn: str
    role: str
    handler: str
    timeout_seconds: float
    memory_mib: int
    environment: tuple[tuple[str, str], ...]
    code_sha256: str
    code: bytes


@dataclass(frozen=True)
class Outcome:
    """Result of one invocation: `payload` is JSON text; `is_error` when the function raised or ran out of time."""

    payload: str
    is_error: bool


class LambdaPool:
    """All function processes of an account."""

    def __init__(self, state: AccountState, directory: Path) -> None:
        self._state = state
        self._directory = directory
        self._lock = threading.Lock()
        self._idle: dict[str, list[_Process]] = {}
        self._all: set[_Process] = set()

    def invoke(self, spec: FunctionSpec, event: Any, *, request_id: str) -> Outcome:
        process = self._take(spec)
        outcome = process.invoke(event, request_id)
        with self._lock:
            if process.is_alive():
                self._idle.setdefault(_pool_key(spec), []).append(process)
            else:
                self._all.discard(process)
        return outcome

    def close(self) -> None:
        with self._lock:
            for process in self._all:
                process.kill()
            self._all.clear()
            self._idle.clear()

    def _take(self, spec: FunctionSpec) -> "_Process":
        with self._lock:
            idle = self._idle.get(_pool_key(spec), [])
            while idle:
                process = idle.pop()
                if process.is_alive():
                    return process
        process = _Process(self._state, spec, self._unpacked(spec))
        with self._lock:
            self._all.add(process)
        return process

    def _unpacked(self, spec: FunctionSpec) -> Path:
        """The bundle as Lambda unpacks it, once for each digest."""
        target = self._directory / spec.code_sha256.replace("/", "_")
        with self._lock:
            if not target.exists():
                partial = target.with_suffix(".partial")
                archive = self._directory / f"{target.name}.zip"
                archive.write_bytes(spec.code)
                with zipfile.ZipFile(archive) as bundle:
                    bundle.extractall(partial)
                partial.rename(target)
        return target


def _pool_key(spec: FunctionSpec) -> str:
    return f"{spec.name} {spec.role} {spec.code_sha256} {hash(spec.environment)}"


class _Process:
    """One execution environment: handles one event at a time."""

    def __init__(self, state: AccountState, spec: FunctionSpec, task_root: Path) -> None:
        self._spec = spec
        self._log = state.logs.setdefault(spec.name, [])
        read_fd, write_fd = os.pipe()
        self._responses = os.fdopen(read_fd, "rb", buffering=0)
        self._buffer = b""
        site_packages = next(path for path in sys.path if path.endswith("site-packages"))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(RUNNER), str(write_fd), site_packages],
            env=function_environment(state, spec, task_root),
            cwd=task_root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(write_fd,),
        )
        os.close(write_fd)
        threading.Thread(target=self._collect_log, daemon=True).start()
        self._is_initialized = False

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._responses):
            if stream is not None:
                stream.close()

    def invoke(self, event: Any, request_id: str) -> Outcome:
        if not self._is_initialized:
            failure = self._initialize()
            if failure is not None:
                return failure
        request = {
            "event": event,
            "requestId": request_id,
            "functionArn": self._spec.arn,
            "timeoutSeconds": self._spec.timeout_seconds,
            # Root=1-<epoch in hex>-<96 random bits>, not sampled
            "traceId": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0",
        }
        self._log.append(f"START RequestId: {request_id}")
        assert self._process.stdin is not None  # noqa: S101 - Popen was given a pipe
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._receive(self._spec.timeout_seconds)
        self._log.append(f"END RequestId: {request_id}")
        if answer is None:
            return self._died(request_id)
        if "error" in answer:
            return Outcome(json.dumps(answer["error"]), is_error=True)
        return Outcome(answer["payload"], is_error=False)

    def _initialize(self) -> Outcome | None:
        answer = self._receive(INIT_TIMEOUT_SECONDS)
        if answer is None or not answer["initialized"]:
            error = (answer or {}).get("error") or {
                "errorType": "Runtime.ExitError",
                "errorMessage": "the runtime exited or hung while it initialized",
            }
            self.kill()
            return Outcome(json.dumps(error), is_error=True)
        self._is_initialized = True
        return None

    def _died(self, request_id: str) -> Outcome:
        timed_out = self.is_alive()
        self.kill()
        seconds = f"{self._spec.timeout_seconds:.2f} seconds"
        error = (
            {
                "errorType": "Sandbox.Timedout",
                "errorMessage": f"RequestId: {request_id} Error: Task timed out after {seconds}",
            }
            if timed_out
            else {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: {request_id} Error: Runtime exited"}
        )
        self._log.append(error["errorMessage"])
        return Outcome(json.dumps(error), is_error=True)

    def _receive(self, timeout_seconds: float) -> dict[str, Any] | None:
        """The next line of the runner, or None when it ended or the time is over."""
        deadline = time.monotonic() + timeout_seconds
        while b"\n" not in self._buffer:
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not select.select([self._responses], [], [], remaining)[0]:
                return None
            chunk = self._responses.read(65536)
            if not chunk:
                self._process.wait()
                return None
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _collect_log(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - Popen was given a pipe
        with self._process.stdout as stream:
            for line in stream:
                self._log.append(line.decode(errors="replace").rstrip("\n"))


def function_environment(state: AccountState, spec: FunctionSpec, task_root: Path) -> dict[str, str]:
    """Exactly the template's variables and the runtime's own: nothing of the lab's environment leaks in."""
    secret = "lab-function-secret"  # noqa: S105 - opens nothing but the account on loopback
    key = f"ASIALAB-{spec.name}"
    state.secrets[key] = secret
    state.callers[key] = Caller(spec.name.removeprefix(f"{STACK}-"), spec.role)
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "_HANDLER": spec.handler,
        "LAMBDA_TASK_ROOT": str(task_root),
        "AWS_EXECUTION_ENV": "AWS_Lambda_python",
        "AWS_REGION": state.region,
        "AWS_DEFAULT_REGION": state.region,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_SESSION_TOKEN": "lab-function-session",
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mib),
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{spec.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"lab/[$LATEST]{uuid.uuid4().hex}",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": state.xray_address,
        # Not the runtime's own: it is how the SDK finds the account on loopback.
        "AWS_ENDPOINT_URL": state.endpoint_url,
        **dict(spec.environment),
    }
