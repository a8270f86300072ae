"""The page at ``GET /``: it asks the service as any client does, and nothing of another host.

What only the page needs is here; nothing imports this package but the composition root.
"""
