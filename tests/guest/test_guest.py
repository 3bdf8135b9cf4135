"""The guest as a Machine: scripts, disks, network, power. One boot serves most tests."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lab.guest import QemuGuest, wait_until
from lab.machines.machine import Completed, MachineUnreachable
from tests.guest.conftest import UploadSink

pytestmark = pytest.mark.guest
VOLUME = "vol-0bbbbbbbbbbbbbbbb"
SERIAL = "vol0bbbbbbbbbbbbbbbb"


def shell(guest: QemuGuest, script: str, timeout_seconds: float = 120, **environment: str) -> Completed:
    return guest.run(f"#!/bin/bash\n{script}\n", environment=environment, timeout_seconds=timeout_seconds)


def test_looks_like_a_nitro_instance_booted_by_grub_from_nvme(live_guest: QemuGuest) -> None:
    seen = shell(live_guest, "cat /sys/class/dmi/id/sys_vendor; findmnt -no SOURCE /; cat /proc/cmdline").stdout
    vendor, root, command_line = seen.splitlines()
    assert vendor == "Amazon EC2"
    assert root == "/dev/nvme0n1p1"
    assert command_line.startswith("BOOT_IMAGE=/boot/vmlinuz-")
    assert "console=ttyS0" in command_line


def test_boots_without_a_failed_unit_and_without_kdump(live_guest: QemuGuest) -> None:
    seen = shell(live_guest, "systemctl is-system-running --wait; command -v makedumpfile kexec").stdout
    assert seen == "running\n", shell(live_guest, "systemctl --failed").stdout


def test_runs_a_script_as_a_file_and_keeps_its_streams_and_exit_code_apart(live_guest: QemuGuest) -> None:
    done = shell(live_guest, 'echo "out $SSM_a"; echo "err $(cat | wc -c)" >&2; [ -f "$0" ]; exit 7', SSM_a="b c'\"$")
    assert done == Completed(exit_code=7, stdout="out b c'\"$\n", stderr="err 0\n")


def test_kills_a_script_that_outlives_its_time(live_guest: QemuGuest) -> None:
    with pytest.raises(TimeoutError):
        shell(live_guest, "sleep 3210 & wait", timeout_seconds=3)
    assert shell(live_guest, "pgrep -f 'sleep 321[0]'").stdout == ""


def test_a_plugged_disk_shows_its_volume_id_as_serial_and_keeps_its_data(live_guest: QemuGuest) -> None:
    def disks() -> str:
        return shell(live_guest, "lsblk --nodeps --noheadings --output NAME,SERIAL,SIZE").stdout

    live_guest.attach_disk(VOLUME, 3, "/dev/sdf")
    wait_until(lambda: SERIAL in disks(), what="the disk in the guest", timeout_seconds=60)
    name, serial, size = next(line.split() for line in disks().splitlines() if SERIAL in line)
    assert (serial, size) == (SERIAL, "3G")
    assert shell(live_guest, f"echo kept | dd of=/dev/{name} conv=fsync status=none").exit_code == 0

    live_guest.detach_disk(VOLUME)
    wait_until(lambda: SERIAL not in disks(), what="the disk gone from the guest", timeout_seconds=60)
    live_guest.attach_disk(VOLUME, 3, "/dev/sdf")
    wait_until(lambda: SERIAL in disks(), what="the disk back in the guest", timeout_seconds=60)
    name = next(line.split()[0] for line in disks().splitlines() if SERIAL in line)
    assert shell(live_guest, f"head -c 4 /dev/{name}").stdout == "kept"
    live_guest.detach_disk(VOLUME)


def test_a_disk_is_copied_as_it_is_while_the_guest_goes_on(live_guest: QemuGuest) -> None:
    def disk_of(volume_id: str) -> str:
        serial = volume_id.replace("-", "")
        listed = shell(live_guest, "lsblk --nodeps --noheadings --output NAME,SERIAL").stdout.splitlines()
        return next((line.split()[0] for line in listed if serial in line), "")

    original, copy = "vol-0aaaaaaaaaaaaaaa1", "vol-0aaaaaaaaaaaaaaa2"
    live_guest.attach_disk(original, 1, "/dev/sdf")
    name = wait_until(lambda: disk_of(original), what="the disk in the guest", timeout_seconds=60)
    assert shell(live_guest, f"echo before | dd of=/dev/{name} conv=fsync status=none").exit_code == 0

    live_guest.copy_disk(original, "snap-1")

    assert shell(live_guest, f"echo after. | dd of=/dev/{name} conv=fsync status=none").exit_code == 0
    live_guest.attach_disk(copy, 1, "/dev/sdg", snapshot_id="snap-1")
    name = wait_until(lambda: disk_of(copy), what="the copy in the guest", timeout_seconds=60)
    assert shell(live_guest, f"head -c 6 /dev/{name}").stdout == "before"
    for volume_id in (original, copy):
        live_guest.detach_disk(volume_id)


def test_uploads_reach_the_s3_forward_whole(live_guest: QemuGuest, upload_sink: UploadSink) -> None:
    done = shell(
        live_guest,
        "head -c 3000000 /dev/zero | curl -sf -T - http://10.0.2.100/b/k -H 'Transfer-Encoding:' "
        "-H 'Content-Length: 3000000'",
    )
    assert done.exit_code == 0, done
    assert upload_sink.objects["/b/k"] == bytes(3000000)


def test_reaches_nothing_but_the_two_forwards(live_guest: QemuGuest) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bystander:
        port = bystander.getsockname()[1]
        for target in (f"10.0.2.2:{port}", f"127.0.0.1:{port}", "10.0.2.100:22", "10.0.2.3:53", "192.0.2.1:80"):
            done = shell(live_guest, f"curl -s --max-time 3 --output /dev/null http://{target}")
            assert done.exit_code in {7, 28}, f"{target}: {done}"  # could not connect, or timed out
        bystander.settimeout(0)
        with pytest.raises(BlockingIOError):
            bystander.accept()
    assert shell(live_guest, "getent hosts example.com").exit_code != 0


def test_the_kernel_answers_arp_while_its_agent_is_stopped(live_guest: QemuGuest) -> None:
    assert live_guest.answers_arp(10)
    live_guest.stop_agent()
    assert (live_guest.answers_arp(10), live_guest.answers(3)) == (True, False)
    live_guest.reset()
    live_guest.wait_until_answers()


def test_without_its_link_the_guest_answers_neither_arp_nor_as_an_instance(live_guest: QemuGuest) -> None:
    live_guest.set_link(is_up=False)
    assert (live_guest.answers_arp(3), live_guest.answers(3)) == (False, False)
    with pytest.raises(MachineUnreachable):
        shell(live_guest, "true")
    live_guest.set_link(is_up=True)
    wait_until(lambda: live_guest.answers_arp(3), what="ARP is answered again", timeout_seconds=60)
    live_guest.wait_until_answers()


def test_its_work_is_counted_from_outside(live_guest: QemuGuest) -> None:
    before = live_guest.counters()
    assert shell(
        live_guest, "for i in {1..20}; do dd if=/dev/zero of=/root/x bs=4k count=1 oflag=dsync status=none; done"
    )
    after = live_guest.counters()
    assert before is not None
    assert after is not None
    assert after.processors == live_guest.hardware.cpus
    assert after.writes - before.writes >= 20
    assert after.cpu_seconds > before.cpu_seconds


def test_a_volume_whose_server_is_stopped_stalls_until_it_goes_on(live_guest: QemuGuest) -> None:
    volume_id = "vol-0bbbbbbbbbbbbbbb3"
    server = live_guest.serve_disk(volume_id, size_gib=1)
    live_guest.attach_disk(volume_id, 1, "/dev/sdf")
    find = f"disk=$(lsblk -dno NAME,SERIAL | grep {volume_id.replace('-', '')} | cut -d' ' -f1); [ -n \"$disk\" ]"
    wait_until(lambda: shell(live_guest, find).exit_code == 0, what="the disk in the guest", timeout_seconds=60)
    write = f"{find} && timeout 5 dd if=/dev/zero of=/dev/$disk bs=4k count=1 oflag=direct status=none"
    assert (shell(live_guest, write).exit_code, live_guest.stalled_volumes()) == (0, [])

    server.stall()
    assert live_guest.stalled_volumes() == [volume_id]
    live_guest.spawn(f"#!/bin/bash\n{write}\n")
    wait_until(lambda: "D" in shell(live_guest, "ps -C dd -o state=").stdout, what="dd in state D", timeout_seconds=60)
    server.go_on()
    wait_until(lambda: shell(live_guest, "pgrep -x dd").exit_code, what="the end of dd", timeout_seconds=60)
    assert live_guest.stalled_volumes() == []
    live_guest.detach_disk(volume_id)


METADATA = """
base=http://169.254.169.254/latest
token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $base/api/token)
curl -s -w ' %{http_code}' -H "X-aws-ec2-metadata-token: $token" $base/"$1"
"""


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("meta-data/instance-id", "i-0feedfacefeedface 200"),
        ("meta-data/instance-type", "t3.micro 200"),
        ("meta-data/placement/availability-zone", "eu-west-1c 200"),
        ("meta-data/placement/region", "eu-west-1 200"),
        ("meta-data/iam/security-credentials/", " 404"),
    ],
)
def test_the_metadata_service_tells_identity_and_no_credentials(live_guest: QemuGuest, path: str, answer: str) -> None:
    live_guest.identify(instance_id="i-0feedfacefeedface", availability_zone="eu-west-1c")
    assert shell(live_guest, f"set -- {path}{METADATA}").stdout == answer


def test_the_metadata_service_wants_a_token(live_guest: QemuGuest) -> None:
    url = "http://169.254.169.254/latest/meta-data/instance-id"
    assert shell(live_guest, f"curl -s -o /dev/null -w '%{{http_code}}' {url}").stdout == "401"


def test_holds_no_aws_credentials_and_no_aws_tools(live_guest: QemuGuest) -> None:
    done = shell(live_guest, "env | grep AWS; ls -d /root/.aws /home/*/.aws; command -v aws; python3 -c 'import boto3'")
    assert done.stdout == ""
    assert done.exit_code != 0


def test_a_reboot_ends_a_running_script_and_changes_the_boot_id(live_guest: QemuGuest) -> None:
    before = live_guest.boot_id()
    with pytest.raises(MachineUnreachable):
        shell(live_guest, "systemctl reboot; sleep 600", timeout_seconds=120)
    live_guest.wait_until_answers()
    assert live_guest.boot_id() != before
    assert live_guest.console().count("Linux version") >= 2


def test_a_power_off_from_inside_is_seen_and_start_brings_it_back(live_guest: QemuGuest) -> None:
    live_guest.spawn("#!/bin/sh\necho kept > /root/kept; systemctl poweroff\n")
    wait_until(lambda: not live_guest.is_running(), what="power off", timeout_seconds=120)
    assert not live_guest.answers(1)
    with pytest.raises(MachineUnreachable):
        shell(live_guest, "true")
    live_guest.start()
    live_guest.wait_until_answers()
    assert shell(live_guest, "cat /root/kept").stdout == "kept\n"


def test_stop_shuts_down_in_order(live_guest: QemuGuest) -> None:
    live_guest.stop()
    assert not live_guest.is_running()
    assert "reboot: Power down" in live_guest.console()[-4000:]


def test_dies_with_the_process_that_started_it(guest_image: Path, tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        import threading
        from pathlib import Path
        from lab.guest import QemuGuest
        guest = QemuGuest(Path({str(tmp_path)!r}), disk=Path({str(guest_image)!r}), s3_port=9)
        starter = threading.Thread(target=guest.start)
        starter.start()
        starter.join()
        print(guest.process_id, flush=True)
        input()
    """)
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        qemu = int(parent.stdout.readline())
        # The thread that called start has ended, and QEMU lives: it must outlive API threads, not the process.
        os.kill(qemu, 0)
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{qemu}/cmdline").exists(), what="QEMU's end", timeout_seconds=10)
