"""What nodes and routers both need: settings, identity, messages, the way through Redis. Imports neither of them."""
