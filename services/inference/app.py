"""Wires the inference service."""




@dataclass(frozen=True, slots=True)
class Domain:
    """The parts of the domain, assembled."""

    providers: Providers
    models: Models
    reports: Reports
    chat: Chat
    embeddings: Embeddings
    meter: Meter
