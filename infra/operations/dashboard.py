"""The CloudWatch dashboard: verdicts, durations of phases, refusals, the fleet's readiness, Hangdump's own health."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.operations.stack_parts import broken_down, functions, own_metric, state_machines
from infra.settings import Settings
from lambdas.runtime.telemetry_names import Metric

_WIDTH = 24
_HEIGHT = 6


class Dashboard(Construct):
    """Create it last: it shows every function and state machine that the stack has then."""

    def __init__(
        self, scope: Construct, construct_id: str, *, alarms: Sequence[cloudwatch.Alarm], settings: Settings
    ) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)
        # A sweep's numbers are valid until the next one.
        sweep = cdk.Duration.hours(settings.sweep_interval_hours)
        hour = cdk.Duration.hours(1)
        name = f"{stack.stack_name}-{stack.region}"
        self.dashboard = cloudwatch.Dashboard(self, "Dashboard", dashboard_name=name, default_interval=_two_weeks())
        self._row(
            _graph("Incidents by verdict", [broken_down(Metric.INCIDENTS, period=hour)], is_stacked=True),
            _graph("Refusals by reason", [broken_down(Metric.REFUSALS, period=hour)], is_stacked=True),
            _graph("Crashes by class", [broken_down(Metric.CRASHES, period=hour)], is_stacked=True),
        )
        self._row(
            _graph("Seconds per phase, mean", [broken_down(Metric.PHASE_SECONDS, period=hour, statistic="Average")]),
            _graph("Seconds per phase, longest", [broken_down(Metric.PHASE_SECONDS, period=hour, statistic="Maximum")]),
            _graph("Bytes of vmcores", [own_metric(Metric.VMCORE_BYTES, period=hour)]),
        )
        self._row(
            _graph(
                "Readiness of the fleet, as of the last sweep",
                [broken_down(Metric.FLEET_INSTANCES, period=sweep, statistic="Maximum")],
                is_stacked=True,
            ),
            _graph("Diagnostic interrupts by outcome", [broken_down(Metric.INTERRUPTS, period=hour)], is_stacked=True),
            _graph(
                "Findings of the sweep by kind", [broken_down(Metric.SWEEP_FINDINGS, period=sweep)], is_stacked=True
            ),
        )
        self.dashboard.add_widgets(
            cloudwatch.AlarmStatusWidget(title="Hangdump's own alarms", alarms=alarms, width=_WIDTH, height=_HEIGHT)
        )
        machines = state_machines(stack)
        self._row(
            _graph(
                "Executions that failed or timed out",
                [
                    *(each.metric_failed(period=hour, statistic="Sum") for each in machines),
                    *(each.metric_timed_out(period=hour, statistic="Sum") for each in machines),
                ],
            ),
            _graph(
                "Errors of functions (including expected ones)",
                [each.metric_errors(period=hour, statistic="Sum") for each in functions(stack)],
            ),
            _graph(
                "Unexpected errors and alarms that name no instance",
                [
                    broken_down(Metric.UNEXPECTED_ERRORS, period=hour),
                    own_metric(Metric.INVALID_ALARMS, period=hour),
                    own_metric(Metric.SWEEP_FAILURES, period=hour),
                ],
            ),
        )

    def _row(self, *graphs: cloudwatch.GraphWidget) -> None:
        self.dashboard.add_widgets(*graphs)


def _graph(title: str, metrics: Sequence[cloudwatch.IMetric], *, is_stacked: bool = False) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title,
        left=list(metrics),
        stacked=is_stacked,
        left_y_axis=cloudwatch.YAxisProps(min=0, show_units=False),
        width=_WIDTH // 3,
        height=_HEIGHT,
    )


def _two_weeks() -> cdk.Duration:
    return cdk.Duration.days(14)
