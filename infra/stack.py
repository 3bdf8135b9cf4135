"""Composes the stack from the constructs; defines no resource itself."""

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.analyze.machine import AnalyzeVmcore
from infra.collect.machine import CollectVmcore
from infra.drill.machine import DrillDump
from infra.events import PublishEvents
from infra.fleet.machine import EnrolFleet
from infra.foundation import bundle
from infra.foundation.acknowledgements import EVERYWHERE, acknowledge
from infra.foundation.documents import Documents
from infra.foundation.fleet import Fleet
from infra.foundation.functions import FunctionDefaults
from infra.foundation.incidents import Incidents
from infra.foundation.vmcore_bucket import VmcoreBucket
from infra.operations.chat import ChatMessages
from infra.operations.command_line import CommandLinePolicies, describe_stack
from infra.operations.dashboard import Dashboard
from infra.operations.own_alarms import OwnAlarms
from infra.operations.saved_queries import SavedQueries
from infra.parts import Parts
from infra.provision.machine import ProvisionDumpVolume
from infra.report import ReportPages
from infra.rescue.machine import RescueVmcore, SharedFunctions
from infra.respond.functions import HangResponse
from infra.respond.standby import ReturnFromStandby
from infra.retire.machine import RetireInstance
from infra.settings import Settings
from infra.states.run_document import DocumentRunner
from infra.sweep import IncidentMachines, Sweep
from lambdas.runtime.stack_parameter import FOR_THE_COMMAND_LINE, Output
from lambdas.runtime.tags import STACK_TAG


class HangdumpStack(cdk.Stack):
    """All resources of one account and Region."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(
            scope, construct_id, description="Hangdump: turns a hung EC2 instance into an explained kernel crash dump"
        )
        cdk.Tags.of(self).add(STACK_TAG, construct_id)
        acknowledge(self, EVERYWHERE)
        incidents = Incidents(self, "Incidents", settings=settings)
        vmcores = VmcoreBucket(self, "VmcoreBucket", settings=settings)
        documents = Documents(self, "Documents", vmcores=vmcores, settings=settings)
        shared = FunctionDefaults(bundle.code(), settings.log_retention_days, failures=incidents.topic)
        runner = DocumentRunner(self, "RunDocument", documents=documents, shared=shared, settings=settings)
        standby = ReturnFromStandby(self, "Standby", incidents=incidents, shared=shared)
        parts = Parts(incidents, vmcores, runner, standby.function, shared)
        collect = CollectVmcore(self, parts=parts, settings=settings)
        rescue = RescueVmcore(
            self,
            parts=parts,
            functions=SharedFunctions(collect.functions.upload, collect.functions.conclude_incident),
            settings=settings,
        )
        response = HangResponse(self, parts=parts, collect_vmcore=collect.state_machine, settings=settings)
        fleet = Fleet(self, "Fleet", settings=settings)
        provision = ProvisionDumpVolume(
            self, parts=parts, fleet=fleet, respond_to_hang=response.respond_to_hang, settings=settings
        )
        enrol = EnrolFleet(
            self,
            parts=parts,
            fleet=fleet,
            provision=provision,
            retire_instance=response.retire_instance,
            settings=settings,
        )
        retire = RetireInstance(
            self,
            parts=parts,
            retire_instance=response.retire_instance,
            collect_vmcore=collect.state_machine,
            rescue_vmcore=rescue.state_machine,
            settings=settings,
        )
        pages = ReportPages(self, parts=parts, settings=settings)
        analyze = AnalyzeVmcore(
            self,
            parts=parts,
            short_lived=rescue.short_lived,
            render_report=pages.function,
            settings=settings,
        )
        drill = DrillDump(
            self,
            parts=parts,
            fleet=fleet,
            short_lived=rescue.short_lived,
            provision=provision,
            collect_vmcore=collect.state_machine,
            retire_instance=response.retire_instance,
            settings=settings,
        )
        sweep = Sweep(
            self,
            parts=parts,
            fleet=fleet,
            machines=IncidentMachines(
                collect.state_machine, rescue.state_machine, analyze.state_machine, drill.state_machine
            ),
            settings=settings,
        )
        PublishEvents(self, parts=parts, fleet=fleet)
        # Last: these three read all functions and state machines of the stack.
        own_alarms = OwnAlarms(self, "OwnAlarms", settings=settings)
        SavedQueries(self, "SavedQueries")
        chat = ChatMessages(self, "ChatMessages", key=own_alarms.key)
        Dashboard(self, "Dashboard", alarms=own_alarms.alarms, settings=settings)
        policies = CommandLinePolicies(
            self,
            "CommandLine",
            incidents=incidents,
            fleet=fleet,
            provision=provision.state_machine,
            collect=collect.state_machine,
            retire=retire.state_machine,
            drill=drill.state_machine,
        )
        outputs = {
            Output.VMCORE_BUCKET: (vmcores.bucket.bucket_name, "The bucket of the vmcores"),
            Output.INCIDENT_TOPIC: (incidents.topic.topic_arn, "Subscribe for a notification of every incident"),
            Output.OWN_ALARM_TOPIC: (own_alarms.topic.topic_arn, "Subscribe for failures of Hangdump itself"),
            Output.CHAT_TOPIC: (chat.topic.topic_arn, "Subscribe a chat channel for a message of every event"),
            Output.INCIDENT_TABLE: (incidents.table.table_name, "The record of every incident"),
            Output.FLEET_TABLE: (fleet.table.table_name, "What is known of every enrolled instance"),
            Output.ENROL_FLEET: (_machine_arn(enrol), "Makes all tagged instances ready; start it to look now"),
            Output.PROVISION_DUMP_VOLUME: (_machine_arn(provision), "Makes an instance ready"),
            Output.COLLECT_VMCORE: (_machine_arn(collect), "Fetches a vmcore"),
            Output.RESCUE_VMCORE: (_machine_arn(rescue), "Fetches a vmcore without its instance"),
            Output.ANALYZE_VMCORE: (_machine_arn(analyze), "Reads a vmcore with symbols"),
            Output.RESPOND_TO_HANG: (_arn(response.respond_to_hang), "The action for alarms of your own"),
            Output.RETIRE_INSTANCE: (_machine_arn(retire), "Takes an instance out and undoes its kdump"),
            Output.DRILL_DUMP: (_machine_arn(drill), "Crashes a twin of an instance and proves its dump"),
            Output.SWEEP: (_arn(sweep.function), "Finds leftovers and unready instances; invoke it to sweep now"),
            Output.VIEWER_POLICY: (policies.viewer.managed_policy_arn, "For who may see what hangdump shows"),
            Output.OPERATOR_POLICY: (policies.operator.managed_policy_arn, "For who may enrol, interrupt and retire"),
        }
        for name, (value, description) in outputs.items():
            cdk.CfnOutput(self, name, value=value, description=description)
        describe_stack(self, {name: outputs[name][0] for name in FOR_THE_COMMAND_LINE}, settings)


def _machine_arn(
    act: ProvisionDumpVolume | EnrolFleet | CollectVmcore | RescueVmcore | AnalyzeVmcore | RetireInstance | DrillDump,
) -> str:
    return act.state_machine.state_machine_arn


def _arn(function: lambda_.IFunction) -> str:
    return function.function_arn
