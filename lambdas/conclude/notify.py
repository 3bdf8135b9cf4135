"""The notification at the end of an incident: the verdict, what the kernel did, and where the objects are."""

from collections.abc import Mapping
from typing import Any

from lambdas.report.pages import sign_link
from lambdas.runtime.environment import Notifications, ReportLink
from lambdas.runtime.links import console_link
from lambdas.runtime.notification import publish, sender, table

_MOST_PROBLEMS = 5


def notify(report: Mapping[str, Any]) -> None:
    """Publishes the notification."""
    publish(Notifications.read().topic_arn, subject=_subject(report), lines=_lines(report))


def _subject(report: Mapping[str, Any]) -> str:
    what = report["sentence"] or report["panicLine"] or report["reason"]
    return f"{sender(report.get('drill'))}: {report['verdict']} {report.get('instanceId') or 'no instance'}: {what}"


def _lines(report: Mapping[str, Any]) -> list[str]:
    """The cause, the panic line and the next step first; at most 20 lines."""
    rows = {
        "Class": report["crashClass"] if report["panicLine"] else "",
        "Signature": report["signature"],
        "Kernel": report["kernel"],
        "vmcore": _vmcore(report),
        "Log": _uri(report, "dmesg"),
        "Report": _page(report),
        "Link": _link(report),
        "Record": _uri(report, "incident"),
        "Took": _took(report),
        "Incident": report["incidentId"],
        "Account": f"{report['accountId']} {report['region']}",
    }
    first = [report["sentence"], *table({"Panic": report["panicLine"], "Next": report["nextStep"]})]
    verdict = f"{report['verdict']}: {report.get('instanceId') or 'no instance'}. {report['reason']}"
    problems = [f"Problem: {problem}" for problem in report["problems"]]
    if len(problems) > _MOST_PROBLEMS:
        left_out = len(problems) - _MOST_PROBLEMS + 1
        problems = [*problems[: _MOST_PROBLEMS - 1], f"And {left_out} more problems: they are in the record."]
    return [*(line for line in first if line), verdict, *table(rows), *problems]


def _page(report: Mapping[str, Any]) -> str:
    """Console link, needs a sign-in; good as long as the object is there."""
    key = report["keys"].get("report", "")
    return console_link(bucket=report["bucket"], region=report["region"], key=key)


def _link(report: Mapping[str, Any]) -> str:
    """Presigned link; expires with the function's credentials, within hours."""
    key, hours = report["keys"].get("report"), ReportLink.read().report_link_hours
    link = sign_link(bucket=report["bucket"], key=key, hours=hours) if key else ""
    return f"{link} (for some hours, {hours} at most)" if link else ""


def _uri(report: Mapping[str, Any], name: str) -> str:
    key = report["keys"].get(name)
    return f"s3://{report['bucket']}/{key}" if key else ""


def _vmcore(report: Mapping[str, Any]) -> str:
    uri = _uri(report, "vmcore")
    return f"{uri} ({report['vmcore']['sizeBytes'] / 1024**2:.1f} MiB)" if uri else ""


def _took(report: Mapping[str, Any]) -> str:
    durations = report["durations"]
    if "interruptToVerifiedSeconds" in durations:
        return f"{durations['interruptToVerifiedSeconds']} s from the interrupt to the verified vmcore"
    return f"{durations['totalSeconds']} s"
