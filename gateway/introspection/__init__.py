"""Token introspection (RFC 7662). Start at `gateway.introspection.introspect.Introspector`."""
