"""The check of the invariants itself: it judges an execution by the execution's own incident."""

from lab.simulator.injection import ALWAYS, Fault, Site
from lab.simulator.world import World
from tests.simulator.faults.matrix import run_once


def test_a_fetch_is_judged_by_its_own_incident_and_not_by_a_refusal_of_the_same_instance(original: World) -> None:
    """The twin's alarm was refused, and SNS refused to tell of it: Lambda told. The fetch of its vmcore told all."""
    mute = Fault(Site("respond_to_hang", "sns:Publish"), "refused", "InvalidSecurity", times=ALWAYS)

    judged = run_once(original, "drill_by_panic", [mute])

    assert judged["violations"] == []
    assert "CollectVmcore: captured" in judged["ends"]
