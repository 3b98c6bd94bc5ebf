FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY requirements/production.txt requirements/
RUN pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/production.txt
COPY manage.py LICENSE ./
COPY webhooks_project webhooks_project
COPY subscriptions subscriptions
COPY delivery delivery
COPY runs runs
COPY portal portal
# Placeholders for this one step; nothing of them stays in the image.
RUN SECRET_KEY=build ENCRYPTION_KEYS=build DATABASE_URL=postgres://build BROKER_URL=redis://build \
    python manage.py collectstatic --noinput --verbosity 0
RUN useradd --system --no-create-home --shell /usr/sbin/nologin runhooks
USER runhooks
EXPOSE 8000
