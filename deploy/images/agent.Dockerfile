# The agent's image: what an agent's pod is made of, and where runs work whose project names no image of its own.
#   BASE  an image with Node and git
ARG BASE
FROM ${BASE}
# Without git no run gets anywhere: better said now.
RUN ["git", "--version"]
COPY agent/ /
USER 65532:65532
WORKDIR /
ENTRYPOINT ["node", "/opt/codex-k8s/runner/main.js"]
