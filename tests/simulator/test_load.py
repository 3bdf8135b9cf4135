"""Many instances at once, against the request rates that AWS grants an account: slower, and nothing is lost."""

from collections import Counter

import pytest

from lab.simulator.injection import Site
from lab.simulator.request_rates import RequestRates
from lab.simulator.scheduler import scheduler
from lab.simulator.world import World
from tests.simulator.faults.scenarios import SCENARIOS

pytestmark = pytest.mark.nightly

MANY = 60


def limited(world: World) -> RequestRates:
    rates = RequestRates()
    rates.install(world.account._patches)
    return rates


def ends_of(world: World, machine: str) -> Counter[str]:
    """What its executions ended with, and how many with each."""
    ended = [each for each in world.executions() if each.state_machine.name == machine]
    return Counter((each.output or {}).get("status") or each.error or "" for each in ended)


def test_sixty_instances_provisioned_at_once_are_all_ready(world: World) -> None:
    rates = limited(world)
    hosts = [world.add_host(is_reserved=True)[1] for _ in range(MANY)]

    for each in hosts:
        world.start("ProvisionDumpVolume", instanceId=each)
    world.settle()

    assert ends_of(world, "ProvisionDumpVolume") == {"ready": MANY}
    assert sum(rates.throttled.values()) > MANY


# Where it begins: at the call that plans, and at the first of those after the interrupt.
@pytest.mark.parametrize(
    ("scenario", "caller", "machine", "ends_with"),
    [
        pytest.param("make_ready", "ProvisionDumpVolume / Plan dump volume", "ProvisionDumpVolume", "ready", id="plan"),
        pytest.param("hang", "CollectVmcore / Watch the dump", "CollectVmcore", "captured", id="watch"),
        pytest.param("fetch", "CollectVmcore / Plan upload", "CollectVmcore", "captured", id="upload"),
        pytest.param("rescue", "RescueVmcore / Plan rescue", "RescueVmcore", "rescued", id="rescue"),
    ],
)
def test_rates_that_others_use_up_for_a_minute_change_no_end(
    world: World, scenario: str, caller: str, machine: str, ends_with: str
) -> None:
    rates = limited(world)

    def use_up(site: Site) -> None:
        if site.caller == caller:
            rates.used_up_until = scheduler.now + 60

    world.injection.at_new_site = use_up

    SCENARIOS[scenario](world)

    assert rates.throttled
    output = world.last(machine)["output"]
    assert ends_with in (output.get("status"), output.get("verdict"))
