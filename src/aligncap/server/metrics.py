"""What a server tells Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

__all__ = ["Metrics"]

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counts of one server, in a registry of its own."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("aligncap_requests", "Requests answered.", ["endpoint", "status"], registry=registry)
        self.request_seconds = Histogram(
            "aligncap_request_seconds", "From first byte to answer.", ["endpoint"], buckets=_SECONDS, registry=registry
        )
        self.in_flight = Gauge(
            "aligncap_requests_in_flight", "Requests for captions that are not answered yet.", registry=registry
        )
        self.uploaded = Counter("aligncap_uploaded_bytes", "Bytes of request bodies.", registry=registry)
        self.recordings = Counter(
            "aligncap_recordings", "Recordings: captioned, or the type of the error.", ["outcome"], registry=registry
        )
        self.audio_seconds = Counter("aligncap_audio_seconds", "Seconds of recordings captioned.", registry=registry)
        self.batch_recordings = Histogram(
            "aligncap_batch_recordings", "Recordings captioned together.", buckets=_SIZES, registry=registry
        )
        self.batch_seconds = Histogram(
            "aligncap_batch_seconds", "Time to caption a batch.", buckets=_SECONDS, registry=registry
        )
        self.queued = Gauge("aligncap_queue_recordings", "Recordings waiting to be captioned.", registry=registry)

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self.registry)
