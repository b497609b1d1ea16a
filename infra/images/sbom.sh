#!/bin/sh
# sbom.sh: writes down what is in /opt/venv, and nothing of when and where, so that the same packages make the same file.
set -eu
mkdir -p /usr/share/sbom
/opt/sbom/bin/python -m cyclonedx_py environment /opt/venv/bin/python --pyproject /opt/sbom/pyproject.toml \
	--output-reproducible --spec-version 1.6 --output-format JSON --output-file /usr/share/sbom/order-lifecycle.cdx.json
