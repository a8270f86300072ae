"""What the service does under too much load, bad clients and faults; every vector is compared."""
