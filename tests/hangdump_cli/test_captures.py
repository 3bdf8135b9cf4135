"""README and docs show what the commands print. These are not typed: a stale one fails here.

`UPDATE_SNAPSHOTS=1 .venv/bin/python -m pytest tests/hangdump_cli/test_captures.py` writes them again.
"""

import os
import re
from pathlib import Path

from lab.simulator.scheduler import scheduler
from lab.simulator.world import ENROLLED, World
from tests.hangdump_cli.runner import hangdump

ROOT = Path(__file__).resolve().parents[2]
README, FLEET, DRILL = (ROOT / name for name in ("README.md", "docs/fleet.md", "docs/drill.md"))
_ID = re.compile(r"\b(i|vol|snap)-[0-9a-f]{17}\b")
# How long a call takes is random: a minute may have begun, or not. The lab's clock starts today.
_TIMES = {
    r"\d{4}-\d\d-\d\d \d\d:\d\d UTC": "2026-12-01 05:40 UTC",
    r"\d{4}-\d\d-\d\d(?= captured)": "2026-12-01",
    r"\b\d{8}T\d{6}Z": "20261201T043346Z",
    r"last ping .* ago": "last ping 4 min ago",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ": "2026-12-01T05:40:00Z",
    r"\bami-[0-9a-f]{17}\b": "ami-0123456789abcdef0",
}


def _block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<=<!-- {re.escape(name)} -->\n```text\n).*?(?=```\n)", re.DOTALL)


def _same_ids(text: str, seen: dict[str, str]) -> str:
    """The account makes them at random; each becomes the same one at every run, and keeps its length. So do times."""

    def named(match: re.Match[str]) -> str:
        return seen.setdefault(match[0], f"{match[1]}-0{len(seen) + 1:x}23456789abcdef0")

    for time, same in _TIMES.items():
        text = re.sub(time, same, text)
    return _ID.sub(named, text)


def _are_online(world: World) -> bool:
    """Whether no agent is a ping late."""
    seen = world.account.client("ssm").describe_instance_information()["InstanceInformationList"]
    return {each["PingStatus"] for each in seen} == {"Online"}


def _captures(world: World) -> dict[str, tuple[Path, str]]:
    """A hang that was captured, a fleet of three, one of which has a fault, and a drill. Page and text of each."""
    ec2 = world.account.client("ec2")
    ec2.create_tags(Resources=[world.instance_id], Tags=[{"Key": "Name", "Value": "db-1"}])
    world.hang()
    scheduler.sleep(3600)
    faulty_host, faulty = world.add_host(tags={**ENROLLED, "Name": "web-1"}, is_reserved=True)
    faulty_host.is_ready = False
    _, half = world.add_host(tags={**ENROLLED, "Name": "web-2"})
    _, fresh = world.add_host(tags={"Name": "web-3"})
    for instance in (faulty, half):
        world.run("ProvisionDumpVolume", instanceId=instance)
    scheduler.run(until=lambda: _are_online(world), seconds=600)
    seen: dict[str, str] = {}
    commands = {
        "status": (README, ["status"]),
        "fleet": (README, ["fleet"]),
        "why": (README, ["why", faulty]),
        "enrol plan": (README, ["enrol", "--plan", fresh]),
        "reboot plan": (FLEET, ["reboot", "--plan"]),
        "drill plan": (DRILL, ["drill", "--plan", world.instance_id]),
        "drill": (DRILL, ["drill", "--yes", world.instance_id]),
        "why proven": (DRILL, ["why", world.instance_id]),
        "park plan": (DRILL, ["enrol", "--plan", "--dump-volume", "parked", world.instance_id]),
        "park": (DRILL, ["enrol", "--dump-volume", "parked", world.instance_id]),
        "fleet parked": (DRILL, ["fleet"]),
    }
    return {
        name: (page, _same_ids(f"$ hangdump {' '.join(command)}\n{hangdump(*command).stdout}", seen))
        for name, (page, command) in commands.items()
    }


def test_the_pages_show_what_the_commands_print_today(world: World) -> None:
    captures = _captures(world)
    pages = {page: page.read_text(encoding="utf-8") for page, _ in captures.values()}
    if os.environ.get("UPDATE_SNAPSHOTS"):
        for name, (page, text) in captures.items():
            pages[page] = _block(name).sub(text.replace("\\", r"\\"), pages[page], count=1)
        for page, text in pages.items():
            page.write_text(text, encoding="utf-8")
    shown = {
        name: found[0] if (found := _block(name).search(pages[page])) else "" for name, (page, _) in captures.items()
    }
    assert shown == {name: text for name, (_, text) in captures.items()}, "see the docstring of this file"
