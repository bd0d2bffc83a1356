"""Events as FHIR R4 resources in the manner of VN Core, only to be measured beside parcels; the bridge's own mapping is its own."""

from typing import Any

from appliance.contract.events import ConsultRequested, Event, ObservationRecorded
from appliance.contract.ids import spell
from appliance.contract.metrics import TABLE, Metric
from appliance.contract.readable import moment, readable
from appliance.contract.readings import Numeric, Reading, ReadingKind

_PROFILE = "http://fhir.hl7.org.vn/core/StructureDefinition/vn-core-vital-signs"
_PANELS = {ReadingKind.BLOOD_PRESSURE: ("85354-9", "Blood pressure panel with all children optional")}


def resource(event: Event) -> dict[str, Any]:
    """An Observation for a reading, a ServiceRequest for a consult, a Communication for the rest."""
    body = event.body
    if isinstance(body, ObservationRecorded):
        return _observation(event, body)
    if isinstance(body, ConsultRequested):
        return {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "priority": body.urgency.name.lower(),
            "subject": {"reference": f"Patient/{spell(body.identity.patient)}", "display": body.identity.name},
            "authoredOn": moment(event.stamp.wall),
            "requester": {"reference": f"Practitioner/{event.actor}"},
            "note": [{"text": body.complaint}],
        }
    return {
        "resourceType": "Communication",
        "status": "completed",
        "sent": moment(event.stamp.wall),
        "payload": [{"contentString": str(readable(event))}],
    }


def _observation(event: Event, body: ObservationRecorded) -> dict[str, Any]:
    reading = body.reading
    found: dict[str, Any] = {
        "resourceType": "Observation",
        "meta": {"profile": [_PROFILE]},
        "identifier": [{"system": "https://tram.example/reading", "value": reading.key.hex()}],
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "vital-signs",
                        "display": "Vital Signs",
                    }
                ]
            }
        ],
        "code": _code(reading),
        "subject": {"reference": f"Patient/{spell(body.patient)}"},
        "effectiveDateTime": moment(event.stamp.wall),
        "performer": [{"reference": f"Practitioner/{event.actor}"}],
        "device": {"reference": f"Device/{spell(reading.device)}"},
    }
    if len(reading.numerics) == 1:
        return found | _value(reading.numerics[0])
    return found | {"component": [{"code": _coding(one.metric), **_value(one)} for one in reading.numerics]}


def _code(reading: Reading) -> dict[str, Any]:
    if reading.kind in _PANELS:
        code, display = _PANELS[reading.kind]
        return {"coding": [{"system": "http://loinc.org", "code": code, "display": display}]}
    return _coding(reading.numerics[0].metric)


def _coding(metric: Metric) -> dict[str, Any]:
    row = TABLE[metric]
    coding = [{"system": "http://loinc.org", "code": row.loinc, "display": row.en}] if row.loinc else []
    if row.mdc:
        coding.append({"system": "urn:iso:std:iso:11073:10101", "code": str(row.mdc)})
    return {"coding": coding, "text": row.vi}


def _value(one: Numeric) -> dict[str, Any]:
    if one.number is None:
        absent = {"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "unknown"}
        return {"dataAbsentReason": {"coding": [absent]}}
    row = TABLE[one.metric]
    return {"valueQuantity": {"value": float(one.number), "unit": row.unit, "system": "http://unitsofmeasure.org", "code": row.ucum}}
