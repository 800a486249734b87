# decoct with its extras, on an NVIDIA GPU or on processors alone.
#   docker build -t decoct .
#   docker build -t decoct --build-arg TORCH_INDEX=URL .    # URL of PyTorch's wheels without CUDA: gigabytes less
#   docker run --rm --gpus all -v "$PWD:/data" --user "$(id -u):$(id -g)" decoct run study.toml
FROM python:3.13-slim-trixie

# Triton and Inductor compile nets where a study says `compile = true`.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install --yes --no-install-recommends g++ \
  && rm -rf /var/lib/apt/lists/*

ARG TORCH_INDEX=
# hadolint ignore=DL3013
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "${TORCH_INDEX}"} torch torchvision

COPY . /src
RUN pip install --no-cache-dir '/src[diffusion,hub,mlflow,offline,ray,remote]' \
  && rm -rf /src

# The store, and weights from hubs, stay with the work when the container goes; whoever runs it can write there.
RUN install --directory --mode 1777 /data
WORKDIR /data
ENV HOME=/data DECOCT_STORE=/data/.decoct HF_HOME=/data/.cache/huggingface TORCH_HOME=/data/.cache/torch
USER 65534
ENTRYPOINT ["decoct"]
CMD ["doctor"]
