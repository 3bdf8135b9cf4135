"""A Debian host without a shell: what its documents do to its disk, said in Python. Owns the disk and the kernel.

The documents themselves are run by tests/ssm_documents and tests/workflow; here the order of what AWS is asked counts.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from lab.aws.presigned import Request, verify
from lab.aws.state import AccountState, utc_now
from lab.aws.sts import session_refusal
from lab.machine import Completed, MachineUnreachable
from tests.faults.one_thread_account import client
from tests.faults.scheduler import scheduler
from tests.lambdas.composed_dump import kdump_compressed, memory_with_log
from tests.workflow.simulated_host import DMESG, document_of

_DUMP = kdump_compressed(memory_with_log())

BOOT_SECONDS = 30.0
DUMP_SECONDS = 40.0


@dataclass
class Dump:
    """A vmcore on the dump volume, with the kernel's log beside it."""

    path: str
    content: bytes
    modified_epoch: int
    is_complete: bool = True
    dmesg: bytes = DMESG.encode()


@dataclass
class ModelledHost:
    """Implements lab.machine.Machine."""

    account: AccountState
    on_removal: Callable[[Dump], None]
    is_reserved: bool = False
    is_ready: bool = True
    final_action: str = "reboot"
    panics_on_nmi: bool = True
    writes_dump: bool = True
    # Document -> the error that it answers with.
    fails_with: dict[str, dict[str, str]] = field(default_factory=dict)
    content: bytes = _DUMP
    is_on: bool = True
    is_hung: bool = False
    answers_from: float = 0.0
    booted_at: float = 0.0
    reboots: int = 0
    nmis: list[float] = field(default_factory=list)
    written: list[Dump] = field(default_factory=list)
    disk: list[Dump] = field(default_factory=list)
    plugged: list[str] = field(default_factory=list)
    log: str = "Linux version 6.1.0-28-cloud-amd64\n"

    def __post_init__(self) -> None:
        self.booted_at = scheduler.now - 7200

    def forget(self) -> None:
        """Whatever happened to it so far."""
        for each in (self.nmis, self.written, self.disk):
            each.clear()
        self.log = "Linux version 6.1.0-28-cloud-amd64\nlogin:\n"

    # ---- from outside

    def is_running(self) -> bool:
        return self.is_on

    def answers(self, timeout_seconds: float) -> bool:
        if self.is_on and not self.is_hung and scheduler.now >= self.answers_from:
            return True
        scheduler.sleep(timeout_seconds if self.is_on else 0)
        return self.is_on and not self.is_hung and scheduler.now >= self.answers_from

    def attach_disk(self, volume_id: str, size_gib: int, device: str, *, snapshot_id: str = "") -> None:
        self.plugged.append(volume_id)

    def copy_disk(self, volume_id: str, snapshot_id: str) -> None:
        """Nobody reads copies here: no scenario comes to a rescue."""

    def detach_disk(self, volume_id: str) -> None:
        self.plugged.remove(volume_id)

    def reboot(self) -> None:
        self.reboots += 1
        self._boot()

    def start(self) -> None:
        self.is_on = True
        self._boot()

    def stop(self) -> None:
        self.is_on = False

    def console(self) -> str:
        return self.log

    def hang(self) -> None:
        self.is_hung = True

    def inject_nmi(self) -> None:
        """A second one while it dumps kills the dump, as on a real machine."""
        is_dumping = scheduler.now < self.answers_from
        self.nmis.append(scheduler.now)
        if is_dumping or not self.panics_on_nmi:
            self.is_hung = self.is_hung and is_dumping
            return
        scheduler.spawn(self._crash)

    def panic(self) -> None:
        scheduler.spawn(self._crash)

    def _crash(self) -> None:
        self.is_hung = True
        self.answers_from = scheduler.now + DUMP_SECONDS + BOOT_SECONDS
        self.log += "Linux version 6.1.0-28-cloud-amd64\nCommand line: root=/dev/nvme0n1p1 elfcorehdr=0x3c000000\n"
        count, began = len(self.nmis), scheduler.now
        scheduler.sleep(DUMP_SECONDS)
        if len(self.nmis) > count and self.nmis[-1] > began:
            self.log += "Kernel panic\n"
            return
        if self.writes_dump:
            at = int(scheduler.now)
            stamp = datetime.fromtimestamp(at, UTC).strftime("%Y%m%d%H%M%S")
            dump = Dump(f"/var/crash/{stamp}/dump.{stamp}", self.content, at)
            self.written.append(dump)
            self.disk.append(dump)
            self.log += "kdump-tools[217]: saved vmcore in /var/crash\n"
        if self.final_action == "poweroff":
            self.is_on = False
        else:
            self.reboot()

    def _boot(self) -> None:
        self.is_hung = False
        self.booted_at = scheduler.now
        self.answers_from = scheduler.now + BOOT_SECONDS
        self.log += "Linux version 6.1.0-28-cloud-amd64\nlogin:\n"

    # ---- from inside

    def run(self, script: str, *, environment: Mapping[str, str], timeout_seconds: float) -> Completed:
        if not self.answers(0):
            raise MachineUnreachable("the modelled host is hung, booting or off")
        scheduler.current_context().clear()
        document = document_of(environment)
        scheduler.sleep(1.0)
        name = f"{document} {environment['SSM_action']}" if document == "upload_vmcore" else document
        if name in self.fails_with:
            return Completed(1, json.dumps(self.fails_with[name]), "")
        return getattr(self, f"_{name.replace(' ', '_')}")(environment)  # type: ignore[no-any-return]

    def _probe_instance(self, _: Mapping[str, str]) -> Completed:
        return _success(bootId=f"boot-{self.reboots}", bootedAt=_iso(self.booted_at), kernel="6.1.0-28-cloud-amd64")

    def _prepare_dump_volume(self, _: Mapping[str, str]) -> Completed:
        return _success(status="prepared", device="/dev/nvme1n1", mountPoint="/var/crash")

    def _configure_kdump(self, environment: Mapping[str, str]) -> Completed:
        if not self.is_reserved and environment["SSM_reboot"] == "true":
            self.is_reserved = True
            return Completed(194, "", "")
        status = "configured" if self.is_reserved else "reboot-required"
        return _success(status=status, family="debian", crashkernel="192M", changes=[])

    def _check_kdump(self, _: Mapping[str, str]) -> Completed:
        finding = {"code": "crash-kernel-not-loaded", "severity": "error", "observed": "0", "remedy": "load it"}
        return _success(ready=self.is_ready, findings=[] if self.is_ready else [finding], kernel="6.1.0-28-cloud-amd64")

    def _upload_vmcore_find(self, environment: Mapping[str, str]) -> Completed:
        since = environment["SSM_since"]
        for dump in reversed(self.disk):
            if since == "none" or dump.modified_epoch > int(since):
                return self._found(dump)
        return _failure("VmcoreNotFound", "There is no dump below /var/crash.")

    def _found(self, dump: Dump) -> Completed:
        size = len(dump.content)
        return _success(
            status="complete" if dump.is_complete else "incomplete",
            vmcore={"path": dump.path, "sizeBytes": size, "modifiedEpoch": dump.modified_epoch},
            dmesg={"path": "/var/crash/dmesg", "sizeBytes": len(dump.dmesg), "digest": _digest(dump.dmesg)},
            bootId=f"boot-{self.reboots}",
            bootedAt=_iso(self.booted_at),
            kernel="6.1.0-28-cloud-amd64",
            memoryBytes=2**30,
        )

    def _upload_vmcore_upload(self, environment: Mapping[str, str]) -> Completed:
        dump = self._dump_of(environment)
        if dump is None:
            return _failure("VmcoreChanged", f"{environment['SSM_vmcorePath']} is no longer what it was.")
        try:
            manifest = self._request("GET", environment["SSM_manifestUrl"], b"").decode()
            for line in manifest.splitlines():
                self._do(line, dump)
        except Refused as refused:
            return _failure("UploadRefused", f"S3 answered {refused}.")
        return _success(status="uploaded")

    def _upload_vmcore_remove(self, environment: Mapping[str, str]) -> Completed:
        dump = self._dump_of(environment)
        if dump is None:
            if any(each.path == environment["SSM_vmcorePath"] for each in self.disk):
                return _failure("VmcoreChanged", "It changed.")
            return _success(status="already-removed", freedBytes=0)
        self.disk.remove(dump)
        self.on_removal(dump)
        return _success(status="removed", freedBytes=len(dump.content))

    def _dump_of(self, environment: Mapping[str, str]) -> Dump | None:
        wanted = tuple(environment[f"SSM_{name}"] for name in ("vmcorePath", "sizeBytes", "modifiedEpoch"))
        known = ((each, (each.path, str(len(each.content)), str(each.modified_epoch))) for each in self.disk)
        return next((each for each, described in known if described == wanted), None)

    def _do(self, line: str, dump: Dump) -> None:
        kind, number, offset, length, digest_or_part_bytes, url = line.split("\t")
        body = dump.content[int(offset) : int(offset) + int(length)] if kind != "dmesg" else dump.dmesg
        if kind != "describe":
            self._request("PUT", url, body, digest=digest_or_part_bytes)
            return
        step, first = int(digest_or_part_bytes), int(number)
        parts = [body[begin : begin + step] for begin in range(0, len(body), step)]
        lines = [f"{first + index}\t{len(part)}\t{_digest(part)}\n" for index, part in enumerate(parts)]
        self._request("PUT", url, "".join(lines).encode())

    def _request(self, method: str, url: str, body: bytes, *, digest: str = "") -> bytes:
        """As S3 takes it from an instance without credentials: the signature decides, then what it says of the body."""
        asked = urlsplit(url)
        headers = {"host": asked.netloc} | ({"x-amz-checksum-sha256": digest} if digest else {})
        request = Request(method, asked.path, asked.query, headers)
        refusal = verify(request, self.account.secrets, now=utc_now())
        refusal = refusal or session_refusal(request, self.account.sessions, now=utc_now())
        if refusal is not None:
            raise Refused(refusal.code)
        bucket, _, key = unquote(asked.path).lstrip("/").partition("/")
        given = {name: values[0] for name, values in parse_qs(asked.query).items()}
        where: dict[str, Any] = {"Bucket": bucket, "Key": key}
        s3 = client("s3", self.account.region)
        try:
            if method == "GET":
                content: bytes = s3.get_object(**where)["Body"].read()
                return content
            if digest:
                where["ChecksumSHA256"] = digest
            if "uploadId" in given:
                s3.upload_part(**where, UploadId=given["uploadId"], PartNumber=int(given["partNumber"]), Body=body)
            else:
                s3.put_object(**where, Body=body)
        except s3.exceptions.ClientError as error:
            raise Refused(error.response["Error"]["Code"]) from error
        return b""


class Refused(Exception):
    """S3's code."""


def _digest(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def _iso(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _success(**result: Any) -> Completed:
    return Completed(0, json.dumps(result), "")


def _failure(error: str, message: str) -> Completed:
    return Completed(1, json.dumps({"error": error, "message": message}), "")
