"""hang_instance on a real kernel: by default nothing on it answers any more, neither its agent nor the network."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab.guest import QemuGuest, wait_until
from ssm_documents.assemble import assemble, script_of
from tests.guest.conftest import UploadSink

pytestmark = [pytest.mark.guest, pytest.mark.nightly, pytest.mark.timeout(600)]

TWIN = "i-0123456789abcdef0"
TOKEN = f"hangdump-{'0123456789abcdef' * 3}"
# The metadata service, which the lab's guests have not.
METADATA = """#!/bin/bash
cat > /usr/local/bin/curl <<'CURL'
#!/bin/bash
case "$*" in
  *latest/api/token) echo token ;;
  *latest/meta-data/instance-id) echo TWIN ;;
  *latest/user-data) echo '# hangdump-drill TOKEN' ;;
  *latest/dynamic/instance-identity/document) echo '{"pendingTime" : "NOW"}' ;;
  *) exit 22 ;;
esac
CURL
chmod 755 /usr/local/bin/curl
"""


def test_the_default_way_silences_agent_and_network(guest_image: Path, upload_sink: UploadSink, tmp_path: Path) -> None:
    with QemuGuest(tmp_path / "guest", disk=guest_image, s3_port=upload_sink.port) as guest:
        guest.start()
        guest.wait_until_answers()
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata = METADATA.replace("TWIN", TWIN).replace("TOKEN", TOKEN).replace("NOW", now)
        assert guest.run(metadata, environment={}, timeout_seconds=60).exit_code == 0
        given = {"SSM_instanceId": TWIN, "SSM_token": TOKEN, "SSM_hang": "real-time"}

        done = guest.run(script_of(assemble("hang_instance")), environment=given, timeout_seconds=120)

        assert (done.exit_code, json.loads(done.stdout)["status"]) == (0, "hanging"), done
        wait_until(lambda: not guest.answers(5), what="the agent is starved", timeout_seconds=120)
        wait_until(lambda: not guest.answers_arp(2), what="the network is silent", timeout_seconds=60)
