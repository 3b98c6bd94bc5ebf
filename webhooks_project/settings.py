"""Settings, read once from the environment. Limits carry their unit in the name.

Three modes (`RUNHOOKS_MODE`): `production` (the default) demands servers and secrets from the
environment; `local` is what `make serve` and `make demo` run; `test` is for the test suite.
docs/settings.md has the table of all variables; `delivery/checks.py` holds them against each other.
"""

from datetime import timedelta
from pathlib import Path

import dj_database_url
from kombu import Exchange, Queue

from webhooks_project import env

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"

MODE = env.choice("RUNHOOKS_MODE", ("production", "local", "test"), "production")
PRODUCTION = MODE == "production"


def demanded(name: str, for_tests: str) -> str:
    """A variable that every mode but `test` must set: there is no safe default."""
    return env.text(name, for_tests if MODE == "test" else None)


DEBUG = False
SECRET_KEY = demanded("SECRET_KEY", "only-for-tests")
# Fernet keys, newest first: the first encrypts, all of them decrypt.
ENCRYPTION_KEYS = [
    key.strip()
    for key in demanded("ENCRYPTION_KEYS", "b25seS1mb3ItdGVzdHMtb25seS1mb3ItdGVzdHMtISE=").split(",")
]
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "" if PRODUCTION else "127.0.0.1,localhost,[::1],testserver")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
PUBLIC_BASE_URL = env.text("PUBLIC_BASE_URL", "http://127.0.0.1:8000").rstrip("/")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "subscriptions",
    "delivery",
    "runs",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

CSRF_FAILURE_VIEW = "webhooks_project.api_errors.csrf_failure"
ROOT_URLCONF = "webhooks_project.urls"
WSGI_APPLICATION = "webhooks_project.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "webhooks_project" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- Stores -----------------------------------------------------------------------------------

DATABASES = {
    "default": dj_database_url.parse(
        env.url(
            "DATABASE_URL",
            demanded("DATABASE_URL", "postgres://unset@127.0.0.1:1/unset"),
            ("postgres", "postgresql"),
        ),
        # A connection of the API lives as long as its thread; a new one costs PostgreSQL 5 ms.
        conn_max_age=env.integer("DATABASE_CONNECTION_MAX_AGE_SECONDS", 600),
    )
}
DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]

# --- Celery: the message is a nudge, the row in PostgreSQL is the truth ------------------------

CELERY_BROKER_URL = env.url(
    "BROKER_URL", demanded("BROKER_URL", "redis://127.0.0.1:1/0"), ("redis", "rediss")
)
BROKER_SOCKET_TIMEOUT_SECONDS = env.number("BROKER_SOCKET_TIMEOUT_SECONDS", 2.0)
# The broker hands a message out again when it was not acknowledged for this long. It must outlast
# the longest wait inside Celery (DELIVERY_RETRY_IN_CELERY_SECONDS) plus one attempt: 60 + 30 s at
# the most by default, so 600 s leaves room; recovery does not depend on it, the requeuer is faster.
BROKER_VISIBILITY_TIMEOUT_SECONDS = env.integer("BROKER_VISIBILITY_TIMEOUT_SECONDS", 600, at_least=30)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": BROKER_VISIBILITY_TIMEOUT_SECONDS,
    "global_keyprefix": env.text("BROKER_KEY_PREFIX", "runhooks:"),
    # Without these a publish to a half-dead broker blocks for ever (kombu sets no time limit).
    "socket_timeout": BROKER_SOCKET_TIMEOUT_SECONDS,
    "socket_connect_timeout": BROKER_SOCKET_TIMEOUT_SECONDS,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.2,
}
CELERY_BROKER_TRANSPORT = "webhooks_project.transport:SturdyTransport"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = False
# One more try at once, on a new connection; after that the requeuer has the row.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_max": 0.2}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_DEFAULT_QUEUE = "maintenance"
CELERY_TASK_QUEUES = tuple(
    Queue(name, Exchange(name, type="direct"), routing_key=name)
    for name in ("deliveries.first", "deliveries.retry", "deliveries.replay", "maintenance")
)
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = True
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 0.0
# Celery's Django integration closes the database connection before and after every task unless
# this is set; `delivery/tasks.py` looks after broken connections itself.
CELERY_DB_REUSE_MAX = 1_000_000
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "canary": {
        "task": "delivery.tasks.canary",
        "schedule": timedelta(seconds=15),
        # A canary that waited longer than the next one is due tells nothing new.
        "options": {"expires": 15, "queue": "maintenance"},
    }
}

# --- Delivery ---------------------------------------------------------------------------------

# Where webhooks may go. Production: https to public addresses only. Local mode, demo and tests
# open loopback over http by these variables, visibly.
WEBHOOK_ALLOW_HTTP = env.flag("WEBHOOK_ALLOW_HTTP", False)
WEBHOOK_ALLOWED_NETWORKS = env.words("WEBHOOK_ALLOWED_NETWORKS")

DELIVERY_TIMEOUT_DEFAULT_SECONDS = env.number("DELIVERY_TIMEOUT_DEFAULT_SECONDS", 10.0, at_least=0.1)
DELIVERY_TIMEOUT_MAX_SECONDS = env.number("DELIVERY_TIMEOUT_MAX_SECONDS", 60.0)
# A lease outlives its attempt's deadline by this much: time to record, even over a database restart.
DELIVERY_LEASE_MARGIN_SECONDS = env.number("DELIVERY_LEASE_MARGIN_SECONDS", 10.0)
DELIVERY_RESPONSE_BODY_MAX_CHARACTERS = env.integer("DELIVERY_RESPONSE_BODY_MAX_CHARACTERS", 2048)
DELIVERY_CONNECTIONS_PER_RECEIVER = env.integer("DELIVERY_CONNECTIONS_PER_RECEIVER", 64, at_least=1)
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

REQUEUE_INTERVAL_SECONDS = env.number("REQUEUE_INTERVAL_SECONDS", 1.0)
REQUEUE_BATCH_ROWS = env.integer("REQUEUE_BATCH_ROWS", 500, at_least=1)
# A wake-up this old in an empty lane was lost.
REQUEUE_GRACE_SECONDS = env.number("REQUEUE_GRACE_SECONDS", 2.0)
# In a lane that is not empty the row may only be waiting its turn: 30 s, then doubled each time.
REQUEUE_BACKOFF_SECONDS = env.number("REQUEUE_BACKOFF_SECONDS", 30.0)

# --- API --------------------------------------------------------------------------------------

API_BODY_MAX_BYTES = env.integer("API_BODY_MAX_BYTES", 6 * 1024 * 1024, at_least=1024)
API_JSON_MAX_DEPTH = env.integer("API_JSON_MAX_DEPTH", 64, at_least=8)
RUN_REPORTS_PER_BATCH_MAX = env.integer("RUN_REPORTS_PER_BATCH_MAX", 500, at_least=1)
SUBSCRIPTIONS_PER_ORGANIZATION_MAX = env.integer("SUBSCRIPTIONS_PER_ORGANIZATION_MAX", 1000, at_least=1)
SUBSCRIPTION_HEADERS_MAX = env.integer("SUBSCRIPTION_HEADERS_MAX", 32)
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
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "webhooks_project.openapi.complete",
    ],
    "ENUM_NAME_OVERRIDES": {
        "RunStatusEnum": "runs.models.RUN_STATUSES",
        "StepStatusEnum": "runs.models.STEP_STATUSES",
        "ScopeEnum": "subscriptions.models.Scope",
    },
}

# --- Pages ------------------------------------------------------------------------------------

STATIC_URL = "/static/"
# Outside production the files are served from where the apps have them, without collecting.
STATIC_ROOT = BASE_DIR / "staticfiles" if PRODUCTION else None
WHITENOISE_USE_FINDERS = not PRODUCTION
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
LOGIN_URL = "/admin/login/"

SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", PRODUCTION)
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("TRUST_X_FORWARDED_PROTO", False) else None
)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SECURE_HSTS_SECONDS = env.integer("SECURE_HSTS_SECONDS", 31_536_000 if PRODUCTION else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PRODUCTION
X_FRAME_OPTIONS = "DENY"
# Probes come over plain http from inside the cluster.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {
        "handlers": ["stderr"],
        "level": env.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO"),
    },
    "loggers": {
        # Each refused request (404, 422) would be a warning line of Django's own.
        "django.request": {"level": "ERROR"},
    },
}
