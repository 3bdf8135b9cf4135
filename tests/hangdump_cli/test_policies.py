"""Both ways: viewer and operator may run the commands that are theirs, and nothing is granted that no command uses.

The stack's own policies decide each call, as in tests/variants/test_permissions.py.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from moto.sts.models import STSBackend

from lab.aws.iam.policy import Caller, as_list
from lab.simulator.scheduler import scheduler
from lab.simulator.world import World
from lambdas.runtime.stack_parameter import Output
from tests.hangdump_cli.runner import answer, hangdump

# What doctor tries although no policy here grants it: whether the caller may simulate, and whether S3 answers.
ASKED_IN_VAIN = {"iam:SimulatePrincipalPolicy", "s3:ListBucket"}


@contextmanager
def acting_as(world: World, output: Output) -> Iterator[str]:
    """The ARN of a role that has nothing but this policy; every call of the test is its own."""
    iam = world.account.client("iam")
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    name = output.name.lower()
    arn = str(iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"])
    iam.attach_role_policy(RoleName=name, PolicyArn=world.outputs[output])
    world.permissions.decisions.clear()
    scheduler.context["caller"] = Caller(name, arn)
    try:
        yield arn
    finally:
        del scheduler.context["caller"]


def _denied(world: World, role: str) -> set[str]:
    return {
        each.request.action
        for each in world.permissions.decisions.values()
        if each.denied and each.caller.role_arn == role
    }


def _unused(world: World, role: str, policy_arn: str) -> set[str]:
    """The grants of the policy without which every call would be answered all the same."""
    iam = world.account.client("iam")
    version = iam.get_policy_version(PolicyArn=policy_arn, VersionId="v1")["PolicyVersion"]["Document"]
    granted = {
        (number, action)
        for number, statement in enumerate(version["Statement"])
        for action in as_list(statement["Action"])
    }
    mine = [each for each in world.permissions.decisions.values() if each.caller.role_arn == role and not each.denied]
    needed = {use[2:] for each in mine for use in each.uses if each.without(*use[1:]) is not None}
    return {action for number, action in granted if (number, action) not in needed}


def _see(incident: str, instance: str, fresh: str) -> None:
    """Every command that only reads."""
    for command in (
        ["status"],
        ["fleet"],
        ["why", instance],
        ["why", fresh],
        ["incidents"],
        ["incident", incident],
        ["interrupts"],
        ["doctor"],
        ["enrol", "--plan", fresh],
        ["uninstall", "--plan"],
        # Without the parameter's help.
        ["status", "--stack", "Hangdump"],
    ):
        said = hangdump(*command)
        assert said.exit_code in (0, 1), (command, said.output)
        assert "AccessDenied" not in said.output, command


def test_a_viewer_sees_everything_and_nothing_is_granted_that_no_command_uses(world: World) -> None:
    world.hang()
    (incident,) = world.records()
    _, fresh = world.add_host(is_reserved=True)
    world.run("ProvisionDumpVolume", instanceId=fresh)
    # Its name holds no instance, so that it is described.
    world.start("CollectVmcore", instanceId=world.instance_id)

    with acting_as(world, Output.VIEWER_POLICY) as role:
        _see(incident, world.instance_id, fresh)

    assert _denied(world, role) <= ASKED_IN_VAIN
    assert _unused(world, role, world.outputs[Output.VIEWER_POLICY]) == set()


@pytest.mark.parametrize(
    "command",
    [
        ["interrupts", "off"],
        ["enrol", "FRESH"],
        ["interrupt", "READY", "--yes"],
        ["retire", "READY", "--yes"],
        ["drill", "READY", "--yes"],
        ["dump", "get", "ID"],
    ],
    ids=lambda each: each[0],
)
def test_a_viewer_changes_nothing_and_reads_no_dump(world: World, command: list[str], tmp_path: Path) -> None:
    world.hang()
    (incident,) = world.records()
    _, fresh = world.add_host(tags={}, is_reserved=True)
    names = {"FRESH": fresh, "READY": world.instance_id, "ID": incident}

    with acting_as(world, Output.VIEWER_POLICY):
        said = hangdump(*(names.get(each, each) for each in command))

    # What a dump lacks is told by analysis, which names the grants.
    assert said.exit_code == 3, said.output
    assert "AccessDenied" in said.stderr or "s3:GetObject" in said.stderr
    assert "Traceback" not in said.output


def test_an_operator_does_everything_but_read_dumps_and_nothing_is_granted_for_nothing(world: World) -> None:
    _, fresh = world.add_host(tags={}, is_reserved=True)
    _, other = world.add_host(is_reserved=True)
    world.host.hang()

    with acting_as(world, Output.OPERATOR_POLICY) as role:
        assert hangdump("enrol", fresh).exit_code == 0
        assert hangdump("interrupt", world.instance_id, "--yes").exit_code == 0
        for value in ("off", "on"):
            assert hangdump("interrupts", value).exit_code == 0
        assert hangdump("drill", fresh, "--yes").exit_code == 0
        assert hangdump("retire", other, "--yes").exit_code == 0
        incident = answer("incidents")["incidents"][0]["incidentId"]
        _see(incident, world.instance_id, fresh)
        dump = hangdump("dump", "get", incident)

    assert (dump.exit_code, "s3:GetObject" in dump.stderr) == (3, True)
    assert _denied(world, role) <= ASKED_IN_VAIN | {"s3:GetObject"}
    assert _unused(world, role, world.outputs[Output.OPERATOR_POLICY]) == set()


def test_an_operator_cannot_interrupt_past_the_rules(world: World) -> None:
    with acting_as(world, Output.OPERATOR_POLICY) as role:
        ec2 = world.account.client("ec2")
        with pytest.raises(Exception, match="UnauthorizedOperation"):
            ec2.send_diagnostic_interrupt(InstanceId=world.instance_id)
        with pytest.raises(Exception, match="UnauthorizedOperation"):
            ec2.create_tags(
                Resources=[world.instance_id], Tags=[{"Key": "hangdump:ready", "Value": "2026-11-30T00:00:00Z"}]
            )
    assert _denied(world, role) == {"ec2:SendDiagnosticInterrupt", "ec2:CreateTags"}


def test_doctor_tells_an_operator_what_he_may_when_iam_lets_him_ask(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with acting_as(world, Output.OPERATOR_POLICY) as role:
        iam = world.account.client("iam")
        scheduler.context["isByNobody"] = True
        statement = {"Effect": "Allow", "Action": "iam:SimulatePrincipalPolicy", "Resource": role}
        ask = {"Version": "2012-10-17", "Statement": [statement]}
        iam.put_role_policy(RoleName=role.rsplit("/", 1)[1], PolicyName="ask", PolicyDocument=json.dumps(ask))
        del scheduler.context["isByNobody"]
        # A session of the role, as a person has it.
        session = f"{role.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/')}/alice"
        monkeypatch.setattr(
            STSBackend, "get_caller_identity", lambda *_: ("AROA:alice", session, world.account.account_id)
        )
        said = hangdump("doctor")
    lines = {line.split("may ")[1][:8]: line for line in said.stdout.splitlines() if " may " in line}
    assert all("yes" in line for name, line in lines.items() if not name.startswith("read")), said.stdout
    assert "s3:GetObject is denied" in lines["read dum"]
