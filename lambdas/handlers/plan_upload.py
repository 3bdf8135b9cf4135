"""Plans the next round of an upload: which parts the instance sends, and which batch it hashes meanwhile.

The instance hashes a batch of parts, then sends it with signed URLs while it hashes the next one. Parts that S3 holds
are not sent again, so an interruption costs at most the parts in flight.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from lambdas.incident.record import Incident
from lambdas.incident.table import IncidentTable
from lambdas.runtime.bucket import explain_refusal
from lambdas.runtime.environment import RecordKeeping, VmcoreBucket
from lambdas.runtime.errors import InvalidInput
from lambdas.runtime.observability import entry_point
from lambdas.upload.found import read_found
from lambdas.upload.plan import plan_round


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"incident","found","round"}`, gives the manifest's URL and the parts left; raises BucketRefused.

    Of the incident only its id is believed: the record says where its objects are.
    """
    found = read_found(event["found"])
    bucket = VmcoreBucket.read()
    records = IncidentTable(RecordKeeping.read().table_name)
    incident = records.read(event["incident"]["incidentId"])
    if incident is None:
        raise InvalidInput(f"No incident {event['incident']['incidentId']} in the table.", "Start CollectVmcore again.")
    try:
        planned = plan_round(incident, found, names=incident.object_keys, bucket=bucket, records=records)
    except ClientError as error:
        raise (explain_refusal(error, bucket.bucket_name) or error) from error
    return planned | _count_stalled(incident, planned, is_first=event["round"] == 0, records=records)


def _count_stalled(
    incident: Incident, planned: dict[str, Any], *, is_first: bool, records: IncidentTable
) -> dict[str, int]:
    """Counts consecutive rounds without progress. A document that failed after it sent a part made progress."""
    progress = planned["heldParts"] + planned.get("describedBatches", 0)
    stalled = 0 if is_first or progress > incident.upload_progress else incident.stalled_rounds + 1
    records.update(incident.incident_id, {"uploadProgress": progress, "stalledRounds": stalled})
    return {"stalledRounds": stalled}
