"""Who may do what: least privilege, and nothing for the instances."""

import json
from typing import Any

import pytest

from tests.infra.template import CHILDREN, MACHINES, Template, actions, flatten, resources
from tests.infra.test_template import key_of_vmcores

ENROLLED_ONLY = {"aws:ResourceTag/hangdump:enrolled": "true"}

# Reads that take no resource; everything else names what it acts on.
UNLIMITED = {
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeAutoScalingInstances",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:DescribeAlarmsForMetric",
    "cloudwatch:GetMetricData",
    "dynamodb:ListStreams",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceCreditSpecifications",
    "ec2:DescribeInstances",
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeSnapshots",
    "ec2:DescribeVolumes",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "ssm:DescribeInstanceInformation",
    "ssm:GetCommandInvocation",
    "ssm:ListCommandInvocations",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}


COLLECTOR = {
    "StringEquals": {"ssm:resourceTag/hangdump:stack": "Hangdump"},
    "Null": {"ssm:resourceTag/hangdump:rescue": "false"},
}
DUMP_VOLUME = {
    "StringEquals": {"aws:ResourceTag/hangdump:stack": "Hangdump"},
    "Null": {"aws:ResourceTag/hangdump:instance-id": "false"},
}
MADE_BY_AN_EXECUTION = {
    "StringEquals": {"aws:ResourceTag/hangdump:stack": "Hangdump"},
    "Null": {
        "aws:ResourceTag/hangdump:rescue": "false",
        "aws:ResourceTag/hangdump:enrolled": "true",
        "aws:ResourceTag/hangdump:instance-id": "true",
    },
}
TWIN_OF_A_DRILL = {
    "StringEquals": {"aws:ResourceTag/hangdump:stack": "Hangdump"},
    "Null": {
        "aws:ResourceTag/hangdump:rescue": "false",
        "aws:ResourceTag/hangdump:drill": "false",
        "aws:ResourceTag/hangdump:instance-id": "true",
    },
}
TO_BE_HUNG = {
    "StringEquals": {"ssm:resourceTag/hangdump:stack": "Hangdump"},
    "Null": {"ssm:resourceTag/hangdump:rescue": "false", "ssm:resourceTag/hangdump:drill": "false"},
}
# As a rescue, an analysis or a drill makes it.
MARKED = {
    "StringEquals": {"aws:RequestTag/hangdump:stack": "Hangdump"},
    "Null": {"aws:RequestTag/hangdump:rescue": "false"},
}


def test_no_instance_role_gets_anything(template: Template) -> None:
    """The one role and profile for EC2 is that of short-lived instances, for Systems Manager; no policy is there for
    others."""
    trusted = [
        principal
        for role in template.of_type("AWS::IAM::Role").values()
        for statement in role["AssumeRolePolicyDocument"]["Statement"]
        for principal in [statement["Principal"]]
    ]
    services = [each["Service"] for each in trusted if "Service" in each]
    # EventBridge starts EnrolFleet.
    assert set(services) == {f"{each}.amazonaws.com" for each in ("lambda", "states", "ec2", "events")}
    (collector_id,) = [
        logical_id
        for logical_id, role in template.of_type("AWS::IAM::Role").items()
        if role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "ec2.amazonaws.com"}
    ]
    collector = template.resources[collector_id]["Properties"]
    (policy,) = collector["ManagedPolicyArns"]
    assert flatten(policy).endswith(":iam::aws:policy/AmazonSSMManagedInstanceCore")
    assert "Policies" not in collector
    assert template.statements(collector_id) == []
    (profile,) = template.of_type("AWS::IAM::InstanceProfile").values()
    assert profile["Roles"] == [{"Ref": collector_id}]
    # What signs URLs for an instance, or for an analysis host, is assumed by one function of this stack each.
    signers = sorted(each["AWS"]["Fn::GetAtt"][0] for each in trusted if "Service" not in each)
    assert len(signers) == 2
    for role_id, function in zip(signers, ("plananalysis", "planupload"), strict=True):
        assert function in role_id
        assert template.resources[role_id]["Type"] == "AWS::IAM::Role"
    unwanted = ("AWS::IAM::User", "AWS::IAM::AccessKey")
    assert [each["Type"] for each in template.resources.values() if each["Type"] in unwanted] == []


def test_the_policies_for_people_are_attached_to_nobody_and_reach_no_dump_and_no_interrupt(template: Template) -> None:
    policies = template.of_type("AWS::IAM::ManagedPolicy")
    assert len(policies) == 2
    for policy in policies.values():
        assert not {"Roles", "Users", "Groups"} & set(policy)
        granted = {action for each in policy["PolicyDocument"]["Statement"] for action in actions(each)}
        assert not {each for each in granted if each.split(":")[0] in ("s3", "kms", "iam", "sts")}
        assert "ec2:SendDiagnosticInterrupt" not in granted
        # IAM counts the characters of a managed policy, without blanks.
        assert len(json.dumps(policy["PolicyDocument"], separators=(",", ":"))) < 6144


def test_an_operator_writes_on_instances_the_owners_tag_alone(template: Template) -> None:
    statements = [
        each
        for policy in template.of_type("AWS::IAM::ManagedPolicy").values()
        for each in policy["PolicyDocument"]["Statement"]
        if {"ec2:CreateTags", "ec2:DeleteTags"} & set(actions(each))
    ]
    # It is set by the operator, and removed by RetireInstance.
    assert [actions(each) for each in statements] == [["ec2:CreateTags"]]
    for each in statements:
        assert each["Condition"]["ForAllValues:StringEquals"] == {"aws:TagKeys": ["hangdump:enrolled"]}


def test_bucket_and_key_let_in_nobody_but_the_account_itself(template: Template) -> None:
    for policy in template.of_type("AWS::S3::BucketPolicy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            is_log_delivery = statement["Principal"] == {"Service": "logging.s3.amazonaws.com"}
            assert statement["Effect"] == "Deny" or is_log_delivery
    key = template.of_type("AWS::KMS::Key")[key_of_vmcores(template)]
    for statement in key["KeyPolicy"]["Statement"]:
        assert flatten(statement["Principal"]["AWS"]).endswith(":iam::${AWS::AccountId}:root")


def test_the_documents_ask_the_instance_for_no_aws_credentials(template: Template) -> None:
    for document in template.of_type("AWS::SSM::Document").values():
        script = "\n".join(document["Content"]["mainSteps"][0]["inputs"]["runCommand"])
        for trace in ("aws s3", "AWS_ACCESS_KEY", "security-credentials", "s3api", "boto"):
            assert trace not in script, f"{document['Name']}: {trace}"


def test_only_enrolled_instances_can_be_interrupted(template: Template) -> None:
    found = [each for each in template.all_statements() if "ec2:SendDiagnosticInterrupt" in actions(each)]
    # respond_to_hang and send_diagnostic_interrupt
    assert len(found) == 2
    for statement in found:
        reads = {"ec2:GetConsoleOutput", "ec2:GetConsoleScreenshot"}
        assert set(actions(statement)) <= {"ec2:SendDiagnosticInterrupt"} | reads
        assert statement["Condition"] == {"StringEquals": ENROLLED_ONLY}


def test_only_the_screens_of_enrolled_instances_are_seen(template: Template) -> None:
    found = [each for each in template.all_statements() if "ec2:GetConsoleScreenshot" in actions(each)]
    assert [each["Condition"] for each in found] == [{"StringEquals": ENROLLED_ONLY}] * 2


def test_instances_are_moved_only_in_groups_that_opted_in_themselves(template: Template) -> None:
    moves = {"autoscaling:EnterStandby": 2, "autoscaling:ExitStandby": 1}
    for action, holders in moves.items():
        found = [each for each in template.all_statements() if action in actions(each)]
        assert len(found) == holders
        for statement in found:
            assert actions(statement) == [action]
            assert statement["Condition"] == {"StringEquals": ENROLLED_ONLY}
            (group,) = resources(statement)
            assert group.endswith(":autoScalingGroup:*:autoScalingGroupName/*")
    others = {action for each in template.all_statements() for action in actions(each) if "autoscaling:" in action}
    reads = {"autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingInstances"}
    assert others - set(moves) == reads


@pytest.mark.parametrize("function", ["respond_to_hang", "send_diagnostic_interrupt"])
def test_who_interrupts_writes_to_the_bucket_only_what_was_there_before(template: Template, function: str) -> None:
    found = [each for each in _of_function(template, function) if any(a.startswith("s3:") for a in actions(each))]
    (statement,) = found
    assert actions(statement) == ["s3:PutObject"]
    (where,) = resources(statement)
    assert where.endswith("/vmcores/*/before/*")


def test_only_enrolled_instances_can_be_started_and_only_by_the_collection(template: Template) -> None:
    (statement,) = [each for each in template.all_statements() if "ec2:StartInstances" in actions(each)]
    # The latter two for a volume that is made from a parked one.
    assert actions(statement) == ["ec2:AttachVolume", "ec2:DetachVolume", "ec2:StartInstances"]
    assert statement["Condition"] == {"StringEquals": ENROLLED_ONLY}
    assert statement in template.statements(_role_of_machine(template, "CollectVmcore"))


def test_a_key_can_be_lent_to_ec2_alone(template: Template) -> None:
    found = [each for each in template.all_statements() if "kms:CreateGrant" in actions(each)]
    for statement in found:
        assert flatten(statement["Condition"]["StringEquals"]["kms:ViaService"]).startswith("ec2.")
    # To start an instance, and to attach a new volume.
    lent = [each for each in found if actions(each) == ["kms:CreateGrant"]]
    assert len(lent) == 2
    for statement in lent:
        assert statement["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}
    # To launch from an encrypted snapshot, or with an encrypted root, takes more.
    launches = [each for each in found if each not in lent]
    assert len(launches) == 3
    for machine in LAUNCHING:
        assert any(each in template.statements(_role_of_machine(template, machine)) for each in launches)


LAUNCHING = ("RescueVmcore", "AnalyzeVmcore", "DrillDump")


def _making(template: Template) -> list[dict[str, Any]]:
    """What makes snapshots and instances, of any role."""
    making = {"ec2:CreateSnapshot", "ec2:RunInstances"}
    return [each for each in template.all_statements() if making & set(actions(each))]


def test_only_a_rescue_an_analysis_and_a_drill_make_things_and_only_what_they_mark(template: Template) -> None:
    roles = [_role_of_machine(template, name) for name in LAUNCHING]
    allowed = [statement for role in roles for statement in template.statements(role)]
    parking = template.statements(_role_of_machine(template, "ProvisionDumpVolume"))
    for statement in _making(template):
        if statement in parking and statement not in allowed:
            assert _takes_snapshots_of_dump_volumes_alone(statement)
            continue
        assert statement in allowed
        condition = statement.get("Condition", {})
        for resource in resources(statement):
            kind = resource.rsplit(":", 1)[1].split("/")[0]
            if kind in ("image", "subnet", "security-group", "network-interface"):
                continue
            of_stack = {"StringEquals": {"aws:ResourceTag/hangdump:stack": "Hangdump"}}
            expected = of_stack if (actions(statement), kind) == (["ec2:CreateSnapshot"], "volume") else MARKED
            if (actions(statement), kind) == (["ec2:RunInstances"], "snapshot"):
                expected = MADE_BY_AN_EXECUTION
            for operator, keys in expected.items():
                assert condition[operator].items() >= keys.items(), resource


def _takes_snapshots_of_dump_volumes_alone(statement: Any) -> bool:
    """Of volumes of this stack; what is made has the tags of a dump volume."""
    if any(":volume/" in resource for resource in resources(statement)):
        return bool(statement["Condition"] == {"StringEquals": {"aws:ResourceTag/hangdump:stack": "Hangdump"}})
    made = {
        "StringEquals": {"aws:RequestTag/hangdump:stack": "Hangdump"},
        "Null": {"aws:RequestTag/hangdump:instance-id": "false"},
    }
    return actions(statement) == ["ec2:CreateSnapshot"] and statement["Condition"] == made


@pytest.mark.parametrize(
    ("machine", "types", "image"),
    [
        ("RescueVmcore", "m5.large", {"StringEquals": {"ec2:Owner": "amazon"}}),
        # A twin has the image of its instance, which may be any.
        ("AnalyzeVmcore", ["m5.large", "m6g.large"], None),
        # Of a drill it has the type, too.
        ("DrillDump", None, None),
    ],
)
def test_what_is_launched_is_of_our_types_with_our_profile_and_only_the_newer_metadata(
    template: Template, machine: str, types: Any, image: Any
) -> None:
    found = [each for each in template.statements(_role_of_machine(template, machine)) if each in _making(template)]
    (instances,) = [each for each in found if any(":instance/" in resource for resource in resources(each))]
    assert "ec2:InstanceProfile" in instances["Condition"]["ArnEquals"]
    assert instances["Condition"]["StringEquals"].get("ec2:InstanceType") == types
    assert instances["Condition"]["StringEqualsIfExists"] == {"ec2:MetadataHttpTokens": "required"}
    (images,) = [each for each in found if any(":image/" in resource for resource in resources(each))]
    assert images.get("Condition") == image


@pytest.mark.parametrize("machine", ["AnalyzeVmcore", "DrillDump"])
def test_a_twin_has_encrypted_disks_only(template: Template, machine: str) -> None:
    granted = template.statements(_role_of_machine(template, machine))
    (volumes,) = [
        each
        for each in granted
        if actions(each) == ["ec2:RunInstances"] and any(":volume/" in resource for resource in resources(each))
    ]
    assert volumes["Condition"]["Bool"] == {"ec2:Encrypted": "true"}


def test_a_short_lived_instance_gets_the_one_role_for_it_and_no_other(template: Template) -> None:
    found = [each for each in template.all_statements() if "iam:PassRole" in actions(each)]
    assert len(found) == 3
    for statement in found:
        assert statement["Condition"]["StringEquals"]["iam:PassedToService"]
        (role,) = resources(statement)
        assert "RescueVmcoreCollectorRole" in role


def test_commands_are_run_with_our_documents_on_instances_only_that_were_given_for_them(template: Template) -> None:
    found = [each for each in template.all_statements() if "ssm:SendCommand" in actions(each)]
    assert found
    hosts = 0
    for statement in found:
        assert actions(statement) == ["ssm:SendCommand"]
        for resource in resources(statement):
            if ":instance/" in resource:
                given = {"StringEquals": {"ssm:resourceTag/hangdump:analysis-host": "true"}}
                enrolled = {"StringEquals": {"ssm:resourceTag/hangdump:enrolled": "true"}}
                assert statement["Condition"] in (enrolled, COLLECTOR, TO_BE_HUNG, given)
                hosts += statement["Condition"] == given
            else:
                assert ":document/${Documents" in resource
    assert hosts == 1, "vmcores are sent by AnalyzeVmcore alone"


@pytest.mark.parametrize(
    ("function", "documents"),
    [("respond_to_hang", 1), ("send_diagnostic_interrupt", 0), ("watch_dump", 1), ("conclude_incident", 0)],
)
def test_a_function_may_run_the_probe_at_most(template: Template, function: str, documents: int) -> None:
    granted = [
        resource
        for statement in _of_function(template, function)
        if "ssm:SendCommand" in actions(statement)
        for resource in resources(statement)
        if ":document/" in resource
    ]
    assert len(granted) == documents
    assert all("probeinstance" in resource for resource in granted)


def test_only_volumes_of_this_stack_are_touched(template: Template) -> None:
    for statement in template.all_statements():
        for resource in resources(statement):
            if not resource.endswith(":volume/*"):
                continue
            assert statement["Condition"]["StringEquals"] in (
                {"aws:ResourceTag/hangdump:stack": "Hangdump"},
                {"aws:RequestTag/hangdump:stack": "Hangdump"},
                {"ec2:CreateAction": "CreateVolume"},
                {"ec2:CreateAction": "RunInstances"},
            )


@pytest.mark.parametrize("function", ["sweep", "remove_rescue"])
def test_only_what_an_execution_of_this_stack_made_can_be_removed(template: Template, function: str) -> None:
    """A dump volume has no such tag: not even a sweep gone wrong could delete one."""
    removals = {"ec2:TerminateInstances", "ec2:DeleteSnapshot", "ec2:DeleteVolume"}
    found = [each for each in _of_function(template, function) if removals & set(actions(each))]
    assert {action for each in found for action in actions(each)} == removals
    for statement in found:
        # The twin of a drill is enrolled, by the drill.
        is_twin = actions(statement) == ["ec2:TerminateInstances"] and statement["Condition"] == TWIN_OF_A_DRILL
        # The snapshot of a parked dump volume is empty.
        is_parked = actions(statement) == ["ec2:DeleteSnapshot"] and statement["Condition"] == DUMP_VOLUME
        assert is_twin or is_parked or statement["Condition"] == MADE_BY_AN_EXECUTION


def test_only_a_drill_that_is_over_and_retirements_and_failed_provisionings_delete_dump_volumes(
    template: Template,
) -> None:
    (deletion,) = [each for each in _of_function(template, "conclude_drill") if "ec2:DeleteVolume" in actions(each)]
    assert actions(deletion) == ["ec2:DeleteVolume"]
    assert deletion["Condition"]["Null"] == {"aws:ResourceTag/hangdump:instance-id": "false"}


def test_only_a_drill_may_send_the_document_that_hangs_and_only_to_a_twin(template: Template) -> None:
    found = [
        each for each in template.all_statements() if any("hanginstance" in resource for resource in resources(each))
    ]
    (statement,) = found
    granted = template.statements(_role_of_machine(template, "DrillDump"))
    assert statement in granted
    targets = [
        each
        for each in granted
        if "ssm:SendCommand" in actions(each) and any(":instance/" in resource for resource in resources(each))
    ]
    assert [each["Condition"] for each in targets] == [TO_BE_HUNG]


def test_volumes_can_only_be_created_encrypted(template: Template) -> None:
    found = [each for each in template.all_statements() if "ec2:CreateVolume" in actions(each)]
    of_volumes = [each for each in found if any(":volume/" in resource for resource in resources(each))]
    # By ProvisionDumpVolume, and by CollectVmcore from a parked one.
    assert len(of_volumes) == 2
    for statement in of_volumes:
        assert statement["Condition"]["Bool"] == {"ec2:Encrypted": "true"}
    (from_snapshots,) = [each for each in found if each not in of_volumes]
    assert from_snapshots["Condition"] == DUMP_VOLUME


def test_on_instances_no_other_tags_than_ready_and_disarmed_are_written_and_the_opt_in_is_only_removed(
    template: Template,
) -> None:
    tagging = {"ec2:CreateTags", "ec2:DeleteTags"}
    found = [
        each
        for each in template.all_statements()
        if tagging & set(actions(each)) and any(":instance/" in resource for resource in resources(each))
    ]
    # What is launched is tagged as it is made, and never again.
    found = [each for each in found if each["Condition"] != {"StringEquals": {"ec2:CreateAction": "RunInstances"}}]
    ready = ["hangdump:ready", "hangdump:ready-kernel", "hangdump:ready-config"]
    keys = [each["Condition"]["ForAllValues:StringEquals"]["aws:TagKeys"] for each in found]
    opt_in = ["hangdump:enrolled"]
    assert sorted(keys) == [["hangdump:disarmed"], opt_in, *[ready] * 6]
    (removal,) = [each for each in found if each["Condition"]["ForAllValues:StringEquals"]["aws:TagKeys"] == opt_in]
    assert (actions(removal), removal["Condition"]["Null"]) == (["ec2:DeleteTags"], {"aws:TagKeys": "false"})
    assert removal in template.statements(_role_of_machine(template, "RetireInstance"))


def test_leases_and_records_of_volumes_are_all_that_provisioning_sees_of_the_table(template: Template) -> None:
    role = _role_of_machine(template, "ProvisionDumpVolume")
    found = [each for each in template.statements(role) if any(a.startswith("dynamodb:") for a in actions(each))]
    keys = {
        key: set(actions(each))
        for each in found
        for key in each["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    }
    assert keys == {
        "provisioning#*": {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"},
        "dump-volume#*": {"dynamodb:PutItem"},
        "parked#*": {"dynamodb:PutItem", "dynamodb:DeleteItem"},
    }


def test_no_statement_grants_a_whole_service(template: Template) -> None:
    for statement in template.all_statements():
        assert statement["Effect"] == "Allow"
        assert [action for action in actions(statement) if "*" in action] == []


# PutMetricData takes no resource.
OUR_METRICS = {"StringEquals": {"cloudwatch:namespace": "Hangdump"}}


def test_only_reads_are_granted_on_everything(template: Template) -> None:
    for statement in template.all_statements():
        if actions(statement) == ["cloudwatch:PutMetricData"]:
            assert statement["Condition"] == OUR_METRICS
        elif "*" in resources(statement):
            assert set(actions(statement)) - UNLIMITED == set()


def test_no_function_can_read_vmcores_but_those_that_move_them(template: Template) -> None:
    readers = {
        function["FunctionName"]
        for function in template.of_type("AWS::Lambda::Function").values()
        for statement in template.statements(template.role_of(function))
        if "s3:GetObject" in actions(statement)
        if any(resource.endswith(("/vmcores/*", "/vmcore")) for resource in resources(statement))
    }
    assert readers == {f"Hangdump-{each}" for each in ("verify_vmcore", "open_vmcore")}


def test_what_draws_reports_reads_objects_by_their_names(template: Template) -> None:
    (function,) = [
        each
        for each in template.of_type("AWS::Lambda::Function").values()
        if each["FunctionName"] == "Hangdump-render_report"
    ]
    granted = template.statements(template.role_of(function))

    def names(action: str) -> set[str]:
        allowed = [resource for each in granted if action in actions(each) for resource in resources(each)]
        return {resource.rpartition("/")[2] for resource in allowed}

    assert "incident.json" in names("s3:GetObject")
    assert {"*", "vmcore"}.isdisjoint(names("s3:GetObject"))
    assert names("s3:PutObject") == {"report.html", "index.html"}


def test_every_task_of_a_machine_is_allowed_by_its_role(template: Template) -> None:
    """A right that was forgotten is otherwise only seen when the state runs."""
    for name in (*MACHINES, *CHILDREN):
        granted = template.statements(_role_of_machine(template, name.partition(" / ")[0]))
        allowed = {action.lower() for statement in granted for action in actions(statement)}
        callable_functions = {
            resource
            for statement in granted
            if "lambda:InvokeFunction" in actions(statement)
            for resource in resources(statement)
        }
        for state, task in template.machine(name).tasks().items():
            resource = task["Resource"]
            if "aws-sdk" in resource:
                service, action = resource.split(":")[-2:]
                service = {"sfn": "states"}.get(service, service)
                assert f"{service}:{action}".lower() in allowed, state
            else:
                assert resource in callable_functions, state


def _of_function(template: Template, verb_phrase: str) -> list[dict[str, Any]]:
    (function,) = [
        each
        for each in template.of_type("AWS::Lambda::Function").values()
        if each["FunctionName"] == f"Hangdump-{verb_phrase}"
    ]
    return template.statements(template.role_of(function))


def _role_of_machine(template: Template, name: str) -> str:
    (machine,) = [
        each
        for each in template.of_type("AWS::StepFunctions::StateMachine").values()
        if each["StateMachineName"] == name
    ]
    return template.role_of(machine, "RoleArn")
