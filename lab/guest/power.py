"""One run of the QEMU process, from power-on to its end: the process, its monitor, its disks while it lives."""

import contextlib
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from analysis.command_line import UserError
from lab.guest.deadline import wait_until
from lab.guest.hardware import INTERFACE, Hardware, disk_device, disk_device_options, disk_node, disk_options
from lab.guest.monitor import Monitor, MonitorError
from lab.machines.machine import Counters

# The parent-death signal is sent when the *thread* that forked ends. The lab's API calls come from
# short-lived threads, so one thread, which lives as long as this Python, starts every guest.
_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="qemu-spawner")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_UNPLUG_SECONDS = 30.0
_COPY_SECONDS = 120.0


class QemuFailed(UserError):
    """QEMU did not start, with what it said."""


def start_process(arguments: list[str], *, log: Path) -> subprocess.Popen[bytes]:
    """A process that dies with this Python if its `arguments` begin with setpriv --pdeathsig."""
    with log.open("ab") as output:
        process: subprocess.Popen[bytes] = _SPAWNER.submit(
            subprocess.Popen, arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ).result()
    return process


class PoweredOn:
    """A running QEMU."""

    def __init__(self, arguments: list[str], *, monitor_socket: Path, log: Path) -> None:
        self.process = start_process(arguments, log=log)
        try:
            self.monitor = Monitor(monitor_socket)
        except (TimeoutError, MonitorError) as error:
            self.process.kill()
            self.process.wait()
            raise QemuFailed(f"{error}; QEMU said: {log.read_text()[-2000:]}") from error

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    @property
    def reset_count(self) -> int:
        return len(self.monitor.events_since(0, "RESET"))

    def ended_within(self, timeout_seconds: float) -> bool:
        try:
            self.process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def cut(self) -> None:
        """Power off at once, for the guest. QEMU itself ends in order: it holds metadata of the disks in memory."""
        with contextlib.suppress(MonitorError):  # it may end before it answers, or has ended
            self.monitor.execute("quit", timeout_seconds=5)
        if not self.ended_within(10):
            self.process.kill()
            self.process.wait()
        self.monitor.close()

    def migrate_to(self, command: str, timeout_seconds: float) -> None:
        """Raises MonitorError when the stream was not written whole, TimeoutError when not in time."""
        self.monitor.execute("stop")
        # Not throttled: the default of 128 MiB/s is meant for networks.
        self.monitor.execute("migrate-set-parameters", max_bandwidth=1 << 40)
        self.monitor.execute("migrate", uri=f"exec:{command}")

        def is_written() -> bool:
            status = self.monitor.execute("query-migrate")
            if status.get("status") in {"failed", "cancelled"}:
                raise MonitorError(f"saving the machine's state failed: {status}")
            return bool(status.get("status") == "completed")

        wait_until(is_written, what="machine's state written", timeout_seconds=timeout_seconds, interval_seconds=0.1)

    def resume_incoming(self, timeout_seconds: float) -> None:
        """Run on once the state is in: it was paused when it was saved, and stays so."""

        def is_in() -> bool:
            return bool(self.monitor.execute("query-status")["status"] != "inmigrate")

        wait_until(is_in, what="machine's state read", timeout_seconds=timeout_seconds, interval_seconds=0.05)
        self.monitor.execute("cont")

    def plug(self, hardware: Hardware, volume_id: str, path: Path) -> None:
        self.monitor.execute("blockdev-add", **_unhyphened(disk_options(volume_id, path)))
        try:
            self.monitor.execute("device_add", **disk_device_options(hardware, volume_id))
        except MonitorError:
            self.monitor.execute("blockdev-del", node_name=disk_node(volume_id))
            raise

    def set_link(self, *, is_up: bool) -> None:
        """The cable of the instance's network interface; the guest's driver hears of it."""
        self.monitor.execute("set_link", name=INTERFACE, up=is_up)

    def counters(self) -> Counters:
        """Raises MonitorError. Of the network QEMU counts nothing."""
        threads = [each["thread-id"] for each in self.monitor.execute("query-cpus-fast")]
        disks = [each["stats"] for each in self.monitor.execute("query-blockstats")]
        return Counters(
            cpu_seconds=sum(self._cpu_seconds(thread) for thread in threads),
            processors=len(threads),
            reads=sum(disk["rd_operations"] for disk in disks),
            writes=sum(disk["wr_operations"] for disk in disks),
        )

    def _cpu_seconds(self, thread_id: int) -> float:
        """Of one virtual processor: under TCG its thread sleeps when the guest's processor halts."""
        # 4711 (CPU 0/TCG) R 4709 4709 … with utime and stime as the 14th and 15th field; the name may hold spaces
        stat = Path(f"/proc/{self.process.pid}/task/{thread_id}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    def limit_writes(self, volume_id: str, bytes_per_second: int) -> None:
        """Of a disk, until the power goes; 0: no limit."""
        unlimited = dict.fromkeys(("bps", "bps_rd", "iops", "iops_rd", "iops_wr"), 0)
        self.monitor.execute(
            "block_set_io_throttle", id=disk_device(volume_id), **{**unlimited, "bps_wr": bytes_per_second}
        )

    def copy_disk(self, volume_id: str, target: Path) -> None:
        """As it is now, while the guest goes on. Raises MonitorError, or TimeoutError when it takes too long."""
        job, mark = f"copy-{target.stem}", self.monitor.event_count
        node = disk_node(volume_id)
        self.monitor.execute("drive-backup", job_id=job, device=node, target=str(target), format="qcow2", sync="full")
        ended = self.monitor.wait_for_event(
            "BLOCK_JOB_COMPLETED",
            since=mark,
            timeout_seconds=_COPY_SECONDS,
            matches=lambda event: event["data"].get("device") == job,
        )
        if ended is None:
            raise TimeoutError(f"{volume_id}: not copied within {_COPY_SECONDS:.0f} s")
        if "error" in ended["data"]:
            raise MonitorError(f"{volume_id}: {ended['data']['error']}")

    def unplug(self, volume_id: str) -> None:
        """Needs the guest's co-operation, as a real detach does: raises TimeoutError when it gives none."""
        device = disk_device(volume_id)
        mark = self.monitor.event_count
        self.monitor.execute("device_del", id=device)
        gone = self.monitor.wait_for_event(
            "DEVICE_DELETED",
            since=mark,
            timeout_seconds=_UNPLUG_SECONDS,
            matches=lambda event: event["data"].get("device") == device,
        )
        if gone is None:
            raise TimeoutError(f"{volume_id}: the guest did not release the disk within {_UNPLUG_SECONDS:.0f} s")
        self.monitor.execute("blockdev-del", node_name=disk_node(volume_id))


def _unhyphened(options: dict[str, object]) -> dict[str, Any]:
    return {name.replace("-", "_"): value for name, value in options.items()}
