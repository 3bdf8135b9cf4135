"""What of the guest needs no QEMU: its command line, its metadata, its agent's protocol, its image's recipe."""

import contextlib
import dataclasses
import json
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.guest import Hardware, Identity, wait_until
from lab.guest.agent import AgentError, AgentSilent, GuestAgent
from lab.guest.hardware import Wiring, command_line
from lab.guest.imds import documents
from lab.guest.wire import INSTANCE_ADDRESS, Wire, is_at, who_has
from lab.image import build
from lab.image.apt_sources import sources_from
from lab.image.build import ImageBuildFailed, recipe_hash
from lab.image.release import ARCHITECTURES, RELEASES

Reply = Callable[[dict[str, Any]], bytes | None]


def arguments_of(hardware: Hardware, disks: dict[str, Path] | None = None) -> str:
    paths = {
        field.name: Path(f"/w/{field.name}") for field in dataclasses.fields(Wiring) if not field.name.endswith("_port")
    }
    return " ".join(command_line(hardware, Wiring(**paths, s3_port=1234, metadata_port=5678), disks or {}))


def test_every_network_is_restricted_and_leads_to_loopback_only() -> None:
    networks = arguments_of(Hardware()).split(" -netdev user,")[1:]
    assert len(networks) == 2
    for network in networks:
        assert ",restrict=on," in network
        assert "hostfwd" not in network
        assert network.count("guestfwd") == network.count("TCP:127.0.0.1:") == 1


@pytest.mark.parametrize(
    ("root_bus", "device"), [("nvme", "-device nvme,drive=disk-vol0"), ("virtio", "-device virtio-blk-pci,drive=")]
)
def test_the_root_is_on_the_bus_asked_for(root_bus: Any, device: str) -> None:
    assert device in arguments_of(Hardware(root_bus=root_bus))


def test_a_disk_there_at_power_on_has_its_volume_id_without_the_dash_as_serial() -> None:
    assert "serial=vol0123456789abcdef0" in arguments_of(Hardware(), {"vol-0123456789abcdef0": Path("/v.qcow2")})


def test_only_on_arm64_does_a_disk_need_a_slot() -> None:
    arm64 = arguments_of(Hardware(architecture="arm64"), {"vol-01": Path("/v.qcow2")})
    assert "qemu-system-aarch64" in arm64
    assert "-device nvme,id=nvme-vol01,drive=disk-vol01,serial=vol01,bus=free-slot" in arm64
    assert "free-slot" not in arguments_of(Hardware(), {"vol-01": Path("/v.qcow2")})


def test_metadata_holds_nothing_of_iam() -> None:
    paths = documents(Identity(availability_zone="eu-north-1b"))
    assert paths["meta-data/placement/region"] == "eu-north-1"
    assert not [path for path in paths if "iam" in path or "credentials" in path]


def test_metadata_has_user_data_only_where_it_was_given() -> None:
    twin = documents(Identity(launched_at="2026-11-30T17:11:57Z", user_data="# hangdump-drill x"))
    assert twin["user-data"] == "# hangdump-drill x"
    assert json.loads(twin["dynamic/instance-identity/document"])["pendingTime"] == "2026-11-30T17:11:57Z"
    assert "user-data" not in documents(Identity())


def test_waiting_names_what_did_not_come() -> None:
    with pytest.raises(TimeoutError, match="the moon: not within 0 s"):
        wait_until(lambda: None, what="the moon", timeout_seconds=0)


class ScriptedKernel:
    """The far end of a wire: says whatever `reply` makes of each frame."""

    def __init__(self, directory: Path, reply: Callable[[bytes], list[bytes]]) -> None:
        self.wire = Wire(ours=directory / "ours", qemus=directory / "qemus")
        self.heard: list[bytes] = []
        self._end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._end.bind(str(directory / "qemus"))
        self._ours = str(directory / "ours")
        self._reply = reply
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            self.heard.append(self._end.recv(2048))
            for frame in self._reply(self.heard[-1]):
                with contextlib.suppress(OSError):  # the other end has left
                    self._end.sendto(frame, self._ours)


def reply_of(request: bytes, address: str = INSTANCE_ADDRESS) -> bytes:
    """By a network interface with the address, to whoever sent the request."""
    mac, asker = b"\x52\x54\x00\x48\x44\x01", request[22:32]
    return asker[:6] + mac + request[12:20] + b"\x00\x02" + mac + socket.inet_aton(address) + asker


def test_the_kernel_that_has_the_address_answers_arp(socket_path: Path) -> None:
    kernel = ScriptedKernel(socket_path.parent, lambda request: [reply_of(request)])
    assert kernel.wire.answers_arp(5)
    assert kernel.heard == [who_has(INSTANCE_ADDRESS)]


def test_other_frames_on_the_wire_are_no_answer(socket_path: Path) -> None:
    kernel = ScriptedKernel(
        socket_path.parent, lambda request: [request, b"short", bytes(60), reply_of(request, "10.0.2.2")]
    )
    assert not kernel.wire.answers_arp(0.2)
    assert kernel.heard


def test_nobody_answers_arp_on_a_machine_that_is_off(socket_path: Path) -> None:
    assert not Wire(ours=socket_path.parent / "ours", qemus=socket_path.parent / "qemus").answers_arp(60)


def test_a_request_for_an_address_is_the_frame_that_a_router_broadcasts() -> None:
    frame = who_has("10.0.2.15")
    assert frame.hex(" ", 2) == (
        "ffff ffff ffff 5254 0048 44fe 0806 0001 0800 0604 0001 5254 0048 44fe 0a00 0201 0000 0000 0000 0a00 020f"
    )
    assert not is_at(frame, "10.0.2.15")


class ScriptedAgent:
    """Listens as QEMU's chardev does; `reply` decides what the agent in the guest says."""

    def __init__(self, path: Path, reply: Reply) -> None:
        self.path = path
        self.reply = reply
        self.received: list[str] = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._server.accept()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        for line in connection.makefile("rb"):
            request = json.loads(line.lstrip(b"\xff"))
            self.received.append(request["execute"])
            answer = self.reply(request)
            if answer is not None:
                connection.sendall(answer)


def returning(value: object) -> bytes:
    return json.dumps({"return": value}).encode() + b"\n"


def sync_or(answer: Callable[[dict[str, Any]], bytes | None]) -> Reply:
    def reply(request: dict[str, Any]) -> bytes | None:
        if request["execute"] == "guest-sync-delimited":
            # Old noise before the delimiter, as after a time-out.
            return b'{"return": "stale"}\n{"retu\xff' + returning(request["arguments"]["id"])
        return answer(request)

    return reply


@pytest.fixture
def socket_path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory) / "agent"


def test_skips_noise_older_than_its_synchronisation(socket_path: Path) -> None:
    ScriptedAgent(socket_path, sync_or(lambda _: returning({"pid": 4})))
    assert GuestAgent(socket_path).request("guest-exec", timeout_seconds=5, path="/bin/true") == {"pid": 4}


def test_a_silent_agent_is_given_up_in_time_and_synchronised_before_the_next_request(socket_path: Path) -> None:
    is_silent = threading.Event()
    is_silent.set()
    scripted = ScriptedAgent(socket_path, sync_or(lambda _: None if is_silent.is_set() else returning({})))
    agent = GuestAgent(socket_path)
    with pytest.raises(AgentSilent):
        agent.ping(0.3)
    is_silent.clear()
    agent.ping(5)
    agent.ping(5)
    assert scripted.received == [
        *("guest-sync-delimited", "guest-ping"),
        *("guest-sync-delimited", "guest-ping", "guest-ping"),
    ]


def test_an_error_of_the_agent_keeps_its_words(socket_path: Path) -> None:
    ScriptedAgent(socket_path, sync_or(lambda _: b'{"error": {"desc": "PID 9 does not exist"}}\n'))
    with pytest.raises(AgentError, match="PID 9 does not exist"):
        GuestAgent(socket_path).request("guest-exec-status", timeout_seconds=5, pid=9)


def test_no_agent_socket_is_silence(socket_path: Path) -> None:
    with pytest.raises(AgentSilent):
        GuestAgent(socket_path).ping(0.2)


INDEX_TARGETS = """\
Packages https://mirror.example/debian/ bookworm main Debian bookworm
Translations https://mirror.example/debian/ bookworm main Debian bookworm
Packages https://mirror.example/debian/ bookworm-updates main Debian bookworm-updates
Packages https://mirror.example/debian/ bookworm contrib Debian bookworm
Packages https://mirror.example/debian-security/ bookworm-security main Debian bookworm-security
Packages https://other.example/node/ nodistro main . nodistro
Packages https://mirror.example/debian/ sid main Debian sid
"""


def test_takes_debian_packages_from_where_this_machine_takes_them() -> None:
    assert sources_from(INDEX_TARGETS, "bookworm") == [
        "deb https://mirror.example/debian-security/ bookworm-security main",
        "deb https://mirror.example/debian/ bookworm main",
        "deb https://mirror.example/debian/ bookworm-updates main",
    ]


def test_takes_another_release_from_the_same_archive() -> None:
    assert sources_from(INDEX_TARGETS, "trixie") == [
        "deb https://mirror.example/debian-security/ trixie-security main",
        "deb https://mirror.example/debian/ trixie main",
        "deb https://mirror.example/debian/ trixie-updates main",
    ]


def test_takes_a_release_that_this_machine_knows_from_where_it_knows_it() -> None:
    own = "Packages https://own.example/debian/ stable main Debian trixie\n"
    assert sources_from(INDEX_TARGETS + own, "trixie") == ["deb https://own.example/debian/ stable main"]


@pytest.mark.parametrize(("folder", "names"), [("releases", RELEASES), ("architectures", ARCHITECTURES)])
def test_every_release_and_architecture_has_its_part_of_the_recipe(folder: str, names: tuple[str, ...]) -> None:
    folders = (Path(build.__file__).parent / folder).iterdir()
    assert {folder.name for folder in folders} == set(names)


def test_the_recipe_names_no_host_to_download_from() -> None:
    for path in Path(build.__file__).parent.rglob("*"):
        if path.is_file() and path.suffix not in {".py", ".pyc"}:
            assert "://" not in path.read_text(), path


def test_a_changed_file_of_the_recipe_changes_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_RECIPE", tmp_path)
    (tmp_path / "packages.txt").write_text("a")
    before = recipe_hash()
    (tmp_path / "packages.txt").write_text("b")
    assert recipe_hash() != before


def test_a_release_is_rebuilt_for_its_own_files_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_RECIPE", tmp_path)
    before = recipe_hash("bookworm"), recipe_hash("trixie")
    (tmp_path / "releases" / "trixie").mkdir(parents=True)
    (tmp_path / "releases" / "trixie" / "packages.txt").write_text("a")
    assert recipe_hash("bookworm") == before[0] != before[1] != recipe_hash("trixie")


def test_an_architecture_is_rebuilt_for_its_own_files_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_RECIPE", tmp_path)
    before = recipe_hash(architecture="amd64"), recipe_hash(architecture="arm64")
    (tmp_path / "architectures" / "arm64").mkdir(parents=True)
    (tmp_path / "architectures" / "arm64" / "packages.txt").write_text("a")
    assert recipe_hash(architecture="amd64") == before[0] != before[1] != recipe_hash(architecture="arm64")


def test_says_what_to_install_when_tools_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "CACHE", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImageBuildFailed, match=r"apt-get install -y .*mmdebstrap.*qemu-utils"):
        build.ensure_image()


def test_a_build_that_fails_leaves_nothing_and_shows_what_it_said_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    script = recipe / "build.sh"
    script.write_text("#!/bin/sh\necho '==> begun'\necho 'E: no such package'\nexit 100\n")
    script.chmod(0o755)
    monkeypatch.setattr(build, "_RECIPE", recipe)
    monkeypatch.setattr(build, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(build, "host_sources", lambda release: [f"deb x {release} main"])
    said: list[str] = []
    with pytest.raises(ImageBuildFailed, match="E: no such package"):
        build.ensure_image(said.append)
    assert [line.split("] ")[1] for line in said] == ["begun"]
    assert list((tmp_path / "cache" / "image").iterdir()) == []
