"""Mode, secrets, apps and middleware."""

from pathlib import Path

from webhooks_project import env

BASE_DIR = Path(__file__).resolve().parent.parent.parent
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
    "portal",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "webhooks_project.security.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "webhooks_project.security.NoStoreMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "subscriptions.middleware.ActorMiddleware",
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
