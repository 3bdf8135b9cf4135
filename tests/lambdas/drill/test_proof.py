"""The seconds of a drill's phases, from its own times and the incident's timeline."""

from lambdas.drill.proof import prove, seconds_of
from lambdas.incident.drill_keys import proof_key
from lambdas.incident.record import Incident, Verdict
from lambdas.runtime import moment

TIMES = {
    "startedAt": "2026-11-30T10:00:00.123Z",
    "onlineAt": "2026-11-30T10:02:00Z",
    "readyAt": "2026-11-30T10:07:00Z",
    "hungAt": "2026-11-30T10:12:00Z",
}
TIMELINE = [
    {"at": "2026-11-30T10:15:00Z", "event": "alarm"},
    {"at": "2026-11-30T10:16:00Z", "event": "decided"},
    {"at": "2026-11-30T10:16:01Z", "event": "interrupt-sent"},
    {"at": "2026-11-30T10:18:01Z", "event": "online"},
    {"at": "2026-11-30T10:18:11Z", "event": "upload-started"},
    {"at": "2026-11-30T10:18:41Z", "event": "verified"},
]


def test_a_phase_lasts_until_the_event_that_ends_it() -> None:
    assert seconds_of(TIMES, TIMELINE) == {
        "launch": 120,
        "provision": 300,
        "settle": 300,
        "hangToDecision": 240,
        "interrupt": 1,
        "dump": 120,
        "find": 10,
        "upload": 30,
    }


def test_a_drill_that_came_half_way_has_the_seconds_of_that_half() -> None:
    assert seconds_of({"startedAt": TIMES["startedAt"], "onlineAt": TIMES["onlineAt"]}, []) == {"launch": 120}


def test_an_event_that_comes_again_does_not_lengthen_its_phase() -> None:
    again = [*TIMELINE, {"at": "2026-11-30T11:00:00Z", "event": "online"}]
    assert seconds_of(TIMES, again) == seconds_of(TIMES, TIMELINE)


def test_a_proof_is_of_the_type_family_not_of_the_size() -> None:
    keys = {
        proof_key(image_id="ami-1", instance_type=each, kernel="6.1", configuration_id="c")
        for each in ("m5.large", "m5.4xlarge")
    }
    assert keys == {"proof#ami-1#m5#6.1#c"}


def test_a_proof_says_what_the_drill_used_from_its_start_to_its_conclusion() -> None:
    proof = prove(
        {"imageId": "ami-1", "instanceType": "m5.large", "hang": "panic"},
        Incident(incident_id="20261130T101200Z-i-1", verdict=Verdict.CAPTURED),
        kernel="6.1",
        configuration_id="c",
        volume_gib=24,
        times=TIMES,
        now=moment.parse("2026-11-30T10:20:00Z"),
    )
    assert (proof.instance_seconds, proof.volume_gib_seconds) == (1200, 24 * 1200)
