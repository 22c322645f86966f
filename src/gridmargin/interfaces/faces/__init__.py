"""Faces of other services, so that their clients work here after a change of URL.

Each translates names, units and shapes and computes nothing: `watttime`, `electricity_maps`, `carbon_aware`, `keda`.
`doors` puts them on a server.
"""
