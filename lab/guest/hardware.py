"""The virtual computer as a QEMU command line: a pure function of what the guest is. Starts nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

S3_ADDRESS = "10.0.2.100"
_METADATA_ADDRESS = "169.254.169.254"
# The image configures its two interfaces by these.
_INSTANCE_MAC = "52:54:00:48:44:01"
_METADATA_MAC = "52:54:00:48:44:02"
# The instance's network interface, as QEMU calls it.
INTERFACE = "interface"
# First what TCG does not have and would warn of; then what makes the guest load drivers that a small instance lacks
# (KVM) or that cost more than they give under emulation (crypto by AES-NI).
_WITHOUT = (
    "-rdseed,-sha-ni,-fxsr-opt,-misalignsse,-3dnowprefetch,-osvw,-topoext,-nrip-save,-xsavec"  # TCG of QEMU 7.2
    ",-svm,-npt,-aes,-pclmulqdq"
)

# By EC2's names.
Architecture = Literal["x86_64", "arm64"]


@dataclass(frozen=True)
class _Board:
    """What differs between the architectures; `disk_slot` are options of a disk that may be plugged later."""

    program: str
    machine: str
    cpu: str
    more: tuple[str, ...] = ()
    disk_slot: Mapping[str, str] = field(default_factory=dict)


_BOARDS: Mapping[Architecture, _Board] = {
    # `pc`, not `q35`: hot-plugging takes a third of the time.
    "x86_64": _Board("qemu-system-x86_64", "pc,hpet=off,i8042=off", f"EPYC,{_WITHOUT}"),
    # Processor and interrupt controller of Graviton 2; EDK2 gives the kernel ACPI tables. Not `-kernel`: crashkernel=
    # comes from grub.cfg. A disk cannot be plugged into the root bus: a slot for one.
    "arm64": _Board(
        "qemu-system-aarch64",
        "virt,gic-version=3",
        "neoverse-n1",
        more=("-bios", "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd", "-device", "pcie-root-port,id=free-slot,chassis=1"),
        disk_slot={"bus": "free-slot"},
    ),
}


@dataclass(frozen=True)
class Hardware:
    """`root_bus` virtio is for saved states only: QEMU cannot migrate an NVMe controller. EC2's Nitro has NVMe."""

    architecture: Architecture = "x86_64"
    memory_mib: int = 1024
    cpus: int = 2
    root_bus: Literal["nvme", "virtio"] = "nvme"
    manufacturer: str = "Amazon EC2"
    product: str = "t3.micro"
    root_volume_id: str = "vol-00000000000000001"


@dataclass(frozen=True)
class Wiring:
    """Where the guest's ends come out on this machine."""

    root_disk: Path
    serial_log: Path
    monitor_socket: Path
    agent_socket: Path
    # The two ends of the port on the instance's network from which status checks ask.
    wire_socket: Path
    checker_socket: Path
    s3_port: int
    metadata_port: int


def serial_of(volume_id: str) -> str:
    """As EC2 does it: vol-0abc → vol0abc."""
    return volume_id.replace("-", "", 1)


def disk_node(volume_id: str) -> str:
    """The block node's name in QEMU."""
    return f"disk-{serial_of(volume_id)}"


def disk_device(volume_id: str) -> str:
    """The NVMe controller's name in QEMU."""
    return f"nvme-{serial_of(volume_id)}"


def disk_device_options(hardware: Hardware, volume_id: str) -> dict[str, Any]:
    """device_add options of a disk that can be plugged and unplugged."""
    return {
        "driver": "nvme",
        "id": disk_device(volume_id),
        "drive": disk_node(volume_id),
        "serial": serial_of(volume_id),
        **_BOARDS[hardware.architecture].disk_slot,
    }


def disk_options(volume_id: str, path: Path) -> dict[str, object]:
    """blockdev options, the same for a disk that is there at power-on and one plugged later. A path that is a socket
    is that of a disk server (disk_server.py), which knows the format of its disk itself.

    no-flush: what survives a power cut of this machine is of no interest, what survives a reset is in its page cache.
    """
    if path.is_socket():
        server = {"type": "unix", "path": str(path)}
        return {"driver": "nbd", "node-name": disk_node(volume_id), "server": server, "cache": {"no-flush": True}}
    file_options = {"driver": "file", "filename": str(path), "discard": "unmap"}
    return {
        "driver": "qcow2",
        "node-name": disk_node(volume_id),
        "file": file_options,
        "discard": "unmap",
        "cache": {"no-flush": True},
    }


def command_line(hardware: Hardware, wiring: Wiring, disks: Mapping[str, Path], *, incoming: str = "") -> list[str]:
    """TCG only. /dev/kvm may open and yet interpret the guest's kernel mode, so that nothing boots: finding out costs
    a timed boot, and all that was measured here is TCG.
    tb-size (MiB; the default is 1024): every write to a page walks the list of what was ever translated from it.
    Without an occasional flush of the whole buffer, a system booted by reset on top of old code needs minutes.

    setpriv: QEMU dies with the thread that starts it (see power.py).
    """
    board = _BOARDS[hardware.architecture]
    arguments = [
        *("setpriv", "--pdeathsig", "KILL", "--", board.program),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-machine", board.machine, "-accel", "tcg,thread=multi,tb-size=128", "-cpu", board.cpu, *board.more),
        *("-smp", str(hardware.cpus), "-m", str(hardware.memory_mib)),
        *("-smbios", f"type=1,manufacturer={hardware.manufacturer},product={hardware.product}"),
        *("-chardev", f"socket,id=monitor,path={wiring.monitor_socket},server=on,wait=off"),
        *("-mon", "chardev=monitor,mode=control"),
        *("-chardev", f"file,id=console,path={wiring.serial_log},append=on", "-serial", "chardev:console"),
        *("-device", "virtio-serial-pci"),
        *("-chardev", f"socket,id=agent,path={wiring.agent_socket},server=on,wait=off"),
        *("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"),
        *_root_arguments(hardware, wiring.root_disk),
        *_network_arguments(wiring),
    ]
    for volume_id, path in disks.items():
        arguments += ["-blockdev", _json(disk_options(volume_id, path))]
        arguments += ["-device", _device(disk_device_options(hardware, volume_id))]
    if incoming:
        arguments += ["-incoming", f"exec:{incoming}"]
    return arguments


def _root_arguments(hardware: Hardware, root_disk: Path) -> list[str]:
    volume_id = hardware.root_volume_id
    device = {
        "nvme": f"nvme,drive={disk_node(volume_id)},serial={serial_of(volume_id)},bootindex=0",
        "virtio": f"virtio-blk-pci,drive={disk_node(volume_id)},serial={serial_of(volume_id)[:20]},bootindex=0",
    }
    return ["-blockdev", _json(disk_options(volume_id, root_disk)), "-device", device[hardware.root_bus]]


def _network_arguments(wiring: Wiring) -> list[str]:
    """restrict=on: the guest reaches the two forwards and nothing else, not even this machine's loopback.

    The instance's network is a hub with three ports: its interface, the forward, and the wire (wire.py). QEMU takes the
    options of a Unix socket for a wire since 7.2.
    """

    def forward(address: str, port: int) -> str:
        return f"restrict=on,ipv6=off,guestfwd=tcp:{address}:80-cmd:socat - TCP:127.0.0.1:{port}"

    metadata_net = "net=169.254.169.0/24,host=169.254.169.1,dns=169.254.169.3,dhcpstart=169.254.169.15"
    return [
        *("-netdev", f"user,id=instance,{forward(S3_ADDRESS, wiring.s3_port)}"),
        *("-netdev", "hubport,id=instance-port,hubid=0,netdev=instance"),
        *(
            "-netdev",
            f"dgram,id=wire,local.type=unix,local.path={wiring.wire_socket},remote.type=unix"
            f",remote.path={wiring.checker_socket}",
        ),
        *("-netdev", "hubport,id=wire-port,hubid=0,netdev=wire"),
        *("-netdev", "hubport,id=interface-port,hubid=0"),
        *("-device", f"virtio-net-pci,id={INTERFACE},netdev=interface-port,mac={_INSTANCE_MAC},romfile="),
        *("-netdev", f"user,id=metadata,{metadata_net},{forward(_METADATA_ADDRESS, wiring.metadata_port)}"),
        *("-device", f"virtio-net-pci,netdev=metadata,mac={_METADATA_MAC},romfile="),
    ]


def _device(options: Mapping[str, Any]) -> str:
    """{"driver": "nvme", "id": "x"} → nvme,id=x"""
    return ",".join(value if name == "driver" else f"{name}={value}" for name, value in options.items())


def _json(options: Mapping[str, object]) -> str:
    return json.dumps(options)
