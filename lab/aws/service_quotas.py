"""Service Quotas: the quotas that an enrolment uses up, with AWS's defaults."""

import json
from typing import Any

from moto.servicequotas.responses import ServiceQuotasResponse

from lab.aws.patches import Patches
from lab.aws.state import AccountState

# By service: name, code, value. The code of the alarms' quota is the lab's own: AWS's documentation does not say it.
_DEFAULTS = {
    "ebs": [("Storage for General Purpose SSD (gp3) volumes, in TiB", "L-7A658B76", 50.0)],
    "monitoring": [("Number of alarm mute rules", "L-LAB00002", 1000.0), ("Number of alarms", "L-LAB00001", 5000.0)],
}


def install(patches: Patches, state: AccountState) -> None:
    """Real: all services, pages, values that were raised. moto: lists AWS's defaults alone, and only those of VPC."""

    def list_service_quotas(response: ServiceQuotasResponse) -> str:
        service = json.loads(response.body)["ServiceCode"]
        quotas: list[dict[str, Any]] = [
            {"ServiceCode": service, "QuotaName": name, "QuotaCode": code, "Value": state.quotas.get(code, value)}
            for name, code, value in _DEFAULTS.get(service, [])
        ]
        return json.dumps({"Quotas": quotas})

    patches.add(ServiceQuotasResponse, "list_service_quotas", list_service_quotas)
