#!/bin/sh
# install.sh LOCK...: puts what requirements/LOCK.txt names into /opt/venv.
set -eu
for lock; do
	pip --python /opt/venv install --only-binary :all: --require-hashes --requirement "$lock.txt"
done
# The wheel of Temporal's SDK brings along the source of its native part: 12 MB that nothing reads.
rm -rf /opt/venv/lib/python3.*/site-packages/temporalio/bridge/sdk-core
# Nothing changes here any more, so Python need not compare a module with its source; and the same lock makes the same files.
python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib
