"""A ladder of fixtures: image → booted guest → armed state → armed guest. The console of a failed test is kept."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lab.guest import QemuGuest, hardware
from lab.guest.saved_state import restored, saved_state
from lab.image import ensure_image
from lab.image.build import CACHE, recipe_hash

_ARM_BY_HAND = Path(__file__).with_name("arm_by_hand.sh").read_text()
_HARDWARE = Path(hardware.__file__).read_text()
_CHECK_ARMED = "#!/bin/sh\ntest $(cat /sys/kernel/kexec_crash_loaded) = 1\n"
DUMP_VOLUME = "vol-0aaaaaaaaaaaaaaaa"


class UploadSink:
    """Stands where the emulated S3 will: remembers what was put."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                sink.objects[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="session")
def upload_sink() -> Iterator[UploadSink]:
    sink = UploadSink()
    yield sink
    sink.close()


@pytest.fixture(scope="session")
def guest_image() -> Path:
    return ensure_image()


@pytest.fixture(scope="session")
def booted_guest(
    guest_image: Path, upload_sink: UploadSink, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[QemuGuest]:
    """Shared: a test leaves it running and answering, or a later one pays for the boot."""
    with QemuGuest(tmp_path_factory.mktemp("guest"), disk=guest_image, s3_port=upload_sink.port) as guest:
        guest.start()
        guest.wait_until_answers()
        yield guest


@pytest.fixture
def live_guest(booted_guest: QemuGuest) -> QemuGuest:
    """The shared guest, brought back first when the test before left it off."""
    booted_guest.start()
    booted_guest.wait_until_answers()
    return booted_guest


@pytest.fixture(scope="session")
def armed_state(guest_image: Path) -> Path:
    """A guest with kdump set up by hand and a dump volume on /var/crash; built once per image and script."""

    def arm(guest: QemuGuest) -> None:
        guest.attach_disk(DUMP_VOLUME, 4, "/dev/sdf")
        done = guest.run(_ARM_BY_HAND, environment={"DUMP_SERIAL": DUMP_VOLUME.replace("-", "")}, timeout_seconds=800)
        assert done.exit_code == 0, done
        guest.reboot()
        guest.wait_until_answers()
        done = guest.run(_CHECK_ARMED, environment={}, timeout_seconds=60)
        assert done.exit_code == 0, guest.console()[-3000:]

    # The state is that of this virtual hardware, too.
    key = hashlib.sha256(f"{recipe_hash()}{_ARM_BY_HAND}{_HARDWARE}".encode()).hexdigest()[:16]
    return saved_state(CACHE / "armed-by-hand" / key, disk=guest_image, prepare=arm)


@pytest.fixture
def armed_guest(armed_state: Path, upload_sink: UploadSink, tmp_path: Path) -> Iterator[QemuGuest]:
    with restored(armed_state, tmp_path / "guest", s3_port=upload_sink.port) as guest:
        yield guest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report: pytest.TestReport = yield  # type: ignore[assignment]
    fixtures = getattr(item, "funcargs", {})
    guests = [value for value in fixtures.values() if isinstance(value, QemuGuest)]
    # A region's: the last of them is what the test was about.
    guests += next((value.guests[::-1] for value in fixtures.values() if hasattr(value, "guests")), [])
    for guest in guests[:2] if report.failed else []:
        kept = CACHE / "failed-consoles" / f"{item.name}-{guest.workdir.name}.log"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(guest.console())
        report.sections.append((f"guest console (all of it: {kept})", guest.console()[-4000:]))
    return report  # type: ignore[return-value]
