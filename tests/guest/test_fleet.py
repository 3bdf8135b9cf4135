"""Twenty hosts and a real guest: enrolled by nothing but the tag, brought along with a changed setting, taken
out again. Then the guest is byte for byte as it was, and its memory is given back.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest

from lab.aws.account import LabAccount
from lab.deployment import deploy_hangdump, synthesize_for_lab
from lab.guest import QemuGuest, wait_until
from lab.machines.machine import Completed
from tests.workflow.simulated_host import SimulatedHost

pytestmark = [pytest.mark.guest, pytest.mark.nightly, pytest.mark.timeout(2400)]

SCRIPTED = 20
# Rounds of a minute, and a guest that installs kdump. Bounds for a test, not measurements.
ENROLMENT_SECONDS = 900
SETTINGS = {"fleetLimit": 100, "pollSeconds": 1}
ENROLLED = {"hangdump:enrolled": "true"}
# What an owner could miss: every file with its content, rights and owner, what starts at boot, and the running kernel's
# settings. /boot/initrd.img is made anew whenever a package with a hook is removed: its list of files counts.
STATE = r"""#!/bin/bash
set -euo pipefail
find /etc /boot -xdev ! -type d ! -name 'initrd.img*' -printf '%p %m %u:%g %l\n' | sort
find /etc /boot -xdev -type f ! -name 'initrd.img*' -print0 | sort -z | xargs -0 sha256sum
cat /boot/grub/grub.cfg
for initrd in /boot/initrd.img*; do echo "$initrd $(lsinitramfs "$initrd" | sort | sha256sum)"; done
systemctl list-unit-files --state=enabled --no-legend | sort
sysctl -a 2>/dev/null | grep -E '^kernel[.](panic|unknown_nmi|[a-z]*lockup|hung_task|watchdog|max_rcu)' | sort
"""
RESERVED = "#!/bin/sh\ncat /sys/kernel/kexec_crash_size\n"


class Failing(SimulatedHost):
    """Its packages cannot be installed, until that is mended."""

    is_mended = False

    def _answer(self, script: str, environment: Mapping[str, str]) -> Completed | None:
        if "configure_kdump/main" in script and "unconfigure_kdump" not in script and not self.is_mended:
            return Completed(1, json.dumps({"error": "PackageUnavailable", "message": "No mirror."}), "")
        return super()._answer(script, environment)


class Fleet:
    """The account as its owner sees it: tags, rows of the fleet table, the command line."""

    def __init__(self, account: LabAccount, work: Path) -> None:
        self.account, self.work = account, work
        self.outputs = self.deploy({})

    def deploy(self, changed: Mapping[str, Any]) -> dict[str, str]:
        outdir = self.work / f"cdk-{len(changed)}.out"
        return deploy_hangdump(self.account, lambda: synthesize_for_lab(outdir, {**SETTINGS, **changed}))

    def rows(self) -> dict[str, dict[str, Any]]:
        """The simple fields of each row, by instance."""
        items = self.account.client("dynamodb").scan(TableName=self.outputs["FleetTableName"])["Items"]
        plain = [{name: value["S"] for name, value in item.items() if "S" in value} for item in items]
        return {each["instanceId"]: each for each in plain if each["pk"].startswith("instance#")}

    def wait_for(self, wanted: Mapping[str, str], what: str) -> None:
        """Until each instance has its status."""

        def are_so() -> bool:
            rows = self.rows()
            return all(rows.get(each, {}).get("status") == status for each, status in wanted.items())

        try:
            wait_until(are_so, what=what, timeout_seconds=ENROLMENT_SECONDS)
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {self.rows()}") from error

    def make_due(self, *instance_ids: str) -> None:
        """As if the time of the next attempt had come."""
        for instance_id in instance_ids:
            self.account.client("dynamodb").update_item(
                TableName=self.outputs["FleetTableName"],
                Key={"pk": {"S": f"instance#{instance_id}"}},
                UpdateExpression="REMOVE nextAttemptAt ADD revision :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )

    def hangdump(self, *arguments: str) -> dict[str, Any]:
        """The document that the command prints with --json."""
        credentials = self.account.client("s3")._request_signer._credentials
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": self.account.endpoint_url,
            "AWS_DEFAULT_REGION": self.account.region,
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        }
        command = [sys.executable, "-m", "hangdump_cli", *arguments, "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.stdout, done
        said: dict[str, Any] = json.loads(done.stdout)
        return said


def _said(guest: QemuGuest, script: str) -> str:
    done = guest.run(script, environment={}, timeout_seconds=300)
    assert done.exit_code == 0, done
    return done.stdout


def test_a_fleet_is_enrolled_by_its_tag_follows_the_settings_and_leaves_no_trace(
    guest_image: Path, tmp_path: Path
) -> None:
    with (
        LabAccount() as account,
        QemuGuest(tmp_path / "guest", disk=guest_image, s3_port=account.instance_port) as guest,
    ):
        fleet = Fleet(account, tmp_path)
        guest.start()
        guest.wait_until_answers()
        # The image's own grub.cfg is of its build. kdump-tools has it made anew, as every update of the kernel does.
        _said(guest, "#!/bin/sh\nexec update-grub\n")
        before = _said(guest, STATE)

        # ---- enrolled by nothing but the tag
        failing = Failing()
        scripted = [account.add_instance(SimulatedHost().machine, tags=ENROLLED) for _ in range(SCRIPTED - 1)]
        failed = account.add_instance(failing.machine, tags=ENROLLED)
        real = account.add_instance(guest)
        tags = [{"Key": name, "Value": value} for name, value in ENROLLED.items()]
        account.client("ec2").create_tags(Resources=[real], Tags=tags)
        wanted = dict.fromkeys(scripted, "ready") | {failed: "failed", real: "reboot-required"}
        fleet.wait_for(wanted, "the fleet is enrolled")
        assert "No mirror." in json.dumps(fleet.hangdump("why", failed))

        # ---- what was mended and rebooted, and a new member of a group
        failing.is_mended = True
        guest.reboot()
        guest.wait_until_answers()
        fleet.make_due(failed, real)
        member = account.add_instance(SimulatedHost().machine, tags={**ENROLLED, "aws:autoscaling:groupName": "web"})
        everybody = [*scripted, failed, real, member]
        fleet.wait_for(dict.fromkeys(everybody, "ready"), "the new member and the mended are ready")

        # ---- a changed setting
        old = {row["configurationId"] for row in fleet.rows().values()}
        assert len(old) == 1
        fleet.deploy({"dumpLevel": 17})
        account.start_execution("EnrolFleet", {})

        def have_followed() -> bool:
            rows = [fleet.rows()[each] for each in everybody]
            return all(row["status"] == "ready" and row["configurationId"] not in old for row in rows)

        wait_until(have_followed, what="the changed setting reaches all", timeout_seconds=ENROLMENT_SECONDS)
        assert "-d 17" in _said(guest, "#!/bin/sh\ngrep ^MAKEDUMP_ARGS /etc/default/kdump-tools\n")
        assert int(_said(guest, RESERVED)) > 0

        # ---- out
        retired = fleet.hangdump("retire", real, "--yes")
        assert (retired["isRetired"], retired["left"], retired["keptVolumes"]) == (True, [], []), retired
        assert retired["bytesGivenBack"] > 0
        assert int(_said(guest, RESERVED)) == 0
        difference = "\n".join(unified_diff(before.splitlines(), _said(guest, STATE).splitlines(), n=0))
        assert not difference, difference
        uninstalled = fleet.hangdump("uninstall", "--yes")
        assert [each["isRetired"] for each in uninstalled["instances"]] == [True] * (SCRIPTED + 1), uninstalled
        named = [{"Name": "tag-key", "Values": ["hangdump:enrolled"]}]
        assert account.client("ec2").describe_instances(Filters=named)["Reservations"] == []
        ours = [{"Name": "tag-key", "Values": ["hangdump:instance-id"]}]
        assert account.client("ec2").describe_volumes(Filters=ours)["Volumes"] == []
