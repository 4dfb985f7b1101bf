# The images of Portico, one for each part:
#
#     docker build --build-arg SERVICE=auth -t portico/auth .        # or inference, vector, rag, tracing, edge
#
# Each is made FROM scratch: the interpreter and the C libraries that it needs (deploy/docker/minimal_root.py), the packages of the
# part's own lock, and Portico. There is no shell, no package manager and nothing that can be written to but /data and /tmp.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# --- the interpreter, the same for all
FROM ${PYTHON_IMAGE} AS interpreter
COPY deploy/docker/minimal_root.py /build/
RUN python /build/minimal_root.py /root-fs

# --- Portico, the same for all
FROM ${PYTHON_IMAGE} AS portico
COPY core /app/core
COPY services /app/services
COPY gen /app/gen
COPY gateway-edge /app/gateway-edge
COPY tools/__init__.py tools/edge.py tools/edge_container.py /app/tools/
COPY deploy/docker/entry.py /app/
RUN find /app -name __pycache__ -prune -exec rm -r {} + && python -m compileall -q --invalidation-mode unchecked-hash -s / /app

# --- the packages of one part, each held against its hash; wheels alone, so nothing is compiled. Some wheels bring debug symbols
# that are larger than all the rest; libraries that wheels bundle (*.libs) do not survive `strip`.
FROM ${PYTHON_IMAGE} AS packages
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils && rm -rf /var/lib/apt/lists/*
ARG SERVICE
ARG PIP_INDEX_URL
COPY deploy/docker/${SERVICE}.lock /build/packages.lock
RUN python -m pip install --no-cache-dir --no-compile --no-deps --require-hashes --only-binary :all: \
        --target /packages -r /build/packages.lock \
    && rm -rf /packages/bin && find /packages -name tests -type d -prune -exec rm -r {} + \
    && find /packages \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' \) -delete \
    && find /packages -name '*.so' -not -path '*.libs/*' -exec strip --strip-debug {} + \
    && python -m compileall -q --invalidation-mode unchecked-hash -s / /packages

FROM scratch
ARG SERVICE
COPY --from=interpreter /root-fs /
COPY --from=packages /packages /packages
COPY --from=portico /app /app
ENV PATH=/usr/local/bin:/usr/bin \
    PYTHONPATH=/app:/app/gen:/packages \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LANG=C.UTF-8 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=/etc/ssl/certs/ca-certificates.crt \
    SERVICE=${SERVICE} \
    PORTICO_DATA_DIR=/data \
    PORTICO_LISTEN=0.0.0.0:50051 \
    PORTICO_METRICS_HOST=0.0.0.0
USER 10001:10001
WORKDIR /app
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=15s --start-period=60s --retries=3 CMD ["python", "-m", "core.probe"]
ENTRYPOINT ["python", "/app/entry.py"]
