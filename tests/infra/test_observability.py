"""Dashboard, alarms on ourselves, saved queries: nothing is left out, and they ask only for what there can be.

That the functions really emit these metrics and really log these fields: tests/workflow/test_what_is_logged.py.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from infra.operations.saved_queries import OF_LAMBDA, OF_STEP_FUNCTIONS
from lab.aws.iam.policy import as_list
from lambdas.runtime.telemetry_names import BROKEN_DOWN_BY, NAMESPACE, SERVICE, Line, LogField, Metric
from tests.infra.template import Template, actions, flatten

# SEARCH('{Hangdump,service,verdict} MetricName="Incidents" service="hangdump"', 'Sum', 3600)
SEARCH = re.compile(
    rf"SEARCH\('\{{{NAMESPACE},service,(\w+)\}} MetricName=\"(\w+)\" service=\"{SERVICE}\"', '\w+', \d+\)"
)
AWS_METRICS = {
    "AWS/Lambda": {"Errors", "AsyncEventsDropped", "DestinationDeliveryFailures"},
    "AWS/States": {"ExecutionsFailed", "ExecutionsTimedOut"},
}


def dashboard(template: Template) -> list[dict[str, Any]]:
    (properties,) = template.of_type("AWS::CloudWatch::Dashboard").values()
    widgets: list[dict[str, Any]] = json.loads(flatten(properties["DashboardBody"]))["widgets"]
    return widgets


def drawn(template: Template) -> Iterator[list[Any]]:
    """Every metric of every graph, as CloudWatch writes them, without their options."""
    for widget in dashboard(template):
        yield from widget["properties"].get("metrics", [])


def alarms(template: Template) -> dict[str, dict[str, Any]]:
    return {each["AlarmName"]: each for each in template.of_type("AWS::CloudWatch::Alarm").values()}


def watched(alarm: dict[str, Any]) -> list[tuple[str, str, dict[str, str]]]:
    """(namespace, metric, dimensions) of an alarm."""
    metrics = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each] or [alarm]
    return [
        (each["Namespace"], each["MetricName"], {d["Name"]: flatten(d["Value"]) for d in each["Dimensions"]})
        for each in metrics
    ]


def own_metrics(template: Template) -> set[tuple[str, str]]:
    """(metric, dimension beside `service` or "") of all that is asked for in our namespace."""
    asked = {
        (name, "".join(sorted(set(dimensions) - {"service"})))
        for alarm in alarms(template).values()
        for namespace, name, dimensions in watched(alarm)
        if namespace == NAMESPACE
    }
    for line in drawn(template):
        if isinstance(line[0], dict):
            found = SEARCH.fullmatch(line[0]["expression"])
            assert found, line
            asked.add((found[2], found[1]))
        elif line[0] == NAMESPACE:
            assert line[2:4] == ["service", SERVICE]
            asked.add((line[1], ""))
    return asked


def queries(template: Template) -> dict[str, dict[str, Any]]:
    return {each["Name"]: each for each in template.of_type("AWS::Logs::QueryDefinition").values()}


def fields_asked(query: str) -> set[str]:
    """The fields that a query reads; what it names itself with `as`, functions and texts left out."""
    text = re.sub(r"'[^']*'|/[^/]*/", " ", query)
    made = set(re.findall(r"\bas (\w+)", text))
    words = set(re.findall(r"@?[A-Za-z_][\w.]*(?!\w*\()", text))
    keywords = {
        *("fields", "filter", "sort", "stats", "limit", "by", "as", "and", "or", "asc", "desc", "in", "like"),
        *("count", "count_distinct", "avg", "max", "latest", "bin", "ispresent", "d"),
    }
    return words - made - keywords


def test_our_metrics_are_asked_for_by_the_dimensions_that_they_have(template: Template) -> None:
    for name, dimension in own_metrics(template):
        assert dimension in ("", BROKEN_DOWN_BY.get(Metric(name), "")), name


def test_every_metric_of_ours_is_drawn_or_watched(template: Template) -> None:
    """One that nobody looks at is paid for nothing."""
    assert {name for name, _ in own_metrics(template)} == set(Metric)


def test_the_metrics_of_aws_are_those_it_documents(template: Template) -> None:
    for alarm in alarms(template).values():
        for namespace, name, _ in watched(alarm):
            assert namespace == NAMESPACE or name in AWS_METRICS[namespace]
    for line in drawn(template):
        if not isinstance(line[0], dict) and line[0] != NAMESPACE:
            assert line[1] in AWS_METRICS[line[0]]


def test_every_state_machine_and_function_is_on_the_dashboard(template: Template) -> None:
    lines = [line for line in drawn(template) if not isinstance(line[0], dict)]
    shown = {line[3] for line in lines if line[0] in AWS_METRICS}
    wanted = [*template.of_type("AWS::StepFunctions::StateMachine"), *template.of_type("AWS::Lambda::Function")]
    assert shown == {f"${{{each}}}" for each in wanted}


def test_every_alarm_on_ourselves_is_on_the_dashboard(template: Template) -> None:
    (status,) = [each for each in dashboard(template) if each["type"] == "alarm"]
    arns = {f"${{{logical_id}.Arn}}" for logical_id in template.of_type("AWS::CloudWatch::Alarm")}
    assert set(status["properties"]["alarms"]) == arns


def test_every_state_machine_is_watched_for_failures_and_time_outs(template: Template) -> None:
    found = {
        (dimensions["StateMachineArn"], name)
        for alarm in alarms(template).values()
        for namespace, name, dimensions in watched(alarm)
        if namespace == "AWS/States"
    }
    machines = template.of_type("AWS::StepFunctions::StateMachine")
    assert found == {(f"${{{each}}}", name) for each in machines for name in AWS_METRICS["AWS/States"]}


def test_every_function_that_nobody_waits_for_is_watched(template: Template) -> None:
    """For errors, for events that were given up, and for a topic that could not be told of that."""
    found = {
        (dimensions["FunctionName"], name)
        for alarm in alarms(template).values()
        for namespace, name, dimensions in watched(alarm)
        if namespace == "AWS/Lambda"
    }
    unattended = [flatten(each["FunctionName"]) for each in template.of_type("AWS::Lambda::EventInvokeConfig").values()]
    assert found == {(each, name) for each in unattended for name in AWS_METRICS["AWS/Lambda"]}


def test_an_alarm_tells_the_operators_topic_and_says_what_to_do(template: Template) -> None:
    (topic,) = [each for each in template.of_type("AWS::SNS::Topic") if each.startswith("OwnAlarms")]
    for name, alarm in alarms(template).items():
        assert alarm["AlarmActions"] == [{"Ref": topic}], name
        assert len(alarm["AlarmDescription"]) > 40, name
        # That prefix is of the alarms on instances, which the sweep may delete.
        assert not name.startswith("hangdump-")


def test_silence_is_an_alarm_for_the_sweep_alone(template: Template) -> None:
    silent = {name for name, each in alarms(template).items() if each["TreatMissingData"] == "breaching"}
    assert silent == {"Hangdump no sweep"}
    alarm = alarms(template)["Hangdump no sweep"]
    assert alarm["ComparisonOperator"] == "LessThanThreshold"
    # Every day: two of them, and no more than CloudWatch looks back.
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 2 * 24 * 3600 <= 7 * 24 * 3600


@pytest.mark.parametrize(
    ("construct", "service", "condition"),
    [
        pytest.param(
            "OwnAlarms",
            "cloudwatch.amazonaws.com",
            {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
            id="alarms",
        ),
        # It sends no key that a condition could compare.
        pytest.param("ChatMessages", "events.amazonaws.com", None, id="chat"),
    ],
)
def test_a_service_can_publish_to_its_topic_through_the_topics_key(
    template: Template, construct: str, service: str, condition: dict[str, Any] | None
) -> None:
    """It cannot where the account's own SNS key encrypts, nor where the topic's policy names nobody but TLS."""
    (topic_id,) = [each for each in template.of_type("AWS::SNS::Topic") if each.startswith(construct)]
    key_id = template.of_type("AWS::SNS::Topic")[topic_id]["KmsMasterKeyId"]["Fn::GetAtt"][0]
    of_key = template.of_type("AWS::KMS::Key")[key_id]["KeyPolicy"]["Statement"]
    allowed = [each for each in of_key if service in as_list(each["Principal"].get("Service", []))]
    assert [sorted(actions(each)) for each in allowed] == [["kms:Decrypt", "kms:GenerateDataKey*"]]
    (policy,) = [
        each["PolicyDocument"]["Statement"]
        for each in template.of_type("AWS::SNS::TopicPolicy").values()
        if each["Topics"] == [{"Ref": topic_id}]
    ]
    (publish,) = [each for each in policy if each["Effect"] == "Allow"]
    assert (publish["Principal"], publish["Action"]) == ({"Service": service}, "sns:Publish")
    assert publish.get("Condition") == condition


def test_queries_go_over_all_logs_of_their_kind(template: Template) -> None:
    groups = template.of_type("AWS::Logs::LogGroup")
    of_functions = {name for name, each in groups.items() if each["LogGroupName"].startswith("/aws/lambda/")}
    for name, query in queries(template).items():
        is_of_executions = name == "Hangdump/Failed executions"
        wanted = set(groups) - of_functions if is_of_executions else of_functions
        assert {each["Ref"] for each in query["LogGroupNames"]} == wanted, name
        # What one query may go over.
        assert len(query["LogGroupNames"]) <= 50


def test_queries_read_fields_that_there_are(template: Template) -> None:
    of_functions = {*LogField, *Line, *OF_LAMBDA}
    asked: set[str] = set()
    for name, query in queries(template).items():
        read = fields_asked(query["QueryString"])
        if name == "Hangdump/Failed executions":
            assert read <= set(OF_STEP_FUNCTIONS), name
            continue
        # durations.uploadSeconds
        read = {each.split(".")[0] if each.startswith(f"{LogField.DURATIONS}.") else each for each in read}
        assert read <= of_functions, name
        asked |= read
    # And none is logged for nobody.
    assert set(LogField) <= asked


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("fields @timestamp, a | filter b = 'c d' and ispresent(e)", {"@timestamp", "a", "b", "e"}),
        ("stats max(f.g) as h by bin(1d), i | sort h desc", {"f.g", "i"}),
        ("filter j like /k|L\\.[A-Z]/ or m in ['n']", {"j", "m"}),
    ],
)
def test_the_fields_of_a_query_are_really_found(query: str, fields: set[str]) -> None:
    assert fields_asked(query) == fields
