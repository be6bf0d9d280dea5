//! Floor 6: the HTTP API, on the control socket.
