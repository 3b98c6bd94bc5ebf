# The image with what traces need (docs/operations.md), apart, for redis-py imports half of it where it is there:
#   docker build --file deploy/tracing.Dockerfile --tag runhooks:0.1.0-tracing .
# and RUNHOOKS_IMAGE=runhooks:0.1.0-tracing in `.env`, after `docker compose build` of the one below.
FROM runhooks:0.1.0
USER 0
COPY requirements/tracing.txt /tmp/requirements/
RUN cd /tmp \
    && /venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/tracing.txt \
    && rm -r requirements
USER 10001
