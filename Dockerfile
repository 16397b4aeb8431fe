# The one image that all tasks of all flows use. Tasks bring their own command, so there is no entry point.
#   docker build --build-arg TORCH_INDEX=INDEX_WITH_CPU_BUILDS -t noescape:0.1.0 .     for CPUs: small
#   docker build -t noescape:0.1.0 .                                                   torch as it comes: with CUDA
# See docs/preflight.md. All packages but torch are checked against the hashes of constraints.txt.

FROM python:3.11-slim AS build
ARG TORCH_INDEX=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1
WORKDIR /build
RUN python -m venv --without-pip /opt/noescape
# torch first and by version alone. From an index of CPU builds it comes without its needs: they have hashes below.
RUN if [ -n "$TORCH_INDEX" ]; then \
      PIP_INDEX_URL="$TORCH_INDEX" python -m pip --python /opt/noescape/bin/python install --no-deps torch==2.13.0; \
    else \
      python -m pip --python /opt/noescape/bin/python install torch==2.13.0; \
    fi
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY tools/image_pins.py tools/
COPY src/ src/
RUN python tools/image_pins.py --build > build-pins.txt \
 && python -m pip install --require-hashes --no-deps -r build-pins.txt \
 && python tools/image_pins.py --python /opt/noescape/bin/python > pins.txt \
 && python -m pip --python /opt/noescape/bin/python install --require-hashes --no-deps -r pins.txt \
 && python -m pip wheel --no-deps --no-build-isolation --wheel-dir wheels . \
 && python -m pip --python /opt/noescape/bin/python install --no-deps wheels/*.whl

FROM python:3.11-slim
ARG RUN_AS=10001
COPY --from=build /opt/noescape /opt/noescape
ENV PATH=/opt/noescape/bin:$PATH HOME=/home/noescape PYTHONUNBUFFERED=1
# Clusters may choose another user number: everybody may write the home folder, nobody the program.
RUN mkdir -m 1777 /home/noescape \
 && noescape doctor --require torch --require openvino --require efficientnet_lite0 --require png --require jpeg
USER ${RUN_AS}
WORKDIR /home/noescape
CMD ["noescape", "--help"]
