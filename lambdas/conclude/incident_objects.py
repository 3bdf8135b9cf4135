"""Reads the kernel's log from the bucket; writes console.txt, triage.json, report.html and incident.json beside it.

A bucket or console that refuses must not keep the verdict from the human: it is noted as a problem and told to them.
"""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.instance.facts import read_console
from lambdas.report.pages import IncidentPages
from lambdas.runtime import bucket as bucket_objects
from lambdas.runtime.environment import VmcoreBucket
from lambdas.runtime.observability import logger
from lambdas.triage import Triage, triage

# A kernel's log buffer is 16 MiB at most unless somebody made it larger.
_LONGEST_LOG_BYTES = 32 * 1024**2

Done = TypeVar("Done")


class BucketReport:
    """The objects of one incident. `problems` collects what could not be read or written."""

    def __init__(self, bucket: VmcoreBucket, names: dict[str, str]) -> None:
        self._bucket = bucket
        self.bucket_name = bucket.bucket_name
        self.names = names
        self.problems: list[str] = []
        self.written: dict[str, str] = {}

    def read_log(self, *, has_own: bool) -> str:
        """vmcore-dmesg.txt, or "" when it never came; where the vmcore's own log says more (has_own), that."""
        text = self._attempt("vmcore-dmesg.txt", lambda: self._read_log("dmesg")) or ""
        own = self._attempt("vmcore-log.txt", lambda: self._read_log("log")) if has_own else ""
        return own or text

    def write_console(self, instance_id: str) -> str:
        """The console as it is now: after a crash, that of the crash kernel and of the boot that followed."""
        console = self._attempt("The console", lambda: read_console(instance_id))
        if console:
            self._attempt("console.txt", lambda: self._put("console", console, "text/plain; charset=utf-8"))
        return console or ""

    def triage(self, log: str, console: str) -> Triage:
        """What the log tells, in triage.json beside it; a log that defeats us must not keep the verdict back."""
        try:
            told = triage(log, console)
        except Exception as error:
            self.problems.append(f"Triage of the kernel's log: {error!r}")
            logger.exception("Triage of the kernel's log")
            return Triage()
        if log or told.panic_message:
            text = json.dumps(told.as_json(), indent=2) + "\n"
            self._attempt("triage.json", lambda: self._put("triage", text, "application/json"))
        return told

    def write_page(self, pages: IncidentPages, report: dict[str, Any], told: Triage) -> None:
        """report.html; whatever defeats its drawing must not keep the verdict back."""
        try:
            pages.write_report(self.names["report"], report, told)
        except Exception as error:
            self.problems.append(f"report.html: {error!r}")
            logger.exception("report.html")
        else:
            self.written["report"] = self.names["report"]

    def write_incident(self, report: dict[str, Any]) -> None:
        """incident.json"""
        text = json.dumps(report, indent=2, sort_keys=True) + "\n"
        self._attempt("incident.json", lambda: self._put("incident", text, "application/json"))

    def _read_log(self, name: str) -> str:
        log = bucket_objects.read(self._bucket, self.names[name], longest_bytes=_LONGEST_LOG_BYTES)
        if log is None:
            return ""
        self.written[name] = self.names[name]
        return log.decode("utf-8", errors="replace")

    def _put(self, name: str, text: str, content_type: str) -> None:
        bucket_objects.write(self._bucket, self.names[name], text, content_type=content_type)
        self.written[name] = self.names[name]

    def _attempt(self, what: str, do: Callable[[], Done]) -> Done | None:
        try:
            return do()
        except (ClientError, BotoCoreError) as error:
            self.problems.append(f"{what}: {error}")
            logger.warning("%s: %s", what, error)
            return None
