# The image of a function, or of a Job of ours: one bundle.
#   BASE      what node.Dockerfile makes, or another image with Node
#   FUNCTION  the folder of the context with the bundle, /app, and the terms of what is in it, /licenses
ARG BASE
FROM ${BASE}
ARG FUNCTION
COPY ${FUNCTION}/ /
USER 65532:65532
WORKDIR /app
ENTRYPOINT ["node", "--enable-source-maps", "/app/main.js"]
