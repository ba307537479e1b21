# The web page by default, any other command as easily:
#   docker build -t icm .                                  (CPU)
#   docker build -t icm:gpu --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .
#   docker build -t icm:ray --build-arg EXTRAS=heic,ray .  (a node of a Ray cluster, docs/cluster.md)
#   docker run -p 127.0.0.1:7860:7860 icm
#   docker run --gpus all --user "$(id -u):$(id -g)" -v "$PWD:/data" icm:gpu \
#       batch in --reference ref.jpg --mask mask.png -o out
# BASE may be any Debian or Ubuntu with Python 3.11 or newer to be had, nvidia/cuda:12.8.1-base-ubuntu24.04
# for one; torch's wheels bring their own CUDA libraries, so the default serves GPUs too.
# The default is pinned by the digest of its list for all platforms; to move it:
#   docker buildx imagetools inspect python:3.12-slim-bookworm
ARG BASE=python:3.12.15-slim-bookworm@sha256:54c85f3c47607a77f32adec749d3c81d1348bf25833671f512b26a9b6d778cb3

FROM ${BASE} AS python
# hadolint ignore=DL3008
RUN if ! python3 -c "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))"; then \
        apt-get update \
        && apt-get install --yes --no-install-recommends python3 python3-venv \
        && rm -rf /var/lib/apt/lists/*; \
    fi
ENV PATH=/opt/icm/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

# Dependencies change seldom and are large: a layer of their own, in front of the program's.
FROM python AS dependencies
# An index of wheels of torch; empty for the one that pip is configured for. Only torch itself comes
# from there: it has few other packages, and of those not the versions in constraints.txt.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/icm
WORKDIR /build
COPY constraints.txt .
RUN python -m pip install pip==26.3
RUN pip install --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} \
        "$(grep '^torch==' constraints.txt)"
COPY pyproject.toml .
# Optional packages, by their names in pyproject.toml: heic, or heic,ray for the nodes of a cluster.
ARG EXTRAS=heic
RUN python -c "import os, tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; print(*p['dependencies'], *(line for extra in os.environ['EXTRAS'].split(',') for line in p['optional-dependencies'][extra]), sep='\n')" > requirements.txt \
    && pip install --constraint constraints.txt --requirement requirements.txt

FROM dependencies AS program
RUN pip install --constraint constraints.txt hatchling
COPY . .
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python
RUN useradd --uid 10001 --home-dir /cache --no-create-home icm \
    && install --directory --mode=777 /cache /data
ENV HOME=/cache \
    ICM_HOME=/cache/icm \
    HF_HOME=/cache/huggingface \
    NUMBA_CACHE_DIR=/cache/numba \
    GRADIO_ANALYTICS_ENABLED=False \
    ICM_HOST=0.0.0.0 \
    ICM_PORT=7860
COPY --from=dependencies /opt/icm /opt/icm
# The bundled weights come inside the wheel; others are fetched into /cache when they are asked for.
RUN --mount=type=bind,from=program,source=/wheels,target=/wheels \
    python -m pip install --no-cache-dir --no-index --no-deps --no-compile /wheels/*.whl
# Compiles pymatting once, here rather than at the first cut-out. Whoever runs the container may be
# another user (--user), who must be able to write there too.
RUN python -c "import pymatting" && chmod --recursive a+rwX /cache
USER 10001
WORKDIR /data
VOLUME ["/cache"]
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=180s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ['ICM_PORT']}/healthz\", timeout=4)"]
ENTRYPOINT ["icm"]
CMD ["app"]
