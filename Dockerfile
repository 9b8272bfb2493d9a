# syntax=docker/dockerfile:1
#
# One image for all: `python -m node` (with the admin page) or `python -m router`, as the command says.
# Runs as nobody in particular, on a read-only root. tests/chart/test_image.py does these steps without an engine.
#
# What it is built on may be given by digest: --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:… (docs/kubernetes.md).
ARG NODE_IMAGE=node:24-bookworm-slim
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${NODE_IMAGE} AS page
WORKDIR /page
COPY admin-frontend/package.json admin-frontend/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY admin-frontend ./
RUN npm run build && find dist -name '*.map' -delete

FROM ${PYTHON_IMAGE} AS packages
WORKDIR /build
COPY pyproject.toml constraints.txt ./
# Dependencies without ourselves, so that this layer changes with them alone.
RUN python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
      > requirements.txt \
    && python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --only-binary :all: \
      -c constraints.txt -r requirements.txt
COPY README.md LICENSE ./
COPY shared ./shared
COPY router ./router
COPY node ./node
# What builds us is pinned as well, by a variable: pip's option does not reach into its isolated environment. Newer pips want
# the second one. What is compiled here is never compared with its source again: the root is read-only, and a layer's
# times say nothing.
RUN PIP_CONSTRAINT=/build/constraints.txt PIP_BUILD_CONSTRAINT=/build/constraints.txt \
    python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --no-deps . \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib

FROM ${PYTHON_IMAGE}
ARG REVISION=unknown
LABEL org.opencontainers.image.title="VideoSite Realtime" \
      org.opencontainers.image.description="Pushes notifications to browsers in real time: the connection node and the router" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0"
# Nothing that could install anything stays.
RUN rm -rf /usr/local/lib/python3.11/site-packages /usr/local/lib/python3.11/ensurepip /usr/local/bin/pip*
COPY --from=packages /opt/venv /opt/venv
COPY --from=page /page/dist /app/page
COPY LICENSE /app/
# No inbox unless a database is named: its default is a file, and this tree is read-only.
ENV PATH=/opt/venv/bin:$PATH \
    ADMIN_PAGE_DIR=/app/page \
    DATABASE_URL=off \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /app
USER 10001:10001
EXPOSE 8000 8001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 CMD ["python", "-m", "shared.healthcheck"]
CMD ["python", "-m", "node"]
