# softphone in a container: two stages, of which the second has neither compiler nor pip.
#
#     docker build -t softphone .                      G.711, L16 and Opus (Debian's libopus)
#     docker build -t softphone --build-arg EXTRAS=video,im .
#     docker run --network host -v ./lab:/data softphone register --account /data/alice.toml
#
# RTP goes to a range of UDP ports: run it with --network host, or publish the range of `media.ports`.
ARG PYTHON=3.13
ARG BASE=docker.io/library/python:${PYTHON}-slim-trixie

FROM ${BASE} AS build
ARG EXTRAS=
WORKDIR /source
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY softphone softphone
COPY codecs codecs
RUN python3 -m venv /opt/softphone \
    && /opt/softphone/bin/python -m pip install --no-cache-dir --only-binary :all: "cffi>=1.17" "hatchling>=1.28" \
    && /opt/softphone/bin/python -m pip wheel --no-cache-dir --no-build-isolation --no-deps -w /wheel . \
    && /opt/softphone/bin/python -m pip uninstall -q -y hatchling \
    && wheel="$(echo /wheel/*.whl)" \
    && /opt/softphone/bin/python -m pip install --no-cache-dir --only-binary :all: "${wheel}${EXTRAS:+[$EXTRAS]}" \
    && /opt/softphone/bin/python -m pip uninstall -q -y pip

FROM ${BASE}
# Neither the pip of the base nor the one that `python -m ensurepip` would unpack stays.
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libopus0 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /usr/share/python-wheels \
        /usr/local/bin/pip* /usr/local/lib/python3*/ensurepip /usr/local/lib/python3*/site-packages/pip* \
        /usr/lib/python3*/ensurepip \
    && useradd --uid 10001 --user-group --create-home --home-dir /data softphone
COPY --from=build /opt/softphone /opt/softphone
ENV PATH=/opt/softphone/bin:$PATH PYTHONUNBUFFERED=1
# What the image is made of (CycloneDX): docker run --rm --entrypoint cat softphone /usr/share/softphone/sbom.cdx.json
RUN --mount=type=bind,source=docs/container/bill_of_materials.py,target=/run/bill_of_materials.py \
    mkdir /usr/share/softphone && python /run/bill_of_materials.py /usr/share/softphone/sbom.cdx.json
USER 10001:10001
WORKDIR /data
# A command ends in order on SIGTERM: calls are hung up, bindings are removed.
STOPSIGNAL SIGTERM
# The process that the container is for is alive, and the package it runs can be loaded.
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, softphone.phone.phone; os.kill(1, 0)"]
ENTRYPOINT ["softphone"]
CMD ["--help"]
