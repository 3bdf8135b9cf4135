"""Where the objects of Hangdump lie in the vmcore bucket: prefixes, and the keys of one incident."""

VMCORES = "vmcores/"
MANIFESTS = "manifests/"
DIGESTS = "digests/"
SWEEPS = "sweeps/"
REPORTS = "reports/"


def key_prefix(*, account_id: str, region: str, instance_id: str, incident: str) -> str:
    """Where in the bucket everything about an incident lies; ends with a slash."""
    return f"{VMCORES}{account_id}/{region}/{instance_id}/{incident}/"


# Below an incident's prefix; written by the analysis.
ANALYSIS = "analysis.json"
# The page of all incidents.
INDEX_KEY = f"{REPORTS}index.html"


def keys(prefix: str) -> dict[str, str]:
    """The names of an incident's objects."""
    return {
        "vmcore": f"{prefix}vmcore",
        "dmesg": f"{prefix}vmcore-dmesg.txt",
        # Only where the vmcore holds more of the kernel's log than that.
        "log": f"{prefix}vmcore-log.txt",
        "incident": f"{prefix}incident.json",
        "triage": f"{prefix}triage.json",
        "console": f"{prefix}console.txt",
        "manifest": f"{prefix}manifest.json",
        "report": f"{prefix}report.html",
    }


def evidence_object_keys(prefix: str) -> dict[str, str]:
    """The names of what is stored before the interrupt; they go into incident.json beside the others."""
    return {
        "consoleBefore": f"{prefix}before/console.txt",
        "screenshotBefore": f"{prefix}before/screenshot.jpg",
        "statusBefore": f"{prefix}before/status.json",
        "metricsBefore": f"{prefix}before/metrics.json",
    }
