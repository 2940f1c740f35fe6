"""What the API does with the tables: one module per area."""
