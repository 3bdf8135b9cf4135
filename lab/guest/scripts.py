"""Scripts inside the guest: start, follow to the end, kill at the deadline. Owns no connection."""

import base64
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab.guest.agent import AgentError, AgentSilent, GuestAgent
from lab.guest.deadline import Deadline, wait_until
from lab.machines.machine import CannotExecute, Completed, MachineUnreachable

_RUN_SCRIPT = Path(__file__).with_name("run_script.sh").read_text()
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# A guest that rebuilds an initrd on two emulated processors still answers within seconds.
SILENCE_SECONDS = 45.0
_FIRST_ANSWER_SECONDS = 30.0


class ScriptRunner:
    """`reset_count` tells how often the machine has been reset: a script does not survive one."""

    def __init__(self, agent: GuestAgent, reset_count: Callable[[], int]) -> None:
        self._agent = agent
        self._reset_count = reset_count

    def run(self, script: str, environment: Mapping[str, str], timeout_seconds: float) -> Completed:
        """Raises MachineUnreachable, or TimeoutError after killing a script that outlives its time."""
        deadline = Deadline(timeout_seconds)
        resets = self._reset_count()
        pid = self.spawn(script, environment, min(timeout_seconds, _FIRST_ANSWER_SECONDS))
        pause_seconds = 0.05
        while not (status := self._status(pid, resets))["exited"]:
            if deadline.is_over:
                self._kill(pid, resets)
                raise TimeoutError(f"script still running after {timeout_seconds:.0f} s, killed")
            time.sleep(min(pause_seconds, deadline.left_seconds))
            pause_seconds = min(pause_seconds * 1.5, 0.5)
        return _completed(status)

    def spawn(self, script: str, environment: Mapping[str, str], timeout_seconds: float) -> int:
        """Starts without following; returns the process id, which leads a process group."""
        try:
            # Only to a guest that is known to live: a request left in a dead one's queue could run after its reset.
            self._agent.ping(timeout_seconds)
            started = self._agent.request(
                "guest-exec",
                timeout_seconds=timeout_seconds,
                path="/usr/bin/setsid",
                arg=["/bin/sh", "-c", _RUN_SCRIPT],
                env=[f"PATH={_PATH}", *(f"{name}={value}" for name, value in environment.items())],
                input_data=base64.b64encode(script.encode()).decode(),
                capture_output=True,
            )
        except AgentSilent as error:
            raise MachineUnreachable(str(error)) from error
        except AgentError as error:
            raise CannotExecute(str(error)) from error
        return int(started["pid"])

    def _status(self, pid: int, resets: int) -> dict[str, Any]:
        silence = Deadline(SILENCE_SECONDS)
        while True:
            if self._reset_count() != resets:
                raise MachineUnreachable("the machine was reset while the script ran")
            try:
                status: dict[str, Any] = self._agent.request("guest-exec-status", timeout_seconds=5, pid=pid)
            except AgentSilent as error:
                if silence.is_over:
                    raise MachineUnreachable(f"silent for {SILENCE_SECONDS:.0f} s while the script ran") from error
            except AgentError as error:
                raise MachineUnreachable(f"the guest lost the script, it has restarted: {error}") from error
            else:
                return status

    def _kill(self, pid: int, resets: int) -> None:
        """With all its children. Not the shell's own kill: dash's takes no `--`."""
        try:
            self._agent.request("guest-exec", timeout_seconds=5, path="/bin/kill", arg=["-KILL", "--", f"-{pid}"])
        except (AgentSilent, AgentError) as error:
            raise MachineUnreachable(f"cannot kill the script: {error}") from error
        wait_until(lambda: self._status(pid, resets)["exited"], what="the killed script's end", timeout_seconds=30)


def _completed(status: Mapping[str, Any]) -> Completed:
    def text(name: str) -> str:
        return base64.b64decode(status.get(name, "")).decode(errors="replace")

    # As a shell reports it: 128 + signal.
    exit_code = status["exitcode"] if "exitcode" in status else 128 + status["signal"]
    return Completed(exit_code=exit_code, stdout=text("out-data"), stderr=text("err-data"))
