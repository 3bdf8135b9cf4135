"""Crashes a guest in one of the ways of crash_module, and takes the dump out of its volume without another boot."""

import base64
import gzip
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.guest import QemuGuest, wait_until
from lab.guest.saved_state import restored
from tests.guest.crash_module import HERE

_PREPARE = (HERE / "prepare.sh").read_text()
_CRASH = (HERE / "crash.sh").read_text()
_PORT_OF_NO_S3 = 9


@dataclass(frozen=True)
class CrashClass:
    """A way to crash, and who really caused it. `settings` are those that turn the trouble into a panic.

    `victim` is who is in trouble, task and function, where that is another: without symbols nobody sees more.
    `one_of` is the class where the name says more than that.
    """

    name: str
    task: str
    function: str
    settings: str = "kernel.panic_on_oops=1"
    victim: tuple[str, str] | None = None
    one_of: str = ""


@dataclass(frozen=True)
class Dump:
    """What the crash left."""

    vmcore: Path
    dmesg: str
    console: str


def crash_guest(crash_class: CrashClass, *, state: Path, module: Path, workdir: Path) -> Dump:
    """`state` is the saved armed guest. Raises TimeoutError with what was waited for and the end of the console."""
    with restored(state, workdir / "guest", s3_port=_PORT_OF_NO_S3) as guest:
        stripped = gzip.compress(module.with_name("stripped.ko").read_bytes())
        environment = {"SETTINGS": crash_class.settings, "MODULE": base64.b64encode(stripped).decode()}
        done = guest.run(_PREPARE, environment=environment, timeout_seconds=120)
        assert done.exit_code == 0, done
        try:
            _crash(guest, crash_class)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; the console ends with:\n{guest.console()[-3000:]}") from error
        volume = guest.volumes / f"{guest.attached_volumes[0]}.qcow2"
        console = guest.console()
    return _take_dump(volume, workdir / "dump", console)


def _crash(guest: QemuGuest, crash_class: CrashClass) -> None:
    baseline = len(guest.console())

    def says(text: str) -> bool:
        return text in guest.console()[baseline:]

    guest.spawn(_CRASH, environment={"CRASH_CLASS": crash_class.name})
    if crash_class.name == "nmi-hang":
        wait_until(lambda: says("hears nothing any more"), what="the deaf thread", timeout_seconds=60)
        guest.inject_nmi()
    wait_until(lambda: says("elfcorehdr="), what=f"crash kernel after {crash_class.name}", timeout_seconds=180)
    wait_until(lambda: says("saved vmcore"), what="vmcore saved", timeout_seconds=400)
    # The file is on the disk only when the crash kernel has unmounted it.
    wait_until(lambda: says("Restarting system"), what="the crash kernel's end", timeout_seconds=120)


def _take_dump(volume: Path, directory: Path, console: str) -> Dump:
    directory.mkdir(parents=True)
    disk = directory / "disk.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", volume, disk], check=True)
    subprocess.run(["debugfs", "-R", f"rdump / {directory}", disk], check=True, capture_output=True)
    disk.unlink()
    (vmcore,) = directory.glob("2*/dump.*")
    (log,) = directory.glob("2*/dmesg.*")
    return Dump(vmcore, log.read_text(errors="replace"), console)
