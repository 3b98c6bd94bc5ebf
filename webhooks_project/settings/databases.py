"""PostgreSQL: the truth."""

import dj_database_url

from webhooks_project import env
from webhooks_project.settings.base import demanded

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
