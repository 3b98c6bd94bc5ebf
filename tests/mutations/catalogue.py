"""What is broken, and the tests that must fail then."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """A change of one file that breaks a promise."""

    promise: str
    file: str
    old: str
    """A text that is there exactly once."""
    new: str
    tests: str
    """What pytest is given."""


ACKNOWLEDGED = (
    "tests/e2e/test_shutdowns.py::test_a_message_is_acknowledged_when_its_outcome_is_on_record_and_not_before"
)
COPIED = """COPY = \"\"\"
INSERT INTO delivery_delivery (
    id, organization_id, event_id, body_id, subscription_id, callback, url, webhook_id, replay_of_id,
    replay_id, is_test, once, lane, state, reason, attempts, claim_number, nudges
)
SELECT uuidv7(), d.organization_id, d.event_id, d.body_id,"""
RENDERED_AGAIN = """COPY = \"\"\"
WITH rendered AS (
    INSERT INTO delivery_eventbody (id, event_id, payload_format, body)
    SELECT uuidv7(), b.event_id, b.payload_format || ' now',
           convert_to((convert_from(b.body, 'UTF8')::jsonb)::text, 'UTF8')
    FROM delivery_eventbody b
    WHERE b.id IN (SELECT body_id FROM delivery_delivery WHERE id = ANY(%(originals)s::uuid[]))
    RETURNING id, event_id
)
INSERT INTO delivery_delivery (
    id, organization_id, event_id, body_id, subscription_id, callback, url, webhook_id, replay_of_id,
    replay_id, is_test, once, lane, state, reason, attempts, claim_number, nudges
)
SELECT uuidv7(), d.organization_id, d.event_id,
       (SELECT r.id FROM rendered r WHERE r.event_id = d.event_id LIMIT 1),"""

MUTATIONS = (
    Mutation(
        promise="no time tells what the name of a refused target resolved to",
        file="delivery/sender/answers.py",
        old="phases=None if refused else clock.phases(),",
        new="phases=clock.phases(),",
        tests="tests/integration/test_sender_phases.py",
    ),
    Mutation(
        promise="the fence: a worker that lost its lease cannot overwrite the next one's outcome",
        file="delivery/recorder.py",
        old="      AND d.claim_number = g.claim_number\n      AND d.attempts",
        new="      AND d.attempts",
        tests="tests/integration/test_recorder.py",
    ),
    Mutation(
        promise="a message is acknowledged after the outcome is committed",
        file="webhooks_project/settings/queue.py",
        old="CELERY_TASK_ACKS_LATE = True",
        new="CELERY_TASK_ACKS_LATE = False",
        tests=ACKNOWLEDGED,
    ),
    Mutation(
        promise="a message is not acknowledged when the engine takes it",
        file="delivery/loop/dispatch.py",
        old="Job(*asked, lambda result: self._finishing.put(partial(finish, result))))\n",
        new="Job(*asked, lambda result: None))\n        self._finishing.put(partial(finish, None))\n",
        tests=ACKNOWLEDGED,
    ),
    Mutation(
        promise="a message is not acknowledged when its request is over, but its outcome not on record",
        file="delivery/loop/recording.py",
        old="        for job, prepared, result in ended:\n",
        new="        for job, prepared, result in ended:\n"
        "            job.finish(None)\n"
        "            job = job._replace(finish=lambda result: None)\n",
        tests="tests/integration/test_engine.py",
    ),
    Mutation(
        promise="each message of a batch is finished, also one that claims nothing",
        file="delivery/loop/engine.py",
        old="        for job in waiting.values():\n            self._finish(job, None)\n        if free",
        new="        if free",
        tests="tests/integration/test_engine.py",
    ),
    Mutation(
        promise="of two messages of a batch about one attempt each is finished",
        file="delivery/loop/engine.py",
        old="            if key in waiting:\n",
        new="            if False:\n",
        tests="tests/integration/test_engine.py",
    ),
    Mutation(
        promise="an event's call is answered when it is committed",
        file="delivery/api/ingest.py",
        old="            answers = self._store([call for call in calls if id(call) in verdicts], verdicts)\n",
        new="            from django.db import transaction\n\n"
        "            with transaction.atomic():\n"
        "                answers = self._store([call for call in calls if id(call) in verdicts], verdicts)\n"
        "                for call in calls:\n"
        "                    call.answer(answers.get(id(call)))\n"
        "            calls = []\n",
        tests="tests/integration/test_lean.py",
    ),
    Mutation(
        promise="a fan-out's mark moves in the transaction that makes its deliveries",
        file="delivery/fan_out/chunks.py",
        old="        made = cursor.fetchall()\n",
        new="        made = cursor.fetchall()\n        connection.connection.commit()\n",
        tests="tests/integration/test_fan_out.py",
    ),
    Mutation(
        promise="the requeuer finds what the broker lost",
        file="delivery/requeue.py",
        old="    depths = lane_depths()\n",
        new="    depths = lane_depths() and {}\n",
        tests="tests/integration/test_requeue.py",
    ),
    Mutation(
        promise="nothing is published before its cause is committed",
        file="delivery/queue.py",
        old="    transaction.on_commit(hand_over, robust=True)",
        new="    hand_over()",
        tests="tests/integration/test_outbox.py",
    ),
    Mutation(
        promise="a live lease keeps all others away",
        file="delivery/claim.py",
        old="      AND (d.lease_until IS NULL OR d.lease_until <= now())\n",
        new="",
        tests="tests/integration/test_claim.py",
    ),
    Mutation(
        promise="a claim takes only the attempt that the row expects",
        file="delivery/claim.py",
        old="      AND d.attempts = asked.attempt - 1\n",
        new="",
        tests="tests/integration/test_claim.py",
    ),
    Mutation(
        promise="nothing is sent before it is due by the database's clock",
        file="delivery/claim.py",
        old="      AND d.next_attempt_at <= now()\n",
        new="",
        tests="tests/integration/test_claim.py",
    ),
    Mutation(
        promise="a change of state and its event commit together",
        file="delivery/outbox.py",
        old="        insert(stories)\n",
        new="        insert(stories)\n        connection.connection.commit()\n",
        tests="tests/integration/test_outbox.py",
    ),
    Mutation(
        promise="no transaction is open while a socket is",
        file="delivery/deliver.py",
        old="    result = transport.send(prepared.request)\n",
        new="    from django.db import transaction\n\n"
        "    with transaction.atomic():\n"
        "        connection.cursor().execute('SELECT 1')\n"
        "        result = transport.send(prepared.request)\n",
        tests="tests/integration/test_deliver.py",
    ),
    Mutation(
        promise="a replay sends the frozen bytes, not what is rendered now",
        file="delivery/replays/chunks.py",
        old=COPIED,
        new=RENDERED_AGAIN,
        tests="tests/integration/test_deliveries_api.py tests/integration/test_cancel_replay.py",
    ),
    Mutation(
        promise="an outcome that cannot be recorded now is recorded when the database is back",
        file="delivery/recorder.py",
        old="            pause(PAUSE_SECONDS)\n",
        new="            raise\n",
        tests="tests/integration/test_recorder.py",
    ),
    Mutation(
        promise="what arrives for a disabled subscription is held",
        file="delivery/outbox.py",
        old="    return Audience(found, {}, still_disabled(disabled) if disabled else frozenset())\n",
        new="    return Audience(found, {})\n",
        tests="tests/integration/test_disabled.py",
    ),
    Mutation(
        promise="a worker sends nothing for a subscription that was disabled meanwhile",
        file="delivery/deliver.py",
        old="    if claimed.is_active and claimed.disabled_at is not None and not claimed.is_test:\n",
        new="    if False:\n",
        tests="tests/integration/test_disabled.py",
    ),
    Mutation(
        promise="a delivery that ends its workers is parked",
        file="delivery/claim.py",
        old="        claims_lost = d.claims_lost + 1,\n",
        new="",
        tests="tests/integration/test_failing.py",
    ),
    Mutation(
        promise="a worker's clock decides nothing",
        file="delivery/deliver.py",
        old="    return claimed.claimed_at + timedelta(seconds=time.monotonic() - claimed_at)\n",
        new="    return datetime.now(claimed.claimed_at.tzinfo)\n",
        tests="tests/integration/test_deliver.py",
    ),
    Mutation(
        promise="a backlog does not multiply",
        file="delivery/requeue.py",
        old="        condition = UNTOLD if depth else LOST\n",
        new="        condition = LOST\n",
        tests="tests/integration/test_requeue.py",
    ),
    Mutation(
        promise="a cancelled delivery stays cancelled when a request under way fails",
        file="delivery/recorder.py",
        old="state = CASE WHEN d.finished_at IS NULL OR g.accepted THEN g.state ELSE d.state END,",
        new="state = g.state,",
        tests="tests/integration/test_recorder.py",
    ),
    Mutation(
        promise="a URL with a query is encrypted at rest and masked in every record of it",
        file="subscriptions/masks.py",
        old="        return name + equals + (value and MASKED)\n",
        new="        return parameter\n",
        tests="tests/e2e/test_secrets.py",
    ),
    Mutation(
        promise="a run is found by its own organization only",
        file="runs/selectors.py",
        old="    rows = Run.objects.filter(organization=organization)\n",
        new="    rows = Run.objects.all()\n",
        tests="tests/integration/test_tenancy_walk.py",
    ),
    Mutation(
        promise="a report moves a run of its own organization only",
        file="runs/rows.py",
        old="    WHERE organization_id = asked.organization_id AND public_id = asked.public_id\n    LIMIT",
        new="    WHERE public_id = asked.public_id\n    LIMIT",
        tests="tests/integration/test_runs_lean.py",
    ),
    Mutation(
        promise="reports of one run are decided one after another",
        file="runs/rows.py",
        old="LIMIT 1 FOR NO KEY UPDATE",
        new="LIMIT 1",
        tests="tests/integration/test_runs_api_batch.py",
    ),
    Mutation(
        promise="a filter by an id finds the organization's own only",
        file="delivery/selectors.py",
        old="Delivery.objects.filter(organization=organization).select_related",
        new="Delivery.objects.select_related",
        tests="tests/integration/test_tenancy_ids.py",
    ),
    Mutation(
        promise="the limit of requests to a receiver is over all workers",
        file="delivery/loop/permits.py",
        old="        return max(1, -(-self.limit // self.workers))\n",
        new="        return self.limit\n",
        tests="tests/integration/test_permits.py",
    ),
    Mutation(
        promise="what was claimed too long ago is not sent, another may have it",
        file="delivery/deliver.py",
        old="    if left >= prepared.request.timeout_seconds:\n",
        new="    if True:\n",
        tests="tests/integration/test_claim_late.py",
    ),
    Mutation(
        promise="a receiver that hangs waits for itself",
        file="delivery/deliver.py",
        old="    return slow.receivers().is_slow(_slow_key(prepared)) and not prepared.claimed.is_test\n",
        new="    return False\n",
        tests="tests/integration/test_slow.py",
    ),
    Mutation(
        promise="a receiver that answers again is slow no more",
        file="delivery/slow.py",
        old="                self._slow.discard(receiver)\n                self._ended.add(receiver)\n",
        new="",
        tests="tests/integration/test_slow.py",
    ),
    Mutation(
        promise="what waited for a receiver that hung goes out when it answers",
        file="delivery/slow.py",
        old="            slow_rows.release(*receiver)\n",
        new="            pass\n",
        tests="tests/integration/test_slow.py",
    ),
    Mutation(
        promise="replays never delay live traffic",
        file="webhooks_project/transport.py",
        old="        return batch if len(self._background) + batch <= most else 0\n",
        new="        return batch\n",
        tests="tests/integration/test_transport.py",
    ),
    Mutation(
        promise="a TLS session counts for the name whose certificate was verified",
        file="delivery/sender/sessions.py",
        old='Receiver(tls.server_hostname or "", port)',
        new='Receiver("", port)',
        tests="tests/integration/test_sender_sessions.py",
    ),
    Mutation(
        promise="a certificate goes unjudged for a bounded time",
        file="delivery/sender/sessions.py",
        old="kept.ends_at <= monotonic()",
        new="False",
        tests="tests/integration/test_sender_sessions.py",
    ),
    Mutation(
        promise="each attempt is counted once",
        file="delivery/stats/roll_up.py",
        old="""    mark.save(update_fields=["counted_until"])\n""",
        new="",
        tests="tests/integration/test_roll_up.py",
    ),
    Mutation(
        promise="an attempt is counted whenever its transaction commits",
        file="delivery/stats/roll_up.py",
        old="held.mode = 'RowExclusiveLock'",
        new="held.mode = 'ExclusiveLock'",
        tests="tests/integration/test_roll_up.py",
    ),
    Mutation(
        promise="an event goes when all its attempts are counted",
        file="delivery/retention/batches.py",
        old='OVER_AND_COUNTED = f"{OVER} AND {IS_COUNTED}"',
        new="OVER_AND_COUNTED = OVER",
        tests="tests/integration/test_retention.py",
    ),
    Mutation(
        promise="an attempt that goes before its event is counted",
        file="delivery/retention/batches.py",
        old="a.created_at < {COUNTED_UNTIL} AND NOT EXISTS (",
        new="NOT EXISTS (",
        tests="tests/integration/test_retention.py",
    ),
    Mutation(
        promise="a session of the portal is for one organization",
        file="portal/access.py",
        old="    if ticket is None or ticket.organization != organization_id:\n",
        new="    if ticket is None:\n",
        tests="tests/integration/test_portal_tenancy.py",
    ),
    Mutation(
        promise="revoking ends links and sessions of the portal",
        file="portal/access.py",
        old=", portal_generation=ticket.generation",
        new="",
        tests="tests/integration/test_portal_access.py",
    ),
    Mutation(
        promise="a link to the portal is no session",
        file="portal/access.py",
        old='"portal.link.1", "portal.session.1"',
        new='"portal.1", "portal.1"',
        tests="tests/integration/test_portal_access.py",
    ),
    Mutation(
        promise="a link to the portal expires",
        file="portal/access.py",
        old="return ticket if ticket.ends_at > timezone.now().timestamp() else None",
        new="return ticket",
        tests="tests/integration/test_portal_access.py",
    ),
    Mutation(
        promise="a session of the portal does no more than its key may",
        file="portal/access.py",
        old="frozenset(key.scopes) & (READING if ticket.read_only else READING | CHANGING)",
        new="READING | CHANGING",
        tests="tests/integration/test_portal_access.py",
    ),
    Mutation(
        promise="the portal's log reads its own index alone",
        file="portal/log.py",
        old='order_by(name, "-id")',
        new='order_by("-id")',
        tests="tests/integration/test_portal_pages.py::test_the_log_reads_a_bounded_part_of_its_own_index",
    ),
)
