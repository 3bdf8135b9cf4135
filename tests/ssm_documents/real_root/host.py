"""A Debian host made of its real packages: dpkg, update-grub, mkinitramfs, kdump-config, mount and mkfs themselves run
there, in namespaces of its own, with a loop device as each disk. What cannot be real is in stand_ins/, or is a file put
over /proc or /sys. Nothing there can change this machine: /proc is read-only, and CAP_SYS_BOOT is gone, without which
kexec loads nothing.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.ssm_documents.crashkernel import reserved_mib
from tests.ssm_documents.fake_root import BOOTED_AT_EPOCH, MIB, SYSCTLS, VOLUME_ID, FakeRoot
from tests.ssm_documents.hosts import Host

HERE = Path(__file__).parent
DROPPED = "sys_boot,sys_module,sys_time,sys_rawio,net_admin,syslog,mac_admin,mac_override"
VERBS = {"masked": "mask", "disabled": "disable", "enabled": "enable"}
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# As the cloud kernel of Debian 12 has them on a Nitro instance.
KERNEL_SYSCTLS = {
    "sysrq": "438",
    "watchdog": "1",
    "nmi_watchdog": "0",
    "soft_watchdog": "1",
    "watchdog_thresh": "10",
    "hung_task_timeout_secs": "120",
    "hung_task_check_count": "4194304",
    "kptr_restrict": "0",
    "kexec_load_disabled": "0",
}
# Where a document may change something.
WATCHED = ("etc", "boot", "var/lib/kdump", "var/lib/hangdump", "usr/local")


@dataclass(frozen=True)
class Disks:
    """What a host starts with: directories that together are its root, the topmost first; its dump volume, a file."""

    trees: tuple[Path, ...]
    dump_volume: Path


class RealRoot(FakeRoot):
    """The same for a test as a fake root: its files are under `path`, a path through /proc that ends with the host."""

    def __init__(self, process: int, host: Host, memory_mib: int) -> None:
        self.path = Path(f"/proc/{process}/root")
        self.process = process
        self.host = host
        self.memory_mib = memory_mib

    def __repr__(self) -> str:
        return f"RealRoot({self.path})"

    # --- what runs there

    def _inside(self, *arguments: str) -> list[str]:
        spaces = ["--mount", "--pid", "--net", "--uts", "--ipc"]
        enter = ["nsenter", f"--target={self.process}", *spaces, "--root", "--wd"]
        drop = ",".join(f"-{capability}" for capability in DROPPED.split(","))
        return ["setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}", *enter, "--", *arguments]

    def search_path(self) -> str:
        return SEARCH_PATH

    def _environment(self, search_path: str = "") -> dict[str, str]:
        return {"PATH": search_path or SEARCH_PATH, "HOME": "/root"}

    def _run_script(self, variables: dict[str, str], search_path: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self._inside("sh", "-c", "/test-script"),
            env=self._environment(search_path) | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=600,
            check=False,
        )

    def tree(self) -> dict[str, str]:
        found = self.shell(
            f"cd / && find {' '.join(WATCHED)} -type f -size -1024k -exec md5sum {{}} + | sort -k 2"
        ).stdout
        return {path: digest for digest, path in (line.split("  ", 1) for line in found.splitlines())}

    # --- the machine

    def make_machine(self) -> None:
        """What a Nitro instance has and this machine does not."""
        for key in (*SYSCTLS.split(), *KERNEL_SYSCTLS):
            self.write(f"proc/sys/kernel/{key}", KERNEL_SYSCTLS.get(key, "0") + "\n")
        self.write("sys/class/dmi/id/sys_vendor", "Amazon EC2\n")
        self.write("proc/stat", f"cpu  1 2 3\nbtime {BOOTED_AT_EPOCH}\nprocesses 4\n")
        self.write("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n")
        for folder in ("sys/dev/block", "sys/class/block", "sys/devices", "sys/kernel"):
            (self.path / folder).mkdir(parents=True)
        self._show_device("nvme0n1")
        self._show_device("nvme0n1/nvme0n1p1")
        self.write("sys/block/nvme0n1/nvme0n1p1/partition", "1\n")
        self.write("sys/block/nvme0n1/nvme0n1p1/uevent", "DEVTYPE=partition\nPARTN=1\nPARTNAME=root\n")
        self.write("sys/block/nvme0n1/device/serial", "vol0aaaaaaaaaaaaaaaa\n")
        self._show_device("nvme1n1")
        self.write("sys/block/nvme1n1/device/serial", VOLUME_ID.replace("-", "").ljust(20) + "\n")
        self.shell("udevadm settle")

    def _show_device(self, device: str) -> None:
        name = device.rsplit("/", maxsplit=1)[-1]
        found = (self.path / "dev" / name).stat().st_rdev
        number = f"{os.major(found)}:{os.minor(found)}"
        (self.path / "sys/block" / device / "holders").mkdir(parents=True)
        self.write(f"sys/block/{device}/dev", number + "\n")
        for link in (f"sys/dev/block/{number}", f"sys/class/block/{name}"):
            (self.path / link).symlink_to(f"../../block/{device}")

    def reboot(self) -> None:
        """What fstab says is mounted anew, and nothing runs any more."""
        self.shell("umount /var/crash 2>/dev/null; rm -rf /run/active; mount -a")
        cmdline = self.next_cmdline()
        self.boot(cmdline=cmdline, reserved_mib=reserved_mib(cmdline, self.memory_mib))
        for key in SYSCTLS.split():
            self.write(f"proc/sys/kernel/{key}", "0\n")
        # What sysctl.d has for others than the files put over /proc, it cannot write.
        self.shell("/usr/lib/systemd/systemd-sysctl", check=False)
        for unit in (self.host.service, "hangdump-ready.service"):
            self.shell(f"! systemctl is-enabled --quiet {unit} || systemctl start {unit}", check=False)

    # --- what its owner does

    def set_unit(self, unit: str, state: str) -> None:
        self.shell(f"systemctl {VERBS[state]} {unit}")

    def unmount_dump_volume(self) -> None:
        self.shell("umount /var/crash")

    def mount_read_only(self, *, whole_file_system: bool) -> None:
        self.shell(f"mount -o remount,{'ro' if whole_file_system else 'bind,ro'} /var/crash")

    def leave_free(self, mib: int) -> None:
        self.shell(f"fallocate -l $(($(df -B1 --output=avail /var/crash | tail -n 1) - {mib * MIB})) /var/crash/others")

    def give_dump_volume_another_uuid(self) -> None:
        self.shell(
            "umount /var/crash && xfs_admin -U generate /dev/nvme1n1p1 && udevadm settle"
            " && mount -t xfs /dev/nvme1n1p1 /var/crash"
        )

    def take_nvme_from_the_crash_kernel(self) -> None:
        self.shell("sed -i '/nvme/d' /lib/modules/*/modules.builtin")

    def remove_kdump_package(self) -> None:
        self.shell("DEBIAN_FRONTEND=noninteractive dpkg --remove kdump-tools")


@contextmanager
def running(start: Disks, host: Host, memory_mib: int, folder: Path) -> Iterator[tuple[RealRoot, Disks]]:
    """A host that starts so, and how another one can start once it has ended. All that it writes is in `folder`."""
    changes, end = folder / "changes", Disks((folder / "changes/upper", *start.trees), folder / "dump-volume")
    subprocess.run(["cp", "--sparse=always", start.dump_volume, end.dump_volume], check=True)
    trees = ":".join(map(str, start.trees))
    command: list[str | Path] = [HERE / "start.sh", end.dump_volume, trees, changes, folder / "stage"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdin
        assert starter.stdout
        try:
            kernel = starter.stdout.readline().strip()
            assert kernel, "the real root did not start; its stderr says why"
            real = RealRoot(_child(_child(starter.pid)), replace(host, kernel=kernel), memory_mib)
            real.make_machine()
            yield real, end
        finally:
            starter.stdin.close()
            starter.wait(timeout=60)


def _child(process: int) -> int:
    (child,) = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return int(child)
