"""Pages for people, security headers, mail, logging."""

from importlib.util import find_spec

from webhooks_project import env
from webhooks_project.settings.base import BASE_DIR, PRODUCTION

STATIC_URL = "/static/"
# Outside production the files are served from where the apps have them, without collecting.
STATIC_ROOT = BASE_DIR / "staticfiles" if PRODUCTION else None
WHITENOISE_USE_FINDERS = not PRODUCTION
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
LOGIN_URL = "/admin/login/"
# For who logs in with a `next` that leads elsewhere.
LOGIN_REDIRECT_URL = "/admin/"

# Tries to log in, right or wrong, with one user name and from one client address: so many at once, then
# so many a minute. A rate of 0 is no limit.
LOGIN_USER_TRIES_PER_MINUTE = env.number("LOGIN_USER_TRIES_PER_MINUTE", 1.0, at_most=1e6)
LOGIN_USER_BURST_TRIES = env.integer("LOGIN_USER_BURST_TRIES", 10, at_least=1)
LOGIN_ADDRESS_TRIES_PER_MINUTE = env.number("LOGIN_ADDRESS_TRIES_PER_MINUTE", 10.0, at_most=1e6)
LOGIN_ADDRESS_BURST_TRIES = env.integer("LOGIN_ADDRESS_BURST_TRIES", 30, at_least=1)
# So many proxies in front add to X-Forwarded-For; 0: nobody is believed.
X_FORWARDED_FOR_PROXIES = env.integer("X_FORWARDED_FOR_PROXIES", 0)

SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", PRODUCTION)
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("TRUST_X_FORWARDED_PROTO", False) else None
)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
# The prefix makes browsers take them from this host over https only, whatever a neighbour sets.
SESSION_COOKIE_NAME = "__Host-session" if PRODUCTION else "runhooks-session"
CSRF_COOKIE_NAME = "__Host-csrf" if PRODUCTION else "runhooks-csrf"
# Pages carry the token themselves, so no script has to read the cookie.
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
# Strict would not come along when another site's page leads here: the answer would set a new one, and forms
# that are open in other tabs would be refused.
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = env.integer("SESSION_MAX_SECONDS", 8 * 3600, at_least=60)
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
# The pages of the platform's customers (portal/): how long a link can be opened if it does not say, the most
# that it may say, and how long the session lasts that it opens.
PORTAL_LINK_LIFETIME_SECONDS = env.integer("PORTAL_LINK_LIFETIME_SECONDS", 900, at_least=10)
PORTAL_LINK_LIFETIME_MAX_SECONDS = env.integer("PORTAL_LINK_LIFETIME_MAX_SECONDS", 7 * 24 * 3600, at_least=10)
PORTAL_SESSION_MAX_SECONDS = env.integer("PORTAL_SESSION_MAX_SECONDS", 8 * 3600, at_least=60)
# Of each organization, and sent with its pages alone. `__Host-` would demand the whole host.
PORTAL_COOKIE_NAME = "__Secure-portal" if PRODUCTION else "runhooks-portal"
SECURE_HSTS_SECONDS = env.integer("SECURE_HSTS_SECONDS", 31_536_000 if PRODUCTION else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PRODUCTION
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
# Nothing at all would take the Origin from our own forms, which the check of their token wants.
SECURE_REFERRER_POLICY = SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"

_NOTHING = {
    "default-src": "'none'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
    "form-action": "'none'",
}
_PAGE = _NOTHING | {
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
}
CONTENT_SECURITY_POLICIES = {
    "data": _NOTHING,
    "strict": _PAGE,
    # Templates of REST framework and Swagger UI have styles, but no scripts, of their own in them.
    "pages": _PAGE | {"style-src": "'self' 'unsafe-inline'"},
}
# Probes and Prometheus come over plain http from inside the cluster.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]

# Rows of one file that the admin exports; the newest ones.
EXPORT_ROWS_MAX = env.integer("EXPORT_ROWS_MAX", 100_000, at_least=1)

# Mails to organizations. Without EMAIL_HOST none are sent: they wait, and the admin shows them.
EMAIL_HOST = env.text("EMAIL_HOST", "")
EMAIL_PORT = env.integer("EMAIL_PORT", 587, at_least=1)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", EMAIL_PORT == 587)
EMAIL_USE_SSL = env.flag("EMAIL_USE_SSL", EMAIL_PORT == 465)
EMAIL_TIMEOUT = env.number("EMAIL_TIMEOUT_SECONDS", 20.0)
DEFAULT_FROM_EMAIL = env.text("EMAIL_FROM", "runhooks@localhost")

# Where spans go; without it nothing of OpenTelemetry is even imported.
TRACING = bool(env.text("OTEL_EXPORTER_OTLP_ENDPOINT", ""))
if TRACING and find_spec("opentelemetry") is None:
    raise env.BadEnvironment(
        "OTEL_EXPORTER_OTLP_ENDPOINT: the packages of requirements/tracing.txt are missing"
    )
OTEL_SERVICE_NAME = env.text("OTEL_SERVICE_NAME", "runhooks")
LOG_FORMAT = env.choice("LOG_FORMAT", ("line", "json"), "line")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        "json": {"()": "webhooks_project.logs.JsonLines"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {
        "handlers": ["stderr"],
        "level": env.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO"),
    },
    "loggers": {
        # Each refused request (404, 422) would be a warning line of Django's own.
        "django.request": {"level": "ERROR"},
        # A line of ours tells of each attempt; these would be two more for each.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        # Its warnings and debug lines hold whole URLs; what the sender makes of them is on record.
        "urllib3": {"level": "ERROR"},
    },
}
