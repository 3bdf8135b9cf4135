"""QemuGuest: the lab's Machine on a real kernel. Owns the guest's files and its life cycle."""

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.guest.agent import AgentError, AgentSilent, GuestAgent
from lab.guest.deadline import wait_until
from lab.guest.disk_server import DiskServer
from lab.guest.hardware import Hardware, Wiring, command_line
from lab.guest.imds import Identity, MetadataService
from lab.guest.monitor import MonitorError
from lab.guest.power import PoweredOn
from lab.guest.scripts import ScriptRunner
from lab.guest.wire import Wire
from lab.machines.machine import CannotExecute, Completed, Counters, MachineUnreachable

# Boots take 20 s on an idle machine of two cores; other guests may be running.
BOOT_SECONDS = 240.0
_SHUTDOWN_SECONDS = 90.0
_STALL_SECONDS = 2.0


class QemuGuest:
    """A Debian host with `disk` (a qcow2) as the backing file of its root. The methods are those of
    lab.machines.machine.Machine.

    `workdir` holds the files that survive a power-off: the root overlay, `console.log`, `qemu.log`. `volumes` holds the
    EBS volumes; guests of one emulated account can share that directory. The guest is off until `start`. As a context
    manager, it cuts the power and removes the sockets on exit.
    """

    def __init__(
        self,
        workdir: Path,
        *,
        disk: Path,
        s3_port: int,
        hardware: Hardware | None = None,
        identity: Identity | None = None,
        volumes: Path | None = None,
    ) -> None:
        self.hardware = hardware or Hardware()
        self.workdir = workdir
        workdir.mkdir(parents=True, exist_ok=True)
        self.volumes = volumes or workdir / "volumes"
        self.volumes.mkdir(parents=True, exist_ok=True)
        own = Identity(instance_type=self.hardware.product, architecture=self.hardware.architecture)
        self.metadata = MetadataService(identity or own)
        # Not in workdir: the path of a Unix socket has 107 characters at most.
        self._sockets = Path(tempfile.mkdtemp(prefix="hangdump-"))
        self._wiring = Wiring(
            root_disk=workdir / "root.qcow2",
            serial_log=workdir / "console.log",
            monitor_socket=self._sockets / "monitor",
            agent_socket=self._sockets / "agent",
            wire_socket=self._sockets / "wire",
            checker_socket=self._sockets / "checker",
            s3_port=s3_port,
            metadata_port=self.metadata.port,
        )
        self._wiring.serial_log.touch()
        make_overlay(self._wiring.root_disk, backing=disk)
        self._agent = GuestAgent(self._wiring.agent_socket)
        self._scripts = ScriptRunner(self._agent, lambda: self._power.reset_count if self._power else 0)
        self._wire = Wire(ours=self._wiring.checker_socket, qemus=self._wiring.wire_socket)
        self._is_link_up = True
        self._power: PoweredOn | None = None
        self._power_lock = threading.RLock()
        self._attached: dict[str, Path] = {}
        self._disk_servers: dict[str, DiskServer] = {}

    # ---- power

    def start(self, *, incoming: str = "") -> None:
        """`incoming` is a shell command whose output is a saved VM state (see saved_state.py)."""
        with self._power_lock:
            if self.is_running():
                return
            self._is_link_up = True
            arguments = command_line(self.hardware, self._wiring, self._attached, incoming=incoming)
            self._power = PoweredOn(
                arguments, monitor_socket=self._wiring.monitor_socket, log=self.workdir / "qemu.log"
            )
            if incoming:
                self._power.resume_incoming(_SHUTDOWN_SECONDS)

    def stop(self) -> None:
        with self._power_lock:
            if not self.is_running():
                return
            power = self._powered_on()
            if not (self._ask_for("poweroff") and power.ended_within(_SHUTDOWN_SECONDS)):
                power.cut()
            self._power_ended()

    def reboot(self) -> None:
        """Returns when the old system is gone, not when the new one is up (`wait_until_answers`)."""
        with self._power_lock:
            power = self._powered_on()
            mark = power.monitor.event_count
            is_asked = self._ask_for("reboot")
            if not is_asked or not power.monitor.wait_for_event("RESET", since=mark, timeout_seconds=_SHUTDOWN_SECONDS):
                self.reset()

    def reset(self) -> None:
        """The reset button."""
        self._powered_on().monitor.execute("system_reset")

    def is_running(self) -> bool:
        return self._power is not None and self._power.is_alive

    @property
    def process_id(self) -> int:
        """QEMU's."""
        return self._powered_on().process.pid

    def inject_nmi(self) -> None:
        self._powered_on().monitor.execute("inject-nmi")

    def close(self) -> None:
        """Cut the power and remove the sockets; the files in workdir stay."""
        with self._power_lock:
            # Before QEMU: it does not exit while a stalled disk server holds unfinished I/O.
            for server in self._disk_servers.values():
                server.close()
            if self._power is not None:
                self._power.cut()
            self._power_ended()
            self.metadata.close()
            shutil.rmtree(self._sockets, ignore_errors=True)

    # ---- from outside

    def answers_arp(self, timeout_seconds: float) -> bool:
        return self.is_running() and self._wire.answers_arp(timeout_seconds)

    def counters(self) -> Counters | None:
        try:
            return self._powered_on().counters()
        except (MachineUnreachable, MonitorError, OSError):
            return None

    def stalled_volumes(self) -> list[str]:
        return [volume_id for volume_id, server in self._disk_servers.items() if not server.answers(_STALL_SECONDS)]

    def set_link(self, *, is_up: bool) -> None:
        """Plug or unplug the network cable, until the next start. Unplugged, `answers` and `run` fail as for a real SSM
        agent; `spawn` still works.
        """
        self._powered_on().set_link(is_up=is_up)
        self._is_link_up = is_up

    def stop_agent(self) -> None:
        """Freeze the agent (SIGSTOP): its process stays but executes nothing."""
        self._signal_agent("STOP")

    def kill_agent(self) -> None:
        """Kill the agent. It stays dead until the next boot."""
        self._signal_agent("KILL")

    # ---- agent

    def answers(self, timeout_seconds: float) -> bool:
        """Whether the agent answers. Like the SSM agent it writes a log each time, so a frozen disk silences it."""
        if not self._is_link_up:
            return False
        try:
            self._agent.write_log(timeout_seconds)
        except AgentSilent:
            return False
        except AgentError:
            return True  # the disk is full or not writable yet; the SSM agent runs on without a log
        return True

    def wait_until_answers(self, timeout_seconds: float = BOOT_SECONDS) -> None:
        """Raises TimeoutError, or MachineUnreachable if the guest powers off; both show the console's end."""

        def is_up() -> bool:
            if not self.is_running():
                raise MachineUnreachable(f"powered off while booting:\n{self.console()[-2000:]}")
            return self.answers(3)

        try:
            wait_until(is_up, what="guest agent", timeout_seconds=timeout_seconds, interval_seconds=0.3)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; the console ends with:\n{self.console()[-2000:]}") from error

    def run(self, script: str, *, environment: Mapping[str, str], timeout_seconds: float) -> Completed:
        if not self.is_running() or not self._is_link_up:
            raise MachineUnreachable("powered off, or its network is down")
        return self._scripts.run(script, environment, timeout_seconds)

    def spawn(self, script: str, *, environment: Mapping[str, str] | None = None) -> None:
        """Start a script and leave it alone."""
        self._scripts.spawn(script, environment or {}, 30)

    def boot_id(self) -> str:
        """Changes with every boot."""
        script = "#!/bin/sh\ncat /proc/sys/kernel/random/boot_id\n"
        return self.run(script, environment={}, timeout_seconds=30).stdout.strip()

    def console(self) -> str:
        return self._wiring.serial_log.read_text(errors="replace")

    def identify(self, *, instance_id: str, availability_zone: str) -> None:
        """Set the instance ID and zone that the metadata service reports; the emulated account assigns them."""
        self.metadata.identity = replace(
            self.metadata.identity, instance_id=instance_id, availability_zone=availability_zone
        )

    def set_clock(self, now: datetime) -> None:
        """Set the guest's clock, for example after it resumed from a saved state."""
        self._agent.request("guest-set-time", timeout_seconds=30, time=int(now.timestamp() * 1e9))

    def migrate_to(self, command: str, *, timeout_seconds: float) -> None:
        """Pause, and pipe the machine's state into a shell command; the guest does not run again."""
        self._powered_on().migrate_to(command, timeout_seconds)

    # ---- disks

    def attach_disk(self, volume_id: str, size_gib: int, device: str, *, snapshot_id: str = "") -> None:
        """`device` (/dev/sdf) appears only in the error message: the guest's kernel names NVMe disks itself."""
        path = self.volumes / f"{volume_id}.qcow2"
        with self._power_lock:
            if volume_id in self._attached:
                raise ValueError(f"{volume_id} is already attached; cannot attach it as {device}")
            if snapshot_id and not path.exists():
                make_overlay(path, backing=self._snapshot(snapshot_id))
            elif not path.exists():
                _qemu_img("create", "-f", "qcow2", str(path), f"{size_gib}G")
            if volume_id in self._disk_servers:
                path = self._disk_servers[volume_id].socket_path
            if self.is_running():
                self._powered_on().plug(self.hardware, volume_id, path)
            self._attached[volume_id] = path

    def detach_disk(self, volume_id: str) -> None:
        """Raises TimeoutError when the guest does not let it go; the disk is still attached then."""
        with self._power_lock:
            if volume_id not in self._attached:
                raise ValueError(f"{volume_id} is not attached")
            if self.is_running():
                self._powered_on().unplug(volume_id)
            del self._attached[volume_id]

    def copy_disk(self, volume_id: str, snapshot_id: str) -> None:
        """Copy a disk. A running QEMU must copy an attached one itself, because it holds qcow2 metadata in memory."""
        source, target = self.volumes / f"{volume_id}.qcow2", self._snapshot(snapshot_id)
        with self._power_lock:
            if self.is_running() and volume_id in self._attached:
                self._powered_on().copy_disk(volume_id, target)
            else:
                _qemu_img("convert", "-O", "qcow2", str(source), str(target))

    def serve_disk(self, volume_id: str, *, size_gib: int) -> DiskServer:
        """Start a DiskServer for a disk that is not attached; its next attachment uses it, so a test can stall it."""
        path = self.volumes / f"{volume_id}.qcow2"
        if not path.exists():
            _qemu_img("create", "-f", "qcow2", str(path), f"{size_gib}G")
        server = DiskServer(path, self._sockets / f"{volume_id}.nbd", log=self.workdir / "qemu.log")
        self._disk_servers[volume_id] = server
        return server

    def limit_writes(self, volume_id: str, bytes_per_second: int) -> None:
        """Throttle an attached disk until the power goes off, so that a test can act in the middle of a dump."""
        self._powered_on().limit_writes(volume_id, bytes_per_second)

    def _snapshot(self, snapshot_id: str) -> Path:
        return self.volumes / f"{snapshot_id}.qcow2"

    @property
    def root_disk(self) -> Path:
        return self._wiring.root_disk

    @property
    def attached_volumes(self) -> tuple[str, ...]:
        return tuple(self._attached)

    # ---- internals

    def _powered_on(self) -> PoweredOn:
        if self._power is None or not self._power.is_alive:
            raise MachineUnreachable("powered off")
        return self._power

    def _power_ended(self) -> None:
        self._power = None
        self._agent.close()

    def _signal_agent(self, name: str) -> None:
        # systemd restarts a killed unit unless it is masked.
        self.spawn(f"#!/bin/sh\nsystemctl mask --runtime qemu-guest-agent\nexec pkill --signal {name} -x qemu-ga\n")
        wait_until(lambda: not self.answers(3), what="the agent is silent", timeout_seconds=60)

    def _ask_for(self, verb: str) -> bool:
        """Runs `systemctl reboot` or `poweroff`, and returns whether the guest accepted it. The agent's own command,
        guest-shutdown, needs logind and D-Bus.
        """
        try:
            self.spawn(f"#!/bin/sh\nexec systemctl --no-block {verb}\n")
        except (MachineUnreachable, CannotExecute):
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def make_overlay(path: Path, *, backing: Path) -> None:
    """A qcow2 that keeps only its differences from `backing`; an existing one is kept as it is."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _qemu_img("create", "-f", "qcow2", "-b", str(backing.resolve()), "-F", "qcow2", str(path))


def _qemu_img(*arguments: str) -> None:
    subprocess.run(["qemu-img", arguments[0], "-q", *arguments[1:]], check=True, capture_output=True)
