"""What OpenTelemetry's libraries read from the environment when they are imported, and have to find there.

Whoever imports one of them imports this module before.
"""

from __future__ import annotations

import os

# Today's names of what is known of HTTP and SQL, until the instrumentation has them by default.
os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
# Whatever is set: others (xray, b3) would have a say in whether a trace is recorded, and the workflows speak these two.
os.environ["OTEL_PROPAGATORS"] = "tracecontext,baggage"
