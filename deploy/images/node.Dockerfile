# What the images of all functions begin with: Node, the libraries it is linked against, certificates. No shell, no
# package manager.
#   BASE  an image with Node
ARG BASE
FROM ${BASE} AS base
USER 0
COPY gather.mjs /gather.mjs
RUN ["node", "/gather.mjs", "/rootfs"]

FROM scratch
COPY --from=base /rootfs /
ENV PATH=/usr/local/bin
USER 65532:65532
WORKDIR /app
