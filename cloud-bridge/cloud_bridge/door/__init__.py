"""``tram-bridge door``: the bridge's one HTTPS port (8443) beside MQTT's, for what must work before MQTT can (decision 19).

`rooms` is what is behind it (a table of method and path, each a function from a request to a reply), `server` the port.
"""
