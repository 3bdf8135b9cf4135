"""The script with which the crash kernel waits for its parked dump volume, on a clock that only its sleeps move."""

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ssm_documents.fake_root import FakeRoot

_SECONDS = 20
# Each `sleep` moves the clock. One of an hour is the dead man's switch, whose time does not come.
_SLEEP = """#!/bin/sh
[ "$1" -lt "$SWITCH_FROM" ] || exec /bin/sleep 3600
now="$(cut -d . -f 1 "$ROOT/proc/uptime")"
echo "$((now + $1)).00 1.00" >"$ROOT/proc/uptime"
"""
# Seconds of the clock from which it is attached; what mount says then.
_MOUNT = """#!/bin/sh
echo "mount $*" >>"$ROOT/mounts"
[ -z "$MOUNT_HANGS" ] || exec /bin/sleep 3600
now="$(cut -d . -f 1 "$ROOT/proc/uptime")"
[ "$now" -ge "$ATTACHED_AT" ] || exit 0
if [ -n "$DAMAGED" ]; then
  echo "mount: $1: wrong fs type, bad option, bad superblock on /dev/nvme1n1p1." >&2
  echo "       dmesg(1) may have more information after failed mount system call." >&2
  exit 32
fi
touch "$ROOT/mounted"
"""
_MOUNTPOINT = '#!/bin/sh\n[ "$*" = "-q /var/crash" ] && [ -e "$ROOT/mounted" ]\n'
_SYNC = '#!/bin/sh\nexec /bin/sleep "$SYNC_SECONDS"\n'


@dataclass
class CrashKernel:
    """Its /proc, /sys and /dev in a directory; the script starts 9 s after its boot and waits 100 s at most."""

    root: Path
    script: Path

    def wait(self, **given: str) -> int:
        """The script's exit code; 1 after a reboot, which ends nothing here."""
        defaults = {"SWITCH_FROM": "60", "ATTACHED_AT": "99999", "DAMAGED": "", "MOUNT_HANGS": "", "SYNC_SECONDS": "0"}
        environment = defaults | given | {"ROOT": str(self.root), "PATH": f"{self.root}/bin:/usr/bin:/bin"}
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "sh", str(self.script)], env=environment, start_new_session=True
        )
        deadline = time.monotonic() + _SECONDS
        try:
            while process.poll() is None and not self.has_rebooted and time.monotonic() < deadline:
                time.sleep(0.02)
            return process.wait(0.2) if not given.get("MOUNT_HANGS") else 1
        finally:
            # What it left: a switch, a sync.
            subprocess.run(["pkill", "--signal", "KILL", "--session", str(process.pid)], check=False)
            process.wait()

    @property
    def has_rebooted(self) -> bool:
        return (self.root / "proc/sysrq-trigger").read_text() == "b\n"

    @property
    def said(self) -> list[str]:
        return (self.root / "dev/kmsg").read_text().splitlines()


@pytest.fixture
def crash_kernel(armed_root: FakeRoot, tmp_path: Path) -> CrashKernel:
    """With the script that parking wrote, whose paths lead into the directory."""
    assert armed_root.run("park_dump_volume", waitSeconds="100").result["status"] == "parked"
    root = tmp_path / "crash-kernel"
    for folder in ("bin", "dev", "etc/hangdump", "proc/sys/kernel", "sys/bus/pci"):
        (root / folder).mkdir(parents=True)
    (root / "etc/hangdump/parked").write_text(armed_root.read("etc/hangdump/parked"))
    (root / "proc/uptime").write_text("9.00 1.00\n")
    (root / "proc/sysrq-trigger").touch()
    for key in ("unknown_nmi_panic", "hardlockup_panic", "panic_on_oops", "panic"):
        (root / "proc/sys/kernel" / key).write_text("1\n")
    for name, text in (("sleep", _SLEEP), ("mount", _MOUNT), ("mountpoint", _MOUNTPOINT), ("sync", _SYNC)):
        (root / "bin" / name).write_text(text)
        (root / "bin" / name).chmod(0o755)
    text = armed_root.read("etc/hangdump/wait.sh")
    # The console is a file here, which keeps every line.
    text = re.sub(r">(/dev/kmsg)", r">>\1", text)
    # Not to this computer's systemd.
    assert "\nkill -55 1\n" in text
    text = text.replace("\nkill -55 1\n", "\n")
    script = root / "wait.sh"
    script.write_text(re.sub(r"(?<=[ <>])/(?=dev/kmsg|proc/|sys/bus|etc/hangdump)", f"{root}/", text))
    return CrashKernel(root, script)


def test_volume_that_is_attached_already_is_mounted_at_once(crash_kernel: CrashKernel) -> None:
    assert crash_kernel.wait(ATTACHED_AT="0") == 0
    assert crash_kernel.said == ["<2>hangdump: the dump volume is mounted after 0 s"]
    assert not crash_kernel.has_rebooted


def test_no_trigger_ends_the_wait_and_a_panic_reboots(crash_kernel: CrashKernel) -> None:
    crash_kernel.wait(ATTACHED_AT="0")
    kernel = crash_kernel.root / "proc/sys/kernel"
    triggers = ("unknown_nmi_panic", "hardlockup_panic", "panic_on_oops", "panic")
    assert [(kernel / key).read_text().strip() for key in triggers] == ["0", "0", "0", "10"]


def test_says_how_long_it_waits_and_looks_for_the_disk_itself(crash_kernel: CrashKernel) -> None:
    assert crash_kernel.wait(ATTACHED_AT="74") == 0
    assert crash_kernel.said == [
        "<2>hangdump: waiting for the dump volume, 0 of 100 s",
        "<2>hangdump: waiting for the dump volume, 30 of 100 s",
        "<2>hangdump: waiting for the dump volume, 60 of 100 s",
        "<2>hangdump: the dump volume is mounted after 65 s",
    ]
    assert (crash_kernel.root / "sys/bus/pci/rescan").read_text() == "1\n"


def test_reboots_at_its_bound_without_a_dump(crash_kernel: CrashKernel) -> None:
    crash_kernel.wait()
    assert crash_kernel.said[-1] == "<2>hangdump: no dump volume within 100 s: rebooting without a dump"
    assert crash_kernel.has_rebooted


def test_reboots_although_the_root_file_system_does_not_take_its_last_writes(crash_kernel: CrashKernel) -> None:
    crash_kernel.wait(SYNC_SECONDS="3600")
    assert crash_kernel.has_rebooted


def test_damaged_file_system_ends_in_the_reboot_with_its_reason(crash_kernel: CrashKernel) -> None:
    crash_kernel.wait(ATTACHED_AT="20", DAMAGED="yes")
    reason = "mount: /var/crash: wrong fs type, bad option, bad superblock on /dev/nvme1n1p1."
    assert f"<2>hangdump: waiting for the dump volume, 30 of 100 s ({reason})" in crash_kernel.said
    last = f"<2>hangdump: the dump volume cannot be mounted ({reason}): rebooting without a dump"
    assert crash_kernel.said[-1] == last
    assert crash_kernel.has_rebooted


def test_mount_that_hangs_ends_in_the_reboot(crash_kernel: CrashKernel) -> None:
    crash_kernel.wait(ATTACHED_AT="0", MOUNT_HANGS="yes", SWITCH_FROM="99999")
    assert crash_kernel.said == ["<2>hangdump: mounting the dump volume hangs: rebooting without a dump"]
    assert crash_kernel.has_rebooted


def test_script_passes_shellcheck(crash_kernel: CrashKernel) -> None:
    """No linter looks into a here-document."""
    shellcheck = Path(sys.executable).parent / "shellcheck"
    done = subprocess.run([shellcheck, "--shell=sh", crash_kernel.script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
