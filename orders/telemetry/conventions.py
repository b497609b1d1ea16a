"""Today's names of what is known of HTTP and SQL, until OpenTelemetry's instrumentation has them by default.

It reads this when the first of it is made: this module is imported before.
"""

from __future__ import annotations

import os

os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
