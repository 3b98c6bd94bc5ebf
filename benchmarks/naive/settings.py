"""The settings such a project has; servers and key come from the benchmark."""

import os

import dj_database_url

SECRET_KEY = os.environ["SECRET_KEY"]
API_KEY = os.environ["NAIVE_API_KEY"]
ALLOWED_HOSTS = ["127.0.0.1"]
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"], conn_max_age=600)}
INSTALLED_APPS = ["benchmarks.naive.app.NaiveConfig", "rest_framework"]
ROOT_URLCONF = "benchmarks.naive.urls"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["benchmarks.naive.permissions.HasKey"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}
CELERY_BROKER_URL = os.environ["BROKER_URL"]
CELERY_TASK_IGNORE_RESULT = True
# Without it Celery's Django integration makes a new database connection for every task.
CELERY_DB_REUSE_MAX = 1_000_000
