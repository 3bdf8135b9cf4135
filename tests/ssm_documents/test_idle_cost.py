"""An idle parked volume costs a fiftieth of an attached one at most, by the blocks that its making really writes.

UPDATE_SNAPSHOTS=1 writes results/idle-cost.json, README.md and docs/parked-volume.md.
"""

import os
from pathlib import Path

from tests.ssm_documents import idle_cost


def test_a_parked_volume_costs_a_fiftieth_of_an_attached_one_at_most(tmp_path: Path) -> None:
    costs = [
        idle_cost.measure(memory, file_system, tmp_path / f"{memory}-{file_system}")
        for memory in idle_cost.MEMORY_GIB
        for file_system in idle_cost.FILE_SYSTEMS
    ]
    if os.environ.get("UPDATE_SNAPSHOTS"):
        idle_cost.note(costs)
    assert [each for each in costs if each.parked_usd > each.attached_usd / 50] == []


def test_the_pages_show_what_was_measured() -> None:
    table = idle_cost.table(idle_cost.read())
    for page in idle_cost.PAGES:
        shown = page.read_text(encoding="utf-8").partition(idle_cost.BEGIN)[2].partition(idle_cost.END)[0]
        assert shown == table, page.name
