# The one image: API, workers, beat and `manage.py`. docker-compose.yml says what each of them runs.
FROM python:3.13-slim AS build
ENV PATH=/venv/bin:$PATH
WORKDIR /app
COPY requirements/production.txt requirements/
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/production.txt \
    && rm -r requirements
COPY manage.py LICENSE ./
COPY webhooks_project webhooks_project
COPY subscriptions subscriptions
COPY delivery delivery
COPY runs runs
COPY portal portal
# Placeholders for this one step; nothing of them stays in the image.
RUN SECRET_KEY=build ENCRYPTION_KEYS=build DATABASE_URL=postgres://build BROKER_URL=redis://build \
    python manage.py collectstatic --noinput --verbosity 0
# Nothing can be written where it runs, so each start would compile all of it anew.
RUN python -m compileall -q --invalidation-mode unchecked-hash .

FROM python:3.13-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin runhooks
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=build /app /app
# By number, for platforms that refuse to run a name of which they cannot tell that it is not root.
USER 10001
EXPOSE 8000
# Unless told otherwise it is the API; WEB_CONCURRENCY is gunicorn's own variable for its processes.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as u; host = os.environ.get('ALLOWED_HOSTS', '').split(',')[0].strip(' .*') or 'localhost'; u.urlopen(u.Request('http://127.0.0.1:8000/healthz', headers={'Host': host}), timeout=4)"]
CMD ["gunicorn", "webhooks_project.asgi:application", "--worker-class", "webhooks_project.server.Worker", "--bind", "0.0.0.0:8000", "--keep-alive", "75", "--graceful-timeout", "8", "--worker-tmp-dir", "/dev/shm", "--no-control-socket"]
