"""The id of an incident, the prefixes of the vmcore bucket, and the keys of an incident's objects. Pure."""

from datetime import datetime

from lambdas.runtime import moment

VMCORES = "vmcores/"
MANIFESTS = "manifests/"
DIGESTS = "digests/"
SWEEPS = "sweeps/"
REPORTS = "reports/"
# The work of each round of EnrolFleet, which its map reads.
FLEET = "fleet/"


def incident_id(at: datetime, instance_id: str) -> str:
    """20261123T040000Z-i-0123456789abcdef0. Each delivery of one state change gets the same id."""
    return f"{moment.compact(at)}-{instance_id}"


def key_prefix(*, account_id: str, region: str, instance_id: str, incident: str) -> str:
    """The prefix of all objects of an incident; ends with a slash."""
    return f"{VMCORES}{account_id}/{region}/{instance_id}/{incident}/"


# Below an incident's prefix; the analysis writes it.
ANALYSIS = "analysis.json"
# The page of all incidents.
INDEX_KEY = f"{REPORTS}index.html"
# The page of all enrolled instances, and its data.
FLEET_PAGE_KEY = f"{REPORTS}fleet.html"
FLEET_JSON_KEY = f"{REPORTS}fleet.json"


def keys(prefix: str) -> dict[str, str]:
    """The keys of an incident's objects by name."""
    return {
        "vmcore": f"{prefix}vmcore",
        "dmesg": f"{prefix}vmcore-dmesg.txt",
        # Written only if the vmcore holds more of the kernel's log than vmcore-dmesg.txt.
        "log": f"{prefix}vmcore-log.txt",
        "incident": f"{prefix}incident.json",
        "triage": f"{prefix}triage.json",
        "console": f"{prefix}console.txt",
        "manifest": f"{prefix}manifest.json",
        "report": f"{prefix}report.html",
    }


def evidence_object_keys(prefix: str) -> dict[str, str]:
    """The keys of the evidence stored before the interrupt; incident.json lists them with the others."""
    return {
        "consoleBefore": f"{prefix}before/console.txt",
        "screenshotBefore": f"{prefix}before/screenshot.jpg",
        "statusBefore": f"{prefix}before/status.json",
        "metricsBefore": f"{prefix}before/metrics.json",
    }
