"""Limits of delivery."""

from webhooks_project import env

# Where webhooks may go. Production: https to public addresses only. Local mode, demo and tests
# open loopback over http on any unprivileged port by these variables, visibly.
WEBHOOK_ALLOW_HTTP = env.flag("WEBHOOK_ALLOW_HTTP", False)
WEBHOOK_ALLOWED_NETWORKS = env.words("WEBHOOK_ALLOWED_NETWORKS")
WEBHOOK_ALLOWED_HOSTS = env.words("WEBHOOK_ALLOWED_HOSTS")
WEBHOOK_ALLOWED_PORTS = env.words(
    "WEBHOOK_ALLOWED_PORTS", "80,443,8443" if WEBHOOK_ALLOW_HTTP else "443,8443"
)
WEBHOOK_REFUSED_NETWORKS = env.words("WEBHOOK_REFUSED_NETWORKS")
WEBHOOK_NAT64_PREFIXES = env.words("WEBHOOK_NAT64_PREFIXES")
WEBHOOK_CA_FILE = env.text("WEBHOOK_CA_FILE", "")
# A resumed session does not show its certificate again: what happens to it meanwhile is noticed so late.
WEBHOOK_TLS_SESSION_MAX_AGE_SECONDS = env.number(
    "WEBHOOK_TLS_SESSION_MAX_AGE_SECONDS", 3600.0, at_most=7 * 24 * 3600
)
WEBHOOK_DNS_TIMEOUT_SECONDS = env.number("WEBHOOK_DNS_TIMEOUT_SECONDS", 5.0, at_least=0.1)
# Look-ups at once in one process: names that hang must not use up everybody's.
WEBHOOK_DNS_LOOKUPS_PER_ORGANIZATION_MAX = env.integer(
    "WEBHOOK_DNS_LOOKUPS_PER_ORGANIZATION_MAX", 8, at_least=1
)

DELIVERY_TIMEOUT_DEFAULT_SECONDS = env.number("DELIVERY_TIMEOUT_DEFAULT_SECONDS", 10.0, at_least=0.1)
DELIVERY_TIMEOUT_MAX_SECONDS = env.number("DELIVERY_TIMEOUT_MAX_SECONDS", 60.0)
# A lease outlives its attempt's deadline by this much: time to record, even over a database restart.
DELIVERY_LEASE_MARGIN_SECONDS = env.number("DELIVERY_LEASE_MARGIN_SECONDS", 10.0)
DELIVERY_RESPONSE_BODY_MAX_CHARACTERS = env.integer("DELIVERY_RESPONSE_BODY_MAX_CHARACTERS", 2048)
DELIVERY_CONNECTIONS_PER_RECEIVER = env.integer("DELIVERY_CONNECTIONS_PER_RECEIVER", 64, at_least=1)
# Requests that all worker processes together have open at once: to one receiver (scheme, host and port), and
# for one organization; delivery/loop/permits.py has the arithmetic. 128 are 64 a second of a receiver that
# takes 2 s, and a quarter of one process's 512 places until one that hangs is known to be slow.
DELIVERY_REQUESTS_PER_RECEIVER_MAX = env.integer("DELIVERY_REQUESTS_PER_RECEIVER_MAX", 128, at_least=1)
DELIVERY_REQUESTS_PER_ORGANIZATION_MAX = env.integer(
    "DELIVERY_REQUESTS_PER_ORGANIZATION_MAX", 512, at_least=1
)
# A receiver that times out so often in a row within the period is slow: its deliveries get few places and
# wait in a lane of their own. Without a time-out for a whole period it is so no longer.
DELIVERY_SLOW_AFTER_TIMEOUTS = env.integer("DELIVERY_SLOW_AFTER_TIMEOUTS", 3, at_least=1)
DELIVERY_SLOW_PERIOD_SECONDS = env.number("DELIVERY_SLOW_PERIOD_SECONDS", 600.0, at_least=1.0)
# Requests open to one slow receiver over all worker processes, and to all of them in one process: an eighth
# of its 512 places, however many receivers hang.
DELIVERY_REQUESTS_PER_SLOW_RECEIVER_MAX = env.integer(
    "DELIVERY_REQUESTS_PER_SLOW_RECEIVER_MAX", 2, at_least=1
)
DELIVERY_REQUESTS_TO_SLOW_RECEIVERS_MAX = env.integer(
    "DELIVERY_REQUESTS_TO_SLOW_RECEIVERS_MAX", 64, at_least=1
)
# What waits for a slow receiver looks again after so long at the latest: 100,000 rows are 56 a second.
DELIVERY_SLOW_AWAY_MAX_SECONDS = env.number("DELIVERY_SLOW_AWAY_MAX_SECONDS", 1800.0, at_least=1.0)
# Waits up to this long are Celery retries; longer ones are rows that the requeuer finds.
DELIVERY_RETRY_IN_CELERY_SECONDS = env.number("DELIVERY_RETRY_IN_CELERY_SECONDS", 60.0)
# A waiting Celery task holds about 11 KB in a worker: 1,000 are 11 MB.
DELIVERY_RETRIES_HELD_MAX = env.integer("DELIVERY_RETRIES_HELD_MAX", 1000)
DELIVERY_RETRY_AFTER_MAX_SECONDS = env.number(
    "DELIVERY_RETRY_AFTER_MAX_SECONDS", 3600.0, at_most=7 * 24 * 3600
)
# Requests of the API that wait for a delivery (test event): at most so many per process, so long.
DELIVERY_WAITS_MAX = env.integer("DELIVERY_WAITS_MAX", 4, at_least=1)
DELIVERY_WAIT_MARGIN_SECONDS = env.number("DELIVERY_WAIT_MARGIN_SECONDS", 5.0)

# Up to so many recipients get their deliveries in the transaction that reports the event: 32 µs each, so the
# answer takes about twice that of one. More are left to the workers.
FAN_OUT_AT_ONCE_MAX = env.integer("FAN_OUT_AT_ONCE_MAX", 100)

# So many workers in a row may end while they hold a delivery; then it is parked for a person.
DELIVERY_CLAIMS_LOST_MAX = env.integer("DELIVERY_CLAIMS_LOST_MAX", 5, at_least=1)

# Nothing but failures for so long (0: never) and for at least so many deliveries disables a subscription.
SUBSCRIPTION_DISABLE_AFTER_DAYS = env.number("SUBSCRIPTION_DISABLE_AFTER_DAYS", 5.0, at_most=365)
SUBSCRIPTION_DISABLE_AFTER_DELIVERIES = env.integer("SUBSCRIPTION_DISABLE_AFTER_DELIVERIES", 20, at_least=1)
# Nothing but failures for so long (0: never) or until a delivery is exhausted, and at least so many failed
# attempts, are told of as its failing; once in so long at the most, and its recovery after it.
SUBSCRIPTION_FAILING_AFTER_MINUTES = env.number(
    "SUBSCRIPTION_FAILING_AFTER_MINUTES", 10.0, at_most=7 * 24 * 60
)
SUBSCRIPTION_FAILING_AFTER_ATTEMPTS = env.integer("SUBSCRIPTION_FAILING_AFTER_ATTEMPTS", 3, at_least=1)
SUBSCRIPTION_TOLD_AGAIN_AFTER_MINUTES = env.number(
    "SUBSCRIPTION_TOLD_AGAIN_AFTER_MINUTES", 60.0, at_most=7 * 24 * 60
)
# What arrives while it is disabled is held for so long.
DELIVERY_HELD_RETENTION_DAYS = env.number("DELIVERY_HELD_RETENTION_DAYS", 14.0, at_most=3650)

# How long the log of attempts, the bodies, and events with all that belongs to them are kept, unless an
# organization has days of its own. 0: for ever; attempts and bodies go with their event at the latest.
ATTEMPTS_RETENTION_DAYS = env.integer("ATTEMPTS_RETENTION_DAYS", 90)
BODIES_RETENTION_DAYS = env.integer("BODIES_RETENTION_DAYS", 90)
EVENTS_RETENTION_DAYS = env.integer("EVENTS_RETENTION_DAYS", 90)
# Events or attempts per transaction: with their deliveries and bodies some tens of milliseconds.
RETENTION_BATCH_ROWS = env.integer("RETENTION_BATCH_ROWS", 500, at_least=1)
# What is deleted per second, of all tables together: 170 million rows a day.
RETENTION_ROWS_PER_SECOND = env.number("RETENTION_ROWS_PER_SECOND", 2000.0, at_least=1.0)

REQUEUE_INTERVAL_SECONDS = env.number("REQUEUE_INTERVAL_SECONDS", 1.0)
REQUEUE_BATCH_ROWS = env.integer("REQUEUE_BATCH_ROWS", 500, at_least=1)
# A wake-up this old in an empty lane was lost.
REQUEUE_GRACE_SECONDS = env.number("REQUEUE_GRACE_SECONDS", 2.0)
# In a lane that is not empty a row may only be waiting its turn: 30 s, then doubled each time.
REQUEUE_BACKOFF_SECONDS = env.number("REQUEUE_BACKOFF_SECONDS", 30.0)

# New deliveries per second of one replay, if it does not say; and the most that it may ask for.
REPLAY_RATE_DEFAULT_PER_SECOND = env.number("REPLAY_RATE_DEFAULT_PER_SECOND", 100.0, at_least=0.01)
REPLAY_RATE_MAX_PER_SECOND = env.number("REPLAY_RATE_MAX_PER_SECOND", 1000.0, at_least=0.01)
# The most deliveries that one replay of an organization may be about; the operator's own have no such bound.
REPLAY_DELIVERIES_MAX = env.integer("REPLAY_DELIVERIES_MAX", 1_000_000, at_least=1)
REPLAYS_UNFINISHED_PER_ORGANIZATION_MAX = env.integer(
    "REPLAYS_UNFINISHED_PER_ORGANIZATION_MAX", 10, at_least=1
)
# How long the API counts what matches before it answers without the number.
REPLAY_COUNT_MAX_SECONDS = env.number("REPLAY_COUNT_MAX_SECONDS", 2.0, at_least=0.01)
# Workers look this often for a replay that nobody carries on.
REPLAY_INTERVAL_SECONDS = env.number("REPLAY_INTERVAL_SECONDS", 1.0, at_least=0.05)
