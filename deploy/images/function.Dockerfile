# The image of a function, or of the migrations Job: Node, the libraries it is linked against, one bundle.
#   BASE      an image with Node; of it only Node, its libraries and the certificates are kept
#   FUNCTION  the folder of the context with what is different between functions
ARG BASE
FROM ${BASE} AS base
USER 0
COPY gather.mjs /gather.mjs
RUN ["node", "/gather.mjs", "/rootfs"]

# One layer for all functions: no shell, no package manager.
FROM scratch AS node
COPY --from=base /rootfs /
ENV PATH=/usr/local/bin
USER 65532:65532
WORKDIR /app
ENTRYPOINT ["/usr/local/bin/node", "--enable-source-maps", "/app/main.js"]

FROM node
ARG FUNCTION
COPY ${FUNCTION}/ /
