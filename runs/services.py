"""Workflows and their versions."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from runs import selectors
from runs.dialects import profiles
from runs.dialects.profile import IdForm
from runs.models import PUBLIC_ID, PUBLIC_ID_MAX_CHARACTERS, Workflow, WorkflowVersion
from subscriptions import audit, rules, secrets
from subscriptions.event_types import SignatureScheme
from subscriptions.models import Organization
from subscriptions.signing_secrets import ensure_callback_pair
from webhooks_project.errors import Conflict, InvalidInput

VERSIONED = (
    "outputs webhook_url payload_format signature_schemes retry_policy retry_schedule timeout_seconds "
    "encrypted_webhook_url encrypted_headers header_names"
).split()


def workflow_create(
    *, organization: Organization, name: str, dialect: str, values: Mapping[str, Any]
) -> Workflow:
    """A new workflow and its first version. `values` may hold versioned settings, `headers` and imported ids.

    Raises InvalidInput, Conflict.
    """
    values = _with_url(_with_headers(values, ""), None)
    profile = profiles()[dialect]
    created_at: datetime = values.get("created_at") or timezone.now()
    settings = {
        "outputs": None,
        "webhook_url": "",
        "payload_format": profile.default_format(created_at),
        "signature_schemes": list(profile.signature_schemes),
        "retry_policy": profile.retry_policy,
        "retry_schedule": None,
        "timeout_seconds": profile.timeout_seconds,
        "encrypted_webhook_url": "",
        "encrypted_headers": "",
        "header_names": [],
    } | {field: values[field] for field in VERSIONED if field in values}
    check_settings(dialect, settings)
    try:
        with transaction.atomic():
            workflow = Workflow.objects.create(
                organization=organization,
                public_id=own_or_new_id(values.get("id"), profile.workflow_ids, "id"),
                slug=values.get("slug"),
                name=name,
                dialect=dialect,
                created_at=created_at,
            )
            _publish(workflow, settings, values.get("version_id"))
            facts = {"name": name, "dialect": dialect, **_facts(settings)}
            audit.record("workflow.created", workflow.public_id, organization=organization, after=facts)
    except IntegrityError:
        raise Conflict("a workflow of this id or slug exists", field="id", code="id_taken") from None
    return workflow


def workflow_for(*, organization: Organization, dialect: str, slug: str, name: str) -> Workflow:
    """The workflow behind a call that names none, made on first use."""
    found = selectors.workflows(organization).filter(slug=slug, dialect=dialect).first()
    if found is not None:
        return found
    try:
        return workflow_create(organization=organization, name=name, dialect=dialect, values={"slug": slug})
    except Conflict:
        # Another call made it at the same moment, or another dialect's workflow has the slug.
        found = selectors.workflows(organization).filter(slug=slug, dialect=dialect).first()
        if found is None:
            raise
        return found


@transaction.atomic
def workflow_update(*, organization: Organization, workflow_id: str, values: Mapping[str, Any]) -> Workflow:
    """Change the given fields; a change of outputs or webhook settings publishes a new version.

    `headers` of None are cleared. Raises NotFound, InvalidInput, Conflict.
    """
    workflow = selectors.workflow_get(organization, workflow_id, lock=True)
    assert workflow.version is not None
    values = _with_url(_with_headers(values, workflow.version.encrypted_headers), workflow.version)
    before = {field: getattr(workflow.version, field) for field in VERSIONED}
    after = before | {field: values[field] for field in VERSIONED if field in values}
    check_settings(workflow.dialect, after)
    if not values.get("allow_downgrade"):
        _refuse_downgrade(workflow.dialect, before["payload_format"], after["payload_format"])
    facts = {"name": workflow.name, **_facts(before)}
    if "name" in values:
        workflow.name = values["name"]
    workflow.updated_at = timezone.now()
    workflow.save(update_fields=["name", "updated_at"])
    if after != before or "version_id" in values:
        _publish(workflow, after, values.get("version_id"))
    changed = {"name": workflow.name, **_facts(after)}
    if after["encrypted_headers"] != before["encrypted_headers"]:
        changed["headers"] = values["headers"]
    audit.record_change(
        "workflow.updated", workflow.public_id, organization=organization, before=facts, after=changed
    )
    return workflow


def _facts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the audit tells of a version: of headers only names, of a query only that it changed."""
    shown = {name: settings[name] for name in VERSIONED if not name.startswith("encrypted_")}
    return shown | {"url_query": settings["encrypted_webhook_url"]}


def _with_headers(values: Mapping[str, Any], encrypted_before: str) -> Mapping[str, Any]:
    """`values` with `headers` as they are kept, if they are given and differ from those before.

    Each encryption gives another text, so the texts themselves cannot be compared.
    """
    if "headers" not in values:
        return values
    headers = values["headers"] or {}
    rules.check_headers(headers)
    if headers == _decrypted(encrypted_before):
        return values
    return {
        **values,
        "encrypted_headers": secrets.encrypt_headers(headers),
        "header_names": sorted(headers),
    }


def _with_url(values: Mapping[str, Any], before: WorkflowVersion | None) -> Mapping[str, Any]:
    """`values` with `webhook_url` as it is kept, if it is given and differs from the one before."""
    if "webhook_url" not in values:
        return values
    given = values["webhook_url"].strip()
    url = rules.clean_url(given, "webhook_url") if given else ""
    if before is not None and url == secrets.readable_url(before.webhook_url, before.encrypted_webhook_url):
        return {name: value for name, value in values.items() if name != "webhook_url"}
    shown, token = secrets.sealed_url(url)
    return {**values, "webhook_url": shown, "encrypted_webhook_url": token}


def _decrypted(encrypted: str) -> dict[str, str] | None:
    """None where the key is missing: whatever comes in their place is new then."""
    try:
        return secrets.decrypt_headers(encrypted)
    except secrets.UndecryptableSecret:
        return None


def _refuse_downgrade(dialect: str, before: str, after: str) -> None:
    """Leap knows upgrades only (seed 000); its formats stand in the order of their versions."""
    versions = profiles()[dialect].versions
    if before in versions and after in versions and versions.index(after) < versions.index(before):
        raise InvalidInput(
            f"{after} is older than {before}: say allow_downgrade if that is meant",
            field="payload_format",
            code="downgrade",
        )


def check_settings(dialect: str, settings: dict[str, Any]) -> None:
    """Raises InvalidInput naming the field."""
    profile = profiles()[dialect]
    if settings["payload_format"] not in profile.payload_formats:
        raise InvalidInput(
            f"a {dialect} workflow's payload_format is one of {', '.join(profile.payload_formats)}",
            field="payload_format",
        )
    rules.check_schemes(settings["signature_schemes"], of_callback=True)
    rules.check_retry_schedule(settings["retry_schedule"])
    rules.check_timeout(settings["timeout_seconds"])


def _publish(workflow: Workflow, settings: Mapping[str, Any], version_id: str | None) -> None:
    form = profiles()[workflow.dialect].version_ids
    if version_id is not None and workflow.versions.filter(public_id=version_id).exists():
        raise Conflict("the workflow has a version of this id", field="version_id", code="id_taken")
    if SignatureScheme.STANDARD_WEBHOOKS_ED25519 in settings["signature_schemes"]:
        ensure_callback_pair(workflow.organization, workflow.public_id)
    workflow.version = WorkflowVersion.objects.create(
        workflow=workflow, public_id=own_or_new_id(version_id, form, "version_id"), **settings
    )
    workflow.save(update_fields=["version"])


def own_or_new_id(given: str | None, form: IdForm, field: str) -> str:
    """An imported id if one is given, else a new one of the dialect's form."""
    if given is None:
        return form.new()
    if not re.fullmatch(PUBLIC_ID, given):
        raise InvalidInput(
            f"{field} must be 1 to {PUBLIC_ID_MAX_CHARACTERS} letters, digits or any of _ . : -", field=field
        )
    if form.strict and not form.matches(given):
        raise InvalidInput(
            f"{field} must start with {form.prefix}_, then {form.length} letters or digits",
            field=field,
            code="bad_id",
        )
    return given
