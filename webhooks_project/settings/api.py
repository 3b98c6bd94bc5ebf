"""Limits of the API, REST framework and the OpenAPI document."""

from webhooks_project import env
from webhooks_project.settings.base import VERSION

API_BODY_MAX_BYTES = env.integer("API_BODY_MAX_BYTES", 6 * 1024 * 1024, at_least=1024)
# Calls that one process works on at a time, beside plain events. Each thread keeps a database connection.
API_THREADS = env.integer("API_THREADS", 32, at_least=1)
# The longest wait for one answer of the database; the caller is told 503 then.
API_DATABASE_TIMEOUT_SECONDS = env.number("API_DATABASE_TIMEOUT_SECONDS", 10.0, at_least=0.1)
API_JSON_MAX_DEPTH = env.integer("API_JSON_MAX_DEPTH", 64, at_least=8)
# Requests of one organization over all of its keys, and of one key: a burst at once, a rate in the long run.
# A rate of 0 is no limit.
API_ORGANIZATION_RATE_PER_SECOND = env.number("API_ORGANIZATION_RATE_PER_SECOND", 1000.0, at_most=1e6)
API_ORGANIZATION_BURST_REQUESTS = env.integer("API_ORGANIZATION_BURST_REQUESTS", 2000, at_least=1)
API_KEY_RATE_PER_SECOND = env.number("API_KEY_RATE_PER_SECOND", 1000.0, at_most=1e6)
API_KEY_BURST_REQUESTS = env.integer("API_KEY_BURST_REQUESTS", 2000, at_least=1)
# Rates are counted in the broker's store, in less than a millisecond; an answer later than this is none.
RATE_LIMIT_STORE_TIMEOUT_SECONDS = env.number("RATE_LIMIT_STORE_TIMEOUT_SECONDS", 0.1, at_least=0.01)
# For so long a process accepts a key that another one has just revoked; 0: each request asks the database.
API_KEY_CACHE_SECONDS = env.number("API_KEY_CACHE_SECONDS", 2.0, at_most=60)
# For so long a call with an Idempotency-Key gets its first answer again.
IDEMPOTENCY_KEY_RETENTION_HOURS = env.number(
    "IDEMPOTENCY_KEY_RETENTION_HOURS", 24.0, at_least=0.1, at_most=24 * 365
)
EVENTS_PER_BATCH_MAX = env.integer("EVENTS_PER_BATCH_MAX", 500, at_least=1)
RUN_REPORTS_PER_BATCH_MAX = env.integer("RUN_REPORTS_PER_BATCH_MAX", 500, at_least=1)
SUBSCRIPTIONS_PER_ORGANIZATION_MAX = env.integer("SUBSCRIPTIONS_PER_ORGANIZATION_MAX", 1000, at_least=1)
# The most that a subscription may ask for. Waiting for their moment takes places: of an organization's a
# worker lets 128 wait, a second's worth, so to use up a higher rate on a backlog takes more workers.
SUBSCRIPTION_RATE_LIMIT_MAX_PER_SECOND = env.number(
    "SUBSCRIPTION_RATE_LIMIT_MAX_PER_SECOND", 1000.0, at_least=0.01, at_most=10_000
)
SUBSCRIPTION_HEADERS_MAX = env.integer("SUBSCRIPTION_HEADERS_MAX", 32)
SUBSCRIPTION_HEADERS_MAX_BYTES = env.integer("SUBSCRIPTION_HEADERS_MAX_BYTES", 16 * 1024)
SUBSCRIPTION_HEADER_VALUE_MAX_CHARACTERS = env.integer("SUBSCRIPTION_HEADER_VALUE_MAX_CHARACTERS", 4096)
# Django's own limit is for forms (the admin); the API's parser has API_BODY_MAX_BYTES.
DATA_UPLOAD_MAX_MEMORY_SIZE = API_BODY_MAX_BYTES

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "subscriptions.api.authentication.ApiKeyAuthentication",
        "subscriptions.api.authentication.AdministratorAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["subscriptions.api.permissions.HasScope"],
    "DEFAULT_PARSER_CLASSES": ["webhooks_project.parsers.BoundedJSONParser"],
    "DEFAULT_RENDERER_CLASSES": [
        "webhooks_project.renderers.EscapingJSONRenderer",
        "rest_framework.renderers.BrowsableAPIRenderer",
    ],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "webhooks_project.api_errors.answer",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

# In the order in which one meets them.
API_TAGS = {
    "workflows": "What can be run, and how its runs' webhooks are sent.",
    "runs": "Executions of workflows, and what executors report of them and their steps.",
    "events": "Events of the platform's own.",
    "webhooks": "Subscriptions: who is told of what, where, with which secret; tests and logs.",
    "deliveries": "One event for one target: where it stands, replay, cancel.",
    "replays": "Many deliveries sent again, by a filter or a time range.",
    "organizations": "For the platform's operator: customers and their keys.",
    "portal": "Links to the pages for an organization's own people.",
    "users": "Which organizations a key acts for.",
    "received": "What receivers get.",
    "leap": "As Leap's callers know it.",
    "leaperone": "As LEAPERone's callers know it.",
    "skyvern": "As Skyvern's callers know it.",
    "eachlabs": "As eachlabs' callers know it.",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Runhooks",
    "DESCRIPTION": "Self-hosted webhook delivery for platforms that run long AI workflows.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/v1",
    "TAGS": [{"name": name, "description": text} for name, text in API_TAGS.items()],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "webhooks_project.openapi.complete",
        "webhooks_project.openapi_errors.add_errors",
        "webhooks_project.openapi_webhooks.add_webhooks",
        "webhooks_project.openapi_examples.add_examples",
    ],
    "ENUM_NAME_OVERRIDES": {
        "RunStatusEnum": "runs.models.RUN_STATUSES",
        "StepStatusEnum": "runs.models.STEP_STATUSES",
        "DeliveryStateEnum": "delivery.models.DELIVERY_STATES",
        "ReplayStateEnum": "delivery.replays.model.REPLAY_STATES",
        "ScopeEnum": "subscriptions.models.Scope",
    },
}
