"""The events of real incidents on the default bus: which, in which order, once each, and as their schema says."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import jsonschema

from lab.simulator.injection import Fault, Site
from lab.simulator.scheduler import scheduler
from lab.simulator.world import World
from lambdas.events.schema import SOURCE, TYPES, Chat
from lambdas.runtime.stack_parameter import Output
from tests.simulator.faults.scenarios import SCENARIOS

SCHEMAS = {each.type.value: each.model_json_schema(by_alias=True) for each in TYPES}


def subscribed(world: World) -> Callable[[], list[dict[str, Any]]]:
    """What a subscriber of the bus gets from now on, by a rule and a topic of its own."""
    topic = world.account.client("sns").create_topic(Name="subscriber")["TopicArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish"}
    policy = json.dumps({"Statement": [{**allow, "Resource": topic}]})
    world.account.client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    events = world.account.client("events")
    events.put_rule(Name="subscriber", EventPattern=json.dumps({"source": [SOURCE]}))
    events.put_targets(Rule="subscriber", Targets=[{"Id": "topic", "Arn": topic}])
    return lambda: [json.loads(each.message) for each in world.account.notifications if each.topic_arn == topic]


def test_a_captured_hang_is_four_events_in_their_order(world: World) -> None:
    published = subscribed(world)
    SCENARIOS["hang"](world)

    events = published()
    assert [each["detail-type"] for each in events] == [
        "Incident Opened",
        "Interrupt Sent",
        "Dump Saved",
        "Incident Concluded",
    ]
    for each in events:
        jsonschema.validate(each["detail"], SCHEMAS[each["detail-type"]])
    assert len({each["detail"]["incidentId"] for each in events}) == 1
    assert events[3]["detail"]["verdict"] == "captured"
    assert events[2]["detail"]["vmcore"] == events[3]["detail"]["vmcore"]


def test_the_chat_topic_gets_the_finished_message_of_each_event(world: World) -> None:
    published = subscribed(world)
    SCENARIOS["hang"](world)

    topic = world.outputs[Output.CHAT_TOPIC]
    messages = [json.loads(each.message) for each in world.account.notifications if each.topic_arn == topic]
    assert messages == [each["detail"]["chat"] for each in published()]
    assert len({each["metadata"]["threadId"] for each in messages}) == 1
    for each in messages:
        Chat.model_validate(each)


def test_an_event_that_the_bus_did_not_take_comes_later_and_once(world: World) -> None:
    published = subscribed(world)
    site = Site("publish_events", "events:PutEvents")
    world.injection.begin([Fault(site, "refused", "InternalException", times=20)])

    SCENARIOS["hang"](world)

    assert Counter(each["detail"]["eventId"] for each in published()).most_common(1)[0][1] == 1
    assert [each["detail-type"] for each in published()][-1] == "Incident Concluded"


def test_the_way_of_an_instance_to_readiness_is_told_and_people_hear_of_it_when_they_are_needed(world: World) -> None:
    published = subscribed(world)
    world.let_enrol()
    host, instance_id = world.add_host(is_reserved=True)
    host.fails_with["configure_kdump"] = {"error": "PackageUnavailable", "message": "No mirror."}
    for _ in range(2):
        world.ring()
        world.settle()
        host.fails_with.clear()
        scheduler.sleep(3600)

    told = [each for each in published() if each["detail"]["instanceId"] == instance_id]
    assert [each["detail-type"] for each in told] == ["Readiness Changed"] * 2
    assert [each["detail"]["status"] for each in told] == ["failed", "ready"]
    for each in told:
        jsonschema.validate(each["detail"], SCHEMAS[each["detail-type"]])
    topic = world.outputs[Output.CHAT_TOPIC]
    (message,) = [json.loads(each.message) for each in world.account.notifications if each.topic_arn == topic]
    assert message == told[0]["detail"]["chat"]
    assert "No mirror." in message["content"]["title"]
