"""A host in a directory: /proc, /sys, /etc and disks as files, stub commands on PATH. Runs assembled documents."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ssm_documents.assemble import script_of
from tests.ssm_documents.crashkernel import reserved_mib
from tests.ssm_documents.document_run import Run, assembled
from tests.ssm_documents.hosts import Host, host

HERE = Path(__file__).parent
KERNEL = host("debian12").kernel
VOLUME_ID = "vol-0123456789abcdef0"
MIB = 1024 * 1024
BOOTED_AT_EPOCH = 1795400000
# What the documents may use from the host itself; anything else on PATH is a stub or is not installed.
REAL_TOOLS = """
awk base64 basename bash cat chmod chown cmp cp curl cut date dd dirname env find flock grep head ln ls mkdir mktemp mv
od paste readlink rm rmdir sed seq sh sha256sum sort stat sync tail timeout touch tr true truncate wc
xargs"""
SYSCTLS = """
unknown_nmi_panic panic_on_oops hardlockup_panic softlockup_panic hung_task_panic panic_on_rcu_stall panic_on_io_nmi
panic_on_unrecovered_nmi panic_on_warn panic"""


@dataclass
class FakeRoot:
    """Starts as an instance on Nitro, freshly launched: no kdump, its own root disk, nothing reserved."""

    path: Path
    memory_mib: int = 985  # MemTotal of a 1 GiB guest
    host: Host = field(default_factory=lambda: host("debian12"))
    tools: Path = field(init=False)

    def __post_init__(self) -> None:
        self.tools = self.path / "test-tools"
        self.tools.mkdir(parents=True)
        for tool in REAL_TOOLS.split():
            if found := shutil.which(tool):
                (self.tools / tool).symlink_to(found)
        self.host.put_files(self.path)
        for folder in ("run", "usr/sbin", "boot", "units", "signatures", "dev", "sys/kernel"):
            (self.path / folder).mkdir(parents=True, exist_ok=True)
        self.write("machine", self.host.machine + "\n")
        self.write(f"boot/config-{self.host.kernel}", "CONFIG_KEXEC=y\nCONFIG_CRASH_DUMP=y\n")
        self.write("sys/class/dmi/id/sys_vendor", "Amazon EC2\n")
        self.write("proc/sys/kernel/osrelease", self.host.kernel + "\n")
        self.write("proc/stat", f"cpu  1 2 3\nbtime {BOOTED_AT_EPOCH}\nprocesses 4\n")
        self.write("proc/sys/kernel/sysrq", "438\n")
        self.write("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n")
        self.write("proc/self/mountinfo", "25 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw\n")
        self.write("file-systems", f"/ {8 << 30} {4 << 30}\n")
        for key in SYSCTLS.split():
            self.write(f"proc/sys/kernel/{key}", "0\n")
        self.boot(cmdline=self.next_cmdline(), reserved_mib=0)
        self.add_disk("nvme0n1", serial="vol0aaaaaaaaaaaaaaaa", device="259:0", partition_name="root")

    @classmethod
    def copied(cls, template: "FakeRoot", path: Path) -> "FakeRoot":
        """A copy of a root that was brought somewhere."""
        # cp, not shutil: the disks are 8 GiB of hole.
        subprocess.run(["cp", "-a", template.path, path], check=True)
        root = cls.__new__(cls)
        root.path, root.tools = path, path / "test-tools"
        root.memory_mib, root.host = template.memory_mib, template.host
        return root

    # --- the host

    def write(self, path: str, text: str) -> Path:
        """Write a file of the fake root."""
        file = self.path / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def read(self, path: str) -> str:
        """Read a file of the fake root."""
        return (self.path / path.lstrip("/")).read_text()

    def boot(self, *, cmdline: str, reserved_mib: int) -> None:
        """The state of a kernel that has just booted with this command line and reservation."""
        boots = len(list(self.path.glob("boot-count.*")))
        self.write(f"boot-count.{boots}", "")
        self.write("proc/sys/kernel/random/boot_id", f"00000000-0000-4000-8000-{boots:012}\n")
        self.write("proc/cmdline", f"BOOT_IMAGE=/boot/vmlinuz {cmdline}\n")
        self.write("proc/meminfo", f"MemTotal:  {(self.memory_mib - reserved_mib) * 1024} kB\nMemFree:  1000 kB\n")
        self.write("sys/kernel/kexec_crash_size", f"{reserved_mib * MIB}\n")
        self.write("sys/kernel/kexec_crash_loaded", "0\n")

    def next_cmdline(self) -> str:
        """What the boot loader would hand to the kernel: first `linux` line of a grub.cfg, options of a BLS entry.

        An entry's own `linux` line has no arguments.
        """
        entries = sorted(self.path.glob(self.host.boot_entries))
        line = next(
            text
            for text in "\n".join(entry.read_text() for entry in entries).splitlines()
            if re.match(r"\s*((linux|linuxefi|linux16)\s+\S+\s+\S|options\s)", text)
        ).split()
        return self._with_grubenv(" ".join(line[1:] if line[0] == "options" else line[2:]))

    def _with_grubenv(self, cmdline: str) -> str:
        """GRUB puts the variables of grubenv in, such as EL8's $kernelopts; one that is not set is empty."""
        file = self.path / "boot/grub2/grubenv"
        lines = file.read_text().splitlines() if file.exists() else []
        variables = dict(line.split("=", 1) for line in lines if "=" in line)
        return re.sub(r"\$(\w+)", lambda match: variables.get(match[1], ""), cmdline).strip()

    def reboot(self) -> None:
        """Boot what the boot loader says; the enabled service with a reservation loads the crash kernel."""
        cmdline = self.next_cmdline()
        self.boot(cmdline=cmdline, reserved_mib=reserved_mib(cmdline, self.memory_mib))
        if (unit := self.path / "units" / self.host.service).exists() and "enabled" in unit.read_text():
            self.command("systemctl", "start", self.host.service)

    def add_disk(self, name: str, *, serial: str, device: str, partition_name: str | None = None) -> Path:
        """An 8 GiB disk of zeros (sparse), with one partition when that is given a name."""
        disk = self.path / "sys/block" / name
        (disk / "holders").mkdir(parents=True)
        (disk / "device").mkdir()
        (disk / "device/serial").write_text(serial.ljust(20) + "\n")
        (disk / "dev").write_text(device + "\n")
        with (self.path / "dev" / name).open("wb") as file:
            file.truncate(8 << 30)
        if partition_name is not None:
            partition = disk / f"{name}p1"
            (partition / "holders").mkdir(parents=True)
            (partition / "partition").write_text("1\n")
            major, minor = device.split(":")
            (partition / "dev").write_text(f"{major}:{int(minor) + 1}\n")
            (partition / "uevent").write_text(f"PARTN=1\nPARTNAME={partition_name}\n")
            (self.path / "dev" / f"{name}p1").touch()
            self.write(f"signatures/{name}", "PTTYPE=gpt\n")
        return self.path / "dev" / name

    def install(self, *tools: str) -> None:
        """Put optional stub commands where a package would."""
        for tool in tools:
            shutil.copy(HERE / "optional_stubs" / tool, self.path / "usr/sbin" / tool)

    @property
    def calls(self) -> list[str]:
        """The stub commands called so far, with their arguments."""
        file = self.path / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def called(self, command: str) -> list[str]:
        """The calls of one stub command."""
        return [call for call in self.calls if call.split()[0] == command]

    def tree(self) -> dict[str, str]:
        """Every small file, for "nothing was changed"; without what running itself leaves (locks, the calls)."""
        return {
            str(file.relative_to(self.path)): file.read_bytes().decode("latin-1")
            for file in sorted(self.path.rglob("*"))
            if file.is_file()
            and not file.is_symlink()
            and file.stat().st_size < MIB
            and "run/" not in str(file.relative_to(self.path))
            and file.name not in ("calls", "test-script")
        }

    # --- what its owner does, in a way that differs on a real root

    def set_unit(self, unit: str, state: str) -> None:
        """The state that `systemctl is-enabled` prints: masked, disabled."""
        self.write(f"units/{unit}", f"{state}\n")

    def unmount_dump_volume(self) -> None:
        """Nothing is mounted any more."""
        self.write("proc/self/mountinfo", "")

    def mount_read_only(self, *, whole_file_system: bool) -> None:
        """Only the mount of the dump volume, or the file system as after an error."""
        old, new = (
            ("/dev/nvme1n1p1 rw", "/dev/nvme1n1p1 ro") if whole_file_system else ("/var/crash rw,", "/var/crash ro,")
        )
        mounts = self.read("proc/self/mountinfo")
        assert old in mounts
        self.write("proc/self/mountinfo", mounts.replace(old, new))

    def leave_free(self, mib: int) -> None:
        """The dump volume is full but for that."""
        self.write("file-systems", f"/ {8 << 30} {4 << 30}\n/var/crash {8 << 30} {mib * MIB}\n")

    def give_dump_volume_another_uuid(self) -> None:
        """As mkfs would."""
        file = self.path / "signatures/nvme1n1p1"
        file.write_text(re.sub("(?m)^UUID=.*$", "UUID=ffffffff-0000-4000-8000-000000000001", file.read_text()))

    def take_nvme_from_the_crash_kernel(self) -> None:
        """Its initrd has no such module."""
        for initrd in self.path.glob("var/lib/kdump/initrd.img-*"):
            lines = initrd.read_text().splitlines(keepends=True)
            initrd.write_text("".join(line for line in lines if "/nvme.ko" not in line))

    def remove_kdump_package(self) -> None:
        """With the package manager."""
        self.write("var/lib/dpkg/installed", "initramfs-tools-core\n")

    # --- commands

    def command(self, *arguments: str) -> int:
        """Call a stub as the host itself would; its exit code."""
        return subprocess.run(
            self._inside(*arguments), env=self._environment(), capture_output=True, check=False
        ).returncode

    def shell(self, script: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a script on the host; its output, of both kinds, is in `stdout`."""
        completed = subprocess.run(
            self._inside("bash", "-c", script),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert not check or completed.returncode == 0, f"{script}\n{completed.stdout}"
        return completed

    def _inside(self, *arguments: str) -> list[str]:
        return [*arguments]

    def search_path(self) -> str:
        """The host's PATH."""
        stubs = HERE / "stubs"
        return f"{stubs / self.host.family}:{stubs / 'any'}:{self.path}/usr/sbin:{self.tools}"

    def _environment(self, search_path: str = "") -> dict[str, str]:
        return {
            "PATH": search_path or self.search_path(),
            "HOST_ROOT": str(self.path),
            "OPTIONAL_STUBS": str(HERE / "optional_stubs"),
            "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
        }

    # --- the agent

    def run(self, verb_phrase: str, **parameters: str) -> Run:
        """Execute the assembled document as the SSM agent does: `sh -c <file>`, parameters as SSM_*."""
        return self._execute(verb_phrase, parameters)

    def run_by_older_agent(self, verb_phrase: str, **parameters: str) -> Run:
        """The same by an agent without ENV_VAR interpolation: it puts the values into the text of the script."""
        return self._execute(verb_phrase, parameters, is_text=True)

    def run_on_path(self, search_path: str, verb_phrase: str, **parameters: str) -> Run:
        """The same with another PATH."""
        return self._execute(verb_phrase, parameters, search_path=search_path)

    def _execute(
        self, verb_phrase: str, parameters: Mapping[str, str], *, search_path: str = "", is_text: bool = False
    ) -> Run:
        content = assembled(verb_phrase)
        values = {name: parameter["default"] for name, parameter in content.get("parameters", {}).items()}
        values |= parameters
        text = script_of(content)
        if is_text:
            text = re.sub(r"\{\{ (\w+) \}\}", lambda match: values[match[1]], text)
        script = self.path / "test-script"
        script.write_text(text)
        script.chmod(0o755)
        variables = {} if is_text else {f"SSM_{name}": value for name, value in values.items()}
        completed = self._run_script(variables, search_path)
        stdout = completed.stdout.decode()
        report = json.loads(stdout) if stdout else None
        return Run(completed.returncode, report, stdout, completed.stderr.decode())

    def _run_script(self, variables: dict[str, str], search_path: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["/bin/sh", "-c", str(self.path / "test-script")],
            env=self._environment(search_path) | variables,
            capture_output=True,
            timeout=120,
            check=False,
        )
