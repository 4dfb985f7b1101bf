"""Sessions and events of agents, and the receiver of OpenTelemetry's spans."""
