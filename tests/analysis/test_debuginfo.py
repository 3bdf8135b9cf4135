"""Symbols of exactly that kernel, or none."""

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from analysis.debuginfo import Sources, check_match, find_debuginfo, run_step
from analysis.debuginfo_packages import InstallStep
from analysis.elf_build_id import elf_build_id
from analysis.errors import DebuginfoNotFound, SymbolsMismatched, VmcoreUnreadable
from analysis.vmcore import Identity, identify
from tests.analysis.elf_files import write_elf

RELEASE = "6.1.0-56-cloud-amd64"
OURS = "3b43fad5034874490492495d552c0af6a5fab235"
OTHER = "ffffffffffffffffffffffffffffffffffffffff"
KERNEL = Identity(release=RELEASE, build_id=OURS, architecture="x86_64", is_flattened=True)
NAMELESS = Identity(release="4.18.0-80.el8.x86_64", build_id="", architecture="x86_64", is_flattened=False)


def _sources(
    root: Path, *, vmlinux: Path | None = None, directory: Path | None = None, urls: tuple[str, ...] = ()
) -> Sources:
    return Sources(vmlinux=vmlinux, directory=directory, debuginfod_urls=urls, cache=root / "cache", root=root)


def test_reads_the_build_id_among_other_notes(tmp_path: Path) -> None:
    assert elf_build_id(write_elf(tmp_path / "vmlinux", OURS)) == OURS


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"#!/bin/sh\n", b"\x7fELF\x02\x01" + b"\xff" * 200])
def test_what_is_no_whole_elf_file_has_no_build_id(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "vmlinux").write_bytes(content)
    assert elf_build_id(tmp_path / "vmlinux") == ""


def test_a_mismatch_names_both_build_ids_and_the_release(tmp_path: Path) -> None:
    vmlinux = write_elf(tmp_path / "vmlinux", OTHER)
    with pytest.raises(SymbolsMismatched) as refused:
        find_debuginfo(KERNEL, _sources(tmp_path, vmlinux=vmlinux))
    assert all(each in str(refused.value) for each in (OURS, OTHER, RELEASE, str(vmlinux)))


def test_a_stripped_of_its_id_vmlinux_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SymbolsMismatched, match="none"):
        check_match(KERNEL, write_elf(tmp_path / "vmlinux", ""))


def test_a_dump_without_a_build_id_is_not_said_to_match(tmp_path: Path) -> None:
    assert check_match(NAMELESS, write_elf(tmp_path / "vmlinux", OTHER)) is False


def test_a_directory_gives_the_kernel_that_matches_whatever_it_is_called(tmp_path: Path) -> None:
    write_elf(tmp_path / "dbg/boot/vmlinux-6.1.0-55-cloud-amd64", OTHER)
    wanted = write_elf(tmp_path / f"dbg/.build-id/{OURS[:2]}/{OURS[2:]}.debug", OURS)
    found = find_debuginfo(KERNEL, _sources(tmp_path, directory=tmp_path / "dbg"))
    assert (found.kernel, found.module_directories) == (wanted, (tmp_path / "dbg",))


def test_a_directory_with_another_kernel_alone_is_a_mismatch(tmp_path: Path) -> None:
    write_elf(tmp_path / "dbg/vmlinux", OTHER)
    with pytest.raises(SymbolsMismatched, match=OTHER):
        find_debuginfo(KERNEL, _sources(tmp_path, directory=tmp_path / "dbg"))


@pytest.mark.parametrize(
    "place",
    [
        f"usr/lib/debug/boot/vmlinux-{RELEASE}",
        f"usr/lib/debug/lib/modules/{RELEASE}/vmlinux",
        f"usr/lib/debug/usr/lib/modules/{RELEASE}/vmlinux.debug",
        f"usr/lib/debug/.build-id/{OURS[:2]}/{OURS[2:]}.debug",
    ],
)
def test_finds_what_a_distribution_installed(tmp_path: Path, place: str) -> None:
    wanted = write_elf(tmp_path / place, OURS)
    assert find_debuginfo(KERNEL, _sources(tmp_path)).kernel == wanted


def test_an_installed_kernel_of_another_build_is_passed_over(tmp_path: Path) -> None:
    """The distribution rebuilt it under the same release, or the host runs another distribution."""
    write_elf(tmp_path / f"usr/lib/debug/boot/vmlinux-{RELEASE}", OTHER)
    with pytest.raises(DebuginfoNotFound, match=OURS):
        find_debuginfo(KERNEL, _sources(tmp_path))


def test_finding_nothing_says_what_to_run_on_this_distribution(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\n')
    with pytest.raises(DebuginfoNotFound, match=f"linux-image-{RELEASE}-dbg"):
        find_debuginfo(KERNEL, _sources(tmp_path))


def test_installs_the_packages_when_asked_and_looks_again(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text("ID=debian\n")
    ran: list[InstallStep] = []

    def install(step: InstallStep) -> None:
        ran.append(step)
        if "install" in step.arguments:
            write_elf(tmp_path / f"usr/lib/debug/boot/vmlinux-{RELEASE}", OURS)

    sources = Sources(install=install, debuginfod_urls=(), cache=tmp_path / "cache", root=tmp_path)
    assert elf_build_id(find_debuginfo(KERNEL, sources).kernel) == OURS
    assert len(ran) == 2


def test_an_installation_that_fails_is_told(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text("ID=debian\n")

    def refuse(step: InstallStep) -> None:
        raise subprocess.CalledProcessError(100, step.arguments)

    sources = Sources(install=refuse, debuginfod_urls=(), cache=tmp_path / "cache", root=tmp_path)
    with pytest.raises(DebuginfoNotFound, match="exit status 100"):
        find_debuginfo(KERNEL, sources)


def test_a_step_hands_its_text_to_the_command(tmp_path: Path) -> None:
    run_step(InstallStep(("tee", str(tmp_path / "written")), "deb http://example.invalid\n"))
    assert (tmp_path / "written").read_text() == "deb http://example.invalid\n"


class _Debuginfod:
    """Serves one build; `cut` answers less than it promises."""

    def __init__(self, content: bytes, *, is_cut: bool = False) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path != f"/buildid/{OURS}/debuginfo":
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content) + (100 if is_cut else 0)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def debuginfod(tmp_path: Path) -> Iterator[_Debuginfod]:
    served = _Debuginfod(write_elf(tmp_path / "served", OURS).read_bytes())
    yield served
    served.server.shutdown()
    served.server.server_close()


def test_debuginfod_is_asked_by_build_id_and_asked_once(tmp_path: Path, debuginfod: _Debuginfod) -> None:
    urls = (f"{debuginfod.url}/elsewhere", debuginfod.url)
    found = find_debuginfo(KERNEL, _sources(tmp_path, urls=urls))
    assert elf_build_id(found.kernel) == OURS
    assert find_debuginfo(KERNEL, _sources(tmp_path, urls=("http://127.0.0.1:9",))).kernel == found.kernel


def test_a_download_that_was_cut_is_not_kept(tmp_path: Path) -> None:
    served = _Debuginfod(write_elf(tmp_path / "served", OURS).read_bytes(), is_cut=True)
    try:
        with pytest.raises(DebuginfoNotFound):
            find_debuginfo(KERNEL, _sources(tmp_path, urls=(served.url,)))
    finally:
        served.server.shutdown()
        served.server.server_close()
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


class Program:
    """A dump that is opened, as far as its names are read."""

    platform = None

    def __init__(self, release: str, build_id: str) -> None:
        self._text = f"OSRELEASE={release}\nBUILD-ID={build_id}\nPAGESIZE=4096\n".encode()

    def __getitem__(self, _: str) -> "Program":
        return self

    def string_(self) -> bytes:
        return self._text


def _identify(tmp_path: Path, release: str, build_id: str) -> Identity:
    vmcore = tmp_path / "vmcore"
    vmcore.write_bytes(b"KDUMP   ")
    program: Any = Program(release, build_id)
    return identify(program, vmcore)


@pytest.mark.parametrize("build_id", ["", OURS, OURS.upper(), "0123456789abcdef", "ab" * 32])
def test_a_build_id_is_taken_as_any_linker_writes_it(tmp_path: Path, build_id: str) -> None:
    assert _identify(tmp_path, RELEASE, build_id).build_id == build_id.lower()


@pytest.mark.parametrize(
    ("release", "build_id"),
    [
        pytest.param(RELEASE, "../../../../etc/shadow", id="path"),
        pytest.param(RELEASE, OURS[:2] + "/../" + OURS[6:], id="path-inside"),
        pytest.param(RELEASE, "ab" * 33, id="long"),
        pytest.param(RELEASE, "abcdef", id="short"),
        pytest.param(RELEASE, OURS[:-1] + "g", id="not-hexadecimal"),
        pytest.param("..", OURS, id="release-of-a-path"),
        pytest.param("6.1/../../x", OURS, id="release-with-a-path-inside"),
        pytest.param("6.1 --root=/", OURS, id="release-with-a-space"),
        pytest.param("6" * 300, OURS, id="long-release"),
        pytest.param("", OURS, id="no-release"),
    ],
)
def test_a_dump_whose_names_would_be_paths_is_not_opened(tmp_path: Path, release: str, build_id: str) -> None:
    with pytest.raises(VmcoreUnreadable, match="of no kernel that could be"):
        _identify(tmp_path, release, build_id)
