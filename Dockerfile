# One image for both commands. `docker run IMAGE spec` is the Airbyte source,
# `docker run --entrypoint tap-connector-logs IMAGE --about` the Singer tap.

FROM python:3.13-slim AS build

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /build

# First what seldom changes. Neither environment has a pip of its own: that of the base image fills both.
COPY requirements/build.txt requirements/tap.txt requirements/
RUN python -m venv --without-pip /build/tools \
    && python -m venv --without-pip /opt/connector-logs \
    && pip --python /build/tools/bin/python install --no-cache-dir --require-hashes --requirement requirements/build.txt \
    && pip --python /opt/connector-logs/bin/python install --no-cache-dir --require-hashes --requirement requirements/tap.txt

COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY tap_connector_logs tap_connector_logs
RUN /build/tools/bin/python -m hatchling build --target wheel --directory /build/dist \
    && pip --python /opt/connector-logs/bin/python install --no-cache-dir --no-index --no-deps /build/dist/*.whl

FROM python:3.13-slim

LABEL org.opencontainers.image.title="connector-logs" \
      org.opencontainers.image.description="Execution logs of Supermetrics Codeless Connectors, by Airbyte or by Singer" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.2.0" \
      io.airbyte.name="source-connector-logs" \
      io.airbyte.version="0.2.0"

RUN useradd --uid 1000 --create-home --home-dir /airbyte --shell /usr/sbin/nologin airbyte

COPY --from=build /opt/connector-logs /opt/connector-logs

# Nothing is written but to stdout, so the file system may be read-only.
ENV PATH="/opt/connector-logs/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    AIRBYTE_ENTRYPOINT="/opt/connector-logs/bin/source-connector-logs"

WORKDIR /airbyte
# By its number, so that Kubernetes can tell that it is not root.
USER 1000:1000

ENTRYPOINT ["/opt/connector-logs/bin/source-connector-logs"]
