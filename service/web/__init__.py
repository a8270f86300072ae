"""The pages at ``GET /`` and ``/docs``: they ask the service as any client does, and nothing of another host.

What only they need is here; nothing imports this package but the composition root.
"""
